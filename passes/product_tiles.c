/* product_tiles.c - register tiles over the packed panels of a sum of products. */
#include "passes/product.h"

enum {
  PANELS_PER_PASS = 4, /* column panels that one item of work takes through all passes, at most */
  FEWEST_TILES = 2,    /* row tiles of an item, so that a panel of B is used more than once */
  ITEMS = 16,          /* at least, where there are so many panels: two, four or eight threads share them out evenly */
  TILES_WITH_MAPS = 6  /* row tiles of one item that does maps too: few, so that there are items for all threads */
};

/* Row tiles that share a panel of B while it is in the cache: their panels of A fill half of the second level. Of several passes more
 * share it, as it comes from far away each time, which the first of them waits for; A is then read on from the next level, in order.
 * Where their number is known, blocks are about equal. */
static int64_t product_tiles_per_block(const Product *product) {
  int64_t bytes = (int64_t)product->tile_rows * product->pass_depth * 4, level = product->lowering->context->machine->l2_bytes;
  int64_t most = (product->is_one_pass ? level / 2 : 2 * level) / bytes;
  most = most < 4 ? 4 : most > 64 ? 64 : most;
  if (product->row_panels.symbol != NONE) return most;
  int64_t blocks = (product->row_panels.constant + most - 1) / most;
  return (product->row_panels.constant + blocks - 1) / blocks;
}

static void place_row_panel(const Product *product, Statement *tile, IndexId row_panel, const Expr *start) {
  const Lowering *lowering = product->lowering;
  tile->a_buffer = product->a_panels;
  tile->a_rank = lowering->kernel->buffers[product->a_panels].rank;
  tile->a_indices = ARENA_ARRAY(lowering->arena, const Expr *, tile->a_rank);
  int at = 0;
  for (int n = 0; n < product_outer_rows(product); n++) tile->a_indices[at++] = index_from_low(lowering, product_axis(product, product->rows[n]));
  tile->a_indices[at++] = expr_index(lowering->arena, row_panel);
  while (at < tile->a_rank) tile->a_indices[at++] = integer(lowering, 0);
  tile->a_indices[at - 2] = start;
  tile->a_depth_axis = at - 2;
}

static void place_rows(const Product *product, Statement *tile, const Expr *start) {
  const Lowering *lowering = product->lowering;
  const Expr *load = product->rows_in_place;
  tile->has_rows_in_place = true;
  tile->a_buffer = load->id;
  tile->a_rank = load->arg_count;
  tile->a_indices = ARENA_ARRAY(lowering->arena, const Expr *, tile->a_rank);
  memcpy(tile->a_indices, load->args, sizeof *tile->a_indices * (size_t)tile->a_rank);
  int inner = innermost_axis(lowering, tile->a_buffer);
  tile->a_indices[inner] = expr_binary(lowering->arena, OP_ADD, tile->a_indices[inner], start);
}

/* What the tiles of a pass have in common. */
typedef struct PassPlace {
  IndexId row_panel, column_panel, pass; /* NONE: it is the only one */
  const Expr *start, *depth;
} PassPlace;

/* The panels of B as this kernel packed them, or as they were packed once. */
static void place_columns(const Product *product, Statement *tile, const PassPlace *place) {
  const Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  tile->b_buffer = product->b_panels;
  tile->b_rank = lowering->kernel->buffers[product->b_panels].rank;
  tile->b_indices = ARENA_ARRAY(arena, const Expr *, tile->b_rank);
  int at = 0;
  for (int n = 0; n < product->outer_column_count; n++) tile->b_indices[at++] = index_from_low(lowering, product_axis(product, product->outer_columns[n]));
  tile->b_indices[at++] = expr_index(arena, place->column_panel);
  while (at < tile->b_rank) tile->b_indices[at++] = integer(lowering, 0);
  tile->b_indices[at - 2] = place->start;
  if (product->packed == NONE || product->has_dots) return;
  tile->packed_buffer = product->packed;
  tile->packed_rank = lowering->kernel->buffers[product->packed].rank;
  if (product->scales != NONE) {
    tile->packed_indices = product_scaled_place(product, place->column_panel, place->pass, false);
    tile->scale_buffer = product->scales;
    tile->scale_rank = tile->packed_rank;
    tile->scale_indices = product_scaled_place(product, place->column_panel, place->pass, true);
    return;
  }
  tile->packed_indices = ARENA_ARRAY(arena, const Expr *, tile->packed_rank);
  for (int n = 0; n < product->turn_count; n++) tile->packed_indices[n] = index_from_low(lowering, product->turns[n]);
  memcpy(tile->packed_indices + product->turn_count, tile->b_indices, sizeof *tile->b_indices * (size_t)tile->b_rank);
}

/* The panel that this thread has widened for the pass. */
static void place_widened(const Product *product, Statement *tile) {
  const Lowering *lowering = product->lowering;
  tile->b_buffer = product->widened;
  tile->b_rank = 2;
  tile->b_indices = ARENA_ARRAY(lowering->arena, const Expr *, 2);
  tile->b_indices[0] = tile->b_indices[1] = integer(lowering, 0);
}

/* How a tile gets its factors. */
typedef enum { TILE_PANELS, TILE_WIDENED, TILE_DOTS } TileKind;

static Statement *tile(Product *product, const PassPlace *place, TileKind kind, const Expr *value, const Expr *const *target_indices, IndexId row,
                       IndexId column) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Statement *statement = statement_create(lowering->kernel, STATEMENT_TILE);
  statement->source = product->unit->equation->source;
  statement->tile_rows = product->tile_rows;
  statement->tile_vectors = product->tile_vectors;
  statement->row_index = row;
  statement->column_index = column;
  statement->row0 = expr_binary(arena, OP_MUL, expr_index(arena, place->row_panel), integer(lowering, product->tile_rows));
  statement->column0 = expr_binary(arena, OP_MUL, expr_index(arena, place->column_panel), integer(lowering, product->tile_columns));
  statement->row_limit = product->row_extent;
  statement->column_limit = extent_of(lowering, product_axis(product, product->column));
  statement->depth = place->depth;
  statement->buffer = product->target;
  statement->rank = product->unit->rank;
  statement->indices = arena_copy(arena, target_indices, sizeof *target_indices * (size_t)product->unit->rank);
  statement->value = value;
  if (kind == TILE_DOTS) {
    product_place_dots(product, statement, place->column_panel, place->pass);
    return statement;
  }
  if (product->rows_in_place)
    place_rows(product, statement, place->start);
  else
    place_row_panel(product, statement, place->row_panel, place->start);
  if (kind == TILE_WIDENED)
    place_widened(product, statement);
  else
    place_columns(product, statement, place);
  return statement;
}

/* The tile after it has asked for what the next one adds to, which lies somewhere else in memory. */
static Statement *after_prefetch(const Product *product, Statement *tile) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  Statement *first = NULL, **end = &first;
  IndexId ahead = kernel_add_index(kernel, "ahead", size_constant(0), size_constant(product->tile_rows));
  const Expr **by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  by[tile->row_index] = expr_binary(arena, OP_ADD, tile->row0, expr_binary(arena, OP_ADD, expr_index(arena, ahead), integer(lowering, product->tile_rows)));
  for (int v = 0; v < product->tile_vectors; v++) {
    by[tile->column_index] = expr_binary(arena, OP_ADD, tile->column0, integer(lowering, (int64_t)v * lowering->context->machine->lanes));
    const Expr **indices = ARENA_ARRAY(arena, const Expr *, tile->rank);
    for (int n = 0; n < tile->rank; n++) indices[n] = expr_substitute(arena, tile->indices[n], kernel->index_count, by);
    *end = statement_prefetch(kernel, expr_load(arena, TYPE_REAL, tile->buffer, tile->rank, indices, NULL));
    end = &(*end)->next;
  }
  Statement *loop = statement_loop(kernel, LOOP_SEQUENTIAL, ahead, integer(lowering, 0), integer(lowering, product->tile_rows), first);
  loop->next = tile;
  return loop;
}

static Statement *row_panels(Product *product, const PassPlace *place, TileKind kind, const Span *rows, const Expr *value, const Expr *const *indices,
                             IndexId row, IndexId column) {
  const Lowering *lowering = product->lowering;
  Statement *work = tile(product, place, kind, value, indices, row, column);
  bool goes_on = value && value->op == OP_LOAD && value->id == product->target;
  if (lowering->slab && product->is_one_pass && kind == TILE_PANELS && goes_on) work = after_prefetch(product, work);
  return statement_loop(lowering->kernel, LOOP_SEQUENTIAL, place->row_panel, rows->low, rows->high, work);
}

/* Some row tiles against some column panels, pass after pass over the depth: what a pass needs of A stays in the cache for all
 * of the panels. The first pass starts from the value, the others from what the ones before left in the target. */
static Statement *tiles(Product *product, const Span *rows, const Span *columns, IndexId column_panel) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId row = product->row;
  IndexId column = kernel_add_index(kernel, "column", size_constant(0), size_constant(1));
  kernel->indices[column].high = index_extent(lowering, product_axis(product, product->column));
  const Expr **by = product_row_indices(product, expr_index(arena, row));
  IndexId column_axis = product_axis(product, product->column);
  const Expr **all = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  memcpy(all, by, sizeof *all * (size_t)kernel->index_count);
  all[column_axis] = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[column_axis].low), expr_index(arena, column));
  const Expr **indices = store_indices(lowering, product->unit);
  for (int n = 0; n < product->unit->rank; n++) indices[n] = expr_substitute(arena, indices[n], kernel->index_count, all);
  const Expr *value = product->unit->value ? lower_expr(lowering, expr_substitute(arena, product->unit->value, kernel->index_count, all), NULL, false) : NULL;
  const Expr *depth = product->depth, *start = integer(lowering, 0);
  IndexId pass = NONE;
  if (!product->is_one_pass) {
    pass = kernel_add_index(kernel, "pass", size_constant(0), size_constant(1));
    start = expr_binary(arena, OP_MUL, expr_index(arena, pass), integer(lowering, product->pass_depth));
    depth = expr_binary(arena, OP_MIN, expr_binary(arena, OP_SUB, depth, start), integer(lowering, product->pass_depth));
    const Expr *is_later = expr_binary(arena, OP_GT, expr_index(arena, pass), integer(lowering, 0));
    const Expr *so_far = expr_load(arena, TYPE_REAL, product->target, product->unit->rank, indices, is_later);
    value = expr_select(arena, is_later, so_far, value ? value : expr_number(arena, 0));
  }
  IndexId panel = kernel_add_index(kernel, "row_panel", size_constant(0), product->row_panels);
  PassPlace place = {panel, column_panel, pass, start, depth};
  Statement *work = row_panels(product, &place, TILE_PANELS, rows, value, indices, row, column);
  if (product->scales != NONE && product->has_dots) {
    const Expr *is_alone = expr_unary(arena, OP_NOT, expr_given(arena, product->packed));
    work = statement_if(kernel, is_alone, work, row_panels(product, &place, TILE_DOTS, rows, value, indices, row, column));
  } else if (product->scales != NONE && !expr_is_boolean(product_widens(product), false)) {
    Statement *wide = row_panels(product, &place, TILE_WIDENED, rows, value, indices, row, column);
    work = statement_if(kernel, product_widens(product), product_widen(product, column_panel, pass, depth, wide), work);
  }
  bool is_bound = columns->low->op == OP_INDEX && columns->low->id == column_panel; /* by a loop around */
  if (!is_bound) work = statement_loop(kernel, LOOP_SEQUENTIAL, column_panel, columns->low, columns->high, work);
  if (pass == NONE) return work;
  return statement_loop(kernel, LOOP_SEQUENTIAL, pass, integer(lowering, 0), ceil_quotient(lowering, product->depth, product->pass_depth), work);
}

/* Loops around `body` over all values of the outer columns that the maps have no loop for. */
static Statement *outer_column_loops(const Product *product, const ProductMaps *maps, Statement *body) {
  const Lowering *lowering = product->lowering;
  for (int n = product->outer_column_count - 1; n >= 0; n--) {
    if (product_has_loop(maps, product->outer_columns[n])) continue;
    IndexId index = product_axis(product, product->outer_columns[n]);
    const Index *range = &lowering->kernel->indices[index];
    body = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), body);
  }
  return body;
}

/* Where a block begins: blocks differ by one panel at most, so that items are alike and threads end together. */
static const Expr *block_start(const Lowering *lowering, const Expr *panels, Size blocks, const Expr *block) {
  Arena *arena = lowering->arena;
  const Expr *count = size_expr(arena, blocks);
  if (panels->op == OP_INTEGER && count->op == OP_INTEGER && panels->integer % count->integer == 0)
    return expr_binary(arena, OP_MUL, block, integer(lowering, panels->integer / count->integer));
  return expr_binary(arena, OP_QUOTIENT, expr_binary(arena, OP_MUL, block, panels), count);
}

/* Panels cut in parts of `most` each, or in more, down to `least` each, where `others`, the items for one part, are few. */
static Size parts_for_items(Lowering *lowering, const Expr *panels, int64_t most, int64_t least, const Expr *others, const char *name) {
  Arena *arena = lowering->arena;
  const Expr *fewest = ceil_quotient(lowering, panels, most);
  if (others->op == OP_INTEGER && others->integer >= ITEMS) return derived_size(lowering, fewest, name);
  others = expr_binary(arena, OP_MAX, others, integer(lowering, 1)); /* no rows at all: no items, but a quotient */
  const Expr *wanted = expr_binary(arena, OP_QUOTIENT, expr_binary(arena, OP_ADD, others, integer(lowering, ITEMS - 1)), others);
  const Expr *more = expr_binary(arena, OP_MIN, ceil_quotient(lowering, panels, least), wanted);
  return derived_size(lowering, expr_binary(arena, OP_MAX, fewest, more), name);
}

/* How many items there are for each block of rows. */
static const Expr *items_beside_rows(const Product *product, const ProductMaps *maps) {
  const Lowering *lowering = product->lowering;
  const Expr *items = size_expr(lowering->arena, product->column_panels);
  for (int n = 0; n < product_outer_rows(product); n++)
    items = expr_binary(lowering->arena, OP_MUL, items, extent_of(lowering, product_axis(product, product->rows[n])));
  for (int n = 0; n < product->outer_column_count; n++)
    if (!maps || product_has_loop(maps, product->outer_columns[n]))
      items = expr_binary(lowering->arena, OP_MUL, items, extent_of(lowering, product_axis(product, product->outer_columns[n])));
  return items;
}

Statement *product_tiles(Product *product, const ProductMaps *maps) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId loops[MOST_AXES * 2];
  int count = 0;
  for (int n = 0; n < product_outer_rows(product); n++) loops[count++] = product_axis(product, product->rows[n]);
  const Expr *row_panels = size_expr(arena, product->row_panels);
  int64_t block_tiles = product_tiles_per_block(product);
  bool has_few_rows = product_has_few_rows(product);
  if (maps && has_few_rows && block_tiles > TILES_WITH_MAPS) block_tiles = TILES_WITH_MAPS;
  Size blocks = has_few_rows ? product_panel_count(lowering, row_panels, block_tiles, "row_blocks")
                             : parts_for_items(lowering, row_panels, block_tiles, FEWEST_TILES, items_beside_rows(product, maps), "row_blocks");
  IndexId block = kernel_add_index(kernel, "row_block", size_constant(0), blocks);
  IndexId panel = kernel_add_index(kernel, "column_panel", size_constant(0), product->column_panels);
  bool is_grouped = !product->is_one_pass && !has_few_rows; /* few rows stay in the cache */
  /* with maps, which need all outer columns, items are fewer; one thread then takes all rows of its columns */
  bool is_by_columns = maps && has_few_rows;
  if (!is_by_columns) loops[count++] = block;
  for (int n = 0; n < product->outer_column_count; n++)
    if (!maps || product_has_loop(maps, product->outer_columns[n])) loops[count++] = product_axis(product, product->outer_columns[n]);
  Size groups = product->column_panels;
  if (is_grouped) groups = parts_for_items(lowering, size_expr(arena, groups), PANELS_PER_PASS, 1, product_extent(lowering, count, loops), "panel_groups");
  loops[count++] = is_grouped ? kernel_add_index(kernel, "panel_group", size_constant(0), groups) : panel;
  if (is_by_columns) loops[count++] = block;
  Span rows, columns, last;
  Statement *innermost, *stage = parallel_nest(lowering, count, loops, 1, &last.low, &last.high, &innermost);
  columns = last;
  if (is_grouped) {
    const Expr *panels = size_expr(arena, product->column_panels);
    columns = (Span){block_start(lowering, panels, groups, last.low), block_start(lowering, panels, groups, last.high)};
  }
  if (is_by_columns) {
    columns = (Span){expr_index(arena, panel), expr_binary(arena, OP_ADD, expr_index(arena, panel), integer(lowering, 1))};
    innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, block, last.low, last.high, NULL);
    innermost = innermost->body;
  }
  rows.low = block_start(lowering, row_panels, blocks, expr_index(arena, block));
  rows.high = block_start(lowering, row_panels, blocks, expr_binary(arena, OP_ADD, expr_index(arena, block), integer(lowering, 1)));
  innermost->body = tiles(product, &rows, &columns, panel);
  if (maps) {
    innermost->body = outer_column_loops(product, maps, innermost->body);
    innermost->body->next = product_block_maps(product, maps, &rows, &columns);
  }
  stage->source = product->unit->equation->source;
  return stage;
}
