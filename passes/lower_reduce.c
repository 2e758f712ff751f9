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
    const Expr *low, *high;
    condition_bounds(lowering->arena, unit->guard, order[best], &low, &high);
    if ((low && expr_uses_index(low, inner)) || (high && expr_uses_index(high, inner))) score++; /* lanes that wait for others */
    if (score <= best_score) return false;
  }
  for (int n = best; n + 1 < unit->reduce_count; n++) order[n] = order[n + 1];
  order[unit->reduce_count - 1] = unit->reduce_indices[best];
  return true;
}

static const Expr *within(Lowering *lowering, Op op, Size bound, const Expr *other) {
  const Expr *whole = size_expr(lowering->arena, bound);
  if (!other) return whole;
  Ranges ranges = lowering_ranges(lowering);
  const Expr *room = op == OP_MIN ? expr_binary(lowering->arena, OP_SUB, whole, other) : expr_binary(lowering->arena, OP_SUB, other, whole);
  return ranges_prove_at_least(&ranges, room, 0) ? other : expr_binary(lowering->arena, op, whole, other);
}

Statement *reduction_of(Lowering *lowering, const Unit *unit, LocalId local, const IndexId *order, bool is_vector, IndexId lanes) {
  Arena *arena = lowering->arena;
  const Expr *guard = unit->guard, *low = NULL, *high = NULL;
  IndexId innermost = unit->reduce_count ? order[unit->reduce_count - 1] : NONE;
  if (innermost != NONE) guard = condition_bounds(arena, unit->guard, innermost, &low, &high);
  bool varies = lanes != NONE && ((low && expr_uses_index(low, lanes)) || (high && expr_uses_index(high, lanes)));
  if (varies) guard = unit->guard, low = high = NULL;
  Statement *reduce = statement_reduce(lowering->kernel, local, unit->equation->reduce, unit->reduce_count, order,
                                       lower_expr(lowering, guard, NULL, false), lower_expr(lowering, unit->value, NULL, false),
                                       lower_expr(lowering, unit->body, unit->guard, false), is_vector);
  if (low || high) {
    const Index *range = &lowering->kernel->indices[innermost];
    reduce->low = within(lowering, OP_MAX, range->low, low);
    reduce->high = within(lowering, OP_MIN, range->high, high);
  }
  reduce->source = unit->equation->source;
  return reduce;
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
  Statement *reduce = reduction_of(lowering, unit, local, order, is_vector, is_vector || !count ? NONE : loops[count - 1]);
  Statement *store = statement_store(kernel, buffer, store_indices(lowering, unit), expr_local(arena, type, local));
  reduce->next = store;
  if (count)
    innermost->body = statement_loop(kernel, is_vector ? LOOP_SEQUENTIAL : LOOP_VECTOR, loops[count - 1], low, high, reduce);
  else
    innermost->body = reduce;
  end_stage(lowering, lowering->block, stage, wanted_condition(lowering, unit->target));
}
