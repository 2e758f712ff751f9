/* program_text.h - the tables that both text forms begin with; for ir/ only. */
#ifndef SEQC_IR_PROGRAM_TEXT_H
#define SEQC_IR_PROGRAM_TEXT_H

#include "ir/expr_text.h"

extern const char *const symbol_kind_names[]; /* by SymbolKind */

void symbols_print(Text *text, Names names, int count, const Symbol *symbols);
/* Neighbours of one range share a line. */
void indices_print(Text *text, Names names, int count, const Index *indices);
/* After the word `symbol`. */
Symbol symbol_parse(ExprParser *parser);
/* A line of indices from `index` or `batch` on. The numbers must be those of the table: `*count` is the next. */
Index *indices_parse(ExprParser *parser, Index *indices, int *count);
/* The position in `words` of the present token, which is read; -1 and an error when it is none of them. */
int choice_parse(Reader *reader, int count, const char *const *words, const char *what);
void equation_print(Text *text, const Program *program, const Equation *equation);
void statement_print(Text *text, const Kernel *kernel, const Statement *statement);

#endif
