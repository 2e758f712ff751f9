/* gguf.c - reading GGUF files. Nothing in them is believed: every count and place is compared with the bytes that are there. */
#include "tools/gguf.h"

#include <stdlib.h>

enum { MOST_LEVELS = 4 };

static const int type_sizes[GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static float float_at(const unsigned char *data) {
  uint32_t bits = (uint32_t)number_at(data, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double double_at(const unsigned char *data) {
  uint64_t bits = number_at(data, 8);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double read_number(Bytes *bytes, GgufType type, const char *what) {
  const unsigned char *data = bytes_take(bytes, (uint64_t)type_sizes[type], what);
  uint64_t bits = number_at(data, type_sizes[type]);
  switch (type) {
  case GGUF_I8: return (int8_t)bits;
  case GGUF_I16: return (int16_t)bits;
  case GGUF_I32: return (int32_t)bits;
  case GGUF_I64: return (double)(int64_t)bits;
  case GGUF_F32: return (double)float_at(data);
  case GGUF_F64: return double_at(data);
  default: return (double)bits;
  }
}

static const char *read_string(Arena *arena, Bytes *bytes, const char *what) {
  uint64_t length = bytes_number(bytes, 8, what);
  return arena_string_length(arena, (const char *)bytes_take(bytes, length, what), (size_t)length);
}

static GgufType read_type(Bytes *bytes, const char *what) {
  uint64_t type = bytes_number(bytes, 4, what);
  if (type >= GGUF_TYPE_COUNT) tool_fail(bytes->path, "'%s' has the unknown type %llu", what, (unsigned long long)type);
  return (GgufType)type;
}

/* Arrays are passed over; their elements are of one type, which may be arrays again. */
static void skip_array(Bytes *bytes, const char *what, int level, uint64_t *out_count) {
  GgufType type = read_type(bytes, what);
  uint64_t count = *out_count = bytes_number(bytes, 8, what);
  if (level == MOST_LEVELS) tool_fail(bytes->path, "'%s': arrays in arrays of more than %d levels", what, (int)MOST_LEVELS);
  if (type_sizes[type]) {
    if (count > bytes->size) tool_fail(bytes->path, "'%s' claims %llu elements: malformed", what, (unsigned long long)count);
    bytes_take(bytes, count * (uint64_t)type_sizes[type], what);
    return;
  }
  for (uint64_t n = 0; n < count; n++) {
    uint64_t unused;
    if (type == GGUF_ARRAY) skip_array(bytes, what, level + 1, &unused);
    else bytes_take(bytes, bytes_number(bytes, 8, what), what);
  }
}

static GgufKey read_key(Arena *arena, Bytes *bytes) {
  GgufKey key = {.name = read_string(arena, bytes, "the name of a key")};
  key.type = read_type(bytes, key.name);
  if (key.type == GGUF_STRING) key.text = read_string(arena, bytes, key.name);
  else if (key.type == GGUF_ARRAY) skip_array(bytes, key.name, 0, &key.count);
  else key.number = read_number(bytes, key.type, key.name);
  return key;
}

/* ---- formats of elements ---- */

static float half_at(const unsigned char *data) {
  uint32_t half = (uint32_t)number_at(data, 2), sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  uint32_t bits = sign | (exponent == 31 ? 0x7F800000 : (exponent + 112) << 23) | fraction << 13;
  if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void read_f32(const unsigned char *block, float *out_values) { out_values[0] = float_at(block); }
static void read_f16(const unsigned char *block, float *out_values) { out_values[0] = half_at(block); }

static void read_bf16(const unsigned char *block, float *out_values) {
  const unsigned char wide[] = {0, 0, block[0], block[1]};
  out_values[0] = float_at(wide);
}

/* Low halves of the bytes are the first 16 elements, high halves the others. */
static void read_q4_0(const unsigned char *block, float *out_values) {
  float scale = half_at(block);
  for (int n = 0; n < 16; n++) {
    out_values[n] = scale * (float)((block[2 + n] & 15) - 8);
    out_values[n + 16] = scale * (float)((block[2 + n] >> 4) - 8);
  }
}

static void read_q4_1(const unsigned char *block, float *out_values) {
  float scale = half_at(block), minimum = half_at(block + 2);
  for (int n = 0; n < 16; n++) {
    out_values[n] = scale * (float)(block[4 + n] & 15) + minimum;
    out_values[n + 16] = scale * (float)(block[4 + n] >> 4) + minimum;
  }
}

static void read_q8_0(const unsigned char *block, float *out_values) {
  float scale = half_at(block);
  for (int n = 0; n < 32; n++) out_values[n] = scale * (float)(int8_t)block[2 + n];
}

typedef struct Format {
  uint32_t number;
  const char *name;
  uint32_t elements, bytes; /* of a block */
  void (*read)(const unsigned char *block, float *out_values);
} Format;

static const Format formats[] = {{0, "F32", 1, 4, read_f32},     {1, "F16", 1, 2, read_f16},     {30, "BF16", 1, 2, read_bf16},
                                 {2, "Q4_0", 32, 18, read_q4_0}, {3, "Q4_1", 32, 20, read_q4_1}, {8, "Q8_0", 32, 34, read_q8_0}};

static const Format *find_format(uint32_t number) {
  for (size_t n = 0; n < sizeof formats / sizeof formats[0]; n++)
    if (formats[n].number == number) return &formats[n];
  return NULL;
}

void gguf_dequantise(const GgufTensor *tensor, float *out_values) {
  const Format *format = find_format(tensor->format);
  for (uint64_t block = 0; block < tensor->elements / format->elements; block++)
    format->read(tensor->data + block * format->bytes, out_values + block * format->elements);
}

/* ---- the file ---- */

typedef struct Place {
  uint64_t offset;
} Place;

static GgufTensor read_tensor(Arena *arena, Bytes *bytes, uint64_t *out_offset) {
  GgufTensor tensor = {.name = read_string(arena, bytes, "the name of a tensor")};
  uint64_t rank = bytes_number(bytes, 4, tensor.name);
  if (rank > GGUF_MOST_AXES) tool_fail(bytes->path, "'%s' has %llu axes", tensor.name, (unsigned long long)rank);
  tensor.rank = (int)rank;
  for (int axis = tensor.rank - 1; axis >= 0; axis--) tensor.shape[axis] = bytes_number(bytes, 8, tensor.name);
  tensor.elements = product_of(bytes->path, tensor.rank, tensor.shape);
  tensor.format = (uint32_t)bytes_number(bytes, 4, tensor.name);
  *out_offset = bytes_number(bytes, 8, tensor.name);
  const Format *format = find_format(tensor.format);
  if (!format)
    tool_fail(bytes->path, "'%s' is stored in format %u: expected F32, F16, BF16, Q4_0, Q4_1 or Q8_0", tensor.name,
              tensor.format);
  uint64_t fastest = tensor.rank ? tensor.shape[tensor.rank - 1] : 1;
  if (fastest % format->elements)
    tool_fail(bytes->path, "'%s' has rows of %llu elements, which are no whole blocks of %s", tensor.name,
              (unsigned long long)fastest, format->name);
  return tensor;
}

static void find_data(Bytes *bytes, GgufTensor *tensor, uint64_t start, uint64_t offset) {
  const Format *format = find_format(tensor->format);
  if (offset > bytes->size - start) tool_fail(bytes->path, "the data of '%s' lies behind the end: cut off", tensor->name);
  bytes_seek(bytes, start + offset, tensor->name);
  tensor->data = bytes_take(bytes, tensor->elements / format->elements * format->bytes, tensor->name);
}

Gguf gguf_read(Arena *arena, const char *path) {
  Bytes bytes = bytes_read_file(arena, path);
  Gguf gguf = {.path = path};
  if (memcmp(bytes_take(&bytes, 4, "the file"), "GGUF", 4) != 0) tool_fail(path, "is no GGUF file");
  uint64_t version = bytes_number(&bytes, 4, "the version");
  if (version != 2 && version != 3) tool_fail(path, "version %llu of GGUF: expected 3", (unsigned long long)version);
  uint64_t tensor_count = bytes_number(&bytes, 8, "the number of tensors"),
           key_count = bytes_number(&bytes, 8, "the number of keys");
  if (tensor_count > bytes.size / 24 || key_count > bytes.size / 12)
    tool_fail(path, "more keys or tensors are claimed than fit into the file");
  for (uint64_t n = 0; n < key_count; n++) ARENA_PUSH(arena, gguf.keys, gguf.key_count, read_key(arena, &bytes));
  Place *places = ARENA_ARRAY(arena, Place, tensor_count);
  for (uint64_t n = 0; n < tensor_count; n++)
    ARENA_PUSH(arena, gguf.tensors, gguf.tensor_count, read_tensor(arena, &bytes, &places[n].offset));
  const GgufKey *alignment = gguf_find(&gguf, "general.alignment");
  uint64_t line = alignment ? (uint64_t)alignment->number : 32;
  if (line < 1 || line > 1 << 20 || line & (line - 1)) tool_fail(path, "an alignment of %llu bytes", (unsigned long long)line);
  uint64_t start = (bytes.next + line - 1) / line * line;
  if (start > bytes.size && tensor_count) tool_fail(path, "the data is missing: cut off");
  for (int n = 0; n < gguf.tensor_count; n++) find_data(&bytes, &gguf.tensors[n], start, places[n].offset);
  return gguf;
}

const GgufKey *gguf_find(const Gguf *gguf, const char *name) {
  for (int n = 0; n < gguf->key_count; n++)
    if (strcmp(gguf->keys[n].name, name) == 0) return &gguf->keys[n];
  return NULL;
}

const GgufTensor *gguf_find_tensor(const Gguf *gguf, const char *name) {
  for (int n = 0; n < gguf->tensor_count; n++)
    if (strcmp(gguf->tensors[n].name, name) == 0) return &gguf->tensors[n];
  return NULL;
}
