/* halo.c - values before the first step kept in the same buffer.
 *
 * A tensor that a loop over time defines and that is read at lags has a boundary tensor for what lies before the first step.
 * Its buffer gets that many more places at the front, filled before the loop, so that h[t-1] is one plain load for every t.
 */
#include "passes/lower.h"

const Expr *halo_index(const Lowering *lowering, TensorId tensor, int axis, const Expr *index) {
  const Halo *halo = &lowering->halos[tensor];
  if (lowering->band_rows[tensor]) return band_index(lowering, tensor, axis, index);
  if (!halo->slots || halo->axis != axis) return index;
  return expr_binary(lowering->arena, OP_ADD, index, integer(lowering, halo->slots));
}

bool is_halo_read(const Lowering *lowering, const Expr *read) {
  const Halo *halo = &lowering->halos[read->id];
  const Expr *outside = read->outside;
  if (!halo->slots || !outside || outside->op != OP_READ || outside->id != halo->before || outside->outside) return false;
  const Tensor *tensor = &lowering->program->tensors[read->id];
  Ranges ranges = lowering_ranges(lowering);
  for (int n = 0; n < read->arg_count; n++) {
    int place = n == halo->axis ? 0 : n < halo->axis ? n + 1 : n; /* the boundary's slot is its axis 0 */
    const Expr *room = expr_binary(lowering->arena, OP_SUB, size_expr(lowering->arena, tensor->shape[n]), read->args[n]);
    if (!expr_equal(outside->args[place], halo_index(lowering, read->id, n, read->args[n]))) return false;
    if (!ranges_prove_at_least(&ranges, read->args[n], n == halo->axis ? -halo->slots : 0)) return false;
    if (!ranges_prove_at_least(&ranges, room, 1)) return false;
  }
  return true;
}

static TensorId boundary_before(const Program *program, TensorId tensor, int axis) {
  for (TensorId n = 0; n < program->tensor_count; n++) {
    const Tensor *boundary = &program->tensors[n];
    if (boundary->boundary_of == tensor && boundary->boundary_axis == axis && !boundary->is_after) return n;
  }
  return NONE;
}

static bool has_port(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor) return true;
  return false;
}

static bool is_known(const Program *program, TensorId tensor) {
  return program->definition[tensor] != NONE || has_port(program, tensor);
}

void plan_halos(Lowering *lowering, const ScheduleNode *nodes) {
  const Program *program = lowering->program;
  if (!lowering->halos) lowering->halos = ARENA_ARRAY(lowering->arena, Halo, program->tensor_count);
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    for (int m = 0; m < node->member_count; m++) {
      TensorId target = program->equations[node->members[m]].target, before = boundary_before(program, target, node->axes[m]);
      bool is_folded = lowering->is_folded[target * MOST_AXES + node->axes[m]];
      if (before == NONE || (is_folded && !lowering->is_contracted[target]) || has_port(program, target) || !is_known(program, before)) continue;
      lowering->halos[target] = (Halo){(int)program->tensors[before].shape[0].constant, node->axes[m], before};
    }
    plan_halos(lowering, node->body);
  }
}

/* buffer[.., m - slots, ..] = before[m, ..] for all m, over the axes that no loop around binds. */
static void fill_halo(Lowering *lowering, int equation, const Halo *halo) {
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
      Size extent = axis == halo->axis ? size_constant(halo->slots) : program->tensors[target].shape[axis];
      loops[count] = kernel_add_index(kernel, "before", size_constant(0), extent);
      index = expr_index(lowering->arena, loops[count++]);
    }
    places[axis] = index;
    source[axis == halo->axis ? 0 : axis < halo->axis ? axis + 1 : axis] = index;
  }
  const Expr *value = lower_expr(lowering, program_read(program, halo->before, source, NULL), NULL, false);
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
    if (halo->slots && halo->axis == loop->axes[m]) fill_halo(lowering, loop->members[m], halo);
  }
}
