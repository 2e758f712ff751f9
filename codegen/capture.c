/* capture.c - what LLVM prints to the standard error while it runs, as text. */
#include "codegen/capture.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static const char *read_all(Arena *arena, FILE *file) {
  long size = fseek(file, 0, SEEK_END) ? 0 : ftell(file);
  if (size <= 0) return "";
  rewind(file);
  char *text = arena_allocate(arena, (size_t)size + 1);
  text[fread(text, 1, (size_t)size, file)] = 0;
  return text;
}

const char *capture_errors(Arena *arena, void (*action)(void *context), void *context) {
  FILE *file = tmpfile();
  fflush(stderr);
  int saved = file ? dup(STDERR_FILENO) : -1;
  bool is_captured = saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0;
  action(context);
  if (is_captured) dup2(saved, STDERR_FILENO);
  if (saved >= 0) close(saved);
  const char *text = is_captured ? read_all(arena, file) : "";
  if (file) fclose(file);
  return text;
}
