/* lags.c - find what each result needs of the past and the future; decide what streams.
 *
 * Needs:  the batch axis; boundary tensors where a read can lie before the first step.
 * Leaves: on every result port `streams`, or why not and where.
 * Why:    chunk and step exist for what needs no later step. times.c finds it out; a declared state may hold all steps so far,
 *         an output has one axis over the stream at most.
 */
#include "passes/passes.h"
#include "passes/times.h"

typedef struct StateSearch {
  const Program *program;
  const bool *grows; /* by tensor: a declared state with a value for each step */
  const Expr *found;
} StateSearch;

static void find_state(void *context, const Expr *expr) {
  StateSearch *search = context;
  if (expr->op == OP_READ && search->grows[expr->id] && !search->found) search->found = expr;
}

/* What holds all steps so far is empty before the first, so it cannot be read. */
static void check_states(Program *program, const Times *times, Diagnostics *diagnostics) {
  bool *grows = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].kind == PORT_STATE && times->axis[program->ports[n].tensor] != NONE) grows[program->ports[n].tensor] = true;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    StateSearch search = {program, grows, NULL};
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], find_state, &search);
    if (!search.found) continue;
    const Tensor *state = &program->tensors[search.found->id];
    diagnostics_error(diagnostics, search.found->source.file ? search.found->source : equation->source,
                      "'%s' holds all steps so far: it has no value before the first", state->name);
    diagnostics_note(diagnostics, state->source, "it is declared here");
  }
}

bool pass_lags(Program *program, PassContext *context) {
  const Times *times = times_find(program);
  check_states(program, times, context->diagnostics);
  for (int n = 0; n < program->port_count; n++) {
    Port *port = &program->ports[n];
    if (!port_is_result(port->kind)) continue;
    port->why_not = times->reason[port->tensor];
    port->why_not_source = times->where[port->tensor];
    if (!port->why_not && times_axis_count(times, port->tensor) > 1) {
      port->why_not = arena_format(program->arena, "'%s' has the steps along several axes", port->name);
      port->why_not_source = program->tensors[port->tensor].source;
    }
    port->streams = !port->why_not;
  }
  return true;
}

bool program_has_step(const Program *program, const Port **out_reason) {
  const Port *reason = NULL;
  int streaming = 0, outputs = 0;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->kind == PORT_FINAL_STATE && !port->streams) {
      *out_reason = port;
      return false;
    }
    if (port->kind != PORT_OUTPUT && port->kind != PORT_FINAL_STATE) continue;
    outputs++;
    if (port->streams)
      streaming++;
    else
      reason = port;
  }
  *out_reason = reason;
  return streaming > 0 || outputs == 0;
}
