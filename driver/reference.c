/* reference.c - the run-time library reads the files; here their metadata is understood and every value becomes a double.
 *
 * The values of `__metadata__` that matter here are JSON again: lists of names, or null.
 */
#include "driver/reference.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "seqrt/weights.h"

static bool is_integer(seqrt_stored_dtype dtype) {
  return dtype != SEQRT_STORED_F16 && dtype != SEQRT_STORED_BF16 && dtype != SEQRT_STORED_F32 && dtype != SEQRT_STORED_F64;
}

static void describe_tensor(Arena *arena, const seqrt_stored_tensor *stored, ReferenceTensor *tensor) {
  tensor->name = arena_string(arena, stored->name);
  tensor->dtype = seqrt_stored_dtype_name(stored->dtype);
  tensor->is_integer = is_integer(stored->dtype);
  tensor->is_double = stored->dtype == SEQRT_STORED_F64;
  tensor->rank = stored->rank;
  tensor->shape = ARENA_ARRAY(arena, int64_t, stored->rank);
  if (stored->rank) memcpy(tensor->shape, stored->shape, sizeof *tensor->shape * (size_t)stored->rank);
  tensor->elements = stored->elements;
}

static bool read_tensor(Arena *arena, const seqrt_stored_tensor *stored, ReferenceTensor *tensor, seqrt_error *error) {
  describe_tensor(arena, stored, tensor);
  tensor->values = ARENA_ARRAY(arena, double, stored->elements);
  return seqrt_stored_to_f64(stored, tensor->values, error) == SEQRT_OK;
}

static const char **read_names(Arena *arena, const cJSON *list, int *out_count) {
  const char **names = NULL;
  const cJSON *name;
  *out_count = 0;
  cJSON_ArrayForEach(name, list) {
    if (cJSON_IsString(name)) ARENA_PUSH(arena, names, *out_count, arena_string(arena, name->valuestring));
  }
  return names;
}

static bool read_metadata(Arena *arena, const seqrt_safetensors *file, Reference *reference, seqrt_error *error) {
  const char *config = seqrt_safetensors_metadata(file, "config"), *zeros = seqrt_safetensors_metadata(file, "zero_gradients");
  const char *streams = seqrt_safetensors_metadata(file, "streams");
  if (config) reference->config = arena_string(arena, config);
  reference->config_path = reference->path;
  cJSON *zero_list = zeros ? cJSON_Parse(zeros) : NULL, *stream_list = streams ? cJSON_Parse(streams) : NULL;
  reference->zero_gradients = read_names(arena, zero_list, &reference->zero_count);
  reference->stream_outputs = read_names(arena, stream_list, &reference->stream_count);
  bool is_valid = !streams || cJSON_IsArray(stream_list) || cJSON_IsNull(stream_list);
  if (streams) reference->streams = cJSON_IsNull(stream_list) ? STREAMS_NULL : STREAMS_LIST;
  cJSON_Delete(zero_list);
  cJSON_Delete(stream_list);
  if (!is_valid)
    snprintf(error->message, sizeof error->message, "%s: metadata 'streams' is neither null nor a list of outputs, but '%s'",
             reference->path, streams);
  return is_valid;
}

static bool read_all(Arena *arena, const seqrt_safetensors *file, Reference *reference, seqrt_error *error) {
  reference->tensor_count = (int)seqrt_safetensors_count(file);
  reference->tensors = ARENA_ARRAY(arena, ReferenceTensor, reference->tensor_count);
  for (int i = 0; i < reference->tensor_count; i++)
    if (!read_tensor(arena, seqrt_safetensors_tensor(file, i), &reference->tensors[i], error)) return false;
  return read_metadata(arena, file, reference, error);
}

Reference *reference_load(Arena *arena, const char *path) {
  Reference *reference = ARENA_NEW(arena, Reference);
  reference->path = path;
  seqrt_safetensors *file = NULL;
  seqrt_error error = {0};
  bool is_read = seqrt_safetensors_open(path, &file, &error) == SEQRT_OK && read_all(arena, file, reference, &error);
  seqrt_safetensors_close(file);
  if (!is_read) fprintf(stderr, "seqc: error: %s\n", error.message);
  return is_read ? reference : NULL;
}

Reference *weights_open(Arena *arena, const char *path) {
  Reference *reference = ARENA_NEW(arena, Reference);
  reference->path = path;
  seqrt_error error = {0};
  if (seqrt_weights_open(path, &reference->weights, &error) != SEQRT_OK) {
    fprintf(stderr, "seqc: error: %s\n", error.message);
    return NULL;
  }
  const seqrt_weights *weights = reference->weights;
  reference->tensor_count = (int)seqrt_weights_count(weights);
  reference->tensors = ARENA_ARRAY(arena, ReferenceTensor, reference->tensor_count);
  for (int i = 0; i < reference->tensor_count; i++)
    describe_tensor(arena, seqrt_weights_tensor(weights, i), &reference->tensors[i]);
  reference->config = seqrt_weights_config(weights);
  reference->config_path = seqrt_weights_config_path(weights);
  return reference;
}

void weights_close(Reference *weights) {
  if (weights) seqrt_weights_close(weights->weights);
}

static bool is_read(seqrt_code code, const seqrt_error *error) {
  if (code != SEQRT_OK) fprintf(stderr, "seqc: error: %s\n", error->message);
  return code == SEQRT_OK;
}

bool reference_read(const Reference *reference, const ReferenceTensor *tensor, double *out_values) {
  seqrt_error error = {0};
  if (reference->weights) return is_read(seqrt_weights_to_f64(reference->weights, tensor->name, out_values, &error), &error);
  memcpy(out_values, tensor->values, sizeof *out_values * (size_t)tensor->elements);
  return true;
}

bool reference_read_floats(const Reference *reference, const ReferenceTensor *tensor, float *out_values) {
  seqrt_error error = {0};
  if (reference->weights) return is_read(seqrt_weights_to_f32(reference->weights, tensor->name, out_values, &error), &error);
  for (int64_t n = 0; n < tensor->elements; n++) out_values[n] = (float)tensor->values[n];
  return true;
}

const ReferenceTensor *reference_find(const Reference *reference, const char *name) {
  for (int i = 0; i < reference->tensor_count; i++)
    if (strcmp(reference->tensors[i].name, name) == 0) return &reference->tensors[i];
  return NULL;
}

bool reference_has_zero_gradient(const Reference *reference, const char *name) {
  if (strncmp(name, "grad.", 5) != 0) return false;
  for (int i = 0; i < reference->zero_count; i++)
    if (strcmp(reference->zero_gradients[i], name + 5) == 0) return true;
  return false;
}
