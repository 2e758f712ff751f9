/* product_scaled.c - panels of B that are packed once and kept in 8 bits, each column with a scale for every few terms.
 *
 * The terms are numbered through. panels[turns.., outer columns.., panel, term, column of the tile], or for a processor that adds up pairs of
 * products [.., panel, term / 2, column * 2 + term % 2]; scales[.., panel, term / SCALE_TERMS, column]. A scale is the largest magnitude of its
 * terms divided by what that is kept as, and rounded to bf16 before anything is divided by it: so it adds no error of its own, and none is larger
 * than half a scale. Where something is infinite or not a number, the scale is infinite and with it no product is finite.
 * Without pairs a few rows are multiplied by the panels as they are kept; for many a thread widens a panel once.
 */
#include <math.h>

#include "passes/product.h"

enum { MANY_ROWS = 32 }; /* for which widening a panel and reading it again costs less than doing it in every tile */

static int64_t depth_of(const Product *product) { return product->depth->integer; }

static int64_t scale_count(const Product *product) { return (depth_of(product) + SCALE_TERMS - 1) / SCALE_TERMS; }

/* Axes of the panels for steps of the depth, and in a step. */
static int64_t step_count(const Product *product) { return product->has_dots ? (depth_of(product) + 1) / 2 : depth_of(product); }
static int64_t step_width(const Product *product) { return product->has_dots ? 2 * product->tile_columns : product->tile_columns; }

void product_scaled_buffers(Product *product, Kernel *pack, int slot) {
  Lowering *lowering = product->lowering;
  Kernel *kernel = lowering->kernel;
  const char *target = kernel->buffers[product->target].name;
  product->has_dots = lowering->context->machine->has_dots;
  Size shape[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; n < product->turn_count; n++) shape[rank++] = index_extent(lowering, product->turns[n]);
  for (int n = 0; n < product->outer_column_count; n++) shape[rank++] = index_extent(lowering, product_axis(product, product->outer_columns[n]));
  shape[rank++] = product->column_panels;
  rank += 2;
  for (int is_scale = 0; is_scale < 2; is_scale++) {
    const char *name = arena_format(lowering->arena, "%s.%s", target, is_scale ? "scales" : "packed");
    shape[rank - 2] = size_constant(is_scale ? scale_count(product) : step_count(product));
    shape[rank - 1] = size_constant(is_scale ? product->tile_columns : step_width(product));
    BufferId id = kernel_add_buffer(kernel, name, TYPE_REAL, rank, shape, HOME_PACKED, slot + is_scale);
    BufferId filled = kernel_add_buffer(pack, name, TYPE_REAL, rank, shape, HOME_PACKED, slot + is_scale);
    kernel->buffers[id].format = pack->buffers[filled].format = is_scale ? PACKED_BF16 : PACKED_INT8;
    *(is_scale ? &product->scales : &product->packed) = id;
  }
  if (product->has_dots) return;
  int64_t terms = product->is_one_pass ? depth_of(product) : product->pass_depth;
  Size widened[] = {size_constant(terms), size_constant(product->tile_columns)};
  product->widened = kernel_add_buffer(kernel, arena_format(lowering->arena, "%s.widened", target), TYPE_REAL, 2, widened, HOME_WORKSPACE, 0);
  kernel->buffers[product->widened].is_private = true;
}

/* ---- filling ---------------------------------------------------------------------------------------------------------- */

void product_number_terms(const Product *product, const Expr *term, const Expr **by) {
  const Lowering *lowering = product->lowering;
  const Unit *unit = product->unit;
  for (int n = unit->reduce_count - 1; n >= 0; n--) {
    IndexId index = unit->reduce_indices[n];
    const Expr *extent = extent_of(lowering, index), *place = n ? expr_binary(lowering->arena, OP_REMAINDER, term, extent) : term;
    by[index] = expr_binary(lowering->arena, OP_ADD, size_expr(lowering->arena, lowering->kernel->indices[index].low), place);
    term = expr_binary(lowering->arena, OP_QUOTIENT, term, extent);
  }
}

/* B at the term numbered `term`, in the column `number` of all panels; zero past the last one. */
static const Expr *column_value(Product *product, const Expr *term, const Expr *number) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  const Kernel *kernel = lowering->kernel;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  product_number_terms(product, term, by);
  IndexId column = product_axis(product, product->column);
  by[column] = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[column].low), number);
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = expr_binary(arena, OP_AND, expr_binary(arena, OP_LT, number, extent_of(lowering, column)),
                                   expr_binary(arena, OP_LT, term, product->depth));
  const Expr *factor = ranges_simplify(&ranges, expr_substitute(arena, product->b, kernel->index_count, by));
  return lower_expr(lowering, expr_select(arena, ranges_simplify(&ranges, inside), factor, expr_number(arena, 0)), NULL, false);
}

Span product_scale_terms(const Lowering *lowering, const Expr *group, const Expr *depth) {
  Arena *arena = lowering->arena;
  const Expr *low = expr_binary(arena, OP_MUL, group, integer(lowering, SCALE_TERMS)), *high = expr_binary(arena, OP_ADD, low, integer(lowering, SCALE_TERMS));
  bool is_whole = depth->op == OP_INTEGER && depth->integer % SCALE_TERMS == 0;
  return (Span){low, is_whole ? high : expr_binary(arena, OP_MIN, high, depth)};
}

Statement *product_largest(const Product *product, LocalId local, IndexId term, const Span *terms, const Expr *value, bool is_vector) {
  const Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  const Expr *size = expr_unary(arena, OP_ABS, value), *most = expr_number(arena, INFINITY);
  size = expr_select(arena, expr_binary(arena, OP_LT, size, most), size, most);
  Statement *reduce = statement_reduce(lowering->kernel, local, REDUCE_MAX, 1, &term, NULL, expr_number(arena, 0), size, is_vector);
  reduce->low = terms->low, reduce->high = terms->high;
  reduce->source = product->unit->equation->source;
  return reduce;
}

static Statement *place_loop(const Product *product, IndexId place, int64_t width, Statement *body) {
  const Lowering *lowering = product->lowering;
  return statement_loop(lowering->kernel, LOOP_VECTOR, place, integer(lowering, 0), integer(lowering, width), body);
}

/* The column of all panels that stands at `place` of one. */
static const Expr *column_number(const Product *product, const Expr *panel, const Expr *place) {
  Arena *arena = product->lowering->arena;
  return expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, panel, integer(product->lowering, product->tile_columns)), place);
}

/* panels = value / scale for the terms of a group; `at`: the indices before those of the step and the place. */
static Statement *fill_group(Product *product, BufferId panels, BufferId scales, IndexId group, int rank, const Expr **at) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId step = kernel_add_index(kernel, "step", size_constant(0), size_constant(step_count(product)));
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(step_width(product)));
  const Expr *term = expr_index(arena, step), *column = expr_index(arena, place), *two = integer(lowering, 2);
  if (product->has_dots) {
    term = expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, term, two), expr_binary(arena, OP_REMAINDER, column, two));
    column = expr_binary(arena, OP_QUOTIENT, column, two);
  }
  at[rank] = expr_index(arena, group), at[rank + 1] = column;
  const Expr *scale = expr_load(arena, TYPE_REAL, scales, rank + 2, arena_copy(arena, at, sizeof *at * (size_t)(rank + 2)), NULL);
  const Expr *value = column_value(product, term, column_number(product, at[rank - 1], column));
  at[rank] = expr_index(arena, step), at[rank + 1] = expr_index(arena, place);
  Statement *fill = statement_store(kernel, panels, at, expr_binary(arena, OP_DIV, value, scale));
  fill->source = product->unit->equation->source;
  int64_t steps = product->has_dots ? SCALE_TERMS / 2 : SCALE_TERMS;
  const Expr *low = expr_binary(arena, OP_MUL, expr_index(arena, group), integer(lowering, steps));
  const Expr *high = expr_binary(arena, OP_MIN, expr_binary(arena, OP_ADD, low, integer(lowering, steps)), integer(lowering, step_count(product)));
  return statement_loop(kernel, LOOP_SEQUENTIAL, step, low, high, place_loop(product, place, step_width(product), fill));
}

Statement *product_fill_scaled(Product *product, BufferId panels, BufferId scales) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId loops[MOST_AXES];
  int outer_count = product->outer_column_count, rank = 0;
  const Expr *at[MOST_AXES * 2];
  for (int n = 0; n < product->turn_count; n++) at[rank++] = index_from_low(lowering, product->turns[n]);
  for (int n = 0; n < outer_count; n++) at[rank++] = index_from_low(lowering, loops[n] = product_axis(product, product->outer_columns[n]));
  IndexId panel = loops[outer_count] = kernel_add_index(kernel, "panel", size_constant(0), product->column_panels);
  IndexId group = kernel_add_index(kernel, "group", size_constant(0), size_constant(scale_count(product)));
  IndexId term = kernel_add_index(kernel, "term", size_constant(0), size_constant(depth_of(product)));
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(product->tile_columns));
  at[rank++] = expr_index(arena, panel);
  const Expr *value = column_value(product, expr_index(arena, term), column_number(product, at[rank - 1], expr_index(arena, place)));
  Span terms = product_scale_terms(lowering, expr_index(arena, group), product->depth);
  LocalId largest = kernel_add_local(kernel, "largest", TYPE_REAL);
  Statement *reduce = product_largest(product, largest, term, &terms, value, false);
  at[rank] = expr_index(arena, group), at[rank + 1] = expr_index(arena, place);
  const Expr *steps = expr_number(arena, packed_steps[PACKED_INT8]);
  reduce->next = statement_store(kernel, scales, at, expr_binary(arena, OP_DIV, expr_local(arena, TYPE_REAL, largest), steps));
  reduce->next->source = reduce->source;
  Statement *work = place_loop(product, place, product->tile_columns, reduce);
  work->next = fill_group(product, panels, scales, group, rank, at);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, group, integer(lowering, 0), integer(lowering, scale_count(product)), work);
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, outer_count + 1, loops, 1, &low, &high, &innermost);
  innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, panel, low, high, work);
  stage->source = product->unit->equation->source;
  return stage;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

const Expr **product_scaled_place(const Product *product, IndexId column_panel, IndexId pass, bool is_scale) {
  const Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, lowering->kernel->buffers[product->packed].rank);
  int rank = 0;
  for (int n = 0; n < product->turn_count; n++) indices[rank++] = index_from_low(lowering, product->turns[n]);
  for (int n = 0; n < product->outer_column_count; n++) indices[rank++] = index_from_low(lowering, product_axis(product, product->outer_columns[n]));
  indices[rank++] = expr_index(arena, column_panel);
  int64_t steps = product->pass_depth / (is_scale ? SCALE_TERMS : product->has_dots ? 2 : 1);
  indices[rank] = pass == NONE ? integer(lowering, 0) : expr_binary(arena, OP_MUL, expr_index(arena, pass), integer(lowering, steps));
  indices[rank + 1] = integer(lowering, 0);
  return indices;
}

const Expr *product_widens(const Product *product) {
  const Lowering *lowering = product->lowering;
  const Expr *has_many_rows = expr_binary(lowering->arena, OP_GE, product->row_extent, integer(lowering, MANY_ROWS));
  return expr_binary(lowering->arena, OP_AND, has_many_rows, expr_given(lowering->arena, product->packed));
}

/* The element at `place` of the kept panel, `more` terms, or scales, after the first. */
static const Expr *kept_element(const Product *product, IndexId column_panel, IndexId pass, bool is_scale, IndexId more, IndexId place) {
  Arena *arena = product->lowering->arena;
  BufferId buffer = is_scale ? product->scales : product->packed;
  int rank = product->lowering->kernel->buffers[buffer].rank;
  const Expr **indices = product_scaled_place(product, column_panel, pass, is_scale);
  indices[rank - 2] = expr_binary(arena, OP_ADD, indices[rank - 2], expr_index(arena, more));
  indices[rank - 1] = expr_index(arena, place);
  return expr_load(arena, TYPE_REAL, buffer, rank, indices, NULL);
}

Statement *product_widen(Product *product, IndexId column_panel, IndexId pass, const Expr *depth, Statement *work) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId group = kernel_add_index(kernel, "group", size_constant(0), size_constant(scale_count(product)));
  IndexId term = kernel_add_index(kernel, "term", size_constant(0), kernel->buffers[product->widened].shape[0]);
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(product->tile_columns));
  const Expr *at[] = {expr_index(arena, term), expr_index(arena, place)};
  const Expr *scale = kept_element(product, column_panel, pass, true, group, place), *kept = kept_element(product, column_panel, pass, false, term, place);
  Statement *fill = statement_store(kernel, product->widened, at, expr_binary(arena, OP_MUL, kept, scale));
  fill->source = product->unit->equation->source;
  Span terms = product_scale_terms(lowering, expr_index(arena, group), depth);
  Statement *widen = statement_loop(kernel, LOOP_SEQUENTIAL, term, terms.low, terms.high, place_loop(product, place, product->tile_columns, fill));
  widen = statement_loop(kernel, LOOP_SEQUENTIAL, group, integer(lowering, 0), ceil_quotient(lowering, depth, SCALE_TERMS), widen);
  widen->next = work;
  return widen;
}
