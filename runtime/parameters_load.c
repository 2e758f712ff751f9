/* parameters_load.c - parameters out of files, once every array fits. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/names.h"
#include "seqrt/weights.h"

/* Where the arrays are: in a file that is in memory, or in files that stay on disk. One of the two. */
typedef struct Arrays {
  const seqrt_safetensors *file;
  const seqrt_weights *weights;
} Arrays;

static const char *arrays_path(Arrays arrays) {
  return arrays.file ? seqrt_safetensors_path(arrays.file) : seqrt_weights_path(arrays.weights);
}

static int64_t arrays_count(Arrays arrays) {
  return arrays.file ? seqrt_safetensors_count(arrays.file) : seqrt_weights_count(arrays.weights);
}

static const seqrt_stored_tensor *arrays_tensor(Arrays arrays, int64_t index) {
  return arrays.file ? seqrt_safetensors_tensor(arrays.file, index) : seqrt_weights_tensor(arrays.weights, index);
}

static const seqrt_stored_tensor *arrays_find(Arrays arrays, const char *name) {
  return arrays.file ? seqrt_safetensors_find(arrays.file, name) : seqrt_weights_find(arrays.weights, name);
}

static seqrt_code arrays_read(Arrays arrays, const char *name, float *out_values, seqrt_error *error) {
  if (arrays.file) return seqrt_stored_to_f32(seqrt_safetensors_find(arrays.file, name), out_values, error);
  return seqrt_weights_to_f32(arrays.weights, name, out_values, error);
}

/* Whether two shapes describe the same row-major order: one must be the other with neighbouring axes merged. Both are cut
 * into the smallest groups of axes with equal products; a group may have several axes on one side only. */
static bool is_same_order(const int64_t *a, int32_t a_rank, const int64_t *b, int32_t b_rank) {
  int32_t i = 0, j = 0;
  while (i < a_rank && j < b_rank) {
    int64_t a_product = a[i++], b_product = b[j++];
    int32_t a_axes = a_product != 1, b_axes = b_product != 1;
    while (a_product != b_product) {
      if (a_product < b_product && i < a_rank) a_axes += a[i] != 1, a_product *= a[i++];
      else if (b_product < a_product && j < b_rank) b_axes += b[j] != 1, b_product *= b[j++];
      else return false;
      if (!a_product || !b_product) return false;
    }
    if (a_axes > 1 && b_axes > 1) return false;
  }
  while (i < a_rank)
    if (a[i++] != 1) return false;
  while (j < b_rank)
    if (b[j++] != 1) return false;
  return true;
}

static void check_slot(const seqrt_parameter *parameter, const char *name, const seqrt_stored_tensor *tensor,
                       Findings *findings) {
  char expected[100], found[100];
  if (!tensor) {
    findings_add(findings, "'%s' is missing", name);
    return;
  }
  if (is_same_order(parameter->shape, parameter->rank, tensor->shape, tensor->rank)) return;
  runtime_format_shape(parameter->shape, parameter->rank, expected, sizeof expected);
  runtime_format_shape(tensor->shape, tensor->rank, found, sizeof found);
  findings_add(findings, "'%s' has shape %s, expected %s", name, found, expected);
}

static int compare_strings(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* '*' stands for any characters, none included. */
static bool matches(const char *pattern, const char *name) {
  const char *star = NULL, *retry = NULL;
  while (*name) {
    if (*pattern == '*') {
      star = pattern++;
      retry = name;
    } else if (*pattern == *name) {
      pattern++;
      name++;
    } else if (star) {
      pattern = star + 1;
      name = ++retry;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == '\0';
}

/* The model file names what a checkpoint may hold beside the parameters. */
static bool is_ignored(const seqrt_model *model, const char *name) {
  for (int32_t i = 0; i < model->ignored_count; i++)
    if (matches(model->ignored[i], name)) return true;
  return false;
}

static void check_extra(const seqrt_model *model, Arrays arrays, char *const *sorted_names, const char *prefix,
                        Findings *findings) {
  size_t before = prefix ? strlen(prefix) : 0;
  for (int64_t i = 0; i < arrays_count(arrays); i++) {
    const char *name = arrays_tensor(arrays, i)->name;
    if (before && strncmp(name, prefix, before) != 0) continue;
    bool is_parameter = bsearch(&name, sorted_names, (size_t)model->parameter_slots, sizeof *sorted_names, compare_strings);
    if (!is_parameter && !is_ignored(model, name + before)) findings_add(findings, "'%s' belongs to no parameter", name);
  }
}

static seqrt_code check_all(const seqrt_model *model, Arrays arrays, char *const *names, char **sorted, const char *prefix,
                            bool ignores_extra, seqrt_error *error) {
  Findings findings = {0};
  for (int32_t slot = 0; slot < model->parameter_slots; slot++) {
    check_slot(seqrt_slot_parameter(model, slot), names[slot], arrays_find(arrays, names[slot]), &findings);
    sorted[slot] = names[slot];
  }
  if (!ignores_extra) {
    if (model->parameter_slots) qsort(sorted, (size_t)model->parameter_slots, sizeof *sorted, compare_strings);
    check_extra(model, arrays, sorted, prefix, &findings);
  }
  if (!findings.count) return SEQRT_OK;
  char subject[200];
  snprintf(subject, sizeof subject, "%.100s does not fit model '%.60s'", arrays_path(arrays), model->name);
  return findings_fail(&findings, error, SEQRT_MISMATCH, subject);
}

static seqrt_code load(seqrt_parameters *parameters, Arrays arrays, const char *prefix, bool ignores_extra, seqrt_error *error) {
  if (!parameters || (!arrays.file && !arrays.weights))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "loading parameters: no parameters or no file");
  seqrt_parameters_unpack(parameters);
  const seqrt_model *model = parameters->model;
  int32_t count = model->parameter_slots;
  char **names = slot_names_create(model, prefix);
  char **sorted = calloc((size_t)count + 1, sizeof *sorted);
  seqrt_code code = names && sorted ? SEQRT_OK : runtime_fail_memory(error, "loading parameters", count * 64);
  if (code == SEQRT_OK) code = check_all(model, arrays, names, sorted, prefix, ignores_extra, error);
  for (int32_t slot = 0; slot < count && code == SEQRT_OK; slot++)
    code = arrays_read(arrays, names[slot], parameters->slots[slot], error);
  slot_names_destroy(names, count);
  free(sorted);
  return code;
}

seqrt_code seqrt_parameters_load(seqrt_parameters *parameters, const seqrt_safetensors *file, const char *prefix,
                                 int32_t ignores_extra, seqrt_error *error) {
  return load(parameters, (Arrays){.file = file}, prefix, ignores_extra, error);
}

seqrt_code seqrt_parameters_load_weights(seqrt_parameters *parameters, const seqrt_weights *weights, const char *prefix,
                                         int32_t ignores_extra, seqrt_error *error) {
  return load(parameters, (Arrays){.weights = weights}, prefix, ignores_extra, error);
}
