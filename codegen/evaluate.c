/* evaluate.c - the function of the object that walks through the steps of a size program. */
#include "codegen/size_program.h"

static LLVMValueRef build_intrinsic(const ModuleEmitter *emitter, const char *name, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef arguments[] = {a, b};
  return build_call(emitter, codegen_intrinsic(emitter->codegen, name, emitter->codegen->type_i64), arguments, 2);
}

static LLVMValueRef build_product(const ModuleEmitter *emitter, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef both = build_intrinsic(emitter, "llvm.smul.with.overflow", a, b);
  LLVMValueRef product = LLVMBuildExtractValue(emitter->builder, both, 0, "");
  LLVMValueRef is_over = LLVMBuildExtractValue(emitter->builder, both, 1, "");
  return LLVMBuildSelect(emitter->builder, is_over, build_i64(emitter, INT64_MAX), product, "");
}

/* Division that rounds down; a formula never divides by zero, as sizes are at least 1. */
static LLVMValueRef build_division(const ModuleEmitter *emitter, bool is_quotient, LLVMValueRef a, LLVMValueRef b) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef zero = build_i64(emitter, 0), quotient = LLVMBuildSDiv(builder, a, b, ""), rest = LLVMBuildSRem(builder, a, b, "");
  LLVMValueRef is_inexact = LLVMBuildICmp(builder, LLVMIntNE, rest, zero, "");
  LLVMValueRef has_other_sign = LLVMBuildICmp(builder, LLVMIntSLT, LLVMBuildXor(builder, rest, b, ""), zero, "");
  LLVMValueRef is_above = LLVMBuildAnd(builder, is_inexact, has_other_sign, "");
  LLVMValueRef lower = is_quotient ? LLVMBuildSub(builder, quotient, build_i64(emitter, 1), "")
                                   : LLVMBuildAdd(builder, rest, b, "");
  return LLVMBuildSelect(builder, is_above, lower, is_quotient ? quotient : rest, "");
}

static LLVMValueRef build_after(const ModuleEmitter *emitter, LLVMValueRef begin, LLVMValueRef bytes) {
  LLVMValueRef more = build_intrinsic(emitter, "llvm.sadd.sat", bytes, build_i64(emitter, SEQRT_ALIGNMENT - 1));
  LLVMValueRef rounded = LLVMBuildAnd(emitter->builder, more, build_i64(emitter, -SEQRT_ALIGNMENT), "");
  return build_intrinsic(emitter, "llvm.sadd.sat", begin, rounded);
}

static LLVMValueRef build_step(const ModuleEmitter *emitter, StepKind kind, LLVMValueRef a, LLVMValueRef b) {
  switch (kind) {
  case STEP_ADD: return build_intrinsic(emitter, "llvm.sadd.sat", a, b);
  case STEP_SUB: return build_intrinsic(emitter, "llvm.ssub.sat", a, b);
  case STEP_MUL: return build_product(emitter, a, b);
  case STEP_MIN: return build_intrinsic(emitter, "llvm.smin", a, b);
  case STEP_MAX: return build_intrinsic(emitter, "llvm.smax", a, b);
  case STEP_QUOTIENT:
  case STEP_REMAINDER: return build_division(emitter, kind == STEP_QUOTIENT, a, b);
  case STEP_AFTER: return build_after(emitter, a, b);
  case STEP_CONSTANT:
  case STEP_KINDS: break;
  }
  internal_error("a step of kind %d has no operands", (int)kind);
}

static LLVMValueRef build_value_address(const ModuleEmitter *emitter, LLVMValueRef values, LLVMValueRef number) {
  return LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i64, values, &number, 1, "");
}

/* Puts a store of `result` at values[number], and a jump to `next`, at the end of the current block. */
static void build_result(const ModuleEmitter *emitter, LLVMValueRef address, LLVMValueRef result, LLVMBasicBlockRef next) {
  LLVMBuildStore(emitter->builder, result, address);
  LLVMBuildBr(emitter->builder, next);
}

void build_evaluate_function(ModuleEmitter *emitter) {
  LLVMTypeRef i64 = emitter->codegen->type_i64, ptr = emitter->codegen->type_ptr, types[] = {ptr, i64, i64, ptr};
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef function = emitter->evaluate = build_function(emitter, "evaluate", emitter->codegen->type_void, types, 4);
  LLVMValueRef steps = LLVMGetParam(function, 0), values = LLVMGetParam(function, 3);
  TableLoop loop = table_loop_begin(emitter, LLVMGetParam(function, 1), LLVMGetParam(function, 2));
  LLVMValueRef kind = build_table_number(emitter, steps, loop.index, 3, 0), a = build_table_number(emitter, steps, loop.index, 3, 1);
  LLVMValueRef b = build_table_number(emitter, steps, loop.index, 3, 2);
  LLVMValueRef number = LLVMBuildAdd(builder, loop.index, build_i64(emitter, VALUE_LENGTHS + module_length_count(emitter->module)), "");
  LLVMValueRef address = build_value_address(emitter, values, number);
  LLVMBasicBlockRef constant = build_block(emitter, "constant"), operands = build_block(emitter, "operands");
  LLVMBasicBlockRef next = build_block(emitter, "next");
  LLVMValueRef is_constant = LLVMBuildICmp(builder, LLVMIntEQ, kind, build_i64(emitter, STEP_CONSTANT), "");
  LLVMBuildCondBr(builder, is_constant, constant, operands);
  LLVMPositionBuilderAtEnd(builder, constant);
  LLVMValueRef low = LLVMBuildAnd(builder, a, build_i64(emitter, UINT32_MAX), "");
  LLVMValueRef high = LLVMBuildShl(builder, b, build_i64(emitter, 32), "");
  build_result(emitter, address, LLVMBuildOr(builder, low, high, ""), next);

  LLVMPositionBuilderAtEnd(builder, operands);
  a = LLVMBuildLoad2(builder, i64, build_value_address(emitter, values, a), "");
  b = LLVMBuildLoad2(builder, i64, build_value_address(emitter, values, b), "");
  LLVMValueRef choice = LLVMBuildSwitch(builder, kind, next, STEP_KINDS);
  for (StepKind step = STEP_ADD; step < STEP_KINDS; step++) {
    LLVMBasicBlockRef block = build_block(emitter, "step");
    LLVMAddCase(choice, build_i64(emitter, step), block);
    LLVMPositionBuilderAtEnd(builder, block);
    build_result(emitter, address, build_step(emitter, step, a, b), next);
  }
  LLVMPositionBuilderAtEnd(builder, next);
  table_loop_end(emitter, &loop);
  LLVMBuildRetVoid(builder);
}
