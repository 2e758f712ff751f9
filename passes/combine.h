/* combine.h - the operator with which pieces of a recurrence are put together, derived from its coefficients. */
#ifndef SEQC_PASSES_COMBINE_H
#define SEQC_PASSES_COMBINE_H

#include "passes/recurrence.h"

enum { MOST_COMBINED = 4 };

/* Of two pieces that follow each other, in terms of tensors without axes: the whole as (factor, offset), state by state. */
typedef struct Combine {
  Program *program;
  int size;                                        /* carried values; 0: they are vectors, whose rule is that of matrices */
  const Expr *first[MOST_COMBINED][MOST_COMBINED]; /* [new][old]: factors of the first piece; NULL: none */
  const Expr *whole[MOST_COMBINED][MOST_COMBINED];
  const Expr *offset[MOST_COMBINED];
} Combine;

/* For affine and extremal ones. */
Combine recurrence_combine(const Recurrences *recurrences, const Recurrence *recurrence);

#endif
