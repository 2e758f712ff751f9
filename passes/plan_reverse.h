/* plan_reverse.h - what the files share that plan recurrences back through time: plan_reverse.c finds the two recurrences and who reads
 * them, reverse_rewrite.c lets the rest of the program read what comes out.
 */
#ifndef SEQC_PASSES_PLAN_REVERSE_H
#define SEQC_PASSES_PLAN_REVERSE_H

#include "passes/reverse.h"

/* Where an equation, or a loop, stands in the schedule. */
typedef struct Place {
  ScheduleNode *parent; /* the loop around; NULL: none */
  int order;
} Place;

/* An equation that sums over elements of the states. */
typedef struct Reader {
  int equation;
  int *axis_of;       /* by index: the axis of the frame that it runs over, or NONE */
  const Expr *rest;   /* of the guard: on what is no axis of the frame */
  const Expr *tied;   /* of the guard: ties something to the group of the lane; NULL: nothing */
  int64_t group;      /* lanes in such a group; 0: none */
  const Expr *body;   /* in the frame */
  bool keeps[MOST_AXES];
  bool is_merged;     /* into a later one */
} Reader;

typedef struct Planning {
  Lowering *lowering;
  Arena *arena;
  Program *program;
  ScheduleNode **schedule;
  Place *places;      /* by equation */
  int loop_count;
  struct LoopPlace { const ScheduleNode *loop; Place place; } *loops;
  Place at;           /* of the backward recurrence */
  Reverse *reverse;
  int *forward_of, *backward_of; /* by tensor: number of the member, or NONE */
  bool is_forward_kept;          /* the states are read going forward too */
  int reader_count, end_count;
  Reader *readers;
  int *ends;          /* equations that read the last or first step only */
  bool fails;
} Planning;

const Expr *frame_index(const Planning *planning, int axis);
/* Who reads is known: fills in the results and changes the program. False, and nothing changed, where that can't be. */
bool reverse_rewrite(Planning *planning);

#endif
