/* reverse_readers.c - who reads the states and the adjoints of a recurrence back through time, and how: sums over whole axes, which become
 * results of it, and those that read one end of time alone.
 */
#include "passes/plan_reverse.h"

/* ---- where in time ----------------------------------------------------------------------------------------------------- */

static bool is_always(const Planning *planning, const Expr *index, const Expr *value) {
  Ranges ranges = program_ranges(planning->program);
  return ranges_prove_at_least(&ranges, expr_binary(planning->arena, OP_SUB, index, value), 0) &&
         ranges_prove_at_least(&ranges, expr_binary(planning->arena, OP_SUB, value, index), 0);
}

static void find_use(void *context, const Expr *expr) {
  ReverseUses *search = context;
  const Planning *planning = search->planning;
  if (expr->op != OP_READ) return;
  const Expr *time = NULL, *one = expr_integer(planning->arena, 1);
  Size extent = planning->reverse->extents[planning->reverse->time];
  if (planning->backward_of[expr->id] != NONE) {
    time = expr->args[planning->reverse->time];
    if (is_always(planning, time, expr_integer(planning->arena, 0))) search->reads_first = true;
    else search->reads_backward = true;
  } else if (planning->forward_of[expr->id] != NONE) {
    time = expr->args[planning->reverse->time];
    if (is_always(planning, time, expr_binary(planning->arena, OP_SUB, size_expr(planning->arena, extent), one))) search->reads_last = true;
    else search->reads_forward = true;
  }
}

ReverseUses reverse_uses_of(const Planning *planning, int equation) {
  ReverseUses search = {.planning = planning};
  equation_visit(&planning->program->equations[equation], find_use, &search);
  return search;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------------- */

typedef struct ReaderSearch {
  Planning *planning;
  Reader *reader;
  const Equation *equation;
  bool fails;
} ReaderSearch;

/* The indices at the places of the states' axes say over which axis each runs. */
static void find_axes(void *context, const Expr *expr) {
  ReaderSearch *search = context;
  const Planning *planning = search->planning;
  if (expr->op != OP_READ || (planning->backward_of[expr->id] == NONE && planning->forward_of[expr->id] == NONE)) return;
  for (int n = 0; n < planning->reverse->rank; n++) {
    Affine affine;
    if (!expr_affine(expr->args[n], &affine) || affine.term_count != 1 || affine.terms[0].is_symbol || affine.terms[0].coefficient != 1) {
      search->fails = true;
      return;
    }
    int *axis = &search->reader->axis_of[affine.terms[0].id];
    if (*axis != NONE && *axis != n) search->fails = true;
    *axis = n;
  }
}

static bool is_of_frame(const Planning *planning, IndexId index) {
  for (int n = 0; n < planning->reverse->rank; n++)
    if (planning->reverse->frame[n] == index) return true;
  return false;
}

static void check_indices(void *context, const Expr *expr) {
  ReaderSearch *search = context;
  if (expr->op == OP_INDEX && !is_of_frame(search->planning, expr->id)) search->fails = true;
}

typedef struct TieSearch {
  const Reader *reader;
  int axes; /* how many indices of the frame it uses */
  bool uses_quotient;
  int64_t group;
} TieSearch;

static void find_tie(void *context, const Expr *expr) {
  TieSearch *search = context;
  if (expr->op == OP_INDEX && search->reader->axis_of[expr->id] != NONE) search->axes++;
  if (expr->op != OP_QUOTIENT || expr->args[0]->op != OP_INDEX || expr->args[1]->op != OP_INTEGER) return;
  if (search->reader->axis_of[expr->args[0]->id] == NONE) return;
  search->uses_quotient = true;
  search->group = expr->args[1]->integer;
}

static bool split_guard(Planning *planning, Reader *reader, const Expr *guard) {
  int count;
  const Expr **parts = conjuncts(planning->arena, guard, &count);
  for (int n = 0; n < count; n++) {
    TieSearch search = {.reader = reader};
    if (!condition_is_on_indices(parts[n])) return false;
    expr_visit(parts[n], find_tie, &search);
    if (search.axes == 0) reader->rest = conjunction(planning->arena, reader->rest, parts[n]);
    else if (search.axes == 1 && search.uses_quotient && !reader->tied) reader->tied = parts[n], reader->group = search.group;
    else return false;
  }
  return true;
}

static bool fills_axis(const Planning *planning, IndexId index, int axis) {
  const Index *range = &planning->program->indices[index];
  return size_is(range->low, 0) && size_equal(range->high, planning->reverse->extents[axis]);
}

/* Every axis of the frame is one of the target, or summed over as a whole. */
static bool find_kept(const Planning *planning, const Equation *equation, Reader *reader) {
  bool is_there[MOST_AXES] = {false};
  int rank = planning->program->tensors[equation->target].rank;
  for (int n = 0; n < rank + equation->reduce_count; n++) {
    IndexId index = n < rank ? equation->indices[n] : equation->reduce_indices[n - rank];
    int axis = reader->axis_of[index];
    if (axis == NONE && n < rank) continue;
    if (axis == NONE || is_there[axis] || !fills_axis(planning, index, axis)) return false;
    is_there[axis] = true;
    if (n < rank) reader->keeps[axis] = true;
  }
  for (int axis = 0; axis < planning->reverse->rank; axis++)
    if (!is_there[axis]) return false;
  return true;
}

static bool is_inside(const Planning *planning, const ScheduleNode *loop) {
  const ScheduleNode *around = planning->at.parent;
  while (around && around != loop) {
    for (int n = 0; n < planning->loop_count; n++)
      if (planning->loops[n].loop == around) {
        around = planning->loops[n].place.parent;
        break;
      }
  }
  return around == loop;
}

static bool add_reader(Planning *planning, int number) {
  const Equation *equation = &planning->program->equations[number];
  Arena *arena = planning->arena;
  Reader reader = {.equation = number, .axis_of = ARENA_ARRAY(arena, int, planning->program->index_count)};
  for (int n = 0; n < planning->program->index_count; n++) reader.axis_of[n] = NONE;
  if (equation->reduce != REDUCE_SUM || !equation->body || planning->program->tensors[equation->target].type != TYPE_REAL) return false;
  ReaderSearch search = {planning, &reader, equation, false};
  expr_visit(equation->body, find_axes, &search);
  if (search.fails || !find_kept(planning, equation, &reader) || !split_guard(planning, &reader, equation->guard)) return false;
  if (!is_inside(planning, planning->places[number].parent)) return false;
  if (planning->places[number].parent != planning->at.parent && reader.keeps[planning->reverse->time]) return false;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, planning->program->index_count);
  for (int n = 0; n < planning->program->index_count; n++)
    if (reader.axis_of[n] != NONE) by[n] = frame_index(planning, reader.axis_of[n]);
  reader.body = reverse_tidy(arena, expr_substitute(arena, equation->body, planning->program->index_count, by));
  expr_visit(reader.body, check_indices, &search);
  expr_visit(reader.body, reverse_check_read, planning);
  reverse_find_initials(planning, reader.body);
  if (search.fails || planning->fails) return false;
  ARENA_PUSH(arena, planning->readers, planning->reader_count, reader);
  return true;
}

typedef struct ReadersOf {
  TensorId tensor;
  bool found;
} ReadersOf;

static void find_reader(void *context, const Expr *expr) {
  ReadersOf *search = context;
  if (expr->op == OP_READ && expr->id == search->tensor) search->found = true;
}

/* It can wait for the loop back: what reads it comes later. */
static bool can_wait(const Planning *planning, int number) {
  const Place *place = &planning->places[number];
  if (place->order > planning->at.order) return true;
  if (place->parent != planning->at.parent) return false;
  ReadersOf search = {planning->program->equations[number].target, false};
  for (int n = 0; n < planning->program->equation_count; n++) {
    search.found = false;
    equation_visit(&planning->program->equations[n], find_reader, &search);
    if (search.found && planning->places[n].order < planning->at.order) return false;
  }
  return true;
}

bool reverse_find_readers(Planning *planning) {
  const Reverse *reverse = planning->reverse;
  for (int n = 0; n < reverse->forward_count; n++) planning->is_forward_kept |= program_shows(planning->program, reverse->forward[n].tensor);
  int equations = planning->program->equation_count, *last = NULL, last_count = 0;
  for (int n = 0; n < equations; n++) {
    TensorId target = planning->program->equations[n].target;
    if (planning->backward_of[target] != NONE || planning->forward_of[target] != NONE) continue;
    ReverseUses uses = reverse_uses_of(planning, n);
    bool is_end = uses.reads_first && !uses.reads_backward && !uses.reads_forward;
    if (is_end) {
      ARENA_PUSH(planning->arena, planning->ends, planning->end_count, n);
    } else if (uses.reads_backward || uses.reads_first || (uses.reads_forward && can_wait(planning, n))) {
      bool is_early = planning->places[n].order < planning->at.order && !uses.reads_backward, fits = add_reader(planning, n);
      if (!fits && !is_early) return false;
      planning->is_forward_kept |= !fits;
      planning->fails = false;
    } else if (uses.reads_forward) {
      planning->is_forward_kept = true;
    }
    if (uses.reads_last && uses.reads_first) return false;
    if (uses.reads_last && !can_wait(planning, n)) planning->is_forward_kept = true;
    if (uses.reads_last && !uses.reads_forward && !uses.reads_backward) ARENA_PUSH(planning->arena, last, last_count, n);
  }
  for (int n = 0; n < last_count && !planning->is_forward_kept; n++) ARENA_PUSH(planning->arena, planning->ends, planning->end_count, last[n]);
  return planning->reader_count > 0;
}
