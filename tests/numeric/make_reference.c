/* make_reference.c - reference data for a model that has no paper to compare with, for `seqc --check`.
 *
 * Usage: make_reference MODEL.seq OUT.safetensors. Sizes, parameters and inputs are drawn at random; results are the interpreter's,
 * and so are gradients, of which those along random directions are compared with finite differences, which know nothing of how equations are
 * differentiated. Integer inputs are 0, 1 or 2: tables in these models have at least three rows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "frontend/frontend.h"
#include "ir/interpret.h"
#include "passes/passes.h"
#include "passes/pipeline.h"
#include "seqrt/random.h"
#include "seqrt/safetensors.h"

enum { ROWS = 3, STEPS = 29, OTHER_LENGTH = 5, SMALLEST_TABLE = 3, DIRECTIONS = 3 };
static const double STEP_OF_DIFFERENCE = 0x1p-20; /* small: the corners of max and if are rarely nearer */
static const double DIFFERENCE_TOLERANCE = 1e-6;

typedef struct Maker {
  Arena *arena;
  const Program *program, *gradient;
  int64_t *symbols, *gradient_symbols;
  double **given;      /* by tensor: parameters, inputs and states */
  double **cotangents; /* by port: of real outputs; unused where the model has an objective */
  bool has_objective;
  seqrt_random random;
  int tensor_count;
  seqrt_stored_tensor *tensors;
} Maker;

static _Noreturn void stop(const char *message) {
  fprintf(stderr, "make_reference: %s\n", message);
  exit(2);
}

/* ---- the file ---- */

static void add_tensor(Maker *maker, const char *name, seqrt_stored_dtype dtype, int rank, const int64_t *shape, const void *data) {
  seqrt_stored_tensor tensor = {.name = name, .dtype = dtype, .rank = rank, .shape = shape, .data = data};
  ARENA_PUSH(maker->arena, maker->tensors, maker->tensor_count, tensor);
}

static int64_t size_value(const Maker *maker, Size size) {
  return size.constant + (size.symbol == NONE ? 0 : maker->symbols[size.symbol]);
}

static int64_t *tensor_shape(const Maker *maker, const Tensor *tensor) {
  int64_t *shape = ARENA_ARRAY(maker->arena, int64_t, tensor->rank);
  for (int axis = 0; axis < tensor->rank; axis++) shape[axis] = size_value(maker, tensor->shape[axis]);
  return shape;
}

static int64_t element_count(const Maker *maker, const Tensor *tensor) {
  int64_t count = 1;
  for (int axis = 0; axis < tensor->rank; axis++) count *= size_value(maker, tensor->shape[axis]);
  return count;
}

/* The values of a port under its public name; a parameter of a repeat is one tensor for each turn. */
static void add_port(Maker *maker, const char *prefix, const Port *port, const double *values) {
  const Tensor *tensor = &maker->program->tensors[port->tensor];
  bool is_integer = tensor->type == TYPE_INT;
  int64_t count = element_count(maker, tensor), turns = port->has_turns ? tensor->shape[0].constant : 1;
  int64_t *integers = ARENA_ARRAY(maker->arena, int64_t, count);
  for (int64_t i = 0; is_integer && i < count; i++) integers[i] = (int64_t)values[i];
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *place = port->has_turns ? strstr(port->name, "{}") : NULL, *name = arena_format(maker->arena, "%s%s", prefix, port->name);
    if (place)
      name = arena_format(maker->arena, "%s%.*s%lld%s", prefix, (int)(place - port->name), port->name,
                          (long long)(port->turn_scale * turn + port->turn_offset), place + 2);
    if (port->kind == PORT_PARAMETER)
      add_tensor(maker, name, SEQRT_STORED_F64, port->stored_rank, port->stored_shape, values + turn * (count / turns));
    else
      add_tensor(maker, name, is_integer ? SEQRT_STORED_I64 : SEQRT_STORED_F64, tensor->rank, tensor_shape(maker, tensor),
                 is_integer ? (const void *)integers : values);
  }
}

/* ---- the run ---- */

/* Exact as float, so that every form of the model sees the same numbers. */
static double *draw(Maker *maker, const Tensor *tensor) {
  int64_t count = element_count(maker, tensor);
  double *values = ARENA_ARRAY(maker->arena, double, count);
  for (int64_t i = 0; i < count; i++) {
    double uniform = seqrt_random_uniform(&maker->random);
    values[i] = tensor->type == TYPE_INT ? (double)(int)(SMALLEST_TABLE * uniform) : (double)(float)(1.6 * uniform - 0.8);
  }
  return values;
}

static Interpretation *start(const Maker *maker, Arena *arena) {
  Interpretation *interpretation = interpretation_create(arena, maker->program, maker->symbols);
  for (int t = 0; t < maker->program->tensor_count; t++)
    if (maker->given[t]) interpretation->values[t] = maker->given[t];
  return interpretation;
}

static const double *value_of(Interpretation *interpretation, TensorId tensor) {
  const char *error = NULL;
  const double *values = interpret(interpretation, tensor, &error);
  if (!values) stop(error);
  return values;
}

/* What is differentiated: the objective, or the outputs weighed with their cotangents. */
static double scalar(const Maker *maker) {
  Arena *arena = arena_create();
  Interpretation *interpretation = start(maker, arena);
  double sum = 0;
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    if (maker->has_objective ? port->kind != PORT_OBJECTIVE : !maker->cotangents[p]) continue;
    const double *values = value_of(interpretation, port->tensor);
    int64_t count = element_count(maker, &maker->program->tensors[port->tensor]);
    for (int64_t i = 0; i < count; i++) sum += maker->has_objective ? values[i] : values[i] * maker->cotangents[p][i];
  }
  arena_destroy(arena);
  return sum;
}

static double scalar_beside(const Maker *maker, TensorId tensor, const double *direction, double distance) {
  int64_t count = element_count(maker, &maker->program->tensors[tensor]);
  double *middle = maker->given[tensor], *moved = malloc(sizeof *moved * (size_t)count);
  if (!moved) stop("out of memory");
  for (int64_t i = 0; i < count; i++) moved[i] = middle[i] + distance * direction[i];
  maker->given[tensor] = moved;
  double value = scalar(maker);
  maker->given[tensor] = middle;
  free(moved);
  return value;
}

/* Along directions of -1 and 1, by a formula of fourth order. */
static void compare_with_differences(Maker *maker, const Port *port, const double *gradient) {
  int64_t count = element_count(maker, &maker->program->tensors[port->tensor]);
  double *direction = ARENA_ARRAY(maker->arena, double, count), h = STEP_OF_DIFFERENCE;
  for (int n = 0; n < DIRECTIONS; n++) {
    double slope = 0, length = 0;
    for (int64_t i = 0; i < count; i++) {
      direction[i] = seqrt_random_uniform(&maker->random) < 0.5 ? -1 : 1;
      slope += direction[i] * gradient[i];
      length += gradient[i] * gradient[i];
    }
    double near = scalar_beside(maker, port->tensor, direction, h) - scalar_beside(maker, port->tensor, direction, -h);
    double far = scalar_beside(maker, port->tensor, direction, 2 * h) - scalar_beside(maker, port->tensor, direction, -2 * h);
    double difference = (8 * near - far) / (12 * h);
    if (!(fabs(difference - slope) <= DIFFERENCE_TOLERANCE * fmax(sqrt(length), 1e-2)))
      stop(arena_format(maker->arena, "the gradient of '%s' is %.9g along a direction, the difference is %.9g", port->name, slope, difference));
  }
}

/* ---- what goes into the file ---- */

static void choose_sizes(Maker *maker) {
  maker->symbols = ARENA_ARRAY(maker->arena, int64_t, maker->program->symbol_count);
  for (int s = 0; s < maker->program->symbol_count; s++) {
    SymbolKind kind = maker->program->symbols[s].kind;
    maker->symbols[s] = kind == SYMBOL_BATCH ? ROWS : kind == SYMBOL_STREAM || kind == SYMBOL_HISTORY ? STEPS : kind == SYMBOL_LENGTH ? OTHER_LENGTH : 0;
  }
}

/* A state with a value for each step has none before the first. */
static bool is_given(const Maker *maker, const Port *port) {
  if (port->kind == PORT_PARAMETER || port->kind == PORT_INPUT) return true;
  const Tensor *tensor = &maker->program->tensors[port->tensor];
  for (int axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis].symbol != NONE && maker->program->symbols[tensor->shape[axis].symbol].kind == SYMBOL_STREAM) return false;
  return port->kind == PORT_STATE;
}

static void add_sources(Maker *maker) {
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    const Tensor *tensor = &maker->program->tensors[port->tensor];
    maker->has_objective |= port->kind == PORT_OBJECTIVE;
    const char *prefix = port->kind == PORT_PARAMETER ? "param." : port->kind == PORT_INPUT ? "input." : "state0.";
    if (port->kind == PORT_OUTPUT && tensor->type == TYPE_REAL) maker->cotangents[p] = draw(maker, tensor);
    if (!is_given(maker, port)) continue;
    maker->given[port->tensor] = draw(maker, tensor);
    add_port(maker, prefix, port, maker->given[port->tensor]);
  }
  for (int p = 0; !maker->has_objective && p < maker->program->port_count; p++)
    if (maker->cotangents[p]) add_port(maker, "cotangent.", &maker->program->ports[p], maker->cotangents[p]);
}

static void add_results(Maker *maker) {
  Interpretation *interpretation = start(maker, maker->arena);
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    if (port->kind == PORT_OUTPUT || port->kind == PORT_OBJECTIVE)
      add_port(maker, "output.", port, value_of(interpretation, port->tensor));
    if (port->kind == PORT_FINAL_STATE) add_port(maker, "state.", port, value_of(interpretation, port->tensor));
  }
}

/* By symbol and tensor of the gradient's program, which begins with those of the model. */
static Interpretation *start_gradient(Maker *maker) {
  const Program *gradient = maker->gradient;
  maker->gradient_symbols = ARENA_ARRAY(maker->arena, int64_t, gradient->symbol_count);
  memcpy(maker->gradient_symbols, maker->symbols, sizeof *maker->symbols * (size_t)maker->program->symbol_count);
  Interpretation *interpretation = interpretation_create(maker->arena, gradient, maker->gradient_symbols);
  for (int t = 0; t < maker->program->tensor_count; t++)
    if (maker->given[t]) interpretation->values[t] = maker->given[t];
  for (int p = 0; p < gradient->port_count; p++) {
    const Port *port = &gradient->ports[p];
    if (port->kind != PORT_COTANGENT) continue;
    int output = program_find_port(maker->program, PORT_OUTPUT, port->name);
    interpretation->values[port->tensor] = maker->cotangents[output];
  }
  return interpretation;
}

static void add_gradients(Maker *maker) {
  if (!maker->gradient) return;
  const Program *program = maker->gradient;
  Interpretation *interpretation = start_gradient(maker);
  for (int g = 0; g < program->port_count; g++) {
    if (program->ports[g].kind != PORT_GRADIENT) continue;
    const Port *of = &program->ports[program->ports[g].of];
    const Port *port = &maker->program->ports[program_find_port(maker->program, of->kind, of->name)];
    const double *gradient = value_of(interpretation, program->ports[g].tensor);
    compare_with_differences(maker, port, gradient);
    const char *prefix = port->kind == PORT_PARAMETER ? "grad.param." : port->kind == PORT_INPUT ? "grad.input." : "grad.state0.";
    add_port(maker, prefix, port, gradient);
  }
}

/* The outputs that chunks and steps must give too; null where these forms cannot exist. */
static const char *streams_text(const Maker *maker) {
  const Port *reason = NULL;
  if (program_find_symbol(maker->program, SYMBOL_STREAM) == NONE || !program_has_step(maker->program, &reason)) return "null";
  Text text = {.arena = maker->arena};
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    if (port->kind == PORT_OUTPUT && port->streams) text_format(&text, "%s\"%s\"", text.length ? ", " : "", port->name);
  }
  return arena_format(maker->arena, "[%s]", text_string(&text));
}

static PipelineResult read_model(Arena *arena, const char *path) {
  Diagnostics *diagnostics = diagnostics_create(arena);
  FrontendResult read = frontend_compile(arena, path, &(FrontendOptions){0}, false, diagnostics);
  PipelineResult lowered = {0};
  if (read.program) lowered = pipeline_run(arena, read.program, &(PipelineOptions){.stop_after = "differentiate"}, diagnostics);
  diagnostics_print(diagnostics, stderr);
  if (diagnostics_error_count(diagnostics) || !lowered.batched) stop("the model has errors");
  return lowered;
}

int main(int argument_count, char **arguments) {
  if (argument_count != 3) stop("usage: make_reference MODEL.seq OUT.safetensors");
  Maker maker = {.arena = arena_create(), .random = {.seed = 7}};
  PipelineResult model = read_model(maker.arena, arguments[1]);
  maker.program = model.batched;
  maker.gradient = model.gradient;
  choose_sizes(&maker);
  maker.given = ARENA_ARRAY(maker.arena, double *, maker.program->tensor_count);
  maker.cotangents = ARENA_ARRAY(maker.arena, double *, maker.program->port_count);
  add_sources(&maker);
  add_results(&maker);
  add_gradients(&maker);
  seqrt_metadata metadata = {"streams", streams_text(&maker)};
  seqrt_error error = {0};
  if (seqrt_safetensors_save(arguments[2], maker.tensors, maker.tensor_count, &metadata, 1, &error) != SEQRT_OK) stop(error.message);
  arena_destroy(maker.arena);
  return 0;
}
