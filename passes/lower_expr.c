/* lower_expr.c - reads become loads, with guards where they could lie outside. */
#include "passes/lower.h"

Ranges lowering_ranges(const Lowering *lowering) {
  return (Ranges){lowering->arena, lowering->kernel->symbols, lowering->kernel->indices};
}

const Expr *integer(const Lowering *lowering, int64_t value) { return expr_integer(lowering->arena, value); }

const Expr *extent_of(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  return expr_binary(lowering->arena, OP_SUB, size_expr(lowering->arena, range->high), size_expr(lowering->arena, range->low));
}

const Expr *ceil_quotient(const Lowering *lowering, const Expr *a, int64_t b) {
  if (b == 1) return a;
  return expr_binary(lowering->arena, OP_QUOTIENT, expr_binary(lowering->arena, OP_ADD, a, integer(lowering, b - 1)), integer(lowering, b));
}

static const Expr *forwarded_value(const Lowering *lowering, const Expr *read) {
  const Group *group = &lowering->group;
  for (int n = 0; n < group->forwarded_count; n++) {
    const Forwarded *forwarded = &group->forwarded[n];
    if (forwarded->tensor != read->id) continue;
    bool is_same = true;
    for (int k = 0; k < read->arg_count && is_same; k++) is_same = expr_equal(read->args[k], forwarded->indices[k]);
    if (is_same) return expr_local(lowering->arena, read->type, forwarded->local);
  }
  return NULL;
}

/* Lowered nodes by (node, guard), as shared parts of an expression must stay shared. */
typedef struct Entry {
  const Expr *expr, *guard, *result;
} Entry;

typedef struct LowerWalk {
  Lowering *lowering;
  bool uses_group;
  Entry *entries;
  unsigned size, count;
} LowerWalk;

static const Expr *lower_node(LowerWalk *walk, const Expr *expr, const Expr *guard);

static unsigned entry_slot(const LowerWalk *walk, const Expr *expr, const Expr *guard) {
  unsigned slot = (unsigned)(((uintptr_t)expr >> 4) * 2654435761u ^ ((uintptr_t)guard >> 4) * 40503u) & (walk->size - 1);
  while (walk->entries[slot].expr && (walk->entries[slot].expr != expr || walk->entries[slot].guard != guard))
    slot = (slot + 1) & (walk->size - 1);
  return slot;
}

static void remember(LowerWalk *walk, const Expr *expr, const Expr *guard, const Expr *result) {
  if (walk->count * 2 >= walk->size) {
    Entry *old = walk->entries;
    unsigned old_size = walk->size;
    walk->size = old_size ? old_size * 2 : 64;
    walk->entries = ARENA_ARRAY(walk->lowering->arena, Entry, walk->size);
    for (unsigned n = 0; n < old_size; n++)
      if (old[n].expr) walk->entries[entry_slot(walk, old[n].expr, old[n].guard)] = old[n];
  }
  walk->entries[entry_slot(walk, expr, guard)] = (Entry){expr, guard, result};
  walk->count++;
}

static const Expr *lower_read(LowerWalk *walk, const Expr *expr, const Expr *guard) {
  Lowering *lowering = walk->lowering;
  Arena *arena = lowering->arena;
  if (walk->uses_group && !expr->outside) {
    const Expr *forwarded = forwarded_value(lowering, expr);
    if (forwarded) return forwarded;
  }
  Ranges ranges = lowering_ranges(lowering);
  const Tensor *tensor = &lowering->program->tensors[expr->id];
  bool is_halo = is_halo_read(lowering, expr);
  const Expr *inside = is_halo ? halo_inside(lowering, expr) : ranges_inside(&ranges, tensor, expr);
  const Expr *access = conjunction(arena, guard, inside);
  if (!inside) access = NULL; /* in range whatever the guard says */
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  for (int n = 0; n < expr->arg_count; n++) indices[n] = halo_index(lowering, expr->id, n, lower_node(walk, expr->args[n], access));
  BufferId buffer = buffer_of(lowering, expr->id);
  if (lowering->kernel->buffers[buffer].home == HOME_STATE || lowering->kernel->buffers[buffer].home == HOME_COTANGENT)
    access = conjunction(arena, access, expr_given(arena, buffer)); /* a missing one is zero */
  if (access) access = lower_node(walk, access, NULL);
  const Expr *load = expr_load(arena, expr->type, buffer, expr->arg_count, indices, access);
  load = expr_with_source(arena, load, expr->source);
  if (!expr->outside || !inside || is_halo) return load;
  const Expr *is_outside = ranges_simplify(&ranges, expr_unary(arena, OP_NOT, inside));
  const Expr *otherwise = lower_node(walk, expr->outside, conjunction(arena, guard, is_outside));
  return expr_select(arena, lower_node(walk, inside, NULL), load, otherwise);
}

static const Expr *lower_node(LowerWalk *walk, const Expr *expr, const Expr *guard) {
  if (expr->arg_count == 0 && expr->op != OP_READ) return expr;
  if (walk->size) {
    const Entry *entry = &walk->entries[entry_slot(walk, expr, guard)];
    if (entry->expr) return entry->result;
  }
  Arena *arena = walk->lowering->arena;
  const Expr *result;
  if (expr->op == OP_READ) {
    result = lower_read(walk, expr, guard);
  } else if (expr->op == OP_LOAD) {
    result = expr;
  } else if (expr->op == OP_SELECT) {
    const Expr *no = expr_unary(arena, OP_NOT, expr->args[0]);
    Ranges ranges = lowering_ranges(walk->lowering);
    const Expr *yes_guard = conjunction(arena, guard, expr->args[0]);
    const Expr *no_guard = conjunction(arena, guard, ranges_simplify(&ranges, no));
    result = expr_select(arena, lower_node(walk, expr->args[0], guard), lower_node(walk, expr->args[1], yes_guard),
                         lower_node(walk, expr->args[2], no_guard));
  } else {
    const Expr **args = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
    for (int n = 0; n < expr->arg_count; n++) args[n] = lower_node(walk, expr->args[n], guard);
    if (expr->op == OP_STOP_GRADIENT)
      result = args[0];
    else
      result = expr_with_source(arena, expr_make(arena, expr->op, expr->arg_count, args), expr->source);
  }
  remember(walk, expr, guard, result);
  return result;
}

const Expr *lower_expr(Lowering *lowering, const Expr *expr, const Expr *guard, bool uses_group) {
  if (!expr) return NULL;
  LowerWalk walk = {.lowering = lowering, .uses_group = uses_group};
  return lower_node(&walk, expr, guard);
}

typedef struct GatherSearch {
  Lowering *lowering;
  IndexId index;
  int count;
} GatherSearch;

static void count_gather(void *context, const Expr *expr) {
  GatherSearch *search = context;
  if (expr->op != OP_READ) return;
  BufferId buffer = buffer_of(search->lowering, expr->id);
  int innermost = innermost_axis(search->lowering, buffer);
  for (int n = 0; n < expr->arg_count; n++) {
    if (!expr_uses_index(expr->args[n], search->index) || search->lowering->kernel->buffers[buffer].is_folded[n]) continue;
    Affine affine;
    bool is_affine = expr_affine(expr->args[n], &affine);
    if (n != innermost || !is_affine || affine_coefficient(&affine, false, search->index) != 1) search->count++;
  }
}

int gather_count(Lowering *lowering, const Expr *expr, IndexId index) {
  GatherSearch search = {lowering, index, 0};
  expr_visit(expr, count_gather, &search);
  return search.count;
}

const Expr **unit_indices(Lowering *lowering, const Unit *unit) {
  const Expr **indices = ARENA_ARRAY(lowering->arena, const Expr *, unit->rank);
  for (int n = 0; n < unit->rank; n++) {
    indices[n] = unit->axes[n].bound ? unit->axes[n].bound : expr_index(lowering->arena, unit->axes[n].index);
    int first = lowering->first_rows[unit->target * MOST_AXES + n];
    if (first) indices[n] = expr_binary(lowering->arena, OP_ADD, expr_index(lowering->arena, first - 1), indices[n]);
  }
  return indices;
}

int free_axes(Lowering *lowering, const Unit *unit, int *out_axes) {
  BufferId id = buffer_of(lowering, unit->target);
  const Buffer *buffer = &lowering->kernel->buffers[id];
  int count = 0;
  for (int n = 0; n < unit->rank; n++)
    if (!unit->axes[buffer->order[n]].bound) out_axes[count++] = buffer->order[n];
  return count;
}

const Expr **store_indices(Lowering *lowering, const Unit *unit) {
  const Expr **indices = unit_indices(lowering, unit);
  for (int n = 0; n < unit->rank; n++) indices[n] = halo_index(lowering, unit->target, n, indices[n]);
  return indices;
}

/* ---- products of elements that go together ------------------------------------------------------------------------------ */

typedef struct Ordering {
  Arena *arena;
  IndexId element;
} Ordering;

static const Expr *multiply(Arena *arena, const Expr *product, const Expr *factor) {
  return product ? expr_binary(arena, OP_MUL, product, factor) : factor;
}

static void split_product(const Ordering *ordering, const Expr *expr, const Expr **common, const Expr **own) {
  if (expr->op == OP_MUL) {
    split_product(ordering, expr->args[0], common, own);
    split_product(ordering, expr->args[1], common, own);
    return;
  }
  const Expr **product = expr_uses_index(expr, ordering->element) ? own : common;
  *product = multiply(ordering->arena, *product, expr);
}

static const Expr *put_common_first(void *context, const Expr *expr) {
  const Ordering *ordering = context;
  if (expr->op != OP_MUL || expr->type != TYPE_REAL) return expr;
  const Expr *common = NULL, *own = NULL;
  split_product(ordering, expr, &common, &own);
  return common && own ? multiply(ordering->arena, common, own) : expr;
}

const Expr *with_common_first(Arena *arena, const Expr *expr, IndexId element) {
  return expr_rewrite(arena, expr, put_common_first, &(Ordering){arena, element});
}
