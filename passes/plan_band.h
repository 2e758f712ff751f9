/* plan_band.h - what the files share that find equations to be taken together, some rows at a time: plan_band.c those of which one thread
 * takes its rows, plan_slab.c those whose rows all threads take together.
 */
#ifndef SEQC_PASSES_PLAN_BAND_H
#define SEQC_PASSES_PLAN_BAND_H

#include "passes/band.h"

/* The tensors that an equation reads. */
typedef struct Reads {
  int count;
  TensorId *tensors;
} Reads;

typedef struct Plan {
  Lowering *lowering;
  const Program *program;
  ScheduleNode *nodes;
  int *position;      /* by equation: place among the nodes, NONE: elsewhere or in a loop */
  bool *is_candidate; /* by tensor: not to be kept whole */
  bool *is_member;    /* by equation: of the band at hand */
  const Reads *reads; /* by equation */
  bool is_of_rows;    /* the band at hand: of rows that are read again */
  Band band;
} Plan;

static inline const Equation *plan_member(const Plan *plan, int number) { return &plan->program->equations[plan->band.equations[number]]; }

/* A candidate that is read at a place outside, or by what is no step of the list, is none any more. */
void plan_drop_candidates(Plan *plan);
const Reads *plan_collect_reads(const Plan *plan); /* by equation */
bool plan_reads(const Plan *plan, int equation, TensorId tensor);
/* The equations that are tied to `first` by candidates become members: who defines one and who reads it. */
void plan_gather(Plan *plan, int first);
/* What stands between and needs a member is needed by none, or is a member too (`joins`: or becomes one). False when it can't be one. */
bool plan_close(Plan *plan, bool joins);
void plan_order_members(Plan *plan);
/* Fills in by member the axis of its target that is this axis of the target of member `first`, and where a sum runs along it instead. False
 * when it does not stand at the same place throughout. */
bool plan_follow_axis(Plan *plan, int first, int axis, int *place, bool *sums);
/* A sum over the rows begins with its value before any band is done, and runs over nothing but whole rows. */
bool plan_sums_are_plain(const Plan *plan, const bool *sums);
/* Puts the members side by side, and what needs them after. */
ScheduleNode *plan_put_together(const Plan *plan);

#endif
