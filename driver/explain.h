/* explain.h - `seqc --explain MODEL`: what was found in the equations, and what was made of it. */
#ifndef SEQC_DRIVER_EXPLAIN_H
#define SEQC_DRIVER_EXPLAIN_H

#include "passes/pipeline.h"

/* `program` is the model as the front end left it; `lowered` was made with is_reporting. */
void explain_print(FILE *stream, const Program *program, const PipelineResult *lowered, Diagnostics *diagnostics);

#endif
