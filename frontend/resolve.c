/* resolve.c - expressions to terms: every name is looked up, functions are expanded, indices become variables. */
#include "frontend/elaborate.h"

#include <math.h>

enum { DEEPEST_TERM = 3000, MOST_TERMS = 1000000 };

Term *term_create(Elaboration *elaboration, TermKind kind, SourceRange source) {
  Term *term = ARENA_NEW(elaboration->arena, Term);
  term->kind = kind;
  term->source = source;
  elaboration->term_count++;
  return term;
}

const Term *term_variable(Elaboration *elaboration, TermKind kind, Variable *variable, SourceRange source) {
  Term *term = term_create(elaboration, kind, source);
  term->variable = variable;
  return term;
}

static const Term *term_zero(Elaboration *elaboration, SourceRange source) {
  return term_create(elaboration, TERM_INTEGER, source);
}

const Term *term_call(Elaboration *elaboration, const Builtin *builtin, SourceRange source, int count, const Term *const *args) {
  Term *term = term_create(elaboration, TERM_CALL, source);
  term->builtin = builtin;
  term->count = count;
  term->args = arena_copy(elaboration->arena, args, sizeof *args * (size_t)count);
  return term;
}

const Environment *environment_root(Elaboration *elaboration, Scope *scope, int position) {
  Environment *environment = ARENA_NEW(elaboration->arena, Environment);
  environment->kind = BIND_ROOT;
  environment->scope = scope;
  environment->position = position;
  return environment;
}

const Environment *environment_bind(Elaboration *elaboration, const Environment *outer, const char *name, const Term *term) {
  Environment *environment = ARENA_NEW(elaboration->arena, Environment);
  environment->kind = BIND_TERM;
  environment->outer = outer;
  environment->name = name;
  environment->term = term;
  return environment;
}

const Environment *environment_find(const Environment *environment, const char *name) {
  for (; environment->kind != BIND_ROOT; environment = environment->outer)
    if (!strcmp(environment->name, name)) return environment;
  return NULL;
}

const Environment *environment_base(const Environment *environment) {
  while (environment->kind != BIND_ROOT) environment = environment->outer;
  return environment;
}

const Term *resolve_view(Elaboration *elaboration, const View *view, const Term *const *subscripts, SourceRange source) {
  if (view->constant) return view->constant;
  if (!view->entity) return term_zero(elaboration, source); /* reported before */
  Term *term = term_create(elaboration, TERM_READ, source);
  term->entity = view->entity;
  term->count = view->entity->rank;
  term->args = ARENA_ARRAY(elaboration->arena, const Term *, term->count);
  for (int n = 0; n < term->count; n++) {
    const Term *place = view->subscripts[n];
    term->args[n] = place->kind == TERM_AXIS ? subscripts[place->integer] : place;
  }
  return term;
}

static const Term *unknown_name(Elaboration *elaboration, const Node *node) {
  ERROR_AT(elaboration, node->source, "unknown name '%s'", node->text);
  return term_zero(elaboration, node->source);
}

static const Term *resolve_tensor(Elaboration *elaboration, const Environment *environment, const Environment *base,
                                  const Node *node, const Name *name, int position, int depth) {
  const View *view = name_view(name, position);
  if (!view) {
    ERROR_AT(elaboration, node->source, "'%s' is not defined%s", node->text,
             name->declared_rank >= 0 ? ": the output has no equation" : "");
    return term_zero(elaboration, node->source);
  }
  (void)base;
  if (view->rank != node->items.count) {
    ERROR_AT(elaboration, node->source, "'%s' has %d axes, but %d %s given", node->text, view->rank, node->items.count,
             node->items.count == 1 ? "index is" : "indices are");
    NOTE_AT(elaboration, name->source, "it is declared here");
    return term_zero(elaboration, node->source);
  }
  const Term **subscripts = ARENA_ARRAY(elaboration->arena, const Term *, node->items.count);
  for (int n = 0, colons = 0; n < node->items.count; n++) {
    const Node *item = node->items.nodes[n];
    if (item->kind != NODE_COLON) {
      subscripts[n] = resolve(elaboration, environment, item, depth + 1);
      continue;
    }
    const Environment *bound = environment_find(environment, arena_format(elaboration->arena, ":%d", colons++));
    subscripts[n] = bound ? bound->term : term_zero(elaboration, item->source);
    if (!bound) ERROR_AT(elaboration, item->source, "':' stands here, but not as often on the left side");
  }
  return resolve_view(elaboration, view, subscripts, node->source);
}

/* The value of a formal of a function: the actual expression, with the formal's indices in place. */
static const Term *resolve_formal(Elaboration *elaboration, const Environment *environment, const Environment *bound,
                                  const Node *node, int depth) {
  int count = bound->formal->items.count;
  if (node->items.count != count) {
    ERROR_AT(elaboration, node->source, "'%s' is declared with %d indices, but %d are given", node->text, count,
             node->items.count);
    NOTE_AT(elaboration, bound->formal->source, "it is declared here");
    return term_zero(elaboration, node->source);
  }
  if (count == 0 && *bound->memo) return *bound->memo;
  const Environment *inside = bound->caller;
  for (int n = 0; n < count; n++) {
    const Node *index = bound->formal->items.nodes[n];
    const Environment *actual = environment_find(bound, index->text);
    for (; actual && actual->kind != BIND_INDEX; actual = environment_find(actual->outer, index->text)) continue;
    if (!actual) continue; /* reported at the declaration */
    inside = environment_bind(elaboration, inside, actual->node->text,
                              resolve(elaboration, environment, node->items.nodes[n], depth + 1));
  }
  const Term *term = resolve(elaboration, inside, bound->node, depth + 1);
  if (count == 0) *bound->memo = term;
  return term;
}

static const Term *resolve_bound(Elaboration *elaboration, const Environment *environment, const Environment *bound,
                                 const Node *node, int depth) {
  if (bound->kind == BIND_FORMAL) return resolve_formal(elaboration, environment, bound, node, depth);
  if (node->items.count) {
    ERROR_AT(elaboration, node->source, "'%s' is a single value here and takes no indices", node->text);
    return term_zero(elaboration, node->source);
  }
  if (bound->kind == BIND_TERM) /* a place of its own, for messages */
    return bound->term->kind == TERM_INDEX ? term_variable(elaboration, TERM_INDEX, bound->term->variable, node->source)
                                           : bound->term;
  if (bound->kind == BIND_INDEX) {
    *bound->is_free = true;
    return resolve(elaboration, bound->caller, bound->node, depth + 1);
  }
  if (!*bound->memo) *bound->memo = resolve(elaboration, bound->outer, bound->node, depth + 1);
  return *bound->memo;
}

/* What depends on nothing else is decided while compiling: a constant with no name. */
static const Term *resolve_constant(Elaboration *elaboration, const Environment *base, const Node *node) {
  Name *name = ARENA_NEW(elaboration->arena, Name);
  name->text = node->text;
  name->kind = NAME_CONSTANT;
  name->cell = cell_create(elaboration);
  name->value = node;
  name->value_scope = base->scope;
  Term *term = term_create(elaboration, TERM_CONSTANT, node->source);
  term->cell = name->cell;
  term->constant = name;
  return term;
}

static const Term *resolve_name(Elaboration *elaboration, const Environment *environment, const Node *node, int depth) {
  const Environment *bound = environment_find(environment, node->text);
  if (bound) return resolve_bound(elaboration, environment, bound, node, depth);
  const Environment *base = environment_base(environment);
  int position = base->position;
  Name *name = base->scope ? scope_find(base->scope, node->text, &position) : NULL;
  if (name && name->kind == NAME_TENSOR) return resolve_tensor(elaboration, environment, base, node, name, position, depth);
  if (!name && node->items.count && !strncmp(node->text, "config.", 7)) return resolve_constant(elaboration, base, node);
  if (node->items.count) {
    if (!name) return unknown_name(elaboration, node);
    ERROR_AT(elaboration, node->source, "'%s' is no tensor and takes no indices", node->text);
    return term_zero(elaboration, node->source);
  }
  if (name && name->is_turn) {
    Term *value = term_create(elaboration, TERM_INTEGER, node->source);
    value->integer = name->known.size.constant;
    return value;
  }
  if (name && name->kind == NAME_TURN) return term_variable(elaboration, TERM_INDEX, name->turn, node->source);
  if (name || !strncmp(node->text, "config.", 7)) {
    Term *term = term_create(elaboration, name && name->kind == NAME_SIZE ? TERM_SIZE : TERM_CONSTANT, node->source);
    if (!name) { /* a constant without a name */
      name = ARENA_NEW(elaboration->arena, Name);
      name->text = node->text;
      name->kind = NAME_CONSTANT;
      name->cell = cell_create(elaboration);
      name->value = node;
      name->value_scope = base->scope;
      name->source = node->source;
    }
    term->cell = name->cell;
    term->constant = name;
    return term;
  }
  if (strcmp(node->text, "pi") && strcmp(node->text, "inf")) return unknown_name(elaboration, node);
  Term *term = term_create(elaboration, TERM_REAL, node->source);
  term->number = node->text[0] == 'p' ? M_PI : INFINITY;
  return term;
}

static const Term *resolve_apply(Elaboration *elaboration, const Environment *environment, const Node *node, int depth) {
  const Builtin *reduction = node->items.count ? builtin_find(node->text, true) : NULL;
  if (reduction) return resolve_reduction(elaboration, environment, node, reduction, depth);
  const Node *function = library_find(elaboration->library, node->text);
  if (function && function->kind == NODE_FUNCTION) return resolve_function(elaboration, environment, node, function, depth);
  const Builtin *builtin = node->items.count ? NULL : builtin_find(node->text, false);
  if (!builtin) {
    bool is_reduction = builtin_find(node->text, true) != NULL;
    if (function)
      ERROR_AT(elaboration, node->source, "'%s' is a layer: its call stands alone on the right side of an equation", node->text);
    else
      ERROR_AT(elaboration, node->source, is_reduction ? "'%s' needs indices: %s[i](...)" : "unknown function '%s'", node->text,
               node->text);
    return term_zero(elaboration, node->source);
  }
  int count = node->body.count;
  if (count < builtin->least || (builtin->most >= 0 && count > builtin->most)) {
    ERROR_AT(elaboration, node->source, "'%s' takes %d argument%s, found %d", node->text, builtin->least,
             builtin->least == 1 ? "" : "s", count);
    return term_zero(elaboration, node->source);
  }
  const Term **args = ARENA_ARRAY(elaboration->arena, const Term *, count);
  for (int n = 0; n < count; n++) args[n] = resolve(elaboration, environment, node->body.nodes[n], depth + 1);
  return term_call(elaboration, builtin, node->source, count, args);
}

/* Comparisons of strings are decided while compiling. */
static bool has_string(Elaboration *elaboration, const Environment *base, const Node *node) {
  if (!node) return false;
  if (node->kind == NODE_STRING) return true;
  if (node->kind == NODE_NAME && base->scope) {
    Name *name = scope_find(base->scope, node->text, NULL);
    return name && name->kind == NAME_CONSTANT && name->value && name->value->kind == NODE_STRING;
  }
  return node->kind == NODE_BINARY && (has_string(elaboration, base, node->left) || has_string(elaboration, base, node->right));
}


static const Term *resolve_operator(Elaboration *elaboration, const Environment *environment, const Node *node, int depth) {
  const Environment *base = environment_base(environment);
  bool is_equality = !strcmp(node->text, "==") || !strcmp(node->text, "!=");
  if (is_equality && base->scope && has_string(elaboration, base, node)) return resolve_constant(elaboration, base, node);
  const Term *args[2] = {resolve(elaboration, environment, node->left, depth + 1), NULL};
  if (node->right) args[1] = resolve(elaboration, environment, node->right, depth + 1);
  const char *text = node->kind == NODE_UNARY && node->text[0] == '-' ? "neg" : node->text;
  return term_call(elaboration, builtin_find(text, false), node->source, node->right ? 2 : 1, args);
}

const Term *resolve(Elaboration *elaboration, const Environment *environment, const Node *node, int depth) {
  if (depth > DEEPEST_TERM || elaboration->term_count > MOST_TERMS) {
    if (elaboration->term_count < INT_MAX / 2) {
      ERROR_AT(elaboration, node->source,
               depth > DEEPEST_TERM ? "functions are nested too deeply here" : "the expressions of the model are too large");
      elaboration->term_count = INT_MAX / 2;
    }
    return term_zero(elaboration, node->source);
  }
  switch (node->kind) {
  case NODE_INTEGER:
  case NODE_BOOLEAN: {
    Term *term = term_create(elaboration, node->kind == NODE_INTEGER ? TERM_INTEGER : TERM_BOOLEAN, node->source);
    term->integer = node->integer;
    return term;
  }
  case NODE_REAL: {
    Term *term = term_create(elaboration, TERM_REAL, node->source);
    term->number = node->number;
    return term;
  }
  case NODE_READ:
    if (node->right) ERROR_AT(elaboration, node->right->source, "a read takes no 'where'");
    return resolve_name(elaboration, environment, node, depth);
  case NODE_NAME: return resolve_name(elaboration, environment, node, depth);
  case NODE_APPLY: return resolve_apply(elaboration, environment, node, depth);
  case NODE_UNARY:
  case NODE_BINARY: return resolve_operator(elaboration, environment, node, depth);
  case NODE_IF: {
    Term *term = term_create(elaboration, TERM_IF, node->source);
    term->count = 3;
    term->args = ARENA_ARRAY(elaboration->arena, const Term *, 3);
    const Node *parts[] = {node->left, node->right, node->third};
    for (int n = 0; n < 3; n++) term->args[n] = resolve(elaboration, environment, parts[n], depth + 1);
    return term;
  }
  default:
    ERROR_AT(elaboration, node->source,
             node->kind == NODE_STRING  ? "a string can only be compared"
             : node->kind == NODE_COLON ? "':' stands for a whole axis and has no value here"
                                        : "this has no value here");
    return term_zero(elaboration, node->source);
  }
}
