/* pick.c - an object for several processors picks one of them when it is first called.
 *
 * It asks the processor and the operating system itself, as no library needs to be there. What was picked is kept in the one variable of
 * the object; threads that come first together all find the same.
 */
#include "codegen/module.h"
#include "codegen/processors.h"

static LLVMValueRef build_asm(const ModuleEmitter *emitter, LLVMTypeRef result, const char *text, const char *constraints,
                              LLVMValueRef *arguments, unsigned count) {
  LLVMTypeRef i32 = emitter->codegen->type_i32, types[] = {i32, i32};
  LLVMTypeRef type = LLVMFunctionType(result, types, count, false);
  LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), true, false,
                                       LLVMInlineAsmDialectATT, false);
  return LLVMBuildCall2(emitter->builder, type, code, arguments, count, "");
}

enum { REGISTER_EAX, REGISTER_EBX, REGISTER_ECX, REGISTER_EDX };

/* The four registers of a leaf, as a struct. */
static LLVMValueRef build_cpuid(const ModuleEmitter *emitter, uint32_t leaf, uint32_t subleaf) {
  LLVMTypeRef i32 = emitter->codegen->type_i32, registers[] = {i32, i32, i32, i32};
  LLVMTypeRef type = LLVMStructTypeInContext(emitter->codegen->context, registers, 4, false);
  LLVMValueRef arguments[] = {build_i32(emitter, leaf), build_i32(emitter, subleaf)};
  return build_asm(emitter, type, "cpuid", "={ax},={bx},={cx},={dx},0,2,~{dirflag},~{fpsr},~{flags}", arguments, 2);
}

static LLVMValueRef build_register(const ModuleEmitter *emitter, LLVMValueRef registers, unsigned number) {
  return LLVMBuildExtractValue(emitter->builder, registers, number, "");
}

static void build_store_word(const ModuleEmitter *emitter, LLVMValueRef words, int word, LLVMValueRef value) {
  LLVMValueRef index = build_i64(emitter, word);
  LLVMBuildStore(emitter->builder, value,
                 LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i32, words, &index, 1, ""));
}

/* The registers that the operating system keeps, where it says so: only then is there an instruction that tells. */
static LLVMValueRef build_kept(const ModuleEmitter *emitter, LLVMValueRef features) {
  enum { SAYS_SO = 1 << 27 };
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = emitter->codegen->type_i32, pair[] = {i32, i32};
  LLVMBasicBlockRef start = LLVMGetInsertBlock(builder), ask = build_block(emitter, "ask"), done = build_block(emitter, "kept");
  LLVMValueRef bit = LLVMBuildAnd(builder, features, build_i32(emitter, SAYS_SO), ""), zero = build_i32(emitter, 0);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, bit, zero, ""), ask, done);
  LLVMPositionBuilderAtEnd(builder, ask);
  LLVMValueRef both = build_asm(emitter, LLVMStructTypeInContext(emitter->codegen->context, pair, 2, false), "xgetbv",
                                "={ax},={dx},{cx}", &zero, 1);
  LLVMValueRef values[] = {zero, LLVMBuildExtractValue(builder, both, 0, "")};
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMBasicBlockRef blocks[] = {start, ask};
  LLVMValueRef kept = LLVMBuildPhi(builder, i32, "");
  LLVMAddIncoming(kept, values, blocks, 2);
  return kept;
}

/* void ask(int32 *out_words): a leaf past the last one says nothing. */
static LLVMValueRef build_ask(ModuleEmitter *emitter) {
  static const struct {
    int word;
    uint32_t leaf, subleaf;
    unsigned number;
  } places[] = {{WORD_1_ECX, 1, 0, REGISTER_ECX},           {WORD_7_EBX, 7, 0, REGISTER_EBX},
                {WORD_7_ECX, 7, 0, REGISTER_ECX},           {WORD_7_EDX, 7, 0, REGISTER_EDX},
                {WORD_7_1_EAX, 7, 1, REGISTER_EAX},         {WORD_7_1_EDX, 7, 1, REGISTER_EDX},
                {WORD_X1_ECX, 0x80000001u, 0, REGISTER_ECX}};
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef function = build_function(emitter, "ask", emitter->codegen->type_void, &emitter->codegen->type_ptr, 1);
  LLVMValueRef words = LLVMGetParam(function, 0), zero = build_i32(emitter, 0), kept = zero;
  for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
    LLVMValueRef last = build_register(emitter, build_cpuid(emitter, places[n].leaf & 0x80000000u, 0), REGISTER_EAX);
    LLVMValueRef is_there = LLVMBuildICmp(builder, LLVMIntUGE, last, build_i32(emitter, places[n].leaf), "");
    if (places[n].subleaf) {
      last = LLVMBuildSelect(builder, is_there, build_register(emitter, build_cpuid(emitter, places[n].leaf, 0), REGISTER_EAX),
                             zero, "");
      is_there = LLVMBuildICmp(builder, LLVMIntUGE, last, build_i32(emitter, places[n].subleaf), "");
    }
    LLVMValueRef found = build_register(emitter, build_cpuid(emitter, places[n].leaf, places[n].subleaf), places[n].number);
    LLVMValueRef word = LLVMBuildSelect(builder, is_there, found, zero, "");
    if (places[n].word == WORD_1_ECX) kept = build_kept(emitter, word);
    build_store_word(emitter, words, places[n].word, word);
  }
  build_store_word(emitter, words, WORD_KEPT, kept);
  LLVMBuildRetVoid(builder);
  return function;
}

static LLVMValueRef build_needs(const ModuleEmitter *emitter) {
  const Codegen *codegen = emitter->codegen;
  int64_t *needs = ARENA_ARRAY(codegen->arena, int64_t, codegen->processor_count *PROCESSOR_WORDS);
  for (int n = 0; n < codegen->processor_count; n++)
    for (int word = 0; word < PROCESSOR_WORDS; word++) needs[n * PROCESSOR_WORDS + word] = codegen->processors[n].needs[word];
  return build_numbers(emitter, "needs", codegen->type_i32, needs, codegen->processor_count * PROCESSOR_WORDS);
}

/* bool runs(const int32 *words, int64 processor): all that the processor needs is there. */
static LLVMValueRef build_runs(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef types[] = {codegen->type_ptr, codegen->type_i64};
  LLVMValueRef needs = build_needs(emitter), function = build_function(emitter, "runs", codegen->type_i1, types, 2);
  LLVMValueRef zero = build_i64(emitter, 0),
               row = LLVMBuildMul(builder, LLVMGetParam(function, 1), build_i64(emitter, PROCESSOR_WORDS), "");
  TableLoop loop = table_loop_begin(emitter, zero, build_i64(emitter, PROCESSOR_WORDS));
  LLVMValueRef need = build_table_number(emitter, needs, LLVMBuildAdd(builder, row, loop.index, ""), 1, 0);
  LLVMValueRef word = build_table_number(emitter, LLVMGetParam(function, 0), loop.index, 1, 0);
  LLVMValueRef lacks = LLVMBuildAnd(builder, need, LLVMBuildNot(builder, word, ""), "");
  LLVMBasicBlockRef no = build_block(emitter, "no"), next = build_block(emitter, "next");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, lacks, zero, ""), no, next);
  LLVMPositionBuilderAtEnd(builder, no);
  LLVMBuildRet(builder, LLVMConstInt(codegen->type_i1, 0, false));
  LLVMPositionBuilderAtEnd(builder, next);
  table_loop_end(emitter, &loop);
  LLVMBuildRet(builder, LLVMConstInt(codegen->type_i1, 1, false));
  return function;
}

static void build_store_picked(const ModuleEmitter *emitter, LLVMValueRef picked, LLVMValueRef number) {
  LLVMValueRef store = LLVMBuildStore(emitter->builder, LLVMBuildAdd(emitter->builder, number, build_i32(emitter, 1), ""),
                                      picked);
  LLVMSetOrdering(store, LLVMAtomicOrderingMonotonic);
  LLVMSetAlignment(store, 4);
}

/* int32 use_processor(int32 processor): see seqrt_model. */
static LLVMValueRef build_use_processor(ModuleEmitter *emitter, LLVMValueRef picked) {
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = codegen->type_i32, i64 = codegen->type_i64;
  LLVMValueRef ask = build_ask(emitter), runs = build_runs(emitter), count = build_i32(emitter, codegen->processor_count);
  LLVMValueRef function = build_function(emitter, "use_processor", i32, &i32, 1), wanted = LLVMGetParam(function, 0);
  LLVMValueRef words = LLVMBuildAlloca(builder, LLVMArrayType2(i32, PROCESSOR_WORDS), "words");
  build_call(emitter, ask, &words, 1);
  LLVMBasicBlockRef given = build_block(emitter, "given"), known = build_block(emitter, "known"),
                    fine = build_block(emitter, "fine"), refused = build_block(emitter, "refused"),
                    any = build_block(emitter, "any"), found = build_block(emitter, "found");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSGE, wanted, build_i32(emitter, 0), ""), given, any);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, wanted, count, ""), known, refused);
  LLVMPositionBuilderAtEnd(builder, known);
  LLVMValueRef arguments[] = {words, LLVMBuildZExt(builder, wanted, i64, "")};
  LLVMBuildCondBr(builder, build_call(emitter, runs, arguments, 2), fine, refused);
  LLVMPositionBuilderAtEnd(builder, refused);
  LLVMBuildRet(builder, build_i32(emitter, -1));
  LLVMPositionBuilderAtEnd(builder, fine);
  build_store_picked(emitter, picked, wanted);
  LLVMBuildRet(builder, wanted);

  LLVMPositionBuilderAtEnd(builder, any); /* from the best down; nothing is needed for the first */
  TableLoop loop = table_loop_begin(emitter, build_i64(emitter, 1), LLVMBuildZExt(builder, count, i64, ""));
  LLVMValueRef number = LLVMBuildSub(builder, build_i64(emitter, codegen->processor_count), loop.index, "");
  LLVMBasicBlockRef next = build_block(emitter, "next");
  LLVMValueRef tried[] = {words, number};
  LLVMBuildCondBr(builder, build_call(emitter, runs, tried, 2), found, next);
  LLVMPositionBuilderAtEnd(builder, found);
  LLVMValueRef best = LLVMBuildTrunc(builder, number, i32, "");
  build_store_picked(emitter, picked, best);
  LLVMBuildRet(builder, best);
  LLVMPositionBuilderAtEnd(builder, next);
  table_loop_end(emitter, &loop);
  build_store_picked(emitter, picked, build_i32(emitter, 0));
  LLVMBuildRet(builder, build_i32(emitter, 0));
  return function;
}

/* ptr plan_of(int64 entry): the plan of the processor that was picked. */
static LLVMValueRef build_plan_of(ModuleEmitter *emitter, LLVMValueRef picked) {
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = codegen->type_i32, i64 = codegen->type_i64;
  LLVMValueRef function = build_function(emitter, "plan_of", codegen->type_ptr, &i64, 1);
  LLVMValueRef kept = LLVMBuildLoad2(builder, i32, picked, "picked"), one = build_i32(emitter, 1), any = build_i32(emitter, -1);
  LLVMSetOrdering(kept, LLVMAtomicOrderingMonotonic);
  LLVMSetAlignment(kept, 4);
  LLVMBasicBlockRef start = LLVMGetInsertBlock(builder), first = build_block(emitter, "first"),
                    done = build_block(emitter, "done");
  LLVMValueRef again = LLVMBuildSub(builder, kept, one, "");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, kept, build_i32(emitter, 0), ""), first, done);
  LLVMPositionBuilderAtEnd(builder, first);
  LLVMValueRef values[] = {again, build_call(emitter, emitter->use_processor, &any, 1)};
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMBasicBlockRef blocks[] = {start, first};
  LLVMValueRef number = LLVMBuildPhi(builder, i32, "");
  LLVMAddIncoming(number, values, blocks, 2);
  LLVMValueRef row = LLVMBuildMul(builder, LLVMBuildZExt(builder, number, i64, ""), build_i64(emitter, ENTRY_COUNT), "");
  LLVMBuildRet(builder, build_plan_at(emitter, LLVMBuildAdd(builder, row, LLVMGetParam(function, 0), "")));
  return function;
}

void build_pick_functions(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  if (codegen->processor_count == 1) return;
  LLVMValueRef picked = LLVMAddGlobal(codegen->module, codegen->type_i32, "picked"); /* the number of the processor, from 1 */
  LLVMSetInitializer(picked, build_i32(emitter, 0));
  LLVMSetLinkage(picked, LLVMInternalLinkage);
  LLVMSetAlignment(picked, 4);
  emitter->use_processor = build_use_processor(emitter, picked);
  emitter->plan_of = build_plan_of(emitter, picked);
}
