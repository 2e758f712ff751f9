/* split_sums.c - sums over pairs of steps stand alone.
 *
 * Needs:  nothing; best when sums have been put in order.
 * Leaves: d.a[u] = d.a.1[u] with sum[t](s[t,u] * x[t]), where d.a.1 is made from such pairs too, is a sum d.a.part and a map that adds
 *         both.
 * Why:    what is read for pairs of steps is kept for a band of rows only (plan_band.c), and one sum over the rows is whole when all
 *         bands are done. Another sum that begins with it could not be of the same band. It comes so when something has several uses: keys
 *         that are values too.
 */
#include "passes/passes.h"

typedef struct PairSearch {
  const Program *program;
  bool reads_pairs;
  bool reads_sums; /* of pairs */
} PairSearch;

static bool is_of_pairs(const Program *program, TensorId id) {
  return program_run_time_axes(program, id) >= 2 && program->definition[id] != NONE;
}

static void find_pairs(void *context, const Expr *expr) {
  PairSearch *search = context;
  if (expr->op == OP_READ) search->reads_pairs |= is_of_pairs(search->program, expr->id);
}

static bool sums_pairs(const Program *program, const Equation *equation) {
  PairSearch search = {.program = program};
  if (equation->reduce == REDUCE_SUM) expr_visit(equation->body, find_pairs, &search);
  return search.reads_pairs && !is_of_pairs(program, equation->target);
}

static void find_sums(void *context, const Expr *expr) {
  PairSearch *search = context;
  const Equation *equation = expr->op == OP_READ ? program_definition(search->program, expr->id) : NULL;
  if (equation) search->reads_sums |= sums_pairs(search->program, equation);
}

bool pass_split_sums(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  for (int n = 0, count = program->equation_count; n < count; n++) {
    Equation whole = program->equations[n];
    PairSearch search = {.program = program};
    if (!whole.value || !sums_pairs(program, &whole)) continue;
    expr_visit(whole.value, find_sums, &search);
    if (!search.reads_sums) continue;
    const Expr *value = whole.value, *sum = program_split_sum(program, n, "part");
    program->equations[n].value = expr_binary(program->arena, OP_ADD, value, sum);
    changed = true;
  }
  return changed;
}
