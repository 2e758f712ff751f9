/* product_epilogue.c - maps that use a product run on each block of it while it is in the cache.
 *
 * A group of maps that follows the tiles of a product, and reads it at the element at hand only, needs no stage of its own: an item of
 * work does its tiles and then the maps for the same rows and columns. That saves a barrier, and the way of the product through
 * memory to another thread. Axes of the columns that the maps do not run over, such as gates, are then all done in one item.
 */
#include "passes/product.h"

typedef struct Fusion {
  const Product *product;
  const Group *group;
  const Statement *tile; /* one of the stage */
  int axis_of[MOST_AXES]; /* by loop of the group: the axis of the product's target */
  bool fails;
} Fusion;

static const Statement *find_tile(const Statement *statement) {
  for (; statement; statement = statement->next) {
    if (statement->kind == STATEMENT_TILE) return statement;
    const Statement *inside = find_tile(statement->body);
    if (inside) return inside;
  }
  return NULL;
}

static int loop_number(const Group *group, const Expr *expr) {
  for (int n = 0; expr->op == OP_INDEX && n < group->loop_count; n++)
    if (group->loops[n] == expr->id) return n;
  return NONE;
}

static bool uses_loops(const Group *group, const Expr *expr) {
  for (int n = 0; n < group->loop_count; n++)
    if (expr_uses_index(expr, group->loops[n])) return true;
  return false;
}

static bool is_row_or_column(const Product *product, int axis) {
  bool is_one = axis == product->column;
  for (int n = 0; n < product->row_count; n++) is_one |= product->rows[n] == axis;
  return is_one;
}

static bool same_range(const Kernel *kernel, IndexId a, IndexId b) {
  return size_equal(kernel->indices[a].low, kernel->indices[b].low) && size_equal(kernel->indices[a].high, kernel->indices[b].high);
}

/* A read of the product gives each loop the axis that it runs along: the same one in every read. */
static void check_load(void *context, const Expr *expr) {
  Fusion *fusion = context;
  const Product *product = fusion->product;
  const Lowering *lowering = product->lowering;
  if (expr->op != OP_LOAD || expr->id != product->target) return;
  fusion->fails |= expr->guard != NULL;
  for (int axis = 0; axis < expr->arg_count; axis++) {
    const UnitAxis *own = &product->unit->axes[axis];
    int loop = loop_number(fusion->group, expr->args[axis]);
    if (own->bound)
      fusion->fails |= !expr_equal(expr->args[axis], fusion->tile->indices[axis]);
    else if (loop != NONE && (fusion->axis_of[loop] == NONE || fusion->axis_of[loop] == axis))
      fusion->fails |= !same_range(lowering->kernel, fusion->group->loops[loop], own->index), fusion->axis_of[loop] = axis;
    else
      fusion->fails |= loop != NONE || is_row_or_column(product, axis) || uses_loops(fusion->group, expr->args[axis]);
  }
}

static void check_exprs(Fusion *fusion, const Statement *statement) {
  if (statement->value) expr_visit(statement->value, check_load, fusion);
  for (int n = 0; n < statement->rank; n++) expr_visit(statement->indices[n], check_load, fusion);
}

/* The store and the rows in place are at different elements, in whatever rows and columns: some axis differs by a constant. */
static bool is_apart(const Fusion *fusion, const Statement *store) {
  const Lowering *lowering = fusion->product->lowering;
  const Statement *tile = fusion->tile;
  const Buffer *buffer = &lowering->kernel->buffers[store->buffer];
  for (int axis = 0; axis < store->rank; axis++) {
    Affine difference;
    const Expr *expr = expr_binary(lowering->arena, OP_SUB, store->indices[axis], tile->a_indices[axis]);
    if (buffer->is_folded[axis] || uses_loops(fusion->group, store->indices[axis]) || expr_uses_index(tile->a_indices[axis], tile->row_index)) continue;
    if (axis == innermost_axis(lowering, store->buffer)) continue; /* the terms */
    if (expr_affine(expr, &difference) && !difference.term_count && difference.constant) return true;
  }
  return false;
}

typedef struct BufferSearch {
  BufferId buffer;
  bool found;
} BufferSearch;

static void find_buffer(void *context, const Expr *expr) {
  BufferSearch *search = context;
  search->found |= expr->op == OP_LOAD && expr->id == search->buffer;
}

static bool loads(const Expr *expr, BufferId buffer) {
  BufferSearch search = {buffer, false};
  if (expr) expr_visit(expr, find_buffer, &search);
  return search.found;
}

/* What the maps write is read by no tile of another item. */
static void check_store(Fusion *fusion, const Statement *store) {
  const Statement *tile = fusion->tile;
  const Kernel *kernel = fusion->product->lowering->kernel;
  BufferHome home = kernel->buffers[store->buffer].home;
  bool is_state = home == HOME_CARRY_OUT || home == HOME_FINAL_STATE; /* may lie where the old one does */
  bool is_operand = store->buffer == tile->buffer || store->buffer == tile->b_buffer || (!tile->has_rows_in_place && store->buffer == tile->a_buffer);
  fusion->fails |= is_state || is_operand || loads(tile->value, store->buffer);
  if (store->buffer == tile->a_buffer) fusion->fails |= !is_apart(fusion, store);
}

/* Every axis of rows and columns has a loop, the column the innermost one. */
static bool has_all_axes(const Fusion *fusion) {
  const Product *product = fusion->product;
  const Group *group = fusion->group;
  if (group->loop_count < 1 || fusion->axis_of[group->loop_count - 1] != product->column) return false;
  for (int n = 0; n < group->loop_count; n++)
    if (fusion->axis_of[n] == NONE) return false;
  for (int n = 0; n < product->row_count; n++) {
    bool is_found = false;
    for (int k = 0; k < group->loop_count; k++) is_found |= fusion->axis_of[k] == product->rows[n];
    if (!is_found) return false;
  }
  return true;
}

bool product_has_loop(const ProductMaps *maps, int axis) {
  for (int n = 0; n < maps->group->loop_count; n++)
    if (maps->axis_of[n] == axis) return true;
  return false;
}

Statement *product_block_maps(const Product *product, const ProductMaps *maps, const Span *rows, const Span *columns) {
  const Group *group = maps->group;
  Lowering *lowering = product->lowering;
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  const Expr *width = integer(lowering, product->tile_columns), *height = integer(lowering, product->tile_rows);
  const Expr *column_extent = extent_of(lowering, product_axis(product, product->column));
  const Expr *low = expr_binary(arena, OP_MUL, columns->low, width), *high = expr_binary(arena, OP_MUL, columns->high, width);
  bool is_exact = column_extent->op == OP_INTEGER && column_extent->integer % product->tile_columns == 0;
  if (is_exact && expr_equal(columns->high, expr_binary(arena, OP_ADD, columns->low, integer(lowering, 1)))) high = expr_binary(arena, OP_ADD, low, width);
  if (!is_exact) high = expr_binary(arena, OP_MIN, high, column_extent);
  const Expr *base = size_expr(arena, kernel->indices[product_axis(product, product->column)].low);
  Statement *work = statement_loop(kernel, LOOP_VECTOR, group->loops[group->loop_count - 1], expr_binary(arena, OP_ADD, base, low),
                                   expr_binary(arena, OP_ADD, base, high), group->block.first);
  IndexId row = kernel_add_index(kernel, "row", size_constant(0), size_constant(1));
  const Expr **by = product_row_indices(product, expr_index(arena, row));
  for (int n = 0; n < group->loop_count - 1; n++) {
    IndexId axis = product_axis(product, maps->axis_of[n]);
    const Expr *value = by[axis] ? by[axis] : expr_index(arena, axis);
    work = statement_loop(kernel, LOOP_SEQUENTIAL, group->loops[n], value, expr_binary(arena, OP_ADD, value, integer(lowering, 1)), work);
  }
  const Expr *last = expr_binary(arena, OP_MIN, expr_binary(arena, OP_MUL, rows->high, height), product->row_extent);
  return statement_loop(kernel, LOOP_SEQUENTIAL, row, expr_binary(arena, OP_MUL, rows->low, height), last, work);
}

static bool can_fuse(Fusion *fusion, const ProductStage *stage) {
  const Group *group = fusion->group;
  bool is_wanted_alike = group->wanted && stage->wanted ? expr_equal(group->wanted, stage->wanted) : group->wanted == stage->wanted;
  if (!fusion->tile || group->is_ordered || !is_wanted_alike || stage->product->shared_count) return false;
  for (int n = 0; n < MOST_AXES; n++) fusion->axis_of[n] = NONE;
  for (const Statement *statement = group->block.first; statement && !fusion->fails; statement = statement->next) {
    check_exprs(fusion, statement);
    if (statement->kind == STATEMENT_STORE) check_store(fusion, statement);
  }
  return !fusion->fails && has_all_axes(fusion);
}

bool product_fuse_maps(Lowering *lowering, const Group *group) {
  ProductStage *stage = lowering->product_stage;
  if (!stage || lowering->block != stage->block || !stage->block->tail || stage->block->tail != &stage->last->next) return false;
  Fusion fusion = {.product = stage->product, .group = group, .tile = find_tile(stage->tiles->body)};
  if (!can_fuse(&fusion, stage)) return false;
  ProductMaps maps = {group, fusion.axis_of};
  Statement *fused = product_tiles(stage->product, &maps), *next = stage->tiles->next;
  *stage->tiles = *fused;
  stage->tiles->next = next;
  if (stage->otherwise) {
    Statement **end = &stage->otherwise->otherwise;
    while (*end) end = &(*end)->next;
    *end = group_nest(lowering);
  }
  lowering->product_stage = NULL;
  return true;
}
