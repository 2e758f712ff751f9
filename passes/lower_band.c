/* lower_band.c - a band as one stage: a thread takes a block of rows through all of its equations.
 *
 * What is only read by the band is kept for one block, by every thread for itself. Of that no more columns are computed than some
 * row of the block needs (band_demand.c). Where an equation sums over the rows, one thread takes all blocks in order and adds the
 * part of each to the target, which begins with the equation's value. With few rows, a step of one sequence, sums of products are
 * plain reductions; that is decided at run time.
 */
#include "passes/band.h"

enum {
  FEWEST_ROWS = 4,  /* below it no tiles */
  ROW_ELEMENTS = 16 /* rows begin at cache lines */
};

const Equation *band_equation(const Lowering *lowering, int number) {
  return &lowering->program->equations[lowering->banding->band->equations[number]];
}

int band_number(const Lowering *lowering, TensorId target) {
  const Band *band = lowering->banding->band;
  int equation = lowering->program->definition[target];
  for (int n = 0; n < band->count && equation != NONE; n++)
    if (band->equations[n] == equation) return n;
  return NONE;
}

int band_row_axis(const Lowering *lowering, int number) {
  const Band *band = lowering->banding->band;
  return band->shared[number * MOST_AXES + band->shared_count - 1];
}

bool is_banded(const Lowering *lowering, TensorId tensor) { return lowering->band_rows[tensor] != 0; }

const Expr *band_index(const Lowering *lowering, TensorId tensor, int axis, const Expr *index) {
  if (lowering->band_rows[tensor] != axis + 1) return index;
  return expr_binary(lowering->arena, OP_SUB, index, lowering->banding->low);
}

int band_column_axis(const Lowering *lowering, TensorId tensor) { return innermost_axis(lowering, buffer_of((Lowering *)(uintptr_t)lowering, tensor)); }

void shape_band_buffer(Lowering *lowering, TensorId tensor, Buffer *buffer) {
  int rows = lowering->band_rows[tensor] - 1, columns = NONE, placed = 0;
  for (int n = 0; n < buffer->rank; n++)
    if (n != rows && !buffer->is_folded[n] && buffer->shape[n].symbol != NONE) columns = n;
  for (int n = 0; n < buffer->rank; n++)
    if (n != columns) buffer->order[placed++] = n;
  if (columns != NONE) buffer->order[placed] = columns;
  buffer->is_private = true;
  buffer->shape[rows] = size_constant(lowering->bands[lowering->band_of[lowering->program->definition[tensor]]].rows);
  if (columns == NONE) return;
  const Expr *lines = ceil_quotient(lowering, size_expr(lowering->arena, buffer->shape[columns]), ROW_ELEMENTS);
  const Expr *pitch = expr_binary(lowering->arena, OP_MUL, lines, integer(lowering, ROW_ELEMENTS));
  /* one line more, so that rows don't all begin in the same sets of a cache */
  pitch = expr_binary(lowering->arena, OP_ADD, pitch, integer(lowering, ROW_ELEMENTS));
  buffer->shape[columns] = derived_size(lowering, pitch, "pitch");
}

/* ---- columns --------------------------------------------------------------------------------------------------------- */

static const Expr *at_row(Lowering *lowering, const Expr *bound, const Expr *row) {
  const Expr **by = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  by[lowering->banding->row] = row;
  return expr_substitute(lowering->arena, bound, lowering->kernel->index_count, by);
}

static const Expr *cut(Lowering *lowering, Op op, Size whole, const Expr *bound) {
  const Expr *end = size_expr(lowering->arena, whole);
  return bound ? expr_binary(lowering->arena, op, end, bound) : end;
}

Columns band_block_columns(Lowering *lowering, Columns columns, IndexId column, const Expr *first_row, const Expr *last_row) {
  IndexId row = lowering->banding->row;
  const Index *range = &lowering->kernel->indices[column];
  Affine affine;
  bool low_falls = columns.low && expr_affine(columns.low, &affine) && affine_coefficient(&affine, false, row) < 0;
  bool high_falls = columns.high && expr_affine(columns.high, &affine) && affine_coefficient(&affine, false, row) < 0;
  if (columns.low) columns.low = at_row(lowering, columns.low, low_falls ? last_row : first_row);
  if (columns.high) columns.high = at_row(lowering, columns.high, high_falls ? first_row : last_row);
  return (Columns){cut(lowering, OP_MAX, range->low, columns.low), cut(lowering, OP_MIN, range->high, columns.high)};
}

static const Expr *last_row(Lowering *lowering) { return expr_binary(lowering->arena, OP_SUB, lowering->banding->high, integer(lowering, 1)); }

static Columns columns_of_unit(Lowering *lowering, const Unit *unit, IndexId column) {
  const Banding *banding = lowering->banding;
  Columns needed = {NULL, NULL};
  if (is_banded(lowering, unit->target)) needed = banding->needed[banding->number];
  return band_block_columns(lowering, needed, column, banding->low, last_row(lowering));
}

/* ---- one equation ---------------------------------------------------------------------------------------------------- */

void band_append(Lowering *lowering, const Unit *unit, Statement *statement) {
  BufferId buffer = buffer_of(lowering, unit->target);
  if (is_result_buffer(lowering, buffer)) statement = statement_if(lowering->kernel, expr_given(lowering->arena, buffer), statement, NULL);
  block_append(&lowering->banding->block, statement);
}

int band_rows_of_unit(const Lowering *lowering) { return band_row_axis(lowering, lowering->banding->number); }

/* Rows that are read again are computed with from the cache: meanwhile the next come from memory. */
static void look_ahead(const Lowering *lowering, Statement *loop, IndexId row) {
  const Band *band = lowering->banding->band;
  if (!band->is_of_rows || row == NONE || row == loop->index) return;
  loop->ahead_index = row;
  loop->ahead_by = band->rows;
}

static bool is_one_row(const Lowering *lowering) { return lowering->banding->band->rows == 1; }

void band_append_group(Lowering *lowering) {
  const Group *group = &lowering->group;
  Statement *body = group->block.first;
  for (int n = group->loop_count - 1; n >= 0; n--) {
    const Index *range = &lowering->kernel->indices[group->loops[n]];
    const Expr *low = size_expr(lowering->arena, range->low), *high = size_expr(lowering->arena, range->high);
    if (n == group->row_loop) low = lowering->banding->low, high = lowering->banding->high;
    bool is_vector = n == group->loop_count - 1 && !(n == group->row_loop && is_one_row(lowering));
    body = statement_loop(lowering->kernel, is_vector ? LOOP_VECTOR : LOOP_SEQUENTIAL, group->loops[n], low, high, body);
    if (body->loop_kind == LOOP_VECTOR) look_ahead(lowering, body, group->row_loop == NONE ? NONE : group->loops[group->row_loop]);
  }
  if (group->wanted) body = statement_if(lowering->kernel, group->wanted, body, NULL);
  block_append(&lowering->banding->block, body);
}

/* Loops over the first `count` axes that are free of the target, the rows outermost. */
static Statement *outer_loops(Lowering *lowering, const Unit *unit, int count, const int *axes, Statement *body) {
  const Banding *banding = lowering->banding;
  for (int n = count - 1; n >= 0; n--) {
    IndexId index = unit->axes[axes[n]].index;
    const Index *range = &lowering->kernel->indices[index];
    bool is_row = axes[n] == band_row_axis(lowering, banding->number);
    const Expr *low = is_row ? banding->low : size_expr(lowering->arena, range->low), *high = is_row ? banding->high : size_expr(lowering->arena, range->high);
    body = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, low, high, body);
  }
  return body;
}

/* Loops over what is free of the target, the rows outermost and the innermost of memory in lanes. */
static Statement *unit_loops(Lowering *lowering, const Unit *unit, int count, const int *axes, bool is_vector, Statement *body) {
  const Banding *banding = lowering->banding;
  if (!count) return body;
  IndexId index = unit->axes[axes[count - 1]].index, row = NONE;
  Columns columns = columns_of_unit(lowering, unit, index);
  if (band_row_axis(lowering, banding->number) != NONE) row = unit->axes[band_row_axis(lowering, banding->number)].index;
  if (index == row) columns = (Columns){banding->low, banding->high};
  is_vector &= index != row || !is_one_row(lowering);
  body = statement_loop(lowering->kernel, is_vector ? LOOP_VECTOR : LOOP_SEQUENTIAL, index, columns.low, columns.high, body);
  if (is_vector && unit->equation->reduce == REDUCE_NONE) look_ahead(lowering, body, row);
  return outer_loops(lowering, unit, count - 1, axes, body);
}

/* A sum over rows: target = target + the part of this block. */
static void emit_sum(Lowering *lowering, Unit *unit, IndexId rows) {
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes), placed = 0;
  IndexId *order = ARENA_ARRAY(arena, IndexId, unit->reduce_count);
  for (int n = 0; n < unit->reduce_count; n++)
    if (unit->reduce_indices[n] != rows) order[placed++] = unit->reduce_indices[n];
  order[placed] = rows;
  BufferId buffer = buffer_of(lowering, unit->target);
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, TYPE_REAL);
  const Expr **places = store_indices(lowering, unit);
  const Expr *so_far = expr_load(arena, TYPE_REAL, buffer, unit->rank, places, NULL);
  Statement *reduce = statement_reduce(kernel, local, REDUCE_SUM, unit->reduce_count, order, lower_expr(lowering, unit->guard, NULL, false), so_far,
                                       lower_expr(lowering, unit->body, unit->guard, false), false);
  reduce->low = lowering->banding->low; /* the rows are the innermost of the order */
  reduce->high = lowering->banding->high;
  reduce->source = unit->equation->source;
  reduce->next = statement_store(kernel, buffer, places, expr_local(arena, TYPE_REAL, local));
  band_append(lowering, unit, unit_loops(lowering, unit, count, axes, count > 0, reduce));
}

static Statement *store_of(Lowering *lowering, const Unit *unit, const Expr *value) {
  Kernel *kernel = lowering->kernel;
  BufferId buffer = buffer_of(lowering, unit->target);
  Type type = lowering->program->tensors[unit->target].type;
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, type);
  Statement *work = statement_let(kernel, local, lower_expr(lowering, value, NULL, false));
  work->next = statement_store(kernel, buffer, store_indices(lowering, unit), expr_local(lowering->arena, type, local));
  work->source = work->next->source = unit->equation->source;
  return work;
}

/* A map of a row that is zero outside of some columns: these are computed, and the others that are needed of it set to zero, without a test
 * for every column. False when it is none. */
static bool emit_columns(Lowering *lowering, const Unit *unit, int count, const int *axes) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  const Expr *value = unit->value;
  int rows = band_row_axis(lowering, lowering->banding->number);
  if (unit->equation->reduce != REDUCE_NONE || value->op != OP_SELECT || !expr_is_number(value->args[2], 0)) return false;
  if (count < 2 || axes[count - 1] == rows) return false;
  IndexId column = unit->axes[axes[count - 1]].index;
  Columns inside, all = columns_of_unit(lowering, unit, column);
  if (condition_bounds(arena, value->args[0], column, &inside.low, &inside.high)) return false;
  bool has_low = inside.low != NULL, has_high = inside.high != NULL;
  inside.low = has_low ? expr_binary(arena, OP_MIN, expr_binary(arena, OP_MAX, inside.low, all.low), all.high) : all.low;
  inside.high = has_high ? expr_binary(arena, OP_MIN, inside.high, all.high) : all.high;
  Statement *first = statement_loop(kernel, LOOP_VECTOR, column, inside.low, inside.high, store_of(lowering, unit, value->args[1])), *last = first;
  if (has_high) {
    const Expr *from = expr_binary(arena, OP_MAX, inside.high, inside.low);
    last = last->next = statement_loop(kernel, LOOP_VECTOR, column, from, all.high, store_of(lowering, unit, value->args[2]));
  }
  if (has_low) last->next = statement_loop(kernel, LOOP_VECTOR, column, all.low, inside.low, store_of(lowering, unit, value->args[2]));
  band_append(lowering, unit, outer_loops(lowering, unit, count - 1, axes, first));
  return true;
}

static void emit_plain(Lowering *lowering, Unit *unit) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  if (emit_columns(lowering, unit, count, axes)) return;
  BufferId buffer = buffer_of(lowering, unit->target);
  Type type = lowering->program->tensors[unit->target].type;
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, type);
  Statement *work;
  bool lanes_reduce = false;
  bool is_number = count == 1 && axes[0] == band_row_axis(lowering, lowering->banding->number); /* of a row: beside what else is done with it */
  if (unit->equation->reduce == REDUCE_NONE) {
    work = statement_let(kernel, local, lower_expr(lowering, unit->value, NULL, false));
  } else {
    IndexId *order = ARENA_ARRAY(arena, IndexId, unit->reduce_count);
    lanes_reduce = choose_lanes(lowering, unit, count, axes, order);
    work = reduction_of(lowering, unit, local, order, lanes_reduce, lanes_reduce || !count ? NONE : unit->axes[axes[count - 1]].index);
  }
  Statement *store = statement_store(kernel, buffer, store_indices(lowering, unit), expr_local(arena, type, local));
  work->next = store;
  work->source = store->source = unit->equation->source;
  band_append(lowering, unit, unit_loops(lowering, unit, count, axes, !lanes_reduce && !is_number, work));
}

static void emit_unit(Lowering *lowering, Unit *unit) {
  drop_empty_sum(lowering, unit);
  if (band_row_axis(lowering, lowering->banding->number) == NONE && unit->equation->reduce == REDUCE_NONE) return; /* it adds nothing */
  bool is_whole_map = unit->equation->reduce == REDUCE_NONE && !is_banded(lowering, unit->target);
  if (is_whole_map) {
    lower_map(lowering, unit);
    return;
  }
  flush_group(lowering);
  if (lowering->banding->has_tiles && band_product(lowering, unit)) return;
  if (band_row_axis(lowering, lowering->banding->number) == NONE)
    emit_sum(lowering, unit, band_summed_rows(lowering, unit));
  else
    emit_plain(lowering, unit);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

typedef struct RowSearch {
  Lowering *lowering;
  const Unit *unit;
  IndexId found;
} RowSearch;

static void find_rows(void *context, const Expr *expr) {
  RowSearch *search = context;
  if (expr->op != OP_READ) return;
  int maker = band_number(search->lowering, expr->id);
  int axis = maker == NONE ? NONE : band_row_axis(search->lowering, maker);
  for (int n = 0; n < search->unit->reduce_count && axis != NONE; n++)
    if (expr->args[axis]->op == OP_INDEX && expr->args[axis]->id == search->unit->reduce_indices[n]) search->found = search->unit->reduce_indices[n];
}

IndexId band_summed_rows(Lowering *lowering, const Unit *unit) {
  RowSearch search = {lowering, unit, NONE};
  expr_visit(unit->body, find_rows, &search);
  if (search.found == NONE && unit->guard) expr_visit(unit->guard, find_rows, &search);
  if (search.found == NONE) internal_error("a sum over the rows of a band reads none of its rows");
  return search.found;
}

static Unit unit_at(Lowering *lowering, int number) {
  const Banding *banding = lowering->banding;
  const Band *band = banding->band;
  int equation = band->equations[number], rank = lowering->program->tensors[lowering->program->equations[equation].target].rank;
  const Expr **bound = ARENA_ARRAY(lowering->arena, const Expr *, rank);
  for (int axis = 0; axis < rank; axis++) bound[axis] = bound_axis(lowering, equation, axis);
  for (int s = 0; s + 1 < band->shared_count; s++)
    bound[band->shared[number * MOST_AXES + s]] = expr_index(lowering->arena, banding->shared[s]);
  return unit_of(lowering, equation, bound);
}

/* What sums over the rows begins with its value. */
static void start_sums(Lowering *lowering) {
  Banding *banding = lowering->banding;
  const Band *band = banding->band;
  for (int n = 0; n < band->count; n++) {
    if (band_row_axis(lowering, n) != NONE) continue;
    int equation = band->equations[n], rank = lowering->program->tensors[lowering->program->equations[equation].target].rank;
    const Expr **bound = ARENA_ARRAY(lowering->arena, const Expr *, rank);
    for (int axis = 0; axis < rank; axis++) bound[axis] = bound_axis(lowering, equation, axis);
    Unit start = unit_of(lowering, equation, bound);
    drop_sum(lowering, &start);
    lowering->banding = NULL; /* it stands before the band */
    split_unit(lowering, &start, lower_map);
    flush_group(lowering);
    lowering->banding = banding;
  }
}

const Expr *any_wanted(Lowering *lowering, const Band *band) {
  const Expr *any = NULL;
  for (int n = 0; n < band->count; n++) {
    const Expr *wanted = wanted_condition(lowering, lowering->program->equations[band->equations[n]].target);
    if (!wanted) return NULL;
    if (!any || expr_equal(any, wanted))
      any = wanted;
    else
      any = expr_binary(lowering->arena, OP_OR, any, wanted);
  }
  return any;
}

static bool is_row_loop(const Banding *banding, const Statement *statement) {
  return statement->kind == STATEMENT_LOOP && statement->loop_kind == LOOP_SEQUENTIAL && statement->low == banding->low && statement->high == banding->high;
}

/* Loops over the rows that follow one another become one: what a row needs of another equation is its own row, which then still lies in
 * the nearest cache. */
static void join_row_loops(Lowering *lowering) {
  Banding *banding = lowering->banding;
  for (Statement *first = banding->block.first; first; first = first->next) {
    if (!is_row_loop(banding, first)) continue;
    Statement **tail = &first->body;
    while (first->next && is_row_loop(banding, first->next)) {
      Statement *next = first->next;
      first->next = next->next;
      while (*tail) tail = &(*tail)->next;
      if (next->index == first->index) {
        *tail = next->body;
        continue;
      }
      const Expr *row = expr_index(lowering->arena, first->index);
      *tail = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, next->index, row, expr_binary(lowering->arena, OP_ADD, row, integer(lowering, 1)), next->body);
    }
  }
}

/* Stages that come before go to the block of the lowering, then the band itself. */
static void emit_band(Lowering *lowering, const Band *band, bool has_tiles) {
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  Banding banding = {.band = band, .has_tiles = has_tiles};
  lowering->banding = &banding;
  const Equation *first = NULL;
  int number = 0;
  while (band_row_axis(lowering, number) == NONE) number++;
  first = band_equation(lowering, number);
  IndexId loops[MOST_AXES];
  for (int s = 0; s < band->shared_count; s++) {
    const Index *range = &lowering->program->indices[first->indices[band->shared[number * MOST_AXES + s]]];
    loops[s] = kernel_add_index(kernel, range->name, range->low, range->high);
  }
  memcpy(banding.shared, loops, sizeof loops);
  IndexId row = banding.row = loops[band->shared_count - 1];
  start_sums(lowering);
  Size blocks = product_panel_count(lowering, extent_of(lowering, row), band->rows, "blocks");
  IndexId block = loops[band->shared_count - 1] = kernel_add_index(kernel, "block", size_constant(0), blocks);
  banding.low = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[row].low),
                            expr_binary(arena, OP_MUL, expr_index(arena, block), integer(lowering, band->rows)));
  banding.high = expr_binary(arena, OP_ADD, banding.low, integer(lowering, band->rows));
  if (band->rows > 1) banding.high = expr_binary(arena, OP_MIN, size_expr(arena, kernel->indices[row].high), banding.high);
  band_find_needed(lowering);
  for (banding.number = 0; banding.number < band->count; banding.number++) {
    Unit unit = unit_at(lowering, banding.number);
    split_unit(lowering, &unit, emit_unit);
  }
  flush_group(lowering);
  if (!band->is_of_rows) join_row_loops(lowering);
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, band->shared_count, loops, band->has_sums ? 0 : 1, &low, &high, &innermost);
  innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, block, low, high, banding.block.first);
  stage->source = first->source;
  end_stage(lowering, lowering->block, stage, NULL);
  lowering->banding = NULL;
}

static void emit_both(Lowering *lowering, const Band *band) {
  int number = 0;
  while (band->shared[number * MOST_AXES + band->shared_count - 1] == NONE) number++;
  TensorId target = lowering->program->equations[band->equations[number]].target;
  const Expr *rows = size_expr(lowering->arena, lowering->program->tensors[target].shape[band->shared[number * MOST_AXES + band->shared_count - 1]]);
  Block *outer = lowering->block, tiles = {0}, plain = {0};
  if (!band->has_products) {
    emit_band(lowering, band, false);
    return;
  }
  lowering->block = &tiles;
  emit_band(lowering, band, true);
  if (lowering->kernel->entry == ENTRY_GRADIENT) { /* runs over many steps: not worth the code of a second way */
    lowering->block = outer;
    block_append(outer, tiles.first);
    return;
  }
  lowering->block = &plain;
  emit_band(lowering, band, false);
  lowering->block = outer;
  const Expr *is_many = expr_binary(lowering->arena, OP_GE, rows, integer(lowering, FEWEST_ROWS));
  block_append(outer, statement_if(lowering->kernel, is_many, tiles.first, plain.first));
}

void lower_band(Lowering *lowering, const Band *band) {
  flush_group(lowering);
  const Expr *wanted = any_wanted(lowering, band);
  if (!wanted) {
    emit_both(lowering, band);
    return;
  }
  Block *outer = lowering->block, body = {0};
  lowering->block = &body;
  emit_both(lowering, band);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, wanted, body.first, NULL));
}
