/* frontend.c - the room's one entry: read, parse, elaborate. */
#include "frontend/frontend.h"

#include "frontend/elaborate.h"

FrontendResult frontend_compile(Arena *arena, const char *path, const FrontendOptions *options, bool wants_ast,
                                Diagnostics *diagnostics) {
  FrontendResult result = {0};
  Library *library = library_load(arena, path, options, diagnostics);
  if (!library) return result;
  result.file_count = library->file_count;
  result.files = library->files;
  if (wants_ast) {
    Text text = {.arena = arena};
    ast_print(&text, library->main_definitions);
    result.ast = text_string(&text);
  }
  if (diagnostics_error_count(diagnostics) == 0) elaborate(arena, library, options, diagnostics, &result);
  return result;
}

const char **frontend_layers(Arena *arena, const char *path, const FrontendOptions *options, Diagnostics *diagnostics, int *out_count) {
  *out_count = 0;
  Library *library = library_load(arena, path, options, diagnostics);
  if (!library || diagnostics_error_count(diagnostics)) return NULL;
  const char **names = ARENA_ARRAY(arena, const char *, library->main_definitions.count);
  for (int n = 0; n < library->main_definitions.count; n++) {
    const Node *node = library->main_definitions.nodes[n];
    if (node->kind == NODE_LAYER) names[(*out_count)++] = node->text;
    if (node->kind != NODE_MODEL) continue;
    names[0] = NULL;
    *out_count = 1;
    break;
  }
  if (*out_count == 0) library_entry(library, NULL, diagnostics); /* says so */
  return *out_count ? names : NULL;
}
