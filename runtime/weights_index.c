/* weights_index.c - which files a checkpoint consists of: a folder is searched, an index is read.
 *
 * The index of a checkpoint in several files is JSON with a `weight_map` from the names of arrays to names of files. These lie beside the index;
 * a name that leads elsewhere is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/json.h"
#include "runtime/weights_files.h"

static const char INDEX_ENDING[] = ".safetensors.index.json", FILE_ENDING[] = ".safetensors";
#define MAX_TEXT ((int64_t)256 << 20)

/* ---- paths ---- */

bool has_ending(const char *path, const char *ending) {
  size_t length = strlen(path), ending_length = strlen(ending);
  return length > ending_length && strcmp(path + length - ending_length, ending) == 0;
}

char *join_path(const char *folder, const char *name) {
  size_t length = strlen(folder), size = length + strlen(name) + 2;
  char *path = malloc(size);
  if (path) snprintf(path, size, "%s%s%s", folder, length && folder[length - 1] != '/' ? "/" : "", name);
  return path;
}

char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return strdup("");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0;
}

bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* ---- a folder ---- */

/* The only file of the folder with this ending; the number of such files in `out_count`. */
static char *find_only(const char *folder, const char *ending, int *out_count) {
  DIR *directory = opendir(folder);
  char *found = NULL;
  *out_count = 0;
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    if (!has_ending(entry->d_name, ending)) continue;
    if ((*out_count)++ == 0) found = join_path(folder, entry->d_name);
  }
  if (directory) closedir(directory);
  if (*out_count == 1) return found;
  free(found);
  return NULL;
}

seqrt_code weights_find_in_folder(const char *folder, char **out_path, seqrt_error *error) {
  static const char *const usual[] = {"model.safetensors.index.json", "model.safetensors"};
  for (int n = 0; n < 2; n++) {
    *out_path = join_path(folder, usual[n]);
    if (!*out_path) return runtime_fail_memory(error, folder, 256);
    if (exists(*out_path)) return SEQRT_OK;
    free(*out_path);
  }
  int index_count = 0, file_count = 0;
  if ((*out_path = find_only(folder, INDEX_ENDING, &index_count))) return SEQRT_OK;
  if (index_count == 0 && (*out_path = find_only(folder, FILE_ENDING, &file_count))) return SEQRT_OK;
  if (index_count || file_count)
    return runtime_fail(error, SEQRT_IO, "'%.400s': %d files end in %s and none is model%s: name one of them", folder,
                        index_count ? index_count : file_count, index_count ? INDEX_ENDING : FILE_ENDING,
                        index_count ? INDEX_ENDING : FILE_ENDING);
  return runtime_fail(error, SEQRT_IO, "'%.400s': expected a file model.safetensors or model.safetensors.index.json, found none",
                      folder);
}

/* ---- text files ---- */

seqrt_code read_text_file(const char *path, char **out_text, int64_t *out_size, seqrt_error *error) {
  *out_text = NULL;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return runtime_fail(error, SEQRT_IO, "cannot open '%.700s': %s", path, strerror(errno));
  struct stat status;
  seqrt_code code = SEQRT_OK;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    code = runtime_fail(error, SEQRT_IO, "cannot read '%.700s': not a regular file", path);
  else if (status.st_size > MAX_TEXT)
    code = runtime_fail(error, SEQRT_FORMAT, "'%.700s' has %" PRId64 " bytes; at most %" PRId64 " are allowed", path,
                        (int64_t)status.st_size, MAX_TEXT);
  else if (!(*out_text = malloc((size_t)status.st_size + 1))) code = runtime_fail_memory(error, path, status.st_size);
  int64_t size = 0;
  while (code == SEQRT_OK && size < status.st_size) {
    ssize_t count = read(descriptor, *out_text + size, (size_t)(status.st_size - size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) code = runtime_fail(error, SEQRT_IO, "cannot read '%.700s': %s", path, strerror(errno));
    if (count <= 0) break;
    size += count;
  }
  close(descriptor);
  if (code == SEQRT_OK) (*out_text)[ *out_size = size] = '\0';
  else free(*out_text), *out_text = NULL;
  return code;
}

/* ---- an index ---- */

static seqrt_code fail_json(const char *path, const JsonReader *reader, seqrt_error *error) {
  return runtime_fail(error, SEQRT_FORMAT, "%.400s: byte %td: %s", path, reader->next - reader->text,
                      reader->error ? reader->error : "',' or the end expected");
}

static bool is_plain_name(const char *name) {
  return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static seqrt_code read_map(const char *path, JsonReader *reader, WeightsIndex *index, seqrt_error *error) {
  if (!json_expect(reader, '{')) return fail_json(path, reader, error);
  if (json_accept(reader, '}')) return SEQRT_OK;
  int64_t capacity = 0;
  do {
    WeightsPlace place;
    if (!json_string(reader, &place.name) || !json_expect(reader, ':') || !json_string(reader, &place.file))
      return fail_json(path, reader, error);
    if (!is_plain_name(place.file))
      return runtime_fail(error, SEQRT_FORMAT, "%.400s: '%.200s' is said to be in '%.200s': expected a file beside the index",
                          path, place.name, place.file);
    if (index->count == capacity) {
      capacity = capacity ? 2 * capacity : 256;
      WeightsPlace *larger = realloc(index->places, (size_t)capacity * sizeof *larger);
      if (!larger) return runtime_fail_memory(error, path, capacity * (int64_t)sizeof *larger);
      index->places = larger;
    }
    index->places[index->count++] = place;
  } while (json_accept(reader, ','));
  return json_expect(reader, '}') ? SEQRT_OK : fail_json(path, reader, error);
}

static int compare_places(const void *a, const void *b) {
  return strcmp(((const WeightsPlace *)a)->name, ((const WeightsPlace *)b)->name);
}

seqrt_code weights_read_index(const char *path, WeightsIndex *index, seqrt_error *error) {
  int64_t size = 0;
  seqrt_code code = read_text_file(path, &index->text, &size, error);
  if (code != SEQRT_OK) return code;
  index->strings = malloc((size_t)size + 1);
  if (!index->strings) return runtime_fail_memory(error, path, size);
  JsonReader reader = json_reader(index->text, (size_t)size, index->strings);
  bool has_map = false;
  if (!json_expect(&reader, '{')) return fail_json(path, &reader, error);
  if (!json_accept(&reader, '}')) {
    do {
      const char *key;
      if (!json_string(&reader, &key) || !json_expect(&reader, ':')) return fail_json(path, &reader, error);
      bool is_map = strcmp(key, "weight_map") == 0;
      if (is_map && has_map) return runtime_fail(error, SEQRT_FORMAT, "%.400s: 'weight_map' occurs twice", path);
      has_map |= is_map;
      code = is_map ? read_map(path, &reader, index, error) : SEQRT_OK;
      if (code != SEQRT_OK) return code;
      if (!is_map && !json_skip(&reader)) return fail_json(path, &reader, error);
    } while (json_accept(&reader, ','));
    if (!json_expect(&reader, '}')) return fail_json(path, &reader, error);
  }
  if (!json_end(&reader)) return fail_json(path, &reader, error);
  if (!has_map) return runtime_fail(error, SEQRT_FORMAT, "%.400s: 'weight_map' is missing", path);
  if (index->count) qsort(index->places, (size_t)index->count, sizeof *index->places, compare_places);
  for (int64_t i = 1; i < index->count; i++)
    if (compare_places(&index->places[i - 1], &index->places[i]) == 0)
      return runtime_fail(error, SEQRT_FORMAT, "%.400s: '%.200s' occurs twice", path, index->places[i].name);
  return SEQRT_OK;
}

void weights_index_free(WeightsIndex *index) {
  free(index->text);
  free(index->strings);
  free(index->places);
}
