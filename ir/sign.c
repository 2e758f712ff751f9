/* sign.c - what the form of a real expression says of its sign. Not a number counts as either. */
#include "ir/expr.h"

enum { DEEPEST = 8 }; /* subtrees are shared, so a walk over all of them could take long */

/* Whether sign * expr >= 0 */
static bool is_known(const Expr *expr, int sign, int depth) {
  const Expr *const *args = expr->args;
  if (depth > DEEPEST) return false;
  depth++;
  switch (expr->op) {
  case OP_NUMBER: return sign * expr->number >= 0;
  case OP_NEG: return is_known(args[0], -sign, depth);
  case OP_STOP_GRADIENT: return is_known(args[0], sign, depth);
  case OP_ABS:
  case OP_EXP:
  case OP_EXP2:
  case OP_SIGMOID:
  case OP_SQRT: return sign > 0;
  case OP_ADD: return is_known(args[0], sign, depth) && is_known(args[1], sign, depth);
  case OP_SUB: return is_known(args[0], sign, depth) && is_known(args[1], -sign, depth);
  case OP_MUL:
    if (sign > 0 && expr_equal(args[0], args[1])) return true;
    for (int n = 0; n < 2; n++)
      if (args[n]->op == OP_NUMBER) return is_known(args[1 - n], args[n]->number < 0 ? -sign : sign, depth);
    return false;
  case OP_MIN:
    if (sign < 0) return is_known(args[0], sign, depth) || is_known(args[1], sign, depth);
    return is_known(args[0], sign, depth) && is_known(args[1], sign, depth);
  case OP_MAX:
    if (sign > 0) return is_known(args[0], sign, depth) || is_known(args[1], sign, depth);
    return is_known(args[0], sign, depth) && is_known(args[1], sign, depth);
  case OP_SELECT: return is_known(args[1], sign, depth) && is_known(args[2], sign, depth);
  default: return false;
  }
}

bool expr_is_at_most_zero(const Expr *expr) { return expr->type == TYPE_REAL && is_known(expr, -1, 0); }
