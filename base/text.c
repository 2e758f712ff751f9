/* text.c - a string that grows, for printers. */
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void text_add_length(Text *text, const char *string, size_t length) {
  if (text->length + length + 1 > text->capacity) {
    size_t capacity = (text->length + length + 1) * 2;
    char *data = arena_allocate(text->arena, capacity);
    if (text->length) memcpy(data, text->data, text->length);
    text->data = data;
    text->capacity = capacity;
  }
  memcpy(text->data + text->length, string, length);
  text->length += length;
  text->data[text->length] = 0;
}

void text_add(Text *text, const char *string) { text_add_length(text, string, strlen(string)); }

void text_format(Text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  text_add(text, arena_format_list(text->arena, format, arguments));
  va_end(arguments);
}

void text_double(Text *text, double value) {
  char digits[40];
  if (isnan(value)) {
    text_add(text, "nan");
    return;
  }
  if (isinf(value)) {
    text_add(text, value < 0 ? "-inf" : "inf");
    return;
  }
  for (int precision = 1; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (strtod(digits, NULL) == value) break;
  }
  text_add(text, digits);
}

void text_quoted(Text *text, const char *string) {
  text_add(text, "\"");
  for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
    if (*c == '"' || *c == '\\')
      text_format(text, "\\%c", *c);
    else if (*c == '\n')
      text_add(text, "\\n");
    else if (*c == '\t')
      text_add(text, "\\t");
    else if (*c < 32)
      text_format(text, "\\%03o", *c);
    else
      text_add_length(text, (const char *)c, 1);
  }
  text_add(text, "\"");
}

const char *text_string(const Text *text) { return text->data ? text->data : ""; }

bool pattern_matches(const char *pattern, const char *text) {
  const char *star = NULL, *retry = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = pattern++;
      retry = text;
    } else if (*pattern == *text) {
      pattern++;
      text++;
    } else if (star) {
      pattern = star + 1;
      text = ++retry;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == '\0';
}
