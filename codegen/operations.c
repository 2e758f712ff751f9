/* operations.c - what an operation of ops.def is in LLVM IR, for scalars and for vectors alike. */
#include <math.h>

#include "codegen/emit.h"

LLVMTypeRef emit_vector_type(const Emitter *emitter, LLVMTypeRef element) {
  return LLVMVectorType(element, (unsigned)emitter->lanes);
}

LLVMTypeRef emit_type(const Emitter *emitter, Type type, bool is_vector) {
  const Codegen *codegen = emitter->codegen;
  LLVMTypeRef element = type == TYPE_REAL ? codegen->type_f32 : type == TYPE_INT ? codegen->type_i64 : codegen->type_i1;
  return is_vector ? emit_vector_type(emitter, element) : element;
}

LLVMTypeRef emit_memory_type(const Emitter *emitter, Type type) {
  const Codegen *codegen = emitter->codegen;
  return type == TYPE_REAL ? codegen->type_f32 : type == TYPE_INT ? codegen->type_i32 : codegen->type_i8;
}

LLVMTypeRef emit_element_type(const Emitter *emitter, BufferId id) {
  const Buffer *buffer = &emitter->kernel->buffers[id];
  if (buffer->format == PACKED_F32) return emit_memory_type(emitter, buffer->type);
  return buffer->format == PACKED_INT8 ? emitter->codegen->type_i8 : emitter->codegen->type_i16;
}

LLVMValueRef emit_constant(const Emitter *emitter, int64_t value) {
  return LLVMConstInt(emitter->codegen->type_i64, (unsigned long long)value, true);
}

LLVMValueRef emit_broadcast(Emitter *emitter, LLVMValueRef scalar) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = emit_vector_type(emitter, LLVMTypeOf(scalar)), i32 = emitter->codegen->type_i32;
  LLVMValueRef first = LLVMBuildInsertElement(builder, LLVMGetPoison(type), scalar, LLVMConstInt(i32, 0, false), "");
  return LLVMBuildShuffleVector(builder, first, LLVMGetPoison(type), LLVMConstNull(emit_vector_type(emitter, i32)), "");
}

LLVMValueRef emit_as_vector(Emitter *emitter, Value value) {
  return value.is_vector ? value.value : emit_broadcast(emitter, value.value);
}

LLVMValueRef emit_contract(LLVMValueRef value) {
  if (LLVMIsAInstruction(value) && LLVMCanValueUseFastMathFlags(value)) LLVMSetFastMathFlags(value, LLVMFastMathAllowContract);
  return value;
}

LLVMValueRef emit_intrinsic(Emitter *emitter, const char *name, int type_count, LLVMTypeRef *types, int count,
                            LLVMValueRef *arguments) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  if (!id) internal_error("LLVM has no intrinsic '%s'", name);
  LLVMValueRef function = LLVMGetIntrinsicDeclaration(emitter->codegen->module, id, types, (size_t)type_count);
  return LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(function), function, arguments, (unsigned)count, "");
}

static LLVMValueRef call_same(Emitter *emitter, const char *name, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return emit_intrinsic(emitter, name, 1, &type, 1, &x);
}

LLVMValueRef emit_multiply_add(Emitter *emitter, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef type = LLVMTypeOf(a);
  return emit_intrinsic(emitter, "llvm.fmuladd", 1, &type, 3, (LLVMValueRef[]){a, b, c});
}

/* ---- integers */

/* Rounded down. A divisor that is not a constant may be 0 in an arm of a `select` that is not chosen. */
static LLVMValueRef emit_quotient(Emitter *emitter, bool wants_remainder, LLVMValueRef a, LLVMValueRef b, const Expr *divisor) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = LLVMTypeOf(a);
  LLVMValueRef zero = LLVMConstNull(type);
  int64_t constant = divisor->op == OP_INTEGER ? divisor->integer : 0;
  if (constant > 0 && (constant & (constant - 1)) == 0) {
    bool is_vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    int64_t operand = wants_remainder ? constant - 1 : __builtin_ctzll((unsigned long long)constant);
    LLVMValueRef amount = emit_constant(emitter, operand);
    if (is_vector) amount = emit_broadcast(emitter, amount);
    return wants_remainder ? LLVMBuildAnd(builder, a, amount, "") : LLVMBuildAShr(builder, a, amount, "");
  }
  if (constant == 0) {
    LLVMValueRef one = emit_constant(emitter, 1);
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) one = emit_broadcast(emitter, one);
    b = LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntEQ, b, zero, ""), one, b, "");
  }
  LLVMValueRef remainder = LLVMBuildSRem(builder, a, b, "");
  LLVMValueRef is_inexact = LLVMBuildICmp(builder, LLVMIntNE, remainder, zero, "");
  LLVMValueRef has_signs = LLVMBuildICmp(builder, LLVMIntSLT, LLVMBuildXor(builder, remainder, b, ""), zero, "");
  LLVMValueRef is_above = LLVMBuildAnd(builder, is_inexact, has_signs, "");
  if (wants_remainder)
    return LLVMBuildAdd(builder, remainder, LLVMBuildSelect(builder, is_above, b, zero, ""), "");
  return LLVMBuildAdd(builder, LLVMBuildSDiv(builder, a, b, ""), LLVMBuildSExt(builder, is_above, type, ""), "");
}

static LLVMValueRef emit_integer(Emitter *emitter, const Expr *expr, LLVMValueRef a, LLVMValueRef b) {
  LLVMBuilderRef builder = emitter->builder;
  switch (expr->op) {
  case OP_ADD: return LLVMBuildNSWAdd(builder, a, b, "");
  case OP_SUB: return LLVMBuildNSWSub(builder, a, b, "");
  case OP_MUL: return LLVMBuildNSWMul(builder, a, b, "");
  case OP_NEG: return LLVMBuildNSWNeg(builder, a, "");
  case OP_MIN: return LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntSLT, b, a, ""), b, a, "");
  case OP_MAX: return LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntSGT, b, a, ""), b, a, "");
  case OP_QUOTIENT:
  case OP_REMAINDER: return emit_quotient(emitter, expr->op == OP_REMAINDER, a, b, expr->args[1]);
  default: internal_error("no code for '%s' of int", op_table[expr->op].text);
  }
}

/* ---- reals */

static LLVMValueRef emit_sign(Emitter *emitter, LLVMValueRef x) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = LLVMTypeOf(x);
  LLVMValueRef zero = LLVMConstNull(type), one = LLVMConstReal(emitter->codegen->type_f32, 1);
  LLVMValueRef minus_one = LLVMConstReal(emitter->codegen->type_f32, -1);
  if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) {
    one = emit_broadcast(emitter, one);
    minus_one = emit_broadcast(emitter, minus_one);
  }
  LLVMValueRef is_negative = LLVMBuildFCmp(builder, LLVMRealOLT, x, zero, "");
  LLVMValueRef is_positive = LLVMBuildFCmp(builder, LLVMRealOGT, x, zero, "");
  return LLVMBuildSelect(builder, is_positive, one, LLVMBuildSelect(builder, is_negative, minus_one, zero, ""), "");
}

static LLVMValueRef emit_real(Emitter *emitter, Op op, LLVMValueRef a, LLVMValueRef b) {
  LLVMBuilderRef builder = emitter->builder;
  switch (op) {
  case OP_ADD: return emit_contract(LLVMBuildFAdd(builder, a, b, ""));
  case OP_SUB: return emit_contract(LLVMBuildFSub(builder, a, b, ""));
  case OP_MUL: return emit_contract(LLVMBuildFMul(builder, a, b, ""));
  case OP_DIV: return LLVMBuildFDiv(builder, a, b, "");
  case OP_NEG: return LLVMBuildFNeg(builder, a, "");
  case OP_MIN: return LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealOLT, b, a, ""), b, a, "");
  case OP_MAX: return LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealOGT, b, a, ""), b, a, "");
  case OP_ABS: return call_same(emitter, "llvm.fabs", a);
  case OP_SIGN: return emit_sign(emitter, a);
  case OP_FLOOR: return call_same(emitter, "llvm.floor", a);
  case OP_SQRT: return call_same(emitter, "llvm.sqrt", a);
  case OP_EXP: return emit_exp(emitter, a);
  case OP_EXP2: return emit_exp2(emitter, a);
  case OP_EXPM1: return emit_expm1(emitter, a);
  case OP_LOG: return emit_log(emitter, a);
  case OP_LOG1P: return emit_log1p(emitter, a);
  case OP_TANH: return emit_tanh(emitter, a);
  case OP_SIGMOID: return emit_sigmoid(emitter, a);
  case OP_SIN: return emit_sin(emitter, a);
  case OP_COS: return emit_cos(emitter, a);
  case OP_ERF: return emit_erf(emitter, a);
  case OP_POW: return emit_pow(emitter, a, b);
  case OP_STOP_GRADIENT: return a;
  default: internal_error("no code for '%s' of real", op_table[op].text);
  }
}

/* ---- all types */

static LLVMValueRef emit_comparison(Emitter *emitter, Op op, Type type, LLVMValueRef a, LLVMValueRef b) {
  static const struct { LLVMIntPredicate of_int; LLVMRealPredicate of_real; } predicates[] = {
      [OP_LT] = {LLVMIntSLT, LLVMRealOLT}, [OP_LE] = {LLVMIntSLE, LLVMRealOLE}, [OP_GT] = {LLVMIntSGT, LLVMRealOGT},
      [OP_GE] = {LLVMIntSGE, LLVMRealOGE}, [OP_EQ] = {LLVMIntEQ, LLVMRealOEQ},  [OP_NE] = {LLVMIntNE, LLVMRealUNE}};
  if (type == TYPE_REAL) return LLVMBuildFCmp(emitter->builder, predicates[op].of_real, a, b, "");
  return LLVMBuildICmp(emitter->builder, predicates[op].of_int, a, b, "");
}

static LLVMValueRef emit_conversion(Emitter *emitter, Op op, bool is_vector, LLVMValueRef a) {
  if (op == OP_TO_REAL) return LLVMBuildSIToFP(emitter->builder, a, emit_type(emitter, TYPE_REAL, is_vector), "");
  LLVMTypeRef types[] = {emit_type(emitter, TYPE_INT, is_vector), LLVMTypeOf(a)};
  return emit_intrinsic(emitter, "llvm.fptosi.sat", 2, types, 1, &a); /* defined for every argument */
}

static LLVMValueRef emit_by_type(Emitter *emitter, const Expr *expr, bool is_vector, const LLVMValueRef *args) {
  LLVMBuilderRef builder = emitter->builder;
  switch (expr->op) {
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return emit_comparison(emitter, expr->op, expr->args[0]->type, args[0], args[1]);
  case OP_AND: return LLVMBuildAnd(builder, args[0], args[1], "");
  case OP_OR: return LLVMBuildOr(builder, args[0], args[1], "");
  case OP_NOT: return LLVMBuildNot(builder, args[0], "");
  case OP_TO_REAL:
  case OP_TO_INT: return emit_conversion(emitter, expr->op, is_vector, args[0]);
  default: break;
  }
  LLVMValueRef second = expr->arg_count > 1 ? args[1] : NULL;
  return expr->type == TYPE_INT ? emit_integer(emitter, expr, args[0], second) : emit_real(emitter, expr->op, args[0], second);
}

Value emit_operation(Emitter *emitter, const Expr *expr, const Value *args) {
  LLVMValueRef values[3] = {NULL, NULL, NULL}, result;
  bool is_vector = false;
  for (int n = 0; n < expr->arg_count; n++) is_vector = is_vector || args[n].is_vector;
  for (int n = 0; n < expr->arg_count; n++) {
    bool stays = !is_vector || (expr->op == OP_SELECT && n == 0); /* one condition may choose between vectors */
    values[n] = stays ? args[n].value : emit_as_vector(emitter, args[n]);
  }
  if (expr->op == OP_SELECT)
    result = LLVMBuildSelect(emitter->builder, values[0], values[1], values[2], "");
  else
    result = emit_by_type(emitter, expr, is_vector, values);
  return (Value){result, is_vector, expr->type};
}

/* ---- reductions */

LLVMValueRef emit_combine(Emitter *emitter, ReduceOp op, Type type, LLVMValueRef a, LLVMValueRef b) {
  static const Op ops[REDUCE_COUNT] = {
      [REDUCE_SUM] = OP_ADD, [REDUCE_MAX] = OP_MAX, [REDUCE_MIN] = OP_MIN, [REDUCE_PRODUCT] = OP_MUL};
  if (type == TYPE_REAL) return emit_real(emitter, ops[op], a, b);
  Expr expr = {.op = ops[op], .type = TYPE_INT};
  return emit_integer(emitter, &expr, a, b);
}

/* Integers use the range of what memory holds. */
LLVMValueRef emit_identity(Emitter *emitter, ReduceOp op, Type type, bool is_vector) {
  LLVMValueRef scalar;
  if (type == TYPE_REAL) {
    double real = op == REDUCE_MAX ? -INFINITY : op == REDUCE_MIN ? INFINITY : op == REDUCE_PRODUCT ? 1 : 0;
    scalar = LLVMConstReal(emitter->codegen->type_f32, real);
  } else {
    scalar = emit_constant(emitter, op == REDUCE_MAX ? INT32_MIN : op == REDUCE_MIN ? INT32_MAX : op == REDUCE_PRODUCT);
  }
  return is_vector ? emit_broadcast(emitter, scalar) : scalar;
}

/* Halves against halves, so the order is fixed and short. */
LLVMValueRef emit_horizontal(Emitter *emitter, ReduceOp op, Type type, LLVMValueRef vector) {
  LLVMTypeRef i32 = emitter->codegen->type_i32;
  LLVMValueRef places[64];
  for (int width = emitter->lanes; width > 1; width /= 2) {
    LLVMValueRef halves[2];
    for (int half = 0; half < 2; half++) {
      for (int n = 0; n < width / 2; n++) places[n] = LLVMConstInt(i32, (unsigned)(half * width / 2 + n), false);
      halves[half] = LLVMBuildShuffleVector(emitter->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)),
                                            LLVMConstVector(places, (unsigned)width / 2), "");
    }
    vector = emit_combine(emitter, op, type, halves[0], halves[1]);
  }
  return LLVMBuildExtractElement(emitter->builder, vector, LLVMConstInt(i32, 0, false), "");
}
