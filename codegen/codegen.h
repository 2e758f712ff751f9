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
  const char *cpu;      /* "native" or NULL: the host's; else LLVM's name */
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
Machine codegen_machine(const Codegen *codegen);
const char *codegen_target_text(const Codegen *codegen); /* "x86_64-pc-linux-gnu sapphirerapids" */

/* Emits all kernels, wrappers and the descriptor, then optimises. */
bool codegen_compile(Codegen *codegen, const Module *module, Diagnostics *diagnostics);
/* The result as bytes (text kinds are terminated too), valid until codegen_destroy. */
const char *codegen_emit(Codegen *codegen, OutputKind kind, size_t *out_length, Diagnostics *diagnostics);

/* The compiled model inside this process (the same object bytes, linked by LLVM's JIT), for --check. NULL on failure. */
const seqrt_model *codegen_load(Codegen *codegen, const Module *module, Diagnostics *diagnostics);

/* The text of NAME.h: typed, documented entry points over the descriptor. */
const char *codegen_header(Arena *arena, const Module *module, const char *source_path);

/* For --cpu=help and --version. */
void codegen_print_targets(FILE *stream);

#endif
