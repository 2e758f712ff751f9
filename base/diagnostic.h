/* diagnostic.h - what is told to the author of a model file.
 *
 * Messages are lower case without full stop, name the thing in 'quotes', and say
 * what was expected and what was found. A note points at the other place involved.
 * Errors are collected; a stage goes on after one where that helps, and the driver
 * stops at the end of the stage.
 */
#ifndef SEQC_BASE_DIAGNOSTIC_H
#define SEQC_BASE_DIAGNOSTIC_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"

typedef struct SourceFile {
  const char *path; /* as it was given, for messages */
  const char *text; /* whole content, terminated */
  size_t length;
} SourceFile;

/* Lines and columns count from 1; columns are bytes. A NULL file is "no place". */
typedef struct SourceRange {
  const SourceFile *file;
  int line, column, end_line, end_column;
} SourceRange;

typedef enum { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE } Severity;

typedef struct Diagnostics Diagnostics;

/* Collects into `arena`. After 20 errors further ones are counted, not kept. */
Diagnostics *diagnostics_create(Arena *arena);

void diagnostics_error(Diagnostics *diagnostics, SourceRange where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diagnostics_warning(Diagnostics *diagnostics, SourceRange where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Belongs to the message before it. */
void diagnostics_note(Diagnostics *diagnostics, SourceRange where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int diagnostics_error_count(const Diagnostics *diagnostics);
bool diagnostics_is_empty(const Diagnostics *diagnostics);

/* file:line:column: error: message, the line and a caret under it; notes follow. */
void diagnostics_print(const Diagnostics *diagnostics, FILE *stream);

/* Reports a defect of seqc itself and aborts. */
_Noreturn void internal_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
