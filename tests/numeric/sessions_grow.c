/* sessions_grow.c - sessions of models whose state grows: steps and chunks with room for more and more of them, the declared state, and
 * what is said where the room, or a table that is read by position, ends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention_language_model.h"
#include "causal_attention.h"
#include "conditions_on_time.h"
#include "learned_positions.h"
#include "seqrt/session.h"
#include "seqrt/trainer.h"

enum { ROWS = 2, STEPS = 11, D = 6, LAYERS = 2, HEADS = 2, WIDTH = 3, ROOM = 4, TABLE = 40, TABLE_D = 5, SOURCE = 9 };

static seqrt_error error;

static void require(int holds, const char *what) {
  if (holds) return;
  printf("%s; the last error: %s\n", what, error.message);
  exit(1);
}

static void require_near(const float *a, const float *b, int count, const char *what) {
  for (int n = 0; n < count; n++) require(fabsf(a[n] - b[n]) <= 2e-5f, what);
}

static seqrt_session *create(const seqrt_parameters *parameters) {
  seqrt_session *session;
  require(seqrt_session_create(parameters, NULL, ROWS, &session, &error) == SEQRT_OK, "no session");
  return session;
}

static seqrt_parameters *parameters_of(const seqrt_model *model) {
  seqrt_parameters *parameters;
  require(seqrt_parameters_create(model, &parameters, &error) == SEQRT_OK, "no parameters");
  require(seqrt_parameters_initialise(parameters, 7, NULL, &error) == SEQRT_OK, "no values");
  return parameters;
}

/* Steps first <= t < first + count of x (ROWS, STEPS, D), as a chunk. */
static seqrt_code run(seqrt_session *session, const float *x, int first, int64_t count, float *y) {
  float piece[ROWS * STEPS * D], result[ROWS * STEPS * D];
  for (int b = 0; b < ROWS; b++) memcpy(piece + b * count * D, x + (b * STEPS + first) * D, (size_t)count * D * sizeof *x);
  const void *inputs[] = {piece};
  void *outputs[] = {result, NULL, NULL};
  seqrt_code code = seqrt_session_forward(session, &count, inputs, outputs, &error);
  for (int b = 0; b < ROWS && code == SEQRT_OK; b++) memcpy(y + (b * STEPS + first) * D, result + b * count * D, (size_t)count * D * sizeof *y);
  return code;
}

static void test_growth(const float *x) {
  static float whole[ROWS * STEPS * D], y[ROWS * STEPS * D], expected[LAYERS * ROWS * HEADS * STEPS * WIDTH], key[LAYERS * ROWS * HEADS * STEPS * WIDTH];
  seqrt_parameters *parameters = parameters_of(&causal_attention_model);
  require(causal_attention_model.grows == 1 && causal_attention_model.length_limits[0] == 0, "the model does not say that it grows");
  require(causal_attention_model.states[0].shape[3] == SEQRT_AXIS_STEPS, "the state does not say that it holds all steps");
  require(causal_attention_state_size(ROWS, 2 * ROOM) > causal_attention_state_size(ROWS, ROOM), "the state does not grow");
  seqrt_session *one = create(parameters), *other = create(parameters);
  require(run(one, x, 0, 1, y) == SEQRT_POSITION, "a step without room");
  require(!strcmp(error.message, "model 'causal_attention' keeps all steps: the call ends at step 1, but there is room for 0"), "not the message");
  require(seqrt_session_reserve(one, STEPS, &error) == SEQRT_OK && run(one, x, 0, STEPS, whole) == SEQRT_OK, "the whole sequence");
  require(seqrt_session_get_state(one, 0, expected, &error) == SEQRT_OK, "no state");

  /* steps up to the end of the room, then more room, then a chunk */
  require(seqrt_session_reserve(other, ROOM, &error) == SEQRT_OK, "no room");
  for (int t = 0; t < ROOM; t++) require(run(other, x, t, 1, y) == SEQRT_OK, "a step");
  require(run(other, x, ROOM, 1, y) == SEQRT_POSITION && seqrt_session_position(other) == ROOM, "a step past the room");
  require(seqrt_session_reserve(other, STEPS + 3, &error) == SEQRT_OK && seqrt_session_capacity(other) == STEPS + 3, "no more room");
  require(run(other, x, ROOM, 3, y) == SEQRT_OK, "a chunk");
  for (int t = ROOM + 3; t < STEPS; t++) require(run(other, x, t, 1, y) == SEQRT_OK, "a step");
  require_near(y, whole, ROWS * STEPS * D, "chunks and steps differ from the whole");
  require(seqrt_session_get_state(other, 0, key, &error) == SEQRT_OK, "no state");
  require_near(key, expected, LAYERS * ROWS * HEADS * STEPS * WIDTH, "the declared states differ");

  /* a state of another capacity */
  int64_t bytes;
  const void *state = seqrt_session_state(other, &bytes);
  void *copy = malloc((size_t)bytes);
  require(copy != NULL, "no memory");
  memcpy(copy, state, (size_t)bytes);
  require(seqrt_session_reset(one, NULL, &error) == SEQRT_OK && seqrt_session_position(one) == 0, "not at the start");
  require(run(one, x, 0, STEPS - 1, y) == SEQRT_OK, "from the start again");
  require(seqrt_session_set_state(one, copy, bytes, &error) == SEQRT_OK && seqrt_session_position(one) == STEPS, "the state is not taken");
  require(run(one, x, 0, 2, whole) == SEQRT_OK && run(other, x, 0, 2, y) == SEQRT_OK, "on from the same state");
  require_near(y, whole, 2 * D, "the same state goes on differently");
  require(seqrt_session_set_state(one, copy, bytes - 64, &error) == SEQRT_MISMATCH, "a state that is too short");
  const float *given[] = {expected};
  require(seqrt_session_reset(one, given, &error) == SEQRT_INVALID_ARGUMENT, "values before the first step");
  free(copy);
  seqrt_session_destroy(one);
  seqrt_session_destroy(other);
  seqrt_parameters_destroy(parameters);
}

/* The ABI alone: a state that stays in its place keeps its capacity; one that moves need not be left. */
static void test_places(const float *x) {
  static float y[ROWS * STEPS * D], moved[ROWS * STEPS * D];
  seqrt_parameters *parameters = parameters_of(&causal_attention_model);
  const float *const *slots = (const float *const *)parameters->slots;
  size_t small_bytes = (size_t)causal_attention_state_size(ROWS, ROOM), bytes = (size_t)causal_attention_state_size(ROWS, STEPS);
  void *workspace = aligned_alloc(64, ((size_t)causal_attention_workspace_size(SEQRT_FORWARD, ROWS, 2, STEPS, 1) + 63) / 64 * 64);
  void *small = aligned_alloc(64, (small_bytes + 63) / 64 * 64), *large = aligned_alloc(64, (bytes + 63) / 64 * 64);
  require(workspace && small && large, "no memory");
  seqrt_fault fault;
  require(causal_attention_forward(NULL, slots, x, ROWS, 2, NULL, NULL, small, ROOM, y, NULL, NULL, workspace, &fault) == SEQRT_OK, "the first chunk");
  require(causal_attention_forward(NULL, slots, x, ROWS, 2, NULL, small, small, STEPS, y, NULL, NULL, workspace, &fault) == SEQRT_INVALID_ARGUMENT &&
              fault.argument == SEQRT_ARGUMENT_CAPACITY,
          "another capacity in the same place");
  require(causal_attention_forward(NULL, slots, x, ROWS, 3, NULL, small, small, ROOM, y, NULL, NULL, workspace, &fault) == SEQRT_POSITION && fault.value == 5 &&
              fault.high == ROOM,
          "past the room");
  require(causal_attention_forward(NULL, slots, x, ROWS, 2, NULL, small, large, STEPS, moved, NULL, NULL, workspace, &fault) == SEQRT_OK, "to another place");
  require(causal_attention_forward(NULL, slots, x, ROWS, 2, NULL, small, NULL, STEPS, y, NULL, NULL, workspace, &fault) == SEQRT_OK, "no state left");
  require_near(y, moved, ROWS * 2 * D, "a state that is not left changes the result");
  require(causal_attention_forward(NULL, slots, x, ROWS, 2, NULL, small, small, ROOM, y, NULL, NULL, workspace, &fault) == SEQRT_OK, "in its place");
  require_near(y, moved, ROWS * 2 * D, "a state that stays changes the result");
  ((seqrt_state_header *)small)->position = ROOM + 1;
  require(causal_attention_forward(NULL, slots, x, ROWS, 1, NULL, small, large, STEPS, y, NULL, NULL, workspace, &fault) == SEQRT_MISMATCH,
          "more steps than room");
  free(workspace);
  free(small);
  free(large);
  seqrt_parameters_destroy(parameters);
}

static void test_tables(const float *x) {
  seqrt_parameters *parameters = parameters_of(&learned_positions_model);
  require(learned_positions_model.length_limits[0] == TABLE - 3 && learned_positions_model.length_limits[1] == SOURCE, "not the ends of the tables");
  seqrt_session *session = create(parameters);
  float y[ROWS * TABLE * TABLE_D];
  const void *inputs[] = {x, x};
  void *outputs[] = {y, NULL, NULL};
  int64_t lengths[] = {TABLE - 4, SOURCE};
  require(seqrt_session_reserve(session, 2 * TABLE, &error) == SEQRT_OK, "no room");
  require(seqrt_session_forward(session, lengths, inputs, outputs, &error) == SEQRT_OK, "inside of the table");
  lengths[0] = 1;
  require(seqrt_session_forward(session, lengths, inputs, outputs, &error) == SEQRT_OK, "the last step of the table");
  require(seqrt_session_forward(session, lengths, inputs, outputs, &error) == SEQRT_POSITION, "past the table");
  require(!strcmp(error.message, "length 'T': the call ends at 38, but a table that is read along it at 37"), "not the message");
  require(seqrt_session_reset(session, NULL, &error) == SEQRT_OK, "not at the start");
  lengths[1] = SOURCE + 1;
  require(seqrt_session_forward(session, lengths, inputs, outputs, &error) == SEQRT_POSITION && strstr(error.message, "length 'S'"), "past the other table");
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
}

/* The gradient of a later chunk is that of its objective with the state as it came: nothing flows into the steps before. */
static void test_gradient(const float *x) {
  enum { FIRST = 5, SECOND = 4, WIDTH_D = 4 };
  seqrt_parameters *parameters = parameters_of(&conditions_on_time_model), *gradients = parameters_of(&conditions_on_time_model);
  seqrt_session *session = create(parameters);
  const int32_t mask[ROWS * FIRST] = {1, 0, 1, 1, 0, 1, 1};
  const void *first[] = {x, mask, NULL}, *second[] = {x + 40, mask, x + 90};
  float y[ROWS * FIRST * WIDTH_D], objective;
  void *outputs[] = {y, NULL, NULL, NULL, NULL};
  int64_t length = FIRST, bytes;
  require(seqrt_session_reserve(session, FIRST + SECOND, &error) == SEQRT_OK, "no room");
  require(seqrt_session_forward(session, &length, first, outputs, &error) == SEQRT_OK, "the first chunk");
  const void *state = seqrt_session_state(session, &bytes);
  void *copy = malloc((size_t)bytes);
  require(copy != NULL, "no memory");
  memcpy(copy, state, (size_t)bytes);
  length = SECOND;
  require(seqrt_session_gradient(session, &length, second, NULL, gradients, &objective, &error) == SEQRT_OK, "the gradient of the second chunk");
  require(seqrt_session_position(session) == FIRST + SECOND, "the gradient does not go on");
  for (int n = 0; n < WIDTH_D * WIDTH_D; n++) {
    float *element = &parameters->slots[0][n], middle = *element, sides[2];
    for (int side = 0; side < 2; side++) {
      *element = middle + (side ? 0.01f : -0.01f);
      require(seqrt_session_set_state(session, copy, bytes, &error) == SEQRT_OK, "the state is not taken");
      require(seqrt_session_objective(session, &length, second, &sides[side], &error) == SEQRT_OK, "the objective of the second chunk");
    }
    *element = middle;
    float difference = (sides[1] - sides[0]) / 0.02f, gradient = gradients->slots[0][n];
    require(fabsf(difference - gradient) <= 2e-3f * (1 + fabsf(gradient)), "the gradient of a later chunk differs from differences");
  }
  free(copy);
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
  seqrt_parameters_destroy(gradients);
}

/* Chunks of a training are sequences of their own: the streams are longer than the table. It goes on from a checkpoint bit for bit. */
static void test_training(void) {
  enum { TOKENS = 1201, LENGTH = 12, TRAINED = 120, HALF = 60, VOCABULARY = 7 };
  static int32_t tokens[TOKENS];
  for (int n = 1; n < TOKENS; n++) tokens[n] = (tokens[n - 1] * 3 + 1 + (n % 11 == 0)) % VOCABULARY;
  seqrt_trainer_options options = {.length = LENGTH, .token_input = "token", .target_input = "target", .optimizer = seqrt_adamw_defaults(),
                                   .schedule = {0.02, 5, TRAINED}, .seed = 5};
  require(seqrt_streams_cut(tokens, TOKENS, ROWS, &options.data, &error) == SEQRT_OK, "no streams");
  seqrt_trainer *one, *other;
  require(seqrt_trainer_create(&attention_language_model_model, NULL, &options, &one, &error) == SEQRT_OK, "no trainer");
  require(seqrt_trainer_create(&attention_language_model_model, NULL, &options, &other, &error) == SEQRT_OK, "no trainer");
  double before, after, resumed;
  require(seqrt_trainer_evaluate(one, &options.data, &before, &error) == SEQRT_OK, "no evaluation");
  for (int n = 0; n < HALF; n++) require(seqrt_trainer_step(one, NULL, &error) == SEQRT_OK, "a step of the training");
  require(seqrt_trainer_save(one, "sessions_grow.checkpoint", &error) == SEQRT_OK, "no checkpoint");
  require(seqrt_trainer_resume(other, "sessions_grow.checkpoint", &error) == SEQRT_OK, "the checkpoint is not taken");
  require(seqrt_trainer_run(one, NULL, NULL, &error) == SEQRT_OK && seqrt_trainer_run(other, NULL, NULL, &error) == SEQRT_OK, "the training");
  require(seqrt_trainer_evaluate(one, &options.data, &after, &error) == SEQRT_OK, "no evaluation");
  require(seqrt_trainer_evaluate(other, &options.data, &resumed, &error) == SEQRT_OK, "no evaluation");
  require(after < 0.5 * before, "the training does not learn");
  require(after == resumed, "the training goes on differently from its checkpoint");
  seqrt_trainer_destroy(one);
  seqrt_trainer_destroy(other);
  remove("sessions_grow.checkpoint");
}

int main(void) {
  static float x[ROWS * TABLE * D];
  for (int n = 0; n < ROWS * TABLE * D; n++) x[n] = sinf(0.7f * (float)n) * 0.9f;
  test_growth(x);
  test_places(x);
  test_tables(x);
  test_gradient(x);
  test_training();
  return 0;
}
