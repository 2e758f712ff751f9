/* factor_sums.c - what stays the same along a sum over pairs of steps is multiplied once, outside of it.
 *
 * Needs:  nothing; best when costly parts are tensors that equations share.
 * Leaves: y[t,c] = sum[u](e[t,u] / l[t] * v[u,c]) as y[t,c] = y.sum[t,c] / l[t] with y.sum[t,c] = sum[u](e[t,u] * v[u,c]), and the same where
 *         the quotient is a tensor p[t,u] that only sums read: what they read then is e. Where the sum runs along t, the factor goes to
 *         the other one: sum[t](e[t,u] * (x[t,c] / l[t])).
 * Why:    pairs are many more than rows or columns. A map over all pairs is saved where p was one, and one operation each where not.
 *
 * A sum over no pairs is zero whatever the factor, which may be infinite then. So something must be summed for every row, and that must
 * follow from the condition alone.
 */
#include "passes/factors.h"
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Factoring {
  Program *program;
  TensorId tensor;     /* whose factor moves */
  const Expr *factor;  /* in terms of the indices of its equation */
  bool fails, found;
} Factoring;

static bool is_of_pairs(const Program *program, TensorId id) {
  return program_run_time_axes(program, id) >= 2 && program->definition[id] != NONE;
}

/* ---- what is known of conditions and factors -------------------------------------------------------------------------- */

static bool is_at_least_one(const Program *program, const Expr *high, const Expr *low) {
  Ranges ranges = program_ranges(program);
  return ranges_prove_at_least(&ranges, expr_binary(program->arena, OP_SUB, high, low), 1);
}

/* Whatever the others are, the condition (NULL: true) holds for some value of the index. */
static bool is_met(const Program *program, const Expr *condition, IndexId index) {
  const Index *range = &program->indices[index];
  const Expr *lows[2] = {size_expr(program->arena, range->low), NULL}, *highs[2] = {size_expr(program->arena, range->high), NULL};
  if (condition_bounds(program->arena, condition, index, &lows[1], &highs[1])) return false;
  for (int n = 0; n < 4; n++)
    if (lows[n / 2] && highs[n % 2] && !is_at_least_one(program, highs[n % 2], lows[n / 2])) return false;
  return true;
}

/* Some of the terms are there, whatever the indices of the target are. */
static bool sums_something(const Program *program, const Equation *equation) {
  bool some = false;
  for (int n = 0; n < equation->reduce_count; n++) {
    if (!is_met(program, NULL, equation->reduce_indices[n])) return false;
    some |= is_met(program, equation->guard, equation->reduce_indices[n]);
  }
  return some;
}

static void check_anywhere(void *context, const Expr *expr) {
  bool *fails = context;
  *fails |= expr->op == OP_READ && expr->outside;
  for (int n = 0; expr->op == OP_READ && n < expr->arg_count; n++) *fails |= expr->args[n]->op != OP_INDEX;
}

/* It may be computed at any place. */
static bool is_legal_anywhere(const Expr *expr) {
  bool fails = false;
  expr_visit(expr, check_anywhere, &fails);
  return !fails;
}

static bool uses_any(const Expr *expr, int count, const IndexId *indices) {
  for (int n = 0; n < count; n++)
    if (expr_uses_index(expr, indices[n])) return true;
  return false;
}

/* ---- factors of a map that sums read ----------------------------------------------------------------------------------- */

/* The condition of a map that is zero elsewhere (else NULL), and what it is where that holds. */
static const Expr *condition_of(const Equation *map, const Expr **out_value) {
  bool is_conditional = map->value->op == OP_SELECT && expr_is_number(map->value->args[2], 0);
  *out_value = is_conditional ? map->value->args[1] : map->value;
  return is_conditional ? map->value->args[0] : NULL;
}

/* What is the same along the axis of `index` in the value of the map, or NULL where that is a number or all there is; the rest. */
static const Expr *steady_part(const Program *program, const Expr *value, IndexId index, const Expr **out_rest) {
  Factors factors = split_factors(program->arena, value);
  const Expr *steady = NULL;
  bool is_worth = false;
  *out_rest = NULL;
  for (int n = 0; n < factors.count; n++) {
    bool moves = !expr_uses_index(factors.items[n], index) && is_legal_anywhere(factors.items[n]);
    is_worth |= moves && factors.items[n]->op != OP_NUMBER;
    multiply_into(program->arena, moves ? &steady : out_rest, factors.items[n]);
  }
  return is_worth && *out_rest ? steady : NULL;
}

static bool is_read_of(const Expr *expr, TensorId tensor) { return expr->op == OP_READ && expr->id == tensor && !expr->outside; }

static void find_read(void *context, const Expr *expr) {
  Factoring *factoring = context;
  factoring->found |= expr->op == OP_READ && expr->id == factoring->tensor;
}

static bool reads(const Expr *expr, TensorId tensor) {
  Factoring factoring = {.tensor = tensor};
  if (expr) expr_visit(expr, find_read, &factoring);
  return factoring.found;
}

/* All that reads it sums products with it. */
static bool only_sums_read(const Program *program, TensorId tensor) {
  bool any = false;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    bool in_body = equation->reduce != REDUCE_NONE && reads(equation->body, tensor);
    if (reads(equation->value, tensor) || reads(equation->guard, tensor)) return false;
    if (!in_body) continue;
    if (equation->reduce != REDUCE_SUM) return false;
    Factors factors = split_factors(program->arena, equation->body);
    int plain = 0;
    for (int k = 0; k < factors.count; k++) {
      plain += is_read_of(factors.items[k], tensor);
      if (!is_read_of(factors.items[k], tensor) && reads(factors.items[k], tensor)) return false;
    }
    if (plain != 1) return false;
    any = true;
  }
  return any;
}

/* body = the other factors * factor * tensor[..] */
static const Expr *with_factor(const Program *program, const Equation *map, const Expr *body, const Expr *factor) {
  Arena *arena = program->arena;
  Factors factors = split_factors(arena, body);
  const Expr *rest = NULL, *read = NULL, **by = ARENA_ARRAY(arena, const Expr *, program->index_count);
  for (int n = 0; n < factors.count; n++)
    if (is_read_of(factors.items[n], map->target)) read = factors.items[n];
    else multiply_into(arena, &rest, factors.items[n]);
  for (int n = 0; n < read->arg_count; n++) by[map->indices[n]] = read->args[n];
  multiply_into(arena, &rest, expr_substitute(arena, factor, program->index_count, by));
  multiply_into(arena, &rest, read);
  return rest;
}

/* p[t,u] = e[t,u] * f[t] that only sums read becomes e[t,u], and they multiply with f[t]. */
static bool take_out_of_map(Program *program, int number) {
  Equation map = program->equations[number];
  if (map.reduce != REDUCE_NONE || !is_of_pairs(program, map.target)) return false;
  if (program_shows(program, map.target) || program_has_boundary(program, map.target)) return false;
  const Expr *value, *rest = NULL, *steady = NULL, *condition = condition_of(&map, &value);
  int rank = program->tensors[map.target].rank;
  for (int n = 0; n < rank && !steady; n++)
    if (program_is_run_time(program, program->indices[map.indices[n]].high) && is_met(program, condition, map.indices[n]))
      steady = steady_part(program, value, map.indices[n], &rest);
  if (!steady || !only_sums_read(program, map.target)) return false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    if (equation->reduce != REDUCE_NONE && reads(equation->body, map.target)) equation->body = with_factor(program, &map, equation->body, steady);
  }
  program->equations[number].value = condition ? expr_select(program->arena, condition, rest, expr_number(program->arena, 0)) : rest;
  return true;
}

/* ---- factors of a sum --------------------------------------------------------------------------------------------------- */

static void find_pairs(void *context, const Expr *expr) {
  Factoring *factoring = context;
  factoring->found |= expr->op == OP_READ && is_of_pairs(factoring->program, expr->id);
}

/* y[t] = sum[u](f[t] * ..) becomes f[t] * y.sum[t]. */
static bool take_out_of_sum(Program *program, int number) {
  Arena *arena = program->arena;
  Equation whole = program->equations[number];
  Factoring factoring = {.program = program};
  if (whole.reduce != REDUCE_SUM || is_of_pairs(program, whole.target)) return false;
  expr_visit(whole.body, find_pairs, &factoring);
  if (!factoring.found) return false;
  Factors factors = split_factors(arena, whole.body);
  const Expr *rest = NULL, **steady = ARENA_ARRAY(arena, const Expr *, factors.count);
  int steady_count = 0;
  bool is_worth = false;
  for (int n = 0; n < factors.count; n++) {
    bool moves = !uses_any(factors.items[n], whole.reduce_count, whole.reduce_indices) && is_legal_anywhere(factors.items[n]);
    is_worth |= moves && factors.items[n]->op != OP_NUMBER;
    if (moves) steady[steady_count++] = factors.items[n];
    else multiply_into(arena, &rest, factors.items[n]);
  }
  if (!is_worth || !rest || !sums_something(program, &whole)) return false;
  program->equations[number].body = rest;
  const Expr *scaled = program_split_sum(program, number, "sum");
  for (int n = 0; n < steady_count; n++) multiply_into(arena, &scaled, steady[n]); /* one after the other: together they may be out of range */
  program->equations[number].value = whole.value ? expr_binary(arena, OP_ADD, whole.value, scaled) : scaled;
  return true;
}

/* ---- a map that leaves out a part of another ------------------------------------------------------------------------------ */

typedef struct Leaving {
  const Program *program;
  const Equation *maker;   /* of what is read */
  const Expr *condition;   /* in terms of its indices */
  bool fails;
} Leaving;

/* Wherever the tensor is read, the condition holds at that place. */
static void check_reads(Leaving *leaving, const Expr *expr, const Expr *holds) {
  Arena *arena = leaving->program->arena;
  if (!expr || leaving->fails) return;
  if (expr->op == OP_SELECT) {
    check_reads(leaving, expr->args[0], holds);
    check_reads(leaving, expr->args[1], conjunction(arena, holds, expr->args[0]));
    check_reads(leaving, expr->args[2], holds);
    return;
  }
  for (int n = 0; n < expr->arg_count; n++) check_reads(leaving, expr->args[n], holds);
  check_reads(leaving, expr->outside, holds);
  if (expr->op != OP_READ || expr->id != leaving->maker->target) return;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, leaving->program->index_count);
  for (int n = 0; n < expr->arg_count; n++) by[leaving->maker->indices[n]] = expr->args[n];
  int known_count, needed_count;
  const Expr **known = conjuncts(arena, holds, &known_count);
  const Expr **needed = conjuncts(arena, expr_substitute(arena, leaving->condition, leaving->program->index_count, by), &needed_count);
  leaving->fails |= expr->outside != NULL;
  for (int n = 0; n < needed_count; n++) {
    bool is_known = false;
    for (int k = 0; k < known_count; k++) is_known |= expr_equal(known[k], needed[n]);
    leaving->fails |= !is_known;
  }
}

/* p = e where the condition holds, and nobody wants e elsewhere: then e is zero there, and p is e. */
static bool take_over_condition(Program *program, int number) {
  Arena *arena = program->arena;
  Equation *map = &program->equations[number];
  if (map->reduce != REDUCE_NONE || !is_of_pairs(program, map->target)) return false;
  const Expr *read, *condition = condition_of(map, &read);
  int definition = read->op == OP_READ && !read->outside ? program->definition[read->id] : NONE, rank = read->arg_count;
  if (!condition || definition == NONE || rank != program->tensors[map->target].rank) return false;
  Equation *maker = &program->equations[definition];
  if (maker->reduce != REDUCE_NONE || program_shows(program, maker->target) || program_has_boundary(program, maker->target)) return false;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, program->index_count);
  for (int n = 0; n < rank; n++) {
    if (!expr_is_index(read->args[n], map->indices[n])) return false;
    by[map->indices[n]] = expr_index(arena, maker->indices[n]);
  }
  Leaving leaving = {program, maker, expr_substitute(arena, condition, program->index_count, by), false};
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *reader = &program->equations[n];
    check_reads(&leaving, reader->value, NULL);
    check_reads(&leaving, reader->guard, NULL);
    check_reads(&leaving, reader->body, reader->guard);
  }
  if (leaving.fails) return false;
  maker->value = expr_select(arena, leaving.condition, maker->value, expr_number(arena, 0));
  map->value = read;
  return true;
}

bool pass_factor_sums(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  int count = program->equation_count;
  for (int n = 0; n < count; n++) changed |= take_out_of_map(program, n);
  for (int n = 0; n < count; n++) changed |= take_out_of_sum(program, n);
  for (int n = 0; n < count; n++) changed |= take_over_condition(program, n);
  return changed;
}
