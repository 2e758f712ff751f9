/* functions.c - expansion of functions, and reductions.
 *
 * A function is expanded where it is used, hygienically: its formals are bound to the caller's expressions together
 * with the caller's names, a formal `s[u]` being an expression in u. A reduction inside over one of the function's
 * indices takes over the guard that the caller gave to it.
 */
#include "frontend/elaborate.h"

enum { DEEPEST_FUNCTION = 60 };

static const Term *no_value(Elaboration *elaboration, SourceRange source) {
  return term_create(elaboration, TERM_INTEGER, source);
}

static Environment *bind(Elaboration *elaboration, const Environment *outer, int kind, const char *name) {
  Environment *environment = ARENA_NEW(elaboration->arena, Environment);
  environment->outer = outer;
  environment->kind = kind;
  environment->name = name;
  environment->memo = ARENA_NEW(elaboration->arena, const Term *);
  environment->is_free = ARENA_NEW(elaboration->arena, bool);
  return environment;
}

static bool matches(Elaboration *elaboration, const Environment *environment, const Node *node, const Node *function) {
  const Environment *base = environment_base(environment);
  if (base->function_depth >= DEEPEST_FUNCTION) {
    ERROR_AT(elaboration, node->source, "functions are nested too deeply here: does '%s' use itself?", function->text);
    return false;
  }
  if (node->items.count == function->items.count && node->body.count == function->outputs.count) return true;
  if (node->items.count != function->items.count)
    ERROR_AT(elaboration, node->source, "'%s' takes %d indices, found %d", function->text, function->items.count,
             node->items.count);
  else
    ERROR_AT(elaboration, node->source, "'%s' takes %d argument%s, found %d", function->text, function->outputs.count,
             function->outputs.count == 1 ? "" : "s", node->body.count);
  NOTE_AT(elaboration, function->source, "it is declared here");
  return false;
}

/* `value` where the guards hold, else 0: what depends on an index that the guard leaves out is nothing. */
static const Term *guarded(Elaboration *elaboration, const Environment *environment, const Node *guard, const Term *value,
                           int depth) {
  Term *term = term_create(elaboration, TERM_IF, value->source);
  term->count = 3;
  term->args = ARENA_ARRAY(elaboration->arena, const Term *, 3);
  term->args[0] = resolve(elaboration, environment, guard, depth + 1);
  term->args[1] = value;
  term->args[2] = no_value(elaboration, value->source);
  return term;
}

const Term *resolve_function(Elaboration *elaboration, const Environment *environment, const Node *node, const Node *function,
                             int depth) {
  if (!matches(elaboration, environment, node, function)) return no_value(elaboration, node->source);
  Environment *root = bind(elaboration, NULL, BIND_ROOT, "");
  root->function_depth = environment_base(environment)->function_depth + 1;
  const Environment *inside = root;
  bool *is_free = ARENA_NEW(elaboration->arena, bool);
  for (int n = 0; n < function->items.count; n++) {
    const Node *actual = node->items.nodes[n];
    if (actual->kind != NODE_NAME) {
      ERROR_AT(elaboration, actual->source, "expected the name of an index");
      return no_value(elaboration, node->source);
    }
    Environment *index = bind(elaboration, inside, BIND_INDEX, function->items.nodes[n]->text);
    index->node = actual;
    index->caller = environment;
    index->guard = node->right;
    index->is_free = is_free;
    inside = index;
  }
  for (int n = 0; n < function->outputs.count; n++) {
    const Node *formal = function->outputs.nodes[n];
    Environment *argument = bind(elaboration, inside, BIND_FORMAL, formal->text);
    argument->node = node->body.nodes[n];
    argument->formal = formal;
    argument->caller = environment;
    for (int m = 0; m < formal->items.count; m++) {
      const Environment *index = environment_find(inside, formal->items.nodes[m]->text);
      if (index && index->kind == BIND_INDEX) continue;
      ERROR_AT(elaboration, formal->items.nodes[m]->source, "'%s' is not among the indices of '%s'", formal->items.nodes[m]->text,
               function->text);
      return no_value(elaboration, node->source);
    }
    inside = argument;
  }
  for (int n = 0; n < function->body.count; n++) {
    Environment *local = bind(elaboration, inside, BIND_LOCAL, function->body.nodes[n]->text);
    local->node = function->body.nodes[n]->left;
    inside = local;
  }
  const Term *value = resolve(elaboration, inside, function->left, depth + 1);
  return *is_free && node->right ? guarded(elaboration, environment, node->right, value, depth) : value;
}

static Variable *reduction_variable(Elaboration *elaboration, const Environment *environment, const Node *item) {
  Variable *variable = variable_create(elaboration, item->text, item->source);
  const Environment *base = environment_base(environment);
  if (item->kind == NODE_RANGE) {
    variable->low = item->left;
    variable->high = item->right;
    variable->scope = base->scope ? base->scope : elaboration->model;
    Constraint range = {.kind = CONSTRAINT_RANGE, .variable = variable, .source = item->source};
    constraint_add(elaboration, range);
  } else if (!strcmp(item->text, "batch")) {
    variable->is_batch = true;
    SourceRange nowhere = {0};
    cell_set(elaboration, variable->extent, size_symbol(elaboration->batch), item->source, NULL, nowhere, "batch");
  }
  return variable;
}

static const Term *both(Elaboration *elaboration, const Term *a, const Term *b) {
  if (!a) return b;
  const Term *args[] = {a, b};
  return term_call(elaboration, builtin_find("and", false), b->source, 2, args);
}

/* The guards that callers gave to the index that is now reduced over. */
static const Term *inherited_guard(Elaboration *elaboration, const Environment *environment, const char *name, const Term *value,
                                   const Term *guard, int depth) {
  const Environment *bound = environment_find(environment, name);
  while (bound && bound->kind == BIND_INDEX) {
    const char *actual = bound->node->text;
    if (bound->guard) {
      const Environment *inside = environment_bind(elaboration, bound->caller, actual, value);
      guard = both(elaboration, guard, resolve(elaboration, inside, bound->guard, depth + 1));
    }
    bound = environment_find(bound->caller, actual);
  }
  return guard;
}

const Term *resolve_reduction(Elaboration *elaboration, const Environment *environment, const Node *node, const Builtin *builtin,
                              int depth) {
  Term *term = term_create(elaboration, TERM_REDUCE, node->source);
  if (node->body.count != 1) {
    ERROR_AT(elaboration, node->source, "'%s' takes one argument, found %d", node->text, node->body.count);
    return no_value(elaboration, node->source);
  }
  if (builtin->reduce == REDUCE_ARGMAX && node->items.count != 1)
    ERROR_AT(elaboration, node->source, "'argmax' takes one index, found %d", node->items.count);
  const Environment *inside = environment;
  term->builtin = builtin;
  for (int n = 0; n < node->items.count; n++) {
    const Node *item = node->items.nodes[n];
    if (item->kind != NODE_NAME && item->kind != NODE_RANGE) {
      ERROR_AT(elaboration, item->source, "expected the name of an index");
      return no_value(elaboration, node->source);
    }
    Variable *variable = reduction_variable(elaboration, environment, item);
    const Term *value = term_variable(elaboration, TERM_INDEX, variable, item->source);
    ARENA_PUSH(elaboration->arena, term->variables, term->variable_count, variable);
    term->guard = inherited_guard(elaboration, environment, item->text, value, term->guard, depth);
    inside = environment_bind(elaboration, inside, item->text, value);
  }
  if (node->right) term->guard = both(elaboration, term->guard, resolve(elaboration, inside, node->right, depth + 1));
  const Term *body = resolve(elaboration, inside, node->body.nodes[0], depth + 1);
  term->args = arena_copy(elaboration->arena, &body, sizeof body);
  term->count = 1;
  return term;
}
