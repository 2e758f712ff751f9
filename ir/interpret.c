/* interpret.c - the oracle: which element is computed when, and how an equation is evaluated.
 *
 * A tensor outside of any cycle is computed as a whole when it is first read. Tensors that need each other (a recurrence)
 * are computed element by element on demand. Both are tasks on a list: the last one is tried; what it lacks is put
 * behind it, done first, and then it is tried again. An element that is needed by itself is found by its state.
 */
#include <math.h>

#include "ir/interpret_internal.h"

/* ---- messages ---- */

const char *element_text(Interpreter *interpreter, TensorId tensor, int64_t element) {
  Text text = {.arena = interpreter->arena};
  text_format(&text, "'%s'", interpreter->shared.program->tensors[tensor].name);
  const TensorState *state = &interpreter->tensors[tensor];
  if (element == ALL_ELEMENTS || state->rank == 0) return text_string(&text);
  int64_t stride = state->elements;
  for (int axis = 0; axis < state->rank; axis++) {
    stride /= state->shape[axis];
    text_format(&text, "%s%lld", axis ? ", " : "[", (long long)(element / stride % state->shape[axis]));
  }
  text_add(&text, "]");
  return text_string(&text);
}

void interpreter_fail(Interpreter *interpreter, SourceRange source, const char *format, ...) {
  if (interpreter->error) return;
  va_list arguments;
  va_start(arguments, format);
  const char *message = arena_format_list(interpreter->arena, format, arguments);
  va_end(arguments);
  const Equation *equation = program_definition(interpreter->shared.program, interpreter->current.tensor);
  if (!source.file && equation) source = equation->source;
  const char *place = "";
  if (source.file) place = arena_format(interpreter->arena, "%s:%d: ", source.file->path, source.line);
  interpreter->error = arena_format(interpreter->arena, "%s%s, in %s", place, message,
                                    element_text(interpreter, interpreter->current.tensor, interpreter->current.element));
}

/* ---- tasks ---- */

static void task_push(Interpreter *interpreter, TensorId tensor, int64_t element) {
  if (interpreter->task_count == interpreter->task_capacity) { /* ARENA_PUSH is for arrays that never shrink */
    Task *old = interpreter->tasks;
    interpreter->task_capacity = interpreter->task_capacity ? 2 * interpreter->task_capacity : 64;
    interpreter->tasks = ARENA_ARRAY(interpreter->arena, Task, interpreter->task_capacity);
    if (old) memcpy(interpreter->tasks, old, interpreter->task_count * sizeof *old);
  }
  interpreter->tasks[interpreter->task_count++] = (Task){tensor, element};
}

static void fail_by_cycle(Interpreter *interpreter, TensorId tensor, int64_t element) {
  enum { SHOWN = 6 };
  Text text = {.arena = interpreter->arena};
  bool is_inside = false;
  int shown = 0;
  for (size_t i = 0; i < interpreter->task_count && shown < SHOWN; i++) {
    const Task *task = &interpreter->tasks[i];
    bool is_start = task->tensor == tensor && task->element == element;
    if (is_inside && task->element != ALL_ELEMENTS && !is_start &&
        interpreter->tensors[task->tensor].states[task->element] == ELEMENT_STARTED) {
      text_format(&text, "%s %s", shown++ ? "," : " through", element_text(interpreter, task->tensor, task->element));
    }
    is_inside |= is_start;
  }
  interpreter_fail(interpreter, (SourceRange){0}, "%s depends on itself%s%s", element_text(interpreter, tensor, element),
                   text_string(&text), shown == SHOWN ? ", ..." : "");
}

bool request_element(Interpreter *interpreter, TensorId tensor, int64_t element) {
  if (interpreter->tensors[tensor].states[element] == ELEMENT_STARTED) {
    fail_by_cycle(interpreter, tensor, element);
    return false;
  }
  task_push(interpreter, tensor, element);
  return true;
}

void request_all(Interpreter *interpreter, TensorId tensor) { task_push(interpreter, tensor, ALL_ELEMENTS); }

/* ---- equations ---- */

static int64_t reduce_extent(const Interpreter *interpreter, IndexId id) {
  const Index *index = &interpreter->shared.program->indices[id];
  return interpretation_size(&interpreter->shared, index->high) - interpretation_size(&interpreter->shared, index->low);
}

static Rule *rule_create(Interpreter *interpreter, const Equation *equation) {
  const Program *program = interpreter->shared.program;
  Arena *arena = interpreter->arena;
  const TensorState *target = &interpreter->tensors[equation->target];
  Rule *rule = ARENA_NEW(arena, Rule);
  rule->equation = equation;
  rule->lane = NONE;
  IndexId last = target->rank ? equation->indices[target->rank - 1] : NONE;
  if (equation->value) rule->value = node_create(interpreter, equation->value, last, target->component);
  if (equation->reduce == REDUCE_NONE) return rule;
  for (int i = 0; i < equation->reduce_count; i++) {
    IndexId id = equation->reduce_indices[i];
    if (rule->lane == NONE || reduce_extent(interpreter, id) > reduce_extent(interpreter, rule->lane)) rule->lane = id;
  }
  rule->outer = ARENA_ARRAY(arena, IndexId, equation->reduce_count);
  rule->outer_low = ARENA_ARRAY(arena, int64_t, equation->reduce_count);
  rule->outer_high = ARENA_ARRAY(arena, int64_t, equation->reduce_count);
  rule->lane_high = 1; /* without any index there is one term */
  for (int i = 0; i < equation->reduce_count; i++) {
    IndexId id = equation->reduce_indices[i];
    bool is_lane = id == rule->lane;
    int64_t *low = is_lane ? &rule->lane_low : &rule->outer_low[rule->outer_count];
    int64_t *high = is_lane ? &rule->lane_high : &rule->outer_high[rule->outer_count];
    *low = interpretation_size(&interpreter->shared, program->indices[id].low);
    *high = interpretation_size(&interpreter->shared, program->indices[id].high);
    if (!is_lane) rule->outer[rule->outer_count++] = id;
  }
  if (equation->guard) rule->guard = node_create(interpreter, equation->guard, rule->lane, target->component);
  rule->body = node_create(interpreter, equation->body, rule->lane, target->component);
  return rule;
}

/* What a reduction has found so far. */
typedef struct Accumulator {
  ReduceOp op;
  double value; /* argmax: the largest term */
  double where;
  bool is_empty;
} Accumulator;

static double reduce_identity(ReduceOp op) {
  switch (op) {
  case REDUCE_MAX: return -INFINITY;
  case REDUCE_MIN: return INFINITY;
  case REDUCE_PRODUCT: return 1;
  default: return 0;
  }
}

static double combine(ReduceOp op, double a, double b) {
  switch (op) {
  case REDUCE_MAX: return b > a ? b : a;
  case REDUCE_MIN: return b < a ? b : a;
  case REDUCE_PRODUCT: return a * b;
  default: return a + b;
  }
}

static void accumulate(Accumulator *accumulator, const Lanes *lanes, const double *terms) {
  double value = accumulator->value;
  if (accumulator->op == REDUCE_ARGMAX) {
    for (int i = 0; i < lanes->count; i++) {
      if (!accumulator->is_empty && !(terms[i] > accumulator->value)) continue;
      accumulator->value = terms[i];
      accumulator->where = (double)lanes->values[i];
      accumulator->is_empty = false;
    }
    return;
  }
  if (accumulator->op == REDUCE_SUM) {
    for (int i = 0; i < lanes->count; i++) value += terms[i];
  } else {
    for (int i = 0; i < lanes->count; i++) value = combine(accumulator->op, value, terms[i]);
  }
  accumulator->value = value;
}

/* The terms of one block of lanes, of those that pass the guard. */
static bool reduce_block(Interpreter *interpreter, Rule *rule, const Lanes *lanes, Accumulator *accumulator) {
  Lanes passing = *lanes;
  int64_t values[LANE_LIMIT];
  if (rule->guard) {
    const double *guard = node_evaluate(interpreter, rule->guard, lanes);
    if (!guard) return false;
    int count = 0;
    for (int i = 0; i < lanes->count; i++)
      if (guard[i] != 0) values[count++] = lanes->values[i];
    if (!count) return true;
    passing = (Lanes){count, values[count - 1] - values[0] == count - 1, values};
  }
  const double *terms = node_evaluate(interpreter, rule->body, &passing);
  if (!terms) return false;
  accumulate(accumulator, &passing, terms);
  return true;
}

static bool reduce_lanes(Interpreter *interpreter, Rule *rule, Accumulator *accumulator) {
  int64_t values[LANE_LIMIT];
  for (int64_t start = rule->lane_low; start < rule->lane_high; start += LANE_LIMIT) {
    int64_t left = rule->lane_high - start;
    int count = left < LANE_LIMIT ? (int)left : LANE_LIMIT;
    for (int i = 0; i < count; i++) values[i] = start + i;
    Lanes lanes = {count, true, values};
    if (!reduce_block(interpreter, rule, &lanes, accumulator)) return false;
  }
  return true;
}

/* All values of the outer indices, the last one fastest. */
static bool reduce(Interpreter *interpreter, Rule *rule, Accumulator *accumulator) {
  for (int i = 0; i < rule->outer_count; i++) {
    if (rule->outer_low[i] >= rule->outer_high[i]) return true;
    interpreter->index_values[rule->outer[i]] = rule->outer_low[i];
  }
  for (;;) {
    if (!reduce_lanes(interpreter, rule, accumulator)) return false;
    int i = rule->outer_count - 1;
    while (i >= 0 && ++interpreter->index_values[rule->outer[i]] == rule->outer_high[i]) {
      interpreter->index_values[rule->outer[i]] = rule->outer_low[i];
      i--;
    }
    if (i < 0) return true;
  }
}

/* Consecutive elements along the last axis, starting at `element`. */
static bool evaluate_elements(Interpreter *interpreter, TensorId tensor, int64_t element, int count, double *out_values) {
  TensorState *state = &interpreter->tensors[tensor];
  Rule *rule = state->rule;
  const Equation *equation = rule->equation;
  interpreter->current = (Task){tensor, element};
  int64_t rest = element;
  for (int axis = state->rank - 1; axis >= 0; axis--) {
    interpreter->index_values[equation->indices[axis]] = rest % state->shape[axis];
    rest /= state->shape[axis];
  }
  int64_t *last = state->rank ? &interpreter->index_values[equation->indices[state->rank - 1]] : NULL;
  int64_t first = last ? *last : 0;
  ReduceOp op = equation->reduce;
  const double *values = NULL;
  if (rule->value) {
    int64_t coordinates[LANE_LIMIT];
    for (int i = 0; i < count; i++) coordinates[i] = first + i;
    Lanes lanes = {count, true, coordinates};
    values = node_evaluate(interpreter, rule->value, &lanes);
    if (!values) return false;
  }
  for (int i = 0; i < count; i++) {
    Accumulator accumulator = {.op = op, .is_empty = true, .value = values ? values[i] : reduce_identity(op)};
    if (last) *last = first + i;
    interpreter->current.element = element + i;
    if (op != REDUCE_NONE && !reduce(interpreter, rule, &accumulator)) return false;
    out_values[i] = op == REDUCE_ARGMAX ? accumulator.where : accumulator.value;
  }
  return true;
}

/* ---- tensors ---- */

static void tensor_prepare(Interpreter *interpreter, TensorId tensor) {
  TensorState *state = &interpreter->tensors[tensor];
  const Equation *equation = program_definition(interpreter->shared.program, tensor);
  if (!interpreter->shared.values[tensor])
    interpreter->shared.values[tensor] = ARENA_ARRAY(interpreter->arena, double, state->elements);
  if (!equation || state->elements == 0) state->is_complete = true;
  else if (!state->rule) state->rule = rule_create(interpreter, equation);
}

/* True when all of the tensor is done. */
static bool run_all(Interpreter *interpreter, TensorId tensor) {
  TensorState *state = &interpreter->tensors[tensor];
  double *values = interpreter->shared.values[tensor];
  if (state->is_complete) return true;
  if (state->is_cyclic) {
    while (state->next < state->elements && state->states[state->next] == ELEMENT_DONE) state->next++;
    if (state->next < state->elements) {
      task_push(interpreter, tensor, state->next);
      return false;
    }
  }
  while (state->next < state->elements) {
    int64_t row = state->rank ? state->shape[state->rank - 1] : 1;
    int64_t left = row - state->next % row;
    int count = left < LANE_LIMIT ? (int)left : LANE_LIMIT;
    if (!evaluate_elements(interpreter, tensor, state->next, count, values + state->next)) return false;
    state->next += count;
  }
  state->is_complete = true;
  return true;
}

static bool run_element(Interpreter *interpreter, TensorId tensor, int64_t element) {
  TensorState *state = &interpreter->tensors[tensor];
  if (state->states[element] == ELEMENT_DONE) return true;
  state->states[element] = ELEMENT_STARTED;
  if (!evaluate_elements(interpreter, tensor, element, 1, interpreter->shared.values[tensor] + element)) return false;
  state->states[element] = ELEMENT_DONE;
  return true;
}

/* Components of tensors that need each other, after Tarjan. */
typedef struct ComponentSearch {
  Interpreter *interpreter;
  int *order, *low; /* order 0: not visited */
  bool *is_open;
  int *open;
  int open_count, visited, component_count;
  TensorId current;
} ComponentSearch;

static void component_visit(ComponentSearch *search, TensorId tensor);

static void component_visit_read(void *context, const Expr *expr) {
  ComponentSearch *search = context;
  if (expr->op != OP_READ) return;
  TensorId reader = search->current, tensor = expr->id;
  if (reader == tensor) search->interpreter->tensors[tensor].is_cyclic = true;
  if (!search->order[tensor]) {
    component_visit(search, tensor);
    search->current = reader;
    if (search->low[tensor] < search->low[reader]) search->low[reader] = search->low[tensor];
  } else if (search->is_open[tensor] && search->order[tensor] < search->low[reader]) {
    search->low[reader] = search->order[tensor];
  }
}

static void component_visit(ComponentSearch *search, TensorId tensor) {
  search->order[tensor] = search->low[tensor] = ++search->visited;
  search->open[search->open_count++] = tensor;
  search->is_open[tensor] = true;
  search->current = tensor;
  const Equation *equation = program_definition(search->interpreter->shared.program, tensor);
  if (equation) {
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    for (int i = 0; i < 3; i++)
      if (parts[i]) expr_visit(parts[i], component_visit_read, search);
  }
  if (search->low[tensor] != search->order[tensor]) return;
  bool is_alone = search->open[search->open_count - 1] == tensor;
  for (TensorId member = NONE; member != tensor;) {
    member = search->open[--search->open_count];
    search->is_open[member] = false;
    search->interpreter->tensors[member].component = search->component_count;
    if (!is_alone) search->interpreter->tensors[member].is_cyclic = true;
  }
  search->component_count++;
}

static void find_components(Interpreter *interpreter) {
  int count = interpreter->shared.program->tensor_count;
  Arena *scratch = arena_create();
  ComponentSearch search = {.interpreter = interpreter,
                            .order = ARENA_ARRAY(scratch, int, count),
                            .low = ARENA_ARRAY(scratch, int, count),
                            .is_open = ARENA_ARRAY(scratch, bool, count),
                            .open = ARENA_ARRAY(scratch, int, count)};
  for (TensorId tensor = 0; tensor < count; tensor++)
    if (!search.order[tensor]) component_visit(&search, tensor);
  arena_destroy(scratch);
}

/* ---- interface ---- */

Interpretation *interpretation_create(Arena *arena, const Program *program, const int64_t *symbols) {
  Interpreter *interpreter = ARENA_NEW(arena, Interpreter);
  Interpretation *shared = &interpreter->shared;
  interpreter->arena = arena;
  shared->program = program;
  shared->symbols = arena_copy(arena, symbols, sizeof *symbols * (size_t)program->symbol_count);
  for (int n = 0; n < program->symbol_count; n++) {
    const Symbol *symbol = &program->symbols[n];
    if (symbol->kind != SYMBOL_RECENT && symbol->kind != SYMBOL_HISTORY) continue;
    int64_t past = symbols[program_find_symbol(program, SYMBOL_POSITION)];
    if (symbol->most && past > symbol->most) past = symbol->most;
    shared->symbols[n] = symbol->kind == SYMBOL_RECENT ? past : past + symbols[program_find_symbol(program, SYMBOL_STREAM)];
  }
  shared->values = ARENA_ARRAY(arena, double *, program->tensor_count);
  interpreter->index_values = ARENA_ARRAY(arena, int64_t, program->index_count);
  interpreter->tensors = ARENA_ARRAY(arena, TensorState, program->tensor_count);
  for (TensorId id = 0; id < program->tensor_count; id++) {
    const Tensor *tensor = &program->tensors[id];
    TensorState *state = &interpreter->tensors[id];
    state->rank = tensor->rank;
    state->shape = ARENA_ARRAY(arena, int64_t, tensor->rank);
    state->elements = 1;
    for (int axis = 0; axis < tensor->rank; axis++) {
      int64_t size = interpretation_size(shared, tensor->shape[axis]);
      state->shape[axis] = size > 0 ? size : 0;
      state->elements *= state->shape[axis];
    }
  }
  find_components(interpreter);
  for (TensorId id = 0; id < program->tensor_count; id++) {
    TensorState *state = &interpreter->tensors[id];
    if (state->is_cyclic) state->states = ARENA_ARRAY(arena, uint8_t, state->elements);
  }
  return shared;
}

int64_t interpretation_size(const Interpretation *interpretation, Size size) {
  return (size.symbol == NONE ? 0 : interpretation->symbols[size.symbol]) + size.constant;
}

int64_t interpretation_elements(const Interpretation *interpretation, TensorId tensor) {
  const Interpreter *interpreter = (const Interpreter *)interpretation;
  return interpreter->tensors[tensor].elements;
}

/* After an error: what was started may be asked for again. */
static void forget_tasks(Interpreter *interpreter) {
  for (size_t i = 0; i < interpreter->task_count; i++) {
    const Task *task = &interpreter->tasks[i];
    if (task->element == ALL_ELEMENTS) continue;
    uint8_t *state = &interpreter->tensors[task->tensor].states[task->element];
    if (*state == ELEMENT_STARTED) *state = ELEMENT_UNTOUCHED;
  }
  interpreter->task_count = 0;
}

const double *interpret(Interpretation *interpretation, TensorId tensor, const char **out_error) {
  Interpreter *interpreter = (Interpreter *)interpretation;
  interpreter->error = NULL;
  *out_error = NULL;
  request_all(interpreter, tensor);
  while (interpreter->task_count && !interpreter->error) {
    Task task = interpreter->tasks[interpreter->task_count - 1];
    tensor_prepare(interpreter, task.tensor);
    bool is_done = task.element == ALL_ELEMENTS ? run_all(interpreter, task.tensor)
                                                : run_element(interpreter, task.tensor, task.element);
    if (is_done) interpreter->task_count--;
  }
  if (interpreter->error) {
    *out_error = interpreter->error;
    forget_tasks(interpreter);
    return NULL;
  }
  return interpretation->values[tensor];
}
