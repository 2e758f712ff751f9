/* driver.c - the pipeline, top to bottom: model file, equations, loops, object file.
 *
 * The one place that sees all rooms. Each stage collects its errors; the run ends after the first stage that has any,
 * and files are written at the very end, all or none.
 */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "driver/check.h"
#include "driver/depfile.h"
#include "driver/explain.h"
#include "driver/files.h"
#include "driver/options.h"
#include "driver/run_pass.h"
#include "driver/weights.h"

/* One run of the compiler. */
typedef struct Run {
  Arena *arena;
  Options *options;
  Diagnostics *diagnostics;
  Reference *weights; /* NULL: none are given */
  FrontendResult read;
  PipelineResult lowered;
  Codegen *codegen;
  OutputFiles *files;
} Run;

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool has_ending(const char *path, const char *ending) {
  size_t length = strlen(path), ending_length = strlen(ending);
  return length > ending_length && strcmp(path + length - ending_length, ending) == 0;
}

/* The path with its ending replaced. */
static const char *with_extension(Arena *arena, const char *path, const char *extension) {
  const char *name = file_name(path), *dot = strrchr(name, '.');
  int stem = (int)((dot && dot != name ? dot : name + strlen(name)) - path);
  return arena_format(arena, "%.*s%s", stem, path, extension);
}

static bool is_one_kind(const Options *options) {
  int kinds = 0;
  for (int kind = 0; kind < EMIT_COUNT; kind++) kinds += options->emit[kind];
  return kinds == 1;
}

/* Where an output goes: -o as it is for a single kind, else beside it; without -o text goes to standard output and files into this folder. */
static const char *output_path(const Run *run, EmitKind kind) {
  const Options *options = run->options;
  if (options->output && (is_one_kind(options) || strcmp(options->output, "-") == 0)) return options->output;
  if (options->output) return with_extension(run->arena, options->output, emit_table[kind].extension);
  if (emit_table[kind].to_stdout) return "-";
  const char *name = strcmp(options->input, "-") == 0 ? "model" : file_name(options->input);
  return with_extension(run->arena, name, emit_table[kind].extension);
}

/* What the dependency rule makes, and what NAME.d lies beside: the first file that is written. */
static const char *main_output(const Run *run) {
  for (int kind = EMIT_COUNT - 1; kind >= 0; kind--)
    if (run->options->emit[kind] && kind != EMIT_HEADER) return output_path(run, (EmitKind)kind);
  return output_path(run, EMIT_HEADER);
}

static void add_text(Run *run, EmitKind kind, const char *text) {
  output_files_add(run->files, output_path(run, kind), text, strlen(text));
}

static ExitCode finish(Run *run, ExitCode code) {
  diagnostics_print(run->diagnostics, stderr);
  if (code == EXIT_DONE && diagnostics_error_count(run->diagnostics)) code = EXIT_MODEL;
  if (code == EXIT_DONE && !output_files_commit(run->files)) code = EXIT_FILE;
  if (run->codegen) codegen_destroy(run->codegen);
  weights_close(run->weights);
  return code;
}

/* Equations as text instead of a model file: what --emit=equations writes can be compiled. */
static FrontendResult read_equations(Run *run, SourceFile *file) {
  FrontendResult result = {0};
  result.program = equations_parse(run->arena, file, run->diagnostics);
  ARENA_PUSH(run->arena, result.files, result.file_count, file->path);
  return result;
}

/* Stage 1: the model file, and all it imports, to equations. False when a file cannot be read. */
static bool read_model(Run *run) {
  Options *options = run->options;
  if (strcmp(options->input, "-") != 0 && !file_is_readable(options->input)) return false;
  if (options->weights && !(run->weights = weights_open(run->arena, options->weights))) return false;
  if (has_ending(options->input, ".eq")) {
    SourceFile *file = ARENA_NEW(run->arena, SourceFile);
    file->path = options->input;
    if (!(file->text = file_read(run->arena, options->input, &file->length))) return false;
    run->read = read_equations(run, file);
    if (run->weights && run->read.program) weights_check(run->arena, run->read.program, run->weights, "", run->diagnostics);
    return true;
  }
  if (options->against) { /* --explain */
    const Reference *reference = reference_load(run->arena, options->against);
    if (!reference) return false;
    options->frontend = known_from_files(run->arena, &options->frontend, reference, run->weights);
  } else if (run->weights) {
    weights_add_known(run->arena, run->weights, &options->frontend);
  }
  run->read = weights_compile(run->arena, options->input, &options->frontend, run->weights, options->emit[EMIT_AST],
                              run->diagnostics);
  if (options->emit[EMIT_AST] && run->read.ast) add_text(run, EMIT_AST, run->read.ast);
  return true;
}

static void add_dependencies(Run *run) {
  const Options *options = run->options;
  if (!options->has_dependencies && !options->has_only_dependencies) return;
  int file_count = 0;
  const char **files = NULL;
  for (int f = 0; f < run->read.file_count; f++) ARENA_PUSH(run->arena, files, file_count, run->read.files[f]);
  if (options->config) ARENA_PUSH(run->arena, files, file_count, options->config);
  for (int f = 0; run->weights && f < weights_file_count(run->weights); f++)
    ARENA_PUSH(run->arena, files, file_count, weights_file(run->weights, f));
  const char *target = options->dependency_target;
  if (!target && options->has_only_dependencies) target = with_extension(run->arena, file_name(options->input), ".o");
  if (!target) target = main_output(run);
  Text text = {.arena = run->arena};
  depfile_print(&text, target, file_count, files);
  const char *path = options->dependency_file;
  if (!path && options->has_only_dependencies) path = options->output ? options->output : "-";
  if (!path) path = with_extension(run->arena, main_output(run), ".d");
  output_files_add(run->files, path, text_string(&text), text.length);
}

static bool wants_later_than(const Options *options, EmitKind kind) {
  for (int later = (int)kind + 1; later < EMIT_COUNT; later++)
    if (options->emit[later]) return true;
  return options->pipeline.dump || options->pipeline.stop_after;
}

/* Stage 3: loops to machine code, in each of the forms that are wanted. */
static void emit_code(Run *run) {
  static const struct {
    EmitKind kind;
    OutputKind output;
  } forms[] = {
      {EMIT_LLVM, OUTPUT_LLVM}, {EMIT_BITCODE, OUTPUT_BITCODE}, {EMIT_ASSEMBLY, OUTPUT_ASSEMBLY}, {EMIT_OBJECT, OUTPUT_OBJECT}};
  const Options *options = run->options;
  bool is_compiled = false;
  for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
    if (!options->emit[forms[f].kind]) continue;
    if (!is_compiled && !codegen_compile(run->codegen, run->lowered.modules, run->diagnostics)) return;
    is_compiled = true;
    size_t length;
    const char *data = codegen_emit(run->codegen, forms[f].output, &length, run->diagnostics);
    if (!data) return;
    output_files_add(run->files, output_path(run, forms[f].kind), data, length);
  }
  const char *object = output_path(run, EMIT_OBJECT);
  bool has_header_beside = options->emit[EMIT_OBJECT] && has_ending(object, ".o");
  if (!options->emit[EMIT_HEADER] && !has_header_beside) return;
  const char *header = codegen_header(run->codegen, run->arena, run->lowered.module, options->input);
  const char *path = options->emit[EMIT_HEADER] ? output_path(run, EMIT_HEADER) : with_extension(run->arena, object, ".h");
  output_files_add(run->files, path, header, strlen(header));
}

/* The loops for each processor. */
static const char *loops_text(const Run *run) {
  Text text = {.arena = run->arena};
  int count = codegen_processor_count(run->codegen);
  for (int n = 0; n < count; n++) {
    if (count > 1) text_format(&text, "%s# for processor %s\n", n ? "\n" : "", codegen_processor_name(run->codegen, n));
    loops_print(&text, run->lowered.modules[n]);
  }
  return text_string(&text);
}

static ExitCode compile(Run *run) {
  Options *options = run->options;

  /* 1. text to equations */
  if (!read_model(run)) return finish(run, EXIT_FILE);
  if (diagnostics_error_count(run->diagnostics) || !run->read.program) return finish(run, EXIT_MODEL);
  add_dependencies(run);
  if (options->has_only_dependencies) return finish(run, EXIT_DONE);
  if (options->run_pass) {
    add_text(run, EMIT_EQUATIONS, run_pass(run->arena, run->read.program, options->run_pass, run->diagnostics));
    return finish(run, EXIT_DONE);
  }
  if (options->emit[EMIT_EQUATIONS]) {
    Text text = {.arena = run->arena};
    equations_print(&text, run->read.program);
    add_text(run, EMIT_EQUATIONS, text_string(&text));
  }
  if (!wants_later_than(options, EMIT_EQUATIONS)) return finish(run, EXIT_DONE);

  /* 2. equations to loops, for the processor that code generation knows */
  options->codegen.is_emitted_once = is_one_kind(options);
  run->codegen = codegen_create(&options->codegen, run->diagnostics);
  if (!run->codegen) return finish(run, EXIT_CALL);
  options->pipeline.machines = codegen_machines(run->codegen, &options->pipeline.machine_count);
  options->pipeline.is_reporting = options->is_explaining;
  run->lowered = pipeline_run(run->arena, run->read.program, &options->pipeline, run->diagnostics);
  if (!run->lowered.module) return finish(run, EXIT_DONE);
  if (options->is_explaining) {
    explain_print(stdout, run->read.program, &run->lowered, run->diagnostics);
    return finish(run, EXIT_DONE);
  }
  if (options->emit[EMIT_LOOPS]) {
    add_text(run, EMIT_LOOPS, loops_text(run));
  }

  /* 3. loops to machine code */
  emit_code(run);
  return finish(run, EXIT_DONE);
}

static ExitCode check(const Options *options) {
  CheckOptions check = {
      .model = options->input,
      .against = options->against,
      .weights = options->weights,
      .frontend = options->frontend,
      .pipeline = options->pipeline,
      .codegen = options->codegen,
      .threads = options->threads,
      .seed = options->seed ? options->seed : 1,
      .stream = stdout,
  };
  memcpy(check.is_left_out, options->is_left_out, sizeof check.is_left_out);
  return file_is_readable(options->input) ? check_run(&check) : EXIT_FILE;
}

static ExitCode print_help(const Options *options) {
  if (strcmp(options->help, "passes") == 0) pipeline_print_passes(stdout);
  else if (strcmp(options->help, "man") == 0) options_print_manual(stdout);
  else options_print_help(stdout);
  return EXIT_DONE;
}

static ExitCode print_targets(bool has_version) {
  if (has_version) printf("seqc %s\n", SEQC_VERSION);
  codegen_print_targets(stdout);
  return EXIT_DONE;
}

/* What the caller asked for. */
static ExitCode dispatch(Arena *arena, Options *options) {
  if (options->help) return print_help(options);
  if (options->has_version || options->has_cpu_help) return print_targets(options->has_version);
  if (options->config) {
    size_t length;
    Config *config = ARENA_NEW(arena, Config);
    *config = (Config){file_read(arena, options->config, &length), options->config};
    if (!config->text) return EXIT_FILE;
    options->frontend.configs = config;
    options->frontend.config_count = 1;
  }
  if (options->is_checking) return check(options);
  Run run = {.arena = arena, .options = options, .diagnostics = diagnostics_create(arena), .files = output_files_create(arena)};
  return compile(&run);
}

int driver_main(int argument_count, char **arguments) {
  Arena *arena = arena_create();
  Options options;
  ExitCode code = options_parse(arena, argument_count, arguments, &options) ? dispatch(arena, &options) : EXIT_CALL;
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "seqc: error: cannot write standard output\n");
    if (code == EXIT_DONE) code = EXIT_FILE;
  }
  arena_destroy(arena);
  return (int)code;
}
