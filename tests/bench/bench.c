/* bench.c - training speed of a model of characters, beside what the machine can do at all.
 *
 *     bench [STEPS]
 *
 * One line for each number of threads: characters per second, multiply-adds per second of forward, backward and optimizer together, and
 * what share of the peak (peak.c, measured in the same run) that is. Every matrix but the embedding, whose rows are only looked up, is multiplied
 * once per character forward and twice backward.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_model.h"
#include "peak.h"
#include "seqrt/seqrt.h"

enum { BATCH = 64, LENGTH = 64, WARM_UP = 3 };

typedef struct Bench {
  const seqrt_model *model;
  const char *token_input, *target_input;
  int32_t *tokens;
  int64_t token_count;
  double multiply_adds; /* per character, forward and backward */
} Bench;

static void require(seqrt_code code, const seqrt_error *error) {
  if (code == SEQRT_OK) return;
  fprintf(stderr, "bench: %s\n", error->message);
  exit(1);
}

static double count_multiply_adds(const seqrt_model *model) {
  double forward = 0;
  for (int p = 0; p < model->parameter_count; p++) {
    const seqrt_parameter *parameter = &model->parameters[p];
    if (parameter->rank < 2 || strstr(parameter->name, "embedding")) continue;
    forward += (double)parameter->elements * (parameter->turns ? parameter->turns : 1);
  }
  return 3 * forward;
}

static Bench bench_create(const seqrt_model *model) {
  Bench bench = {.model = model, .token_count = BATCH * LENGTH * 8 + 1, .multiply_adds = count_multiply_adds(model)};
  int64_t vocabulary = 2;
  for (int i = 0; i < model->input_count; i++) {
    if (model->inputs[i].is_for_objective) bench.target_input = model->inputs[i].name;
    else bench.token_input = model->inputs[i].name;
    if (model->inputs[i].has_range) vocabulary = model->inputs[i].high;
  }
  bench.tokens = calloc((size_t)bench.token_count, sizeof *bench.tokens);
  if (!bench.tokens) exit(4);
  seqrt_random random = {.seed = 1};
  for (int64_t n = 0; n < bench.token_count; n++)
    bench.tokens[n] = (int32_t)(seqrt_random_uniform(&random) * (double)vocabulary);
  return bench;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Seconds of one step, the median of all. */
static double measure_step(const Bench *bench, int threads, int steps) {
  seqrt_error error;
  seqrt_context *context;
  seqrt_trainer *trainer;
  require(seqrt_context_create(threads, &context, &error), &error);
  seqrt_trainer_options options = {.length = LENGTH,
                                   .token_input = bench->token_input,
                                   .target_input = bench->target_input,
                                   .optimizer = seqrt_adamw_defaults(),
                                   .schedule = {.learning_rate = 1e-3},
                                   .seed = 1};
  require(seqrt_streams_cut(bench->tokens, bench->token_count, BATCH, &options.data, &error), &error);
  require(seqrt_trainer_create(bench->model, context, &options, &trainer, &error), &error);
  double *seconds = calloc((size_t)steps, sizeof *seconds);
  if (!seconds) exit(4);
  for (int step = -WARM_UP; step < steps; step++) {
    seqrt_step_report report;
    double start = seconds_now();
    require(seqrt_trainer_step(trainer, &report, &error), &error);
    if (step >= 0) seconds[step] = seconds_now() - start;
  }
  qsort(seconds, (size_t)steps, sizeof *seconds, compare_doubles);
  double median = seconds[steps / 2];
  free(seconds);
  seqrt_trainer_destroy(trainer);
  seqrt_context_destroy(context);
  return median;
}

int main(int argument_count, char **arguments) {
  int steps = argument_count > 1 ? atoi(arguments[1]) : 20;
  if (steps < 1) {
    fprintf(stderr, "usage: bench [STEPS]\n");
    return 2;
  }
  Bench bench = bench_create(&BENCH_MODEL);
  printf("%s for %s: batch %d, T %d, %.3f million multiply-adds per character\n", bench.model->name, bench.model->target, BATCH,
         LENGTH, bench.multiply_adds * 1e-6);
  printf("%8s %14s %14s %14s %10s\n", "threads", "characters/s", "10^9 madd/s", "peak", "share");
  for (int threads = 1; threads <= 2; threads++) {
    double peak = peak_multiply_adds(threads);
    double characters = BATCH * LENGTH / measure_step(&bench, threads, steps);
    double rate = characters * bench.multiply_adds;
    printf("%8d %14.0f %14.1f %14.1f %9.1f%%\n", threads, characters, rate * 1e-9, peak * 1e-9, 100 * rate / peak);
  }
  free(bench.tokens);
  return 0;
}
