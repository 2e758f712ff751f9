/* sizes.c - the functions of the object that answer how much memory a call needs. 0 means impossible: a size that is
 * negative, null or too large.
 */
#include "codegen/size_program.h"

#define LARGEST_SIZE ((int64_t)1 << 56)

int module_length_index(const Module *module, SymbolId symbol) {
  const Program *program = module->interface;
  int streams = 0, lengths = 0, before = 0;
  for (SymbolId s = 0; s < program->symbol_count; s++) {
    if (s == symbol) before = lengths;
    streams += program->symbols[s].kind == SYMBOL_STREAM;
    lengths += program->symbols[s].kind == SYMBOL_LENGTH;
  }
  if (program->symbols[symbol].kind == SYMBOL_STREAM) return 0;
  return program->symbols[symbol].kind == SYMBOL_LENGTH ? streams + before : -1;
}

SymbolId module_length_symbol(const Module *module, int n) {
  for (SymbolId s = 0; s < module->interface->symbol_count; s++)
    if (module_length_index(module, s) == n) return s;
  return NONE;
}

int module_length_count(const Module *module) {
  int count = 0;
  while (module_length_symbol(module, count) != NONE) count++;
  return count;
}

/* Returns `size` from the current function, or 0 when it is out of bounds. */
static void build_return_size(const ModuleEmitter *emitter, LLVMValueRef size) {
  LLVMValueRef is_over = LLVMBuildICmp(emitter->builder, LLVMIntUGT, size, build_i64(emitter, LARGEST_SIZE), "");
  LLVMBuildRet(emitter->builder, LLVMBuildSelect(emitter->builder, is_over, build_i64(emitter, 0), size, ""));
}

/* Goes on where `is_fine`; returns 0 from the current function otherwise. */
static void build_size_guard(const ModuleEmitter *emitter, LLVMValueRef is_fine) {
  LLVMBasicBlockRef bad = build_block(emitter, "impossible"), good = build_block(emitter, "possible");
  LLVMBuildCondBr(emitter->builder, is_fine, good, bad);
  LLVMPositionBuilderAtEnd(emitter->builder, bad);
  LLVMBuildRet(emitter->builder, build_i64(emitter, 0));
  LLVMPositionBuilderAtEnd(emitter->builder, good);
}

static LLVMValueRef build_is_positive(const ModuleEmitter *emitter, LLVMValueRef value) {
  return LLVMBuildICmp(emitter->builder, LLVMIntSGE, value, build_i64(emitter, 1), "");
}

static void build_store(const ModuleEmitter *emitter, LLVMValueRef value, LLVMValueRef values, int number) {
  LLVMValueRef index = build_i64(emitter, number);
  LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i64, values, &index, 1, "");
  LLVMBuildStore(emitter->builder, value, address);
}

static LLVMValueRef build_load(const ModuleEmitter *emitter, LLVMValueRef values, LLVMValueRef number) {
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  return LLVMBuildLoad2(emitter->builder, i64, LLVMBuildInBoundsGEP2(emitter->builder, i64, values, &number, 1, ""), "");
}

LLVMValueRef build_values(const ModuleEmitter *emitter, LLVMValueRef plan) {
  LLVMValueRef given = build_i64(emitter, VALUE_LENGTHS + module_length_count(emitter->module));
  LLVMValueRef count = LLVMBuildAdd(emitter->builder, build_plan_field(emitter, plan, PLAN_STEP_COUNT), given, "");
  return LLVMBuildArrayAlloca(emitter->builder, emitter->codegen->type_i64, count, "values");
}

/* What there is room for: at least the steps of the call, but for the initial state. */
static LLVMValueRef build_room(const ModuleEmitter *emitter, LLVMValueRef plan, LLVMValueRef lengths, LLVMValueRef capacity) {
  LLVMBuilderRef builder = emitter->builder;
  if (!module_grows(emitter->module)) return capacity;
  LLVMValueRef steps = build_load(emitter, lengths, build_i64(emitter, 0));
  LLVMValueRef is_short = LLVMBuildICmp(builder, LLVMIntSLT, capacity, steps, "");
  LLVMValueRef is_extended = LLVMBuildAnd(builder, is_short, LLVMBuildNot(builder, build_plan_flag(emitter, plan, FLAG_INITIAL), ""), "");
  return LLVMBuildSelect(builder, is_extended, steps, capacity, "");
}

/* int64 measure(plan, int64 batch, const int64 *lengths, int64 capacity, int32 threads,
 * int64 *values): the size of the workspace; fills the
 * values that it depends on. */
static void build_measure(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef i64 = codegen->type_i64, types[] = {codegen->type_ptr, i64, codegen->type_ptr, i64, codegen->type_i32, codegen->type_ptr};
  LLVMValueRef function = emitter->measure = build_function(emitter, "measure", i64, types, 6);
  LLVMValueRef plan = LLVMGetParam(function, 0), lengths = LLVMGetParam(function, 2), values = LLVMGetParam(function, 5);
  build_store(emitter, build_room(emitter, plan, lengths, LLVMGetParam(function, 3)), values, VALUE_CAPACITY_OUT);
  build_store(emitter, LLVMGetParam(function, 1), values, VALUE_BATCH);
  LLVMTypeRef i32 = codegen->type_i32;
  LLVMValueRef one_or_more[] = {LLVMGetParam(function, 4), build_i32(emitter, 1)};
  LLVMValueRef threads = LLVMBuildCall2(emitter->builder, LLVMFunctionType(i32, (LLVMTypeRef[]){i32, i32}, 2, false),
                                        codegen_intrinsic(codegen, "llvm.smax", i32), one_or_more, 2, "threads");
  build_store(emitter, LLVMBuildZExt(emitter->builder, threads, i64, ""), values, VALUE_THREADS);
  for (int n = 0; n < module_length_count(emitter->module); n++)
    build_store(emitter, build_load(emitter, lengths, build_i64(emitter, n)), values, VALUE_LENGTHS + n);
  LLVMValueRef arguments[] = {build_plan_field(emitter, plan, PLAN_STEPS), build_i64(emitter, 0),
                              build_plan_field(emitter, plan, PLAN_SIZE_STEPS), values};
  build_call(emitter, emitter->evaluate, arguments, 4);
  build_return_size(emitter, build_plan_value(emitter, plan, PLAN_SIZE, values));
}

static LLVMValueRef build_is_natural(const ModuleEmitter *emitter, LLVMValueRef value) {
  return LLVMBuildICmp(emitter->builder, LLVMIntSGE, value, build_i64(emitter, 0), "");
}

/* int64 workspace_size(int32 entry, int64 batch, const int64 *lengths, int64 capacity, int32 threads) */
static void build_workspace_size(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef types[] = {codegen->type_i32, codegen->type_i64, codegen->type_ptr, codegen->type_i64,
                         codegen->type_i32};
  LLVMValueRef function = emitter->workspace_size = build_function(emitter, "workspace_size", codegen->type_i64, types, 5);
  LLVMValueRef entry = LLVMGetParam(function, 0), batch = LLVMGetParam(function, 1), lengths = LLVMGetParam(function, 2);
  LLVMValueRef capacity = LLVMGetParam(function, 3);
  int count = module_length_count(emitter->module);
  build_size_guard(emitter, LLVMBuildICmp(builder, LLVMIntULT, entry, build_i32(emitter, ENTRY_COUNT), ""));
  build_size_guard(emitter, build_is_positive(emitter, batch));
  build_size_guard(emitter, build_is_natural(emitter, capacity));
  if (count) build_size_guard(emitter, LLVMBuildNot(builder, build_is_null(emitter, lengths), ""));
  for (int n = 0; n < count; n++)
    build_size_guard(emitter, build_is_positive(emitter, build_load(emitter, lengths, build_i64(emitter, n))));
  LLVMValueRef plan = build_plan_address(emitter, LLVMBuildZExt(builder, entry, codegen->type_i64, ""));
  build_size_guard(emitter, LLVMBuildNot(builder, build_is_null(emitter, build_plan_field(emitter, plan, PLAN_BODY)), ""));
  LLVMValueRef arguments[] = {plan, batch, lengths, capacity, LLVMGetParam(function, 4), build_values(emitter, plan)};
  LLVMBuildRet(builder, build_call(emitter, emitter->measure, arguments, 6));
}

/* The declared state (counted in the interface) that a piece holds the value of. They are matched by name, as the ports of the
 * program that was carried need not have the numbers of the interface. */
static int declared_state_of(const Module *module, const StatePiece *piece) {
  const Program *program = module->interface;
  int final = program_find_port(program, PORT_FINAL_STATE, piece->name);
  int state = final == NONE ? program_find_port(program, PORT_STATE, piece->name) : program->ports[final].of;
  for (int n = 0; state != NONE && module_port(module, PORT_STATE, n); n++)
    if (module_port(module, PORT_STATE, n) == &program->ports[state]) return n;
  internal_error("piece '%s' of the state belongs to no declared state", piece->name);
}

bool module_state_has_lengths(const Module *module) {
  for (int n = 0; n < module->piece_count; n++)
    for (int axis = 0; axis < module->pieces[n].rank; axis++) {
      SymbolId symbol = module->pieces[n].shape[axis].symbol;
      if (symbol != NONE && module->interface->symbols[symbol].kind == SYMBOL_LENGTH) return true;
    }
  return false;
}

/* The whole lengths, where the state depends on them; the stream's length is none of these. */
static void build_state_lengths(const ModuleEmitter *emitter, LLVMValueRef lengths, LLVMValueRef values) {
  const Module *module = emitter->module;
  if (!module_state_has_lengths(module)) return;
  build_size_guard(emitter, LLVMBuildNot(emitter->builder, build_is_null(emitter, lengths), ""));
  for (int n = 0; n < module_length_count(module); n++) {
    if (module->interface->symbols[module_length_symbol(module, n)].kind != SYMBOL_LENGTH) continue;
    LLVMValueRef length = build_load(emitter, lengths, build_i64(emitter, n));
    build_size_guard(emitter, build_is_positive(emitter, length));
    build_store(emitter, length, values, VALUE_LENGTHS + n);
  }
}

/* The values of the program of a state, computed in the current function, whose last parameters are batch, lengths, capacity. */
static LLVMValueRef build_state_values(const ModuleEmitter *emitter, const SizeProgram *program, LLVMValueRef steps,
                                       LLVMValueRef function) {
  unsigned first = LLVMCountParams(function) - 3;
  LLVMValueRef batch = LLVMGetParam(function, first), capacity = LLVMGetParam(function, first + 2);
  build_size_guard(emitter, build_is_positive(emitter, batch));
  build_size_guard(emitter, build_is_natural(emitter, capacity));
  LLVMValueRef count = build_i64(emitter, program->given_count + program->step_count);
  LLVMValueRef values = LLVMBuildArrayAlloca(emitter->builder, emitter->codegen->type_i64, count, "values");
  build_store(emitter, batch, values, VALUE_BATCH);
  build_store(emitter, capacity, values, VALUE_CAPACITY_OUT);
  build_state_lengths(emitter, LLVMGetParam(function, first + 1), values);
  LLVMValueRef arguments[] = {steps, build_i64(emitter, 0), build_i64(emitter, program->step_count), values};
  build_call(emitter, emitter->evaluate, arguments, 4);
  return values;
}

/* int64 state_size(int64 batch, const int64 *lengths, int64 capacity), int64 state_offset(int32 state, the same) */
static void build_state_functions(ModuleEmitter *emitter) {
  const Module *module = emitter->module;
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  SizeProgram *program = size_program_create(codegen->arena, module, false);
  int *offsets = ARENA_ARRAY(codegen->arena, int, module->piece_count), zero = size_constant_value(program, 0);
  int size = size_state_value(program, VALUE_CAPACITY_OUT, offsets), count = module_port_count(module, PORT_STATE);
  int64_t *numbers = ARENA_ARRAY(codegen->arena, int64_t, count);
  for (int n = 0; n < count; n++) numbers[n] = zero;
  for (int n = 0; n < module->piece_count; n++)
    if (module->pieces[n].is_declared) numbers[declared_state_of(module, &module->pieces[n])] = offsets[n];
  LLVMValueRef steps = build_size_steps(emitter, program);
  LLVMValueRef table = build_numbers(emitter, "state_offsets", codegen->type_i32, numbers, count);

  LLVMTypeRef types[] = {codegen->type_i32, codegen->type_i64, codegen->type_ptr, codegen->type_i64};
  LLVMValueRef function = emitter->state_size = build_function(emitter, "state_size", codegen->type_i64, types + 1, 3);
  LLVMValueRef values = build_state_values(emitter, program, steps, function);
  build_return_size(emitter, build_load(emitter, values, build_i64(emitter, size)));

  function = emitter->state_offset = build_function(emitter, "state_offset", codegen->type_i64, types, 4);
  LLVMValueRef state = LLVMGetParam(function, 0);
  build_size_guard(emitter, LLVMBuildICmp(builder, LLVMIntULT, state, build_i32(emitter, count), ""));
  values = build_state_values(emitter, program, steps, function);
  LLVMValueRef row = LLVMBuildZExt(builder, state, codegen->type_i64, "");
  build_return_size(emitter, build_load(emitter, values, build_table_number(emitter, table, row, 1, 0)));
}

void build_size_functions(ModuleEmitter *emitter) {
  build_evaluate_function(emitter);
  build_measure(emitter);
  build_workspace_size(emitter);
  build_state_functions(emitter);
}
