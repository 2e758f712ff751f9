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
#include "passes/reverse_walk.h"

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
    const Expr *term = walk_at_place(walk, sum->term), *const *indices = walk_sum_indices(walk, sum, NULL);
    const Expr *start = is_common(reverse, sum) && totals[n] ? totals[n] : walk_load(walk, walk->sums[n], indices);
    const Expr *total = add_terms(walk, start, term, OP_ADD);
    if (is_common(reverse, sum)) totals[n] = total;
    else block_append(stores, walk_store(walk, walk->sums[n], indices, total));
  }
}

static void store_totals(Walk *walk, const Expr *const *totals, Block *block) {
  for (int n = 0; n < walk->reverse->sum_count; n++)
    if (totals[n])
      block_append(block, walk_store(walk, walk->sums[n], walk_sum_indices(walk, &walk->reverse->sums[n], NULL), totals[n]));
}

/* One step of one element: all of it is computed before any of it is replaced. Going through a block (`totals`), what the way back
 * needs is put down. */
static void step_forward(Walk *walk, int element, const Expr **totals, Block *block) {
  const Reverse *reverse = walk->reverse;
  Block stores = {0};
  bool is_again = totals != NULL;
  const Expr *step = walk_minus(walk, walk->place[reverse->time], walk->first);
  walk->known_count = 0;
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *before = walk_load(walk, walk->state[n], walk_element_indices(walk, NULL));
    walk_know(walk, reverse->forward[n].tensor, -1,
              walk_let(walk, "before", before, walk_source_of(walk, reverse->forward[n].equation), block));
  }
  for (int n = 0; n < reverse->shared_count && is_again; n++) {
    const Expr *value = walk_let(walk, "shared", walk_at_place(walk, reverse->shared[n].value),
                                 walk_source_of(walk, reverse->forward[0].equation), block);
    block_append(&stores, walk_store(walk, walk->shared[n], walk_block_indices(walk, step, element), value));
    walk_know(walk, reverse->shared[n].tensor, 0, value);
  }
  for (int n = 0; n < reverse->forward_count; n++) {
    const ReverseMember *member = &reverse->forward[n];
    const char *name = walk->lowering->program->tensors[member->tensor].name;
    const Expr *ordered = with_common_first(walk->arena, member->value, walk->reverse->frame[reverse_last_inner(walk->reverse)]);
    const Expr *value = walk_let(walk, name, walk_at_place(walk, ordered), walk_source_of(walk, member->equation), block);
    block_append(&stores, walk_store(walk, walk->state[n], walk_element_indices(walk, NULL), value));
    if (is_again)
      block_append(&stores, walk_store(walk, walk->states[n],
                                       walk_block_indices(walk, walk_plus(walk, step, walk_number(walk, 1)), element), value));
    walk_know(walk, member->tensor, 0, value);
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
  by[time] = expr_binary(walk->arena, is_back ? OP_SUB : OP_ADD, expr_index(walk->arena, time),
                         walk_number(walk, walk->reverse->steps));
  AheadSearch search = {walk, block, by, 0, NULL};
  for (int n = 0; n < walk->row_count; n++) expr_visit(walk->rows[n], ask_ahead, &search);
}

static const Expr *const *result_indices(const Walk *walk, TensorId target, const int *axes) {
  const Expr **indices = ARENA_ARRAY(walk->arena, const Expr *, MOST_AXES);
  int rank = walk->lowering->program->tensors[target].rank;
  for (int n = 0; n < rank; n++) {
    indices[n] = axes[n] == CHUNK_AXIS ? expr_binary(walk->arena, OP_QUOTIENT, walk->low, walk_number(walk, walk->reverse->chunk))
                                       : walk->place[axes[n]];
    indices[n] = halo_index(walk->lowering, target, n, indices[n]);
  }
  return indices;
}

/* Where the results of a block's steps go. */
static void ask_for_results(const Walk *walk, Block *block) {
  const Reverse *reverse = walk->reverse;
  for (int n = 0; n < reverse->result_count; n++) {
    const ReverseResult *result = &reverse->results[n];
    bool is_row = result->keeps[reverse->time] && result->keeps[reverse->lane];
    for (int axis = 0; axis < reverse->rank; axis++) is_row &= reverse->roles[axis] != AXIS_INNER || !result->keeps[axis];
    if (!is_row) continue;
    BufferId buffer = buffer_of(walk->lowering, result->target);
    Statement *ask = statement_prefetch(walk->kernel, walk_load(walk, buffer, result_indices(walk, result->target, result->axis)));
    if (is_result_buffer(walk->lowering, buffer)) ask = statement_if(walk->kernel, expr_given(walk->arena, buffer), ask, NULL);
    block_append(block, ask);
  }
}

static Statement *fill_rows(Walk *walk, const Expr *limit, bool is_back) {
  Block block = {0};
  ask_for_next(walk, is_back, &block);
  if (is_back) ask_for_results(walk, &block);
  for (int n = 0; n < walk->row_count; n++)
    block_append(&block, walk_store(walk, walk->row_buffers[n], walk_row_indices(walk), walk->rows[n]));
  return walk->row_count ? walk_over_steps(walk, limit, false, walk_over_lanes(walk, block.first)) : NULL;
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
    const Expr *last = expr_binary(walk->arena, OP_MUL, walk_minus(walk, walk->blocks, walk_number(walk, 1)),
                                   walk_number(walk, reverse->steps));
    limit = expr_binary(walk->arena, OP_MIN, walk_plus(walk, walk->first, walk_number(walk, reverse->steps)), last);
  }
  for (int element = 0; element < reverse->together; element++) {
    walk_put_at_group(walk, element);
    for (int n = 0; n < reverse->forward_count; n++) {
      const Expr *const *kept = walk_element_indices(walk, expr_index(walk->arena, walk->block));
      block_append(&group,
                   walk_store(walk, walk->kept[n], kept, walk_load(walk, walk->state[n], walk_element_indices(walk, NULL))));
    }
    step_forward(walk, element, NULL, &steps);
  }
  walk->steady = NULL;
  block_append(&group, walk_over_steps(walk, limit, false, steps.first));
  Block all = {0};
  Statement *rows = fill_rows(walk, limit, false);
  if (rows) block_append(&all, rows);
  block_append(&all, walk_over_groups(walk, group.first));
  return walk_over(walk, LOOP_SEQUENTIAL, walk->block, walk_number(walk, 0), walk->blocks, all.first);
}

/* ---- back ------------------------------------------------------------------------------------------------------------------- */

static const Expr *subtract_or_add(const Walk *walk, const Expr *sum, const Expr *value, bool is_negative) {
  return expr_binary(walk->arena, is_negative ? OP_SUB : OP_ADD, sum, value);
}

static void step_back(Walk *walk, int element, const Expr **totals, Block *block) {
  const Reverse *reverse = walk->reverse;
  const Expr *step = walk_minus(walk, walk->place[reverse->time], walk->first);
  Block stores = {0};
  walk->known_count = 0;
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *before = walk_load(walk, walk->states[n], walk_block_indices(walk, step, element));
    const Expr *now = walk_load(walk, walk->states[n],
                                walk_block_indices(walk, walk_plus(walk, step, walk_number(walk, 1)), element));
    walk_know(walk, reverse->forward[n].tensor, -1, before);
    walk_know(walk, reverse->forward[n].tensor, 0, now);
  }
  for (int n = 0; n < reverse->shared_count; n++)
    walk_know(walk, reverse->shared[n].tensor, 0, walk_load(walk, walk->shared[n], walk_block_indices(walk, step, element)));
  for (int n = 0; n < reverse->carried_count; n++)
    walk_know(walk, reverse->carried[n].tensor, 0, walk_load(walk, walk->next[n], walk_element_indices(walk, NULL)));
  for (int n = 0; n < reverse->backward_count; n++) {
    const ReverseMember *member = &reverse->backward[n];
    const char *name = walk->lowering->program->tensors[member->tensor].name;
    const Expr *value = walk_let(walk, name, walk_at_place(walk, member->value), walk_source_of(walk, member->equation), block);
    walk_know(walk, member->tensor, 0, value);
    if (walk->first_step[n] != NONE)
      block_append(&stores, walk_store(walk, walk->first_step[n], walk_element_indices(walk, NULL), value));
  }
  for (int n = 0; n < reverse->carried_count; n++) {
    const char *name = walk->lowering->program->tensors[reverse->carried[n].tensor].name;
    const Expr *value = walk_let(walk, name, walk_at_place(walk, reverse->carried[n].value),
                                 walk_source_of(walk, reverse->backward[0].equation), block);
    block_append(&stores, walk_store(walk, walk->next[n], walk_element_indices(walk, NULL), value));
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
    walk_put_at_group(walk, element);
    for (int n = 0; n < reverse->forward_count; n++) {
      const Expr *at = expr_index(walk->arena, walk->block), *next = walk_minus(walk, at, walk_number(walk, 1));
      const Expr *kept = walk_load(walk, walk->kept[n], walk_element_indices(walk, at));
      const Expr *kept_next = walk_load(walk, walk->kept[n], walk_element_indices(walk, next));
      block_append(&group, statement_prefetch(walk->kernel, kept_next));
      const Expr *value = walk_let(walk, "start", kept, walk_source_of(walk, reverse->forward[n].equation), &group);
      block_append(&group, walk_store(walk, walk->state[n], walk_element_indices(walk, NULL), value));
      block_append(&group, walk_store(walk, walk->states[n], walk_block_indices(walk, walk_number(walk, 0), element), value));
    }
    step_forward(walk, element, totals, &again);
  }
  store_totals(walk, totals, &again);
  memset(totals, 0, sizeof *totals * (size_t)reverse->sum_count);
  for (int element = 0; element < reverse->together; element++) {
    walk_put_at_group(walk, element);
    step_back(walk, element, totals, &back);
  }
  store_totals(walk, totals, &back);
  walk->steady = NULL;
  block_append(&group, walk_over_steps(walk, walk->limit, false, again.first));
  block_append(&group, walk_over_steps(walk, walk->limit, true, back.first));
  Statement *rows = fill_rows(walk, walk->limit, true);
  if (rows) block_append(block, rows);
  block_append(block, walk_over_groups(walk, group.first));
}

/* ---- sums and results --------------------------------------------------------------------------------------------------------- */

static Statement *zero_sum(Walk *walk, int n) {
  const Reverse *reverse = walk->reverse;
  const ReverseSum *sum = &reverse->sums[n];
  const Expr *zero = expr_number(walk->arena, 0), *slot = expr_index(walk->arena, walk->slot);
  walk_put_at_element(walk);
  Statement *body;
  if (sum->keeps[reverse->lane]) {
    body = walk_over_lanes(walk, walk_store(walk, walk->sums[n], walk_sum_indices(walk, sum, NULL), zero));
  } else {
    body = walk_store(walk, walk->sums[n], walk_sum_indices(walk, sum, slot), zero);
    body = walk_over(walk, LOOP_VECTOR, walk->slot, walk_number(walk, 0),
                     walk_number(walk, walk->lowering->context->machine->lanes), body);
  }
  body = walk_over_inner(walk, sum->keeps, body);
  return sum->keeps[reverse->time] ? walk_over_steps(walk, walk->limit, false, body) : body;
}

static Statement *store_result(Walk *walk, TensorId target, const int *axes, const Expr *value) {
  BufferId buffer = buffer_of(walk->lowering, target);
  Statement *statement = walk_store(walk, buffer, result_indices(walk, target, axes), value);
  return is_result_buffer(walk->lowering, buffer) ? statement_if(walk->kernel, expr_given(walk->arena, buffer), statement, NULL)
                                                  : statement;
}

/* The sum behind a term, of all lanes where it does not keep them apart. */
static const Expr *term_value(Walk *walk, const ReverseTerm *term, Block *block) {
  const Reverse *reverse = walk->reverse;
  const ReverseSum *sum = &reverse->sums[term->sum];
  if (sum->keeps[reverse->lane]) return walk_load(walk, walk->sums[term->sum], walk_sum_indices(walk, sum, NULL));
  LocalId local = kernel_add_local(walk->kernel, "sum", TYPE_REAL);
  const Expr *body = walk_load(walk, walk->sums[term->sum], walk_sum_indices(walk, sum, expr_index(walk->arena, walk->slot)));
  block_append(block, statement_reduce(walk->kernel, local, REDUCE_SUM, 1, &walk->slot, NULL, NULL, body, true));
  return expr_local(walk->arena, TYPE_REAL, local);
}

static Statement *finish_result(Walk *walk, const ReverseResult *result) {
  const Reverse *reverse = walk->reverse;
  Block block = {0};
  walk_put_at_element(walk);
  const Expr *total = result->value ? walk_at_place(walk, result->value) : NULL;
  for (int n = 0; n < result->term_count; n++) {
    const ReverseTerm *term = &result->terms[n];
    const Expr *value = term_value(walk, term, &block);
    if (term->factor) value = expr_binary(walk->arena, OP_MUL, walk_at_place(walk, term->factor), value);
    if (total) total = subtract_or_add(walk, total, value, term->is_negative);
    else total = term->is_negative ? expr_unary(walk->arena, OP_NEG, value) : value;
  }
  const Expr *value = walk_let(walk, walk->lowering->program->tensors[result->target].name, total,
                               walk_source_of(walk, result->equation), &block);
  block_append(&block, store_result(walk, result->target, result->axis, value));
  Statement *body = result->keeps[reverse->lane] ? walk_over_lanes(walk, block.first) : block.first;
  body = walk_over_inner(walk, result->keeps, body);
  return result->keeps[reverse->time] ? walk_over_steps(walk, walk->limit, false, body) : body;
}

/* Those of a block of steps, or those of all of time. */
static void finish_results(Walk *walk, bool of_steps, Block *block) {
  for (int n = 0; n < walk->reverse->result_count; n++)
    if (walk->reverse->results[n].keeps[walk->reverse->time] == of_steps)
      block_append(block, finish_result(walk, &walk->reverse->results[n]));
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
  walk_put_at_element(walk);
  block_append(
      block, walk_over_inner(
                 walk, NULL,
                 walk_over_lanes(walk, store_result(walk, end, axes, walk_load(walk, state, walk_element_indices(walk, NULL))))));
}

/* ---- the stage ---------------------------------------------------------------------------------------------------------------- */

static void begin_item(Walk *walk, Block *block) {
  const Reverse *reverse = walk->reverse;
  Block all = {0};
  walk_put_at_element(walk);
  for (int n = 0; n < reverse->forward_count; n++) {
    const Expr *initial = reverse->forward[n].initial ? walk_at_place(walk, reverse->forward[n].initial)
                                                      : expr_number(walk->arena, 0);
    block_append(&all, walk_store(walk, walk->state[n], walk_element_indices(walk, NULL), initial));
  }
  for (int n = 0; n < reverse->carried_count; n++)
    block_append(&all, walk_store(walk, walk->next[n], walk_element_indices(walk, NULL), expr_number(walk->arena, 0)));
  block_append(block, walk_over_inner(walk, NULL, walk_over_lanes(walk, all.first)));
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
  Statement *blocks = walk_over(walk, LOOP_SEQUENTIAL, walk->block, walk_number(walk, 0), walk->blocks, back.first);
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
    walk->item[axis] = axis == reverse->time ? reverse->loop->index
                                             : kernel_add_index(walk->kernel, range->name, range->low, range->high);
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
  walk->first = expr_binary(walk->arena, OP_MUL, expr_index(walk->arena, walk->block), walk_number(walk, reverse->steps));
  walk->limit = expr_binary(walk->arena, OP_MIN, length, walk_plus(walk, walk->first, walk_number(walk, reverse->steps)));
}

static void report_reverse(Lowering *lowering, const Reverse *reverse) {
  Report *report = lowering->context->report;
  ReportEntry *entry = report_add(report, REPORT_REVERSE, lowering->program,
                                  lowering->program->equations[reverse->backward[0].equation].source);
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
  walk_add_buffers(&walk);
  IndexId items[MOST_AXES];
  int count = 0;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_SHARED) items[count++] = walk.item[axis];
  items[count++] = walk.item[reverse->lane];
  Statement *innermost, *stage = parallel_nest(lowering, count, items, reverse->chunk, &walk.low, &walk.high, &innermost);
  const Expr *offset = expr_binary(walk.arena, OP_MUL, expr_index(walk.arena, walk.part), integer(lowering, lanes));
  walk.part_low = walk_plus(&walk, walk.low, offset);
  walk.part_high = walk_plus(&walk, walk.part_low, integer(lowering, lanes));
  bool is_whole = extent % lanes == 0 && reverse->chunk % lanes == 0;
  if (!is_whole) walk.part_high = expr_binary(walk.arena, OP_MIN, walk.high, walk.part_high);
  innermost->body = item_body(&walk);
  report_reverse(lowering, reverse);
  stage->source = lowering->program->equations[reverse->backward[0].equation].source;
  end_stage(lowering, lowering->block, stage, NULL);
  return true;
}
