/* lower_product.c - sums of products of two factors: packed panels and register tiles.
 *
 * A reduction sum[k](A * B) in which one factor does not depend on the innermost axis of the target, and the other not on some
 * other axis, is a matrix product: rows m index A, columns n index B. Any expression can be a factor, as both are evaluated
 * once into packed panels: A as [panel, k, rows of a tile], B as [panel, k, columns of a tile], padded with zeros. A factor that
 * does not change in the loops around is packed before them. The tiles then run over panels with their accumulators in
 * registers, and start from the value that the sum is added to.
 *
 * With few rows (a step of one sequence) packing costs more than it saves; that is decided at run time.
 * Source: K. Goto, R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, TOMS 34(3), 2008.
 */
#include "passes/lower.h"

enum {
  FEWEST_ROWS = 4,     /* below it, plain reductions */
  FEWEST_COLUMNS = 8,
  FEWEST_TERMS = 4,
  DEPTH = 512,         /* terms per pass over a tile: a panel of B of 64 columns is 128 KiB, of A 16 KiB */
  PANELS_PER_PASS = 4, /* column panels that one item of work takes through all passes */
  PACKED_TOGETHER = 64 /* columns that are packed in one walk over the terms: whole cache lines of each row of the source */
};

typedef struct Product {
  Lowering *lowering;
  Unit *unit;
  BufferId target;
  const Expr *a, *b;    /* factors in terms of the unit's indices */
  int column;           /* axis of the target */
  int outer_columns[MOST_AXES], outer_column_count; /* other axes of B only */
  int rows[MOST_AXES], row_count;                   /* axes of A only, in memory order */
  int shared[MOST_AXES], shared_count;              /* axes of both: a loop around */
  int tile_rows, tile_vectors, tile_columns;
  bool is_flat;         /* all row axes together are the rows; otherwise the last of them alone */
  const Expr *row_extent;    /* of what the tiles run over */
  Size row_panels, column_panels;
  const Expr *depth;    /* terms of the sum */
  BufferId a_panels, b_panels;
} Product;

/* ---- is it one? ---------------------------------------------------------------------------------------------------- */

typedef struct Factors {
  int count;
  const Expr **items;
} Factors;

static void split_factors(Arena *arena, const Expr *expr, Factors *factors) {
  if (expr->op == OP_MUL) {
    split_factors(arena, expr->args[0], factors);
    split_factors(arena, expr->args[1], factors);
  } else if (expr->op == OP_NEG) {
    ARENA_PUSH(arena, factors->items, factors->count, expr_number(arena, -1));
    split_factors(arena, expr->args[0], factors);
  } else if (expr->op == OP_DIV) {
    split_factors(arena, expr->args[0], factors);
    ARENA_PUSH(arena, factors->items, factors->count, expr_binary(arena, OP_DIV, expr_number(arena, 1), expr->args[1]));
  } else {
    ARENA_PUSH(arena, factors->items, factors->count, expr);
  }
}

static IndexId axis_index(const Product *product, int axis) { return product->unit->axes[axis].index; }

static void multiply_into(Arena *arena, const Expr **factor, const Expr *by) {
  *factor = *factor ? expr_binary(arena, OP_MUL, *factor, by) : by;
}

/* Factors with the column go to B, the others to A. */
static bool find_factors(Product *product) {
  Arena *arena = product->lowering->arena;
  Factors factors = {0};
  split_factors(arena, product->unit->body, &factors);
  for (int n = 0; n < factors.count; n++)
    multiply_into(arena, expr_uses_index(factors.items[n], axis_index(product, product->column)) ? &product->b : &product->a, factors.items[n]);
  return product->a && product->b;
}

/* Each part of the guard must belong to one factor, or to no index of the product at all. */
static bool distribute_guard(Product *product, const Expr **out_around) {
  Arena *arena = product->lowering->arena;
  const Unit *unit = product->unit;
  int count;
  const Expr **parts = conjuncts(arena, unit->guard, &count);
  const Expr *of_a = NULL, *of_b = NULL;
  *out_around = NULL;
  for (int n = 0; n < count; n++) {
    bool uses_row = false, uses_column = expr_uses_index(parts[n], axis_index(product, product->column)), uses_term = false;
    for (int k = 0; k < product->row_count; k++) uses_row |= expr_uses_index(parts[n], axis_index(product, product->rows[k]));
    for (int k = 0; k < product->shared_count; k++) uses_row |= expr_uses_index(parts[n], axis_index(product, product->shared[k]));
    for (int k = 0; k < product->outer_column_count; k++)
      uses_column |= expr_uses_index(parts[n], axis_index(product, product->outer_columns[k]));
    for (int k = 0; k < unit->reduce_count; k++) uses_term |= expr_uses_index(parts[n], unit->reduce_indices[k]);
    if (uses_row && uses_column) return false;
    const Expr **place = !uses_row && !uses_column && !uses_term ? out_around : uses_column ? &of_b : &of_a;
    *place = conjunction(arena, *place, parts[n]);
  }
  if (of_a) product->a = expr_select(arena, of_a, product->a, expr_number(arena, 0));
  if (of_b) product->b = expr_select(arena, of_b, product->b, expr_number(arena, 0));
  return true;
}

static void classify_axes(Product *product) {
  int axes[MOST_AXES], count = free_axes(product->lowering, product->unit, axes);
  for (int n = 0; n < count; n++) {
    if (axes[n] == product->column) continue;
    bool in_a = expr_uses_index(product->a, axis_index(product, axes[n])), in_b = expr_uses_index(product->b, axis_index(product, axes[n]));
    if (in_a && in_b)
      product->shared[product->shared_count++] = axes[n];
    else if (in_b)
      product->outer_columns[product->outer_column_count++] = axes[n];
    else
      product->rows[product->row_count++] = axes[n];
  }
}

static bool constant_extent(const Lowering *lowering, IndexId index, int64_t *out_extent) {
  const Index *range = &lowering->kernel->indices[index];
  *out_extent = range->high.constant - range->low.constant;
  return range->low.symbol == range->high.symbol;
}

/* A known size below the limit. */
static bool is_below(const Expr *size, int64_t limit) { return size->op == OP_INTEGER && size->integer < limit; }

static const Expr *extents(const Lowering *lowering, int count, const IndexId *indices) {
  const Expr *product = integer(lowering, 1);
  for (int n = 0; n < count; n++) product = expr_binary(lowering->arena, OP_MUL, product, extent_of(lowering, indices[n]));
  return product;
}

static const Expr *row_total(const Product *product) {
  IndexId rows[MOST_AXES];
  for (int n = 0; n < product->row_count; n++) rows[n] = axis_index(product, product->rows[n]);
  return extents(product->lowering, product->row_count, rows);
}

static bool has_plain_ranges(const Product *product) {
  const Unit *unit = product->unit;
  for (int n = 0; n < unit->reduce_count; n++) {
    const Index *range = &product->lowering->kernel->indices[unit->reduce_indices[n]];
    if (range->low.symbol != NONE && range->low.symbol != range->high.symbol) return false;
  }
  return true;
}

/* ---- shape of tiles ------------------------------------------------------------------------------------------------ */

/* The tile that wastes least on a padded last panel; wide and flat ones are a little slower. */
static void choose_tile(Product *product) {
  const Machine *machine = product->lowering->context->machine;
  product->tile_rows = machine->tile_rows;
  product->tile_vectors = machine->tile_vectors;
  int64_t columns;
  if (machine->registers >= 32 && constant_extent(product->lowering, axis_index(product, product->column), &columns)) {
    static const struct { int rows, vectors; double cost; } shapes[] = {{8, 3, 1.0}, {6, 4, 1.02}, {8, 2, 1.06}};
    double best = 1e300;
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++) {
      int64_t width = (int64_t)shapes[n].vectors * machine->lanes;
      double cost = (double)((columns + width - 1) / width * width) * shapes[n].cost;
      if (cost >= best) continue;
      best = cost;
      product->tile_rows = shapes[n].rows;
      product->tile_vectors = shapes[n].vectors;
    }
  }
  product->tile_columns = product->tile_vectors * machine->lanes;
}

/* ceil(extent / by) as a size, with a symbol of the kernel's own where it is known at run time only. */
static Size panel_count(Lowering *lowering, const Expr *extent, int64_t by, const char *name) {
  const Expr *count = ceil_quotient(lowering, extent, by);
  if (count->op == OP_INTEGER) return size_constant(count->integer);
  Kernel *kernel = lowering->kernel;
  for (int n = 0; n < kernel->symbol_count; n++)
    if (kernel->symbols[n].kind == SYMBOL_DERIVED && expr_equal(kernel->symbols[n].formula, count)) return size_symbol(n);
  Symbol symbol = {SYMBOL_DERIVED, arena_format(lowering->arena, "%s%d", name, kernel->symbol_count), count};
  ARENA_PUSH(lowering->arena, kernel->symbols, kernel->symbol_count, symbol);
  return size_symbol(kernel->symbol_count - 1);
}

static void choose_rows(Product *product) {
  Lowering *lowering = product->lowering;
  int64_t extent;
  int last = product->rows[product->row_count - 1];
  bool is_enough = constant_extent(lowering, axis_index(product, last), &extent) && extent >= 2 * product->tile_rows;
  product->is_flat = product->row_count > 1 && !is_enough;
  product->row_extent = product->is_flat ? row_total(product) : extent_of(lowering, axis_index(product, last));
  product->row_panels = panel_count(lowering, product->row_extent, product->tile_rows, "row_panels");
  product->column_panels = panel_count(lowering, extent_of(lowering, axis_index(product, product->column)), product->tile_columns, "column_panels");
}

/* Row tiles that share a panel of B while it is in the cache: their panels of A fill half of the second level. Where their
 * number is known, blocks are about equal. */
static int64_t tiles_per_block(const Product *product) {
  int64_t bytes = (int64_t)product->tile_rows * DEPTH * 4, most = product->lowering->context->machine->l2_bytes / 2 / bytes;
  most = most < 4 ? 4 : most > 64 ? 64 : most;
  if (product->row_panels.symbol != NONE) return most;
  int64_t blocks = (product->row_panels.constant + most - 1) / most;
  return (product->row_panels.constant + blocks - 1) / blocks;
}

static int outer_row_count(const Product *product) { return product->is_flat ? 0 : product->row_count - 1; }

/* The unit's row axes in terms of one row number; NULL entries are left as they are. */
static const Expr **row_replacements(const Product *product, const Expr *row) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, lowering->kernel->index_count);
  const Expr *rest = row;
  for (int n = product->row_count - 1; n >= outer_row_count(product); n--) {
    IndexId index = axis_index(product, product->rows[n]);
    const Expr *place = rest, *low = size_expr(arena, lowering->kernel->indices[index].low);
    if (n > outer_row_count(product)) {
      place = expr_binary(arena, OP_REMAINDER, rest, extent_of(lowering, index));
      rest = expr_binary(arena, OP_QUOTIENT, rest, extent_of(lowering, index));
    }
    by[index] = expr_binary(arena, OP_ADD, low, place);
  }
  return by;
}

/* ---- packing ------------------------------------------------------------------------------------------------------- */

static Size extent_size(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  Size size = {range->low.symbol == range->high.symbol ? NONE : range->high.symbol, range->high.constant - range->low.constant};
  return size;
}

static BufferId panel_buffer(Product *product, const char *name, int outer_count, const int *outer, Size panels, int width) {
  Lowering *lowering = product->lowering;
  Size shape[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; n < outer_count; n++) shape[rank++] = extent_size(lowering, axis_index(product, outer[n]));
  shape[rank++] = panels;
  for (int n = 0; n < product->unit->reduce_count; n++) shape[rank++] = extent_size(lowering, product->unit->reduce_indices[n]);
  shape[rank++] = size_constant(width);
  const char *full = arena_format(lowering->arena, "%s.%s", lowering->kernel->buffers[product->target].name, name);
  return kernel_add_buffer(lowering->kernel, full, TYPE_REAL, rank, shape, HOME_WORKSPACE, 0);
}

static const Expr *from_low(const Lowering *lowering, IndexId index) {
  return expr_binary(lowering->arena, OP_SUB, expr_index(lowering->arena, index), size_expr(lowering->arena, lowering->kernel->indices[index].low));
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
  for (int n = 0; n < outer_count; n++) loops[n] = axis_index(product, outer[n]);
  IndexId panel = loops[outer_count] = kernel_add_index(kernel, "panel", size_constant(0), panel_total);
  IndexId place = kernel_add_index(kernel, "place", size_constant(0), size_constant(width));
  const Expr *number = expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, expr_index(arena, panel), integer(lowering, width)), expr_index(arena, place));
  const Expr **by;
  IndexId inner = is_rows ? axis_index(product, product->rows[product->row_count - 1]) : axis_index(product, product->column);
  if (is_rows) {
    by = row_replacements(product, number);
  } else {
    by = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
    by[inner] = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[inner].low), number);
  }
  IndexId term = product->unit->reduce_indices[product->unit->reduce_count - 1];
  bool place_in_lanes = !is_rows || (!product->is_flat && !gather_count(lowering, factor, inner)) || gather_count(lowering, factor, term) > 0;
  if (is_rows && product->is_flat) place_in_lanes = false;
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = ranges_simplify(&ranges, expr_binary(arena, OP_LT, number, extent));
  const Expr *filled = ranges_simplify(&ranges, expr_substitute(arena, factor, kernel->index_count, by));
  const Expr *value = expr_select(arena, inside, filled, expr_number(arena, 0));
  const Expr *indices[MOST_AXES * 2];
  int rank = 0;
  for (int n = 0; n < outer_count; n++) indices[rank++] = from_low(lowering, loops[n]);
  indices[rank++] = expr_index(arena, panel);
  for (int n = 0; n < product->unit->reduce_count; n++) indices[rank++] = from_low(lowering, product->unit->reduce_indices[n]);
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

/* How many of the loops around the factor must be packed in: all those that change it. */
typedef struct LevelSearch {
  const Lowering *lowering;
  int level;
} LevelSearch;

static void find_level(void *context, const Expr *expr) {
  LevelSearch *search = context;
  for (int n = search->level; n < search->lowering->open_count; n++) {
    const OpenLoop *open = &search->lowering->open[n];
    bool changes = (expr->op == OP_INDEX && expr->id == open->node->index) || (expr->op == OP_READ && open->is_written[expr->id]);
    if (changes) search->level = n + 1;
  }
}

/* Puts the packing of a factor before the outermost loop that does not change it. */
static void place_packing(Product *product, const Expr *factor, Statement *stage, const Expr *condition) {
  Lowering *lowering = product->lowering;
  LevelSearch search = {lowering, 0};
  expr_visit(factor, find_level, &search);
  bool moves = search.level < lowering->open_count && product->shared_count == 0;
  if (!moves) {
    end_stage(lowering, lowering->block, stage, NULL);
    return;
  }
  OpenLoop *open = &lowering->open[search.level];
  if (condition) stage = statement_if(lowering->kernel, condition, stage, NULL);
  block_append(open->before, stage);
  open->has_moved = true;
}

/* ---- tiles --------------------------------------------------------------------------------------------------------- */

static Statement *tile(Product *product, IndexId row_panel, IndexId column_panel, const Expr *value, const Expr *start, const Expr *depth,
                       const Expr *const *target_indices, IndexId row, IndexId column) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Statement *statement = statement_create(lowering->kernel, STATEMENT_TILE);
  statement->source = product->unit->equation->source;
  statement->tile_rows = product->tile_rows;
  statement->tile_vectors = product->tile_vectors;
  statement->row_index = row;
  statement->column_index = column;
  statement->row0 = expr_binary(arena, OP_MUL, expr_index(arena, row_panel), integer(lowering, product->tile_rows));
  statement->column0 = expr_binary(arena, OP_MUL, expr_index(arena, column_panel), integer(lowering, product->tile_columns));
  statement->row_limit = product->row_extent;
  statement->column_limit = extent_of(lowering, axis_index(product, product->column));
  statement->depth = depth;
  statement->buffer = product->target;
  statement->rank = product->unit->rank;
  statement->indices = arena_copy(arena, target_indices, sizeof *target_indices * (size_t)product->unit->rank);
  statement->value = value;
  statement->a_buffer = product->a_panels;
  statement->b_buffer = product->b_panels;
  statement->a_rank = lowering->kernel->buffers[product->a_panels].rank;
  statement->b_rank = lowering->kernel->buffers[product->b_panels].rank;
  statement->a_indices = ARENA_ARRAY(arena, const Expr *, statement->a_rank);
  statement->b_indices = ARENA_ARRAY(arena, const Expr *, statement->b_rank);
  int at = 0;
  for (int n = 0; n < outer_row_count(product); n++) statement->a_indices[at++] = from_low(lowering, axis_index(product, product->rows[n]));
  statement->a_indices[at++] = expr_index(arena, row_panel);
  while (at < statement->a_rank) statement->a_indices[at++] = integer(lowering, 0);
  statement->a_indices[at - 2] = start;
  at = 0;
  for (int n = 0; n < product->outer_column_count; n++) statement->b_indices[at++] = from_low(lowering, axis_index(product, product->outer_columns[n]));
  statement->b_indices[at++] = expr_index(arena, column_panel);
  while (at < statement->b_rank) statement->b_indices[at++] = integer(lowering, 0);
  statement->b_indices[at - 2] = start;
  return statement;
}

typedef struct Span {
  const Expr *low, *high;
} Span;

static bool is_one_pass(const Product *product) { return product->depth->op == OP_INTEGER && product->depth->integer <= DEPTH; }

/* Some row tiles against some column panels, pass after pass over the depth: what a pass needs of A stays in the cache for all
 * of the panels. The first pass starts from the value, the others from what the ones before left in the target. */
static Statement *tiles(Product *product, const Span *rows, const Span *columns, IndexId column_panel) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId row = kernel_add_index(kernel, "row", size_constant(0), size_constant(1));
  IndexId column = kernel_add_index(kernel, "column", size_constant(0), size_constant(1));
  /* ranges that let reads in the start value be proven inside */
  if (!product->is_flat) kernel->indices[row].high = extent_size(lowering, axis_index(product, product->rows[product->row_count - 1]));
  kernel->indices[column].high = extent_size(lowering, axis_index(product, product->column));
  const Expr **by = row_replacements(product, expr_index(arena, row));
  IndexId column_axis = axis_index(product, product->column);
  const Expr **all = ARENA_ARRAY(arena, const Expr *, kernel->index_count);
  memcpy(all, by, sizeof *all * (size_t)kernel->index_count);
  all[column_axis] = expr_binary(arena, OP_ADD, size_expr(arena, kernel->indices[column_axis].low), expr_index(arena, column));
  const Expr **indices = unit_indices(lowering, product->unit);
  for (int n = 0; n < product->unit->rank; n++) indices[n] = expr_substitute(arena, indices[n], kernel->index_count, all);
  const Expr *value = product->unit->value ? lower_expr(lowering, expr_substitute(arena, product->unit->value, kernel->index_count, all), NULL, false) : NULL;
  const Expr *depth = product->depth, *start = integer(lowering, 0);
  IndexId pass = NONE;
  if (!is_one_pass(product)) {
    pass = kernel_add_index(kernel, "pass", size_constant(0), size_constant(1));
    start = expr_binary(arena, OP_MUL, expr_index(arena, pass), integer(lowering, DEPTH));
    depth = expr_binary(arena, OP_MIN, expr_binary(arena, OP_SUB, depth, start), integer(lowering, DEPTH));
    const Expr *is_later = expr_binary(arena, OP_GT, expr_index(arena, pass), integer(lowering, 0));
    const Expr *so_far = expr_load(arena, TYPE_REAL, product->target, product->unit->rank, indices, is_later);
    value = expr_select(arena, is_later, so_far, value ? value : expr_number(arena, 0));
  }
  IndexId panel = kernel_add_index(kernel, "row_panel", size_constant(0), product->row_panels);
  Statement *work = tile(product, panel, column_panel, value, start, depth, indices, row, column);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, panel, rows->low, rows->high, work);
  work = statement_loop(kernel, LOOP_SEQUENTIAL, column_panel, columns->low, columns->high, work);
  if (pass == NONE) return work;
  return statement_loop(kernel, LOOP_SEQUENTIAL, pass, integer(lowering, 0), ceil_quotient(lowering, product->depth, DEPTH), work);
}

static Statement *tile_stage(Product *product) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId loops[MOST_AXES * 2];
  int count = 0;
  for (int n = 0; n < outer_row_count(product); n++) loops[count++] = axis_index(product, product->rows[n]);
  const Expr *row_panels = size_expr(arena, product->row_panels);
  Size blocks = panel_count(lowering, row_panels, tiles_per_block(product), "row_blocks");
  IndexId block = loops[count++] = kernel_add_index(kernel, "row_block", size_constant(0), blocks);
  for (int n = 0; n < product->outer_column_count; n++) loops[count++] = axis_index(product, product->outer_columns[n]);
  IndexId panel = loops[count++] = kernel_add_index(kernel, "column_panel", size_constant(0), product->column_panels);
  Span rows, columns;
  /* inside of a loop the rows are few and stay in the cache: then more items, to be shared out evenly */
  int64_t panels = is_one_pass(product) || lowering->open_count ? 1 : PANELS_PER_PASS;
  Statement *innermost, *stage = parallel_nest(lowering, count, loops, panels, &columns.low, &columns.high, &innermost);
  rows.low = expr_binary(arena, OP_MUL, expr_index(arena, block), integer(lowering, tiles_per_block(product)));
  rows.high = expr_binary(arena, OP_MIN, expr_binary(arena, OP_ADD, rows.low, integer(lowering, tiles_per_block(product))), row_panels);
  innermost->body = tiles(product, &rows, &columns, panel);
  stage->source = product->unit->equation->source;
  return stage;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static void lower_packed(Product *product, const Expr *condition) {
  Lowering *lowering = product->lowering;
  product->a_panels = panel_buffer(product, "a", outer_row_count(product), product->rows, product->row_panels, product->tile_rows);
  product->b_panels = panel_buffer(product, "b", product->outer_column_count, product->outer_columns, product->column_panels, product->tile_columns);
  Block *block = lowering->block, body = {0};
  if (product->shared_count) {
    place_barrier(lowering, block);
    lowering->block = &body;
  }
  Statement *b = pack(product, product->b_panels, product->outer_column_count, product->outer_columns, product->column_panels, product->tile_columns,
                      extent_of(lowering, axis_index(product, product->column)), product->b, false);
  place_packing(product, product->b, b, condition);
  Statement *a = pack(product, product->a_panels, outer_row_count(product), product->rows, product->row_panels, product->tile_rows,
                      product->row_extent, product->a, true);
  place_packing(product, product->a, a, condition);
  end_stage(lowering, lowering->block, tile_stage(product), NULL);
  if (!product->shared_count) return;
  place_barrier(lowering, &body);
  lowering->block = block;
  Statement *loops = body.first;
  for (int n = product->shared_count - 1; n >= 0; n--) {
    IndexId index = axis_index(product, product->shared[n]);
    const Index *range = &lowering->kernel->indices[index];
    loops = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), loops);
  }
  block_append(block, loops);
}

/* Fills two blocks from the same state of touched buffers; afterwards what either touched counts. */
static void lower_both(Product *product, const Expr *condition) {
  Lowering *lowering = product->lowering;
  Block *outer = lowering->block, packed = {0}, plain = {0};
  place_barrier(lowering, outer);
  lowering->block = &packed;
  lower_packed(product, condition);
  place_barrier(lowering, &packed);
  lowering->block = &plain;
  lower_reduce(lowering, product->unit);
  place_barrier(lowering, &plain);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, condition, packed.first, plain.first));
}

/* target = value, where the sum is empty. */
static void lower_empty(Product *product) {
  Lowering *lowering = product->lowering;
  Unit start = *product->unit;
  Equation *map = ARENA_NEW(lowering->arena, Equation);
  *map = *start.equation;
  map->reduce = REDUCE_NONE;
  start.equation = map;
  start.reduce_count = 0;
  start.guard = start.body = NULL;
  if (!start.value) start.value = expr_number(lowering->arena, 0);
  lower_map(lowering, &start);
  flush_group(lowering);
}

/* The start value can be read along columns; otherwise it is put into the target first. */
static void prepare_value(Product *product) {
  Lowering *lowering = product->lowering;
  Unit *unit = product->unit;
  if (!unit->value || !gather_count(lowering, unit->value, axis_index(product, product->column))) return;
  lower_empty(product);
  unit->value = program_read(lowering->program, unit->target, unit_indices(lowering, unit), NULL);
}

static void lower_by_rows(Product *product) {
  prepare_value(product);
  const Expr *rows = row_total(product);
  /* a gradient runs over many steps, for which its weights are packed once: not worth the code of a second way */
  if (rows->op == OP_INTEGER || product->lowering->kernel->entry == ENTRY_GRADIENT)
    lower_packed(product, NULL);
  else
    lower_both(product, expr_binary(product->lowering->arena, OP_GE, rows, integer(product->lowering, FEWEST_ROWS)));
}

/* `around` is the part of the guard that only the loops around decide. */
static void lower_guarded(Product *product, const Expr *around) {
  Lowering *lowering = product->lowering;
  if (!around) {
    lower_by_rows(product);
    return;
  }
  Block *outer = lowering->block, full = {0}, empty = {0};
  place_barrier(lowering, outer);
  lowering->block = &empty;
  lower_empty(product);
  place_barrier(lowering, &empty);
  lowering->block = &full;
  lower_by_rows(product);
  place_barrier(lowering, &full);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, lower_expr(lowering, around, NULL, false), full.first, empty.first));
}

static void lower_wanted(Product *product, const Expr *around, const Expr *wanted) {
  Lowering *lowering = product->lowering;
  Block *outer = lowering->block, body = {0};
  place_barrier(lowering, outer);
  lowering->block = &body;
  lower_guarded(product, around);
  place_barrier(lowering, &body);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, wanted, body.first, NULL));
}

static bool is_product(Product *product) {
  Lowering *lowering = product->lowering;
  const Unit *unit = product->unit;
  product->target = buffer_of(lowering, unit->target);
  int inner = innermost_axis(lowering, product->target);
  if (unit->equation->reduce != REDUCE_SUM || inner == NONE || unit->axes[inner].bound || !has_plain_ranges(product)) return false;
  if (lowering->program->tensors[unit->target].type != TYPE_REAL) return false;
  product->column = inner;
  if (!find_factors(product)) return false;
  classify_axes(product);
  product->depth = extents(lowering, unit->reduce_count, unit->reduce_indices);
  bool is_large = product->row_count > 0 && !is_below(product->depth, FEWEST_TERMS) && !is_below(row_total(product), FEWEST_ROWS);
  return is_large && !is_below(extent_of(lowering, axis_index(product, inner)), FEWEST_COLUMNS);
}

bool lower_product(Lowering *lowering, Unit *unit) {
  Product product = {.lowering = lowering, .unit = unit};
  const Expr *around;
  if (!is_product(&product) || !distribute_guard(&product, &around)) return false;
  choose_tile(&product);
  choose_rows(&product);
  unit->guard = NULL; /* it is in the factors, or around */
  unit->body = expr_binary(lowering->arena, OP_MUL, product.a, product.b);
  const Expr *wanted = wanted_condition(lowering, unit->target);
  if (wanted)
    lower_wanted(&product, around, wanted);
  else
    lower_guarded(&product, around);
  return true;
}
