/* whole_lengths.c - a session that translates: a source that comes whole, a target step by step.
 *
 * The steps give what the whole sequence gives, also when the source is spoiled after the first one, as what depends on it is
 * kept. Another source length is refused in the course of a sequence and taken at the start of the next. A parameter that only the
 * state before the first step depends on has a gradient in the chunk with that step alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model translation_with_attention_model;

enum { ROWS = 3, STEPS = 6, SHORT = 4, LONG = 9, VOCABULARY = 5 };

static seqrt_error error;
static seqrt_session *session;
static int32_t source[ROWS * LONG], mask[ROWS * LONG], target[ROWS * STEPS], label[ROWS * STEPS];
static float whole[ROWS * STEPS * LONG], stepped[ROWS * LONG];

static _Noreturn void stop(const char *what) {
  fprintf(stderr, "whole_lengths: %s: %s\n", what, error.message);
  exit(1);
}

static void draw(int32_t *values, int count, int below, int shift) {
  for (int n = 0; n < count; n++) values[n] = (n * 7 + n / 3 + shift) % below;
}

static void forward(int64_t steps, int64_t length, const int32_t *tokens, float *out_weights) {
  const void *inputs[] = {source, mask, tokens, NULL};
  void *outputs[] = {out_weights};
  if (seqrt_session_forward(session, (int64_t[]){steps, length}, inputs, outputs, &error) != SEQRT_OK) stop("forward");
}

/* Tokens are [row][step]: those of one step are not contiguous. */
static void translate(int length) {
  draw(source, ROWS * length, VOCABULARY, length);
  for (int n = 0; n < ROWS * length; n++) mask[n] = n % length < length - n / length;
  draw(target, ROWS * STEPS, VOCABULARY, 2);
  if (seqrt_session_reset(session, NULL, &error) != SEQRT_OK) stop("reset");
  forward(STEPS, length, target, whole);
  if (seqrt_session_reset(session, NULL, &error) != SEQRT_OK) stop("reset");
  for (int t = 0; t < STEPS; t++) {
    int32_t tokens[ROWS];
    for (int b = 0; b < ROWS; b++) tokens[b] = target[b * STEPS + t];
    forward(1, length, tokens, stepped);
    for (int b = 0; b < ROWS; b++)
      for (int s = 0; s < length; s++)
        if (fabsf(stepped[b * length + s] - whole[(b * STEPS + t) * length + s]) > 1e-6f) stop("a step differs from the whole sequence");
    draw(source, ROWS * length, VOCABULARY, 1);
  }
}

static void refuse_other_length(int length) {
  const void *inputs[] = {source, mask, target, label};
  void *outputs[] = {stepped};
  if (seqrt_session_forward(session, (int64_t[]){1, length}, inputs, outputs, &error) != SEQRT_MISMATCH) stop("another length is not refused");
  if (!strstr(error.message, "length 'S'")) stop("the message names no length");
}

static float largest_gradient_of_start(const seqrt_parameters *gradients, int64_t length) {
  const void *inputs[] = {source, mask, target, label};
  float loss, largest = 0;
  if (seqrt_session_gradient(session, (int64_t[]){STEPS, length}, inputs, NULL, gradients, &loss, &error) != SEQRT_OK) stop("gradient");
  for (int32_t p = 0; p < gradients->model->parameter_count; p++) {
    const seqrt_parameter *parameter = &gradients->model->parameters[p];
    if (strcmp(parameter->name, "start")) continue;
    for (int64_t i = 0; i < parameter->elements; i++) largest = fmaxf(largest, fabsf(gradients->slots[parameter->first_slot][i]));
  }
  return largest;
}

static void differentiate(const seqrt_model *model) {
  seqrt_parameters *gradients;
  if (seqrt_parameters_create(model, &gradients, &error) != SEQRT_OK) stop("gradients");
  if (seqrt_session_reset(session, NULL, &error) != SEQRT_OK) stop("reset");
  draw(label, ROWS * STEPS, VOCABULARY, 3);
  if (!(largest_gradient_of_start(gradients, SHORT) > 1e-6f)) stop("the first state has no gradient in the first chunk");
  if (largest_gradient_of_start(gradients, SHORT) > 0) stop("the first state has a gradient in the second chunk");
  seqrt_parameters_destroy(gradients);
}

int main(void) {
  const seqrt_model *model = &translation_with_attention_model;
  seqrt_parameters *parameters;
  if (seqrt_parameters_create(model, &parameters, &error) != SEQRT_OK) stop("parameters");
  if (seqrt_parameters_initialise(parameters, 5, NULL, &error) != SEQRT_OK) stop("initial values");
  if (seqrt_session_create(parameters, NULL, ROWS, &session, &error) != SEQRT_OK) stop("session");
  translate(SHORT);
  refuse_other_length(LONG);
  refuse_other_length(SHORT - 1);
  translate(LONG);
  translate(SHORT);
  differentiate(model);
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
  return 0;
}
