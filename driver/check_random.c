/* check_random.c - `seqc --check MODEL` without reference data: sizes and data are drawn, the interpreter says what should come out.
 *
 * Every compiled form is compared with the equations as they stand in double precision, whose gradients are compared with finite
 * differences along random directions, which know nothing of how equations are differentiated. What is printed is the largest
 * error of each kind; a tensor that is out of tolerance has a line of its own.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "driver/check_internal.h"
#include "ir/interpret.h"
#include "seqrt/random.h"

enum { MOST_TRIES = 600, MOST_SIZES = 24, SMALLEST_TABLE = 3, DIRECTIONS = 2 };
static const double STEP_OF_DIFFERENCE = 0x1p-20; /* small: the corners of max and if are rarely nearer */
static const double DIFFERENCE_TOLERANCE = 1e-5;

/* ---- sizes ---- */

/* Small, odd and different. Some models fit together for few sizes only (a width that is heads times channels): then others are tried. */
static void draw_sizes(seqrt_random *random, int attempt, int64_t *sizes) {
  static const int64_t odd[] = {3, 5, 7};
  int64_t shuffled[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16};
  enum { COUNT = sizeof shuffled / sizeof *shuffled };
  for (int n = COUNT - 1; n > 0; n--) {
    int m = (int)((n + 1) * seqrt_random_uniform(random));
    int64_t kept = shuffled[n];
    shuffled[n] = shuffled[m];
    shuffled[m] = kept;
  }
  for (int n = 0; n < MOST_SIZES; n++) {
    sizes[n] = attempt < 3 ? odd[(n + attempt) % 3] : shuffled[n % COUNT];
    if (attempt >= 3 && seqrt_random_uniform(random) < 0.2) sizes[n] = 0; /* an axis of an input may be a length */
  }
}

FrontendResult compile_with_any_sizes(Check *check) {
  FrontendOptions frontend = check->options->frontend;
  seqrt_random random = {.seed = (uint64_t)check->options->seed, .stream = 1};
  Diagnostics *best = NULL; /* those of the sizes that fit best */
  for (int attempt = 0; attempt < MOST_TRIES; attempt++) {
    int64_t *sizes = ARENA_ARRAY(check->arena, int64_t, MOST_SIZES);
    draw_sizes(&random, attempt, sizes);
    frontend.free_sizes = sizes;
    frontend.free_size_count = MOST_SIZES;
    Diagnostics *diagnostics = diagnostics_create(check->arena);
    FrontendResult read = frontend_compile(check->arena, check->options->model, &frontend, false, diagnostics);
    int errors = diagnostics_error_count(diagnostics);
    if (!best || errors < diagnostics_error_count(best)) best = check->diagnostics = diagnostics;
    if (read.program && !errors) return read;
    if (read.chosen_count == 0) break; /* other sizes change nothing */
  }
  return (FrontendResult){0};
}

static int64_t *draw_lengths(Check *check, const Program *program, seqrt_random *random) {
  const Program *gradient = check->lowered.gradient; /* may have one more: the position */
  int count = gradient && gradient->symbol_count > program->symbol_count ? gradient->symbol_count : program->symbol_count;
  int64_t *symbols = ARENA_ARRAY(check->arena, int64_t, count);
  for (int s = 0; s < program->symbol_count; s++) {
    SymbolKind kind = program->symbols[s].kind;
    int64_t some = (int64_t)(3 * seqrt_random_uniform(random));
    int64_t limit = check->lowered.module->limits ? check->lowered.module->limits[s] : 0; /* where a table ends */
    symbols[s] = kind == SYMBOL_BATCH ? 1 + some : kind == SYMBOL_STREAM ? 11 + 2 * some : kind == SYMBOL_LENGTH ? 3 + 2 * some : 0;
    if (limit > 0 && symbols[s] > limit) symbols[s] = limit;
  }
  return symbols;
}

/* ---- data ---- */

typedef struct Maker {
  Check *check;
  const Program *program;
  const int64_t *symbols;
  double **given;      /* by tensor */
  double **cotangents; /* by port: of real outputs; not used where the model has an objective */
  bool has_objective;
  seqrt_random random;
  Reference *reference;
} Maker;

static int64_t size_of(const Maker *maker, Size size) { return size.constant + (size.symbol == NONE ? 0 : maker->symbols[size.symbol]); }

static int64_t count_of(const Maker *maker, const Tensor *tensor) {
  int64_t count = 1;
  for (int axis = 0; axis < tensor->rank; axis++) count *= size_of(maker, tensor->shape[axis]);
  return count;
}

/* An integer input is drawn from what it may index. */
static int64_t integer_limit(const Maker *maker, const Port *port) {
  const Module *module = maker->check->lowered.module;
  int input = 0;
  for (int p = 0; p < maker->program->port_count && &maker->program->ports[p] != port; p++) input += maker->program->ports[p].kind == PORT_INPUT;
  for (int n = 0; n < module->check_count; n++)
    if (module->checks[n].input == input) return size_of(maker, module->checks[n].high);
  return SMALLEST_TABLE;
}

static double draw_real(Maker *maker, const Port *port) {
  double uniform = seqrt_random_uniform(&maker->random);
  switch (port->kind == PORT_PARAMETER ? port->init : INIT_NONE) {
  case INIT_CONSTANT: return port->init_a + 0.6 * (uniform - 0.5);
  case INIT_UNIFORM: return port->init_a + (port->init_b - port->init_a) * uniform;
  case INIT_NORMAL: return port->init_a + fmax(port->init_b, 0.3) * seqrt_random_normal(&maker->random);
  default: return 1.6 * uniform - 0.8;
  }
}

/* Exact as float, so that every form of the model sees the same numbers. */
static double *draw(Maker *maker, const Port *port) {
  const Tensor *tensor = &maker->program->tensors[port->tensor];
  int64_t count = count_of(maker, tensor), limit = tensor->type == TYPE_INT ? integer_limit(maker, port) : 0;
  double *values = ARENA_ARRAY(maker->check->arena, double, count);
  for (int64_t i = 0; i < count; i++)
    values[i] = tensor->type == TYPE_INT ? floor((double)limit * seqrt_random_uniform(&maker->random)) : (double)(float)draw_real(maker, port);
  return values;
}

/* Under its public name, one tensor for each turn of a parameter, or for each element of the first axis where the name has a place for it. */
static void add_tensors(Maker *maker, const char *prefix, const Port *port, const double *values) {
  Arena *arena = maker->check->arena;
  const Tensor *tensor = &maker->program->tensors[port->tensor];
  bool has_turns = strstr(port->name, "{}") && (port->has_turns || port->kind != PORT_PARAMETER);
  int64_t turns = has_turns ? size_of(maker, tensor->shape[0]) : 1, elements = count_of(maker, tensor) / turns;
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *name = has_turns ? turn_name(arena, port->name, port->has_turns ? port->turn_scale : 1, port->has_turns ? port->turn_offset : 0, turn) : port->name;
    ReferenceTensor added = {.name = arena_format(arena, "%s%s", prefix, name), .dtype = "F64", .elements = elements};
    added.is_integer = tensor->type == TYPE_INT;
    added.is_double = true;
    added.values = arena_copy(arena, values + turn * elements, sizeof *values * (size_t)elements);
    int first = has_turns ? 1 : 0;
    bool is_parameter = port->kind == PORT_PARAMETER;
    added.rank = is_parameter ? port->stored_rank : tensor->rank - first;
    added.shape = ARENA_ARRAY(arena, int64_t, added.rank);
    for (int axis = 0; axis < added.rank; axis++) added.shape[axis] = is_parameter ? port->stored_shape[axis] : size_of(maker, tensor->shape[axis + first]);
    ARENA_PUSH(arena, maker->reference->tensors, maker->reference->tensor_count, added);
  }
}

static Interpretation *start(const Maker *maker, Arena *arena, const Program *program) {
  Interpretation *interpretation = interpretation_create(arena, program, maker->symbols);
  for (int t = 0; t < maker->program->tensor_count; t++)
    if (maker->given[t]) interpretation->values[t] = maker->given[t];
  for (int p = 0; p < program->port_count; p++) {
    const Port *port = &program->ports[p];
    if (port->kind != PORT_COTANGENT) continue;
    int output = program_find_port(maker->program, PORT_OUTPUT, port->name);
    if (output != NONE) interpretation->values[port->tensor] = maker->cotangents[output];
  }
  return interpretation;
}

/* NULL after a line that says why. */
static const double *value_of(const Maker *maker, Interpretation *interpretation, TensorId tensor) {
  const char *error = NULL;
  const double *values = interpret(interpretation, tensor, &error);
  if (values) return values;
  fprintf(stderr, "%s: the equations have no value: %s\n", maker->check->options->model, error);
  maker->check->is_bad = true;
  return NULL;
}

static void add_sources(Maker *maker) {
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    maker->has_objective |= port->kind == PORT_OBJECTIVE;
    bool is_result = port->kind == PORT_OUTPUT && maker->program->tensors[port->tensor].type == TYPE_REAL;
    if (is_result) maker->cotangents[p] = draw(maker, port);
    if (port->kind != PORT_PARAMETER && port->kind != PORT_INPUT && port->kind != PORT_STATE) continue;
    maker->given[port->tensor] = draw(maker, port);
    add_tensors(maker, port->kind == PORT_PARAMETER ? "param." : port->kind == PORT_INPUT ? "input." : "state0.", port, maker->given[port->tensor]);
  }
  for (int p = 0; !maker->has_objective && p < maker->program->port_count; p++)
    if (maker->cotangents[p]) add_tensors(maker, "cotangent.", &maker->program->ports[p], maker->cotangents[p]);
}

static bool add_results(Maker *maker) {
  Interpretation *interpretation = start(maker, maker->check->arena, maker->program);
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    bool is_output = port->kind == PORT_OUTPUT || port->kind == PORT_OBJECTIVE;
    if (!is_output && port->kind != PORT_FINAL_STATE) continue;
    const double *values = value_of(maker, interpretation, port->tensor);
    if (!values) return false;
    add_tensors(maker, is_output ? "output." : "state.", port, values);
  }
  return true;
}

/* ---- gradients ---- */

/* What is differentiated: the objective, or the outputs weighed with their cotangents. */
static bool scalar(const Maker *maker, double *out_sum) {
  Arena *arena = arena_create();
  Interpretation *interpretation = start(maker, arena, maker->program);
  bool is_done = true;
  *out_sum = 0;
  for (int p = 0; p < maker->program->port_count && is_done; p++) {
    const Port *port = &maker->program->ports[p];
    if (maker->has_objective ? port->kind != PORT_OBJECTIVE : !maker->cotangents[p]) continue;
    const double *values = value_of(maker, interpretation, port->tensor);
    int64_t count = count_of(maker, &maker->program->tensors[port->tensor]);
    is_done = values != NULL;
    for (int64_t i = 0; i < count && is_done; i++) *out_sum += maker->has_objective ? values[i] : values[i] * maker->cotangents[p][i];
  }
  arena_destroy(arena);
  return is_done;
}

static bool scalar_beside(const Maker *maker, TensorId tensor, const double *direction, double distance, double *out_value) {
  int64_t count = count_of(maker, &maker->program->tensors[tensor]);
  double *middle = maker->given[tensor], *moved = malloc(sizeof *moved * (size_t)(count ? count : 1));
  if (!moved) return false;
  for (int64_t i = 0; i < count; i++) moved[i] = middle[i] + distance * direction[i];
  maker->given[tensor] = moved;
  bool is_done = scalar(maker, out_value);
  maker->given[tensor] = middle;
  free(moved);
  return is_done;
}

/* Along a direction of -1 and 1, by a formula of fourth order. The error is relative to the size of the gradient. */
static bool difference_error(Maker *maker, TensorId tensor, const double *gradient, double scale, double *out_error) {
  int64_t count = count_of(maker, &maker->program->tensors[tensor]);
  double *direction = ARENA_ARRAY(maker->check->arena, double, count), slope = 0, length = 0, value[4], h = STEP_OF_DIFFERENCE;
  for (int64_t i = 0; i < count; i++) {
    direction[i] = seqrt_random_uniform(&maker->random) < 0.5 ? -1 : 1;
    slope += direction[i] * gradient[i];
    length += gradient[i] * gradient[i];
  }
  static const double places[] = {1, -1, 2, -2};
  for (int n = 0; n < 4; n++)
    if (!scalar_beside(maker, tensor, direction, places[n] * h, &value[n])) return false;
  double difference = (8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * h);
  *out_error = fabs(difference - slope) / fmax(sqrt(length), scale);
  return true;
}

static void note_stop(void *context, const Expr *expr) {
  if (expr->op == OP_STOP_GRADIENT && !*(const Expr **)context) *(const Expr **)context = expr;
}

/* The first place that differences cannot follow, or NULL. */
static const Expr *find_stop(const Program *program) {
  const Expr *found = NULL;
  for (int n = 0; n < program->equation_count; n++) {
    const Expr *parts[] = {program->equations[n].value, program->equations[n].body};
    for (int p = 0; p < 2; p++)
      if (parts[p]) expr_visit(parts[p], note_stop, &found);
  }
  return found;
}

static bool check_difference(Maker *maker, const Port *port, const double *gradient, double largest) {
  for (int n = 0; n < DIRECTIONS; n++) {
    double error;
    if (!difference_error(maker, port->tensor, gradient, 1e-3 * largest, &error)) return false;
    report_difference(maker->check, port->name, error, DIFFERENCE_TOLERANCE);
  }
  return true;
}

static bool add_gradients(Maker *maker) {
  const Program *program = maker->check->lowered.gradient;
  if (!program) return true;
  const Expr *stop = find_stop(maker->program);
  if (stop)
    maker->check->note = stop->source.file ? arena_format(maker->check->arena, "no finite differences: stop_gradient at %s:%d", stop->source.file->path, stop->source.line)
                                           : "no finite differences: the model has a stop_gradient";
  Interpretation *interpretation = start(maker, maker->check->arena, program);
  const double **values = ARENA_ARRAY(maker->check->arena, const double *, program->port_count);
  double largest = 1e-9;
  for (int p = 0; p < program->port_count; p++) {
    if (program->ports[p].kind != PORT_GRADIENT) continue;
    values[p] = value_of(maker, interpretation, program->ports[p].tensor);
    if (!values[p]) return false;
    double length = 0;
    int64_t count = count_of(maker, &program->tensors[program->ports[p].tensor]);
    for (int64_t i = 0; i < count; i++) length += values[p][i] * values[p][i];
    largest = fmax(largest, sqrt(length));
  }
  for (int p = 0; p < program->port_count; p++) {
    if (!values[p]) continue;
    const Port *of = &program->ports[program->ports[p].of];
    const Port *port = &maker->program->ports[program_find_port(maker->program, of->kind, of->name)];
    add_tensors(maker, port->kind == PORT_PARAMETER ? "grad.param." : port->kind == PORT_INPUT ? "grad.input." : "grad.state0.", port, values[p]);
    if (!stop && !check_difference(maker, port, values[p], largest)) return false;
  }
  return true;
}

/* ---- the whole ---- */

static void add_streams(Maker *maker) {
  const Module *module = maker->check->lowered.module;
  maker->reference->streams = module->has_step ? STREAMS_LIST : STREAMS_ABSENT;
  for (int p = 0; p < maker->program->port_count; p++) {
    const Port *port = &maker->program->ports[p];
    if (port->kind == PORT_OUTPUT && port->streams) ARENA_PUSH(maker->check->arena, maker->reference->stream_outputs, maker->reference->stream_count, port->name);
  }
}

bool make_random_reference(Check *check) {
  Arena *arena = check->arena;
  Maker maker = {.check = check, .program = check->lowered.batched, .random = {.seed = (uint64_t)check->options->seed, .stream = 2}};
  maker.symbols = draw_lengths(check, maker.program, &maker.random);
  check->symbols = maker.symbols;
  maker.given = ARENA_ARRAY(arena, double *, maker.program->tensor_count);
  maker.cotangents = ARENA_ARRAY(arena, double *, maker.program->port_count);
  maker.reference = ARENA_NEW(arena, Reference);
  maker.reference->path = "random data";
  add_sources(&maker);
  add_streams(&maker);
  if (!add_results(&maker) || !add_gradients(&maker)) return false;
  check->reference = maker.reference;
  check->is_skipped = ARENA_ARRAY(arena, bool, maker.reference->tensor_count);
  return true;
}
