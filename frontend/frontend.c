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
  if (diagnostics_error_count(diagnostics) == 0) result.program = elaborate(arena, library, options, diagnostics);
  return result;
}
