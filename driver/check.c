/* check.c - `seqc --check MODEL --against FILE`: the model is built as for any other use, with sizes from the file's shapes and
 * constants from its config, loaded into this process and run in every form that the file can judge.
 */
#include "driver/check.h"

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

static void add_shape(Arena *arena, FrontendOptions *frontend, KnownShape **shapes, const char *name,
                      const ReferenceTensor *tensor) {
  for (int i = 0; i < frontend->known_shape_count; i++)
    if (strcmp((*shapes)[i].name, name) == 0) return;
  ARENA_PUSH(arena, *shapes, frontend->known_shape_count, (KnownShape){name, tensor->rank, tensor->shape});
}

static FrontendOptions frontend_options(const Check *check) {
  FrontendOptions frontend = check->options->frontend;
  const Reference *reference = check->reference, *weights = check->weights;
  KnownShape *shapes = NULL;
  frontend.known_shape_count = 0;
  for (int i = 0; i < reference->tensor_count; i++) {
    const char *name = known_name(check->arena, reference->tensors[i].name);
    if (name && !(weights && strncmp(name, "param.", 6) == 0))
      add_shape(check->arena, &frontend, &shapes, name, &reference->tensors[i]);
  }
  for (int i = 0; weights && i < weights->tensor_count; i++)
    add_shape(check->arena, &frontend, &shapes, arena_format(check->arena, "param.%s", weights->tensors[i].name),
              &weights->tensors[i]);
  frontend.known_shapes = shapes;
  frontend.known_shapes_path = reference->path;
  if (!frontend.config && reference->config) {
    frontend.config = reference->config;
    frontend.config_path = reference->path;
  }
  return frontend;
}

/* ---- building ---- */

static bool has_errors(const Check *check) { return diagnostics_error_count(check->diagnostics) > 0; }

/* From the model file to entry points in this process; false after diagnostics. */
static bool build(Check *check, Codegen *codegen) {
  FrontendOptions frontend = frontend_options(check);
  FrontendResult read = frontend_compile(check->arena, check->options->model, &frontend, false, check->diagnostics);
  if (has_errors(check) || !read.program) return false;
  PipelineOptions pipeline = check->options->pipeline;
  pipeline.machine = codegen_machine(codegen);
  check->lowered = pipeline_run(check->arena, read.program, &pipeline, check->diagnostics);
  if (has_errors(check) || !check->lowered.module || !check_names(check)) return false;
  if (!codegen_compile(codegen, check->lowered.module, check->diagnostics)) return false;
  check->model = codegen_load(codegen, check->lowered.module, check->diagnostics);
  return check->model && !has_errors(check);
}

static ExitCode run_forms(Check *check) {
  const CheckOptions *options = check->options;
  seqrt_context *context = NULL;
  seqrt_error error = {0};
  if (seqrt_context_create(options->threads, &context, &error) != SEQRT_OK) {
    fprintf(stderr, "seqc: error: %s\n", error.message);
    return EXIT_CALL;
  }
  check->context = context;
  check->largest_gradient = largest_gradient(check->reference);
  for (int form = 0; form < CHECK_FORM_COUNT; form++)
    check->is_compared[form] = ARENA_ARRAY(check->arena, bool, check->reference->tensor_count);
  if (!options->is_left_out[CHECK_COMPILED]) check_compiled(check);
  check_streams(check);
  if (!options->is_left_out[CHECK_INTERPRETED]) check_interpreted(check);
  seqrt_context_destroy(context);
  return check->is_bad ? EXIT_MODEL : EXIT_DONE;
}

static ExitCode check_with(Check *check, Codegen *codegen) {
  bool is_ready = build(check, codegen);
  diagnostics_print(check->diagnostics, stderr);
  return is_ready ? run_forms(check) : EXIT_CALL;
}

ExitCode check_run(const CheckOptions *options) {
  Arena *arena = arena_create();
  Check check = {.arena = arena, .options = options, .diagnostics = diagnostics_create(arena)};
  ExitCode code = EXIT_FILE;
  check.reference = reference_load(arena, options->against);
  check.weights = options->weights ? reference_load(arena, options->weights) : NULL;
  if (check.reference && (check.weights || !options->weights)) {
    Codegen *codegen = codegen_create(&options->codegen, check.diagnostics);
    if (codegen) code = check_with(&check, codegen);
    else code = EXIT_CALL, diagnostics_print(check.diagnostics, stderr);
    if (codegen) codegen_destroy(codegen);
  }
  arena_destroy(arena);
  return code;
}
