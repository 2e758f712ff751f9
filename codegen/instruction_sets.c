/* instruction_sets.c - what a processor of a list must have for the code that is made for it.
 *
 * The C interface of LLVM does not say which instruction sets a named processor has. Its inliner does: a function goes into one that is
 * compiled for a processor where that has all that the function is compiled for. So for each row of the table there is an empty function
 * with this one instruction set, and whether a call to it goes away is the answer. The other way round a function of the processor must
 * go into one with all rows that were found: then the table covers the processor, and what is checked at run time is enough.
 */
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "codegen/module.h"
#include "codegen/processors.h"

typedef struct FeatureRow {
  const char *name;
  int word, bit;
  uint32_t kept; /* by the operating system */
} FeatureRow;

enum { WORD_IDLE = -1, WORD_TASTE = -2 }; /* need not be there */
enum { KEPT_NONE = 0, KEPT_AVX = 0x6, KEPT_AVX512 = 0xe6 };

static const FeatureRow rows[] = {
#define FEATURE(name, word, bit, kept) {name, WORD_##word, bit, KEPT_##kept},
#define IDLE(name) {name, WORD_IDLE, 0, 0},
#define TASTE(name) {name, WORD_TASTE, 0, 0},
#include "codegen/x86_features.def"
#undef FEATURE
#undef IDLE
#undef TASTE
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static void add_attribute(LLVMContextRef context, LLVMValueRef function, const char *key, const char *value) {
  LLVMAttributeRef attribute = LLVMCreateStringAttribute(context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

/* A function for this processor that calls another (NULL: none) and returns. */
static LLVMValueRef add_function(const Codegen *codegen, const char *processor, const char *features, LLVMValueRef called) {
  LLVMValueRef function = LLVMAddFunction(codegen->module, "f", LLVMFunctionType(codegen->type_void, NULL, 0, false));
  LLVMSetLinkage(function, called ? LLVMExternalLinkage : LLVMInternalLinkage);
  add_attribute(codegen->context, function, "target-cpu", processor);
  if (*features) add_attribute(codegen->context, function, "target-features", features);
  LLVMBuilderRef builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(codegen->context, function, ""));
  if (called) LLVMBuildCall2(builder, LLVMGlobalGetValueType(called), called, NULL, 0, "");
  LLVMBuildRetVoid(builder);
  LLVMDisposeBuilder(builder);
  return function;
}

static bool is_inlined(LLVMValueRef caller) {
  return LLVMIsACallInst(LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(caller))) == NULL;
}

static void begin_module(Codegen *codegen) {
  codegen->module = LLVMModuleCreateWithNameInContext("instruction sets", codegen->context);
  LLVMSetTarget(codegen->module, codegen->triple);
  LLVMSetModuleDataLayout(codegen->module, codegen->data_layout);
}

static void run_inliner(const Codegen *codegen) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(codegen->module, "inline", codegen->target_machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error) internal_error("LLVM refused to inline: %s", LLVMGetErrorMessage(error));
}

static void end_module(Codegen *codegen) {
  LLVMDisposeModule(codegen->module);
  codegen->module = NULL;
}

static void add_row(Processor *processor, const FeatureRow *row) {
  processor->instruction_set_count += row->word != WORD_TASTE;
  if (row->word < 0) return;
  processor->needs[row->word] |= UINT32_C(1) << row->bit;
  processor->needs[WORD_KEPT] |= row->kept;
}

/* The rows that the processors have, as features: "+sse3,+avx". */
static const char **find_rows(Codegen *codegen) {
  int count = codegen->processor_count;
  LLVMValueRef *callers = ARENA_ARRAY(codegen->arena, LLVMValueRef, count * ROW_COUNT);
  const char **found = ARENA_ARRAY(codegen->arena, const char *, count);
  begin_module(codegen);
  for (int r = 0; r < ROW_COUNT; r++) {
    LLVMValueRef called = add_function(codegen, "x86-64", arena_format(codegen->arena, "+%s", rows[r].name), NULL);
    for (int n = 0; n < count; n++)
      callers[n * ROW_COUNT + r] = add_function(codegen, codegen->processors[n].name, codegen->processors[n].features, called);
  }
  run_inliner(codegen);
  for (int n = 0; n < count; n++) {
    found[n] = "";
    for (int r = 0; r < ROW_COUNT; r++) {
      if (!is_inlined(callers[n * ROW_COUNT + r])) continue;
      add_row(&codegen->processors[n], &rows[r]);
      found[n] = arena_format(codegen->arena, "%s%s+%s", found[n], *found[n] ? "," : "", rows[r].name);
    }
  }
  end_module(codegen);
  return found;
}

bool processors_learn(Codegen *codegen, Diagnostics *diagnostics) {
  const char **found = find_rows(codegen);
  int count = codegen->processor_count, errors = 0;
  LLVMValueRef *callers = ARENA_ARRAY(codegen->arena, LLVMValueRef, count);
  begin_module(codegen);
  for (int n = 0; n < count; n++) {
    LLVMValueRef called = add_function(codegen, codegen->processors[n].name, codegen->processors[n].features, NULL);
    callers[n] = add_function(codegen, "x86-64", found[n], called);
  }
  run_inliner(codegen);
  for (int n = 0; n < count; n++) {
    if (is_inlined(callers[n])) continue;
    errors++;
    diagnostics_error(
        diagnostics, (SourceRange){0},
        "processor '%s' has instructions whose presence code cannot find out; it can be made for that processor alone",
        codegen->processors[n].name);
  }
  end_module(codegen);
  return !errors;
}
