/* zeros.c - sums leave out what is zero anyway.
 *
 * Needs:  nothing.
 * Leaves: where the terms of a sum are zero unless a condition on its indices holds, that condition is part of its guard, and gone from the
 *         terms; sums of parts with one condition are one part with that condition.
 * Why:    the derivative of what only looks at the past is zero elsewhere. The condition is known where the tensor is defined; where it is
 *         summed, in the next equation or the one after, it halves the work.
 */
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Zeros {
  Program *program;
  const Expr **nonzero;   /* by tensor: in terms of the indices of its definition; NULL: anywhere */
  unsigned char *state;   /* by tensor: 1 being looked at, 2 known */
  const Expr *guard;      /* of the body that is being cleaned */
  bool changed;
} Zeros;

static const Expr *nonzero_of(Zeros *zeros, const Expr *expr);

static const Expr *nonzero_of_read(Zeros *zeros, const Expr *expr);

/* The parts of a that are parts of b too. */
static const Expr *in_both(Arena *arena, const Expr *a, const Expr *b) {
  int a_count, b_count;
  const Expr **a_parts = conjuncts(arena, a, &a_count), **b_parts = conjuncts(arena, b, &b_count), *both = NULL;
  for (int n = 0; n < a_count; n++)
    for (int k = 0; k < b_count; k++)
      if (expr_equal(a_parts[n], b_parts[k])) {
        both = conjunction(arena, both, a_parts[n]);
        break;
      }
  return both;
}

/* The parts of a that are not parts of b. */
static const Expr *without(Arena *arena, const Expr *a, const Expr *b) {
  int a_count, b_count;
  const Expr **a_parts = conjuncts(arena, a, &a_count), **b_parts = conjuncts(arena, b, &b_count), *rest = NULL;
  for (int n = 0; n < a_count; n++) {
    bool is_known = false;
    for (int k = 0; k < b_count; k++) is_known |= expr_equal(a_parts[n], b_parts[k]);
    if (!is_known) rest = conjunction(arena, rest, a_parts[n]);
  }
  return rest;
}

/* A condition outside of which the expression is zero. */
static const Expr *nonzero_of(Zeros *zeros, const Expr *expr) {
  Arena *arena = zeros->program->arena;
  switch (expr->op) {
  case OP_NEG:
  case OP_DIV:
  case OP_STOP_GRADIENT: return nonzero_of(zeros, expr->args[0]);
  case OP_MUL: return conjunction(arena, nonzero_of(zeros, expr->args[0]), without(arena, nonzero_of(zeros, expr->args[1]), nonzero_of(zeros, expr->args[0])));
  case OP_ADD:
  case OP_SUB: return in_both(arena, nonzero_of(zeros, expr->args[0]), nonzero_of(zeros, expr->args[1]));
  case OP_SELECT:
    if (!expr_is_number(expr->args[2], 0) || !condition_is_on_indices(expr->args[0])) return NULL;
    return conjunction(arena, expr->args[0], without(arena, nonzero_of(zeros, expr->args[1]), expr->args[0]));
  case OP_READ: return nonzero_of_read(zeros, expr);
  default: return NULL;
  }
}

/* Of a tensor, by its definition. */
static const Expr *nonzero_of_tensor(Zeros *zeros, TensorId tensor) {
  const Program *program = zeros->program;
  if (zeros->state[tensor]) return zeros->state[tensor] == 2 ? zeros->nonzero[tensor] : NULL;
  zeros->state[tensor] = 1;
  const Equation *equation = program_definition(program, tensor);
  const Expr *found = NULL;
  if (equation && equation->reduce == REDUCE_NONE && equation->value) found = nonzero_of(zeros, equation->value);
  if (equation && equation->reduce == REDUCE_SUM && !equation->value) {
    int count;
    const Expr **parts = conjuncts(program->arena, conjunction(program->arena, equation->guard, nonzero_of(zeros, equation->body)), &count);
    for (int n = 0; n < count; n++) { /* what holds for all terms or for none */
      bool is_outer = condition_is_on_indices(parts[n]);
      for (int k = 0; k < equation->reduce_count; k++) is_outer &= !expr_uses_index(parts[n], equation->reduce_indices[k]);
      if (is_outer) found = conjunction(program->arena, found, parts[n]);
    }
  }
  zeros->state[tensor] = 2;
  return zeros->nonzero[tensor] = found;
}

static const Expr *nonzero_of_read(Zeros *zeros, const Expr *expr) {
  const Program *program = zeros->program;
  if (expr->outside || program->tensors[expr->id].type != TYPE_REAL) return NULL;
  const Expr *condition = nonzero_of_tensor(zeros, expr->id);
  if (!condition) return NULL;
  const Equation *equation = program_definition(program, expr->id);
  const Expr **by = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < expr->arg_count; n++) {
    if (!condition_is_on_indices(expr->args[n])) return NULL;
    by[equation->indices[n]] = expr->args[n];
  }
  Ranges ranges = program_ranges(program);
  return ranges_simplify(&ranges, expr_substitute(program->arena, condition, program->index_count, by));
}

/* select(c, a, 0) + select(c, b, 0) is select(c, a + b, 0); select(c, a, 0) * b is select(c, a * b, 0). */
static const Expr *merge_conditions(void *context, const Expr *expr) {
  Zeros *zeros = context;
  Arena *arena = zeros->program->arena;
  bool is_sum = expr->op == OP_ADD || expr->op == OP_SUB;
  if (!is_sum && expr->op != OP_MUL && expr->op != OP_DIV && expr->op != OP_NEG) return expr;
  const Expr *a = expr->args[0], *b = expr->arg_count > 1 ? expr->args[1] : NULL;
  bool a_selects = a->op == OP_SELECT && expr_is_number(a->args[2], 0), b_selects = b && b->op == OP_SELECT && expr_is_number(b->args[2], 0);
  const Expr *condition = a_selects ? a->args[0] : b_selects ? b->args[0] : NULL;
  if (!condition || (b_selects && expr->op == OP_DIV) || !condition_is_on_indices(condition)) return expr;
  if (a_selects && b_selects && !expr_equal(a->args[0], b->args[0])) return expr;
  if (is_sum && (!a_selects || !b_selects)) return expr;
  const Expr *args[2] = {a_selects ? a->args[1] : a, b_selects ? b->args[1] : b};
  zeros->changed = true;
  return expr_select(arena, condition, expr_make(arena, expr->op, expr->arg_count, args), expr_number(arena, 0));
}

/* Under the guard what it says need not be asked again. */
static const Expr *drop_known(void *context, const Expr *expr) {
  Zeros *zeros = context;
  if (expr->op != OP_SELECT || without(zeros->program->arena, expr->args[0], zeros->guard)) return expr;
  zeros->changed = true;
  return expr->args[1];
}

static void guard_sum(Zeros *zeros, Equation *equation) {
  Arena *arena = zeros->program->arena;
  const Expr *condition = without(arena, nonzero_of(zeros, equation->body), equation->guard), *more = NULL;
  int count;
  const Expr **parts = conjuncts(arena, condition, &count);
  for (int n = 0; n < count; n++) {
    bool is_inner = false;
    for (int k = 0; k < equation->reduce_count; k++) is_inner |= expr_uses_index(parts[n], equation->reduce_indices[k]);
    if (is_inner && condition_is_on_indices(parts[n])) more = conjunction(arena, more, parts[n]);
  }
  if (more) {
    equation->guard = conjunction(arena, equation->guard, more);
    zeros->changed = true;
  }
  zeros->guard = equation->guard;
  if (zeros->guard) equation->body = expr_rewrite(arena, equation->body, drop_known, zeros);
}

bool pass_zeros(Program *program, PassContext *context) {
  (void)context;
  Zeros zeros = {.program = program};
  zeros.nonzero = ARENA_ARRAY(program->arena, const Expr *, program->tensor_count);
  zeros.state = ARENA_ARRAY(program->arena, unsigned char, program->tensor_count);
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    if (program->tensors[equation->target].type != TYPE_REAL) continue;
    if (equation->value) equation->value = expr_rewrite(program->arena, equation->value, merge_conditions, &zeros);
    if (equation->reduce == REDUCE_SUM) equation->body = expr_rewrite(program->arena, equation->body, merge_conditions, &zeros);
  }
  for (int n = 0; n < program->equation_count; n++)
    if (program->equations[n].reduce == REDUCE_SUM && program->tensors[program->equations[n].target].type == TYPE_REAL)
      guard_sum(&zeros, &program->equations[n]);
  return zeros.changed;
}
