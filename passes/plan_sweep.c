/* plan_sweep.c - which recurrences take along what is read out of them, and keep one step of their state.
 *
 * h[t] is often only read at the same step by equations outside of its cycle, as in y[t,i] = sum[n](C[t,n] * h[t,i,n]). If these
 * run inside of the loop, nothing needs h of other steps than the last, and a tensor with all of time becomes one without it. That
 * is done where
 *   - the equations of the loop are maps, and forward in time;
 *   - the readouts use every element once, so that no product over all of time is torn apart;
 *   - some axes are read at the same place throughout: threads share out these, and never wait for each other.
 */
#include "passes/lower.h"

typedef struct Plan {
  Lowering *lowering;
  const Program *program;
  Sweep sweep;
  int members;       /* equations of the loop itself */
  bool *is_inside;   /* by tensor: target of an equation of the sweep */
  const Equation *equation;
  int number;        /* of the equation in the sweep */
  int found_axis;
  TensorId tensor;
  bool fails, reads_inside;
  bool is_mutual; /* all equations of the loop are computed at an element before any is replaced there */
  const bool *is_later; /* by tensor: defined after the loop, outside of the sweep */
} Plan;

static int position_of(const Plan *plan, TensorId target) {
  for (int n = 0; n < plan->sweep.count; n++)
    if (plan->program->equations[plan->sweep.equations[n]].target == target) return n;
  return NONE;
}

/* ---- readouts ------------------------------------------------------------------------------------------------------ */

/* A read of what the sweep defines must be at the same step, and use every axis of the readout. */
static void check_readout(void *context, const Expr *expr) {
  Plan *plan = context;
  if (expr->op != OP_READ) return;
  if (plan->is_later[expr->id]) plan->fails = true;
  if (!plan->is_inside[expr->id]) return;
  plan->reads_inside = true;
  int rank = plan->program->tensors[plan->equation->target].rank, axis = NONE;
  const Expr *time = expr->args[plan->sweep.axes[position_of(plan, expr->id)]];
  for (int n = 0; n < rank; n++) {
    if (expr_is_index(time, plan->equation->indices[n])) axis = n;
    bool is_used = false;
    for (int k = 0; k < expr->arg_count; k++) is_used |= expr_is_index(expr->args[k], plan->equation->indices[n]);
    plan->fails |= !is_used;
  }
  plan->fails |= axis == NONE || (plan->found_axis != NONE && plan->found_axis != axis) || expr->outside != NULL;
  plan->found_axis = axis;
}

static void add_equation(Plan *plan, int equation, int axis) {
  Arena *arena = plan->lowering->arena;
  int count = plan->sweep.count;
  ARENA_PUSH(arena, plan->sweep.axes, count, axis);
  ARENA_PUSH(arena, plan->sweep.equations, plan->sweep.count, equation);
  plan->is_inside[plan->program->equations[equation].target] = true;
}

static void add_readouts(Plan *plan, const ScheduleNode *after) {
  bool *is_later = ARENA_ARRAY(plan->lowering->arena, bool, plan->program->tensor_count);
  plan->is_later = is_later;
  for (const ScheduleNode *node = after; node && node->equation != NONE; node = node->next) {
    const Equation *equation = &plan->program->equations[node->equation];
    plan->equation = equation;
    plan->fails = equation->reduce == REDUCE_ARGMAX;
    plan->reads_inside = false;
    plan->found_axis = NONE;
    equation_visit(equation, check_readout, plan);
    if (plan->reads_inside && !plan->fails)
      add_equation(plan, node->equation, plan->found_axis);
    else
      is_later[equation->target] = true;
  }
}

/* ---- contraction ---------------------------------------------------------------------------------------------------- */

static bool is_last_step(const Plan *plan, const Expr *index) {
  Ranges ranges = program_ranges(plan->program);
  const Index *time = &plan->program->indices[plan->sweep.loop->index];
  const Expr *last = expr_binary(plan->lowering->arena, OP_SUB, size_expr(plan->lowering->arena, time->high), expr_integer(plan->lowering->arena, 1));
  return ranges_prove_at_least(&ranges, expr_binary(plan->lowering->arena, OP_SUB, index, last), 0) &&
         ranges_prove_at_least(&ranges, expr_binary(plan->lowering->arena, OP_SUB, last, index), 0);
}

/* Elements are replaced one by one: another one may be gone already. */
static bool is_at_own_element(const Plan *plan, const Expr *read, int time_axis) {
  for (int k = 0; k < read->arg_count; k++)
    if (k != time_axis && !expr_is_index(read->args[k], plan->equation->indices[k])) return false;
  return true;
}

/* Every read is at the step at hand after the tensor is defined, at the one before until then, or after the loop at the last. */
static void check_contraction(void *context, const Expr *expr) {
  Plan *plan = context;
  if (expr->op != OP_READ || expr->id != plan->tensor) return;
  int definition = position_of(plan, plan->tensor);
  const Expr *index = expr->args[plan->sweep.axes[definition]];
  if (plan->number == NONE) {
    plan->fails |= !is_last_step(plan, index);
    return;
  }
  IndexId time = plan->equation->indices[plan->sweep.axes[plan->number]];
  const Expr *before = expr_binary(plan->lowering->arena, OP_SUB, expr_index(plan->lowering->arena, time), expr_integer(plan->lowering->arena, 1));
  bool is_now = expr_is_index(index, time) && plan->number > definition, was = expr_equal(index, before);
  if (!plan->is_mutual || plan->number >= plan->members) was = was && plan->number <= definition;
  if (plan->number == definition) was = was && is_at_own_element(plan, expr, plan->sweep.axes[definition]);
  plan->fails |= !is_now && !was;
}

static bool can_contract(Plan *plan, TensorId tensor) {
  const Program *program = plan->program;
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor) return false;
  plan->tensor = tensor;
  plan->fails = false;
  for (int n = 0; n < program->equation_count && !plan->fails; n++) {
    plan->equation = &program->equations[n];
    plan->number = NONE;
    for (int k = 0; k < plan->sweep.count; k++)
      if (plan->sweep.equations[k] == n) plan->number = k;
    equation_visit(plan->equation, check_contraction, plan);
  }
  return !plan->fails;
}

static void find_contracted(void *context, const Expr *expr) {
  Plan *plan = context;
  if (expr->op == OP_READ && plan->lowering->is_contracted[expr->id]) plan->reads_inside = true;
}

/* How many of the equations of the loop define what one step can be kept of. */
static int mark_contracted(Plan *plan, bool is_mutual) {
  int count = 0;
  plan->is_mutual = is_mutual;
  for (int n = 0; n < plan->members; n++) {
    TensorId target = plan->program->equations[plan->sweep.equations[n]].target;
    plan->lowering->is_contracted[target] = can_contract(plan, target);
    count += plan->lowering->is_contracted[target];
  }
  return count;
}

/* Drops the readouts of tensors that have to be kept anyway; false when none is left. */
static bool drop_readouts(Plan *plan) {
  int kept = plan->members;
  for (int n = plan->members; n < plan->sweep.count; n++) {
    plan->reads_inside = false;
    equation_visit(&plan->program->equations[plan->sweep.equations[n]], find_contracted, plan);
    if (!plan->reads_inside) continue;
    plan->sweep.equations[kept] = plan->sweep.equations[n];
    plan->sweep.axes[kept++] = plan->sweep.axes[n];
  }
  plan->sweep.count = kept;
  return kept > plan->members;
}

/* ---- shared axes ---------------------------------------------------------------------------------------------------- */

/* Follows one axis of the first target through the reads; *place is the axis by equation, NONE until known. */
typedef struct Follow {
  Plan *plan;
  int *place;
  bool changed, fails;
} Follow;

static void follow_read(void *context, const Expr *expr) {
  Follow *follow = context;
  Plan *plan = follow->plan;
  int maker = expr->op == OP_READ ? position_of(plan, expr->id) : NONE, user = plan->number;
  if (maker == NONE) return;
  int rank = plan->program->tensors[plan->equation->target].rank;
  if (follow->place[maker] != NONE) {
    int found = NONE;
    for (int n = 0; n < rank; n++)
      if (expr_is_index(expr->args[follow->place[maker]], plan->equation->indices[n])) found = n;
    if (found == NONE || (follow->place[user] != NONE && follow->place[user] != found)) follow->fails = true;
    if (found != NONE && follow->place[user] == NONE) follow->place[user] = found, follow->changed = true;
  } else if (follow->place[user] != NONE) {
    for (int k = 0; k < expr->arg_count; k++)
      if (expr_is_index(expr->args[k], plan->equation->indices[follow->place[user]])) follow->place[maker] = k, follow->changed = true;
    if (follow->place[maker] == NONE) follow->fails = true;
  }
}

static bool follow_axis(Plan *plan, int axis, int *place) {
  Follow follow = {plan, place, true, false};
  for (int n = 0; n < plan->sweep.count; n++) place[n] = NONE;
  place[0] = axis;
  while (follow.changed && !follow.fails) {
    follow.changed = false;
    for (plan->number = 0; plan->number < plan->sweep.count; plan->number++) {
      plan->equation = &plan->program->equations[plan->sweep.equations[plan->number]];
      equation_visit(plan->equation, follow_read, &follow);
    }
  }
  for (int n = 0; n < plan->sweep.count; n++) follow.fails |= place[n] == NONE;
  return !follow.fails;
}

static void find_shared(Plan *plan) {
  TensorId first = plan->program->equations[plan->sweep.equations[0]].target;
  int rank = plan->program->tensors[first].rank;
  plan->sweep.shared = ARENA_ARRAY(plan->lowering->arena, int, plan->sweep.count * MOST_AXES);
  int *place = ARENA_ARRAY(plan->lowering->arena, int, plan->sweep.count);
  for (int axis = 0; axis < rank; axis++) {
    bool is_bound = plan->lowering->depth[first * MOST_AXES + axis] != 0; /* by this loop or one around */
    if (is_bound || !follow_axis(plan, axis, place)) continue;
    for (int n = 0; n < plan->sweep.count; n++) plan->sweep.shared[n * MOST_AXES + plan->sweep.shared_count] = place[n];
    plan->sweep.shared_count++;
  }
}

/* ---- maps of readouts ------------------------------------------------------------------------------------------------ */

/* Reads what the sweep leaves at its own element, and nothing that is defined later. */
static void check_map(void *context, const Expr *expr) {
  Plan *plan = context;
  if (expr->op != OP_READ) return;
  plan->fails |= plan->is_later[expr->id];
  if (!plan->is_inside[expr->id]) return;
  int maker = position_of(plan, expr->id);
  plan->fails |= maker < plan->members || expr->arg_count != plan->program->tensors[plan->equation->target].rank || expr->outside;
  for (int k = 0; !plan->fails && k < expr->arg_count; k++) plan->fails |= !expr_is_index(expr->args[k], plan->equation->indices[k]);
  if (!plan->fails) plan->number = maker;
}

static void add_map(Plan *plan, int equation, int like) {
  int *shared = plan->sweep.shared, count = plan->sweep.count;
  plan->sweep.shared = ARENA_ARRAY(plan->lowering->arena, int, (count + 1) * MOST_AXES);
  memcpy(plan->sweep.shared, shared, sizeof *shared * (size_t)(count * MOST_AXES));
  memcpy(&plan->sweep.shared[count * MOST_AXES], &shared[like * MOST_AXES], sizeof *shared * MOST_AXES);
  add_equation(plan, equation, plan->sweep.axes[like]);
  plan->sweep.map_count++;
}

/* What is computed of readouts element by element is computed where they are finished. */
static void add_maps(Plan *plan, const ScheduleNode *after) {
  const Program *program = plan->program;
  bool *is_later = ARENA_ARRAY(plan->lowering->arena, bool, program->tensor_count);
  plan->is_later = is_later;
  for (int n = 0; n < program->tensor_count; n++) plan->is_inside[n] = position_of(plan, n) != NONE;
  for (const ScheduleNode *node = after; node && node->equation != NONE; node = node->next) {
    const Equation *equation = plan->equation = &program->equations[node->equation];
    if (plan->is_inside[equation->target]) continue;
    plan->number = NONE;
    plan->fails = equation->reduce != REDUCE_NONE || equation->guard || !equation->value || program->tensors[equation->target].type != TYPE_REAL;
    equation_visit(equation, check_map, plan);
    int like = plan->number;
    bool is_map = !plan->fails && like != NONE;
    for (int k = 0; is_map && k < program->tensors[equation->target].rank; k++) {
      const Index *index = &program->indices[equation->indices[k]];
      is_map &= size_is(index->low, 0) && size_equal(index->high, program->tensors[program->equations[plan->sweep.equations[like]].target].shape[k]);
    }
    if (is_map) add_map(plan, node->equation, like);
    else is_later[equation->target] = true;
  }
}

/* As a sweep whose state stays in registers; leaves the plan as it was where that cannot be. */
static bool hold_state(Plan *plan) {
  Plan before = *plan;
  plan->sweep.equations = arena_copy(plan->lowering->arena, before.sweep.equations, sizeof *before.sweep.equations * (size_t)before.sweep.count);
  plan->sweep.axes = arena_copy(plan->lowering->arena, before.sweep.axes, sizeof *before.sweep.axes * (size_t)before.sweep.count);
  if (mark_contracted(plan, true) == plan->members && drop_readouts(plan)) {
    find_shared(plan);
    plan->sweep.is_held = can_hold_state(plan->lowering, &plan->sweep, plan->members, plan->is_inside);
  }
  if (plan->sweep.is_held) add_maps(plan, plan->sweep.loop->next);
  if (!plan->sweep.is_held) *plan = before;
  return plan->sweep.is_held;
}

/* ---- layout ---------------------------------------------------------------------------------------------------------- */

/* A small tensor of the workspace, without time, that is read along the last shared axis: lanes will run along that. */
static void want_innermost(void *context, const Expr *expr) {
  Plan *plan = context;
  if (expr->op != OP_READ || plan->lowering->innermost[expr->id]) return;
  const Tensor *tensor = &plan->program->tensors[expr->id];
  bool is_contracted = plan->lowering->is_contracted[expr->id];
  for (int n = 0; n < tensor->rank; n++)
    if (tensor->shape[n].symbol != NONE && !is_contracted) return;
  IndexId lanes = plan->equation->indices[plan->sweep.shared[plan->number * MOST_AXES + plan->sweep.shared_count - 1]];
  for (int k = 0; k < expr->arg_count; k++)
    if (expr_is_index(expr->args[k], lanes)) plan->lowering->innermost[expr->id] = k + 1;
}

static void choose_layouts(Plan *plan) {
  for (plan->number = 0; plan->number < plan->sweep.count; plan->number++) {
    plan->equation = &plan->program->equations[plan->sweep.equations[plan->number]];
    int lanes = plan->sweep.shared[plan->number * MOST_AXES + plan->sweep.shared_count - 1];
    if (plan->lowering->is_contracted[plan->equation->target]) plan->lowering->innermost[plan->equation->target] = lanes + 1;
    equation_visit(plan->equation, want_innermost, plan);
  }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static void plan_loop(Lowering *lowering, const ScheduleNode *loop) {
  const Program *program = lowering->program;
  if (loop->index == NONE || loop->is_reversed || !schedule_has_maps_only(program, loop)) return;
  Plan plan = {.lowering = lowering, .program = program, .sweep = {.loop = loop}};
  plan.is_inside = ARENA_ARRAY(lowering->arena, bool, program->tensor_count);
  for (const ScheduleNode *step = loop->body; step; step = step->next) add_equation(&plan, step->equation, schedule_loop_axis(loop, step->equation));
  plan.members = plan.sweep.count;
  add_readouts(&plan, loop->next);
  bool is_sweep = plan.sweep.count > plan.members && (hold_state(&plan) || (mark_contracted(&plan, false) > 0 && drop_readouts(&plan)));
  if (is_sweep && !plan.sweep.is_held) find_shared(&plan);
  is_sweep = is_sweep && plan.sweep.shared_count > 0;
  for (int n = 0; n < plan.members; n++) {
    TensorId target = program->equations[plan.sweep.equations[n]].target;
    if (!is_sweep) lowering->is_contracted[target] = false;
    if (lowering->is_contracted[target]) lowering->is_folded[target * MOST_AXES + plan.sweep.axes[n]] = true;
  }
  if (!is_sweep) return;
  choose_layouts(&plan);
  for (int n = plan.members; n < plan.sweep.count; n++) {
    lowering->is_readout[plan.sweep.equations[n]] = true;
    lowering->depth[program->equations[plan.sweep.equations[n]].target * MOST_AXES + plan.sweep.axes[n]] = 1;
  }
  ARENA_PUSH(lowering->arena, lowering->sweeps, lowering->sweep_count, plan.sweep);
}

static void plan_nodes(Lowering *lowering, const ScheduleNode *nodes) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    plan_loop(lowering, node);
    plan_nodes(lowering, node->body);
  }
}

void plan_sweeps(Lowering *lowering, const ScheduleNode *schedule) {
  lowering->is_readout = ARENA_ARRAY(lowering->arena, bool, lowering->program->equation_count);
  lowering->is_contracted = ARENA_ARRAY(lowering->arena, bool, lowering->program->tensor_count);
  if (lowering->context->optimisation > 0) plan_nodes(lowering, schedule);
}
