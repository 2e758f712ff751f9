/* base_two.c - exp of a product becomes a power of two where one factor stays the same along an axis: it takes log2(e) with it.
 *
 * Needs:  nothing.
 * Leaves: exp(-dt[t,e] * a[e,n]) as exp2(dt[t,e] * (a[e,n] * -1.4427)); `hoist` moves the second factor out where it is costly.
 * Why:    exp2 takes a third less than exp. The exponent is a rounded product before as after, so no result is less exact by more than a
 *         rounding of it.
 */
#include <math.h>

#include "passes/passes.h"

enum { MOST_FACTORS = 16 };

typedef struct Factors {
  const Expr *factor[MOST_FACTORS];
  int count;
  bool is_negative, fails;
} Factors;

typedef struct Exponentials {
  Program *program;
  const IndexId *indices; /* of the equation: of the target, then of the reduction */
  int index_count;
  bool changed;
} Exponentials;

static void collect(const Expr *expr, Factors *factors) {
  if (expr->op == OP_NEG) {
    factors->is_negative = !factors->is_negative;
    collect(expr->args[0], factors);
  } else if (expr->op == OP_MUL) {
    collect(expr->args[0], factors);
    collect(expr->args[1], factors);
  } else if (factors->count < MOST_FACTORS) {
    factors->factor[factors->count++] = expr;
  } else {
    factors->fails = true;
  }
}

static const Expr *multiply(Arena *arena, const Expr *product, const Expr *factor) {
  return product ? expr_binary(arena, OP_MUL, product, factor) : factor;
}

static bool is_numeric(const Expr *expr) { return !expr || expr->op == OP_NUMBER; }

/* Whether more is computed again along the first axis: a length that is known at run time counts as the largest. */
static bool repeats_more(const Program *program, IndexId first, IndexId second) {
  Size a = program->indices[first].high, b = program->indices[second].high;
  if (a.symbol != NONE || b.symbol != NONE) return a.symbol != NONE && b.symbol == NONE;
  return a.constant > b.constant;
}

/* The axis along which a factor, which is not a number, stays the same and most is computed again; NONE: there is none. */
static IndexId steady_axis(const Exponentials *exponentials, const Factors *factors) {
  IndexId best = NONE;
  for (int n = 0; n < exponentials->index_count; n++) {
    IndexId index = exponentials->indices[n];
    bool is_steady = false;
    for (int k = 0; k < factors->count; k++)
      is_steady |= factors->factor[k]->op != OP_NUMBER && !expr_uses_index(factors->factor[k], index);
    if (is_steady && (best == NONE || repeats_more(exponentials->program, index, best))) best = index;
  }
  return best;
}

static const Expr *with_base_two(void *context, const Expr *expr) {
  Exponentials *exponentials = context;
  Arena *arena = exponentials->program->arena;
  if (expr->op != OP_EXP) return expr;
  Factors factors = {.count = 0};
  collect(expr->args[0], &factors);
  IndexId axis = factors.fails ? NONE : steady_axis(exponentials, &factors);
  if (axis == NONE) return expr;
  const Expr *steady = NULL, *moving = NULL;
  for (int n = 0; n < factors.count; n++) {
    const Expr **product = expr_uses_index(factors.factor[n], axis) ? &moving : &steady;
    *product = multiply(arena, *product, factors.factor[n]);
  }
  if (is_numeric(moving)) return expr; /* all of it stays the same */
  const Expr *scale = expr_number(arena, factors.is_negative ? -M_LOG2E : M_LOG2E);
  const Expr *exponent = multiply(arena, moving, expr_with_source(arena, multiply(arena, steady, scale), expr->source));
  exponentials->changed = true;
  return expr_with_source(arena, expr_unary(arena, OP_EXP2, exponent), expr->source);
}

bool pass_base_two(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    int rank = program->tensors[equation->target].rank, count = rank + equation->reduce_count;
    IndexId *indices = ARENA_ARRAY(program->arena, IndexId, count);
    for (int k = 0; k < rank; k++) indices[k] = equation->indices[k];
    for (int k = 0; k < equation->reduce_count; k++) indices[rank + k] = equation->reduce_indices[k];
    Exponentials exponentials = {.program = program, .indices = indices, .index_count = rank};
    if (equation->value) equation->value = expr_rewrite(program->arena, equation->value, with_base_two, &exponentials);
    exponentials.index_count = count;
    if (equation->body && equation->reduce != REDUCE_NONE)
      equation->body = expr_rewrite(program->arena, equation->body, with_base_two, &exponentials);
    changed |= exponentials.changed;
  }
  return changed;
}
