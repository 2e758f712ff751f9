/* plan_reverse.h - what the files share that plan recurrences back through time: plan_reverse.c finds the two recurrences, reverse_readers.c
 * who reads them, reverse_rewrite.c lets the rest of the program read what comes out.
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

/* Where in time an equation reads the two recurrences. */
typedef struct ReverseUses {
  const Planning *planning;
  bool reads_backward, reads_forward;  /* anywhere in time */
  bool reads_first, reads_last;        /* at the one step that both leave */
} ReverseUses;

const Expr *frame_index(const Planning *planning, int axis);
/* A visit of an expression in the frame: planning->fails where what it reads is not there while the loop runs back. */
void reverse_check_read(void *context, const Expr *expr);
/* What the states that the expression reads are before the first step. */
void reverse_find_initials(Planning *planning, const Expr *expr);
ReverseUses reverse_uses_of(const Planning *planning, int equation);
/* Fills in readers and ends; false where there are none, or one that doesn't fit. */
bool reverse_find_readers(Planning *planning);
/* Who reads is known: fills in the results and changes the program. False, and nothing changed, where that can't be. */
bool reverse_rewrite(Planning *planning);

#endif
