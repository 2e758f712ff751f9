/* library.h - the definitions of a model file and of all it imports. */
#ifndef SEQC_FRONTEND_LIBRARY_H
#define SEQC_FRONTEND_LIBRARY_H

#include "frontend/ast.h"
#include "frontend/frontend.h"

typedef struct Library {
  Arena *arena;
  const SourceFile *main_file;
  NodeList main_definitions;
  int definition_count, bucket_count;
  struct LibraryEntry **buckets; /* layers and functions by name */
  int file_count;
  const char **files;
} Library;

/* Reads the model and its imports; NULL after errors that leave nothing to go on with. */
Library *library_load(Arena *arena, const char *path, const FrontendOptions *options, Diagnostics *diagnostics);
const Node *library_find(const Library *library, const char *name);
/* What is compiled: the layer of this name, or with NULL the model, or the one layer. NULL after an error. */
const Node *library_entry(const Library *library, const char *layer_name, Diagnostics *diagnostics);

unsigned string_hash(const char *text);

#endif
