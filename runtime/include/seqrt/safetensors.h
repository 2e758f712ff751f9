/* safetensors.h - files of named arrays: read with every claim checked, written so that the old file survives a failure.
 *
 * A file is opened whole into memory. Accepted is what the format defines and nothing else: header length within the
 * file, strict JSON, known types, shapes that fill their bytes exactly, no overlap, no gap, no byte after the last array.
 */
#ifndef SEQRT_SAFETENSORS_H
#define SEQRT_SAFETENSORS_H

#include "seqrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum seqrt_stored_dtype {
  SEQRT_STORED_BOOL = 0,
  SEQRT_STORED_U8,
  SEQRT_STORED_I8,
  SEQRT_STORED_I16,
  SEQRT_STORED_U16,
  SEQRT_STORED_F16,
  SEQRT_STORED_BF16,
  SEQRT_STORED_I32,
  SEQRT_STORED_U32,
  SEQRT_STORED_F32,
  SEQRT_STORED_F64,
  SEQRT_STORED_I64,
  SEQRT_STORED_U64,
  SEQRT_STORED_DTYPE_COUNT
} seqrt_stored_dtype;

/* An array of a file, or one to be written. Dense, row-major, little-endian. */
typedef struct seqrt_stored_tensor {
  const char *name;
  seqrt_stored_dtype dtype;
  int32_t rank;
  const int64_t *shape; /* [rank], each >= 0; may be NULL for rank 0 */
  int64_t elements;     /* the product; ignored when writing */
  int64_t bytes;        /* elements times the size of one; ignored when writing */
  const void *data;     /* not necessarily aligned: read it with the functions below, or with memcpy */
} seqrt_stored_tensor;

/* One entry of `__metadata__`. */
typedef struct seqrt_metadata {
  const char *key;
  const char *value;
} seqrt_metadata;

typedef struct seqrt_safetensors seqrt_safetensors;

/* Opens a file. SEQRT_IO: it cannot be read; SEQRT_FORMAT: it is not what it should be; SEQRT_OUT_OF_MEMORY. */
seqrt_code seqrt_safetensors_open(const char *path, seqrt_safetensors **out_file, seqrt_error *out_error);

/* The same for bytes in memory, which are copied; `name` stands in messages where the path would. */
seqrt_code seqrt_safetensors_parse(const void *bytes, size_t size, const char *name, seqrt_safetensors **out_file,
                                   seqrt_error *out_error);

/* Frees the file and everything obtained from it. NULL is fine. */
void seqrt_safetensors_close(seqrt_safetensors *file);

/* The path, as it was given. */
const char *seqrt_safetensors_path(const seqrt_safetensors *file);

/* The arrays in the order of the header. What is returned lives as long as the file. */
int64_t seqrt_safetensors_count(const seqrt_safetensors *file);
const seqrt_stored_tensor *seqrt_safetensors_tensor(const seqrt_safetensors *file, int64_t index);

/* The array of that name, or NULL. */
const seqrt_stored_tensor *seqrt_safetensors_find(const seqrt_safetensors *file, const char *name);

/* The value of a key of `__metadata__`, or NULL. Values are text; JSON inside of one comes unescaped, ready to parse. */
const char *seqrt_safetensors_metadata(const seqrt_safetensors *file, const char *key);
int64_t seqrt_safetensors_metadata_count(const seqrt_safetensors *file);
const seqrt_metadata *seqrt_safetensors_metadata_entry(const seqrt_safetensors *file, int64_t index);

/* Copies all elements, converted. To float32 and double: from every type, rounded to nearest. To int32 and int64: from
 * integer types and BOOL only (SEQRT_FORMAT otherwise); SEQRT_OUT_OF_RANGE where a value does not fit, a finite double that would be an
 * infinite float32 included. */
seqrt_code seqrt_stored_to_f32(const seqrt_stored_tensor *tensor, float *out_values, seqrt_error *out_error);
seqrt_code seqrt_stored_to_f64(const seqrt_stored_tensor *tensor, double *out_values, seqrt_error *out_error);
seqrt_code seqrt_stored_to_i32(const seqrt_stored_tensor *tensor, int32_t *out_values, seqrt_error *out_error);
seqrt_code seqrt_stored_to_i64(const seqrt_stored_tensor *tensor, int64_t *out_values, seqrt_error *out_error);

/* "F32", and the bytes of one element. */
const char *seqrt_stored_dtype_name(seqrt_stored_dtype dtype);
int64_t seqrt_stored_dtype_size(seqrt_stored_dtype dtype);

/* Writes a file: into a temporary one beside it, synced, then renamed over `path`, then the folder is synced. On any failure the
 * old file is whole and the temporary one is gone. Names and keys must be unique. The arrays are laid out in the order given. */
seqrt_code seqrt_safetensors_save(const char *path, const seqrt_stored_tensor *tensors, int64_t tensor_count,
                                  const seqrt_metadata *metadata, int64_t metadata_count, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
