/* safetensors.c - reading files of named arrays.
 *
 * A file is 8 bytes of header length, a JSON header, and the bytes of all arrays. Nothing in it is believed: each length
 * is compared with what is there before it is used, and the arrays must tile the rest of the file exactly. The file is
 * read, not mapped: one that shrinks while it is mapped would end the program. A file of weights stays open instead, and its arrays are
 * read when they are wanted, so that they are never in memory twice.
 */
#include "runtime/stored_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/internal.h"
#include "runtime/json.h"

enum { PREFIX = 8, MAX_RANK = 16 };
#define MAX_HEADER ((uint64_t)100 << 20)

/* An array, and where in the data it begins. */
typedef struct Entry {
  seqrt_stored_tensor tensor;
  int64_t begin;
} Entry;

struct seqrt_safetensors {
  char *path;
  char *header; /* the text, then room for its strings */
  char *data;   /* NULL: read from `descriptor` when wanted */
  int descriptor;
  int64_t data_start; /* in the file */
  int64_t data_size;
  Entry *entries;
  const Entry **by_name;
  int64_t count, capacity;
  int64_t *extents; /* of all shapes */
  int64_t extent_count, extent_capacity;
  seqrt_metadata *metadata;
  int64_t metadata_count, metadata_capacity;
};

void seqrt_safetensors_close(seqrt_safetensors *file) {
  if (!file) return;
  if (file->descriptor >= 0) close(file->descriptor);
  free(file->path);
  free(file->header);
  free(file->data);
  free(file->entries);
  free(file->by_name);
  free(file->extents);
  free(file->metadata);
  free(file);
}

/* ---- header ---- */

static seqrt_code fail_format(const seqrt_safetensors *file, seqrt_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static seqrt_code fail_format(const seqrt_safetensors *file, seqrt_error *error, const char *format, ...) {
  char text[700];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return runtime_fail(error, SEQRT_FORMAT, "%.200s: %s", file->path, text);
}

static seqrt_code fail_json(const seqrt_safetensors *file, const JsonReader *reader, seqrt_error *error) {
  return fail_format(file, error, "header, byte %td: %s", reader->next - reader->text,
                     reader->error ? reader->error : "',' or the end expected");
}

/* Room for one more element, doubling; false without memory. */
static bool grow(void **array, int64_t count, int64_t *capacity, size_t size) {
  if (count < *capacity) return true;
  int64_t larger = *capacity ? 2 * *capacity : 64;
  void *moved = realloc(*array, (size_t)larger * size);
  if (!moved) return false;
  *array = moved;
  *capacity = larger;
  return true;
}

static seqrt_code read_metadata(seqrt_safetensors *file, JsonReader *reader, seqrt_error *error) {
  if (!json_expect(reader, '{')) return fail_json(file, reader, error);
  if (json_accept(reader, '}')) return SEQRT_OK;
  do {
    seqrt_metadata entry;
    if (!json_string(reader, &entry.key) || !json_expect(reader, ':') || !json_string(reader, &entry.value))
      return fail_json(file, reader, error);
    if (!grow((void **)&file->metadata, file->metadata_count, &file->metadata_capacity, sizeof entry))
      return runtime_fail_memory(error, file->path, file->metadata_capacity * 32);
    file->metadata[file->metadata_count++] = entry;
  } while (json_accept(reader, ','));
  return json_expect(reader, '}') ? SEQRT_OK : fail_json(file, reader, error);
}

static bool find_dtype(const char *name, seqrt_stored_dtype *out_dtype) {
  for (int dtype = 0; dtype < SEQRT_STORED_DTYPE_COUNT; dtype++) {
    if (strcmp(name, seqrt_stored_dtype_name((seqrt_stored_dtype)dtype)) != 0) continue;
    *out_dtype = (seqrt_stored_dtype)dtype;
    return true;
  }
  return false;
}

static seqrt_code read_shape(seqrt_safetensors *file, JsonReader *reader, seqrt_stored_tensor *tensor, seqrt_error *error) {
  if (!json_expect(reader, '[')) return fail_json(file, reader, error);
  if (json_accept(reader, ']')) return SEQRT_OK;
  do {
    int64_t extent;
    if (!json_integer(reader, &extent)) return fail_json(file, reader, error);
    if (tensor->rank == MAX_RANK) return fail_format(file, error, "'%.200s' has more than %d axes", tensor->name, (int)MAX_RANK);
    if (!grow((void **)&file->extents, file->extent_count, &file->extent_capacity, sizeof extent))
      return runtime_fail_memory(error, file->path, file->extent_capacity * 16);
    file->extents[file->extent_count++] = extent;
    tensor->rank++;
  } while (json_accept(reader, ','));
  return json_expect(reader, ']') ? SEQRT_OK : fail_json(file, reader, error);
}

/* What the fields of an array's entry say, before it is believed. */
typedef struct Claim {
  const char *dtype;
  bool has_shape, has_offsets;
  int64_t begin, end;
} Claim;

static seqrt_code read_claim(seqrt_safetensors *file, JsonReader *reader, seqrt_stored_tensor *tensor, Claim *claim,
                             seqrt_error *error) {
  if (!json_expect(reader, '{')) return fail_json(file, reader, error);
  do {
    const char *field;
    if (!json_string(reader, &field) || !json_expect(reader, ':')) return fail_json(file, reader, error);
    bool is_dtype = strcmp(field, "dtype") == 0, is_shape = strcmp(field, "shape") == 0;
    bool is_offsets = strcmp(field, "data_offsets") == 0;
    if (!is_dtype && !is_shape && !is_offsets)
      return fail_format(file, error, "'%.200s' has an unknown field '%.100s'", tensor->name, field);
    if ((is_dtype && claim->dtype) || (is_shape && claim->has_shape) || (is_offsets && claim->has_offsets))
      return fail_format(file, error, "'%.200s' has the field '%s' twice", tensor->name, field);
    if (is_shape) {
      claim->has_shape = true;
      seqrt_code code = read_shape(file, reader, tensor, error);
      if (code != SEQRT_OK) return code;
    } else if (is_offsets) {
      claim->has_offsets = json_expect(reader, '[') && json_integer(reader, &claim->begin) && json_accept(reader, ',') &&
                           json_integer(reader, &claim->end) && json_expect(reader, ']');
      if (!claim->has_offsets) return fail_json(file, reader, error);
    } else if (!json_string(reader, &claim->dtype)) return fail_json(file, reader, error);
  } while (json_accept(reader, ','));
  return json_expect(reader, '}') ? SEQRT_OK : fail_json(file, reader, error);
}

static seqrt_code check_claim(const seqrt_safetensors *file, const Claim *claim, const int64_t *shape,
                              seqrt_stored_tensor *tensor, seqrt_error *error) {
  const char *name = tensor->name;
  if (!claim->dtype || !claim->has_shape || !claim->has_offsets)
    return fail_format(file, error, "'%.200s' lacks the field '%s'", name,
                       !claim->dtype       ? "dtype"
                       : !claim->has_shape ? "shape"
                                           : "data_offsets");
  if (!find_dtype(claim->dtype, &tensor->dtype))
    return fail_format(file, error, "'%.200s' has the unknown type '%.40s'", name, claim->dtype);
  tensor->elements = runtime_elements(shape, tensor->rank, 0, NULL);
  if (tensor->elements < 0 || __builtin_mul_overflow(tensor->elements, seqrt_stored_dtype_size(tensor->dtype), &tensor->bytes))
    return fail_format(file, error, "'%.200s' has a shape that fits into no memory", name);
  if (claim->begin > claim->end || claim->end > file->data_size)
    return fail_format(file, error, "'%.200s' claims bytes %" PRId64 " to %" PRId64 " of %" PRId64, name, claim->begin,
                       claim->end, file->data_size);
  if (claim->end - claim->begin != tensor->bytes)
    return fail_format(file, error, "'%.200s' needs %" PRId64 " bytes by type and shape, but claims %" PRId64, name,
                       tensor->bytes, claim->end - claim->begin);
  if (file->data) tensor->data = file->data + claim->begin;
  return SEQRT_OK;
}

static seqrt_code read_tensor(seqrt_safetensors *file, JsonReader *reader, const char *name, seqrt_error *error) {
  seqrt_stored_tensor tensor = {.name = name};
  Claim claim = {0};
  int64_t first_extent = file->extent_count;
  seqrt_code code = read_claim(file, reader, &tensor, &claim, error);
  if (code == SEQRT_OK) code = check_claim(file, &claim, file->extents + first_extent, &tensor, error);
  if (code != SEQRT_OK) return code;
  if (!grow((void **)&file->entries, file->count, &file->capacity, sizeof *file->entries))
    return runtime_fail_memory(error, file->path, file->capacity * 128);
  file->entries[file->count++] = (Entry){tensor, claim.begin};
  return SEQRT_OK;
}

static seqrt_code read_header(seqrt_safetensors *file, size_t size, seqrt_error *error) {
  JsonReader reader = json_reader(file->header, size, file->header + size);
  if (!size || file->header[0] != '{') return fail_format(file, error, "header: it must begin with '{'");
  json_accept(&reader, '{');
  bool has_metadata = false;
  if (!json_accept(&reader, '}')) {
    do {
      const char *name;
      if (!json_string(&reader, &name) || !json_expect(&reader, ':')) return fail_json(file, &reader, error);
      bool is_metadata = strcmp(name, "__metadata__") == 0;
      if (is_metadata && has_metadata) return fail_format(file, error, "header: '__metadata__' occurs twice");
      has_metadata = has_metadata || is_metadata;
      seqrt_code code = is_metadata ? read_metadata(file, &reader, error) : read_tensor(file, &reader, name, error);
      if (code != SEQRT_OK) return code;
    } while (json_accept(&reader, ','));
    if (!json_expect(&reader, '}')) return fail_json(file, &reader, error);
  }
  return json_end(&reader) ? SEQRT_OK : fail_json(file, &reader, error);
}

/* ---- the arrays together ---- */

static int compare_names(const void *a, const void *b) {
  const Entry *const *first = a, *const *second = b;
  return strcmp((*first)->tensor.name, (*second)->tensor.name);
}

static int compare_places(const void *a, const void *b) {
  const Entry *x = *(const Entry *const *)a, *y = *(const Entry *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->tensor.bytes > y->tensor.bytes) - (x->tensor.bytes < y->tensor.bytes); /* empty ones first */
}

static seqrt_code check_tiling(const seqrt_safetensors *file, seqrt_error *error) {
  int64_t end = 0;
  const char *before = "the header";
  for (int64_t i = 0; i < file->count; i++) {
    const Entry *entry = file->by_name[i];
    const char *name = entry->tensor.name;
    if (entry->begin < end) return fail_format(file, error, "'%.200s' and '%.200s' overlap", before, name);
    if (entry->begin > end)
      return fail_format(file, error, "there is a gap of %" PRId64 " bytes between '%.200s' and '%.200s'", entry->begin - end,
                         before, name);
    end += entry->tensor.bytes;
    before = name;
  }
  if (file->data_size > end)
    return fail_format(file, error, "%" PRId64 " bytes after the last array belong to none", file->data_size - end);
  return SEQRT_OK;
}

static int compare_strings(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static seqrt_code check_metadata(const seqrt_safetensors *file, seqrt_error *error) {
  size_t count = (size_t)file->metadata_count;
  const char **keys = malloc((count + 1) * sizeof *keys);
  if (!keys) return runtime_fail_memory(error, file->path, file->metadata_count * 8);
  for (size_t i = 0; i < count; i++) keys[i] = file->metadata[i].key;
  qsort(keys, count, sizeof *keys, compare_strings);
  seqrt_code code = SEQRT_OK;
  for (size_t i = 1; i < count && code == SEQRT_OK; i++)
    if (strcmp(keys[i - 1], keys[i]) == 0) code = fail_format(file, error, "metadata key '%.100s' occurs twice", keys[i]);
  free(keys);
  return code;
}

static seqrt_code index_tensors(seqrt_safetensors *file, seqrt_error *error) {
  file->by_name = malloc(((size_t)file->count + 1) * sizeof *file->by_name);
  if (!file->by_name) return runtime_fail_memory(error, file->path, file->count * 8);
  const int64_t *shape = file->extents;
  for (int64_t i = 0; i < file->count; i++) {
    file->entries[i].tensor.shape = shape; /* only now: the table moved while it grew */
    if (shape) shape += file->entries[i].tensor.rank;
    file->by_name[i] = &file->entries[i];
  }
  qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_places);
  seqrt_code code = check_tiling(file, error);
  if (code != SEQRT_OK) return code;
  qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
  for (int64_t i = 1; i < file->count; i++)
    if (compare_names(&file->by_name[i - 1], &file->by_name[i]) == 0)
      return fail_format(file, error, "'%.200s' occurs twice", file->by_name[i]->tensor.name);
  return SEQRT_OK;
}

/* ---- bytes ---- */

/* Where the bytes come from: a descriptor, or memory. */
typedef struct Source {
  int descriptor;
  const char *bytes;
  int64_t size;
  bool has_data_left; /* the arrays are read later */
} Source;

static seqrt_code read_bytes(const seqrt_safetensors *file, Source *source, char *out_bytes, int64_t size, seqrt_error *error) {
  if (source->bytes) {
    if (size) memcpy(out_bytes, source->bytes, (size_t)size);
    source->bytes += size;
    return SEQRT_OK;
  }
  while (size) {
    ssize_t count = read(source->descriptor, out_bytes, (size_t)size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return runtime_fail(error, SEQRT_IO, "cannot read '%s': %s", file->path, strerror(errno));
    if (count == 0) return runtime_fail(error, SEQRT_IO, "'%s' became shorter while it was read", file->path);
    out_bytes += count;
    size -= count;
  }
  return SEQRT_OK;
}

static seqrt_code read_file(seqrt_safetensors *file, Source *source, seqrt_error *error) {
  unsigned char prefix[PREFIX];
  if (source->size < PREFIX)
    return fail_format(file, error, "%" PRId64 " bytes are no safetensors file, which has 8 and a header", source->size);
  seqrt_code code = read_bytes(file, source, (char *)prefix, PREFIX, error);
  if (code != SEQRT_OK) return code;
  uint64_t header_size = 0;
  for (int i = PREFIX - 1; i >= 0; i--) header_size = header_size << 8 | prefix[i];
  if (header_size > (uint64_t)(source->size - PREFIX))
    return fail_format(file, error,
                       "a header of %" PRIu64 " bytes is claimed, but only %" PRId64 " are left: truncated, or not a "
                       "safetensors file",
                       header_size, source->size - PREFIX);
  if (header_size > MAX_HEADER)
    return fail_format(file, error, "a header of %" PRIu64 " bytes is claimed; at most %" PRIu64 " are allowed", header_size,
                       MAX_HEADER);
  file->data_size = source->size - PREFIX - (int64_t)header_size;
  file->data_start = PREFIX + (int64_t)header_size;
  file->header = malloc(2 * (size_t)header_size + 1);
  if (!source->has_data_left) file->data = runtime_allocate(file->data_size);
  if (!file->header || (!file->data && !source->has_data_left)) return runtime_fail_memory(error, file->path, source->size);
  code = read_bytes(file, source, file->header, (int64_t)header_size, error);
  if (code == SEQRT_OK && file->data) code = read_bytes(file, source, file->data, file->data_size, error);
  if (code == SEQRT_OK) code = read_header(file, (size_t)header_size, error);
  if (code == SEQRT_OK) code = check_metadata(file, error);
  return code == SEQRT_OK ? index_tensors(file, error) : code;
}

static seqrt_code open_source(const char *name, Source *source, seqrt_safetensors **out_file, seqrt_error *error) {
  seqrt_safetensors *file = calloc(1, sizeof *file);
  if (file) file->descriptor = -1;
  if (file) file->path = strdup(name);
  seqrt_code code = file && file->path ? read_file(file, source, error) : runtime_fail_memory(error, name, sizeof *file);
  if (code == SEQRT_OK) *out_file = file;
  else seqrt_safetensors_close(file);
  return code;
}

static seqrt_code open_path(const char *path, bool has_data_left, seqrt_safetensors **out_file, seqrt_error *error) {
  if (!path || !out_file)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "opening a safetensors file: no path or no place for it");
  *out_file = NULL;
  Source source = {.descriptor = open(path, O_RDONLY | O_CLOEXEC), .has_data_left = has_data_left};
  if (source.descriptor < 0) return runtime_fail(error, SEQRT_IO, "cannot open '%s': %s", path, strerror(errno));
  struct stat status;
  seqrt_code code;
  if (fstat(source.descriptor, &status) != 0) code = runtime_fail(error, SEQRT_IO, "cannot read '%s': %s", path, strerror(errno));
  else if (!S_ISREG(status.st_mode)) code = runtime_fail(error, SEQRT_IO, "cannot read '%s': not a regular file", path);
  else {
    source.size = status.st_size;
    code = open_source(path, &source, out_file, error);
  }
  if (code == SEQRT_OK && has_data_left) (*out_file)->descriptor = source.descriptor;
  else close(source.descriptor);
  return code;
}

seqrt_code seqrt_safetensors_open(const char *path, seqrt_safetensors **out_file, seqrt_error *error) {
  return open_path(path, false, out_file, error);
}

seqrt_code stored_file_open(const char *path, seqrt_safetensors **out_file, seqrt_error *error) {
  return open_path(path, true, out_file, error);
}

seqrt_code stored_file_read(const seqrt_safetensors *file, const seqrt_stored_tensor *tensor, int64_t first, int64_t size,
                            void *out_bytes, seqrt_error *error) {
  const Entry *entry = (const Entry *)(const void *)tensor;
  off_t place = (off_t)(file->data_start + entry->begin + first);
  for (char *next = out_bytes; size;) {
    ssize_t count = pread(file->descriptor, next, (size_t)size, place);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return runtime_fail(error, SEQRT_IO, "cannot read '%s': %s", file->path, strerror(errno));
    if (count == 0) return runtime_fail(error, SEQRT_IO, "'%s' became shorter while it was open", file->path);
    next += count;
    place += count;
    size -= count;
  }
  return SEQRT_OK;
}

seqrt_code seqrt_safetensors_parse(const void *bytes, size_t size, const char *name, seqrt_safetensors **out_file,
                                   seqrt_error *error) {
  if (!bytes || !name || !out_file || size > INT64_MAX)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "parsing a safetensors file: no bytes, no name or no place for it");
  *out_file = NULL;
  Source source = {.descriptor = -1, .bytes = bytes, .size = (int64_t)size};
  return open_source(name, &source, out_file, error);
}

/* ---- access ---- */

const char *seqrt_safetensors_path(const seqrt_safetensors *file) { return file->path; }

int64_t seqrt_safetensors_count(const seqrt_safetensors *file) { return file->count; }

const seqrt_stored_tensor *seqrt_safetensors_tensor(const seqrt_safetensors *file, int64_t index) {
  return index >= 0 && index < file->count ? &file->entries[index].tensor : NULL;
}

const seqrt_stored_tensor *seqrt_safetensors_find(const seqrt_safetensors *file, const char *name) {
  const Entry key = {.tensor.name = name}, *pointer = &key;
  const Entry **found = bsearch(&pointer, file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
  return found ? &(*found)->tensor : NULL;
}

const char *seqrt_safetensors_metadata(const seqrt_safetensors *file, const char *key) {
  for (int64_t i = 0; i < file->metadata_count; i++)
    if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
  return NULL;
}

int64_t seqrt_safetensors_metadata_count(const seqrt_safetensors *file) { return file->metadata_count; }

const seqrt_metadata *seqrt_safetensors_metadata_entry(const seqrt_safetensors *file, int64_t index) {
  return index >= 0 && index < file->metadata_count ? &file->metadata[index] : NULL;
}
