/* boundaries.c - making copies of tensors, and boundaries before their first step, for the passes that need them; where steps
 * that are kept lie in memory. */
#include "passes/passes.h"

TensorId program_copy_tensor(Program *program, TensorId source, const char *suffix) {
  const Tensor tensor = program->tensors[source];
  TensorId copy = program_add_tensor(program, arena_format(program->arena, "%s.%s", tensor.name, suffix), tensor.type, tensor.rank, tensor.shape);
  program->tensors[copy].source = tensor.source;
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, tensor.rank);
  program_add_indices(program, copy, NULL, indices);
  const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, tensor.rank);
  for (int n = 0; n < tensor.rank; n++) reads[n] = expr_index(program->arena, indices[n]);
  Equation equation = {.target = copy, .indices = indices, .value = program_read(program, source, reads, NULL), .source = tensor.source};
  program_add_equation(program, equation);
  return copy;
}

static const Expr *zero_of(Arena *arena, Type type) {
  if (type == TYPE_REAL) return expr_number(arena, 0);
  return type == TYPE_INT ? expr_integer(arena, 0) : expr_boolean(arena, false);
}

TensorId program_add_boundary(Program *program, TensorId of, int axis, Size slots, const char *suffix) {
  const Tensor tensor = program->tensors[of];
  Size *shape = ARENA_ARRAY(program->arena, Size, tensor.rank);
  shape[0] = slots;
  for (int n = 0, next = 1; n < tensor.rank; n++)
    if (n != axis) shape[next++] = tensor.shape[n];
  TensorId before = program_add_tensor(program, arena_format(program->arena, "%s.%s", tensor.name, suffix), tensor.type, tensor.rank, shape);
  Tensor *made = &program->tensors[before];
  made->boundary_of = of;
  made->boundary_axis = axis;
  made->source = tensor.source;
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, tensor.rank);
  program_add_indices(program, before, NULL, indices);
  Equation equation = {.target = before, .indices = indices, .value = zero_of(program->arena, tensor.type), .source = tensor.source};
  program_add_equation(program, equation);
  return before;
}

static bool is_shown(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->port_count; n++) {
    if (program->ports[n].kind != PORT_FINAL_STATE) continue;
    const Equation *equation = program_definition(program, program->ports[n].tensor);
    if (equation && equation->value && equation->value->op == OP_READ && equation->value->id == tensor) return true;
  }
  return false;
}

/* What is read one step after the other lies so: all steps of a head, not all heads of a step. A declared state has its own order. */
void program_history_order(const Program *program, TensorId tensor, int axis, int *out_order) {
  int rank = program->tensors[tensor].rank, placed = 0;
  bool is_free = axis < rank - 2 && !is_shown(program, tensor);
  for (int n = 0; n < rank; n++)
    if (!is_free || (n != axis && n != rank - 1)) out_order[placed++] = n;
  if (!is_free) return;
  out_order[placed++] = axis;
  out_order[placed] = rank - 1;
}
