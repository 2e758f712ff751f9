/* author_text.c - expressions of equations in the words of model files. */
#include "driver/author_text.h"

#include <ctype.h>

enum { DEEPEST = 40 };

typedef struct Writer {
  const Program *program;
  Text text;
  int depth;
  int bound_count;
  const IndexId *bound;
} Writer;

typedef enum { LEVEL_IF, LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_SIGN, LEVEL_POWER, LEVEL_ATOM } Level;

static Level level_of(const Expr *expr) {
  switch (expr->op) {
  case OP_SELECT: return LEVEL_IF;
  case OP_OR: return LEVEL_OR;
  case OP_AND: return LEVEL_AND;
  case OP_NOT: return LEVEL_NOT;
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return LEVEL_COMPARE;
  case OP_ADD:
  case OP_SUB: return LEVEL_SUM;
  case OP_MUL:
  case OP_DIV:
  case OP_QUOTIENT:
  case OP_REMAINDER: return LEVEL_PRODUCT;
  case OP_NEG: return LEVEL_SIGN;
  case OP_NUMBER: return expr->number < 0 ? LEVEL_SIGN : LEVEL_ATOM;
  case OP_POW: return LEVEL_POWER;
  default: return LEVEL_ATOM;
  }
}

static void write(Writer *writer, const Expr *expr, Level least);

static void write_index(Writer *writer, IndexId index) {
  text_add(&writer->text, writer->program->indices[index].name);
  for (int n = 0; n < writer->bound_count; n++)
    if (writer->bound[n] == index) text_add(&writer->text, "'");
}

static void write_list(Writer *writer, int count, const Expr *const *args) {
  for (int n = 0; n < count; n++) {
    if (n) text_add(&writer->text, ",");
    write(writer, args[n], LEVEL_IF);
  }
}

/* x.1 is a sum that stood inside of the equation of x. */
static bool is_inner_sum(const char *name) {
  const char *dot = strrchr(name, '.');
  if (!dot || !dot[1]) return false;
  for (const char *digit = dot + 1; *digit; digit++)
    if (!isdigit((unsigned char)*digit)) return false;
  return true;
}

static void write_reduction(Writer *writer, const Equation *equation, const Expr *body, const Expr *guard) {
  text_format(&writer->text, "%s[", reduce_names[equation->reduce]);
  for (int n = 0; n < equation->reduce_count; n++) {
    if (n) text_add(&writer->text, ",");
    write_index(writer, equation->reduce_indices[n]);
  }
  if (guard) {
    text_add(&writer->text, " where ");
    write(writer, guard, LEVEL_IF);
  }
  text_add(&writer->text, "](");
  write(writer, body, LEVEL_IF);
  text_add(&writer->text, ")");
}

static bool write_inner_sum(Writer *writer, const Expr *read) {
  const Program *program = writer->program;
  const Equation *definition = program_definition(program, read->id);
  if (!definition || definition->reduce == REDUCE_NONE || definition->value || !is_inner_sum(program->tensors[read->id].name)) return false;
  const Expr **replacement = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < read->arg_count; n++) replacement[definition->indices[n]] = read->args[n];
  const Expr *body = expr_substitute(program->arena, definition->body, program->index_count, replacement);
  const Expr *guard = definition->guard ? expr_substitute(program->arena, definition->guard, program->index_count, replacement) : NULL;
  write_reduction(writer, definition, body, guard);
  return true;
}

static void write_read(Writer *writer, const Expr *read) {
  if (writer->depth < DEEPEST && write_inner_sum(writer, read)) return;
  text_add(&writer->text, writer->program->tensors[read->id].name);
  if (!read->arg_count) return;
  text_add(&writer->text, "[");
  write_list(writer, read->arg_count, read->args);
  text_add(&writer->text, "]");
}

static void write_infix(Writer *writer, const Expr *expr) {
  const char *name = expr->op == OP_QUOTIENT ? "div" : expr->op == OP_REMAINDER ? "mod" : expr->op == OP_POW ? "^" : op_table[expr->op].text;
  Level level = level_of(expr);
  bool is_inside_index = expr->type == TYPE_INT && level == LEVEL_SUM;
  write(writer, expr->args[0], level);
  text_format(&writer->text, is_inside_index || level == LEVEL_POWER ? "%s" : " %s ", name);
  write(writer, expr->args[1], level + 1);
}

static void write_call(Writer *writer, const Expr *expr) {
  const char *name = expr->op == OP_TO_REAL ? "real" : expr->op == OP_TO_INT ? "int" : op_table[expr->op].text;
  text_format(&writer->text, "%s(", name);
  for (int n = 0; n < expr->arg_count; n++) {
    if (n) text_add(&writer->text, ", ");
    write(writer, expr->args[n], LEVEL_IF);
  }
  text_add(&writer->text, ")");
}

static void write_number(Writer *writer, double value) {
  if (value == (double)(int64_t)value && value > -1e9 && value < 1e9) text_format(&writer->text, "%lld", (long long)value);
  else text_format(&writer->text, "%.6g", value);
}

static void write(Writer *writer, const Expr *expr, Level least) {
  Text *text = &writer->text;
  if (++writer->depth > DEEPEST) {
    text_add(text, "...");
    writer->depth--;
    return;
  }
  Level level = level_of(expr);
  if (level < least) text_add(text, "(");
  switch (expr->op) {
  case OP_NUMBER: write_number(writer, expr->number); break;
  case OP_INTEGER: text_format(text, "%lld", (long long)expr->integer); break;
  case OP_BOOLEAN: text_add(text, expr->integer ? "true" : "false"); break;
  case OP_INDEX: write_index(writer, expr->id); break;
  case OP_SYMBOL: text_add(text, writer->program->symbols[expr->id].name); break;
  case OP_READ: write_read(writer, expr); break;
  case OP_SELECT:
    text_add(text, "if ");
    write(writer, expr->args[0], LEVEL_OR);
    text_add(text, " then ");
    write(writer, expr->args[1], LEVEL_OR);
    text_add(text, " else ");
    write(writer, expr->args[2], LEVEL_IF);
    break;
  case OP_NOT:
  case OP_NEG:
    text_add(text, expr->op == OP_NOT ? "not " : "-");
    write(writer, expr->args[0], level);
    break;
  default:
    if (level < LEVEL_ATOM) write_infix(writer, expr);
    else write_call(writer, expr);
  }
  if (level < least) text_add(text, ")");
  writer->depth--;
}

const char *author_text(const Program *program, const Expr *expr, int bound_count, const IndexId *bound) {
  Writer writer = {.program = program, .text = {.arena = program->arena}, .bound_count = bound_count, .bound = bound};
  write(&writer, expr, LEVEL_IF);
  return text_string(&writer.text);
}

const char *author_target(const Program *program, const Equation *equation) {
  Text text = {.arena = program->arena};
  const Tensor *tensor = &program->tensors[equation->target];
  text_add(&text, tensor->name);
  for (int n = 0; n < tensor->rank; n++) text_format(&text, "%s%s", n ? "," : "[", program->indices[equation->indices[n]].name);
  if (tensor->rank) text_add(&text, "]");
  return text_string(&text);
}
