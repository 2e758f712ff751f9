/* jit.c - the object that would be written, linked into this process by LLVM's JIT. */
#include "codegen/jit.h"

#include <llvm-c/LLJIT.h>

#include "codegen/module.h"
#include "codegen/processors.h"

/* The JIT owns the bytes it links and wants them position independent. NULL after a diagnostic. */
static LLVMMemoryBufferRef make_object(Codegen *codegen, Diagnostics *diagnostics) {
  if (codegen->options.is_pic) {
    size_t length;
    const char *bytes = codegen_emit(codegen, OUTPUT_OBJECT, &length, diagnostics);
    return bytes ? LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes, length, "model") : NULL;
  }
  LLVMTargetRef target = LLVMGetTargetMachineTarget(codegen->target_machine);
  LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, codegen->triple, codegen->cpu, codegen->features,
                                                         LLVMCodeGenLevelLess, LLVMRelocPIC, LLVMCodeModelDefault);
  char *message = NULL;
  LLVMMemoryBufferRef buffer = output_to_buffer(codegen, machine, OUTPUT_OBJECT, &message);
  LLVMDisposeTargetMachine(machine);
  if (!buffer) {
    diagnostics_error(diagnostics, (SourceRange){0}, "no object can be made to be run here: %s",
                      message ? message : "unknown reason");
    LLVMDisposeMessage(message);
  }
  return buffer;
}

/* Whether this machine has every instruction set that code for the processor needs; unknown where LLVM cannot say. */
static bool has_all(const Codegen *codegen, const Codegen *host, Diagnostics *ignored) {
  bool is_known = !codegen->options.features && strcmp(codegen->cpu, host->cpu);
  const char *names = arena_format(codegen->arena, "native,%s", codegen->cpu);
  Codegen *both = is_known ? codegen_create(&(CodegenOptions){.cpu = names, .is_pic = true}, ignored) : NULL;
  if (!both) return true;
  const Processor *wanted = processor_find(both, codegen->cpu), *here = processor_find(both, host->cpu);
  bool is_fine = true;
  for (int word = 0; word < PROCESSOR_WORDS; word++) is_fine &= !(wanted->needs[word] & ~here->needs[word]);
  codegen_destroy(both);
  return is_fine;
}

/* Other code would end in an illegal instruction. */
static bool runs_here(const Codegen *codegen, Diagnostics *diagnostics) {
  const CodegenOptions *options = &codegen->options;
  if (!options->target && (!options->cpu || !strcmp(options->cpu, "native")) && !options->features) return true;
  Diagnostics *ignored = diagnostics_create(codegen->arena);
  Codegen *host = codegen_create(&(CodegenOptions){.optimisation = 0, .is_pic = true}, ignored);
  if (!host) return true;
  size_t length = strcspn(host->triple, "-");
  bool is_fine = !strncmp(host->triple, codegen->triple, length + 1);
  if (codegen->processor_count == 1)
    is_fine = is_fine && codegen->machine.lanes <= host->machine.lanes && has_all(codegen, host, ignored);
  if (!is_fine)
    diagnostics_error(diagnostics, (SourceRange){0}, "code for '%s' cannot run on this machine, which is '%s'",
                      codegen_target_text(codegen), codegen_target_text(host));
  codegen_destroy(host);
  return is_fine;
}

static LLVMErrorRef link_object(LLVMOrcLLJITRef jit, LLVMMemoryBufferRef object, const char *symbol,
                                LLVMOrcExecutorAddress *out_address) {
  LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit);
  LLVMOrcDefinitionGeneratorRef process = NULL;
  LLVMErrorRef error = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL,
                                                                            NULL);
  if (error) {
    LLVMDisposeMemoryBuffer(object);
    return error;
  }
  LLVMOrcJITDylibAddGenerator(library, process);
  error = LLVMOrcLLJITAddObjectFile(jit, library, object);
  return error ? error : LLVMOrcLLJITLookup(jit, out_address, symbol);
}

const seqrt_model *codegen_load(Codegen *codegen, const Module *module, Diagnostics *diagnostics) {
  if (!codegen->module) internal_error("codegen_load before codegen_compile");
  jit_destroy(codegen);
  if (!runs_here(codegen, diagnostics)) return NULL;
  LLVMMemoryBufferRef object = make_object(codegen, diagnostics);
  if (!object) return NULL;
  LLVMOrcLLJITRef jit = NULL;
  LLVMOrcExecutorAddress address = 0;
  const char *symbol = arena_format(codegen->arena, "%s_model", codegen_identifier(codegen->arena, module->name));
  LLVMErrorRef error = LLVMOrcCreateLLJIT(&jit, NULL);
  if (error) LLVMDisposeMemoryBuffer(object);
  else error = link_object(jit, object, symbol, &address);
  codegen->jit = jit;
  if (!error) return (const seqrt_model *)(uintptr_t)address;
  char *message = LLVMGetErrorMessage(error);
  diagnostics_error(diagnostics, (SourceRange){0}, "the compiled model cannot be loaded here: %s", message);
  LLVMDisposeErrorMessage(message);
  return NULL;
}

void jit_destroy(Codegen *codegen) {
  if (!codegen->jit) return;
  LLVMErrorRef error = LLVMOrcDisposeLLJIT(codegen->jit);
  if (error) LLVMConsumeError(error);
  codegen->jit = NULL;
}
