/* lower_reduce.c - every reduction that has no kernel of its own.
 *
 * Lanes run along the innermost axis of the target, or along the innermost index of the reduction, whichever needs
 * fewer gathers.
 */
#include "passes/lower.h"

enum { CHUNK = 64, FEW = 8, ROWS_ELEMENTS = 512, ROWS_TERMS = 8 };

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
  const Expr *room = op == OP_MIN ? expr_binary(lowering->arena, OP_SUB, whole, other)
                                  : expr_binary(lowering->arena, OP_SUB, other, whole);
  return ranges_prove_at_least(&ranges, room, 0) ? other : expr_binary(lowering->arena, op, whole, other);
}

Statement *reduction_of(Lowering *lowering, const Unit *unit, LocalId local, const IndexId *order, bool is_vector,
                        IndexId lanes) {
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

/* ---- several rows together ------------------------------------------------------------------------------------------- */

/* Whether what is summed lies in memory with the terms far apart and the rows of the target side by side. */
typedef struct RowsCheck {
  Lowering *lowering;
  const Unit *unit;
  IndexId row;
  bool fails, gains;
} RowsCheck;

static int outermost_place(const Buffer *buffer, const Expr *read, const Unit *unit, IndexId row) {
  for (int place = 0; place < buffer->rank; place++) {
    int axis = buffer->order[place];
    if (buffer->is_folded[axis]) continue;
    if (row != NONE && expr_uses_index(read->args[axis], row)) return place;
    for (int n = 0; row == NONE && n < unit->reduce_count; n++)
      if (expr_uses_index(read->args[axis], unit->reduce_indices[n])) return place;
  }
  return NONE;
}

static int innermost_term_place(const Buffer *buffer, const Expr *read, const Unit *unit) {
  int found = NONE;
  for (int place = 0; place < buffer->rank; place++)
    for (int n = 0; n < unit->reduce_count; n++)
      if (!buffer->is_folded[buffer->order[place]] && expr_uses_index(read->args[buffer->order[place]], unit->reduce_indices[n]))
        found = place;
  return found;
}

static void check_rows(void *context, const Expr *expr) {
  RowsCheck *check = context;
  if (expr->op != OP_READ) return;
  BufferId id = buffer_of(check->lowering, expr->id);
  const Buffer *buffer = &check->lowering->kernel->buffers[id];
  int rows = outermost_place(buffer, expr, check->unit, check->row), terms = innermost_term_place(buffer, expr, check->unit);
  if (rows == NONE || terms == NONE) return;
  if (terms < rows) check->gains = true;
  else check->fails = true;
}

static int64_t known_extent(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  return range->low.symbol == range->high.symbol ? range->high.constant - range->low.constant : 0;
}

static bool takes_rows_together(Lowering *lowering, const Unit *unit, int count, const IndexId *loops) {
  if (count < 2 || unit->equation->reduce != REDUCE_SUM || (unit->guard && !expr_is_boolean(unit->guard, true)) ||
      !unit->reduce_count || unit->body->type != TYPE_REAL)
    return false;
  int64_t elements = known_extent(lowering, loops[count - 1]);
  if (elements == 0 || elements > ROWS_ELEMENTS / 2 || known_extent(lowering, loops[count - 2]) == 1) return false;
  IndexId last = unit->reduce_indices[unit->reduce_count - 1];
  if (lowering->kernel->indices[last].high.symbol == NONE && known_extent(lowering, last) <= ROWS_TERMS) return false;
  RowsCheck check = {lowering, unit, loops[count - 2], false, false};
  expr_visit(unit->body, check_rows, &check);
  return check.gains && !check.fails;
}

typedef struct Rows {
  Kernel *kernel;
  IndexId row, lanes;
  const Expr *low, *high; /* of the rows */
} Rows;

static Statement *over_rows(const Rows *rows, Statement *body) {
  Arena *arena = rows->kernel->arena;
  const Index *range = &rows->kernel->indices[rows->lanes];
  Statement *lanes = statement_loop(rows->kernel, LOOP_VECTOR, rows->lanes, size_expr(arena, range->low),
                                    size_expr(arena, range->high), body);
  return statement_loop(rows->kernel, LOOP_SEQUENTIAL, rows->row, rows->low, rows->high, lanes);
}

/* One after the other each row would touch a line here and a line there. So the terms are gone through a few at a time, and in
 * each of these blocks all rows of an item, whose sums stay in the first cache. */
static Statement *rows_together(Lowering *lowering, const Unit *unit, int count, const IndexId *loops) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  BufferId buffer = buffer_of(lowering, unit->target);
  IndexId lanes = loops[count - 1], row = loops[count - 2], last = unit->reduce_indices[unit->reduce_count - 1];
  int64_t elements = known_extent(lowering, lanes);
  int64_t rows = (ROWS_ELEMENTS + elements - 1) / elements;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, count - 1, loops, rows, &low, &high, &innermost);
  Size shape[] = {size_constant(rows), size_constant(elements)};
  BufferId sums = kernel_add_buffer(kernel, arena_format(arena, "%s.sums", kernel->buffers[buffer].name), TYPE_REAL, 2, shape,
                                    HOME_WORKSPACE, 0);
  kernel->buffers[sums].is_private = true;
  const Expr *lanes_low = size_expr(arena, kernel->indices[lanes].low);
  const Expr *place[] = {expr_binary(arena, OP_SUB, expr_index(arena, row), low),
                         expr_binary(arena, OP_SUB, expr_index(arena, lanes), lanes_low)};
  const Expr *start = unit->value ? lower_expr(lowering, unit->value, NULL, false) : expr_number(arena, 0);
  const Expr *sum = expr_load(arena, TYPE_REAL, sums, 2, place, NULL);
  Rows over = {kernel, row, lanes, low, high};
  Statement *first = over_rows(&over, statement_store(kernel, sums, place, start));

  IndexId block = kernel_add_index(kernel, "block", size_constant(0), size_constant(1));
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, TYPE_REAL);
  Statement *reduce = statement_reduce(kernel, local, REDUCE_SUM, 1, &last, NULL, sum,
                                       lower_expr(lowering, unit->body, NULL, false), false);
  const Expr *from = size_expr(arena, kernel->indices[last].low),
             *offset = expr_binary(arena, OP_MUL, expr_index(arena, block), integer(lowering, ROWS_TERMS));
  reduce->low = expr_binary(arena, OP_ADD, from, offset);
  reduce->high = expr_binary(arena, OP_MIN, size_expr(arena, kernel->indices[last].high),
                             expr_binary(arena, OP_ADD, reduce->low, integer(lowering, ROWS_TERMS)));
  reduce->source = unit->equation->source;
  reduce->next = statement_store(kernel, sums, place, expr_local(arena, TYPE_REAL, local));
  Statement *work = statement_loop(kernel, LOOP_SEQUENTIAL, block, integer(lowering, 0),
                                   ceil_quotient(lowering, extent_of(lowering, last), ROWS_TERMS), over_rows(&over, reduce));
  for (int n = unit->reduce_count - 2; n >= 0; n--) {
    const Index *range = &kernel->indices[unit->reduce_indices[n]];
    work = statement_loop(kernel, LOOP_SEQUENTIAL, unit->reduce_indices[n], size_expr(arena, range->low),
                          size_expr(arena, range->high), work);
  }
  work->next = over_rows(&over, statement_store(kernel, buffer, store_indices(lowering, unit), sum));
  first->next = work;
  innermost->body = first;
  stage->source = unit->equation->source;
  return stage;
}

/* Lanes of a guard's index would wait for each other. */
static bool fits_lanes(Lowering *lowering, const Unit *unit, IndexId index) {
  return !is_small(lowering, index) && !gather_count(lowering, unit->body, index) && !(unit->guard && expr_uses_index(unit->guard, index));
}

/* Where the innermost axis is too short for lanes and those along a reduction would gather, as in the gradient of the weights of a
 * short convolution, another axis along which nothing is gathered becomes the innermost. What is stored is scattered then, once. */
static void choose_innermost(Lowering *lowering, const Unit *unit, int count, int *axes) {
  if (count < 2 || !unit->reduce_count || !is_small(lowering, unit->axes[axes[count - 1]].index)) return;
  for (int n = 0; n < unit->reduce_count; n++)
    if (fits_lanes(lowering, unit, unit->reduce_indices[n])) return;
  for (int n = count - 2; n >= 0; n--) {
    if (!fits_lanes(lowering, unit, unit->axes[axes[n]].index)) continue;
    int lanes = axes[n];
    for (; n + 1 < count; n++) axes[n] = axes[n + 1];
    axes[count - 1] = lanes;
    return;
  }
}

void lower_reduce(Lowering *lowering, Unit *unit) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  choose_innermost(lowering, unit, count, axes);
  IndexId *order = ARENA_ARRAY(arena, IndexId, unit->reduce_count);
  bool is_vector = choose_lanes(lowering, unit, count, axes, order);
  IndexId *loops = ARENA_ARRAY(arena, IndexId, count);
  for (int n = 0; n < count; n++) loops[n] = unit->axes[axes[n]].index;
  if (!is_vector && takes_rows_together(lowering, unit, count, loops)) {
    end_stage(lowering, lowering->block, rows_together(lowering, unit, count, loops), wanted_condition(lowering, unit->target));
    return;
  }
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
  else innermost->body = reduce;
  end_stage(lowering, lowering->block, stage, wanted_condition(lowering, unit->target));
}
