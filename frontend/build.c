/* build.c - terms to expressions; every reduction becomes a tensor of its own, which chains.c may take back.
 *
 * Such a tensor has for axes the indices around it that the reduction depends on, as the same index variables, so
 * it can be read and merged without renaming.
 */
#include "frontend/elaborate.h"

static const Expr *built(Builder *builder, const Term *term);

IndexId variable_index(Elaboration *elaboration, Variable *variable) {
  if (variable->id != NONE) return variable->id;
  const char *name = variable->name[0] == ':' ? arena_format(elaboration->arena, "a%s", variable->name + 1) : variable->name;
  variable->id = program_add_index(elaboration->draft, name, size_constant(0), cell_size(variable->extent));
  elaboration->draft->indices[variable->id].is_batch = variable->is_batch;
  return variable->id;
}

TensorId draft_tensor(Elaboration *elaboration, Entity *owner, const char *name, Type type, int rank, const Size *shape,
                      SourceRange source) {
  TensorId id = program_add_tensor(elaboration->draft, name, type, rank, shape);
  elaboration->draft->tensors[id].source = source;
  while (elaboration->owner_count <= id) ARENA_PUSH(elaboration->arena, elaboration->owners, elaboration->owner_count, NULL);
  elaboration->owners[id] = owner;
  return id;
}

static const Expr *fail(Builder *builder, const Term *term, const char *message) {
  ERROR_AT(builder->elaboration, term->source, "%s", message);
  builder->failures++;
  return expr_number(builder->elaboration->arena, 0);
}

static const Expr *converted(Builder *builder, const Expr *expr, Type type, const Term *term) {
  Arena *arena = builder->elaboration->arena;
  if (expr->type == type) return expr;
  if (type == TYPE_REAL && expr->type == TYPE_INT) return expr_unary(arena, OP_TO_REAL, expr);
  if (!builder->failures) /* else it may have this type because it could not be built */
    ERROR_AT(builder->elaboration, term->source, "expected %s, found %s",
             type == TYPE_BOOL  ? "a truth value"
             : type == TYPE_INT ? "an integer"
                                : "a number",
             expr->type == TYPE_BOOL  ? "a truth value"
             : expr->type == TYPE_INT ? "an integer"
                                      : "a real number");
  builder->failures++;
  return type == TYPE_REAL ? expr_number(arena, 0) : type == TYPE_INT ? expr_integer(arena, 0) : expr_boolean(arena, false);
}

const Expr *build_term(Builder *builder, const Term *term) {
  if (!term->built) {
    const Expr *expr = built(builder, term);
    bool is_leaf = expr->op == OP_NUMBER || expr->op == OP_INTEGER || expr->op == OP_BOOLEAN;
    ((Term *)term)->built = is_leaf || expr->source.file ? expr
                                                         : expr_with_source(builder->elaboration->arena, expr, term->source);
  }
  return term->built;
}

const Expr *build_as(Builder *builder, const Term *term, Type type) {
  return converted(builder, build_term(builder, term), type, term);
}

static const Expr *built_value(Builder *builder, const Term *term, Value value) {
  Arena *arena = builder->elaboration->arena;
  switch (value.kind) {
  case VALUE_SIZE: return size_expr(arena, value.size);
  case VALUE_REAL: return expr_number(arena, value.real);
  case VALUE_BOOLEAN: return expr_boolean(arena, value.boolean);
  case VALUE_STRING: return fail(builder, term, "a string can only be compared");
  case VALUE_ERROR: builder->failures++; return expr_number(arena, 0);
  default: return fail(builder, term, arena_format(arena, "the constant '%s' has no value", term->constant->text));
  }
}

/* values[low..high) of the turns from `low` on, halves that are alike being one. */
static const Expr *select_by_turn(Builder *builder, const Expr *turn, const Expr *const *values, int64_t low, int64_t high) {
  bool is_one = true;
  for (int64_t n = low + 1; n < high; n++) is_one &= expr_equal(values[n], values[low]);
  if (is_one) return values[low];
  int64_t middle = low + (high - low) / 2;
  Arena *arena = builder->elaboration->arena;
  const Expr *is_low = expr_binary(arena, OP_LT, turn, expr_integer(arena, middle));
  return expr_select(arena, is_low, select_by_turn(builder, turn, values, low, middle),
                     select_by_turn(builder, turn, values, middle, high));
}

/* One value, or one for each turn of a repeat around. */
static const Expr *built_constant(Builder *builder, const Term *term) {
  Elaboration *elaboration = builder->elaboration;
  Name *name = term->constant, *turn = turn_of_constant(elaboration, name);
  if (!turn) return built_value(builder, term, name_value(elaboration, name, true));
  int64_t count = cell_size(turn->turn->extent).constant;
  const Expr **values = ARENA_ARRAY(elaboration->arena, const Expr *, count);
  Type type = TYPE_INT;
  for (int64_t n = 0; n < count; n++) {
    values[n] = built_value(builder, term, value_at_turn(elaboration, name, turn, turn->turn->offset + n));
    if (builder->failures) return values[n];
    if (n == 0 || values[n]->type == TYPE_REAL) type = values[n]->type;
  }
  for (int64_t n = 0; n < count; n++) values[n] = converted(builder, values[n], type, term);
  const Expr *index = expr_index(elaboration->arena, variable_index(elaboration, turn->turn));
  return select_by_turn(builder, index, values, 0, count);
}

static const Expr *built_read(Builder *builder, const Term *term) {
  Elaboration *elaboration = builder->elaboration;
  const Expr **indices = ARENA_ARRAY(elaboration->arena, const Expr *, term->count);
  for (int n = 0; n < term->count; n++) indices[n] = build_as(builder, term->args[n], TYPE_INT);
  term->entity->is_used = true;
  const Expr *outside = term->outside ? build_as(builder, term->outside, term->entity->type) : NULL;
  return program_read(elaboration->draft, term->entity->id, indices, outside);
}

static Type common_type(Builder *builder, const Term *term, const Expr **args, int count) {
  Type type = args[0]->type;
  for (int n = 1; n < count; n++) {
    if ((args[n]->type == TYPE_BOOL) != (type == TYPE_BOOL)) {
      fail(builder, term->args[n], "expected a number on both sides, found a truth value on one");
      return type;
    }
    if (args[n]->type == TYPE_REAL) type = TYPE_REAL;
  }
  return type;
}

static const Expr *built_power(Builder *builder, const Term *term) {
  Arena *arena = builder->elaboration->arena;
  const Expr *base = build_as(builder, term->args[0], TYPE_REAL), *exponent = build_as(builder, term->args[1], TYPE_REAL);
  if (expr_is_number(exponent, 1)) return base;
  if (expr_is_number(exponent, 2)) return expr_binary(arena, OP_MUL, base, base);
  if (expr_is_number(exponent, 3)) return expr_binary(arena, OP_MUL, expr_binary(arena, OP_MUL, base, base), base);
  if (expr_is_number(exponent, -1)) return expr_binary(arena, OP_DIV, expr_number(arena, 1), base);
  if (expr_is_number(exponent, 0.5)) return expr_unary(arena, OP_SQRT, base);
  return expr_binary(arena, OP_POW, base, exponent);
}

static const Expr *built_operation(Builder *builder, const Term *term) {
  Elaboration *elaboration = builder->elaboration;
  const OpInfo *info = &op_table[term->builtin->op];
  const Expr **args = ARENA_ARRAY(elaboration->arena, const Expr *, term->count);
  for (int n = 0; n < term->count; n++) args[n] = build_term(builder, term->args[n]);
  Type type = TYPE_REAL;
  if (info->operands == OPERANDS_NUMBER) {
    type = common_type(builder, term, args, term->count);
    if (type == TYPE_BOOL)
      return fail(builder, term, arena_format(elaboration->arena, "'%s' takes numbers, found truth values", term->builtin->name));
    if (builder->failures) return args[0];
  } else if (info->operands == OPERANDS_INT) {
    type = TYPE_INT;
  } else if (info->operands == OPERANDS_BOOL) {
    type = TYPE_BOOL;
  }
  for (int n = 0; n < term->count; n++) args[n] = converted(builder, args[n], type, term->args[n]);
  if (term->builtin->op == OP_REMAINDER || term->builtin->op == OP_QUOTIENT)
    if (expr_is_integer(args[1], 0)) return fail(builder, term, "division by zero");
  const Expr *expr = args[0];
  if (term->builtin->kind != BUILTIN_FOLD) return expr_make(elaboration->arena, term->builtin->op, term->count, args);
  for (int n = 1; n < term->count; n++) expr = expr_binary(elaboration->arena, term->builtin->op, expr, args[n]);
  return expr;
}

static const Expr *built_call(Builder *builder, const Term *term) {
  Arena *arena = builder->elaboration->arena;
  switch (term->builtin->kind) {
  case BUILTIN_POWER: return built_power(builder, term);
  case BUILTIN_RELU: return expr_binary(arena, OP_MAX, build_as(builder, term->args[0], TYPE_REAL), expr_number(arena, 0));
  case BUILTIN_TO_REAL: return build_as(builder, term->args[0], TYPE_REAL);
  case BUILTIN_TO_INT: {
    const Expr *expr = build_term(builder, term->args[0]);
    return expr->type == TYPE_INT ? expr : expr_unary(arena, OP_TO_INT, converted(builder, expr, TYPE_REAL, term->args[0]));
  }
  default: return built_operation(builder, term);
  }
}

static const Expr *built_if(Builder *builder, const Term *term) {
  const Expr *condition = build_as(builder, term->args[0], TYPE_BOOL);
  if (condition->op == OP_BOOLEAN) return build_term(builder, term->args[condition->integer ? 1 : 2]);
  const Expr *sides[2] = {build_term(builder, term->args[1]), build_term(builder, term->args[2])};
  Type type = sides[0]->type == sides[1]->type ? sides[0]->type : TYPE_REAL;
  for (int n = 0; n < 2; n++) sides[n] = converted(builder, sides[n], type, term->args[n + 1]);
  return expr_select(builder->elaboration->arena, condition, sides[0], sides[1]);
}

typedef struct Uses {
  const Expr *const *parts;
  int count;
} Uses;

static bool uses_index(Uses uses, IndexId index) {
  for (int n = 0; n < uses.count; n++)
    if (uses.parts[n] && expr_uses_index(uses.parts[n], index)) return true;
  return false;
}

/* A tensor with the equation target[what it depends on] = reduce[variables where guard](body), and the read of it. */
static const Expr *auxiliary(Builder *builder, const Term *term, ReduceOp reduce, const Expr *guard, const Expr *body) {
  Elaboration *elaboration = builder->elaboration;
  Equation equation = {
      .reduce = reduce, .reduce_count = term->variable_count, .guard = guard, .body = body, .source = term->source};
  equation.reduce_indices = ARENA_ARRAY(elaboration->arena, IndexId, term->variable_count);
  for (int n = 0; n < term->variable_count; n++) equation.reduce_indices[n] = variable_index(elaboration, term->variables[n]);
  const Expr *parts[] = {guard, body};
  int rank = 0;
  Size *shape = ARENA_ARRAY(elaboration->arena, Size, builder->variable_count);
  equation.indices = ARENA_ARRAY(elaboration->arena, IndexId, builder->variable_count);
  const Expr **reads = ARENA_ARRAY(elaboration->arena, const Expr *, builder->variable_count);
  for (int n = 0; n < builder->variable_count; n++) {
    Variable *variable = builder->variables[n];
    IndexId id = variable_index(elaboration, variable);
    if (!uses_index((Uses){parts, 2}, id)) continue;
    shape[rank] = cell_size(variable->extent);
    equation.indices[rank] = id;
    reads[rank++] = expr_index(elaboration->arena, id);
  }
  Type type = reduce == REDUCE_ARGMAX ? TYPE_INT : body->type;
  const char *name = arena_format(elaboration->arena, "%s.%d", elaboration->draft->tensors[builder->target->id].name,
                                  ++builder->auxiliary_count);
  equation.target = draft_tensor(elaboration, NULL, name, type, rank, shape, term->source);
  program_add_equation(elaboration->draft, equation);
  return program_read(elaboration->draft, equation.target, reads, NULL);
}

/* How many elements a mean is over: the product of the ranges, or with a guard those that pass it. */
static const Expr *element_count(Builder *builder, const Term *term, const Expr *guard) {
  Arena *arena = builder->elaboration->arena;
  if (guard) return auxiliary(builder, term, REDUCE_SUM, guard, expr_number(arena, 1));
  const Expr *count = expr_number(arena, 1);
  for (int n = 0; n < term->variable_count; n++) {
    const Expr *extent = size_expr(arena, cell_size(term->variables[n]->extent));
    count = expr_binary(arena, OP_MUL, count, expr_unary(arena, OP_TO_REAL, extent));
  }
  return count;
}

static const Expr *built_reduction(Builder *builder, const Term *term) {
  Arena *arena = builder->elaboration->arena;
  int outer_count = builder->variable_count;
  for (int n = 0; n < term->variable_count; n++)
    ARENA_PUSH(arena, builder->variables, builder->variable_count, term->variables[n]);
  bool is_mean = term->builtin->kind == BUILTIN_MEAN;
  const Expr *guard = term->guard ? build_as(builder, term->guard, TYPE_BOOL) : NULL;
  const Expr *body = is_mean ? build_as(builder, term->args[0], TYPE_REAL) : build_term(builder, term->args[0]);
  if (body->type == TYPE_BOOL) body = fail(builder, term->args[0], "expected a number, found a truth value");
  builder->variable_count = outer_count;
  if (guard && expr_is_boolean(guard, true)) guard = NULL;
  if (builder->failures) return body;
  const Expr *sum = auxiliary(builder, term, term->builtin->reduce, guard, body);
  return is_mean ? expr_binary(arena, OP_DIV, sum, element_count(builder, term, guard)) : sum;
}

static const Expr *built(Builder *builder, const Term *term) {
  Elaboration *elaboration = builder->elaboration;
  Arena *arena = elaboration->arena;
  switch (term->kind) {
  case TERM_REAL: return expr_number(arena, term->number);
  case TERM_INTEGER: return expr_integer(arena, term->integer);
  case TERM_BOOLEAN: return expr_boolean(arena, term->integer != 0);
  case TERM_SIZE: return size_expr(arena, cell_size(term->cell));
  case TERM_CONSTANT: return built_constant(builder, term);
  case TERM_RAW: return expr_index(arena, variable_index(elaboration, term->variable));
  case TERM_INDEX:
    return expr_binary(arena, OP_ADD, expr_index(arena, variable_index(elaboration, term->variable)),
                       expr_integer(arena, term->variable->offset));
  case TERM_LAST: {
    Size last = cell_size(term->variable->extent);
    last.constant--;
    return size_expr(arena, last);
  }
  case TERM_READ: return built_read(builder, term);
  case TERM_CALL: return built_call(builder, term);
  case TERM_IF: return built_if(builder, term);
  case TERM_REDUCE: return built_reduction(builder, term);
  default: internal_error("a term of kind %d cannot be built", term->kind);
  }
}
