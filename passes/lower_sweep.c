/* lower_sweep.c - a recurrence with its readouts as one stage: threads share out the axes along which elements don't mix,
 * and each takes its part through all of time. One step of the state stays in the first cache.
 */
#include "passes/lower.h"

/* Elements of the state in one item of work. One that is held is not in the cache, and longer runs of memory at each step count for more. */
enum { SWEEP_CHUNK = 1024, HELD_CHUNK = 2048 };

typedef struct Sweeping Sweeping;
struct Sweeping {
  const Sweep *sweep;
  int chunked;    /* number of the shared axis that is cut, the last */
  const Expr *low, *high; /* of the cut */
  IndexId chunk_index; /* of the equation at hand */
  Block block;
};

const Sweep *find_sweep(const Lowering *lowering, const ScheduleNode *node) {
  for (int n = 0; n < lowering->sweep_count; n++)
    if (lowering->sweeps[n].loop == node) return &lowering->sweeps[n];
  return NULL;
}

static bool is_chunked(const Sweeping *sweeping, const UnitAxis *axis) {
  return axis->bound && axis->bound->op == OP_INDEX && axis->bound->id == sweeping->chunk_index;
}

/* The loops of one equation inside of an item, in memory order of its target. */
static Statement *item_loops(Lowering *lowering, const Sweeping *sweeping, const Unit *unit, bool is_vector, Statement *body) {
  Kernel *kernel = lowering->kernel;
  const Buffer *buffer = &kernel->buffers[lowering->buffers[unit->target]];
  bool is_innermost = true;
  for (int n = unit->rank - 1; n >= 0; n--) {
    const UnitAxis *axis = &unit->axes[buffer->order[n]];
    bool is_cut = is_chunked(sweeping, axis);
    if (axis->bound && !is_cut) continue;
    IndexId index = is_cut ? sweeping->chunk_index : axis->index;
    const Index *range = &kernel->indices[index];
    const Expr *low = is_cut ? sweeping->low : size_expr(lowering->arena, range->low);
    const Expr *high = is_cut ? sweeping->high : size_expr(lowering->arena, range->high);
    body = statement_loop(kernel, is_innermost && is_vector ? LOOP_VECTOR : LOOP_SEQUENTIAL, index, low, high, body);
    is_innermost = false;
  }
  return body;
}

bool is_result_buffer(const Lowering *lowering, BufferId buffer) {
  BufferHome home = lowering->kernel->buffers[buffer].home;
  return home == HOME_OUTPUT || home == HOME_OBJECTIVE || home == HOME_CARRY_OUT || home == HOME_FINAL_STATE ||
         home == HOME_PARAMETER_GRADIENT || home == HOME_INPUT_GRADIENT || home == HOME_STATE_GRADIENT;
}

/* The unit with its chunked axis free, as a loop inside of the item runs over it. */
static Unit with_open_chunk(Lowering *lowering, const Sweeping *sweeping, const Unit *unit) {
  Unit open = *unit;
  open.axes = arena_copy(lowering->arena, unit->axes, sizeof *unit->axes * (size_t)unit->rank);
  for (int n = 0; n < unit->rank; n++)
    if (is_chunked(sweeping, &open.axes[n])) open.axes[n] = (UnitAxis){NULL, sweeping->chunk_index};
  return open;
}

static void emit_part(Lowering *lowering, Unit *unit) {
  Sweeping *sweeping = lowering->sweeping;
  Kernel *kernel = lowering->kernel;
  Arena *arena = lowering->arena;
  BufferId buffer = buffer_of(lowering, unit->target);
  Type type = lowering->program->tensors[unit->target].type;
  LocalId local = kernel_add_local(kernel, kernel->buffers[buffer].name, type);
  Statement *work;
  bool lanes_reduce = false;
  if (unit->equation->reduce == REDUCE_NONE) {
    work = statement_let(kernel, local, lower_expr(lowering, unit->value, NULL, false));
  } else {
    Unit open = with_open_chunk(lowering, sweeping, unit);
    int axes[MOST_AXES], count = free_axes(lowering, &open, axes);
    IndexId *order = ARENA_ARRAY(arena, IndexId, unit->reduce_count);
    lanes_reduce = choose_lanes(lowering, &open, count, axes, order);
    work = reduction_of(lowering, unit, local, order, lanes_reduce, lanes_reduce || !count ? NONE : open.axes[axes[count - 1]].index);
  }
  Statement *store = statement_store(kernel, buffer, store_indices(lowering, unit), expr_local(arena, type, local));
  work->next = is_result_buffer(lowering, buffer) ? statement_if(kernel, expr_given(arena, buffer), store, NULL) : store;
  work->source = store->source = unit->equation->source;
  block_append(&sweeping->block, item_loops(lowering, sweeping, unit, !lanes_reduce, work));
}

static int64_t constant_extent(const Lowering *lowering, TensorId tensor, int axis) {
  Size size = lowering->program->tensors[tensor].shape[axis];
  return size.symbol == NONE ? size.constant : HELD_CHUNK;
}

/* How many of the chunked axis make about as many elements of the first target as one item takes. */
static int64_t chunk_size(const Lowering *lowering, const Sweep *sweep) {
  TensorId first = lowering->program->equations[sweep->equations[0]].target;
  int rank = lowering->program->tensors[first].rank;
  int64_t elements = 1, wanted = sweep->is_held ? HELD_CHUNK : SWEEP_CHUNK;
  for (int axis = 0; axis < rank; axis++) {
    bool is_inner = axis != sweep->axes[0] && !lowering->depth[first * MOST_AXES + axis];
    for (int s = 0; s < sweep->shared_count; s++) is_inner &= sweep->shared[s] != axis;
    if (is_inner && elements < wanted) elements *= constant_extent(lowering, first, axis);
  }
  int64_t chunk = elements >= wanted ? 1 : (wanted + elements - 1) / elements;
  Size cut = lowering->program->tensors[first].shape[sweep->shared[sweep->shared_count - 1]];
  return cut.symbol == NONE && cut.constant < chunk ? cut.constant : chunk;
}

static void emit_equation(Lowering *lowering, Sweeping *sweeping, int number, const IndexId *shared) {
  const Sweep *sweep = sweeping->sweep;
  int equation = sweep->equations[number];
  const Tensor *target = &lowering->program->tensors[lowering->program->equations[equation].target];
  const Expr **bound = ARENA_ARRAY(lowering->arena, const Expr *, target->rank);
  for (int axis = 0; axis < target->rank; axis++) bound[axis] = bound_axis(lowering, equation, axis);
  bound[sweep->axes[number]] = expr_index(lowering->arena, sweep->loop->index);
  for (int s = 0; s < sweep->shared_count; s++) {
    int axis = sweep->shared[number * MOST_AXES + s];
    IndexId index = shared[s];
    if (s == sweeping->chunked) {
      const Index *range = &lowering->kernel->indices[shared[s]];
      index = sweeping->chunk_index = kernel_add_index(lowering->kernel, range->name, range->low, range->high);
    }
    bound[axis] = expr_index(lowering->arena, index);
  }
  Unit unit = unit_of(lowering, equation, bound);
  split_unit(lowering, &unit, emit_part);
}

bool lower_sweep(Lowering *lowering, const ScheduleNode *node) {
  const Sweep *sweep = find_sweep(lowering, node);
  if (!sweep || lowering->open_count == MOST_LOOPS) return false;
  Kernel *kernel = lowering->kernel;
  Sweeping sweeping = {.sweep = sweep, .chunked = sweep->shared_count - 1};
  OpenLoop *open = &lowering->open[lowering->open_count++];
  *open = (OpenLoop){.node = node, .is_written = ARENA_ARRAY(lowering->arena, bool, lowering->program->tensor_count), .before = lowering->block};
  const Equation *first = &lowering->program->equations[sweep->equations[0]];
  IndexId shared[MOST_AXES];
  for (int s = 0; s < sweep->shared_count; s++) {
    const Index *range = &lowering->program->indices[first->indices[sweep->shared[s]]];
    shared[s] = kernel_add_index(kernel, range->name, range->low, range->high);
  }
  int64_t chunk = chunk_size(lowering, sweep);
  Statement *innermost, *stage = parallel_nest(lowering, sweep->shared_count, shared, chunk, &sweeping.low, &sweeping.high, &innermost);
  if (sweep->is_held) {
    innermost->body = held_item(lowering, sweep, shared, sweeping.low, sweeping.high, chunk);
  } else {
    lowering->sweeping = &sweeping;
    for (int n = 0; n < sweep->count; n++) emit_equation(lowering, &sweeping, n, shared);
    lowering->sweeping = NULL;
    const Index *range = &kernel->indices[node->index];
    innermost->body = statement_loop(kernel, LOOP_SEQUENTIAL, node->index, size_expr(lowering->arena, range->low),
                                     size_expr(lowering->arena, range->high), sweeping.block.first);
  }
  stage->source = first->source;
  lowering->open_count--;
  end_stage(lowering, lowering->block, stage, NULL);
  return true;
}
