/* simplify.c - fold constants, drop zero tensors and copies.
 *
 * Needs:  nothing. Keeps: everything a verified program has.
 * Leaves: expressions folded; equations without empty reductions; no read of a tensor that is zero everywhere or only
 *         another name of (a part of) a tensor.
 * Why:    differentiation and the expansion of calls make many of both.
 */
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Simplifying {
  Program *program;
  bool changed;
  bool *is_kept; /* by tensor: shown by a port, or carried: its equation stays as it is named */
} Simplifying;

static bool is_zero(const Expr *expr) {
  return expr_is_number(expr, 0) || expr_is_integer(expr, 0) || expr_is_boolean(expr, false);
}

static bool is_plain_zero(const Equation *equation) {
  return equation->reduce == REDUCE_NONE && equation->value && is_zero(equation->value);
}

/* The read that the equation only renames: all its variables are indices of the target, nothing lies outside. */
static const Expr *renamed_read(const Equation *equation) {
  const Expr *value = equation->value;
  if (equation->reduce != REDUCE_NONE || !value || value->op != OP_READ || value->outside) return NULL;
  return value->id == equation->target ? NULL : value;
}

static const Expr *zero_of(Arena *arena, Type type) {
  if (type == TYPE_REAL) return expr_number(arena, 0);
  return type == TYPE_INT ? expr_integer(arena, 0) : expr_boolean(arena, false);
}

static const Expr *simplify_read(void *context, const Expr *expr) {
  Simplifying *simplifying = context;
  if (expr->op != OP_READ || simplifying->is_kept[expr->id]) return expr;
  Program *program = simplifying->program;
  const Equation *equation = program_definition(program, expr->id);
  if (!equation) return expr;
  if (is_plain_zero(equation) && (!expr->outside || is_zero(expr->outside))) {
    simplifying->changed = true;
    return zero_of(program->arena, expr->type);
  }
  const Expr *source = renamed_read(equation);
  if (!source || expr->outside) return expr;
  const Expr **replacements = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < expr->arg_count; n++) replacements[equation->indices[n]] = expr->args[n];
  simplifying->changed = true;
  return expr_substitute(program->arena, source, program->index_count, replacements);
}

static const Expr *simplify_expr(Simplifying *simplifying, const Expr *expr) {
  if (!expr) return NULL;
  Ranges ranges = program_ranges(simplifying->program);
  const Expr *result = expr_rewrite(simplifying->program->arena, expr, simplify_read, simplifying);
  result = ranges_simplify(&ranges, result);
  if (!expr_equal(result, expr)) simplifying->changed = true;
  return result;
}

static void drop_empty_reduction(Simplifying *simplifying, Equation *equation) {
  if (equation->reduce == REDUCE_NONE) {
    if (equation->guard && expr_is_boolean(equation->guard, true)) equation->guard = NULL;
    return;
  }
  Arena *arena = simplifying->program->arena;
  if (equation->guard && expr_is_boolean(equation->guard, true)) equation->guard = NULL;
  bool is_empty = equation->guard && expr_is_boolean(equation->guard, false);
  bool adds_nothing = equation->reduce == REDUCE_SUM && is_zero(equation->body);
  if (equation->reduce == REDUCE_SUM && (is_empty || adds_nothing)) {
    if (!equation->value) equation->value = zero_of(arena, simplifying->program->tensors[equation->target].type);
    equation->reduce = REDUCE_NONE;
    equation->reduce_count = 0;
    equation->guard = equation->body = NULL;
    simplifying->changed = true;
  } else if (equation->reduce == REDUCE_SUM && equation->value && is_zero(equation->value)) {
    equation->value = NULL;
    simplifying->changed = true;
  }
}

/* A name that reads the name it is read through would never end; one level a round does. */
static bool simplify_round(Simplifying *simplifying) {
  Program *program = simplifying->program;
  simplifying->changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    equation->value = simplify_expr(simplifying, equation->value);
    equation->guard = simplify_expr(simplifying, equation->guard);
    equation->body = simplify_expr(simplifying, equation->body);
    drop_empty_reduction(simplifying, equation);
  }
  return simplifying->changed;
}

bool pass_simplify(Program *program, PassContext *context) {
  (void)context;
  enum { MOST_ROUNDS = 50 }; /* chains of names are short; a cycle of them would be a defect of the front end */
  Simplifying simplifying = {.program = program};
  simplifying.is_kept = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->port_count; n++) simplifying.is_kept[program->ports[n].tensor] = true;
  for (int n = 0; n < program->tensor_count; n++)
    if (program->tensors[n].boundary_of != NONE) simplifying.is_kept[n] = true;
  int rounds = 0;
  while (rounds < MOST_ROUNDS && simplify_round(&simplifying)) rounds++;
  return rounds > 0;
}
