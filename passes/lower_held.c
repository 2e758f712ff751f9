/* lower_held.c - sweeps whose state stays in registers: the axes that the readouts sum over outside, time inside.
 *
 * Where no element of the state reads another one, and every readout is a sum over the same axes of it, the loops over these
 * axes and over a block of time can change places. Then one element of the state, for all lanes, is carried through the block
 * without touching memory, what does not depend on time is computed once for a block, and the sums of the block's steps
 * stay in the first cache. Several elements go together, as each alone would wait for its own last step.
 */
#include "passes/lower.h"

enum { HELD_STEPS = 64, HELD_TOGETHER = 8 };

/* ---- which sweeps ---------------------------------------------------------------------------------------------------- */

typedef struct HeldCheck {
  const Lowering *lowering;
  const Sweep *sweep;
  const bool *is_inside;
  const Equation *equation;
  int number, members;
  bool fails;
} HeldCheck;

static bool is_index(const Expr *expr, IndexId index) { return expr->op == OP_INDEX && expr->id == index; }

static int number_of(const HeldCheck *check, TensorId target) {
  for (int n = 0; n < check->sweep->count; n++)
    if (check->lowering->program->equations[check->sweep->equations[n]].target == target) return n;
  return NONE;
}

static bool is_step_before(const Expr *expr, IndexId time) {
  Affine affine;
  return expr_affine(expr, &affine) && affine.term_count == 1 && affine.constant == -1 &&
         affine_coefficient(&affine, false, time) == 1;
}

/* The state at its own element, at this step where it is defined by now and else at the last one. */
static void check_state(void *context, const Expr *expr) {
  HeldCheck *check = context;
  if (expr->op != OP_READ || !check->is_inside[expr->id]) return;
  int maker = number_of(check, expr->id), time = check->sweep->axes[0];
  if (maker == NONE || maker >= check->members) {
    check->fails = true;
    return;
  }
  for (int k = 0; k < expr->arg_count; k++)
    if (k != time) check->fails |= !is_index(expr->args[k], check->equation->indices[k]);
  bool is_now = is_index(expr->args[time], check->equation->indices[time]) && maker < check->number && !expr->outside;
  check->fails |= !is_now && !is_step_before(expr->args[time], check->equation->indices[time]);
}

/* The axis of the readout's target that a shared axis of the state is, by number; or the reduction index of an inner axis. */
static IndexId index_for(const HeldCheck *check, int state_axis) {
  const Sweep *sweep = check->sweep;
  for (int s = 0; s < sweep->shared_count; s++)
    if (sweep->shared[s] == state_axis) return check->equation->indices[sweep->shared[check->number * MOST_AXES + s]];
  for (int k = 0; k < sweep->inner_count; k++)
    if (sweep->inner[k] == state_axis) return sweep->inner_index[check->number * MOST_AXES + k];
  return check->equation->indices[sweep->axes[check->number]];
}

/* The first read of the state says which index of the sum runs over which of its axes. */
static void check_body(void *context, const Expr *expr) {
  HeldCheck *check = context;
  if (expr->op != OP_READ || !check->is_inside[expr->id]) return;
  int maker = number_of(check, expr->id);
  if (maker == NONE || maker >= check->members || expr->outside) {
    check->fails = true;
    return;
  }
  IndexId *of = &check->sweep->inner_index[check->number * MOST_AXES];
  for (int k = 0; k < check->sweep->inner_count; k++)
    if (of[k] == NONE && expr->args[check->sweep->inner[k]]->op == OP_INDEX) of[k] = expr->args[check->sweep->inner[k]]->id;
  for (int k = 0; k < expr->arg_count; k++) check->fails |= !is_index(expr->args[k], index_for(check, k));
}

/* What a sum starts from may be another readout. */
static void check_value(void *context, const Expr *expr) {
  HeldCheck *check = context;
  if (expr->op != OP_READ || !check->is_inside[expr->id]) return;
  int maker = number_of(check, expr->id);
  check->fails |= maker == NONE || maker < check->members || maker >= check->number;
}

static bool is_reduced(const Equation *equation, IndexId index) {
  int times = 0;
  for (int n = 0; n < equation->reduce_count; n++) times += equation->reduce_indices[n] == index;
  return times == 1;
}

static bool is_held_member(HeldCheck *check) {
  const Program *program = check->lowering->program;
  const Equation *first = &program->equations[check->sweep->equations[0]], *equation = check->equation;
  const Tensor *tensor = &program->tensors[equation->target], *other = &program->tensors[first->target];
  if (equation->reduce != REDUCE_NONE || equation->guard || !equation->value || tensor->type != TYPE_REAL ||
      tensor->rank != other->rank)
    return false;
  if (check->sweep->axes[check->number] != check->sweep->axes[0]) return false;
  for (int axis = 0; axis < tensor->rank; axis++)
    if (!size_equal(tensor->shape[axis], other->shape[axis])) return false;
  for (int s = 0; s < check->sweep->shared_count; s++)
    if (check->sweep->shared[check->number * MOST_AXES + s] != check->sweep->shared[s]) return false;
  expr_visit(equation->value, check_state, check);
  return !check->fails;
}

static bool is_held_readout(HeldCheck *check) {
  const Program *program = check->lowering->program;
  const Sweep *sweep = check->sweep;
  const Equation *equation = check->equation;
  const Tensor *target = &program->tensors[equation->target],
               *state = &program->tensors[program->equations[sweep->equations[0]].target];
  if (equation->reduce != REDUCE_SUM || equation->guard || !equation->body || target->type != TYPE_REAL) return false;
  if (equation->reduce_count != sweep->inner_count || target->rank != sweep->shared_count + 1) return false;
  for (int k = 0; k < sweep->inner_count; k++) sweep->inner_index[check->number * MOST_AXES + k] = NONE;
  expr_visit(equation->body, check_body, check);
  if (equation->value) expr_visit(equation->value, check_value, check);
  for (int k = 0; k < sweep->inner_count && !check->fails; k++) {
    IndexId index = sweep->inner_index[check->number * MOST_AXES + k];
    if (index == NONE || !is_reduced(equation, index)) return false;
    const Index *range = &program->indices[index];
    if (!size_equal(range->low, size_constant(0)) || !size_equal(range->high, state->shape[sweep->inner[k]])) return false;
    for (int other = 0; other < k; other++)
      if (sweep->inner_index[check->number * MOST_AXES + other] == index) return false;
  }
  return !check->fails;
}

bool can_hold_state(Lowering *lowering, Sweep *sweep, int members, const bool *is_inside) {
  const Program *program = lowering->program;
  TensorId first = program->equations[sweep->equations[0]].target;
  sweep->inner_count = 0;
  sweep->inner_index = ARENA_ARRAY(lowering->arena, IndexId, sweep->count * MOST_AXES);
  for (int axis = 0; axis < program->tensors[first].rank; axis++) {
    bool is_inner = axis != sweep->axes[0];
    for (int s = 0; s < sweep->shared_count; s++) is_inner &= sweep->shared[s] != axis;
    if (!is_inner) continue;
    const Index *range = &program->indices[program->equations[sweep->equations[0]].indices[axis]];
    if (lowering->depth[first * MOST_AXES + axis] || !size_equal(range->low, size_constant(0))) return false;
    sweep->inner[sweep->inner_count++] = axis;
  }
  if (!sweep->inner_count || !sweep->shared_count) return false;
  HeldCheck check = {.lowering = lowering, .sweep = sweep, .is_inside = is_inside, .members = members};
  for (check.number = 0; check.number < sweep->count; check.number++) {
    check.equation = &program->equations[sweep->equations[check.number]];
    if (check.number < members ? !is_held_member(&check) : !is_held_readout(&check)) return false;
  }
  return true;
}

/* ---- one item of work -------------------------------------------------------------------------------------------------- */

typedef struct Holding {
  Lowering *lowering;
  const Sweep *sweep;
  const IndexId *shared;        /* with the index of the lanes as the last */
  IndexId time, block, element; /* the last: of the last inner axis */
  const Expr *first_step, *step_limit, *low, *high; /* the last two: lanes */
  int64_t chunk;
  int together;
  const Expr *const *inner; /* by inner axis: where the element at hand is */
  const LocalId *local;     /* by member: its value at this step */
  int steady_count;         /* loads that don't depend on time, done before its loop */
  const Expr **steady;
  const Expr **steady_local;
  Block before_steps;
  BufferId *sums; /* by readout */
  Block before_blocks;
  const Expr *const *group; /* by inner axis: the index of its loop */
  int finished_count;
  const Expr **finished; /* by readout and map of one: its value at this step */
} Holding;

static int member_count(const Holding *holding) {
  int count = 0;
  while (count < holding->sweep->count &&
         holding->lowering->is_contracted[holding->lowering->program->equations[holding->sweep->equations[count]].target])
    count++;
  return count;
}

/* Those after it are maps of readouts. */
static int readout_end(const Holding *holding) { return holding->sweep->count - holding->sweep->map_count; }

static Unit held_unit(const Holding *holding, int number) {
  const Sweep *sweep = holding->sweep;
  Lowering *lowering = holding->lowering;
  int equation = sweep->equations[number];
  int rank = lowering->program->tensors[lowering->program->equations[equation].target].rank;
  const Expr **bound = ARENA_ARRAY(lowering->arena, const Expr *, rank);
  for (int axis = 0; axis < rank; axis++) bound[axis] = bound_axis(lowering, equation, axis);
  bound[sweep->axes[number]] = expr_index(lowering->arena, holding->time);
  for (int s = 0; s < sweep->shared_count; s++)
    bound[sweep->shared[number * MOST_AXES + s]] = expr_index(lowering->arena, holding->shared[s]);
  if (number < member_count(holding))
    for (int k = 0; k < sweep->inner_count; k++) bound[sweep->inner[k]] = holding->inner[k];
  return unit_of(lowering, equation, bound);
}

/* What the step at hand has defined is in locals, what the one before it left in memory. */
static const Expr *use_locals(void *context, const Expr *expr) {
  const Holding *holding = context;
  if (expr->op != OP_READ) return expr;
  int number = 0, count = member_count(holding);
  while (number < count && holding->lowering->program->equations[holding->sweep->equations[number]].target != expr->id) number++;
  if (number == count || !is_index(expr->args[holding->sweep->axes[0]], holding->time)) return expr;
  return expr_local(holding->lowering->arena, expr->type, holding->local[number]);
}

static const Expr *with_locals(Holding *holding, const Expr *expr) {
  return expr_rewrite(holding->lowering->arena, expr, use_locals, holding);
}

static bool is_held_buffer(const Holding *holding, BufferId buffer) {
  for (int n = 0; n < member_count(holding); n++)
    if (holding->lowering->buffers[holding->lowering->program->equations[holding->sweep->equations[n]].target] == buffer)
      return true;
  return false;
}

/* From lane to lane the elements do not lie side by side. */
static bool is_scattered(const Holding *holding, const Expr *load) {
  const Buffer *buffer = &holding->lowering->kernel->buffers[load->id];
  IndexId lanes = holding->shared[holding->sweep->shared_count - 1];
  for (int k = 0; k < buffer->rank; k++) {
    if (!expr_uses_index(load->args[k], lanes)) continue;
    Affine affine;
    bool is_beside = buffer->order[buffer->rank - 1] == k && expr_affine(load->args[k], &affine) && affine_coefficient(&affine, false, lanes) == 1;
    if (!is_beside) return true;
  }
  return false;
}

/* The same in memory of the thread, lane beside lane, once for all of time. */
static const Expr *gathered(Holding *holding, const Expr *load) {
  Lowering *lowering = holding->lowering;
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  IndexId lanes = holding->shared[holding->sweep->shared_count - 1];
  int rank = holding->sweep->inner_count;
  Size *shape = ARENA_ARRAY(arena, Size, rank + 1);
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, rank + 1);
  for (int k = 0; k < rank; k++) {
    indices[k] = holding->group[k];
    shape[k] = kernel->indices[holding->group[k]->id].high;
  }
  indices[rank] = expr_binary(arena, OP_SUB, expr_index(arena, lanes), holding->low);
  shape[rank] = size_constant(holding->chunk);
  BufferId copy = kernel_add_buffer(kernel, arena_format(arena, "%s.lanes", kernel->buffers[load->id].name), TYPE_REAL, rank + 1, shape, HOME_WORKSPACE, 0);
  kernel->buffers[copy].is_private = true;
  Statement *fill = statement_store(kernel, copy, indices, load);
  for (int k = rank - 1; k >= 0; k--)
    fill = statement_loop(kernel, LOOP_SEQUENTIAL, holding->group[k]->id, expr_integer(arena, 0), size_expr(arena, shape[k]), fill);
  block_append(&holding->before_blocks, statement_loop(kernel, LOOP_VECTOR, lanes, holding->low, holding->high, fill));
  return expr_load(arena, TYPE_REAL, copy, rank + 1, indices, NULL);
}

static const Expr *take_out(void *context, const Expr *expr) {
  Holding *holding = context;
  Lowering *lowering = holding->lowering;
  if (expr->op != OP_LOAD || expr_uses_index(expr, holding->time) || is_held_buffer(holding, expr->id)) return expr;
  for (int n = 0; n < holding->steady_count; n++)
    if (expr_equal(holding->steady[n], expr)) return holding->steady_local[n];
  LocalId id = kernel_add_local(lowering->kernel, lowering->kernel->buffers[expr->id].name, expr->type);
  const Expr *local = expr_local(lowering->arena, expr->type, id);
  int count = holding->steady_count;
  ARENA_PUSH(lowering->arena, holding->steady_local, count, local);
  ARENA_PUSH(lowering->arena, holding->steady, holding->steady_count, expr);
  bool is_worth_copy = expr->type == TYPE_REAL && !expr->guard && is_scattered(holding, expr);
  block_append(&holding->before_steps, statement_let(lowering->kernel, id, is_worth_copy ? gathered(holding, expr) : expr));
  return local;
}

/* In terms of loads, those that don't depend on time before its loop. */
static const Expr *held_expr(Holding *holding, const Expr *expr) {
  Arena *arena = holding->lowering->arena;
  expr = with_locals(holding, with_common_first(arena, expr, holding->element));
  return expr_rewrite(arena, lower_expr(holding->lowering, expr, NULL, false), take_out, holding);
}

/* sum + or - each term of `expr`, one by one, so that each is one multiply-add. */
static const Expr *add_terms(Arena *arena, const Expr *sum, const Expr *expr, Op op) {
  if (expr->type == TYPE_REAL && (expr->op == OP_ADD || expr->op == OP_SUB)) {
    sum = add_terms(arena, sum, expr->args[0], op);
    return add_terms(arena, sum, expr->args[1], expr->op == op ? OP_ADD : OP_SUB);
  }
  return expr_binary(arena, op, sum, expr);
}

static const Expr *const *sum_indices(const Holding *holding) {
  Arena *arena = holding->lowering->arena;
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, 2);
  indices[0] = expr_binary(arena, OP_SUB, expr_index(arena, holding->time), holding->first_step);
  indices[1] = expr_binary(arena, OP_SUB, expr_index(arena, holding->shared[holding->sweep->shared_count - 1]), holding->low);
  return indices;
}

static const Expr *sum_load(const Holding *holding, int readout) {
  return expr_load(holding->lowering->arena, TYPE_REAL, holding->sums[readout], 2, sum_indices(holding), NULL);
}

static void store_sum(const Holding *holding, int readout, const Expr *value, Block *block) {
  block_append(block, statement_store(holding->lowering->kernel, holding->sums[readout], sum_indices(holding), value));
}

/* One step of one element: all of it is computed before any of it is replaced. `sums` grow by its terms. */
static void step_element(Holding *holding, const Expr **sums, Block *block) {
  Lowering *lowering = holding->lowering;
  Kernel *kernel = lowering->kernel;
  int members = member_count(holding);
  LocalId *local = ARENA_ARRAY(lowering->arena, LocalId, members);
  Block stores = {0};
  holding->local = local;
  for (int n = 0; n < members; n++) {
    Unit unit = held_unit(holding, n);
    BufferId buffer = buffer_of(lowering, unit.target);
    local[n] = kernel_add_local(kernel, kernel->buffers[buffer].name, TYPE_REAL);
    Statement *let = statement_let(kernel, local[n], held_expr(holding, unit.value));
    Statement *store = statement_store(kernel, buffer, store_indices(lowering, &unit),
                                       expr_local(lowering->arena, TYPE_REAL, local[n]));
    let->source = store->source = unit.equation->source;
    block_append(block, let);
    block_append(&stores, store);
  }
  *block->tail = stores.first;
  block->tail = stores.tail;
  for (int n = members; n < readout_end(holding); n++) {
    Unit unit = held_unit(holding, n);
    const Expr **replacements = ARENA_ARRAY(lowering->arena, const Expr *, lowering->program->index_count);
    for (int k = 0; k < holding->sweep->inner_count; k++)
      replacements[holding->sweep->inner_index[n * MOST_AXES + k]] = holding->inner[k];
    const Expr *body = expr_substitute(lowering->arena, unit.body, lowering->program->index_count, replacements);
    Ranges ranges = lowering_ranges(lowering);
    body = held_expr(holding, ranges_simplify(&ranges, body));
    sums[n] = add_terms(lowering->arena, sums[n], body, OP_ADD);
  }
}

static Statement *over_steps(const Holding *holding, Statement *body) {
  return statement_loop(holding->lowering->kernel, LOOP_SEQUENTIAL, holding->time, holding->first_step, holding->step_limit,
                        body);
}

/* Elements of the last inner axis that are taken together. */
static int count_together(const Holding *holding) {
  const Program *program = holding->lowering->program;
  TensorId first = program->equations[holding->sweep->equations[0]].target;
  Size extent = program->tensors[first].shape[holding->sweep->inner[holding->sweep->inner_count - 1]];
  int count = HELD_TOGETHER;
  while (count > 1 && (extent.symbol != NONE || extent.constant % count || count * member_count(holding) > HELD_TOGETHER))
    count /= 2;
  return count;
}

/* `finished`: what is done at a step once all elements have been added up. */
static Statement *all_elements(Holding *holding, Statement *finished) {
  Lowering *lowering = holding->lowering;
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  const Sweep *sweep = holding->sweep;
  TensorId first = lowering->program->equations[sweep->equations[0]].target;
  int last = sweep->inner_count - 1, together = count_together(holding);
  IndexId loops[MOST_AXES];
  const Expr **inner = ARENA_ARRAY(arena, const Expr *, sweep->inner_count);
  for (int k = 0; k <= last; k++) {
    Size extent = lowering->program->tensors[first].shape[sweep->inner[k]];
    if (k == last && extent.symbol == NONE) extent.constant /= together;
    const char *name =
        lowering->program->indices[lowering->program->equations[sweep->equations[0]].indices[sweep->inner[k]]].name;
    loops[k] = kernel_add_index(kernel, name, size_constant(0), extent);
    inner[k] = expr_index(arena, loops[k]);
  }
  holding->element = loops[last];
  holding->group = arena_copy(arena, inner, sizeof *inner * (size_t)sweep->inner_count);
  const Expr **sums = ARENA_ARRAY(arena, const Expr *, sweep->count), *group = inner[last];
  Block block = {0};
  holding->inner = inner;
  for (int n = member_count(holding); n < readout_end(holding); n++) sums[n] = sum_load(holding, n);
  for (int e = 0; e < together; e++) {
    if (together > 1)
      inner[last] = expr_binary(arena, OP_ADD, expr_binary(arena, OP_MUL, group, integer(lowering, together)),
                                integer(lowering, e));
    step_element(holding, sums, &block);
  }
  for (int n = member_count(holding); n < readout_end(holding); n++) store_sum(holding, n, sums[n], &block);
  const Expr *is_last = NULL;
  for (int k = 0; k <= last; k++) {
    const Expr *end = expr_binary(arena, OP_SUB, size_expr(arena, kernel->indices[loops[k]].high), integer(lowering, 1));
    is_last = conjunction(arena, is_last, expr_binary(arena, OP_GE, holding->group[k], end));
  }
  block_append(&block, statement_if(kernel, is_last, finished, NULL));
  block_append(&holding->before_steps, over_steps(holding, block.first));
  Statement *work = holding->before_steps.first;
  for (int k = last; k >= 0; k--) {
    const Index *range = &kernel->indices[loops[k]];
    work = statement_loop(kernel, LOOP_SEQUENTIAL, loops[k], size_expr(arena, range->low), size_expr(arena, range->high), work);
  }
  return work;
}

/* A readout or a map of one, at the element at hand. */
static const Expr *use_finished(void *context, const Expr *expr) {
  const Holding *holding = context;
  if (expr->op != OP_READ) return expr;
  for (int n = member_count(holding); n < holding->finished_count; n++)
    if (holding->lowering->program->equations[holding->sweep->equations[n]].target == expr->id) return holding->finished[n];
  return expr;
}

/* The finished sums of a step, and what is computed of them at once. Results go to short pieces far apart, which no processor foresees: they
 * are asked for (`asked`), and stored between steps of elements, as a loop of their own would wait for each. */
static Statement *finish(Holding *holding, Block *asked) {
  Lowering *lowering = holding->lowering;
  Kernel *kernel = lowering->kernel;
  Block block = {0};
  holding->finished = ARENA_ARRAY(lowering->arena, const Expr *, holding->sweep->count);
  for (int n = holding->finished_count = member_count(holding); n < holding->sweep->count; n = ++holding->finished_count) {
    Unit unit = held_unit(holding, n);
    BufferId buffer = buffer_of(lowering, unit.target);
    LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, TYPE_REAL);
    const Expr *value = unit.value ? expr_rewrite(lowering->arena, unit.value, use_finished, holding) : NULL;
    value = lower_expr(lowering, value, NULL, false);
    if (n < readout_end(holding)) {
      const Expr *sum = sum_load(holding, n);
      value = value ? expr_binary(lowering->arena, OP_ADD, value, sum) : sum;
    }
    holding->finished[n] = expr_local(lowering->arena, TYPE_REAL, local);
    Statement *let = statement_let(kernel, local, value);
    Statement *store = statement_store(kernel, buffer, store_indices(lowering, &unit), holding->finished[n]);
    let->source = store->source = unit.equation->source;
    block_append(&block, let);
    if (is_result_buffer(lowering, buffer)) {
      const Expr *place = expr_load(lowering->arena, TYPE_REAL, buffer, kernel->buffers[buffer].rank, store->indices, NULL);
      block_append(asked, statement_if(kernel, expr_given(lowering->arena, buffer), statement_prefetch(kernel, place), NULL));
      store = statement_if(kernel, expr_given(lowering->arena, buffer), store, NULL);
    }
    block_append(&block, store);
  }
  return block.first;
}

Statement *held_item(Lowering *lowering, const Sweep *sweep, const IndexId *shared, const Expr *low, const Expr *high,
                     int64_t chunk) {
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  Holding holding = {.lowering = lowering, .sweep = sweep, .shared = shared, .time = sweep->loop->index, .low = low, .high = high, .chunk = chunk};
  const Index *steps = &kernel->indices[sweep->loop->index];
  const Expr *from = size_expr(arena, steps->low), *to = size_expr(arena, steps->high);
  const Expr *blocks = ceil_quotient(lowering, extent_of(lowering, sweep->loop->index), HELD_STEPS);
  holding.block = kernel_add_index(kernel, "block", size_constant(0), size_constant(1));
  const Expr *offset = expr_binary(arena, OP_MUL, expr_index(arena, holding.block), integer(lowering, HELD_STEPS));
  holding.first_step = expr_binary(arena, OP_ADD, from, offset);
  holding.step_limit = expr_binary(arena, OP_MIN, to,
                                   expr_binary(arena, OP_ADD, holding.first_step, integer(lowering, HELD_STEPS)));
  holding.sums = ARENA_ARRAY(arena, BufferId, sweep->count);
  Block zeros = {0}, all = {0};
  for (int n = member_count(&holding); n < readout_end(&holding); n++) {
    const char *target = lowering->program->tensors[lowering->program->equations[sweep->equations[n]].target].name;
    Size shape[] = {size_constant(HELD_STEPS), size_constant(chunk)};
    holding.sums[n] = kernel_add_buffer(kernel, arena_format(arena, "%s.sums", target), TYPE_REAL, 2, shape, HOME_WORKSPACE, 0);
    kernel->buffers[holding.sums[n]].is_private = true;
    store_sum(&holding, n, expr_number(arena, 0), &zeros);
  }
  Statement *finished = finish(&holding, &zeros);
  block_append(&all, over_steps(&holding, zeros.first));
  block_append(&all, all_elements(&holding, finished));
  Statement *lanes = statement_loop(kernel, LOOP_VECTOR, shared[sweep->shared_count - 1], low, high, all.first);
  block_append(&holding.before_blocks, statement_loop(kernel, LOOP_SEQUENTIAL, holding.block, integer(lowering, 0), blocks, lanes));
  return holding.before_blocks.first;
}
