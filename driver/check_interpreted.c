/* check_interpreted.c - outputs, final states and gradients by the interpreter, which shares nothing with the compiled code
 * but the equations. */
#include <string.h>

#include "driver/check_internal.h"
#include "ir/interpret.h"

/* The turns of a parameter stand one after the other, as in the program's tensor. NULL when they cannot be read. */
static const double *read_parameter(const Check *check, const Program *program, const Port *port) {
  int64_t turns = port->has_turns ? program->tensors[port->tensor].shape[0].constant : 1;
  double *values = NULL;
  for (int64_t turn = 0; turn < turns; turn++) {
    const ReferenceTensor *tensor = check_find_parameter(check, port_turn_name(check->arena, port, turn));
    if (!port->has_turns && tensor->values) return tensor->values;
    if (!values) values = ARENA_ARRAY(check->arena, double, turns * tensor->elements);
    if (!reference_read(check_parameter_source(check), tensor, values + turn * tensor->elements)) return NULL;
  }
  return values;
}

/* Large ones are read once, though each run and the gradient ask for them. */
static double *parameter_values(Check *check, const Program *program, const Port *port) {
  const Program *forward = check->lowered.batched;
  int known = program_find_port(forward, PORT_PARAMETER, port->name);
  if (!check->parameter_values) check->parameter_values = ARENA_ARRAY(check->arena, const double *, forward->port_count);
  if (!check->parameter_values[known]) check->parameter_values[known] = read_parameter(check, program, port);
  return (double *)check->parameter_values[known];
}

static Interpretation *start(Check *check, const Program *program) {
  const int64_t *symbols = check_sizes(check, program);
  if (!symbols) return NULL;
  Interpretation *interpretation = interpretation_create(check->arena, program, symbols);
  for (int i = 0; i < program->port_count; i++) {
    const Port *port = &program->ports[i];
    const ReferenceTensor *tensor = NULL;
    switch (port->kind) {
    case PORT_PARAMETER:
      if (!(interpretation->values[port->tensor] = parameter_values(check, program, port))) return NULL;
      continue;
    case PORT_INPUT: tensor = check_find(check, "input.", port->name); break;
    case PORT_STATE: tensor = check_find(check, "state0.", port->name); break;
    case PORT_COTANGENT: tensor = check_find(check, "cotangent.", port->name); break;
    default: continue;
    }
    if (tensor) interpretation->values[port->tensor] = tensor->values;
  }
  return interpretation;
}

static const double *computed(Check *check, Interpretation *interpretation, TensorId tensor, const char *name) {
  const char *error;
  const double *values = interpret(interpretation, tensor, &error);
  if (!values) report_failure(check, CHECK_INTERPRETED, name, "%s", error);
  return values;
}

/* Compares when the file holds the tensor. */
static void compare(Check *check, Interpretation *interpretation, TensorId tensor, const char *prefix, const char *name) {
  const ReferenceTensor *reference = check_find(check, prefix, name);
  if (!reference || reference->elements != interpretation_elements(interpretation, tensor)) return;
  const double *values = computed(check, interpretation, tensor, arena_format(check->arena, "%s%s", prefix, name));
  if (values) report_tensor(check, CHECK_INTERPRETED, prefix, name, values);
}

static void compare_parameter_gradient(Check *check, Interpretation *interpretation, const Port *port, TensorId gradient) {
  const Program *program = interpretation->program;
  int64_t turns = port->has_turns ? program->tensors[port->tensor].shape[0].constant : 1;
  int64_t elements = interpretation_elements(interpretation, gradient) / turns;
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *name = arena_format(check->arena, "grad.param.%s", port_turn_name(check->arena, port, turn));
    if (!reference_find(check->reference, name)) continue;
    const double *values = computed(check, interpretation, gradient, name);
    if (values) report_values(check, CHECK_INTERPRETED, name, values + turn * elements);
  }
}

static void compare_results(Check *check, Interpretation *interpretation, PortKind kind, const char *prefix) {
  const Program *program = interpretation->program;
  for (int i = 0; i < program->port_count; i++) {
    const Port *port = &program->ports[i];
    if (port->kind != kind) continue;
    compare(check, interpretation, port->tensor, prefix, port->name);
  }
}

static void compare_gradients(Check *check, Interpretation *interpretation) {
  const Program *program = interpretation->program;
  for (int i = 0; i < program->port_count; i++) {
    if (program->ports[i].kind != PORT_GRADIENT) continue;
    const Port *port = &program->ports[program->ports[i].of];
    TensorId gradient = program->ports[i].tensor;
    if (port->kind == PORT_PARAMETER) {
      compare_parameter_gradient(check, interpretation, port, gradient);
      continue;
    }
    compare(check, interpretation, gradient, port->kind == PORT_INPUT ? "grad.input." : "grad.state0.", port->name);
  }
}

static bool run_interpreter(Check *check) {
  Interpretation *forward = start(check, check->lowered.batched);
  if (!forward) return false;
  compare_results(check, forward, PORT_OUTPUT, "output.");
  compare_results(check, forward, PORT_OBJECTIVE, "output.");
  compare_results(check, forward, PORT_FINAL_STATE, "state.");
  if (check->has_gradients && check->lowered.gradient) {
    Interpretation *backward = start(check, check->lowered.gradient);
    if (!backward) return false;
    compare_gradients(check, backward);
  }
  return true;
}

void check_interpreted(Check *check) {
  bool has_run = true;
  for (int run = 0; run < check->run_count; run++) {
    check->suffix = check->runs[run];
    has_run &= run_interpreter(check);
  }
  if (has_run) report_missing(check, CHECK_INTERPRETED);
  else report_failure(check, CHECK_INTERPRETED, "-", "the parameters cannot be read");
}
