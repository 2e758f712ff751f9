/* product_dots.c - rows of A in 16 bits, for panels of B that are kept in 8: whole numbers are multiplied and added up exactly.
 *
 * rows[outer rows.., row, term] and scales[outer rows.., row, term / SCALE_TERMS], the terms numbered through; an odd last one is followed by zero. A
 * stage of its own fills them. In 16 bits the largest of the terms that share a scale is 32767, which leaves an error 258 times smaller than that
 * of B, and 32 products of it and of 127 fit in 32 bits.
 */
#include "passes/product.h"

enum {
  ROWS_TOGETHER = 8,
  ROW_SKEW = 32 /* elements between rows, so that they don't all begin in the same sets of a cache */
};

/* A of row `product->row` at the term numbered `term`, zero past the last one. */
static const Expr *row_value(Product *product, const Expr *term) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  int index_count = lowering->kernel->index_count;
  const Expr **by = product_row_indices(product, expr_index(arena, product->row));
  product_number_terms(product, term, by);
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = ranges_simplify(&ranges, expr_binary(arena, OP_LT, term, product->depth));
  const Expr *value = ranges_simplify(&ranges, expr_substitute(arena, product->a, index_count, by));
  return lower_expr(lowering, expr_select(arena, inside, value, expr_number(arena, 0)), NULL, false);
}

/* Rows are there for whole tiles. */
static void add_buffers(Product *product, const IndexId *outer, int64_t depth, int64_t groups) {
  Lowering *lowering = product->lowering;
  Kernel *kernel = lowering->kernel;
  const char *target = kernel->buffers[product->target].name;
  const Expr *rows = expr_binary(lowering->arena, OP_MUL, size_expr(lowering->arena, product->row_panels), integer(lowering, product->tile_rows));
  Size shape[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; n < product_outer_rows(product); n++) shape[rank++] = index_extent(lowering, outer[n]);
  shape[rank++] = derived_size(lowering, rows, "rows");
  shape[rank] = size_constant((depth + 1) / 2 * 2 + ROW_SKEW);
  product->kept_rows = kernel_add_buffer(kernel, arena_format(lowering->arena, "%s.rows", target), TYPE_REAL, rank + 1, shape, HOME_WORKSPACE, 0);
  kernel->buffers[product->kept_rows].format = PACKED_INT16;
  shape[rank] = size_constant(groups);
  product->row_scales = kernel_add_buffer(kernel, arena_format(lowering->arena, "%s.row_scales", target), TYPE_REAL, rank + 1, shape, HOME_WORKSPACE, 0);
}

Statement *product_keep_rows(Product *product) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  int64_t depth = product->depth->integer, groups = (depth + SCALE_TERMS - 1) / SCALE_TERMS;
  int outer_count = product_outer_rows(product), rank = 0;
  IndexId loops[MOST_AXES];
  const Expr *at[MOST_AXES * 2];
  for (int n = 0; n < outer_count; n++) at[rank++] = index_from_low(lowering, loops[n] = product_axis(product, product->rows[n]));
  loops[outer_count] = kernel_add_index(kernel, "row", size_constant(0), product_panel_count(lowering, product->row_extent, 1, "rows"));
  add_buffers(product, loops, depth, groups);
  IndexId group = kernel_add_index(kernel, "group", size_constant(0), size_constant(groups));
  IndexId term = kernel_add_index(kernel, "term", size_constant(0), size_constant((depth + 1) / 2 * 2));
  const Expr *value = row_value(product, expr_index(arena, term)), *steps = expr_number(arena, packed_steps[PACKED_INT16]);
  Span terms = product_scale_terms(lowering, expr_index(arena, group), integer(lowering, (depth + 1) / 2 * 2));
  LocalId largest = kernel_add_local(kernel, "largest", TYPE_REAL), inverse = kernel_add_local(kernel, "inverse", TYPE_REAL);
  const Expr *size = expr_local(arena, TYPE_REAL, largest);
  Statement *work = product_largest(product, largest, term, &terms, value, true);
  at[rank++] = expr_index(arena, product->row);
  at[rank] = expr_index(arena, group);
  Statement *scale = work->next = statement_store(kernel, product->row_scales, at, expr_binary(arena, OP_DIV, size, steps));
  scale->next = statement_let(kernel, inverse, expr_binary(arena, OP_DIV, steps, size));
  at[rank] = expr_index(arena, term);
  Statement *fill = statement_store(kernel, product->kept_rows, at, expr_binary(arena, OP_MUL, value, expr_local(arena, TYPE_REAL, inverse)));
  scale->source = scale->next->source = fill->source = work->source;
  scale->next->next = statement_loop(kernel, LOOP_VECTOR, term, terms.low, terms.high, fill);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, group, integer(lowering, 0), integer(lowering, groups), work);
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, outer_count + 1, loops, ROWS_TOGETHER, &low, &high, &innermost);
  innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, product->row, low, high, work);
  stage->source = product->unit->equation->source;
  return stage;
}

/* Where the rows begin in a pass, or their scales. */
static const Expr **rows_place(const Product *product, IndexId pass, int64_t steps) {
  const Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  int rank = 0;
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, product_outer_rows(product) + 2);
  for (int n = 0; n < product_outer_rows(product); n++) indices[rank++] = index_from_low(lowering, product_axis(product, product->rows[n]));
  indices[rank++] = expr_index(arena, product->row);
  indices[rank] = pass == NONE ? integer(lowering, 0) : expr_binary(arena, OP_MUL, expr_index(arena, pass), integer(lowering, steps));
  return indices;
}

void product_place_dots(const Product *product, Statement *tile, IndexId column_panel, IndexId pass) {
  const Kernel *kernel = product->lowering->kernel;
  tile->has_rows_in_place = true;
  tile->a_buffer = product->kept_rows;
  tile->row_scale_buffer = product->row_scales;
  tile->a_rank = tile->row_scale_rank = kernel->buffers[product->kept_rows].rank;
  tile->a_indices = rows_place(product, pass, product->pass_depth);
  tile->row_scale_indices = rows_place(product, pass, product->pass_depth / SCALE_TERMS);
  tile->b_buffer = product->packed;
  tile->scale_buffer = product->scales;
  tile->b_rank = tile->scale_rank = kernel->buffers[product->packed].rank;
  tile->b_indices = product_scaled_place(product, column_panel, pass, false);
  tile->scale_indices = product_scaled_place(product, column_panel, pass, true);
}
