/* atomic_file.h - a file that appears whole or not at all. */
#ifndef RUNTIME_ATOMIC_FILE_H
#define RUNTIME_ATOMIC_FILE_H

#include "runtime/internal.h"

/* Written beside its destination under a name of its own until it is committed. */
typedef struct AtomicFile {
  char *path;      /* where it will be; a link is followed */
  char *temporary; /* where it is now */
  int descriptor;
} AtomicFile;

seqrt_code atomic_file_open(const char *path, AtomicFile *out_file, seqrt_error *error);
seqrt_code atomic_file_write(AtomicFile *file, const void *bytes, size_t size, seqrt_error *error);

/* Syncs, renames over the destination, syncs the folder. Whatever the outcome, the file is closed afterwards; on failure the
 * destination is as it was. */
seqrt_code atomic_file_commit(AtomicFile *file, seqrt_error *error);

/* Removes what was written. */
void atomic_file_abandon(AtomicFile *file);

#endif
