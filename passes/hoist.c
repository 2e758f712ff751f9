/* hoist.c - what an equation computes again and again along an axis becomes a tensor without it.
 *
 * Needs:  nothing.
 * Leaves: a part of an expression that contains a costly operation and does not depend on all indices of its equation is a tensor
 *         of its own, over the indices it does depend on.
 * Why:    exp(A[i,n]) under a sum over time costs T times what it has to. What depends on fewer indices by a small axis only
 *         stays where it is: the way through memory would cost more.
 */
#include "passes/passes.h"

enum { FEWEST_REPEATS = 16 };

typedef struct Hoisting {
  Program *program;
  const Equation *equation;
  const IndexId *indices; /* of the equation: of the target, then of the reduction */
  int index_count;
  bool is_conditional; /* under a condition that differs from element to element */
  bool has_costly, has_guarded, changed;
  Report *report;
} Hoisting;

static void look_inside(void *context, const Expr *expr) {
  Hoisting *hoisting = context;
  if (op_table[expr->op].flags & FLAG_COSTLY) hoisting->has_costly = true;
  if (expr->op == OP_READ && (expr->outside || hoisting->program->tensors[expr->id].boundary_of != NONE)) hoisting->has_guarded = true;
  for (int n = 0; expr->op == OP_READ && hoisting->is_conditional && n < expr->arg_count; n++)
    if (expr->args[n]->op != OP_INDEX && expr->args[n]->op != OP_INTEGER) hoisting->has_guarded = true; /* it may only be there under the condition */
}

/* Worth a tensor: costly, and repeated often along the indices it lacks. */
static bool is_worth_it(Hoisting *hoisting, const Expr *expr) {
  hoisting->has_costly = hoisting->has_guarded = false;
  expr_visit(expr, look_inside, hoisting);
  if (!hoisting->has_costly || hoisting->has_guarded) return false;
  int64_t repeats = 1;
  for (int n = 0; n < hoisting->index_count; n++) {
    if (expr_uses_index(expr, hoisting->indices[n])) continue;
    const Index *index = &hoisting->program->indices[hoisting->indices[n]];
    if (index->high.symbol != NONE) return true;
    repeats *= index->high.constant - index->low.constant;
    if (repeats >= FEWEST_REPEATS) return true;
  }
  return false;
}

static const Expr *make_tensor(Hoisting *hoisting, const Expr *expr) {
  Program *program = hoisting->program;
  IndexId *used = ARENA_ARRAY(program->arena, IndexId, hoisting->index_count);
  Size *shape = ARENA_ARRAY(program->arena, Size, hoisting->index_count);
  const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, hoisting->index_count);
  int rank = 0;
  for (int n = 0; n < hoisting->index_count; n++) {
    if (!expr_uses_index(expr, hoisting->indices[n])) continue;
    const Index *index = &program->indices[hoisting->indices[n]];
    if (!size_is(index->low, 0)) return NULL; /* tensors begin at 0 */
    used[rank] = hoisting->indices[n];
    shape[rank] = index->high;
    reads[rank++] = expr_index(program->arena, hoisting->indices[n]);
  }
  Equation equation = {.indices = used, .value = expr, .source = hoisting->equation->source};
  const char *name = arena_format(program->arena, "%s.part", program->tensors[hoisting->equation->target].name);
  equation.target = program_add_tensor(program, name, TYPE_REAL, rank, shape);
  program_add_equation(program, equation);
  hoisting->changed = true;
  report_name(hoisting->report, report_add(hoisting->report, REPORT_HOIST, program, equation.source), program->tensors[equation.target].name);
  return program_read(program, equation.target, reads, NULL);
}

static bool varies(const Hoisting *hoisting, const Expr *condition) {
  for (int n = 0; n < hoisting->index_count; n++)
    if (expr_uses_index(condition, hoisting->indices[n])) return true;
  return false;
}

/* Takes the largest parts that are worth it. Under a condition that is the same for all elements they stay, as nothing may have to be
 * computed; under any other one those stay that read what may not be there. */
static const Expr *hoist_parts(Hoisting *hoisting, const Expr *expr) {
  if (expr->op == OP_READ || expr->arg_count == 0 || expr->type != TYPE_REAL) return expr;
  if (is_worth_it(hoisting, expr)) {
    const Expr *read = make_tensor(hoisting, expr);
    if (read) return read;
  }
  if (expr->op == OP_SELECT && !varies(hoisting, expr->args[0])) return expr;
  bool was_conditional = hoisting->is_conditional;
  hoisting->is_conditional |= expr->op == OP_SELECT;
  const Expr **args = ARENA_ARRAY(hoisting->program->arena, const Expr *, expr->arg_count);
  bool changed = false;
  for (int n = 0; n < expr->arg_count; n++) {
    args[n] = hoist_parts(hoisting, expr->args[n]);
    changed |= args[n] != expr->args[n];
  }
  hoisting->is_conditional = was_conditional;
  if (!changed) return expr;
  return expr_with_source(hoisting->program->arena, expr_make(hoisting->program->arena, expr->op, expr->arg_count, args), expr->source);
}

bool pass_hoist(Program *program, PassContext *context) {
  bool changed = false;
  int equations = program->equation_count;
  for (int n = 0; n < equations; n++) {
    Equation equation = program->equations[n];
    int rank = program->tensors[equation.target].rank, count = rank + equation.reduce_count;
    IndexId *indices = ARENA_ARRAY(program->arena, IndexId, count);
    for (int k = 0; k < rank; k++) indices[k] = equation.indices[k];
    for (int k = 0; k < equation.reduce_count; k++) indices[rank + k] = equation.reduce_indices[k];
    Hoisting hoisting = {.program = program, .equation = &equation, .indices = indices, .report = context->report};
    hoisting.index_count = rank;
    if (equation.value) equation.value = hoist_parts(&hoisting, equation.value);
    hoisting.index_count = count;
    if (equation.body && equation.reduce != REDUCE_NONE) equation.body = hoist_parts(&hoisting, equation.body);
    if (hoisting.changed) program->equations[n] = equation;
    changed |= hoisting.changed;
  }
  return changed;
}
