/* text.h - a string that grows, for printers. */
#ifndef SEQC_BASE_TEXT_H
#define SEQC_BASE_TEXT_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct Text {
  Arena *arena;
  char *data; /* always terminated once something was added; NULL before */
  size_t length, capacity;
} Text;

void text_add(Text *text, const char *string);
void text_add_length(Text *text, const char *string, size_t length);
void text_format(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The shortest decimal form that reads back as the same double; "inf", "-inf", "nan". */
void text_double(Text *text, double value);

/* A quoted string; quotes, backslashes and control characters are escaped as in C. */
void text_quoted(Text *text, const char *string);

/* The text so far, "" when nothing was added. */
const char *text_string(const Text *text);

/* '*' in the pattern stands for any characters, none included. */
bool pattern_matches(const char *pattern, const char *text);

#endif
