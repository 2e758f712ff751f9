/* reverse_walk.c - expressions, memory and loops of an item of work that goes back through time; lower_reverse.c puts them together. */
#include "passes/reverse_walk.h"

const Expr *walk_plus(const Walk *walk, const Expr *a, const Expr *b) { return expr_binary(walk->arena, OP_ADD, a, b); }
const Expr *walk_minus(const Walk *walk, const Expr *a, const Expr *b) { return expr_binary(walk->arena, OP_SUB, a, b); }
const Expr *walk_number(const Walk *walk, int64_t value) { return integer(walk->lowering, value); }

static BufferId add_private(Walk *walk, const char *name, int rank, const Size *shape) {
  BufferId id = kernel_add_buffer(walk->kernel, name, TYPE_REAL, rank, shape, HOME_WORKSPACE, 0);
  walk->kernel->buffers[id].is_private = true;
  return id;
}

const Expr *walk_load(const Walk *walk, BufferId buffer, const Expr *const *indices) {
  return expr_load(walk->arena, TYPE_REAL, buffer, walk->kernel->buffers[buffer].rank, indices, NULL);
}

Statement *walk_store(const Walk *walk, BufferId buffer, const Expr *const *indices, const Expr *value) {
  return statement_store(walk->kernel, buffer, indices, value);
}

/* ---- expressions of the frame at the element at hand -------------------------------------------------------------------- */

void walk_know(Walk *walk, TensorId tensor, int64_t offset, const Expr *value) {
  if (walk->known_count == MOST_KNOWN) internal_error("a recurrence of more than %d values", MOST_KNOWN);
  walk->known[walk->known_count++] = (Known){tensor, offset, value};
}

static const Expr *use_known(void *context, const Expr *expr) {
  const Walk *walk = context;
  if (expr->op != OP_READ || expr->arg_count != walk->reverse->rank) return expr;
  for (int n = walk->known_count - 1; n >= 0; n--) {
    int64_t offset;
    if (walk->known[n].tensor != expr->id) continue;
    if (reverse_offset(walk->reverse, expr, &offset) && offset == walk->known[n].offset) return walk->known[n].value;
  }
  for (int n = 0; n < walk->reverse->shared_count; n++)
    if (walk->reverse->shared[n].tensor == expr->id) return walk->reverse->shared[n].value;
  return expr;
}

/* All lanes of an item are in one group where groups are made of whole chunks: then it is the same for all. */
static const Expr *find_group(void *context, const Expr *expr) {
  const Walk *walk = context;
  const Reverse *reverse = walk->reverse;
  bool is_group = expr->op == OP_QUOTIENT && expr_equal(expr->args[0], walk->place[reverse->lane]) &&
                  expr->args[1]->op == OP_INTEGER;
  if (!is_group || expr->args[1]->integer <= 0) return expr;
  if (expr->args[1]->integer >= reverse->extents[reverse->lane].constant) return walk_number(walk, 0);
  return expr->args[1]->integer % reverse->chunk ? expr : expr_binary(walk->arena, OP_QUOTIENT, walk->low, expr->args[1]);
}

typedef struct RowCheck {
  const Walk *walk;
  bool has_load, is_own;
} RowCheck;

static void check_row(void *context, const Expr *expr) {
  RowCheck *check = context;
  const Walk *walk = check->walk;
  if (expr->op == OP_LOCAL || (expr->op == OP_LOAD && walk->kernel->buffers[expr->id].is_private)) check->is_own = true;
  if (expr->op == OP_LOAD) check->has_load = true;
  if (expr->op != OP_INDEX) return;
  check->is_own |= expr->id == walk->group;
  for (int axis = 0; axis < walk->reverse->rank; axis++)
    check->is_own |= walk->reverse->roles[axis] == AXIS_INNER && walk->item[axis] == expr->id;
}

/* It is read at this step for these lanes, and is the same for all inner elements. */
static bool is_row(const Walk *walk, const Expr *expr) {
  RowCheck check = {walk, false, false};
  if (expr->type != TYPE_REAL || expr->op == OP_NEG || !expr_uses_index(expr, walk->item[walk->reverse->time])) return false;
  if (!expr_uses_index(expr, walk->item[walk->reverse->lane])) return false;
  expr_visit(expr, check_row, &check);
  return check.has_load && !check.is_own;
}

static bool is_same_row(const Expr *a, const Expr *b) {
  if (a->op == OP_MUL && b->op == OP_MUL && expr_equal(a->args[0], b->args[1]) && expr_equal(a->args[1], b->args[0])) return true;
  return expr_equal(a, b);
}

const Expr *const *walk_row_indices(const Walk *walk) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, 2);
  indices[0] = walk_minus(walk, walk->place[walk->reverse->time], walk->first);
  indices[1] = walk_minus(walk, walk->place[walk->reverse->lane], walk->low);
  return indices;
}

/* The largest parts that are rows come from memory of the item: there the rows of a block lie side by side. */
static const Expr *take_rows(Walk *walk, const Expr *expr) {
  if (expr->op == OP_LOAD ? !is_row(walk, expr) : expr->arg_count == 0) return expr;
  if (is_row(walk, expr)) {
    int n = 0;
    while (n < walk->row_count && !is_same_row(walk->rows[n], expr)) n++;
    if (n == walk->row_count) {
      Size shape[] = {size_constant(walk->reverse->steps), size_constant(walk->reverse->chunk)};
      BufferId buffer = add_private(walk, arena_format(walk->arena, "row%d", n), 2, shape);
      int count = walk->row_count;
      ARENA_PUSH(walk->arena, walk->row_buffers, count, buffer);
      ARENA_PUSH(walk->arena, walk->rows, walk->row_count, expr);
    }
    return walk_load(walk, walk->row_buffers[n], walk_row_indices(walk));
  }
  const Expr **args = ARENA_ARRAY(walk->arena, const Expr *, expr->arg_count);
  bool changed = false;
  for (int n = 0; n < expr->arg_count; n++) {
    args[n] = take_rows(walk, expr->args[n]);
    changed |= args[n] != expr->args[n];
  }
  return changed ? expr_make(walk->arena, expr->op, expr->arg_count, args) : expr;
}

/* What is loaded at every step alike is loaded before the steps. */
static const Expr *take_out(void *context, const Expr *expr) {
  Walk *walk = context;
  if (expr->op != OP_LOAD || expr_uses_index(expr, walk->item[walk->reverse->time]) || walk->kernel->buffers[expr->id].is_private)
    return expr;
  for (int n = 0; n < walk->steady_count; n++)
    if (expr_equal(walk->steady_loads[n], expr)) return walk->steady_locals[n];
  LocalId id = kernel_add_local(walk->kernel, walk->kernel->buffers[expr->id].name, expr->type);
  const Expr *local = expr_local(walk->arena, expr->type, id);
  int count = walk->steady_count;
  ARENA_PUSH(walk->arena, walk->steady_locals, count, local);
  ARENA_PUSH(walk->arena, walk->steady_loads, walk->steady_count, expr);
  block_append(walk->steady, statement_let(walk->kernel, id, expr));
  return local;
}

const Expr *walk_at_place(Walk *walk, const Expr *expr) {
  const Expr **by = ARENA_ARRAY(walk->arena, const Expr *, walk->kernel->index_count);
  for (int n = 0; n < walk->reverse->rank; n++) by[walk->reverse->frame[n]] = walk->place[n];
  expr = expr_rewrite(walk->arena, expr, use_known, walk);
  expr = expr_substitute(walk->arena, expr, walk->kernel->index_count, by);
  Ranges ranges = lowering_ranges(walk->lowering);
  expr = ranges_simplify(&ranges, expr_rewrite(walk->arena, expr, find_group, walk));
  expr = lower_expr(walk->lowering, expr, NULL, false);
  return walk->steady ? expr_rewrite(walk->arena, take_rows(walk, expr), take_out, walk) : expr;
}

const Expr *walk_let(Walk *walk, const char *name, const Expr *value, SourceRange source, Block *block) {
  LocalId local = kernel_add_local(walk->kernel, name, TYPE_REAL);
  Statement *statement = statement_let(walk->kernel, local, value);
  statement->source = source;
  block_append(block, statement);
  return expr_local(walk->arena, TYPE_REAL, local);
}

SourceRange walk_source_of(const Walk *walk, int equation) { return walk->lowering->program->equations[equation].source; }

/* ---- private memory ------------------------------------------------------------------------------------------------------ */

static const char *name_of(const Walk *walk, TensorId tensor, const char *suffix) {
  return arena_format(walk->arena, "%s.%s", walk->lowering->program->tensors[tensor].name, suffix);
}

/* Axes: `before` if there is one, the inner ones, lanes of the item. */
static BufferId add_elements(Walk *walk, const char *name, const Size *before) {
  const Reverse *reverse = walk->reverse;
  Size shape[MOST_AXES + 2];
  int rank = 0;
  if (before) shape[rank++] = *before;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER) shape[rank++] = reverse->extents[axis];
  shape[rank++] = size_constant(reverse->chunk);
  return add_private(walk, name, rank, shape);
}

const Expr *const *walk_element_indices(const Walk *walk, const Expr *before) {
  const Reverse *reverse = walk->reverse;
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES + 2);
  int rank = 0;
  if (before) indices[rank++] = before;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER) indices[rank++] = walk->place[axis];
  indices[rank] = walk_minus(walk, walk->place[reverse->lane], walk->low);
  return indices;
}

/* Of the elements that are together, in the block: [step, element, lane of the part]. */
const Expr *const *walk_block_indices(const Walk *walk, const Expr *step, int element) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, 3);
  indices[0] = step;
  indices[1] = walk_number(walk, element);
  indices[2] = walk_minus(walk, walk->place[walk->reverse->lane], walk->part_low);
  return indices;
}

const Expr *const *walk_sum_indices(const Walk *walk, const ReverseSum *sum, const Expr *slot) {
  const Reverse *reverse = walk->reverse;
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES);
  int rank = 0;
  if (sum->keeps[reverse->time]) indices[rank++] = walk_minus(walk, walk->place[reverse->time], walk->first);
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER && sum->keeps[axis]) indices[rank++] = walk->place[axis];
  indices[rank] = slot ? slot
                       : walk_minus(walk, walk->place[reverse->lane], sum->keeps[reverse->lane] ? walk->low : walk->part_low);
  return indices;
}

static BufferId add_sum(Walk *walk, int n) {
  const Reverse *reverse = walk->reverse;
  const ReverseSum *sum = &reverse->sums[n];
  Size shape[MOST_AXES];
  int rank = 0;
  if (sum->keeps[reverse->time]) shape[rank++] = size_constant(reverse->steps);
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER && sum->keeps[axis]) shape[rank++] = reverse->extents[axis];
  shape[rank++] = size_constant(sum->keeps[reverse->lane] ? reverse->chunk : walk->lowering->context->machine->lanes);
  BufferId id = add_private(walk,
                            arena_format(walk->arena, "%s.sum%d", walk->lowering->program->tensors[reverse->backward[0].tensor].name, n),
                            rank, shape);
  if (sum->keeps[reverse->time]) /* what elements that go together grow lies together */
    for (int k = 0; k < rank - 1; k++) walk->kernel->buffers[id].order[k] = k + 1 < rank - 1 ? k + 1 : 0;
  return id;
}

void walk_add_buffers(Walk *walk) {
  const Reverse *reverse = walk->reverse;
  const Machine *machine = walk->lowering->context->machine;
  Size blocks = derived_size(walk->lowering, walk->blocks, "blocks");
  Size states[] = {size_constant(reverse->steps + 1), size_constant(reverse->together), size_constant(machine->lanes)};
  Size values[] = {size_constant(reverse->steps), size_constant(reverse->together), size_constant(machine->lanes)};
  walk->state = ARENA_ARRAY(walk->arena, BufferId, reverse->forward_count);
  walk->kept = ARENA_ARRAY(walk->arena, BufferId, reverse->forward_count);
  walk->states = ARENA_ARRAY(walk->arena, BufferId, reverse->forward_count);
  walk->shared = ARENA_ARRAY(walk->arena, BufferId, reverse->shared_count);
  walk->next = ARENA_ARRAY(walk->arena, BufferId, reverse->carried_count);
  walk->first_step = ARENA_ARRAY(walk->arena, BufferId, reverse->backward_count);
  walk->sums = ARENA_ARRAY(walk->arena, BufferId, reverse->sum_count);
  for (int n = 0; n < reverse->forward_count; n++) {
    TensorId tensor = reverse->forward[n].tensor;
    walk->state[n] = add_elements(walk, name_of(walk, tensor, "state"), NULL);
    walk->kept[n] = add_elements(walk, name_of(walk, tensor, "kept"), &blocks);
    walk->states[n] = add_private(walk, name_of(walk, tensor, "block"), 3, states);
  }
  for (int n = 0; n < reverse->shared_count; n++)
    walk->shared[n] = add_private(walk, name_of(walk, reverse->shared[n].tensor, "block"), 3, values);
  for (int n = 0; n < reverse->carried_count; n++)
    walk->next[n] = add_elements(walk, name_of(walk, reverse->carried[n].tensor, "state"), NULL);
  for (int n = 0; n < reverse->backward_count; n++) {
    walk->first_step[n] = NONE;
    if (reverse->backward[n].end != NONE)
      walk->first_step[n] = add_elements(walk, name_of(walk, reverse->backward[n].tensor, "state"), NULL);
  }
  for (int n = 0; n < reverse->sum_count; n++) walk->sums[n] = add_sum(walk, n);
}

/* ---- loops ----------------------------------------------------------------------------------------------------------------- */

Statement *walk_over(const Walk *walk, LoopKind kind, IndexId index, const Expr *low, const Expr *high, Statement *body) {
  return statement_loop(walk->kernel, kind, index, low, high, body);
}

Statement *walk_over_steps(const Walk *walk, const Expr *limit, bool is_reversed, Statement *body) {
  Statement *loop = walk_over(walk, LOOP_SEQUENTIAL, walk->item[walk->reverse->time], walk->first, limit, body);
  loop->is_reversed = is_reversed;
  return loop;
}

Statement *walk_over_lanes(const Walk *walk, Statement *body) {
  return walk_over(walk, LOOP_VECTOR, walk->item[walk->reverse->lane], walk->low, walk->high, body);
}

/* Over whole inner axes, those in `keeps` (NULL: all), one element at a time. */
Statement *walk_over_inner(const Walk *walk, const bool *keeps, Statement *body) {
  const Reverse *reverse = walk->reverse;
  for (int axis = reverse->rank - 1; axis >= 0; axis--)
    if (reverse->roles[axis] == AXIS_INNER && (!keeps || keeps[axis]))
      body = walk_over(walk, LOOP_SEQUENTIAL, walk->item[axis], walk_number(walk, 0),
                       size_expr(walk->arena, reverse->extents[axis]), body);
  return body;
}

/* Over the elements that go together, and over vectors of lanes. */
Statement *walk_over_groups(const Walk *walk, Statement *body) {
  const Reverse *reverse = walk->reverse;
  int64_t lanes = walk->lowering->context->machine->lanes;
  body = walk_over(walk, LOOP_VECTOR, walk->item[reverse->lane], walk->part_low, walk->part_high, body);
  const Expr *parts = expr_binary(walk->arena, OP_QUOTIENT,
                                  walk_plus(walk, walk_minus(walk, walk->high, walk->low), walk_number(walk, lanes - 1)),
                                  walk_number(walk, lanes));
  Affine width;
  if (expr_affine(walk_minus(walk, walk->high, walk->low), &width) && !width.term_count)
    parts = walk_number(walk, (width.constant + lanes - 1) / lanes);
  body = walk_over(walk, LOOP_SEQUENTIAL, walk->part, walk_number(walk, 0), parts, body);
  int last = reverse_last_inner(reverse);
  for (int axis = reverse->rank - 1; axis >= 0; axis--) {
    if (reverse->roles[axis] != AXIS_INNER) continue;
    Size extent = reverse->extents[axis];
    if (axis == last) extent.constant /= reverse->together;
    IndexId index = axis == last ? walk->group : walk->item[axis];
    body = walk_over(walk, LOOP_SEQUENTIAL, index, walk_number(walk, 0), size_expr(walk->arena, extent), body);
  }
  return body;
}

void walk_put_at_group(Walk *walk, int element) {
  int last = reverse_last_inner(walk->reverse);
  const Expr *group = expr_binary(walk->arena, OP_MUL, expr_index(walk->arena, walk->group),
                                  walk_number(walk, walk->reverse->together));
  walk->place[last] = walk_plus(walk, group, walk_number(walk, element));
}

void walk_put_at_element(Walk *walk) {
  int last = reverse_last_inner(walk->reverse);
  walk->place[last] = expr_index(walk->arena, walk->item[last]);
}
