/* optimise.c - the passes of LLVM, by level.
 *
 * Kernels arrive vectorised and tiled, so LLVM's own vectorisers and unroller are left out: they undo register tiles and
 * cost most of the time of its default pipelines. What stays: values into registers, common and loop-invariant code, folding.
 */
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "codegen/module.h"

/* Without debug lines, where each stage belongs to its own place in the source: stages that do the same become one. */
static const char merging[] = "mergefunc,";
static const char *const pipelines[] = {
    "always-inline",
    "always-inline,function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg)",
    "always-inline,function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg),globaldce",
    "always-inline,function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,"
    "loop-mssa(loop-simplifycfg,licm),gvn,dse,loop(indvars,loop-deletion),instcombine<no-verify-fixpoint>,"
    "loop-mssa(licm),early-cse<memssa>,adce,simplifycfg),globaldce",
};

void optimise_module(Codegen *codegen) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  bool is_merging = codegen->options.optimisation > 0 && !codegen->options.has_debug_lines;
  const char *passes = arena_format(codegen->arena, "%s%s", is_merging ? merging : "", pipelines[codegen->options.optimisation]);
  LLVMErrorRef error = LLVMRunPasses(codegen->module, passes, codegen->target_machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error) internal_error("LLVM refused its passes: %s", LLVMGetErrorMessage(error));
}
