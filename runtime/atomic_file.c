/* atomic_file.c - write beside, sync, rename: the order that keeps either the old or the new file through a crash. */
#include "runtime/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ATTEMPTS = 100 };

static void release(AtomicFile *file) {
  if (file->descriptor >= 0) close(file->descriptor);
  free(file->path);
  free(file->temporary);
  *file = (AtomicFile){.descriptor = -1};
}

void atomic_file_abandon(AtomicFile *file) {
  if (file->temporary && file->descriptor >= 0) unlink(file->temporary);
  release(file);
}

static seqrt_code fail_system(AtomicFile *file, const char *doing, seqrt_error *error) {
  int reason = errno;
  seqrt_code code = runtime_fail(error, SEQRT_IO, "cannot %s '%s': %s", doing, file->path, strerror(reason));
  atomic_file_abandon(file);
  return code;
}

/* A new file PATH.PROCESS-N.tmp with the permissions of the one it replaces. */
static seqrt_code create_temporary(AtomicFile *file, mode_t mode, seqrt_error *error) {
  size_t size = strlen(file->path) + 40;
  file->temporary = malloc(size);
  if (!file->temporary) {
    release(file);
    return runtime_fail_memory(error, "saving", (int64_t)size);
  }
  for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
    snprintf(file->temporary, size, "%s.%ld-%d.tmp", file->path, (long)getpid(), attempt);
    file->descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file->descriptor >= 0 || errno != EEXIST) break;
  }
  return file->descriptor < 0 ? fail_system(file, "create a file beside", error) : SEQRT_OK;
}

seqrt_code atomic_file_open(const char *path, AtomicFile *out_file, seqrt_error *error) {
  *out_file = (AtomicFile){.descriptor = -1};
  struct stat old;
  bool exists = stat(path, &old) == 0;
  out_file->path = exists ? realpath(path, NULL) : strdup(path);
  if (!out_file->path) return runtime_fail(error, SEQRT_IO, "cannot write '%s': %s", path, strerror(errno));
  if (exists && !S_ISREG(old.st_mode)) {
    release(out_file);
    return runtime_fail(error, SEQRT_IO, "cannot write '%s': it exists and is not a regular file", path);
  }
  if (exists && access(out_file->path, W_OK) != 0) return fail_system(out_file, "write", error);
  return create_temporary(out_file, exists ? old.st_mode & 0777 : 0666, error);
}

seqrt_code atomic_file_write(AtomicFile *file, const void *bytes, size_t size, seqrt_error *error) {
  const char *next = bytes;
  while (size) {
    ssize_t written = write(file->descriptor, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_system(file, "write", error);
    next += written;
    size -= (size_t)written;
  }
  return SEQRT_OK;
}

/* The rename is durable once its folder is; a file system that cannot sync folders (EINVAL) has nothing to sync. */
static bool sync_folder(const char *path) {
  char *folder = strdup(path);
  if (!folder) return false;
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = '\0';
  int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(folder);
  if (descriptor < 0) return errno == EACCES;
  bool is_synced = fsync(descriptor) == 0 || errno == EINVAL;
  close(descriptor);
  return is_synced;
}

seqrt_code atomic_file_commit(AtomicFile *file, seqrt_error *error) {
  if (fsync(file->descriptor) != 0) return fail_system(file, "sync", error);
  int descriptor = file->descriptor;
  if (rename(file->temporary, file->path) != 0) return fail_system(file, "replace", error);
  file->descriptor = -1; /* from here on nothing is to be removed */
  seqrt_code code = SEQRT_OK;
  if (close(descriptor) != 0 || !sync_folder(file->path))
    code = runtime_fail(error, SEQRT_IO, "'%s' is written, but cannot be synced to the disk: %s", file->path, strerror(errno));
  release(file);
  return code;
}
