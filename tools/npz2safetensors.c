/* npz2safetensors.c - arrays saved by NumPy (an npz: a zip archive of npy files, stored or deflated) as a safetensors file.
 *
 *   npz2safetensors FILE.npz OUT.safetensors
 *
 * Names are those of the files in the archive without ".npy". Types are kept; arrays in column-major order are turned.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "seqrt/safetensors.h"
#include "tools/bytes.h"
#include "tools/inflate.h"

const char *tool_name = "npz2safetensors";

enum { MAX_RANK = 16, END_SIZE = 22, MOST_COMMENT = 65535 };

typedef struct Archive {
  Arena *arena;
  Bytes bytes;
  seqrt_stored_tensor *tensors;
  int64_t count;
} Archive;

/* ---- an array ---- */

static const struct {
  const char *name;
  seqrt_stored_dtype dtype;
} types[] = {{"<f2", SEQRT_STORED_F16}, {"<f4", SEQRT_STORED_F32}, {"<f8", SEQRT_STORED_F64}, {"|b1", SEQRT_STORED_BOOL},
             {"|i1", SEQRT_STORED_I8},  {"|u1", SEQRT_STORED_U8},  {"<i2", SEQRT_STORED_I16}, {"<u2", SEQRT_STORED_U16},
             {"<i4", SEQRT_STORED_I32}, {"<u4", SEQRT_STORED_U32}, {"<i8", SEQRT_STORED_I64}, {"<u8", SEQRT_STORED_U64}};

/* Behind "'key':" and spaces in the header's dictionary. */
static const char *find_key(const char *path, const char *header, const char *key) {
  const char *place = strstr(header, key);
  if (!place) tool_fail(path, "the header has no %s", key);
  place += strlen(key);
  place += strspn(place, " ");
  if (*place != ':') tool_fail(path, "the header has no value for %s", key);
  return place + 1 + strspn(place + 1, " ");
}

static seqrt_stored_dtype find_type(const char *path, const char *text) {
  for (size_t n = 0; n < sizeof types / sizeof types[0]; n++)
    if ((*text == '\'' || *text == '"') && strncmp(text + 1, types[n].name, 3) == 0 && text[4] == *text) return types[n].dtype;
  tool_fail(path, "type %.12s: expected a little-endian number or truth value", text);
}

/* "(3, 4)", "(5,)" or "()". */
static int read_shape(const char *path, const char *text, uint64_t *shape) {
  int rank = 0;
  if (*text++ != '(') tool_fail(path, "the shape is no list");
  for (text += strspn(text, " "); *text != ')'; text += strspn(text, " ,")) {
    if (*text < '0' || *text > '9' || rank == MAX_RANK)
      tool_fail(path, "the shape is no list of at most %d numbers", (int)MAX_RANK);
    char *end;
    shape[rank++] = strtoull(text, &end, 10);
    if (*end != ',' && *end != ')') tool_fail(path, "the shape is no list of numbers");
    text = end;
  }
  return rank;
}

/* Element n of a row-major array from its place in a column-major one. */
static unsigned char *turn(Arena *arena, const unsigned char *data, int rank, const uint64_t *shape, uint64_t elements,
                           size_t size) {
  unsigned char *turned = arena_allocate(arena, elements * size);
  for (uint64_t n = 0; n < elements; n++) {
    uint64_t rest = n, place = 0, indices[MAX_RANK];
    for (int axis = rank - 1; axis >= 0; axis--) {
      indices[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    for (int axis = rank - 1; axis >= 0; axis--) place = place * shape[axis] + indices[axis];
    memcpy(turned + n * size, data + place * size, size);
  }
  return turned;
}

static void read_array(Archive *archive, const char *name, Bytes npy) {
  const char *path = npy.path;
  if (memcmp(bytes_take(&npy, 6, "the array"), "\x93NUMPY", 6) != 0) tool_fail(path, "is no npy file");
  uint64_t major = bytes_number(&npy, 1, "the version");
  bytes_number(&npy, 1, "the version");
  if (major < 1 || major > 3) tool_fail(path, "version %d of the format is not known", (int)major);
  uint64_t length = bytes_number(&npy, major == 1 ? 2 : 4, "the header");
  const char *header = arena_string_length(archive->arena, (const char *)bytes_take(&npy, length, "the header"), (size_t)length);
  seqrt_stored_dtype dtype = find_type(path, find_key(path, header, "'descr'"));
  bool is_turned = strncmp(find_key(path, header, "'fortran_order'"), "True", 4) == 0;
  uint64_t shape[MAX_RANK];
  int rank = read_shape(path, find_key(path, header, "'shape'"), shape);
  uint64_t elements = product_of(path, rank, shape), size = (uint64_t)seqrt_stored_dtype_size(dtype);
  const unsigned char *data = bytes_take(&npy, elements * size, "the elements");
  if (npy.next != npy.size) tool_fail(path, "%" PRIu64 " bytes are left behind the elements", npy.size - npy.next);
  if (is_turned && rank > 1) data = turn(archive->arena, data, rank, shape, elements, (size_t)size);
  int64_t *extents = ARENA_ARRAY(archive->arena, int64_t, rank);
  for (int axis = 0; axis < rank; axis++) extents[axis] = (int64_t)shape[axis];
  seqrt_stored_tensor tensor = {.name = name, .dtype = dtype, .rank = rank, .shape = extents, .data = data};
  ARENA_PUSH(archive->arena, archive->tensors, archive->count, tensor);
}

/* ---- the archive ---- */

/* One entry of the central directory. */
typedef struct Member {
  int method;
  uint32_t crc;
  uint64_t packed, size, place;
} Member;

static void read_member(Archive *archive, const char *name, Member member) {
  Bytes local = archive->bytes;
  const char *path = arena_format(archive->arena, "%s(%s)", archive->bytes.path, name);
  bytes_seek(&local, member.place, name);
  if (bytes_number(&local, 4, name) != 0x04034b50) tool_fail(path, "its place in the archive is not that of a file");
  const unsigned char *fields = bytes_take(&local, 26, name);
  bytes_take(&local, number_at(fields + 22, 2) + number_at(fields + 24, 2), name);
  const unsigned char *packed = bytes_take(&local, member.packed, name);
  Bytes npy = {path, packed, member.size, 0};
  if (member.method == 8) {
    if (member.size / 1100 > member.packed) tool_fail(path, "no compression reaches the size that is claimed");
    unsigned char *data = arena_allocate(archive->arena, member.size);
    const char *error = inflate(packed, member.packed, data, member.size);
    if (error) tool_fail(path, "%s", error);
    npy.data = data;
  } else if (member.method != 0 || member.packed != member.size) {
    tool_fail(path, "compression %d: expected stored or deflated data", member.method);
  }
  if (crc32_of(npy.data, npy.size) != member.crc) tool_fail(path, "the data is damaged: another checksum");
  read_array(archive, arena_string_length(archive->arena, name, strlen(name) - 4), npy);
}

/* The end of the central directory stands at the end of the file, before a comment. */
static uint64_t find_end(const Archive *archive) {
  const Bytes *bytes = &archive->bytes;
  for (uint64_t back = END_SIZE; back <= END_SIZE + MOST_COMMENT && back <= bytes->size; back++)
    if (number_at(bytes->data + bytes->size - back, 4) == 0x06054b50) return bytes->size - back;
  tool_fail(bytes->path, "is no zip archive, or cut off");
}

static void read_archive(Archive *archive) {
  Bytes *bytes = &archive->bytes;
  bytes_seek(bytes, find_end(archive) + 10, "the directory");
  uint64_t count = bytes_number(bytes, 2, "the directory");
  bytes_number(bytes, 4, "the directory");
  bytes_seek(bytes, bytes_number(bytes, 4, "the directory"), "the directory");
  for (uint64_t n = 0; n < count; n++) {
    const unsigned char *entry = bytes_take(bytes, 46, "the directory");
    if (number_at(entry, 4) != 0x02014b50) tool_fail(bytes->path, "entry %d of the directory is malformed", (int)n);
    uint64_t name_length = number_at(entry + 28, 2);
    const unsigned char *text = bytes_take(bytes, name_length, "the directory");
    bytes_take(bytes, number_at(entry + 30, 2) + number_at(entry + 32, 2), "the directory");
    const char *name = arena_string_length(archive->arena, (const char *)text, (size_t)name_length);
    if (number_at(entry + 8, 2) & 1) tool_fail(bytes->path, "'%s' is encrypted", name);
    Member member = {.method = (int)number_at(entry + 10, 2),
                     .crc = (uint32_t)number_at(entry + 16, 4),
                     .packed = number_at(entry + 20, 4),
                     .size = number_at(entry + 24, 4),
                     .place = number_at(entry + 42, 4)};
    if (member.size == UINT32_MAX || member.packed == UINT32_MAX || member.place == UINT32_MAX)
      tool_fail(bytes->path, "'%s' has more than 4 GiB, which is not read", name);
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".npy") == 0) read_member(archive, name, member);
  }
}

int main(int argument_count, char **arguments) {
  if (argument_count != 3) {
    fputs("usage: npz2safetensors FILE.npz OUT.safetensors\n", stderr);
    return 2;
  }
  Archive archive = {.arena = arena_create()};
  archive.bytes = bytes_read_file(archive.arena, arguments[1]);
  read_archive(&archive);
  make_folder(arguments[2]);
  seqrt_error error;
  if (seqrt_safetensors_save(arguments[2], archive.tensors, archive.count, NULL, 0, &error) != SEQRT_OK)
    tool_fail(NULL, "%s", error.message);
  printf("%s: %" PRId64 " arrays\n", arguments[2], archive.count);
  arena_destroy(archive.arena);
  return 0;
}
