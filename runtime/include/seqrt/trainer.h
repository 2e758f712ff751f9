/* trainer.h - training on a long sequence of tokens by truncated back-propagation, with evaluation, checkpoint and
 * resume.
 *
 * The sequence is cut into as many contiguous streams as the batch has rows. Step s reads the next `length` tokens of
 * every stream and predicts the tokens one further on; the carried state goes from step to step, gradients don't. When
 * the streams end, they begin again with the state before the first step; a model that keeps all steps, or reads a table by
 * position, begins with that state in every step. The objective is taken to be a mean over rows
 * and steps, in nats.
 */
#ifndef SEQRT_TRAINER_H
#define SEQRT_TRAINER_H

#include "seqrt/optimizer.h"
#include "seqrt/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `rows` streams: stream r predicts tokens[r*stride + 1 ... r*stride + length] from the ones before each. */
typedef struct seqrt_streams {
  const int32_t *tokens; /* the caller's, must stay */
  int64_t rows, stride, length;
} seqrt_streams;

/* Cuts `count` tokens into contiguous streams of (count-1) / rows predictions. SEQRT_INVALID_ARGUMENT when there are too few. */
seqrt_code seqrt_streams_cut(const int32_t *tokens, int64_t count, int64_t rows, seqrt_streams *out_streams,
                             seqrt_error *out_error);

typedef struct seqrt_trainer_options {
  seqrt_streams data;       /* .rows is the batch */
  int64_t length;           /* T, steps of one chunk; at most data.length */
  const char *token_input;  /* name of the model's input that gets the tokens */
  const char *target_input; /* of the objective's input that gets the next ones */
  seqrt_optimizer_options optimizer;
  seqrt_schedule schedule;
  uint64_t seed; /* of the initial values */
} seqrt_trainer_options;

/* Opaque but for these, which may be read. */
typedef struct seqrt_trainer {
  seqrt_parameters *parameters, *gradients;
  seqrt_optimizer *optimizer;
  struct seqrt_session *session;
  int64_t step;     /* done */
  int64_t position; /* in the streams, where the next step begins */
  struct seqrt_trainer_private *private_part;
} seqrt_trainer;

/* What one step did. */
typedef struct seqrt_step_report {
  int64_t step;         /* steps done, this one included */
  double loss;          /* before the update, in nats */
  double gradient_norm; /* before clipping */
  double learning_rate;
} seqrt_step_report;

/* Parameters with their initial values, moments zero, at the start of the data. `context` may be NULL. Names are copied. */
seqrt_code seqrt_trainer_create(const seqrt_model *model, const seqrt_context *context, const seqrt_trainer_options *options,
                                seqrt_trainer **out_trainer, seqrt_error *out_error);
void seqrt_trainer_destroy(seqrt_trainer *trainer);

/* One step. */
seqrt_code seqrt_trainer_step(seqrt_trainer *trainer, seqrt_step_report *out_report, seqrt_error *out_error);

/* Called after each step; anything but 0 stops the run, which then returns SEQRT_CANCELLED. */
typedef int (*seqrt_trainer_callback)(void *argument, const seqrt_step_report *report);

/* Steps until options.schedule.steps are done. `callback` may be NULL. */
seqrt_code seqrt_trainer_run(seqrt_trainer *trainer, seqrt_trainer_callback callback, void *argument, seqrt_error *out_error);

/* Nats per token of other streams, in chunks of the trainer's length (the last one shorter), from the start with the
 * state carried where training carries it. The training's own state is not touched. */
seqrt_code seqrt_trainer_evaluate(const seqrt_trainer *trainer, const seqrt_streams *data, double *out_loss,
                                  seqrt_error *out_error);

/* Everything that the next step depends on, in one safetensors file: parameters, moments, carried state, step and
 * position, seed and settings. Written whole or not at all. */
seqrt_code seqrt_trainer_save(const seqrt_trainer *trainer, const char *path, seqrt_error *out_error);

/* Continues from such a file, bit for bit, in a trainer made with the same options. SEQRT_VERSION: a checkpoint of
 * another version; SEQRT_MISMATCH: of another model, other settings or other data, which the message lists; SEQRT_FORMAT:
 * no checkpoint. The trainer is unchanged on failure. */
seqrt_code seqrt_trainer_resume(seqrt_trainer *trainer, const char *path, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
