/* check_bind.c - which tensor of the file belongs to which parameter, input, output or state, and the sizes that follow.
 *
 * The file's names are the model's public names behind a prefix. Everything that is missing or unknown is listed at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "driver/check_internal.h"

/* ---- names ---- */

/* The tensors of all turns as one, whose first axis is the turn. */
static const ReferenceTensor *stack_turns(const Check *check, const char *prefix, const char *name) {
  Arena *arena = check->arena;
  const ReferenceTensor *first = NULL, *next = NULL;
  double *values = NULL;
  int64_t turns = 0, capacity = 0;
  while ((next = reference_find(check->reference, arena_format(arena, "%s%s", prefix, turn_name(arena, name, 1, 0, turns))))) {
    if (!first) first = next;
    if (next->elements != first->elements) break;
    if (turns == capacity) {
      double *bigger = ARENA_ARRAY(arena, double, (capacity = 2 * capacity + 4) * first->elements);
      if (turns) memcpy(bigger, values, sizeof *values * (size_t)(turns * first->elements));
      values = bigger;
    }
    memcpy(values + turns++ * first->elements, next->values, sizeof *values * (size_t)first->elements);
  }
  if (!first) return NULL;
  ReferenceTensor *stack = arena_copy(arena, first, sizeof *stack);
  int64_t *shape = ARENA_ARRAY(arena, int64_t, first->rank + 1);
  shape[0] = turns;
  memcpy(shape + 1, first->shape, sizeof *shape * (size_t)first->rank);
  stack->rank++;
  stack->shape = shape;
  stack->elements *= turns;
  stack->values = values;
  return stack;
}

const ReferenceTensor *check_find(const Check *check, const char *prefix, const char *name) {
  if (strstr(name, "{}")) return stack_turns(check, prefix, name);
  return reference_find(check->reference, arena_format(check->arena, "%s%s", prefix, name));
}

const ReferenceTensor *check_find_parameter(const Check *check, const char *name) {
  return check->weights ? reference_find(check->weights, name) : check_find(check, "param.", name);
}

const char *turn_name(Arena *arena, const char *name, int64_t scale, int64_t offset, int64_t turn) {
  const char *place = strstr(name, "{}");
  if (!place) return name;
  return arena_format(arena, "%.*s%lld%s", (int)(place - name), name, (long long)(scale * turn + offset), place + 2);
}

/* The name without the prefix, or NULL when it has another one. */
static const char *without_prefix(const char *name, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(name, prefix, length) == 0 ? name + length : NULL;
}

/* ---- shapes ---- */

static const char *shape_text(Arena *arena, int rank, const int64_t *shape) {
  Text text = {.arena = arena};
  text_add(&text, "(");
  for (int axis = 0; axis < rank; axis++) text_format(&text, "%s%lld", axis ? ", " : "", (long long)shape[axis]);
  text_add(&text, ")");
  return text_string(&text);
}

/* The same memory: axes of one are runs of axes of the other, each declared one whole or part of a stored one. */
static bool is_finer(int rank, const int64_t *shape, int stored_rank, const int64_t *stored) {
  int axis = 0;
  for (int s = 0; s < stored_rank; s++) {
    int64_t product = 1;
    while (axis < rank && (product < stored[s] || shape[axis] == 1)) product *= shape[axis++];
    if (product != stored[s]) return false;
  }
  while (axis < rank && shape[axis] == 1) axis++;
  return axis == rank;
}

static void add_shape_error(Check *check, const Port *port, const ReferenceTensor *tensor, int rank, const int64_t *shape) {
  bool is_weight = check->weights && port->kind == PORT_PARAMETER;
  diagnostics_error(check->diagnostics, port->source, "'%s' has shape %s in the model, but '%s' in '%s' has %s", port->name,
                    shape_text(check->arena, rank, shape), tensor->name,
                    is_weight ? check->weights->path : check->reference->path,
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
  default: return NULL;
  }
}

/* The sizes that one tensor shows; two tensors that disagree are an error. A shape finer than the stored one shows those of its
 * leading axes, up to the first constant. */
static void bind_sizes_of(Check *check, const Program *program, const Port *port, int64_t *symbols) {
  const Tensor *tensor = &program->tensors[port->tensor];
  const ReferenceTensor *stored = tensor_of_port(check, port);
  if (!stored) return;
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
  int errors = diagnostics_error_count(check->diagnostics);
  int64_t *symbols = ARENA_ARRAY(check->arena, int64_t, program->symbol_count);
  for (int i = 0; i < program->port_count; i++) bind_sizes_of(check, program, &program->ports[i], symbols);
  for (int i = 0; i < program->symbol_count; i++) {
    const Symbol *symbol = &program->symbols[i];
    if (symbol->kind == SYMBOL_BATCH && symbols[i] == 0) symbols[i] = 1;
    if (symbol->kind == SYMBOL_POSITION || symbol->kind == SYMBOL_HISTORY || symbols[i] > 0) continue;
    diagnostics_error(check->diagnostics, program->source, "no tensor of '%s' gives the size '%s'", check->reference->path,
                      symbol->name);
  }
  return diagnostics_error_count(check->diagnostics) == errors ? symbols : NULL;
}

/* ---- what the model needs ---- */

static void check_parameter(Check *check, const Program *program, const Port *port) {
  int64_t turns = port->has_turns ? program->tensors[port->tensor].shape[0].constant : 1;
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *name = turn_name(check->arena, port->name, port->turn_scale, port->turn_offset, turn);
    const ReferenceTensor *tensor = check_find_parameter(check, name);
    const char *path = check->weights ? check->weights->path : check->reference->path;
    if (!tensor) {
      diagnostics_error(check->diagnostics, port->source, "parameter '%s' is missing from '%s'", name, path);
      continue;
    }
    bool is_same = tensor->rank == port->stored_rank;
    for (int axis = 0; is_same && axis < tensor->rank; axis++) is_same = tensor->shape[axis] == port->stored_shape[axis];
    if (!is_same && !is_finer(port->stored_rank, port->stored_shape, tensor->rank, tensor->shape))
      add_shape_error(check, port, tensor, port->stored_rank, port->stored_shape);
  }
}

static void check_shape(Check *check, const Program *program, const Port *port, const int64_t *symbols) {
  const Tensor *tensor = &program->tensors[port->tensor];
  const ReferenceTensor *stored = tensor_of_port(check, port);
  if (!stored) {
    if (port->kind == PORT_INPUT)
      diagnostics_error(check->diagnostics, port->source, "input '%s' is missing from '%s'", port->name, check->reference->path);
    return;
  }
  int64_t *shape = ARENA_ARRAY(check->arena, int64_t, tensor->rank);
  for (int axis = 0; axis < tensor->rank; axis++) shape[axis] = size_value(tensor->shape[axis], symbols);
  if (!is_finer(tensor->rank, shape, stored->rank, stored->shape)) add_shape_error(check, port, stored, tensor->rank, shape);
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

static bool has_port(Arena *arena, const Program *program, PortKind kind, const char *name) {
  for (int i = 0; i < program->port_count; i++) {
    const Port *port = &program->ports[i];
    if (port->kind != kind) continue;
    bool has_turns = strstr(port->name, "{}");
    int64_t scale = port->has_turns ? port->turn_scale : 1, offset = port->has_turns ? port->turn_offset : 0;
    int64_t turns = has_turns ? program->tensors[port->tensor].shape[0].constant : 1;
    for (int64_t turn = 0; turn < turns; turn++)
      if (strcmp(turn_name(arena, port->name, scale, offset, turn), name) == 0) return true;
  }
  return false;
}

static void check_is_known(Check *check, const Program *program, const char *tensor) {
  const char *name, *what;
  bool is_known = true;
  if ((name = without_prefix(tensor, "param."))) {
    what = "parameter";
    is_known = check->weights || has_port(check->arena, program, PORT_PARAMETER, name);
  } else if ((name = without_prefix(tensor, "input."))) {
    what = "input";
    is_known = has_port(check->arena, program, PORT_INPUT, name);
  } else if ((name = without_prefix(tensor, "output."))) {
    what = "output";
    is_known = has_port(check->arena, program, PORT_OUTPUT, name) ||
               has_port(check->arena, program, PORT_OBJECTIVE, name);
  } else if ((name = without_prefix(tensor, "state0."))) {
    what = "initial state";
    is_known = has_port(check->arena, program, PORT_STATE, name);
  } else if ((name = without_prefix(tensor, "state."))) {
    what = "state";
    is_known = has_port(check->arena, program, PORT_FINAL_STATE, name);
  }
  if (!is_known)
    diagnostics_error(check->diagnostics, program->source, "the model declares no %s '%s', which '%s' holds", what, name,
                      check->reference->path);
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
  for (int i = 0; i < check->reference->tensor_count; i++) check_is_known(check, program, check->reference->tensors[i].name);
  for (int i = 0; i < program->port_count; i++)
    if (program->ports[i].kind == PORT_PARAMETER) check_parameter(check, program, &program->ports[i]);
  check_gradients(check, program);
  const int64_t *symbols = check_sizes(check, program);
  for (int i = 0; symbols && i < program->port_count; i++)
    if (program->ports[i].kind != PORT_PARAMETER) check_shape(check, program, &program->ports[i], symbols);
  return diagnostics_error_count(check->diagnostics) == errors;
}
