/* ranges.c - what the ranges of indices prove about integer expressions.
 *
 * A comparison of affine expressions is decided by the smallest and largest value of their difference: each index
 * is put at the end of its range that serves, then run-time sizes at their least value. What this can't decide stays.
 */
#include "passes/ranges.h"

Ranges program_ranges(const Program *program) { return (Ranges){program->arena, program->symbols, program->indices}; }

static int64_t least_of(const Ranges *ranges, int symbol) {
  SymbolKind kind = ranges->symbols[symbol].kind;
  return kind == SYMBOL_POSITION || kind == SYMBOL_RECENT || kind == SYMBOL_DERIVED ? 0 : 1;
}

/* The coefficients of the symbols of a sum. */
typedef struct SymbolSum {
  int count;
  int symbols[AFFINE_TERMS * 4];
  int64_t coefficients[AFFINE_TERMS * 4];
} SymbolSum;

static void add_symbol(const Ranges *ranges, SymbolSum *sum, int symbol, int64_t coefficient) {
  const Symbol *whole = &ranges->symbols[symbol];
  if (whole->kind == SYMBOL_HISTORY) { /* what is before and the stream, in this order among the symbols or not */
    for (int part = 0, found = 0; found < 2; part++) {
      const Symbol *other = &ranges->symbols[part];
      bool is_past = other->kind == (whole->most ? SYMBOL_RECENT : SYMBOL_POSITION) && other->most == whole->most;
      if (!is_past && other->kind != SYMBOL_STREAM) continue;
      add_symbol(ranges, sum, part, coefficient);
      found++;
    }
    return;
  }
  int at = 0;
  while (at < sum->count && sum->symbols[at] != symbol) at++;
  if (at == sum->count) {
    sum->symbols[at] = symbol;
    sum->coefficients[at] = 0;
    sum->count++;
  }
  sum->coefficients[at] += coefficient;
}

/* Recent steps are no more than all before the call. */
static void pair_recent(const Ranges *ranges, SymbolSum *sum) {
  for (int p = 0; p < sum->count; p++) {
    if (ranges->symbols[sum->symbols[p]].kind != SYMBOL_POSITION) continue;
    for (int s = 0; s < sum->count; s++) {
      if (ranges->symbols[sum->symbols[s]].kind != SYMBOL_RECENT || sum->coefficients[s] >= 0 || sum->coefficients[p] <= 0) continue;
      int64_t both = -sum->coefficients[s] < sum->coefficients[p] ? -sum->coefficients[s] : sum->coefficients[p];
      sum->coefficients[s] += both;
      sum->coefficients[p] -= both;
    }
  }
}

/* What is computed from others by a sum, and counts against: the sum may hold what it was computed from. */
static int64_t open_derived(const Ranges *ranges, SymbolSum *sum) {
  int64_t constant = 0;
  for (int s = 0; s < sum->count; s++) {
    const Symbol *symbol = &ranges->symbols[sum->symbols[s]];
    int64_t coefficient = sum->coefficients[s];
    Affine affine;
    bool opens = symbol->kind == SYMBOL_DERIVED && coefficient < 0 && expr_affine(symbol->formula, &affine);
    if (!opens || sum->count + affine.term_count > AFFINE_TERMS * 4) continue;
    sum->coefficients[s] = 0;
    constant += coefficient * affine.constant;
    for (int n = 0; n < affine.term_count; n++) add_symbol(ranges, sum, affine.terms[n].id, coefficient * affine.terms[n].coefficient);
    s = -1; /* those that it was computed from may be such sums */
  }
  return constant;
}

/* Smallest value (largest of the negated form when negate is -1), false when unbounded. */
static bool least_value(const Ranges *ranges, const Affine *affine, int64_t negate, int64_t *out_value) {
  int64_t value = affine->constant * negate;
  SymbolSum sum = {0};
  for (int n = 0; n < affine->term_count; n++) {
    int64_t coefficient = affine->terms[n].coefficient * negate;
    Size bound = {affine->terms[n].id, 0};
    if (!affine->terms[n].is_symbol) {
      const Index *index = &ranges->indices[affine->terms[n].id];
      bound = coefficient > 0 ? index->low : index->high;
      if (coefficient < 0) bound.constant -= 1;
    }
    value += coefficient * bound.constant;
    if (bound.symbol != NONE) add_symbol(ranges, &sum, bound.symbol, coefficient);
  }
  value += open_derived(ranges, &sum);
  pair_recent(ranges, &sum);
  for (int s = 0; s < sum.count; s++) {
    int64_t most = ranges->symbols[sum.symbols[s]].most;
    if (sum.coefficients[s] < 0 && !most) return false;
    value += sum.coefficients[s] < 0 ? sum.coefficients[s] * most : sum.coefficients[s] * least_of(ranges, sum.symbols[s]);
  }
  *out_value = value;
  return true;
}

static bool bounds(const Ranges *ranges, const Expr *expr, bool *out_has_low, int64_t *out_low, bool *out_has_high, int64_t *out_high) {
  Affine affine;
  if (expr->type != TYPE_INT || !expr_affine(expr, &affine)) return false;
  *out_has_low = least_value(ranges, &affine, 1, out_low);
  *out_has_high = least_value(ranges, &affine, -1, out_high);
  *out_high = -*out_high;
  return true;
}

bool ranges_prove_at_least(const Ranges *ranges, const Expr *expr, int64_t bound) {
  bool has_low, has_high;
  int64_t low = 0, high = 0;
  return bounds(ranges, expr, &has_low, &low, &has_high, &high) && has_low && low >= bound;
}

/* Two times that count from the first step compare as they do within the call. */
static const Expr *without_position(const Ranges *ranges, const Expr *expr) {
  Affine a, b;
  if (!expr_affine(expr->args[0], &a) || !expr_affine(expr->args[1], &b)) return expr;
  for (int n = 0; n < a.term_count; n++) {
    bool is_position = a.terms[n].is_symbol && ranges->symbols[a.terms[n].id].kind == SYMBOL_POSITION;
    if (!is_position || affine_coefficient(&b, true, a.terms[n].id) != a.terms[n].coefficient) continue;
    const Expr *position = expr_binary(ranges->arena, OP_MUL, expr_integer(ranges->arena, a.terms[n].coefficient),
                                       expr_symbol(ranges->arena, a.terms[n].id));
    return expr_binary(ranges->arena, expr->op, expr_binary(ranges->arena, OP_SUB, expr->args[0], position),
                       expr_binary(ranges->arena, OP_SUB, expr->args[1], position));
  }
  return expr;
}

static const Expr *decide(const Ranges *ranges, const Expr *expr) {
  if (expr->arg_count != 2 || expr->args[0]->type != TYPE_INT) return expr;
  bool has_low, has_high;
  int64_t low = 0, high = 0;
  const Expr *difference = expr_binary(ranges->arena, OP_SUB, expr->args[0], expr->args[1]);
  if (!bounds(ranges, difference, &has_low, &low, &has_high, &high)) return expr;
  int known = -1;
  switch (expr->op) {
    case OP_LT: known = has_high && high < 0 ? 1 : has_low && low >= 0 ? 0 : -1; break;
    case OP_LE: known = has_high && high <= 0 ? 1 : has_low && low > 0 ? 0 : -1; break;
    case OP_GT: known = has_low && low > 0 ? 1 : has_high && high <= 0 ? 0 : -1; break;
    case OP_GE: known = has_low && low >= 0 ? 1 : has_high && high < 0 ? 0 : -1; break;
    case OP_EQ: known = (has_low && low > 0) || (has_high && high < 0) ? 0 : has_low && has_high && low == 0 && high == 0 ? 1 : -1; break;
    case OP_NE: known = (has_low && low > 0) || (has_high && high < 0) ? 1 : has_low && has_high && low == 0 && high == 0 ? 0 : -1; break;
    default: break;
  }
  return known < 0 ? without_position(ranges, expr) : expr_boolean(ranges->arena, known == 1);
}

static const Expr *negate(Arena *arena, const Expr *inner) {
  static const Op opposite[OP_COUNT] = {[OP_LT] = OP_GE, [OP_GE] = OP_LT, [OP_LE] = OP_GT, [OP_GT] = OP_LE, [OP_EQ] = OP_NE, [OP_NE] = OP_EQ};
  bool is_exact = inner->arg_count == 2 && inner->args[0]->type == TYPE_INT; /* not a < b is a >= b but for NaN */
  if (is_exact && opposite[inner->op]) return expr_binary(arena, opposite[inner->op], inner->args[0], inner->args[1]);
  return NULL;
}

static const Expr *simplify_node(void *context, const Expr *expr) {
  const Ranges *ranges = context;
  if (expr->op == OP_NOT) {
    const Expr *negated = negate(ranges->arena, expr->args[0]);
    return negated ? decide(ranges, negated) : expr;
  }
  return expr->type == TYPE_BOOL ? decide(ranges, expr) : expr;
}

const Expr *ranges_simplify(const Ranges *ranges, const Expr *expr) {
  return expr ? expr_rewrite(ranges->arena, expr, simplify_node, (void *)(uintptr_t)ranges) : NULL;
}

const Expr *ranges_inside(const Ranges *ranges, const Tensor *tensor, const Expr *read) {
  const Expr *inside = NULL;
  for (int n = 0; n < read->arg_count; n++) {
    const Expr *index = read->args[n];
    Affine affine;
    if (!read->outside && !expr_affine(index, &affine)) continue; /* a gather: values of inputs are checked on entry */
    const Expr *room = expr_binary(ranges->arena, OP_SUB, size_expr(ranges->arena, tensor->shape[n]), index);
    if (!ranges_prove_at_least(ranges, index, 0))
      inside = conjunction(ranges->arena, inside, expr_binary(ranges->arena, OP_GE, index, expr_integer(ranges->arena, 0)));
    if (!ranges_prove_at_least(ranges, room, 1))
      inside = conjunction(ranges->arena, inside, expr_binary(ranges->arena, OP_LT, index, size_expr(ranges->arena, tensor->shape[n])));
  }
  return inside;
}

const Expr *conjunction(Arena *arena, const Expr *a, const Expr *b) {
  if (!a || expr_is_boolean(a, true)) return b && expr_is_boolean(b, true) ? NULL : b;
  if (!b || expr_is_boolean(b, true)) return a;
  return expr_equal(a, b) ? a : expr_binary(arena, OP_AND, a, b);
}

static void split(Arena *arena, const Expr *condition, const Expr ***parts, int *count) {
  if (condition->op == OP_AND) {
    split(arena, condition->args[0], parts, count);
    split(arena, condition->args[1], parts, count);
  } else if (!expr_is_boolean(condition, true)) {
    ARENA_PUSH(arena, *parts, *count, condition);
  }
}

const Expr **conjuncts(Arena *arena, const Expr *condition, int *out_count) {
  const Expr **parts = NULL;
  *out_count = 0;
  if (condition) split(arena, condition, &parts, out_count);
  return parts;
}

/* The rest of an affine form besides the index, as a size; false when it is none. */
static bool rest_as_size(const Affine *affine, int index, int64_t sign, Size *out_size) {
  *out_size = size_constant(affine->constant * sign);
  for (int n = 0; n < affine->term_count; n++) {
    if (!affine->terms[n].is_symbol && affine->terms[n].id == index) continue;
    if (!affine->terms[n].is_symbol || affine->terms[n].coefficient * sign != 1 || out_size->symbol != NONE) return false;
    out_size->symbol = affine->terms[n].id;
  }
  return true;
}

static bool tighten(Size *bound, Size other, bool is_low) {
  if (bound->symbol == other.symbol) {
    if (is_low ? other.constant > bound->constant : other.constant < bound->constant) bound->constant = other.constant;
    return true;
  }
  /* run-time sizes are at least 1, which decides the common cases: the first element and the last */
  bool decides = is_low ? bound->symbol == NONE && other.constant + 1 >= bound->constant
                        : other.symbol == NONE && bound->constant + 1 >= other.constant;
  if (decides) *bound = other;
  return decides;
}

bool condition_narrows(const Expr *condition, int index, Index *range) {
  if (condition->arg_count != 2 || condition->args[0]->type != TYPE_INT) return false;
  Affine a, b;
  if (!expr_affine(condition->args[0], &a) || !expr_affine(condition->args[1], &b)) return false;
  /* index + rest OP 0 with the index on the left */
  Op op = condition->op;
  for (int n = 0; n < b.term_count; n++) {
    int at = 0;
    while (at < a.term_count && (a.terms[at].is_symbol != b.terms[n].is_symbol || a.terms[at].id != b.terms[n].id)) at++;
    if (at == AFFINE_TERMS) return false;
    if (at == a.term_count) {
      a.terms[a.term_count++] = b.terms[n];
      a.terms[at].coefficient = 0;
    }
    a.terms[at].coefficient -= b.terms[n].coefficient;
  }
  a.constant -= b.constant;
  int kept = 0;
  for (int n = 0; n < a.term_count; n++)
    if (a.terms[n].coefficient) a.terms[kept++] = a.terms[n];
  a.term_count = kept;
  int64_t coefficient = affine_coefficient(&a, false, index);
  if (coefficient != 1 && coefficient != -1) return false;
  if (coefficient == -1) op = op == OP_LT ? OP_GT : op == OP_GT ? OP_LT : op == OP_LE ? OP_GE : op == OP_GE ? OP_LE : op;
  Size rest; /* the index compared with it */
  if (!rest_as_size(&a, index, -coefficient, &rest)) return false;
  Size next = {rest.symbol, rest.constant + 1};
  switch (op) {
    case OP_LT: return tighten(&range->high, rest, false);
    case OP_LE: return tighten(&range->high, next, false);
    case OP_GT: return tighten(&range->low, next, true);
    case OP_GE: return tighten(&range->low, rest, true);
    case OP_EQ: {
      Index both = *range;
      if (!tighten(&both.low, rest, true) || !tighten(&both.high, next, false)) return false;
      *range = both;
      return true;
    }
    default: return false;
  }
}

static void bound_below(Arena *arena, const Expr **low, const Expr *by) { *low = *low ? expr_binary(arena, OP_MAX, *low, by) : by; }

static void bound_above(Arena *arena, const Expr **high, const Expr *by) { *high = *high ? expr_binary(arena, OP_MIN, *high, by) : by; }

/* Takes one comparison into the bounds; false when it is not about the index alone. */
static bool take_bound(Arena *arena, const Expr *condition, int index, const Expr **low, const Expr **high) {
  Affine difference;
  if (condition->arg_count != 2 || condition->args[0]->type != TYPE_INT) return false;
  if (!expr_affine(expr_binary(arena, OP_SUB, condition->args[0], condition->args[1]), &difference)) return false;
  int64_t sign = affine_coefficient(&difference, false, index);
  if (sign != 1 && sign != -1) return false;
  static const Op mirrored[OP_COUNT] = {[OP_LT] = OP_GT, [OP_GT] = OP_LT, [OP_LE] = OP_GE, [OP_GE] = OP_LE, [OP_EQ] = OP_EQ};
  Op op = sign == 1 ? condition->op : mirrored[condition->op];
  Affine other = {.constant = -sign * difference.constant};
  for (int n = 0; n < difference.term_count; n++) {
    if (!difference.terms[n].is_symbol && difference.terms[n].id == index) continue;
    other.terms[other.term_count] = difference.terms[n];
    other.terms[other.term_count++].coefficient *= -sign;
  }
  const Expr *bound = affine_expr(arena, &other), *next = expr_binary(arena, OP_ADD, bound, expr_integer(arena, 1));
  if (op == OP_GE || op == OP_EQ) bound_below(arena, low, bound);
  if (op == OP_GT) bound_below(arena, low, next);
  if (op == OP_LT) bound_above(arena, high, bound);
  if (op == OP_LE || op == OP_EQ) bound_above(arena, high, next);
  return op == OP_GE || op == OP_EQ || op == OP_GT || op == OP_LT || op == OP_LE;
}

const Expr *condition_bounds(Arena *arena, const Expr *guard, int index, const Expr **out_low, const Expr **out_high) {
  int count;
  const Expr **parts = conjuncts(arena, guard, &count), *rest = NULL;
  *out_low = *out_high = NULL;
  for (int n = 0; n < count; n++)
    if (!take_bound(arena, parts[n], index, out_low, out_high)) rest = conjunction(arena, rest, parts[n]);
  return rest;
}

static void note_read(void *context, const Expr *expr) {
  if (expr->op == OP_READ) *(bool *)context = true;
}

bool condition_is_on_indices(const Expr *condition) {
  bool has_read = false;
  expr_visit(condition, note_read, &has_read);
  return !has_read;
}
