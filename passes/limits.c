/* limits.c - where the tables end that are read along a length known at run time.
 *
 * A read wpe[t], where wpe has 24 rows, is fine as long as no step is the 25th: the least of these bounds for each length is
 * what a call is checked against. Reads under a condition that keeps them inside set no bound.
 */
#include "ir/pair_map.h"
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Limits {
  Program *program;
  Ranges ranges;
  int64_t *limits; /* by symbol */
  PairMap seen;
} Limits;

/* An index that is read from a tensor which is one affine expression everywhere. */
static const Expr *resolve(const Limits *limits, const Expr *index) {
  const Program *program = limits->program;
  const Equation *equation = index->op == OP_READ && !index->outside ? program_definition(program, index->id) : NULL;
  if (!equation || equation->reduce != REDUCE_NONE) return index;
  const Expr **by = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < index->arg_count; n++) by[equation->indices[n]] = index->args[n];
  return expr_substitute(program->arena, equation->value, program->index_count, by);
}

typedef struct Terms {
  SymbolId length;
  int64_t lengths, position, recent; /* how often these are in the sum */
  int64_t most;                      /* of the recent steps */
  int64_t constant;
} Terms;

static void add_symbol(const Limits *limits, Terms *terms, SymbolId symbol, int64_t coefficient) {
  const Symbol *info = &limits->program->symbols[symbol];
  if (info->most) terms->most = info->most;
  if (info->kind == SYMBOL_POSITION || info->kind == SYMBOL_HISTORY || info->kind == SYMBOL_RECENT)
    *(info->most ? &terms->recent : &terms->position) += coefficient;
  if (info->kind == SYMBOL_POSITION || info->kind == SYMBOL_RECENT) return;
  if (info->kind == SYMBOL_HISTORY) symbol = program_find_symbol(limits->program, SYMBOL_STREAM);
  if (terms->length != NONE && terms->length != symbol) terms->lengths = INT64_MIN / 2; /* two of them: no bound */
  terms->length = symbol;
  terms->lengths += coefficient;
}

/* The largest value as a length that is known at run time plus *out_constant; NONE when it is not of this form. With time, that
 * length is the stream, counted from the first step of all. */
static SymbolId largest(const Limits *limits, const Expr *index, int64_t *out_constant) {
  Affine affine;
  if (!expr_affine(index, &affine)) return NONE;
  Terms terms = {.length = NONE, .constant = affine.constant};
  for (int n = 0; n < affine.term_count; n++) {
    int64_t coefficient = affine.terms[n].coefficient;
    Size bound = {affine.terms[n].id, 0};
    if (!affine.terms[n].is_symbol) {
      const Index *range = &limits->program->indices[affine.terms[n].id];
      bound = coefficient > 0 ? range->high : range->low;
      if (coefficient > 0) bound.constant--;
    }
    terms.constant += coefficient * bound.constant;
    if (bound.symbol != NONE) add_symbol(limits, &terms, bound.symbol, coefficient);
  }
  if (terms.recent > 0) terms.constant += terms.recent * terms.most;
  *out_constant = terms.constant;
  bool is_time = terms.length != NONE && limits->program->symbols[terms.length].kind == SYMBOL_STREAM;
  if (terms.lengths != 1 || terms.position < 0 || terms.position > 1 || (terms.position && !is_time)) return NONE;
  return terms.length;
}

/* A comparison that holds says that some difference is at least zero; NULL: none of this kind. */
static const Expr *difference_of(Arena *arena, const Expr *condition) {
  if (condition->arg_count != 2 || condition->args[0]->type != TYPE_INT) return NULL;
  const Expr *a = condition->args[0], *b = condition->args[1], *one = expr_integer(arena, 1);
  switch (condition->op) {
  case OP_LT: return expr_binary(arena, OP_SUB, expr_binary(arena, OP_SUB, b, a), one);
  case OP_LE:
  case OP_EQ: return expr_binary(arena, OP_SUB, b, a);
  case OP_GT: return expr_binary(arena, OP_SUB, expr_binary(arena, OP_SUB, a, b), one);
  case OP_GE: return expr_binary(arena, OP_SUB, a, b);
  default: return NULL;
  }
}

static bool is_kept_inside(const Limits *limits, const Expr *index, int64_t extent, const Expr *condition) {
  Arena *arena = limits->program->arena;
  const Expr *room = expr_binary(arena, OP_SUB, expr_integer(arena, extent - 1), index);
  int count;
  const Expr **parts = conjuncts(arena, condition, &count);
  for (int n = 0; n < count; n++) {
    const Expr *known = difference_of(arena, parts[n]);
    if (known && ranges_prove_at_least(&limits->ranges, expr_binary(arena, OP_SUB, room, known), 0)) return true;
  }
  return false;
}

static void limit_read(Limits *limits, const Expr *read, const Expr *condition) {
  const Tensor *tensor = &limits->program->tensors[read->id];
  for (int n = 0; n < read->arg_count && !read->outside; n++) {
    bool is_before = tensor->boundary_of != NONE && n == 0; /* read where the other tensor has no such index */
    if (tensor->shape[n].symbol != NONE || is_before) continue;
    const Expr *index = resolve(limits, read->args[n]);
    int64_t constant, extent = tensor->shape[n].constant;
    SymbolId length = largest(limits, index, &constant);
    if (length == NONE || is_kept_inside(limits, index, extent, condition)) continue;
    int64_t limit = extent - 1 - constant; /* length + constant <= extent - 1 */
    if (limit < 0) limit = 0;
    if (!limits->limits[length] || limit < limits->limits[length]) limits->limits[length] = limit;
  }
}

static void visit(Limits *limits, const Expr *expr, const Expr *condition) {
  const void *found;
  if (!expr || pair_map_find(&limits->seen, expr, condition, &found)) return;
  pair_map_add(&limits->seen, expr, condition, expr);
  Arena *arena = limits->program->arena;
  if (expr->op == OP_READ) limit_read(limits, expr, condition);
  for (int n = 0; n < expr->arg_count; n++) {
    const Expr *here = condition;
    if (expr->op == OP_SELECT && n == 1) here = conjunction(arena, condition, expr->args[0]);
    if (expr->op == OP_SELECT && n == 2) here = conjunction(arena, condition, expr_unary(arena, OP_NOT, expr->args[0]));
    visit(limits, expr->args[n], here);
  }
  visit(limits, expr->outside, condition);
}

int64_t *program_limits(Program *program) {
  Limits limits = {.program = program, .ranges = program_ranges(program)};
  limits.limits = ARENA_ARRAY(program->arena, int64_t, program->symbol_count);
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    pair_map_begin(&limits.seen);
    visit(&limits, equation->value, NULL);
    visit(&limits, equation->guard, NULL);
    visit(&limits, equation->body, equation->guard);
    pair_map_end(&limits.seen);
  }
  return limits.limits;
}
