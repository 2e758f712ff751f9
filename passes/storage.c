/* storage.c - a buffer for each tensor: home, layout, folded axes.
 *
 * Layout: an axis that a sequential loop runs over comes first in memory, so that one iteration touches one contiguous
 * piece; the rest keeps its order. Only the workspace is free to choose; ports have the caller's layout.
 * Starts: what only a sum begins with needs no memory of its own, where both have the same shape: the sum goes on in its place.
 * Folding: an axis of a loop along which nothing but the current position is ever read needs no memory.
 */
#include "passes/lower.h"

enum { LINE_ELEMENTS = 16 };

typedef struct StorageWalk {
  Lowering *lowering;
  const Equation *equation;
  IndexId index; /* of the loop's axis in this equation */
  int depth;
} StorageWalk;

static void note_depth(Lowering *lowering, TensorId tensor, int axis, int depth) {
  int *place = &lowering->depth[tensor * MOST_AXES + axis];
  if (!*place || depth < *place) *place = depth;
}

static void note_read_depth(void *context, const Expr *expr) {
  StorageWalk *walk = context;
  if (expr->op != OP_READ) return;
  for (int n = 0; n < expr->arg_count; n++) {
    Affine affine;
    if (expr_affine(expr->args[n], &affine) && affine_coefficient(&affine, false, walk->index))
      note_depth(walk->lowering, expr->id, n, walk->depth);
  }
}

typedef struct FoldSearch {
  TensorId tensor;
  int axis;
  const Expr *here; /* the index at which a fold allows reads; NULL: none */
  bool fails;
} FoldSearch;

static void check_fold(void *context, const Expr *expr) {
  FoldSearch *search = context;
  if (expr->op != OP_READ || expr->id != search->tensor) return;
  if (!search->here || !expr_equal(expr->args[search->axis], search->here)) search->fails = true;
}

static bool can_fold(Lowering *lowering, const ScheduleNode *loop, int member) {
  Program *program = lowering->program;
  TensorId tensor = program->equations[loop->members[member]].target;
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor) return false;
  FoldSearch search = {.tensor = tensor, .axis = loop->axes[member]};
  for (int n = 0; n < program->equation_count && !search.fails; n++) {
    int at = 0;
    while (at < loop->member_count && loop->members[at] != n) at++;
    search.here = NULL;
    if (at < loop->member_count) search.here = expr_index(lowering->arena, program->equations[n].indices[loop->axes[at]]);
    equation_visit(&program->equations[n], check_fold, &search);
  }
  return !search.fails;
}

static void plan_nodes(Lowering *lowering, const ScheduleNode *nodes, int depth) {
  Program *program = lowering->program;
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    for (int m = 0; m < node->member_count && node->index != NONE; m++) {
      const Equation *equation = &program->equations[node->members[m]];
      note_depth(lowering, equation->target, node->axes[m], depth);
      StorageWalk walk = {lowering, equation, equation->indices[node->axes[m]], depth};
      equation_visit(equation, note_read_depth, &walk);
      if (can_fold(lowering, node, m)) lowering->is_folded[equation->target * MOST_AXES + node->axes[m]] = true;
    }
    plan_nodes(lowering, node->body, depth + 1);
  }
}

/* ---- starts ------------------------------------------------------------------------------------------------------------ */

typedef struct ReaderSearch {
  TensorId tensor;
  bool found;
} ReaderSearch;

static void find_reader(void *context, const Expr *expr) {
  ReaderSearch *search = context;
  search->found |= expr->op == OP_READ && expr->id == search->tensor;
}

static bool is_read_by_others(const Program *program, TensorId tensor, int reader) {
  ReaderSearch search = {tensor, false};
  for (int n = 0; n < program->equation_count; n++)
    if (n != reader && n != program->definition[tensor]) equation_visit(&program->equations[n], find_reader, &search);
  if (program->equations[reader].body) expr_visit(program->equations[reader].body, find_reader, &search);
  return search.found;
}

static void mark_members(const ScheduleNode *nodes, bool *is_in_loop) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    for (int m = 0; m < node->member_count && node->index != NONE; m++) is_in_loop[node->members[m]] = true;
    if (node->equation == NONE) mark_members(node->body, is_in_loop);
  }
}

static bool goes_on(const Program *program, int equation) {
  const Equation *sum = &program->equations[equation];
  const Expr *start = sum->value;
  if (sum->reduce != REDUCE_SUM || !start || start->op != OP_READ || start->outside || start->id == sum->target) return false;
  const Tensor *from = &program->tensors[start->id], *to = &program->tensors[sum->target];
  bool is_state = program_port_of_tensor(program, sum->target, PORT_CARRY_OUT) != NONE ||
                  program_port_of_tensor(program, sum->target, PORT_FINAL_STATE) != NONE;
  if (is_state || from->rank != to->rank || from->type != to->type || program->definition[start->id] == NONE || program_shows(program, start->id)) return false;
  if (program_has_boundary(program, start->id) || program_has_boundary(program, sum->target)) return false;
  for (int n = 0; n < to->rank; n++)
    if (!expr_is_index(start->args[n], sum->indices[n]) || !size_equal(from->shape[n], to->shape[n])) return false;
  return !is_read_by_others(program, start->id, equation);
}

static void plan_starts(Lowering *lowering, const ScheduleNode *schedule) {
  const Program *program = lowering->program;
  bool *is_in_loop = ARENA_ARRAY(lowering->arena, bool, program->equation_count);
  mark_members(schedule, is_in_loop);
  lowering->goes_on_in = ARENA_ARRAY(lowering->arena, TensorId, program->tensor_count);
  for (TensorId n = 0; n < program->tensor_count; n++) lowering->goes_on_in[n] = NONE;
  for (int n = 0; n < program->equation_count && lowering->context->optimisation > 0; n++) {
    if (is_in_loop[n] || !goes_on(program, n)) continue;
    TensorId start = program->equations[n].value->id;
    if (!is_in_loop[program->definition[start]]) lowering->goes_on_in[start] = program->equations[n].target;
  }
}

void drop_starts(Lowering *lowering) {
  const Program *program = lowering->program;
  for (TensorId start = 0; start < program->tensor_count; start++) {
    TensorId sum = lowering->goes_on_in[start];
    if (sum == NONE) continue;
    bool is_apart = lowering->band_rows[start] || lowering->band_rows[sum] || lowering->is_readout[program->definition[start]] ||
                    lowering->is_readout[program->definition[sum]];
    if (is_apart) lowering->goes_on_in[start] = NONE;
  }
}

void plan_storage(Lowering *lowering, const ScheduleNode *schedule) {
  Program *program = lowering->program;
  lowering->depth = ARENA_ARRAY(lowering->arena, int, program->tensor_count * MOST_AXES);
  lowering->is_folded = ARENA_ARRAY(lowering->arena, bool, program->tensor_count * MOST_AXES);
  lowering->innermost = ARENA_ARRAY(lowering->arena, int, program->tensor_count);
  lowering->buffers = ARENA_ARRAY(lowering->arena, BufferId, program->tensor_count);
  for (int n = 0; n < program->tensor_count; n++) lowering->buffers[n] = NONE;
  plan_nodes(lowering, schedule, 1);
  plan_starts(lowering, schedule);
}

static int count_before(const Program *program, int port, PortKind kind) {
  int count = 0;
  for (int n = 0; n < port; n++) count += program->ports[n].kind == kind;
  return count;
}

/* Cotangents are found by the name of their output, whose port is gone from a gradient program; they come in its order. */
static BufferHome home_of(const Program *program, int port_number, int *out_slot) {
  const Port *port = &program->ports[port_number];
  static const BufferHome homes[PORT_KIND_COUNT] = {
      [PORT_PARAMETER] = HOME_PARAMETER, [PORT_INPUT] = HOME_INPUT,         [PORT_STATE] = HOME_STATE,
      [PORT_CARRY_IN] = HOME_CARRY_IN,   [PORT_COTANGENT] = HOME_COTANGENT, [PORT_OUTPUT] = HOME_OUTPUT,
      [PORT_OBJECTIVE] = HOME_OBJECTIVE, [PORT_FINAL_STATE] = HOME_FINAL_STATE, [PORT_CARRY_OUT] = HOME_CARRY_OUT};
  *out_slot = count_before(program, port_number, port->kind);
  if (port->kind != PORT_GRADIENT) return homes[port->kind];
  PortKind of = program->ports[port->of].kind;
  *out_slot = count_before(program, port->of, of);
  return of == PORT_PARAMETER ? HOME_PARAMETER_GRADIENT : of == PORT_INPUT ? HOME_INPUT_GRADIENT : HOME_STATE_GRADIENT;
}

static int port_of(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor) return n;
  return NONE;
}

static void choose_layout(Lowering *lowering, TensorId tensor, Buffer *buffer) {
  int placed = 0;
  for (int depth = 1; depth <= MOST_LOOPS; depth++)
    for (int n = 0; n < buffer->rank; n++)
      if (lowering->depth[tensor * MOST_AXES + n] == depth) buffer->order[placed++] = n;
  int last = lowering->innermost[tensor] - 1;
  for (int n = 0; n < buffer->rank; n++)
    if (!lowering->depth[tensor * MOST_AXES + n] && n != last) buffer->order[placed++] = n;
  if (placed < buffer->rank) buffer->order[placed] = last;
  for (int n = 0; n < buffer->rank; n++) buffer->is_folded[n] = lowering->is_folded[tensor * MOST_AXES + n];
}

/* What comes in of a piece of the state, whether the port is that or what goes out. */
static const Tensor *past_of(const Program *program, int port_number) {
  const Port *port = &program->ports[port_number];
  return &program->tensors[port->kind == PORT_CARRY_OUT ? program->ports[port->of].tensor : port->tensor];
}

/* What a piece holds the last steps of, or NONE. */
static TensorId carried_tensor(const Program *program, int port) {
  const Tensor *past = past_of(program, port);
  bool has_steps = past->boundary_of != NONE && !past->is_kept && past->shape[0].symbol == NONE && program->definition[past->boundary_of] != NONE;
  return has_steps && !program_shows(program, past->boundary_of) ? past->boundary_of : NONE;
}

/* A piece lies in memory as the forward kernel has the steps, so that they come in and go out in runs. Its slots are never innermost, as
 * one that moves upwards in place takes them one after the other. */
static void order_piece(Lowering *lowering, int port, Buffer *buffer) {
  int **recorded = lowering->context->carry_orders ? &lowering->context->carry_orders[buffer->slot] : NULL;
  TensorId of = recorded && !*recorded && lowering->kernel->entry == ENTRY_FORWARD ? carried_tensor(lowering->program, port) : NONE;
  if (of != NONE) {
    const Tensor *steps = &lowering->program->tensors[of];
    int axis = past_of(lowering->program, port)->boundary_axis;
    Buffer layout = {.rank = steps->rank, .order = ARENA_ARRAY(lowering->arena, int, steps->rank), .is_folded = ARENA_ARRAY(lowering->arena, bool, steps->rank)};
    choose_layout(lowering, of, &layout);
    for (int n = 0; n < layout.rank; n++) {
      int own = layout.order[n];
      layout.order[n] = own == axis ? 0 : own < axis ? own + 1 : own;
    }
    if (layout.rank == 1 || layout.order[layout.rank - 1] != 0) *recorded = layout.order;
  }
  if (recorded && *recorded) memcpy(buffer->order, *recorded, sizeof *buffer->order * (size_t)buffer->rank);
}

/* All steps before the call, as a piece of the state: room for more, and its axes in the order of what they are the past of. */
static void place_history(Lowering *lowering, TensorId tensor, Buffer *buffer) {
  const Tensor *past = &lowering->program->tensors[tensor];
  SymbolId slots = past->shape[0].symbol;
  if (slots == NONE || lowering->program->symbols[slots].kind != SYMBOL_POSITION) return;
  buffer->shape[0] = size_symbol(kernel_symbol(lowering, SYMBOL_CAPACITY_IN));
  program_history_order(lowering->program, past->boundary_of, past->boundary_axis, buffer->order);
  for (int n = 0; n < buffer->rank; n++) {
    int axis = buffer->order[n]; /* of what it is the past of */
    buffer->order[n] = axis == past->boundary_axis ? 0 : axis < past->boundary_axis ? axis + 1 : axis;
  }
}

/* Rows begin at cache lines, and not all of them in the same sets of a cache. */
static void skew_rows(Buffer *buffer) {
  Size *length = &buffer->shape[buffer->order[buffer->rank - 1]];
  if (length->symbol != NONE || length->constant < 2 * LINE_ELEMENTS) return;
  length->constant = (length->constant + LINE_ELEMENTS - 1) / LINE_ELEMENTS * LINE_ELEMENTS + LINE_ELEMENTS;
}

BufferId buffer_of(Lowering *lowering, TensorId tensor) {
  if (lowering->buffers[tensor] != NONE) return lowering->buffers[tensor];
  if (lowering->goes_on_in[tensor] != NONE) return lowering->buffers[tensor] = buffer_of(lowering, lowering->goes_on_in[tensor]);
  const Program *program = lowering->program;
  const Tensor *t = &program->tensors[tensor];
  if (t->rank > MOST_AXES) internal_error("tensor '%s' has more than %d axes", t->name, MOST_AXES);
  if (lowering->halos && lowering->halos[tensor].is_history) return lowering->buffers[tensor] = history_buffer(lowering, tensor);
  int port = port_of(program, tensor), slot = 0;
  BufferHome home = port == NONE ? HOME_WORKSPACE : home_of(program, port, &slot);
  BufferId id = kernel_add_buffer(lowering->kernel, t->name, t->type, t->rank, t->shape, home, slot);
  Buffer *buffer = &lowering->kernel->buffers[id];
  if (home == HOME_WORKSPACE) choose_layout(lowering, tensor, buffer);
  if (lowering->halos[tensor].is_there) buffer->shape[lowering->halos[tensor].axis].constant += lowering->halos[tensor].slots.constant;
  if (home == HOME_CARRY_IN || home == HOME_CARRY_OUT) order_piece(lowering, port, buffer);
  if (home == HOME_CARRY_IN) place_history(lowering, tensor, buffer);
  if (lowering->band_rows[tensor]) shape_band_buffer(lowering, tensor, buffer);
  else if (lowering->is_of_slab[tensor]) skew_rows(buffer);
  if (port != NONE) buffer->has_turns = program->ports[port].has_turns;
  lowering->buffers[tensor] = id;
  return id;
}

Size derived_size(Lowering *lowering, const Expr *formula, const char *name) {
  if (formula->op == OP_INTEGER) return size_constant(formula->integer);
  Kernel *kernel = lowering->kernel;
  for (int n = 0; n < kernel->symbol_count; n++)
    if (kernel->symbols[n].kind == SYMBOL_DERIVED && expr_equal(kernel->symbols[n].formula, formula)) return size_symbol(n);
  Symbol symbol = {.kind = SYMBOL_DERIVED, .name = arena_format(lowering->arena, "%s%d", name, kernel->symbol_count), .formula = formula};
  ARENA_PUSH(lowering->arena, kernel->symbols, kernel->symbol_count, symbol);
  return size_symbol(kernel->symbol_count - 1);
}

int innermost_axis(const Lowering *lowering, BufferId buffer) {
  const Buffer *b = &lowering->kernel->buffers[buffer];
  for (int n = b->rank - 1; n >= 0; n--)
    if (!b->is_folded[b->order[n]]) return b->order[n];
  return NONE;
}
