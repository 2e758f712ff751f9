/* reverse_sums.c - what is summed on the way back, as few sums of short products.
 *
 * The gradients of one recurrence sum much alike: dS*B for one and dt*(dS*B) for another. So each sum is cut into products, of each
 * the factors that do not change while it grows are taken out, and the rest is written in one order. Equal ones are one sum then,
 * and the products that differ in their last factor begin alike.
 */
#include "passes/reverse.h"

typedef struct Product {
  bool is_negative;
  int count;
  const Expr **factors;
} Product;

static void add_factors(Arena *arena, Product *product, const Expr *expr) {
  if (expr->type == TYPE_REAL && expr->op == OP_MUL) {
    add_factors(arena, product, expr->args[0]);
    add_factors(arena, product, expr->args[1]);
  } else if (expr->op == OP_NEG && expr->type == TYPE_REAL) {
    product->is_negative = !product->is_negative;
    add_factors(arena, product, expr->args[0]);
  } else if (expr->op == OP_DIV) {
    add_factors(arena, product, expr->args[0]);
    const Expr *inverse = expr_binary(arena, OP_DIV, expr_number(arena, 1), expr->args[1]);
    ARENA_PUSH(arena, product->factors, product->count, inverse);
  } else if (!expr_is_number(expr, 1)) {
    ARENA_PUSH(arena, product->factors, product->count, expr);
  }
}

typedef struct ReadSearch {
  const Reverse *reverse;
  int kind; /* of the recurrences' own reads: 0 backward, 1 shared, 2 forward; 3: none */
} ReadSearch;

static void find_kind(void *context, const Expr *expr) {
  ReadSearch *search = context;
  const Reverse *reverse = search->reverse;
  if (expr->op != OP_READ) return;
  int kind = 3;
  for (int n = 0; n < reverse->backward_count; n++)
    if (reverse->backward[n].tensor == expr->id) kind = 0;
  for (int n = 0; n < reverse->shared_count; n++)
    if (reverse->shared[n].tensor == expr->id) kind = 1;
  for (int n = 0; n < reverse->forward_count; n++)
    if (reverse->forward[n].tensor == expr->id) kind = 2;
  if (kind < search->kind) search->kind = kind;
}

static int kind_of(const Reverse *reverse, const Expr *factor) {
  ReadSearch search = {reverse, 3};
  expr_visit(factor, find_kind, &search);
  return search.kind;
}

bool reverse_needs_adjoint(const Reverse *reverse, const Expr *term) { return kind_of(reverse, term) == 0; }

static const Expr *multiply(Arena *arena, const Expr *product, const Expr *factor) {
  return product ? expr_binary(arena, OP_MUL, product, factor) : factor;
}

/* It is the same for all that the sum adds up in one item. */
static bool is_fixed(const Reverse *reverse, const ReverseResult *result, const Expr *factor) {
  for (int axis = 0; axis < reverse->rank; axis++) {
    bool is_summed = !result->keeps[axis] && reverse->roles[axis] != AXIS_OUTER && reverse->roles[axis] != AXIS_SHARED;
    if (is_summed && expr_uses_index(factor, reverse->frame[axis])) return false;
  }
  return kind_of(reverse, factor) == 3;
}

static int find_sum(Arena *arena, Reverse *reverse, const ReverseResult *result, const Expr *term) {
  for (int n = 0; n < reverse->sum_count; n++) {
    bool is_same = expr_equal(reverse->sums[n].term, term);
    for (int axis = 0; axis < reverse->rank; axis++) {
      bool is_item = reverse->roles[axis] == AXIS_OUTER || reverse->roles[axis] == AXIS_SHARED;
      is_same &= is_item || reverse->sums[n].keeps[axis] == result->keeps[axis];
    }
    if (is_same) return n;
  }
  ReverseSum sum = {.term = term};
  memcpy(sum.keeps, result->keeps, sizeof sum.keeps);
  ARENA_PUSH(arena, reverse->sums, reverse->sum_count, sum);
  return reverse->sum_count - 1;
}

static void add_product(Arena *arena, Reverse *reverse, ReverseResult *result, const Product *product) {
  const Expr *fixed = NULL, *state = NULL, *uniform = NULL, *rest = NULL;
  int inner = reverse_last_inner(reverse);
  for (int kind = 0; kind < 4; kind++)
    for (int n = 0; n < product->count; n++) {
      const Expr *factor = product->factors[n];
      if (kind_of(reverse, factor) != kind) continue;
      if (is_fixed(reverse, result, factor)) fixed = multiply(arena, fixed, factor);
      else if (kind < 3) state = multiply(arena, state, factor);
      else if (!expr_uses_index(factor, reverse->frame[inner])) uniform = multiply(arena, uniform, factor);
      else rest = multiply(arena, rest, factor);
    }
  const Expr *term = state;
  if (uniform && rest) uniform = multiply(arena, uniform, rest), rest = NULL;
  if (uniform) term = multiply(arena, term, uniform);
  if (rest) term = multiply(arena, term, rest);
  if (!term) term = expr_number(arena, 1);
  ReverseTerm part = {.sum = find_sum(arena, reverse, result, term), .factor = fixed, .is_negative = product->is_negative};
  ARENA_PUSH(arena, result->terms, result->term_count, part);
}

static void add_terms(Arena *arena, Reverse *reverse, ReverseResult *result, const Expr *expr, bool is_negative) {
  bool is_sum = expr->type == TYPE_REAL && (expr->op == OP_ADD || expr->op == OP_SUB);
  if (is_sum) {
    add_terms(arena, reverse, result, expr->args[0], is_negative);
    add_terms(arena, reverse, result, expr->args[1], expr->op == OP_SUB ? !is_negative : is_negative);
  } else if (expr->type == TYPE_REAL && expr->op == OP_NEG) {
    add_terms(arena, reverse, result, expr->args[0], !is_negative);
  } else {
    Product product = {.is_negative = is_negative};
    add_factors(arena, &product, expr);
    add_product(arena, reverse, result, &product);
  }
}

static int uses_of(const Reverse *reverse, int sum) {
  int uses = 0;
  for (int n = 0; n < reverse->result_count; n++)
    for (int k = 0; k < reverse->results[n].term_count; k++) uses += reverse->results[n].terms[k].sum == sum;
  return uses;
}

/* Two terms that only this result has, with the same factor, are one sum. */
static bool joins(const Reverse *reverse, const ReverseTerm *a, const ReverseTerm *b) {
  bool is_same_factor = a->factor && b->factor ? expr_equal(a->factor, b->factor) : a->factor == b->factor;
  return is_same_factor && uses_of(reverse, a->sum) == 1 && uses_of(reverse, b->sum) == 1;
}

static void join_terms(Arena *arena, Reverse *reverse, ReverseResult *result) {
  int kept = 0;
  for (int n = 0; n < result->term_count; n++) {
    ReverseTerm *term = &result->terms[n];
    int into = 0;
    while (into < kept && !joins(reverse, &result->terms[into], term)) into++;
    if (into == kept) {
      result->terms[kept++] = *term;
      continue;
    }
    ReverseSum *sum = &reverse->sums[result->terms[into].sum];
    Op op = term->is_negative == result->terms[into].is_negative ? OP_ADD : OP_SUB;
    sum->term = expr_binary(arena, op, sum->term, reverse->sums[term->sum].term);
    reverse->sums[term->sum].term = NULL;
  }
  result->term_count = kept;
}

void reverse_cut_sums(Arena *arena, Reverse *reverse) {
  for (int n = 0; n < reverse->result_count; n++) add_terms(arena, reverse, &reverse->results[n], reverse->results[n].body, false);
  for (int n = 0; n < reverse->result_count; n++) join_terms(arena, reverse, &reverse->results[n]);
  int *number = ARENA_ARRAY(arena, int, reverse->sum_count), kept = 0;
  for (int n = 0; n < reverse->sum_count; n++) {
    number[n] = kept;
    if (reverse->sums[n].term) reverse->sums[kept++] = reverse->sums[n];
  }
  reverse->sum_count = kept;
  for (int n = 0; n < reverse->result_count; n++)
    for (int k = 0; k < reverse->results[n].term_count; k++) reverse->results[n].terms[k].sum = number[reverse->results[n].terms[k].sum];
}

int reverse_last_inner(const Reverse *reverse) {
  int last = NONE;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER) last = axis;
  return last;
}

bool reverse_offset(const Reverse *reverse, const Expr *read, int64_t *out_offset) {
  Affine affine;
  if (!expr_affine(read->args[reverse->time], &affine) || affine.term_count != 1) return false;
  *out_offset = affine.constant;
  return affine_coefficient(&affine, false, reverse->frame[reverse->time]) == 1;
}

static const Expr *tidy_node(void *context, const Expr *expr) {
  Affine affine;
  bool is_sum = expr->type == TYPE_INT && (expr->op == OP_ADD || expr->op == OP_SUB);
  return is_sum && expr_affine(expr, &affine) ? affine_expr(context, &affine) : expr;
}

const Expr *reverse_tidy(Arena *arena, const Expr *expr) { return expr_rewrite(arena, expr, tidy_node, arena); }
