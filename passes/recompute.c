/* recompute.c - what grows with a square is computed again where a gradient reads it, rather than kept until then.
 *
 * Needs:  a gradient with all other passes done, as they would merge again what is computed twice.
 * Leaves: a clone, x.again, of each tensor of two or more run-time axes that is read far from where it is computed: in another loop, or
 *         in the same list of steps behind a product that itself needs the tensor. The readers there read the clone.
 * Why:    one band (plan_band.c) takes the clone and what reads it along, a few rows at a time, and another one does that with the
 *         original. So neither is ever in memory as a whole. Only the ends of the bands are kept, which have one run-time axis less:
 *         the vectors that scores are made from, and for each row of scores the largest and the sum of exponentials.
 *
 * Whether bands come of it is not guessed: the plan of the changed program says so. What does not end up in bands, both as it was and
 * again, stays as it was. Nor is computed again what a recurrence makes, or what sums over time.
 */
#include "passes/lower.h"

enum { MOST_ROUNDS = 4 };

typedef struct Recompute {
  Program *program;           /* that is changed */
  const ScheduleNode *schedule;
  const int *rows;            /* by tensor: not 0 where only some rows are kept anyway */
  const bool *is_eligible;    /* by tensor */
  const bool *is_refused;     /* by tensor: it did not work out */
  int tensor_count;           /* before any clone */
  int list_count;
  int *list;                  /* by equation: the list of the schedule that it stands in */
  TensorId *again;            /* by list and tensor: its clone for the readers there, or NONE */
  int at_list;                /* where the reader at hand stands */
  TensorId tensor;            /* that it must not read there; NONE: any that has a clone */
} Recompute;

/* ---- what could be -------------------------------------------------------------------------------------------------- */

typedef struct Needs {
  const Program *program;
  const bool *is_eligible;
  bool fails;
} Needs;

static void check_need(void *context, const Expr *expr) {
  Needs *needs = context;
  if (expr->op != OP_READ || program_run_time_axes(needs->program, expr->id) < 2) return;
  bool is_given = needs->program->definition[expr->id] == NONE || needs->program->tensors[expr->id].boundary_of != NONE;
  if (!is_given) needs->fails |= expr->outside != NULL || !needs->is_eligible[expr->id];
}

/* It can be computed again: what it reads has fewer run-time axes, or could be computed again in turn, and it sums over a known number. */
static bool could_be(const Program *program, const bool *is_eligible, TensorId tensor) {
  const Equation *equation = program_definition(program, tensor);
  if (!equation || program_run_time_axes(program, tensor) < 2 || program_shows(program, tensor) || program_has_boundary(program, tensor)) return false;
  for (int n = 0; n < equation->reduce_count; n++)
    if (program->indices[equation->reduce_indices[n]].high.symbol != NONE) return false;
  Needs needs = {program, is_eligible, false};
  equation_visit(equation, check_need, &needs);
  return !needs.fails;
}

/* From those that need no other on; so none in a cycle is found. NULL when there are none. */
static bool *find_eligible(const Program *program) {
  bool *is_eligible = ARENA_ARRAY(program->arena, bool, program->tensor_count), any = false;
  for (bool changed = true; changed;) {
    changed = false;
    for (TensorId n = 0; n < program->tensor_count; n++)
      if (!is_eligible[n] && could_be(program, is_eligible, n)) is_eligible[n] = changed = any = true;
  }
  return any ? is_eligible : NULL;
}

/* ---- far readers ------------------------------------------------------------------------------------------------------ */

static void number_lists(Recompute *recompute, const ScheduleNode *nodes) {
  int list = recompute->list_count++;
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) recompute->list[node->equation] = list;
    else number_lists(recompute, node->body);
  }
}

typedef struct Distance {
  const unsigned char *of; /* by tensor: 0 does not need the one looked at, 1 needs it, 2 does so behind the end of a band, or a loop */
  unsigned char found;
} Distance;

static void find_distance(void *context, const Expr *expr) {
  Distance *distance = context;
  if (expr->op == OP_READ && distance->of[expr->id] > distance->found) distance->found = distance->of[expr->id];
}

/* A band ends with it. */
static bool ends_band(const Program *program, int equation) {
  return program->equations[equation].reduce != REDUCE_NONE && program_run_time_axes(program, program->equations[equation].target) < 2 &&
         !is_row_reduction(program, equation);
}

static const ScheduleNode *find_list(const ScheduleNode *nodes, int equation) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation == equation) return nodes;
    const ScheduleNode *inside = node->equation == NONE ? find_list(node->body, equation) : NULL;
    if (inside) return inside;
  }
  return NULL;
}

static unsigned char distance_of(const Program *program, int equation, const unsigned char *of) {
  Distance distance = {of, 0};
  equation_visit(&program->equations[equation], find_distance, &distance);
  return distance.found;
}

/* By equation of the tensor's own list, how far from it the others that it reads are made: see Distance. */
static const unsigned char *find_distances(const Recompute *recompute, TensorId tensor) {
  const Program *program = recompute->program;
  unsigned char *of = ARENA_ARRAY(program->arena, unsigned char, program->tensor_count);
  unsigned char *at = ARENA_ARRAY(program->arena, unsigned char, program->equation_count);
  of[tensor] = 1;
  for (const ScheduleNode *node = find_list(recompute->schedule, program->definition[tensor]); node; node = node->next) {
    unsigned char loop = 0;
    for (int m = 0; m < node->member_count; m++)
      if (distance_of(program, node->members[m], of)) loop = 2;
    for (int m = 0; m < node->member_count; m++) of[program->equations[node->members[m]].target] = loop;
    if (node->equation == NONE || program->equations[node->equation].target == tensor) continue;
    unsigned char distance = at[node->equation] = distance_of(program, node->equation, of);
    of[program->equations[node->equation].target] = distance && ends_band(program, node->equation) ? 2 : distance;
  }
  return at;
}

/* ---- clones ----------------------------------------------------------------------------------------------------------- */

static TensorId clone_of(Recompute *recompute, TensorId tensor);

static const Expr *read_again(void *context, const Expr *expr) {
  Recompute *recompute = context;
  if (expr->op != OP_READ || expr->id >= recompute->tensor_count) return expr;
  bool is_meant = recompute->tensor == NONE ? recompute->is_eligible[expr->id] : expr->id == recompute->tensor;
  return is_meant ? program_read(recompute->program, clone_of(recompute, expr->id), expr->args, NULL) : expr;
}

/* The equation with reads of `tensor` (NONE: of all that could be) replaced by those of clones for the list. */
static void rewrite(Recompute *recompute, Equation *equation, int list, TensorId tensor) {
  int outer_list = recompute->at_list;
  TensorId outer_tensor = recompute->tensor;
  recompute->at_list = list;
  recompute->tensor = tensor;
  const Expr **parts[] = {&equation->value, &equation->guard, &equation->body};
  for (int n = 0; n < 3; n++)
    if (*parts[n]) *parts[n] = expr_rewrite(recompute->program->arena, *parts[n], read_again, recompute);
  recompute->at_list = outer_list;
  recompute->tensor = outer_tensor;
}

static TensorId clone_of(Recompute *recompute, TensorId tensor) {
  Program *program = recompute->program;
  TensorId *again = &recompute->again[recompute->at_list * recompute->tensor_count + tensor];
  if (*again != NONE) return *again;
  const Tensor original = program->tensors[tensor];
  TensorId clone = program_add_tensor(program, arena_format(program->arena, "%s.again", original.name), original.type, original.rank, original.shape);
  program->tensors[clone].source = original.source;
  *again = clone;
  Equation equation = *program_definition(program, tensor);
  equation.target = clone;
  rewrite(recompute, &equation, recompute->at_list, NONE);
  program_add_equation(program, equation);
  return clone;
}

/* Clones for all that is kept and read far away; false when nothing is. */
static bool make_clones(Recompute *recompute) {
  Program *program = recompute->program;
  int equation_count = program->equation_count;
  bool any = false;
  for (TensorId tensor = 0; tensor < recompute->tensor_count; tensor++) {
    if (!recompute->is_eligible[tensor] || recompute->rows[tensor] || recompute->is_refused[tensor]) continue;
    const unsigned char *distances = find_distances(recompute, tensor);
    int home = recompute->list[program->definition[tensor]];
    for (int n = 0; n < equation_count; n++) {
      if (recompute->list[n] == home && distances[n] < 2) continue;
      Equation equation = program->equations[n];
      rewrite(recompute, &equation, recompute->list[n], tensor);
      any |= equation.value != program->equations[n].value || equation.body != program->equations[n].body;
      program->equations[n] = equation;
    }
  }
  return any;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

/* Refuses what is kept all the same, or again; true when there is nothing to refuse. */
static bool works_out(const Recompute *recompute, const int *rows, bool *is_refused) {
  bool all = true;
  for (int n = 0; n < recompute->list_count * recompute->tensor_count; n++) {
    if (recompute->again[n] == NONE || (rows[recompute->again[n]] && rows[n % recompute->tensor_count])) continue;
    is_refused[n % recompute->tensor_count] = true;
    all = false;
  }
  return all;
}

bool pass_recompute(Program *program, PassContext *context) {
  Arena *arena = program->arena;
  const bool *is_eligible = find_eligible(program);
  if (!is_eligible) return false;
  bool *is_refused = ARENA_ARRAY(arena, bool, program->tensor_count);
  const ScheduleNode *schedule, *changed_schedule;
  const int *rows = lower_plan(program_clone(arena, program), context, &schedule);
  for (int round = 0; round < MOST_ROUNDS && rows; round++) {
    Recompute recompute = {program_clone(arena, program), schedule, rows, is_eligible, is_refused, program->tensor_count, .tensor = NONE};
    recompute.list = ARENA_ARRAY(arena, int, program->equation_count);
    number_lists(&recompute, schedule);
    recompute.again = ARENA_ARRAY(arena, TensorId, recompute.list_count * program->tensor_count);
    for (int n = 0; n < recompute.list_count * program->tensor_count; n++) recompute.again[n] = NONE;
    if (!make_clones(&recompute)) return false;
    const int *changed_rows = lower_plan(program_clone(arena, recompute.program), context, &changed_schedule);
    if (!changed_rows || !works_out(&recompute, changed_rows, is_refused)) continue;
    *program = *recompute.program;
    return true;
  }
  return false;
}
