/* output.c - the compiled module as an object, assembly, LLVM text or bitcode, in memory.
 *
 * LLVM's code generator rewrites the module it is given, so machine code is made from a clone where more may be asked for.
 */
#include <llvm-c/BitWriter.h>

#include "codegen/module.h"

LLVMMemoryBufferRef output_to_buffer(Codegen *codegen, LLVMTargetMachineRef target_machine, OutputKind kind, char **out_message) {
  if (kind == OUTPUT_BITCODE) return LLVMWriteBitcodeToMemoryBuffer(codegen->module);
  if (kind == OUTPUT_LLVM) {
    char *text = LLVMPrintModuleToString(codegen->module);
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "llvm");
    LLVMDisposeMessage(text);
    return buffer;
  }
  LLVMModuleRef clone = codegen->options.is_emitted_once ? codegen->module : LLVMCloneModule(codegen->module);
  LLVMCodeGenFileType type = kind == OUTPUT_ASSEMBLY ? LLVMAssemblyFile : LLVMObjectFile;
  LLVMMemoryBufferRef buffer = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(target_machine, clone, type, out_message, &buffer)) buffer = NULL;
  if (clone == codegen->module) codegen->module = NULL;
  LLVMDisposeModule(clone);
  return buffer;
}

const char *codegen_emit(Codegen *codegen, OutputKind kind, size_t *out_length, Diagnostics *diagnostics) {
  if (!codegen->emitted[kind]) {
    if (!codegen->module) internal_error("codegen_emit before codegen_compile");
    char *message = NULL;
    LLVMMemoryBufferRef buffer = output_to_buffer(codegen, codegen->target_machine, kind, &message);
    if (!buffer) {
      diagnostics_error(diagnostics, (SourceRange){0}, "target '%s' cannot make this output: %s", codegen->triple,
                        message ? message : "unknown reason");
      LLVMDisposeMessage(message);
      return NULL;
    }
    codegen->emitted[kind] = buffer;
  }
  *out_length = LLVMGetBufferSize(codegen->emitted[kind]);
  return LLVMGetBufferStart(codegen->emitted[kind]);
}
