/* expr.c - constructors of scalar expressions and the table of operations. Walks stand in expr_walk.c. */
#include "ir/expr.h"

#include "ir/fold.h"

enum { COMMUTATIVE = FLAG_COMMUTATIVE, ASSOCIATIVE = FLAG_ASSOCIATIVE, COSTLY = FLAG_COSTLY };

const OpInfo op_table[OP_COUNT] = {
#define OPERATION(id, text, arity, operands, result, flags) \
  [OP_##id] = {#id, text, arity, OPERANDS_##operands, RESULT_##result, flags},
#include "ir/ops.def"
#undef OPERATION
};

const char *const type_names[] = {"real", "int", "bool"};

static unsigned mix(unsigned hash, uint64_t value) {
  uint64_t mixed = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return (unsigned)(mixed ^ (mixed >> 32));
}

static const Expr *finish(Expr *expr) {
  uint64_t bits;
  memcpy(&bits, &expr->number, sizeof bits);
  unsigned hash = mix(mix(17, (uint64_t)expr->op * 4 + (uint64_t)expr->type), (uint64_t)expr->id);
  hash = mix(mix(hash, bits), (uint64_t)expr->integer);
  for (int n = 0; n < expr->arg_count; n++) hash = mix(hash, expr->args[n]->hash);
  hash = mix(hash, expr->outside ? expr->outside->hash : 1u);
  expr->hash = mix(hash, expr->guard ? expr->guard->hash : 1u);
  return expr;
}

static Expr *create(Arena *arena, Op op, Type type, int id) {
  Expr *expr = ARENA_NEW(arena, Expr);
  expr->op = op;
  expr->type = type;
  expr->id = id;
  return expr;
}

static Expr *create_with_args(Arena *arena, Op op, Type type, int id, int count, const Expr *const *args) {
  Expr *expr = create(arena, op, type, id);
  expr->arg_count = count;
  expr->args = count ? arena_copy(arena, args, sizeof *args * (size_t)count) : NULL;
  return expr;
}

const Expr *expr_node(Arena *arena, Op op, Type type, int count, const Expr *const *args) {
  return finish(create_with_args(arena, op, type, NONE, count, args));
}

const Expr *expr_node_binary(Arena *arena, Op op, Type type, const Expr *a, const Expr *b) {
  return expr_node(arena, op, type, 2, (const Expr *[]){a, b});
}

const Expr *expr_number(Arena *arena, double value) {
  Expr *expr = create(arena, OP_NUMBER, TYPE_REAL, NONE);
  expr->number = value;
  return finish(expr);
}

const Expr *expr_integer(Arena *arena, int64_t value) {
  Expr *expr = create(arena, OP_INTEGER, TYPE_INT, NONE);
  expr->integer = value;
  return finish(expr);
}

const Expr *expr_boolean(Arena *arena, bool value) {
  Expr *expr = create(arena, OP_BOOLEAN, TYPE_BOOL, NONE);
  expr->integer = value;
  return finish(expr);
}

const Expr *expr_index(Arena *arena, int index) { return finish(create(arena, OP_INDEX, TYPE_INT, index)); }
const Expr *expr_symbol(Arena *arena, int symbol) { return finish(create(arena, OP_SYMBOL, TYPE_INT, symbol)); }
const Expr *expr_local(Arena *arena, Type type, int local) { return finish(create(arena, OP_LOCAL, type, local)); }
const Expr *expr_given(Arena *arena, int buffer) { return finish(create(arena, OP_GIVEN, TYPE_BOOL, buffer)); }

static void check_indices(Op op, int id, int rank, const Expr *const *indices) {
  for (int n = 0; n < rank; n++)
    if (indices[n]->type != TYPE_INT)
      internal_error("index %d of %s %d is %s", n, op_table[op].text, id, type_names[indices[n]->type]);
}

const Expr *expr_read(Arena *arena, Type type, int tensor, int rank, const Expr *const *indices, const Expr *outside) {
  check_indices(OP_READ, tensor, rank, indices);
  if (outside && outside->type != type)
    internal_error("read of %s tensor %d is %s outside", type_names[type], tensor, type_names[outside->type]);
  Expr *expr = create_with_args(arena, OP_READ, type, tensor, rank, indices);
  expr->outside = outside;
  return finish(expr);
}

static const Expr *zero_of(Arena *arena, Type type) {
  if (type == TYPE_REAL) return expr_number(arena, 0);
  return type == TYPE_INT ? expr_integer(arena, 0) : expr_boolean(arena, false);
}

const Expr *expr_load(Arena *arena, Type type, int buffer, int rank, const Expr *const *indices, const Expr *guard) {
  check_indices(OP_LOAD, buffer, rank, indices);
  if (guard && guard->type != TYPE_BOOL) internal_error("guard of load %d is %s", buffer, type_names[guard->type]);
  if (guard && expr_is_boolean(guard, false)) return zero_of(arena, type);
  Expr *expr = create_with_args(arena, OP_LOAD, type, buffer, rank, indices);
  expr->guard = guard && expr_is_boolean(guard, true) ? NULL : guard;
  return finish(expr);
}

static bool operand_fits(OperandKind kind, int position, Type found, Type last) {
  switch (kind) {
  case OPERANDS_REAL: return found == TYPE_REAL;
  case OPERANDS_INT: return found == TYPE_INT;
  case OPERANDS_BOOL: return found == TYPE_BOOL;
  case OPERANDS_NUMBER: return found == last && found != TYPE_BOOL;
  case OPERANDS_ANY: return found == (position == 0 ? TYPE_BOOL : last);
  }
  return false;
}

bool operation_type(Op op, int count, const Expr *const *args, Type *out_type, int *out_wrong) {
  const OpInfo *info = &op_table[op];
  *out_wrong = NONE;
  if (info->arity < 0 || count != info->arity) return false;
  Type last = args[count - 1]->type;
  for (int n = 0; n < count; n++) {
    if (operand_fits(info->operands, n, args[n]->type, last)) continue;
    *out_wrong = n;
    return false;
  }
  *out_type = info->result == RESULT_REAL   ? TYPE_REAL
              : info->result == RESULT_INT  ? TYPE_INT
              : info->result == RESULT_BOOL ? TYPE_BOOL
                                            : last;
  return true;
}

const Expr *expr_make(Arena *arena, Op op, int count, const Expr *const *args) {
  Type type;
  int wrong;
  if (!operation_type(op, count, args, &type, &wrong)) {
    if (wrong == NONE) internal_error("'%s' made with %d arguments", op_table[op].text, count);
    internal_error("argument %d of '%s' is %s", wrong, op_table[op].text, type_names[args[wrong]->type]);
  }
  const Expr *folded = expr_fold(arena, op, type, args);
  return folded ? folded : expr_node(arena, op, type, count, args);
}

const Expr *expr_unary(Arena *arena, Op op, const Expr *a) { return expr_make(arena, op, 1, &a); }

const Expr *expr_binary(Arena *arena, Op op, const Expr *a, const Expr *b) {
  return expr_make(arena, op, 2, (const Expr *[]){a, b});
}

const Expr *expr_select(Arena *arena, const Expr *condition, const Expr *when_true, const Expr *when_false) {
  return expr_make(arena, OP_SELECT, 3, (const Expr *[]){condition, when_true, when_false});
}

const Expr *expr_with_source(Arena *arena, const Expr *expr, SourceRange source) {
  const SourceRange *old = &expr->source;
  if (old->file == source.file && old->line == source.line && old->column == source.column && old->end_line == source.end_line &&
      old->end_column == source.end_column)
    return expr;
  Expr *copy = arena_copy(arena, expr, sizeof *expr);
  copy->source = source;
  return copy;
}

bool expr_is_number(const Expr *expr, double value) {
  return expr->op == OP_NUMBER && expr->number >= value && expr->number <= value;
}
bool expr_is_integer(const Expr *expr, int64_t value) { return expr->op == OP_INTEGER && expr->integer == value; }
bool expr_is_boolean(const Expr *expr, bool value) { return expr->op == OP_BOOLEAN && expr->integer == value; }

bool expr_is_index(const Expr *expr, int index) { return expr->op == OP_INDEX && expr->id == index; }
unsigned expr_hash(const Expr *expr) { return expr->hash; }
