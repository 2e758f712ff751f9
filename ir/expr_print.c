/* expr_print.c - expressions as text; see expr_text.h. */
#include <ctype.h>

#include "ir/expr_text.h"

/* How tightly an operator binds; operands that bind less get parentheses. */
enum { BIND_OR = 1, BIND_AND, BIND_NOT, BIND_COMPARE, BIND_SUM, BIND_PRODUCT, BIND_PREFIX, BIND_TIGHT };
enum { SHARED_SIZE = 16, MOST_ALONE = 4000 };

/* What is printed of a shared node that is smaller than SHARED_SIZE is bounded, so only larger ones get a line. */
typedef struct NodeInfo {
  int uses, size;
  int number; /* of its line, or NONE */
} NodeInfo;

static int binding(const Expr *expr) {
  switch (expr->op) {
  case OP_OR: return BIND_OR;
  case OP_AND: return BIND_AND;
  case OP_NOT: return BIND_NOT;
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return BIND_COMPARE;
  case OP_ADD:
  case OP_SUB: return BIND_SUM;
  case OP_MUL:
  case OP_DIV: return BIND_PRODUCT;
  case OP_NEG: return BIND_PREFIX;
  default: return BIND_TIGHT;
  }
}

static NodeInfo *info_of(const ExprPrinter *printer, const Expr *expr) {
  const void *info;
  return pair_map_find(&printer->nodes, expr, NULL, &info) ? (NodeInfo *)info : NULL;
}

static void print(ExprPrinter *printer, const Expr *expr, int least);

static void print_real(Text *text, double value) {
  size_t start = text->length;
  text_double(text, value);
  if (!strpbrk(text->data + start, ".en")) text_add(text, ".0");
}

static void print_list(ExprPrinter *printer, int count, const Expr *const *exprs) {
  for (int n = 0; n < count; n++) {
    if (n) text_add(printer->text, ", ");
    print(printer, exprs[n], 0);
  }
}

void expr_printer_access(ExprPrinter *printer, int array, int rank, const Expr *const *indices, const Expr *outside,
                         const Expr *guard) {
  Text *text = printer->text;
  names_print(text, printer->names, NAME_ARRAY, array);
  text_add(text, "[");
  print_list(printer, rank, indices);
  if (outside) {
    text_add(text, rank ? " else " : "else ");
    print(printer, outside, 0);
  }
  if (guard) {
    text_add(text, rank ? " where " : "where ");
    print(printer, guard, 0);
  }
  text_add(text, "]");
}

static void print_operation(ExprPrinter *printer, const Expr *expr) {
  Text *text = printer->text;
  const char *name = op_table[expr->op].text;
  int tight = binding(expr);
  if (tight == BIND_TIGHT) {
    text_format(text, "%s(", name);
    print_list(printer, expr->arg_count, expr->args);
    text_add(text, ")");
  } else if (expr->arg_count == 1) {
    text_add(text, expr->op == OP_NOT ? "not " : "-");
    print(printer, expr->args[0], tight);
  } else {
    print(printer, expr->args[0], tight == BIND_COMPARE ? tight + 1 : tight);
    text_format(text, " %s ", name);
    print(printer, expr->args[1], tight + 1);
  }
}

static void print_node(ExprPrinter *printer, const Expr *expr) {
  Text *text = printer->text;
  switch (expr->op) {
  case OP_NUMBER: print_real(text, expr->number); break;
  case OP_INTEGER: text_format(text, "%lld", (long long)expr->integer); break;
  case OP_BOOLEAN: text_add(text, expr->integer ? "true" : "false"); break;
  case OP_INDEX: names_print(text, printer->names, NAME_INDEX, expr->id); break;
  case OP_SYMBOL: names_print(text, printer->names, NAME_SYMBOL, expr->id); break;
  case OP_LOCAL: names_print(text, printer->names, NAME_LOCAL, expr->id); break;
  case OP_READ:
  case OP_LOAD: expr_printer_access(printer, expr->id, expr->arg_count, expr->args, expr->outside, expr->guard); break;
  case OP_GIVEN:
    text_add(text, "given(");
    names_print(text, printer->names, NAME_ARRAY, expr->id);
    text_add(text, ")");
    break;
  default: print_operation(printer, expr); break;
  }
}

static void print(ExprPrinter *printer, const Expr *expr, int least) {
  const NodeInfo *info = info_of(printer, expr);
  if (info && info->number != NONE) {
    text_format(printer->text, "#%d", info->number);
    return;
  }
  if (printer->budget == 0) {
    text_add(printer->text, "...");
    return;
  }
  if (printer->budget > 0) printer->budget--;
  bool needs_parentheses = binding(expr) < least;
  if (needs_parentheses) text_add(printer->text, "(");
  print_node(printer, expr);
  if (needs_parentheses) text_add(printer->text, ")");
}

void expr_printer_print(ExprPrinter *printer, const Expr *expr) { print(printer, expr, 0); }

void expr_printer_begin(ExprPrinter *printer, Text *text, Names names) {
  *printer = (ExprPrinter){.text = text, .names = names, .arena = arena_create(), .budget = -1};
  pair_map_begin(&printer->nodes);
}

void expr_printer_end(ExprPrinter *printer) {
  pair_map_end(&printer->nodes);
  arena_destroy(printer->arena);
}

void expr_printer_add(ExprPrinter *printer, const Expr *expr) {
  if (!expr || (!expr->arg_count && !expr->outside && !expr->guard)) return;
  NodeInfo *info = info_of(printer, expr);
  if (info) {
    info->uses++;
    return;
  }
  info = ARENA_NEW(printer->arena, NodeInfo);
  *info = (NodeInfo){.uses = 1, .number = NONE};
  pair_map_add(&printer->nodes, expr, NULL, info);
  for (int n = 0; n < expr->arg_count; n++) expr_printer_add(printer, expr->args[n]);
  expr_printer_add(printer, expr->outside);
  expr_printer_add(printer, expr->guard);
  ARENA_PUSH(printer->arena, printer->order, printer->order_count, expr);
}

/* Of the text of a node: a leaf and a node with its own line count one. */
static int printed_size(const ExprPrinter *printer, const Expr *expr) {
  const NodeInfo *info = expr ? info_of(printer, expr) : NULL;
  return info && info->number == NONE ? info->size : expr != NULL;
}

void expr_printer_shared_lines(ExprPrinter *printer, int indent) {
  int count = 0;
  for (int n = 0; n < printer->order_count; n++) {
    const Expr *expr = printer->order[n];
    NodeInfo *info = info_of(printer, expr);
    info->size = 1 + printed_size(printer, expr->outside) + printed_size(printer, expr->guard);
    for (int arg = 0; arg < expr->arg_count; arg++) info->size += printed_size(printer, expr->args[arg]);
    if (info->uses < 2 || info->size < SHARED_SIZE) continue;
    text_format(printer->text, "%*s#%d = ", indent, "", count);
    print(printer, expr, 0);
    text_add(printer->text, "\n");
    info->number = count++;
  }
}

void expr_printer_reduction(ExprPrinter *printer, const Expr *value, ReduceOp reduce, int count, const IndexId *indices,
                            const Expr *guard, const Expr *body) {
  Text *text = printer->text;
  if (value) print(printer, value, 0);
  if (reduce == REDUCE_NONE) return;
  text_format(text, "%s%s[", value ? " with " : "", reduce_names[reduce]);
  for (int n = 0; n < count; n++) {
    if (n) text_add(text, ", ");
    names_print(text, printer->names, NAME_INDEX, indices[n]);
  }
  if (guard) {
    text_add(text, " where ");
    print(printer, guard, 0);
  }
  text_add(text, "](");
  if (body) print(printer, body, 0);
  text_add(text, ")");
}

void expr_print(Text *text, const Program *program, const Expr *expr) {
  ExprPrinter printer;
  expr_printer_begin(&printer, text, (Names){program, NULL});
  printer.budget = MOST_ALONE;
  print(&printer, expr, 0);
  expr_printer_end(&printer);
}
