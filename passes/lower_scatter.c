/* lower_scatter.c - sums guarded by "this element is the one that was read".
 *
 * The adjoint of a gather E[token[t], d] is d.E[v, d] = sum over t where v == token[t]. Looping over v would visit all of t
 * for every row; instead the target is set to its start value, and every t adds to the row it names. Threads share
 * out the other axes, so each element is summed by one thread in the order of t.
 */
#include "passes/lower.h"

/* A conjunct `index == expression`, the index being a free axis that the expression does not use. */
static bool match_place(const Unit *unit, const Expr *condition, int *out_axis, const Expr **out_place) {
  if (condition->op != OP_EQ || condition->args[0]->type != TYPE_INT) return false;
  for (int side = 0; side < 2; side++) {
    const Expr *index = condition->args[side], *place = condition->args[1 - side];
    if (index->op != OP_INDEX) continue;
    for (int n = 0; n < unit->rank; n++) {
      if (unit->axes[n].bound || unit->axes[n].index != index->id || expr_uses_index(place, index->id)) continue;
      *out_axis = n;
      *out_place = place;
      return true;
    }
  }
  return false;
}

static Statement *initial_stage(Lowering *lowering, const Unit *unit, BufferId buffer) {
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  IndexId *loops = ARENA_ARRAY(lowering->arena, IndexId, count);
  for (int n = 0; n < count; n++) loops[n] = unit->axes[axes[n]].index;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, count, loops, 256, &low, &high, &innermost);
  const Expr *start = unit->value ? lower_expr(lowering, unit->value, NULL, false) : expr_number(lowering->arena, 0);
  Statement *store = statement_store(lowering->kernel, buffer, store_indices(lowering, unit), start);
  innermost->body = statement_loop(lowering->kernel, LOOP_VECTOR, loops[count - 1], low, high, store);
  return stage;
}

bool lower_scatter(Lowering *lowering, Unit *unit) {
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  if (unit->equation->reduce != REDUCE_SUM || !unit->guard) return false;
  int part_count, axis = NONE;
  const Expr **parts = conjuncts(arena, unit->guard, &part_count);
  const Expr *place = NULL, *rest = NULL;
  for (int n = 0; n < part_count; n++)
    if (place || !match_place(unit, parts[n], &axis, &place)) rest = conjunction(arena, rest, parts[n]);
  if (!place) return false;
  BufferId buffer = buffer_of(lowering, unit->target);
  const Expr *wanted = wanted_condition(lowering, unit->target);
  bool is_there = unit->value && unit->value->op == OP_READ && lowering->goes_on_in[unit->value->id] == unit->target;
  if (!is_there) end_stage(lowering, lowering->block, initial_stage(lowering, unit, buffer), wanted);
  const Expr **at_place = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  at_place[unit->axes[axis].index] = place;
  const Expr *body = expr_substitute(arena, unit->body, kernel->index_count, at_place);
  const Index *range = &kernel->indices[unit->axes[axis].index];
  const Expr *in_range = conjunction(arena, expr_binary(arena, OP_GE, place, size_expr(arena, range->low)),
                                     expr_binary(arena, OP_LT, place, size_expr(arena, range->high)));
  rest = rest ? expr_substitute(arena, rest, kernel->index_count, at_place) : NULL;
  /* the other free axes: the innermost in lanes, all of them shared out */
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes), kept = 0;
  IndexId *loops = ARENA_ARRAY(arena, IndexId, count);
  for (int n = 0; n < count; n++)
    if (axes[n] != axis) loops[kept++] = unit->axes[axes[n]].index;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, kept, loops, 16, &low, &high, &innermost);
  stage->source = unit->equation->source;
  const Expr **indices = store_indices(lowering, unit);
  indices[axis] = lower_expr(lowering, place, NULL, false);
  const Expr *now = expr_load(arena, TYPE_REAL, buffer, unit->rank, indices, NULL);
  Statement *work = statement_store(kernel, buffer, indices, expr_binary(arena, OP_ADD, now, lower_expr(lowering, body, rest, false)));
  bool lane_condition = rest && kept && expr_uses_index(rest, loops[kept - 1]);
  if (lane_condition) work->value = expr_binary(arena, OP_ADD, now, expr_select(arena, lower_expr(lowering, rest, NULL, false), lower_expr(lowering, body, rest, false), expr_number(arena, 0)));
  if (kept) work = statement_loop(kernel, LOOP_VECTOR, loops[kept - 1], low, high, work);
  const Expr *condition = conjunction(arena, in_range, lane_condition ? NULL : rest);
  work = statement_if(kernel, lower_expr(lowering, condition, NULL, false), work, NULL);
  for (int n = unit->reduce_count - 1; n >= 0; n--) {
    const Index *reduced = &kernel->indices[unit->reduce_indices[n]];
    work = statement_loop(kernel, LOOP_SEQUENTIAL, unit->reduce_indices[n], size_expr(arena, reduced->low), size_expr(arena, reduced->high), work);
  }
  innermost->body = work;
  end_stage(lowering, lowering->block, stage, wanted);
  return true;
}
