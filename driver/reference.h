/* reference.h - a safetensors file as the check sees it: named tensors and what its metadata says about them. */
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
  double *values; /* of any stored type; exact but for integers above 2^53, which are an error */
} ReferenceTensor;

/* What `streams` in the metadata says of the chunked and the stepped form. */
typedef enum { STREAMS_ABSENT, STREAMS_NULL, STREAMS_LIST } StreamsKind;

typedef struct Reference {
  const char *path;
  int tensor_count;
  ReferenceTensor *tensors; /* in the order of the file's names */
  const char *config;       /* JSON text or NULL */
  StreamsKind streams;
  int stream_count;
  const char **stream_outputs;
  int zero_count;
  const char **zero_gradients; /* "param.NAME": zero by algebra */
} Reference;

/* NULL after printing why the file cannot be used. */
Reference *reference_load(Arena *arena, const char *path);
const ReferenceTensor *reference_find(const Reference *reference, const char *name); /* or NULL */
bool reference_has_zero_gradient(const Reference *reference, const char *name);      /* of "grad.param.NAME" */

#endif
