/* text_reader.h - tokens of the two text forms.
 *
 * The first error is reported and ends the text, so a parser goes on without asking after every step
 * and finds nothing more to read. Line ends mean nothing; comments run from // to the end of the line.
 */
#ifndef SEQC_IR_TEXT_READER_H
#define SEQC_IR_TEXT_READER_H

#include <stdint.h>

#include "base/diagnostic.h"
#include "base/text.h"

typedef enum {
  TOKEN_END,
  TOKEN_WORD,   /* a plain name or keyword */
  TOKEN_STRING, /* in quotes */
  TOKEN_INTEGER,
  TOKEN_REAL,
  TOKEN_MARK /* punctuation */
} TokenKind;

typedef struct Token {
  TokenKind kind;
  const char *text; /* decoded */
  bool has_suffix;  /* name'7: the seventh entry of its table, for names that are not unique */
  int suffix;
  uint64_t integer;
  double real;
  SourceRange where;
} Token;

typedef struct Reader {
  Arena *arena;
  const SourceFile *file;
  Diagnostics *diagnostics;
  const char *at, *end;
  int line, column;
  Token token;
  bool has_failed;
} Reader;

void reader_begin(Reader *reader, Arena *arena, const SourceFile *file, Diagnostics *diagnostics);
void reader_next(Reader *reader);
void reader_fail(Reader *reader, SourceRange where, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* At the present token: expected `what`, found the token. */
void reader_fail_expected(Reader *reader, const char *what);

bool reader_is(const Reader *reader, const char *text); /* this word or mark */
bool reader_accept(Reader *reader, const char *text);
void reader_expect(Reader *reader, const char *text);
/* The results are harmless after an error: "", 0. */
const char *reader_name(Reader *reader, const char *what); /* plain or in quotes, without suffix */
const char *reader_string(Reader *reader);
int64_t reader_integer(Reader *reader); /* with sign */
int reader_count(Reader *reader);       /* 0 .. INT_MAX */
double reader_real(Reader *reader);     /* with sign; integers, inf and nan too */

/* A name that needs no quotes: an identifier with dots that is no word of the languages. */
bool name_is_plain(const char *name);
bool name_is_word(const char *name); /* an identifier with dots, which may be a word of the languages */
void name_print(Text *text, const char *name);

#endif
