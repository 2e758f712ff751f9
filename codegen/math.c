/* math.c - functions of one real argument as polynomials in line, the same code for one float and for a vector of them.
 *
 * Nothing branches, so they fuse with what surrounds them; in wide vectors some look numbers up (math_table.c). Errors are the largest over a dense sweep
 * of all arguments against double precision (tests/unit/math_test.c), in units of the last place (ulp), with and
 * without fused multiply-adds. Results below the smallest normal number may lose bits.
 */
#include <math.h>

#include "codegen/math_build.h"

/* x = n * ln 2 + r with |r| <= ln 2 / 2. */
typedef struct Reduced {
  LLVMValueRef n; /* i32 */
  LLVMValueRef r;
} Reduced;

/* Adding 1.5 * 2^23 rounds to an integer and leaves it in the lowest bits. The first part of ln 2 has zeros at its end, so its
 * product with n is exact without a fused multiply-add too. */
static Reduced reduce_exponent(Emitter *emitter, LLVMValueRef x) {
  const double magic = 12582912.0;
  LLVMValueRef shifted = emit_multiply_add(emitter, x, math_number(emitter, x, 1.44269504088896341),
                                           math_number(emitter, x, magic));
  LLVMValueRef n = math_sub(emitter, shifted, math_number(emitter, x, magic));
  LLVMValueRef r = emit_multiply_add(emitter, n, math_number(emitter, x, -0.693359375), x);
  r = emit_multiply_add(emitter, n, math_number(emitter, x, 2.12194440054690583e-4), r);
  LLVMValueRef bits = math_bits(emitter, shifted);
  return (Reduced){LLVMBuildSub(emitter->builder, bits, math_integer(emitter, bits, 0x4b400000), ""), r};
}

/* exp(r) - 1 for |r| <= ln 2 / 2: r + r^2 (1/2 + r (1/6 + ...)), minimax. */
static LLVMValueRef exp_minus_one(Emitter *emitter, LLVMValueRef r) {
  static const double coefficients[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                                        4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
  LLVMValueRef square = math_mul(emitter, r, r);
  return emit_multiply_add(emitter, math_polynomial(emitter, r, 6, coefficients), square, r);
}

/* power * 2^n for any n, in two factors: 2^n itself may be out of range. */
static LLVMValueRef scale_by_power(Emitter *emitter, LLVMValueRef power, LLVMValueRef n) {
  LLVMValueRef half = LLVMBuildAShr(emitter->builder, n, math_integer(emitter, n, 1), "");
  power = math_mul(emitter, power, math_power_of_two(emitter, half));
  return math_mul(emitter, power, math_power_of_two(emitter, LLVMBuildSub(emitter->builder, n, half, "")));
}

/* At most 1.1 ulp */
LLVMValueRef emit_exp(Emitter *emitter, LLVMValueRef x) {
  if (math_has_tables(emitter, x)) return table_exp(emitter, x);
  Reduced reduced = reduce_exponent(emitter, math_clamp(emitter, x, -110, 90));
  LLVMValueRef power = math_add(emitter, exp_minus_one(emitter, reduced.r), math_number(emitter, x, 1));
  return scale_by_power(emitter, power, reduced.n);
}

/* At most 1.1 ulp. 2^x = 2^n 2^r with |r| <= 1/2; nothing is lost in r, as there is in exp. */
LLVMValueRef emit_exp2(Emitter *emitter, LLVMValueRef x) {
  static const double coefficients[] = {
      1.5453162942e-4, 1.3390863365e-3, 9.6180825573e-3, 5.5503571142e-2, 2.4022650761e-1, 6.9314718803e-1, 1};
  if (math_has_tables(emitter, x)) return table_exp2(emitter, x);
  x = math_clamp(emitter, x, -160, 130);
  LLVMValueRef magic = math_number(emitter, x, 12582912.0), shifted = math_add(emitter, x, magic),
               n = math_sub(emitter, shifted, magic);
  LLVMValueRef exponent = LLVMBuildSub(emitter->builder, math_bits(emitter, shifted),
                                       math_integer(emitter, math_bits(emitter, shifted), 0x4b400000), "");
  LLVMValueRef power = math_polynomial(emitter, math_sub(emitter, x, n), 7, coefficients);
  return scale_by_power(emitter, power, exponent);
}

/* At most 1.6 ulp. Computed in halves, as 2^n may be out of range: 2 (2^(n-1) (exp(r) - 1) + (2^(n-1) - 1/2)), exact for n = 0. */
LLVMValueRef emit_expm1(Emitter *emitter, LLVMValueRef x) {
  Reduced reduced = reduce_exponent(emitter, math_clamp(emitter, x, -30, 89));
  LLVMValueRef n = LLVMBuildSub(emitter->builder, reduced.n, math_integer(emitter, reduced.n, 1), "");
  LLVMValueRef scale = math_power_of_two(emitter, n);
  LLVMValueRef rest = math_sub(emitter, scale, math_number(emitter, x, 0.5));
  LLVMValueRef half = emit_multiply_add(emitter, scale, exp_minus_one(emitter, reduced.r), rest);
  return math_add(emitter, half, half);
}

/* At most 2 ulp. With h = (exp(2 |x|) - 1) / 2, which is exact near 0: h / (1 + h) = h - h h / (1 + h), or 1 - 1 / (1 + h) where
 * that is more exact. */
LLVMValueRef emit_tanh(Emitter *emitter, LLVMValueRef x) {
  if (math_has_tables(emitter, x)) return table_tanh(emitter, x);
  LLVMValueRef magnitude = math_clamp(emitter, math_abs(emitter, x), 0, 12), one = math_number(emitter, x, 1);
  Reduced reduced = reduce_exponent(emitter, math_add(emitter, magnitude, magnitude));
  LLVMValueRef n = LLVMBuildSub(emitter->builder, reduced.n, math_integer(emitter, reduced.n, 1), "");
  LLVMValueRef scale = math_power_of_two(emitter, n);
  LLVMValueRef rest = math_sub(emitter, scale, math_number(emitter, x, 0.5));
  LLVMValueRef h = emit_multiply_add(emitter, scale, exp_minus_one(emitter, reduced.r), rest);
  LLVMValueRef start = math_select(emitter, math_compare(emitter, LLVMRealOGT, magnitude, 0.55), one, h);
  LLVMValueRef quotient = LLVMBuildFDiv(emitter->builder, start, math_add(emitter, h, one), "");
  LLVMValueRef minus = LLVMBuildFNeg(emitter->builder, start, "");
  return math_with_sign(emitter, emit_multiply_add(emitter, minus, quotient, start), x);
}

/* At most 1.8 ulp. With e = exp(x) and s the smaller of e and 1: s - s s / (1 + e), so that small results are exact too. */
LLVMValueRef emit_sigmoid(Emitter *emitter, LLVMValueRef x) {
  LLVMValueRef e = emit_exp(emitter, x), start = math_at_most(emitter, e, 1);
  LLVMValueRef quotient = LLVMBuildFDiv(emitter->builder, start, math_add(emitter, e, math_number(emitter, x, 1)), "");
  return emit_multiply_add(emitter, LLVMBuildFNeg(emitter->builder, start, ""), quotient, start);
}

/* ---- logarithms */

/* u = 2^e * (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2). */
typedef struct Split {
  LLVMValueRef e; /* i32 */
  LLVMValueRef f;
} Split;

static Split split_number(Emitter *emitter, LLVMValueRef u) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef bits = math_bits(emitter, u), places = math_integer(emitter, bits, 23);
  LLVMValueRef e = LLVMBuildAShr(builder, LLVMBuildSub(builder, bits, math_integer(emitter, bits, 0x3f3504f3), ""), places, "");
  LLVMValueRef significand = LLVMBuildSub(builder, bits, LLVMBuildShl(builder, e, places, ""), "");
  LLVMValueRef one = math_number(emitter, u, 1);
  return (Split){e, math_sub(emitter, math_from_bits(emitter, significand, LLVMTypeOf(u)), one)};
}

/* e ln 2 + log(1 + f): f - f^2 / 2 + f^3 P(f), minimax. */
static LLVMValueRef log_of_split(Emitter *emitter, Split split) {
  static const double coefficients[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,  -1.2420140846e-1, 1.4249322787e-1,
                                        -1.6668057665e-1, 2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};
  LLVMValueRef f = split.f, e = LLVMBuildSIToFP(emitter->builder, split.e, LLVMTypeOf(f), "");
  LLVMValueRef square = math_mul(emitter, f, f);
  LLVMValueRef sum = math_mul(emitter, math_mul(emitter, square, f), math_polynomial(emitter, f, 9, coefficients));
  sum = emit_multiply_add(emitter, e, math_number(emitter, f, -2.12194440054690583e-4), sum);
  sum = emit_multiply_add(emitter, square, math_number(emitter, f, -0.5), sum);
  sum = math_add(emitter, f, sum);
  return emit_multiply_add(emitter, e, math_number(emitter, f, 0.693359375), sum);
}

/* `value` where 0 < u < infinity, else the logarithm of u's limits. */
static LLVMValueRef with_limits(Emitter *emitter, LLVMValueRef u, LLVMValueRef value) {
  LLVMValueRef infinity = math_number(emitter, u, INFINITY), nan = math_number(emitter, u, NAN);
  value = math_select(emitter, math_compare(emitter, LLVMRealOEQ, u, INFINITY), infinity, value);
  value = math_select(emitter, math_compare(emitter, LLVMRealUGT, u, 0), value, nan);
  value = math_select(emitter, math_compare(emitter, LLVMRealOEQ, u, 0), math_number(emitter, u, -INFINITY), value);
  return math_select(emitter, math_compare(emitter, LLVMRealUNO, u, 0), u, value);
}

/* At most 0.8 ulp */
LLVMValueRef emit_log(Emitter *emitter, LLVMValueRef x) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef is_tiny = math_compare(emitter, LLVMRealOLT, x, 1.17549435e-38);
  LLVMValueRef larger = math_mul(emitter, x, math_number(emitter, x, 8388608));
  Split split = split_number(emitter, math_select(emitter, is_tiny, larger, x));
  LLVMValueRef places = math_select(emitter, is_tiny, math_integer(emitter, split.e, 23), math_integer(emitter, split.e, 0));
  split.e = LLVMBuildSub(builder, split.e, places, "");
  return with_limits(emitter, x, log_of_split(emitter, split));
}

/* At most 1.4 ulp. u = 1 + x is rounded; what it lacks is added to f. */
LLVMValueRef emit_log1p(Emitter *emitter, LLVMValueRef x) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef one = math_number(emitter, x, 1), u = math_add(emitter, x, one);
  LLVMValueRef part = math_sub(emitter, u, x);
  LLVMValueRef lacking = math_add(emitter, math_sub(emitter, x, math_sub(emitter, u, part)), math_sub(emitter, one, part));
  Split split = split_number(emitter, u);
  LLVMValueRef n = LLVMBuildNeg(builder, split.e, ""), lowest = math_integer(emitter, n, -127);
  n = LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntSLT, n, lowest, ""), lowest, n, "");
  LLVMValueRef scale = math_power_of_two(emitter, n);
  split.f = emit_multiply_add(emitter, lacking, scale, split.f);
  return with_limits(emitter, u, log_of_split(emitter, split));
}

/* At most 2 ulp: log(1 + e) for e = exp(x), x <= 0. With e <= 1 it needs no reduction: e + e^2 P(e), minimax. */
LLVMValueRef emit_log1p_of_exp(Emitter *emitter, LLVMValueRef x) {
  static const double coefficients[] = {-3.31852981e-3, 2.02048402e-2, -5.76649159e-2, 1.06806032e-1, -1.53554246e-1,
                                        1.96954101e-1,  -2.49585897e-1, 3.33305120e-1, -4.99999315e-1};
  LLVMValueRef e = emit_exp(emitter, x);
  return emit_multiply_add(emitter, math_polynomial(emitter, e, 9, coefficients), math_mul(emitter, e, e), e);
}

/* ---- circular functions */

static LLVMTypeRef double_like(const Emitter *emitter, LLVMValueRef x) {
  return math_type_like(x, LLVMDoubleTypeInContext(emitter->codegen->context));
}

/* x = n * pi/2 + r with |r| <= pi/4, in double precision so that nothing cancels. Returns r and the lowest bits of n; for the
 * sake of a bounded result r is kept in range where x is too large to say. */
static Reduced reduce_angle(Emitter *emitter, LLVMValueRef x) {
  LLVMBuilderRef builder = emitter->builder;
  const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
  LLVMValueRef wide = LLVMBuildFPExt(builder, x, double_like(emitter, x), "");
  LLVMValueRef shifted = emit_multiply_add(emitter, wide, math_number(emitter, wide, 0.63661977236758134308),
                                           math_number(emitter, wide, magic));
  LLVMValueRef n = math_sub(emitter, shifted, math_number(emitter, wide, magic));
  static const double parts[] = {-1.57079632673412561417e+00, -6.07710050630396597660e-11, -2.02226624879595063154e-21};
  LLVMValueRef r = wide;
  for (int part = 0; part < 3; part++) r = emit_multiply_add(emitter, n, math_number(emitter, wide, parts[part]), r);
  r = math_clamp(emitter, LLVMBuildFPTrunc(builder, r, LLVMTypeOf(x), ""), -1, 1);
  LLVMTypeRef integers = math_type_like(x, emitter->codegen->type_i32);
  return (Reduced){.n = LLVMBuildTrunc(builder, math_bits(emitter, shifted), integers, ""), .r = r};
}

/* sin(x) for quarter_turns 0, cos(x) for 1. */
static LLVMValueRef emit_circular(Emitter *emitter, LLVMValueRef x, int quarter_turns) {
  static const double of_sine[] = {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1};
  static const double of_cosine[] = {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2};
  LLVMBuilderRef builder = emitter->builder;
  Reduced reduced = reduce_angle(emitter, x);
  LLVMValueRef r = reduced.r, square = math_mul(emitter, r, r);
  LLVMValueRef cube = math_mul(emitter, square, r);
  LLVMValueRef sine = emit_multiply_add(emitter, math_polynomial(emitter, square, 3, of_sine), cube, r);
  LLVMValueRef cosine = emit_multiply_add(emitter, square, math_number(emitter, r, -0.5), math_number(emitter, r, 1));
  LLVMValueRef fourth = math_mul(emitter, square, square);
  cosine = emit_multiply_add(emitter, math_polynomial(emitter, square, 3, of_cosine), fourth, cosine);
  LLVMValueRef turns = LLVMBuildAdd(builder, reduced.n, math_integer(emitter, reduced.n, quarter_turns), "");
  LLVMValueRef odd = LLVMBuildAnd(builder, turns, math_integer(emitter, turns, 1), "");
  LLVMValueRef result = math_select(emitter, LLVMBuildIsNotNull(builder, odd, ""), cosine, sine);
  LLVMValueRef half_turn = LLVMBuildAnd(builder, turns, math_integer(emitter, turns, 2), "");
  LLVMValueRef sign = LLVMBuildShl(builder, half_turn, math_integer(emitter, turns, 30), "");
  result = math_from_bits(emitter, LLVMBuildXor(builder, math_bits(emitter, result), sign, ""), LLVMTypeOf(x));
  LLVMValueRef is_finite = math_compare(emitter, LLVMRealOLT, math_abs(emitter, x), INFINITY);
  return math_select(emitter, is_finite, result, math_number(emitter, x, NAN));
}

/* At most 1.6 ulp for |x| <= 10^4 */
LLVMValueRef emit_sin(Emitter *emitter, LLVMValueRef x) { return emit_circular(emitter, x, 0); }
/* At most 1.6 ulp for |x| <= 10^4 */
LLVMValueRef emit_cos(Emitter *emitter, LLVMValueRef x) { return emit_circular(emitter, x, 1); }

/* ---- error function */

/* At most 1.2 ulp. An odd polynomial near 0, elsewhere 1 - exp(P(|x|)). */
LLVMValueRef emit_erf(Emitter *emitter, LLVMValueRef x) {
  if (math_has_tables(emitter, x)) return table_erf(emitter, x);
  static const double near[] = {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1};
  static const double far[] = {-1.72853470e-5, 3.83197126e-4,  -3.88396438e-3, 2.42546219e-2,
                               -1.06777877e-1, -6.34846687e-1, -1.28717512e-1};
  LLVMValueRef magnitude = math_clamp(emitter, math_abs(emitter, x), 0, 5);
  LLVMValueRef inner = emit_multiply_add(emitter, math_polynomial(emitter, math_mul(emitter, x, x), 6, near), x, x);
  LLVMValueRef power = math_polynomial(emitter, magnitude, 7, far);
  power = emit_multiply_add(emitter, power, magnitude, LLVMBuildFNeg(emitter->builder, magnitude, ""));
  LLVMValueRef outer = math_sub(emitter, math_number(emitter, x, 1), emit_exp(emitter, power));
  LLVMValueRef is_outer = math_compare(emitter, LLVMRealOGT, magnitude, 0.927734375);
  return math_select(emitter, is_outer, math_with_sign(emitter, outer, x), inner);
}
