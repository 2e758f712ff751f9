/* json.c - strict reading of JSON, and writing of its strings. */
#include "runtime/json.h"

#include <string.h>

JsonReader json_reader(const char *text, size_t size, char *strings) {
  return (JsonReader){.text = text, .end = text + size, .next = text, .strings = strings};
}

static bool fail(JsonReader *reader, const char *expected) {
  if (!reader->error) reader->error = expected;
  return false;
}

static void skip_spaces(JsonReader *reader) {
  while (reader->next < reader->end && strchr(" \t\r\n", *reader->next) && *reader->next) reader->next++;
}

bool json_accept(JsonReader *reader, char character) {
  skip_spaces(reader);
  if (reader->error || reader->next == reader->end || *reader->next != character) return false;
  reader->next++;
  return true;
}

bool json_expect(JsonReader *reader, char character) {
  if (json_accept(reader, character)) return true;
  switch (character) {
  case '{': return fail(reader, "'{' expected");
  case '}': return fail(reader, "',' or '}' expected");
  case '[': return fail(reader, "'[' expected");
  case ']': return fail(reader, "',' or ']' expected");
  case ':': return fail(reader, "':' expected");
  default: return fail(reader, "another character expected");
  }
}

bool json_end(JsonReader *reader) {
  skip_spaces(reader);
  if (reader->error) return false;
  return reader->next == reader->end || fail(reader, "nothing more expected");
}

/* Length of the UTF-8 sequence at `next`, 0 when it is none: too long, a surrogate, beyond U+10FFFF, cut off. */
static int utf8_length(const unsigned char *next, const unsigned char *end) {
  unsigned char lead = next[0];
  if (lead < 0x80) return 1;
  int length = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (!length || end - next < length) return 0;
  for (int i = 1; i < length; i++)
    if ((next[i] & 0xC0) != 0x80) return 0;
  bool is_wrong = (lead == 0xE0 && next[1] < 0xA0) || (lead == 0xED && next[1] > 0x9F) || (lead == 0xF0 && next[1] < 0x90) ||
                  (lead == 0xF4 && next[1] > 0x8F);
  return is_wrong ? 0 : length;
}

static bool read_hex(JsonReader *reader, uint32_t *out_value) {
  if (reader->end - reader->next < 4) return fail(reader, "four hexadecimal digits expected after '\\u'");
  *out_value = 0;
  for (int i = 0; i < 4; i++) {
    char digit = *reader->next++;
    uint32_t value;
    if (digit >= '0' && digit <= '9') value = (uint32_t)(digit - '0');
    else if (digit >= 'a' && digit <= 'f') value = (uint32_t)(digit - 'a') + 10;
    else if (digit >= 'A' && digit <= 'F') value = (uint32_t)(digit - 'A') + 10;
    else return fail(reader, "four hexadecimal digits expected after '\\u'");
    *out_value = *out_value << 4 | value;
  }
  return true;
}

static void put_utf8(JsonReader *reader, uint32_t code) {
  char *out = reader->strings;
  if (code < 0x80) *out++ = (char)code;
  else if (code < 0x800) {
    *out++ = (char)(0xC0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    if (code < 0x10000) *out++ = (char)(0xE0 | code >> 12);
    else {
      *out++ = (char)(0xF0 | code >> 18);
      *out++ = (char)(0x80 | (code >> 12 & 0x3F));
    }
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  reader->strings = out;
}

static bool read_unicode(JsonReader *reader) {
  uint32_t code, low;
  if (!read_hex(reader, &code)) return false;
  if (code == 0) return fail(reader, "no NUL expected in a string");
  if (code >= 0xDC00 && code < 0xE000) return fail(reader, "a first surrogate expected before a second one");
  if (code >= 0xD800 && code < 0xDC00) {
    if (reader->end - reader->next < 2 || memcmp(reader->next, "\\u", 2) != 0) return fail(reader, "a second surrogate expected");
    reader->next += 2;
    if (!read_hex(reader, &low)) return false;
    if (low < 0xDC00 || low >= 0xE000) return fail(reader, "a second surrogate expected");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  put_utf8(reader, code);
  return true;
}

static bool read_escape(JsonReader *reader) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (reader->next == reader->end) return fail(reader, "the end of a string expected");
  char escape = *reader->next++;
  if (escape == 'u') return read_unicode(reader);
  const char *found = escape ? strchr(names, escape) : NULL;
  if (!found) return fail(reader, "a known escape expected after '\\'");
  *reader->strings++ = values[found - names];
  return true;
}

bool json_string(JsonReader *reader, const char **out_string) {
  if (reader->error) return false;
  if (!json_accept(reader, '"')) return fail(reader, "a string expected");
  *out_string = reader->strings;
  while (reader->next < reader->end && *reader->next != '"') {
    if (*reader->next == '\\') {
      reader->next++;
      if (!read_escape(reader)) return false;
      continue;
    }
    if ((unsigned char)*reader->next < 0x20) return fail(reader, "no control character expected in a string");
    int length = utf8_length((const unsigned char *)reader->next, (const unsigned char *)reader->end);
    if (!length) return fail(reader, "valid UTF-8 expected");
    memcpy(reader->strings, reader->next, (size_t)length);
    reader->strings += length;
    reader->next += length;
  }
  if (reader->next == reader->end) return fail(reader, "the end of a string expected");
  reader->next++;
  *reader->strings++ = '\0'; /* the closing quote made room for it */
  return true;
}

bool json_integer(JsonReader *reader, int64_t *out_value) {
  skip_spaces(reader);
  if (reader->error) return false;
  const char *start = reader->next;
  int64_t value = 0;
  while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9') {
    int64_t digit = *reader->next++ - '0';
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
      return fail(reader, "a number below 2^63 expected");
  }
  ptrdiff_t digits = reader->next - start;
  if (!digits || (digits > 1 && *start == '0')) return fail(reader, "a whole number, not negative, expected");
  if (reader->next < reader->end && strchr(".eE", *reader->next) && *reader->next)
    return fail(reader, "a whole number, not negative, expected");
  *out_value = value;
  return true;
}

/* ---- values that nobody wants ---- */

static bool skip_digits(JsonReader *reader) {
  const char *start = reader->next;
  while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9') reader->next++;
  return reader->next > start || fail(reader, "a digit expected");
}

static bool skip_number(JsonReader *reader) {
  if (reader->next < reader->end && *reader->next == '-') reader->next++;
  if (!skip_digits(reader)) return false;
  if (reader->next < reader->end && *reader->next == '.') {
    reader->next++;
    if (!skip_digits(reader)) return false;
  }
  if (reader->next == reader->end || (*reader->next != 'e' && *reader->next != 'E')) return true;
  reader->next++;
  if (reader->next < reader->end && (*reader->next == '+' || *reader->next == '-')) reader->next++;
  return skip_digits(reader);
}

static bool skip_scalar(JsonReader *reader) {
  static const char *const words[] = {"true", "false", "null"};
  skip_spaces(reader);
  if (reader->error || reader->next == reader->end) return fail(reader, "a value expected");
  const char *unused;
  if (*reader->next == '"') return json_string(reader, &unused);
  for (int w = 0; w < 3; w++) {
    size_t length = strlen(words[w]);
    if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, words[w], length) != 0) continue;
    reader->next += length;
    return true;
  }
  if (*reader->next != '-' && (*reader->next < '0' || *reader->next > '9')) return fail(reader, "a value expected");
  return skip_number(reader);
}

static bool skip_key(JsonReader *reader) {
  const char *unused;
  return json_string(reader, &unused) && json_expect(reader, ':');
}

/* Behind a value: closes what ends here, until another value comes. False at the end of all, or after an error. */
static bool skip_ends(JsonReader *reader, uint64_t objects, int *depth) {
  while (*depth) {
    bool is_object = objects >> (*depth - 1) & 1;
    if (json_accept(reader, ',')) return !is_object || skip_key(reader);
    if (!json_expect(reader, is_object ? '}' : ']')) return false;
    --*depth;
  }
  return false;
}

bool json_skip(JsonReader *reader) {
  uint64_t objects = 0; /* bit n: what is open at depth n is an object */
  int depth = 0;
  do {
    bool is_object = json_accept(reader, '{');
    while (is_object || json_accept(reader, '[')) {
      if (depth == 64) return fail(reader, "at most 64 levels expected");
      objects = (objects & ~((uint64_t)1 << depth)) | (uint64_t)is_object << depth;
      depth++;
      if (json_accept(reader, is_object ? '}' : ']')) {
        depth--;
        goto ends;
      }
      if (is_object && !skip_key(reader)) return false;
      is_object = json_accept(reader, '{');
    }
    if (!skip_scalar(reader)) return false;
  ends:;
  } while (skip_ends(reader, objects, &depth));
  return !reader->error;
}

size_t json_write_string(const char *string, char *out_text) {
  static const char digits[] = "0123456789abcdef";
  size_t length = 1;
  if (out_text) out_text[0] = '"';
  for (const char *next = string; *next; next++) {
    char piece[6];
    size_t count = 0;
    unsigned char byte = (unsigned char)*next;
    if (byte == '"' || byte == '\\') {
      piece[count++] = '\\';
      piece[count++] = (char)byte;
    } else if (byte < 0x20) {
      memcpy(piece, "\\u00", 4);
      piece[4] = digits[byte >> 4];
      piece[5] = digits[byte & 15];
      count = 6;
    } else piece[count++] = (char)byte;
    if (out_text) memcpy(out_text + length, piece, count);
    length += count;
  }
  if (out_text) out_text[length] = '"';
  return length + 1;
}
