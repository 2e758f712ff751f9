/* lags.c - find what each result needs of the past and the future; decide what streams.
 *
 * Needs:  the batch axis; boundary tensors where a read can lie before the first step.
 * Leaves: on every result port `streams`, or why not and where.
 * Why:    chunk and step exist for what needs no later step. times.c finds it out; a declared state may hold all steps so far,
 *         an output has one axis over the stream at most.
 */
#include "passes/passes.h"
#include "passes/times.h"

bool pass_lags(Program *program, PassContext *context) {
  (void)context;
  const Times *times = times_find(program);
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
