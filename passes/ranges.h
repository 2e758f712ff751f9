/* ranges.h - what the ranges of indices prove about integer expressions. */
#ifndef SEQC_PASSES_RANGES_H
#define SEQC_PASSES_RANGES_H

#include "ir/equations.h"

typedef struct Ranges {
  Arena *arena;
  const Symbol *symbols; /* run-time sizes are at least 1, positions at least 0 */
  const Index *indices;  /* by IndexId */
} Ranges;

Ranges program_ranges(const Program *program);

/* Folds comparisons that hold, or fail, for every value in range, and pushes `not` into comparisons. */
const Expr *ranges_simplify(const Ranges *ranges, const Expr *expr);
/* True when expr >= bound is proven. */
bool ranges_prove_at_least(const Ranges *ranges, const Expr *expr, int64_t bound);
/* All indices of the read lie inside, with what is proven left out. NULL when nothing is left. */
const Expr *ranges_inside(const Ranges *ranges, const Tensor *tensor, const Expr *read);

/* Splits `condition` at its `and`s; returns the parts, *out_count of them. A NULL or true condition has none. */
const Expr **conjuncts(Arena *arena, const Expr *condition, int *out_count);
/* a and b, where NULL means true. */
const Expr *conjunction(Arena *arena, const Expr *a, const Expr *b);

/* It reads no tensor. A condition on data may be read where the guard holds only, so it stays inside of the guard. */
bool condition_is_on_indices(const Expr *condition);

/* Splits a guard into low <= index < high, in terms of what else it compares the index with, and the rest, which is returned. *out_low
 * and *out_high are left NULL where nothing bounds the index. */
const Expr *condition_bounds(Arena *arena, const Expr *guard, int index, const Expr **out_low, const Expr **out_high);

/* If the condition is equivalent to low <= index or index < high for one index, with bounds that are sizes, tightens
 * *range and returns true. */
bool condition_narrows(const Expr *condition, int index, Index *range);

#endif
