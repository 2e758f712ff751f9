/* checks.c - what is wrong with a call is said before anything is computed.
 *
 * An entry checks what its kernel uses and nothing else: an input that only the objective reads may be missing where the
 * objective is not computed. One function checks all entries; what they need stands in their plans.
 */
#include "codegen/size_program.h"

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

typedef struct Search {
  LLVMValueRef function;
  TableLoop loop;
} Search;

/* The head of an internal function that looks at index = 0 .. count: search_end says whether the one at `index` is found. */
static Search search_begin(ModuleEmitter *emitter, const char *name, LLVMTypeRef *types, unsigned count,
                           unsigned limit_parameter) {
  Search search = {.function = build_function(emitter, name, emitter->codegen->type_i64, types, count)};
  search.loop = table_loop_begin(emitter, build_i64(emitter, 0), LLVMGetParam(search.function, limit_parameter));
  return search;
}

/* Returns the index when found, goes on to the next otherwise; -1 when none is. */
static void search_end(ModuleEmitter *emitter, Search *search, LLVMValueRef is_found) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef found = build_block(emitter, "found"), next = build_block(emitter, "next");
  LLVMBuildCondBr(builder, is_found, found, next);
  LLVMPositionBuilderAtEnd(builder, found);
  LLVMBuildRet(builder, search->loop.index);
  LLVMPositionBuilderAtEnd(builder, next);
  table_loop_end(emitter, &search->loop);
  LLVMBuildRet(builder, build_i64(emitter, -1));
}

/* int64 first_null(ptr table, int64 count): the first null entry, or -1 */
static void build_first_null(ModuleEmitter *emitter) {
  LLVMTypeRef types[] = {emitter->codegen->type_ptr, emitter->codegen->type_i64};
  Search search = search_begin(emitter, "first_null", types, 2, 1);
  emitter->first_null = search.function;
  LLVMValueRef entry = build_table_load(emitter, LLVMGetParam(search.function, 0), search.loop.index);
  search_end(emitter, &search, build_is_null(emitter, entry));
}

static LLVMValueRef build_element(const ModuleEmitter *emitter, LLVMValueRef values, LLVMValueRef index) {
  LLVMTypeRef i32 = emitter->codegen->type_i32;
  LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, i32, values, &index, 1, "");
  return LLVMBuildSExt(emitter->builder, LLVMBuildLoad2(emitter->builder, i32, address, ""), emitter->codegen->type_i64, "");
}

/* int64 first_outside(const int32 *values, int64 count, int64 low, int64 high): the first outside of low .. high, or -1 */
static LLVMValueRef build_first_outside(ModuleEmitter *emitter) {
  LLVMTypeRef i64 = emitter->codegen->type_i64, types[] = {emitter->codegen->type_ptr, i64, i64, i64};
  LLVMBuilderRef builder = emitter->builder;
  Search search = search_begin(emitter, "first_outside", types, 4, 1);
  LLVMValueRef value = build_element(emitter, LLVMGetParam(search.function, 0), search.loop.index);
  LLVMValueRef is_below = LLVMBuildICmp(builder, LLVMIntSLT, value, LLVMGetParam(search.function, 2), "");
  LLVMValueRef is_above = LLVMBuildICmp(builder, LLVMIntSGE, value, LLVMGetParam(search.function, 3), "");
  search_end(emitter, &search, LLVMBuildOr(builder, is_below, is_above, ""));
  return search.function;
}

/* Leaves the builder in a block that is reached when not fine; the result is where to go on. */
static LLVMBasicBlockRef build_branch_bad(const ModuleEmitter *emitter, LLVMValueRef is_fine) {
  LLVMBasicBlockRef bad = build_block(emitter, "bad"), good = build_block(emitter, "good");
  LLVMBuildCondBr(emitter->builder, is_fine, good, bad);
  LLVMPositionBuilderAtEnd(emitter->builder, bad);
  return good;
}

/* Returns from the current function with the fault unless `is_fine`. */
static void build_require(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef is_fine, int code, int argument,
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

/* Appends a part of the current function that runs only where the flag is set; the result is where to go on. */
static LLVMBasicBlockRef build_branch(const ModuleEmitter *emitter, LLVMValueRef condition) {
  LLVMBasicBlockRef then = build_block(emitter, "then"), after = build_block(emitter, "after");
  LLVMBuildCondBr(emitter->builder, condition, then, after);
  LLVMPositionBuilderAtEnd(emitter->builder, then);
  return after;
}

static void build_join(const ModuleEmitter *emitter, LLVMBasicBlockRef after) {
  LLVMBuildBr(emitter->builder, after);
  LLVMPositionBuilderAtEnd(emitter->builder, after);
}

/* Threads of the team that the call is given, 1 without one. */
static LLVMValueRef build_thread_count(const ModuleEmitter *emitter, LLVMValueRef call) {
  LLVMValueRef context = build_call_field(emitter, call, CALL_CONTEXT), one = build_i32(emitter, 1);
  LLVMBasicBlockRef start = LLVMGetInsertBlock(emitter->builder), given = build_block(emitter, "team"), done = build_block(emitter, "threads");
  LLVMBuildCondBr(emitter->builder, build_is_null(emitter, context), done, given);
  LLVMPositionBuilderAtEnd(emitter->builder, given);
  LLVMValueRef threads = build_context_field(emitter, context, CONTEXT_THREAD_COUNT);
  LLVMBuildBr(emitter->builder, done);
  LLVMPositionBuilderAtEnd(emitter->builder, done);
  LLVMValueRef count = LLVMBuildPhi(emitter->builder, emitter->codegen->type_i32, "");
  LLVMAddIncoming(count, (LLVMValueRef[]){one, threads}, (LLVMBasicBlockRef[]){start, given}, 2);
  return count;
}

static void build_size_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan, LLVMValueRef values) {
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
  LLVMValueRef capacity = build_call_field(emitter, call, CALL_CAPACITY);
  build_require(emitter, call, build_is_at_least(emitter, capacity, build_i64(emitter, 0)), SEQRT_INVALID_ARGUMENT,
                SEQRT_ARGUMENT_CAPACITY, none);
  LLVMValueRef arguments[] = {plan, batch, lengths, capacity, build_thread_count(emitter, call), values};
  LLVMValueRef size = build_call(emitter, emitter->measure, arguments, 6);
  build_require(emitter, call, build_is_at_least(emitter, size, build_i64(emitter, 1)), SEQRT_INVALID_ARGUMENT,
                count ? SEQRT_ARGUMENT_LENGTH : SEQRT_ARGUMENT_BATCH, none);
  LLVMValueRef workspace = build_call_field(emitter, call, CALL_WORKSPACE);
  LLVMValueRef is_fine = LLVMBuildAnd(emitter->builder, build_not_null(emitter, workspace), build_is_aligned(emitter, workspace),
                                      "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_WORKSPACE, none);
}

/* Aligned; where it is to be written, there. */
static void build_packed_check(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan) {
  LLVMValueRef packed = build_call_field(emitter, call, CALL_PACKED);
  LLVMValueRef is_wanted = build_plan_flag(emitter, plan, FLAG_PACK);
  LLVMValueRef is_missing = LLVMBuildAnd(emitter->builder, is_wanted, build_is_null(emitter, packed), "");
  LLVMValueRef is_fine = LLVMBuildAnd(emitter->builder, build_is_aligned(emitter, packed), LLVMBuildNot(emitter->builder, is_missing, ""), "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PACKED, build_i32(emitter, -1));
}

static void build_parameter_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan) {
  LLVMValueRef slots = build_plan_field(emitter, plan, PLAN_PARAMETERS);
  LLVMBasicBlockRef after = build_branch(emitter, build_is_at_least(emitter, slots, build_i64(emitter, 1)));
  LLVMValueRef table = build_call_field(emitter, call, CALL_PARAMETERS);
  build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS,
                build_i32(emitter, -1));
  LLVMValueRef arguments[] = {table, slots}, missing = build_call(emitter, emitter->first_null, arguments, 2);
  LLVMValueRef is_fine = LLVMBuildICmp(emitter->builder, LLVMIntSLT, missing, build_i64(emitter, 0), "");
  LLVMValueRef index = LLVMBuildTrunc(emitter->builder, missing, emitter->codegen->type_i32, "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS, index);
  build_join(emitter, after);
}

static void build_input_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan) {
  LLVMBasicBlockRef after = build_branch(emitter, build_plan_flag(emitter, plan, FLAG_READS_INPUTS));
  LLVMValueRef table = build_call_field(emitter, call, CALL_INPUTS);
  build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_INPUT,
                build_i32(emitter, -1));
  LLVMValueRef inputs = build_plan_field(emitter, plan, PLAN_INPUTS);
  TableLoop loop = table_loop_begin(emitter, build_i64(emitter, 0), build_plan_field(emitter, plan, PLAN_INPUT_COUNT));
  LLVMValueRef number = build_table_number(emitter, inputs, loop.index, 1, 0);
  LLVMValueRef index = LLVMBuildTrunc(emitter->builder, number, emitter->codegen->type_i32, "");
  build_require(emitter, call, build_not_null(emitter, build_table_load(emitter, table, number)), SEQRT_INVALID_ARGUMENT,
                SEQRT_ARGUMENT_INPUT, index);
  table_loop_end(emitter, &loop);
  build_join(emitter, after);
}

static void build_table_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan) {
  build_parameter_checks(emitter, call, plan);
  build_input_checks(emitter, call, plan);
  LLVMBasicBlockRef after = build_branch(emitter, build_plan_flag(emitter, plan, FLAG_READS_COTANGENTS));
  LLVMValueRef table = build_call_field(emitter, call, CALL_COTANGENTS);
  build_require(emitter, call, build_not_null(emitter, table), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_COTANGENT,
                build_i32(emitter, -1));
  build_join(emitter, after);
}

static LLVMValueRef build_number_at(const ModuleEmitter *emitter, LLVMValueRef state, int number) {
  LLVMValueRef index = build_i64(emitter, number);
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  return LLVMBuildLoad2(emitter->builder, i64, LLVMBuildInBoundsGEP2(emitter->builder, i64, state, &index, 1, ""), "");
}

/* A given state must be aligned, of this model, and at a sensible position. */
static void build_given_state_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan,
                                     LLVMValueRef state_in) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef none = build_i32(emitter, -1);
  LLVMBasicBlockRef after = build_branch(emitter, build_not_null(emitter, state_in));
  LLVMValueRef has_step = LLVMConstInt(emitter->codegen->type_i1, emitter->module->has_step, false);
  build_require(emitter, call, has_step, SEQRT_NO_STEP, SEQRT_ARGUMENT_STATE, none);
  LLVMValueRef fingerprint = build_number_at(emitter, state_in, HEADER_FINGERPRINT);
  LLVMValueRef expected = build_i64(emitter, (int64_t)module_fingerprint(emitter->module));
  LLVMValueRef is_same = LLVMBuildICmp(builder, LLVMIntEQ, fingerprint, expected, "");
  LLVMValueRef position = build_number_at(emitter, state_in, HEADER_POSITION);
  LLVMValueRef is_sensible = LLVMBuildICmp(builder, LLVMIntULT, position, build_i64(emitter, (int64_t)1 << 56), "");
  LLVMValueRef is_fine = LLVMBuildAnd(builder, is_same, is_sensible, "");
  if (module_grows(emitter->module)) {
    LLVMValueRef capacity = build_number_at(emitter, state_in, HEADER_CAPACITY);
    LLVMValueRef has_room = LLVMBuildICmp(builder, LLVMIntULE, position, capacity, "");
    LLVMValueRef is_possible = LLVMBuildICmp(builder, LLVMIntULT, capacity, build_i64(emitter, (int64_t)1 << 56), "");
    is_fine = LLVMBuildAnd(builder, is_fine, LLVMBuildAnd(builder, has_room, is_possible, ""), "");
  }
  build_require(emitter, call, is_fine, SEQRT_MISMATCH, SEQRT_ARGUMENT_STATE, none);
  int lengths = module_state_has_lengths(emitter->module) ? module_length_count(emitter->module) : 0;
  for (int n = 1; n < lengths; n++) { /* the first is the stream */
    LLVMValueRef length = build_number_at(emitter, build_call_field(emitter, call, CALL_LENGTHS), n);
    LLVMValueRef is_kept = LLVMBuildICmp(builder, LLVMIntEQ, length, build_number_at(emitter, state_in, HEADER_LENGTHS + n - 1), "");
    build_require(emitter, call, is_kept, SEQRT_MISMATCH, SEQRT_ARGUMENT_LENGTH, build_i32(emitter, n));
  }
  LLVMValueRef is_other = LLVMBuildNot(builder, build_plan_flag(emitter, plan, FLAG_GRADIENT), "");
  LLVMValueRef is_unwanted = build_is_null(emitter, build_call_field(emitter, call, CALL_STATE_GRADIENTS));
  build_require(emitter, call, LLVMBuildOr(builder, is_other, is_unwanted, ""), SEQRT_POSITION, SEQRT_ARGUMENT_STATE, none);
  build_join(emitter, after);
}

/* Nothing can be given for a declared state with a value for each step, which is empty before the first. */
static void build_grown_state_checks(const ModuleEmitter *emitter, LLVMValueRef call, int field) {
  const Module *module = emitter->module;
  LLVMBasicBlockRef after = build_branch(emitter, build_not_null(emitter, build_call_field(emitter, call, field)));
  LLVMValueRef table = build_call_field(emitter, call, field);
  for (int n = 0; module_port(module, PORT_STATE, n); n++) {
    if (!module_port_grows(module, module_port(module, PORT_STATE, n))) continue;
    LLVMValueRef entry = build_table_load(emitter, table, build_i64(emitter, n));
    build_require(emitter, call, build_is_null(emitter, entry), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, build_i32(emitter, n));
  }
  build_join(emitter, after);
}

static void build_state_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan) {
  LLVMValueRef none = build_i32(emitter, -1), out = build_call_field(emitter, call, CALL_STATE_OUT);
  LLVMValueRef is_initial = build_plan_flag(emitter, plan, FLAG_INITIAL);
  LLVMValueRef is_missing = LLVMBuildAnd(emitter->builder, is_initial, build_is_null(emitter, out), "");
  LLVMValueRef is_given = LLVMBuildNot(emitter->builder, is_missing, "");
  LLVMValueRef is_fine = LLVMBuildAnd(emitter->builder, build_is_aligned(emitter, out), is_given, "");
  build_require(emitter, call, is_fine, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, none);
  build_grown_state_checks(emitter, call, CALL_INITIAL_STATES);
  build_grown_state_checks(emitter, call, CALL_STATE_GRADIENTS);
  /* the initial entry ignores state_in */
  LLVMBasicBlockRef after = build_branch(emitter, LLVMBuildNot(emitter->builder, is_initial, ""));
  LLVMValueRef in = build_call_field(emitter, call, CALL_STATE_IN);
  build_require(emitter, call, build_is_aligned(emitter, in), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, none);
  build_given_state_checks(emitter, call, plan, in);
  build_join(emitter, after);
}

/* int32 check_call(call, plan, int64 *values): whether all but the values of inputs is fine. Computes the sizes on the way. */
static void build_check_call(ModuleEmitter *emitter) {
  LLVMTypeRef ptr = emitter->codegen->type_ptr, types[] = {ptr, ptr, ptr};
  LLVMValueRef function = emitter->check_call = build_function(emitter, "check_call", emitter->codegen->type_i32, types, 3);
  LLVMValueRef call = LLVMGetParam(function, 0), plan = LLVMGetParam(function, 1);
  build_version_check(emitter, call);
  build_context_check(emitter, call);
  build_size_checks(emitter, call, plan, LLVMGetParam(function, 2));
  build_packed_check(emitter, call, plan);
  build_table_checks(emitter, call, plan);
  build_state_checks(emitter, call, plan);
  LLVMBuildRet(emitter->builder, build_i32(emitter, SEQRT_OK));
}

static LLVMValueRef build_range_field(const ModuleEmitter *emitter, LLVMValueRef ranges, LLVMValueRef row, int field) {
  LLVMTypeRef i64 = emitter->codegen->type_i64, type = LLVMArrayType2(i64, RANGE_FIELDS);
  LLVMValueRef indices[] = {row, build_i64(emitter, field)};
  return LLVMBuildLoad2(emitter->builder, i64, LLVMBuildInBoundsGEP2(emitter->builder, type, ranges, indices, 2, ""), "");
}

/* Returns from the current function unless the call ends at the limit or before. */
static void build_end_check(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef end, LLVMValueRef limit, int argument, int index) {
  LLVMBasicBlockRef good = build_branch_bad(emitter, LLVMBuildICmp(emitter->builder, LLVMIntSLE, end, limit, ""));
  LLVMValueRef zero = build_i64(emitter, 0), code = build_i32(emitter, SEQRT_POSITION);
  LLVMValueRef arguments[] = {call, code, build_i32(emitter, argument), build_i32(emitter, index), zero, end, zero, limit};
  LLVMBuildRet(emitter->builder, build_call(emitter, emitter->fail, arguments, 8));
  LLVMPositionBuilderAtEnd(emitter->builder, good);
}

/* Whether there is room for the steps of the call. A state that stays in its place keeps its capacity. */
static void build_room_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef values, LLVMValueRef end) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef in = build_call_field(emitter, call, CALL_STATE_IN), out = build_call_field(emitter, call, CALL_STATE_OUT);
  LLVMValueRef capacity = build_call_field(emitter, call, CALL_CAPACITY), room = build_number_at(emitter, values, VALUE_CAPACITY_OUT);
  LLVMValueRef is_unwanted = build_is_null(emitter, out), limit = LLVMBuildSelect(builder, is_unwanted, room, capacity, "");
  build_end_check(emitter, call, end, limit, SEQRT_ARGUMENT_CAPACITY, -1);
  LLVMValueRef moves = LLVMBuildOr(builder, is_unwanted, LLVMBuildICmp(builder, LLVMIntNE, in, out, ""), "");
  LLVMValueRef is_same = LLVMBuildICmp(builder, LLVMIntEQ, build_number_at(emitter, values, VALUE_CAPACITY_IN), capacity, "");
  build_require(emitter, call, LLVMBuildOr(builder, moves, is_same, ""), SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_CAPACITY,
                build_i32(emitter, -1));
}

/* Whether no length goes past the end of a table, and there is room for the steps of the call. */
static void build_position_checks(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef plan, LLVMValueRef values) {
  const Module *module = emitter->module;
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef after = build_branch(emitter, LLVMBuildNot(builder, build_plan_flag(emitter, plan, FLAG_INITIAL), ""));
  for (int n = 0; n < module_length_count(module); n++) {
    bool is_stream = module->interface->symbols[module_length_symbol(module, n)].kind == SYMBOL_STREAM, grows = is_stream && module_grows(module);
    if (!module_limit(module, n) && !grows) continue;
    LLVMValueRef end = build_number_at(emitter, values, VALUE_LENGTHS + n);
    if (is_stream) end = LLVMBuildAdd(builder, end, build_number_at(emitter, values, VALUE_POSITION), "");
    if (module_limit(module, n)) build_end_check(emitter, call, end, build_i64(emitter, module_limit(module, n)), SEQRT_ARGUMENT_LENGTH, n);
    if (grows) build_room_checks(emitter, call, values, end);
  }
  build_join(emitter, after);
}

/* int32 check_values(call, plan, const int64 *values): whether position and capacity fit, and integer inputs lie in their ranges */
static void build_check_values(ModuleEmitter *emitter) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = emitter->codegen->type_i32, i64 = emitter->codegen->type_i64, ptr = emitter->codegen->type_ptr;
  LLVMTypeRef types[] = {ptr, ptr, ptr};
  LLVMValueRef first_outside = build_first_outside(emitter);
  LLVMValueRef function = emitter->check_values = build_function(emitter, "check_values", i32, types, 3);
  LLVMValueRef call = LLVMGetParam(function, 0), plan = LLVMGetParam(function, 1), sizes = LLVMGetParam(function, 2);
  build_position_checks(emitter, call, plan, sizes);
  LLVMValueRef ranges = build_plan_field(emitter, plan, PLAN_RANGES), inputs = build_call_field(emitter, call, CALL_INPUTS);
  TableLoop loop = table_loop_begin(emitter, build_i64(emitter, 0), build_plan_field(emitter, plan, PLAN_RANGE_COUNT));
  LLVMValueRef input = build_range_field(emitter, ranges, loop.index, RANGE_INPUT);
  LLVMValueRef values = build_table_load(emitter, inputs, input);
  LLVMValueRef number = build_range_field(emitter, ranges, loop.index, RANGE_COUNT);
  LLVMValueRef count = LLVMBuildLoad2(builder, i64, LLVMBuildInBoundsGEP2(builder, i64, sizes, &number, 1, ""), "");
  LLVMValueRef low = build_range_field(emitter, ranges, loop.index, RANGE_LOW);
  number = build_range_field(emitter, ranges, loop.index, RANGE_HIGH);
  LLVMValueRef high = LLVMBuildLoad2(builder, i64, LLVMBuildInBoundsGEP2(builder, i64, sizes, &number, 1, ""), "");
  LLVMValueRef search[] = {values, count, low, high}, element = build_call(emitter, first_outside, search, 4);
  LLVMValueRef is_fine = LLVMBuildICmp(builder, LLVMIntSLT, element, build_i64(emitter, 0), "");
  LLVMBasicBlockRef good = build_branch_bad(emitter, is_fine);
  LLVMValueRef value = build_element(emitter, values, element), index = LLVMBuildTrunc(builder, input, i32, "");
  LLVMValueRef code = build_i32(emitter, SEQRT_OUT_OF_RANGE), argument = build_i32(emitter, SEQRT_ARGUMENT_INPUT);
  LLVMValueRef arguments[] = {call, code, argument, index, element, value, low, high};
  LLVMBuildRet(builder, build_call(emitter, emitter->fail, arguments, 8));
  LLVMPositionBuilderAtEnd(builder, good);
  table_loop_end(emitter, &loop);
  LLVMBuildRet(builder, build_i32(emitter, SEQRT_OK));
}

void build_check_functions(ModuleEmitter *emitter) {
  build_fail_function(emitter);
  build_first_null(emitter);
  build_check_call(emitter);
  build_check_values(emitter);
}

void build_return_unless_fine(const ModuleEmitter *emitter, LLVMValueRef status) {
  LLVMValueRef is_fine = LLVMBuildICmp(emitter->builder, LLVMIntEQ, status, build_i32(emitter, SEQRT_OK), "");
  LLVMBasicBlockRef good = build_branch_bad(emitter, is_fine);
  LLVMBuildRet(emitter->builder, status);
  LLVMPositionBuilderAtEnd(emitter->builder, good);
}
