/* affine.c - integer expressions as constant + sum of coefficient * term.
 *
 * Two ways of writing one affine expression become the same tree, so comparing trees compares positions. Sums with
 * other parts (reads, remainders) are kept as base + constant, which is enough to compare `token[t] + 1` with `token[t]`.
 * What overflows 64 bits is left as it stands.
 */
#include <stdlib.h>

#include "ir/fold.h"

static bool add_term(Affine *affine, bool is_symbol, int id, int64_t coefficient) {
  for (int n = 0; n < affine->term_count; n++) {
    struct AffineTerm *term = &affine->terms[n];
    if (term->is_symbol != is_symbol || term->id != id) continue;
    if (__builtin_add_overflow(term->coefficient, coefficient, &term->coefficient)) return false;
    if (term->coefficient == 0) {
      affine->term_count--;
      for (int m = n; m < affine->term_count; m++) affine->terms[m] = affine->terms[m + 1];
    }
    return true;
  }
  if (coefficient == 0) return true;
  if (affine->term_count == AFFINE_TERMS) return false;
  int at = affine->term_count++;
  /* Indices by id, then symbols by id: the order in which they are written. */
  for (; at > 0; at--) {
    const struct AffineTerm *before = &affine->terms[at - 1];
    if (before->is_symbol != is_symbol ? is_symbol : before->id < id) break;
    affine->terms[at] = *before;
  }
  affine->terms[at] = (struct AffineTerm){is_symbol, id, coefficient};
  return true;
}

static bool add_scaled(Affine *affine, const Affine *other, int64_t scale) {
  int64_t product;
  if (__builtin_mul_overflow(other->constant, scale, &product)) return false;
  if (__builtin_add_overflow(affine->constant, product, &affine->constant)) return false;
  for (int n = 0; n < other->term_count; n++) {
    if (__builtin_mul_overflow(other->terms[n].coefficient, scale, &product)) return false;
    if (!add_term(affine, other->terms[n].is_symbol, other->terms[n].id, product)) return false;
  }
  return true;
}

static bool affine_of(Op op, const Expr *const *args, Affine *out_affine) {
  Affine left, right;
  *out_affine = (Affine){0};
  if (!expr_affine(args[0], &left)) return false;
  if (op == OP_NEG) return add_scaled(out_affine, &left, -1);
  if (!expr_affine(args[1], &right)) return false;
  if (op == OP_MUL) {
    if (left.term_count == 0) return add_scaled(out_affine, &right, left.constant);
    return right.term_count == 0 && add_scaled(out_affine, &left, right.constant);
  }
  return add_scaled(out_affine, &left, 1) && add_scaled(out_affine, &right, op == OP_SUB ? -1 : 1);
}

bool expr_affine(const Expr *expr, Affine *out_affine) {
  *out_affine = (Affine){0};
  switch (expr->op) {
  case OP_INTEGER: out_affine->constant = expr->integer; return true;
  case OP_INDEX: return add_term(out_affine, false, expr->id, 1);
  case OP_SYMBOL: return add_term(out_affine, true, expr->id, 1);
  case OP_ADD:
  case OP_SUB:
  case OP_MUL:
  case OP_NEG: return expr->type == TYPE_INT && affine_of(expr->op, expr->args, out_affine);
  default: return false;
  }
}

int64_t affine_coefficient(const Affine *affine, bool is_symbol, int id) {
  for (int n = 0; n < affine->term_count; n++)
    if (affine->terms[n].is_symbol == is_symbol && affine->terms[n].id == id) return affine->terms[n].coefficient;
  return 0;
}

/* magnitude * term, whatever the sign of the term in the sum. */
static const Expr *term_expr(Arena *arena, const struct AffineTerm *term, int64_t magnitude) {
  const Expr *leaf = term->is_symbol ? expr_symbol(arena, term->id) : expr_index(arena, term->id);
  if (magnitude == 1) return leaf;
  return expr_node_binary(arena, OP_MUL, TYPE_INT, expr_integer(arena, magnitude), leaf);
}

/* sum + amount, written as a difference when negative. */
static const Expr *add_constant(Arena *arena, const Expr *sum, int64_t amount) {
  if (amount == 0) return sum;
  if (amount < 0 && amount != INT64_MIN) return expr_node_binary(arena, OP_SUB, TYPE_INT, sum, expr_integer(arena, -amount));
  return expr_node_binary(arena, OP_ADD, TYPE_INT, sum, expr_integer(arena, amount));
}

/* Positive terms, then negative ones, then the constant: `t - 2 * k + 1`. A sum that would begin with a minus begins with
 * its constant instead when that is positive: `3 - t`. */
const Expr *affine_expr(Arena *arena, const Affine *affine) {
  const Expr *sum = NULL;
  int64_t constant = affine->constant;
  for (int n = 0; n < affine->term_count; n++) {
    const struct AffineTerm *term = &affine->terms[n];
    if (term->coefficient <= 0) continue;
    const Expr *value = term_expr(arena, term, term->coefficient);
    sum = sum ? expr_node_binary(arena, OP_ADD, TYPE_INT, sum, value) : value;
  }
  if (!sum && constant > 0) {
    sum = expr_integer(arena, constant);
    constant = 0;
  }
  for (int n = 0; n < affine->term_count; n++) {
    const struct AffineTerm *term = &affine->terms[n];
    if (term->coefficient >= 0) continue;
    if (!sum && term->coefficient == -1) {
      const Expr *value = term_expr(arena, term, 1);
      sum = expr_node(arena, OP_NEG, TYPE_INT, 1, &value);
    } else if (!sum || term->coefficient == INT64_MIN) {
      const Expr *value = term_expr(arena, term, term->coefficient);
      sum = sum ? expr_node_binary(arena, OP_ADD, TYPE_INT, sum, value) : value;
    } else {
      sum = expr_node_binary(arena, OP_SUB, TYPE_INT, sum, term_expr(arena, term, -term->coefficient));
    }
  }
  return sum ? add_constant(arena, sum, constant) : expr_integer(arena, constant);
}

/* expr as base + constant; base NULL for a constant alone. */
static const Expr *split_constant(const Expr *expr, int64_t *out_constant) {
  *out_constant = 0;
  if (expr->op == OP_INTEGER) {
    *out_constant = expr->integer;
    return NULL;
  }
  if ((expr->op != OP_ADD && expr->op != OP_SUB) || expr->args[1]->op != OP_INTEGER) return expr;
  int64_t amount = expr->args[1]->integer;
  if (expr->op == OP_SUB && amount == INT64_MIN) return expr;
  *out_constant = expr->op == OP_ADD ? amount : -amount;
  return expr->args[0];
}

static const Expr *fold_sum(Arena *arena, Op op, const Expr *const *args) {
  int64_t left, right, constant;
  const Expr *a = split_constant(args[0], &left), *b = split_constant(args[1], &right);
  if (op == OP_ADD ? __builtin_add_overflow(left, right, &constant) : __builtin_sub_overflow(left, right, &constant)) return NULL;
  if (op == OP_SUB && a && b && expr_equal(a, b)) return expr_integer(arena, constant);
  const Expr *base;
  if (!b) base = a;
  else if (!a && op == OP_ADD) base = b;
  else if (!a)
    return constant == 0 ? expr_unary(arena, OP_NEG, b)
           : right       ? expr_binary(arena, OP_SUB, expr_integer(arena, constant), b)
                         : NULL;
  else if (a == args[0] && b == args[1]) return NULL; /* no constant to take out */
  else base = expr_binary(arena, op, a, b);
  return base ? add_constant(arena, base, constant) : expr_integer(arena, constant);
}

const Expr *affine_fold(Arena *arena, Op op, const Expr *const *args) {
  Affine affine;
  if (affine_of(op, args, &affine)) return affine_expr(arena, &affine);
  if (op == OP_ADD || op == OP_SUB) return fold_sum(arena, op, args);
  if (op == OP_NEG) return args[0]->op == OP_NEG ? args[0]->args[0] : NULL;
  for (int n = 0; n < 2; n++) {
    if (expr_is_integer(args[n], 0)) return args[n];
    if (expr_is_integer(args[n], 1)) return args[1 - n];
  }
  return NULL;
}

bool integer_difference(const Expr *a, const Expr *b, int64_t *out_difference) {
  Affine left, right;
  if (expr_affine(a, &left) && expr_affine(b, &right)) {
    if (!add_scaled(&left, &right, -1) || left.term_count) return false;
    *out_difference = left.constant;
    return true;
  }
  int64_t left_constant, right_constant;
  const Expr *left_base = split_constant(a, &left_constant), *right_base = split_constant(b, &right_constant);
  return left_base && right_base && expr_equal(left_base, right_base) &&
         !__builtin_sub_overflow(left_constant, right_constant, out_difference);
}
