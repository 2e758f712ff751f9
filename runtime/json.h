/* json.h - a strict reader of JSON text, pulled value by value.
 *
 * The header of a safetensors file has a known form, so the caller asks for what must come next; what else comes is an error, and
 * nesting needs no recursion. Numbers are whole ones without sign, but where they are skipped; strings are checked UTF-8 and may hold
 * no NUL.
 */
#ifndef RUNTIME_JSON_H
#define RUNTIME_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct JsonReader {
  const char *text, *end, *next;
  char *strings;     /* where unescaped strings go; as large as the text is enough, NULs included */
  const char *error; /* the first error, what was expected; NULL while there is none */
} JsonReader;

/* `strings` must have room for `size` bytes. */
JsonReader json_reader(const char *text, size_t size, char *strings);

/* After spaces: takes the character and says true, or leaves it and says false. */
bool json_accept(JsonReader *reader, char character);

/* The same, with false being an error. All return false from the first error on. */
bool json_expect(JsonReader *reader, char character);
bool json_string(JsonReader *reader, const char **out_string);
bool json_integer(JsonReader *reader, int64_t *out_value);

/* Takes a value of any kind, checked and forgotten. */
bool json_skip(JsonReader *reader);

/* Nothing but spaces is left. */
bool json_end(JsonReader *reader);

/* Bytes that json_write_string writes: quotes and escapes included, no NUL. `out_text` may be NULL to only count. */
size_t json_write_string(const char *string, char *out_text);

#endif
