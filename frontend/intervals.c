/* intervals.c - what values an integer expression can take, from the ranges of indices and the conditions around. */
#include "frontend/elaborate.h"

static const Limit unlimited;

static Limit limit_of(int64_t constant) { return (Limit){true, constant, 0, NONE}; }

static Limit limit_of_size(Size size, int64_t plus) {
  return (Limit){true, size.constant + plus, size.symbol == NONE ? 0 : 1, size.symbol};
}

static Limit limit_add(Limit a, Limit b) {
  if (!a.is_finite || !b.is_finite) return unlimited;
  if (a.coefficient && b.coefficient && a.symbol != b.symbol) return unlimited;
  Limit sum = {true, 0, a.coefficient + b.coefficient, a.coefficient ? a.symbol : b.symbol};
  if (__builtin_add_overflow(a.constant, b.constant, &sum.constant)) return unlimited;
  if (!sum.coefficient) sum.symbol = NONE;
  return sum;
}

static Limit limit_scale(Limit a, int64_t factor) {
  Limit scaled = a;
  if (!a.is_finite || __builtin_mul_overflow(a.constant, factor, &scaled.constant) ||
      __builtin_mul_overflow(a.coefficient, factor, &scaled.coefficient))
    return unlimited;
  return scaled;
}

/* Whether a <= b for every run-time size from 1 up. */
static bool limit_at_most(Limit a, Limit b) {
  Limit gap = limit_add(b, limit_scale(a, -1));
  return gap.is_finite && gap.coefficient >= 0 && gap.constant + gap.coefficient >= 0;
}

static Limit smaller(Limit a, Limit b) {
  return !a.is_finite || !b.is_finite ? unlimited : limit_at_most(a, b) ? a : limit_at_most(b, a) ? b : unlimited;
}
static Limit larger(Limit a, Limit b) {
  return !a.is_finite || !b.is_finite ? unlimited : limit_at_most(a, b) ? b : limit_at_most(b, a) ? a : unlimited;
}

static Interval interval_of_index(const Program *program, int id) {
  const Index *index = &program->indices[id];
  return (Interval){limit_of_size(index->low, 0), limit_of_size(index->high, -1)};
}

static Interval interval_of_affine(const Program *program, const Affine *affine) {
  Interval sum = {limit_of(affine->constant), limit_of(affine->constant)};
  for (int n = 0; n < affine->term_count; n++) {
    int64_t coefficient = affine->terms[n].coefficient;
    Interval term = {{true, 0, 1, affine->terms[n].id}, {true, 0, 1, affine->terms[n].id}};
    if (!affine->terms[n].is_symbol) term = interval_of_index(program, affine->terms[n].id);
    sum.low = limit_add(sum.low, limit_scale(coefficient > 0 ? term.low : term.high, coefficient));
    sum.high = limit_add(sum.high, limit_scale(coefficient > 0 ? term.high : term.low, coefficient));
  }
  return sum;
}

static Interval interval_of_division(const Program *program, const Expr *expr) {
  Interval whole = {unlimited, unlimited};
  const Expr *divisor = expr->args[1];
  if (divisor->op != OP_INTEGER && divisor->op != OP_SYMBOL) return whole;
  if (expr->op == OP_REMAINDER)
    return divisor->op == OP_SYMBOL ? (Interval){limit_of(0), (Limit){true, -1, 1, divisor->id}}
           : divisor->integer > 0   ? (Interval){limit_of(0), limit_of(divisor->integer - 1)}
                                    : whole;
  if (divisor->op != OP_INTEGER || divisor->integer <= 0) return whole;
  Interval dividend = interval_of(program, expr->args[0]);
  int64_t by = divisor->integer;
  if (dividend.low.is_finite && !dividend.low.coefficient)
    whole.low = limit_of(dividend.low.constant / by - (dividend.low.constant % by < 0));
  if (dividend.high.is_finite && !dividend.high.coefficient)
    whole.high = limit_of(dividend.high.constant / by - (dividend.high.constant % by < 0));
  return whole;
}

Interval interval_of(const Program *program, const Expr *expr) {
  Affine affine;
  if (expr_affine(expr, &affine)) return interval_of_affine(program, &affine);
  Interval whole = {unlimited, unlimited};
  switch (expr->op) {
  case OP_REMAINDER:
  case OP_QUOTIENT: return interval_of_division(program, expr);
  case OP_ADD:
  case OP_SUB:
  case OP_MIN:
  case OP_MAX:
  case OP_SELECT: break;
  case OP_MUL: {
    const Expr *constant = expr->args[0]->op == OP_INTEGER ? expr->args[0] : expr->args[1];
    if (constant->op != OP_INTEGER) return whole;
    Interval other = interval_of(program, constant == expr->args[0] ? expr->args[1] : expr->args[0]);
    bool is_positive = constant->integer >= 0;
    return (Interval){limit_scale(is_positive ? other.low : other.high, constant->integer),
                      limit_scale(is_positive ? other.high : other.low, constant->integer)};
  }
  default: return whole;
  }
  bool is_select = expr->op == OP_SELECT;
  Interval a = interval_of(program, expr->args[is_select ? 1 : 0]), b = interval_of(program, expr->args[is_select ? 2 : 1]);
  switch (expr->op) {
  case OP_ADD: return (Interval){limit_add(a.low, b.low), limit_add(a.high, b.high)};
  case OP_SUB: return (Interval){limit_add(a.low, limit_scale(b.high, -1)), limit_add(a.high, limit_scale(b.low, -1))};
  /* one side bounds the result even where the other is unknown */
  case OP_MIN:
    return (Interval){smaller(a.low, b.low), !a.high.is_finite ? b.high : !b.high.is_finite ? a.high : smaller(a.high, b.high)};
  case OP_MAX:
    return (Interval){!a.low.is_finite ? b.low : !b.low.is_finite ? a.low : larger(a.low, b.low), larger(a.high, b.high)};
  default: return (Interval){smaller(a.low, b.low), larger(a.high, b.high)};
  }
}

static bool affine_is_at_least_zero(const Program *program, const Affine *affine) {
  Limit low = interval_of_affine(program, affine).low;
  return low.is_finite && limit_at_most(limit_of(0), low);
}

static bool affine_subtract(Affine *affine, const Affine *other) {
  affine->constant -= other->constant;
  for (int n = 0; n < other->term_count; n++) {
    int m = 0;
    while (m < affine->term_count &&
           (affine->terms[m].is_symbol != other->terms[n].is_symbol || affine->terms[m].id != other->terms[n].id))
      m++;
    if (m == AFFINE_TERMS) return false;
    if (m == affine->term_count) {
      affine->terms[m] = other->terms[n];
      affine->terms[m].coefficient = 0;
      affine->term_count++;
    }
    affine->terms[m].coefficient -= other->terms[n].coefficient;
    if (affine->terms[m].coefficient == 0) affine->terms[m] = affine->terms[--affine->term_count];
  }
  return true;
}

/* By its own range, or less one or two things known to be at least zero. */
static bool follows(const Program *program, const Affine *affine, const Known *known, int levels) {
  if (affine_is_at_least_zero(program, affine)) return true;
  for (; levels > 0 && known; known = known->outer) {
    Affine rest = *affine;
    if (affine_subtract(&rest, &known->affine) && follows(program, &rest, known->outer, levels - 1)) return true;
  }
  return false;
}

bool is_at_least_zero(const Program *program, const Expr *expr, const Known *known) {
  Affine affine;
  if (expr_affine(expr, &affine)) return follows(program, &affine, known, 2);
  bool is_quotient = expr->op == OP_QUOTIENT && expr->args[1]->op == OP_INTEGER && expr->args[1]->integer > 0;
  if (is_quotient && is_at_least_zero(program, expr->args[0], known)) return true;
  Limit low = interval_of(program, expr).low;
  return low.is_finite && limit_at_most(limit_of(0), low);
}

static const Known *known_comparison(Elaboration *elaboration, const Known *known, Op op, const Expr *a, const Expr *b) {
  if (a->type != TYPE_INT) return known;
  if (op == OP_EQ) return known_comparison(elaboration, known_comparison(elaboration, known, OP_GE, a, b), OP_LE, a, b);
  if (op == OP_NE) return known;
  bool is_less = op == OP_LT || op == OP_LE;
  const Expr *gap = expr_binary(elaboration->arena, OP_SUB, is_less ? b : a, is_less ? a : b);
  Known *next = ARENA_NEW(elaboration->arena, Known);
  next->outer = known;
  if (!expr_affine(gap, &next->affine)) return known;
  if (op == OP_LT || op == OP_GT) next->affine.constant--;
  return next;
}

static Op negated(Op op) {
  switch (op) {
  case OP_LT: return OP_GE;
  case OP_LE: return OP_GT;
  case OP_GT: return OP_LE;
  case OP_GE: return OP_LT;
  case OP_EQ: return OP_NE;
  default: return OP_EQ;
  }
}

const Known *known_add(Elaboration *elaboration, const Known *known, const Expr *condition, bool holds) {
  switch (condition->op) {
  case OP_NOT: return known_add(elaboration, known, condition->args[0], !holds);
  case OP_AND:
  case OP_OR:
    if ((condition->op == OP_AND) != holds) return known;
    return known_add(elaboration, known_add(elaboration, known, condition->args[0], holds), condition->args[1], holds);
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE:
    return known_comparison(elaboration, known, holds ? condition->op : negated(condition->op), condition->args[0],
                            condition->args[1]);
  default: return known;
  }
}
