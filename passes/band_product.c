/* band_product.c - sums of products in a band: register tiles over a block of rows.
 *
 * One factor does not depend on the rows. It is packed into panels before the band, for all of its blocks. The other is read where it
 * lies when that is a banded tensor, which has rows enough for whole tiles; otherwise its block is packed first. Tiles run over the
 * columns that are needed and the terms that the guard leaves to their rows.
 *
 * Where the sum is over the rows, the block is the depth of the tiles, and they add to the target. The rows of the tiles are then
 * another axis of the factor that is banded, along which its rows lie in memory.
 */
#include "passes/band.h"
#include "passes/factors.h"

typedef struct BandProduct {
  Product product;
  Unit unit;
  IndexId row, column, term;  /* of the unit; the rows of tiles */
  int around_count;           /* loops around the tiles, besides those of the band */
  IndexId around[MOST_AXES];
  int around_axes[MOST_AXES]; /* of the target, NONE where it is summed */
  bool is_sum;                /* over the rows of the band */
  int depth_axis;             /* then: of the factor in place, where the terms stand */
  Columns terms;              /* what the guard leaves of them, by Banding.row */
  const Expr *tile_low, *tile_high; /* rows of the tiles */
} BandProduct;

/* ---- is it one? ------------------------------------------------------------------------------------------------------ */

typedef struct BandSearch {
  Lowering *lowering;
  bool found;
} BandSearch;

static void find_own(void *context, const Expr *expr) {
  BandSearch *search = context;
  if (expr->op == OP_READ && band_number(search->lowering, expr->id) != NONE) search->found = true;
}

static bool reads_band(Lowering *lowering, const Expr *expr) {
  BandSearch search = {lowering, false};
  expr_visit(expr, find_own, &search);
  return search.found;
}

/* A banded tensor at the rows of the block, with nothing but its own indices; its column may be shifted. */
static bool is_block_read(Lowering *lowering, const Expr *expr) {
  if (expr->op != OP_READ || expr->outside || !is_banded(lowering, expr->id)) return false;
  int column = band_column_axis(lowering, expr->id);
  const Expr *shift;
  for (int n = 0; n < expr->arg_count; n++) {
    bool is_fine = n == column ? band_shifted_index(lowering, expr->args[n], &shift) != NONE : expr->args[n]->op == OP_INDEX;
    if (!is_fine) return false;
  }
  return true;
}

/* What the condition leaves of the columns of the tensor that the expression reads, by Banding.row; false when it says more than that. */
static bool columns_within(Lowering *lowering, const Expr *condition, IndexId column, const Expr *shift, IndexId row, Columns *out_columns) {
  if (condition_bounds(lowering->arena, condition, column, &out_columns->low, &out_columns->high)) return false;
  const Expr **by = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  by[row] = expr_index(lowering->arena, lowering->banding->row);
  *out_columns = band_shift(lowering, *out_columns, shift);
  const Expr **bounds[] = {&out_columns->low, &out_columns->high};
  for (int n = 0; n < 2; n++) {
    Affine affine;
    if (!*bounds[n]) continue;
    if (!expr_affine(expr_substitute(lowering->arena, *bounds[n], lowering->kernel->index_count, by), &affine)) return false;
    *bounds[n] = affine_expr(lowering->arena, &affine);
  }
  return true;
}

static bool same_bound(const Expr *a, const Expr *b) { return a && b ? expr_equal(a, b) : a == b; }

/* The tensor is zero wherever the guard fails, so the guard only says where to look. */
static bool is_zero_outside(Lowering *lowering, const Expr *read, const Expr *guard, IndexId row) {
  int number = band_number(lowering, read->id), axis = band_column_axis(lowering, read->id);
  const Equation *equation = band_equation(lowering, number);
  const Expr *bound = lowering->banding->bounds[number], *shift;
  if (!bound) return false;
  Columns own, wanted;
  IndexId column = band_shifted_index(lowering, read->args[axis], &shift);
  if (!columns_within(lowering, guard, column, shift, row, &wanted)) return false;
  if (!columns_within(lowering, bound, equation->indices[axis], integer(lowering, 0), equation->indices[band_row_axis(lowering, number)], &own)) return false;
  return same_bound(own.low, wanted.low) && same_bound(own.high, wanted.high);
}

/* Takes a guard that compares a row with a column of the factor A out of the unit, where A is zero outside of it. */
static void take_guard(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Unit *unit = &band->unit;
  if (!unit->guard) return;
  const Expr *body = unit->body;
  const Expr *factors[2] = {body, NULL};
  if (body->op == OP_MUL) factors[0] = body->args[0], factors[1] = body->args[1];
  IndexId row = band->is_sum ? band->term : band->row;
  for (int n = 0; n < 2; n++) {
    if (!factors[n] || !is_block_read(lowering, factors[n]) || !is_zero_outside(lowering, factors[n], unit->guard, row)) continue;
    if (!band->is_sum) columns_within(lowering, unit->guard, band->term, integer(lowering, 0), band->row, &band->terms);
    unit->guard = NULL;
    return;
  }
}

/* A guard that only says which columns are needed, when no others are computed anyway. */
static void drop_guard_of_columns(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Unit *unit = &band->unit;
  if (!unit->guard || band->is_sum || !is_banded(lowering, unit->target) || expr_uses_index(unit->guard, band->term)) return;
  Columns columns, needed = lowering->banding->needed[lowering->banding->number];
  if (!columns_within(lowering, unit->guard, band->column, integer(lowering, 0), band->row, &columns)) return;
  bool is_low = !columns.low || (needed.low && expr_equal(columns.low, needed.low));
  bool is_high = !columns.high || (needed.high && expr_equal(columns.high, needed.high));
  if (is_low && is_high) unit->guard = NULL;
}

/* Rows, columns and terms; whatever else there is becomes loops around the tiles: axes of the target, and what is summed beside the rows. */
static bool find_indices(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Unit *unit = &band->unit;
  int axes[MOST_AXES], count = free_axes(lowering, unit, axes);
  int rows = band_row_axis(lowering, lowering->banding->number);
  band->is_sum = rows == NONE;
  if (count < 2 || (band->is_sum ? count != 2 : unit->reduce_count != 1)) return false;
  if (band->is_sum) rows = axes[0];
  band->term = band->is_sum ? band_summed_rows(lowering, unit) : unit->reduce_indices[0];
  band->row = unit->axes[rows].index;
  band->column = unit->axes[axes[count - 1]].index;
  if (axes[count - 1] == rows) return false;
  unit->axes = arena_copy(lowering->arena, unit->axes, sizeof *unit->axes * (size_t)unit->rank);
  for (int n = 0; n < count - 1; n++) {
    if (axes[n] == rows) continue;
    IndexId index = unit->axes[axes[n]].index;
    unit->axes[axes[n]].bound = expr_index(lowering->arena, index);
    band->around_axes[band->around_count] = axes[n];
    band->around[band->around_count++] = index;
  }
  for (int n = 0; n < unit->reduce_count; n++)
    if (unit->reduce_indices[n] != band->term) band->around_axes[band->around_count] = NONE, band->around[band->around_count++] = unit->reduce_indices[n];
  unit->reduce_indices = arena_copy(lowering->arena, &band->term, sizeof band->term);
  unit->reduce_count = 1;
  return true;
}

/* Axes that are open around the tiles and that the factor has. */
static int open_axes(const BandProduct *band, const Expr *factor, int *out_axes, IndexId *out_indices) {
  const Banding *banding = band->product.lowering->banding;
  int count = 0;
  for (int s = 0; s + 1 < banding->band->shared_count; s++) {
    if (!expr_uses_index(factor, banding->shared[s])) continue;
    out_axes[count] = banding->band->shared[banding->number * MOST_AXES + s];
    out_indices[count++] = banding->shared[s];
  }
  for (int n = 0; n < band->around_count; n++) {
    if (!expr_uses_index(factor, band->around[n])) continue;
    out_axes[count] = band->around_axes[n];
    out_indices[count++] = band->around[n];
  }
  return count;
}

/* The unit with the axes free that the factor has and that are open around: its panels are packed for all of them at once. */
static void free_shared_axes(BandProduct *band, Product *packed, Unit *unit) {
  Lowering *lowering = band->product.lowering;
  IndexId open[MOST_AXES];
  *unit = band->unit;
  unit->axes = arena_copy(lowering->arena, unit->axes, sizeof *unit->axes * (size_t)unit->rank);
  *packed = band->product;
  packed->unit = unit;
  packed->outer_column_count = open_axes(band, packed->b, packed->outer_columns, open);
  for (int n = 0; n < packed->outer_column_count; n++) unit->axes[packed->outer_columns[n]] = (UnitAxis){NULL, open[n]};
}

/* ---- panels ---------------------------------------------------------------------------------------------------------- */

static BufferId private_panels(BandProduct *band, const char *name, int64_t panels, const Expr *terms, int width) {
  Lowering *lowering = band->product.lowering;
  Size shape[] = {size_constant(panels), derived_size(lowering, terms, "terms"), size_constant(width)};
  const char *full = arena_format(lowering->arena, "%s.%s", lowering->kernel->buffers[band->product.target].name, name);
  BufferId id = kernel_add_buffer(lowering->kernel, full, TYPE_REAL, 3, shape, HOME_WORKSPACE, 0);
  lowering->kernel->buffers[id].is_private = true;
  return id;
}

/* panels[panel, term, place] = factor at place `from` + panel * width + place, zero past `limit`, for terms low .. high. */
static void pack_block(BandProduct *band, BufferId panels, const Expr *factor, IndexId across, const Expr *from, const Expr *limit, int width,
                       const Expr *count, IndexId term, const Expr *low, const Expr *high) {
  Lowering *lowering = band->product.lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId panel = kernel_add_index(kernel, "panel", size_constant(0), kernel->buffers[panels].shape[0]);
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(width));
  const Expr *number = expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, expr_index(arena, panel), integer(lowering, width)), expr_index(arena, place));
  number = expr_binary(arena, OP_ADD, from, number);
  const Expr **by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  by[across] = number;
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = ranges_simplify(&ranges, expr_binary(arena, OP_LT, number, limit));
  const Expr *value = expr_select(arena, inside, expr_substitute(arena, factor, kernel->index_count, by), expr_number(arena, 0));
  const Expr *indices[] = {expr_index(arena, panel), expr_binary(arena, OP_SUB, expr_index(arena, term), low), expr_index(arena, place)};
  bool place_in_lanes = !gather_count(lowering, factor, across) || gather_count(lowering, factor, term);
  Statement *work = statement_store(kernel, panels, indices, lower_expr(lowering, value, NULL, false));
  work->source = band->unit.equation->source;
  IndexId inner = place_in_lanes ? place : term, outer = place_in_lanes ? term : place;
  const Expr *zero = integer(lowering, 0), *bounds[2][2] = {{zero, integer(lowering, width)}, {low, high}};
  work = statement_loop(kernel, LOOP_VECTOR, inner, bounds[!place_in_lanes][0], bounds[!place_in_lanes][1], work);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, outer, bounds[place_in_lanes][0], bounds[place_in_lanes][1], work);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, panel, zero, count, work);
  block_append(&lowering->banding->block, work);
}

/* ---- tiles ----------------------------------------------------------------------------------------------------------- */

/* The factor as a load at the row of a tile and the first term, with its rows or its terms where they lie. */
static const Expr *load_in_place(BandProduct *band, IndexId row, const Expr *row_value, const Expr *first_term) {
  Lowering *lowering = band->product.lowering;
  const Expr **by = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  by[row] = row_value;
  by[band->term] = first_term;
  return lower_expr(lowering, expr_substitute(lowering->arena, band->product.a, lowering->kernel->index_count, by), NULL, false);
}

static Statement *tile_of(BandProduct *band, const Expr *row0, const Expr *column0, const Expr *depth) {
  Lowering *lowering = band->product.lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  const Product *product = &band->product;
  Statement *tile = statement_create(kernel, STATEMENT_TILE);
  tile->source = band->unit.equation->source;
  tile->tile_rows = product->tile_rows;
  tile->tile_vectors = product->tile_vectors;
  const Index *rows = &kernel->indices[band->row], *columns = &kernel->indices[band->column];
  Size row_low = rows->low, row_high = rows->high, column_low = columns->low, column_high = columns->high;
  tile->row_index = kernel_add_index(kernel, "row", row_low, row_high);
  tile->column_index = kernel_add_index(kernel, "column", column_low, column_high);
  tile->row0 = row0;
  tile->column0 = column0;
  tile->row_limit = band->tile_high;
  tile->column_limit = size_expr(arena, column_high);
  tile->depth = depth;
  tile->buffer = product->target;
  tile->rank = band->unit.rank;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  by[band->row] = expr_index(arena, tile->row_index);
  by[band->column] = expr_index(arena, tile->column_index);
  const Expr **indices = store_indices(lowering, &band->unit);
  for (int n = 0; n < tile->rank; n++) indices[n] = expr_substitute(arena, indices[n], kernel->index_count, by);
  tile->indices = indices;
  if (band->is_sum)
    tile->value = expr_load(arena, TYPE_REAL, product->target, tile->rank, indices, NULL);
  else if (band->unit.value)
    tile->value = lower_expr(lowering, expr_substitute(arena, band->unit.value, kernel->index_count, by), NULL, false);
  return tile;
}

static void give_columns(BandProduct *band, Statement *tile, const Product *packed, const Expr *panel, const Expr *first) {
  Lowering *lowering = band->product.lowering;
  int axes[MOST_AXES];
  IndexId open[MOST_AXES];
  tile->b_buffer = band->product.b_panels;
  tile->b_rank = lowering->kernel->buffers[tile->b_buffer].rank;
  tile->b_indices = ARENA_ARRAY(lowering->arena, const Expr *, tile->b_rank);
  int at = 0, count = packed ? open_axes(band, packed->b, axes, open) : 0;
  for (int n = 0; n < count; n++) tile->b_indices[at++] = index_from_low(lowering, open[n]);
  tile->b_indices[at++] = panel;
  tile->b_indices[at++] = first;
  tile->b_indices[at] = integer(lowering, 0);
}

static const Expr *difference(Lowering *lowering, const Expr *a, const Expr *b) { return expr_binary(lowering->arena, OP_SUB, a, b); }

/* Tiles over rows of the block (or of another axis) and column panels. */
static void emit_tiles(BandProduct *band, const Product *packed, Columns columns) {
  Lowering *lowering = band->product.lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  Product *product = &band->product;
  const Banding *banding = lowering->banding;
  const Expr *zero = integer(lowering, 0), *height = integer(lowering, product->tile_rows), *width = integer(lowering, product->tile_columns);
  IndexId row_panel = kernel_add_index(kernel, "row_panel", size_constant(0), size_constant(1));
  IndexId column_panel = kernel_add_index(kernel, "column_panel", size_constant(0), product->column_panels);
  const Expr *row0 = expr_binary(arena, OP_ADD, band->tile_low, expr_binary(arena, OP_MUL, expr_index(arena, row_panel), height));
  const Expr *column0 = expr_binary(arena, OP_MUL, expr_index(arena, column_panel), width);
  const Expr *term_low = size_expr(arena, kernel->indices[band->term].low), *term_high = size_expr(arena, kernel->indices[band->term].high);
  if (band->is_sum) {
    term_low = banding->low, term_high = banding->high;
  } else if (band->terms.low || band->terms.high) {
    const Expr *last = expr_binary(arena, OP_MIN, expr_binary(arena, OP_ADD, row0, integer(lowering, product->tile_rows - 1)),
                                   difference(lowering, band->tile_high, integer(lowering, 1)));
    Columns terms = band_block_columns(lowering, band->terms, band->term, row0, last);
    term_low = terms.low, term_high = terms.high;
  }
  Statement *tile = tile_of(band, row0, column0, difference(lowering, term_high, term_low));
  const Expr *b_first = band->is_sum ? zero : difference(lowering, term_low, size_expr(arena, kernel->indices[band->term].low));
  give_columns(band, tile, packed, expr_index(arena, column_panel), b_first);
  if (product->a_panels == NONE) {
    const Expr *row = band->is_sum ? row0 : expr_index(arena, tile->row_index);
    const Expr *load = load_in_place(band, band->row, row, term_low);
    tile->has_rows_in_place = !band->is_sum;
    tile->a_buffer = load->id;
    tile->a_rank = load->arg_count;
    tile->a_indices = load->args;
    tile->a_depth_axis = band->depth_axis;
  } else {
    tile->a_buffer = product->a_panels;
    tile->a_rank = 3;
    tile->a_indices = ARENA_ARRAY(arena, const Expr *, 3);
    tile->a_indices[0] = expr_index(arena, row_panel);
    tile->a_indices[1] = b_first;
    tile->a_indices[2] = zero;
    tile->a_depth_axis = 1;
  }
  const Expr *rows = ceil_quotient(lowering, difference(lowering, band->tile_high, band->tile_low), product->tile_rows);
  Statement *work = statement_loop(kernel, LOOP_SEQUENTIAL, row_panel, zero, rows, tile);
  const Expr *from = columns.low->op == OP_INTEGER && columns.low->integer == 0 ? zero : expr_binary(arena, OP_QUOTIENT, columns.low, width);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, column_panel, from, ceil_quotient(lowering, columns.high, product->tile_columns), work);
  band_append(lowering, &band->unit, work);
}

/* ---- both kinds ------------------------------------------------------------------------------------------------------ */

/* Where the factor A is a read but for what does not depend on the rows, that goes to B, which is packed anyway. */
static void leave_rows_in_place(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Product *product = &band->product;
  Factors factors = split_factors(lowering->arena, product->a);
  const Expr *a = NULL, *b = product->b;
  for (int n = 0; n < factors.count; n++) {
    bool stays = expr_uses_index(factors.items[n], band->row) || (!band->is_sum && reads_band(lowering, factors.items[n]));
    multiply_into(lowering->arena, stays ? &a : &b, factors.items[n]);
  }
  if (!a || a->op != OP_READ) return;
  product->a = a;
  product->b = b;
}

static bool has_plain_zero_base(const Lowering *lowering, IndexId index) { return size_is(lowering->kernel->indices[index].low, 0); }

static bool has_rows_in_place(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  if (!product_is_row_read(lowering, band->product.a, band->term)) return false;
  const Expr *load = lower_expr(lowering, band->product.a, NULL, false); /* at any row and term */
  return load->op == OP_LOAD && !load->guard && load->id != band->product.target;
}

/* C[row, column] with the rows of the band; B is packed before it. */
static bool emit_rows(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Product *product = &band->product;
  const Banding *banding = lowering->banding;
  if (expr_uses_index(product->b, band->row) || reads_band(lowering, product->b)) return false;
  Product packed;
  Unit all;
  product->column_panels = product_panel_count(lowering, extent_of(lowering, band->column), product->tile_columns, "column_panels");
  free_shared_axes(band, &packed, &all);
  end_stage(lowering, lowering->block, product_pack_columns(&packed), NULL);
  product->b_panels = packed.b_panels;
  band->tile_low = banding->low;
  band->tile_high = banding->high;
  product->a_panels = NONE;
  if (!has_rows_in_place(band)) {
    const Expr *terms = extent_of(lowering, band->term), *low = size_expr(lowering->arena, lowering->kernel->indices[band->term].low);
    int64_t panels = (BLOCK_ROWS + product->tile_rows - 1) / product->tile_rows;
    product->a_panels = private_panels(band, "rows", panels, terms, product->tile_rows);
    const Expr *count = ceil_quotient(lowering, difference(lowering, banding->high, banding->low), product->tile_rows);
    pack_block(band, product->a_panels, product->a, band->row, banding->low, banding->high, product->tile_rows, count, band->term, low,
               size_expr(lowering->arena, lowering->kernel->indices[band->term].high));
  }
  Columns needed = {NULL, NULL};
  if (is_banded(lowering, band->unit.target)) needed = banding->needed[banding->number];
  const Expr *last = difference(lowering, banding->high, integer(lowering, 1));
  emit_tiles(band, &packed, band_block_columns(lowering, needed, band->column, banding->low, last));
  return true;
}

/* C[row, column] += the sum over the block; both factors are of the block. */
static bool emit_sum(BandProduct *band) {
  Lowering *lowering = band->product.lowering;
  Product *product = &band->product;
  const Banding *banding = lowering->banding;
  const Expr *shift;
  bool is_in_place = is_block_read(lowering, product->a) &&
                     band_shifted_index(lowering, product->a->args[band_column_axis(lowering, product->a->id)], &shift) == band->row;
  if (!is_in_place || expr_uses_index(product->b, band->row)) return false;
  band->depth_axis = band_row_axis(lowering, band_number(lowering, product->a->id));
  if (!expr_is_index(product->a->args[band->depth_axis], band->term)) return false;
  product->a_panels = NONE;
  const Expr *extent = extent_of(lowering, band->column);
  product->column_panels = product_panel_count(lowering, extent, product->tile_columns, "column_panels");
  if (product->column_panels.symbol != NONE) return false; /* its panels are the thread's own, of a known size */
  product->b_panels = private_panels(band, "columns", product->column_panels.constant, integer(lowering, BLOCK_ROWS), product->tile_columns);
  pack_block(band, product->b_panels, product->b, band->column, size_expr(lowering->arena, lowering->kernel->indices[band->column].low),
             size_expr(lowering->arena, lowering->kernel->indices[band->column].high), product->tile_columns,
             size_expr(lowering->arena, product->column_panels), band->term, banding->low, banding->high);
  Columns needed = banding->needed[band_number(lowering, product->a->id)];
  const Expr *last = difference(lowering, banding->high, integer(lowering, 1));
  Columns rows = band_shift(lowering, needed, expr_unary(lowering->arena, OP_NEG, shift));
  rows = band_block_columns(lowering, rows, band->row, banding->low, last);
  band->tile_low = rows.low; /* what lies before is of another block */
  band->tile_high = rows.high;
  const Index *columns = &lowering->kernel->indices[band->column];
  emit_tiles(band, NULL, (Columns){size_expr(lowering->arena, columns->low), size_expr(lowering->arena, columns->high)});
  return true;
}

bool band_product(Lowering *lowering, Unit *unit) {
  BandProduct band = {.unit = *unit};
  Product *product = &band.product;
  product->lowering = lowering;
  if (!find_indices(&band)) return false;
  if (!has_plain_zero_base(lowering, band.row) || !has_plain_zero_base(lowering, band.column) || !has_plain_zero_base(lowering, band.term)) return false;
  take_guard(&band);
  drop_guard_of_columns(&band);
  product->unit = &band.unit;
  if (!product_recognise(product) || product->row_count != 1 || product->shared_count || product->outer_column_count) return false;
  leave_rows_in_place(&band);
  product_choose_tile(product);
  Banding *banding = lowering->banding;
  Block outer = banding->block;
  banding->block = (Block){0};
  bool is_done = band.is_sum ? emit_sum(&band) : emit_rows(&band);
  Statement *work = banding->block.first;
  banding->block = outer;
  for (int n = band.around_count - 1; is_done && n >= 0; n--) {
    const Index *range = &lowering->kernel->indices[band.around[n]];
    Statement *inside = work;
    work = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, band.around[n], size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), inside);
  }
  if (is_done) block_append(&banding->block, work);
  return is_done;
}
