/* options.h - the command line as a structure. The table of options is options.def. */
#ifndef SEQC_DRIVER_OPTIONS_H
#define SEQC_DRIVER_OPTIONS_H

#include "base/arena.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pipeline.h"

/* What seqc returns to the shell; documented in man/seqc.1.in. */
typedef enum {
  EXIT_DONE = 0,
  EXIT_MODEL = 1, /* errors in the model, or --check found a difference */
  EXIT_CALL = 2,  /* wrong call */
  EXIT_FILE = 3,  /* a file cannot be read or written */
  EXIT_MEMORY = 4 /* out of memory; base/arena.c ends with it */
} ExitCode;

/* In the order of the pipeline. */
typedef enum {
  EMIT_AST,
  EMIT_EQUATIONS,
  EMIT_LOOPS,
  EMIT_LLVM,
  EMIT_BITCODE,
  EMIT_ASSEMBLY,
  EMIT_OBJECT,
  EMIT_HEADER,
  EMIT_COUNT
} EmitKind;

/* The ways in which --check runs a model; each can be left out. */
typedef enum { CHECK_COMPILED, CHECK_CHUNK, CHECK_STEP, CHECK_INTERPRETED, CHECK_FORM_COUNT } CheckForm;
extern const char *const check_form_names[CHECK_FORM_COUNT];

typedef struct EmitInfo {
  const char *name, *extension;
  bool to_stdout; /* where there is no -o */
} EmitInfo;
extern const EmitInfo emit_table[EMIT_COUNT];

typedef struct Options {
  const char *input;  /* "-": standard input */
  const char *output; /* NULL: from the name of the input */
  bool emit[EMIT_COUNT];
  FrontendOptions frontend;
  PipelineOptions pipeline;
  CodegenOptions codegen;
  const char *config, *weights, *against; /* files, or NULL */
  bool is_checking, is_explaining;
  bool has_forms;
  bool is_left_out[CHECK_FORM_COUNT]; /* forms that --check does not run */
  int threads;                        /* 0: all processors */
  int seed;                           /* of --check without reference; 0: not given */
  bool has_dependencies, has_only_dependencies;
  const char *dependency_file, *dependency_target;
  const char *run_pass; /* for tests of one pass: the equations it leaves are the output */
  const char *help;     /* NULL: not asked for; "" or a topic */
  bool has_version, has_cpu_help;
} Options;

/* Fills out_options. On a wrong call prints what is wrong and returns false. */
bool options_parse(Arena *arena, int argument_count, char **arguments, Options *out_options);

/* Grouped, from the table. */
void options_print_help(FILE *stream);
/* The same rows as the body of the OPTIONS section of the man page. */
void options_print_manual(FILE *stream);

#endif
