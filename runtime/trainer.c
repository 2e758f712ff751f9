/* trainer.c - the training loop: chunks of streams in, parameters better. */
#include "runtime/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"

seqrt_code seqrt_streams_cut(const int32_t *tokens, int64_t count, int64_t rows, seqrt_streams *out_streams, seqrt_error *error) {
  if (!tokens || !out_streams || rows < 1)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "streams: no tokens, no rows or no place for them");
  int64_t length = (count - 1) / rows;
  if (count < 2 || length < 1)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "streams: %" PRId64 " tokens are too few for %" PRId64 " streams", count,
                        rows);
  *out_streams = (seqrt_streams){tokens, rows, length, length};
  return SEQRT_OK;
}

/* ---- feed ---- */

static void feed_release(Feed *feed) {
  free(feed->tokens);
  free(feed->targets);
  free(feed->inputs);
  *feed = (Feed){0};
}

static seqrt_code feed_create(const seqrt_model *model, int32_t token_index, int32_t target_index, int64_t rows, int64_t length,
                              Feed *out_feed, seqrt_error *error) {
  int64_t elements;
  if (__builtin_mul_overflow(rows, length, &elements) || elements > INT64_MAX / 8) elements = -1;
  *out_feed = (Feed){.token_index = token_index, .target_index = target_index};
  out_feed->inputs = calloc((size_t)model->input_count + 1, sizeof *out_feed->inputs);
  if (elements > 0) out_feed->tokens = malloc((size_t)elements * sizeof(int32_t));
  if (elements > 0) out_feed->targets = malloc((size_t)elements * sizeof(int32_t));
  if (!out_feed->inputs || !out_feed->tokens || !out_feed->targets) {
    feed_release(out_feed);
    return runtime_fail_memory(error, "trainer, batch", elements < 0 ? -1 : elements * 8);
  }
  out_feed->inputs[token_index] = out_feed->tokens;
  out_feed->inputs[target_index] = out_feed->targets;
  return SEQRT_OK;
}

/* tokens[r, t] = token `position + t` of stream r, targets[r, t] = the one after it. */
static void feed_fill(Feed *feed, const seqrt_streams *data, int64_t position, int64_t length) {
  for (int64_t row = 0; row < data->rows; row++) {
    const int32_t *source = data->tokens + row * data->stride + position;
    memcpy(feed->tokens + row * length, source, (size_t)length * sizeof *source);
    memcpy(feed->targets + row * length, source + 1, (size_t)length * sizeof *source);
  }
}

/* ---- create ---- */

/* The input of that name, which must hold one integer for each row and step; -1 otherwise. */
static int32_t find_input(const seqrt_model *model, const char *name, seqrt_error *error) {
  for (int32_t i = 0; name && i < model->input_count; i++) {
    const seqrt_tensor *input = &model->inputs[i];
    if (strcmp(input->name, name) != 0) continue;
    bool fits = input->dtype == SEQRT_I32 && input->rank == 2 && input->shape[0] == SEQRT_AXIS_BATCH &&
                input->shape[1] == SEQRT_AXIS_LENGTH(0);
    if (fits) return i;
    runtime_fail(error, SEQRT_MISMATCH, "trainer: input '%s' of model '%s' does not hold one integer for each row and step", name,
                 model->name);
    return -1;
  }
  runtime_fail(error, SEQRT_MISMATCH, "trainer: model '%s' has no input '%s'", model->name, name ? name : "");
  return -1;
}

static seqrt_code check_options(const seqrt_model *model, const seqrt_trainer_options *options, seqrt_error *error) {
  const seqrt_streams *data = &options->data;
  if (!data->tokens || data->rows < 1 || data->length < 1 || data->stride < 0)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "trainer: no data is given");
  if (options->length < 1 || options->length > data->length)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT,
                        "trainer: chunks of %" PRId64 " steps, expected 1 to %" PRId64 ", the length of the streams",
                        options->length, data->length);
  const seqrt_schedule *schedule = &options->schedule;
  if (schedule->warmup < 0 || schedule->steps < 0 || !(schedule->learning_rate >= 0 && schedule->learning_rate < INFINITY))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT,
                        "trainer: learning rate, warm-up and number of steps must not be negative");
  if (!model->has_objective || !model->entries[SEQRT_GRADIENT])
    return runtime_fail(error, SEQRT_MISMATCH, "trainer: model '%s' has no objective to train", model->name);
  if (model->length_count != 1)
    return runtime_fail(error, SEQRT_MISMATCH, "trainer: model '%s' has %" PRId32 " run-time lengths, expected 1", model->name,
                        model->length_count);
  return SEQRT_OK;
}

static seqrt_code check_other_inputs(const seqrt_model *model, int32_t token_index, int32_t target_index, seqrt_error *error) {
  Findings findings = {0};
  for (int32_t i = 0; i < model->input_count; i++)
    if (i != token_index && i != target_index) findings_add(&findings, "'%s'", model->inputs[i].name);
  return findings.count ? findings_fail(&findings, error, SEQRT_MISMATCH, "trainer: the model has further inputs") : SEQRT_OK;
}

static seqrt_code build_trainer(seqrt_trainer *trainer, const seqrt_model *model, const seqrt_trainer_options *options,
                                seqrt_error *error) {
  struct seqrt_trainer_private *own = trainer->private_part;
  int32_t token_index = find_input(model, options->token_input, error);
  int32_t target_index = token_index < 0 ? -1 : find_input(model, options->target_input, error);
  if (target_index < 0) return SEQRT_MISMATCH;
  seqrt_code code = check_other_inputs(model, token_index, target_index, error);
  if (code == SEQRT_OK)
    code = feed_create(model, token_index, target_index, options->data.rows, options->length, &own->feed, error);
  if (code == SEQRT_OK) code = seqrt_parameters_create(model, &trainer->parameters, error);
  if (code == SEQRT_OK) code = seqrt_parameters_create(model, &trainer->gradients, error);
  if (code == SEQRT_OK) code = seqrt_parameters_initialise(trainer->parameters, options->seed, own->context, error);
  if (code == SEQRT_OK) code = seqrt_optimizer_create(trainer->parameters, &options->optimizer, &trainer->optimizer, error);
  if (code == SEQRT_OK)
    code = seqrt_session_create(trainer->parameters, own->context, options->data.rows, &trainer->session, error);
  if (code == SEQRT_OK) code = seqrt_session_reserve(trainer->session, options->length, error);
  return code;
}

seqrt_code seqrt_trainer_create(const seqrt_model *model, const seqrt_context *context, const seqrt_trainer_options *options,
                                seqrt_trainer **out_trainer, seqrt_error *error) {
  if (!options || !out_trainer) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "trainer: no options or no place for it");
  *out_trainer = NULL;
  seqrt_code code = runtime_check_model(model, error);
  if (code == SEQRT_OK) code = check_options(model, options, error);
  if (code != SEQRT_OK) return code;
  seqrt_trainer *trainer = calloc(1, sizeof *trainer);
  struct seqrt_trainer_private *own = calloc(1, sizeof *own);
  if (!trainer || !own) {
    free(trainer);
    free(own);
    return runtime_fail_memory(error, "trainer", sizeof *trainer + sizeof *own);
  }
  trainer->private_part = own;
  own->model = model;
  own->context = context;
  own->options = *options;
  code = build_trainer(trainer, model, options, error);
  if (code == SEQRT_OK) *out_trainer = trainer;
  else seqrt_trainer_destroy(trainer);
  return code;
}

void seqrt_trainer_destroy(seqrt_trainer *trainer) {
  if (!trainer) return;
  seqrt_session_destroy(trainer->session);
  seqrt_optimizer_destroy(trainer->optimizer);
  seqrt_parameters_destroy(trainer->gradients);
  seqrt_parameters_destroy(trainer->parameters);
  feed_release(&trainer->private_part->feed);
  free(trainer->private_part);
  free(trainer);
}

/* ---- run ---- */

/* A state that would grow for ever, or run past a table: every chunk is a sequence of its own. */
static bool begins_anew(const seqrt_model *model) { return model->grows || model->length_limits[0]; }

seqrt_code seqrt_trainer_step(seqrt_trainer *trainer, seqrt_step_report *out_report, seqrt_error *error) {
  if (!trainer) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "trainer: none is given");
  struct seqrt_trainer_private *own = trainer->private_part;
  const seqrt_streams *data = &own->options.data;
  int64_t length = own->options.length;
  seqrt_code code = SEQRT_OK;
  bool is_at_end = trainer->position + length > data->length;
  if (is_at_end || begins_anew(own->model)) code = seqrt_session_reset(trainer->session, NULL, error);
  if (code != SEQRT_OK) return code;
  if (is_at_end) trainer->position = 0;
  feed_fill(&own->feed, data, trainer->position, length);
  float loss = 0;
  double norm = 0, rate = seqrt_schedule_rate(&own->options.schedule, trainer->step);
  code = seqrt_session_gradient(trainer->session, &length, own->feed.inputs, NULL, trainer->gradients, &loss, error);
  if (code == SEQRT_OK) code = seqrt_optimizer_step(trainer->optimizer, trainer->gradients, rate, own->context, &norm, error);
  if (code != SEQRT_OK) return code;
  trainer->step++;
  trainer->position += length;
  if (out_report) *out_report = (seqrt_step_report){trainer->step, (double)loss, norm, rate};
  return SEQRT_OK;
}

seqrt_code seqrt_trainer_run(seqrt_trainer *trainer, seqrt_trainer_callback callback, void *argument, seqrt_error *error) {
  if (!trainer) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "trainer: none is given");
  while (trainer->step < trainer->private_part->options.schedule.steps) {
    seqrt_step_report report;
    seqrt_code code = seqrt_trainer_step(trainer, &report, error);
    if (code != SEQRT_OK) return code;
    if (callback && callback(argument, &report))
      return runtime_fail(error, SEQRT_CANCELLED, "training stopped after step %" PRId64, trainer->step);
  }
  return SEQRT_OK;
}

/* ---- evaluate ---- */

static seqrt_code sum_losses(seqrt_session *session, bool anew, Feed *feed, const seqrt_streams *data, int64_t chunk, double *out_sum,
                             seqrt_error *error) {
  *out_sum = 0;
  for (int64_t position = 0; position < data->length; position += chunk) {
    int64_t left = data->length - position, length = left < chunk ? left : chunk;
    float loss;
    feed_fill(feed, data, position, length);
    seqrt_code code = anew ? seqrt_session_reset(session, NULL, error) : SEQRT_OK;
    if (code == SEQRT_OK) code = seqrt_session_objective(session, &length, feed->inputs, &loss, error);
    if (code != SEQRT_OK) return code;
    *out_sum += (double)loss * (double)length;
  }
  return SEQRT_OK;
}

seqrt_code seqrt_trainer_evaluate(const seqrt_trainer *trainer, const seqrt_streams *data, double *out_loss, seqrt_error *error) {
  if (!trainer || !data || !data->tokens || data->rows < 1 || data->length < 1 || !out_loss)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "evaluation: no trainer, no data or no place for the result");
  const struct seqrt_trainer_private *own = trainer->private_part;
  Feed feed;
  seqrt_session *session = NULL;
  seqrt_code code = feed_create(own->model, own->feed.token_index, own->feed.target_index, data->rows, own->options.length, &feed,
                                error);
  if (code != SEQRT_OK) return code;
  code = seqrt_session_create(trainer->parameters, own->context, data->rows, &session, error);
  if (code == SEQRT_OK) code = seqrt_session_reserve(session, own->options.length, error);
  double sum = 0;
  if (code == SEQRT_OK) code = sum_losses(session, begins_anew(own->model), &feed, data, own->options.length, &sum, error);
  if (code == SEQRT_OK) *out_loss = sum / (double)data->length;
  seqrt_session_destroy(session);
  feed_release(&feed);
  return code;
}
