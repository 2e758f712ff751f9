/* packed_bf16.c - parameters that are kept as bf16 once they are packed: the same bits as when the parameters themselves are rounded and
 * nothing is packed, or for few rows, which then take another way, nearly; and less memory than they take themselves.
 * Exits 0 when all agree.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model few_rows_model; /* --packed=bf16 */

enum { MOST_STEPS = 37, TERMS = 70, OUTPUTS = 4, MAXIMUM = 2, MOST_COLUMNS = 200, MANY_ROWS = 8 };

static seqrt_error error;

static _Noreturn void stop(const char *what) {
  fprintf(stderr, "packed_bf16: %s: %s\n", what, error.message);
  exit(1);
}

static void *allocate(int64_t bytes) {
  void *memory = aligned_alloc(SEQRT_ALIGNMENT, ((size_t)bytes + SEQRT_ALIGNMENT) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT);
  if (!memory) stop("out of memory");
  return memory;
}

/* To eight significant bits, of two alike the even one; in double precision, where nothing is lost. */
static float rounded(float value) {
  int exponent;
  double fraction = frexp((double)value, &exponent);
  return (float)ldexp(nearbyint(fraction * 256), exponent - 8);
}

/* Factors of products; what is added to them stays as it is. */
static bool is_factor(const char *name) { return strcmp(name, "w") == 0 || strcmp(name, "v") == 0 || strcmp(name, "r") == 0; }

static int64_t round_factors(seqrt_parameters *parameters) {
  int64_t count = 0;
  for (int32_t n = 0; n < parameters->model->parameter_count; n++) {
    const seqrt_parameter *parameter = &parameters->model->parameters[n];
    if (!is_factor(parameter->name)) continue;
    for (int64_t i = 0; i < parameter->elements; i++) parameters->slots[n][i] = rounded(parameters->slots[n][i]);
    count += parameter->elements;
  }
  return count;
}

static seqrt_parameters *make(void) {
  seqrt_parameters *parameters;
  if (seqrt_parameters_create(&few_rows_model, &parameters, &error) != SEQRT_OK || seqrt_parameters_initialise(parameters, 11, NULL, &error) != SEQRT_OK)
    stop("parameters");
  parameters->slots[0][3] = ldexpf(257, -9); /* just between two */
  parameters->slots[0][4] = ldexpf(259, -9);
  return parameters;
}

static void run(const seqrt_parameters *parameters, int64_t steps, const float *a, float *const *outputs) {
  const seqrt_model *model = parameters->model;
  const void *inputs[] = {a};
  void *targets[] = {outputs[0], outputs[1], outputs[2], outputs[3]};
  int64_t size = model->workspace_size(SEQRT_FORWARD, 1, &steps, 0, 1);
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION,
                     .batch = 1,
                     .lengths = &steps,
                     .parameters = (const float *const *)parameters->slots,
                     .inputs = inputs,
                     .outputs = targets,
                     .packed = parameters->packed,
                     .workspace = allocate(size)};
  if (model->entries[SEQRT_FORWARD](&call) != SEQRT_OK) stop("forward");
  free(call.workspace);
}

static void compare(const float *found, const float *expected, int64_t steps) {
  if (steps >= MANY_ROWS && memcmp(found, expected, MOST_STEPS * MOST_COLUMNS * sizeof *found) != 0) stop("not the bits of rounded parameters");
  for (int n = 0; n < MOST_STEPS * MOST_COLUMNS; n++)
    if (!(fabsf(found[n] - expected[n]) <= 1e-5f * fmaxf(1, fabsf(expected[n])))) stop("not what rounded parameters give");
}

int main(void) {
  static float a[MOST_STEPS * TERMS], with[OUTPUTS][MOST_STEPS * MOST_COLUMNS], without[OUTPUTS][MOST_STEPS * MOST_COLUMNS];
  float *packed_outputs[] = {with[0], with[1], with[2], with[3]}, *plain_outputs[] = {without[0], without[1], without[2], without[3]};
  for (int n = 0; n < MOST_STEPS * TERMS; n++) a[n] = sinf((float)(n * n % 1000));
  seqrt_parameters *packed = make(), *plain = make();
  int64_t factors = round_factors(plain);
  if (seqrt_parameters_pack(packed, NULL, &error) != SEQRT_OK) stop("pack");
  static const int64_t steps[] = {1, 2, MOST_STEPS};
  for (int k = 0; k < 3; k++) {
    run(packed, steps[k], a, packed_outputs);
    run(plain, steps[k], a, plain_outputs);
    for (int n = 0; n < OUTPUTS; n++)
      if (n != MAXIMUM) compare(with[n], without[n], steps[k]);
  }
  if (few_rows_model.packed_size >= factors * (int64_t)sizeof(float)) stop("the panels are too large");
  seqrt_parameters_destroy(packed);
  seqrt_parameters_destroy(plain);
  return 0;
}
