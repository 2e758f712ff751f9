/* times.c - which axis of each tensor is its time, and what each needs of the past and the future.
 *
 * A tensor exists step by step when it reads others at its own step, at a bounded number of steps before, or at all steps so
 * far: under a sum over u that takes nothing from u > t. That is proven by looking at what is left of the guard and the body
 * for u = t + 1 + w with any w: nothing may be, or only what does not change the sum. A value like softmax[u where u <= t] is
 * zero there, which is followed through tensors. Without time axis of its own, a tensor streams when it reads the last steps.
 */
#include "passes/times.h"

#include <math.h>

#include "passes/ranges.h"

enum { UNKNOWN = -2 };

typedef struct Search {
  Times *times;
  int64_t window;         /* 0: places after its own time are looked at; else places so many steps before it, or more */
  Ranges ranges;          /* with one index more than the program has */
  IndexId beyond;         /* that one: any number of steps */
  const Expr **tail;      /* by tensor: the constant it is at every one of these places; NULL: unknown */
  const Equation *equation;
  IndexId time;           /* of the equation, or NONE */
  bool *is_long;          /* by index, in the equation */
  bool changed;
} Search;

bool times_is_stream(const Times *times, Size size) { return size.symbol != NONE && size.symbol == times->stream; }

int times_axis_count(const Times *times, TensorId tensor) {
  const Tensor *t = &times->program->tensors[tensor];
  int count = 0;
  for (int n = 0; n < t->rank; n++) count += times_is_stream(times, t->shape[n]);
  return count;
}

IndexId times_index(const Times *times, const Equation *equation) {
  int axis = times->axis[equation->target];
  return axis == NONE ? NONE : equation->indices[axis];
}

static bool runs_over_stream(const Times *times, IndexId id) {
  const Index *index = &times->program->indices[id];
  return size_is(index->low, 0) && times_is_stream(times, index->high) && index->high.constant == 0;
}

bool *times_long_indices(const Times *times, const Equation *equation) {
  const Program *program = times->program;
  bool *is_long = ARENA_ARRAY(program->arena, bool, program->index_count);
  int axis = times->axis[equation->target];
  if (axis == NONE) return is_long;
  for (int n = 0; n < program->tensors[equation->target].rank; n++)
    if (n != axis && times_is_stream(times, program->tensors[equation->target].shape[n])) is_long[equation->indices[n]] = true;
  for (int n = 0; n < equation->reduce_count; n++)
    if (runs_over_stream(times, equation->reduce_indices[n])) is_long[equation->reduce_indices[n]] = true;
  return is_long;
}

/* ---- the axis that is time ------------------------------------------------------------------------------------------ */

static void note_time(void *context, const Expr *expr) {
  Search *search = context;
  Times *times = search->times;
  if (expr->op != OP_READ || times->axis[expr->id] != UNKNOWN) return;
  const Tensor *tensor = &times->program->tensors[expr->id];
  for (int n = 0; n < tensor->rank; n++) {
    bool is_own = times_is_stream(times, tensor->shape[n]) && expr->args[n]->op == OP_INDEX && expr->args[n]->id == search->time;
    if (!is_own) continue;
    times->axis[expr->id] = n;
    search->changed = true;
    return;
  }
}

static void spread_axes(Search *search) {
  const Program *program = search->times->program;
  do {
    search->changed = false;
    for (int n = program->equation_count - 1; n >= 0; n--) {
      if (search->times->axis[program->equations[n].target] < 0) continue;
      search->time = times_index(search->times, &program->equations[n]);
      equation_visit(&program->equations[n], note_time, search);
    }
  } while (search->changed);
}

/* The readers decide; what none of them decides has its first axis over the stream as time. */
static void find_axes(Search *search) {
  Times *times = search->times;
  const Program *program = times->program;
  for (TensorId n = 0; n < program->tensor_count; n++) {
    times->axis[n] = NONE;
    for (int k = 0; k < program->tensors[n].rank; k++)
      if (times_is_stream(times, program->tensors[n].shape[k])) times->axis[n] = times->axis[n] == NONE ? k : UNKNOWN;
  }
  spread_axes(search);
  for (TensorId n = program->tensor_count - 1; n >= 0; n--) {
    if (times->axis[n] != UNKNOWN) continue;
    int first = 0;
    while (!times_is_stream(times, program->tensors[n].shape[first])) first++;
    times->axis[n] = first;
    spread_axes(search);
  }
}

/* ---- places after its own time -------------------------------------------------------------------------------------- */

static void enter(Search *search, const Equation *equation) {
  search->equation = equation;
  search->time = times_index(search->times, equation);
  search->is_long = times_long_indices(search->times, equation);
}

static const Expr *tail_node(void *context, const Expr *expr) {
  Search *search = context;
  Arena *arena = search->times->program->arena;
  if (expr->op == OP_ADD || expr->op == OP_SUB) { /* an infinite score stays one */
    for (int n = 0; n < expr->arg_count; n++)
      if (expr_is_number(expr->args[n], -INFINITY) && (n == 0 || expr->op == OP_ADD)) return expr->args[n];
  }
  if (expr->op != OP_READ || !search->tail[expr->id]) return expr;
  int axis = search->times->axis[expr->id];
  const Tensor *tensor = &search->times->program->tensors[expr->id];
  for (int n = 0; n < tensor->rank; n++) {
    if (n == axis || !times_is_stream(search->times, tensor->shape[n])) continue;
    const Expr *lead = expr_binary(arena, OP_SUB, expr->args[n], expr->args[axis]);
    bool is_there = search->window ? ranges_prove_at_least(&search->ranges, expr_unary(arena, OP_NEG, lead), search->window)
                                   : ranges_prove_at_least(&search->ranges, lead, 1);
    if (is_there) return search->tail[expr->id];
  }
  return expr;
}

/* The expression for index = time + 1 + any number of steps, or time - window - any number. */
static const Expr *beyond_time(Search *search, IndexId index, const Expr *expr) {
  if (!expr) return NULL;
  Arena *arena = search->times->program->arena;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, search->beyond);
  const Expr *first = expr_binary(arena, OP_ADD, expr_index(arena, search->time), expr_integer(arena, search->window ? -search->window : 1));
  by[index] = expr_binary(arena, search->window ? OP_SUB : OP_ADD, first, expr_index(arena, search->beyond));
  expr = ranges_simplify(&search->ranges, expr_substitute(arena, expr, search->beyond, by));
  return expr_rewrite(arena, expr, tail_node, search);
}

static bool adds_nothing(ReduceOp op, const Expr *body) {
  switch (op) {
  case REDUCE_SUM: return expr_is_number(body, 0) || expr_is_integer(body, 0);
  case REDUCE_MAX:
  case REDUCE_ARGMAX: return expr_is_number(body, -INFINITY);
  case REDUCE_MIN: return expr_is_number(body, INFINITY);
  case REDUCE_PRODUCT: return expr_is_number(body, 1) || expr_is_integer(body, 1);
  default: return false;
  }
}

/* Nothing of the reduction comes from steps after the equation's own. */
static bool ends_at_time(Search *search, IndexId index) {
  const Expr *guard = beyond_time(search, index, search->equation->guard);
  if (guard && expr_is_boolean(guard, false)) return true;
  return adds_nothing(search->equation->reduce, beyond_time(search, index, search->equation->body));
}

static const Expr *tail_of_equation(Search *search) {
  const Equation *equation = search->equation;
  const Program *program = search->times->program;
  const Expr *tail = NULL;
  for (int n = 0; n < program->tensors[equation->target].rank; n++) {
    IndexId index = equation->indices[n];
    if (!search->is_long[index]) continue;
    const Expr *value = beyond_time(search, index, equation->value);
    if (equation->reduce != REDUCE_NONE) {
      const Expr *guard = beyond_time(search, index, equation->guard);
      bool is_empty = (guard && expr_is_boolean(guard, false)) || adds_nothing(equation->reduce, beyond_time(search, index, equation->body));
      if (equation->reduce != REDUCE_SUM || !is_empty) return NULL;
      if (!value) value = expr_number(program->arena, 0);
    }
    if (value->op != OP_NUMBER || (tail && !expr_equal(tail, value))) return NULL;
    tail = value;
  }
  return tail;
}

static void find_tails(Search *search) {
  const Program *program = search->times->program;
  do {
    search->changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      TensorId target = program->equations[n].target;
      if (search->tail[target] || times_axis_count(search->times, target) < 2) continue;
      enter(search, &program->equations[n]);
      search->tail[target] = tail_of_equation(search);
      search->changed |= search->tail[target] != NULL;
    }
  } while (search->changed);
}

/* ---- one read ------------------------------------------------------------------------------------------------------- */

static void refuse(Search *search, SourceRange where, const char *reason) {
  Times *times = search->times;
  TensorId target = search->equation->target;
  if (times->reason[target]) return;
  times->reason[target] = reason;
  times->where[target] = where.file ? where : search->equation->source;
  search->changed = true;
}

static const char *tensor_name(const Search *search, TensorId tensor) { return search->times->program->tensors[tensor].name; }
static const char *target_name(const Search *search) { return tensor_name(search, search->equation->target); }

/* The only index over all steps so far in the sum, NONE: there is none, UNKNOWN: several. */
static IndexId long_index_of(const Search *search, const Affine *affine) {
  IndexId found = NONE;
  for (int n = 0; n < affine->term_count; n++) {
    if (affine->terms[n].is_symbol || affine->terms[n].id >= search->beyond || !search->is_long[affine->terms[n].id]) continue;
    if (found != NONE) return UNKNOWN;
    found = affine->terms[n].id;
  }
  return found;
}

/* Not after the equation's time, for each index over steps that is not: time = index + any number of steps. */
static bool is_past(const Search *search, const Expr *place, IndexId index) {
  Arena *arena = search->times->program->arena;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, search->beyond);
  const Expr *time = expr_index(arena, search->time);
  if (index != NONE) by[search->time] = expr_binary(arena, OP_ADD, expr_index(arena, index), expr_index(arena, search->beyond));
  const Expr *lag = expr_substitute(arena, expr_binary(arena, OP_SUB, time, place), search->beyond, by);
  return index != UNKNOWN && ranges_prove_at_least(&search->ranges, lag, 0);
}

bool times_outside(const Times *times, const Expr *read, const Expr **out_value) {
  const Expr *outside = read->outside;
  *out_value = outside;
  if (!outside || outside->op == OP_NUMBER || outside->op == OP_INTEGER || outside->op == OP_BOOLEAN) return true;
  const Equation *boundary = outside->op == OP_READ ? program_definition(times->program, outside->id) : NULL;
  const Expr *value = boundary && boundary->reduce == REDUCE_NONE ? boundary->value : NULL;
  *out_value = value;
  return value && (value->op == OP_NUMBER || value->op == OP_INTEGER || value->op == OP_BOOLEAN);
}

/* A read with an index over the stream, from an equation with a time of its own. True when that settles it. */
static bool check_own_time(Search *search, const Expr *read, int axis, const Affine *affine) {
  Arena *arena = search->times->program->arena;
  bool is_time = axis == search->times->axis[read->id];
  IndexId index = long_index_of(search, affine);
  const char *name = tensor_name(search, read->id);
  const Expr *ignored;
  if (is_time && index == NONE) {
    if (affine_coefficient(affine, false, search->time) != 1) return false;
    if (!is_past(search, read->args[axis], NONE))
      refuse(search, read->source, arena_format(arena, "'%s' looks ahead: it reads '%s' at a later step", target_name(search), name));
  } else if (index == NONE && affine_coefficient(affine, false, search->time) != 1) {
    return false;
  } else if (!is_past(search, read->args[axis], index)) {
    refuse(search, read->source, arena_format(arena, "'%s' looks ahead: it reads '%s' at other steps than its own", target_name(search), name));
  } else if (!times_outside(search->times, read, &ignored)) {
    refuse(search, read->source, arena_format(arena, "'%s' reads '%s' at all steps so far and before the first, where it is no constant",
                                              target_name(search), name));
  }
  return true;
}

/* The read of a tensor along an axis over the stream. */
static void check_axis(Search *search, const Expr *read, int axis) {
  Times *times = search->times;
  Arena *arena = times->program->arena;
  Affine affine;
  const char *name = tensor_name(search, read->id);
  if (!expr_affine(read->args[axis], &affine)) {
    refuse(search, read->source, arena_format(arena, "'%s' is read at a step that is computed", name));
    return;
  }
  bool from_end = affine_coefficient(&affine, true, times->stream) == 1;
  if (search->time != NONE && !from_end && check_own_time(search, read, axis, &affine)) return;
  bool is_last = from_end && (affine.term_count == 1 || search->time == NONE) && affine.constant <= -1;
  TensorId target = search->equation->target;
  if (is_last && search->time == NONE) {
    if (!times->is_final[target]) times->is_final[target] = search->changed = true;
  } else if (search->time == NONE && !from_end) {
    refuse(search, read->source, arena_format(arena, "'%s' needs the whole length: it reads '%s' at every step", target_name(search), name));
  } else if (affine.term_count == 0) {
    refuse(search, read->source, arena_format(arena, "'%s' is read at a fixed step", name));
  } else {
    refuse(search, read->source, arena_format(arena, "'%s' looks ahead: it reads '%s' at other steps than its own", target_name(search), name));
  }
}

/* What has a place for each step so far is there at its own step only. */
static void check_row(Search *search, const Expr *read) {
  if (search->time == NONE || times_axis_count(search->times, read->id) < 2) return;
  const Expr *place = read->args[search->times->axis[read->id]];
  if (place->op == OP_INDEX && place->id == search->time) return;
  refuse(search, read->source, arena_format(search->times->program->arena, "'%s' has a value for each step so far, and '%s' reads those of another step",
                                            tensor_name(search, read->id), target_name(search)));
}

/* The axis of a boundary of the stream that counts steps before the first: what is read there is carried along. */
static int carried_axis(const Search *search, TensorId tensor) {
  const Tensor *t = &search->times->program->tensors[tensor];
  bool is_before = t->boundary_of != NONE && !t->is_after;
  if (!is_before) return NONE;
  return times_is_stream(search->times, search->times->program->tensors[t->boundary_of].shape[t->boundary_axis]) ? 0 : NONE;
}

static void check_expr(Search *search, const Expr *expr) {
  if (!expr) return;
  Times *times = search->times;
  Arena *arena = times->program->arena;
  const Tensor *tensor = expr->op == OP_READ ? &times->program->tensors[expr->id] : NULL;
  if (expr->op == OP_SYMBOL && expr->id == times->stream)
    refuse(search, expr->source, arena_format(arena, "'%s' depends on the length of the whole sequence", target_name(search)));
  int carried = tensor ? carried_axis(search, expr->id) : NONE;
  for (int n = 0; n < expr->arg_count; n++)
    if (n != carried && !(tensor && times_is_stream(times, tensor->shape[n]))) check_expr(search, expr->args[n]);
  check_expr(search, expr->outside);
  if (!tensor) return;
  if (times->reason[expr->id]) refuse(search, times->where[expr->id], times->reason[expr->id]);
  for (int n = 0; n < tensor->rank; n++)
    if (times_is_stream(times, tensor->shape[n])) check_axis(search, expr, n);
  check_row(search, expr);
  if (!times->is_final[expr->id]) return;
  TensorId target = search->equation->target;
  if (search->time != NONE)
    refuse(search, expr->source, arena_format(arena, "'%s' looks ahead: it reads '%s', a value of the last step", target_name(search),
                                              tensor_name(search, expr->id)));
  else if (!times->is_final[target])
    times->is_final[target] = search->changed = true;
}

/* ---- one equation --------------------------------------------------------------------------------------------------- */

typedef struct ReadSearch {
  IndexId index;
  const Expr *found; /* the first read with it */
} ReadSearch;

static void find_read(void *context, const Expr *expr) {
  ReadSearch *search = context;
  if (expr->op == OP_READ && !search->found && expr_uses_index(expr, search->index)) search->found = expr;
}

/* A reduction over the stream that takes something from later steps, or has no time to end at. */
static void check_reduction(Search *search, IndexId index) {
  const Program *program = search->times->program;
  if (!times_is_stream(search->times, program->indices[index].high) && !times_is_stream(search->times, program->indices[index].low)) return;
  if (search->time != NONE && search->is_long[index] && ends_at_time(search, index)) return;
  ReadSearch reads = {.index = index};
  equation_visit(search->equation, find_read, &reads);
  const char *target = target_name(search);
  if (!reads.found)
    refuse(search, search->equation->source, arena_format(program->arena, "'%s' depends on the length of the whole sequence", target));
  else if (search->time == NONE)
    refuse(search, reads.found->source, arena_format(program->arena, "'%s' needs the whole length: it reads '%s' at every step", target,
                                                     tensor_name(search, reads.found->id)));
  else
    refuse(search, reads.found->source, arena_format(program->arena, "'%s' looks ahead: it reads '%s' at other steps than its own", target,
                                                     tensor_name(search, reads.found->id)));
}

static void note_grown(void *context, const Expr *expr) {
  Search *search = context;
  Times *times = search->times;
  if (expr->op != OP_READ || times->axis[expr->id] == NONE) return;
  Affine affine;
  if (!expr_affine(expr->args[times->axis[expr->id]], &affine)) return;
  if (long_index_of(search, &affine) != NONE) times->is_grown[expr->id] = true;
}

static Search search_create(Times *times) {
  const Program *program = times->program;
  Arena *arena = program->arena;
  Search search = {.times = times, .beyond = program->index_count, .tail = ARENA_ARRAY(arena, const Expr *, program->tensor_count)};
  Index *indices = ARENA_ARRAY(arena, Index, program->index_count + 1);
  for (int n = 0; n < program->index_count; n++) indices[n] = program->indices[n];
  indices[search.beyond] = (Index){.name = "beyond", .low = size_constant(0), .high = {times->stream, 0}};
  search.ranges = (Ranges){arena, program->symbols, indices};
  return search;
}

Times *times_find(Program *program) {
  Arena *arena = program->arena;
  Times *times = ARENA_NEW(arena, Times);
  *times = (Times){.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  times->axis = ARENA_ARRAY(arena, int, program->tensor_count);
  times->reason = ARENA_ARRAY(arena, const char *, program->tensor_count);
  times->where = ARENA_ARRAY(arena, SourceRange, program->tensor_count);
  times->is_final = ARENA_ARRAY(arena, bool, program->tensor_count);
  times->is_grown = ARENA_ARRAY(arena, bool, program->tensor_count);
  Search search = search_create(times);
  find_axes(&search);
  if (times->stream == NONE) return times;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port_is_result(port->kind) || times_axis_count(times, port->tensor) < 2) continue;
    times->reason[port->tensor] = arena_format(arena, "'%s' has the steps along several axes", port->name);
    times->where[port->tensor] = port->source;
  }
  find_tails(&search);
  do {
    search.changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      enter(&search, &program->equations[n]);
      check_expr(&search, search.equation->value);
      check_expr(&search, search.equation->guard);
      check_expr(&search, search.equation->body);
      for (int r = 0; r < search.equation->reduce_count; r++) check_reduction(&search, search.equation->reduce_indices[r]);
    }
  } while (search.changed);
  for (int n = 0; n < program->equation_count; n++) {
    enter(&search, &program->equations[n]);
    if (search.time != NONE && !times->reason[search.equation->target]) equation_visit(search.equation, note_grown, &search);
  }
  return times;
}

/* ---- windows -------------------------------------------------------------------------------------------------------- */

bool *times_window_reductions(const Times *times, int64_t window, int most) {
  const Program *program = times->program;
  Search search = search_create((Times *)(uintptr_t)times);
  bool *ends = ARENA_ARRAY(program->arena, bool, program->equation_count * most);
  search.window = window;
  find_tails(&search);
  for (int n = 0; n < program->equation_count; n++) {
    enter(&search, &program->equations[n]);
    if (search.time == NONE || times->reason[search.equation->target]) continue;
    for (int r = 0; r < search.equation->reduce_count && r < most; r++) {
      IndexId index = search.equation->reduce_indices[r];
      ends[n * most + r] = search.is_long[index] && ends_at_time(&search, index);
    }
  }
  return ends;
}
