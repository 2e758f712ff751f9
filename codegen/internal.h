/* internal.h - what the files of codegen share. Nothing outside of this folder includes it.
 *
 * module.c makes, for each kernel, a wrapper `int32 NAME_forward(seqrt_call *)` that checks the call, computes the run-time sizes and the
 * address of every buffer into a KernelFrame on its stack, and runs the kernel's body on all threads. kernel.c emits that body:
 *
 *     void NAME_forward_body(KernelFrame *frame, int32 thread, int32 thread_count)
 *
 * The frame as LLVM sees it: { ptr call, ptr context, [symbol_count + 1 x i64] numbers, [buffer_count x ptr] buffers }; the numbers are
 * the symbols and the bytes from one thread's private buffers to those of the next. After it come the views of the stages: words that repeat, one after the other, the symbols and buffers that a stage uses. A stage is given
 * its view in place of the frame, so that it doesn't depend on their numbers and stages that do the same are merged.
 * buffers[b] is the first element of buffer b; with has_turns the first entry of its table of pointers; null where the caller
 * gave none (OP_GIVEN asks for that).
 */
#ifndef SEQC_CODEGEN_INTERNAL_H
#define SEQC_CODEGEN_INTERNAL_H

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/codegen.h"

typedef struct Processor Processor; /* processors.h */

struct Codegen {
  Arena *arena;
  CodegenOptions options;
  char *triple;
  int processor_count; /* more than one: the object picks one when it is first called, the first is the baseline */
  Processor *processors;
  char *cpu, *features; /* of the one that functions are made for now; codegen_select chooses it */
  Machine machine;
  const char *suffix; /* of the names of its functions; "" where there is one processor */
  LLVMContextRef context;
  LLVMTargetMachineRef target_machine;
  LLVMTargetDataRef data_layout;
  LLVMModuleRef module; /* after codegen_compile */
  const char *module_name; /* of the model at hand */
  LLVMTypeRef type_void, type_i1, type_i8, type_i16, type_i32, type_i64, type_f32, type_ptr;
  LLVMMemoryBufferRef emitted[OUTPUT_BITCODE + 1];
  void *jit;
};

/* processors.c: makes the processor of this number the one that functions are made for. */
void codegen_select(Codegen *codegen, int processor);
/* target.c: whether the triples begin with the same name. */
bool is_same_architecture(const char *a, const char *b);

/* module.c: a function with the attributes that every function of the object carries: the processor, its features, the
 * width of vectors, and that nothing unwinds. */
LLVMValueRef codegen_add_function(Codegen *codegen, const char *name, LLVMTypeRef type, LLVMLinkage linkage);
/* Runs once a call at most: compiled fast rather than well. */
void codegen_set_cold(Codegen *codegen, LLVMValueRef function);
/* module.c: the declaration of an LLVM intrinsic, overloaded on `type` (NULL: not overloaded). */
LLVMValueRef codegen_intrinsic(Codegen *codegen, const char *name, LLVMTypeRef type);
/* module.c: a C identifier made of `name`: other characters become '_'. */
const char *codegen_identifier(Arena *arena, const char *name);

/* By word of all views: the byte offset in the frame of what it repeats. */
typedef struct FrameViews {
  int count;
  int64_t *offsets;
} FrameViews;

/* kernel.c: adds the internal function for the body. Never fails: kernels are verified before. */
LLVMValueRef emit_kernel_body(Codegen *codegen, const Module *module, const Kernel *kernel, FrameViews *out_views);
/* Where the views begin, in bytes from the start of the frame; they are aligned as i64. */
int64_t kernel_views_offset(Codegen *codegen, const Kernel *kernel);
/* The frame of a kernel: its fields, and its type. */
enum { FRAME_CALL, FRAME_CONTEXT, FRAME_NUMBERS, FRAME_BUFFERS };
LLVMTypeRef kernel_frame_type(Codegen *codegen, const Kernel *kernel);

#endif
