/* training_follows_reference.c - the training loop against a PyTorch run in float64, step by step.
 *
 * Usage: training_follows_reference training_char_lstm.safetensors. Linked with a model whose symbol is char_lm_model,
 * compiled at the sizes of the file. For AdamW and SGD: every loss (2e-5), gradient norm (3e-4) and learning rate, then
 * the final parameters (1e-4 of their largest element) and states. Prints the largest error of each kind; exits 0 when
 * all hold.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model char_lm_model;

enum { ROWS = 4, LENGTH = 11, STEPS = 40, WARMUP = 10, TOKENS = STEPS * LENGTH + 1 };

static const double LOSS_TOLERANCE = 2e-5, NORM_TOLERANCE = 3e-4, RATE_TOLERANCE = 1e-12, PARAMETER_TOLERANCE = 1e-4,
                    STATE_TOLERANCE = 1e-4;

typedef struct Run {
  const char *name; /* prefix of the file's tensors */
  double learning_rate;
  seqrt_optimizer_options optimizer;
} Run;

static _Noreturn void stop(const seqrt_error *error) {
  fprintf(stderr, "training_follows_reference: %s\n", error->message);
  exit(2);
}

static const seqrt_stored_tensor *find(const seqrt_safetensors *file, const char *prefix, const char *name) {
  seqrt_error error;
  char full[200];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  const seqrt_stored_tensor *tensor = seqrt_safetensors_find(file, full);
  if (tensor) return tensor;
  snprintf(error.message, sizeof error.message, "the file has no '%s'", full);
  stop(&error);
}

/* The reference values, which the caller frees. */
static double *read_doubles(const seqrt_safetensors *file, const char *prefix, const char *name, int64_t expected) {
  const seqrt_stored_tensor *tensor = find(file, prefix, name);
  seqrt_error error;
  double *values = malloc((size_t)(tensor->elements + 1) * sizeof *values);
  if (tensor->elements == expected && values && seqrt_stored_to_f64(tensor, values, &error) == SEQRT_OK) return values;
  snprintf(error.message, sizeof error.message, "'%s%s' has another size than the run", prefix, name);
  stop(&error);
}

static bool verdict(const char *run, const char *what, double error, double tolerance) {
  bool is_good = error <= tolerance; /* false for NaN */
  printf("%-6s %-40s %9.2e %9.2e %s\n", run, what, error, tolerance, is_good ? "ok" : "BAD");
  return is_good;
}

/* max|x - reference| / max|reference| */
static double relative_error(const float *values, const double *reference, int64_t count) {
  double largest = 1e-6, worst = 0;
  for (int64_t n = 0; n < count; n++) {
    double difference = fabs((double)values[n] - reference[n]);
    if (!(difference <= worst)) worst = difference;
    largest = fmax(largest, fabs(reference[n]));
  }
  return worst / largest;
}

static bool follow_steps(seqrt_trainer *trainer, const seqrt_safetensors *file, const Run *run) {
  seqrt_error error;
  double *loss = read_doubles(file, run->name, ".loss", STEPS), *norm = read_doubles(file, run->name, ".gradient_norm", STEPS);
  double *rate = read_doubles(file, run->name, ".learning_rate", STEPS);
  double loss_error = 0, norm_error = 0, rate_error = 0;
  for (int step = 0; step < STEPS; step++) {
    seqrt_step_report report;
    if (seqrt_trainer_step(trainer, &report, &error) != SEQRT_OK) stop(&error);
    loss_error = fmax(loss_error, isnan(report.loss) ? INFINITY : fabs(report.loss - loss[step]) / loss[step]);
    norm_error = fmax(norm_error, fabs(report.gradient_norm - norm[step]) / norm[step]);
    rate_error = fmax(rate_error, fabs(report.learning_rate - rate[step]) / run->learning_rate);
  }
  free(loss);
  free(norm);
  free(rate);
  bool is_good = verdict(run->name, "loss", loss_error, LOSS_TOLERANCE);
  is_good &= verdict(run->name, "gradient_norm", norm_error, NORM_TOLERANCE);
  return verdict(run->name, "learning_rate", rate_error, RATE_TOLERANCE) && is_good;
}

static bool check_parameters(const seqrt_trainer *trainer, const seqrt_safetensors *file, const Run *run) {
  bool is_good = true;
  char prefix[40], name[200];
  snprintf(prefix, sizeof prefix, "%s.final.", run->name);
  for (int32_t slot = 0; slot < char_lm_model.parameter_slots; slot++) {
    int64_t elements = seqrt_slot_parameter(&char_lm_model, slot)->elements;
    seqrt_slot_name(&char_lm_model, slot, name, sizeof name);
    double *reference = read_doubles(file, prefix, name, elements);
    is_good &= verdict(run->name, name, relative_error(trainer->parameters->slots[slot], reference, elements),
                       PARAMETER_TOLERANCE);
    free(reference);
  }
  return is_good;
}

static bool check_states(const seqrt_trainer *trainer, const seqrt_safetensors *file, const Run *run) {
  bool is_good = true;
  char prefix[40];
  snprintf(prefix, sizeof prefix, "%s.state.", run->name);
  for (int32_t i = 0; i < char_lm_model.state_count; i++) {
    const char *name = char_lm_model.states[i].name;
    const seqrt_stored_tensor *tensor = find(file, prefix, name);
    double *reference = read_doubles(file, prefix, name, tensor->elements);
    float *values = malloc((size_t)tensor->elements * sizeof *values);
    seqrt_error error = {.message = "no memory"};
    if (!values || seqrt_session_get_state(trainer->session, i, values, &error) != SEQRT_OK) stop(&error);
    is_good &= verdict(run->name, name, relative_error(values, reference, tensor->elements), STATE_TOLERANCE);
    free(values);
    free(reference);
  }
  return is_good;
}

static bool follow(const seqrt_safetensors *file, const seqrt_context *context, const int32_t *tokens, const Run *run) {
  seqrt_error error;
  seqrt_trainer_options options = {.data = {tokens, ROWS, TOKENS, TOKENS - 1},
                                   .length = LENGTH,
                                   .token_input = "token",
                                   .target_input = "target",
                                   .optimizer = run->optimizer,
                                   .schedule = {run->learning_rate, WARMUP, STEPS}};
  seqrt_trainer *trainer;
  if (seqrt_trainer_create(&char_lm_model, context, &options, &trainer, &error) != SEQRT_OK) stop(&error);
  if (seqrt_parameters_load(trainer->parameters, file, "param.", 0, &error) != SEQRT_OK) stop(&error);
  bool is_good = follow_steps(trainer, file, run);
  is_good &= check_parameters(trainer, file, run);
  is_good &= check_states(trainer, file, run);
  seqrt_trainer_destroy(trainer);
  return is_good;
}

int main(int argc, char **argv) {
  static const Run runs[] = {
      {"adamw",
       0.01,
       {.kind = SEQRT_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.05, .clip_norm = 0.35}},
      {"sgd", 0.5, {.kind = SEQRT_SGD, .momentum = 0.9, .weight_decay = 0.001, .clip_norm = 0.15}},
  };
  if (argc != 2) {
    fprintf(stderr, "usage: training_follows_reference training_char_lstm.safetensors\n");
    return 2;
  }
  seqrt_error error;
  seqrt_safetensors *file;
  seqrt_context *context;
  if (seqrt_safetensors_open(argv[1], &file, &error) != SEQRT_OK || seqrt_context_create(0, &context, &error) != SEQRT_OK)
    stop(&error);
  int32_t tokens[ROWS * TOKENS];
  const seqrt_stored_tensor *stored = find(file, "input.", "tokens");
  if (stored->elements != ROWS * TOKENS || seqrt_stored_to_i32(stored, tokens, &error) != SEQRT_OK) {
    fprintf(stderr, "training_follows_reference: 'input.tokens' is not what the run needs\n");
    return 2;
  }
  bool is_good = true;
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) is_good &= follow(file, context, tokens, &runs[i]);
  seqrt_context_destroy(context);
  seqrt_safetensors_close(file);
  return is_good ? 0 : 1;
}
