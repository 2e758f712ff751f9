/* lower_map.c - groups of equations without reduction, fused.
 *
 * Equations that follow each other in the schedule and run over the same ranges share one loop nest; what one defines and the
 * next reads at the same place stays in a register. Where an equation reads another element of what the group
 * defines, the group ends. Results that the caller may not want have groups of their own, as all of them is left out.
 */
#include "passes/lower.h"

static bool same_range(const Kernel *kernel, IndexId a, IndexId b) {
  return size_equal(kernel->indices[a].low, kernel->indices[b].low) && size_equal(kernel->indices[a].high, kernel->indices[b].high);
}

static bool fits_ranges(const Lowering *lowering, const Unit *unit, int count, const int *axes) {
  const Group *group = &lowering->group;
  if (group->loop_count != count) return false;
  for (int n = 0; n < count; n++)
    if (!same_range(lowering->kernel, group->loops[n], unit->axes[axes[n]].index)) return false;
  return true;
}

/* Different elements whatever the loops of the group do: some axis differs by a constant and does not depend on them. */
static bool is_elsewhere(const Lowering *lowering, const Expr *read, const Forwarded *forwarded) {
  for (int n = 0; n < read->arg_count; n++) {
    Affine difference;
    const Expr *expr = expr_binary(lowering->arena, OP_SUB, read->args[n], forwarded->indices[n]);
    if (!expr_affine(expr, &difference) || difference.term_count || !difference.constant) continue;
    bool is_fixed = true;
    for (int k = 0; k < lowering->group.loop_count; k++) is_fixed &= !expr_uses_index(read->args[n], lowering->group.loops[k]);
    if (is_fixed) return true;
  }
  return false;
}

typedef struct Conflict {
  const Lowering *lowering;
  bool found;
} Conflict;

static void find_conflict(void *context, const Expr *expr) {
  Conflict *conflict = context;
  if (expr->op != OP_READ) return;
  const Group *group = &conflict->lowering->group;
  bool is_same = false, is_other = true;
  for (int n = 0; n < group->forwarded_count; n++) {
    const Forwarded *forwarded = &group->forwarded[n];
    if (forwarded->tensor != expr->id) continue;
    bool equal = !expr->outside;
    for (int k = 0; k < expr->arg_count && equal; k++) equal = expr_equal(expr->args[k], forwarded->indices[k]);
    is_same |= equal;
    is_other &= equal || is_elsewhere(conflict->lowering, expr, forwarded);
  }
  if (!is_same && !is_other) conflict->found = true;
}

static const Expr *rename_axes(Lowering *lowering, const Unit *unit, const Expr *expr, int count, const int *axes) {
  if (!expr) return NULL;
  const Expr **replacements = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  for (int n = 0; n < count; n++) replacements[unit->axes[axes[n]].index] = expr_index(lowering->arena, lowering->group.loops[n]);
  return expr_substitute(lowering->arena, expr, lowering->kernel->index_count, replacements);
}

/* A carry out of several slots may move slots of the carry in upwards in place, so one thread does them in order. */
static bool put_slots_inside(const Lowering *lowering, const Unit *unit, int count, int *axes) {
  const Buffer *buffer = &lowering->kernel->buffers[lowering->buffers[unit->target]];
  if (buffer->home != HOME_CARRY_OUT || unit->axes[0].bound || size_equal(buffer->shape[0], size_constant(1))) return false;
  int slots = 0;
  while (slots < count && axes[slots] != 0) slots++;
  for (int n = slots; n + 2 < count; n++) {
    axes[n] = axes[n + 1];
    axes[n + 1] = 0;
  }
  return true;
}

static int find_row_loop(const Lowering *lowering, int count, const int *axes) {
  for (int n = 0; n < count && lowering->banding; n++)
    if (axes[n] == band_rows_of_unit(lowering)) return n;
  return NONE;
}

static void open_group(Lowering *lowering, const Unit *unit, int count, const int *axes, const Expr *wanted) {
  Group *group = &lowering->group;
  *group = (Group){.is_open = true, .is_trial = group->is_trial, .has_failed = group->has_failed, .loop_count = count, .wanted = wanted, .source = unit->equation->source};
  group->row_loop = find_row_loop(lowering, count, axes);
  group->loops = ARENA_ARRAY(lowering->arena, IndexId, count);
  for (int n = 0; n < count; n++) {
    const Index *range = &lowering->kernel->indices[unit->axes[axes[n]].index];
    group->loops[n] = kernel_add_index(lowering->kernel, range->name, range->low, range->high);
  }
}

static void add_to_group(Lowering *lowering, const Unit *unit, const Expr *value, int count, const int *axes) {
  Group *group = &lowering->group;
  Kernel *kernel = lowering->kernel;
  BufferId buffer = buffer_of(lowering, unit->target);
  Type type = lowering->program->tensors[unit->target].type;
  const char *name = kernel->buffers[buffer].name;
  LocalId local = kernel_add_local(kernel, name, type);
  Statement *let = statement_let(kernel, local, lower_expr(lowering, value, NULL, true));
  let->source = unit->equation->source;
  block_append(&group->block, let);
  Forwarded forwarded = {.tensor = unit->target, .local = local, .value = value, .indices = ARENA_ARRAY(lowering->arena, const Expr *, unit->rank)};
  const Expr **indices = unit_indices(lowering, unit);
  for (int n = 0; n < unit->rank; n++) forwarded.indices[n] = rename_axes(lowering, unit, indices[n], count, axes);
  const Expr **places = ARENA_ARRAY(lowering->arena, const Expr *, unit->rank);
  for (int n = 0; n < unit->rank; n++) places[n] = halo_index(lowering, unit->target, n, forwarded.indices[n]);
  Statement *store = statement_store(kernel, buffer, places, expr_local(lowering->arena, type, local));
  store->source = unit->equation->source;
  block_append(&group->block, store);
  ARENA_PUSH(lowering->arena, group->forwarded, group->forwarded_count, forwarded);
}

static bool same_condition(const Expr *a, const Expr *b) { return a && b ? expr_equal(a, b) : a == b; }

void lower_map(Lowering *lowering, Unit *unit) {
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  bool is_ordered = put_slots_inside(lowering, unit, count, axes);
  const Expr *wanted = wanted_condition(lowering, unit->target);
  Group *group = &lowering->group;
  bool joins = group->is_open && group->is_ordered == is_ordered && group->row_loop == find_row_loop(lowering, count, axes) && same_condition(group->wanted, wanted) &&
               fits_ranges(lowering, unit, count, axes);
  if (joins) {
    Conflict conflict = {lowering, false};
    expr_visit(rename_axes(lowering, unit, unit->value, count, axes), find_conflict, &conflict);
    joins = !conflict.found;
  }
  if (!joins) {
    flush_group(lowering);
    open_group(lowering, unit, count, axes, wanted);
    group->is_ordered = is_ordered;
  }
  add_to_group(lowering, unit, rename_axes(lowering, unit, unit->value, count, axes), count, axes);
}

Statement *group_nest(Lowering *lowering) {
  Group *group = &lowering->group;
  IndexId *spread = arena_copy(lowering->arena, group->loops, sizeof *spread * (size_t)group->loop_count);
  int count = group->loop_count;
  IndexId slots = group->is_ordered && count > 1 ? group->loops[count - 2] : NONE;
  if (slots != NONE) {
    spread[count - 2] = spread[count - 1];
    count--;
  }
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, count, spread, group->is_ordered && slots == NONE ? 0 : MAP_CHUNK, &low, &high, &innermost);
  stage->source = group->source;
  innermost->body = group->block.first;
  if (count) innermost->body = statement_loop(lowering->kernel, LOOP_VECTOR, spread[count - 1], low, high, innermost->body);
  if (slots == NONE) return stage;
  const Index *range = &lowering->kernel->indices[slots];
  innermost->body = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, slots, size_expr(lowering->arena, range->low),
                                   size_expr(lowering->arena, range->high), innermost->body);
  return stage;
}

void flush_group(Lowering *lowering) {
  Group *group = &lowering->group;
  if (!group->is_open) return;
  group->is_open = false;
  if (group->is_trial) {
    group->has_failed = true;
    group->forwarded_count = 0;
    return;
  }
  if (lowering->banding)
    band_append_group(lowering);
  else if (!product_fuse_maps(lowering, group))
    end_stage(lowering, lowering->block, group_nest(lowering), group->wanted);
  group->forwarded_count = 0;
}
