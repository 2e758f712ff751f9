/* check_bind.c - which tensor of the file belongs to which parameter, input, output or state, and the sizes that follow.
 *
 * Everything that is missing or unknown is listed at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "driver/check_internal.h"

const Reference *check_parameter_source(const Check *check) { return check->weights ? check->weights : check->reference; }

const ReferenceTensor *check_find_parameter(const Check *check, const char *name) {
  return reference_find(check_parameter_source(check), check->weights ? name : arena_format(check->arena, "param.%s", name));
}

/* ---- shapes ---- */

static void add_shape_error(Check *check, const Port *port, const ReferenceTensor *tensor, int rank, const int64_t *shape) {
  diagnostics_error(check->diagnostics, port->source, "'%s' has shape %s in the model, but '%s' in '%s' has %s", port->name,
                    shape_text(check->arena, rank, shape), tensor->name, check->reference->path,
                    shape_text(check->arena, tensor->rank, tensor->shape));
}

/* ---- sizes ---- */

static int64_t size_value(Size size, const int64_t *symbols) {
  return size.constant + (size.symbol == NONE ? 0 : symbols[size.symbol]);
}

static const ReferenceTensor *tensor_of_port(const Check *check, const Port *port) {
  switch (port->kind) {
  case PORT_INPUT: return check_find(check, "input.", port->name);
  case PORT_STATE: return check_find(check, "state0.", port->name);
  case PORT_OUTPUT: return check_find(check, "output.", port->name);
  case PORT_FINAL_STATE: return check_find(check, "state.", port->name);
  case PORT_COTANGENT: return check_find(check, "cotangent.", port->name);
  default: return NULL;
  }
}

static bool port_is_shared(const Check *check, const Port *port) {
  if (port->kind == PORT_OUTPUT) return check_is_shared(check, "output.", port->name);
  return port->kind == PORT_FINAL_STATE && check_is_shared(check, "state.", port->name);
}

/* The sizes that one tensor shows; two tensors that disagree are an error. A shape finer than the stored one shows those of its
 * leading axes, up to the first constant. */
static void bind_sizes_of(Check *check, const Program *program, const Port *port, int64_t *symbols) {
  const Tensor *tensor = &program->tensors[port->tensor];
  const ReferenceTensor *stored = tensor_of_port(check, port);
  if (!stored || port_is_shared(check, port)) return;
  for (int axis = 0; axis < tensor->rank && axis < stored->rank; axis++) {
    Size size = tensor->shape[axis];
    if (size.symbol == NONE && stored->rank != tensor->rank) return;
    if (size.symbol == NONE) continue;
    int64_t value = stored->shape[axis] - size.constant, *bound = &symbols[size.symbol];
    if (*bound == 0) *bound = value;
    if (*bound == value) continue;
    diagnostics_error(check->diagnostics, port->source, "'%s' in '%s' has %s = %lld, but other tensors have %lld", stored->name,
                      check->reference->path, program->symbols[size.symbol].name, (long long)value, (long long)*bound);
  }
}

int64_t *check_sizes(Check *check, const Program *program) {
  if (check->symbols) return arena_copy(check->arena, check->symbols, sizeof *check->symbols * (size_t)program->symbol_count);
  int errors = diagnostics_error_count(check->diagnostics);
  int64_t *symbols = ARENA_ARRAY(check->arena, int64_t, program->symbol_count);
  for (int i = 0; i < program->port_count; i++) bind_sizes_of(check, program, &program->ports[i], symbols);
  for (int i = 0; i < program->symbol_count; i++) {
    const Symbol *symbol = &program->symbols[i];
    if (symbol->kind == SYMBOL_BATCH && symbols[i] == 0) symbols[i] = 1;
    if (symbol->kind == SYMBOL_POSITION || symbol->kind == SYMBOL_RECENT || symbol->kind == SYMBOL_HISTORY || symbols[i] > 0) continue;
    diagnostics_error(check->diagnostics, program->source, "no tensor of '%s' gives the size '%s'", check->reference->path,
                      symbol->name);
  }
  return diagnostics_error_count(check->diagnostics) == errors ? symbols : NULL;
}

/* ---- what the model needs ---- */

static void check_shape(Check *check, const Program *program, const Port *port, const int64_t *symbols) {
  const Tensor *tensor = &program->tensors[port->tensor];
  const ReferenceTensor *stored = tensor_of_port(check, port);
  if (!stored) {
    if (port->kind == PORT_INPUT)
      diagnostics_error(check->diagnostics, port->source, "input '%s' is missing from '%s'",
                        check->suffix ? arena_format(check->arena, "%s_%s", port->name, check->suffix) : port->name,
                        check->reference->path);
    return;
  }
  int64_t *shape = ARENA_ARRAY(check->arena, int64_t, tensor->rank);
  for (int axis = 0; axis < tensor->rank; axis++) shape[axis] = size_value(tensor->shape[axis], symbols);
  if (!port_is_shared(check, port) && !shape_is_finer(tensor->rank, shape, stored->rank, stored->shape))
    add_shape_error(check, port, stored, tensor->rank, shape);
  if (port->kind == PORT_INPUT && stored->is_integer != (tensor->type == TYPE_INT))
    diagnostics_error(check->diagnostics, port->source, "input '%s' is %s, but '%s' in '%s' is %s", port->name,
                      tensor->type == TYPE_INT ? "an integer" : "real", stored->name, check->reference->path, stored->dtype);
  if (port->kind == PORT_INPUT && tensor->type == TYPE_INT)
    for (int64_t i = 0; i < stored->elements; i++)
      if (stored->values[i] < INT32_MIN || stored->values[i] > INT32_MAX) {
        diagnostics_error(check->diagnostics, port->source, "element %lld of '%s' in '%s' is %.0f: expected a number of 32 bits",
                          (long long)i, stored->name, check->reference->path, stored->values[i]);
        break;
      }
}

/* ---- what the file holds ---- */

/* An integer that the model computes and the file has not: perhaps another spelling of what the file has. */
static bool has_integer_alone(const Check *check, const Program *program) {
  for (int i = 0; i < program->port_count; i++) {
    const Port *port = &program->ports[i];
    if (port->kind != PORT_OUTPUT || program->tensors[port->tensor].type != TYPE_INT) continue;
    bool is_found = false;
    for (int n = 0; n < check->reference->tensor_count && !is_found; n++) {
      const char *name = without_prefix(check->reference->tensors[n].name, "output.");
      const char *known = name ? check_port_name(check, PORT_OUTPUT, name) : NULL;
      is_found = known && strcmp(known, port->name) == 0;
    }
    if (!is_found) return true;
  }
  return false;
}

static void skip(Check *check, int tensor, const char *reason) {
  check->is_skipped[tensor] = true;
  fprintf(check->options->stream, "skipped %s: %s\n", check->reference->tensors[tensor].name, reason);
}

/* Numbers that a model computes are never skipped; tokens that generation chose are no output of a model that declares none. */
static bool may_skip(const Check *check, const Program *program, const ReferenceTensor *tensor) {
  return tensor->is_integer && without_prefix(tensor->name, "output.") && !has_integer_alone(check, program);
}

static void check_is_known(Check *check, const Program *program, int number) {
  static const struct {
    const char *prefix, *what;
    PortKind kind, other_kind;
  } kinds[] = {{"input.", "input", PORT_INPUT, PORT_INPUT},
               {"output.", "output", PORT_OUTPUT, PORT_OBJECTIVE},
               {"state0.", "initial state", PORT_STATE, PORT_STATE},
               {"state.", "state", PORT_FINAL_STATE, PORT_FINAL_STATE}};
  static const char *const others[] = {"param.", "cotangent.", "grad.", "loss"};
  const ReferenceTensor *tensor = &check->reference->tensors[number];
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    const char *name = without_prefix(tensor->name, kinds[k].prefix);
    if (!name) continue;
    if (check_port_name(check, kinds[k].kind, name) || check_port_name(check, kinds[k].other_kind, name)) return;
    if (may_skip(check, program, tensor)) skip(check, number, "integers, and the model declares no output of this name");
    else
      diagnostics_error(check->diagnostics, program->source, "the model declares no %s '%s', which '%s' holds", kinds[k].what,
                        name, check->reference->path);
    return;
  }
  for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
    if (without_prefix(tensor->name, others[k])) return;
  skip(check, number, "neither an input nor a result of a model");
}

/* Cotangents weigh outputs, an objective is differentiated by itself: both at once are two different scalars. */
static void check_gradients(Check *check, const Program *program) {
  const Port *objective = NULL;
  for (int i = 0; i < program->port_count; i++)
    if (program->ports[i].kind == PORT_OBJECTIVE) objective = &program->ports[i];
  for (int i = 0; i < check->reference->tensor_count; i++) {
    const char *tensor = check->reference->tensors[i].name, *name = without_prefix(tensor, "cotangent.");
    if (without_prefix(tensor, "grad.")) check->has_gradients = true;
    if (!name || !objective || strcmp(name, objective->name) == 0) continue;
    diagnostics_error(check->diagnostics, objective->source,
                      "the model is differentiated by its objective '%s', but '%s' in '%s' weighs an output", objective->name,
                      tensor, check->reference->path);
  }
}

bool check_names(Check *check) {
  const Program *program = check->lowered.batched;
  int errors = diagnostics_error_count(check->diagnostics);
  if (!check_find_runs(check)) return false;
  for (int i = 0; i < check->reference->tensor_count; i++) check_is_known(check, program, i);
  if (!check->weights) weights_check(check->arena, program, check->reference, "param.", check->diagnostics);
  check_gradients(check, program);
  for (int run = 0; run < check->run_count; run++) {
    check->suffix = check->runs[run];
    const int64_t *symbols = check_sizes(check, program);
    for (int i = 0; symbols && i < program->port_count; i++)
      if (program->ports[i].kind != PORT_PARAMETER) check_shape(check, program, &program->ports[i], symbols);
  }
  return diagnostics_error_count(check->diagnostics) == errors;
}
