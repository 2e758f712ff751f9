/* parser.c - drives the generated parser, and decides which line ends are ends of statements.
 *
 * A line end is dropped while ( or [ is open, after a token that asks for more, and before one that continues a line.
 * A statement also ends before '}' and at the end of the file, so the grammar has one end for all.
 */
#include "frontend/parser.h"

#include <limits.h>

#include "grammar.h"

typedef void *yyscan_t;
int seqscanlex_init_extra(Parser *parser, yyscan_t *scanner);
int seqscanlex_destroy(yyscan_t scanner);
struct yy_buffer_state *seqscan_scan_bytes(const char *bytes, int length, yyscan_t scanner);

void parser_stop(Parser *parser, SourceRange place, const char *message) {
  if (!parser->has_stopped) diagnostics_error(parser->diagnostics, place, "%s", message);
  parser->has_stopped = true;
}

static bool asks_for_more(int kind) {
  switch (kind) {
  case '+':
  case '-':
  case '*':
  case '/':
  case '^':
  case '<':
  case '>':
  case '=':
  case ',':
  case ':':
  case '.':
  case '{':
  case LE:
  case GE:
  case EQ:
  case NE:
  case AND:
  case OR:
  case NOT:
  case MOD:
  case DIV:
  case ARROW:
  case DOTS:
  case IN:
  case AS_NAME:
  case WHERE:
  case IF:
  case THEN:
  case ELSE:
  case STORED:
  case CONST:
  case PARAM:
  case END:
  case 0: return true;
  default: return false;
  }
}

static bool continues(int kind) {
  switch (kind) {
  case '+':
  case '-':
  case '*':
  case '/':
  case '^':
  case '<':
  case '>':
  case '=':
  case ',':
  case ')':
  case ']':
  case '{':
  case LE:
  case GE:
  case EQ:
  case NE:
  case AND:
  case OR:
  case MOD:
  case DIV:
  case ARROW:
  case DOTS:
  case AS_NAME:
  case WHERE:
  case THEN:
  case ELSE:
  case STORED: return true;
  default: return false;
  }
}

/* The next token after line ends; out_had_newline when there was one. */
static Token next_solid(Parser *parser, bool *out_had_newline) {
  Token token = {0};
  *out_had_newline = false;
  for (;;) {
    token.kind = parser->has_stopped ? 0 : parser_scan(&token.value, &token.place, parser->scanner);
    if (parser->has_stopped) token.kind = 0;
    if (token.kind == 0) {
      SourceRange end = {parser->file, parser->line, parser->column, parser->line, parser->column};
      token.place = end;
    }
    if (token.kind != NEWLINE) return token;
    *out_had_newline = true;
  }
}

static int hand_out(Parser *parser, Token token, ParserValue *value, SourceRange *place) {
  int kind = token.kind;
  if (kind == '(' || kind == '[' || kind == '{') {
    if (++parser->nesting > DEEPEST_NESTING) parser_stop(parser, token.place, "brackets are nested too deeply");
    if (parser->has_stopped) kind = 0;
  }
  if (kind == '(' || kind == '[') parser->bracket_count++;
  if (kind == '{') {
    parser->open_brackets[parser->nesting] = parser->bracket_count;
    parser->bracket_count = 0;
  }
  if ((kind == ')' || kind == ']') && parser->bracket_count > 0) parser->bracket_count--;
  if (kind == '}') parser->bracket_count = parser->nesting > 0 ? parser->open_brackets[parser->nesting] : 0;
  if ((kind == ')' || kind == ']' || kind == '}') && parser->nesting > 0) parser->nesting--;
  parser->previous = kind;
  *value = token.value;
  *place = token.place;
  return kind;
}

int parser_next(ParserValue *value, SourceRange *place, Parser *parser) {
  bool had_newline = false;
  Token token = parser->ahead;
  if (!parser->has_ahead) token = next_solid(parser, &had_newline);
  parser->has_ahead = false;
  if (parser->has_stopped) token.kind = 0;
  bool is_end = token.kind == ';' || token.kind == '}' || token.kind == 0 || (had_newline && !continues(token.kind));
  bool may_end = parser->bracket_count == 0 || token.kind == 0 || token.kind == '}';
  if (is_end && may_end && !asks_for_more(parser->previous)) {
    parser->ahead = token;
    parser->has_ahead = token.kind != ';';
    token.kind = END;
    token.place.end_line = token.place.line;
    token.place.end_column = token.place.column;
  } else if (token.kind == ';' && parser->bracket_count == 0) {
    token.kind = END;
  }
  return hand_out(parser, token, value, place);
}

bool ast_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics, NodeList *out_definitions) {
  int errors = diagnostics_error_count(diagnostics);
  Parser parser = {.arena = arena, .diagnostics = diagnostics, .file = file, .line = 1, .column = 1};
  parser.open_brackets = ARENA_ARRAY(arena, int, DEEPEST_NESTING + 2);
  SourceRange start = {file, 1, 1, 1, 1};
  if (file->length > INT_MAX - 2) {
    diagnostics_error(diagnostics, start, "the file is too large");
    return false;
  }
  if (seqscanlex_init_extra(&parser, &parser.scanner)) internal_error("out of memory in the scanner");
  seqscan_scan_bytes(file->text, (int)file->length, parser.scanner);
  seqparseparse(&parser);
  seqscanlex_destroy(parser.scanner);
  *out_definitions = parser.definitions;
  return diagnostics_error_count(diagnostics) == errors;
}
