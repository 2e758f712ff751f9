/* expr_text.h - expressions as text, printed and parsed, for both languages.
 *
 * Infix with the fewest parentheses that keep the tree. What a large subtree is used for more than once is printed as
 * a line `#0 = ...` of its own before the statement, so text is never longer than the expression is in memory.
 */
#ifndef SEQC_IR_EXPR_TEXT_H
#define SEQC_IR_EXPR_TEXT_H

#include "ir/loops.h"
#include "ir/pair_map.h"
#include "ir/text_reader.h"

/* The tables that ids refer to: those of a program or those of a kernel, the other is NULL. */
typedef struct Names {
  const Program *program;
  const Kernel *kernel;
} Names;

typedef enum { NAME_SYMBOL, NAME_INDEX, NAME_ARRAY, NAME_LOCAL } NameKind; /* an array is a tensor or a buffer */
int names_count(Names names, NameKind kind);
const char *names_get(Names names, NameKind kind, int id); /* NULL when there is no such id */
/* The name, with its number when it alone doesn't say which; "?7" for what doesn't exist. */
void names_print(Text *text, Names names, NameKind kind, int id);
int array_rank(Names names, int id);
Type array_type(Names names, int id);
void size_print(Text *text, Names names, Size size);
void shape_print(Text *text, Names names, int rank, const Size *shape);

typedef struct ExprPrinter {
  Text *text;
  Names names;
  Arena *arena;  /* of the walk */
  PairMap nodes; /* what is known of each node */
  const Expr **order;
  int order_count;
  int budget; /* nodes to go, for a text without shared lines; negative: no limit */
} ExprPrinter;

void expr_printer_begin(ExprPrinter *printer, Text *text, Names names);
/* Every expression of the statement, before anything of it is printed. NULL is ignored. */
void expr_printer_add(ExprPrinter *printer, const Expr *expr);
void expr_printer_shared_lines(ExprPrinter *printer, int indent);
void expr_printer_print(ExprPrinter *printer, const Expr *expr);
/* name[i, j, ...] with what follows the indices in the brackets. */
void expr_printer_access(ExprPrinter *printer, int array, int rank, const Expr *const *indices, const Expr *outside,
                         const Expr *guard);
/* value with sum[k where guard](body), whichever of these there are. */
void expr_printer_reduction(ExprPrinter *printer, const Expr *value, ReduceOp reduce, int count, const IndexId *indices,
                            const Expr *guard, const Expr *body);
void expr_printer_end(ExprPrinter *printer);

typedef struct ExprParser {
  Reader *reader;
  Arena *arena;
  Names names;
  const Expr **shared;
  int shared_count;
  int depth;
} ExprParser;

/* Never NULL; a constant after an error. */
const Expr *expr_parse(ExprParser *parser);
const Expr *expr_parse_type(ExprParser *parser, Type type, const char *what);
/* Lines `#0 = ...`; they hold for the statement that follows. */
void expr_parse_shared_lines(ExprParser *parser);
/* The index, tensor, ... that is named here; 0 and an error when there is none. */
int names_parse(ExprParser *parser, NameKind kind, const char *what);
Size size_parse(ExprParser *parser);
int shape_parse(ExprParser *parser, Size **out_shape);
/* [i, j, ...] after the name of the array; the other parts where the caller allows them. */
const Expr **access_parse(ExprParser *parser, int array, const Expr **out_outside, const Expr **out_guard);
/* What expr_printer_reduction printed. */
typedef struct Reduction {
  const Expr *value;
  ReduceOp reduce;
  int count;
  IndexId *indices;
  const Expr *guard, *body;
} Reduction;
Reduction reduction_parse(ExprParser *parser);

#endif
