/* gguf.h - a GGUF file: keys with values, and tensors in blocks. Version 3 (and 2, which is laid out alike). */
#ifndef TOOLS_GGUF_H
#define TOOLS_GGUF_H

#include "tools/bytes.h"

enum { GGUF_MOST_AXES = 4 };

typedef enum GgufType {
  GGUF_U8,
  GGUF_I8,
  GGUF_U16,
  GGUF_I16,
  GGUF_U32,
  GGUF_I32,
  GGUF_F32,
  GGUF_BOOL,
  GGUF_STRING,
  GGUF_ARRAY,
  GGUF_U64,
  GGUF_I64,
  GGUF_F64,
  GGUF_TYPE_COUNT
} GgufType;

typedef struct GgufKey {
  const char *name;
  GgufType type;
  double number;    /* of numbers and truth values */
  const char *text; /* of strings */
  uint64_t count;   /* of arrays */
} GgufKey;

typedef struct GgufTensor {
  const char *name;
  int rank;
  uint64_t shape[GGUF_MOST_AXES]; /* slowest axis first */
  uint64_t elements;
  uint32_t format;
  const unsigned char *data;
} GgufTensor;

typedef struct Gguf {
  const char *path;
  int key_count, tensor_count;
  GgufKey *keys;
  GgufTensor *tensors;
} Gguf;

/* A malformed file ends the program. */
Gguf gguf_read(Arena *arena, const char *path);
const GgufKey *gguf_find(const Gguf *gguf, const char *name);           /* or NULL */
const GgufTensor *gguf_find_tensor(const Gguf *gguf, const char *name); /* or NULL */

/* The elements as floats: quantised ones are scale times number, and minimum. */
void gguf_dequantise(const GgufTensor *tensor, float *out_values);

#endif
