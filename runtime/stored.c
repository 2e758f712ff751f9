/* stored.c - the types of stored arrays and their conversion. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/stored_file.h"

static const struct {
  const char *name;
  int64_t size;
} DTYPES[] = {
    [SEQRT_STORED_BOOL] = {"BOOL", 1}, [SEQRT_STORED_U8] = {"U8", 1},   [SEQRT_STORED_I8] = {"I8", 1},
    [SEQRT_STORED_I16] = {"I16", 2},   [SEQRT_STORED_U16] = {"U16", 2}, [SEQRT_STORED_F16] = {"F16", 2},
    [SEQRT_STORED_BF16] = {"BF16", 2}, [SEQRT_STORED_I32] = {"I32", 4}, [SEQRT_STORED_U32] = {"U32", 4},
    [SEQRT_STORED_F32] = {"F32", 4},   [SEQRT_STORED_F64] = {"F64", 8}, [SEQRT_STORED_I64] = {"I64", 8},
    [SEQRT_STORED_U64] = {"U64", 8},
};
_Static_assert(sizeof DTYPES / sizeof DTYPES[0] == SEQRT_STORED_DTYPE_COUNT, "a row for each type");

const char *seqrt_stored_dtype_name(seqrt_stored_dtype dtype) {
  return (unsigned)dtype < SEQRT_STORED_DTYPE_COUNT ? DTYPES[dtype].name : "?";
}

int64_t seqrt_stored_dtype_size(seqrt_stored_dtype dtype) {
  return (unsigned)dtype < SEQRT_STORED_DTYPE_COUNT ? DTYPES[dtype].size : 0;
}

static float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return float_from_bits(sign | 0x7F800000 | fraction << 13);
  if (exponent) return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float small = (float)fraction * 0x1p-24f;
  return sign ? -small : small;
}

/* Element n of the data as the C type. */
#define LOAD(type, data, n)                                                             \
  ({                                                                                    \
    type loaded;                                                                        \
    memcpy(&loaded, (const char *)(data) + (size_t)(n) * sizeof loaded, sizeof loaded); \
    loaded;                                                                             \
  })

static double load_double(const seqrt_stored_tensor *tensor, int64_t n) {
  switch (tensor->dtype) {
  case SEQRT_STORED_BOOL: return LOAD(uint8_t, tensor->data, n) != 0;
  case SEQRT_STORED_U8: return LOAD(uint8_t, tensor->data, n);
  case SEQRT_STORED_I8: return LOAD(int8_t, tensor->data, n);
  case SEQRT_STORED_I16: return LOAD(int16_t, tensor->data, n);
  case SEQRT_STORED_U16: return LOAD(uint16_t, tensor->data, n);
  case SEQRT_STORED_F16: return (double)half_to_float(LOAD(uint16_t, tensor->data, n));
  case SEQRT_STORED_BF16: return (double)float_from_bits((uint32_t)LOAD(uint16_t, tensor->data, n) << 16);
  case SEQRT_STORED_I32: return LOAD(int32_t, tensor->data, n);
  case SEQRT_STORED_U32: return LOAD(uint32_t, tensor->data, n);
  case SEQRT_STORED_F32: return (double)LOAD(float, tensor->data, n);
  case SEQRT_STORED_F64: return LOAD(double, tensor->data, n);
  case SEQRT_STORED_I64: return (double)LOAD(int64_t, tensor->data, n);
  case SEQRT_STORED_U64: return (double)LOAD(uint64_t, tensor->data, n);
  case SEQRT_STORED_DTYPE_COUNT: break;
  }
  return NAN;
}

/* False where the value does not fit into int64. */
static bool load_integer(const seqrt_stored_tensor *tensor, int64_t n, int64_t *out_value) {
  uint64_t large;
  switch (tensor->dtype) {
  case SEQRT_STORED_I64: *out_value = LOAD(int64_t, tensor->data, n); return true;
  case SEQRT_STORED_U64:
    large = LOAD(uint64_t, tensor->data, n);
    *out_value = (int64_t)large;
    return large <= INT64_MAX;
  default: *out_value = (int64_t)load_double(tensor, n); return true;
  }
}

seqrt_code stored_piece_to_f32(const seqrt_stored_tensor *tensor, int64_t first, float *out_values, seqrt_error *error) {
  if (tensor->dtype == SEQRT_STORED_F32) {
    if (tensor->bytes) memcpy(out_values, tensor->data, (size_t)tensor->bytes);
    return SEQRT_OK;
  }
  for (int64_t n = 0; n < tensor->elements; n++) {
    double value = load_double(tensor, n);
    out_values[n] = (float)value;
    if (isinf(out_values[n]) && !isinf(value))
      return runtime_fail(error, SEQRT_OUT_OF_RANGE, "'%s', element %" PRId64 ": %g does not fit into float32", tensor->name,
                          first + n, value);
  }
  return SEQRT_OK;
}

seqrt_code seqrt_stored_to_f32(const seqrt_stored_tensor *tensor, float *out_values, seqrt_error *error) {
  if (!tensor || !out_values)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "converting an array: none given, or no place for it");
  return stored_piece_to_f32(tensor, 0, out_values, error);
}

seqrt_code seqrt_stored_to_f64(const seqrt_stored_tensor *tensor, double *out_values, seqrt_error *error) {
  if (!tensor || !out_values)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "converting an array: none given, or no place for it");
  for (int64_t n = 0; n < tensor->elements; n++) out_values[n] = load_double(tensor, n);
  return SEQRT_OK;
}

static bool is_real(seqrt_stored_dtype dtype) {
  return dtype == SEQRT_STORED_F16 || dtype == SEQRT_STORED_BF16 || dtype == SEQRT_STORED_F32 || dtype == SEQRT_STORED_F64;
}

/* Into int32 or, where `out_narrow` is NULL, int64. */
seqrt_code stored_piece_to_integers(const seqrt_stored_tensor *tensor, int64_t first, int32_t *out_narrow, int64_t *out_wide,
                                    seqrt_error *error) {
  if (is_real(tensor->dtype))
    return runtime_fail(error, SEQRT_FORMAT, "'%s' has type %s, expected an integer type", tensor->name,
                        seqrt_stored_dtype_name(tensor->dtype));
  for (int64_t n = 0; n < tensor->elements; n++) {
    int64_t value;
    bool fits = load_integer(tensor, n, &value);
    if (!fits || (out_narrow && (value < INT32_MIN || value > INT32_MAX)))
      return runtime_fail(error, SEQRT_OUT_OF_RANGE, "'%s', element %" PRId64 ": the value does not fit into int%d", tensor->name,
                          first + n, out_narrow ? 32 : 64);
    if (out_narrow) out_narrow[n] = (int32_t)value;
    else out_wide[n] = value;
  }
  return SEQRT_OK;
}

static seqrt_code convert_integers(const seqrt_stored_tensor *tensor, int32_t *out_narrow, int64_t *out_wide,
                                   seqrt_error *error) {
  if (!tensor || (!out_narrow && !out_wide))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "converting an array: none given, or no place for it");
  return stored_piece_to_integers(tensor, 0, out_narrow, out_wide, error);
}

seqrt_code seqrt_stored_to_i32(const seqrt_stored_tensor *tensor, int32_t *out_values, seqrt_error *error) {
  return convert_integers(tensor, out_values, NULL, error);
}

seqrt_code seqrt_stored_to_i64(const seqrt_stored_tensor *tensor, int64_t *out_values, seqrt_error *error) {
  return convert_integers(tensor, NULL, out_values, error);
}
