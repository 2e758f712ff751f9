/* choices.c - `if condition { ... } else { ... }` between statements: decided while compiling, the chosen ones stand in its
 * place. A condition sees what is known before sizes are solved: constants, what a call gives to them, -D and the config.
 */
#include "frontend/elaborate.h"

static bool is_condition_true(Elaboration *elaboration, Scope *scope, const Node *node) {
  Value value = evaluate(elaboration, scope, node, true);
  if (value.kind == VALUE_BOOLEAN) return value.boolean;
  if (value.kind == VALUE_UNKNOWN)
    ERROR_AT(elaboration, node->source, "the condition of an 'if' around statements is decided by constants and the config alone");
  else if (value.kind != VALUE_ERROR)
    ERROR_AT(elaboration, node->source, "expected a truth value, found %s",
             value.kind == VALUE_STRING   ? "a string"
             : value.kind == VALUE_ABSENT ? "nothing: the config has no such key"
                                          : "a number");
  return false;
}

static NodeList append(Elaboration *elaboration, NodeList list, NodeList more) {
  for (int n = 0; n < more.count; n++) list = node_list_add(elaboration->arena, list, more.nodes[n]);
  return list;
}

/* Constants of one level are declared before the conditions among them are decided. */
static void declare_constants(Elaboration *elaboration, Scope *scope, NodeList statements) {
  for (int n = 0; n < statements.count; n++)
    if (statements.nodes[n]->kind == NODE_CONSTANT) declare_constant(elaboration, scope, statements.nodes[n]);
  if (scope->call && !scope->parent) pass_constants(scope);
  if (scope == elaboration->model) apply_defines(elaboration, true);
}

static NodeList chosen(Elaboration *elaboration, Scope *scope, NodeList statements) {
  declare_constants(elaboration, scope, statements);
  NodeList result = {0};
  for (int n = 0; n < statements.count; n++) {
    Node *node = statements.nodes[n];
    if (node->kind != NODE_CHOICE) {
      result = node_list_add(elaboration->arena, result, node);
      continue;
    }
    bool is_true = is_condition_true(elaboration, scope, node->left);
    result = append(elaboration, result, chosen(elaboration, scope, is_true ? node->body : node->outputs));
  }
  return result;
}

void choose_statements(Elaboration *elaboration, Scope *scope) { scope->statements = chosen(elaboration, scope, scope->statements); }
