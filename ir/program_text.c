/* program_text.c - symbols and indices in text; see program_text.h. */
#include "ir/program_text.h"

const char *const symbol_kind_names[] = {"batch", "stream", "length", "position", "recent", "history",
                                         "capacity_in", "capacity_out", "moved", "derived"};

void symbols_print(Text *text, Names names, int count, const Symbol *symbols) {
  for (int n = 0; n < count; n++) {
    text_add(text, "  symbol ");
    names_print(text, names, NAME_SYMBOL, n);
    text_format(text, ": %s", symbol_kind_names[symbols[n].kind]);
    if (symbols[n].most) text_format(text, " %lld", (long long)symbols[n].most);
    if (symbols[n].formula) {
      ExprPrinter printer;
      expr_printer_begin(&printer, text, names);
      text_add(text, " = ");
      expr_printer_print(&printer, symbols[n].formula);
      expr_printer_end(&printer);
    }
    text_add(text, "\n");
  }
}

void indices_print(Text *text, Names names, int count, const Index *indices) {
  for (int n = 0; n < count;) {
    const Index *first = &indices[n];
    text_format(text, "  %sindex ", first->is_batch ? "batch " : "");
    for (int start = n; n < count; n++) {
      const Index *index = &indices[n];
      if (index->is_batch != first->is_batch || !size_equal(index->low, first->low) || !size_equal(index->high, first->high))
        break;
      if (n > start) text_add(text, ", ");
      names_print(text, names, NAME_INDEX, n);
    }
    text_add(text, " in ");
    size_print(text, names, first->low);
    text_add(text, " .. ");
    size_print(text, names, first->high);
    text_add(text, "\n");
  }
}

int choice_parse(Reader *reader, int count, const char *const *words, const char *what) {
  for (int n = 0; n < count; n++)
    if (words[n][0] && reader_accept(reader, words[n])) return n;
  reader_fail_expected(reader, what);
  return -1;
}

Symbol symbol_parse(ExprParser *parser) {
  Symbol symbol = {.name = reader_name(parser->reader, "the name of a symbol")};
  reader_expect(parser->reader, ":");
  int kind = choice_parse(parser->reader, SYMBOL_DERIVED + 1, symbol_kind_names, "a kind of symbol");
  if (kind >= 0) symbol.kind = (SymbolKind)kind;
  bool may_be_bounded = symbol.kind == SYMBOL_RECENT || symbol.kind == SYMBOL_HISTORY;
  if (may_be_bounded && parser->reader->token.kind == TOKEN_INTEGER) symbol.most = reader_integer(parser->reader);
  if (reader_accept(parser->reader, "=")) symbol.formula = expr_parse_type(parser, TYPE_INT, "the formula");
  return symbol;
}

static const char *index_name_parse(Reader *reader, int number) {
  const Token token = reader->token;
  bool is_name = token.kind == TOKEN_STRING || (token.kind == TOKEN_WORD && name_is_plain(token.text));
  if (!is_name) reader_fail_expected(reader, "the name of an index");
  if (token.has_suffix && token.suffix != number)
    reader_fail(reader, token.where, "this is index %d, not %d", number, token.suffix);
  reader_next(reader);
  return token.text;
}

Index *indices_parse(ExprParser *parser, Index *indices, int *count) {
  Reader *reader = parser->reader;
  int first = *count;
  Index index = {.is_batch = reader_accept(reader, "batch")};
  reader_expect(reader, "index");
  do {
    index.name = index_name_parse(reader, *count);
    ARENA_PUSH(parser->arena, indices, *count, index);
  } while (reader_accept(reader, ","));
  reader_expect(reader, "in");
  Size low = size_parse(parser);
  reader_expect(reader, "..");
  Size high = size_parse(parser);
  for (int n = first; n < *count; n++) {
    indices[n].low = low;
    indices[n].high = high;
  }
  return indices;
}
