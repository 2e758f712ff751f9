/* math_build.c - small steps of math.c and math_power.c. No flag allows LLVM to change what they compute: corrections for
 * rounding errors would be folded away.
 */
#include "codegen/math_build.h"

LLVMTypeRef math_type_like(LLVMValueRef like, LLVMTypeRef element) {
  LLVMTypeRef type = LLVMTypeOf(like);
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMVectorType(element, LLVMGetVectorSize(type)) : element;
}

static LLVMValueRef repeat(LLVMValueRef constant, LLVMTypeRef type) {
  LLVMValueRef parts[64];
  unsigned count = LLVMGetVectorSize(type);
  for (unsigned n = 0; n < count; n++) parts[n] = constant;
  return LLVMConstVector(parts, count);
}

LLVMValueRef math_number(Emitter *emitter, LLVMValueRef like, double number) {
  (void)emitter;
  LLVMTypeRef type = LLVMTypeOf(like);
  bool is_vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
  LLVMValueRef constant = LLVMConstReal(is_vector ? LLVMGetElementType(type) : type, number);
  return is_vector ? repeat(constant, type) : constant;
}

LLVMValueRef math_integer(Emitter *emitter, LLVMValueRef like, int64_t number) {
  (void)emitter;
  LLVMTypeRef type = LLVMTypeOf(like);
  bool is_vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
  LLVMValueRef constant = LLVMConstInt(is_vector ? LLVMGetElementType(type) : type, (unsigned long long)number, true);
  return is_vector ? repeat(constant, type) : constant;
}

LLVMValueRef math_add(Emitter *emitter, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(emitter->builder, a, b, ""); }
LLVMValueRef math_sub(Emitter *emitter, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(emitter->builder, a, b, ""); }
LLVMValueRef math_mul(Emitter *emitter, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(emitter->builder, a, b, ""); }

LLVMValueRef math_polynomial(Emitter *emitter, LLVMValueRef x, int count, const double *coefficients) {
  LLVMValueRef sum = math_number(emitter, x, coefficients[0]);
  for (int n = 1; n < count; n++) sum = emit_multiply_add(emitter, sum, x, math_number(emitter, x, coefficients[n]));
  return sum;
}

LLVMValueRef math_select(Emitter *emitter, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildSelect(emitter->builder, condition, a, b, "");
}

LLVMValueRef math_compare(Emitter *emitter, LLVMRealPredicate predicate, LLVMValueRef a, double b) {
  return LLVMBuildFCmp(emitter->builder, predicate, a, math_number(emitter, a, b), "");
}

/* The limit stands first in each comparison, so the processor's minimum and maximum do it in one instruction. */
LLVMValueRef math_at_least(Emitter *emitter, LLVMValueRef x, double low) {
  LLVMValueRef lowest = math_number(emitter, x, low);
  return math_select(emitter, LLVMBuildFCmp(emitter->builder, LLVMRealOGT, lowest, x, ""), lowest, x);
}

LLVMValueRef math_at_most(Emitter *emitter, LLVMValueRef x, double high) {
  LLVMValueRef highest = math_number(emitter, x, high);
  return math_select(emitter, LLVMBuildFCmp(emitter->builder, LLVMRealOLT, highest, x, ""), highest, x);
}

LLVMValueRef math_clamp(Emitter *emitter, LLVMValueRef x, double low, double high) {
  return math_at_most(emitter, math_at_least(emitter, x, low), high);
}

static LLVMTypeRef integer_like(const Emitter *emitter, LLVMTypeRef type) {
  bool is_vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
  LLVMTypeRef element = is_vector ? LLVMGetElementType(type) : type;
  LLVMTypeRef integer = LLVMGetTypeKind(element) == LLVMDoubleTypeKind ? emitter->codegen->type_i64 : emitter->codegen->type_i32;
  return is_vector ? LLVMVectorType(integer, LLVMGetVectorSize(type)) : integer;
}

LLVMValueRef math_bits(Emitter *emitter, LLVMValueRef x) {
  return LLVMBuildBitCast(emitter->builder, x, integer_like(emitter, LLVMTypeOf(x)), "");
}

LLVMValueRef math_from_bits(Emitter *emitter, LLVMValueRef bits, LLVMTypeRef type) {
  return LLVMBuildBitCast(emitter->builder, bits, type, "");
}

LLVMValueRef math_power_of_two(Emitter *emitter, LLVMValueRef n) {
  LLVMValueRef exponent = LLVMBuildAdd(emitter->builder, n, math_integer(emitter, n, 127), "");
  LLVMValueRef bits = LLVMBuildShl(emitter->builder, exponent, math_integer(emitter, n, 23), "");
  return math_from_bits(emitter, bits, math_type_like(n, emitter->codegen->type_f32));
}

LLVMValueRef math_abs(Emitter *emitter, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return emit_intrinsic(emitter, "llvm.fabs", 1, &type, 1, &x);
}

LLVMValueRef math_with_sign(Emitter *emitter, LLVMValueRef magnitude, LLVMValueRef sign) {
  LLVMTypeRef type = LLVMTypeOf(sign);
  return emit_intrinsic(emitter, "llvm.copysign", 1, &type, 2, (LLVMValueRef[]){magnitude, sign});
}
