/* outputs.c - vector loops over outputs that are reductions, of the shape of a vector times a matrix.
 *
 * One vector of outputs alone has few accumulators, reads a line of each row of the matrix and leaves the next one to the next walk
 * over all of the rows. Several vectors together walk over them once.
 */
#include "codegen/flow.h"

/* Nothing follows the reduction but uses of it. */
static bool is_reduction_alone(const Statement *body) {
  if (!body || body->kind != STATEMENT_REDUCE) return false;
  for (const Statement *rest = body->next; rest; rest = rest->next)
    if (rest->kind != STATEMENT_LET && rest->kind != STATEMENT_STORE) return false;
  return true;
}

int emit_outputs_together(const Emitter *emitter, const Statement *loop) {
  const Statement *reduce = loop->body;
  if (!is_reduction_alone(reduce) || !emit_has_strands(emitter, reduce) || !expr_uses_index(reduce->reduce_body, loop->index))
    return 1;
  if ((reduce->low && expr_uses_index(reduce->low, loop->index)) || (reduce->high && expr_uses_index(reduce->high, loop->index)))
    return 1;
  int64_t known = emit_constant_count(loop->low, loop->high);
  int count = MOST_OUTPUTS;
  while (count > 1 && known != NONE && known < count * emitter->lanes) count /= 2;
  return count;
}

void emit_outputs(Emitter *emitter, const Statement *loop, LLVMValueRef first, int count) {
  Outputs outputs = {.index = loop->index, .count = count};
  for (int n = 0; n < count; n++)
    outputs.first[n] = LLVMBuildNSWAdd(emitter->builder, first, emit_constant(emitter, n * emitter->lanes), "");
  Value results[MOST_OUTPUTS];
  emit_enter_lanes(emitter, loop->index, first, NULL);
  emit_reduce_outputs(emitter, loop->body, &outputs, results);
  for (int n = 0; n < count; n++) {
    emitter->indices[loop->index] = outputs.first[n];
    emitter->locals[loop->body->local] = results[n];
    emit_block(emitter, loop->body->next);
  }
  emit_leave_lanes(emitter);
}
