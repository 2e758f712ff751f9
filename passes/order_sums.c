/* order_sums.c - put what does not depend on a recurrence outside of it, in sums of several terms.
 *
 * Needs:  the final equations of the program.
 * Leaves: an equation whose value is a sum of terms, some of them reductions with a tensor of their own that is read
 *         nowhere else, becomes a chain: each reduction starts from what is summed before it. First come the terms
 *         outside of the cycle of the equation, so that they are computed before its loop, then those inside. A reduction that needs
 *         all that another one needs comes after it.
 * Why:    the products of a recurrence with its input become one product over all steps, and no sum makes a pass over
 *         memory of its own. Nor does what a sum is made from wait for another sum: the gradient of weights that are used at both ends
 *         of a model begins with the last use.
 */
#include "passes/passes.h"
#include "passes/schedule.h"

typedef struct Ordering {
  Program *program;
  int *component; /* by equation */
  int *uses;      /* by tensor: reads anywhere */
  bool *is_shown; /* by tensor */
} Ordering;

typedef struct Terms {
  int count;
  const Expr **items;
} Terms;

static void count_use(void *context, const Expr *expr) {
  Ordering *ordering = context;
  if (expr->op == OP_READ) ordering->uses[expr->id]++;
}

static void split_sum(Arena *arena, const Expr *expr, Terms *terms) {
  if (expr->op == OP_ADD && expr->type == TYPE_REAL) {
    split_sum(arena, expr->args[0], terms);
    split_sum(arena, expr->args[1], terms);
  } else {
    ARENA_PUSH(arena, terms->items, terms->count, expr);
  }
}

static const Expr *add_all(Arena *arena, const Terms *terms) {
  const Expr *sum = NULL;
  for (int n = 0; n < terms->count; n++) sum = sum ? expr_binary(arena, OP_ADD, sum, terms->items[n]) : terms->items[n];
  return sum;
}

/* The reduction behind a term that reads it, and nothing else does, at the same place; or NONE. */
static int reduction_of(const Ordering *ordering, const Equation *equation, const Expr *term) {
  Program *program = ordering->program;
  if (term->op != OP_READ || term->outside || ordering->uses[term->id] != 1 || ordering->is_shown[term->id]) return NONE;
  int definition = program->definition[term->id];
  if (definition == NONE || program->equations[definition].reduce != REDUCE_SUM) return NONE;
  int rank = program->tensors[equation->target].rank;
  if (term->arg_count != rank) return NONE;
  for (int n = 0; n < rank; n++) {
    if (term->args[n]->op != OP_INDEX || term->args[n]->id != equation->indices[n]) return NONE;
    if (!size_equal(program->tensors[term->id].shape[n], program->tensors[equation->target].shape[n])) return NONE;
  }
  return definition;
}

typedef struct InCycle {
  const Ordering *ordering;
  int component;
  bool found;
} InCycle;

static void find_in_cycle(void *context, const Expr *expr) {
  InCycle *search = context;
  if (expr->op != OP_READ) return;
  int definition = search->ordering->program->definition[expr->id];
  if (definition != NONE && search->ordering->component[definition] == search->component) search->found = true;
}

static bool is_in_cycle(const Ordering *ordering, const Expr *expr, int component) {
  InCycle search = {ordering, component, false};
  expr_visit(expr, find_in_cycle, &search);
  return search.found;
}

/* Writes `value` in terms of the indices of another equation of the same shape. */
static const Expr *in_terms_of(Program *program, const Equation *from, const Equation *to, const Expr *value) {
  int rank = program->tensors[from->target].rank;
  const Expr **renaming = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < rank; n++) renaming[from->indices[n]] = expr_index(program->arena, to->indices[n]);
  return expr_substitute(program->arena, value, program->index_count, renaming);
}

/* Lets the reduction start from `before` (may be NULL). */
static void start_from(Ordering *ordering, const Equation *equation, int reduction, const Expr *before) {
  if (!before) return;
  Program *program = ordering->program;
  Equation *target = &program->equations[reduction];
  const Expr *start = in_terms_of(program, equation, target, before);
  target->value = target->value ? expr_binary(program->arena, OP_ADD, target->value, start) : start;
}

/* Chains the reductions after `before`; returns the read of the last, or `before` when there is none. */
static const Expr *chain(Ordering *ordering, const Equation *equation, const Terms *reads, const Expr *before) {
  for (int n = 0; n < reads->count; n++) {
    start_from(ordering, equation, reduction_of(ordering, equation, reads->items[n]), before);
    before = reads->items[n];
  }
  return before;
}

/* Marks what the equation reads, and what that was made from when `all`. */
typedef struct Needs {
  const Program *program;
  bool *is_needed; /* by tensor */
  bool all;
} Needs;

static void mark_needs(Needs *needs, const Equation *equation);

static void mark_need(void *context, const Expr *expr) {
  Needs *needs = context;
  if (expr->op != OP_READ || needs->is_needed[expr->id]) return;
  needs->is_needed[expr->id] = true;
  const Equation *equation = program_definition(needs->program, expr->id);
  if (equation && needs->all) mark_needs(needs, equation);
}

static void mark_needs(Needs *needs, const Equation *equation) { equation_visit(equation, mark_need, needs); }

static const bool *needs_of(const Program *program, int equation, bool all) {
  Needs needs = {program, ARENA_ARRAY(program->arena, bool, program->tensor_count), all};
  mark_needs(&needs, &program->equations[equation]);
  return needs.is_needed;
}

/* The reduction needs all computed tensors that the other one reads. */
static bool needs_all(const Program *program, int equation, int other) {
  const bool *needed = needs_of(program, equation, true), *read = needs_of(program, other, false);
  for (TensorId n = 0; n < program->tensor_count; n++)
    if (read[n] && !needed[n] && program->definition[n] != NONE) return false;
  return true;
}

/* Those that are ready earlier come first. */
static void put_early_first(const Ordering *ordering, const Equation *equation, Terms *sums) {
  const Program *program = ordering->program;
  for (int n = 1; n < sums->count; n++)
    for (int at = n; at > 0; at--) {
      int early = reduction_of(ordering, equation, sums->items[at]), late = reduction_of(ordering, equation, sums->items[at - 1]);
      if (!needs_all(program, late, early) || needs_all(program, early, late)) break;
      const Expr *item = sums->items[at];
      sums->items[at] = sums->items[at - 1];
      sums->items[at - 1] = item;
    }
}

typedef struct TermSearch {
  TensorId tensor;
  bool found;
} TermSearch;

static void find_tensor(void *context, const Expr *expr) {
  TermSearch *search = context;
  search->found |= expr->op == OP_READ && expr->id == search->tensor;
}

/* Another term reads it too; if both share the node, that is one use of it only. */
static bool is_in_others(const Terms *terms, int own) {
  TermSearch search = {terms->items[own]->id, false};
  for (int n = 0; n < terms->count; n++)
    if (n != own) expr_visit(terms->items[n], find_tensor, &search);
  return search.found;
}

static bool order_equation(Ordering *ordering, int n) {
  Program *program = ordering->program;
  Arena *arena = program->arena;
  Equation equation = program->equations[n];
  if (!equation.value || program->tensors[equation.target].type != TYPE_REAL) return false;
  if (equation.reduce != REDUCE_NONE && equation.reduce != REDUCE_SUM) return false;
  Terms all = {0}, outer = {0}, outer_sums = {0}, inner = {0}, inner_sums = {0};
  split_sum(arena, equation.value, &all);
  for (int t = 0; t < all.count; t++) {
    const Expr *term = all.items[t];
    bool inside = is_in_cycle(ordering, term, ordering->component[n]);
    bool is_sum = reduction_of(ordering, &equation, term) != NONE && !is_in_others(&all, t);
    Terms *terms = inside ? (is_sum ? &inner_sums : &inner) : (is_sum ? &outer_sums : &outer);
    ARENA_PUSH(arena, terms->items, terms->count, term);
  }
  if (outer_sums.count + inner_sums.count == 0) return false;
  put_early_first(ordering, &equation, &outer_sums);
  const Expr *before = chain(ordering, &equation, &outer_sums, add_all(arena, &outer));
  const Expr *own = add_all(arena, &inner);
  bool merges = equation.reduce == REDUCE_NONE; /* the last reduction can be the equation itself */
  if (own) before = before ? expr_binary(arena, OP_ADD, before, own) : own;
  Terms last = merges && inner_sums.count ? inner_sums : outer_sums;
  if (merges && (inner_sums.count || !own)) {
    const Expr *ending = last.items[--last.count];
    int reduction = reduction_of(ordering, &equation, ending);
    if (inner_sums.count) {
      inner_sums.count--;
      before = chain(ordering, &equation, &inner_sums, before);
      start_from(ordering, &equation, reduction, before);
    }
    const Equation *sum = &program->equations[reduction];
    Equation merged = equation;
    merged.value = sum->value ? in_terms_of(program, sum, &equation, sum->value) : NULL;
    merged.reduce = REDUCE_SUM;
    merged.reduce_count = sum->reduce_count;
    merged.reduce_indices = sum->reduce_indices;
    merged.guard = sum->guard ? in_terms_of(program, sum, &equation, sum->guard) : NULL;
    merged.body = in_terms_of(program, sum, &equation, sum->body);
    program->equations[n] = merged;
    program->equations[reduction].target = sum->target; /* now dead */
    return true;
  }
  program->equations[n].value = chain(ordering, &equation, &inner_sums, before);
  return true;
}

bool pass_order_sums(Program *program, PassContext *context) {
  (void)context;
  Ordering ordering = {.program = program};
  ordering.component = equation_components(program, NULL);
  ordering.uses = ARENA_ARRAY(program->arena, int, program->tensor_count);
  ordering.is_shown = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->port_count; n++) ordering.is_shown[program->ports[n].tensor] = true;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    if (equation->value) expr_visit(equation->value, count_use, &ordering);
    if (equation->guard) expr_visit(equation->guard, count_use, &ordering);
    if (equation->body) expr_visit(equation->body, count_use, &ordering);
  }
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) changed |= order_equation(&ordering, n);
  return changed;
}
