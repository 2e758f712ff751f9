/* math_power.c - x^y as 2^(y log2 |x|), with the logarithm in double precision: its error is multiplied by up to 128. */
#include <math.h>

#include "codegen/math_build.h"

/* log2 of a float > 0 in double precision: e + 2 / ln 2 * artanh(f / (2 + f)). Conversion to double has made tiny
 * arguments normal. */
static LLVMValueRef wide_log2(Emitter *emitter, LLVMValueRef x) {
  static const double coefficients[] = {1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1};
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = LLVMTypeOf(x);
  LLVMValueRef bits = math_bits(emitter, x), places = math_integer(emitter, bits, 52);
  LLVMValueRef above = LLVMBuildSub(builder, bits, math_integer(emitter, bits, 0x3fe6a09e667f3bcd), "");
  LLVMValueRef e = LLVMBuildAShr(builder, above, places, "");
  LLVMValueRef significand = LLVMBuildSub(builder, bits, LLVMBuildShl(builder, e, places, ""), "");
  LLVMValueRef m = math_from_bits(emitter, significand, type), one = math_number(emitter, x, 1);
  LLVMValueRef s = LLVMBuildFDiv(builder, math_sub(emitter, m, one), math_add(emitter, m, one), "");
  LLVMValueRef sum = math_mul(emitter, s, math_polynomial(emitter, math_mul(emitter, s, s), 9, coefficients));
  LLVMValueRef exponent = LLVMBuildTrunc(builder, e, math_type_like(x, emitter->codegen->type_i32), "");
  exponent = LLVMBuildSIToFP(builder, exponent, type, "");
  return emit_multiply_add(emitter, sum, math_number(emitter, x, 2.88539008177792681), exponent);
}

/* 2^t; t is double, the result float. */
static LLVMValueRef narrow_exp2(Emitter *emitter, LLVMValueRef t) {
  const double magic = 6755399441055744.0;
  LLVMBuilderRef builder = emitter->builder;
  t = math_clamp(emitter, t, -160, 130);
  LLVMValueRef shifted = math_add(emitter, t, math_number(emitter, t, magic));
  LLVMValueRef rest = math_sub(emitter, t, math_sub(emitter, shifted, math_number(emitter, t, magic)));
  LLVMValueRef wide = math_mul(emitter, rest, math_number(emitter, t, 0.693147180559945309));
  LLVMTypeRef i32 = emitter->codegen->type_i32;
  LLVMValueRef r = LLVMBuildFPTrunc(builder, wide, math_type_like(t, emitter->codegen->type_f32), "");
  LLVMValueRef n = LLVMBuildTrunc(builder, math_bits(emitter, shifted), math_type_like(t, i32), "");
  LLVMValueRef half = LLVMBuildAShr(builder, n, math_integer(emitter, n, 1), "");
  LLVMValueRef power = math_mul(emitter, emit_exp(emitter, r), math_power_of_two(emitter, half));
  return math_mul(emitter, power, math_power_of_two(emitter, LLVMBuildSub(builder, n, half, "")));
}

/* The sign of x to the power y, where x is negative; not a number unless y is an integer. */
static LLVMValueRef with_sign_of_power(Emitter *emitter, LLVMValueRef x, LLVMValueRef y, LLVMValueRef power) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = LLVMTypeOf(y);
  LLVMValueRef half = math_mul(emitter, y, math_number(emitter, y, 0.5));
  LLVMValueRef whole = emit_intrinsic(emitter, "llvm.floor", 1, &type, 1, &y);
  LLVMValueRef whole_half = emit_intrinsic(emitter, "llvm.floor", 1, &type, 1, &half);
  LLVMValueRef is_integer = LLVMBuildFCmp(builder, LLVMRealOEQ, whole, y, "");
  LLVMValueRef is_even = LLVMBuildFCmp(builder, LLVMRealOEQ, whole_half, half, "");
  LLVMValueRef is_odd = LLVMBuildAnd(builder, is_integer, LLVMBuildNot(builder, is_even, ""), "");
  LLVMValueRef signed_power = math_select(emitter, is_odd, math_with_sign(emitter, power, x), power);
  LLVMValueRef is_wrong = LLVMBuildAnd(builder, math_compare(emitter, LLVMRealOLT, x, 0), LLVMBuildNot(builder, is_integer, ""),
                                       "");
  LLVMValueRef is_infinite = math_compare(emitter, LLVMRealOEQ, x, -INFINITY);
  is_wrong = LLVMBuildAnd(builder, is_wrong, LLVMBuildNot(builder, is_infinite, ""), "");
  return math_select(emitter, is_wrong, math_number(emitter, x, NAN), signed_power);
}

/* At most 1.6 ulp. The limits are those of C's pow. */
LLVMValueRef emit_pow(Emitter *emitter, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef wide = math_type_like(x, LLVMDoubleTypeInContext(emitter->codegen->context));
  LLVMValueRef magnitude = LLVMBuildFPExt(builder, math_abs(emitter, x), wide, "");
  LLVMValueRef logarithm = wide_log2(emitter, magnitude);
  LLVMValueRef is_zero = math_compare(emitter, LLVMRealOEQ, magnitude, 0),
               is_large = math_compare(emitter, LLVMRealUEQ, magnitude, INFINITY);
  logarithm = math_select(emitter, is_zero, math_number(emitter, magnitude, -INFINITY), logarithm);
  logarithm = math_select(emitter, is_large, magnitude, logarithm); /* infinity, or not a number */
  LLVMValueRef power = narrow_exp2(emitter, math_mul(emitter, logarithm, LLVMBuildFPExt(builder, y, wide, "")));
  LLVMValueRef one = math_number(emitter, x, 1);
  power = math_select(emitter, math_compare(emitter, LLVMRealOEQ, magnitude, 1), one, power);
  power = with_sign_of_power(emitter, x, y, power);
  LLVMValueRef is_one = LLVMBuildOr(builder, math_compare(emitter, LLVMRealOEQ, y, 0), math_compare(emitter, LLVMRealOEQ, x, 1),
                                    "");
  return math_select(emitter, is_one, one, power);
}
