/* recurrent_gemma.h - the model 'recurrent_gemma', made by seqc from tests/golden/recurrent_gemma.seq; changes here are lost.
 *
 * Arrays are dense and row-major. B is the batch. Nothing here allocates, and nothing has global state.
 */
#ifndef SEQC_MODEL_RECURRENT_GEMMA_H
#define SEQC_MODEL_RECURRENT_GEMMA_H

#include <seqrt/abi.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const seqrt_model recurrent_gemma_model;

/* Slots of the tables of parameters and of their gradients; a parameter with turns has one slot for each, in order. */
enum {
  RECURRENT_GEMMA_PARAMETER_MODEL_EMBED_TOKENS_WEIGHT = 0, /* model.embed_tokens.weight: (61, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_PRE_NORM_WEIGHT = 1, /* model.layers.0.temporal_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_RG_LRU_RECURRENT_GATE_WEIGHT = 2, /* model.layers.0.temporal_block.rg_lru.recurrent_gate_weight: (2, 12, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_RG_LRU_INPUT_GATE_WEIGHT = 3, /* model.layers.0.temporal_block.rg_lru.input_gate_weight: (2, 12, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_RG_LRU_RECURRENT_GATE_BIAS = 4, /* model.layers.0.temporal_block.rg_lru.recurrent_gate_bias: (2, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_RG_LRU_INPUT_GATE_BIAS = 5, /* model.layers.0.temporal_block.rg_lru.input_gate_bias: (2, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_RG_LRU_RECURRENT_PARAM = 6, /* model.layers.0.temporal_block.rg_lru.recurrent_param: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_X_WEIGHT = 7, /* model.layers.0.temporal_block.linear_x.weight: (24, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_X_BIAS = 8, /* model.layers.0.temporal_block.linear_x.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_Y_WEIGHT = 9, /* model.layers.0.temporal_block.linear_y.weight: (24, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_Y_BIAS = 10, /* model.layers.0.temporal_block.linear_y.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_CONV_1D_WEIGHT = 11, /* model.layers.0.temporal_block.conv_1d.weight: (24, 1, 4) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_CONV_1D_BIAS = 12, /* model.layers.0.temporal_block.conv_1d.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_OUT_WEIGHT = 13, /* model.layers.0.temporal_block.linear_out.weight: (16, 24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_TEMPORAL_BLOCK_LINEAR_OUT_BIAS = 14, /* model.layers.0.temporal_block.linear_out.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_CHANNEL_PRE_NORM_WEIGHT = 15, /* model.layers.0.channel_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_GATE_PROJ_WEIGHT = 16, /* model.layers.0.mlp_block.gate_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_GATE_PROJ_BIAS = 17, /* model.layers.0.mlp_block.gate_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_UP_PROJ_WEIGHT = 18, /* model.layers.0.mlp_block.up_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_UP_PROJ_BIAS = 19, /* model.layers.0.mlp_block.up_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_DOWN_PROJ_WEIGHT = 20, /* model.layers.0.mlp_block.down_proj.weight: (16, 28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_0_MLP_BLOCK_DOWN_PROJ_BIAS = 21, /* model.layers.0.mlp_block.down_proj.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_PRE_NORM_WEIGHT = 22, /* model.layers.1.temporal_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_RG_LRU_RECURRENT_GATE_WEIGHT = 23, /* model.layers.1.temporal_block.rg_lru.recurrent_gate_weight: (2, 12, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_RG_LRU_INPUT_GATE_WEIGHT = 24, /* model.layers.1.temporal_block.rg_lru.input_gate_weight: (2, 12, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_RG_LRU_RECURRENT_GATE_BIAS = 25, /* model.layers.1.temporal_block.rg_lru.recurrent_gate_bias: (2, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_RG_LRU_INPUT_GATE_BIAS = 26, /* model.layers.1.temporal_block.rg_lru.input_gate_bias: (2, 12) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_RG_LRU_RECURRENT_PARAM = 27, /* model.layers.1.temporal_block.rg_lru.recurrent_param: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_X_WEIGHT = 28, /* model.layers.1.temporal_block.linear_x.weight: (24, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_X_BIAS = 29, /* model.layers.1.temporal_block.linear_x.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_Y_WEIGHT = 30, /* model.layers.1.temporal_block.linear_y.weight: (24, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_Y_BIAS = 31, /* model.layers.1.temporal_block.linear_y.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_CONV_1D_WEIGHT = 32, /* model.layers.1.temporal_block.conv_1d.weight: (24, 1, 4) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_CONV_1D_BIAS = 33, /* model.layers.1.temporal_block.conv_1d.bias: (24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_OUT_WEIGHT = 34, /* model.layers.1.temporal_block.linear_out.weight: (16, 24) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_TEMPORAL_BLOCK_LINEAR_OUT_BIAS = 35, /* model.layers.1.temporal_block.linear_out.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_CHANNEL_PRE_NORM_WEIGHT = 36, /* model.layers.1.channel_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_GATE_PROJ_WEIGHT = 37, /* model.layers.1.mlp_block.gate_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_GATE_PROJ_BIAS = 38, /* model.layers.1.mlp_block.gate_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_UP_PROJ_WEIGHT = 39, /* model.layers.1.mlp_block.up_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_UP_PROJ_BIAS = 40, /* model.layers.1.mlp_block.up_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_DOWN_PROJ_WEIGHT = 41, /* model.layers.1.mlp_block.down_proj.weight: (16, 28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_1_MLP_BLOCK_DOWN_PROJ_BIAS = 42, /* model.layers.1.mlp_block.down_proj.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_PRE_NORM_WEIGHT = 43, /* model.layers.2.temporal_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_BLOCK_Q_PROJ_WEIGHT = 44, /* model.layers.2.temporal_block.q_proj.weight: (16, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_BLOCK_K_PROJ_WEIGHT = 45, /* model.layers.2.temporal_block.k_proj.weight: (8, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_BLOCK_V_PROJ_WEIGHT = 46, /* model.layers.2.temporal_block.v_proj.weight: (8, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_BLOCK_O_PROJ_WEIGHT = 47, /* model.layers.2.temporal_block.o_proj.weight: (16, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_TEMPORAL_BLOCK_O_PROJ_BIAS = 48, /* model.layers.2.temporal_block.o_proj.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_CHANNEL_PRE_NORM_WEIGHT = 49, /* model.layers.2.channel_pre_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_GATE_PROJ_WEIGHT = 50, /* model.layers.2.mlp_block.gate_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_GATE_PROJ_BIAS = 51, /* model.layers.2.mlp_block.gate_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_UP_PROJ_WEIGHT = 52, /* model.layers.2.mlp_block.up_proj.weight: (28, 16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_UP_PROJ_BIAS = 53, /* model.layers.2.mlp_block.up_proj.bias: (28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_DOWN_PROJ_WEIGHT = 54, /* model.layers.2.mlp_block.down_proj.weight: (16, 28) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_LAYERS_2_MLP_BLOCK_DOWN_PROJ_BIAS = 55, /* model.layers.2.mlp_block.down_proj.bias: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_MODEL_FINAL_NORM_WEIGHT = 56, /* model.final_norm.weight: (16) float32 */
  RECURRENT_GEMMA_PARAMETER_SLOTS = 57
};

enum {
  RECURRENT_GEMMA_INPUT_INPUT_IDS = 0, /* input_ids: (B, T) int32, 0 <= value < 61 */
  RECURRENT_GEMMA_INPUTS = 1
};

enum {
  RECURRENT_GEMMA_OUTPUT_LOGITS = 0, /* logits: (B, T, 61) float32 */
  RECURRENT_GEMMA_OUTPUTS = 1
};

enum {
  RECURRENT_GEMMA_STATE_LRU_0 = 0, /* lru.0: (B, 24) float32 */
  RECURRENT_GEMMA_STATE_LRU_1 = 1, /* lru.1: (B, 24) float32 */
  RECURRENT_GEMMA_STATES = 2
};

/* Bytes of workspace that a call needs; 0 for impossible sizes.
 *   entry     which entry point; a step is SEQRT_FORWARD with one step
 *   batch     B, the number of rows
 *   steps     T, the number of steps, at least 1
 *   capacity  that of the call; 0 for a whole sequence without a state
 *   threads   of the context that the call will have; 1 without one
 */
static inline int64_t recurrent_gemma_workspace_size(seqrt_entry_kind entry, int64_t batch, int64_t steps,
    int64_t capacity, int32_t threads) {
  const int64_t lengths[] = {steps};
  return recurrent_gemma_model.workspace_size((int32_t)entry, batch, lengths, capacity, threads);
}

/* Bytes of a state with room for `capacity` steps in all, which is aligned to 64; 0 for impossible sizes. */
static inline int64_t recurrent_gemma_state_size(int64_t batch, int64_t capacity) {
  return recurrent_gemma_model.state_size(batch, NULL, capacity);
}

/* The values of a declared state inside of a state that an entry point has written. Along all steps so far it has
 * `capacity` places, the first of them filled. */
static inline float *recurrent_gemma_state_values(void *state_out, int32_t state, int64_t batch, int64_t capacity) {
  return (float *)((char *)state_out + recurrent_gemma_model.state_offset(state, batch, NULL, capacity));
}

/* Outputs and state of any number of steps, from any state. Returns a seqrt_code.
 *   context         a team of threads, NULL: the calling thread alone
 *   parameters      RECURRENT_GEMMA_PARAMETER_SLOTS pointers
 *   input_ids       (B, T) int32, 0 <= value < 61
 *   batch           B, the number of rows, at least 1
 *   steps           T, the number of steps, at least 1
 *   initial_states  NULL, or RECURRENT_GEMMA_STATES pointers, NULL entries mean zero
 *   state_in        NULL: the start of the sequence
 *   state_out       NULL: not wanted; may be the same as state_in
 *   capacity        steps, in all, that state_out has room for; 0 without one at the start of the sequence
 *   logits          (B, T, 61) float32; NULL: not wanted
 *   workspace       recurrent_gemma_workspace_size(...) bytes, aligned to 64
 *   out_fault       what is wrong when the result is not SEQRT_OK; NULL: not wanted
 */
static inline int32_t recurrent_gemma_forward(const seqrt_context *context, const float *const *parameters,
    const int32_t *input_ids, int64_t batch, int64_t steps, const float *const *initial_states,
    const void *state_in, void *state_out, int64_t capacity, float *logits, void *workspace,
    seqrt_fault *out_fault) {
  const void *inputs[] = {input_ids};
  void *outputs[] = {logits};
  const int64_t lengths[] = {steps};
  seqrt_call call;
  int32_t status;
  memset(&call, 0, sizeof call);
  call.abi_version = SEQRT_ABI_VERSION;
  call.lengths = lengths;
  call.inputs = inputs;
  call.outputs = outputs;
  call.context = context;
  call.parameters = parameters;
  call.batch = batch;
  call.initial_states = initial_states;
  call.state_in = state_in;
  call.state_out = state_out;
  call.capacity = capacity;
  call.workspace = workspace;
  status = recurrent_gemma_model.entries[SEQRT_FORWARD](&call);
  if (out_fault) *out_fault = call.fault;
  return status;
}

/* Outputs and state of one step (T = 1). Returns a seqrt_code.
 *   context         a team of threads, NULL: the calling thread alone
 *   parameters      RECURRENT_GEMMA_PARAMETER_SLOTS pointers
 *   input_ids       (B, T) int32, 0 <= value < 61
 *   batch           B, the number of rows, at least 1
 *   initial_states  NULL, or RECURRENT_GEMMA_STATES pointers, NULL entries mean zero
 *   state_in        NULL: the start of the sequence
 *   state_out       NULL: not wanted; may be the same as state_in
 *   capacity        steps, in all, that state_out has room for; 0 without one at the start of the sequence
 *   logits          (B, T, 61) float32; NULL: not wanted
 *   workspace       recurrent_gemma_workspace_size(...) bytes, aligned to 64
 *   out_fault       what is wrong when the result is not SEQRT_OK; NULL: not wanted
 */
static inline int32_t recurrent_gemma_step(const seqrt_context *context, const float *const *parameters,
    const int32_t *input_ids, int64_t batch, const float *const *initial_states, const void *state_in,
    void *state_out, int64_t capacity, float *logits, void *workspace, seqrt_fault *out_fault) {
  const void *inputs[] = {input_ids};
  void *outputs[] = {logits};
  const int64_t lengths[] = {1};
  seqrt_call call;
  int32_t status;
  memset(&call, 0, sizeof call);
  call.abi_version = SEQRT_ABI_VERSION;
  call.lengths = lengths;
  call.inputs = inputs;
  call.outputs = outputs;
  call.context = context;
  call.parameters = parameters;
  call.batch = batch;
  call.initial_states = initial_states;
  call.state_in = state_in;
  call.state_out = state_out;
  call.capacity = capacity;
  call.workspace = workspace;
  status = recurrent_gemma_model.entries[SEQRT_FORWARD](&call);
  if (out_fault) *out_fault = call.fault;
  return status;
}

/* The gradients of parameters, inputs and initial states. Returns a seqrt_code.
 *   context              a team of threads, NULL: the calling thread alone
 *   parameters           RECURRENT_GEMMA_PARAMETER_SLOTS pointers
 *   input_ids            (B, T) int32, 0 <= value < 61
 *   batch                B, the number of rows, at least 1
 *   steps                T, the number of steps, at least 1
 *   initial_states       NULL, or RECURRENT_GEMMA_STATES pointers, NULL entries mean zero
 *   state_in             NULL: the start of the sequence
 *   state_out            NULL: not wanted; may be the same as state_in
 *   capacity             steps, in all, that state_out has room for; 0 without one at the start of the sequence
 *   cotangents           gradient of the result by each output, NULL entries mean zero
 *   parameter_gradients  NULL, or one pointer for each slot; overwritten, NULL skips a parameter (all of its turns)
 *   input_gradients      NULL, or one pointer for each input, NULL entries are skipped
 *   state_gradients      NULL, or one pointer for each state; only where state_in is NULL
 *   workspace            recurrent_gemma_workspace_size(...) bytes, aligned to 64
 *   out_fault            what is wrong when the result is not SEQRT_OK; NULL: not wanted
 */
static inline int32_t recurrent_gemma_gradient(const seqrt_context *context, const float *const *parameters,
    const int32_t *input_ids, int64_t batch, int64_t steps, const float *const *initial_states,
    const void *state_in, void *state_out, int64_t capacity, const float *const *cotangents,
    float *const *parameter_gradients, float *const *input_gradients, float *const *state_gradients,
    void *workspace, seqrt_fault *out_fault) {
  const void *inputs[] = {input_ids};
  const int64_t lengths[] = {steps};
  seqrt_call call;
  int32_t status;
  memset(&call, 0, sizeof call);
  call.abi_version = SEQRT_ABI_VERSION;
  call.lengths = lengths;
  call.inputs = inputs;
  call.context = context;
  call.parameters = parameters;
  call.batch = batch;
  call.initial_states = initial_states;
  call.state_in = state_in;
  call.state_out = state_out;
  call.capacity = capacity;
  call.cotangents = cotangents;
  call.parameter_gradients = parameter_gradients;
  call.input_gradients = input_gradients;
  call.state_gradients = state_gradients;
  call.workspace = workspace;
  status = recurrent_gemma_model.entries[SEQRT_GRADIENT](&call);
  if (out_fault) *out_fault = call.fault;
  return status;
}

/* The state before the first step. Returns a seqrt_code.
 *   context         a team of threads, NULL: the calling thread alone
 *   parameters      RECURRENT_GEMMA_PARAMETER_SLOTS pointers
 *   batch           B, the number of rows, at least 1
 *   initial_states  NULL, or RECURRENT_GEMMA_STATES pointers, NULL entries mean zero
 *   state_out       the state before the first step
 *   capacity        steps, in all, that state_out has room for; 0 without one at the start of the sequence
 *   workspace       recurrent_gemma_workspace_size(...) bytes, aligned to 64
 *   out_fault       what is wrong when the result is not SEQRT_OK; NULL: not wanted
 */
static inline int32_t recurrent_gemma_initial(const seqrt_context *context, const float *const *parameters,
    int64_t batch, const float *const *initial_states, void *state_out, int64_t capacity, void *workspace,
    seqrt_fault *out_fault) {
  const int64_t lengths[] = {1};
  seqrt_call call;
  int32_t status;
  memset(&call, 0, sizeof call);
  call.abi_version = SEQRT_ABI_VERSION;
  call.lengths = lengths;
  call.context = context;
  call.parameters = parameters;
  call.batch = batch;
  call.initial_states = initial_states;
  call.state_out = state_out;
  call.capacity = capacity;
  call.workspace = workspace;
  status = recurrent_gemma_model.entries[SEQRT_INITIAL](&call);
  if (out_fault) *out_fault = call.fault;
  return status;
}

#ifdef __cplusplus
}
#endif

#endif
