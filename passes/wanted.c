/* wanted.c - what is only computed when the caller asks for certain results.
 *
 * A caller may leave out outputs, the objective, gradients and the state. A tensor that serves a few of them only is computed
 * under the condition that one of these is wanted; what serves the state, or many, always is. Inside of loops nothing
 * is left out: there the test would be made again and again.
 */
#include "passes/lower.h"

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

void plan_wanted(Lowering *lowering) {
  const Program *program = lowering->program;
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

const Expr *wanted_condition(Lowering *lowering, TensorId tensor) {
  const Program *program = lowering->program;
  if (lowering->open_count) return NULL;
  if (is_result(program, tensor)) return expr_given(lowering->arena, buffer_of(lowering, tensor));
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
