/* names.c - names of both languages' tables in text: printing, and finding what a name stands for.
 *
 * Names of indices and locals need not be unique. The first of a name is written plainly, the others with their
 * number in the table: t'7.
 */
#include "ir/expr_text.h"

int names_count(Names names, NameKind kind) {
  const Program *program = names.program;
  const Kernel *kernel = names.kernel;
  switch (kind) {
  case NAME_SYMBOL: return program ? program->symbol_count : kernel->symbol_count;
  case NAME_INDEX: return program ? program->index_count : kernel->index_count;
  case NAME_ARRAY: return program ? program->tensor_count : kernel->buffer_count;
  case NAME_LOCAL: return program ? 0 : kernel->local_count;
  }
  return 0;
}

const char *names_get(Names names, NameKind kind, int id) {
  const Program *program = names.program;
  const Kernel *kernel = names.kernel;
  if (id < 0 || id >= names_count(names, kind)) return NULL;
  const char *name = NULL;
  switch (kind) {
  case NAME_SYMBOL: name = program ? program->symbols[id].name : kernel->symbols[id].name; break;
  case NAME_INDEX: name = program ? program->indices[id].name : kernel->indices[id].name; break;
  case NAME_ARRAY: name = program ? program->tensors[id].name : kernel->buffers[id].name; break;
  case NAME_LOCAL: name = kernel->locals[id].name; break;
  }
  return name ? name : "";
}

/* The entry that the name alone stands for, or NONE. */
static int find_name(Names names, NameKind kind, const char *name) {
  int count = names_count(names, kind);
  for (int id = 0; id < count; id++)
    if (!strcmp(names_get(names, kind, id), name)) return id;
  return NONE;
}

void names_print(Text *text, Names names, NameKind kind, int id) {
  const char *name = names_get(names, kind, id);
  if (!name) {
    text_format(text, "?%d", id);
    return;
  }
  if (kind == NAME_LOCAL) text_add(text, "%"); /* so a local needs no quotes to differ from a keyword */
  if (kind == NAME_LOCAL && name_is_word(name)) text_add(text, name);
  else name_print(text, name);
  bool is_clear = find_name(names, kind, name) == id;
  if (kind == NAME_INDEX) is_clear = is_clear && find_name(names, NAME_SYMBOL, name) == NONE;
  if (!is_clear) text_format(text, "'%d", id);
}

int array_rank(Names names, int id) { return names.program ? names.program->tensors[id].rank : names.kernel->buffers[id].rank; }
Type array_type(Names names, int id) { return names.program ? names.program->tensors[id].type : names.kernel->buffers[id].type; }

void size_print(Text *text, Names names, Size size) {
  long long constant = size.constant;
  if (size.symbol == NONE) {
    text_format(text, "%lld", constant);
    return;
  }
  names_print(text, names, NAME_SYMBOL, size.symbol);
  if (constant > 0) text_format(text, " + %lld", constant);
  if (constant < 0) text_format(text, " - %llu", 0 - (unsigned long long)constant);
}

void shape_print(Text *text, Names names, int rank, const Size *shape) {
  text_add(text, "[");
  for (int axis = 0; axis < rank; axis++) {
    if (axis) text_add(text, ", ");
    size_print(text, names, shape[axis]);
  }
  text_add(text, "]");
}

int names_parse(ExprParser *parser, NameKind kind, const char *what) {
  Reader *reader = parser->reader;
  const Token token = reader->token;
  bool is_name = token.kind == TOKEN_STRING || (token.kind == TOKEN_WORD && (kind == NAME_LOCAL || name_is_plain(token.text)));
  if (!is_name) {
    reader_fail_expected(reader, what);
    return 0;
  }
  int id = token.has_suffix ? token.suffix : find_name(parser->names, kind, token.text);
  const char *found = names_get(parser->names, kind, id);
  if (!found) {
    reader_fail(reader, token.where, "there is no %s '%s'", what, token.text);
    return 0;
  }
  if (strcmp(found, token.text)) {
    reader_fail(reader, token.where, "%s %d is '%s', not '%s'", what, id, found, token.text);
    return 0;
  }
  reader_next(reader);
  return id;
}

Size size_parse(ExprParser *parser) {
  Reader *reader = parser->reader;
  Size size = size_constant(0);
  if (reader->token.kind == TOKEN_INTEGER || reader_is(reader, "-")) {
    size.constant = reader_integer(reader);
    return size;
  }
  size.symbol = names_parse(parser, NAME_SYMBOL, "symbol");
  if (reader_accept(reader, "+")) size.constant = reader_integer(reader);
  else if (reader_is(reader, "-")) size.constant = reader_integer(reader); /* the minus is its sign */
  return size;
}

int shape_parse(ExprParser *parser, Size **out_shape) {
  Reader *reader = parser->reader;
  int rank = 0;
  *out_shape = NULL;
  reader_expect(reader, "[");
  if (reader_accept(reader, "]")) return 0;
  do { ARENA_PUSH(parser->arena, *out_shape, rank, size_parse(parser)); } while (reader_accept(reader, ","));
  reader_expect(reader, "]");
  return rank;
}
