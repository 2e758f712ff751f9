/* lower_product.c - sums of products of two factors: packed panels and register tiles.
 *
 * A reduction sum[k](A * B) in which one factor does not depend on the innermost axis of the target, and the other not on some
 * other axis, is a matrix product: rows m index A, columns n index B. Any expression can be a factor, as both are evaluated
 * once into packed panels: A as [panel, k, rows of a tile], B as [panel, k, columns of a tile], padded with zeros. A factor that
 * does not change in the loops around is packed before them. The tiles then run over panels with their accumulators in
 * registers, and start from the value that the sum is added to.
 *
 * With few rows (a step of one sequence) packing costs more than it saves, unless it was done before; that is decided at run time.
 * Source: K. Goto, R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, TOMS 34(3), 2008.
 */
#include "passes/factors.h"
#include "passes/product.h"

enum {
  FEWEST_ROWS = 4, /* below it, plain reductions */
  FEWEST_COLUMNS = 8,
  FEWEST_TERMS = 4
};

/* ---- is it one? ---------------------------------------------------------------------------------------------------- */

/* Factors with the column go to B, the others to A. */
static bool find_factors(Product *product) {
  Arena *arena = product->lowering->arena;
  Factors factors = split_factors(arena, product->unit->body);
  for (int n = 0; n < factors.count; n++)
    multiply_into(arena, expr_uses_index(factors.items[n], product_axis(product, product->column)) ? &product->b : &product->a, factors.items[n]);
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
    bool uses_row = false, uses_column = expr_uses_index(parts[n], product_axis(product, product->column)), uses_term = false;
    for (int k = 0; k < product->row_count; k++) uses_row |= expr_uses_index(parts[n], product_axis(product, product->rows[k]));
    for (int k = 0; k < product->shared_count; k++) uses_row |= expr_uses_index(parts[n], product_axis(product, product->shared[k]));
    for (int k = 0; k < product->outer_column_count; k++)
      uses_column |= expr_uses_index(parts[n], product_axis(product, product->outer_columns[k]));
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
    bool in_a = expr_uses_index(product->a, product_axis(product, axes[n])), in_b = expr_uses_index(product->b, product_axis(product, axes[n]));
    if (in_a && in_b)
      product->shared[product->shared_count++] = axes[n];
    else if (in_b)
      product->outer_columns[product->outer_column_count++] = axes[n];
    else
      product->rows[product->row_count++] = axes[n];
  }
}

/* A known size below the limit. */
static bool is_below(const Expr *size, int64_t limit) { return size->op == OP_INTEGER && size->integer < limit; }

static bool has_plain_ranges(const Product *product) {
  const Unit *unit = product->unit;
  for (int n = 0; n < unit->reduce_count; n++) {
    const Index *range = &product->lowering->kernel->indices[unit->reduce_indices[n]];
    if (range->low.symbol != NONE && range->low.symbol != range->high.symbol) return false;
  }
  return true;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

/* Maps that come next may join the stage. */
static void remember_stage(const Product *product, Statement *stage) {
  Lowering *lowering = product->lowering;
  ProductStage *memory = lowering->product_stage = ARENA_NEW(lowering->arena, ProductStage);
  memory->product = arena_copy(lowering->arena, product, sizeof *product);
  memory->product->unit = arena_copy(lowering->arena, product->unit, sizeof *product->unit);
  memory->tiles = memory->last = stage;
  memory->block = lowering->block;
}

/* The stage is one of two ways. Maps can join one choice, not a choice in a choice. */
static void choose_between(Lowering *lowering, Statement *both) {
  ProductStage *stage = lowering->product_stage;
  if (stage && stage->otherwise) lowering->product_stage = NULL;
  if (!stage || stage->otherwise) return;
  stage->block = lowering->block;
  stage->last = stage->otherwise = both;
}

/* The stage of the tiles. A sum that goes on from turn to turn has one for the first turn and one for the others: then what is there needs no
 * test in the tiles. */
static Statement *tiles_of_turn(Product *product) {
  Lowering *lowering = product->lowering;
  Unit *unit = product->unit;
  const Expr *value = unit->value, *start = slab_start(lowering, value);
  if (!start) return product_tiles(product, NULL);
  unit->value = expr_is_number(value->args[1], 0) ? NULL : value->args[1];
  Statement *first = product_tiles(product, NULL);
  unit->value = value->args[2];
  Statement *next = product_tiles(product, NULL);
  unit->value = value;
  return statement_if(lowering->kernel, lower_expr(lowering, start, NULL, false), first, next);
}

static void lower_packed(Product *product, const Expr *condition) {
  Lowering *lowering = product->lowering;
  Block *block = lowering->block, body = {0};
  if (product->shared_count) {
    lowering->block = &body;
  }
  product_find_rows(product);
  product_pack(product, condition);
  Statement *stage = tiles_of_turn(product);
  if (stage->kind == STATEMENT_LOOP) remember_stage(product, stage);
  else lowering->product_stage = NULL;
  block_append(lowering->block, stage);
  if (!product->shared_count) return;
  lowering->product_stage = NULL;
  lowering->block = block;
  Statement *loops = body.first;
  for (int n = product->shared_count - 1; n >= 0; n--) {
    IndexId index = product_axis(product, product->shared[n]);
    const Index *range = &lowering->kernel->indices[index];
    loops = statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), loops);
  }
  block_append(block, loops);
}

/* With few rows the packed way is
 * worth it where the panels are there already: they are read from one end to the other, while columns of a matrix lie apart. */
static void lower_both(Product *product, const Expr *has_many_rows) {
  Lowering *lowering = product->lowering;
  Block *outer = lowering->block, packed = {0}, plain = {0};
  const Expr *condition = has_many_rows;
  if (product->packed != NONE)
    condition = expr_binary(lowering->arena, OP_OR, has_many_rows, expr_given(lowering->arena, product->packed));
  lowering->block = &packed;
  lower_packed(product, has_many_rows);
  lowering->block = &plain;
  lower_reduce(lowering, product->unit);
  lowering->block = outer;
  Statement *both = statement_if(lowering->kernel, condition, packed.first, plain.first);
  block_append(outer, both);
  choose_between(lowering, both);
}

/* target = value, where the sum is empty. */
static void lower_empty(Product *product) {
  Lowering *lowering = product->lowering;
  Unit start = *product->unit;
  drop_sum(lowering, &start);
  lower_map(lowering, &start);
  flush_group(lowering);
}

/* The start value can be read along columns; otherwise it is put into the target first. */
static void prepare_value(Product *product) {
  Lowering *lowering = product->lowering;
  Unit *unit = product->unit;
  if (!unit->value || !gather_count(lowering, unit->value, product_axis(product, product->column))) return;
  lower_empty(product);
  unit->value = program_read(lowering->program, unit->target, unit_indices(lowering, unit), NULL);
}

static void lower_by_rows(Product *product) {
  prepare_value(product);
  product_pack_once(product);
  const Expr *rows = product_row_total(product);
  /* a gradient runs over many steps, for which its weights are packed once: not worth the code of a second way */
  if (rows->op == OP_INTEGER || product->lowering->kernel->entry == ENTRY_GRADIENT)
    lower_packed(product, NULL);
  else
    lower_both(product, expr_binary(product->lowering->arena, OP_GE, rows, integer(product->lowering, FEWEST_ROWS)));
}

static void lower_guarded(Product *product) {
  Lowering *lowering = product->lowering;
  if (!product->around) {
    lower_by_rows(product);
    return;
  }
  Block *outer = lowering->block, full = {0}, empty = {0};
  lowering->block = &empty;
  lower_empty(product);
  lowering->block = &full;
  lower_by_rows(product);
  lowering->block = outer;
  Statement *both = statement_if(lowering->kernel, lower_expr(lowering, product->around, NULL, false), full.first, empty.first);
  block_append(outer, both);
  choose_between(lowering, both);
}

static void lower_wanted(Product *product, const Expr *wanted) {
  Lowering *lowering = product->lowering;
  Block *outer = lowering->block, body = {0};
  lowering->block = &body;
  lower_guarded(product);
  lowering->block = outer;
  Statement *whole = statement_if(lowering->kernel, wanted, body.first, NULL);
  block_append(outer, whole);
  ProductStage *stage = lowering->product_stage;
  if (!stage) return;
  stage->block = outer;
  stage->last = whole;
  stage->wanted = wanted;
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
  product->depth = product_extent(lowering, unit->reduce_count, unit->reduce_indices);
  bool is_large = product->row_count > 0 && !is_below(product->depth, FEWEST_TERMS) && !is_below(product_row_total(product), FEWEST_ROWS);
  return is_large && !is_below(extent_of(lowering, product_axis(product, inner)), FEWEST_COLUMNS);
}

bool product_recognise(Product *product) {
  const Expr *around;
  return is_product(product) && distribute_guard(product, &around) && !around;
}

static void report_product(Product *product) {
  Lowering *lowering = product->lowering;
  Report *report = lowering->context->report;
  ReportEntry *entry = report_add(report, REPORT_PRODUCT, lowering->program, product->unit->equation->source);
  product->report = entry;
  if (!entry) return;
  report_name(report, entry, lowering->program->tensors[product->unit->target].name);
  entry->rows = product_row_total(product);
  entry->columns = extent_of(lowering, product_axis(product, product->column));
  for (int n = 0; n < product->outer_column_count; n++)
    entry->columns = expr_binary(lowering->arena, OP_MUL, entry->columns, extent_of(lowering, product_axis(product, product->outer_columns[n])));
  entry->depth = product->depth;
}

bool lower_product(Lowering *lowering, Unit *unit) {
  Product product = {.lowering = lowering, .unit = unit};
  if (!is_product(&product) || !distribute_guard(&product, &product.around)) return false;
  product_choose_tile(&product);
  product_choose_depth(&product);
  product_choose_rows(&product);
  report_product(&product);
  unit->guard = NULL; /* it is in the factors, or around */
  unit->body = expr_binary(lowering->arena, OP_MUL, product.a, product.b);
  const Expr *wanted = wanted_condition(lowering, unit->target);
  if (wanted)
    lower_wanted(&product, wanted);
  else
    lower_guarded(&product);
  return true;
}
