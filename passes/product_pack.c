/* product_pack.c - the factors of a sum of products, evaluated once into panels.
 *
 * B as [outer columns.., panel, terms.., column of the tile], padded with zeros. A as [outer rows.., row, terms..] where its source
 * has the terms side by side, which takes no turning; otherwise as [outer rows.., panel, terms.., row of the tile].
 */
#include "passes/product.h"

enum {
  PACKED_TOGETHER = 64, /* columns that are packed in one walk over the terms: whole cache lines of each row of the source */
  ROWS_TOGETHER = 8,
  ROW_SKEW = 16 /* elements between rows, so that they don't all begin in the same sets of a cache */
};

/* Panels in the workspace, or those of all turns in slot `slot` of what is packed once. */
static BufferId panel_buffer(Product *product, const char *name, int outer_count, const int *outer, Size panels, int width, int slot) {
  Lowering *lowering = product->lowering;
  Size shape[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; slot != NONE && n < product->turn_count; n++) shape[rank++] = index_extent(lowering, product->turns[n]);
  for (int n = 0; n < outer_count; n++) shape[rank++] = index_extent(lowering, product_axis(product, outer[n]));
  shape[rank++] = panels;
  for (int n = 0; n < product->unit->reduce_count; n++) shape[rank++] = index_extent(lowering, product->unit->reduce_indices[n]);
  shape[rank++] = size_constant(width);
  const char *full = arena_format(lowering->arena, "%s.%s", lowering->kernel->buffers[product->target].name, name);
  return kernel_add_buffer(lowering->kernel, full, TYPE_REAL, rank, shape, slot == NONE ? HOME_WORKSPACE : HOME_PACKED, slot == NONE ? 0 : slot);
}

/* Loops over the terms around `body`; lanes run along the last of them when is_vector. */
static Statement *term_loops(Product *product, Statement *body, bool is_vector) {
  Lowering *lowering = product->lowering;
  for (int n = product->unit->reduce_count - 1; n >= 0; n--) {
    IndexId index = product->unit->reduce_indices[n];
    const Index *range = &lowering->kernel->indices[index];
    LoopKind kind = is_vector && n == product->unit->reduce_count - 1 ? LOOP_VECTOR : LOOP_SEQUENTIAL;
    body = statement_loop(lowering->kernel, kind, index, size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), body);
  }
  return body;
}

/* panels[outer.., panel, terms.., place] = place is inside ? factor : 0, in parallel over panels. */
static Statement *pack(Product *product, BufferId panels, int outer_count, const int *outer, Size panel_total, int width, const Expr *extent,
                       const Expr *factor, bool is_rows) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId loops[MOST_AXES];
  for (int n = 0; n < outer_count; n++) loops[n] = product_axis(product, outer[n]);
  IndexId panel = loops[outer_count] = kernel_add_index(kernel, "panel", size_constant(0), panel_total);
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(width));
  const Expr *number = expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, expr_index(arena, panel), integer(lowering, width)), expr_index(arena, place));
  const Expr **by;
  IndexId inner = is_rows ? product_axis(product, product->rows[product->row_count - 1]) : product_axis(product, product->column);
  if (is_rows) {
    by = product_row_indices(product, number);
  } else {
    by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
    by[inner] = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[inner].low), number);
  }
  bool place_in_lanes = !is_rows || !product->is_flat;
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = ranges_simplify(&ranges, expr_binary(arena, OP_LT, number, extent));
  const Expr *filled = ranges_simplify(&ranges, expr_substitute(arena, factor, kernel->index_count, by));
  const Expr *value = expr_select(arena, inside, filled, expr_number(arena, 0));
  const Expr *indices[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; kernel->buffers[panels].home == HOME_PACKED && n < product->turn_count; n++)
    indices[rank++] = index_from_low(lowering, product->turns[n]);
  for (int n = 0; n < outer_count; n++) indices[rank++] = index_from_low(lowering, loops[n]);
  indices[rank++] = expr_index(arena, panel);
  for (int n = 0; n < product->unit->reduce_count; n++) indices[rank++] = index_from_low(lowering, product->unit->reduce_indices[n]);
  indices[rank++] = expr_index(arena, place);
  Statement *work = statement_store(kernel, panels, indices, lower_expr(lowering, value, NULL, false));
  work->source = product->unit->equation->source;
  /* along rows of the source, several panels together: each row is then touched once, not once for every panel */
  bool is_along_rows = place_in_lanes && !gather_count(lowering, factor, inner);
  int64_t together = is_along_rows ? PACKED_TOGETHER / width : 1;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, outer_count + 1, loops, together < 1 ? 1 : together, &low, &high, &innermost);
  LoopKind place_kind = place_in_lanes ? LOOP_VECTOR : LOOP_SEQUENTIAL;
  if (!place_in_lanes) work = term_loops(product, work, true);
  work = statement_loop(kernel, place_kind, place, integer(lowering, 0), integer(lowering, width), work);
  if (is_along_rows) {
    innermost->body = term_loops(product, statement_loop(kernel, LOOP_SEQUENTIAL, panel, low, high, work), false);
  } else {
    if (place_in_lanes) work = term_loops(product, work, false);
    innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, panel, low, high, work);
  }
  stage->source = product->unit->equation->source;
  return stage;
}

/* Lanes run along the terms rather than along rows. */
static bool has_terms_in_lanes(const Product *product) {
  Lowering *lowering = product->lowering;
  IndexId term = product->unit->reduce_indices[product->unit->reduce_count - 1];
  if (gather_count(lowering, product->a, term)) return false;
  return product->is_flat || gather_count(lowering, product->a, product_axis(product, product->rows[product->row_count - 1]));
}

/* rows[outer.., row, terms..] = factor, in parallel over rows; tiles then read it as they would read rows in place. */
static Statement *copy_rows(Product *product) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  const Unit *unit = product->unit;
  int outer_rows = product_outer_rows(product), rank = 0;
  Size rows = product_panel_count(lowering, product->row_extent, 1, "rows"), shape[MOST_AXES * 2];
  IndexId loops[MOST_AXES];
  const Expr *indices[MOST_AXES * 2], *first[MOST_AXES * 2];
  for (int n = 0; n < outer_rows; n++) {
    loops[n] = product_axis(product, product->rows[n]);
    indices[rank] = first[rank] = index_from_low(lowering, loops[n]);
    shape[rank++] = index_extent(lowering, loops[n]);
  }
  loops[outer_rows] = kernel_add_index(kernel, "row", size_constant(0), rows);
  indices[rank] = first[rank] = expr_index(arena, product->row);
  shape[rank++] = rows;
  for (int n = 0; n < unit->reduce_count; n++) {
    indices[rank] = index_from_low(lowering, unit->reduce_indices[n]);
    first[rank] = integer(lowering, 0);
    shape[rank++] = index_extent(lowering, unit->reduce_indices[n]);
  }
  if (unit->reduce_count == 1) shape[rank - 1].constant += ROW_SKEW;
  product->a_panels = kernel_add_buffer(kernel, arena_format(arena, "%s.a", kernel->buffers[product->target].name), TYPE_REAL, rank, shape, HOME_WORKSPACE, 0);
  product->rows_in_place = expr_load(arena, TYPE_REAL, product->a_panels, rank, arena_copy(arena, first, sizeof *first * (size_t)rank), NULL);
  Ranges ranges = lowering_ranges(lowering);
  const Expr **by = product_row_indices(product, expr_index(arena, product->row));
  const Expr *value = ranges_simplify(&ranges, expr_substitute(arena, product->a, kernel->index_count, by));
  Statement *work = statement_store(kernel, product->a_panels, indices, lower_expr(lowering, value, NULL, false));
  work->source = unit->equation->source;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, outer_rows + 1, loops, ROWS_TOGETHER, &low, &high, &innermost);
  innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, product->row, low, high, term_loops(product, work, true));
  stage->source = unit->equation->source;
  return stage;
}

/* How many of the loops around the factor must be packed in: all those that change it. */
typedef struct LevelSearch {
  const Lowering *lowering;
  int level;
} LevelSearch;

static void find_level(void *context, const Expr *expr) {
  LevelSearch *search = context;
  for (int n = search->level; n < search->lowering->open_count; n++) {
    const OpenLoop *open = &search->lowering->open[n];
    if (changes_in_loop(open, expr)) search->level = n + 1;
  }
}

/* Puts the packing of a factor before the outermost loop that does not change it; there under the condition of the packed way, which
 * holds here already. `needed` is a condition of the packing's own. */
static void place_packing(Product *product, const Expr *factor, Statement *stage, const Expr *condition, const Expr *needed) {
  Lowering *lowering = product->lowering;
  LevelSearch search = {lowering, 0};
  expr_visit(factor, find_level, &search);
  bool moves = search.level < lowering->open_count && product->shared_count == 0;
  if (!moves) {
    end_stage(lowering, lowering->block, stage, needed);
    return;
  }
  OpenLoop *open = &lowering->open[search.level];
  condition = conjunction(lowering->arena, condition, needed);
  if (open->slab) condition = conjunction(lowering->arena, condition, wanted_condition(lowering, product->unit->target));
  if (condition) stage = statement_if(lowering->kernel, condition, stage, NULL);
  block_append(open->before, stage);
}

/* ---- packed once ---------------------------------------------------------------------------------------------------- */

typedef struct ConstantSearch {
  const Product *product;
  bool fails;
  bool uses_loop[MOST_LOOPS];
} ConstantSearch;

static bool has_known_range(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  return range->low.symbol == NONE && range->high.symbol == NONE;
}

/* Nothing but parameters and what is computed of them once, and indices of which all values are known. */
static void find_changing(void *context, const Expr *expr) {
  ConstantSearch *search = context;
  Lowering *lowering = search->product->lowering;
  if (expr->op == OP_SYMBOL || expr->op == OP_GIVEN || expr->op == OP_LOAD || expr->op == OP_LOCAL) search->fails = true;
  BufferId buffer = expr->op == OP_READ ? buffer_of(lowering, expr->id) : NONE;
  if (buffer != NONE) search->fails |= lowering->kernel->buffers[buffer].home != HOME_PARAMETER && lowering->kernel->buffers[buffer].packed_slot == NONE;
  if (expr->op != OP_INDEX) return;
  search->fails |= !has_known_range(lowering, expr->id);
  for (int n = 0; n < lowering->open_count; n++) search->uses_loop[n] |= lowering->open[n].node->index == expr->id;
}

/* B is the same in every call until parameters change, so its panels can be kept. In a gradient they change after each call. */
static bool is_constant(Product *product) {
  Lowering *lowering = product->lowering;
  ConstantSearch search = {.product = product};
  if (lowering->kernel->entry != ENTRY_FORWARD || product->shared_count || product->column_panels.symbol != NONE) return false;
  for (int n = 0; n < product->unit->reduce_count; n++) search.fails |= !has_known_range(lowering, product->unit->reduce_indices[n]);
  for (int n = 0; n < product->outer_column_count; n++) search.fails |= !has_known_range(lowering, product_axis(product, product->outer_columns[n]));
  expr_visit(product->b, find_changing, &search);
  for (int n = 0; n < lowering->open_count; n++)
    if (search.uses_loop[n]) product->turns[product->turn_count++] = lowering->open[n].node->index;
  return !search.fails;
}

int packed_count(const Kernel *kernel) {
  int count = 0;
  for (BufferId n = 0; n < kernel->buffer_count; n++) count += kernel->buffers[n].home == HOME_PACKED;
  return count;
}

Lowering enter_pack(Lowering *lowering) {
  Kernel *kernel = lowering->kernel, *pack = kernel->pack;
  if (!pack) {
    pack = kernel->pack = kernel_create(lowering->arena, ENTRY_PACK, NULL);
    lowering->pack_buffers = ARENA_ARRAY(lowering->arena, BufferId, lowering->program->tensor_count);
    for (TensorId n = 0; n < lowering->program->tensor_count; n++) lowering->pack_buffers[n] = NONE;
  }
  Lowering inner = *lowering;
  pack->indices = kernel->indices, pack->index_count = kernel->index_count;
  pack->symbols = kernel->symbols, pack->symbol_count = kernel->symbol_count;
  inner.kernel = pack;
  inner.buffers = lowering->pack_buffers;
  return inner;
}

void leave_pack(Lowering *lowering) {
  Kernel *kernel = lowering->kernel, *pack = kernel->pack;
  pack->body = lowering->pack_block.first;
  kernel->indices = pack->indices, kernel->index_count = pack->index_count;
  kernel->symbols = pack->symbols, kernel->symbol_count = pack->symbol_count;
}

static Statement *fill_columns(Product *product, BufferId panels) {
  return pack(product, panels, product->outer_column_count, product->outer_columns, product->column_panels, product->tile_columns,
              extent_of(product->lowering, product_axis(product, product->column)), product->b, false);
}

Statement *product_pack_columns(Product *product) {
  product->b_panels = panel_buffer(product, "b", product->outer_column_count, product->outer_columns, product->column_panels, product->tile_columns, NONE);
  return fill_columns(product, product->b_panels);
}

static void report_sizes(const Product *product) {
  if (!product->report) return;
  const Buffer *panels = &product->lowering->kernel->buffers[product->packed];
  int64_t elements = 1, depth = product->depth->integer;
  for (int n = 0; n < panels->rank; n++) elements *= panels->shape[n].constant;
  product->report->packed_elements = elements;
  product->report->packed_scales = elements / depth * ((depth + SCALE_TERMS - 1) / SCALE_TERMS);
}

/* The panels of B that are kept: a buffer of this kernel, and the stage that fills it in the kernel that packs. */
void product_pack_once(Product *product) {
  product->packed = product->scales = NONE;
  if (!is_constant(product)) return;
  Lowering *lowering = product->lowering;
  Kernel *kernel = lowering->kernel;
  Lowering inner = enter_pack(lowering);
  int slot = packed_count(kernel);
  bool is_scaled = lowering->context->packed_format == PACKED_INT8;
  if (is_scaled)
    product_scaled_buffers(product, inner.kernel, slot);
  else
    product->packed = panel_buffer(product, "packed", product->outer_column_count, product->outer_columns, product->column_panels, product->tile_columns, slot);
  BufferId panels = inner.kernel->buffer_count - 1;
  if (!is_scaled) {
    Buffer *buffer = &kernel->buffers[product->packed];
    panels = kernel_add_buffer(inner.kernel, buffer->name, TYPE_REAL, buffer->rank, buffer->shape, HOME_PACKED, slot);
    buffer->format = inner.kernel->buffers[panels].format = lowering->context->packed_format;
  }
  report_sizes(product);
  product->lowering = &inner;
  Statement *stage = is_scaled ? product_fill_scaled(product, panels - 1, panels) : fill_columns(product, panels);
  product->lowering = lowering;
  for (int n = product->turn_count - 1; n >= 0; n--) {
    const Index *range = &inner.kernel->indices[product->turns[n]];
    stage = statement_loop(inner.kernel, LOOP_SEQUENTIAL, product->turns[n], size_expr(lowering->arena, range->low),
                           size_expr(lowering->arena, range->high), stage);
  }
  block_append(&lowering->pack_block, stage);
  leave_pack(lowering);
}

/* ---- both factors ---------------------------------------------------------------------------------------------------- */

void product_pack(Product *product, const Expr *condition) {
  Lowering *lowering = product->lowering;
  const Expr *given = product->packed == NONE ? NULL : expr_given(lowering->arena, product->packed);
  const Expr *needed = given ? expr_unary(lowering->arena, OP_NOT, given) : NULL;
  place_packing(product, product->b, product_pack_columns(product), condition, needed);
  if (product->has_dots) place_packing(product, product->a, product_keep_rows(product), NULL, given);
  if (product->rows_in_place) return;
  if (!product->has_dots && condition && given) condition = expr_binary(lowering->arena, OP_OR, condition, given); /* few rows too, then */
  if (!product->has_dots) needed = NULL;
  if (has_terms_in_lanes(product)) {
    place_packing(product, product->a, copy_rows(product), condition, needed);
    return;
  }
  int outer_rows = product_outer_rows(product);
  product->a_panels = panel_buffer(product, "a", outer_rows, product->rows, product->row_panels, product->tile_rows, NONE);
  Statement *a = pack(product, product->a_panels, outer_rows, product->rows, product->row_panels, product->tile_rows, product->row_extent,
                      product->a, true);
  place_packing(product, product->a, a, condition, needed);
}
