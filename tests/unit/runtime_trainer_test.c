/* runtime_trainer_test.c - optimizers against plain loops in double, the training loop, evaluation, checkpoint and resume. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "demo_model.h"
#include "seqrt/random.h"
#include "seqrt/session.h"
#include "seqrt/threads.h"
#include "seqrt/trainer.h"

enum { V = DEMO_VOCABULARY, COUNT = 2000, ROWS = 3, LENGTH = 8 };

/* ---- optimizers ---- */

/* One parameter, its moments and gradient, in double: torch.optim as its documentation states it. */
typedef struct Scalar {
  double p, m, v;
} Scalar;

static void scalar_step(Scalar *scalar, double g, const seqrt_optimizer_options *options, bool decays, int number, double rate) {
  double decay = decays ? options->weight_decay : 0;
  if (options->kind == SEQRT_SGD) {
    scalar->m = options->momentum * scalar->m + (g + decay * scalar->p);
    scalar->p -= rate * scalar->m;
    return;
  }
  scalar->p -= rate * decay * scalar->p;
  scalar->m = options->beta1 * scalar->m + (1 - options->beta1) * g;
  scalar->v = options->beta2 * scalar->v + (1 - options->beta2) * g * g;
  double denominator = sqrt(scalar->v) / sqrt(1 - pow(options->beta2, number)) + options->epsilon;
  scalar->p -= rate / (1 - pow(options->beta1, number)) * scalar->m / denominator;
}

static void follow_scalars(seqrt_optimizer_options options) {
  seqrt_parameters *parameters, *gradients;
  seqrt_optimizer *optimizer;
  assert_int_equal(seqrt_parameters_create(&demo_model, &parameters, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_initialise(parameters, 3, NULL, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_create(&demo_model, &gradients, NULL), SEQRT_OK);
  assert_int_equal(seqrt_optimizer_create(parameters, &options, &optimizer, NULL), SEQRT_OK);
  Scalar *scalars = calloc((size_t)parameters->arena_elements, sizeof *scalars);
  for (int64_t n = 0; n < parameters->arena_elements; n++) scalars[n].p = (double)parameters->arena[n];
  for (int number = 1; number <= 30; number++) {
    double square = 0, norm, rate = 0.1 / number;
    for (int32_t slot = 0; slot < demo_model.parameter_slots; slot++)
      seqrt_random_fill_normal((uint64_t)number, (uint64_t)slot, 0.1, 1, 0, seqrt_slot_parameter(&demo_model, slot)->elements,
                               gradients->slots[slot]);
    for (int64_t n = 0; n < gradients->arena_elements; n++) square += (double)gradients->arena[n] * (double)gradients->arena[n];
    double clip = options.clip_norm > 0 ? fmin(1, options.clip_norm / (sqrt(square) + 1e-6)) : 1;
    for (int32_t slot = 0; slot < demo_model.parameter_slots; slot++) {
      const seqrt_parameter *parameter = seqrt_slot_parameter(&demo_model, slot);
      bool decays = options.decays ? options.decays[slot] : parameter->rank >= 2;
      int64_t first = parameters->slots[slot] - parameters->arena;
      for (int64_t n = first; n < first + parameter->elements; n++)
        scalar_step(&scalars[n], (double)gradients->arena[n] * clip, &options, decays, number, rate);
    }
    assert_int_equal(seqrt_optimizer_step(optimizer, gradients, rate, NULL, &norm, NULL), SEQRT_OK);
    assert_true(fabs(norm - sqrt(square)) < 1e-10 * norm);
  }
  for (int64_t n = 0; n < parameters->arena_elements; n++) assert_true(fabs((double)parameters->arena[n] - scalars[n].p) < 3e-6);
  free(scalars);
  seqrt_optimizer_destroy(optimizer);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(gradients);
}

static void optimizers_follow_double(void **state) {
  (void)state;
  seqrt_optimizer_options adamw = seqrt_adamw_defaults(), sgd = seqrt_sgd_defaults();
  const uint8_t decays[] = {0, 1, 0, 1, 1};
  adamw.weight_decay = sgd.weight_decay = 0.1;
  follow_scalars(adamw);
  follow_scalars(sgd);
  adamw.clip_norm = sgd.clip_norm = 0;
  adamw.decays = sgd.decays = decays;
  follow_scalars(adamw);
  follow_scalars(sgd);
}

static void optimizer_refuses(void **state) {
  (void)state;
  seqrt_parameters *parameters, *gradients;
  seqrt_optimizer *optimizer;
  seqrt_error error;
  assert_int_equal(seqrt_parameters_create(&demo_model, &parameters, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_create(&demo_model, &gradients, NULL), SEQRT_OK);
  seqrt_optimizer_options options = seqrt_adamw_defaults();
  options.beta2 = 1;
  assert_int_equal(seqrt_optimizer_create(parameters, &options, &optimizer, &error), SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "optimizer: beta2 is 1, expected 0 <= beta2 < 1");
  options = seqrt_adamw_defaults();
  assert_int_equal(seqrt_optimizer_create(parameters, &options, &optimizer, &error), SEQRT_OK);
  gradients->slots[1][2] = NAN;
  assert_int_equal(seqrt_optimizer_step(optimizer, gradients, 1, NULL, NULL, &error), SEQRT_OUT_OF_RANGE);
  assert_true(parameters->slots[1][2] == 0 && optimizer->steps == 0);
  seqrt_optimizer_destroy(optimizer);
  options.clip_norm = 0;
  assert_int_equal(seqrt_optimizer_create(parameters, &options, &optimizer, &error), SEQRT_OK);
  assert_int_equal(seqrt_optimizer_step(optimizer, gradients, 1, NULL, NULL, &error), SEQRT_OUT_OF_RANGE);
  seqrt_optimizer_destroy(optimizer);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(gradients);
}

/* ---- the loop ---- */

/* A text with structure: each token mostly decides the next. */
static const int32_t *make_tokens(void) {
  static int32_t tokens[COUNT];
  seqrt_random random = {.seed = 11};
  for (int n = 1; n < COUNT; n++)
    tokens[n] = seqrt_random_uniform(&random) < 0.8 ? (tokens[n - 1] * 3 + 1) % V : (int32_t)(seqrt_random_uniform(&random) * V);
  return tokens;
}

static seqrt_trainer_options make_options(void) {
  seqrt_trainer_options options = {.length = LENGTH,
                                   .token_input = "token",
                                   .target_input = "target",
                                   .optimizer = seqrt_adamw_defaults(),
                                   .schedule = {0.03, 10, 150},
                                   .seed = 5};
  assert_int_equal(seqrt_streams_cut(make_tokens(), COUNT, ROWS, &options.data, NULL), SEQRT_OK);
  return options;
}

static seqrt_trainer *make_trainer(const seqrt_trainer_options *options, const seqrt_context *context) {
  seqrt_trainer *trainer;
  assert_int_equal(seqrt_trainer_create(&demo_model, context, options, &trainer, NULL), SEQRT_OK);
  return trainer;
}

static void assert_same(const seqrt_trainer *a, const seqrt_trainer *b) {
  int64_t bytes, other_bytes;
  assert_int_equal(a->step, b->step);
  assert_int_equal(a->position, b->position);
  assert_memory_equal(a->parameters->arena, b->parameters->arena, (size_t)a->parameters->arena_elements * sizeof(float));
  assert_memory_equal(a->optimizer->first->arena, b->optimizer->first->arena,
                      (size_t)a->parameters->arena_elements * sizeof(float));
  const void *state = seqrt_session_state(a->session, &bytes), *other = seqrt_session_state(b->session, &other_bytes);
  assert_int_equal(bytes, other_bytes);
  assert_memory_equal(state, other, (size_t)bytes);
}

static int count_calls(void *argument, const seqrt_step_report *report) {
  int *calls = argument;
  ++*calls;
  return report->step == 100;
}

static void training_learns(void **state) {
  (void)state;
  seqrt_trainer_options options = make_options();
  seqrt_trainer *trainer = make_trainer(&options, NULL);
  double before, after;
  int calls = 0;
  seqrt_error error;
  assert_int_equal(seqrt_trainer_evaluate(trainer, &options.data, &before, NULL), SEQRT_OK);
  assert_int_equal(seqrt_trainer_run(trainer, count_calls, &calls, &error), SEQRT_CANCELLED);
  assert_string_equal(error.message, "training stopped after step 100");
  assert_int_equal(calls, 100);
  assert_int_equal(seqrt_trainer_run(trainer, NULL, NULL, &error), SEQRT_OK);
  assert_int_equal(trainer->step, 150);
  assert_int_equal(trainer->position, 150 % (options.data.length / LENGTH) * LENGTH);
  assert_int_equal(seqrt_trainer_evaluate(trainer, &options.data, &after, NULL), SEQRT_OK);
  assert_true(before > 1.8 && after < 1.3);
  seqrt_trainer_destroy(trainer);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  seqrt_trainer_options options = make_options();
  seqrt_context *context;
  assert_int_equal(seqrt_context_create(2, &context, NULL), SEQRT_OK);
  seqrt_trainer *one = make_trainer(&options, NULL), *two = make_trainer(&options, context);
  for (int step = 0; step < 40; step++) {
    seqrt_step_report a, b;
    assert_int_equal(seqrt_trainer_step(one, &a, NULL), SEQRT_OK);
    assert_int_equal(seqrt_trainer_step(two, &b, NULL), SEQRT_OK);
    assert_memory_equal(&a, &b, sizeof a);
  }
  assert_same(one, two);
  seqrt_trainer_destroy(one);
  seqrt_trainer_destroy(two);
  seqrt_context_destroy(context);
}

/* The whole against one chunk, and the sum of other cuts. */
static void evaluation_is_exact(void **state) {
  (void)state;
  seqrt_trainer_options options = make_options();
  seqrt_trainer *chunked = make_trainer(&options, NULL);
  options.length = options.data.length;
  seqrt_trainer *whole = make_trainer(&options, NULL);
  double a, b;
  assert_int_equal(seqrt_trainer_evaluate(chunked, &options.data, &a, NULL), SEQRT_OK);
  assert_int_equal(seqrt_trainer_evaluate(whole, &options.data, &b, NULL), SEQRT_OK);
  assert_true(fabs(a - b) < 1e-6);
  assert_int_equal(seqrt_session_position(chunked->session), 0);
  seqrt_trainer_destroy(chunked);
  seqrt_trainer_destroy(whole);
}

static void trainer_refuses(void **state) {
  (void)state;
  seqrt_trainer_options options = make_options();
  seqrt_trainer *trainer;
  seqrt_error error;
  options.target_input = "goal";
  assert_int_equal(seqrt_trainer_create(&demo_model, NULL, &options, &trainer, &error), SEQRT_MISMATCH);
  assert_string_equal(error.message, "trainer: model 'demo' has no input 'goal'");
  options = make_options();
  options.length = COUNT;
  assert_int_equal(seqrt_trainer_create(&demo_model, NULL, &options, &trainer, &error), SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "trainer: chunks of 2000 steps, expected 1 to 666, the length of the streams");
  assert_int_equal(seqrt_streams_cut(make_tokens(), 3, 3, &options.data, &error), SEQRT_INVALID_ARGUMENT);
  assert_null(trainer);
}

/* ---- checkpoints ---- */

static void train_steps(seqrt_trainer *trainer, int count) {
  for (int step = 0; step < count; step++) assert_int_equal(seqrt_trainer_step(trainer, NULL, NULL), SEQRT_OK);
}

static void resume_continues_bit_for_bit(void **state) {
  char *path = *state;
  for (int kind = SEQRT_ADAMW; kind <= SEQRT_SGD; kind++) {
    seqrt_trainer_options options = make_options();
    if (kind == SEQRT_SGD) options.optimizer = seqrt_sgd_defaults();
    seqrt_trainer *straight = make_trainer(&options, NULL), *stopped = make_trainer(&options, NULL);
    train_steps(straight, 120); /* past the end of the streams, which comes after 83 */
    train_steps(stopped, 50);
    assert_int_equal(seqrt_trainer_save(stopped, path, NULL), SEQRT_OK);
    seqrt_trainer_destroy(stopped);
    stopped = make_trainer(&options, NULL);
    assert_int_equal(seqrt_trainer_resume(stopped, path, NULL), SEQRT_OK);
    train_steps(stopped, 70);
    assert_same(straight, stopped);
    seqrt_trainer_destroy(straight);
    seqrt_trainer_destroy(stopped);
  }
}

/* Resuming must fail with this and leave the trainer as it was. */
static void assert_resume_fails(const seqrt_model *model, const seqrt_trainer_options *options, const char *path, seqrt_code code,
                                const char *message) {
  seqrt_trainer *trainer, *fresh;
  seqrt_error error = {0};
  assert_int_equal(seqrt_trainer_create(model, NULL, options, &trainer, NULL), SEQRT_OK);
  assert_int_equal(seqrt_trainer_create(model, NULL, options, &fresh, NULL), SEQRT_OK);
  assert_int_equal(seqrt_trainer_resume(trainer, path, &error), code);
  if (!strstr(error.message, message)) fail_msg("'%s' is not in '%s'", message, error.message);
  assert_same(trainer, fresh);
  seqrt_trainer_destroy(trainer);
  seqrt_trainer_destroy(fresh);
}

/* Rewrites a checkpoint with one metadata value changed and, if `without` is not NULL, one array left out. */
static void tamper(const char *path, const char *key, const char *value, const char *without) {
  seqrt_safetensors *file;
  assert_int_equal(seqrt_safetensors_open(path, &file, NULL), SEQRT_OK);
  seqrt_metadata metadata[64];
  seqrt_stored_tensor tensors[64];
  int64_t count = 0, metadata_count = seqrt_safetensors_metadata_count(file);
  for (int64_t i = 0; i < metadata_count; i++) {
    metadata[i] = *seqrt_safetensors_metadata_entry(file, i);
    if (key && strcmp(metadata[i].key, key) == 0) metadata[i].value = value;
  }
  for (int64_t i = 0; i < seqrt_safetensors_count(file); i++) {
    const seqrt_stored_tensor *tensor = seqrt_safetensors_tensor(file, i);
    if (!without || strcmp(tensor->name, without) != 0) tensors[count++] = *tensor;
  }
  assert_int_equal(seqrt_safetensors_save(path, tensors, count, metadata, metadata_count, NULL), SEQRT_OK);
  seqrt_safetensors_close(file);
}

static void save_fresh(const seqrt_trainer_options *options, const char *path) {
  seqrt_trainer *trainer = make_trainer(options, NULL);
  train_steps(trainer, 3);
  assert_int_equal(seqrt_trainer_save(trainer, path, NULL), SEQRT_OK);
  seqrt_trainer_destroy(trainer);
}

static void bad_checkpoints(void **state) {
  char *path = *state;
  seqrt_trainer_options options = make_options(), others = options;
  save_fresh(&options, path);
  assert_resume_fails(&other_demo_model, &options, path, SEQRT_MISMATCH, "a checkpoint of model 'demo'");
  others.seed = 6;
  others.schedule.warmup = 11;
  assert_resume_fails(&demo_model, &others, path, SEQRT_MISMATCH,
                      "'seed' was 0000000000000005 and is now 0000000000000006; 'warmup' was 10 and is now 11");
  others = options;
  others.optimizer = seqrt_sgd_defaults();
  assert_resume_fails(&demo_model, &others, path, SEQRT_MISMATCH, "'optimizer' was adamw and is now sgd");
  others = options;
  others.data.tokens += 1;
  assert_resume_fails(&demo_model, &others, path, SEQRT_MISMATCH, "'data' was");
  tamper(path, "version", "2", NULL);
  assert_resume_fails(&demo_model, &options, path, SEQRT_VERSION, "a checkpoint of version 2, this library reads version 1");
  save_fresh(&options, path);
  tamper(path, "position", "-4", NULL);
  assert_resume_fails(&demo_model, &options, path, SEQRT_FORMAT, "'position' is not a possible count");
  save_fresh(&options, path);
  tamper(path, NULL, NULL, "second.decay");
  assert_resume_fails(&demo_model, &options, path, SEQRT_MISMATCH, "'second.decay' is missing");
  save_fresh(&options, path);
  tamper(path, NULL, NULL, "state");
  assert_resume_fails(&demo_model, &options, path, SEQRT_FORMAT, "'state' is missing");
  seqrt_trainer *trainer = make_trainer(&options, NULL);
  assert_int_equal(seqrt_parameters_save(trainer->parameters, path, NULL, 0, NULL), SEQRT_OK);
  seqrt_trainer_destroy(trainer);
  assert_resume_fails(&demo_model, &options, path, SEQRT_FORMAT, "not a checkpoint, though a safetensors file");
  assert_int_equal(truncate(path, 100), 0);
  assert_resume_fails(&demo_model, &options, path, SEQRT_FORMAT, "truncated");
  assert_resume_fails(&demo_model, &options, "/missing", SEQRT_IO, "cannot open '/missing'");
}

static int make_path(void **state) {
  char *path = strdup("/tmp/seqrt_checkpoint_XXXXXX");
  int descriptor = path ? mkstemp(path) : -1;
  *state = path;
  return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void **state) {
  int result = unlink(*state);
  free(*state);
  return result;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(optimizers_follow_double),
      cmocka_unit_test(optimizer_refuses),
      cmocka_unit_test(training_learns),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(evaluation_is_exact),
      cmocka_unit_test(trainer_refuses),
      cmocka_unit_test_setup_teardown(resume_continues_bit_for_bit, make_path, remove_path),
      cmocka_unit_test_setup_teardown(bad_checkpoints, make_path, remove_path),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
