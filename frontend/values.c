/* values.c - evaluation of constants and sizes while compiling: numbers, truth values and strings. */
#include <math.h>

#include "frontend/elaborate.h"

enum { DEEPEST_VALUE = 50 };

static const Value unknown_value = {.kind = VALUE_UNKNOWN}, error_value = {.kind = VALUE_ERROR};

static Value value_real(double real) { return (Value){.kind = VALUE_REAL, .real = real}; }
static Value value_boolean(bool boolean) { return (Value){.kind = VALUE_BOOLEAN, .boolean = boolean}; }
static Value value_size(Size size) { return (Value){.kind = VALUE_SIZE, .size = size}; }
static bool is_integer(Value value) { return value.kind == VALUE_SIZE && value.size.symbol == NONE; }
static bool is_number(Value value) { return value.kind == VALUE_REAL || is_integer(value); }
static double number_of(Value value) { return value.kind == VALUE_REAL ? value.real : (double)value.size.constant; }

static Value wrong(Elaboration *elaboration, const Node *node, const char *message) {
  ERROR_AT(elaboration, node->source, "%s", message);
  return error_value;
}

Value name_value(Elaboration *elaboration, Name *name, bool with_defaults) {
  Cell *cell = name->cell ? cell_root(name->cell) : NULL;
  if (name->kind == NAME_SIZE) return cell->is_known ? value_size(cell->size) : unknown_value;
  if (name->kind != NAME_CONSTANT) return unknown_value;
  if (name->known.kind == VALUE_UNKNOWN && !name->is_evaluating && elaboration->value_depth < DEEPEST_VALUE) {
    Name *met_before = elaboration->turn_met;
    elaboration->turn_met = NULL;
    name->is_evaluating = true;
    elaboration->value_depth++;
    Value value = evaluate(elaboration, name->value_scope, name->value, with_defaults);
    elaboration->value_depth--;
    name->is_evaluating = false;
    if (elaboration->turn_met) { /* of this turn, or not known */
      if (value.kind == VALUE_ERROR) name->known = value;
      return value;
    }
    elaboration->turn_met = met_before;
    if (value.kind == VALUE_SIZE &&
        !cell_set(elaboration, cell, value.size, name->value->source, config_origin(elaboration, name->value),
                  name->value->source, arena_format(elaboration->arena, "'%s'", name->text)))
      value = error_value;
    if (value.kind == VALUE_ABSENT) return cell->is_known ? value_size(cell->size) : value;
    name->known = value;
  }
  if (name->known.kind == VALUE_UNKNOWN && cell->is_known) name->known = value_size(cell->size);
  return name->known;
}

Name *turn_of_constant(Elaboration *elaboration, Name *name) {
  elaboration->turn_met = NULL;
  name_value(elaboration, name, true);
  Name *turn = elaboration->turn_met;
  elaboration->turn_met = NULL;
  return turn;
}

Value value_at_turn(Elaboration *elaboration, Name *name, Name *turn, int64_t value) {
  turn->known = value_size(size_constant(value));
  Value result = name_value(elaboration, name, true);
  turn->known = unknown_value;
  return result;
}

static Value evaluate_name(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults) {
  if (!strncmp(node->text, "config.", 7)) return config_value(elaboration, node->text + 7, node->source);
  Name *name = scope_find(scope, node->text, NULL);
  if (name && (name->kind == NAME_SIZE || name->kind == NAME_CONSTANT)) {
    Value value = name_value(elaboration, name, with_defaults);
    if (value.kind == VALUE_UNKNOWN && name->is_evaluating)
      return wrong(elaboration, node, arena_format(elaboration->arena, "the constant '%s' depends on itself", name->text));
    return value;
  }
  if (name && name->kind == NAME_TURN) {
    elaboration->turn_met = name;
    return name->known;
  }
  if (name) return wrong(elaboration, node, arena_format(elaboration->arena, "'%s' is not known while compiling", node->text));
  if (!strcmp(node->text, "pi")) return value_real(M_PI);
  if (!strcmp(node->text, "inf")) return value_real(INFINITY);
  return wrong(elaboration, node, arena_format(elaboration->arena, "unknown name '%s'", node->text));
}

static bool add_sizes(Size a, Size b, int sign, Size *out_size) {
  int64_t constant = 0;
  if (sign > 0 ? __builtin_add_overflow(a.constant, b.constant, &constant)
               : __builtin_sub_overflow(a.constant, b.constant, &constant))
    return false;
  if (b.symbol == NONE || (a.symbol == b.symbol && sign < 0) || (a.symbol == NONE && sign > 0)) {
    *out_size = (Size){b.symbol == NONE ? a.symbol : a.symbol == b.symbol ? NONE : b.symbol, constant};
    return true;
  }
  return false;
}

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static Value evaluate_integers(Elaboration *elaboration, const Node *node, int64_t a, int64_t b) {
  int64_t result = 0;
  bool is_bad = false;
  switch (node->text[0]) {
  case '*': is_bad = __builtin_mul_overflow(a, b, &result); break;
  case 'd':
  case 'm':
    if (b == 0 || (a == INT64_MIN && b == -1)) return wrong(elaboration, node, "division by zero");
    result = node->text[0] == 'd' ? floor_divide(a, b) : a - floor_divide(a, b) * b;
    break;
  case '/': return b != 0 && a != INT64_MIN && a % b == 0 ? value_size(size_constant(a / b)) : value_real((double)a / (double)b);
  default: { /* ^ */
    double power = pow((double)a, (double)b);
    return b >= 0 && fabs(power) < 9e15 ? value_size(size_constant((int64_t)power)) : value_real(power);
  }
  }
  return is_bad ? wrong(elaboration, node, "this integer is too large") : value_size(size_constant(result));
}

static Value compare(const Node *node, double difference) {
  const char *text = node->text;
  if (text[0] == '=') return value_boolean(difference == 0);
  if (text[0] == '!') return value_boolean(difference != 0);
  bool is_equal_allowed = text[1] == '=';
  if (text[0] == '<') return value_boolean(is_equal_allowed ? difference <= 0 : difference < 0);
  return value_boolean(is_equal_allowed ? difference >= 0 : difference > 0);
}

static Value evaluate_equality(const Node *node, Value a, Value b) {
  bool is_same = a.kind == b.kind;
  if (is_same && a.kind == VALUE_STRING) is_same = !strcmp(a.text, b.text);
  if (is_same && a.kind == VALUE_BOOLEAN) is_same = a.boolean == b.boolean;
  return value_boolean(is_same == (node->text[0] == '='));
}

/* config.KEY, or several with `or` between: what comes after it is for when there is none. */
static bool is_config_choice(const Node *node) {
  if (node->kind == NODE_BINARY && node->text[0] == 'o') return is_config_choice(node->left) && is_config_choice(node->right);
  return (node->kind == NODE_NAME || node->kind == NODE_READ) && !strncmp(node->text, "config.", 7);
}

static Value evaluate_logic(Elaboration *elaboration, Scope *scope, const Node *node, Value a, bool with_defaults) {
  bool is_or = node->text[0] == 'o';
  if (is_or && a.kind == VALUE_ABSENT) return with_defaults ? evaluate(elaboration, scope, node->right, true) : unknown_value;
  if (is_or && (a.kind != VALUE_BOOLEAN || is_config_choice(node->left))) return a; /* what the config says, also that something is false */
  if (a.kind != VALUE_BOOLEAN) return wrong(elaboration, node, "expected a truth value");
  return a.boolean == is_or ? a : evaluate(elaboration, scope, node->right, with_defaults);
}

static bool is_pending(Value value) { return value.kind == VALUE_UNKNOWN || value.kind == VALUE_ERROR; }

static Value evaluate_binary(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults) {
  Value a = evaluate(elaboration, scope, node->left, with_defaults);
  if (is_pending(a)) return a;
  if (node->text[0] == 'a' || node->text[0] == 'o') return evaluate_logic(elaboration, scope, node, a, with_defaults);
  Value b = evaluate(elaboration, scope, node->right, with_defaults);
  if (is_pending(b)) return b;
  bool is_equality = !strcmp(node->text, "==") || !strcmp(node->text, "!=");
  if (is_equality && !(is_number(a) && is_number(b))) return evaluate_equality(node, a, b);
  if (a.kind == VALUE_ABSENT || b.kind == VALUE_ABSENT) return unknown_value;
  if (a.kind == VALUE_SIZE && b.kind == VALUE_SIZE && (node->text[0] == '+' || node->text[0] == '-')) {
    Size size = {NONE, 0};
    if (add_sizes(a.size, b.size, node->text[0] == '+' ? 1 : -1, &size)) return value_size(size);
  }
  if (!is_number(a) || !is_number(b))
    return wrong(elaboration, node,
                 a.kind == VALUE_STRING || b.kind == VALUE_STRING ? "expected a number, found a string"
                 : a.kind == VALUE_BOOLEAN || b.kind == VALUE_BOOLEAN
                     ? "expected a number, found a truth value"
                     : "a length that is known at run time only cannot be used like this");
  if (strchr("<>=!", node->text[0])) return compare(node, number_of(a) - number_of(b));
  if (is_integer(a) && is_integer(b)) return evaluate_integers(elaboration, node, a.size.constant, b.size.constant);
  double x = number_of(a), y = number_of(b);
  switch (node->text[0]) {
  case '+': return value_real(x + y);
  case '-': return value_real(x - y);
  case '*': return value_real(x * y);
  case '/': return value_real(x / y);
  case '^': return value_real(pow(x, y));
  default: return wrong(elaboration, node, "'mod' and 'div' take integers");
  }
}

static Value evaluate_minimum(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults, int sign) {
  Value best = unknown_value;
  for (int n = 0; n < node->body.count; n++) {
    Value value = evaluate(elaboration, scope, node->body.nodes[n], with_defaults);
    if (!is_number(value)) return value;
    if (n == 0 || sign * (number_of(value) - number_of(best)) > 0) best = value;
  }
  return best;
}

static Value evaluate_apply(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults) {
  static const struct {
    const char *name;
    double (*function)(double);
  } functions[] = {{"sqrt", sqrt}, {"exp", exp}, {"log", log},     {"abs", fabs},   {"tanh", tanh},
                   {"sin", sin},   {"cos", cos}, {"log1p", log1p}, {"expm1", expm1}, {"exp2", exp2}};
  if (node->body.count && !strcmp(node->text, "max")) return evaluate_minimum(elaboration, scope, node, with_defaults, 1);
  if (node->body.count && !strcmp(node->text, "min")) return evaluate_minimum(elaboration, scope, node, with_defaults, -1);
  bool is_list = node->body.count == 1 && node->body.nodes[0]->kind == NODE_NAME && !strncmp(node->body.nodes[0]->text, "config.", 7);
  if (is_list && !strcmp(node->text, "count")) return config_count(elaboration, node->body.nodes[0]->text + 7, node->source);
  if (node->body.count != 1 || node->items.count)
    return wrong(elaboration, node, arena_format(elaboration->arena, "'%s' is not known while compiling", node->text));
  Value value = evaluate(elaboration, scope, node->body.nodes[0], with_defaults);
  if (is_pending(value) || value.kind == VALUE_ABSENT) return value;
  if (!is_number(value)) return wrong(elaboration, node->body.nodes[0], "expected a number");
  double x = number_of(value);
  if (!strcmp(node->text, "real")) return value_real(x);
  if (!strcmp(node->text, "floor") || !strcmp(node->text, "int")) {
    double whole = node->text[0] == 'f' ? floor(x) : trunc(x);
    return fabs(whole) < 9e15 ? value_size(size_constant((int64_t)whole)) : wrong(elaboration, node, "this is no integer");
  }
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++)
    if (!strcmp(functions[n].name, node->text)) return value_real(functions[n].function(x));
  return wrong(elaboration, node, arena_format(elaboration->arena, "'%s' is not known while compiling", node->text));
}

static Value evaluate_unary(Elaboration *elaboration, const Node *node, Value value) {
  if (is_pending(value) || value.kind == VALUE_ABSENT) return value;
  if (node->text[0] == 'n')
    return value.kind == VALUE_BOOLEAN ? value_boolean(!value.boolean) : wrong(elaboration, node, "expected a truth value");
  if (!is_number(value)) return wrong(elaboration, node, "expected a number");
  return is_integer(value) ? value_size(size_constant(-value.size.constant)) : value_real(-value.real);
}

/* `config.layers[l]`: an entry of a list. */
static Value evaluate_entry(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults) {
  if (strncmp(node->text, "config.", 7) || node->items.count != 1) return wrong(elaboration, node, "this is not known while compiling");
  Value index = evaluate(elaboration, scope, node->items.nodes[0], with_defaults);
  if (is_pending(index) || index.kind == VALUE_ABSENT) return index;
  if (!is_integer(index)) return wrong(elaboration, node->items.nodes[0], "expected an integer");
  return config_entry(elaboration, node->text + 7, index.size.constant, node->source);
}

Value evaluate(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults) {
  switch (node->kind) {
  case NODE_INTEGER: return value_size(size_constant(node->integer));
  case NODE_REAL: return value_real(node->number);
  case NODE_STRING: return (Value){.kind = VALUE_STRING, .text = node->text};
  case NODE_BOOLEAN: return value_boolean(node->integer != 0);
  case NODE_NAME: return evaluate_name(elaboration, scope, node, with_defaults);
  case NODE_READ: return evaluate_entry(elaboration, scope, node, with_defaults);
  case NODE_UNARY: return evaluate_unary(elaboration, node, evaluate(elaboration, scope, node->left, with_defaults));
  case NODE_BINARY: return evaluate_binary(elaboration, scope, node, with_defaults);
  case NODE_APPLY: return evaluate_apply(elaboration, scope, node, with_defaults);
  case NODE_IF: {
    Value condition = evaluate(elaboration, scope, node->left, with_defaults);
    if (is_pending(condition)) return condition;
    if (condition.kind != VALUE_BOOLEAN) return wrong(elaboration, node->left, "expected a truth value");
    return evaluate(elaboration, scope, condition.boolean ? node->right : node->third, with_defaults);
  }
  default: return wrong(elaboration, node, "this is not known while compiling");
  }
}
