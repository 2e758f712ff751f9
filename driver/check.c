/* check.c - `seqc --check MODEL --against FILE`: the model is built as for any other use, with sizes from the file's shapes and
 * constants from its config, loaded into this process and run in every form that the file can judge. Without a file, data are drawn
 * (check_random.c).
 */
#include "driver/check.h"

#include <math.h>
#include <string.h>

#include "driver/check_internal.h"
#include "seqrt/threads.h"

/* ---- what the front end may know from the files ---- */

/* Both states of a file have the shape of the declared one. */
static const char *known_name(Arena *arena, const char *tensor) {
  if (strncmp(tensor, "state0.", 7) == 0) return arena_format(arena, "state.%s", tensor + 7);
  static const char *const prefixes[] = {"param.", "input.", "state.", "output."};
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (strncmp(tensor, prefixes[i], strlen(prefixes[i])) == 0) return tensor;
  return NULL;
}

typedef struct Known {
  Arena *arena;
  FrontendOptions *frontend;
  KnownShape *shapes;
  const char *path;
} Known;

static void add_shape(Known *known, const char *name, const ReferenceTensor *tensor) {
  for (int i = 0; i < known->frontend->known_shape_count; i++)
    if (strcmp(known->shapes[i].name, name) == 0) return;
  ARENA_PUSH(known->arena, known->shapes, known->frontend->known_shape_count,
             (KnownShape){name, tensor->rank, tensor->shape, known->path});
}

/* Where a file has runs, "input.token_text" is an "input.token", unless the file has that name as well. */
static void add_shapes_of_runs(Known *known, const char *name, const ReferenceTensor *tensor) {
  const char *start = strchr(name, '.') + 1;
  for (const char *place = start + strlen(start); place > start; place--)
    if (*place == '_') add_shape(known, arena_string_length(known->arena, name, (size_t)(place - name)), tensor);
}

/* The configs: what --config gives stands alone; else that of the reference, and what it lacks from the weights. */
static void add_configs(Arena *arena, const Reference *reference, const Reference *weights, FrontendOptions *frontend) {
  if (frontend->config_count) return;
  Config *configs = ARENA_ARRAY(arena, Config, 2);
  const Reference *files[] = {reference, weights};
  for (int n = 0; n < 2; n++)
    if (files[n] && files[n]->config) configs[frontend->config_count++] = (Config){files[n]->config, files[n]->config_path};
  frontend->configs = configs;
}

FrontendOptions known_from_files(Arena *arena, const FrontendOptions *options, const Reference *reference, const Reference *weights) {
  FrontendOptions frontend = *options;
  Known known = {.arena = arena, .frontend = &frontend, .path = reference->path};
  frontend.known_shape_count = 0;
  for (int is_run = 0; is_run < 2; is_run++)
    for (int i = 0; i < reference->tensor_count; i++) {
      const char *name = known_name(arena, reference->tensors[i].name);
      if (!name || (weights && strncmp(name, "param.", 6) == 0)) continue;
      if (is_run) add_shapes_of_runs(&known, name, &reference->tensors[i]);
      else add_shape(&known, name, &reference->tensors[i]);
    }
  frontend.known_shapes = known.shapes;
  add_configs(arena, reference, weights, &frontend);
  if (weights) weights_add_known(arena, weights, &frontend);
  return frontend;
}

/* ---- building ---- */

static bool has_errors(const Check *check) { return diagnostics_error_count(check->diagnostics) > 0; }

static FrontendResult read_model(Check *check) {
  if (check->is_summary) return compile_with_any_sizes(check);
  FrontendOptions frontend = known_from_files(check->arena, &check->options->frontend, check->reference, check->weights);
  return weights_compile(check->arena, check->options->model, &frontend, check->weights, false, check->diagnostics);
}

/* From the model file to entry points in this process; false after diagnostics. */
static bool build(Check *check, Codegen *codegen) {
  FrontendResult read = read_model(check);
  check->read = read;
  if (has_errors(check) || !read.program) return false;
  PipelineOptions pipeline = check->options->pipeline;
  pipeline.machines = codegen_machines(codegen, &pipeline.machine_count);
  check->lowered = pipeline_run(check->arena, read.program, &pipeline, check->diagnostics);
  if (has_errors(check) || !check->lowered.module) return false;
  if (check->is_summary && !make_random_reference(check)) return false;
  if (!check_names(check)) return false;
  if (!codegen_compile(codegen, check->lowered.modules, check->diagnostics)) return false;
  check->model = codegen_load(codegen, check->lowered.module, check->diagnostics);
  return check->model && !has_errors(check);
}

static seqrt_context *create_context(int threads) {
  seqrt_context *context = NULL;
  seqrt_error error = {0};
  if (seqrt_context_create(threads, &context, &error) != SEQRT_OK) fprintf(stderr, "seqc: error: %s\n", error.message);
  return context;
}

/* Without reference data the whole sequence also runs on other numbers of threads, which must give the same bits. */
static bool run_on_other_threads(Check *check) {
  enum { MOST_THREADS = 3 };
  const seqrt_context *usual = check->context;
  for (int threads = 1; threads <= MOST_THREADS; threads++) {
    if (threads == usual->thread_count) continue;
    seqrt_context *context = create_context(threads);
    if (!context) return false;
    check->context = context;
    check_compiled(check);
    seqrt_context_destroy(context);
  }
  check->context = usual;
  return true;
}

/* Nothing has been compared yet. */
static void start_comparing(Check *check) {
  check->kept_count = 0;
  for (int form = 0; form < CHECK_FORM_COUNT; form++) {
    check->is_compared[form] = ARENA_ARRAY(check->arena, bool, check->reference->tensor_count);
    check->shared_error[form] = ARENA_ARRAY(check->arena, double, check->reference->tensor_count);
    for (int i = 0; i < check->reference->tensor_count; i++) check->shared_error[form][i] = INFINITY;
  }
}

/* The forms of compiled code. */
static bool run_compiled_forms(Check *check) {
  start_comparing(check);
  if (!check->options->is_left_out[CHECK_COMPILED]) check_compiled(check);
  bool has_run = !check->is_summary || run_on_other_threads(check);
  check_streams(check);
  return has_run;
}

/* Those of each processor of the object that this machine runs. */
static bool run_on_processors(Check *check) {
  const seqrt_model *model = check->model;
  if (!model->use_processor) return run_compiled_forms(check);
  bool has_run = true;
  for (int32_t n = 0; n < model->processor_count; n++) {
    bool is_used = model->use_processor(n) == n;
    if (!is_used) fprintf(check->options->stream, "processor %s left out: this machine does not run its code\n", model->processors[n]);
    else if (!check->is_summary) fprintf(check->options->stream, "processor %s\n", model->processors[n]);
    if (is_used) has_run &= run_compiled_forms(check);
  }
  return has_run;
}

static ExitCode run_forms(Check *check) {
  const CheckOptions *options = check->options;
  seqrt_context *context = create_context(options->threads);
  if (!context) return EXIT_CALL;
  check->context = context;
  check->largest_gradient = largest_gradient(check->reference);
  for (int form = 0; form < CHECK_FORM_COUNT; form++)
    if (options->is_left_out[form]) fprintf(options->stream, "%s left out by --forms\n", check_form_names[form]);
  if (!check_read_parameters(check)) {
    seqrt_context_destroy(context);
    return EXIT_FILE;
  }
  bool has_run = run_on_processors(check);
  if (!options->is_left_out[CHECK_INTERPRETED] && !check->is_summary) check_interpreted(check);
  seqrt_context_destroy(context);
  return !has_run ? EXIT_CALL : check->is_bad ? EXIT_MODEL : EXIT_DONE;
}

static ExitCode check_with(Check *check, Codegen *codegen) {
  bool is_ready = build(check, codegen);
  diagnostics_print(check->diagnostics, stderr);
  return is_ready ? run_forms(check) : EXIT_CALL;
}

static ExitCode with_codegen(Check *check) {
  Codegen *codegen = codegen_create(&check->options->codegen, check->diagnostics);
  if (!codegen) {
    diagnostics_print(check->diagnostics, stderr);
    return EXIT_CALL;
  }
  ExitCode code = check_with(check, codegen);
  codegen_destroy(codegen);
  return code;
}

/* One model or layer (NULL: the model of the file) on random data. */
static ExitCode check_layer(const CheckOptions *options, const char *layer) {
  Arena *arena = arena_create();
  CheckOptions own = *options;
  if (layer) own.frontend.layer = layer;
  Check check = {.arena = arena, .options = &own, .diagnostics = diagnostics_create(arena), .is_summary = true, .worst_difference = -1};
  for (int form = 0; form < CHECK_FORM_COUNT; form++)
    for (int kind = 0; kind < CHECK_KIND_COUNT; kind++) check.worst[form][kind] = -1;
  ExitCode code = with_codegen(&check);
  bool has_run = code == EXIT_DONE || code == EXIT_MODEL;
  if (has_run) report_summary(&check, check.lowered.batched->name, check.read.chosen_count, check.read.chosen);
  else fprintf(options->stream, "%s BAD: not run\n", layer ? layer : options->model);
  arena_destroy(arena);
  return has_run ? code : EXIT_MODEL;
}

/* Every layer of a file without model, unless one is named. */
static ExitCode check_random(const CheckOptions *options) {
  if (options->frontend.layer) return check_layer(options, options->frontend.layer);
  Arena *arena = arena_create();
  Diagnostics *diagnostics = diagnostics_create(arena);
  int count;
  const char **layers = frontend_layers(arena, options->model, &options->frontend, diagnostics, &count);
  diagnostics_print(diagnostics, stderr);
  ExitCode code = layers ? EXIT_DONE : EXIT_CALL;
  for (int n = 0; n < count; n++) {
    ExitCode own = check_layer(options, layers[n]);
    if (own != EXIT_DONE) code = own;
  }
  arena_destroy(arena);
  return code;
}

ExitCode check_run(const CheckOptions *options) {
  if (!options->against) return check_random(options);
  Arena *arena = arena_create();
  Check check = {.arena = arena, .options = options, .diagnostics = diagnostics_create(arena)};
  ExitCode code = EXIT_FILE;
  check.reference = reference_load(arena, options->against);
  check.weights = options->weights ? weights_open(arena, options->weights) : NULL;
  if (check.reference) check.is_skipped = ARENA_ARRAY(arena, bool, check.reference->tensor_count);
  if (check.reference && (check.weights || !options->weights)) code = with_codegen(&check);
  weights_close(check.weights);
  arena_destroy(arena);
  return code;
}
