/* codegen.h - from loops to an object file. The only room that sees LLVM. */
#ifndef SEQC_CODEGEN_H
#define SEQC_CODEGEN_H

#include "base/diagnostic.h"
#include "ir/loops.h"
#include "ir/machine.h"
#include "seqrt/abi.h"

typedef enum { OUTPUT_OBJECT, OUTPUT_ASSEMBLY, OUTPUT_LLVM, OUTPUT_BITCODE } OutputKind;

typedef struct CodegenOptions {
  const char *target;   /* triple; NULL: the host's */
  const char *cpu;      /* "native" or NULL: the host's; else LLVM's name, or several: "x86-64-v3,znver4" */
  const char *features; /* LLVM's list, may be NULL */
  int optimisation;     /* 0 to 3 */
  bool has_debug_lines; /* -g */
  bool is_pic;          /* position independent; default true */
  bool is_emitted_once; /* one codegen_emit follows each codegen_compile, so the module need not be kept */
} CodegenOptions;

typedef struct Codegen Codegen;

/* Fails with a diagnostic without place on an unknown target or processor: NULL. */
Codegen *codegen_create(const CodegenOptions *options, Diagnostics *diagnostics);
void codegen_destroy(Codegen *codegen);
/* The processors that code is made for, from the plainest to the best. */
int codegen_processor_count(const Codegen *codegen);
const Machine *codegen_machines(const Codegen *codegen, int *out_count); /* one for each */
const char *codegen_processor_name(const Codegen *codegen, int processor);
const char *codegen_target_text(const Codegen *codegen); /* "x86_64-pc-linux-gnu x86-64,sapphirerapids" */

/* Emits all kernels, wrappers and the descriptor, then optimises. One module for each processor, which differ in their kernels. */
bool codegen_compile(Codegen *codegen, Module *const *modules, Diagnostics *diagnostics);
/* The result as bytes (text kinds are terminated too), valid until codegen_destroy. */
const char *codegen_emit(Codegen *codegen, OutputKind kind, size_t *out_length, Diagnostics *diagnostics);

/* The compiled model inside this process (the same object bytes, linked by LLVM's JIT), for --check. NULL on failure. */
const seqrt_model *codegen_load(Codegen *codegen, const Module *module, Diagnostics *diagnostics);

/* The text of NAME.h: typed, documented entry points over the descriptor. */
const char *codegen_header(const Codegen *codegen, Arena *arena, const Module *module, const char *source_path);

/* For --cpu=help and --version. */
void codegen_print_targets(FILE *stream);

#endif
