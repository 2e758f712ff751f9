/* capture.h - what LLVM prints to the standard error while it runs, as text.
 *
 * The C interface has no question for "is this a known processor?" and no list of processors: LLVM answers both on the
 * standard error only. Capturing that turns its warning into a diagnostic of ours.
 */
#ifndef SEQC_CODEGEN_CAPTURE_H
#define SEQC_CODEGEN_CAPTURE_H

#include "base/arena.h"

/* Runs action(context) and returns what came to the standard error meanwhile. When no temporary file can be made, the
 * output goes where it always goes and the result is "". */
const char *capture_errors(Arena *arena, void (*action)(void *context), void *context);

#endif
