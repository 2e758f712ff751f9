/* band_demand.c - which columns of a banded tensor are read at all, row by row.
 *
 * What reads s[t,u] under u <= t alone needs t + 1 columns of row t. From the last equation of a band to the first: the guard of a
 * reduction, the condition of a select around the read and the columns that are needed of the reader bound the index that the
 * read has there. Where all readers agree on a bound it holds, otherwise all columns are needed.
 */
#include "passes/band.h"

typedef struct Demand {
  Lowering *lowering;
  const Equation *equation; /* the reader */
  int number;               /* NONE: it is not of the band */
  TensorId tensor;          /* whose columns are looked for */
  bool is_first, is_bounded;
  Columns columns;
} Demand;

IndexId band_shifted_index(const Lowering *lowering, const Expr *expr, const Expr **out_shift) {
  Affine affine, rest = {0};
  IndexId index = NONE;
  if (!expr_affine(expr, &affine)) return NONE;
  rest.constant = affine.constant;
  for (int n = 0; n < affine.term_count; n++) {
    if (affine.terms[n].is_symbol) rest.terms[rest.term_count++] = affine.terms[n];
    else if (index != NONE || affine.terms[n].coefficient != 1) return NONE;
    else index = affine.terms[n].id;
  }
  *out_shift = affine_expr(lowering->arena, &rest);
  return index;
}

Columns band_shift(const Lowering *lowering, Columns columns, const Expr *shift) {
  if (columns.low) columns.low = expr_binary(lowering->arena, OP_ADD, columns.low, shift);
  if (columns.high) columns.high = expr_binary(lowering->arena, OP_ADD, columns.high, shift);
  return columns;
}

static bool same(const Expr *a, const Expr *b) { return a && b ? expr_equal(a, b) : a == b; }

/* In terms of Banding.row, when it depends on the reader's row and sizes alone; else NULL. */
static const Expr *by_row(const Demand *demand, const Expr *bound) {
  if (!bound) return NULL;
  Lowering *lowering = demand->lowering;
  int axis = band_row_axis(lowering, demand->number);
  const Equation *equation = demand->equation;
  IndexId row = NONE;
  if (axis != NONE) row = equation->indices[axis];
  const Expr **by = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  for (int n = 0; axis == NONE && n < equation->reduce_count; n++) /* a sum over rows: its guard is about them */
    by[equation->reduce_indices[n]] = expr_index(lowering->arena, lowering->banding->row);
  if (row != NONE) by[row] = expr_index(lowering->arena, lowering->banding->row);
  bound = expr_substitute(lowering->arena, bound, lowering->kernel->index_count, by);
  Affine affine;
  if (!expr_affine(bound, &affine)) return NULL;
  for (int n = 0; n < affine.term_count; n++)
    if (!affine.terms[n].is_symbol && affine.terms[n].id != lowering->banding->row) return NULL;
  return affine_expr(lowering->arena, &affine); /* so that equal ones look equal */
}

static void add_demand(Demand *demand, Columns columns) {
  if (demand->is_first) demand->columns = columns;
  if (!same(demand->columns.low, columns.low)) demand->columns.low = NULL;
  if (!same(demand->columns.high, columns.high)) demand->columns.high = NULL;
  demand->is_first = false;
}

static Columns columns_of(const Demand *demand, const Expr *index, const Expr *condition) {
  Lowering *lowering = demand->lowering;
  Columns columns = {NULL, NULL};
  const Expr *shift;
  IndexId variable = band_shifted_index(lowering, index, &shift);
  if (demand->number == NONE || variable == NONE) return columns;
  condition_bounds(lowering->arena, condition, variable, &columns.low, &columns.high);
  columns = band_shift(lowering, columns, shift);
  columns.low = by_row(demand, columns.low);
  columns.high = by_row(demand, columns.high);
  TensorId target = demand->equation->target;
  if (!is_banded(lowering, target)) return columns;
  if (index->op != OP_INDEX || demand->equation->indices[band_column_axis(lowering, target)] != index->id) return columns;
  Columns own = lowering->banding->needed[demand->number];
  if (!columns.low) columns.low = own.low;
  if (!columns.high) columns.high = own.high;
  return columns;
}

static void walk(Demand *demand, const Expr *expr, const Expr *condition) {
  if (!expr) return;
  if (expr->op == OP_SELECT) {
    walk(demand, expr->args[0], condition);
    walk(demand, expr->args[1], conjunction(demand->lowering->arena, condition, expr->args[0]));
    walk(demand, expr->args[2], condition);
    return;
  }
  for (int n = 0; n < expr->arg_count; n++) walk(demand, expr->args[n], condition);
  walk(demand, expr->outside, condition);
  if (expr->op == OP_READ && expr->id == demand->tensor)
    add_demand(demand, columns_of(demand, expr->args[band_column_axis(demand->lowering, demand->tensor)], condition));
}

static Columns find_columns(Lowering *lowering, int number) {
  const Program *program = lowering->program;
  Demand demand = {.lowering = lowering, .tensor = band_equation(lowering, number)->target, .is_first = true};
  if (band_column_axis(lowering, demand.tensor) == band_row_axis(lowering, number)) return (Columns){NULL, NULL}; /* one number for each row */
  for (int n = 0; n < program->equation_count; n++) {
    demand.equation = &program->equations[n];
    demand.number = band_number(lowering, demand.equation->target);
    walk(&demand, demand.equation->value, NULL);
    walk(&demand, demand.equation->guard, NULL);
    walk(&demand, demand.equation->body, demand.equation->guard);
  }
  return demand.columns;
}

/* What is a number times something of the band at the same place is zero where that is: its bound, in terms of this equation. */
static const Expr *bound_of_scaled(Lowering *lowering, const Equation *equation) {
  const Expr *read = equation->value;
  bool is_scaled = read->op == OP_MUL || read->op == OP_DIV;
  if (is_scaled && read->args[1]->op == OP_NUMBER) read = read->args[0];
  else if (read->op == OP_MUL && read->args[0]->op == OP_NUMBER) read = read->args[1];
  int maker = read->op == OP_READ && !read->outside ? band_number(lowering, read->id) : NONE;
  if (maker == NONE || !lowering->banding->bounds[maker] || read->arg_count != lowering->program->tensors[equation->target].rank) return NULL;
  const Equation *made = band_equation(lowering, maker);
  const Expr **by = ARENA_ARRAY(lowering->arena, const Expr *, lowering->kernel->index_count);
  for (int n = 0; n < read->arg_count; n++) {
    if (!expr_is_index(read->args[n], equation->indices[n])) return NULL;
    by[made->indices[n]] = read->args[n];
  }
  return expr_substitute(lowering->arena, lowering->banding->bounds[maker], lowering->kernel->index_count, by);
}

/* The condition under which a map is not zero. */
static const Expr *find_bound(Lowering *lowering, int number) {
  const Equation *equation = band_equation(lowering, number);
  const Expr *value = equation->value;
  if (equation->reduce == REDUCE_NONE && value && value->op != OP_SELECT) return bound_of_scaled(lowering, equation);
  if (equation->reduce == REDUCE_SUM && !value) return equation->guard;
  bool is_conditional = equation->reduce == REDUCE_NONE && value && value->op == OP_SELECT && expr_is_number(value->args[2], 0);
  return is_conditional ? value->args[0] : NULL;
}

void band_find_needed(Lowering *lowering) {
  Banding *banding = lowering->banding;
  banding->needed = ARENA_ARRAY(lowering->arena, Columns, banding->band->count);
  banding->bounds = ARENA_ARRAY(lowering->arena, const Expr *, banding->band->count);
  for (int n = banding->band->count - 1; n >= 0; n--)
    if (is_banded(lowering, band_equation(lowering, n)->target)) banding->needed[n] = find_columns(lowering, n);
  for (int n = 0; n < banding->band->count; n++) /* of makers first */
    if (is_banded(lowering, band_equation(lowering, n)->target)) banding->bounds[n] = find_bound(lowering, n);
}
