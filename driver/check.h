/* check.h - are these equations those of the reference? Builds a model, runs it on the data of a file and compares. */
#ifndef SEQC_DRIVER_CHECK_H
#define SEQC_DRIVER_CHECK_H

#include "driver/options.h"
#include "driver/reference.h"

typedef struct CheckOptions {
  const char *model, *against; /* against NULL: random data, which the interpreter judges */
  const char *weights;      /* NULL: the parameters are in `against` */
  FrontendOptions frontend; /* config and shapes are taken from the files where none are given here */
  PipelineOptions pipeline;
  CodegenOptions codegen;
  int threads; /* 0: all processors */
  int seed;    /* of random data, where there is no `against` */
  bool is_left_out[CHECK_FORM_COUNT];
  FILE *stream;
} CheckOptions;

/* Prints the table to options->stream, everything else to standard error. EXIT_DONE when all is within tolerance, EXIT_MODEL when
 * a line is BAD, EXIT_FILE for an unreadable file, EXIT_CALL when model and file do not fit or the model has errors. */
ExitCode check_run(const CheckOptions *options);

/* The options of the front end with what it may know from the files: shapes, and the config where none was given. `weights` may be NULL. */
FrontendOptions known_from_files(Arena *arena, const FrontendOptions *options, const Reference *reference, const Reference *weights);

#endif
