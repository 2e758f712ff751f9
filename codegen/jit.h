/* jit.h - the end of a compiled model inside this process. */
#ifndef SEQC_CODEGEN_JIT_H
#define SEQC_CODEGEN_JIT_H

#include "codegen/codegen.h"

/* Frees what codegen_load made, if anything. */
void jit_destroy(Codegen *codegen);

#endif
