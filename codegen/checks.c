/* checks.c - what is wrong with a call is said before anything is computed.
 *
 * An entry checks what its kernel uses and nothing else: an input that only the objective reads may be missing where the
 * objective is not computed. Loops over tables keep the code independent of the number of turns of a repeat.
 */
#include "codegen/module.h"

/* int32 fail(call, code, argument, index, element, value, low, high): fills the fault and returns the code. */
static void build_fail_function(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef i32 = codegen->type_i32, i64 = codegen->type_i64;
  LLVMTypeRef types[] = {codegen->type_ptr, i32, i32, i32, i64, i64, i64, i64};
  LLVMValueRef function = emitter->fail = build_function(emitter, "fail", i32, types, 8);
  static const int fields[] = {FAULT_CODE, FAULT_ARGUMENT, FAULT_INDEX, FAULT_ELEMENT, FAULT_VALUE, FAULT_LOW, FAULT_HIGH};
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef fault = LLVMBuildStructGEP2(builder, emitter->call_type, LLVMGetParam(function, 0), CALL_FAULT, "");
  for (unsigned n = 0; n < sizeof fields / sizeof *fields; n++) {
    LLVMValueRef field = LLVMBuildStructGEP2(builder, emitter->fault_type, fault, (unsigned)fields[n], "");
    LLVMBuildStore(builder, LLVMGetParam(function, n + 1), field);
  }
  LLVMValueRef reserved = LLVMBuildStructGEP2(builder, emitter->fault_type, fault, FAULT_RESERVED, "");
  LLVMBuildStore(builder, build_i32(emitter, 0), reserved);
  LLVMBuildRet(builder, LLVMGetParam(function, 1));
}

/* ptr entry_of(ptr table, int64 index): table[index], or null when there is no table. */
static void build_entry_of_function(ModuleEmitter *emitter) {
  LLVMTypeRef types[] = {emitter->codegen->type_ptr, emitter->codegen->type_i64};
  LLVMValueRef function = emitter->entry_of = build_function(emitter, "entry_of", emitter->codegen->type_ptr, types, 2);
  LLVMBasicBlockRef missing = build_block(emitter, "missing"), given = build_block(emitter, "given");
  LLVMBuildCondBr(emitter->builder, build_is_null(emitter, LLVMGetParam(function, 0)), missing, given);
  LLVMPositionBuilderAtEnd(emitter->builder, missing);
  LLVMBuildRet(emitter->builder, build_null(emitter));
  LLVMPositionBuilderAtEnd(emitter->builder, given);
  LLVMBuildRet(emitter->builder, build_table_load(emitter, LLVMGetParam(function, 0), LLVMGetParam(function, 1)));
}

typedef struct Search {
  LLVMValueRef function, index;
  LLVMBasicBlockRef next;
} Search;

/* The head of an internal function that looks at index = 0 .. count: search_end says whether the one at `index` is found. */
static Search search_begin(ModuleEmitter *emitter, const char *name, LLVMTypeRef *types, unsigned count,
                           unsigned limit_parameter) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  Search search = {.function = build_function(emitter, name, i64, types, count)};
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(builder);
  LLVMBasicBlockRef head = build_block(emitter, "head"), body = build_block(emitter, "body"), none = build_block(emitter, "none");
  search.next = head;
  LLVMBuildBr(builder, head);
  LLVMPositionBuilderAtEnd(builder, head);
  search.index = LLVMBuildPhi(builder, i64, "index");
  LLVMValueRef zero = build_i64(emitter, 0);
  LLVMAddIncoming(search.index, &zero, &entry, 1);
  LLVMValueRef is_inside = LLVMBuildICmp(builder, LLVMIntSLT, search.index, LLVMGetParam(search.function, limit_parameter), "");
  LLVMBuildCondBr(builder, is_inside, body, none);
  LLVMPositionBuilderAtEnd(builder, none);
  LLVMBuildRet(builder, build_i64(emitter, -1));
  LLVMPositionBuilderAtEnd(builder, body);
  return search;
}

/* Returns the index when found, goes on to the next otherwise. */
static void search_end(ModuleEmitter *emitter, Search *search, LLVMValueRef is_found) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef found = build_block(emitter, "found"), body = LLVMGetInsertBlock(builder);
  LLVMValueRef next = LLVMBuildAdd(builder, search->index, build_i64(emitter, 1), "");
  LLVMAddIncoming(search->index, &next, &body, 1);
  LLVMBuildCondBr(builder, is_found, found, search->next);
  LLVMPositionBuilderAtEnd(builder, found);
  LLVMBuildRet(builder, search->index);
}

void build_check_functions(ModuleEmitter *emitter) {
  LLVMTypeRef i64 = emitter->codegen->type_i64, i32 = emitter->codegen->type_i32, ptr = emitter->codegen->type_ptr;
  LLVMBuilderRef builder = emitter->builder;
  build_fail_function(emitter);
  build_entry_of_function(emitter);

  /* int64 first_null(ptr table, int64 count): the first null entry, or -1 */
  LLVMTypeRef table_types[] = {ptr, i64};
  Search search = search_begin(emitter, "first_null", table_types, 2, 1);
  emitter->first_null = search.function;
  LLVMValueRef entry = build_table_load(emitter, LLVMGetParam(search.function, 0), search.index);
  search_end(emitter, &search, build_is_null(emitter, entry));

  /* int64 first_outside(const int32 *values, int64 count, int64 low, int64 high): the first outside of low .. high, or -1 */
  LLVMTypeRef value_types[] = {ptr, i64, i64, i64};
  search = search_begin(emitter, "first_outside", value_types, 4, 1);
  emitter->first_outside = search.function;
  LLVMValueRef address = LLVMBuildInBoundsGEP2(builder, i32, LLVMGetParam(search.function, 0), &search.index, 1, "");
  LLVMValueRef value = LLVMBuildSExt(builder, LLVMBuildLoad2(builder, i32, address, ""), i64, "");
  LLVMValueRef is_below = LLVMBuildICmp(builder, LLVMIntSLT, value, LLVMGetParam(search.function, 2), "");
  LLVMValueRef is_above = LLVMBuildICmp(builder, LLVMIntSGE, value, LLVMGetParam(search.function, 3), "");
  search_end(emitter, &search, LLVMBuildOr(builder, is_below, is_above, ""));
}

/* Leaves the builder in a block that is reached when not fine; the result is where to go on. */
static LLVMBasicBlockRef build_branch_bad(const ModuleEmitter *emitter, LLVMValueRef is_fine) {
  LLVMBasicBlockRef bad = build_block(emitter, "bad"), good = build_block(emitter, "good");
  LLVMBuildCondBr(emitter->builder, is_fine, good, bad);
  LLVMPositionBuilderAtEnd(emitter->builder, bad);
  return good;
}

void build_require(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef is_fine, int code, int argument,
                   LLVMValueRef index) {
  LLVMBasicBlockRef good = build_branch_bad(emitter, is_fine);
  LLVMValueRef zero = build_i64(emitter, 0);
  LLVMValueRef arguments[] = {call, build_i32(emitter, code), build_i32(emitter, argument), index, zero, zero, zero, zero};
  LLVMBuildRet(emitter->builder, build_call(emitter, emitter->fail, arguments, 8));
  LLVMPositionBuilderAtEnd(emitter->builder, good);
}

static LLVMValueRef build_not_null(const ModuleEmitter *emitter, LLVMValueRef pointer) {
  return LLVMBuildNot(emitter->builder, build_is_null(emitter, pointer), "");
}

static LLVMValueRef build_is_at_least(const ModuleEmitter *emitter, LLVMValueRef value, LLVMValueRef least) {
  return LLVMBuildICmp(emitter->builder, LLVMIntSGE, value, least, "");
}

/* Also true of NULL. */
static LLVMValueRef build_is_aligned(const ModuleEmitter *emitter, LLVMValueRef pointer) {
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef address = LLVMBuildPtrToInt(emitter->builder, pointer, i64, "");
  LLVMValueRef rest = LLVMBuildAnd(emitter->builder, address, build_i64(emitter, SEQRT_ALIGNMENT - 1), "");
  return LLVMBuildICmp(emitter->builder, LLVMIntEQ, rest, build_i64(emitter, 0), "");
}

/* A call of another version has another layout, so not even its fault is written. */
static void build_version_check(const ModuleEmitter *emitter, LLVMValueRef call) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef good = build_branch_bad(emitter, build_not_null(emitter, call));
  LLVMBuildRet(builder, build_i32(emitter, SEQRT_INVALID_ARGUMENT));
  LLVMPositionBuilderAtEnd(builder, good);
  LLVMValueRef version = build_call_field(emitter, call, CALL_ABI_VERSION);
  LLVMValueRef is_same = LLVMBuildICmp(builder, LLVMIntEQ, version, build_i32(emitter, SEQRT_ABI_VERSION), "");
  good = build_branch_bad(emitter, is_same);
  LLVMBuildRet(builder, build_i32(emitter, SEQRT_VERSION));
  LLVMPositionBuilderAtEnd(builder, good);
}

static void build_context_check(const ModuleEmitter *emitter, LLVMValueRef call) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef context = build_call_field(emitter, call, CALL_CONTEXT);
  LLVMBasicBlockRef given = build_block(emitter, "context"), done = build_block(emitter, "context_done");
  LLVMBuildCondBr(builder, build_is_null(emitter, context), done, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef none = build_i32(emitter, -1);
  LLVMValueRef version = build_context_field(emitter, context, CONTEXT_ABI_VERSION);
  LLVMValueRef is_same = LLVMBuildICmp(builder, LLVMIntEQ, version, build_i32(emitter, SEQRT_ABI_VERSION), "");
  build_require(emitter, call, is_same, SEQRT_VERSION, SEQRT_ARGUMENT_NONE, none);
  LLVMValueRef is_fine = build_is_at_least(emitter, build_context_field(emitter, context, CONTEXT_THREAD_COUNT),
                                           build_i32(emitter, 1));
  LLVMValueRef has_parallel = build_not_null(emitter, build_context_field(emitter, context, CONTEXT_PARALLEL));
  LLVMValueRef has_barrier = build_not_null(emitter, build_context_field(emitter, context, CONTEXT_BARRIER));
  is_fine = LLVMBuildAnd(builder, is_fine, LLVMBuildAnd(builder, has_parallel, has_barrier, ""), "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_NONE, none);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

static void build_size_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry) {
  LLVMValueRef none = build_i32(emitter, -1), batch = build_call_field(emitter, call, CALL_BATCH);
  LLVMValueRef lengths = build_call_field(emitter, call, CALL_LENGTHS);
  build_require(emitter, call, build_is_at_least(emitter, batch, build_i64(emitter, 1)), SEQRT_INVALID_ARGUMENT,
                SEQRT_ARGUMENT_BATCH, none);
  int count = module_length_count(emitter->module);
  if (count) build_require(emitter, call, build_not_null(emitter, lengths), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_LENGTH, none);
  for (int n = 0; n < count; n++) {
    LLVMValueRef index = build_i64(emitter, n);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i64, lengths, &index, 1, "");
    LLVMValueRef length = LLVMBuildLoad2(emitter->builder, emitter->codegen->type_i64, address, "");
    build_require(emitter, call, build_is_at_least(emitter, length, build_i64(emitter, 1)), SEQRT_INVALID_ARGUMENT,
                  SEQRT_ARGUMENT_LENGTH, build_i32(emitter, n));
  }
  LLVMValueRef arguments[] = {build_i32(emitter, entry), batch, lengths};
  LLVMValueRef size = build_call(emitter, emitter->workspace_size, arguments, 3);
  build_require(emitter, call, build_is_at_least(emitter, size, build_i64(emitter, 1)), SEQRT_INVALID_ARGUMENT,
                count ? SEQRT_ARGUMENT_LENGTH : SEQRT_ARGUMENT_BATCH, none);
  LLVMValueRef workspace = build_call_field(emitter, call, CALL_WORKSPACE);
  LLVMValueRef is_fine = LLVMBuildAnd(emitter->builder, build_not_null(emitter, workspace), build_is_aligned(emitter, workspace),
                                      "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_WORKSPACE, none);
}

/* The initial state may be made inside of another entry, which then needs what it reads. */
static bool entry_reads(const Module *module, EntryKind entry, BufferHome home, int slot) {
  const Port *input = home == HOME_INPUT && slot >= 0 ? module_port(module, PORT_INPUT, slot) : NULL;
  if (entry == ENTRY_FORWARD && input && input->is_for_objective) return false; /* its wrapper asks for no objective */
  return kernel_has_home(module->kernels[entry], home, slot) ||
         (entry_makes_state(module, entry) && kernel_has_home(module->kernels[ENTRY_INITIAL], home, slot));
}

static void build_table_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry) {
  const Module *module = emitter->module;
  LLVMValueRef none = build_i32(emitter, -1);
  if (entry_reads(module, entry, HOME_PARAMETER, -1)) {
    int64_t slots = 0;
    for (int n = 0; module_port(module, PORT_PARAMETER, n); n++)
      slots += port_slot_count(module, module_port(module, PORT_PARAMETER, n));
    LLVMValueRef table = build_call_field(emitter, call, CALL_PARAMETERS);
    build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS, none);
    LLVMValueRef arguments[] = {table, build_i64(emitter, slots)};
    LLVMValueRef missing = build_call(emitter, emitter->first_null, arguments, 2);
    LLVMValueRef is_fine = LLVMBuildICmp(emitter->builder, LLVMIntSLT, missing, build_i64(emitter, 0), "");
    LLVMValueRef index = LLVMBuildTrunc(emitter->builder, missing, emitter->codegen->type_i32, "");
    build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS, index);
  }
  if (entry_reads(module, entry, HOME_INPUT, -1)) {
    LLVMValueRef table = build_call_field(emitter, call, CALL_INPUTS);
    build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_INPUT, none);
    for (int n = 0; module_port(module, PORT_INPUT, n); n++) {
      if (!entry_reads(module, entry, HOME_INPUT, n)) continue;
      LLVMValueRef input = build_table_load(emitter, table, build_i64(emitter, n));
      build_require(emitter, call, build_not_null(emitter, input), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_INPUT,
                    build_i32(emitter, n));
    }
  }
  if (kernel_has_home(module->kernels[entry], HOME_COTANGENT, -1)) {
    LLVMValueRef table = build_call_field(emitter, call, CALL_COTANGENTS);
    build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_COTANGENT, none);
  }
}

/* A given state must be aligned, of this model, and at a sensible position. */
static void build_given_state_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry, LLVMValueRef state_in) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef none = build_i32(emitter, -1), one = build_i64(emitter, 1);
  LLVMBasicBlockRef given = build_block(emitter, "state"), done = build_block(emitter, "state_done");
  LLVMBuildCondBr(builder, build_is_null(emitter, state_in), done, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef has_step = LLVMConstInt(emitter->codegen->type_i1, emitter->module->has_step, false);
  build_require(emitter, call, has_step, SEQRT_NO_STEP, SEQRT_ARGUMENT_STATE, none);
  LLVMValueRef address = LLVMBuildInBoundsGEP2(builder, i64, state_in, &one, 1, "");
  LLVMValueRef fingerprint = LLVMBuildLoad2(builder, i64, address, "");
  LLVMValueRef expected = build_i64(emitter, (int64_t)module_fingerprint(emitter->module));
  LLVMValueRef is_same = LLVMBuildICmp(builder, LLVMIntEQ, fingerprint, expected, "");
  LLVMValueRef position = LLVMBuildLoad2(builder, i64, state_in, "");
  LLVMValueRef is_sensible = LLVMBuildICmp(builder, LLVMIntULT, position, build_i64(emitter, (int64_t)1 << 56), "");
  build_require(emitter, call, LLVMBuildAnd(builder, is_same, is_sensible, ""), SEQRT_MISMATCH, SEQRT_ARGUMENT_STATE, none);
  if (entry == ENTRY_GRADIENT)
    build_require(emitter, call, build_is_null(emitter, build_call_field(emitter, call, CALL_STATE_GRADIENTS)), SEQRT_POSITION,
                  SEQRT_ARGUMENT_STATE, none);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

static void build_state_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry) {
  LLVMValueRef none = build_i32(emitter, -1), out = build_call_field(emitter, call, CALL_STATE_OUT);
  LLVMValueRef is_fine = build_is_aligned(emitter, out);
  if (entry == ENTRY_INITIAL) is_fine = LLVMBuildAnd(emitter->builder, is_fine, build_not_null(emitter, out), "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, none);
  if (entry == ENTRY_INITIAL) return; /* state_in is ignored */
  LLVMValueRef in = build_call_field(emitter, call, CALL_STATE_IN);
  build_require(emitter, call, build_is_aligned(emitter, in), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, none);
  build_given_state_checks(emitter, call, entry, in);
}

void build_argument_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry) {
  build_version_check(emitter, call);
  build_context_check(emitter, call);
  build_size_checks(emitter, call, entry);
  build_table_checks(emitter, call, entry);
  build_state_checks(emitter, call, entry);
}

void build_value_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry, LLVMValueRef *symbols) {
  const Module *module = emitter->module;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = emitter->codegen->type_i32, i64 = emitter->codegen->type_i64;
  for (int n = 0; n < module->check_count; n++) {
    const InputCheck *check = &module->checks[n];
    if (!entry_reads(module, entry, HOME_INPUT, check->input)) continue;
    const Tensor *tensor = &module->interface->tensors[module_port(module, PORT_INPUT, check->input)->tensor];
    LLVMValueRef values = build_table_load(emitter, build_call_field(emitter, call, CALL_INPUTS),
                                           build_i64(emitter, check->input));
    LLVMValueRef count = build_elements(emitter, tensor->rank, tensor->shape, NULL, symbols);
    LLVMValueRef low = build_i64(emitter, check->low), high = build_i64(emitter, check->high);
    LLVMValueRef search[] = {values, count, low, high};
    LLVMValueRef element = build_call(emitter, emitter->first_outside, search, 4);
    LLVMValueRef is_fine = LLVMBuildICmp(builder, LLVMIntSLT, element, build_i64(emitter, 0), "");
    LLVMBasicBlockRef good = build_branch_bad(emitter, is_fine);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(builder, i32, values, &element, 1, "");
    LLVMValueRef value = LLVMBuildSExt(builder, LLVMBuildLoad2(builder, i32, address, ""), i64, "");
    LLVMValueRef arguments[] = {call,
                                build_i32(emitter, SEQRT_OUT_OF_RANGE),
                                build_i32(emitter, SEQRT_ARGUMENT_INPUT),
                                build_i32(emitter, check->input),
                                element,
                                value,
                                low,
                                high};
    LLVMBuildRet(builder, build_call(emitter, emitter->fail, arguments, 8));
    LLVMPositionBuilderAtEnd(builder, good);
  }
}
