/* lower_reduce.c - every reduction that has no kernel of its own.
 *
 * Lanes run along the innermost axis of the target, or along the innermost index of the reduction, whichever needs
 * fewer gathers.
 */
#include "passes/lower.h"

enum { CHUNK = 64, FEW = 8 };

static bool is_small(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  return range->low.symbol == NONE && range->high.symbol == NONE && range->high.constant - range->low.constant < FEW;
}

bool choose_lanes(Lowering *lowering, const Unit *unit, int count, const int *axes, IndexId *order) {
  int best = NONE, best_score = 0;
  for (int n = 0; n < unit->reduce_count; n++) {
    order[n] = unit->reduce_indices[n];
    int score = gather_count(lowering, unit->body, order[n]) * 4 + (is_small(lowering, order[n]) ? 2 : 0);
    if (unit->guard) score += gather_count(lowering, unit->guard, order[n]) * 4;
    if (best == NONE || score <= best_score) {
      best = n;
      best_score = score;
    }
  }
  if (unit->equation->reduce == REDUCE_ARGMAX) return false;
  if (count > 0) {
    IndexId inner = unit->axes[axes[count - 1]].index;
    int score = gather_count(lowering, unit->body, inner) * 4 + (is_small(lowering, inner) ? 2 : 0);
    if (score <= best_score) return false;
  }
  for (int n = best; n + 1 < unit->reduce_count; n++) order[n] = order[n + 1];
  order[unit->reduce_count - 1] = unit->reduce_indices[best];
  return true;
}

void lower_reduce(Lowering *lowering, Unit *unit) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  IndexId *order = ARENA_ARRAY(arena, IndexId, unit->reduce_count);
  bool is_vector = choose_lanes(lowering, unit, count, axes, order);
  IndexId *loops = ARENA_ARRAY(arena, IndexId, count);
  for (int n = 0; n < count; n++) loops[n] = unit->axes[axes[n]].index;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, count, loops, CHUNK, &low, &high, &innermost);
  stage->source = unit->equation->source;
  BufferId buffer = buffer_of(lowering, unit->target);
  Type type = lowering->program->tensors[unit->target].type;
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, type);
  const Expr *guard = lower_expr(lowering, unit->guard, NULL, false);
  Statement *reduce = statement_reduce(kernel, local, unit->equation->reduce, unit->reduce_count, order, guard,
                                       lower_expr(lowering, unit->value, NULL, false), lower_expr(lowering, unit->body, unit->guard, false), is_vector);
  reduce->source = unit->equation->source;
  Statement *store = statement_store(kernel, buffer, store_indices(lowering, unit), expr_local(arena, type, local));
  reduce->next = store;
  if (count)
    innermost->body = statement_loop(kernel, is_vector ? LOOP_SEQUENTIAL : LOOP_VECTOR, loops[count - 1], low, high, reduce);
  else
    innermost->body = reduce;
  end_stage(lowering, lowering->block, stage, wanted_condition(lowering, unit->target));
}
