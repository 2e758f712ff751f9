/* factors.h - a product taken apart. */
#ifndef SEQC_PASSES_FACTORS_H
#define SEQC_PASSES_FACTORS_H

#include "ir/expr.h"

typedef struct Factors {
  int count;
  const Expr **items;
} Factors;

/* A sign is the factor -1, a divisor its reciprocal. */
Factors split_factors(Arena *arena, const Expr *expr);
/* product = product * by, where NULL means one. */
void multiply_into(Arena *arena, const Expr **product, const Expr *by);

#endif
