/* files.h - reading a file whole, and writing files so that a failed run leaves the old ones as they were. */
#ifndef SEQC_DRIVER_FILES_H
#define SEQC_DRIVER_FILES_H

#include <stdbool.h>

#include "base/arena.h"

/* The content with a zero byte after it; "-" is standard input. NULL after printing why. */
const char *file_read(Arena *arena, const char *path, size_t *out_length);
/* True when the file can be opened for reading; prints why not. */
bool file_is_readable(const char *path);

/* Files that appear together: each is written beside its place under another name, and all are renamed when all are complete. */
typedef struct OutputFiles OutputFiles;
OutputFiles *output_files_create(Arena *arena);
/* Data must stay valid until the commit; "-" is standard output. */
void output_files_add(OutputFiles *files, const char *path, const char *data, size_t length);
/* False after printing what failed; then no file was changed (but what is no regular file is written in place). */
bool output_files_commit(OutputFiles *files);

#endif
