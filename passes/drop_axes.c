/* drop_axes.c - drop the axes along which a tensor is the same everywhere.
 *
 * Needs:  nothing.
 * Leaves: no tensor but those of ports and boundaries has an axis whose index its equation does not use, unless a read may lie
 *         outside along it.
 * Why:    all of a repeat's body gets the turn as an axis, and what is called once for each step gets the step: what depends
 *         on neither would be computed, and kept, for every one of them.
 *
 * All axes are taken to be superfluous until an equation uses their index elsewhere than in places that are superfluous
 * themselves, so tensors that only hand an axis on to each other lose it together.
 */
#include "passes/passes.h"

typedef struct Dropping {
  Program *program;
  bool **is_superfluous; /* by tensor and axis */
} Dropping;

/* At least one element: what is computed once instead may read what is there only then. */
static bool is_never_empty(const Program *program, Size size) {
  if (size.symbol == NONE) return size.constant >= 1;
  SymbolKind kind = program->symbols[size.symbol].kind;
  return size.constant >= 0 && (kind == SYMBOL_BATCH || kind == SYMBOL_STREAM);
}

static void find_candidates(Dropping *dropping) {
  Program *program = dropping->program;
  bool *is_fixed = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->port_count; n++) is_fixed[program->ports[n].tensor] = true;
  for (int n = 0; n < program->tensor_count; n++) {
    if (program->tensors[n].boundary_of == NONE) continue;
    is_fixed[n] = is_fixed[program->tensors[n].boundary_of] = true;
  }
  for (int n = 0; n < program->tensor_count; n++) {
    const Tensor *tensor = &program->tensors[n];
    dropping->is_superfluous[n] = ARENA_ARRAY(program->arena, bool, tensor->rank);
    for (int axis = 0; axis < tensor->rank && !is_fixed[n] && program_definition(program, n); axis++)
      dropping->is_superfluous[n][axis] = is_never_empty(program, tensor->shape[axis]);
  }
}

static void note_read(void *context, const Expr *expr) {
  if (expr->op == OP_READ) *(bool *)context = true;
}

/* A place that may lie outside, or is checked at run time, needs its axis. */
static void keep_unsure(void *context, const Expr *expr) {
  Dropping *dropping = context;
  if (expr->op != OP_READ) return;
  const Program *program = dropping->program;
  for (int axis = 0; axis < expr->arg_count; axis++) {
    const Expr *place = expr->args[axis];
    if (place->op == OP_INDEX) {
      const Index *index = &program->indices[place->id];
      if (size_is(index->low, 0) && size_equal(index->high, program->tensors[expr->id].shape[axis])) continue;
    }
    bool is_unsure = expr->outside != NULL;
    expr_visit(place, note_read, &is_unsure);
    if (is_unsure) dropping->is_superfluous[expr->id][axis] = false;
  }
}

static const Expr *drop_places(void *context, const Expr *expr) {
  Dropping *dropping = context;
  if (expr->op != OP_READ) return expr;
  Arena *arena = dropping->program->arena;
  const Expr **places = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  int count = 0;
  for (int axis = 0; axis < expr->arg_count; axis++)
    if (!dropping->is_superfluous[expr->id][axis]) places[count++] = expr->args[axis];
  if (count == expr->arg_count) return expr;
  return expr_with_source(arena, expr_read(arena, expr->type, expr->id, count, places, expr->outside), expr->source);
}

static const Expr *without_places(Dropping *dropping, const Expr *expr) {
  return expr ? expr_rewrite(dropping->program->arena, expr, drop_places, dropping) : NULL;
}

/* False when the equation uses the index of an axis that was taken to be superfluous. */
static bool check_equation(Dropping *dropping, const Equation *equation) {
  bool *is_superfluous = dropping->is_superfluous[equation->target];
  const Expr *parts[3] = {equation->value, equation->guard, equation->body};
  bool has_candidates = false, holds = true;
  for (int axis = 0; axis < dropping->program->tensors[equation->target].rank; axis++) has_candidates |= is_superfluous[axis];
  for (int n = 0; n < 3 && has_candidates; n++) {
    const Expr *part = without_places(dropping, parts[n]);
    for (int axis = 0; part && axis < dropping->program->tensors[equation->target].rank; axis++) {
      if (!is_superfluous[axis] || !expr_uses_index(part, equation->indices[axis])) continue;
      is_superfluous[axis] = holds = false;
    }
  }
  return holds;
}

static bool drop(Dropping *dropping) {
  Program *program = dropping->program;
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    equation->value = without_places(dropping, equation->value);
    equation->guard = without_places(dropping, equation->guard);
    equation->body = without_places(dropping, equation->body);
    Tensor *tensor = &program->tensors[equation->target];
    IndexId *indices = ARENA_ARRAY(program->arena, IndexId, tensor->rank);
    int kept = 0;
    for (int axis = 0; axis < tensor->rank; axis++) {
      if (dropping->is_superfluous[equation->target][axis]) continue;
      indices[kept] = equation->indices[axis];
      tensor->shape[kept++] = tensor->shape[axis];
    }
    if (kept == tensor->rank) continue;
    equation->indices = indices;
    tensor->rank = kept;
    changed = true;
  }
  return changed;
}

bool pass_drop_axes(Program *program, PassContext *context) {
  (void)context;
  Dropping dropping = {.program = program, .is_superfluous = ARENA_ARRAY(program->arena, bool *, program->tensor_count)};
  find_candidates(&dropping);
  for (int n = 0; n < program->equation_count; n++) {
    const Expr *parts[3] = {program->equations[n].value, program->equations[n].guard, program->equations[n].body};
    for (int k = 0; k < 3; k++)
      if (parts[k]) expr_visit(parts[k], keep_unsure, &dropping);
  }
  bool holds;
  do {
    holds = true;
    for (int n = program->equation_count - 1; n >= 0; n--) holds &= check_equation(&dropping, &program->equations[n]);
  } while (!holds);
  return drop(&dropping);
}
