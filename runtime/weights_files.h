/* weights_files.h - the files of a checkpoint, before they are opened. */
#ifndef RUNTIME_WEIGHTS_FILES_H
#define RUNTIME_WEIGHTS_FILES_H

#include "runtime/internal.h"

/* One entry of an index; the text belongs to the index. */
typedef struct WeightsPlace {
  const char *name, *file;
} WeightsPlace;

typedef struct WeightsIndex {
  char *text, *strings;
  WeightsPlace *places; /* by name */
  int64_t count;
} WeightsIndex;

/* The file or index that stands for the folder; the caller frees the path. */
seqrt_code weights_find_in_folder(const char *folder, char **out_path, seqrt_error *error);

/* `index` is all zero before; to be freed after a failure too. */
seqrt_code weights_read_index(const char *path, WeightsIndex *index, seqrt_error *error);
void weights_index_free(WeightsIndex *index);

/* A small file whole, with a NUL after it; the caller frees it. */
seqrt_code read_text_file(const char *path, char **out_text, int64_t *out_size, seqrt_error *error);

/* NULL without memory; the caller frees them. */
char *join_path(const char *folder, const char *name);
char *folder_of(const char *path); /* "" for a bare name */

bool is_folder(const char *path);
bool has_ending(const char *path, const char *ending);

#endif
