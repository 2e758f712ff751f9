/* kernel_run.c - compiles the body of a kernel by itself and links it into the test. */
#include "kernel_run.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <stdlib.h>

#include "codegen/module.h"

/* Defects of the test end it: there is nothing to go on with. */
static void *need(void *pointer, const char *what) {
  if (!pointer) internal_error("%s", what);
  return pointer;
}

static void need_no_error(LLVMErrorRef error) {
  if (error) internal_error("%s", LLVMGetErrorMessage(error));
}

static Kernel *parse(Arena *arena, const char *text) {
  Diagnostics *diagnostics = diagnostics_create(arena);
  SourceFile *file = ARENA_NEW(arena, SourceFile);
  *file = (SourceFile){"kernel", text, strlen(text)};
  Kernel *kernel = kernel_parse(arena, file, diagnostics);
  diagnostics_print(diagnostics, stderr);
  const char *fault = kernel ? loops_verify(kernel) : "the kernel does not parse";
  if (fault) internal_error("%s\n%s", fault, text);
  return kernel;
}

static FrameViews compile(Codegen *codegen, const Kernel *kernel) {
  Module module = {.name = "test"};
  codegen->module = LLVMModuleCreateWithNameInContext("test", codegen->context);
  LLVMSetTarget(codegen->module, codegen->triple);
  LLVMSetModuleDataLayout(codegen->module, codegen->data_layout);
  FrameViews views = {0};
  LLVMSetLinkage(emit_kernel_body(codegen, &module, kernel, &views), LLVMExternalLinkage);
  char *message = NULL;
  if (LLVMVerifyModule(codegen->module, LLVMReturnStatusAction, &message))
    internal_error("%s\n%s", message, LLVMPrintModuleToString(codegen->module));
  LLVMDisposeMessage(message);
  optimise_module(codegen);
  if (getenv("KERNEL_LLVM")) fputs(LLVMPrintModuleToString(codegen->module), stderr);
  return views;
}

KernelRun kernel_run_begin(const char *text, const char *cpu, int optimisation) {
  KernelRun run = {.arena = arena_create()};
  Diagnostics *diagnostics = diagnostics_create(run.arena);
  Kernel *kernel = parse(run.arena, text);
  run.symbol_count = kernel->symbol_count;
  run.buffer_count = kernel->buffer_count;
  CodegenOptions options = {.cpu = cpu, .optimisation = optimisation, .is_pic = true};
  run.codegen = need(codegen_create(&options, diagnostics), "no code can be made here");
  FrameViews views = compile(run.codegen, kernel);
  run.view_count = views.count;
  run.view_offsets = views.offsets;
  run.views_offset = kernel_views_offset(run.codegen, kernel);
  LLVMTypeRef frame = kernel_frame_type(run.codegen, kernel);
  for (unsigned field = 0; field < 4; field++) run.offsets[field] = LLVMOffsetOfElement(run.codegen->data_layout, frame, field);
  size_t length;
  if (getenv("KERNEL_ASSEMBLY")) fputs(codegen_emit(run.codegen, OUTPUT_ASSEMBLY, &length, diagnostics), stderr);
  char *message = NULL;
  LLVMMemoryBufferRef object = output_to_buffer(run.codegen, run.codegen->target_machine, OUTPUT_OBJECT, &message);
  LLVMOrcLLJITRef jit = NULL;
  need_no_error(LLVMOrcCreateLLJIT(&jit, NULL));
  LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit);
  LLVMOrcDefinitionGeneratorRef process = NULL;
  need_no_error(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL));
  LLVMOrcJITDylibAddGenerator(library, process);
  need_no_error(LLVMOrcLLJITAddObjectFile(jit, library, need(object, "no object")));
  LLVMOrcExecutorAddress address = 0;
  need_no_error(LLVMOrcLLJITLookup(jit, &address, arena_format(run.arena, "test_%s_body", entry_names[kernel->entry])));
  run.jit = jit;
  memcpy(&run.body, &address, sizeof run.body);
  return run;
}

void kernel_run(const KernelRun *run, const seqrt_context *context, const int64_t *symbols, void *const *buffers, int32_t thread,
                int32_t thread_count) {
  _Alignas(16) char frame[4096];
  memset(frame, 0, sizeof frame);
  memcpy(frame + run->offsets[1], &context, sizeof context);
  memcpy(frame + run->offsets[2], symbols, sizeof *symbols * (size_t)run->symbol_count);
  memcpy(frame + run->offsets[2] + sizeof *symbols * (size_t)run->symbol_count, &run->private_stride, sizeof run->private_stride);
  memcpy(frame + run->offsets[3], buffers, sizeof *buffers * (size_t)run->buffer_count);
  for (int n = 0; n < run->view_count; n++) memcpy(frame + run->views_offset + 8 * n, frame + run->view_offsets[n], 8);
  run->body(frame, thread, thread_count);
}

void kernel_run_end(KernelRun *run) {
  need_no_error(LLVMOrcDisposeLLJIT(run->jit));
  codegen_destroy(run->codegen);
  arena_destroy(run->arena);
}
