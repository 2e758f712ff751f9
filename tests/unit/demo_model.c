/* demo_model.c - what a compiled model looks like from outside, in plain C: leaky integrator and softmax regression.
 *
 * Workspace: dh (B, D), then h of all steps (B, T, D). State: header, padded to a line, then h (B, D). All on the first
 * thread of the team, after a barrier of all of them.
 */
#include "demo_model.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { V = DEMO_VOCABULARY, D = DEMO_WIDTH, EMBEDDING = 0, WEIGHT = 1, DECAY = 3, BIAS = 4, SLOTS = 5, LINE = SEQRT_ALIGNMENT };

int demo_packings;

static const int64_t EMBEDDING_SHAPE[] = {V, D}, WEIGHT_SHAPE[] = {V, D}, DECAY_SHAPE[] = {D}, BIAS_SHAPE[] = {V};
static const int64_t TOKEN_SHAPE[] = {SEQRT_AXIS_BATCH, SEQRT_AXIS_LENGTH(0)};
static const int64_t LOGITS_SHAPE[] = {SEQRT_AXIS_BATCH, SEQRT_AXIS_LENGTH(0), V}, STATE_SHAPE[] = {SEQRT_AXIS_BATCH, D};

static const seqrt_parameter PARAMETERS[] = {
    {"embedding", 2, 0, EMBEDDING_SHAPE, V *D, 0, 0, EMBEDDING, SEQRT_INIT_NORMAL, 0, 1},
    {"head.{}.weight", 2, 2, WEIGHT_SHAPE, V *D, 2, 1, WEIGHT, SEQRT_INIT_UNIFORM, -0.5, 0.5},
    {"decay", 1, 0, DECAY_SHAPE, D, 0, 0, DECAY, SEQRT_INIT_CONSTANT, 0.5, 0},
    {"head.bias", 1, 0, BIAS_SHAPE, V, 0, 0, BIAS, SEQRT_INIT_UNIFORM, -0.1, 0.1},
};
static const seqrt_tensor INPUTS[] = {
    {"token", SEQRT_I32, 2, TOKEN_SHAPE, 0, 0, 1, 1, 0, V},
    {"target", SEQRT_I32, 2, TOKEN_SHAPE, 0, 1, 1, 1, 0, V},
};
static const seqrt_tensor OUTPUTS[] = {{"logits", SEQRT_F32, 3, LOGITS_SHAPE, 0, 0, 1, 0, 0, 0}};
static const seqrt_tensor STATES[] = {{"h", SEQRT_F32, 2, STATE_SHAPE, 0, 0, 1, 0, 0, 0}};
static const int64_t LIMITS[] = {0};
static const char *const LENGTH_NAMES[] = {"T"}, *const IGNORED[] = {"unused.*"}, *const PROCESSORS[] = {"any"};

static int64_t workspace_size(int32_t entry, int64_t batch, const int64_t *lengths, int64_t capacity, int32_t threads) {
  (void)capacity;
  (void)entry;
  (void)threads;
  return batch * (lengths[0] + 1) * D * (int64_t)sizeof(float);
}

static int64_t state_size(int64_t batch, const int64_t *lengths, int64_t capacity) {
  (void)lengths;
  (void)capacity;
  return LINE + batch * D * (int64_t)sizeof(float);
}

static int64_t state_offset(int32_t state, int64_t batch, const int64_t *lengths, int64_t capacity) {
  (void)state;
  (void)batch;
  (void)lengths;
  (void)capacity;
  return LINE;
}

static int32_t fail(seqrt_call *call, seqrt_fault fault) {
  call->fault = fault;
  return fault.code;
}

static int32_t check_input(seqrt_call *call, int32_t index) {
  const int32_t *values = call->inputs[index];
  if (!values) return fail(call, (seqrt_fault){.code = SEQRT_INVALID_ARGUMENT, .argument = SEQRT_ARGUMENT_INPUT, .index = index});
  for (int64_t n = 0; n < call->batch * call->lengths[0]; n++)
    if (values[n] < 0 || values[n] >= V)
      return fail(call, (seqrt_fault){.code = SEQRT_OUT_OF_RANGE,
                                      .argument = SEQRT_ARGUMENT_INPUT,
                                      .index = index,
                                      .element = n,
                                      .value = values[n],
                                      .low = 0,
                                      .high = V});
  return SEQRT_OK;
}

static const float *initial_h(const seqrt_call *call) {
  if (call->state_in) return (const float *)((const char *)call->state_in + LINE);
  return call->initial_states ? call->initial_states[0] : NULL;
}

static void write_state(const seqrt_call *call, uint64_t fingerprint, const float *last_h, int64_t stride, int64_t steps) {
  if (!call->state_out) return;
  seqrt_state_header header = {.position = steps, .fingerprint = fingerprint};
  if (call->state_in) header.position += ((const seqrt_state_header *)call->state_in)->position;
  float *h = (float *)((char *)call->state_out + LINE);
  memset(call->state_out, 0, LINE);
  memcpy(call->state_out, &header, sizeof header);
  for (int64_t row = 0; row < call->batch; row++)
    for (int d = 0; d < D; d++) h[row * D + d] = last_h ? last_h[row * stride + d] : 0;
}

/* What is packed: both weights, added. */
static int32_t pack(seqrt_call *call) {
  float *packed = call->packed;
  for (int n = 0; n < V * D; n++) packed[n] = call->parameters[WEIGHT][n] + call->parameters[WEIGHT + 1][n];
  demo_packings++;
  return SEQRT_OK;
}

static void compute_logits(const seqrt_call *call, const float *h, float *logits) {
  const float *const *p = call->parameters, *packed = call->packed;
  for (int v = 0; v < V; v++) {
    float sum = p[BIAS][v];
    for (int d = 0; d < D; d++) sum += (packed ? packed[v * D + d] : p[WEIGHT][v * D + d] + p[WEIGHT + 1][v * D + d]) * h[d];
    logits[v] = sum;
  }
}

/* h of all steps into the workspace, logits where they are wanted. */
static float *run_forward(const seqrt_call *call) {
  int64_t length = call->lengths[0];
  float *all_h = (float *)call->workspace + call->batch * D;
  const float *start = initial_h(call);
  float *logits = call->outputs ? call->outputs[0] : NULL;
  for (int64_t row = 0; row < call->batch; row++)
    for (int64_t t = 0; t < length; t++) {
      int64_t n = row * length + t;
      const float *embedding = call->parameters[EMBEDDING] + ((const int32_t *)call->inputs[0])[n] * D;
      const float *before = t ? all_h + (n - 1) * D : start ? start + row * D : NULL;
      for (int d = 0; d < D; d++) all_h[n * D + d] = (before ? call->parameters[DECAY][d] * before[d] : 0) + embedding[d];
      if (logits) compute_logits(call, all_h + n * D, logits + n * V);
    }
  return all_h;
}

/* Loss of one position; probabilities minus the target's one into `d_logits`. */
static double position_loss(const seqrt_call *call, const float *h, int32_t target, float *d_logits) {
  float logits[V];
  compute_logits(call, h, logits);
  float largest = logits[0];
  for (int v = 1; v < V; v++) largest = logits[v] > largest ? logits[v] : largest;
  double total = 0;
  for (int v = 0; v < V; v++) total += exp((double)(logits[v] - largest));
  for (int v = 0; v < V; v++) d_logits[v] = (float)(exp((double)(logits[v] - largest)) / total - (v == target));
  return log(total) - (double)(logits[target] - largest);
}

static void add_gradients(const seqrt_call *call, int64_t row, const float *all_h, double *out_loss) {
  int64_t length = call->lengths[0];
  float scale = 1.0f / (float)(call->batch * length), *dh = (float *)call->workspace + row * D;
  float *const *g = call->parameter_gradients;
  const float *start = initial_h(call);
  memset(dh, 0, D * sizeof *dh);
  for (int64_t t = length - 1; t >= 0; t--) {
    int64_t n = row * length + t;
    const float *h = all_h + n * D, *before = t ? h - D : start ? start + row * D : NULL;
    float d_logits[V];
    *out_loss += position_loss(call, h, ((const int32_t *)call->inputs[1])[n], d_logits);
    if (!g) continue;
    for (int v = 0; v < V; v++) {
      g[BIAS][v] += d_logits[v] * scale;
      for (int d = 0; d < D; d++) {
        g[WEIGHT][v * D + d] += d_logits[v] * h[d] * scale;
        g[WEIGHT + 1][v * D + d] += d_logits[v] * h[d] * scale;
        dh[d] += d_logits[v] * (call->parameters[WEIGHT][v * D + d] + call->parameters[WEIGHT + 1][v * D + d]) * scale;
      }
    }
    for (int d = 0; d < D; d++) {
      g[EMBEDDING][((const int32_t *)call->inputs[0])[n] * D + d] += dh[d];
      if (before) g[DECAY][d] += dh[d] * before[d];
      dh[d] *= call->parameters[DECAY][d];
    }
  }
}

static void compute(seqrt_call *call, uint64_t fingerprint, bool has_objective, bool has_gradient) {
  int64_t length = call->lengths[0];
  const float *all_h = run_forward(call);
  if (has_gradient)
    for (int slot = 0; slot < SLOTS; slot++)
      memset(call->parameter_gradients[slot], 0, (slot == DECAY ? D : slot == BIAS ? V : V * D) * sizeof(float));
  double loss = 0;
  for (int64_t row = 0; row < call->batch && has_objective; row++) add_gradients(call, row, all_h, &loss);
  if (has_objective && call->objective) *call->objective = (float)(loss / (double)(call->batch * length));
  write_state(call, fingerprint, all_h + (length - 1) * D, length * D, length);
}

/* What the team does: all meet, the first one works. */
typedef struct Job {
  seqrt_call *call;
  uint64_t fingerprint;
  bool has_objective, has_gradient;
} Job;

static void job_body(void *argument, int32_t thread, int32_t thread_count) {
  const Job *job = argument;
  (void)thread_count;
  if (job->call->context) job->call->context->barrier(job->call->context);
  if (thread == 0) compute(job->call, job->fingerprint, job->has_objective, job->has_gradient);
}

static int32_t run(seqrt_call *call, uint64_t fingerprint, bool has_objective, bool has_gradient) {
  if (call->abi_version != SEQRT_ABI_VERSION) return fail(call, (seqrt_fault){.code = SEQRT_VERSION, .index = -1});
  if (call->state_in && ((const seqrt_state_header *)call->state_in)->fingerprint != fingerprint)
    return fail(call, (seqrt_fault){.code = SEQRT_MISMATCH, .argument = SEQRT_ARGUMENT_STATE, .index = -1});
  int32_t code = check_input(call, 0);
  if (code == SEQRT_OK && has_objective) code = check_input(call, 1);
  if (code != SEQRT_OK) return code;
  Job job = {call, fingerprint, has_objective, has_gradient};
  if (call->context) call->context->parallel(call->context, job_body, &job);
  else job_body(&job, 0, 1);
  return SEQRT_OK;
}

#define DEMO_MODEL(NAME, PRINT)                                                                          \
  static int32_t NAME##_forward(seqrt_call *call) { return run(call, PRINT, false, false); }             \
  static int32_t NAME##_objective(seqrt_call *call) { return run(call, PRINT, true, false); }            \
  static int32_t NAME##_gradient(seqrt_call *call) { return run(call, PRINT, true, true); }              \
  static int32_t NAME##_initial(seqrt_call *call) {                                                      \
    write_state(call, PRINT, call->initial_states ? call->initial_states[0] : NULL, D, 0);               \
    return SEQRT_OK;                                                                                     \
  }                                                                                                      \
  const seqrt_model NAME##_model = {SEQRT_ABI_VERSION,                                                   \
                                    sizeof(seqrt_model),                                                 \
                                    #NAME,                                                               \
                                    "by hand",                                                           \
                                    "any",                                                               \
                                    4,                                                                   \
                                    SLOTS,                                                               \
                                    PARAMETERS,                                                          \
                                    2,                                                                   \
                                    INPUTS,                                                              \
                                    1,                                                                   \
                                    OUTPUTS,                                                             \
                                    1,                                                                   \
                                    STATES,                                                              \
                                    1,                                                                   \
                                    LENGTH_NAMES,                                                        \
                                    1,                                                                   \
                                    1,                                                                   \
                                    0,                                                                   \
                                    0,                                                                   \
                                    "loss",                                                              \
                                    NULL,                                                                \
                                    PRINT,                                                               \
                                    {NAME##_forward, NAME##_objective, NAME##_gradient, NAME##_initial, pack}, \
                                    LIMITS,                                                              \
                                    workspace_size,                                                      \
                                    state_size,                                                          \
                                    state_offset,                                                        \
                                    1,                                                                   \
                                    IGNORED,                                                             \
                                    V * D * sizeof(float),                                               \
                                    1,                                                                   \
                                    PROCESSORS,                                                          \
                                    NULL};

DEMO_MODEL(demo, 0x1234567812345678u)
DEMO_MODEL(other_demo, 0x8765432187654321u)
