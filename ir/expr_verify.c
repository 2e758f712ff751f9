/* expr_verify.c - types, ids and scopes of an expression; see expr_verify.h. */
#include "ir/expr_verify.h"

#include "ir/fold.h"

typedef struct Check {
  const ExprRules *rules;
  const char *message; /* of the first violation */
} Check;

bool size_is_valid(Names names, Size size) {
  return size.symbol == NONE ? size.constant >= 0 : size.symbol >= 0 && size.symbol < names_count(names, NAME_SYMBOL);
}

static const char *check_access(const ExprRules *rules, const Expr *expr) {
  Names names = rules->names;
  const char *name = names_get(names, NAME_ARRAY, expr->id);
  if ((expr->op == OP_LOAD) != (names.kernel != NULL))
    return arena_format(rules->arena, "a %s in the wrong language", op_table[expr->op].text);
  if (!name) return arena_format(rules->arena, "a %s of number %d, which is not there", op_table[expr->op].text, expr->id);
  if (expr->arg_count != array_rank(names, expr->id))
    return arena_format(rules->arena, "'%s' has %d axes, found %d indices", name, array_rank(names, expr->id), expr->arg_count);
  if (expr->type != array_type(names, expr->id))
    return arena_format(rules->arena, "'%s' is %s, its %s is %s", name, type_names[array_type(names, expr->id)],
                        op_table[expr->op].text, type_names[expr->type]);
  for (int n = 0; n < expr->arg_count; n++)
    if (expr->args[n]->type != TYPE_INT) return arena_format(rules->arena, "index %d of '%s' is no integer", n, name);
  if (expr->outside && expr->outside->type != expr->type)
    return arena_format(rules->arena, "what '%s' is outside has another type", name);
  if (expr->guard && expr->guard->type != TYPE_BOOL) return arena_format(rules->arena, "the guard of '%s' is no bool", name);
  return NULL;
}

static const char *check_leaf(const ExprRules *rules, const Expr *expr, NameKind kind, const char *what) {
  if (!names_get(rules->names, kind, expr->id)) return arena_format(rules->arena, "%s %d is not there", what, expr->id);
  if (kind != NAME_INDEX && kind != NAME_LOCAL) return NULL;
  if (kind == NAME_LOCAL && rules->names.kernel->locals[expr->id].type != expr->type)
    return arena_format(rules->arena, "local '%s' has another type", names_get(rules->names, kind, expr->id));
  if (rules->is_bound(rules->context, expr)) return NULL;
  return arena_format(rules->arena, "%s '%s' (number %d) is not bound here", what, names_get(rules->names, kind, expr->id),
                      expr->id);
}

static const char *check_operation(const ExprRules *rules, const Expr *expr) {
  Type type;
  int wrong;
  const char *name = op_table[expr->op].text;
  if (operation_type(expr->op, expr->arg_count, expr->args, &type, &wrong))
    return type == expr->type ? NULL : arena_format(rules->arena, "'%s' should be %s", name, type_names[type]);
  if (wrong == NONE) return arena_format(rules->arena, "'%s' has %d arguments", name, expr->arg_count);
  return arena_format(rules->arena, "argument %d of '%s' is %s", wrong + 1, name, type_names[expr->args[wrong]->type]);
}

static const char *check_node(const ExprRules *rules, const Expr *expr) {
  if ((expr->outside && expr->op != OP_READ) || (expr->guard && expr->op != OP_LOAD))
    return arena_format(rules->arena, "'%s' has a part that it should not have", op_table[expr->op].text);
  switch (expr->op) {
  case OP_NUMBER: return expr->type == TYPE_REAL ? NULL : "a number that is not real";
  case OP_INTEGER: return expr->type == TYPE_INT ? NULL : "an integer that is not int";
  case OP_BOOLEAN: return expr->type == TYPE_BOOL ? NULL : "a boolean that is not bool";
  case OP_INDEX: return check_leaf(rules, expr, NAME_INDEX, "index");
  case OP_SYMBOL: return check_leaf(rules, expr, NAME_SYMBOL, "symbol");
  case OP_READ:
  case OP_LOAD: return check_access(rules, expr);
  case OP_LOCAL: return rules->names.kernel ? check_leaf(rules, expr, NAME_LOCAL, "local") : "a local outside of a kernel";
  case OP_GIVEN: return rules->names.kernel ? check_leaf(rules, expr, NAME_ARRAY, "buffer") : "'given' outside of a kernel";
  default: return check_operation(rules, expr);
  }
}

static void visit(void *context, const Expr *expr) {
  Check *check = context;
  if (check->message) return;
  check->message = check_node(check->rules, expr);
  if (!check->message && check->rules->check_node) check->message = check->rules->check_node(check->rules->context, expr);
}

const char *expr_verify(const ExprRules *rules, const Expr *expr, Type type, const char *what) {
  if (!expr) return arena_format(rules->arena, "%s is missing", what);
  if (expr->type != type)
    return arena_format(rules->arena, "%s is %s, expected %s", what, type_names[expr->type], type_names[type]);
  Check check = {rules, NULL};
  expr_visit(expr, visit, &check);
  return check.message ? arena_format(rules->arena, "in %s: %s", what, check.message) : NULL;
}

const char *reduction_verify(ReduceOp reduce, int count, const Expr *value, const Expr *guard, const Expr *body, Type result) {
  if (reduce == REDUCE_NONE) {
    if (count || guard || body) return "parts of a reduction without one";
    return value ? NULL : "neither a value nor a reduction";
  }
  if (reduce < 0 || reduce >= REDUCE_COUNT) return "an unknown reduction";
  if (count < 1) return "a reduction over no index";
  if (!body) return "a reduction of nothing";
  if (reduce != REDUCE_ARGMAX) return body->type == TYPE_BOOL || result == TYPE_BOOL ? "a reduction of bool" : NULL;
  if (count != 1) return "argmax over more than one index";
  if (value) return "argmax with a value";
  if (result != TYPE_INT) return "argmax gives int";
  return body->type == TYPE_BOOL ? "argmax of bool" : NULL;
}
