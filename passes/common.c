/* common.c - merge equations that compute the same.
 *
 * Needs:  expressions in the constructors' normal form.
 * Leaves: of several tensors with the same shape and the same right side only the first is read.
 * Why:    derivatives repeat each other, and calls on the same input repeat whole layers.
 */
#include "passes/passes.h"

typedef struct Merging {
  Program *program;
  TensorId *same; /* by tensor: the one to read instead, or NONE */
} Merging;

static const Expr *read_same(void *context, const Expr *expr) {
  Merging *merging = context;
  if (expr->op != OP_READ || merging->same[expr->id] == NONE) return expr;
  return expr_with_source(merging->program->arena,
                          expr_read(merging->program->arena, expr->type, merging->same[expr->id], expr->arg_count, expr->args, expr->outside),
                          expr->source);
}

static bool same_shape(const Tensor *a, const Tensor *b) {
  if (a->rank != b->rank || a->type != b->type) return false;
  for (int n = 0; n < a->rank; n++)
    if (!size_equal(a->shape[n], b->shape[n])) return false;
  return true;
}

static bool same_part(Program *program, const Expr *a, const Expr *b, const Expr *const *renaming) {
  if (!a || !b) return a == b;
  return expr_equal(a, expr_substitute(program->arena, b, program->index_count, renaming));
}

static bool same_equation(Program *program, const Equation *a, const Equation *b) {
  const Tensor *target_a = &program->tensors[a->target], *target_b = &program->tensors[b->target];
  if (a->reduce != b->reduce || a->reduce_count != b->reduce_count || !same_shape(target_a, target_b)) return false;
  if (target_a->boundary_of != NONE || target_b->boundary_of != NONE) return false;
  if (!a->value != !b->value || !a->guard != !b->guard) return false;
  if (a->value && a->value->op != b->value->op) return false;
  if (a->body && (a->body->op != b->body->op)) return false;
  const Expr **renaming = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < target_a->rank; n++) renaming[b->indices[n]] = expr_index(program->arena, a->indices[n]);
  for (int n = 0; n < a->reduce_count; n++) {
    const Index *index_a = &program->indices[a->reduce_indices[n]], *index_b = &program->indices[b->reduce_indices[n]];
    if (!size_equal(index_a->low, index_b->low) || !size_equal(index_a->high, index_b->high)) return false;
    renaming[b->reduce_indices[n]] = expr_index(program->arena, a->reduce_indices[n]);
  }
  return same_part(program, a->value, b->value, renaming) && same_part(program, a->guard, b->guard, renaming) &&
         same_part(program, a->body, b->body, renaming);
}

bool pass_common(Program *program, PassContext *context) {
  (void)context;
  Merging merging = {.program = program, .same = ARENA_ARRAY(program->arena, TensorId, program->tensor_count)};
  for (int n = 0; n < program->tensor_count; n++) merging.same[n] = NONE;
  bool *is_shown = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->port_count; n++) is_shown[program->ports[n].tensor] = true;
  for (int n = 0; n < program->tensor_count; n++) { /* what keeps all its steps has a place of its own in the state */
    const Tensor *tensor = &program->tensors[n];
    if (tensor->boundary_of != NONE && tensor->shape[0].symbol != NONE) is_shown[tensor->boundary_of] = true;
  }
  bool changed = false;
  for (int b = 1; b < program->equation_count; b++) {
    const Equation *later = &program->equations[b];
    if (is_shown[later->target]) continue;
    for (int a = 0; a < b && merging.same[later->target] == NONE; a++) {
      const Equation *earlier = &program->equations[a];
      if (merging.same[earlier->target] != NONE || is_shown[earlier->target]) continue;
      if (same_equation(program, earlier, later)) merging.same[later->target] = earlier->target;
    }
    changed |= merging.same[later->target] != NONE;
  }
  if (!changed) return false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    if (equation->value) equation->value = expr_rewrite(program->arena, equation->value, read_same, &merging);
    if (equation->guard) equation->guard = expr_rewrite(program->arena, equation->guard, read_same, &merging);
    if (equation->body) equation->body = expr_rewrite(program->arena, equation->body, read_same, &merging);
  }
  return true;
}
