/* derivative.h - reverse mode inside one scalar expression. */
#ifndef SEQC_PASSES_DERIVATIVE_H
#define SEQC_PASSES_DERIVATIVE_H

#include "ir/equations.h"

/* The derivative with respect to one read (equal reads are one). */
typedef struct ReadAdjoint {
  const Expr *read;
  const Expr *adjoint; /* where the read lies inside of its tensor */
} ReadAdjoint;

/* Adjoints of all real reads in `expr` of tensors for which is_active is set, given the adjoint of its value.
 * The result has *out_count entries. */
ReadAdjoint *expr_adjoints(Program *program, const Expr *expr, const Expr *adjoint, const bool *is_active, int *out_count);

/* select(c, x, 0) * y as select(c, x * y, 0): what stands beside a value may be legal to read under its condition only. */
const Expr *expr_condition_first(Arena *arena, const Expr *expr);

/* All indices of the read lie inside of its tensor. */
const Expr *read_is_inside(Program *program, const Expr *read);

#endif
