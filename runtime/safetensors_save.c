/* safetensors_save.c - writing files of named arrays. The header is padded with spaces so that the arrays begin on a line
 * of 64 bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/atomic_file.h"
#include "runtime/json.h"
#include "seqrt/safetensors.h"

/* Text that is measured first, with `bytes` NULL, and then written. */
typedef struct Text {
  char *bytes;
  size_t length;
} Text;

static void put(Text *text, const char *piece) {
  size_t length = strlen(piece);
  if (text->bytes) memcpy(text->bytes + text->length, piece, length);
  text->length += length;
}

static void put_string(Text *text, const char *string) {
  text->length += json_write_string(string, text->bytes ? text->bytes + text->length : NULL);
}

static void put_integer(Text *text, int64_t value) {
  char digits[24];
  snprintf(digits, sizeof digits, "%" PRId64, value);
  put(text, digits);
}

static int64_t tensor_bytes(const seqrt_stored_tensor *tensor) {
  int64_t elements = runtime_elements(tensor->shape, tensor->rank, 0, NULL), bytes;
  bool is_huge = elements < 0 || __builtin_mul_overflow(elements, seqrt_stored_dtype_size(tensor->dtype), &bytes);
  return is_huge ? -1 : bytes;
}

static void put_tensor(Text *text, const seqrt_stored_tensor *tensor, int64_t begin) {
  put_string(text, tensor->name);
  put(text, ":{\"dtype\":\"");
  put(text, seqrt_stored_dtype_name(tensor->dtype));
  put(text, "\",\"shape\":[");
  for (int32_t axis = 0; axis < tensor->rank; axis++) {
    if (axis) put(text, ",");
    put_integer(text, tensor->shape[axis]);
  }
  put(text, "],\"data_offsets\":[");
  put_integer(text, begin);
  put(text, ",");
  put_integer(text, begin + tensor_bytes(tensor));
  put(text, "]}");
}

static void put_header(Text *text, const seqrt_stored_tensor *tensors, int64_t tensor_count, const seqrt_metadata *metadata,
                       int64_t metadata_count) {
  int64_t begin = 0;
  put(text, "{");
  if (metadata_count) {
    put(text, "\"__metadata__\":{");
    for (int64_t i = 0; i < metadata_count; i++) {
      if (i) put(text, ",");
      put_string(text, metadata[i].key);
      put(text, ":");
      put_string(text, metadata[i].value);
    }
    put(text, "}");
  }
  for (int64_t i = 0; i < tensor_count; i++) {
    if (i || metadata_count) put(text, ",");
    put_tensor(text, &tensors[i], begin);
    begin += tensor_bytes(&tensors[i]);
  }
  put(text, "}");
  while ((text->length + 8) % SEQRT_ALIGNMENT) put(text, " ");
}

static int compare_strings(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Names once, sizes possible: what is written must be readable. */
static seqrt_code check_tensors(const char *path, const seqrt_stored_tensor *tensors, int64_t count, seqrt_error *error) {
  const char **names = malloc(((size_t)count + 1) * sizeof *names);
  if (!names) return runtime_fail_memory(error, path, count * 8);
  seqrt_code code = SEQRT_OK;
  int64_t total = 0;
  for (int64_t i = 0; i < count && code == SEQRT_OK; i++) {
    int64_t bytes = tensor_bytes(&tensors[i]);
    names[i] = tensors[i].name;
    if (bytes < 0 || __builtin_add_overflow(total, bytes, &total) || (bytes && !tensors[i].data))
      code = runtime_fail(error, SEQRT_INVALID_ARGUMENT, "saving '%.200s': array '%.200s' has no data or an impossible size",
                          path, names[i]);
  }
  if (code == SEQRT_OK) qsort(names, (size_t)count, sizeof *names, compare_strings);
  for (int64_t i = 1; i < count && code == SEQRT_OK; i++)
    if (strcmp(names[i - 1], names[i]) == 0)
      code = runtime_fail(error, SEQRT_INVALID_ARGUMENT, "saving '%.200s': array '%.200s' is given twice", path, names[i]);
  free(names);
  return code;
}

static seqrt_code make_header(const char *path, const seqrt_stored_tensor *tensors, int64_t tensor_count,
                              const seqrt_metadata *metadata, int64_t metadata_count, Text *out_header, seqrt_error *error) {
  Text measured = {0};
  put_header(&measured, tensors, tensor_count, metadata, metadata_count);
  *out_header = (Text){.bytes = malloc(measured.length + 8)};
  if (!out_header->bytes) return runtime_fail_memory(error, path, (int64_t)measured.length);
  char *prefix = out_header->bytes;
  for (int i = 0; i < 8; i++) prefix[i] = (char)((uint64_t)measured.length >> 8 * i & 255);
  out_header->bytes += 8;
  put_header(out_header, tensors, tensor_count, metadata, metadata_count);
  out_header->bytes = prefix;
  out_header->length += 8;
  return SEQRT_OK;
}

seqrt_code seqrt_safetensors_save(const char *path, const seqrt_stored_tensor *tensors, int64_t tensor_count,
                                  const seqrt_metadata *metadata, int64_t metadata_count, seqrt_error *error) {
  if (!path || tensor_count < 0 || metadata_count < 0 || (tensor_count && !tensors) || (metadata_count && !metadata))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "saving a safetensors file: no path, or no arrays");
  seqrt_code code = check_tensors(path, tensors, tensor_count, error);
  Text header = {0};
  if (code == SEQRT_OK) code = make_header(path, tensors, tensor_count, metadata, metadata_count, &header, error);
  AtomicFile file;
  if (code == SEQRT_OK) code = atomic_file_open(path, &file, error);
  if (code == SEQRT_OK) {
    code = atomic_file_write(&file, header.bytes, header.length, error);
    for (int64_t i = 0; i < tensor_count && code == SEQRT_OK; i++)
      code = atomic_file_write(&file, tensors[i].data, (size_t)tensor_bytes(&tensors[i]), error);
    if (code == SEQRT_OK) code = atomic_file_commit(&file, error);
  }
  free(header.bytes);
  return code;
}
