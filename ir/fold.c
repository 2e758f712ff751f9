/* fold.c - constant folding and the identities that hold for every finite value.
 *
 * Real identities are those that give the same bits (x*1, x+0, -(-x)), with two liberties that derivatives need:
 * 0*x is 0, which assumes that x is finite, and the sign of a zero is not kept.
 * Nothing is reassociated here; sums of integers are put into a canonical form by affine.c.
 */
#include "ir/fold.h"

#include <math.h>

int64_t integer_quotient(int64_t a, int64_t b) {
  if (b == -1) return (int64_t)(0 - (uint64_t)a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* b is neither 0 nor -1. */
static int64_t integer_remainder(int64_t a, int64_t b) { return a - integer_quotient(a, b) * b; }

static bool real_constant(Op op, double a, double b, double *out_value) {
  switch (op) {
  case OP_ADD: *out_value = a + b; return true;
  case OP_SUB: *out_value = a - b; return true;
  case OP_MUL: *out_value = a * b; return true;
  case OP_DIV: *out_value = a / b; return true;
  case OP_NEG: *out_value = -a; return true;
  case OP_MIN: *out_value = a < b ? a : b; return true;
  case OP_MAX: *out_value = a > b ? a : b; return true;
  case OP_ABS: *out_value = fabs(a); return true;
  case OP_SIGN: *out_value = (a > 0) - (a < 0); return true;
  case OP_FLOOR: *out_value = floor(a); return true;
  case OP_SQRT: *out_value = sqrt(a); return true;
  case OP_EXP: *out_value = exp(a); return true;
  case OP_EXP2: *out_value = exp2(a); return true;
  case OP_EXPM1: *out_value = expm1(a); return true;
  case OP_LOG: *out_value = log(a); return true;
  case OP_LOG1P: *out_value = log1p(a); return true;
  case OP_TANH: *out_value = tanh(a); return true;
  case OP_SIGMOID: *out_value = 1 / (1 + exp(-a)); return true;
  case OP_SIN: *out_value = sin(a); return true;
  case OP_COS: *out_value = cos(a); return true;
  case OP_ERF: *out_value = erf(a); return true;
  case OP_POW: *out_value = pow(a, b); return true;
  case OP_STOP_GRADIENT: *out_value = a; return true;
  default: return false;
  }
}

static bool real_comparison(Op op, double a, double b, bool *out_value) {
  switch (op) {
  case OP_LT: *out_value = a < b; return true;
  case OP_LE: *out_value = a <= b; return true;
  case OP_GT: *out_value = a > b; return true;
  case OP_GE: *out_value = a >= b; return true;
  case OP_EQ: *out_value = a <= b && a >= b; return true;
  case OP_NE: *out_value = a < b || a > b || isnan(a) || isnan(b); return true;
  default: return false;
  }
}

/* a op b for integers with a - b = difference. */
static bool difference_comparison(Op op, int64_t difference) {
  bool is_true = false;
  real_comparison(op, (difference > 0) - (difference < 0), 0, &is_true);
  return is_true;
}

static const Expr *fold_real_constants(Arena *arena, Op op, const Expr *const *args) {
  double value;
  bool is_true;
  double a = args[0]->number, b = op_table[op].arity == 2 ? args[1]->number : 0;
  if (op_table[op].arity == 2 && real_comparison(op, a, b, &is_true)) return expr_boolean(arena, is_true);
  if (real_constant(op, a, b, &value)) return expr_number(arena, value);
  if (op == OP_TO_INT && fabs(a) < 9e18) return expr_integer(arena, (int64_t)a);
  return NULL;
}

static const Expr *fold_real_sum(Arena *arena, Op op, const Expr *a, const Expr *b) {
  if (expr_is_number(b, 0)) return a;
  if (expr_is_number(a, 0)) return op == OP_ADD ? b : expr_unary(arena, OP_NEG, b);
  if (b->op == OP_NEG) return expr_binary(arena, op == OP_ADD ? OP_SUB : OP_ADD, a, b->args[0]);
  if (op == OP_ADD && a->op == OP_NEG) return expr_binary(arena, OP_SUB, b, a->args[0]);
  return NULL;
}

static const Expr *fold_real_product(Arena *arena, const Expr *a, const Expr *b) {
  if (expr_is_number(a, 0) || expr_is_number(b, 0)) return expr_number(arena, 0);
  if (expr_is_number(a, 1)) return b;
  if (expr_is_number(b, 1)) return a;
  if (expr_is_number(a, -1)) return expr_unary(arena, OP_NEG, b);
  if (expr_is_number(b, -1)) return expr_unary(arena, OP_NEG, a);
  if (a->op == OP_NEG && b->op == OP_NEG) return expr_binary(arena, OP_MUL, a->args[0], b->args[0]);
  return NULL;
}

static const Expr *fold_real(Arena *arena, Op op, const Expr *const *args) {
  const Expr *a = args[0], *b = op_table[op].arity == 2 ? args[1] : NULL;
  switch (op) {
  case OP_ADD:
  case OP_SUB: return fold_real_sum(arena, op, a, b);
  case OP_MUL: return fold_real_product(arena, a, b);
  case OP_DIV:
    if (expr_is_number(b, 1)) return a;
    if (expr_is_number(b, -1)) return expr_unary(arena, OP_NEG, a);
    return expr_is_number(a, 0) ? expr_number(arena, 0) : NULL;
  case OP_NEG:
    if (a->op == OP_NEG) return a->args[0];
    return a->op == OP_SUB ? expr_binary(arena, OP_SUB, a->args[1], a->args[0]) : NULL;
  case OP_POW:
    if (expr_is_number(b, 0)) return expr_number(arena, 1);
    if (expr_is_number(b, 1)) return a;
    return expr_is_number(b, 2) ? expr_binary(arena, OP_MUL, a, a) : NULL;
  case OP_MIN:
  case OP_MAX: return expr_equal(a, b) ? a : NULL;
  case OP_STOP_GRADIENT: return a->op == OP_STOP_GRADIENT ? a : NULL;
  case OP_TO_INT: return a->op == OP_TO_REAL ? a->args[0] : NULL;
  default: return NULL;
  }
}

/* True when every term and not more is a multiple of the divisor; out_quotient is what remains without the constant. */
static bool divides_terms(const Expr *expr, int64_t divisor, Affine *out_affine) {
  if (!expr_affine(expr, out_affine)) return false;
  for (int n = 0; n < out_affine->term_count; n++) {
    if (integer_remainder(out_affine->terms[n].coefficient, divisor) != 0) return false;
    out_affine->terms[n].coefficient = integer_quotient(out_affine->terms[n].coefficient, divisor);
  }
  return true;
}

/* quotient(2 * i, 6) is quotient(i, 3); NULL: there is nothing to cancel. */
static const Expr *cancel_quotient(Arena *arena, const Expr *a, int64_t b) {
  Affine affine;
  if (!expr_affine(a, &affine) || affine.term_count != 1) return NULL;
  int64_t common = affine.terms[0].coefficient;
  if (common < 2 || b < 2 || b % common || affine.constant % common) return NULL;
  affine.terms[0].coefficient = 1;
  affine.constant /= common;
  return expr_binary(arena, OP_QUOTIENT, affine_expr(arena, &affine), expr_integer(arena, b / common));
}

static const Expr *fold_division(Arena *arena, Op op, const Expr *a, const Expr *b) {
  bool is_quotient = op == OP_QUOTIENT;
  if (b->op != OP_INTEGER || b->integer == 0) return NULL;
  if (b->integer == 1) return is_quotient ? a : expr_integer(arena, 0);
  if (b->integer == -1) return is_quotient ? expr_unary(arena, OP_NEG, a) : expr_integer(arena, 0);
  Affine affine;
  if (!divides_terms(a, b->integer, &affine)) return is_quotient ? cancel_quotient(arena, a, b->integer) : NULL;
  if (!is_quotient) return expr_integer(arena, integer_remainder(affine.constant, b->integer));
  affine.constant = integer_quotient(affine.constant, b->integer);
  return affine_expr(arena, &affine);
}

static const Expr *fold_integer(Arena *arena, Op op, const Expr *const *args) {
  int64_t difference;
  switch (op) {
  case OP_ADD:
  case OP_SUB:
  case OP_MUL:
  case OP_NEG: return affine_fold(arena, op, args);
  case OP_QUOTIENT:
  case OP_REMAINDER: return fold_division(arena, op, args[0], args[1]);
  case OP_MIN:
  case OP_MAX:
    if (!integer_difference(args[0], args[1], &difference)) return NULL;
    return (difference <= 0) == (op == OP_MIN) ? args[0] : args[1];
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE:
    if (!integer_difference(args[0], args[1], &difference)) return NULL;
    return expr_boolean(arena, difference_comparison(op, difference));
  case OP_TO_REAL: return args[0]->op == OP_INTEGER ? expr_number(arena, (double)args[0]->integer) : NULL;
  default: return NULL;
  }
}

static const Expr *fold_not(Arena *arena, const Expr *a) {
  static const Op opposites[OP_COUNT] = {
      [OP_LT] = OP_GE, [OP_GE] = OP_LT, [OP_GT] = OP_LE, [OP_LE] = OP_GT, [OP_EQ] = OP_NE, [OP_NE] = OP_EQ};
  if (a->op == OP_BOOLEAN) return expr_boolean(arena, !a->integer);
  if (a->op == OP_NOT) return a->args[0];
  /* A comparison of reals with NaN is false both ways. */
  if (a->arg_count == 2 && opposites[a->op] && a->args[0]->type == TYPE_INT)
    return expr_binary(arena, opposites[a->op], a->args[0], a->args[1]);
  return NULL;
}

static const Expr *fold_logic(Arena *arena, Op op, const Expr *const *args) {
  if (op == OP_NOT) return fold_not(arena, args[0]);
  bool neutral = op == OP_AND;
  for (int n = 0; n < 2; n++) {
    if (expr_is_boolean(args[n], neutral)) return args[1 - n];
    if (expr_is_boolean(args[n], !neutral)) return args[n];
  }
  if (expr_equal(args[0], args[1])) return args[0];
  for (int n = 0; n < 2; n++) {
    if (args[n]->op == OP_NOT && expr_equal(args[n]->args[0], args[1 - n])) return expr_boolean(arena, !neutral);
    /* x and (x and y), as guards collect the same condition more than once */
    if (args[n]->op == op && (expr_equal(args[n]->args[0], args[1 - n]) || expr_equal(args[n]->args[1], args[1 - n])))
      return args[n];
  }
  return NULL;
}

static const Expr *fold_select(Arena *arena, const Expr *condition, const Expr *a, const Expr *b) {
  if (condition->op == OP_BOOLEAN) return condition->integer ? a : b;
  if (condition->op == OP_NOT) return expr_select(arena, condition->args[0], b, a);
  if (expr_equal(a, b)) return a;
  if (a->op == OP_SELECT && expr_equal(a->args[0], condition)) return expr_select(arena, condition, a->args[1], b);
  if (b->op == OP_SELECT && expr_equal(b->args[0], condition)) return expr_select(arena, condition, a, b->args[2]);
  if (a->op == OP_BOOLEAN && b->op == OP_BOOLEAN) return a->integer ? condition : expr_unary(arena, OP_NOT, condition);
  return NULL;
}

const Expr *expr_fold(Arena *arena, Op op, Type type, const Expr *const *args) {
  if (op == OP_SELECT) return fold_select(arena, args[0], args[1], args[2]);
  Type operands = args[0]->type;
  if (operands == TYPE_BOOL) return type == TYPE_BOOL ? fold_logic(arena, op, args) : NULL;
  if (operands == TYPE_REAL) {
    bool is_constant = true;
    for (int n = 0; n < op_table[op].arity; n++) is_constant = is_constant && args[n]->op == OP_NUMBER;
    const Expr *constant = is_constant ? fold_real_constants(arena, op, args) : NULL;
    return constant ? constant : fold_real(arena, op, args);
  }
  return fold_integer(arena, op, args);
}
