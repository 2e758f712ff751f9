/* history.c - let what is read at all steps so far be read before this call too.
 *
 * Needs:  the program as its author wrote it, with absolute positions; `streams` on the ports.
 * Leaves: where chunk and step exist, an index over all steps so far runs to position + stream, counting from the first step
 *         of all; a tensor read with it has a boundary of as many slots as the position, all its values before this call,
 *         zero of them in the whole sequence: k[u] became k[u - position else k.past[u]]. A declared state that holds a value
 *         for each step is these values and those of the call. Where no more than a number of steps before the current one is
 *         read, the index begins that many steps before the call, and the boundary has that many slots.
 * Why:    whole sequence, chunk and step stay one program, in which pass_carry makes the boundary state as any other.
 */
#include "passes/passes.h"
#include "passes/windows.h"

/* What keeps the values of a grown tensor: itself, a copy, or a declared state that is a copy with axes in another order. */
typedef struct Keeper {
  TensorId tensor, past;
  int *axes; /* by axis of the grown tensor */
  Size slots; /* of `past` */
} Keeper;

typedef struct History {
  Program *program;
  const Times *times;
  const Windows *windows;
  SymbolId position;
  Keeper *keepers; /* by tensor; tensor NONE: not grown */
  /* the equation at hand */
  IndexId time;    /* NONE: what it reads counts from the start of this call */
  bool *is_long;   /* by new index */
  int known;       /* tensors the times know */
} History;

static SymbolId find_or_add(Program *program, SymbolKind kind, const char *name) {
  SymbolId symbol = program_find_symbol(program, kind);
  return symbol == NONE ? program_add_symbol(program, kind, name) : symbol;
}

static const Expr *position_expr(const History *history, int64_t times) {
  Arena *arena = history->program->arena;
  return expr_binary(arena, OP_MUL, expr_integer(arena, times), expr_symbol(arena, history->position));
}

/* Steps before the call that are read with a window: a symbol, and with those of the call. */
static SymbolId past_symbol(History *history, int64_t window) {
  if (!window) return history->position;
  SymbolId symbol = program_find_recent(history->program, SYMBOL_RECENT, window - 1);
  if (symbol != NONE) return symbol;
  symbol = program_add_symbol(history->program, SYMBOL_RECENT, arena_format(history->program->arena, "recent.%lld", (long long)(window - 1)));
  history->program->symbols[symbol].most = window - 1;
  return symbol;
}

static SymbolId whole_symbol(History *history, int64_t window) {
  if (!window) return find_or_add(history->program, SYMBOL_HISTORY, "so_far");
  SymbolId symbol = program_find_recent(history->program, SYMBOL_HISTORY, window - 1);
  if (symbol != NONE) return symbol;
  past_symbol(history, window);
  symbol = program_add_symbol(history->program, SYMBOL_HISTORY, arena_format(history->program->arena, "so_far.%lld", (long long)(window - 1)));
  history->program->symbols[symbol].most = window - 1;
  return symbol;
}

static bool is_long_axis(const History *history, TensorId tensor, int axis) {
  if (tensor >= history->known || history->times->reason[tensor]) return false;
  return axis != history->times->axis[tensor] && times_is_stream(history->times, history->program->tensors[tensor].shape[axis]);
}

/* ---- tensors that grow ---------------------------------------------------------------------------------------------- */

static bool has_boundary(const Program *program, TensorId tensor, int axis) {
  for (int n = 0; n < program->tensor_count; n++)
    if (program->tensors[n].boundary_of == tensor && program->tensors[n].boundary_axis == axis) return true;
  return false;
}

static void keep(History *history, TensorId tensor, int64_t window) {
  const Program *program = history->program;
  int axis = history->times->axis[tensor], rank = program->tensors[tensor].rank;
  bool needs_copy = program_shows(program, tensor) || program->definition[tensor] == NONE || has_boundary(program, tensor, axis);
  Keeper *keeper = &history->keepers[tensor];
  keeper->tensor = needs_copy ? program_copy_tensor(history->program, tensor, "seen") : tensor;
  keeper->slots = window ? size_constant(window - 1) : size_symbol(history->position);
  keeper->past = program_add_boundary(history->program, keeper->tensor, axis, keeper->slots, "past");
  keeper->axes = ARENA_ARRAY(program->arena, int, rank);
  for (int n = 0; n < rank; n++) keeper->axes[n] = n;
}

/* The tensor's values at all steps, kept in `keeper`, at the given places: those of this call, else those before. */
static const Expr *read_kept(History *history, const Keeper *keeper, const Expr *const *places, const Expr *outside) {
  Program *program = history->program;
  Arena *arena = program->arena;
  int rank = program->tensors[keeper->tensor].rank, axis = program->tensors[keeper->past].boundary_axis;
  const Expr **now = ARENA_ARRAY(arena, const Expr *, rank), **before = ARENA_ARRAY(arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) {
    int place = keeper->axes[n];
    now[place] = places[n];
    before[place == axis ? 0 : place < axis ? place + 1 : place] =
        place == axis ? expr_binary(arena, OP_ADD, places[n], size_expr(arena, keeper->slots)) : places[n];
  }
  return program_read(program, keeper->tensor, now, program_read(program, keeper->past, before, outside));
}

/* ---- declared states that grow -------------------------------------------------------------------------------------- */

static bool grows(const History *history, const Port *port) {
  return port->kind == PORT_FINAL_STATE && port->tensor < history->known && history->times->axis[port->tensor] != NONE;
}

/* The port shows the values of the call after those before it. */
static void keep_declared(History *history, int number) {
  Program *program = history->program;
  TensorId tensor = program->ports[number].tensor;
  int rank = program->tensors[tensor].rank, axis = history->times->axis[tensor];
  program->ports[number].tensor = NONE; /* it is kept itself, not a copy */
  keep(history, tensor, 0);
  const Tensor kept = program->tensors[tensor];
  Size *shape = arena_copy(program->arena, kept.shape, sizeof *shape * (size_t)rank);
  shape[axis] = size_symbol(whole_symbol(history, 0));
  TensorId whole = program_add_tensor(program, arena_format(program->arena, "%s.whole", kept.name), kept.type, rank, shape);
  program->tensors[whole].source = kept.source;
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, rank);
  program_add_indices(program, whole, NULL, indices);
  const Expr **places = ARENA_ARRAY(program->arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) {
    places[n] = expr_index(program->arena, indices[n]);
    if (n == axis) places[n] = expr_binary(program->arena, OP_SUB, places[n], position_expr(history, 1));
  }
  Equation equation = {.target = whole, .indices = indices, .source = kept.source};
  equation.value = read_kept(history, &history->keepers[tensor], places, NULL);
  program_add_equation(program, equation);
  program->ports[number].tensor = whole;
}

/* The declared state is the tensor with its axes in some order: it keeps it. */
static bool keep_in_declared(History *history, TensorId declared) {
  const Program *program = history->program;
  const Equation *equation = program_definition(program, declared);
  const Expr *read = equation && equation->reduce == REDUCE_NONE ? equation->value : NULL;
  if (!read || read->op != OP_READ || read->outside || read->id >= history->known || !history->times->is_grown[read->id]) return false;
  int rank = program->tensors[declared].rank;
  if (read->arg_count != rank || history->keepers[read->id].tensor != NONE) return false;
  int *axes = ARENA_ARRAY(program->arena, int, rank);
  bool *is_taken = ARENA_ARRAY(program->arena, bool, rank);
  for (int n = 0; n < rank; n++) {
    int place = 0;
    while (place < rank && (read->args[n]->op != OP_INDEX || read->args[n]->id != equation->indices[place])) place++;
    if (place == rank || is_taken[place]) return false;
    is_taken[place] = true;
    axes[n] = place;
  }
  const Keeper *keeper = &history->keepers[declared];
  history->keepers[read->id] = (Keeper){keeper->tensor, keeper->past, axes, keeper->slots};
  return true;
}

static void keep_all(History *history) {
  Program *program = history->program;
  TensorId *declared = ARENA_ARRAY(program->arena, TensorId, program->port_count);
  int count = 0;
  for (int n = 0; n < program->port_count; n++) {
    if (!grows(history, &program->ports[n])) continue;
    declared[count++] = program->ports[n].tensor;
    keep_declared(history, n);
  }
  for (int n = 0; n < count; n++) keep_in_declared(history, declared[n]);
  for (TensorId n = 0; n < history->known; n++)
    if (history->times->is_grown[n] && !history->times->reason[n] && history->keepers[n].tensor == NONE)
      keep(history, n, history->windows->grown[n]);
}

/* ---- equations ------------------------------------------------------------------------------------------------------ */

/* How often the position is in the place of a read when all times in it are counted from the first step. */
static int64_t times_in(const History *history, const Affine *affine) {
  int64_t count = 0;
  for (int n = 0; n < affine->term_count; n++) {
    bool is_time = !affine->terms[n].is_symbol && (affine->terms[n].id == history->time || history->is_long[affine->terms[n].id]);
    if (is_time) count += affine->terms[n].coefficient;
  }
  return count;
}

static bool has_long(const History *history, const Affine *affine) {
  for (int n = 0; n < affine->term_count; n++)
    if (!affine->terms[n].is_symbol && history->is_long[affine->terms[n].id]) return true;
  return false;
}

/* With the indices over all steps so far replaced by index - position. */
static const Expr *change_read(void *context, const Expr *expr) {
  History *history = context;
  if (expr->op != OP_READ || expr->id >= history->known) return expr;
  Program *program = history->program;
  Arena *arena = program->arena;
  const Expr **places = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  bool is_kept = false, changed = false;
  for (int n = 0; n < expr->arg_count; n++) {
    places[n] = expr->args[n];
    Affine affine;
    if (!times_is_stream(history->times, program->tensors[expr->id].shape[n]) && !is_long_axis(history, expr->id, n)) continue;
    if (!expr_affine(expr->args[n], &affine)) continue;
    int64_t count = history->time == NONE ? 1 : times_in(history, &affine);
    if (is_long_axis(history, expr->id, n)) {
      int64_t window = history->windows->axis[expr->id * WINDOW_AXES + n];
      const Expr *before = window ? expr_symbol(arena, past_symbol(history, window)) : position_expr(history, count);
      places[n] = expr_binary(arena, OP_ADD, places[n], before);
      changed = true;
    } else if (history->time != NONE && has_long(history, &affine)) {
      places[n] = expr_binary(arena, OP_ADD, places[n], position_expr(history, count - 1));
      is_kept = true;
    }
  }
  const Expr *outside = expr->outside;
  if (is_kept && !times_outside(history->times, expr, &outside)) internal_error("'%s' is grown past a boundary", program->tensors[expr->id].name);
  if (!is_kept && !changed) return expr;
  const Expr *read = is_kept ? read_kept(history, &history->keepers[expr->id], places, outside) : program_read(program, expr->id, places, outside);
  return expr_with_source(arena, read, expr->source);
}

static const Expr *change_expr(History *history, const Expr *expr, const Expr *const *by, int count) {
  if (!expr) return NULL;
  return expr_rewrite(history->program->arena, expr_substitute(history->program->arena, expr, count, by), change_read, history);
}

static void change_equation(History *history, int number) {
  Program *program = history->program;
  const Equation old = program->equations[number];
  bool streams = !history->times->reason[old.target];
  const bool *was_long = times_long_indices(history->times, &old);
  int known_indices = program->index_count, rank = program->tensors[old.target].rank, total = rank + old.reduce_count;
  const Expr **by = ARENA_ARRAY(program->arena, const Expr *, known_indices);
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, total);
  history->time = streams ? times_index(history->times, &old) : NONE;
  history->is_long = ARENA_ARRAY(program->arena, bool, known_indices + total);
  for (int n = 0; n < total; n++) {
    indices[n] = n < rank ? old.indices[n] : old.reduce_indices[n - rank];
    if (!streams || !was_long[indices[n]]) continue;
    int64_t window = n < rank ? history->windows->axis[old.target * WINDOW_AXES + n] : history->windows->reduction[number * WINDOW_REDUCTIONS + n - rank];
    IndexId longer = program_add_index(program, program->indices[indices[n]].name, size_constant(0), size_symbol(whole_symbol(history, window)));
    by[indices[n]] = expr_binary(program->arena, OP_SUB, expr_index(program->arena, longer), expr_symbol(program->arena, past_symbol(history, window)));
    history->is_long[longer] = true;
    indices[n] = longer;
  }
  const Expr *value = change_expr(history, old.value, by, known_indices);
  const Expr *guard = change_expr(history, old.guard, by, known_indices);
  const Expr *body = change_expr(history, old.body, by, known_indices);
  Equation *equation = &program->equations[number];
  equation->indices = indices;
  equation->reduce_indices = indices + rank;
  equation->value = value;
  equation->guard = guard;
  equation->body = body;
}

/* A result with a place for each step along two axes exists for the whole sequence only, with the caller's shape. */
static void copy_square_results(History *history) {
  Program *program = history->program;
  for (int p = 0; p < program->port_count; p++) {
    TensorId source = program->ports[p].tensor;
    bool is_square = port_is_result(program->ports[p].kind) && source < history->known && times_axis_count(history->times, source) > 1;
    if (!is_square || history->times->reason[source]) continue;
    program->ports[p].tensor = program_copy_tensor(program, source, "seen"); /* its read is changed with those of all equations */
  }
}

static bool is_needed(const History *history) {
  const Program *program = history->program;
  for (int n = 0; n < program->port_count; n++)
    if (grows(history, &program->ports[n])) return true;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    if (history->times->reason[equation->target]) continue;
    const bool *is_long = times_long_indices(history->times, equation);
    for (int k = 0; k < program->tensors[equation->target].rank; k++)
      if (is_long[equation->indices[k]]) return true;
    for (int k = 0; k < equation->reduce_count; k++)
      if (is_long[equation->reduce_indices[k]]) return true;
  }
  return false;
}

bool pass_history(Program *program, PassContext *context) {
  (void)context;
  const Port *reason;
  if (program_find_symbol(program, SYMBOL_STREAM) == NONE || !program_has_step(program, &reason)) return false;
  History history = {.program = program, .times = times_find(program), .known = program->tensor_count};
  if (!is_needed(&history)) return false;
  history.windows = windows_find(program, history.times);
  history.position = find_or_add(program, SYMBOL_POSITION, "position");
  history.keepers = ARENA_ARRAY(program->arena, Keeper, history.known);
  for (int n = 0; n < history.known; n++) history.keepers[n].tensor = NONE;
  int equations = program->equation_count;
  copy_square_results(&history);
  int squares = program->equation_count;
  keep_all(&history);
  for (int n = 0; n < equations; n++) change_equation(&history, n);
  for (int n = equations; n < squares; n++) { /* the copies are not known to the times: they count from the start of the call */
    history.time = NONE;
    history.is_long = ARENA_ARRAY(program->arena, bool, program->index_count);
    program->equations[n].value = expr_rewrite(program->arena, program->equations[n].value, change_read, &history);
  }
  for (TensorId n = 0; n < history.known; n++)
    for (int axis = 0; axis < program->tensors[n].rank; axis++)
      if (is_long_axis(&history, n, axis))
        program->tensors[n].shape[axis] = size_symbol(whole_symbol(&history, history.windows->axis[n * WINDOW_AXES + axis]));
  return true;
}
