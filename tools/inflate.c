/* inflate.c - RFC 1951. A code is a canonical prefix code: it is given by the lengths of its words alone, and read bit by bit. */
#include "tools/inflate.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST_WORD = 15, MOST_SYMBOLS = 288, LITERALS = 286, DISTANCES = 30, END_OF_BLOCK = 256 };

typedef struct Stream {
  const unsigned char *data;
  size_t size, next;
  uint32_t bits;
  int bit_count;
  unsigned char *out;
  size_t out_size, out_count;
  const char *error;
} Stream;

/* How many words there are of each length, and the symbols ordered by their words. */
typedef struct Code {
  uint16_t counts[LONGEST_WORD + 1], symbols[MOST_SYMBOLS];
} Code;

static int fail(Stream *stream, const char *error) {
  if (!stream->error) stream->error = error;
  return 0;
}

static int read_bits(Stream *stream, int count) {
  while (stream->bit_count < count) {
    if (stream->next == stream->size) return fail(stream, "the compressed data ends too early");
    stream->bits |= (uint32_t)stream->data[stream->next++] << stream->bit_count;
    stream->bit_count += 8;
  }
  int value = (int)(stream->bits & ((1u << count) - 1));
  stream->bits >>= count;
  stream->bit_count -= count;
  return value;
}

/* False where words of these lengths would have to share a beginning. */
static bool make_code(Code *code, const uint8_t *lengths, int count) {
  uint16_t places[LONGEST_WORD + 2] = {0};
  memset(code, 0, sizeof *code);
  for (int s = 0; s < count; s++) code->counts[lengths[s]]++;
  code->counts[0] = 0;
  int left = 1;
  for (int length = 1; length <= LONGEST_WORD; length++) {
    left = 2 * left - code->counts[length];
    if (left < 0) return false;
    places[length + 1] = (uint16_t)(places[length] + code->counts[length]);
  }
  for (int s = 0; s < count; s++)
    if (lengths[s]) code->symbols[places[lengths[s]]++] = (uint16_t)s;
  return true;
}

static int read_symbol(Stream *stream, const Code *code) {
  int word = 0, first = 0, place = 0;
  for (int length = 1; length <= LONGEST_WORD && !stream->error; length++) {
    word |= read_bits(stream, 1);
    int count = code->counts[length];
    if (word - first < count) return code->symbols[place + word - first];
    place += count;
    first = (first + count) << 1;
    word <<= 1;
  }
  return fail(stream, "a word of the compressed data is in no code");
}

static void put(Stream *stream, unsigned char byte) {
  if (stream->out_count == stream->out_size) fail(stream, "the data is longer than it is said to be");
  else stream->out[stream->out_count++] = byte;
}

static void copy_match(Stream *stream, int symbol, const Code *distances) {
  static const uint16_t length_starts[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint16_t distance_starts[] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                             33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                             1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  int number = symbol - END_OF_BLOCK - 1;
  if (number >= 29) {
    fail(stream, "a length of the compressed data does not exist");
    return;
  }
  int length = length_starts[number] + read_bits(stream, number < 8 || number == 28 ? 0 : number / 4 - 1);
  number = read_symbol(stream, distances);
  if (number >= DISTANCES) fail(stream, "a distance of the compressed data does not exist");
  if (stream->error || number >= DISTANCES) return;
  size_t distance = (size_t)(distance_starts[number] + read_bits(stream, number < 4 ? 0 : number / 2 - 1));
  if (distance > stream->out_count) fail(stream, "the compressed data reads from before its start");
  for (; length > 0 && !stream->error; length--) put(stream, stream->out[stream->out_count - distance]);
}

static void read_block(Stream *stream, const Code *literals, const Code *distances) {
  while (!stream->error) {
    int symbol = read_symbol(stream, literals);
    if (stream->error || symbol == END_OF_BLOCK) return;
    if (symbol < END_OF_BLOCK) put(stream, (unsigned char)symbol);
    else copy_match(stream, symbol, distances);
  }
}

static void read_stored(Stream *stream) {
  stream->bits = 0; /* up to the next whole byte */
  stream->bit_count = 0;
  int length = read_bits(stream, 16), complement = read_bits(stream, 16);
  if ((length ^ complement) != 0xFFFF) fail(stream, "the length of stored data is damaged");
  for (; length > 0 && !stream->error; length--) put(stream, (unsigned char)read_bits(stream, 8));
}

static void read_fixed(Stream *stream) {
  uint8_t lengths[MOST_SYMBOLS];
  Code literals, distances;
  for (int s = 0; s < MOST_SYMBOLS; s++) lengths[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
  make_code(&literals, lengths, MOST_SYMBOLS);
  memset(lengths, 5, DISTANCES);
  make_code(&distances, lengths, DISTANCES);
  read_block(stream, &literals, &distances);
}

/* The lengths of both codes follow each other, runs of them shortened. */
static bool read_lengths(Stream *stream, const Code *code, uint8_t *lengths, int count) {
  for (int n = 0; n < count && !stream->error;) {
    int symbol = read_symbol(stream, code);
    if (symbol < 16) {
      lengths[n++] = (uint8_t)symbol;
      continue;
    }
    if (symbol == 16 && n == 0) fail(stream, "the first length of a code repeats another");
    uint8_t value = symbol == 16 && n > 0 ? lengths[n - 1] : 0;
    int repeats = symbol == 16 ? 3 + read_bits(stream, 2) : symbol == 17 ? 3 + read_bits(stream, 3) : 11 + read_bits(stream, 7);
    if (repeats > count - n) fail(stream, "there are more lengths than words of a code");
    for (; repeats > 0 && n < count; repeats--) lengths[n++] = value;
  }
  return !stream->error;
}

static void read_dynamic(Stream *stream) {
  static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  uint8_t lengths[LITERALS + DISTANCES + 32] = {0};
  Code code, literals, distances;
  int literal_count = 257 + read_bits(stream, 5), distance_count = 1 + read_bits(stream, 5), count = 4 + read_bits(stream, 4);
  if (literal_count > LITERALS || distance_count > DISTANCES) fail(stream, "a code has too many words");
  for (int n = 0; n < count && !stream->error; n++) lengths[order[n]] = (uint8_t)read_bits(stream, 3);
  if (!stream->error && !make_code(&code, lengths, 19)) fail(stream, "the lengths of a code are impossible");
  memset(lengths, 0, sizeof lengths);
  if (stream->error || !read_lengths(stream, &code, lengths, literal_count + distance_count)) return;
  if (!lengths[END_OF_BLOCK] || !make_code(&literals, lengths, literal_count) ||
      !make_code(&distances, lengths + literal_count, distance_count)) {
    fail(stream, "the lengths of a code are impossible");
    return;
  }
  read_block(stream, &literals, &distances);
}

const char *inflate(const unsigned char *data, size_t data_size, unsigned char *out_bytes, size_t size) {
  Stream stream = {.data = data, .size = data_size, .out = out_bytes, .out_size = size};
  bool is_last = false;
  while (!is_last && !stream.error) {
    is_last = read_bits(&stream, 1);
    switch (read_bits(&stream, 2)) {
    case 0: read_stored(&stream); break;
    case 1: read_fixed(&stream); break;
    case 2: read_dynamic(&stream); break;
    default: fail(&stream, "a block of the compressed data is of no known kind");
    }
  }
  if (!stream.error && stream.out_count != size) fail(&stream, "the data is shorter than it is said to be");
  return stream.error;
}

uint32_t crc32_of(const unsigned char *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t n = 0; n < size; n++) {
    crc ^= bytes[n];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}
