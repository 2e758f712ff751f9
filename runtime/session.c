/* session.c - calls of compiled code with the state carried between them.
 *
 * A call leaves the new state in the place of the old: it finds out whether it can be done before it writes anything, so one that
 * fails has changed nothing. When there shall be room for more steps, the next call moves the state to a larger place.
 */
#include "seqrt/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/packing.h"

struct seqrt_session {
  const seqrt_model *model;
  seqrt_parameters *parameters;
  const seqrt_context *context;
  int64_t batch;
  int64_t *lengths;         /* of the last call, 1 before it */
  char *state;           /* NULL for a model that looks ahead */
  int64_t state_bytes, capacity;
  char *larger;          /* where the next call puts the state; NULL: it stays */
  int64_t larger_bytes, larger_capacity;
  void *workspace;
  int64_t workspace_bytes;
};

void seqrt_session_destroy(seqrt_session *session) {
  if (!session) return;
  free(session->lengths);
  free(session->state);
  free(session->larger);
  free(session->workspace);
  free(session);
}

static seqrt_code allocate_state(const seqrt_session *session, int64_t capacity, char **out_state, int64_t *out_bytes, seqrt_error *error) {
  const seqrt_model *model = session->model;
  *out_bytes = model->state_size(session->batch, session->lengths, capacity);
  if (*out_bytes < (int64_t)sizeof(seqrt_state_header))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: model '%s' has no state for a batch of %" PRId64 " and %" PRId64 " steps",
                        model->name, session->batch, capacity);
  *out_state = runtime_allocate(*out_bytes);
  return *out_state ? SEQRT_OK : runtime_fail_memory(error, "session, state", *out_bytes);
}

static seqrt_code allocate_session(seqrt_session *session, seqrt_error *error) {
  const seqrt_model *model = session->model;
  session->lengths = calloc((size_t)model->length_count + 1, sizeof *session->lengths);
  if (!session->lengths) return runtime_fail_memory(error, "session", model->length_count * 8);
  for (int32_t i = 0; i < model->length_count; i++) session->lengths[i] = 1;
  if (!model->has_step) return SEQRT_OK;
  seqrt_code code = allocate_state(session, 0, &session->state, &session->state_bytes, error);
  if (code != SEQRT_OK) return code;
  return seqrt_session_reset(session, NULL, error);
}

seqrt_code seqrt_session_create(const seqrt_parameters *parameters, const seqrt_context *context, int64_t batch,
                                seqrt_session **out_session, seqrt_error *error) {
  if (!parameters || !out_session)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: no parameters or no place for it");
  *out_session = NULL;
  if (batch < 1)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: a batch of %" PRId64 " rows, expected 1 or more", batch);
  seqrt_session *session = calloc(1, sizeof *session);
  if (!session) return runtime_fail_memory(error, "session", sizeof *session);
  session->model = parameters->model;
  session->parameters = (seqrt_parameters *)(uintptr_t)parameters; /* the values stay, what is packed of them may come */
  session->context = context;
  session->batch = batch;
  seqrt_code code = allocate_session(session, error);
  if (code == SEQRT_OK) *out_session = session;
  else seqrt_session_destroy(session);
  return code;
}

/* ---- calls ---- */

static seqrt_code ensure_workspace(seqrt_session *session, seqrt_entry_kind kind, const seqrt_call *call, seqrt_error *error) {
  int32_t threads = session->context ? session->context->thread_count : 1;
  int64_t bytes = session->model->workspace_size(kind, session->batch, call->lengths, call->capacity, threads);
  if (bytes < 0) bytes = 0;
  if (session->workspace && bytes <= session->workspace_bytes) return SEQRT_OK;
  free(session->workspace);
  session->workspace = runtime_allocate(bytes);
  session->workspace_bytes = session->workspace ? bytes : 0;
  return session->workspace ? SEQRT_OK : runtime_fail_memory(error, "session, workspace", bytes);
}

/* The state has moved to the larger place. */
static void keep_larger(seqrt_session *session) {
  free(session->state);
  session->state = session->larger;
  session->state_bytes = session->larger_bytes;
  session->capacity = session->larger_capacity;
  session->larger = NULL;
}

/* What a state holds for each position of a whole length (all but the first, the stream's) lies at its end and is computed at the
 * first step, so until then such a length may change. After it the compiled code compares. */
static seqrt_code fit_lengths(seqrt_session *session, const int64_t *lengths, seqrt_error *error) {
  const seqrt_model *model = session->model;
  int32_t count = model->length_count;
  bool is_same = true;
  for (int32_t i = 1; i < count; i++) is_same &= lengths[i] == session->lengths[i];
  if (!session->state || is_same || seqrt_session_position(session) > 0) return SEQRT_OK;
  int64_t bytes = model->state_size(session->batch, lengths, session->capacity);
  if (bytes < (int64_t)sizeof(seqrt_state_header))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: model '%s' has no state for these lengths", model->name);
  char *state = runtime_allocate(bytes);
  if (!state) return runtime_fail_memory(error, "session, state", bytes);
  memcpy(state, session->state, (size_t)(bytes < session->state_bytes ? bytes : session->state_bytes));
  seqrt_state_header *header = (seqrt_state_header *)(void *)state;
  int32_t room = (int32_t)(sizeof header->lengths / sizeof *header->lengths);
  for (int32_t i = 1; i < count && i <= room; i++) header->lengths[i - 1] = lengths[i];
  free(session->state);
  session->state = state;
  session->state_bytes = bytes;
  memcpy(session->lengths, lengths, (size_t)count * sizeof *lengths);
  if (!session->larger) return SEQRT_OK;
  free(session->larger);
  session->larger = NULL;
  return allocate_state(session, session->larger_capacity, &session->larger, &session->larger_bytes, error);
}

/* Makes the call with what the session knows filled in. */
static seqrt_code run_entry(seqrt_session *session, seqrt_entry_kind kind, seqrt_call call, seqrt_error *error) {
  static const char *const names[] = {"forward", "objective", "gradient", "initial state"};
  const seqrt_model *model = session->model;
  if (!model->entries[kind]) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "model '%s' has no %s", model->name, names[kind]);
  for (int32_t i = 0; i < model->length_count; i++)
    if (call.lengths[i] < 1)
      return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "model '%s', length '%s': %" PRId64 ", expected 1 or more", model->name,
                          model->length_names[i], call.lengths[i]);
  seqrt_code code = fit_lengths(session, call.lengths, error);
  if (code != SEQRT_OK) return code;
  call.capacity = session->larger ? session->larger_capacity : session->capacity;
  code = ensure_workspace(session, kind, &call, error);
  if (code != SEQRT_OK) return code;
  call.abi_version = SEQRT_ABI_VERSION;
  call.context = session->context;
  call.batch = session->batch;
  call.parameters = (const float *const *)session->parameters->slots;
  call.state_in = kind == SEQRT_INITIAL ? NULL : session->state;
  call.state_out = session->larger ? session->larger : session->state;
  if (kind == SEQRT_FORWARD || kind == SEQRT_OBJECTIVE) call.packed = parameters_packed(session->parameters, session->context);
  call.workspace = session->workspace;
  if (model->entries[kind](&call) != SEQRT_OK) return seqrt_describe_fault(model, &call, error);
  if (session->larger) keep_larger(session);
  if (call.lengths != session->lengths && model->length_count)
    memcpy(session->lengths, call.lengths, (size_t)model->length_count * sizeof *session->lengths);
  return SEQRT_OK;
}

static seqrt_code check_call(const seqrt_session *session, const int64_t *lengths, const void *const *inputs,
                             seqrt_error *error) {
  if (session && (lengths || !session->model->length_count) && (inputs || !session->model->input_count)) return SEQRT_OK;
  return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: no session, no lengths or no inputs");
}

seqrt_code seqrt_session_reset(seqrt_session *session, const float *const *initial_states, seqrt_error *error) {
  if (!session) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: none is given");
  const seqrt_model *model = session->model;
  if (!session->state && !initial_states) return SEQRT_OK;
  if (!session->state)
    return runtime_fail(error, SEQRT_NO_STEP, "model '%s' has no step: %s", model->name,
                        model->why_no_step ? model->why_no_step : "");
  int64_t *ones = session->lengths;
  return run_entry(session, SEQRT_INITIAL, (seqrt_call){.lengths = ones, .initial_states = initial_states}, error);
}

seqrt_code seqrt_session_forward(seqrt_session *session, const int64_t *lengths, const void *const *inputs, void *const *outputs,
                                 seqrt_error *error) {
  seqrt_code code = check_call(session, lengths, inputs, error);
  if (code != SEQRT_OK) return code;
  return run_entry(session, SEQRT_FORWARD, (seqrt_call){.lengths = lengths, .inputs = inputs, .outputs = outputs}, error);
}

seqrt_code seqrt_session_step(seqrt_session *session, const void *const *inputs, void *const *outputs, seqrt_error *error) {
  if (!session) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: none is given");
  const seqrt_model *model = session->model;
  if (!session->state)
    return runtime_fail(error, SEQRT_NO_STEP, "model '%s' has no step: %s", model->name,
                        model->why_no_step ? model->why_no_step : "");
  if (model->length_count) session->lengths[0] = 1;
  return seqrt_session_forward(session, session->lengths, inputs, outputs, error);
}

seqrt_code seqrt_session_objective(seqrt_session *session, const int64_t *lengths, const void *const *inputs,
                                   float *out_objective, seqrt_error *error) {
  seqrt_code code = check_call(session, lengths, inputs, error);
  if (code != SEQRT_OK) return code;
  return run_entry(session, SEQRT_OBJECTIVE, (seqrt_call){.lengths = lengths, .inputs = inputs, .objective = out_objective},
                   error);
}

seqrt_code seqrt_session_gradient(seqrt_session *session, const int64_t *lengths, const void *const *inputs,
                                  const float *const *cotangents, const seqrt_parameters *out_gradients, float *out_objective,
                                  seqrt_error *error) {
  seqrt_code code = check_call(session, lengths, inputs, error);
  if (code != SEQRT_OK) return code;
  if (!out_gradients || out_gradients->model != session->model)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: no place for the gradients, or one of another model");
  return run_entry(session, SEQRT_GRADIENT,
                   (seqrt_call){.lengths = lengths,
                                .inputs = inputs,
                                .cotangents = cotangents,
                                .objective = out_objective,
                                .parameter_gradients = out_gradients->slots},
                   error);
}

/* ---- state ---- */

seqrt_code seqrt_session_reserve(seqrt_session *session, int64_t capacity, seqrt_error *error) {
  if (!session || capacity < 0)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: none is given, or room for %" PRId64 " steps", capacity);
  int64_t present = session->larger ? session->larger_capacity : session->capacity;
  if (!session->state || !session->model->grows || capacity <= present) return SEQRT_OK;
  char *larger;
  int64_t bytes;
  seqrt_code code = allocate_state(session, capacity, &larger, &bytes, error);
  if (code != SEQRT_OK) return code;
  free(session->larger);
  session->larger = larger;
  session->larger_bytes = bytes;
  session->larger_capacity = capacity;
  return SEQRT_OK;
}

int64_t seqrt_session_capacity(const seqrt_session *session) {
  if (!session) return 0;
  return session->larger ? session->larger_capacity : session->capacity;
}

/* The axis over all steps so far, or -1. */
static int32_t steps_axis(const seqrt_tensor *tensor) {
  for (int32_t axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis] == SEQRT_AXIS_STEPS) return axis;
  return -1;
}

seqrt_code seqrt_session_get_state(const seqrt_session *session, int32_t index, float *out_values, seqrt_error *error) {
  if (!session || !out_values || index < 0 || index >= session->model->state_count || !session->state)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: state %" PRId32 " does not exist, or no place for it is given",
                        index);
  const seqrt_tensor *tensor = &session->model->states[index];
  int32_t axis = steps_axis(tensor), inner_axis = axis + 1;
  int64_t position = seqrt_session_position(session);
  int64_t outer = axis < 0 ? 1 : runtime_elements(tensor->shape, axis, session->batch, session->lengths);
  int64_t inner = runtime_elements(tensor->shape + inner_axis, tensor->rank - inner_axis, session->batch, session->lengths);
  int64_t places = axis < 0 ? 1 : session->capacity, filled = axis < 0 ? 1 : position; /* along the steps */
  int64_t offset = session->model->state_offset(index, session->batch, session->lengths, session->capacity);
  if (outer < 0 || inner < 0 || offset < 0 || offset + outer * places * inner * 4 > session->state_bytes)
    return runtime_fail(error, SEQRT_MISMATCH, "session: state '%s' lies outside of the carried state", tensor->name);
  const float *from = (const float *)(const void *)(session->state + offset);
  for (int64_t o = 0; o < outer; o++)
    memcpy(out_values + o * filled * inner, from + o * places * inner, (size_t)(filled * inner) * sizeof *out_values);
  return SEQRT_OK;
}

int64_t seqrt_session_position(const seqrt_session *session) {
  seqrt_state_header header;
  if (!session || !session->state) return 0;
  memcpy(&header, session->state, sizeof header);
  return header.position;
}

const void *seqrt_session_state(const seqrt_session *session, int64_t *out_bytes) {
  if (out_bytes) *out_bytes = session ? session->state_bytes : 0;
  return session ? session->state : NULL;
}

seqrt_code seqrt_session_set_state(seqrt_session *session, const void *state, int64_t bytes, seqrt_error *error) {
  seqrt_state_header header;
  if (!session || (!state && bytes))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "session: no session or no state is given");
  if (!bytes && !session->state) return SEQRT_OK;
  if (bytes < (int64_t)sizeof header || !session->state)
    return runtime_fail(error, SEQRT_MISMATCH, "session: a state of %" PRId64 " bytes, expected %" PRId64, bytes, session->state_bytes);
  memcpy(&header, state, sizeof header);
  if (header.fingerprint != session->model->fingerprint || header.position < 0)
    return runtime_fail(error, SEQRT_MISMATCH, "session: the state was made by another model than '%s'", session->model->name);
  int64_t expected = session->model->state_size(session->batch, session->lengths, header.capacity);
  if (bytes != expected)
    return runtime_fail(error, SEQRT_MISMATCH, "session: a state of %" PRId64 " bytes, expected %" PRId64, bytes, expected);
  char *copy = runtime_allocate(bytes);
  if (!copy) return runtime_fail_memory(error, "session, state", bytes);
  memcpy(copy, state, (size_t)bytes);
  int64_t capacity = seqrt_session_capacity(session);
  free(session->larger);
  session->larger = copy;
  session->larger_bytes = bytes;
  session->larger_capacity = session->model->grows ? header.capacity : 0;
  keep_larger(session);
  return seqrt_session_reserve(session, capacity, error);
}
