/* split_domain.c - cuts an equation where its conditions on an index change.
 *
 * Needs:  a unit with its bound indices replaced.
 * Leaves: calls for parts of it, each with conditions like `g == 1` or `j < H` decided.
 * Why:    derivatives of tensors that are read at fixed places, and outputs put together from pieces, are sums of cases;
 *         each case becomes a loop of its own without a test inside.
 */
#include "passes/lower.h"

enum { MOST_CUTS = 16 };

typedef struct Cuts {
  Lowering *lowering;
  IndexId index;
  int64_t low, high;
  int count;
  int64_t places[MOST_CUTS]; /* a part begins here */
  bool overflows;
} Cuts;

static void add_cut(Cuts *cuts, int64_t place) {
  if (place <= cuts->low || place >= cuts->high) return;
  int at = 0;
  while (at < cuts->count && cuts->places[at] < place) at++;
  if (at < cuts->count && cuts->places[at] == place) return;
  if (cuts->count == MOST_CUTS) {
    cuts->overflows = true;
    return;
  }
  memmove(&cuts->places[at + 1], &cuts->places[at], sizeof cuts->places[0] * (size_t)(cuts->count - at));
  cuts->places[at] = place;
  cuts->count++;
}

/* A comparison of the index alone (coefficient 1 or -1) with a constant changes at one or two places. */
static void find_cuts(void *context, const Expr *expr) {
  Cuts *cuts = context;
  if (expr->type != TYPE_BOOL || expr->arg_count != 2 || expr->args[0]->type != TYPE_INT) return;
  Affine affine;
  const Expr *difference = expr_binary(cuts->lowering->arena, OP_SUB, expr->args[0], expr->args[1]);
  if (!expr_affine(difference, &affine) || affine.term_count != 1) return;
  int64_t coefficient = affine_coefficient(&affine, false, cuts->index);
  if (coefficient != 1 && coefficient != -1) return;
  int64_t zero = -affine.constant * coefficient; /* the index at which both sides are equal */
  add_cut(cuts, zero);
  add_cut(cuts, zero + 1);
}

static const Expr *replace(const Lowering *lowering, const Expr *expr, IndexId index, const Expr *by) {
  if (!expr) return NULL;
  const Expr **replacements = ARENA_ARRAY(lowering->arena, const Expr *, index + 1);
  replacements[index] = by;
  Ranges ranges = lowering_ranges(lowering);
  return ranges_simplify(&ranges, expr_substitute(lowering->arena, expr, index + 1, replacements));
}

static Unit part_of(Lowering *lowering, const Unit *unit, int axis, int64_t low, int64_t high) {
  Unit part = *unit;
  part.axes = arena_copy(lowering->arena, unit->axes, sizeof *unit->axes * (size_t)unit->rank);
  IndexId old = unit->axes[axis].index;
  const Expr *by;
  if (high - low == 1) {
    by = integer(lowering, low);
    part.axes[axis].bound = by;
  } else {
    IndexId narrowed = kernel_add_index(lowering->kernel, lowering->kernel->indices[old].name, size_constant(low), size_constant(high));
    by = expr_index(lowering->arena, narrowed);
    part.axes[axis].index = narrowed;
  }
  part.value = replace(lowering, unit->value, old, by);
  part.guard = replace(lowering, unit->guard, old, by);
  part.body = replace(lowering, unit->body, old, by);
  return part;
}

static void split_axis(Lowering *lowering, Unit *unit, int axis, UnitEmit *emit) {
  while (axis < unit->rank && unit->axes[axis].bound) axis++;
  if (axis >= unit->rank) {
    emit(lowering, unit);
    return;
  }
  IndexId index = unit->axes[axis].index;
  Size low = lowering->kernel->indices[index].low, high = lowering->kernel->indices[index].high;
  Cuts cuts = {.lowering = lowering, .index = index, .low = low.constant, .high = high.constant};
  const Expr *parts[] = {unit->value, unit->guard, unit->body};
  bool is_constant = low.symbol == NONE && high.symbol == NONE;
  for (int n = 0; is_constant && n < 3; n++)
    if (parts[n]) expr_visit(parts[n], find_cuts, &cuts);
  if (!cuts.count || cuts.overflows) {
    split_axis(lowering, unit, axis + 1, emit);
    return;
  }
  for (int n = 0; n <= cuts.count; n++) {
    int64_t from = n == 0 ? cuts.low : cuts.places[n - 1], to = n == cuts.count ? cuts.high : cuts.places[n];
    Unit part = part_of(lowering, unit, axis, from, to);
    split_axis(lowering, &part, axis + 1, emit);
  }
}

void split_unit(Lowering *lowering, Unit *unit, UnitEmit *emit) { split_axis(lowering, unit, 0, emit); }
