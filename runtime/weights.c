/* weights.c - the arrays of a checkpoint, from one file or several, found by name and read piece by piece. */
#include "seqrt/weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/stored_file.h"
#include "runtime/weights_files.h"

enum { PIECE_BYTES = 1 << 18 };

typedef struct Entry {
  const seqrt_stored_tensor *tensor;
  const seqrt_safetensors *file;
} Entry;

struct seqrt_weights {
  char *path;
  char *config, *config_path;
  seqrt_safetensors **files;
  int32_t file_count;
  Entry *entries; /* by name */
  int64_t count;
};

void seqrt_weights_close(seqrt_weights *weights) {
  if (!weights) return;
  for (int32_t i = 0; i < weights->file_count; i++) seqrt_safetensors_close(weights->files[i]);
  free(weights->files);
  free(weights->entries);
  free(weights->config);
  free(weights->config_path);
  free(weights->path);
  free(weights);
}

/* ---- opening ---- */

static int compare_entries(const void *a, const void *b) {
  return strcmp(((const Entry *)a)->tensor->name, ((const Entry *)b)->tensor->name);
}

static int compare_entries_and_files(const void *a, const void *b) {
  int order = compare_entries(a, b);
  return order ? order
               : strcmp(seqrt_safetensors_path(((const Entry *)a)->file), seqrt_safetensors_path(((const Entry *)b)->file));
}

static seqrt_code open_file(seqrt_weights *weights, const char *path, seqrt_error *error) {
  seqrt_safetensors **files = realloc(weights->files, ((size_t)weights->file_count + 1) * sizeof *files);
  if (!files) return runtime_fail_memory(error, path, 64);
  weights->files = files;
  seqrt_code code = stored_file_open(path, &weights->files[weights->file_count], error);
  if (code == SEQRT_OK) weights->file_count++;
  return code;
}

static seqrt_code collect_entries(seqrt_weights *weights, seqrt_error *error) {
  int64_t total = 0, next = 0;
  for (int32_t i = 0; i < weights->file_count; i++) total += seqrt_safetensors_count(weights->files[i]);
  weights->entries = malloc(((size_t)total + 1) * sizeof *weights->entries);
  if (!weights->entries) return runtime_fail_memory(error, weights->path, total * (int64_t)sizeof *weights->entries);
  for (int32_t i = 0; i < weights->file_count; i++)
    for (int64_t n = 0; n < seqrt_safetensors_count(weights->files[i]); n++)
      weights->entries[next++] = (Entry){seqrt_safetensors_tensor(weights->files[i], n), weights->files[i]};
  weights->count = total;
  if (total) qsort(weights->entries, (size_t)total, sizeof *weights->entries, compare_entries_and_files);
  return SEQRT_OK;
}

static const char *name_of_path(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static seqrt_code open_files(seqrt_weights *weights, const WeightsIndex *index, const char *folder, seqrt_error *error) {
  seqrt_code code = SEQRT_OK;
  for (int64_t i = 0; i < index->count && code == SEQRT_OK; i++) {
    bool is_open = false;
    for (int32_t f = 0; f < weights->file_count && !is_open; f++)
      is_open = strcmp(name_of_path(seqrt_safetensors_path(weights->files[f])), index->places[i].file) == 0;
    if (is_open) continue;
    char *path = join_path(folder, index->places[i].file);
    code = path ? open_file(weights, path, error) : runtime_fail_memory(error, folder, 256);
    free(path);
  }
  return code;
}

static const char *file_name(const Entry *entry) { return name_of_path(seqrt_safetensors_path(entry->file)); }

/* Goes along both lists, which are ordered by name. */
static seqrt_code compare_with_index(const seqrt_weights *weights, const WeightsIndex *index, const char *path,
                                     seqrt_error *error) {
  Findings findings = {0};
  int64_t place = 0, entry = 0;
  while (place < index->count || entry < weights->count) {
    const char *name = place < index->count ? index->places[place].name : NULL;
    const char *found = entry < weights->count ? weights->entries[entry].tensor->name : NULL;
    const char *file = found ? file_name(&weights->entries[entry]) : NULL;
    if (entry + 1 < weights->count && strcmp(weights->entries[entry + 1].tensor->name, found) == 0) {
      findings_add(&findings, "'%.200s' is in '%.100s' and in '%.100s'", found, file, file_name(&weights->entries[entry + 1]));
      entry++;
      continue;
    }
    int order = !name ? 1 : !found ? -1 : strcmp(name, found);
    if (order < 0) findings_add(&findings, "'%.200s' is not in '%.100s'", name, index->places[place].file);
    else if (order > 0) findings_add(&findings, "'%.200s' of '%.100s' is not in the index", found, file);
    else if (strcmp(file, index->places[place].file) != 0)
      findings_add(&findings, "'%.200s' is in '%.100s', but the index says '%.100s'", found, file, index->places[place].file);
    if (order <= 0) place++;
    if (order >= 0) entry++;
  }
  return findings.count ? findings_fail(&findings, error, SEQRT_FORMAT, path) : SEQRT_OK;
}

static seqrt_code open_index(seqrt_weights *weights, const char *path, const char *folder, seqrt_error *error) {
  WeightsIndex index = {0};
  seqrt_code code = weights_read_index(path, &index, error);
  if (code == SEQRT_OK) code = open_files(weights, &index, folder, error);
  if (code == SEQRT_OK) code = collect_entries(weights, error);
  if (code == SEQRT_OK) code = compare_with_index(weights, &index, path, error);
  weights_index_free(&index);
  return code;
}

static seqrt_code find_config(seqrt_weights *weights, const char *folder, seqrt_error *error) {
  weights->config_path = join_path(folder, "config.json");
  if (!weights->config_path) return runtime_fail_memory(error, folder, 256);
  seqrt_error absent;
  int64_t size;
  seqrt_code code = read_text_file(weights->config_path, &weights->config, &size, &absent);
  if (code == SEQRT_OK) return SEQRT_OK;
  if (code != SEQRT_IO || is_folder(weights->config_path)) {
    if (error) *error = absent;
    return code;
  }
  const char *text = weights->file_count == 1 ? seqrt_safetensors_metadata(weights->files[0], "config") : NULL;
  free(weights->config_path);
  weights->config_path = text ? strdup(seqrt_safetensors_path(weights->files[0])) : NULL;
  weights->config = text ? strdup(text) : NULL;
  if (text && (!weights->config || !weights->config_path)) return runtime_fail_memory(error, folder, 256);
  return SEQRT_OK;
}

static seqrt_code open_all(seqrt_weights *weights, seqrt_error *error) {
  bool is_directory = is_folder(weights->path);
  char *path = NULL;
  seqrt_code code = SEQRT_OK;
  if (is_directory) code = weights_find_in_folder(weights->path, &path, error);
  else path = strdup(weights->path);
  if (code != SEQRT_OK) return code;
  char *folder = path ? folder_of(path) : NULL;
  if (!folder) code = runtime_fail_memory(error, weights->path, 256);
  else if (has_ending(path, ".json")) code = open_index(weights, path, folder, error);
  else {
    code = open_file(weights, path, error);
    if (code == SEQRT_OK) code = collect_entries(weights, error);
  }
  if (code == SEQRT_OK) code = find_config(weights, folder, error);
  free(folder);
  free(path);
  return code;
}

seqrt_code seqrt_weights_open(const char *path, seqrt_weights **out_weights, seqrt_error *error) {
  if (!path || !out_weights) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "opening weights: no path or no place for them");
  *out_weights = NULL;
  seqrt_weights *weights = calloc(1, sizeof *weights);
  if (weights) weights->path = strdup(path);
  seqrt_code code = weights && weights->path ? open_all(weights, error) : runtime_fail_memory(error, path, sizeof *weights);
  if (code == SEQRT_OK) *out_weights = weights;
  else seqrt_weights_close(weights);
  return code;
}

/* ---- access ---- */

const char *seqrt_weights_path(const seqrt_weights *weights) { return weights->path; }

const char *seqrt_weights_config(const seqrt_weights *weights) { return weights->config; }

const char *seqrt_weights_config_path(const seqrt_weights *weights) { return weights->config ? weights->config_path : NULL; }

int32_t seqrt_weights_file_count(const seqrt_weights *weights) { return weights->file_count; }

const char *seqrt_weights_file(const seqrt_weights *weights, int32_t index) {
  return index >= 0 && index < weights->file_count ? seqrt_safetensors_path(weights->files[index]) : NULL;
}

int64_t seqrt_weights_count(const seqrt_weights *weights) { return weights->count; }

const seqrt_stored_tensor *seqrt_weights_tensor(const seqrt_weights *weights, int64_t index) {
  return index >= 0 && index < weights->count ? weights->entries[index].tensor : NULL;
}

static const Entry *find_entry(const seqrt_weights *weights, const char *name) {
  const seqrt_stored_tensor tensor = {.name = name};
  const Entry key = {.tensor = &tensor};
  return weights->count ? bsearch(&key, weights->entries, (size_t)weights->count, sizeof key, compare_entries) : NULL;
}

const seqrt_stored_tensor *seqrt_weights_find(const seqrt_weights *weights, const char *name) {
  const Entry *entry = find_entry(weights, name);
  return entry ? entry->tensor : NULL;
}

/* ---- reading ---- */

typedef seqrt_code (*Convert)(const seqrt_stored_tensor *piece, int64_t first, void *out_values, seqrt_error *error);

static seqrt_code convert_f32(const seqrt_stored_tensor *piece, int64_t first, void *out_values, seqrt_error *error) {
  return stored_piece_to_f32(piece, first, (float *)out_values + first, error);
}
static seqrt_code convert_f64(const seqrt_stored_tensor *piece, int64_t first, void *out_values, seqrt_error *error) {
  return seqrt_stored_to_f64(piece, (double *)out_values + first, error);
}
static seqrt_code convert_i32(const seqrt_stored_tensor *piece, int64_t first, void *out_values, seqrt_error *error) {
  return stored_piece_to_integers(piece, first, (int32_t *)out_values + first, NULL, error);
}
static seqrt_code convert_i64(const seqrt_stored_tensor *piece, int64_t first, void *out_values, seqrt_error *error) {
  return stored_piece_to_integers(piece, first, NULL, (int64_t *)out_values + first, error);
}

/* `direct`: the stored type that needs no conversion. */
static seqrt_code read_array(const seqrt_weights *weights, const char *name, Convert convert, seqrt_stored_dtype direct,
                             void *out_values, seqrt_error *error) {
  if (!weights || !name || !out_values)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "reading an array: no weights, no name or no place for it");
  const Entry *entry = find_entry(weights, name);
  if (!entry) return runtime_fail(error, SEQRT_MISMATCH, "'%.400s' has no array '%.400s'", weights->path, name);
  const seqrt_stored_tensor *tensor = entry->tensor;
  if (tensor->dtype == direct) return stored_file_read(entry->file, tensor, 0, tensor->bytes, out_values, error);
  char *buffer = malloc(PIECE_BYTES);
  if (!buffer) return runtime_fail_memory(error, name, PIECE_BYTES);
  int64_t stored_size = seqrt_stored_dtype_size(tensor->dtype), most = PIECE_BYTES / stored_size;
  seqrt_code code = SEQRT_OK;
  for (int64_t first = 0; first < tensor->elements && code == SEQRT_OK; first += most) {
    int64_t count = tensor->elements - first < most ? tensor->elements - first : most;
    seqrt_stored_tensor piece = {.name = name, .dtype = tensor->dtype, .elements = count, .bytes = count * stored_size};
    piece.data = buffer;
    code = stored_file_read(entry->file, tensor, first * stored_size, piece.bytes, buffer, error);
    if (code == SEQRT_OK) code = convert(&piece, first, out_values, error);
  }
  free(buffer);
  return code;
}

seqrt_code seqrt_weights_to_f32(const seqrt_weights *weights, const char *name, float *out_values, seqrt_error *error) {
  return read_array(weights, name, convert_f32, SEQRT_STORED_F32, out_values, error);
}

seqrt_code seqrt_weights_to_f64(const seqrt_weights *weights, const char *name, double *out_values, seqrt_error *error) {
  return read_array(weights, name, convert_f64, SEQRT_STORED_F64, out_values, error);
}

seqrt_code seqrt_weights_to_i32(const seqrt_weights *weights, const char *name, int32_t *out_values, seqrt_error *error) {
  return read_array(weights, name, convert_i32, SEQRT_STORED_I32, out_values, error);
}

seqrt_code seqrt_weights_to_i64(const seqrt_weights *weights, const char *name, int64_t *out_values, seqrt_error *error) {
  return read_array(weights, name, convert_i64, SEQRT_STORED_I64, out_values, error);
}
