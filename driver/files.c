/* files.c - reading a file whole, writing several as one.
 *
 * A file is written under a temporary name in the folder of its place and renamed over it, so another program never sees half of it, and a
 * full disk costs nothing that was there. Renaming would replace a device or a pipe by a file, so those are written in place.
 */
#include "driver/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct OutputFile {
  const char *path, *data;
  size_t length;
  char *temporary; /* NULL: written in place */
} OutputFile;

struct OutputFiles {
  Arena *arena;
  OutputFile *files;
  int count;
};

static bool fail(const char *verb, const char *path) {
  int error = errno;
  fprintf(stderr, "seqc: error: cannot %s '%s': %s\n", verb, path, strerror(error));
  return false;
}

static FILE *open_for_reading(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  if (file && fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
    fclose(file);
    errno = EISDIR;
    return NULL;
  }
  return file;
}

bool file_is_readable(const char *path) {
  FILE *file = open_for_reading(path);
  if (!file) return fail("read", path);
  fclose(file);
  return true;
}

const char *file_read(Arena *arena, const char *path, size_t *out_length) {
  bool is_standard = strcmp(path, "-") == 0;
  FILE *file = is_standard ? stdin : open_for_reading(path);
  if (!file) {
    fail("read", path);
    return NULL;
  }
  size_t length = 0, capacity = 1 << 14;
  char *text = arena_allocate(arena, capacity);
  for (size_t count; (count = fread(text + length, 1, capacity - length - 1, file)) > 0;) {
    length += count;
    if (length + 1 < capacity) continue;
    char *larger = arena_allocate(arena, capacity * 2);
    memcpy(larger, text, length);
    text = larger;
    capacity *= 2;
  }
  bool has_failed = ferror(file) != 0;
  if (has_failed) fail("read", path);
  if (!is_standard) fclose(file);
  text[length] = '\0';
  *out_length = length;
  return has_failed ? NULL : text;
}

OutputFiles *output_files_create(Arena *arena) {
  OutputFiles *files = ARENA_NEW(arena, OutputFiles);
  files->arena = arena;
  return files;
}

/* The file itself where `path` is a link to it, so that the link stays. */
static const char *resolve(Arena *arena, const char *path) {
  char *real = realpath(path, NULL);
  if (!real) return path;
  const char *copy = arena_string(arena, real);
  free(real);
  return copy;
}

void output_files_add(OutputFiles *files, const char *path, const char *data, size_t length) {
  OutputFile file = {.path = path, .data = data, .length = length};
  ARENA_PUSH(files->arena, files->files, files->count, file);
}

static bool write_all(int descriptor, const char *data, size_t length) {
  while (length > 0) {
    ssize_t written = write(descriptor, data, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    data += written;
    length -= (size_t)written;
  }
  return true;
}

static bool write_in_place(const OutputFile *file) {
  bool is_standard = strcmp(file->path, "-") == 0;
  int descriptor = is_standard ? STDOUT_FILENO : open(file->path, O_WRONLY);
  if (descriptor < 0) return fail("write", file->path);
  bool is_written = write_all(descriptor, file->data, file->length);
  if (!is_standard && close(descriptor) != 0) is_written = false;
  return is_written || fail("write", is_standard ? "standard output" : file->path);
}

/* Leaves the data under a temporary name, with the mode the final file had or is to have. */
static bool write_beside(OutputFiles *files, OutputFile *file, mode_t mode) {
  file->path = resolve(files->arena, file->path);
  const char *slash = strrchr(file->path, '/');
  int folder_length = slash ? (int)(slash - file->path) + 1 : 0;
  char *temporary = arena_format(files->arena, "%.*s.seqc-XXXXXX", folder_length, file->path);
  int descriptor = mkstemp(temporary);
  if (descriptor < 0) return fail("write", file->path);
  file->temporary = temporary;
  bool is_written = write_all(descriptor, file->data, file->length) && fchmod(descriptor, mode) == 0;
  if (!is_written) fail("write", file->path);
  if (close(descriptor) != 0 && is_written) is_written = fail("write", file->path);
  return is_written;
}

static mode_t mode_of_new_files(void) {
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

static bool write_one(OutputFiles *files, OutputFile *file) {
  struct stat status;
  bool exists = stat(file->path, &status) == 0;
  if (strcmp(file->path, "-") == 0) return write_in_place(file);
  if (!exists) return write_beside(files, file, mode_of_new_files());
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return fail("write", file->path);
  }
  return S_ISREG(status.st_mode) ? write_beside(files, file, status.st_mode & 0777) : write_in_place(file);
}

bool output_files_commit(OutputFiles *files) {
  bool is_complete = true;
  for (int f = 0; f < files->count && is_complete; f++) is_complete = write_one(files, &files->files[f]);
  for (int f = 0; f < files->count; f++) {
    OutputFile *file = &files->files[f];
    if (!file->temporary) continue;
    if (is_complete && rename(file->temporary, file->path) != 0) is_complete = fail("write", file->path);
    if (!is_complete) unlink(file->temporary);
  }
  return is_complete;
}
