/* fold.h - between the constructors of expressions and their identities; for ir/ only. */
#ifndef SEQC_IR_FOLD_H
#define SEQC_IR_FOLD_H

#include "ir/expr.h"

/* The node as it stands. The arguments are copied. */
const Expr *expr_node(Arena *arena, Op op, Type type, int count, const Expr *const *args);
const Expr *expr_node_binary(Arena *arena, Op op, Type type, const Expr *a, const Expr *b);

/* The type of op(args). False when the arguments are wrong: out_wrong is the first such, NONE when their number is. */
bool operation_type(Op op, int count, const Expr *const *args, Type *out_type, int *out_wrong);

/* A simpler form of op(args), or NULL when there is none. The arguments have been checked. */
const Expr *expr_fold(Arena *arena, Op op, Type type, const Expr *const *args);
/* The same for sums and multiples of integers: the canonical form of what is affine. */
const Expr *affine_fold(Arena *arena, Op op, const Expr *const *args);
/* a - b of two integer expressions, where it is a constant. */
bool integer_difference(const Expr *a, const Expr *b, int64_t *out_difference);

int64_t integer_quotient(int64_t a, int64_t b); /* rounded down; b is not 0 */

#endif
