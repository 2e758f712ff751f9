/* reciprocal.c - division by what stays the same along the innermost index becomes a product.
 *
 * Needs:  nothing.
 * Leaves: x[t,d] / s[t] as x[t,d] * (1 / s[t]): the quotient is the same for all lanes, and is computed once for all of them.
 * Why:    a division takes as long as ten products. The result differs by a rounding.
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

bool pass_reciprocal(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
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
