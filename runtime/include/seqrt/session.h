/* session.h - a model at work on a batch of sequences: parameters, carried state and workspace together.
 *
 * Each call continues where the last one ended: a chunk of any number of steps, or one step, from the carried state to
 * the next. A call that fails leaves the state as it was. A model that looks ahead has no state; each of its calls is a
 * whole sequence. The state of a model that reads all steps so far grows with them: seqrt_session_reserve says how many there
 * is room for, none at first, and a call that goes past them is SEQRT_POSITION. Inputs without time are looked at in the first call
 * of a sequence where what they give is kept; their lengths may not change after it (SEQRT_MISMATCH).
 */
#ifndef SEQRT_SESSION_H
#define SEQRT_SESSION_H

#include "seqrt/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_session seqrt_session;

/* For `batch` rows. Model, parameters and context (NULL: one thread) must outlive it and may be shared with other
 * sessions. Starts at the beginning of the sequence. Calls forward pack the parameters first where they are not: see
 * seqrt_parameters_pack, which says what that costs. */
seqrt_code seqrt_session_create(const seqrt_parameters *parameters, const seqrt_context *context, int64_t batch,
                                seqrt_session **out_session, seqrt_error *out_error);
void seqrt_session_destroy(seqrt_session *session);

/* Back to the start. `initial_states` is NULL or has the declared states in order, each of the shape the model declares,
 * batch included; NULL entries are zero. This is how declared states are set. */
seqrt_code seqrt_session_reset(seqrt_session *session, const float *const *initial_states, seqrt_error *out_error);

/* Room for `capacity` steps in all, those done so far included, where the state grows; it never shrinks. The state is moved by
 * the next call. */
seqrt_code seqrt_session_reserve(seqrt_session *session, int64_t capacity, seqrt_error *out_error);
int64_t seqrt_session_capacity(const seqrt_session *session); /* 0 where the state does not grow */

/* Copies declared state `index` as it is after the last call; an axis of SEQRT_AXIS_STEPS has seqrt_session_position places. */
seqrt_code seqrt_session_get_state(const seqrt_session *session, int32_t index, float *out_values, seqrt_error *out_error);

/* Steps done since the start. */
int64_t seqrt_session_position(const seqrt_session *session);

/* The opaque state and its bytes, to be stored; NULL and 0 where the model has none. set: SEQRT_MISMATCH unless it is of this
 * model and batch; the capacity may be another. */
const void *seqrt_session_state(const seqrt_session *session, int64_t *out_bytes);
seqrt_code seqrt_session_set_state(seqrt_session *session, const void *state, int64_t bytes, seqrt_error *out_error);

/* A chunk: lengths[length_count], inputs[input_count] (those of the objective may be NULL), outputs[output_count] (NULL
 * entries are not computed). */
seqrt_code seqrt_session_forward(seqrt_session *session, const int64_t *lengths, const void *const *inputs, void *const *outputs,
                                 seqrt_error *out_error);

/* A chunk of one step. Further lengths are those of the call before, 1 at first. */
seqrt_code seqrt_session_step(seqrt_session *session, const void *const *inputs, void *const *outputs, seqrt_error *out_error);

/* The objective of a chunk. */
seqrt_code seqrt_session_objective(seqrt_session *session, const int64_t *lengths, const void *const *inputs,
                                   float *out_objective, seqrt_error *out_error);

/* Gradients of a chunk; none flow into the carried state. From the objective (`out_objective` may be NULL), or for a
 * model without one from cotangents[output_count]. */
seqrt_code seqrt_session_gradient(seqrt_session *session, const int64_t *lengths, const void *const *inputs,
                                  const float *const *cotangents, const seqrt_parameters *out_gradients, float *out_objective,
                                  seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
