/* reference.h - files of tensors as the driver sees them: reference data, read whole, and weights, read when wanted. */
#ifndef SEQC_DRIVER_REFERENCE_H
#define SEQC_DRIVER_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct ReferenceTensor {
  const char *name;
  const char *dtype; /* as in the file: "F64" */
  bool is_integer;
  bool is_double; /* held to the tolerance of float64 */
  int rank;
  int64_t *shape;
  int64_t elements;
  double *values; /* of any stored type; exact but for integers above 2^53. NULL in weights */
} ReferenceTensor;

/* What `streams` in the metadata says of the chunked and the stepped form. */
typedef enum { STREAMS_ABSENT, STREAMS_NULL, STREAMS_LIST } StreamsKind;

typedef struct Reference {
  const char *path;
  int tensor_count;
  ReferenceTensor *tensors;      /* in the order of the file's names */
  struct seqrt_weights *weights; /* where the values are, when they are not in memory */
  const char *config;            /* JSON text or NULL */
  const char *config_path;
  StreamsKind streams;
  int stream_count;
  const char **stream_outputs;
  int zero_count;
  const char **zero_gradients; /* "param.NAME": zero by algebra */
} Reference;

/* NULL after printing why the file cannot be used. */
Reference *reference_load(Arena *arena, const char *path);

/* The tensors of a checkpoint: a file, an index or a folder, see seqrt/weights.h. Without values. To be closed. */
Reference *weights_open(Arena *arena, const char *path);
void weights_close(Reference *weights); /* NULL is fine */

/* The values of a tensor as doubles or floats, wherever they are. False after printing why the file cannot be read. */
bool reference_read(const Reference *reference, const ReferenceTensor *tensor, double *out_values);
bool reference_read_floats(const Reference *reference, const ReferenceTensor *tensor, float *out_values);

const ReferenceTensor *reference_find(const Reference *reference, const char *name); /* or NULL */
bool reference_has_zero_gradient(const Reference *reference, const char *name);      /* of "grad.param.NAME" */

#endif
