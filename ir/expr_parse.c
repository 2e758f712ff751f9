/* expr_parse.c - expressions from text; see expr_text.h. */
#include <ctype.h>

#include "ir/expr_text.h"
#include "ir/fold.h"

enum { MOST_DEPTH = 2000 };

static const Expr *parse_or(ExprParser *parser);

/* expr_make behind a check of the types, as they come from a text. */
static const Expr *make(ExprParser *parser, SourceRange where, Op op, int count, const Expr *const *args) {
  Type type;
  int wrong;
  if (parser->reader->has_failed) return expr_integer(parser->arena, 0);
  if (operation_type(op, count, args, &type, &wrong)) return expr_make(parser->arena, op, count, args);
  if (wrong == NONE)
    reader_fail(parser->reader, where, "'%s' takes %d arguments, found %d", op_table[op].text, op_table[op].arity, count);
  else
    reader_fail(parser->reader, where, "argument %d of '%s' is %s", wrong + 1, op_table[op].text, type_names[args[wrong]->type]);
  return expr_integer(parser->arena, 0);
}

static const Expr *checked(ExprParser *parser, const Expr *expr, SourceRange where, Type type, const char *what) {
  if (!parser->reader->has_failed && expr->type != type)
    reader_fail(parser->reader, where, "%s is %s, expected %s", what, type_names[expr->type], type_names[type]);
  return expr;
}

const Expr *expr_parse_type(ExprParser *parser, Type type, const char *what) {
  SourceRange where = parser->reader->token.where;
  return checked(parser, expr_parse(parser), where, type, what);
}

const Expr **access_parse(ExprParser *parser, int array, const Expr **out_outside, const Expr **out_guard) {
  Reader *reader = parser->reader;
  const Expr **indices = NULL;
  int count = 0;
  SourceRange where = reader->token.where;
  reader_expect(reader, "[");
  while (!reader_is(reader, "]") && !reader_is(reader, "else") && !reader_is(reader, "where")) {
    if (count && !reader_accept(reader, ",")) break;
    const Expr *index = expr_parse_type(parser, TYPE_INT, "an index");
    ARENA_PUSH(parser->arena, indices, count, index);
    if (reader->has_failed) return indices;
  }
  if (!reader->has_failed && count != array_rank(parser->names, array))
    reader_fail(reader, where, "'%s' has %d axes, found %d indices", names_get(parser->names, NAME_ARRAY, array),
                array_rank(parser->names, array), count);
  if (out_outside && reader_accept(reader, "else"))
    *out_outside = expr_parse_type(parser, array_type(parser->names, array), "what is read outside");
  if (out_guard && reader_accept(reader, "where")) *out_guard = expr_parse_type(parser, TYPE_BOOL, "the guard");
  reader_expect(reader, "]");
  return indices;
}

static const Expr *parse_array(ExprParser *parser) {
  bool is_kernel = parser->names.kernel != NULL;
  int array = names_parse(parser, NAME_ARRAY, is_kernel ? "buffer" : "tensor");
  const Expr *outside = NULL, *guard = NULL;
  if (parser->reader->has_failed) return expr_integer(parser->arena, 0);
  const Expr **indices = access_parse(parser, array, is_kernel ? NULL : &outside, is_kernel ? &guard : NULL);
  if (parser->reader->has_failed) return expr_integer(parser->arena, 0);
  int rank = array_rank(parser->names, array);
  Type type = array_type(parser->names, array);
  return is_kernel ? expr_load(parser->arena, type, array, rank, indices, guard)
                   : expr_read(parser->arena, type, array, rank, indices, outside);
}

/* A tensor or buffer when `[` follows, else a symbol, else an index: an index with the name of a symbol carries its number. */
static const Expr *parse_name(ExprParser *parser) {
  Reader *reader = parser->reader;
  const char *after = reader->at;
  while (after < reader->end && (*after == ' ' || *after == '\t')) after++;
  if (after < reader->end && *after == '[') return parse_array(parser);
  int count = names_count(parser->names, NAME_SYMBOL);
  for (int id = 0; !reader->token.has_suffix && id < count; id++) {
    if (strcmp(names_get(parser->names, NAME_SYMBOL, id), reader->token.text)) continue;
    reader_next(reader);
    return expr_symbol(parser->arena, id);
  }
  return expr_index(parser->arena, names_parse(parser, NAME_INDEX, "index or symbol"));
}

static const Expr *parse_local(ExprParser *parser) {
  reader_expect(parser->reader, "%");
  int local = names_parse(parser, NAME_LOCAL, "local");
  if (parser->reader->has_failed) return expr_integer(parser->arena, 0);
  return expr_local(parser->arena, parser->names.kernel->locals[local].type, local);
}

static const Expr *parse_shared(ExprParser *parser) {
  Reader *reader = parser->reader;
  reader_expect(reader, "#");
  SourceRange where = reader->token.where;
  int number = reader_count(reader);
  if (reader->has_failed) return expr_integer(parser->arena, 0);
  if (number < parser->shared_count) return parser->shared[number];
  reader_fail(reader, where, "there is no line '#%d = ...' before this statement", number);
  return expr_integer(parser->arena, 0);
}

static const Expr *parse_call(ExprParser *parser, Op op) {
  Reader *reader = parser->reader;
  SourceRange where = reader->token.where;
  const Expr **args = NULL;
  int count = 0;
  reader_next(reader);
  reader_expect(reader, "(");
  if (op == OP_GIVEN) {
    if (!parser->names.kernel) reader_fail(reader, where, "'given' belongs to kernels");
    int buffer = reader->has_failed ? 0 : names_parse(parser, NAME_ARRAY, "buffer");
    reader_expect(reader, ")");
    return expr_given(parser->arena, buffer);
  }
  do {
    const Expr *argument = expr_parse(parser);
    ARENA_PUSH(parser->arena, args, count, argument);
  } while (reader_accept(reader, ","));
  reader_expect(reader, ")");
  return make(parser, where, op, count, args);
}

/* An operation that is written as a call, or OP_COUNT. */
static Op called_operation(const Token *token) {
  for (int op = 0; token->kind == TOKEN_WORD && op < OP_COUNT; op++) {
    bool is_call = op_table[op].arity > 0 && isalpha((unsigned char)op_table[op].text[0]) && op != OP_AND && op != OP_OR &&
                   op != OP_NOT && op != OP_NEG;
    if ((is_call || op == OP_GIVEN) && !strcmp(token->text, op_table[op].text)) return (Op)op;
  }
  return OP_COUNT;
}

static const Expr *parse_integer(ExprParser *parser, bool is_negative) {
  const Token token = parser->reader->token;
  if (!is_negative && token.integer > INT64_MAX)
    reader_fail(parser->reader, token.where, "the integer %s does not fit in 64 bits", token.text);
  reader_next(parser->reader);
  return expr_integer(parser->arena, (int64_t)(is_negative ? 0 - token.integer : token.integer));
}

static const Expr *parse_primary(ExprParser *parser) {
  Reader *reader = parser->reader;
  const Token token = reader->token;
  if (token.kind == TOKEN_INTEGER) return parse_integer(parser, false);
  if (token.kind == TOKEN_REAL || reader_is(reader, "inf") || reader_is(reader, "nan"))
    return expr_number(parser->arena, reader_real(reader));
  if (reader_accept(reader, "true")) return expr_boolean(parser->arena, true);
  if (reader_accept(reader, "false")) return expr_boolean(parser->arena, false);
  if (reader_accept(reader, "(")) {
    const Expr *inner = expr_parse(parser);
    reader_expect(reader, ")");
    return inner;
  }
  if (reader_is(reader, "#")) return parse_shared(parser);
  if (reader_is(reader, "%") && parser->names.kernel) return parse_local(parser);
  Op op = called_operation(&token);
  if (op != OP_COUNT) return parse_call(parser, op);
  if (token.kind == TOKEN_WORD || token.kind == TOKEN_STRING) return parse_name(parser);
  reader_fail_expected(reader, "an expression");
  return expr_integer(parser->arena, 0);
}

static const Expr *parse_prefix(ExprParser *parser) {
  Reader *reader = parser->reader;
  SourceRange where = reader->token.where;
  if (!reader_accept(reader, "-")) return parse_primary(parser);
  if (reader->token.kind == TOKEN_INTEGER) return parse_integer(parser, true);
  if (++parser->depth > MOST_DEPTH) reader_fail(reader, where, "the expression is nested too deeply");
  const Expr *operand = parse_prefix(parser);
  parser->depth--;
  if (operand->op == OP_NUMBER) return expr_number(parser->arena, -operand->number);
  return make(parser, where, OP_NEG, 1, &operand);
}

typedef const Expr *ParseLevel(ExprParser *parser);

static Op infix_operation(const Reader *reader, const Op *operations) {
  for (; *operations != OP_COUNT; operations++)
    if (reader_is(reader, op_table[*operations].text)) return *operations;
  return OP_COUNT;
}

static const Expr *parse_infix(ExprParser *parser, ParseLevel *operand, const Op *operations, bool is_chain) {
  const Expr *left = operand(parser);
  for (;;) {
    Op op = infix_operation(parser->reader, operations);
    if (op == OP_COUNT) return left;
    SourceRange where = parser->reader->token.where;
    reader_next(parser->reader);
    left = make(parser, where, op, 2, (const Expr *[]){left, operand(parser)});
    if (!is_chain) return left;
  }
}

static const Expr *parse_product(ExprParser *parser) {
  return parse_infix(parser, parse_prefix, (const Op[]){OP_MUL, OP_DIV, OP_COUNT}, true);
}

static const Expr *parse_sum(ExprParser *parser) {
  return parse_infix(parser, parse_product, (const Op[]){OP_ADD, OP_SUB, OP_COUNT}, true);
}

static const Expr *parse_not(ExprParser *parser) {
  static const Op comparisons[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE, OP_COUNT};
  SourceRange where = parser->reader->token.where;
  if (!reader_accept(parser->reader, "not")) return parse_infix(parser, parse_sum, comparisons, false);
  if (++parser->depth > MOST_DEPTH) reader_fail(parser->reader, where, "the expression is nested too deeply");
  const Expr *operand = parse_not(parser);
  parser->depth--;
  return make(parser, where, OP_NOT, 1, &operand);
}

static const Expr *parse_and(ExprParser *parser) { return parse_infix(parser, parse_not, (const Op[]){OP_AND, OP_COUNT}, true); }

static const Expr *parse_or(ExprParser *parser) { return parse_infix(parser, parse_and, (const Op[]){OP_OR, OP_COUNT}, true); }

const Expr *expr_parse(ExprParser *parser) {
  if (++parser->depth > MOST_DEPTH)
    reader_fail(parser->reader, parser->reader->token.where, "the expression is nested too deeply");
  const Expr *expr = parse_or(parser);
  parser->depth--;
  return expr;
}

void expr_parse_shared_lines(ExprParser *parser) {
  Reader *reader = parser->reader;
  parser->shared = NULL;
  parser->shared_count = 0;
  while (reader_is(reader, "#")) {
    SourceRange where = reader->token.where;
    reader_next(reader);
    int number = reader_count(reader);
    if (number != parser->shared_count) reader_fail(reader, where, "expected line '#%d = ...'", parser->shared_count);
    reader_expect(reader, "=");
    const Expr *expr = expr_parse(parser);
    ARENA_PUSH(parser->arena, parser->shared, parser->shared_count, expr);
  }
}

static ReduceOp reduce_here(const Reader *reader) {
  bool is_followed = reader->at < reader->end && *reader->at == '[';
  for (int reduce = REDUCE_SUM; is_followed && reduce < REDUCE_COUNT; reduce++)
    if (reader_is(reader, reduce_names[reduce])) return (ReduceOp)reduce;
  return REDUCE_NONE;
}

Reduction reduction_parse(ExprParser *parser) {
  Reader *reader = parser->reader;
  Reduction reduction = {.reduce = reduce_here(reader)};
  if (reduction.reduce == REDUCE_NONE) {
    reduction.value = expr_parse(parser);
    if (!reader_accept(reader, "with")) return reduction;
    reduction.reduce = reduce_here(reader);
    if (reduction.reduce == REDUCE_NONE) reader_fail_expected(reader, "a reduction");
  }
  reader_next(reader);
  reader_expect(reader, "[");
  do {
    IndexId index = names_parse(parser, NAME_INDEX, "index");
    ARENA_PUSH(parser->arena, reduction.indices, reduction.count, index);
  } while (reader_accept(reader, ","));
  if (reader_accept(reader, "where")) reduction.guard = expr_parse_type(parser, TYPE_BOOL, "the guard");
  reader_expect(reader, "]");
  reader_expect(reader, "(");
  reduction.body = expr_parse(parser);
  reader_expect(reader, ")");
  return reduction;
}
