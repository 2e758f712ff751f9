/* library.c - imports: finding, reading and parsing files, each once; the table of layers and functions. */
#include "frontend/library.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEEPEST_IMPORT = 64, TABLE_BUCKETS = 256 };

typedef struct LibraryEntry {
  struct LibraryEntry *next;
  const Node *node;
} LibraryEntry;

typedef struct Loading {
  Library *library;
  const FrontendOptions *options;
  Diagnostics *diagnostics;
  int open_count; /* files that are being read, the model first */
  const char *open[DEEPEST_IMPORT];
} Loading;

unsigned string_hash(const char *text) {
  unsigned hash = 2166136261u;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 16777619u;
  return hash;
}

static bool read_stream(Arena *arena, FILE *stream, SourceFile *file) {
  size_t capacity = 1 << 16, length = 0;
  char *text = malloc(capacity);
  while (text) {
    length += fread(text + length, 1, capacity - length - 1, stream);
    if (length + 1 < capacity) break;
    char *larger = realloc(text, capacity *= 2);
    if (!larger) free(text);
    text = larger;
  }
  if (!text) return false;
  bool is_read = !ferror(stream);
  if (is_read) {
    file->text = arena_string_length(arena, text, length);
    file->length = length;
  }
  free(text);
  return is_read;
}

static SourceFile *read_file(Arena *arena, const char *path) {
  bool is_standard = !path || !strcmp(path, "-");
  SourceFile *file = ARENA_NEW(arena, SourceFile);
  file->path = is_standard ? "<stdin>" : arena_string(arena, path);
  FILE *stream = is_standard ? stdin : fopen(path, "rb");
  if (!stream) return NULL;
  bool is_read = read_stream(arena, stream, file);
  if (!is_standard) fclose(stream);
  return is_read ? file : NULL;
}

static const char *folder_of(Arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? arena_string_length(arena, path, (size_t)(slash - path)) : ".";
}

static bool is_readable(const char *path) { return access(path, R_OK) == 0; }

/* Beside the compiler (build folder, then installed), then where the source was when it was built. */
static const char *find_standard(Arena *arena, const char *rest) {
  char own[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
  static const char *const places[] = {"std", "../share/seqc/std"};
  for (int n = 0; length > 0 && n < 2; n++) {
    own[length] = 0;
    const char *path = arena_format(arena, "%s/%s/%s", folder_of(arena, own), places[n], rest);
    if (is_readable(path)) return path;
  }
#ifdef SEQC_STD_DIR
  const char *path = arena_format(arena, "%s/%s", SEQC_STD_DIR, rest);
  if (is_readable(path)) return path;
#endif
  return NULL;
}

static const char *find_import(Loading *loading, const Node *node) {
  Arena *arena = loading->library->arena;
  const char *wanted = node->text;
  if (node->is_dotted) {
    char *path = arena_format(arena, "%s.seq", node->text);
    for (char *c = path; c < path + strlen(node->text); c++)
      if (*c == '.') *c = '/';
    wanted = path;
  }
  if (wanted[0] == '/') return is_readable(wanted) ? wanted : NULL;
  const char *folder = folder_of(arena, node->source.file->path);
  const char *beside = !strcmp(folder, ".") && !strchr(node->source.file->path, '/')
                           ? wanted
                           : arena_format(arena, "%s/%s", folder, wanted);
  if (is_readable(beside)) return beside;
  for (int n = 0; n < loading->options->import_path_count; n++) {
    const char *path = arena_format(arena, "%s/%s", loading->options->import_paths[n], wanted);
    if (is_readable(path)) return path;
  }
  return strncmp(wanted, "std/", 4) ? NULL : find_standard(arena, wanted + 4);
}

static const char *canonical(Arena *arena, const char *path) {
  char *real = realpath(path, NULL);
  const char *copy = arena_string(arena, real ? real : path);
  free(real);
  return copy;
}

static void add_definition(Loading *loading, Node *node) {
  Library *library = loading->library;
  const Node *other = library_find(library, node->text);
  if (other) {
    diagnostics_error(loading->diagnostics, node->source, "'%s' is defined twice", node->text);
    diagnostics_note(loading->diagnostics, other->source, "the other definition is here");
    return;
  }
  LibraryEntry *entry = ARENA_NEW(library->arena, LibraryEntry);
  LibraryEntry **bucket = &library->buckets[string_hash(node->text) % TABLE_BUCKETS];
  entry->node = node;
  entry->next = *bucket;
  *bucket = entry;
}

static void load_file(Loading *loading, const SourceFile *file);

static void load_import(Loading *loading, const Node *node) {
  Library *library = loading->library;
  const char *path = find_import(loading, node);
  if (!path) {
    diagnostics_error(loading->diagnostics, node->source, "there is no file for the import '%s'", node->text);
    return;
  }
  const char *real = canonical(library->arena, path);
  for (int n = 0; n < loading->open_count; n++) {
    if (strcmp(loading->open[n], real)) continue;
    diagnostics_error(loading->diagnostics, node->source, "'%s' imports itself%s", path,
                      n + 1 < loading->open_count ? " through other files" : "");
    return;
  }
  for (int n = 0; n < library->file_count; n++)
    if (!strcmp(canonical(library->arena, library->files[n]), real)) return;
  const SourceFile *file = read_file(library->arena, path);
  if (!file) {
    diagnostics_error(loading->diagnostics, node->source, "cannot read '%s': %s", path, strerror(errno));
    return;
  }
  if (loading->open_count == DEEPEST_IMPORT) {
    diagnostics_error(loading->diagnostics, node->source, "imports are nested deeper than %d files", DEEPEST_IMPORT);
    return;
  }
  load_file(loading, file);
}

static void load_file(Loading *loading, const SourceFile *file) {
  Library *library = loading->library;
  bool is_main = loading->open_count == 0;
  ARENA_PUSH(library->arena, library->files, library->file_count, file->path);
  loading->open[loading->open_count++] = canonical(library->arena, file->path);
  NodeList definitions = {0};
  ast_parse(library->arena, file, loading->diagnostics, &definitions);
  if (is_main) library->main_definitions = definitions;
  for (int n = 0; n < definitions.count; n++) {
    Node *node = definitions.nodes[n];
    if (node->kind == NODE_IMPORT) load_import(loading, node);
    else if (node->kind == NODE_LAYER || node->kind == NODE_FUNCTION) add_definition(loading, node);
  }
  loading->open_count--;
}

Library *library_load(Arena *arena, const char *path, const FrontendOptions *options, Diagnostics *diagnostics) {
  SourceFile *file = read_file(arena, path);
  if (!file) {
    SourceRange nowhere = {0};
    diagnostics_error(diagnostics, nowhere, "cannot read '%s': %s", path ? path : "standard input", strerror(errno));
    return NULL;
  }
  Library *library = ARENA_NEW(arena, Library);
  library->arena = arena;
  library->main_file = file;
  library->buckets = ARENA_ARRAY(arena, LibraryEntry *, TABLE_BUCKETS);
  Loading loading = {.library = library, .options = options, .diagnostics = diagnostics};
  load_file(&loading, file);
  return library;
}

const Node *library_find(const Library *library, const char *name) {
  for (LibraryEntry *entry = library->buckets[string_hash(name) % TABLE_BUCKETS]; entry; entry = entry->next)
    if (!strcmp(entry->node->text, name)) return entry->node;
  return NULL;
}

const Node *library_entry(const Library *library, const char *layer_name, Diagnostics *diagnostics) {
  SourceRange start = {library->main_file, 1, 1, 1, 1};
  if (layer_name) {
    const Node *named = library_find(library, layer_name);
    if (named && named->kind == NODE_LAYER) return named;
    diagnostics_error(diagnostics, start, "there is no layer '%s' in this file and what it imports", layer_name);
    return NULL;
  }
  const Node *model = NULL, *layer = NULL;
  int layer_count = 0;
  for (int n = 0; n < library->main_definitions.count; n++) {
    const Node *node = library->main_definitions.nodes[n];
    if (node->kind == NODE_MODEL && model) {
      diagnostics_error(diagnostics, node->source, "a file has one model, and '%s' is a second one", node->text);
      diagnostics_note(diagnostics, model->source, "the first is here");
      return NULL;
    }
    if (node->kind == NODE_MODEL) model = node;
    if (node->kind == NODE_LAYER) {
      layer = node;
      layer_count++;
    }
  }
  if (model || layer_count == 1) return model ? model : layer;
  if (layer_count == 0) diagnostics_error(diagnostics, start, "there is no model and no layer in this file");
  else
    diagnostics_error(diagnostics, start, "there are %d layers and no model: nothing says what is to be compiled; --layer NAME does", layer_count);
  return NULL;
}
