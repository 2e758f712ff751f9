/* isolate.c - let every result have a tensor of its own that nothing reads.
 *
 * Needs:  all result ports added.
 * Leaves: the tensor of a result port belongs to no other port and is read by no equation; where it was, a copy.
 * Why:    the memory of a result is the caller's and may be missing, so what is read again must lie in the workspace.
 */
#include "passes/passes.h"

static void mark_read(void *context, const Expr *expr) {
  bool *is_taken = context;
  if (expr->op == OP_READ) is_taken[expr->id] = true;
}

static TensorId copy_tensor(Program *program, TensorId source) {
  const Tensor *tensor = &program->tensors[source];
  const char *name = arena_format(program->arena, "%s.result", tensor->name);
  TensorId copy = program_add_tensor(program, name, tensor->type, tensor->rank, tensor->shape);
  program->tensors[copy].source = program->tensors[source].source;
  int rank = program->tensors[copy].rank;
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, rank);
  const Equation *definition = program_definition(program, source);
  program_add_indices(program, copy, definition ? definition->indices : NULL, indices);
  const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) reads[n] = expr_index(program->arena, indices[n]);
  Equation equation = {.target = copy, .indices = indices, .value = program_read(program, source, reads, NULL)};
  if (definition) equation.source = definition->source;
  program_add_equation(program, equation);
  return copy;
}

bool pass_isolate(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  bool *is_taken = ARENA_ARRAY(program->arena, bool, program->tensor_count + program->port_count);
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    if (equation->value) expr_visit(equation->value, mark_read, is_taken);
    if (equation->guard) expr_visit(equation->guard, mark_read, is_taken);
    if (equation->body) expr_visit(equation->body, mark_read, is_taken);
  }
  for (int n = 0; n < program->port_count; n++)
    if (!port_is_result(program->ports[n].kind)) is_taken[program->ports[n].tensor] = true;
  for (int n = 0; n < program->port_count; n++) {
    TensorId tensor = program->ports[n].tensor;
    if (!port_is_result(program->ports[n].kind)) continue;
    if (is_taken[tensor]) {
      program->ports[n].tensor = tensor = copy_tensor(program, tensor);
      changed = true;
    }
    is_taken[tensor] = true;
  }
  return changed;
}
