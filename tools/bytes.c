/* bytes.c - files read whole and within their bounds. */
#include "tools/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void tool_fail(const char *path, const char *format, ...) {
  fflush(stdout);
  fprintf(stderr, "%s: ", tool_name);
  if (path) fprintf(stderr, "%s: ", path);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputs("\n", stderr);
  exit(1);
}

Bytes bytes_read_file(Arena *arena, const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  if (!file || fstat(fileno(file), &status) != 0) tool_fail(path, "cannot be read: %s", strerror(errno));
  if (!S_ISREG(status.st_mode)) tool_fail(path, "is not a regular file");
  size_t size = (size_t)status.st_size;
  unsigned char *data = arena_allocate(arena, size);
  if (fread(data, 1, size, file) != size) tool_fail(path, "cannot be read whole");
  fclose(file);
  return (Bytes){path, data, size, 0};
}

const unsigned char *bytes_take(Bytes *bytes, uint64_t size, const char *what) {
  if (size > bytes->size - bytes->next)
    tool_fail(bytes->path, "%s: %llu bytes are claimed at %llu, but the file has %llu: cut off or malformed", what,
              (unsigned long long)size, (unsigned long long)bytes->next, (unsigned long long)bytes->size);
  const unsigned char *data = bytes->data + bytes->next;
  bytes->next += size;
  return data;
}

void bytes_seek(Bytes *bytes, uint64_t place, const char *what) {
  if (place > bytes->size)
    tool_fail(bytes->path, "%s is said to be at %llu, but the file has %llu bytes: cut off or malformed", what,
              (unsigned long long)place, (unsigned long long)bytes->size);
  bytes->next = place;
}

uint64_t number_at(const unsigned char *data, int size) {
  uint64_t number = 0;
  for (int n = size - 1; n >= 0; n--) number = number << 8 | data[n];
  return number;
}

uint64_t bytes_number(Bytes *bytes, int size, const char *what) {
  return number_at(bytes_take(bytes, (uint64_t)size, what), size);
}

uint64_t product_of(const char *path, int count, const uint64_t *factors) {
  uint64_t product = 1;
  for (int n = 0; n < count; n++)
    if (__builtin_mul_overflow(product, factors[n], &product) || product > INT64_MAX / 16)
      tool_fail(path, "a shape fits into no memory: malformed");
  return product;
}

void make_folder(const char *path) {
  Arena *arena = arena_create();
  char *folder = arena_string(arena, path);
  for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) tool_fail(folder, "cannot be made: %s", strerror(errno));
    *slash = '/';
  }
  arena_destroy(arena);
}
