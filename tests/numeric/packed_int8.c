/* packed_int8.c - parameters that are kept in 8 bits once they are packed, against sums in double precision over parameters that are rounded
 * here: for few rows and for many, in one pass and in several, in turns, after they were changed and packed again, and with values that are
 * not finite. Exits 0 when all agree.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model scaled_terms_model; /* --packed=int8 */

enum { TERMS = 1130, N = 133, M = 24, O = 40, P = 2, MOST_STEPS = 45, GROUP = 32, STEPS = 127, TURNS = 2 };

static seqrt_error error;

static _Noreturn void stop(const char *what) {
  fprintf(stderr, "packed_int8: %s: %s\n", what, error.message);
  exit(1);
}

static void *allocate(int64_t bytes) {
  void *memory = aligned_alloc(SEQRT_ALIGNMENT, ((size_t)bytes + SEQRT_ALIGNMENT) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT);
  if (!memory) stop("out of memory");
  return memory;
}

static float *slot(seqrt_parameters *parameters, const char *name) {
  for (int32_t n = 0; n < parameters->model->parameter_count; n++)
    if (strcmp(parameters->model->parameters[n].name, name) == 0) return parameters->slots[parameters->model->parameters[n].first_slot];
  stop(name);
}

static float *turn_slot(seqrt_parameters *parameters, int turn) {
  for (int32_t n = 0; n < parameters->model->parameter_count; n++)
    if (parameters->model->parameters[n].turns == TURNS) return parameters->slots[parameters->model->parameters[n].first_slot + turn];
  stop("no parameter in turns");
}

/* A column of a factor: its terms lie `stride` apart. */
typedef struct Column {
  float *first;
  int terms, stride;
} Column;

/* To eight significant bits, of two alike the even one. */
static float to_bf16(float value) {
  int exponent;
  double fraction = frexp((double)value, &exponent);
  return (float)ldexp(nearbyint(fraction * 256), exponent - 8);
}

/* Rounds the column as its format says, and finds out that no value moves by more than the format allows. */
static void round_column(Column column) {
  for (int low = 0; low < column.terms; low += GROUP) {
    int high = low + GROUP < column.terms ? low + GROUP : column.terms;
    float largest = 0;
    for (int k = low; k < high; k++) largest = fmaxf(largest, fabsf(column.first[k * column.stride]));
    float scale = to_bf16(largest / STEPS);
    for (int k = low; k < high; k++) {
      float *value = &column.first[k * column.stride], rounded = (float)nearbyint(scale ? *value / scale : 0) * scale;
      if (!(fabsf(rounded - *value) <= 0.5f * scale * 1.0001f)) stop("rounding moves a value by more than half a scale");
      *value = rounded;
    }
  }
}

static void round_all(seqrt_parameters *parameters) {
  for (int n = 0; n < N; n++) round_column((Column){slot(parameters, "w") + n, TERMS, N});
  for (int m = 0; m < M; m++) round_column((Column){slot(parameters, "v") + m, P * TERMS, M});
  for (int o = 0; o < O; o++) round_column((Column){slot(parameters, "r") + o * TERMS, TERMS, 1});
  for (int turn = 0; turn < TURNS; turn++)
    for (int o = 0; o < O; o++) round_column((Column){turn_slot(parameters, turn) + o * O, O, 1});
}

typedef struct Outputs {
  float c[MOST_STEPS][N], d[MOST_STEPS][M], f[MOST_STEPS][O], h[MOST_STEPS][O];
} Outputs;

static float a[MOST_STEPS][TERMS];

static void run(const seqrt_parameters *parameters, int64_t steps, Outputs *outputs) {
  const seqrt_model *model = parameters->model;
  const void *inputs[] = {a};
  void *targets[] = {outputs->c, outputs->d, outputs->f, outputs->h};
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION,
                     .batch = 1,
                     .lengths = &steps,
                     .parameters = (const float *const *)parameters->slots,
                     .inputs = inputs,
                     .outputs = targets,
                     .packed = parameters->packed,
                     .workspace = allocate(model->workspace_size(SEQRT_FORWARD, 1, &steps, 0, 1))};
  if (model->entries[SEQRT_FORWARD](&call) != SEQRT_OK) stop("forward");
  free(call.workspace);
}

static double largest_error; /* in parts of what is allowed */

/* What rounding the terms that share a scale to 16 bits may change of each of them: half of the 32767th part of the largest. */
static double row_error(const float *x, int period, int k, int terms) {
  int low = k / GROUP * GROUP, high = low + GROUP < terms ? low + GROUP : terms;
  float largest = 0;
  for (int n = low; n < high; n++) largest = fmaxf(largest, fabsf(x[n % period]));
  return 0.501 * (double)largest / 32767;
}

/* The sum over `terms` of x * column, beside `found`. Sums of float32 lose a few ulps of the magnitudes that they add; processors that multiply whole
 * numbers round x too. */
static void compare(double start, const float *x, int period, Column column, float found, const char *what) {
  double sum = start, allowed = 1e-6 * fabs(start), error_of_x = 0;
  for (int k = 0; k < column.terms; k++) {
    double factor = (double)column.first[k * column.stride], product = (double)x[k % period] * factor;
    if (k % GROUP == 0) error_of_x = row_error(x, period, k, column.terms);
    sum += product;
    allowed += 1e-6 * fabs(product) + error_of_x * fabs(factor);
  }
  double part = fabs(found - sum) / allowed;
  largest_error = fmax(largest_error, part);
  if (!(part <= 1)) {
    snprintf(error.message, sizeof error.message, "expected %.9g, found %.9g, allowed is %.2g", sum, (double)found, allowed);
    stop(what);
  }
}

/* `rounded` has what the packed parameters are rounded to. */
static void compare_all(seqrt_parameters *rounded, int64_t steps, const Outputs *found) {
  for (int t = 0; t < steps; t++) {
    for (int n = 0; n < N; n++) compare((double)slot(rounded, "bias")[n], a[t], TERMS, (Column){slot(rounded, "w") + n, TERMS, N}, found->c[t][n], "c");
    for (int m = 0; m < M; m++) compare(0, a[t], TERMS, (Column){slot(rounded, "v") + m, P * TERMS, M}, found->d[t][m], "d");
    for (int o = 0; o < O; o++) compare(0, a[t], TERMS, (Column){slot(rounded, "r") + o * TERMS, TERMS, 1}, found->f[t][o], "f");
    float x[O];
    for (int o = 0; o < O; o++) { /* the first turn in double precision, the last one beside what was found */
      double sum = (double)found->f[t][o];
      for (int i = 0; i < O; i++) sum += (double)turn_slot(rounded, 0)[o * O + i] * (double)found->f[t][i];
      x[o] = (float)sum;
    }
    for (int o = 0; o < O; o++) compare((double)x[o], x, O, (Column){turn_slot(rounded, 1) + o * O, O, 1}, found->h[t][o], "h");
  }
}

static seqrt_parameters *make(void) {
  seqrt_parameters *parameters;
  if (seqrt_parameters_create(&scaled_terms_model, &parameters, &error) != SEQRT_OK || seqrt_parameters_initialise(parameters, 11, NULL, &error) != SEQRT_OK)
    stop("parameters");
  float *w = slot(parameters, "w");
  for (int k = 0; k < GROUP; k++) w[k * N] = 0;                                        /* a scale of zero */
  for (int k = 0; k < GROUP; k++) w[k * N + 1] = ldexpf(k == 5 ? 127 : (float)k - 0.5f, -140); /* a scale that is subnormal */
  for (int k = 0; k < GROUP; k++) w[k * N + 2] *= ldexpf(1, 90);
  return parameters;
}

static void pack(seqrt_parameters *parameters) {
  if (seqrt_parameters_pack(parameters, NULL, &error) != SEQRT_OK) stop("pack");
}

static void check_steps(seqrt_parameters *packed, seqrt_parameters *rounded) {
  static Outputs found;
  static const int64_t steps[] = {1, 2, 3, 7, 33, MOST_STEPS};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
    run(packed, steps[k], &found);
    compare_all(rounded, steps[k], &found);
  }
}

/* One value that is not finite: no sum that has it is, and all others are as they were. */
static void check_not_finite(seqrt_parameters *packed, seqrt_parameters *rounded, float value) {
  static Outputs found;
  float *place = slot(packed, "w") + 700 * N + 60, kept = *place;
  *place = value;
  pack(packed);
  for (int64_t steps = 1; steps <= MOST_STEPS; steps += MOST_STEPS - 1) {
    run(packed, steps, &found);
    for (int t = 0; t < steps; t++) {
      if (isfinite(found.c[t][60])) stop("a sum with what is not finite is finite");
      compare((double)slot(rounded, "bias")[61], a[t], TERMS, (Column){slot(rounded, "w") + 61, TERMS, N}, found.c[t][61], "beside what is not finite");
    }
  }
  *place = kept;
  pack(packed);
}

int main(void) {
  for (int t = 0; t < MOST_STEPS; t++)
    for (int k = 0; k < TERMS; k++) a[t][k] = sinf((float)((t * TERMS + k) * (k + 3) % 1000));
  seqrt_parameters *packed = make(), *rounded = make();
  static Outputs plain, found;
  run(packed, MOST_STEPS, &plain);
  pack(packed);
  round_all(rounded);
  check_steps(packed, rounded);
  check_not_finite(packed, rounded, INFINITY);
  check_not_finite(packed, rounded, NAN);
  slot(packed, "r")[TERMS + 7] = slot(rounded, "r")[TERMS + 7] = 5; /* the largest of its terms: all of them are rounded anew */
  for (int k = 0; k < GROUP; k++) slot(rounded, "r")[TERMS + k] = slot(packed, "r")[TERMS + k];
  round_column((Column){slot(rounded, "r") + TERMS, TERMS, 1});
  pack(packed);
  check_steps(packed, rounded);
  slot(packed, "r")[TERMS + 7] = slot(rounded, "r")[TERMS + 7] = 0;
  seqrt_parameters_unpack(packed);
  run(packed, MOST_STEPS, &found);
  if (memcmp(found.c, plain.c, sizeof found.c) != 0) stop("without packing something is rounded");
  int64_t count = TERMS * (N + P * M + O) + TURNS * O * O;
  if (scaled_terms_model.packed_size > count * 17 / 16 * 3 / 2) stop("the panels are too large");
  printf("largest error %.2f of what is allowed; %lld bytes for %lld parameters\n", largest_error, (long long)scaled_terms_model.packed_size, (long long)count);
  seqrt_parameters_destroy(packed);
  seqrt_parameters_destroy(rounded);
  return 0;
}
