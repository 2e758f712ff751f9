/* run_pass.h - one pass alone, for its tests: equations in, equations out. */
#ifndef SEQC_DRIVER_RUN_PASS_H
#define SEQC_DRIVER_RUN_PASS_H

#include "base/diagnostic.h"
#include "ir/equations.h"

/* The text of the program after the pass of this name. */
const char *run_pass(Arena *arena, Program *program, const char *name, Diagnostics *diagnostics);

#endif
