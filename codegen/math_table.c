/* math_table.c - functions by tables of 16 numbers, which a register of 16 lanes looks up in one instruction: the argument lies near one of
 * 16 centres, so a short polynomial does. Errors as in math.c.
 */
#include <math.h>

#include "codegen/math_build.h"

enum { ENTRIES = 16 };

bool math_has_tables(const Emitter *emitter, LLVMValueRef x) {
  const Codegen *codegen = emitter->codegen;
  LLVMTypeRef type = LLVMTypeOf(x);
  return codegen->machine.lanes == ENTRIES && !strncmp(codegen->triple, "x86_64-", 7) && LLVMGetTypeKind(type) == LLVMVectorTypeKind &&
         LLVMGetVectorSize(type) == ENTRIES;
}

/* For each lane the entry that the lowest four bits of `places` tell. */
static LLVMValueRef look_up(Emitter *emitter, LLVMValueRef places, const float *table) {
  LLVMValueRef entries[ENTRIES];
  for (int n = 0; n < ENTRIES; n++) entries[n] = LLVMConstReal(emitter->codegen->type_f32, (double)table[n]);
  LLVMValueRef all = LLVMConstVector(entries, ENTRIES);
  return emit_intrinsic(emitter, "llvm.x86.avx512.permvar.sf.512", 0, NULL, 2, (LLVMValueRef[]){all, places});
}

/* Polynomials of u, one for each entry; from the highest power to the constant. */
static LLVMValueRef piecewise(Emitter *emitter, LLVMValueRef u, LLVMValueRef places, int count, const float (*coefficients)[ENTRIES]) {
  LLVMValueRef sum = look_up(emitter, places, coefficients[0]);
  for (int n = 1; n < count; n++) sum = emit_multiply_add(emitter, sum, u, look_up(emitter, places, coefficients[n]));
  return sum;
}

/* 1.5 * 2^19: adding it rounds to a multiple of 1/16, which is then in the lowest bits. */
static const double sixteenths_magic = 786432.0;

/* 2^n (1 + rest) for n, a multiple of 1/16 from -127 to 128 that `shifted` holds: its whole part goes to the exponent of a power from the
 * table, from which is taken beforehand what the sixteenths add below. -127 makes it 0, 128 infinity. */
static LLVMValueRef power_of_sixteenths(Emitter *emitter, LLVMValueRef shifted, LLVMValueRef rest) {
  enum { SHIFT = 23 - 4 };
  float powers[ENTRIES];
  for (int k = 0; k < ENTRIES; k++) {
    int32_t bits;
    powers[k] = (float)exp2((double)k / ENTRIES);
    memcpy(&bits, &powers[k], sizeof bits);
    bits -= k << SHIFT;
    memcpy(&powers[k], &bits, sizeof bits);
  }
  LLVMValueRef places = math_bits(emitter, shifted), start = math_bits(emitter, look_up(emitter, places, powers));
  LLVMValueRef whole = LLVMBuildShl(emitter->builder, places, math_integer(emitter, places, SHIFT), "");
  LLVMValueRef power = math_from_bits(emitter, LLVMBuildAdd(emitter->builder, start, whole, ""), LLVMTypeOf(shifted));
  return emit_multiply_add(emitter, power, rest, power);
}

/* At most 0.65 ulp. Seven multiplications; what else there is runs beside them on the processors that have these vectors. n is rounded down, so that
 * it is 128 only where the result is infinite. */
LLVMValueRef table_exp(Emitter *emitter, LLVMValueRef x) {
  static const double coefficients[] = {1.7016717e-1, 4.9991204e-1, 1.0000006};
  float lacking[ENTRIES]; /* of the powers in the table */
  for (int k = 0; k < ENTRIES; k++) {
    double exact = exp2((double)k / ENTRIES);
    lacking[k] = (float)((exact - (double)(float)exact) / exact);
  }
  x = math_clamp(emitter, x, -88.0296, 88.73);
  LLVMValueRef magic = math_number(emitter, x, sixteenths_magic), scale = math_number(emitter, x, 1.44269504088896341);
  LLVMValueRef down = LLVMConstInt(emitter->codegen->type_i32, 9, false); /* without exceptions */
  LLVMValueRef shifted = emit_intrinsic(emitter, "llvm.x86.avx512.vfmadd.ps.512", 0, NULL, 4, (LLVMValueRef[]){x, scale, magic, down});
  LLVMValueRef n = math_sub(emitter, shifted, magic);
  LLVMValueRef r = emit_multiply_add(emitter, n, math_number(emitter, x, -0.693359375), x);
  r = emit_multiply_add(emitter, n, math_number(emitter, x, 2.12194440054690583e-4), r);
  LLVMValueRef rest = look_up(emitter, math_bits(emitter, shifted), lacking);
  rest = emit_multiply_add(emitter, math_polynomial(emitter, r, 3, coefficients), r, rest);
  return power_of_sixteenths(emitter, shifted, rest);
}

/* At most 1.1 ulp. Nothing is lost in r, as there is in exp. Recurrences have additions enough beside it, so it has the fewest steps: scaling is one,
 * for any n, but takes two multiplications. */
LLVMValueRef table_exp2(Emitter *emitter, LLVMValueRef x) {
  static const double coefficients[] = {5.5505085252e-2, 2.4023355157e-1, 6.9314718056e-1};
  float powers[ENTRIES];
  for (int k = 0; k < ENTRIES; k++) powers[k] = (float)exp2((double)k / ENTRIES);
  x = math_clamp(emitter, x, -160, 130);
  LLVMValueRef magic = math_number(emitter, x, sixteenths_magic);
  LLVMValueRef shifted = math_add(emitter, x, magic), n = math_sub(emitter, shifted, magic), r = math_sub(emitter, x, n);
  LLVMValueRef power = look_up(emitter, math_bits(emitter, shifted), powers), q = math_polynomial(emitter, r, 3, coefficients);
  power = emit_multiply_add(emitter, math_mul(emitter, power, r), q, power);
  LLVMValueRef all = LLVMConstAllOnes(LLVMInt16TypeInContext(emitter->codegen->context)), rounding = LLVMConstInt(emitter->codegen->type_i32, 4, false);
  return emit_intrinsic(emitter, "llvm.x86.avx512.mask.scalef.ps.512", 0, NULL, 5, (LLVMValueRef[]){power, n, power, all, rounding});
}

/* At most 1.7 ulp. There are two pieces from each power of two to the next, 1/16 to 16, which the highest bits tell: the first, entry 6, goes
 * on to 0; in the last, entry 5, the result is 1. */
LLVMValueRef table_tanh(Emitter *emitter, LLVMValueRef x) {
  static const float centres[ENTRIES] = {2.5F, 3.5F, 5.0F, 7.0F, 10.0F, 14.0F, 0.0F, 0.109375F, 0.15625F, 0.21875F, 0.3125F, 0.4375F, 0.625F, 0.875F, 1.25F, 1.75F};
  static const float coefficients[7][ENTRIES] = {
      {-0.000695584284F, -0.000157810005F, -9.41881899e-6F, -1.73284832e-7F, -6.79065693e-10F, 0.0F, -0.0150192287F, -0.0389144756F, -0.0522182509F, -0.0652068704F, -0.0723633915F, -0.0616956353F, -0.0243663024F, 0.0128528597F, 0.0151049849F, 0.00210908381F},
      {0.00288727414F, 0.000490373699F, 2.84819089e-5F, 5.22860432e-7F, 2.07958339e-9F, 0.0F, 0.134908795F, 0.120143674F, 0.107186429F, 0.0849475116F, 0.0455062799F, -0.00596184144F, -0.0543359444F, -0.0585476309F, -0.0196906868F, 0.00348227192F},
      {-0.0080521144F, -0.00119726628F, -5.94767371e-5F, -1.08987319e-6F, -1.76377946e-9F, 0.0F, -7.63239877e-5F, 0.0704877377F, 0.0972110406F, 0.127374172F, 0.158117235F, 0.169996306F, 0.137903124F, 0.060798265F, -0.0125859864F, -0.0235257F},
      {0.0170174874F, 0.0024117264F, 0.000118821677F, 2.1767778e-6F, 3.35933747e-9F, 0.0F, -0.333331674F, -0.31765002F, -0.301880866F, -0.273662478F, -0.219552398F, -0.136173368F, -0.0178378168F, 0.0818049386F, 0.108326115F, 0.062928237F},
      {-0.0262360126F, -0.00363430614F, -0.000181812939F, -3.3306801e-6F, -9.23311649e-9F, 0.0F, -1.34162415e-8F, -0.107648008F, -0.151267529F, -0.205342636F, -0.274971485F, -0.341854244F, -0.384015501F, -0.355132312F, -0.237871334F, -0.107139826F},
      {0.026592331F, 0.00364095601F, 0.000181861309F, 3.33124285e-6F, 9.35767286e-9F, 0.0F, 1.0F, 0.988131881F, 0.975977898F, 0.95363456F, 0.908366799F, 0.830610096F, 0.692419171F, 0.5045169F, 0.28041476F, 0.113812044F},
      {0.986614287F, 0.998177886F, 0.999909222F, 0.999998331F, 1.0F, 1.0F, 0.0F, 0.108940929F, 0.154990733F, 0.215326339F, 0.302709728F, 0.411570042F, 0.554599702F, 0.703905582F, 0.848283648F, 0.941375554F}};
  LLVMValueRef magnitude = math_at_most(emitter, math_abs(emitter, x), 12);
  LLVMValueRef bits = math_bits(emitter, math_at_least(emitter, magnitude, 0.0625));
  LLVMValueRef places = LLVMBuildLShr(emitter->builder, bits, math_integer(emitter, bits, 22), "");
  LLVMValueRef u = math_sub(emitter, magnitude, look_up(emitter, places, centres));
  return math_with_sign(emitter, piecewise(emitter, u, places, 7, coefficients), x);
}

/* At most 1.1 ulp. Pieces around the multiples of 1/4, to which adding 1.5 * 2^21 rounds; from 3.875 on the result is 1. Around 0
 * the constant is u itself and the next coefficient less by 1: u is larger than the other constants nowhere. */
LLVMValueRef table_erf(Emitter *emitter, LLVMValueRef x) {
  static const float coefficients[5][ENTRIES] = {
      {0.111083485F, 0.0808330029F, 0.00816103909F, -0.0524757057F, -0.0687314048F, -0.0471097715F, -0.0150324106F, 0.00643150322F, 0.0129846837F,
       0.0106366184F, 0.00613420131F, 0.00277598808F, 0.00102878292F, 0.000319136307F, 8.39485365e-5F, 6.03564185e-5F},
      {0.000258813496F, 0.126040787F, 0.181910649F, 0.150057644F, 0.0692902952F, -0.00566167524F, -0.0441461504F, -0.0478915274F, -0.0344337635F,
       -0.0191511195F, -0.00868795253F, -0.00329705537F, -0.00106178003F, -0.000292790326F, -6.95574417e-5F, -4.06661513e-8F},
      {-0.376139581F, -0.309191257F, -0.146478429F, 0.0267796945F, 0.138365164F, 0.167535573F, 0.138753742F, 0.0901591107F, 0.0482239164F,
       0.0217247475F, 0.00834993273F, 0.00276020123F, 0.000788986916F, 0.000195760047F, 4.22784506e-5F, 1.01248352e-5F},
      {2.25000221e-7F, -0.264998108F, -0.43938446F, -0.482194602F, -0.415108114F, -0.295654327F, -0.178398088F, -0.092357479F, -0.0413340367F,
       -0.016069822F, -0.00544532621F, -0.00161203381F, -0.000417657051F, -9.48277593e-5F, -1.88871691e-5F, -3.1077916e-6F},
      {0.128379167F, 1.06001425F, 0.87878263F, 0.642931104F, 0.415107518F, 0.236521125F, 0.118930288F, 0.0527749918F, 0.020666983F, 0.00714231841F,
       0.00217828457F, 0.000586277689F, 0.00013925333F, 2.91891483e-5F, 5.39946905e-6F, 8.91569016e-7F}};
  static const float values[ENTRIES] = {0.0F,         0.276326388F, 0.520499885F, 0.711155653F, 0.842700779F, 0.92290014F,
                                        0.966105163F, 0.986671686F, 0.995322287F, 0.998537302F, 0.999593019F, 0.999899387F,
                                        0.999977887F, 0.999995708F, 0.999999285F, 0.999999881F};
  const double magic = 3145728;
  LLVMValueRef magnitude = math_at_most(emitter, math_abs(emitter, x), 3.87499976);
  LLVMValueRef shifted = math_add(emitter, magnitude, math_number(emitter, x, magic));
  LLVMValueRef u = math_sub(emitter, magnitude, math_sub(emitter, shifted, math_number(emitter, x, magic)));
  LLVMValueRef places = math_bits(emitter, shifted), start = look_up(emitter, places, values);
  start = math_select(emitter, LLVMBuildFCmp(emitter->builder, LLVMRealOGT, u, start, ""), u, start);
  LLVMValueRef sum = emit_multiply_add(emitter, piecewise(emitter, u, places, 5, coefficients), u, start);
  return math_with_sign(emitter, sum, x);
}
