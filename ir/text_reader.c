/* text_reader.c - tokens of the two text forms; see text_reader.h. */
#include "ir/text_reader.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "ir/equations.h"

void reader_fail(Reader *reader, SourceRange where, const char *format, ...) {
  if (!reader->has_failed) {
    va_list arguments;
    va_start(arguments, format);
    diagnostics_error(reader->diagnostics, where, "%s", arena_format_list(reader->arena, format, arguments));
    va_end(arguments);
  }
  reader->has_failed = true;
  reader->at = reader->end;
  reader->token = (Token){.kind = TOKEN_END, .text = "", .where = where};
}

void reader_fail_expected(Reader *reader, const char *what) {
  if (reader->token.kind == TOKEN_END) reader_fail(reader, reader->token.where, "expected %s, found the end of the text", what);
  else reader_fail(reader, reader->token.where, "expected %s, found '%s'", what, reader->token.text);
}

static int peek(const Reader *reader, int distance) {
  return reader->end - reader->at > distance ? (unsigned char)reader->at[distance] : 0;
}

static void advance(Reader *reader) {
  reader->column = *reader->at == '\n' ? 1 : reader->column + 1;
  reader->line += *reader->at == '\n';
  reader->at++;
}

static void skip_space(Reader *reader) {
  while (reader->at < reader->end) {
    if (isspace(peek(reader, 0))) {
      advance(reader);
    } else if (peek(reader, 0) == '/' && peek(reader, 1) == '/') {
      while (reader->at < reader->end && *reader->at != '\n') advance(reader);
    } else {
      return;
    }
  }
}

static bool is_word_start(int c) { return isalpha(c) || c == '_'; }
static bool is_word_part(int c) { return isalnum(c) || c == '_' || c == '.'; }

static void read_word(Reader *reader) {
  const char *start = reader->at;
  while (is_word_part(peek(reader, 0)) && !(peek(reader, 0) == '.' && peek(reader, 1) == '.')) advance(reader);
  reader->token.kind = TOKEN_WORD;
  reader->token.text = arena_string_length(reader->arena, start, (size_t)(reader->at - start));
}

static void add_escape(Reader *reader, Text *text) {
  char decoded = (char)peek(reader, 0);
  if (decoded >= '0' && decoded <= '7') {
    int value = 0;
    for (int n = 0; n < 3 && peek(reader, 0) >= '0' && peek(reader, 0) <= '7'; n++) {
      value = value * 8 + peek(reader, 0) - '0';
      advance(reader);
    }
    decoded = (char)value;
  } else {
    if (decoded == 'n') decoded = '\n';
    if (decoded == 't') decoded = '\t';
    if (decoded) advance(reader);
  }
  text_add_length(text, &decoded, 1);
}

static void read_string(Reader *reader) {
  Text text = {.arena = reader->arena};
  advance(reader);
  while (reader->at < reader->end && *reader->at != '"') {
    if (*reader->at != '\\') text_add_length(&text, reader->at, 1);
    bool is_escape = *reader->at == '\\';
    advance(reader);
    if (is_escape) add_escape(reader, &text);
  }
  if (reader->at == reader->end) {
    reader_fail(reader, reader->token.where, "this string has no end");
    return;
  }
  advance(reader);
  reader->token.kind = TOKEN_STRING;
  reader->token.text = text_string(&text);
}

static void read_number(Reader *reader) {
  const char *start = reader->at;
  bool is_real = false;
  while (isdigit(peek(reader, 0))) advance(reader);
  if (peek(reader, 0) == '.' && isdigit(peek(reader, 1))) {
    is_real = true;
    advance(reader);
    while (isdigit(peek(reader, 0))) advance(reader);
  }
  int sign = peek(reader, 1) == '+' || peek(reader, 1) == '-';
  if (peek(reader, 0) == 'e' && isdigit(peek(reader, 1 + sign))) {
    is_real = true;
    for (int n = 0; n <= sign; n++) advance(reader);
    while (isdigit(peek(reader, 0))) advance(reader);
  }
  Token *token = &reader->token;
  token->kind = is_real ? TOKEN_REAL : TOKEN_INTEGER;
  token->text = arena_string_length(reader->arena, start, (size_t)(reader->at - start));
  token->real = strtod(token->text, NULL);
  if (is_real) return;
  errno = 0;
  token->integer = strtoull(token->text, NULL, 10);
  if (errno == ERANGE || token->integer > (uint64_t)INT64_MAX + 1)
    reader_fail(reader, token->where, "the integer %s does not fit in 64 bits", token->text);
}

static void read_mark(Reader *reader) {
  static const char *const marks[] = {"<=", ">=", "==", "!=", ".."};
  size_t length = 1;
  for (size_t n = 0; n < sizeof marks / sizeof *marks; n++)
    if (peek(reader, 0) == marks[n][0] && peek(reader, 1) == marks[n][1]) length = 2;
  if (length == 1 && (peek(reader, 0) == 0 || !strchr("()[]{},:=+-*/<>%#?", peek(reader, 0)))) {
    reader_fail(reader, reader->token.where, "a character that means nothing here (code %d)", peek(reader, 0));
    return;
  }
  reader->token.kind = TOKEN_MARK;
  reader->token.text = arena_string_length(reader->arena, reader->at, length);
  for (size_t n = 0; n < length; n++) advance(reader);
}

static void read_suffix(Reader *reader) {
  if (peek(reader, 0) != '\'' || !isdigit(peek(reader, 1))) return;
  advance(reader);
  int64_t value = 0;
  while (isdigit(peek(reader, 0))) {
    if (value < INT_MAX) value = value * 10 + peek(reader, 0) - '0';
    advance(reader);
  }
  reader->token.has_suffix = true;
  reader->token.suffix = value > INT_MAX ? INT_MAX : (int)value;
}

void reader_next(Reader *reader) {
  skip_space(reader);
  SourceRange where = {reader->file, reader->line, reader->column, reader->line, reader->column};
  reader->token = (Token){.kind = TOKEN_END, .text = "", .where = where};
  if (reader->at == reader->end) return;
  int first = peek(reader, 0);
  if (is_word_start(first) || first == '"') {
    if (first == '"') read_string(reader);
    else read_word(reader);
    read_suffix(reader);
  } else if (isdigit(first)) {
    read_number(reader);
  } else {
    read_mark(reader);
  }
  reader->token.where.end_line = reader->line;
  reader->token.where.end_column = reader->column;
}

void reader_begin(Reader *reader, Arena *arena, const SourceFile *file, Diagnostics *diagnostics) {
  *reader = (Reader){.arena = arena,
                     .file = file,
                     .diagnostics = diagnostics,
                     .at = file->text,
                     .end = file->text + file->length,
                     .line = 1,
                     .column = 1};
  reader_next(reader);
}

bool reader_is(const Reader *reader, const char *text) {
  const Token *token = &reader->token;
  return (token->kind == TOKEN_WORD || token->kind == TOKEN_MARK) && !token->has_suffix && !strcmp(token->text, text);
}

bool reader_accept(Reader *reader, const char *text) {
  if (!reader_is(reader, text)) return false;
  reader_next(reader);
  return true;
}

void reader_expect(Reader *reader, const char *text) {
  if (!reader_accept(reader, text)) reader_fail_expected(reader, arena_format(reader->arena, "'%s'", text));
}

const char *reader_name(Reader *reader, const char *what) {
  const Token token = reader->token;
  bool is_name = token.kind == TOKEN_STRING || (token.kind == TOKEN_WORD && name_is_plain(token.text));
  if (!is_name || token.has_suffix) {
    reader_fail_expected(reader, what);
    return "";
  }
  reader_next(reader);
  return token.text;
}

const char *reader_string(Reader *reader) {
  const char *text = reader->token.text;
  if (reader->token.kind != TOKEN_STRING) {
    reader_fail_expected(reader, "a string");
    return "";
  }
  reader_next(reader);
  return text;
}

int64_t reader_integer(Reader *reader) {
  bool is_negative = reader_accept(reader, "-");
  const Token token = reader->token;
  if (token.kind != TOKEN_INTEGER) {
    reader_fail_expected(reader, "an integer");
    return 0;
  }
  if (!is_negative && token.integer > INT64_MAX) {
    reader_fail(reader, token.where, "the integer %s does not fit in 64 bits", token.text);
    return 0;
  }
  reader_next(reader);
  return (int64_t)(is_negative ? 0 - token.integer : token.integer);
}

int reader_count(Reader *reader) {
  SourceRange where = reader->token.where;
  int64_t value = reader_integer(reader);
  if (value >= 0 && value <= INT_MAX) return (int)value;
  reader_fail(reader, where, "expected a number from 0 to %d, found %lld", INT_MAX, (long long)value);
  return 0;
}

double reader_real(Reader *reader) {
  bool is_negative = reader_accept(reader, "-");
  double value = reader->token.real;
  if (reader_is(reader, "inf")) value = INFINITY;
  else if (reader_is(reader, "nan")) value = NAN;
  else if (reader->token.kind != TOKEN_REAL && reader->token.kind != TOKEN_INTEGER) reader_fail_expected(reader, "a number");
  reader_next(reader);
  return is_negative ? -value : value;
}

bool name_is_word(const char *name) {
  if (!is_word_start((unsigned char)name[0])) return false;
  for (const char *c = name; *c; c++)
    if (!is_word_part((unsigned char)*c) || (c[0] == '.' && (c[1] == '.' || !c[1]))) return false;
  return true;
}

bool name_is_plain(const char *name) {
  static const char *const words[] = {"inf",    "nan",      "true",   "false",    "where",  "else",  "with",    "in",
                                      "of",     "symbol",   "index",  "tensor",   "buffer", "local", "program", "kernel",
                                      "for",    "parallel", "vector", "reversed", "if",     "let",   "reduce",  "prefetch", "barrier",
                                      "tile",   "row",      "column", "depth",    "from",   "below", "by",      "batch",
                                      "shared", "before",   "after",  "axis",     "port",   "slots", "ignored", "nontemporal"};
  if (!name_is_word(name)) return false;
  for (size_t n = 0; n < sizeof words / sizeof *words; n++)
    if (!strcmp(name, words[n])) return false;
  for (int op = 0; op < OP_COUNT; op++)
    if (!strcmp(name, op_table[op].text)) return false;
  for (int reduce = REDUCE_SUM; reduce < REDUCE_COUNT; reduce++)
    if (!strcmp(name, reduce_names[reduce])) return false;
  return true;
}

void name_print(Text *text, const char *name) {
  if (name_is_plain(name)) text_add(text, name);
  else text_quoted(text, name);
}
