/* bytes.h - what the tools share: files read whole, bytes that are read only where they are, and the end of a run that cannot go on. */
#ifndef TOOLS_BYTES_H
#define TOOLS_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Bytes of a file, read from front to back. Reading past the end ends the program with a message that names the file. */
typedef struct Bytes {
  const char *path;
  const unsigned char *data;
  uint64_t size, next;
} Bytes;

/* "TOOL: PATH: message" to standard error, then exit code 1. `path` may be NULL. */
_Noreturn void tool_fail(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern const char *tool_name;

Bytes bytes_read_file(Arena *arena, const char *path);

/* Moves on by `size`; where the bytes were. `what` is for the message. */
const unsigned char *bytes_take(Bytes *bytes, uint64_t size, const char *what);
void bytes_seek(Bytes *bytes, uint64_t place, const char *what);
uint64_t bytes_number(Bytes *bytes, int size, const char *what); /* little-endian, of 1 to 8 bytes */
uint64_t number_at(const unsigned char *data, int size);

/* a * b * ..., or the end of the program. */
uint64_t product_of(const char *path, int count, const uint64_t *factors);

/* Makes the folder of a file where it is missing, and with it those around it. */
void make_folder(const char *path);

#endif
