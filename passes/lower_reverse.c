/* lower_reverse.c - a recurrence back through time over states that are computed again: one stage, in which each item of work takes
 * some lanes through all of time, twice.
 *
 *   forward: the state at the start of each block of steps is kept
 *   blocks of steps from the last to the first: their states again, from what was kept, into memory of the first cache; then
 *   back through the block with adjoints in registers, and all sums grow
 *
 * Loops over inner axes are outside of those over steps, so that an element stays in registers through a block. Several elements go
 * together, as each alone would wait for its own last step.
 */
#include "passes/reverse.h"

/* What a read of this tensor, so many steps from the one at hand, is. */
typedef struct Known {
  TensorId tensor;
  int64_t offset;
  const Expr *value;
} Known;

enum { MOST_KNOWN = 64 };

typedef struct Walk {
  Lowering *lowering;
  const Reverse *reverse;
  Arena *arena;
  Kernel *kernel;
  IndexId item[MOST_AXES];      /* by axis: of its loop */
  const Expr *place[MOST_AXES]; /* by axis: where the element at hand is */
  IndexId block, part, slot, group; /* the last: of elements that go together */
  const Expr *low, *high;       /* lanes of the item */
  const Expr *part_low, *part_high;
  const Expr *first, *limit;    /* steps of the block */
  const Expr *blocks;
  BufferId *state, *kept, *states; /* by forward member: at this step; at the start of each block; in the block, one more than steps */
  BufferId *shared, *next, *first_step, *sums; /* by shared value, carried value, backward member, sum */
  int known_count;
  Known known[MOST_KNOWN];
  int row_count; /* values of a step that all inner elements have in common, computed once: [step, lane of the item] */
  const Expr **rows;
  BufferId *row_buffers;
  Block *steady; /* where loads go that do not change with time; NULL: they stay */
  int steady_count;
  const Expr **steady_loads, **steady_locals;
} Walk;

static const Expr *plus(const Walk *walk, const Expr *a, const Expr *b) { return expr_binary(walk->arena, OP_ADD, a, b); }
static const Expr *minus(const Walk *walk, const Expr *a, const Expr *b) { return expr_binary(walk->arena, OP_SUB, a, b); }
static const Expr *number(const Walk *walk, int64_t value) { return integer(walk->lowering, value); }

static BufferId add_private(Walk *walk, const char *name, int rank, const Size *shape) {
  BufferId id = kernel_add_buffer(walk->kernel, name, TYPE_REAL, rank, shape, HOME_WORKSPACE, 0);
  walk->kernel->buffers[id].is_private = true;
  return id;
}

static const Expr *load(const Walk *walk, BufferId buffer, const Expr *const *indices) {
  return expr_load(walk->arena, TYPE_REAL, buffer, walk->kernel->buffers[buffer].rank, indices, NULL);
}

static Statement *store(const Walk *walk, BufferId buffer, const Expr *const *indices, const Expr *value) {
  return statement_store(walk->kernel, buffer, indices, value);
}

/* ---- expressions of the frame at the element at hand -------------------------------------------------------------------- */

static void know(Walk *walk, TensorId tensor, int64_t offset, const Expr *value) {
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
  bool is_group = expr->op == OP_QUOTIENT && expr_equal(expr->args[0], walk->place[reverse->lane]) && expr->args[1]->op == OP_INTEGER;
  if (!is_group || expr->args[1]->integer <= 0) return expr;
  if (expr->args[1]->integer >= reverse->extents[reverse->lane].constant) return number(walk, 0);
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

static const Expr *const *row_indices(const Walk *walk) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, 2);
  indices[0] = minus(walk, walk->place[walk->reverse->time], walk->first);
  indices[1] = minus(walk, walk->place[walk->reverse->lane], walk->low);
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
    return load(walk, walk->row_buffers[n], row_indices(walk));
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
  if (expr->op != OP_LOAD || expr_uses_index(expr, walk->item[walk->reverse->time]) || walk->kernel->buffers[expr->id].is_private) return expr;
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

static void split_product(const Walk *walk, const Expr *expr, const Expr **common, const Expr **own) {
  if (expr->op == OP_MUL) {
    split_product(walk, expr->args[0], common, own);
    split_product(walk, expr->args[1], common, own);
    return;
  }
  const Expr **product = expr_uses_index(expr, walk->reverse->frame[reverse_last_inner(walk->reverse)]) ? own : common;
  *product = *product ? expr_binary(walk->arena, OP_MUL, *product, expr) : expr;
}

/* In a product, what the elements that go together have in common comes first: it is multiplied once for all of them. */
static const Expr *common_first(void *context, const Expr *expr) {
  const Walk *walk = context;
  if (expr->op != OP_MUL || expr->type != TYPE_REAL) return expr;
  const Expr *common = NULL, *own = NULL;
  split_product(walk, expr, &common, &own);
  return common && own ? expr_binary(walk->arena, OP_MUL, common, own) : expr;
}

static const Expr *at_place(Walk *walk, const Expr *expr) {
  const Expr **by = ARENA_ARRAY(walk->arena, const Expr *, walk->kernel->index_count);
  for (int n = 0; n < walk->reverse->rank; n++) by[walk->reverse->frame[n]] = walk->place[n];
  expr = expr_rewrite(walk->arena, expr, use_known, walk);
  expr = expr_substitute(walk->arena, expr, walk->kernel->index_count, by);
  Ranges ranges = lowering_ranges(walk->lowering);
  expr = ranges_simplify(&ranges, expr_rewrite(walk->arena, expr, find_group, walk));
  expr = lower_expr(walk->lowering, expr, NULL, false);
  return walk->steady ? expr_rewrite(walk->arena, take_rows(walk, expr), take_out, walk) : expr;
}

static const Expr *let(Walk *walk, const char *name, const Expr *value, SourceRange source, Block *block) {
  LocalId local = kernel_add_local(walk->kernel, name, TYPE_REAL);
  Statement *statement = statement_let(walk->kernel, local, value);
  statement->source = source;
  block_append(block, statement);
  return expr_local(walk->arena, TYPE_REAL, local);
}

static SourceRange source_of(const Walk *walk, int equation) { return walk->lowering->program->equations[equation].source; }

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

static const Expr *const *element_indices(const Walk *walk, const Expr *before) {
  const Reverse *reverse = walk->reverse;
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES + 2);
  int rank = 0;
  if (before) indices[rank++] = before;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER) indices[rank++] = walk->place[axis];
  indices[rank] = minus(walk, walk->place[reverse->lane], walk->low);
  return indices;
}

/* Of the elements that are together, in the block: [step, element, lane of the part]. */
static const Expr *const *block_indices(const Walk *walk, const Expr *step, int element) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, 3);
  indices[0] = step;
  indices[1] = number(walk, element);
  indices[2] = minus(walk, walk->place[walk->reverse->lane], walk->part_low);
  return indices;
}

static const Expr *const *sum_indices(const Walk *walk, const ReverseSum *sum, const Expr *slot) {
  const Reverse *reverse = walk->reverse;
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES);
  int rank = 0;
  if (sum->keeps[reverse->time]) indices[rank++] = minus(walk, walk->place[reverse->time], walk->first);
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_INNER && sum->keeps[axis]) indices[rank++] = walk->place[axis];
  indices[rank] = slot ? slot : minus(walk, walk->place[reverse->lane], sum->keeps[reverse->lane] ? walk->low : walk->part_low);
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
  return add_private(walk, arena_format(walk->arena, "%s.sum%d", walk->lowering->program->tensors[reverse->backward[0].tensor].name, n), rank, shape);
}

static void add_buffers(Walk *walk) {
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
  for (int n = 0; n < reverse->carried_count; n++) walk->next[n] = add_elements(walk, name_of(walk, reverse->carried[n].tensor, "state"), NULL);
  for (int n = 0; n < reverse->backward_count; n++) {
    walk->first_step[n] = NONE;
    if (reverse->backward[n].end != NONE) walk->first_step[n] = add_elements(walk, name_of(walk, reverse->backward[n].tensor, "state"), NULL);
  }
  for (int n = 0; n < reverse->sum_count; n++) walk->sums[n] = add_sum(walk, n);
}

/* ---- loops ----------------------------------------------------------------------------------------------------------------- */

static Statement *over(const Walk *walk, LoopKind kind, IndexId index, const Expr *low, const Expr *high, Statement *body) {
  return statement_loop(walk->kernel, kind, index, low, high, body);
}

static Statement *over_steps(const Walk *walk, const Expr *limit, bool is_reversed, Statement *body) {
  Statement *loop = over(walk, LOOP_SEQUENTIAL, walk->item[walk->reverse->time], walk->first, limit, body);
  loop->is_reversed = is_reversed;
  return loop;
}

static Statement *over_lanes(const Walk *walk, Statement *body) {
  return over(walk, LOOP_VECTOR, walk->item[walk->reverse->lane], walk->low, walk->high, body);
}

/* Over whole inner axes, those in `keeps` (NULL: all), one element at a time. */
static Statement *over_inner(const Walk *walk, const bool *keeps, Statement *body) {
  const Reverse *reverse = walk->reverse;
  for (int axis = reverse->rank - 1; axis >= 0; axis--)
    if (reverse->roles[axis] == AXIS_INNER && (!keeps || keeps[axis]))
      body = over(walk, LOOP_SEQUENTIAL, walk->item[axis], number(walk, 0), size_expr(walk->arena, reverse->extents[axis]), body);
  return body;
}

/* Over the elements that go together, and over vectors of lanes. */
static Statement *over_groups(const Walk *walk, Statement *body) {
  const Reverse *reverse = walk->reverse;
  int64_t lanes = walk->lowering->context->machine->lanes;
  body = over(walk, LOOP_VECTOR, walk->item[reverse->lane], walk->part_low, walk->part_high, body);
  const Expr *parts = expr_binary(walk->arena, OP_QUOTIENT, plus(walk, minus(walk, walk->high, walk->low), number(walk, lanes - 1)), number(walk, lanes));
  Affine width;
  if (expr_affine(minus(walk, walk->high, walk->low), &width) && !width.term_count) parts = number(walk, (width.constant + lanes - 1) / lanes);
  body = over(walk, LOOP_SEQUENTIAL, walk->part, number(walk, 0), parts, body);
  int last = reverse_last_inner(reverse);
  for (int axis = reverse->rank - 1; axis >= 0; axis--) {
    if (reverse->roles[axis] != AXIS_INNER) continue;
    Size extent = reverse->extents[axis];
    if (axis == last) extent.constant /= reverse->together;
    IndexId index = axis == last ? walk->group : walk->item[axis];
    body = over(walk, LOOP_SEQUENTIAL, index, number(walk, 0), size_expr(walk->arena, extent), body);
  }
  return body;
}

static void put_at_group(Walk *walk, int element) {
  int last = reverse_last_inner(walk->reverse);
  const Expr *group = expr_binary(walk->arena, OP_MUL, expr_index(walk->arena, walk->group), number(walk, walk->reverse->together));
  walk->place[last] = plus(walk, group, number(walk, element));
}

static void put_at_element(Walk *walk) {
  int last = reverse_last_inner(walk->reverse);
  walk->place[last] = expr_index(walk->arena, walk->item[last]);
}

/* ---- forward ---------------------------------------------------------------------------------------------------------------- */

static void begin_steady(Walk *walk, Block *block) {
  walk->steady = block;
  walk->steady_count = walk->row_count = 0;
  walk->rows = NULL;
  walk->row_buffers = NULL;
  walk->steady_loads = walk->steady_locals = NULL;
}

/* sum + or - each term of `expr`, one by one, so that each is one multiply-add. */
static const Expr *add_terms(const Walk *walk, const Expr *sum, const Expr *expr, Op op) {
  if (expr->type == TYPE_REAL && (expr->op == OP_ADD || expr->op == OP_SUB)) {
    sum = add_terms(walk, sum, expr->args[0], op);
    return add_terms(walk, sum, expr->args[1], expr->op == op ? OP_ADD : OP_SUB);
  }
  return expr_binary(walk->arena, op, sum, expr);
}

/* Sums that elements which go together share grow by all of them before they are stored: `totals`. */
static bool is_common(const Reverse *reverse, const ReverseSum *sum) { return !sum->keeps[reverse_last_inner(reverse)]; }

/* What the element at hand adds to the sums that grow going back, or to those of the states alone, which can as well grow before. */
static void grow_sums(Walk *walk, bool is_back, const Expr **totals, Block *stores) {
  const Reverse *reverse = walk->reverse;
  for (int n = 0; n < reverse->sum_count; n++) {
    const ReverseSum *sum = &reverse->sums[n];
    if (reverse_needs_adjoint(reverse, sum->term) != is_back) continue;
    const Expr *term = at_place(walk, sum->term), *const *indices = sum_indices(walk, sum, NULL);
    const Expr *start = is_common(reverse, sum) && totals[n] ? totals[n] : load(walk, walk->sums[n], indices);
    const Expr *total = add_terms(walk, start, term, OP_ADD);
    if (is_common(reverse, sum)) totals[n] = total;
    else block_append(stores, store(walk, walk->sums[n], indices, total));
  }
}

static void store_totals(Walk *walk, const Expr *const *totals, Block *block) {
  for (int n = 0; n < walk->reverse->sum_count; n++)
    if (totals[n]) block_append(block, store(walk, walk->sums[n], sum_indices(walk, &walk->reverse->sums[n], NULL), totals[n]));
}

/* One step of one element: all of it is computed before any of it is replaced. Going through a block (`totals`), what the way back
 * needs is put down. */
static void step_forward(Walk *walk, int element, const Expr **totals, Block *block) {
  const Reverse *reverse = walk->reverse;
  Block stores = {0};
  bool is_again = totals != NULL;
  const Expr *step = minus(walk, walk->place[reverse->time], walk->first);
  walk->known_count = 0;
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *before = load(walk, walk->state[n], element_indices(walk, NULL));
    know(walk, reverse->forward[n].tensor, -1, let(walk, "before", before, source_of(walk, reverse->forward[n].equation), block));
  }
  for (int n = 0; n < reverse->shared_count && is_again; n++) {
    const Expr *value = let(walk, "shared", at_place(walk, reverse->shared[n].value), source_of(walk, reverse->forward[0].equation), block);
    block_append(&stores, store(walk, walk->shared[n], block_indices(walk, step, element), value));
    know(walk, reverse->shared[n].tensor, 0, value);
  }
  for (int n = 0; n < reverse->forward_count; n++) {
    const ReverseMember *member = &reverse->forward[n];
    const char *name = walk->lowering->program->tensors[member->tensor].name;
    const Expr *ordered = expr_rewrite(walk->arena, member->value, common_first, walk);
    const Expr *value = let(walk, name, at_place(walk, ordered), source_of(walk, member->equation), block);
    block_append(&stores, store(walk, walk->state[n], element_indices(walk, NULL), value));
    if (is_again) block_append(&stores, store(walk, walk->states[n], block_indices(walk, plus(walk, step, number(walk, 1)), element), value));
    know(walk, member->tensor, 0, value);
  }
  if (is_again) grow_sums(walk, false, totals, &stores);
  *block->tail = stores.first;
  block->tail = stores.tail;
  walk->known_count = 0;
}

typedef struct AheadSearch {
  const Walk *walk;
  Block *block;
  const Expr *const *by;
  int count;
  const Expr **loads;
} AheadSearch;

static void ask_ahead(void *context, const Expr *expr) {
  AheadSearch *search = context;
  const Walk *walk = search->walk;
  if (expr->op != OP_LOAD || !expr_uses_index(expr, walk->item[walk->reverse->time])) return;
  for (int n = 0; n < search->count; n++)
    if (expr_equal(search->loads[n], expr)) return;
  ARENA_PUSH(walk->arena, search->loads, search->count, expr);
  const Expr *load = expr_load(walk->arena, expr->type, expr->id, expr->arg_count, expr->args, NULL);
  load = expr_substitute(walk->arena, load, walk->kernel->index_count, search->by);
  block_append(search->block, statement_prefetch(walk->kernel, load));
}

/* The rows of a block are short pieces far apart, which no processor foresees: those of the block that comes next are asked for. */
static void ask_for_next(const Walk *walk, bool is_back, Block *block) {
  const Expr **by = ARENA_ARRAY(walk->arena, const Expr *, walk->kernel->index_count);
  IndexId time = walk->item[walk->reverse->time];
  by[time] = expr_binary(walk->arena, is_back ? OP_SUB : OP_ADD, expr_index(walk->arena, time), number(walk, walk->reverse->steps));
  AheadSearch search = {walk, block, by, 0, NULL};
  for (int n = 0; n < walk->row_count; n++) expr_visit(walk->rows[n], ask_ahead, &search);
}

static Statement *fill_rows(Walk *walk, const Expr *limit, bool is_back) {
  Block block = {0};
  ask_for_next(walk, is_back, &block);
  for (int n = 0; n < walk->row_count; n++) block_append(&block, store(walk, walk->row_buffers[n], row_indices(walk), walk->rows[n]));
  return walk->row_count ? over_steps(walk, limit, false, over_lanes(walk, block.first)) : NULL;
}

/* From the first step to the last. Of the last block no step is needed, where nobody reads what it leaves. */
static Statement *go_forward(Walk *walk) {
  const Reverse *reverse = walk->reverse;
  Block group = {0}, steps = {0};
  begin_steady(walk, &group);
  const Expr *limit = walk->limit;
  bool needs_last = false;
  for (int n = 0; n < reverse->forward_count; n++) needs_last |= reverse->forward[n].end != NONE;
  if (!needs_last) {
    const Expr *last = expr_binary(walk->arena, OP_MUL, minus(walk, walk->blocks, number(walk, 1)), number(walk, reverse->steps));
    limit = expr_binary(walk->arena, OP_MIN, plus(walk, walk->first, number(walk, reverse->steps)), last);
  }
  for (int element = 0; element < reverse->together; element++) {
    put_at_group(walk, element);
    for (int n = 0; n < reverse->forward_count; n++) {
      const Expr *const *kept = element_indices(walk, expr_index(walk->arena, walk->block));
      block_append(&group, store(walk, walk->kept[n], kept, load(walk, walk->state[n], element_indices(walk, NULL))));
    }
    step_forward(walk, element, NULL, &steps);
  }
  walk->steady = NULL;
  block_append(&group, over_steps(walk, limit, false, steps.first));
  Block all = {0};
  Statement *rows = fill_rows(walk, limit, false);
  if (rows) block_append(&all, rows);
  block_append(&all, over_groups(walk, group.first));
  return over(walk, LOOP_SEQUENTIAL, walk->block, number(walk, 0), walk->blocks, all.first);
}

/* ---- back ------------------------------------------------------------------------------------------------------------------- */

static const Expr *subtract_or_add(const Walk *walk, const Expr *sum, const Expr *value, bool is_negative) {
  return expr_binary(walk->arena, is_negative ? OP_SUB : OP_ADD, sum, value);
}

static void step_back(Walk *walk, int element, const Expr **totals, Block *block) {
  const Reverse *reverse = walk->reverse;
  const Expr *step = minus(walk, walk->place[reverse->time], walk->first);
  Block stores = {0};
  walk->known_count = 0;
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *before = load(walk, walk->states[n], block_indices(walk, step, element));
    const Expr *now = load(walk, walk->states[n], block_indices(walk, plus(walk, step, number(walk, 1)), element));
    know(walk, reverse->forward[n].tensor, -1, before);
    know(walk, reverse->forward[n].tensor, 0, now);
  }
  for (int n = 0; n < reverse->shared_count; n++)
    know(walk, reverse->shared[n].tensor, 0, load(walk, walk->shared[n], block_indices(walk, step, element)));
  for (int n = 0; n < reverse->carried_count; n++)
    know(walk, reverse->carried[n].tensor, 0, load(walk, walk->next[n], element_indices(walk, NULL)));
  for (int n = 0; n < reverse->backward_count; n++) {
    const ReverseMember *member = &reverse->backward[n];
    const char *name = walk->lowering->program->tensors[member->tensor].name;
    const Expr *value = let(walk, name, at_place(walk, member->value), source_of(walk, member->equation), block);
    know(walk, member->tensor, 0, value);
    if (walk->first_step[n] != NONE) block_append(&stores, store(walk, walk->first_step[n], element_indices(walk, NULL), value));
  }
  for (int n = 0; n < reverse->carried_count; n++) {
    const char *name = walk->lowering->program->tensors[reverse->carried[n].tensor].name;
    const Expr *value = let(walk, name, at_place(walk, reverse->carried[n].value), source_of(walk, reverse->backward[0].equation), block);
    block_append(&stores, store(walk, walk->next[n], element_indices(walk, NULL), value));
  }
  grow_sums(walk, true, totals, &stores);
  *block->tail = stores.first;
  block->tail = stores.tail;
  walk->known_count = 0;
}

/* The states of one block again, then back through it, for the elements that go together. */
static void go_through_block(Walk *walk, Block *block) {
  const Reverse *reverse = walk->reverse;
  Block group = {0}, again = {0}, back = {0};
  const Expr **totals = ARENA_ARRAY(walk->arena, const Expr *, reverse->sum_count);
  begin_steady(walk, &group);
  for (int element = 0; element < reverse->together; element++) {
    put_at_group(walk, element);
    for (int n = 0; n < reverse->forward_count; n++) {
      const Expr *kept = load(walk, walk->kept[n], element_indices(walk, expr_index(walk->arena, walk->block)));
      const Expr *value = let(walk, "start", kept, source_of(walk, reverse->forward[n].equation), &group);
      block_append(&group, store(walk, walk->state[n], element_indices(walk, NULL), value));
      block_append(&group, store(walk, walk->states[n], block_indices(walk, number(walk, 0), element), value));
    }
    step_forward(walk, element, totals, &again);
  }
  store_totals(walk, totals, &again);
  memset(totals, 0, sizeof *totals * (size_t)reverse->sum_count);
  for (int element = 0; element < reverse->together; element++) {
    put_at_group(walk, element);
    step_back(walk, element, totals, &back);
  }
  store_totals(walk, totals, &back);
  walk->steady = NULL;
  block_append(&group, over_steps(walk, walk->limit, false, again.first));
  block_append(&group, over_steps(walk, walk->limit, true, back.first));
  Statement *rows = fill_rows(walk, walk->limit, true);
  if (rows) block_append(block, rows);
  block_append(block, over_groups(walk, group.first));
}

/* ---- sums and results --------------------------------------------------------------------------------------------------------- */

static Statement *zero_sum(Walk *walk, int n) {
  const Reverse *reverse = walk->reverse;
  const ReverseSum *sum = &reverse->sums[n];
  const Expr *zero = expr_number(walk->arena, 0), *slot = expr_index(walk->arena, walk->slot);
  put_at_element(walk);
  Statement *body;
  if (sum->keeps[reverse->lane]) {
    body = over_lanes(walk, store(walk, walk->sums[n], sum_indices(walk, sum, NULL), zero));
  } else {
    body = store(walk, walk->sums[n], sum_indices(walk, sum, slot), zero);
    body = over(walk, LOOP_VECTOR, walk->slot, number(walk, 0), number(walk, walk->lowering->context->machine->lanes), body);
  }
  body = over_inner(walk, sum->keeps, body);
  return sum->keeps[reverse->time] ? over_steps(walk, walk->limit, false, body) : body;
}

static const Expr *const *result_indices(const Walk *walk, TensorId target, const int *axes) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES);
  int rank = walk->lowering->program->tensors[target].rank;
  for (int n = 0; n < rank; n++) {
    indices[n] = axes[n] == CHUNK_AXIS ? expr_binary(walk->arena, OP_QUOTIENT, walk->low, number(walk, walk->reverse->chunk)) : walk->place[axes[n]];
    indices[n] = halo_index(walk->lowering, target, n, indices[n]);
  }
  return indices;
}

static Statement *store_result(Walk *walk, TensorId target, const int *axes, const Expr *value) {
  BufferId buffer = buffer_of(walk->lowering, target);
  Statement *statement = store(walk, buffer, result_indices(walk, target, axes), value);
  return is_result_buffer(walk->lowering, buffer) ? statement_if(walk->kernel, expr_given(walk->arena, buffer), statement, NULL) : statement;
}

/* The sum behind a term, of all lanes where it does not keep them apart. */
static const Expr *term_value(Walk *walk, const ReverseTerm *term, Block *block) {
  const Reverse *reverse = walk->reverse;
  const ReverseSum *sum = &reverse->sums[term->sum];
  if (sum->keeps[reverse->lane]) return load(walk, walk->sums[term->sum], sum_indices(walk, sum, NULL));
  LocalId local = kernel_add_local(walk->kernel, "sum", TYPE_REAL);
  const Expr *body = load(walk, walk->sums[term->sum], sum_indices(walk, sum, expr_index(walk->arena, walk->slot)));
  block_append(block, statement_reduce(walk->kernel, local, REDUCE_SUM, 1, &walk->slot, NULL, NULL, body, true));
  return expr_local(walk->arena, TYPE_REAL, local);
}

static Statement *finish_result(Walk *walk, const ReverseResult *result) {
  const Reverse *reverse = walk->reverse;
  Block block = {0};
  put_at_element(walk);
  const Expr *total = result->value ? at_place(walk, result->value) : NULL;
  for (int n = 0; n < result->term_count; n++) {
    const ReverseTerm *term = &result->terms[n];
    const Expr *value = term_value(walk, term, &block);
    if (term->factor) value = expr_binary(walk->arena, OP_MUL, at_place(walk, term->factor), value);
    if (total) total = subtract_or_add(walk, total, value, term->is_negative);
    else total = term->is_negative ? expr_unary(walk->arena, OP_NEG, value) : value;
  }
  const Expr *value = let(walk, walk->lowering->program->tensors[result->target].name, total, source_of(walk, result->equation), &block);
  block_append(&block, store_result(walk, result->target, result->axis, value));
  Statement *body = result->keeps[reverse->lane] ? over_lanes(walk, block.first) : block.first;
  body = over_inner(walk, result->keeps, body);
  return result->keeps[reverse->time] ? over_steps(walk, walk->limit, false, body) : body;
}

/* Those of a block of steps, or those of all of time. */
static void finish_results(Walk *walk, bool of_steps, Block *block) {
  for (int n = 0; n < walk->reverse->result_count; n++)
    if (walk->reverse->results[n].keeps[walk->reverse->time] == of_steps) block_append(block, finish_result(walk, &walk->reverse->results[n]));
}

static void zero_sums(Walk *walk, bool of_steps, Block *block) {
  for (int n = 0; n < walk->reverse->sum_count; n++)
    if (walk->reverse->sums[n].keeps[walk->reverse->time] == of_steps) block_append(block, zero_sum(walk, n));
}

static void finish_end(Walk *walk, TensorId end, BufferId state, Block *block) {
  static const ReverseAxis order[] = {AXIS_OUTER, AXIS_SHARED, AXIS_INNER, AXIS_LANE};
  const Reverse *reverse = walk->reverse;
  int axes[MOST_AXES], count = 0;
  if (end == NONE) return;
  for (int n = 0; n < 4; n++)
    for (int axis = 0; axis < reverse->rank; axis++)
      if (reverse->roles[axis] == order[n]) axes[count++] = axis;
  put_at_element(walk);
  block_append(block, over_inner(walk, NULL, over_lanes(walk, store_result(walk, end, axes, load(walk, state, element_indices(walk, NULL))))));
}

/* ---- the stage ---------------------------------------------------------------------------------------------------------------- */

static void begin_item(Walk *walk, Block *block) {
  const Reverse *reverse = walk->reverse;
  Block all = {0};
  put_at_element(walk);
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *initial = reverse->forward[n].initial ? at_place(walk, reverse->forward[n].initial) : expr_number(walk->arena, 0);
    block_append(&all, store(walk, walk->state[n], element_indices(walk, NULL), initial));
  }
  for (int n = 0; n < reverse->carried_count; n++)
    block_append(&all, store(walk, walk->next[n], element_indices(walk, NULL), expr_number(walk->arena, 0)));
  block_append(block, over_inner(walk, NULL, over_lanes(walk, all.first)));
  zero_sums(walk, false, block);
}

static Statement *item_body(Walk *walk) {
  const Reverse *reverse = walk->reverse;
  Block all = {0}, back = {0};
  begin_item(walk, &all);
  block_append(&all, go_forward(walk));
  for (int n = 0; n < reverse->forward_count; n++) finish_end(walk, reverse->forward[n].end, walk->state[n], &all);
  zero_sums(walk, true, &back);
  go_through_block(walk, &back);
  finish_results(walk, true, &back);
  Statement *blocks = over(walk, LOOP_SEQUENTIAL, walk->block, number(walk, 0), walk->blocks, back.first);
  blocks->is_reversed = true;
  block_append(&all, blocks);
  for (int n = 0; n < reverse->backward_count; n++) finish_end(walk, reverse->backward[n].end, walk->first_step[n], &all);
  finish_results(walk, false, &all);
  return all.first;
}

static void place_axes(Walk *walk) {
  const Reverse *reverse = walk->reverse;
  for (int axis = 0; axis < reverse->rank; axis++) {
    const Index *range = &walk->kernel->indices[reverse->frame[axis]];
    walk->item[axis] = axis == reverse->time ? reverse->loop->index : kernel_add_index(walk->kernel, range->name, range->low, range->high);
    walk->place[axis] = expr_index(walk->arena, walk->item[axis]);
    if (reverse->roles[axis] == AXIS_OUTER) walk->place[axis] = bound_axis(walk->lowering, reverse->backward[0].equation, axis);
  }
  int64_t lanes = walk->lowering->context->machine->lanes;
  const Index *inner = &walk->kernel->indices[reverse->frame[reverse_last_inner(reverse)]];
  walk->group = kernel_add_index(walk->kernel, inner->name, inner->low, size_constant(inner->high.constant / reverse->together));
  walk->block = kernel_add_index(walk->kernel, "block", size_constant(0), size_constant(1));
  walk->part = kernel_add_index(walk->kernel, "part", size_constant(0), size_constant(1));
  walk->slot = kernel_add_index(walk->kernel, "lane", size_constant(0), size_constant(lanes));
}

static void bound_steps(Walk *walk) {
  const Reverse *reverse = walk->reverse;
  const Expr *length = size_expr(walk->arena, reverse->extents[reverse->time]);
  walk->blocks = ceil_quotient(walk->lowering, length, reverse->steps);
  walk->first = expr_binary(walk->arena, OP_MUL, expr_index(walk->arena, walk->block), number(walk, reverse->steps));
  walk->limit = expr_binary(walk->arena, OP_MIN, length, plus(walk, walk->first, number(walk, reverse->steps)));
}

static void report_reverse(Lowering *lowering, const Reverse *reverse) {
  Report *report = lowering->context->report;
  ReportEntry *entry = report_add(report, REPORT_REVERSE, lowering->program, lowering->program->equations[reverse->backward[0].equation].source);
  if (!entry) return;
  entry->depth = integer(lowering, reverse->steps);
  for (int n = 0; n < reverse->backward_count; n++) report_name(report, entry, reverse->backward[n].name);
  for (int n = 0; n < reverse->forward_count; n++) {
    report_name(report, entry, reverse->forward[n].name);
    report_other(report, entry, reverse->forward[n].name);
  }
}

bool lower_reverse(Lowering *lowering, const ScheduleNode *node) {
  const Reverse *reverse = find_reverse(lowering, node);
  if (!reverse) return false;
  Walk walk = {.lowering = lowering, .reverse = reverse, .arena = lowering->arena, .kernel = lowering->kernel};
  int64_t lanes = lowering->context->machine->lanes, extent = reverse->extents[reverse->lane].constant;
  place_axes(&walk);
  bound_steps(&walk);
  add_buffers(&walk);
  IndexId items[MOST_AXES];
  int count = 0;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_SHARED) items[count++] = walk.item[axis];
  items[count++] = walk.item[reverse->lane];
  Statement *innermost, *stage = parallel_nest(lowering, count, items, reverse->chunk, &walk.low, &walk.high, &innermost);
  const Expr *offset = expr_binary(walk.arena, OP_MUL, expr_index(walk.arena, walk.part), integer(lowering, lanes));
  walk.part_low = plus(&walk, walk.low, offset);
  walk.part_high = plus(&walk, walk.part_low, integer(lowering, lanes));
  bool is_whole = extent % lanes == 0 && reverse->chunk % lanes == 0;
  if (!is_whole) walk.part_high = expr_binary(walk.arena, OP_MIN, walk.high, walk.part_high);
  innermost->body = item_body(&walk);
  report_reverse(lowering, reverse);
  stage->source = lowering->program->equations[reverse->backward[0].equation].source;
  end_stage(lowering, lowering->block, stage, NULL);
  return true;
}
