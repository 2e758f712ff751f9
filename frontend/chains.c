/* chains.c - take the reductions back into the equation they came from: `target = value (+) reduce(body)`.
 *
 * Several sums become a chain: first = value + sum1, target = first + sum2. What does not depend on the recurrence
 * that the target is in goes first, so that it stands outside of the cycle.
 */
#include "frontend/elaborate.h"

typedef struct Summand {
  const Expr *expr;
  bool is_negative, is_in_cycle, is_reduction;
} Summand;

typedef struct Chain {
  Elaboration *elaboration;
  Program *draft;
  const int *components;
  int *use_counts;
  Equation *equation;
  int count;
  Summand *summands;
  TensorId sought; /* by has_read */
  bool is_found;
} Chain;

static void count_read(void *context, const Expr *expr) {
  Chain *chain = context;
  if (expr->op == OP_READ) chain->use_counts[expr->id]++;
}

static void note_cycle(void *context, const Expr *expr) {
  Chain *chain = context;
  if (expr->op == OP_READ && chain->components[expr->id] == chain->components[chain->equation->target]) chain->is_found = true;
}

static void note_read(void *context, const Expr *expr) {
  Chain *chain = context;
  if (expr->op == OP_READ && expr->id == chain->sought) chain->is_found = true;
}

static bool reads(Chain *chain, const Expr *expr, TensorId tensor) {
  chain->sought = tensor;
  chain->is_found = false;
  expr_visit(expr, note_read, chain);
  return chain->is_found;
}

enum { MOST_SUMMANDS = 256 };

static void flatten(Chain *chain, const Expr *expr, bool is_negative) {
  bool is_sum = expr->op == OP_ADD || expr->op == OP_SUB;
  if (is_sum && chain->count < MOST_SUMMANDS) {
    flatten(chain, expr->args[0], is_negative);
    flatten(chain, expr->args[1], is_negative != (expr->op == OP_SUB));
    return;
  }
  Summand summand = {expr, is_negative, false, false};
  chain->is_found = false;
  if (chain->components[chain->equation->target] != NONE) expr_visit(expr, note_cycle, chain);
  summand.is_in_cycle = chain->is_found;
  ARENA_PUSH(chain->elaboration->arena, chain->summands, chain->count, summand);
}

/* A tensor made for a reduction, read once and with exactly the indices of the equation at hand. */
static bool can_merge(Chain *chain, const Expr *read) {
  if (read->op != OP_READ || chain->elaboration->owners[read->id] || read->outside || chain->use_counts[read->id] != 1)
    return false;
  const Equation *inner = program_definition(chain->draft, read->id);
  const Tensor *target = &chain->draft->tensors[chain->equation->target];
  if (!inner || inner->reduce == REDUCE_NONE || inner->value || read->type != target->type || read->arg_count != target->rank)
    return false;
  for (int n = 0; n < read->arg_count; n++) {
    bool is_among = false;
    for (int m = 0; m < target->rank; m++)
      is_among |= read->args[n]->op == OP_INDEX && read->args[n]->id == chain->equation->indices[m];
    if (!is_among || inner->indices[n] != read->args[n]->id) return false;
  }
  return true;
}

static void absorb(Chain *chain, const Expr *read, const Expr *value) {
  const Equation *inner = program_definition(chain->draft, read->id);
  Equation *outer = chain->equation;
  outer->value = value;
  outer->reduce = inner->reduce;
  outer->reduce_count = inner->reduce_count;
  outer->reduce_indices = inner->reduce_indices;
  outer->guard = inner->guard;
  outer->body = inner->body;
  chain->elaboration->is_dropped[read->id] = true;
}

static void find_reductions(Chain *chain) {
  for (int n = 0; n < chain->count; n++) {
    Summand *summand = &chain->summands[n];
    if (summand->is_negative || !can_merge(chain, summand->expr)) continue;
    const Equation *inner = program_definition(chain->draft, summand->expr->id);
    if (inner->reduce != REDUCE_SUM) continue;
    bool is_elsewhere = false;
    for (int m = 0; m < chain->count; m++) is_elsewhere |= m != n && reads(chain, chain->summands[m].expr, summand->expr->id);
    summand->is_reduction = !is_elsewhere;
  }
}

static const Expr *add(Chain *chain, const Expr *sum, const Expr *term, bool is_negative) {
  Arena *arena = chain->elaboration->arena;
  if (!sum) return is_negative ? expr_unary(arena, OP_NEG, term) : term;
  return expr_binary(arena, is_negative ? OP_SUB : OP_ADD, sum, term);
}

static const Expr *add_plain(Chain *chain, const Expr *sum, bool is_in_cycle) {
  for (int n = 0; n < chain->count; n++) {
    const Summand *summand = &chain->summands[n];
    if (!summand->is_reduction && summand->is_in_cycle == is_in_cycle) sum = add(chain, sum, summand->expr, summand->is_negative);
  }
  return sum;
}

static void chain_sums(Chain *chain) {
  int left = 0;
  bool has_plain_in_cycle = false, has_reduction_in_cycle = false;
  for (int n = 0; n < chain->count; n++) {
    left += chain->summands[n].is_reduction;
    has_plain_in_cycle |= !chain->summands[n].is_reduction && chain->summands[n].is_in_cycle;
    has_reduction_in_cycle |= chain->summands[n].is_reduction && chain->summands[n].is_in_cycle;
  }
  if (left == 0) return;
  const Expr *sum = add_plain(chain, NULL, false);
  for (int is_in_cycle = 0; is_in_cycle < 2; is_in_cycle++) {
    if (is_in_cycle) sum = add_plain(chain, sum, true);
    for (int n = 0; n < chain->count; n++) {
      const Summand *summand = &chain->summands[n];
      if (!summand->is_reduction || summand->is_in_cycle != (bool)is_in_cycle) continue;
      bool is_last = --left == 0 && (has_reduction_in_cycle || !has_plain_in_cycle);
      if (is_last) {
        absorb(chain, summand->expr, sum);
        return;
      }
      chain->draft->equations[chain->draft->definition[summand->expr->id]].value = sum;
      sum = summand->expr;
    }
  }
  chain->equation->value = sum;
}

static void chain_equation(Chain *chain) {
  if (chain->equation->reduce != REDUCE_NONE || !chain->equation->value) return;
  if (can_merge(chain, chain->equation->value)) {
    absorb(chain, chain->equation->value, NULL);
    return;
  }
  chain->count = 0;
  chain->summands = NULL;
  flatten(chain, chain->equation->value, false);
  find_reductions(chain);
  chain_sums(chain);
}

void make_chains(Elaboration *elaboration, const int *components) {
  Chain chain = {.elaboration = elaboration, .draft = elaboration->draft, .components = components};
  elaboration->is_dropped = ARENA_ARRAY(elaboration->arena, bool, chain.draft->tensor_count);
  chain.use_counts = ARENA_ARRAY(elaboration->arena, int, chain.draft->tensor_count);
  for (int n = 0; n < chain.draft->equation_count; n++) {
    const Equation *equation = &chain.draft->equations[n];
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], count_read, &chain);
  }
  for (int n = 0; n < chain.draft->equation_count; n++) {
    chain.equation = &chain.draft->equations[n];
    if (!elaboration->is_dropped[chain.equation->target]) chain_equation(&chain);
  }
}
