/* wanted.c - what is only computed when the caller asks for certain results, or at the first step.
 *
 * A caller may leave out outputs, the objective, gradients and the state. A tensor that serves a few of them only is computed
 * under the condition that one of these is wanted; what serves the state, or many, always is. Inside of loops nothing
 * is left out: there the test would be made again and again. A tensor that is read under one condition alone, which is the
 * same for all elements (`position == 0`), is computed under it; so is a loop when all that is in it is.
 */
#include "passes/lower.h"
#include "passes/reverse.h"

enum { ALWAYS = 0, MOST_RESULTS = 63, MOST_CONDITIONS = 3 };

typedef struct Spread {
  uint64_t *results;
  uint64_t from;
  bool changed;
} Spread;

static void spread_to_read(void *context, const Expr *expr) {
  Spread *spread = context;
  if (expr->op != OP_READ || (spread->results[expr->id] | spread->from) == spread->results[expr->id]) return;
  spread->results[expr->id] |= spread->from;
  spread->changed = true;
}

static uint64_t bit_of(const Program *program, int port) {
  PortKind kind = program->ports[port].kind;
  if (kind == PORT_CARRY_OUT || kind == PORT_FINAL_STATE || port + 1 > MOST_RESULTS) return (uint64_t)1 << ALWAYS;
  return (uint64_t)1 << (port + 1);
}

/* ---- conditions of whole tensors ---------------------------------------------------------------------------------------- */

enum { UNREAD, CONDITIONAL, UNCONDITIONAL };

struct Demand {
  int kind;
  const Expr *condition; /* CONDITIONAL */
};

typedef struct DemandSpread {
  struct Demand *demands;
  struct Demand from;
  bool changed;
} DemandSpread;

static void demand_read(void *context, const Expr *expr) {
  DemandSpread *spread = context;
  if (expr->op != OP_READ || spread->from.kind == UNREAD) return;
  struct Demand *demand = &spread->demands[expr->id], before = *demand;
  bool is_other = spread->from.kind == UNCONDITIONAL || (demand->kind == CONDITIONAL && !expr_equal(demand->condition, spread->from.condition));
  if (demand->kind == UNREAD)
    *demand = spread->from;
  else if (demand->kind == CONDITIONAL && is_other)
    *demand = (struct Demand){.kind = UNCONDITIONAL};
  spread->changed |= demand->kind != before.kind;
}

static void find_varying(void *context, const Expr *expr) {
  if (expr->op == OP_INDEX || expr->op == OP_READ) *(bool *)context = true;
}

static void demand_parts(DemandSpread *spread, const Equation *equation) {
  const struct Demand own = spread->demands[equation->target];
  const Expr *value = equation->value;
  spread->from = own;
  if (equation->guard) expr_visit(equation->guard, demand_read, spread);
  if (equation->body) expr_visit(equation->body, demand_read, spread);
  bool varies = true;
  if (value && value->op == OP_SELECT && own.kind == UNCONDITIONAL) {
    varies = false;
    expr_visit(value->args[0], find_varying, &varies);
  }
  if (varies) {
    if (value) expr_visit(value, demand_read, spread);
    return;
  }
  expr_visit(value->args[2], demand_read, spread);
  spread->from = (struct Demand){CONDITIONAL, value->args[0]};
  expr_visit(value->args[1], demand_read, spread);
}

static void plan_demands(Lowering *lowering) {
  const Program *program = lowering->program;
  DemandSpread spread = {.demands = ARENA_ARRAY(lowering->arena, struct Demand, program->tensor_count)};
  for (int n = 0; n < program->port_count; n++)
    if (port_is_result(program->ports[n].kind)) spread.demands[program->ports[n].tensor].kind = UNCONDITIONAL;
  do {
    spread.changed = false;
    for (int n = program->equation_count - 1; n >= 0; n--) demand_parts(&spread, &program->equations[n]);
  } while (spread.changed);
  lowering->demands = spread.demands;
}

static const Expr *condition_of(const Lowering *lowering, int equation) {
  const struct Demand *demand = &lowering->demands[lowering->program->equations[equation].target];
  return demand->kind == CONDITIONAL ? demand->condition : NULL;
}

const Expr *loop_condition(const Lowering *lowering, const ScheduleNode *node) {
  const Expr *condition = NULL;
  if (lowering->open_count || find_reverse(lowering, node)) return NULL;
  for (int m = 0; m < node->member_count; m++) {
    const Expr *other = condition_of(lowering, node->members[m]);
    if (!other || (condition && !expr_equal(condition, other))) return NULL;
    condition = other;
  }
  for (int s = 0; s < lowering->sweep_count; s++)
    for (int m = 0; lowering->sweeps[s].loop == node && m < lowering->sweeps[s].count; m++) {
      const Expr *other = condition_of(lowering, lowering->sweeps[s].equations[m]);
      if (!other || !expr_equal(condition, other)) return NULL;
    }
  return condition;
}

/* ---- results that are wanted ---------------------------------------------------------------------------------------------- */

void plan_wanted(Lowering *lowering) {
  const Program *program = lowering->program;
  plan_demands(lowering);
  Spread spread = {.results = ARENA_ARRAY(lowering->arena, uint64_t, program->tensor_count)};
  for (int n = 0; n < program->port_count; n++)
    if (port_is_result(program->ports[n].kind)) spread.results[program->ports[n].tensor] |= bit_of(program, n);
  do {
    spread.changed = false;
    for (int n = program->equation_count - 1; n >= 0; n--) {
      const Equation *equation = &program->equations[n];
      spread.from = spread.results[equation->target];
      if (equation->value) expr_visit(equation->value, spread_to_read, &spread);
      if (equation->guard) expr_visit(equation->guard, spread_to_read, &spread);
      if (equation->body) expr_visit(equation->body, spread_to_read, &spread);
    }
  } while (spread.changed);
  lowering->results = spread.results;
}

/* Nothing reads the tensor of a result, and its memory is the caller's: without it there is nowhere to write to. */
static bool is_result(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor && port_is_result(program->ports[n].kind)) return true;
  return false;
}

bool wanted_is_conditional(const Lowering *lowering, TensorId tensor) { return lowering->demands[tensor].kind == CONDITIONAL; }

const Expr *wanted_condition(Lowering *lowering, TensorId tensor) {
  const Program *program = lowering->program;
  if (loops_around(lowering) || lowering->is_packing) return NULL;
  while (lowering->goes_on_in[tensor] != NONE) tensor = lowering->goes_on_in[tensor];
  if (lowering->banding && !is_result(program, tensor)) return NULL; /* the band as a whole is wanted */
  if (is_result(program, tensor)) return expr_given(lowering->arena, buffer_of(lowering, tensor));
  if (lowering->demands[tensor].kind == CONDITIONAL) return lowering->demands[tensor].condition;
  uint64_t results = lowering->results[tensor];
  if (results & (uint64_t)1 << ALWAYS || __builtin_popcountll(results) > MOST_CONDITIONS) return NULL;
  const Expr *wanted = NULL;
  for (int n = 0; n < program->port_count && n < MOST_RESULTS; n++) {
    if (!(results >> (n + 1) & 1)) continue;
    const Expr *given = expr_given(lowering->arena, buffer_of(lowering, program->ports[n].tensor));
    wanted = wanted ? expr_binary(lowering->arena, OP_OR, wanted, given) : given;
  }
  return wanted;
}
