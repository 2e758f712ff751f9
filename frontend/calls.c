/* calls.c - a call is its layer's body in a scope of its own.
 *
 * Indices that are free in the call, `y[t, :] = norm(x[t, :])`, become leading axes of every tensor in that scope.
 * Inputs are views of the caller's tensors, results are views of the layer's: nothing is copied.
 */
#include "frontend/elaborate.h"

enum { MOST_SCOPES = 20000, DEEPEST_CALL = 100 };

bool is_bound_name(Elaboration *elaboration, Scope *scope, const char *text) {
  (void)elaboration;
  Name *name = scope_find(scope, text, NULL);
  return name && name->kind != NAME_TENSOR;
}

/* A left side that is only ':' and new indices, for a name that is nowhere else defined, can be a view. */
static bool can_be_view(Elaboration *elaboration, Scope *scope, const Node *target) {
  if (!strncmp(target->text, "state.", 6)) return false;
  for (int n = 0; n < target->items.count; n++) {
    const Node *item = target->items.nodes[n];
    if (item->kind == NODE_COLON) continue;
    if (item->kind != NODE_NAME || is_bound_name(elaboration, scope, item->text)) return false;
  }
  Name *name = target_name(elaboration, scope, target, -1);
  return name && !name->defined;
}

static void add_mapped(Elaboration *elaboration, Scope *scope, Scope *callee, const Node *target) {
  for (int n = 0; n < target->items.count; n++) {
    const Node *item = target->items.nodes[n];
    if (item->kind != NODE_NAME || is_bound_name(elaboration, scope, item->text)) continue;
    bool is_known = false;
    for (int m = 0; m < callee->mapped_count; m++) is_known |= !strcmp(callee->mapped[m]->name, item->text);
    if (is_known) continue;
    Variable *variable = variable_create(elaboration, item->text, item->source);
    ARENA_PUSH(elaboration->arena, callee->mapped, callee->mapped_count, variable);
  }
}

static bool is_mapped(const Scope *callee, const Term *term, const char *name) {
  if (term->kind != TERM_RAW || strcmp(term->variable->name, name)) return false;
  for (int n = 0; n < callee->mapped_count; n++)
    if (callee->mapped[n] == term->variable) return true;
  return false;
}

/* `result` as the caller names it: ':' are the layer's axes, indices the mapped ones. */
static View *result_view(Elaboration *elaboration, const Scope *callee, const View *result, const Node *target) {
  View *view = ARENA_NEW(elaboration->arena, View);
  bool is_whole = target->kind == NODE_NAME;
  view->entity = result->entity;
  view->rank = is_whole ? result->rank : target->items.count;
  view->axes = ARENA_ARRAY(elaboration->arena, Cell *, view->rank);
  view->subscripts = ARENA_ARRAY(elaboration->arena, const Term *, result->entity->rank);
  memcpy(view->subscripts, result->subscripts, sizeof(Term *) * (size_t)result->entity->rank);
  int axis = 0;
  for (int place = 0; place < view->rank; place++) {
    Term *term = term_create(elaboration, TERM_AXIS, target->source);
    term->integer = place;
    const Node *item = is_whole ? NULL : target->items.nodes[place];
    bool is_axis = is_whole || item->kind == NODE_COLON;
    for (int n = 0; n < result->entity->rank; n++) {
      const Term *old = result->subscripts[n];
      if (is_axis ? old->kind == TERM_AXIS && old->integer == axis : is_mapped(callee, old, item->text)) {
        view->subscripts[n] = term;
        if (!is_axis) view->axes[place] = old->variable->extent;
      }
    }
    if (is_axis) view->axes[place] = axis < result->rank ? result->axes[axis] : cell_create(elaboration);
    if (is_axis) axis++;
    if (!view->axes[place]) view->axes[place] = cell_create(elaboration);
  }
  return view;
}

static int colon_count(const Node *target) {
  int count = 0;
  for (int n = 0; n < target->items.count; n++) count += target->items.nodes[n]->kind == NODE_COLON;
  return count;
}

static void define_result(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *target,
                          Scope *callee, const Node *output) {
  Name *result = scope_find_local(callee, output->text);
  View *defined = result ? result->defined : NULL;
  if (!defined || !defined->entity) return; /* reported where outputs are checked */
  if (target->kind == NODE_READ && colon_count(target) != defined->rank) {
    ERROR_AT(elaboration, target->source, "'%s' of '%s' has %d axes, but the left side has %d ':'", output->text,
             callee->node->text, defined->rank, colon_count(target));
    return;
  }
  View *view = result_view(elaboration, callee, defined, target);
  if (can_be_view(elaboration, scope, target)) {
    Name *name = target_name(elaboration, scope, target, -1);
    if (name->declared_rank >= 0 && name->declared_rank != view->rank) {
      ERROR_AT(elaboration, target->source, "'%s' has %d axes, but '%s' of '%s' gives %d", target->text, name->declared_rank,
               output->text, callee->node->text, view->rank);
      return;
    }
    for (int n = 0; n < name->declared_rank; n++)
      cell_merge(elaboration, name->declared[n], view->axes[n], target->source,
                 arena_format(elaboration->arena, "axis %d of '%s'", n + 1, target->text));
    if (defined->entity->role == ROLE_LOCAL && defined->entity->outer_count == scope->outer_count + callee->mapped_count)
      defined->entity->name = name_label(elaboration, scope, name);
    name_define(elaboration, name, view, 0);
    return;
  }
  /* a part of a tensor: an equation that copies the result from a hidden name */
  Node *hidden = syntax_node(elaboration->arena, NODE_READ, target->source,
                             arena_format(elaboration->arena, "%s.call%d", callee->node->text, ++scope->call_count));
  NodeList inner = {0};
  for (int n = 0; n < target->items.count; n++) {
    Node *item = target->items.nodes[n];
    bool is_free = item->kind == NODE_NAME && !is_bound_name(elaboration, scope, item->text);
    if (item->kind == NODE_COLON || is_free) inner = node_list_add(elaboration->arena, inner, item);
  }
  hidden->items = inner;
  Node *left = (Node *)target;
  if (target->kind == NODE_NAME) {
    left = syntax_node(elaboration->arena, NODE_READ, target->source, target->text);
    for (int n = 0; n < defined->rank; n++) {
      Node *colon = syntax_node(elaboration->arena, NODE_COLON, target->source, NULL);
      left->items = node_list_add(elaboration->arena, left->items, colon);
    }
    hidden->items = left->items;
  }
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, hidden->text, target->source);
  name_define(elaboration, name, result_view(elaboration, callee, defined, hidden), 0);
  declare_target(elaboration, scope, position, node, left, hidden);
}

static FormalEntry *formal_entry(Elaboration *elaboration, const Scope *callee, const char *text) {
  for (int n = elaboration->formal_count - 1; n >= 0; n--)
    if (elaboration->formals[n].scope == callee && !strcmp(elaboration->formals[n].formal->text, text))
      return &elaboration->formals[n];
  return NULL;
}

/* What the call gives to constants, which decide between statements before anything else is passed. */
void pass_constants(Scope *callee) {
  NodeList arguments = callee->call->left->body;
  for (int n = 0; n < arguments.count; n++) {
    const Node *argument = arguments.nodes[n];
    Name *name = argument->kind == NODE_NAMED ? scope_find_local(callee, argument->text) : NULL;
    if (!name || name->kind != NAME_CONSTANT) continue;
    name->value = argument->left;
    name->value_scope = callee->caller;
  }
}

static void pass_by_name(Elaboration *elaboration, Scope *scope, Scope *callee, const Node *argument) {
  FormalEntry *formal = formal_entry(elaboration, callee, argument->text);
  Name *name = scope_find_local(callee, argument->text);
  if (formal) {
    if (formal->actual) ERROR_AT(elaboration, argument->source, "'%s' is given twice", argument->text);
    formal->actual = argument->left;
  } else if (name && name->kind == NAME_CONSTANT) {
    return; /* passed before */
  } else if (name && name->kind == NAME_SIZE) {
    Constraint constraint = {.kind = CONSTRAINT_SIZE,
                             .cell = name->cell,
                             .node = argument->left,
                             .scope = scope,
                             .source = argument->source,
                             .what = arena_format(elaboration->arena, "'%s'", argument->text)};
    constraint_add(elaboration, constraint);
  } else {
    ERROR_AT(elaboration, argument->source, "'%s' has no input and no size '%s'", callee->node->text, argument->text);
    NOTE_AT(elaboration, callee->node->source, "it is declared here");
  }
}

static void pass_arguments(Elaboration *elaboration, Scope *scope, Scope *callee, const Node *call) {
  int given = 0;
  NodeList formals = callee->node->items;
  for (int n = 0; n < call->body.count; n++) {
    const Node *argument = call->body.nodes[n];
    if (argument->kind == NODE_NAMED) {
      pass_by_name(elaboration, scope, callee, argument);
    } else if (given < formals.count) {
      FormalEntry *formal = formal_entry(elaboration, callee, formals.nodes[given++]->text);
      if (formal) formal->actual = argument;
    } else {
      given++;
    }
  }
  if (given > formals.count) {
    ERROR_AT(elaboration, call->source, "'%s' takes %d input%s, found %d", call->text, formals.count,
             formals.count == 1 ? "" : "s", given);
    NOTE_AT(elaboration, callee->node->source, "it is declared here");
  }
  for (int n = 0; n < formals.count; n++) {
    FormalEntry *formal = formal_entry(elaboration, callee, formals.nodes[n]->text);
    if (!formal || formal->actual || formal->formal->left) continue;
    ERROR_AT(elaboration, call->source, "'%s' needs the input '%s'", call->text, formals.nodes[n]->text);
    NOTE_AT(elaboration, formals.nodes[n]->source, "it is declared here");
  }
}

static bool may_call(Elaboration *elaboration, Scope *scope, const Node *node, const Node *layer) {
  int depth = 0;
  for (const Scope *up = scope; up; up = up->caller ? up->caller : up->parent, depth++) {
    if (up->node != layer && depth < DEEPEST_CALL) continue;
    ERROR_AT(elaboration, node->source, up->node == layer ? "'%s' calls itself" : "the call of '%s' is nested too deeply",
             layer->text);
    return false;
  }
  if (node->items.count > layer->outputs.count) {
    ERROR_AT(elaboration, node->source, "'%s' has %d result%s, but %d are taken", layer->text, layer->outputs.count,
             layer->outputs.count == 1 ? "" : "s", node->items.count);
    NOTE_AT(elaboration, layer->source, "it is declared here");
    return false;
  }
  if (elaboration->scope_count < MOST_SCOPES) return true;
  if (elaboration->scope_count++ == MOST_SCOPES)
    ERROR_AT(elaboration, node->source, "the model has more than %d calls", MOST_SCOPES);
  return false;
}

void declare_call(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *layer) {
  if (!may_call(elaboration, scope, node, layer)) return;
  Scope *callee = scope_create(elaboration, NULL, layer);
  callee->caller = scope;
  callee->call = node;
  callee->position = position;
  for (int n = 0; n < node->items.count; n++) add_mapped(elaboration, scope, callee, node->items.nodes[n]);
  callee->outer_count = scope->outer_count + callee->mapped_count;
  callee->outers = ARENA_ARRAY(elaboration->arena, Variable *, callee->outer_count);
  for (int n = 0; n < callee->outer_count; n++)
    callee->outers[n] = n < scope->outer_count ? scope->outers[n] : callee->mapped[n - scope->outer_count];
  callee->parameter_names = scope->parameter_names;
  if (node->extra)
    callee->parameter_names = names_apply(elaboration->arena, scope->parameter_names,
                                          names_template(elaboration->arena, node->extra));
  callee->prefix = arena_format(elaboration->arena, "%s%s.", scope->prefix, layer->text);
  declare_header(elaboration, callee);
  declare_sizes_and_parameters(elaboration, callee);
  pass_arguments(elaboration, scope, callee, node->left);
  declare_statements(elaboration, callee);
  for (int n = 0; n < layer->outputs.count; n++) {
    Name *output = scope_find_local(callee, layer->outputs.nodes[n]->text);
    if (output && output->defined) continue;
    ERROR_AT(elaboration, layer->outputs.nodes[n]->source, "the output '%s' has no equation", layer->outputs.nodes[n]->text);
    NOTE_AT(elaboration, node->source, "in this call");
  }
  for (int n = 0; n < node->items.count; n++)
    define_result(elaboration, scope, position, node, node->items.nodes[n], callee, layer->outputs.nodes[n]);
}

/* The tensor that the caller passes; false: no name of one. */
static bool find_passed(const FormalEntry *formal, const View **out_view) {
  const Node *actual = formal->actual;
  *out_view = NULL;
  if (!actual || (actual->kind != NODE_NAME && actual->kind != NODE_READ)) return false;
  int position = formal->scope->position;
  Name *name = scope_find(formal->scope->caller, actual->text, &position);
  if (!name || name->kind != NAME_TENSOR) return false;
  *out_view = name_view(name, position);
  return true;
}

/* What the caller passes, as the layer sees it. */
static View *actual_view(Elaboration *elaboration, const FormalEntry *formal, const Environment *environment) {
  const Node *actual = formal->actual;
  const View *source;
  if (!find_passed(formal, &source) || (source && !source->entity && source->constant)) return NULL;
  View *view = ARENA_NEW(elaboration->arena, View);
  if (!source || !source->entity) {
    ERROR_AT(elaboration, actual->source, "'%s' is not defined", actual->text);
    return view;
  }
  int given = actual->kind == NODE_READ ? actual->items.count : source->rank;
  if (given != source->rank) {
    ERROR_AT(elaboration, actual->source, "'%s' has %d axes, but %d indices are given", actual->text, source->rank, given);
    return view;
  }
  const Term **subscripts = ARENA_ARRAY(elaboration->arena, const Term *, source->rank);
  for (int n = 0; n < source->rank; n++) {
    const Node *item = actual->kind == NODE_READ ? actual->items.nodes[n] : NULL;
    if (item && item->kind != NODE_COLON) {
      subscripts[n] = resolve(elaboration, environment, item, 0);
      continue;
    }
    Term *term = term_create(elaboration, TERM_AXIS, actual->source);
    term->integer = view->rank;
    subscripts[n] = term;
    ARENA_PUSH(elaboration->arena, view->axes, view->rank, source->axes[n]);
  }
  const Term *read = resolve_view(elaboration, source, subscripts, actual->source);
  constrain_term(elaboration, read);
  view->entity = source->entity;
  view->subscripts = read->args;
  return view;
}

static void bind_formal(Elaboration *elaboration, const FormalEntry *formal) {
  Scope *callee = formal->scope;
  View *declared = formal->name->versions[0].view;
  View *actual = NULL;
  const Environment *environment = environment_root(elaboration, formal->actual ? callee->caller : callee,
                                                    formal->actual ? callee->position : 0);
  for (int n = 0; formal->actual && n < callee->mapped_count; n++)
    environment = environment_bind(elaboration, environment, callee->mapped[n]->name,
                                   term_variable(elaboration, TERM_INDEX, callee->mapped[n], callee->mapped[n]->source));
  if (formal->actual) actual = actual_view(elaboration, formal, environment);
  if (!actual) { /* one value for all elements */
    const Node *node = formal->actual ? formal->actual : formal->formal->left;
    if (!node) return;
    const View *passed; /* a default of the caller's own */
    bool is_constant = find_passed(formal, &passed) && passed && passed->constant;
    declared->constant = is_constant ? passed->constant : resolve(elaboration, environment, node, 0);
    constrain_term(elaboration, declared->constant);
    return;
  }
  if (!actual->entity) return;
  if (actual->rank != declared->rank) {
    ERROR_AT(elaboration, formal->actual->source, "the input '%s' of '%s' has %d axes, but %d are given", formal->formal->text,
             callee->node->text, declared->rank, actual->rank);
    NOTE_AT(elaboration, formal->formal->source, "it is declared here");
    return;
  }
  for (int n = 0; n < declared->rank; n++)
    cell_merge(elaboration, declared->axes[n], actual->axes[n], formal->actual->source,
               arena_format(elaboration->arena, "axis %d of the input '%s'", n + 1, formal->formal->text));
  declared->entity = actual->entity;
  declared->subscripts = actual->subscripts;
}

void bind_formals(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->formal_count; n++) bind_formal(elaboration, &elaboration->formals[n]);
}
