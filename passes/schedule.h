/* schedule.h - an order of execution for equations: what runs once over whole tensors, what inside which sequential loop. */
#ifndef SEQC_PASSES_SCHEDULE_H
#define SEQC_PASSES_SCHEDULE_H

#include "ir/equations.h"

typedef struct ScheduleNode ScheduleNode;
struct ScheduleNode {
  ScheduleNode *next;
  int equation;      /* a step: the equation over all axes that no loop around it has; NONE for a loop */
  /* a loop over one axis of every member's target */
  IndexId index;     /* 0 <= index < extent; NONE: blocks of rows, that have axes of their own (plan_slab.c) */
  bool is_reversed;
  int member_count;
  int *members;      /* equations */
  int *axes;         /* of their targets, NONE for blocks of rows */
  ScheduleNode *body;
};

/* All equations of the program, definitions before uses. Cycles that no lag breaks are diagnostics; then the result is NULL.
 * Indices for the loops are added to the program. */
ScheduleNode *schedule_create(Program *program, Diagnostics *diagnostics);

/* sink.c: moves steps into the loop that alone needs them, where a turn of it needs a turn of theirs. Part of schedule_create. */
ScheduleNode *schedule_sink(Program *program, ScheduleNode *schedule);

/* lift.c: moves steps that are the same at all times in front of the loop whose readers need them. */
void schedule_lift(const Program *program, ScheduleNode **nodes);

/* What a call leaves for the next may lie where the call before left it: it is written after all reads of that. So it is after
 * schedule_create; whoever moves nodes does it again. */
ScheduleNode *schedule_put_carries_last(const Program *program, ScheduleNode *schedule);

int schedule_loop_axis(const ScheduleNode *loop, int equation); /* of its target, that the loop runs over; NONE: not of the loop, or NULL */
bool schedule_has_maps_only(const Program *program, const ScheduleNode *loop);

/* The strongly connected component of each equation; a smaller number comes first. *out_count may be NULL. */
int *equation_components(const Program *program, int *out_count);

#endif
