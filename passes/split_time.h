/* split_time.h - what the two files of the split over time share: split_time.c decides what to split and finds what the
 * coefficients depend on, split_build.c writes the equations of the pieces.
 */
#ifndef SEQC_PASSES_SPLIT_TIME_H
#define SEQC_PASSES_SPLIT_TIME_H

#include "passes/recurrence.h"

/* An equation of the recurrence. */
typedef struct Member {
  int equation, axis;
  TensorId target;
  const Expr *carried_value, *carried_body; /* what they make of carried values; NULL: nothing */
  bool is_state;                            /* read at the step before */
  int64_t first_component;                  /* states: number of the first of the values that depend on each other */
  const bool *is_mixed;                     /* states: by axis */
  TensorId local, factor, piece, start;
} Member;

typedef struct Split {
  Program *program;
  const Recurrence *recurrence;
  const ScheduleNode *loop;
  int64_t steps;
  Size length, full;  /* steps; pieces but the last */
  bool is_extremal;
  double nothing, one; /* neutral for `join` and for the product */
  Op join;
  ReduceOp reduce;
  int member_count;
  Member *members;
  int64_t size; /* values that depend on each other */
  int most_axes;
  int *groups;        /* by member and axis: axes that stand for each other have one number */
  bool *is_needed;    /* by group: coefficients depend on it */
  bool *needs_time;   /* they depend on the step */
} Split;

typedef struct MemberSearch {
  const Split *split;
  int number;
  bool found;
} MemberSearch;

const Equation *member_equation(const Split *split, int number);
int member_of(const Split *split, TensorId tensor); /* or NONE */
/* A read, in the equation of this member, of a member in the same turn of the loops around. */
bool is_member_read(const Split *split, int number, const Expr *expr);

void split_build(Split *split);

#endif
