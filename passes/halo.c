/* halo.c - values before the first step kept in the same buffer.
 *
 * A tensor that a loop over time defines and that is read at lags has a boundary tensor for what lies before the first step.
 * Its buffer gets that many more places at the front, filled before the loop, so that h[t-1] is one plain load for every t.
 * Where the boundary is all steps before the call, the buffer is the piece of the state that the call leaves: its values are
 * appended to those that lie there already, or are copied there first.
 */
#include "passes/lower.h"

const Expr *halo_index(const Lowering *lowering, TensorId tensor, int axis, const Expr *index) {
  const Halo *halo = &lowering->halos[tensor];
  if (lowering->band_rows[tensor]) return band_index(lowering, tensor, axis, index);
  if (!halo->is_there || halo->axis != axis) return index;
  return expr_binary(lowering->arena, OP_ADD, index, size_expr(lowering->arena, halo->slots));
}

bool is_halo_read(const Lowering *lowering, const Expr *read) {
  const Halo *halo = &lowering->halos[read->id];
  const Expr *outside = read->outside;
  if (!halo->is_there || !outside || outside->op != OP_READ || outside->id != halo->before || outside->outside) return false;
  for (int n = 0; n < read->arg_count; n++) {
    int place = n == halo->axis ? 0 : n < halo->axis ? n + 1 : n; /* the boundary's slot is its axis 0 */
    if (!expr_equal(outside->args[place], halo_index(lowering, read->id, n, read->args[n]))) return false;
  }
  return true;
}

const Expr *halo_inside(const Lowering *lowering, const Expr *read) {
  Arena *arena = lowering->arena;
  const Tensor *tensor = &lowering->program->tensors[read->id];
  Ranges ranges = lowering_ranges(lowering);
  const Expr *inside = NULL, *zero = expr_integer(arena, 0);
  for (int n = 0; n < read->arg_count; n++) {
    Affine affine;
    const Expr *place = halo_index(lowering, read->id, n, read->args[n]), *extent = size_expr(arena, tensor->shape[n]);
    if (!expr_affine(place, &affine)) continue; /* a gather: values of inputs are checked on entry */
    if (!ranges_prove_at_least(&ranges, place, 0)) inside = conjunction(arena, inside, expr_binary(arena, OP_GE, place, zero));
    if (!ranges_prove_at_least(&ranges, expr_binary(arena, OP_SUB, extent, read->args[n]), 1))
      inside = conjunction(arena, inside, expr_binary(arena, OP_LT, read->args[n], extent));
  }
  return inside;
}

static TensorId boundary_before(const Program *program, TensorId tensor, int axis) {
  for (TensorId n = 0; n < program->tensor_count; n++) {
    const Tensor *boundary = &program->tensors[n];
    if (boundary->boundary_of == tensor && boundary->boundary_axis == axis && !boundary->is_after) return n;
  }
  return NONE;
}

static bool is_known(const Program *program, TensorId tensor) {
  return program->definition[tensor] != NONE || program_shows(program, tensor);
}

SymbolId kernel_symbol(Lowering *lowering, SymbolKind kind) {
  static const char *const names[SYMBOL_DERIVED] = {
      [SYMBOL_CAPACITY_IN] = "capacity_in", [SYMBOL_CAPACITY_OUT] = "capacity_out", [SYMBOL_MOVED] = "moved"};
  Kernel *kernel = lowering->kernel;
  for (int n = 0; n < kernel->symbol_count; n++)
    if (kernel->symbols[n].kind == kind) return n;
  Symbol symbol = {.kind = kind, .name = names[kind]};
  ARENA_PUSH(lowering->arena, kernel->symbols, kernel->symbol_count, symbol);
  return kernel->symbol_count - 1;
}

static bool is_of_kind(const Program *program, Size size, SymbolKind kind) {
  return size.symbol != NONE && program->symbols[size.symbol].kind == kind;
}

static void plan_histories(Lowering *lowering) {
  const Program *program = lowering->program;
  for (TensorId n = 0; n < program->tensor_count; n++) {
    const Tensor *before = &program->tensors[n];
    if (before->boundary_of == NONE || !is_of_kind(program, before->shape[0], SYMBOL_POSITION)) continue;
    if (program_port_of_tensor(program, n, PORT_CARRY_IN) == NONE) continue; /* the initial state */
    if (program->definition[before->boundary_of] == NONE) internal_error("'%s' keeps its steps but is gone", program->tensors[before->boundary_of].name);
    lowering->halos[before->boundary_of] = (Halo){true, true, false, before->shape[0], before->boundary_axis, n};
  }
}

static void find_recent(void *context, const Expr *expr) {
  const Program *program = ((const Lowering *)context)->program;
  if (expr->op == OP_SYMBOL && program->symbols[expr->id].kind == SYMBOL_RECENT) ((Lowering *)context)->has_recent = true;
}

/* A read at steps before the call that are counted back from it. */
static void plan_window(void *context, const Expr *expr) {
  Lowering *lowering = context;
  const Program *program = lowering->program;
  const Expr *outside = expr->op == OP_READ ? expr->outside : NULL;
  const Tensor *before = outside && outside->op == OP_READ ? &program->tensors[outside->id] : NULL;
  if (!before || before->boundary_of != expr->id || lowering->halos[expr->id].is_there || program_shows(program, expr->id)) return;
  lowering->has_recent = false;
  expr_visit(expr->args[before->boundary_axis], find_recent, lowering);
  if (!lowering->has_recent || before->shape[0].symbol != NONE || !is_known(program, outside->id)) return;
  lowering->halos[expr->id] = (Halo){true, false, true, before->shape[0], before->boundary_axis, outside->id};
}

static void plan_windows(Lowering *lowering) {
  const Program *program = lowering->program;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    if (equation->value) expr_visit(equation->value, plan_window, lowering);
    if (equation->body) expr_visit(equation->body, plan_window, lowering);
  }
}

static void plan_loops(Lowering *lowering, const ScheduleNode *nodes) {
  const Program *program = lowering->program;
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    for (int m = 0; m < node->member_count && node->index != NONE; m++) {
      TensorId target = program->equations[node->members[m]].target, before = boundary_before(program, target, node->axes[m]);
      bool is_folded = lowering->is_folded[target * MOST_AXES + node->axes[m]];
      if (before == NONE || lowering->halos[target].is_there) continue;
      if ((is_folded && !lowering->is_contracted[target]) || program_shows(program, target) || !is_known(program, before)) continue;
      lowering->halos[target] = (Halo){true, false, false, program->tensors[before].shape[0], node->axes[m], before};
    }
    plan_loops(lowering, node->body);
  }
}

void plan_halos(Lowering *lowering, const ScheduleNode *schedule) {
  lowering->halos = ARENA_ARRAY(lowering->arena, Halo, lowering->program->tensor_count);
  plan_histories(lowering);
  plan_windows(lowering);
  plan_loops(lowering, schedule);
}

static int carry_number(const Program *program, TensorId past) {
  int in = program_port_of_tensor(program, past, PORT_CARRY_IN), number = 0;
  for (int n = 0; n < program->port_count; n++) {
    if (program->ports[n].kind != PORT_CARRY_OUT) continue;
    if (program->ports[n].of == in) return number;
    number++;
  }
  internal_error("'%s' comes in but does not go out", program->tensors[past].name);
}

BufferId history_buffer(Lowering *lowering, TensorId tensor) {
  const Halo *halo = &lowering->halos[tensor];
  const Tensor *t = &lowering->program->tensors[tensor];
  Size *shape = arena_copy(lowering->arena, t->shape, sizeof *shape * (size_t)t->rank);
  shape[halo->axis] = size_symbol(kernel_symbol(lowering, SYMBOL_CAPACITY_OUT));
  int slot = carry_number(lowering->program, halo->before);
  BufferId id = kernel_add_buffer(lowering->kernel, t->name, t->type, t->rank, shape, HOME_HISTORY, slot);
  program_history_order(lowering->program, tensor, halo->axis, lowering->kernel->buffers[id].order);
  return id;
}

bool is_history_result(const Lowering *lowering, int equation) {
  const Program *program = lowering->program;
  TensorId target = program->equations[equation].target;
  const Tensor *tensor = &program->tensors[target];
  bool is_carried = program_port_of_tensor(program, target, PORT_CARRY_OUT) != NONE;
  bool is_shown = program_port_of_tensor(program, target, PORT_FINAL_STATE) != NONE;
  for (int n = 0; n < tensor->rank; n++) {
    if ((is_carried || is_shown) && is_of_kind(program, tensor->shape[n], SYMBOL_HISTORY)) return true;
    if (is_of_kind(program, tensor->shape[n], SYMBOL_POSITION)) return true; /* before the first step there is none */
  }
  return false;
}

/* buffer[.., m - slots, ..] = before[m, ..] for all m of the slots, over the axes that no loop around binds. */
static void fill_halo(Lowering *lowering, int equation, const Halo *halo, Size slots) {
  Program *program = lowering->program;
  Kernel *kernel = lowering->kernel;
  TensorId target = program->equations[equation].target;
  int rank = program->tensors[target].rank, count = 0;
  IndexId *loops = ARENA_ARRAY(lowering->arena, IndexId, rank);
  const Expr **places = ARENA_ARRAY(lowering->arena, const Expr *, rank), **source = ARENA_ARRAY(lowering->arena, const Expr *, rank);
  BufferId id = buffer_of(lowering, target);
  for (int n = 0; n < rank; n++) {
    int axis = kernel->buffers[id].order[n];
    const Expr *index = axis == halo->axis ? NULL : bound_axis(lowering, equation, axis);
    if (!index) {
      Size extent = axis == halo->axis ? slots : program->tensors[target].shape[axis];
      loops[count] = kernel_add_index(kernel, "before", size_constant(0), extent);
      index = expr_index(lowering->arena, loops[count++]);
    }
    places[axis] = index;
    source[axis == halo->axis ? 0 : axis < halo->axis ? axis + 1 : axis] = index;
  }
  const Expr *value = lower_expr(lowering, program_read(program, halo->before, source, NULL), NULL, false);
  if (halo->is_history) value = expr_load(lowering->arena, program->tensors[target].type, buffer_of(lowering, halo->before), rank, source, NULL);
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, count, loops, MAP_CHUNK, &low, &high, &innermost);
  Statement *store = statement_store(kernel, id, places, value);
  innermost->body = statement_loop(kernel, LOOP_VECTOR, loops[count - 1], low, high, store);
  stage->source = program->equations[equation].source;
  end_stage(lowering, lowering->block, stage, NULL);
}

void fill_halos(Lowering *lowering, const ScheduleNode *loop) {
  for (int m = 0; m < loop->member_count; m++) {
    const Halo *halo = &lowering->halos[lowering->program->equations[loop->members[m]].target];
    bool is_of_loop = halo->is_there && !halo->is_history && !halo->is_window && halo->axis == loop->axes[m];
    if (is_of_loop) fill_halo(lowering, loop->members[m], halo, halo->slots);
  }
}

void fill_histories(Lowering *lowering) {
  const Program *program = lowering->program;
  for (TensorId n = 0; n < program->tensor_count; n++) {
    const Halo *halo = &lowering->halos[n];
    if (halo->is_window) fill_halo(lowering, program->definition[n], halo, halo->slots);
    if (halo->is_history) fill_halo(lowering, program->definition[n], halo, size_symbol(kernel_symbol(lowering, SYMBOL_MOVED)));
  }
}
