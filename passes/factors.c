/* factors.c - a product taken apart and put together. */
#include "passes/factors.h"

static void split(Arena *arena, const Expr *expr, Factors *factors) {
  if (expr->op == OP_MUL) {
    split(arena, expr->args[0], factors);
    split(arena, expr->args[1], factors);
  } else if (expr->op == OP_NEG) {
    ARENA_PUSH(arena, factors->items, factors->count, expr_number(arena, -1));
    split(arena, expr->args[0], factors);
  } else if (expr->op == OP_DIV) {
    split(arena, expr->args[0], factors);
    ARENA_PUSH(arena, factors->items, factors->count, expr_binary(arena, OP_DIV, expr_number(arena, 1), expr->args[1]));
  } else {
    ARENA_PUSH(arena, factors->items, factors->count, expr);
  }
}

Factors split_factors(Arena *arena, const Expr *expr) {
  Factors factors = {0};
  split(arena, expr, &factors);
  return factors;
}

void multiply_into(Arena *arena, const Expr **product, const Expr *by) {
  *product = *product ? expr_binary(arena, OP_MUL, *product, by) : by;
}
