/* product_shape.c - tiles and panels of a sum of products. */
#include "passes/product.h"

enum { DEPTH = 512, LARGE_DEPTH = 1024 }; /* terms per pass over a tile: of 512, a panel of B of 64 columns is 128 KiB, of A 16 KiB */

IndexId product_axis(const Product *product, int axis) { return product->unit->axes[axis].index; }

static bool constant_extent(const Lowering *lowering, IndexId index, int64_t *out_extent) {
  const Index *range = &lowering->kernel->indices[index];
  *out_extent = range->high.constant - range->low.constant;
  return range->low.symbol == range->high.symbol;
}

const Expr *product_extent(const Lowering *lowering, int count, const IndexId *indices) {
  const Expr *product = integer(lowering, 1);
  for (int n = 0; n < count; n++) product = expr_binary(lowering->arena, OP_MUL, product, extent_of(lowering, indices[n]));
  return product;
}

const Expr *product_row_total(const Product *product) {
  IndexId rows[MOST_AXES];
  for (int n = 0; n < product->row_count; n++) rows[n] = product_axis(product, product->rows[n]);
  return product_extent(product->lowering, product->row_count, rows);
}

Size index_extent(const Lowering *lowering, IndexId index) {
  const Index *range = &lowering->kernel->indices[index];
  Size size = {range->low.symbol == range->high.symbol ? NONE : range->high.symbol, range->high.constant - range->low.constant};
  return size;
}

const Expr *index_from_low(const Lowering *lowering, IndexId index) {
  return expr_binary(lowering->arena, OP_SUB, expr_index(lowering->arena, index), size_expr(lowering->arena, lowering->kernel->indices[index].low));
}

/* The tile that wastes least on a padded last panel; wide and flat ones are a little slower. */
void product_choose_tile(Product *product) {
  const Machine *machine = product->lowering->context->machine;
  product->tile_rows = machine->tile_rows;
  product->tile_vectors = machine->tile_vectors;
  int64_t columns;
  if (machine->registers >= 32 && constant_extent(product->lowering, product_axis(product, product->column), &columns)) {
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

/* A panel of B for one pass fills a quarter of the second level at most, so that it stays there with the rows. */
void product_choose_depth(Product *product) {
  int64_t most = product->lowering->context->machine->l2_bytes / 4 / (4 * product->tile_columns);
  int64_t limit = most >= LARGE_DEPTH ? LARGE_DEPTH : DEPTH;
  const Unit *unit = product->unit;
  int64_t known = product->depth->op == OP_INTEGER ? product->depth->integer : slab_rows(product->lowering, unit->reduce_count, unit->reduce_indices);
  product->is_one_pass = known && known <= limit;
  product->pass_depth = product->is_one_pass ? known : limit;
}

Size product_panel_count(Lowering *lowering, const Expr *extent, int64_t by, const char *name) {
  return derived_size(lowering, ceil_quotient(lowering, extent, by), name);
}

void product_choose_rows(Product *product) {
  Lowering *lowering = product->lowering;
  int64_t extent;
  int last = product->rows[product->row_count - 1];
  bool is_enough = constant_extent(lowering, product_axis(product, last), &extent) && extent >= 2 * product->tile_rows;
  product->is_flat = product->row_count > 1 && !is_enough;
  product->row_extent = product->is_flat ? product_row_total(product) : extent_of(lowering, product_axis(product, last));
  product->row_panels = product_panel_count(lowering, product->row_extent, product->tile_rows, "row_panels");
  product->column_panels = product_panel_count(lowering, extent_of(lowering, product_axis(product, product->column)), product->tile_columns, "column_panels");
}

bool product_is_row_read(Lowering *lowering, const Expr *expr, IndexId term) {
  if (expr->op != OP_READ || expr->type != TYPE_REAL) return false;
  int inner = innermost_axis(lowering, buffer_of(lowering, expr->id));
  bool uses_term = false;
  for (int n = 0; n < expr->arg_count; n++) {
    Affine affine;
    if (!expr_affine(expr->args[n], &affine)) return false;
    bool is_term = affine_coefficient(&affine, false, term) != 0;
    if (is_term && (n != inner || affine_coefficient(&affine, false, term) != 1)) return false;
    uses_term |= is_term;
  }
  return uses_term;
}

/* Axis `axis` of the read is the term, once; where terms stand outside of it in memory, all of it. */
static bool is_term_axis(const Lowering *lowering, const Expr *read, int axis, IndexId term, bool is_whole) {
  Affine affine;
  if (!expr_affine(read->args[axis], &affine) || affine_coefficient(&affine, false, term) != 1) return false;
  const Index *range = &lowering->kernel->indices[term];
  const Buffer *buffer = &lowering->kernel->buffers[lowering->buffers[read->id]];
  return !is_whole || (affine.term_count == 1 && !affine.constant && size_is(range->low, 0) && size_equal(range->high, buffer->shape[axis]));
}

/* A read with nothing but indices in its subscripts, of which the terms are the innermost in memory, in their order, side by side. */
static bool is_row_read(Lowering *lowering, const Unit *unit, const Expr *read) {
  if (read->op != OP_READ || read->type != TYPE_REAL) return false;
  BufferId id = buffer_of(lowering, read->id);
  const Buffer *buffer = &lowering->kernel->buffers[id];
  int term = unit->reduce_count - 1;
  for (int n = buffer->rank - 1; n >= 0; n--) {
    int axis = buffer->order[n];
    Affine affine;
    if (!expr_affine(read->args[axis], &affine)) return false;
    if (buffer->is_folded[axis]) continue;
    if (term >= 0) {
      if (!is_term_axis(lowering, read, axis, unit->reduce_indices[term], term > 0)) return false;
      term--;
    } else {
      for (int k = 0; k < unit->reduce_count; k++)
        if (expr_uses_index(read->args[axis], unit->reduce_indices[k])) return false;
    }
  }
  return term < 0;
}

/* Every part of the condition is one that holds wherever the product is computed. */
static bool holds_around(const Product *product, const Expr *condition) {
  Arena *arena = product->lowering->arena;
  int count, around_count;
  const Expr **parts = conjuncts(arena, condition, &count), **around = conjuncts(arena, product->around, &around_count);
  for (int n = 0; n < count; n++) {
    bool is_known = false;
    for (int k = 0; k < around_count; k++) is_known |= expr_equal(parts[n], around[k]);
    if (!is_known) return false;
  }
  return true;
}

bool product_has_few_rows(const Product *product) {
  const Kernel *kernel = product->lowering->kernel;
  for (int n = 0; n < product->row_count; n++) {
    SymbolId symbol = kernel->indices[product_axis(product, product->rows[n])].high.symbol;
    if (symbol != NONE && kernel->symbols[symbol].kind != SYMBOL_BATCH) return false;
  }
  return loops_around(product->lowering) > 0;
}

/* Rows that lie far from each other meet in the same sets of a cache: over several passes that costs more than packing. */
void product_find_rows(Product *product) {
  Lowering *lowering = product->lowering;
  Kernel *kernel = lowering->kernel;
  product->row = kernel_add_index(kernel, "row", size_constant(0), size_constant(1));
  /* ranges that let reads be proven inside */
  if (!product->is_flat) kernel->indices[product->row].high = index_extent(lowering, product_axis(product, product->rows[product->row_count - 1]));
  bool is_near = product->is_one_pass || product_has_few_rows(product) || (product->a->op == OP_READ && lowering->is_of_slab[product->a->id]);
  if (!is_near || !is_row_read(lowering, product->unit, product->a)) return;
  const Expr **by = product_row_indices(product, expr_index(lowering->arena, product->row));
  const Expr **all = ARENA_ARRAY(lowering->arena, const Expr *, kernel->index_count);
  memcpy(all, by, sizeof *all * (size_t)kernel->index_count);
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = lower_expr(lowering, expr_substitute(lowering->arena, product->a, kernel->index_count, all), NULL, false);
  if (inside->op != OP_LOAD || !holds_around(product, inside->guard)) return; /* with the terms still indices, over their whole ranges */
  for (int n = 0; n < product->unit->reduce_count; n++)
    all[product->unit->reduce_indices[n]] = size_expr(lowering->arena, kernel->indices[product->unit->reduce_indices[n]].low);
  const Expr *first = lower_expr(lowering, ranges_simplify(&ranges, expr_substitute(lowering->arena, product->a, kernel->index_count, all)), NULL, false);
  BufferHome home = kernel->buffers[product->target].home;
  bool may_overlap = first->id == product->target || home == HOME_CARRY_OUT || home == HOME_FINAL_STATE;
  if (!may_overlap) product->rows_in_place = expr_load(lowering->arena, TYPE_REAL, first->id, first->arg_count, first->args, NULL);
}

int product_outer_rows(const Product *product) { return product->is_flat ? 0 : product->row_count - 1; }

const Expr **product_row_indices(const Product *product, const Expr *row) {
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, lowering->kernel->index_count);
  const Expr *rest = row;
  for (int n = product->row_count - 1; n >= product_outer_rows(product); n--) {
    IndexId index = product_axis(product, product->rows[n]);
    const Expr *place = rest, *low = size_expr(arena, lowering->kernel->indices[index].low);
    if (n > product_outer_rows(product)) {
      place = expr_binary(arena, OP_REMAINDER, rest, extent_of(lowering, index));
      rest = expr_binary(arena, OP_QUOTIENT, rest, extent_of(lowering, index));
    }
    by[index] = expr_binary(arena, OP_ADD, low, place);
  }
  return by;
}
