/* instances_agree.c - several models, and several instances of each, at work in one program in turn.
 *
 * Whatever runs beside them, with 1, 2 or 3 threads, with parameters packed once or in each call, and when run again, instances of one
 * model give the same bits: outputs, objective, carried state and every gradient. Buffers begin filled with different bytes, so
 * nothing is read before it is written.
 * Exits 0 when all agree.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seqrt/seqrt.h"

extern const seqrt_model both_directions_model, gathers_and_objective_model, time_and_lengths_model, guards_and_maxima_model, causal_attention_model,
    translation_with_attention_model;

enum { ROWS = 5, STEPS = 11, OTHER_LENGTH = 4, TABLE = 3, INSTANCES = 4 };
static const int32_t THREADS[INSTANCES] = {1, 2, 3, 2};
static const bool IS_PACKED[INSTANCES] = {false, false, true, true};

/* All that one call reads and writes. */
typedef struct Instance {
  seqrt_context *context;
  bool is_packed;
  void **inputs, **outputs;
  float **states, **cotangents, **parameter_gradients, **input_gradients, **state_gradients;
  int64_t *lengths;
  char *state;
  void *workspace;
  float objective;
} Instance;

static void *allocate(int64_t bytes, int fill) {
  size_t size = ((size_t)bytes + SEQRT_ALIGNMENT) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT;
  void *memory = aligned_alloc(SEQRT_ALIGNMENT, size);
  if (!memory) exit(2);
  memset(memory, fill, size);
  return memory;
}

static int64_t element_count(const seqrt_tensor *tensor, const Instance *instance) {
  int64_t count = 1;
  for (int32_t axis = 0; axis < tensor->rank; axis++) {
    int64_t extent = tensor->shape[axis];
    if (extent == SEQRT_AXIS_STEPS) extent = STEPS;
    count *= extent >= 0 ? extent : extent == SEQRT_AXIS_BATCH ? ROWS : instance->lengths[-2 - extent];
  }
  return count;
}

/* A state with a value for each step has none before the first. */
static bool grows(const seqrt_tensor *state) {
  for (int32_t axis = 0; axis < state->rank; axis++)
    if (state->shape[axis] == SEQRT_AXIS_STEPS) return true;
  return false;
}

/* The same numbers for the same stream in every instance. */
static void *draw(const seqrt_tensor *tensor, const Instance *instance, uint64_t stream) {
  int64_t count = element_count(tensor, instance);
  float *values = allocate(4 * count, 0);
  seqrt_random_fill_uniform(3, stream, tensor->dtype == SEQRT_I32 ? 0 : -0.8, tensor->dtype == SEQRT_I32 ? TABLE : 0.8, 0, count, values);
  for (int64_t i = 0; tensor->dtype == SEQRT_I32 && i < count; i++) {
    int32_t integer = (int32_t)values[i];
    memcpy(&values[i], &integer, sizeof integer);
  }
  return values;
}

static void **table(int32_t count) { return calloc((size_t)count + 1, sizeof(void *)); }

static Instance instance_create(const seqrt_model *model, int number) {
  Instance instance = {.lengths = calloc((size_t)model->length_count + 1, sizeof(int64_t))};
  seqrt_error error;
  if (seqrt_context_create(THREADS[number], &instance.context, &error) != SEQRT_OK) exit(2);
  for (int32_t n = 0; n < model->length_count; n++) instance.lengths[n] = n ? OTHER_LENGTH : STEPS;
  int fill = 0x11 * (number + 1);
  instance.inputs = table(model->input_count), instance.outputs = table(model->output_count);
  instance.states = (float **)table(model->state_count), instance.cotangents = (float **)table(model->output_count);
  instance.parameter_gradients = (float **)table(model->parameter_slots);
  instance.input_gradients = (float **)table(model->input_count), instance.state_gradients = (float **)table(model->state_count);
  for (int32_t n = 0; n < model->input_count; n++) {
    instance.inputs[n] = draw(&model->inputs[n], &instance, (uint64_t)n);
    if (model->inputs[n].dtype == SEQRT_F32)
      instance.input_gradients[n] = allocate(4 * element_count(&model->inputs[n], &instance), fill);
  }
  for (int32_t n = 0; n < model->output_count; n++) {
    instance.outputs[n] = allocate(4 * element_count(&model->outputs[n], &instance), fill);
    if (model->outputs[n].dtype == SEQRT_F32) instance.cotangents[n] = draw(&model->outputs[n], &instance, 100 + (uint64_t)n);
  }
  for (int32_t n = 0; n < model->state_count; n++) {
    if (grows(&model->states[n])) continue;
    instance.states[n] = draw(&model->states[n], &instance, 200 + (uint64_t)n);
    instance.state_gradients[n] = allocate(4 * element_count(&model->states[n], &instance), fill);
  }
  for (int32_t slot = 0; slot < model->parameter_slots; slot++)
    instance.parameter_gradients[slot] = allocate(4 * seqrt_slot_parameter(model, slot)->elements, fill);
  int64_t largest = 0;
  instance.is_packed = IS_PACKED[number];
  for (int32_t entry = 0; entry < SEQRT_ENTRY_COUNT; entry++) {
    int64_t bytes = model->entries[entry] ? model->workspace_size(entry, ROWS, instance.lengths, STEPS, THREADS[number]) : 0;
    if (bytes > largest) largest = bytes;
  }
  instance.workspace = allocate(largest, fill);
  if (model->has_step) instance.state = allocate(model->state_size(ROWS, instance.lengths, STEPS), fill);
  return instance;
}

static void free_table(void *table_of, int32_t count) {
  void **buffers = table_of;
  for (int32_t n = 0; n < count; n++) free(buffers[n]);
  free(buffers);
}

static void instance_destroy(const seqrt_model *model, Instance *instance) {
  free_table(instance->inputs, model->input_count);
  free_table(instance->input_gradients, model->input_count);
  free_table(instance->outputs, model->output_count);
  free_table(instance->cotangents, model->output_count);
  free_table(instance->states, model->state_count);
  free_table(instance->state_gradients, model->state_count);
  free_table(instance->parameter_gradients, model->parameter_slots);
  free(instance->lengths);
  free(instance->state);
  free(instance->workspace);
  seqrt_context_destroy(instance->context);
}

static bool run(const seqrt_model *model, Instance *instance, const seqrt_parameters *parameters, int32_t entry) {
  if (!model->entries[entry]) return true;
  bool is_gradient = entry == SEQRT_GRADIENT;
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION, .context = instance->context, .batch = ROWS, .lengths = instance->lengths, .capacity = STEPS,
                     .parameters = (const float *const *)parameters->slots, .inputs = (const void *const *)instance->inputs,
                     .initial_states = (const float *const *)instance->states, .workspace = instance->workspace};
  if (instance->is_packed && !is_gradient) call.packed = parameters->packed;
  if (entry == SEQRT_FORWARD) call.outputs = instance->outputs, call.state_out = instance->state;
  if (entry != SEQRT_FORWARD && model->has_objective) call.objective = &instance->objective;
  if (is_gradient) {
    if (!model->has_objective) call.cotangents = (const float *const *)instance->cotangents;
    call.parameter_gradients = instance->parameter_gradients;
    call.input_gradients = instance->input_gradients;
    call.state_gradients = instance->state_gradients;
  }
  int32_t code = model->entries[entry](&call);
  if (code != SEQRT_OK) printf("%s: entry %d failed with status %d\n", model->name, entry, code);
  return code == SEQRT_OK;
}

static bool same(const seqrt_model *model, const char *what, const char *name, const void *a, const void *b, int64_t bytes) {
  if (!a || memcmp(a, b, (size_t)bytes) == 0) return true;
  printf("%s: %s '%s' differs between instances\n", model->name, what, name);
  return false;
}

static bool agree(const seqrt_model *model, const Instance *a, const Instance *b) {
  bool is_same = same(model, "objective", "", &a->objective, &b->objective, sizeof a->objective);
  for (int32_t n = 0; n < model->output_count; n++)
    is_same &= same(model, "output", model->outputs[n].name, a->outputs[n], b->outputs[n], 4 * element_count(&model->outputs[n], a));
  for (int32_t n = 0; n < model->input_count; n++)
    is_same &= same(model, "gradient of input", model->inputs[n].name, a->input_gradients[n], b->input_gradients[n],
                    4 * element_count(&model->inputs[n], a));
  for (int32_t n = 0; n < model->state_count; n++) {
    int64_t bytes = 4 * element_count(&model->states[n], a), offset = model->state_offset(n, ROWS, a->lengths, STEPS);
    is_same &= same(model, "gradient of state", model->states[n].name, a->state_gradients[n], b->state_gradients[n], bytes);
    if (a->state) is_same &= same(model, "state", model->states[n].name, a->state + offset, b->state + offset, bytes);
  }
  for (int32_t slot = 0; slot < model->parameter_slots; slot++)
    is_same &= same(model, "gradient of parameter", seqrt_slot_parameter(model, slot)->name, a->parameter_gradients[slot],
                    b->parameter_gradients[slot], 4 * seqrt_slot_parameter(model, slot)->elements);
  return is_same;
}

int main(void) {
  static const seqrt_model *const models[] = {&both_directions_model, &gathers_and_objective_model, &time_and_lengths_model,
                                              &guards_and_maxima_model, &causal_attention_model, &translation_with_attention_model};
  enum { MODELS = sizeof models / sizeof models[0] };
  Instance instances[MODELS][INSTANCES];
  seqrt_parameters *parameters[MODELS];
  seqrt_error error;
  bool is_good = true;
  int packed_models = 0;
  for (int m = 0; m < MODELS; m++) {
    if (seqrt_parameters_create(models[m], &parameters[m], &error) != SEQRT_OK) return 2;
    if (seqrt_parameters_initialise(parameters[m], 5, NULL, &error) != SEQRT_OK) return 2;
    if (seqrt_parameters_pack(parameters[m], NULL, &error) != SEQRT_OK) return 2;
    is_good &= (models[m]->packed_size > 0) == (parameters[m]->packed != NULL);
    packed_models += parameters[m]->packed != NULL;
    for (int i = 0; i < INSTANCES; i++) instances[m][i] = instance_create(models[m], i);
  }
  for (int32_t entry = SEQRT_FORWARD; entry <= SEQRT_GRADIENT; entry++)
    for (int i = 0; i < INSTANCES; i++)
      for (int m = 0; m < MODELS; m++) is_good &= run(models[m], &instances[m][i], parameters[m], entry);
  for (int m = 0; m < MODELS; m++)
    for (int i = 1; i < INSTANCES; i++) is_good &= agree(models[m], &instances[m][0], &instances[m][i]);
  for (int m = 0; m < MODELS; m++) {
    for (int i = 0; i < INSTANCES; i++) instance_destroy(models[m], &instances[m][i]);
    if (seqrt_parameters_initialise(parameters[m], 6, NULL, &error) != SEQRT_OK || parameters[m]->packed) is_good = false; /* stale */
    seqrt_parameters_destroy(parameters[m]);
  }
  return is_good && packed_models ? 0 : 1;
}
