/* math_build.h - arithmetic on floats or vectors of them, short enough that polynomials can be read. Names follow the
 * notation: x, y, n, r as in the comments of math.c.
 */
#ifndef SEQC_CODEGEN_MATH_BUILD_H
#define SEQC_CODEGEN_MATH_BUILD_H

#include "codegen/emit.h"

/* The type of a value, repeated for its lanes: constants are made to fit it. */
LLVMValueRef math_number(Emitter *emitter, LLVMValueRef like, double number);
LLVMValueRef math_integer(Emitter *emitter, LLVMValueRef like, int64_t number);
LLVMTypeRef math_type_like(LLVMValueRef like, LLVMTypeRef element);

LLVMValueRef math_add(Emitter *emitter, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef math_sub(Emitter *emitter, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef math_mul(Emitter *emitter, LLVMValueRef a, LLVMValueRef b);
/* Horner's scheme: coefficients from the highest power to the constant. */
LLVMValueRef math_polynomial(Emitter *emitter, LLVMValueRef x, int count, const double *coefficients);
/* Not a number stays so. */
LLVMValueRef math_at_least(Emitter *emitter, LLVMValueRef x, double low);
LLVMValueRef math_at_most(Emitter *emitter, LLVMValueRef x, double high);
LLVMValueRef math_clamp(Emitter *emitter, LLVMValueRef x, double low, double high);
LLVMValueRef math_bits(Emitter *emitter, LLVMValueRef x);                           /* as integers of the same width */
LLVMValueRef math_from_bits(Emitter *emitter, LLVMValueRef bits, LLVMTypeRef type); /* and back */
LLVMValueRef math_power_of_two(Emitter *emitter, LLVMValueRef n); /* float 2^n of an i32 n in -126 .. 127; 0 at -127, inf at 128 */
LLVMValueRef math_abs(Emitter *emitter, LLVMValueRef x);
LLVMValueRef math_with_sign(Emitter *emitter, LLVMValueRef magnitude, LLVMValueRef sign);
LLVMValueRef math_select(Emitter *emitter, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef math_compare(Emitter *emitter, LLVMRealPredicate predicate, LLVMValueRef a, double b);

/* ---- math_table.c */
bool math_has_tables(const Emitter *emitter, LLVMValueRef x); /* the processor has what the functions below take, and x its width */
LLVMValueRef table_exp(Emitter *emitter, LLVMValueRef x);
LLVMValueRef table_exp2(Emitter *emitter, LLVMValueRef x);
LLVMValueRef table_tanh(Emitter *emitter, LLVMValueRef x);
LLVMValueRef table_erf(Emitter *emitter, LLVMValueRef x);

#endif
