/* serve.c - runs one work of a compiled model as often as it is told.
 *
 * A process of its own: a fault in compiled code, or a call without end, costs this work and no other. What is timed is the call of the
 * entry point (or of the step of the trainer, of the session, of the optimizer) alone; all memory is there before.
 */
#include "serve.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "peak.h"
#include "seqrt/seqrt.h"

#define LONG_MS 10.0
enum { TOKENS_BEFORE_RESET = 256 }; /* a token's time depends on what it looks back at */

typedef struct Job {
  const Work *work;
  const seqrt_model *model;
  seqrt_context *context;
  seqrt_error error;
  seqrt_parameters *parameters, *gradients;
  seqrt_trainer *trainer;
  seqrt_optimizer *optimizer;
  seqrt_session *session;
  int32_t *tokens;
  int64_t *lengths;
  void **inputs, **outputs;
  float **cotangents, **input_gradients;
  seqrt_call call;
  double last_ms; /* of a call; 0: none yet */
} Job;

__attribute__((format(printf, 1, 2), noreturn)) static void refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("no ");
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
  exit(1);
}

static void require(Job *job, seqrt_code code) {
  if (code != SEQRT_OK) refuse("%s", job->error.message);
}

/* Large blocks on huge pages, as those that the floors are measured with and the runtime's own. */
static void *allocate(int64_t bytes) {
  size_t alignment = bytes >= 4 << 20 ? (size_t)2 << 20 : SEQRT_ALIGNMENT, size = ((size_t)bytes + alignment) / alignment * alignment;
  void *data = aligned_alloc(alignment, size);
  if (!data) refuse("out of memory");
#ifdef MADV_HUGEPAGE
  if (alignment > SEQRT_ALIGNMENT) (void)madvise(data, size, MADV_HUGEPAGE);
#endif
  return data;
}

/* On huge pages, as sessions and trainers have it. */
static void *allocate_workspace(int64_t bytes) {
  const int64_t page = (int64_t)2 << 20;
  if (bytes < page) return allocate(bytes);
  void *data = aligned_alloc((size_t)page, (size_t)((bytes + page - 1) / page * page));
  if (!data) refuse("out of memory");
#ifdef MADV_HUGEPAGE
  madvise(data, (size_t)bytes, MADV_HUGEPAGE);
#endif
  return data;
}

static int64_t element_count(const Job *job, const seqrt_tensor *tensor) {
  int64_t count = 1;
  for (int axis = 0; axis < tensor->rank; axis++) {
    int64_t extent = tensor->shape[axis];
    if (extent == SEQRT_AXIS_BATCH) extent = job->work->batch;
    else if (extent < 0) extent = job->lengths[-2 - extent];
    count *= extent;
  }
  return count;
}

/* ---- data ---- */

static void fill(void *data, int64_t count, double low, double high, int32_t dtype, uint64_t seed) {
  seqrt_random random = {.seed = seed};
  for (int64_t n = 0; n < count; n++) {
    double value = low + (high - low) * seqrt_random_uniform(&random);
    if (dtype == SEQRT_I32) ((int32_t *)data)[n] = (int32_t)value;
    else ((float *)data)[n] = (float)value;
  }
}

static void *make_input(const Job *job, const seqrt_tensor *tensor, uint64_t seed) {
  int64_t count = element_count(job, tensor);
  void *data = allocate(4 * count);
  double low = -1, high = 1;
  if (tensor->dtype == SEQRT_I32) low = 0, high = 2;
  if (tensor->has_range) low = (double)tensor->low, high = (double)tensor->high;
  if (job->work->positive && strcmp(tensor->name, job->work->positive) == 0) low = 0.001, high = 0.1;
  fill(data, count, low, high, tensor->dtype, seed);
  return data;
}

static void **make_table(int32_t count) {
  void **table = calloc((size_t)count + 1, sizeof *table);
  if (!table) refuse("out of memory");
  return table;
}

/* ---- one kind of entry each ---- */

static void prepare_call(Job *job, seqrt_entry_kind entry) {
  const seqrt_model *model = job->model;
  if (!model->entries[entry]) refuse("the model has no such entry");
  bool gradient = entry == SEQRT_GRADIENT;
  job->inputs = make_table(model->input_count);
  job->outputs = make_table(model->output_count);
  job->input_gradients = (float **)(void *)make_table(model->input_count);
  job->cotangents = (float **)(void *)make_table(model->output_count);
  for (int32_t i = 0; i < model->input_count; i++) {
    if (model->inputs[i].is_for_objective && !gradient) continue;
    job->inputs[i] = make_input(job, &model->inputs[i], (uint64_t)i + 1);
    if (gradient && model->inputs[i].dtype == SEQRT_F32)
      job->input_gradients[i] = allocate(4 * element_count(job, &model->inputs[i]));
  }
  for (int32_t i = 0; i < model->output_count; i++) {
    job->outputs[i] = allocate(4 * element_count(job, &model->outputs[i]));
    if (gradient && !model->has_objective) job->cotangents[i] = make_input(job, &model->outputs[i], (uint64_t)i + 100);
  }
  if (gradient) require(job, seqrt_parameters_create(model, &job->gradients, &job->error));
  int64_t bytes = model->workspace_size(entry, job->work->batch, job->lengths, 0, job->context->thread_count);
  job->call = (seqrt_call){.abi_version = SEQRT_ABI_VERSION,
                           .context = job->context,
                           .batch = job->work->batch,
                           .lengths = job->lengths,
                           .parameters = (const float *const *)job->parameters->slots,
                           .inputs = (const void *const *)job->inputs,
                           .outputs = job->outputs,
                           .cotangents = gradient ? (const float *const *)job->cotangents : NULL,
                           .parameter_gradients = gradient ? job->gradients->slots : NULL,
                           .input_gradients = gradient ? job->input_gradients : NULL,
                           .packed = gradient ? NULL : job->parameters->packed,
                           .workspace = allocate_workspace(bytes)};
}

static void prepare_training(Job *job) {
  const seqrt_model *model = job->model;
  const Work *work = job->work;
  seqrt_trainer_options options = {
      .length = work->length, .optimizer = seqrt_adamw_defaults(), .schedule = {.learning_rate = 1e-4}, .seed = 1};
  int64_t vocabulary = 2, count = work->batch * work->length * 8 + 1;
  for (int32_t i = 0; i < model->input_count; i++) {
    if (model->inputs[i].is_for_objective) options.target_input = model->inputs[i].name;
    else options.token_input = model->inputs[i].name;
    if (model->inputs[i].has_range) vocabulary = model->inputs[i].high;
  }
  job->tokens = allocate(4 * count);
  fill(job->tokens, count, 0, (double)vocabulary, SEQRT_I32, 1);
  require(job, seqrt_streams_cut(job->tokens, count, work->batch, &options.data, &job->error));
  require(job, seqrt_trainer_create(model, job->context, &options, &job->trainer, &job->error));
}

static void prepare_optimizer(Job *job) {
  require(job, seqrt_parameters_create(job->model, &job->gradients, &job->error));
  fill(job->gradients->arena, job->gradients->arena_elements, -1e-3, 1e-3, SEQRT_F32, 2);
  seqrt_optimizer_options options = seqrt_adamw_defaults();
  options.clip_norm = 0;
  require(job, seqrt_optimizer_create(job->parameters, &options, &job->optimizer, &job->error));
}

/* The context that tokens follow. */
static void begin_sequence(Job *job) {
  void **none = make_table(job->model->output_count);
  require(job, seqrt_session_reset(job->session, NULL, &job->error));
  require(job, seqrt_session_forward(job->session, job->lengths, (const void *const *)job->inputs, none, &job->error));
  free(none);
}

static void prepare_token(Job *job) {
  if (!job->model->has_step) refuse("the model has no step: %s", job->model->why_no_step);
  prepare_call(job, SEQRT_FORWARD);
  require(job, seqrt_session_create(job->parameters, job->context, job->work->batch, &job->session, &job->error));
  if (job->model->grows) require(job, seqrt_session_reserve(job->session, job->work->length + TOKENS_BEFORE_RESET, &job->error));
  begin_sequence(job);
}

static void prepare(Job *job) {
  if (job->work->entry == WORK_TRAINING) {
    prepare_training(job);
    return;
  }
  require(job, seqrt_parameters_create(job->model, &job->parameters, &job->error));
  require(job, seqrt_parameters_initialise(job->parameters, 1, job->context, &job->error));
  /* once for all calls, as sessions do; gradients pack in each */
  if (job->work->entry == WORK_FORWARD) require(job, seqrt_parameters_pack(job->parameters, job->context, &job->error));
  if (job->work->entry == WORK_OPTIMIZER) prepare_optimizer(job);
  else if (job->work->entry == WORK_TOKEN) prepare_token(job);
  else prepare_call(job, job->work->entry == WORK_GRADIENT ? SEQRT_GRADIENT : SEQRT_FORWARD);
}

static void call_once(Job *job) {
  seqrt_step_report report;
  switch (job->work->entry) {
  case WORK_FORWARD:
  case WORK_GRADIENT: {
    seqrt_entry entry = job->model->entries[job->work->entry == WORK_GRADIENT ? SEQRT_GRADIENT : SEQRT_FORWARD];
    if (entry(&job->call) != SEQRT_OK) require(job, seqrt_describe_fault(job->model, &job->call, &job->error));
    break;
  }
  case WORK_TRAINING: require(job, seqrt_trainer_step(job->trainer, &report, &job->error)); break;
  case WORK_TOKEN:
    require(job, seqrt_session_step(job->session, (const void *const *)job->inputs, job->outputs, &job->error));
    break;
  case WORK_OPTIMIZER:
    require(job, seqrt_optimizer_step(job->optimizer, job->gradients, 1e-4, job->context, NULL, &job->error));
    break;
  case WORK_COMPILE: break; /* not here */
  }
}

/* Milliseconds of one call, the mean of `count`, by the clock and of the processors. A short call comes once before those that are timed: threads
 * that slept are awake then. */
static double time_calls(Job *job, int64_t count, double *out_processor_ms) {
  if (job->session && seqrt_session_position(job->session) + count + 1 > job->work->length + TOKENS_BEFORE_RESET) begin_sequence(job);
  if (job->last_ms > 0 && job->last_ms < LONG_MS) call_once(job);
  struct timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  double start = seconds_now();
  for (int64_t n = 0; n < count; n++) call_once(job);
  double seconds = seconds_now() - start;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  *out_processor_ms = (1e3 * (double)(after.tv_sec - before.tv_sec) + 1e-6 * (double)(after.tv_nsec - before.tv_nsec)) /
                      (double)count;
  return job->last_ms = 1e3 * seconds / (double)count;
}

static double time_move(const Job *job, int part) {
  const WorkPhase *phase = &job->work->phases[part];
  double rate = bandwidth_now(phase->traffic, job->context->thread_count, phase->resident > 0 ? phase->resident : phase->bytes);
  if (!(rate > 0)) refuse("no memory to measure");
  return 1e3 * phase->bytes / rate;
}

static const seqrt_model *load_model(const Work *work, const char *object) {
  void *library = dlopen(object, RTLD_NOW | RTLD_LOCAL);
  if (!library) refuse("%s", dlerror());
  char symbol[128];
  snprintf(symbol, sizeof symbol, "%s_model", work->model);
  const seqrt_model *model = dlsym(library, symbol);
  if (!model) refuse("%s", dlerror());
  if (model->abi_version != SEQRT_ABI_VERSION) refuse("the object is of another version");
  return model;
}

int serve_work(const Work *work, int threads, const char *object) {
  Job job = {.work = work, .model = load_model(work, object)};
  require(&job, seqrt_context_create(threads, &job.context, &job.error));
  job.lengths = calloc((size_t)job.model->length_count + 1, sizeof *job.lengths);
  if (!job.lengths) refuse("out of memory");
  for (int32_t n = 0; n < job.model->length_count; n++) job.lengths[n] = work->length;
  prepare(&job);
  double processor_ms, ms = time_calls(&job, 1, &processor_ms);
  printf("ready %.9g %.9g\n", ms, processor_ms);
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    int64_t count = 0, part = 0;
    if (sscanf(line, "move %" SCNd64, &part) == 1 && part >= 0 && part < WORK_PHASES) ms = processor_ms = time_move(&job, (int)part);
    else if (sscanf(line, "run %" SCNd64, &count) == 1 && count > 0) ms = time_calls(&job, count, &processor_ms);
    else refuse("expected 'run COUNT' or 'move PART'");
    printf("ms %.9g %.9g\n", ms, processor_ms);
    fflush(stdout);
  }
  return 0;
}
