/* depfile.c - escapes as gcc does: space and '#' by a backslash, '$' by doubling. */
#include "driver/depfile.h"

#include <string.h>

static void add_name(Text *text, const char *name) {
  for (; *name; name++) {
    if (*name == ' ' || *name == '#') text_add(text, "\\");
    if (*name == '$') text_add(text, "$");
    text_add_length(text, name, 1);
  }
}

void depfile_print(Text *text, const char *target, int file_count, const char *const *files) {
  add_name(text, target);
  text_add(text, ":");
  for (int f = 0; f < file_count; f++) {
    if (strcmp(files[f], "<stdin>") == 0) continue;
    text_add(text, f ? " \\\n " : " ");
    add_name(text, files[f]);
  }
  text_add(text, "\n");
}
