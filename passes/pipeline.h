/* pipeline.h - from equations to loops: every pass, in order, in one place (pipeline.c). */
#ifndef SEQC_PASSES_PIPELINE_H
#define SEQC_PASSES_PIPELINE_H

#include "base/diagnostic.h"
#include "ir/equations.h"
#include "ir/loops.h"
#include "ir/machine.h"
#include "passes/report.h"

typedef struct PipelineOptions {
  int optimisation;            /* 0 to 3 */
  bool is_verifying;           /* after every pass */
  const char *dump;            /* pass name or "all": its result is printed to dump_stream */
  const char *stop_after;      /* pass name */
  int disable_count;
  const char *const *disabled; /* optional passes that are left out */
  int piece_steps;             /* of a recurrence split over time; 0: none is */
  PackedFormat packed_format; /* of what is packed once for many calls */
  bool is_reporting;           /* decisions are recorded */
  bool is_timing;              /* --time-passes: a table to dump_stream at the end */
  FILE *dump_stream;
  int machine_count;           /* none is needed when stopped before lowering */
  const Machine *machines;
} PipelineOptions;

typedef struct PipelineResult {
  Program *batched;   /* with batch axis: the interface, and the interpreter's program */
  Program *gradient;  /* differentiated, before carry: the interpreter's gradients. NULL when nothing is real */
  Report *report;     /* of the decisions; NULL unless it was asked for */
  Module **modules;   /* one for each machine, which differ in their kernels; NULL after errors or when stopped early */
  Module *module;     /* the first of them */
} PipelineResult;

PipelineResult pipeline_run(Arena *arena, const Program *program, const PipelineOptions *options, Diagnostics *diagnostics);

/* NULL, or the name when it is no pass. */
bool pipeline_has_pass(const char *name);
void pipeline_print_passes(FILE *stream); /* name, level, help: for --help=passes */

#endif
