/* long_rows.c - a classification over long rows, which are taken a block at a time, against the same in double precision.
 *
 * Sizes that make one block and several, with blocks of steps or of sequences, also such that the last block begins before the one
 * before it ends. One, two and three threads give the same bits. The workspace does not grow with the scores.
 * Exits 0 when all that holds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model long_rows_model;

enum { V = 9001, D = 12, MOST_ROWS = 700, ENTRY_OBJECTIVE = 1, ENTRY_GRADIENT = 2 };

static float table[V * D], bias[V], d_table[V * D], d_bias[V], mask[MOST_ROWS], d_mask[MOST_ROWS];
static int32_t token[MOST_ROWS], target[MOST_ROWS];
static double e_table[V * D], e_bias[V], e_mask[MOST_ROWS], e_loss;

static double draw(void) {
  static uint32_t state = 7;
  state = state * 1664525u + 1013904223u;
  return (double)(state >> 8) / (1 << 24);
}

static _Noreturn void stop(const char *what, int64_t batch, int64_t steps) {
  printf("batch %d, T %d: %s\n", (int)batch, (int)steps, what);
  exit(1);
}

/* One row with its share of the objective; returns its loss. */
static double expect_row(int64_t row, double share) {
  static double scores[V], slope[V];
  double y[D], dy[D] = {0}, top = -1e300, sum = 0, mean = 0;
  for (int d = 0; d < D; d++) y[d] = tanh((double)table[token[row] * D + d]);
  for (int v = 0; v < V; v++) {
    double raw = (double)bias[v];
    for (int d = 0; d < D; d++) raw += (double)table[v * D + d] * y[d];
    double bounded = tanh(raw / 5);
    scores[v] = 5 * bounded;
    slope[v] = 1 - bounded * bounded;
    top = fmax(top, scores[v]);
    mean += scores[v] / V;
  }
  for (int v = 0; v < V; v++) sum += exp(scores[v] - top);
  for (int v = 0; v < V; v++) {
    double d_raw = share * slope[v] * (exp(scores[v] - top) / sum - 0.1 / V - (v == target[row] ? 0.9 : 0));
    e_bias[v] += d_raw;
    for (int d = 0; d < D; d++) e_table[v * D + d] += d_raw * y[d], dy[d] += d_raw * (double)table[v * D + d];
  }
  for (int d = 0; d < D; d++) e_table[token[row] * D + d] += dy[d] * (1 - y[d] * y[d]);
  return top + log(sum) - 0.9 * scores[target[row]] - 0.1 * mean;
}

static void expect(int64_t batch, int64_t steps) {
  memset(e_table, 0, sizeof e_table);
  memset(e_bias, 0, sizeof e_bias);
  e_loss = 0;
  for (int64_t b = 0; b < batch; b++) {
    double weights = 0, loss = 0;
    for (int64_t t = 0; t < steps; t++) weights += (double)mask[b * steps + t];
    for (int64_t t = 0; t < steps; t++) {
      double share = (double)mask[b * steps + t] / weights / (double)batch;
      e_mask[b * steps + t] = expect_row(b * steps + t, share);
      loss += e_mask[b * steps + t] * (double)mask[b * steps + t] / weights;
    }
    for (int64_t t = 0; t < steps; t++) e_mask[b * steps + t] = (e_mask[b * steps + t] - loss) / weights / (double)batch;
    e_loss += loss / (double)batch;
  }
}

static void compare(const char *name, const float *values, const double *expected, int64_t count, int64_t batch, int64_t steps) {
  double largest = 0, error = 0;
  for (int64_t n = 0; n < count; n++) {
    double difference = fabs((double)values[n] - expected[n]);
    largest = fmax(largest, fabs(expected[n]));
    if (!(difference <= error)) error = difference;
  }
  if (!(error <= 2e-5 * largest)) stop(name, batch, steps);
}

static float run(int entry, int64_t batch, int64_t steps, int threads) {
  seqrt_context *context;
  seqrt_error error;
  if (seqrt_context_create(threads, &context, &error) != SEQRT_OK) stop(error.message, batch, steps);
  const float *parameters[] = {table, bias};
  float *gradients[] = {d_table, d_bias}, *input_gradients[] = {NULL, NULL, d_mask}, objective = NAN;
  const void *inputs[] = {token, target, mask};
  int64_t size = long_rows_model.workspace_size(entry, batch, &steps, 0, threads);
  void *workspace = aligned_alloc(SEQRT_ALIGNMENT, ((size_t)size / SEQRT_ALIGNMENT + 1) * SEQRT_ALIGNMENT);
  if (!workspace) stop("no memory", batch, steps);
  memset(workspace, 0x7f, (size_t)size);
  memset(d_table, 0x7f, sizeof d_table);
  memset(d_bias, 0x7f, sizeof d_bias);
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION, .context = context, .batch = batch, .lengths = &steps, .parameters = parameters,
                     .inputs = inputs, .objective = &objective, .workspace = workspace};
  if (entry == ENTRY_GRADIENT) call.parameter_gradients = gradients, call.input_gradients = input_gradients;
  if (long_rows_model.entries[entry](&call) != SEQRT_OK) stop("the call fails", batch, steps);
  free(workspace);
  seqrt_context_destroy(context);
  return objective;
}

static void test(int64_t batch, int64_t steps) {
  for (int64_t n = 0; n < batch * steps; n++) {
    token[n] = (int32_t)(draw() * V);
    target[n] = (int32_t)(draw() * V);
    mask[n] = n % steps == 0 ? 1 : draw() < 0.3 ? 0 : (float)draw();
  }
  expect(batch, steps);
  static float first_table[V * D], first_bias[V], first_mask[MOST_ROWS];
  float loss = run(ENTRY_GRADIENT, batch, steps, 1), evaluated = run(ENTRY_OBJECTIVE, batch, steps, 2);
  run(ENTRY_GRADIENT, batch, steps, 1);
  memcpy(first_table, d_table, sizeof d_table);
  memcpy(first_bias, d_bias, sizeof d_bias);
  memcpy(first_mask, d_mask, sizeof d_mask);
  compare("objective of the gradient", &loss, &e_loss, 1, batch, steps);
  compare("objective", &evaluated, &e_loss, 1, batch, steps);
  compare("gradient of table", d_table, e_table, V * D, batch, steps);
  compare("gradient of bias", d_bias, e_bias, V, batch, steps);
  compare("gradient of mask", d_mask, e_mask, batch * steps, batch, steps);
  for (int threads = 2; threads <= 3; threads++) {
    float again = run(ENTRY_GRADIENT, batch, steps, threads);
    if (again != loss || memcmp(first_table, d_table, sizeof d_table) || memcmp(first_bias, d_bias, sizeof d_bias) ||
        memcmp(first_mask, d_mask, (size_t)(batch * steps) * sizeof *d_mask))
      stop("other bits with more threads", batch, steps);
  }
}

int main(void) {
  for (int n = 0; n < V * D; n++) table[n] = (float)(draw() - 0.5);
  for (int n = 0; n < V; n++) bias[n] = (float)(draw() - 0.5);
  static const int64_t sizes[][2] = {{2, 5}, {1, 601}, {3, 130}, {37, 9}, {1, 1}};
  for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) test(sizes[n][0], sizes[n][1]);
  for (int entry = ENTRY_OBJECTIVE; entry <= ENTRY_GRADIENT; entry++) {
    int64_t few = 2048, many = 4096, scores = 2048 * V * 4;
    int64_t more = long_rows_model.workspace_size(entry, 1, &many, 0, 2) - long_rows_model.workspace_size(entry, 1, &few, 0, 2);
    if (more > scores / 50) stop("the workspace grows with the scores", 1, many);
  }
  return 0;
}
