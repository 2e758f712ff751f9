/* parser.h - what scanner, grammar and the filter between them share. */
#ifndef SEQC_FRONTEND_PARSER_H
#define SEQC_FRONTEND_PARSER_H

#include "frontend/ast.h"

typedef union ParserValue {
  const char *text;
  int64_t integer;
  double number;
  bool flag;
  Node *node;
  NodeList list;
} ParserValue;

typedef struct Token {
  int kind;
  ParserValue value;
  SourceRange place;
} Token;

typedef struct Parser {
  Arena *arena;
  Diagnostics *diagnostics;
  const SourceFile *file;
  void *scanner;
  int line, column; /* of the scanner */
  NodeList definitions;
  /* the filter that turns line ends into statement ends */
  Token ahead;
  bool has_ahead;
  int previous;       /* kind of the token handed out last */
  int bracket_count;  /* open ( and [ */
  int nesting;        /* open brackets of all kinds */
  int *open_brackets; /* bracket_count of the enclosing blocks */
  bool has_stopped;   /* after an error that makes the rest meaningless */
} Parser;

/* The scanner proper (lexer.l): every line end is a token. */
int parser_scan(ParserValue *value, SourceRange *place, void *scanner);
/* What the grammar reads (parser.c). */
int parser_next(ParserValue *value, SourceRange *place, Parser *parser);
/* An error after which parsing ends. */
void parser_stop(Parser *parser, SourceRange place, const char *message);

#endif
