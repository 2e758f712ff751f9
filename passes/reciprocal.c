/* reciprocal.c - division at every pair of steps by what stays the same along one of them becomes a product.
 *
 * Needs:  nothing.
 * Leaves: p[t,u] / s[t] as p[t,u] * (1 / s[t]): the quotient is the same for all lanes, and is computed once for all of them.
 * Why:    a division takes as long as ten products. The result differs by a rounding, which gradients that nearly cancel can magnify: so only
 *         where the work grows with the square of a length, or rows are long.
 */
#include "passes/passes.h"

typedef struct Dividing {
  Program *program;
  IndexId innermost;
  bool changed;
} Dividing;

static const Expr *multiply(void *context, const Expr *expr) {
  Dividing *dividing = context;
  Arena *arena = dividing->program->arena;
  if (expr->op != OP_DIV || expr_is_number(expr->args[0], 1)) return expr;
  if (!expr_uses_index(expr->args[0], dividing->innermost) || expr_uses_index(expr->args[1], dividing->innermost)) return expr;
  const Expr *inverse = expr_with_source(arena, expr_binary(arena, OP_DIV, expr_number(arena, 1), expr->args[1]), expr->source);
  dividing->changed = true;
  return expr_with_source(arena, expr_binary(arena, OP_MUL, expr->args[0], inverse), expr->source);
}

/* At every pair of steps, or along rows of each step that are long. */
static bool is_of_many(const Program *program, const Equation *equation) {
  enum { LONG_ROW = 64 };
  int lengths = 0, rank = program->tensors[equation->target].rank;
  int64_t longest = 0;
  for (int n = 0; n < rank + equation->reduce_count; n++) {
    const Index *index = &program->indices[n < rank ? equation->indices[n] : equation->reduce_indices[n - rank]];
    SymbolId symbol = index->high.symbol;
    lengths += symbol != NONE && program->symbols[symbol].kind != SYMBOL_BATCH;
    if (symbol == NONE && index->low.symbol == NONE && index->high.constant - index->low.constant > longest)
      longest = index->high.constant - index->low.constant;
  }
  return lengths >= 2 || (lengths == 1 && longest >= LONG_ROW);
}

bool pass_reciprocal(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    if (!is_of_many(program, equation)) continue;
    int rank = program->tensors[equation->target].rank;
    Dividing dividing = {program, rank ? equation->indices[rank - 1] : NONE, false};
    if (equation->value && rank) equation->value = expr_rewrite(program->arena, equation->value, multiply, &dividing);
    if (equation->body && equation->reduce_count) {
      dividing.innermost = equation->reduce_indices[equation->reduce_count - 1];
      equation->body = expr_rewrite(program->arena, equation->body, multiply, &dividing);
    }
    changed |= dividing.changed;
  }
  return changed;
}
