/* runtime_session_test.c - threads, parameters and sessions, on a model written by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "demo_model.h"
#include "seqrt/session.h"
#include "seqrt/threads.h"

enum { V = DEMO_VOCABULARY, D = DEMO_WIDTH, B = 3, T = 11 };

/* ---- threads ---- */

enum { BARRIERS = 2000, MAX_TEAM = 8 };

typedef struct Meeting {
  const seqrt_context *context;
  int slots[MAX_TEAM][16]; /* one line each */
  int errors[MAX_TEAM][16];
  int32_t team;
} Meeting;

static void meet(void *argument, int32_t thread, int32_t thread_count) {
  Meeting *meeting = argument;
  if (thread == 0) meeting->team = thread_count;
  for (int round = 1; round <= BARRIERS; round++) {
    meeting->slots[thread][0] = round;
    meeting->context->barrier(meeting->context);
    for (int other = 0; other < thread_count; other++) meeting->errors[thread][0] += meeting->slots[other][0] != round;
    meeting->context->barrier(meeting->context);
  }
}

static void barrier(void **state) {
  (void)state;
  for (int32_t threads = 1; threads <= 4; threads++) {
    Meeting meeting = {0};
    seqrt_context *context;
    assert_int_equal(seqrt_context_create(threads, &context, NULL), SEQRT_OK);
    meeting.context = context;
    for (int repeat = 0; repeat < 3; repeat++) seqrt_parallel(context, meet, &meeting);
    assert_in_range(meeting.team, 1, threads);
    for (int32_t thread = 0; thread < meeting.team; thread++) assert_int_equal(meeting.errors[thread][0], 0);
    seqrt_context_destroy(context);
  }
  seqrt_context *context;
  seqrt_error error;
  assert_int_equal(seqrt_context_create(-1, &context, &error), SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "threads: -1 is outside 0 <= threads <= 4096");
}

static Meeting meet_once(const seqrt_context *context) {
  Meeting meeting = {.context = context};
  seqrt_parallel(context, meet, &meeting);
  return meeting;
}

static void teams_live_through_a_fork(void **state) {
  (void)state;
  seqrt_context *context, *unused;
  assert_int_equal(seqrt_context_create(3, &context, NULL), SEQRT_OK);
  assert_int_equal(seqrt_context_create(3, &unused, NULL), SEQRT_OK);
  int32_t team = meet_once(context).team;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    bool is_same = meet_once(context).team == team && meet_once(context).team == team && meet_once(unused).team == team;
    seqrt_context_destroy(context);
    seqrt_context_destroy(unused);
    _exit(is_same ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(meet_once(context).team, team);
  child = fork(); /* which leaves a team alone that began before it */
  if (child == 0) {
    alarm(60);
    seqrt_context_destroy(context);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  seqrt_context_destroy(context);
  seqrt_context_destroy(unused);
}

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void wait_at_barrier(void *argument, int32_t thread, int32_t thread_count) {
  (void)thread_count;
  const seqrt_context *context = argument;
  if (thread == 0) usleep(200000);
  context->barrier(context);
}

/* Nobody holds a processor while nothing comes: neither between calls nor at a barrier. */
static void who_waits_sleeps(void **state) {
  (void)state;
  seqrt_context *context;
  assert_int_equal(seqrt_context_create(3, &context, NULL), SEQRT_OK);
  meet_once(context);
  double begin = processor_seconds();
  usleep(200000);
  assert_true(processor_seconds() - begin < 0.05);
  begin = processor_seconds();
  seqrt_parallel(context, wait_at_barrier, context);
  assert_true(processor_seconds() - begin < 0.05);
  seqrt_context_destroy(context);
}

/* ---- parameters ---- */

static seqrt_parameters *create_parameters(uint64_t seed, const seqrt_context *context) {
  seqrt_parameters *parameters;
  assert_int_equal(seqrt_parameters_create(&demo_model, &parameters, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_initialise(parameters, seed, context, NULL), SEQRT_OK);
  return parameters;
}

static void initial_values(void **state) {
  (void)state;
  seqrt_context *context;
  assert_int_equal(seqrt_context_create(3, &context, NULL), SEQRT_OK);
  seqrt_parameters *one = create_parameters(7, NULL), *three = create_parameters(7, context), *other = create_parameters(8, NULL);
  assert_memory_equal(one->arena, three->arena, (size_t)one->arena_elements * sizeof(float));
  assert_memory_not_equal(one->slots[0], other->slots[0], V * D * sizeof(float));
  assert_memory_not_equal(one->slots[1], one->slots[2], V * D * sizeof(float));
  for (int d = 0; d < D; d++) assert_true(one->slots[3][d] == 0.5f);
  for (int32_t slot = 0; slot < demo_model.parameter_slots; slot++) assert_int_equal((uintptr_t)one->slots[slot] % 64, 0);
  assert_int_equal(one->elements, 3 * V * D + D + V);
  char name[40];
  seqrt_slot_name(&demo_model, 2, name, sizeof name);
  assert_string_equal(name, "head.3.weight");
  seqrt_parameters_destroy(one);
  seqrt_parameters_destroy(three);
  seqrt_parameters_destroy(other);
  seqrt_context_destroy(context);
}

static void version_of_another_interface(void **state) {
  (void)state;
  seqrt_model model = demo_model;
  model.abi_version = 99;
  seqrt_parameters *parameters;
  seqrt_error error;
  assert_int_equal(seqrt_parameters_create(&model, &parameters, &error), SEQRT_VERSION);
  assert_non_null(strstr(error.message, "version 99"));
}

static void save_and_load(void **state) {
  (void)state;
  char path[] = "/tmp/seqrt_weights_XXXXXX";
  close(mkstemp(path));
  seqrt_parameters *saved = create_parameters(1, NULL), *loaded = create_parameters(2, NULL);
  seqrt_safetensors *file;
  assert_int_equal(seqrt_parameters_save(saved, path, NULL, 0, NULL), SEQRT_OK);
  assert_int_equal(seqrt_safetensors_open(path, &file, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_load(loaded, file, NULL, 0, NULL), SEQRT_OK);
  assert_memory_equal(saved->arena, loaded->arena, (size_t)saved->arena_elements * sizeof(float));
  seqrt_safetensors_close(file);
  unlink(path);
  seqrt_parameters_destroy(saved);
  seqrt_parameters_destroy(loaded);
}

static seqrt_stored_tensor stored(const char *name, int32_t rank, const int64_t *shape, const float *data) {
  return (seqrt_stored_tensor){.name = name, .dtype = SEQRT_STORED_F32, .rank = rank, .shape = shape, .data = data};
}

/* Loads a file of these arrays into fresh parameters. */
static seqrt_code load(const seqrt_stored_tensor *tensors, int64_t count, int32_t ignores_extra, seqrt_error *error) {
  char path[] = "/tmp/seqrt_weights_XXXXXX";
  close(mkstemp(path));
  seqrt_parameters *parameters = create_parameters(1, NULL), *before = create_parameters(1, NULL);
  seqrt_safetensors *file;
  assert_int_equal(seqrt_safetensors_save(path, tensors, count, NULL, 0, NULL), SEQRT_OK);
  assert_int_equal(seqrt_safetensors_open(path, &file, NULL), SEQRT_OK);
  seqrt_code code = seqrt_parameters_load(parameters, file, NULL, ignores_extra, error);
  if (code != SEQRT_OK) assert_memory_equal(parameters->arena, before->arena, (size_t)before->arena_elements * sizeof(float));
  seqrt_safetensors_close(file);
  unlink(path);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(before);
  return code;
}

static void weights_of_another_model(void **state) {
  (void)state;
  const float data[V * D] = {0};
  const int64_t matrix[] = {V, D}, turned[] = {D, V}, split[] = {V, 1, D}, d[] = {D}, v[] = {V};
  seqrt_stored_tensor tensors[] = {stored("embedding", 2, matrix, data),     stored("head.1.weight", 3, split, data),
                                   stored("head.3.weight", 2, matrix, data), stored("decay", 1, d, data),
                                   stored("head.bias", 1, v, data),          stored("more", 1, v, data)};
  seqrt_error error;
  assert_int_equal(load(tensors, 5, 0, &error), SEQRT_OK);
  assert_int_equal(load(tensors, 6, 1, &error), SEQRT_OK);
  assert_int_equal(load(tensors, 6, 0, &error), SEQRT_MISMATCH);
  assert_non_null(strstr(error.message, "does not fit model 'demo': 'more' belongs to no parameter"));
  tensors[0] = stored("embedding", 2, turned, data);
  tensors[3] = stored("decade", 1, d, data);
  assert_int_equal(load(tensors, 5, 0, &error), SEQRT_MISMATCH);
  assert_non_null(strstr(error.message,
                         "'embedding' has shape (5, 7), expected (7, 5); 'decay' is missing; 'decade' belongs to no parameter"));
}

/* ---- sessions ---- */

static void fill_tokens(int32_t *tokens, int64_t count, uint32_t seed) {
  for (int64_t n = 0; n < count; n++) tokens[n] = (int32_t)((seed = seed * 1664525u + 1013904223u) >> 16) % V;
}

static seqrt_session *create_session(const seqrt_parameters *parameters, const seqrt_context *context, int64_t batch) {
  seqrt_session *session;
  assert_int_equal(seqrt_session_create(parameters, context, batch, &session, NULL), SEQRT_OK);
  return session;
}

static void run_chunk(seqrt_session *session, const int32_t *tokens, int64_t length, float *logits) {
  const void *inputs[] = {tokens, NULL};
  void *outputs[] = {logits};
  assert_int_equal(seqrt_session_forward(session, &length, inputs, outputs, NULL), SEQRT_OK);
}

static void chunks_and_steps_agree(void **state) {
  (void)state;
  int32_t tokens[T];
  float whole[T][V], chunked[T][V], stepped[T][V], h_whole[D], h_stepped[D];
  fill_tokens(tokens, T, 1);
  seqrt_parameters *parameters = create_parameters(1, NULL);
  seqrt_session *session = create_session(parameters, NULL, 1);
  run_chunk(session, tokens, T, whole[0]);
  assert_int_equal(seqrt_session_position(session), T);
  assert_int_equal(seqrt_session_get_state(session, 0, h_whole, NULL), SEQRT_OK);
  assert_int_equal(seqrt_session_reset(session, NULL, NULL), SEQRT_OK);
  assert_int_equal(seqrt_session_position(session), 0);
  run_chunk(session, tokens, 4, chunked[0]);
  run_chunk(session, tokens + 4, T - 4, chunked[4]);
  assert_memory_equal(whole, chunked, sizeof whole);
  seqrt_session_reset(session, NULL, NULL);
  for (int t = 0; t < T; t++) {
    const void *inputs[] = {tokens + t, NULL};
    void *outputs[] = {stepped[t]};
    assert_int_equal(seqrt_session_step(session, inputs, outputs, NULL), SEQRT_OK);
  }
  assert_memory_equal(whole, stepped, sizeof whole);
  assert_int_equal(seqrt_session_get_state(session, 0, h_stepped, NULL), SEQRT_OK);
  assert_memory_equal(h_whole, h_stepped, sizeof h_whole);
  /* The declared state set again, and the opaque one, continue alike. */
  float again[V], once_more[V];
  int64_t bytes;
  const void *opaque = seqrt_session_state(session, &bytes);
  void *copy = malloc((size_t)bytes);
  memcpy(copy, opaque, (size_t)bytes);
  run_chunk(session, tokens, 1, again);
  assert_int_equal(seqrt_session_set_state(session, copy, bytes, NULL), SEQRT_OK);
  run_chunk(session, tokens, 1, once_more);
  assert_memory_equal(again, once_more, sizeof again);
  assert_int_equal(seqrt_session_reset(session, (const float *const[]){h_stepped}, NULL), SEQRT_OK);
  run_chunk(session, tokens, 1, once_more);
  assert_memory_equal(again, once_more, sizeof again);
  free(copy);
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
}

static void first_logits(seqrt_session *session, float *logits) {
  static const int32_t tokens[T] = {3, 1, 4, 1, 5, 2, 6, 5, 3, 5, 0};
  assert_int_equal(seqrt_session_reset(session, NULL, NULL), SEQRT_OK);
  run_chunk(session, tokens, T, logits);
}

/* Once for all sessions and calls, again after a change, and never where it is not wanted: the results are the same. */
static void sessions_pack(void **state) {
  (void)state;
  float packed[T][V], again[T][V], other[T][V];
  seqrt_parameters *parameters = create_parameters(1, NULL), *gradients = create_parameters(2, NULL);
  seqrt_session *first = create_session(parameters, NULL, 1), *second = create_session(parameters, NULL, 1);
  int before = demo_packings;
  assert_null(parameters->packed); /* not before it is of use */
  int32_t tokens[T] = {0}, targets[T] = {0};
  int64_t length = T;
  assert_int_equal(seqrt_session_gradient(first, &length, (const void *const[]){tokens, targets}, NULL, gradients, NULL, NULL), SEQRT_OK);
  assert_null(parameters->packed);
  first_logits(first, packed[0]);
  assert_non_null(parameters->packed);
  first_logits(first, again[0]);
  first_logits(second, other[0]);
  assert_memory_equal(packed, again, sizeof packed);
  assert_memory_equal(packed, other, sizeof packed);
  assert_int_equal(demo_packings - before, 1);
  assert_int_equal(seqrt_parameters_initialise(parameters, 5, NULL, NULL), SEQRT_OK);
  first_logits(first, other[0]);
  assert_int_equal(demo_packings - before, 2);
  assert_memory_not_equal(packed, other, sizeof packed);
  assert_int_equal(seqrt_parameters_initialise(parameters, 1, NULL, NULL), SEQRT_OK);
  seqrt_parameters_set_packing(parameters, 0);
  first_logits(second, again[0]);
  assert_null(parameters->packed);
  assert_memory_equal(packed, again, sizeof packed);
  seqrt_parameters_set_packing(parameters, 1);
  first_logits(second, again[0]);
  assert_int_equal(demo_packings - before, 3);
  seqrt_parameters_set_packing(parameters, 0);
  assert_null(parameters->packed);
  seqrt_session_destroy(first);
  seqrt_session_destroy(second);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(gradients);
}

static void faults_are_sentences(void **state) {
  (void)state;
  int32_t tokens[B * T];
  float logits[B * T * V], before[B * D], after[B * D];
  int64_t length = T;
  seqrt_error error;
  fill_tokens(tokens, B * T, 1);
  seqrt_parameters *parameters = create_parameters(1, NULL);
  seqrt_session *session = create_session(parameters, NULL, B);
  run_chunk(session, tokens, T, logits);
  seqrt_session_get_state(session, 0, before, NULL);
  tokens[2 * T + 5] = 99;
  const void *inputs[] = {tokens, NULL};
  assert_int_equal(seqrt_session_forward(session, &length, inputs, NULL, &error), SEQRT_OUT_OF_RANGE);
  assert_string_equal(error.message, "input 'token', row 2, step 5: value 99 is outside 0 <= v < 7");
  seqrt_session_get_state(session, 0, after, NULL);
  assert_memory_equal(before, after, sizeof before);
  assert_int_equal(seqrt_session_position(session), T);
  float loss;
  tokens[2 * T + 5] = 0;
  assert_int_equal(seqrt_session_objective(session, &length, inputs, &loss, &error), SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "input 'target': missing, or where none may be given");
  length = 0;
  assert_int_equal(seqrt_session_forward(session, &length, inputs, NULL, &error), SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "model 'demo', length 'T': 0, expected 1 or more");
  assert_int_equal(seqrt_session_set_state(session, tokens, 16, &error), SEQRT_MISMATCH);
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
}

static void state_of_another_model(void **state) {
  (void)state;
  seqrt_parameters *parameters = create_parameters(1, NULL), *others;
  assert_int_equal(seqrt_parameters_create(&other_demo_model, &others, NULL), SEQRT_OK);
  seqrt_session *session = create_session(parameters, NULL, 1), *other = create_session(others, NULL, 1);
  int64_t bytes;
  const void *foreign = seqrt_session_state(other, &bytes);
  seqrt_error error;
  assert_int_equal(seqrt_session_set_state(session, foreign, bytes, &error), SEQRT_MISMATCH);
  assert_string_equal(error.message, "session: the state was made by another model than 'demo'");
  seqrt_session_destroy(session);
  seqrt_session_destroy(other);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(others);
}

static void a_model_that_looks_ahead(void **state) {
  (void)state;
  seqrt_model model = demo_model;
  model.has_step = 0;
  model.why_no_step = "m.seq:3: 'y' reads x[t+1]";
  seqrt_parameters *parameters;
  assert_int_equal(seqrt_parameters_create(&model, &parameters, NULL), SEQRT_OK);
  seqrt_session *session = create_session(parameters, NULL, 1);
  int32_t token = 0;
  const void *inputs[] = {&token, NULL};
  seqrt_error error;
  assert_int_equal(seqrt_session_step(session, inputs, NULL, &error), SEQRT_NO_STEP);
  assert_string_equal(error.message, "model 'demo' has no step: m.seq:3: 'y' reads x[t+1]");
  int64_t length = 1;
  assert_int_equal(seqrt_session_forward(session, &length, inputs, NULL, &error), SEQRT_OK);
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
}

/* The gradient of the hand-written model against differences, through a session. */
static void gradient(void **state) {
  (void)state;
  int32_t tokens[B * T], targets[B * T];
  int64_t length = T;
  fill_tokens(tokens, B * T, 1);
  fill_tokens(targets, B * T, 2);
  const void *inputs[] = {tokens, targets};
  seqrt_parameters *parameters = create_parameters(1, NULL), *gradients = create_parameters(2, NULL);
  seqrt_session *session = create_session(parameters, NULL, B);
  float loss, low, high;
  assert_int_equal(seqrt_session_gradient(session, &length, inputs, NULL, gradients, &loss, NULL), SEQRT_OK);
  for (int32_t slot = 0; slot < demo_model.parameter_slots; slot++) {
    const float step = 0.01f;
    float *value = &parameters->slots[slot][3], kept = *value;
    *value = kept - step;
    seqrt_parameters_unpack(parameters);
    seqrt_session_reset(session, NULL, NULL);
    assert_int_equal(seqrt_session_objective(session, &length, inputs, &low, NULL), SEQRT_OK);
    *value = kept + step;
    seqrt_parameters_unpack(parameters);
    seqrt_session_reset(session, NULL, NULL);
    assert_int_equal(seqrt_session_objective(session, &length, inputs, &high, NULL), SEQRT_OK);
    *value = kept;
    assert_true(fabsf((high - low) / (2 * step) - gradients->slots[slot][3]) < 1e-3f);
  }
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(gradients);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(barrier),
      cmocka_unit_test(teams_live_through_a_fork),
      cmocka_unit_test(who_waits_sleeps),
      cmocka_unit_test(initial_values),
      cmocka_unit_test(version_of_another_interface),
      cmocka_unit_test(save_and_load),
      cmocka_unit_test(weights_of_another_model),
      cmocka_unit_test(chunks_and_steps_agree),
      cmocka_unit_test(sessions_pack),
      cmocka_unit_test(faults_are_sentences),
      cmocka_unit_test(state_of_another_model),
      cmocka_unit_test(a_model_that_looks_ahead),
      cmocka_unit_test(gradient),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
