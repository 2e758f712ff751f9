/* check_compiled.c - the compiled model: the whole sequence at once, in pieces of odd lengths, and step by step.
 *
 * Pieces carry the opaque state from call to call. What has the stream's axis is cut out of the file's tensors and put together
 * again; what has not is given whole each time, and taken after the last piece.
 */
#include <string.h>

#include "driver/check_internal.h"
#include "seqrt/status.h"

/* Everything that the entry points read and write, for the whole sequence. */
typedef struct CompiledRun {
  Check *check;
  CheckForm form;
  const seqrt_model *model;
  int64_t batch, *lengths;
  int64_t capacity; /* of the state: more than is needed */
  const float **parameters;
  void **inputs; /* float or int32_t */
  const float **initial_states;
  const float **cotangents;
  void **outputs;
  float objective;
  void *state; /* aligned */
  seqrt_call call;
} CompiledRun;

/* ---- memory ---- */

static void *allocate_aligned(Arena *arena, int64_t size) {
  uintptr_t address = (uintptr_t)arena_allocate(arena, (size_t)size + SEQRT_ALIGNMENT);
  return (void *)((address + SEQRT_ALIGNMENT - 1) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT);
}

/* Filled so that what is never written shows: undefined as a float, -1 as an integer. */
static void *allocate_result(Arena *arena, int64_t elements) {
  void *data = allocate_aligned(arena, 4 * elements);
  memset(data, 0xff, 4 * (size_t)elements);
  return data;
}

enum { SPARE_STEPS = 5 };

static int64_t extent(const CompiledRun *run, int64_t code) {
  if (code >= 0) return code;
  if (code == SEQRT_AXIS_STEPS) return run->lengths[0];
  return code == SEQRT_AXIS_BATCH ? run->batch : run->lengths[-2 - code];
}

/* Elements of axes first <= axis < last. */
static int64_t extent_product(const CompiledRun *run, const seqrt_tensor *tensor, int first, int last) {
  int64_t product = 1;
  for (int axis = first; axis < last; axis++) product *= extent(run, tensor->shape[axis]);
  return product;
}

static int64_t element_count(const CompiledRun *run, const seqrt_tensor *tensor) {
  return extent_product(run, tensor, 0, tensor->rank);
}

static void *narrow(Arena *arena, const ReferenceTensor *tensor, int32_t dtype) {
  float *reals = ARENA_ARRAY(arena, float, tensor->elements);
  int32_t *integers = (int32_t *)(void *)reals;
  for (int64_t i = 0; i < tensor->elements; i++) {
    if (dtype == SEQRT_I32) integers[i] = (int32_t)tensor->values[i];
    else reals[i] = (float)tensor->values[i];
  }
  return reals;
}

static double *widen(Arena *arena, const void *data, int32_t dtype, int64_t elements) {
  double *values = ARENA_ARRAY(arena, double, elements);
  for (int64_t i = 0; i < elements; i++)
    values[i] = dtype == SEQRT_I32 ? (double)((const int32_t *)data)[i] : (double)((const float *)data)[i];
  return values;
}

/* ---- a run ---- */

bool check_read_parameters(Check *check) {
  const seqrt_model *model = check->model;
  check->parameters = ARENA_ARRAY(check->arena, const float *, model->parameter_slots);
  for (int p = 0; p < model->parameter_count; p++) {
    const seqrt_parameter *parameter = &model->parameters[p];
    for (int turn = 0; turn < (parameter->turns ? parameter->turns : 1); turn++) {
      const char *name = turn_name(check->arena, parameter->name, parameter->turn_scale, parameter->turn_offset, turn);
      const ReferenceTensor *tensor = check_find_parameter(check, name);
      float *values = ARENA_ARRAY(check->arena, float, tensor->elements);
      if (!reference_read_floats(check_parameter_source(check), tensor, values)) return false;
      check->parameters[parameter->first_slot + turn] = values;
    }
  }
  return true;
}

static void find_sizes(CompiledRun *run) {
  const Program *program = run->check->lowered.batched;
  const int64_t *symbols = check_sizes(run->check, program);
  SymbolId batch = program_find_symbol(program, SYMBOL_BATCH);
  run->batch = batch == NONE ? 1 : symbols[batch];
  run->lengths = ARENA_ARRAY(run->check->arena, int64_t, run->model->length_count);
  for (int length = 0; length < run->model->length_count; length++)
    for (int i = 0; i < program->symbol_count; i++)
      if (strcmp(program->symbols[i].name, run->model->length_names[length]) == 0) run->lengths[length] = symbols[i];
}

static CompiledRun *run_create(Check *check, CheckForm form) {
  Arena *arena = check->arena;
  CompiledRun *run = ARENA_NEW(arena, CompiledRun);
  const seqrt_model *model = run->model = check->model;
  run->check = check;
  run->form = form;
  find_sizes(run);
  run->parameters = check->parameters;
  run->inputs = ARENA_ARRAY(arena, void *, model->input_count);
  for (int i = 0; i < model->input_count; i++)
    run->inputs[i] = narrow(arena, check_find(check, "input.", model->inputs[i].name), model->inputs[i].dtype);
  run->initial_states = ARENA_ARRAY(arena, const float *, model->state_count);
  for (int i = 0; i < model->state_count; i++) {
    const ReferenceTensor *tensor = check_find(check, "state0.", model->states[i].name);
    if (tensor) run->initial_states[i] = narrow(arena, tensor, SEQRT_F32);
  }
  run->cotangents = ARENA_ARRAY(arena, const float *, model->output_count);
  run->outputs = ARENA_ARRAY(arena, void *, model->output_count);
  for (int i = 0; i < model->output_count; i++) {
    const ReferenceTensor *tensor = check_find(check, "cotangent.", model->outputs[i].name);
    if (tensor) run->cotangents[i] = narrow(arena, tensor, SEQRT_F32);
  }
  run->capacity = model->grows ? run->lengths[0] + SPARE_STEPS : 0;
  run->state = allocate_aligned(arena, model->state_size(run->batch, run->lengths, run->capacity));
  run->call = (seqrt_call){.abi_version = SEQRT_ABI_VERSION,
                           .context = check->context,
                           .batch = run->batch,
                           .lengths = run->lengths,
                           .capacity = run->capacity,
                           .parameters = run->parameters,
                           .inputs = (const void *const *)run->inputs,
                           .initial_states = run->initial_states,
                           .state_out = run->state,
                           .outputs = run->outputs};
  return run;
}

/* False after a BAD line. */
static bool run_entry(CompiledRun *run, seqrt_entry_kind entry) {
  int32_t threads = run->call.context ? run->call.context->thread_count : 1;
  int64_t size = run->model->workspace_size((int32_t)entry, run->batch, run->call.lengths, run->call.capacity, threads);
  Arena *scratch = arena_create(); /* pieces are many */
  run->call.workspace = allocate_aligned(scratch, size);
  int32_t code = run->model->entries[entry](&run->call);
  arena_destroy(scratch);
  run->call.workspace = NULL;
  if (code == SEQRT_OK) return true;
  seqrt_error error = {0};
  seqrt_describe_fault(run->model, &run->call, &error);
  report_failure(run->check, run->form, "-", "%s failed with status %d: %s", entry_names[entry], code, error.message);
  return false;
}

/* ---- comparisons ---- */

static void compare(CompiledRun *run, const char *prefix, const char *name, const void *data, int32_t dtype, int64_t elements) {
  const ReferenceTensor *reference = check_find(run->check, prefix, name);
  if (data && reference && reference->elements == elements)
    report_tensor(run->check, run->form, prefix, name, widen(run->check->arena, data, dtype, elements));
}

static void compare_outputs(CompiledRun *run) {
  for (int i = 0; i < run->model->output_count; i++) {
    const seqrt_tensor *output = &run->model->outputs[i];
    compare(run, "output.", output->name, run->outputs[i], output->dtype, element_count(run, output));
  }
}

/* A declared state without the places that its steps have not filled. */
static const char *filled_part(const CompiledRun *run, const seqrt_tensor *state, const char *data) {
  int axis = 0;
  while (axis < state->rank && state->shape[axis] != SEQRT_AXIS_STEPS) axis++;
  if (axis == state->rank) return data;
  int64_t outer = extent_product(run, state, 0, axis);
  size_t step = 4 * (size_t)extent_product(run, state, axis + 1, state->rank), filled = step * (size_t)run->lengths[0];
  char *part = arena_allocate(run->check->arena, filled * (size_t)outer);
  for (int64_t o = 0; o < outer; o++) memcpy(part + filled * (size_t)o, data + step * (size_t)(o * run->capacity), filled);
  return part;
}

static void compare_states(CompiledRun *run) {
  for (int i = 0; i < run->model->state_count; i++) {
    const seqrt_tensor *state = &run->model->states[i];
    const char *data = (const char *)run->state + run->model->state_offset(i, run->batch, run->lengths, run->capacity);
    compare(run, "state.", state->name, filled_part(run, state, data), state->dtype, element_count(run, state));
  }
}

/* ---- the whole sequence ---- */

static bool run_forward(CompiledRun *run) {
  Arena *arena = run->check->arena;
  for (int i = 0; i < run->model->output_count; i++)
    run->outputs[i] = allocate_result(arena, element_count(run, &run->model->outputs[i]));
  if (!run_entry(run, SEQRT_FORWARD)) return false;
  compare_outputs(run);
  compare_states(run);
  const char *objective = run->model->objective_name;
  if (!run->model->has_objective || !check_find(run->check, "output.", objective)) return true;
  run->call.objective = &run->objective;
  if (!run_entry(run, SEQRT_OBJECTIVE)) return false;
  compare(run, "output.", objective, &run->objective, SEQRT_F32, 1);
  return true;
}

/* A buffer where the file has this gradient. */
static float *gradient_buffer(CompiledRun *run, const char *prefix, const char *name, int64_t elements) {
  return check_find(run->check, prefix, name) ? allocate_result(run->check->arena, elements) : NULL;
}

static const char *slot_name(const CompiledRun *run, const seqrt_parameter *parameter, int turn) {
  return turn_name(run->check->arena, parameter->name, parameter->turn_scale, parameter->turn_offset, turn);
}

static void compare_gradients(CompiledRun *run) {
  const seqrt_model *model = run->model;
  for (int p = 0; p < model->parameter_count; p++) {
    const seqrt_parameter *parameter = &model->parameters[p];
    for (int turn = 0; turn < (parameter->turns ? parameter->turns : 1); turn++)
      compare(run, "grad.param.", slot_name(run, parameter, turn), run->call.parameter_gradients[parameter->first_slot + turn],
              SEQRT_F32, parameter->elements);
  }
  for (int i = 0; i < model->input_count; i++)
    compare(run, "grad.input.", model->inputs[i].name, run->call.input_gradients[i], SEQRT_F32,
            element_count(run, &model->inputs[i]));
  for (int i = 0; i < model->state_count; i++)
    compare(run, "grad.state0.", model->states[i].name, run->call.state_gradients[i], SEQRT_F32,
            element_count(run, &model->states[i]));
}

static bool run_gradient(CompiledRun *run) {
  Arena *arena = run->check->arena;
  const seqrt_model *model = run->model;
  float **parameters = ARENA_ARRAY(arena, float *, model->parameter_slots);
  for (int p = 0; p < model->parameter_count; p++) {
    const seqrt_parameter *parameter = &model->parameters[p];
    for (int turn = 0; turn < (parameter->turns ? parameter->turns : 1); turn++)
      parameters[parameter->first_slot + turn] = gradient_buffer(run, "grad.param.", slot_name(run, parameter, turn),
                                                                 parameter->elements);
  }
  float **inputs = ARENA_ARRAY(arena, float *, model->input_count);
  for (int i = 0; i < model->input_count; i++)
    inputs[i] = gradient_buffer(run, "grad.input.", model->inputs[i].name, element_count(run, &model->inputs[i]));
  float **states = ARENA_ARRAY(arena, float *, model->state_count);
  for (int i = 0; i < model->state_count; i++)
    states[i] = gradient_buffer(run, "grad.state0.", model->states[i].name, element_count(run, &model->states[i]));
  run->call.parameter_gradients = parameters;
  run->call.input_gradients = inputs;
  run->call.state_gradients = states;
  run->call.outputs = NULL;
  run->call.state_out = NULL;
  run->call.capacity = 0;
  run->call.cotangents = model->has_objective ? NULL : run->cotangents;
  run->call.objective = model->has_objective ? &run->objective : NULL;
  if (!run_entry(run, SEQRT_GRADIENT)) return false;
  compare_gradients(run);
  return true;
}

/* The whole sequence reads parameters that were packed once, the pieces pack their own. What rounds them is no part of the equations: tolerances are
 * those of float32. */
static bool pack_parameters(CompiledRun *run) {
  bool is_rounded = run->check->options->pipeline.packed_format != PACKED_F32;
  if (!run->model->entries[SEQRT_PACK] || is_rounded) return true;
  run->call.packed = allocate_aligned(run->check->arena, run->model->packed_size);
  return run_entry(run, SEQRT_PACK);
}

void check_compiled(Check *check) {
  bool has_run = true;
  for (int run = 0; run < check->run_count; run++) {
    check->suffix = check->runs[run];
    CompiledRun *forward = run_create(check, CHECK_COMPILED);
    has_run &= pack_parameters(forward) && run_forward(forward);
    if (check->has_gradients && check->model->entries[SEQRT_GRADIENT]) has_run &= run_gradient(run_create(check, CHECK_COMPILED));
  }
  if (has_run) report_missing(check, CHECK_COMPILED);
}

/* ---- pieces ---- */

static int stream_axis(const seqrt_tensor *tensor) {
  for (int axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis] == SEQRT_AXIS_LENGTH(0)) return axis;
  return NONE;
}

/* Between a whole tensor and the steps start <= t < start + count of it. */
static void copy_piece(const CompiledRun *run, const seqrt_tensor *tensor, char *whole, char *piece, int64_t start, int64_t count,
                       bool is_to_piece) {
  int axis = stream_axis(tensor);
  int64_t outer = extent_product(run, tensor, 0, axis);
  size_t step = 4 * (size_t)extent_product(run, tensor, axis + 1, tensor->rank);
  size_t size = (size_t)count * step;
  for (int64_t o = 0; o < outer; o++) {
    char *from = whole + (size_t)(o * run->lengths[0] + start) * step, *to = piece + (size_t)o * size;
    memcpy(is_to_piece ? to : from, is_to_piece ? from : to, size);
  }
}

static bool run_piece(CompiledRun *run, int64_t start, int64_t count) {
  const seqrt_model *model = run->model;
  Arena *scratch = arena_create();
  void **inputs = ARENA_ARRAY(scratch, void *, model->input_count), **outputs = ARENA_ARRAY(scratch, void *, model->output_count);
  for (int i = 0; i < model->input_count; i++) {
    inputs[i] = run->inputs[i];
    if (stream_axis(&model->inputs[i]) == NONE) continue;
    inputs[i] = arena_allocate(scratch, 4 * (size_t)element_count(run, &model->inputs[i]));
    copy_piece(run, &model->inputs[i], run->inputs[i], inputs[i], start, count, true);
  }
  for (int i = 0; i < model->output_count; i++)
    if (run->outputs[i]) outputs[i] = allocate_result(scratch, element_count(run, &model->outputs[i]));
  int64_t *lengths = arena_copy(scratch, run->lengths, sizeof *lengths * (size_t)model->length_count);
  if (model->length_count) lengths[0] = count;
  run->call.lengths = lengths;
  run->call.inputs = (const void *const *)inputs;
  run->call.outputs = outputs;
  run->call.state_in = start ? run->state : NULL;
  bool is_done = run_entry(run, SEQRT_FORWARD);
  for (int i = 0; is_done && i < model->output_count; i++) {
    const seqrt_tensor *output = &model->outputs[i];
    if (!outputs[i]) continue;
    if (stream_axis(output) == NONE) memcpy(run->outputs[i], outputs[i], 4 * (size_t)element_count(run, output));
    else copy_piece(run, output, run->outputs[i], outputs[i], start, count, false);
  }
  arena_destroy(scratch);
  return is_done;
}

/* The reason why an output does not stream, in the author's words. */
static const char *why_not(const Check *check, const char *output) {
  const Program *program = check->lowered.module->interface;
  int port = program_find_port(program, PORT_OUTPUT, output);
  if (port == NONE || !program->ports[port].why_not) return "it needs the whole sequence";
  SourceRange source = program->ports[port].why_not_source;
  if (!source.file) return program->ports[port].why_not;
  return arena_format(check->arena, "%s:%d: %s", source.file->path, source.line, program->ports[port].why_not);
}

/* Buffers for the outputs that must stream; false when the model has none of that name. */
static bool choose_output(CompiledRun *run, const char *name) {
  for (int i = 0; i < run->model->output_count; i++) {
    const seqrt_tensor *output = &run->model->outputs[i];
    if (strcmp(output->name, name) != 0) continue;
    if (!output->streams) {
      report_failure(run->check, run->form, check_file_name(run->check, "output.", name), "output '%s' does not stream: %s", name,
                     why_not(run->check, name));
      return true;
    }
    run->outputs[i] = allocate_result(run->check->arena, element_count(run, output));
    return true;
  }
  return false;
}

static void run_pieces(Check *check, CheckForm form) {
  static const int64_t odd_lengths[] = {1, 7, 3};
  CompiledRun *run = run_create(check, form);
  for (int i = 0; i < check->reference->stream_count; i++) {
    const char *name = check->reference->stream_outputs[i], *of_run;
    const char *output = check_split_name(check, name, &of_run);
    if (of_run && of_run != check->suffix) continue;
    if (!choose_output(run, output))
      report_failure(check, form, arena_format(check->arena, "output.%s", name), "the model has no output '%s'", output);
  }
  int64_t length = run->model->length_count ? run->lengths[0] : 1, count;
  for (int64_t start = 0, piece = 0; start < length; start += count, piece++) {
    count = length - start;
    int64_t wanted = form == CHECK_STEP ? 1 : piece < 3 ? odd_lengths[piece] : count;
    if (wanted < count) count = wanted;
    if (!run_piece(run, start, count)) return;
  }
  compare_outputs(run);
  compare_states(run);
}

void check_streams(Check *check) {
  const seqrt_model *model = check->model;
  StreamsKind expected = check->reference->streams;
  for (CheckForm form = CHECK_CHUNK; form <= CHECK_STEP; form++) {
    if (check->options->is_left_out[form] || expected == STREAMS_ABSENT) continue;
    if (!model->has_step) report_refusal(check, form, model->why_no_step);
    if (model->has_step && expected == STREAMS_NULL)
      report_failure(check, form, "-", "the reference says that this form cannot exist, but the model has it");
    else if (!model->has_step && expected == STREAMS_LIST)
      report_failure(check, form, "-", "the reference has this form, but the model has not");
    for (int run = 0; model->has_step && expected == STREAMS_LIST && run < check->run_count; run++) {
      check->suffix = check->runs[run];
      run_pieces(check, form);
    }
    report_missing(check, form);
  }
}
