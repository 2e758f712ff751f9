/* diagnostic.c - collecting and printing messages about a model file. */
#include "base/diagnostic.h"

#include <stdlib.h>

enum { MOST_ERRORS = 20, WIDEST_LINE = 160 };

typedef struct Message {
  Severity severity;
  SourceRange where;
  const char *text;
} Message;

struct Diagnostics {
  Arena *arena;
  Message *messages;
  int message_count, error_count;
  bool is_dropping; /* the last error was over the limit, so its notes are too */
};

Diagnostics *diagnostics_create(Arena *arena) {
  Diagnostics *diagnostics = ARENA_NEW(arena, Diagnostics);
  diagnostics->arena = arena;
  return diagnostics;
}

static void add(Diagnostics *diagnostics, Severity severity, SourceRange where, const char *format,
                va_list arguments) {
  if (severity == SEVERITY_ERROR) diagnostics->is_dropping = ++diagnostics->error_count > MOST_ERRORS;
  if (diagnostics->is_dropping) return;
  Message message = {severity, where, arena_format_list(diagnostics->arena, format, arguments)};
  ARENA_PUSH(diagnostics->arena, diagnostics->messages, diagnostics->message_count, message);
}

#define FORWARD(severity)                              \
  va_list arguments;                                   \
  va_start(arguments, format);                         \
  add(diagnostics, severity, where, format, arguments); \
  va_end(arguments)

void diagnostics_error(Diagnostics *diagnostics, SourceRange where, const char *format, ...) {
  FORWARD(SEVERITY_ERROR);
}

void diagnostics_warning(Diagnostics *diagnostics, SourceRange where, const char *format, ...) {
  FORWARD(SEVERITY_WARNING);
}

void diagnostics_note(Diagnostics *diagnostics, SourceRange where, const char *format, ...) {
  FORWARD(SEVERITY_NOTE);
}

int diagnostics_error_count(const Diagnostics *diagnostics) { return diagnostics->error_count; }
bool diagnostics_is_empty(const Diagnostics *diagnostics) { return diagnostics->message_count == 0; }

/* The line with the error and a caret; unprintable bytes become '?', long lines are cut around the place. */
static void print_line(SourceRange where, FILE *stream) {
  const char *line = where.file->text, *end = where.file->text + where.file->length;
  for (int n = 1; n < where.line && line < end; line++)
    if (*line == '\n') n++;
  const char *stop = line;
  while (stop < end && *stop != '\n') stop++;
  if (where.column < 1 || where.column > stop - line + 1) return;
  const char *from = line;
  int column = where.column;
  if (column > WIDEST_LINE / 2) {
    from += column - WIDEST_LINE / 2;
    column = WIDEST_LINE / 2;
  }
  if (stop - from > WIDEST_LINE) stop = from + WIDEST_LINE;
  fprintf(stream, "  ");
  for (const char *c = from; c < stop; c++) fputc(*c == '\t' ? ' ' : (*c >= 32 && *c < 127) || (*c & 0x80) ? *c : '?', stream);
  fprintf(stream, "\n  %*s^", column - 1, "");
  int last = where.end_line == where.line ? where.end_column - where.column : 1;
  if (last > stop - from - column) last = (int)(stop - from - column);
  for (int n = 0; n < last; n++) fputc('~', stream);
  fputc('\n', stream);
}

void diagnostics_print(const Diagnostics *diagnostics, FILE *stream) {
  static const char *const names[] = {"error", "warning", "note"};
  for (int n = 0; n < diagnostics->message_count; n++) {
    const Message *message = &diagnostics->messages[n];
    if (message->where.file)
      fprintf(stream, "%s:%d:%d: ", message->where.file->path, message->where.line, message->where.column);
    else
      fprintf(stream, "seqc: ");
    fprintf(stream, "%s: %s\n", names[message->severity], message->text);
    if (message->where.file) print_line(message->where, stream);
  }
  if (diagnostics->error_count > MOST_ERRORS)
    fprintf(stream, "seqc: %d more errors not shown\n", diagnostics->error_count - MOST_ERRORS);
}

void internal_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "seqc: internal error: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\nseqc: this is a defect of seqc, not of the model\n");
  va_end(arguments);
  abort();
}
