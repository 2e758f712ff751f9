/* recurrence.h - what kind each recurrence of a program is, proved from its equations, and which ways to compute it that allows. */
#ifndef SEQC_PASSES_RECURRENCE_H
#define SEQC_PASSES_RECURRENCE_H

#include "passes/form.h"

typedef enum {
  RECURRENCE_TURNS,     /* a loop around other loops, or over the turns of a repeat */
  RECURRENCE_NONLINEAR,
  RECURRENCE_SHIFT,     /* values move along an axis */
  RECURRENCE_SCALAR,    /* one factor for all elements of a vector or matrix */
  RECURRENCE_DIAGONAL,  /* a factor for each element */
  RECURRENCE_COMPLEX,   /* diagonal in complex numbers */
  RECURRENCE_BLOCKS,    /* a small matrix for each element of the other axes */
  RECURRENCE_LOW_RANK,  /* diagonal or none, plus a matrix of low rank */
  RECURRENCE_MATRIX,    /* affine with any matrix */
  RECURRENCE_EXTREMAL,  /* max-plus or min-plus */
  RECURRENCE_RESCALED,  /* a sum kept relative to a running maximum */
  RECURRENCE_CLASS_COUNT
} RecurrenceClass;
extern const char *const recurrence_class_names[RECURRENCE_CLASS_COUNT];

/* One carried tensor and how its next value comes from the carried ones. */
typedef struct RecurrenceState {
  TensorId tensor;
  int equation;
  int axis;    /* of the tensor, that the loop runs over */
  int lag;     /* it is read up to so many steps back */
  const Form *form;
  bool *is_mixed; /* by axis: elements depend on others along it */
} RecurrenceState;

enum { MOST_BLOCK = 8 }; /* rows of a matrix whose products are cheaper than the steps they replace */

typedef struct Recurrence {
  const ScheduleNode *loop;
  Around around;      /* the loops in which it stands */
  bool is_over_stream;
  bool is_constant;   /* affine ones: coefficients do not depend on the step */
  RecurrenceClass class;
  int state_count;
  RecurrenceState *states;
  int64_t size;       /* numbers that depend on each other, for each element of the other axes; 0: not known while compiling */
  int64_t rank;       /* LOW_RANK: at most */
  TensorId scale;     /* RESCALED: the running maximum, else NONE */
  const Expr *culprit; /* NONLINEAR: the term that is to blame */
  const char *why;
  int culprit_equation;
  bool has_split, has_convolution, has_products; /* legal besides step after step: see docs/explain.md */
} Recurrence;

typedef struct Recurrences {
  Program *program; /* a copy: indices were added */
  int count;
  Recurrence *items; /* in the order of the schedule, loops before what is inside of them */
} Recurrences;

/* All cycles of the program. Those that no order computes are diagnostics; then `count` is 0. */
Recurrences recurrences_find(const Program *program, Diagnostics *diagnostics);
/* A read in an equation of the loop is of the same turn of the loops around it. */
bool recurrence_same_turn(const Program *program, const Recurrence *recurrence, const Equation *user, const Expr *read);

#endif
