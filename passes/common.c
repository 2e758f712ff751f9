/* common.c - merge equations that compute the same.
 *
 * Needs:  expressions in the constructors' normal form.
 * Leaves: of several tensors with the same shape and the same right side only the first is read.
 * Why:    derivatives repeat each other, and calls on the same input repeat whole layers.
 */
#include "passes/passes.h"

/* An equation whose own indices have numbers that tell their places, so that equal ones are equal expressions. */
typedef struct Normal {
  const Expr *value, *guard, *body;
  unsigned hash;
} Normal;

typedef struct Merging {
  Program *program;
  TensorId *same;        /* by tensor: the one to read instead, or NONE */
  Arena *arena;          /* for what the comparison needs */
  Normal *normals;       /* by equation */
  const Expr **renaming; /* by index; all NULL between uses */
} Merging;

static const Expr *read_same(void *context, const Expr *expr) {
  Merging *merging = context;
  if (expr->op != OP_READ || merging->same[expr->id] == NONE) return expr;
  return expr_with_source(
      merging->program->arena,
      expr_read(merging->program->arena, expr->type, merging->same[expr->id], expr->arg_count, expr->args, expr->outside),
      expr->source);
}

static bool same_shape(const Tensor *a, const Tensor *b) {
  if (a->rank != b->rank || a->type != b->type) return false;
  for (int n = 0; n < a->rank; n++)
    if (!size_equal(a->shape[n], b->shape[n])) return false;
  return true;
}

static const Expr *renamed(const Merging *merging, const Expr *expr) {
  return expr ? expr_substitute(merging->arena, expr, merging->program->index_count, merging->renaming) : NULL;
}

static Normal normal_form(const Merging *merging, const Equation *equation) {
  const Program *program = merging->program;
  int rank = program->tensors[equation->target].rank;
  for (int n = 0; n < rank; n++) merging->renaming[equation->indices[n]] = expr_index(merging->arena, program->index_count + n);
  for (int n = 0; n < equation->reduce_count; n++)
    merging->renaming[equation->reduce_indices[n]] = expr_index(merging->arena, program->index_count + rank + n);
  Normal normal = {renamed(merging, equation->value), renamed(merging, equation->guard), renamed(merging, equation->body), 0};
  const Expr *parts[] = {normal.value, normal.guard, normal.body};
  for (int n = 0; n < 3; n++) normal.hash = 31 * normal.hash + (parts[n] ? expr_hash(parts[n]) : 1);
  for (int n = 0; n < rank; n++) merging->renaming[equation->indices[n]] = NULL;
  for (int n = 0; n < equation->reduce_count; n++) merging->renaming[equation->reduce_indices[n]] = NULL;
  return normal;
}

static bool same_part(const Expr *a, const Expr *b) { return !a || !b ? a == b : expr_equal(a, b); }

static bool same_equation(const Merging *merging, int number_a, int number_b) {
  const Program *program = merging->program;
  const Equation *a = &program->equations[number_a], *b = &program->equations[number_b];
  const Normal *normal_a = &merging->normals[number_a], *normal_b = &merging->normals[number_b];
  const Tensor *target_a = &program->tensors[a->target], *target_b = &program->tensors[b->target];
  if (normal_a->hash != normal_b->hash) return false;
  if (a->reduce != b->reduce || a->reduce_count != b->reduce_count || !same_shape(target_a, target_b)) return false;
  if (target_a->boundary_of != NONE || target_b->boundary_of != NONE) return false;
  for (int n = 0; n < a->reduce_count; n++) {
    const Index *index_a = &program->indices[a->reduce_indices[n]], *index_b = &program->indices[b->reduce_indices[n]];
    if (!size_equal(index_a->low, index_b->low) || !size_equal(index_a->high, index_b->high)) return false;
  }
  return same_part(normal_a->value, normal_b->value) && same_part(normal_a->guard, normal_b->guard) &&
         same_part(normal_a->body, normal_b->body);
}

/* Finds for every equation the first that computes the same, among those whose hash falls into the same chain. */
static bool find_same(Merging *merging, const bool *is_shown) {
  const Program *program = merging->program;
  int count = program->equation_count, chains = 1;
  while (chains < count) chains *= 2;
  int *first = ARENA_ARRAY(merging->arena, int, chains), *last = ARENA_ARRAY(merging->arena, int, chains);
  int *next = ARENA_ARRAY(merging->arena, int, count);
  for (int n = 0; n < chains; n++) first[n] = NONE;
  bool found = false;
  for (int n = 0; n < count; n++) {
    TensorId target = program->equations[n].target;
    if (is_shown[target]) continue;
    merging->normals[n] = normal_form(merging, &program->equations[n]);
    unsigned chain = merging->normals[n].hash & (unsigned)(chains - 1);
    int earlier = first[chain];
    while (earlier != NONE && !same_equation(merging, earlier, n)) earlier = next[earlier];
    if (earlier != NONE) {
      merging->same[target] = program->equations[earlier].target;
      found = true;
      continue;
    }
    next[n] = NONE;
    if (first[chain] == NONE) first[chain] = n;
    else next[last[chain]] = n;
    last[chain] = n;
  }
  return found;
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
  merging.arena = arena_create();
  merging.normals = ARENA_ARRAY(merging.arena, Normal, program->equation_count);
  merging.renaming = ARENA_ARRAY(merging.arena, const Expr *, program->index_count);
  bool changed = find_same(&merging, is_shown);
  arena_destroy(merging.arena);
  if (!changed) return false;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    if (equation->value) equation->value = expr_rewrite(program->arena, equation->value, read_same, &merging);
    if (equation->guard) equation->guard = expr_rewrite(program->arena, equation->guard, read_same, &merging);
    if (equation->body) equation->body = expr_rewrite(program->arena, equation->body, read_same, &merging);
  }
  return true;
}
