/* parameters.c - arenas of parameters, their initial values, their files. */
#include "seqrt/parameters.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/names.h"
#include "runtime/packing.h"
#include "seqrt/random.h"
#include "seqrt/threads.h"

enum { LINE_ELEMENTS = SEQRT_ALIGNMENT / sizeof(float), INIT_BLOCK = 1 << 14 };

/* ---- slots ---- */

const seqrt_parameter *seqrt_slot_parameter(const seqrt_model *model, int32_t slot) {
  for (int32_t i = 0; i < model->parameter_count; i++) {
    const seqrt_parameter *parameter = &model->parameters[i];
    int32_t slots = parameter->turns ? parameter->turns : 1;
    if (slot >= parameter->first_slot && slot - parameter->first_slot < slots) return parameter;
  }
  return NULL;
}

int64_t seqrt_slot_name(const seqrt_model *model, int32_t slot, char *out_name, size_t size) {
  const seqrt_parameter *parameter = seqrt_slot_parameter(model, slot);
  if (!parameter) return snprintf(out_name, size, "%s", "");
  const char *hole = parameter->turns ? strstr(parameter->name, "{}") : NULL;
  if (!hole) return snprintf(out_name, size, "%s", parameter->name);
  int64_t turn = parameter->turn_scale * (slot - parameter->first_slot) + parameter->turn_offset;
  return snprintf(out_name, size, "%.*s%" PRId64 "%s", (int)(hole - parameter->name), parameter->name, turn, hole + 2);
}

char **slot_names_create(const seqrt_model *model, const char *prefix) {
  int32_t count = model->parameter_slots;
  char **names = calloc((size_t)count + 1, sizeof *names);
  size_t before = prefix ? strlen(prefix) : 0;
  for (int32_t slot = 0; names && slot < count; slot++) {
    size_t size = before + (size_t)seqrt_slot_name(model, slot, NULL, 0) + 1;
    names[slot] = malloc(size);
    if (!names[slot]) {
      slot_names_destroy(names, count);
      return NULL;
    }
    if (before) memcpy(names[slot], prefix, before);
    seqrt_slot_name(model, slot, names[slot] + before, size - before);
  }
  return names;
}

void slot_names_destroy(char **names, int32_t count) {
  for (int32_t slot = 0; names && slot < count; slot++) free(names[slot]);
  free(names);
}

void slot_tensors(const seqrt_parameters *parameters, char *const *names, seqrt_stored_tensor *out_tensors) {
  for (int32_t slot = 0; slot < parameters->model->parameter_slots; slot++) {
    const seqrt_parameter *parameter = seqrt_slot_parameter(parameters->model, slot);
    out_tensors[slot] = (seqrt_stored_tensor){.name = names[slot],
                                              .dtype = SEQRT_STORED_F32,
                                              .rank = parameter->rank,
                                              .shape = parameter->shape,
                                              .data = parameters->slots[slot]};
  }
}

/* ---- create ---- */

static seqrt_code check_parameters(const seqrt_model *model, int64_t *out_arena, int64_t *out_elements, seqrt_error *error) {
  *out_arena = *out_elements = 0;
  for (int32_t slot = 0; slot < model->parameter_slots; slot++) {
    const seqrt_parameter *parameter = seqrt_slot_parameter(model, slot);
    if (!parameter)
      return runtime_fail(error, SEQRT_MISMATCH, "model '%s': slot %" PRId32 " belongs to no parameter", model->name, slot);
    int64_t elements = runtime_elements(parameter->shape, parameter->rank, 0, NULL);
    if (elements < 0 || elements != parameter->elements || elements > INT64_MAX / 16 - *out_arena)
      return runtime_fail(error, SEQRT_MISMATCH, "model '%s', parameter '%s': an impossible size", model->name, parameter->name);
    *out_elements += elements;
    *out_arena += (elements + LINE_ELEMENTS - 1) / LINE_ELEMENTS * LINE_ELEMENTS;
  }
  return SEQRT_OK;
}

seqrt_code seqrt_parameters_create(const seqrt_model *model, seqrt_parameters **out_parameters, seqrt_error *error) {
  if (!out_parameters) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "parameters: no place for them is given");
  *out_parameters = NULL;
  seqrt_code code = runtime_check_model(model, error);
  int64_t arena_elements = 0, elements = 0;
  if (code == SEQRT_OK) code = check_parameters(model, &arena_elements, &elements, error);
  if (code != SEQRT_OK) return code;
  seqrt_parameters *parameters = calloc(1, sizeof *parameters);
  float **slots = calloc((size_t)model->parameter_slots + 1, sizeof *slots);
  float *arena = runtime_allocate(arena_elements * (int64_t)sizeof *arena);
  if (!parameters || !slots || !arena) {
    free(parameters);
    free(slots);
    free(arena);
    return runtime_fail_memory(error, "parameters", arena_elements * (int64_t)sizeof *arena);
  }
  *parameters = (seqrt_parameters){model, slots, arena, arena_elements, elements, NULL, 0};
  for (int32_t slot = 0; slot < model->parameter_slots; slot++) {
    slots[slot] = arena;
    arena += (seqrt_slot_parameter(model, slot)->elements + LINE_ELEMENTS - 1) / LINE_ELEMENTS * LINE_ELEMENTS;
  }
  *out_parameters = parameters;
  return SEQRT_OK;
}

void seqrt_parameters_destroy(seqrt_parameters *parameters) {
  if (!parameters) return;
  free(parameters->slots);
  free(parameters->arena);
  free(parameters->packed);
  free(parameters);
}

/* ---- packed ---- */

void seqrt_parameters_unpack(seqrt_parameters *parameters) {
  if (!parameters) return;
  free(parameters->packed);
  parameters->packed = NULL;
}

static seqrt_code run_pack(seqrt_parameters *parameters, const seqrt_context *context, void *packed, seqrt_error *error) {
  const seqrt_model *model = parameters->model;
  int64_t *ones = calloc((size_t)model->length_count + 1, sizeof *ones);
  if (!ones) return runtime_fail_memory(error, "parameters, packing", model->length_count * 8);
  for (int32_t i = 0; i < model->length_count; i++) ones[i] = 1;
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION,
                     .context = context,
                     .batch = 1,
                     .lengths = ones,
                     .parameters = (const float *const *)parameters->slots,
                     .packed = packed,
                     .workspace = packed}; /* it needs none */
  seqrt_code code = model->entries[SEQRT_PACK](&call) == SEQRT_OK ? SEQRT_OK : seqrt_describe_fault(model, &call, error);
  free(ones);
  return code;
}

seqrt_code seqrt_parameters_pack(seqrt_parameters *parameters, const seqrt_context *context, seqrt_error *error) {
  if (!parameters) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "parameters: none are given");
  const seqrt_model *model = parameters->model;
  if (!model->entries[SEQRT_PACK]) return SEQRT_OK;
  void *packed = runtime_allocate(model->packed_size);
  if (!packed) return runtime_fail_memory(error, "packed parameters", model->packed_size);
  seqrt_code code = run_pack(parameters, context, packed, error);
  seqrt_parameters_unpack(parameters);
  if (code == SEQRT_OK) parameters->packed = packed;
  else free(packed);
  return code;
}

void seqrt_parameters_set_packing(seqrt_parameters *parameters, int32_t is_wanted) {
  if (!parameters) return;
  parameters->is_never_packed = !is_wanted;
  if (!is_wanted) seqrt_parameters_unpack(parameters);
}

void *parameters_packed(seqrt_parameters *parameters, const seqrt_context *context) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* sessions on several threads may share parameters */
  if (!parameters->model->entries[SEQRT_PACK]) return NULL;
  pthread_mutex_lock(&lock);
  if (!parameters->packed && !parameters->is_never_packed && seqrt_parameters_pack(parameters, context, NULL) == SEQRT_OUT_OF_MEMORY)
    parameters->is_never_packed = true;
  void *packed = parameters->packed;
  pthread_mutex_unlock(&lock);
  return packed;
}

/* ---- initial values ---- */

typedef struct Initialisation {
  seqrt_parameters *parameters;
  uint64_t seed;
} Initialisation;

static void initialise_block(const seqrt_parameter *parameter, uint64_t seed, int32_t slot, int64_t first, int64_t count,
                             float *values) {
  double a = parameter->init_a, b = parameter->init_b;
  if (parameter->init == SEQRT_INIT_UNIFORM) seqrt_random_fill_uniform(seed, (uint64_t)slot, a, b, first, count, values + first);
  else if (parameter->init == SEQRT_INIT_NORMAL)
    seqrt_random_fill_normal(seed, (uint64_t)slot, a, b, first, count, values + first);
  else
    for (int64_t n = first; n < first + count; n++) values[n] = (float)a;
}

static void initialise_share(void *argument, int32_t thread, int32_t thread_count) {
  const Initialisation *job = argument;
  const seqrt_model *model = job->parameters->model;
  int64_t block = 0;
  for (int32_t slot = 0; slot < model->parameter_slots; slot++) {
    const seqrt_parameter *parameter = seqrt_slot_parameter(model, slot);
    for (int64_t first = 0; first < parameter->elements; first += INIT_BLOCK, block++) {
      int64_t left = parameter->elements - first;
      if (block % thread_count != thread) continue;
      initialise_block(parameter, job->seed, slot, first, left < INIT_BLOCK ? left : INIT_BLOCK, job->parameters->slots[slot]);
    }
  }
}

seqrt_code seqrt_parameters_initialise(seqrt_parameters *parameters, uint64_t seed, const seqrt_context *context,
                                       seqrt_error *error) {
  if (!parameters) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "initialising parameters: none are given");
  seqrt_parameters_unpack(parameters);
  const seqrt_model *model = parameters->model;
  Findings findings = {0};
  for (int32_t i = 0; i < model->parameter_count; i++)
    if (model->parameters[i].init < SEQRT_INIT_CONSTANT || model->parameters[i].init > SEQRT_INIT_NORMAL)
      findings_add(&findings, "'%s'", model->parameters[i].name);
  if (findings.count)
    return findings_fail(&findings, error, SEQRT_INVALID_ARGUMENT, "parameters without initial values, to be loaded from a file");
  Initialisation job = {parameters, seed};
  seqrt_parallel(context, initialise_share, &job);
  return SEQRT_OK;
}

/* ---- files ---- */

seqrt_code seqrt_parameters_save(const seqrt_parameters *parameters, const char *path, const seqrt_metadata *metadata,
                                 int64_t metadata_count, seqrt_error *error) {
  if (!parameters) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "saving parameters: none are given");
  int32_t count = parameters->model->parameter_slots;
  char **names = slot_names_create(parameters->model, NULL);
  seqrt_stored_tensor *tensors = calloc((size_t)count + 1, sizeof *tensors);
  seqrt_code code = SEQRT_OUT_OF_MEMORY;
  if (names && tensors) {
    slot_tensors(parameters, names, tensors);
    code = seqrt_safetensors_save(path, tensors, count, metadata, metadata_count, error);
  } else runtime_fail_memory(error, "saving parameters", count * 128);
  slot_names_destroy(names, count);
  free(tensors);
  return code;
}
