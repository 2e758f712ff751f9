/* declare.c - names first: sizes, constants, parameters, states and what equations define, scope by scope. */
#include <stdlib.h>

#include "frontend/elaborate.h"

static int batch_place(Elaboration *elaboration, NodeList axes, bool is_common) {
  int place = is_common ? NONE : 0;
  bool is_placed = false;
  for (int n = 0; n < axes.count; n++) {
    if (axes.nodes[n]->kind != NODE_NAME || strcmp(axes.nodes[n]->text, "batch")) continue;
    if (is_common || is_placed)
      ERROR_AT(elaboration, axes.nodes[n]->source, is_common ? "what is common has no batch" : "'batch' stands twice");
    is_placed = true;
    place = n;
  }
  return place;
}

static NodeList without_batch(Elaboration *elaboration, NodeList axes) {
  NodeList rest = {0};
  for (int n = 0; n < axes.count; n++)
    if (axes.nodes[n]->kind != NODE_NAME || strcmp(axes.nodes[n]->text, "batch"))
      rest = node_list_add(elaboration->arena, rest, axes.nodes[n]);
  return rest;
}

static Cell **axis_cells(Elaboration *elaboration, Scope *scope, NodeList axes, const char *name) {
  Cell **cells = ARENA_ARRAY(elaboration->arena, Cell *, axes.count);
  for (int n = 0; n < axes.count; n++)
    cells[n] = axis_cell(elaboration, scope, axes.nodes[n], arena_format(elaboration->arena, "axis %d of '%s'", n + 1, name));
  return cells;
}

/* NULL: none is given. `out_type` is that of the numbers that a complex one is made of. */
static const char *parse_type(Elaboration *elaboration, const Node *node, Type *out_type) {
  *out_type = TYPE_REAL;
  if (!node->type || !strcmp(node->type, COMPLEX_TYPE)) return node->type ? COMPLEX_TYPE : NULL;
  for (int type = TYPE_REAL; type <= TYPE_BOOL; type++)
    if (!strcmp(node->type, type_names[type])) *out_type = (Type)type;
  if (strcmp(node->type, type_names[*out_type]))
    ERROR_AT(elaboration, node->source, "unknown type '%s' of '%s': expected real, complex, int or bool", node->type, node->text);
  return type_names[*out_type];
}

bool is_declared_complex(Elaboration *elaboration, const Node *node, const char *what) {
  Type type;
  const char *declared = parse_type(elaboration, node, &type);
  if (type != TYPE_REAL) ERROR_AT(elaboration, node->source, "%s is real or complex, found %s", what, declared);
  return declared && !strcmp(declared, COMPLEX_TYPE);
}

/* `T` on an axis of an input of the model is known at run time only, unless a constant says otherwise. */
static void mark_input_sizes(Scope *scope, NodeList axes) {
  for (int n = 0; n < axes.count; n++) {
    Name *name = axes.nodes[n]->kind == NODE_NAME ? scope_find(scope, axes.nodes[n]->text, NULL) : NULL;
    if (name && name->kind == NAME_SIZE) name->is_input_size = true;
  }
}

static void declare_input(Elaboration *elaboration, Scope *scope, const Node *node, bool is_for_objective) {
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, node->text, node->source);
  if (!name) return;
  NodeList axes = without_batch(elaboration, node->items);
  Entity *entity = entity_create(elaboration, scope, ROLE_INPUT, node->text, axes.count, node->source);
  entity->axes = axis_cells(elaboration, scope, axes, node->text);
  mark_input_sizes(scope, axes);
  const char *type = parse_type(elaboration, node, &entity->type);
  entity->has_type = true;
  if (type && !strcmp(type, COMPLEX_TYPE)) entity_keep_parts(elaboration, entity);
  name_define(elaboration, name, view_of_entity(elaboration, scope, entity), 0);
  PortEntry port = {entity, NULL, node, batch_place(elaboration, node->items, node->is_common), is_for_objective};
  ARENA_PUSH(elaboration->arena, elaboration->inputs, elaboration->input_count, port);
}

static void declare_formal(Elaboration *elaboration, Scope *scope, const Node *node) {
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, node->text, node->source);
  if (!name) return;
  View *view = ARENA_NEW(elaboration->arena, View);
  view->rank = node->items.count;
  view->axes = axis_cells(elaboration, scope, node->items, node->text);
  name_define(elaboration, name, view, 0);
  Type type;
  name->declared_type = parse_type(elaboration, node, &type);
  FormalEntry formal = {scope, name, node, NULL};
  ARENA_PUSH(elaboration->arena, elaboration->formals, elaboration->formal_count, formal);
}

static void declare_output(Elaboration *elaboration, Scope *scope, const Node *node) {
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, node->text, node->source);
  if (!name) return;
  NodeList axes = without_batch(elaboration, node->items);
  name->declared_rank = axes.count;
  name->declared = axis_cells(elaboration, scope, axes, node->text);
  Type type;
  name->declared_type = parse_type(elaboration, node, &type);
  if (scope != elaboration->model) return;
  PortEntry port = {NULL, name, node, batch_place(elaboration, node->items, node->is_common), false};
  ARENA_PUSH(elaboration->arena, elaboration->outputs, elaboration->output_count, port);
}

/* The model's inputs come from outside; so does nothing of a layer that is called. A default makes the input of a
 * layer that is compiled alone a constant. */
void declare_header(Elaboration *elaboration, Scope *scope) {
  for (int n = 0; n < scope->node->items.count; n++) {
    const Node *node = scope->node->items.nodes[n];
    if (scope == elaboration->model && !node->left) declare_input(elaboration, scope, node, false);
    else declare_formal(elaboration, scope, node);
  }
  for (int n = 0; n < scope->node->outputs.count; n++) declare_output(elaboration, scope, scope->node->outputs.nodes[n]);
}

/* The first axis of "conv.{}" counts tensors of their own: the batch belongs to each of them. */
static int state_batch_place(Elaboration *elaboration, const Node *node, const char *name, int axis_count) {
  int place = batch_place(elaboration, node->items, node->is_common);
  if (!strstr(name, "{}")) return place;
  if (axis_count == 0) ERROR_AT(elaboration, node->source, "the state '%s' has no axis for the '{}' in its name", name);
  if (place != 0) return place;
  if (node->items.count != axis_count)
    ERROR_AT(elaboration, node->source, "the first axis of '%s' counts the tensors: 'batch' stands after it", name);
  return 1;
}

static void declare_state(Elaboration *elaboration, Scope *scope, const Node *node) {
  const Scope *outermost = scope;
  while (outermost->unrolled) outermost = outermost->parent;
  if (outermost != elaboration->model) {
    ERROR_AT(elaboration, node->source, "a state is declared in the model, outside of repeats that are not unrolled");
    return;
  }
  NodeList axes = without_batch(elaboration, node->items);
  const char *label = arena_format(elaboration->arena, "state.%s", node->text);
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, label, node->source);
  if (!name) return;
  StateEntry state = {.name = names_of_turns(elaboration, scope, node->extra ? node->extra : node->text)};
  state.node = node;
  state.batch_axis = state_batch_place(elaboration, node, state.name, axes.count);
  state.initial = entity_create(elaboration, scope, ROLE_STATE, label, axes.count, node->source);
  state.initial->axes = axis_cells(elaboration, scope, axes, node->text);
  state.initial->has_type = true;
  bool is_complex = is_declared_complex(elaboration, node, "a state");
  if (is_complex) entity_keep_parts(elaboration, state.initial);
  const char *final = arena_format(elaboration->arena, "%s.final", label);
  state.final = entity_create(elaboration, scope, ROLE_LOCAL, final, axes.count, node->source);
  state.final->axes = state.initial->axes;
  state.final->has_type = true;
  if (is_complex) entity_keep_parts(elaboration, state.final);
  name_define(elaboration, name, view_of_entity(elaboration, scope, state.initial), 0);
  name->defined = view_of_entity(elaboration, scope, state.final);
  ARENA_PUSH(elaboration->arena, elaboration->states, elaboration->state_count, state);
}

void declare_constant(Elaboration *elaboration, Scope *scope, const Node *node) {
  Name *name = scope_find_local(scope, node->text);
  if (name && name->kind == NAME_SIZE) { /* the header named it as an axis */
    name->kind = NAME_CONSTANT;
    name->source = node->source;
    ARENA_PUSH(elaboration->arena, elaboration->constants, elaboration->constant_count, name);
  } else if (!(name = scope_add(elaboration, scope, NAME_CONSTANT, node->text, node->source))) {
    return;
  }
  name->value = node->left;
  name->value_scope = scope;
}

/* Constants before everything that names sizes. */
void declare_sizes_and_parameters(Elaboration *elaboration, Scope *scope) {
  choose_statements(elaboration, scope);
  for (int n = 0; n < scope->statements.count; n++) {
    const Node *node = scope->statements.nodes[n];
    if (node->kind == NODE_PARAMETER) declare_parameter(elaboration, scope, node);
    if (node->kind == NODE_STATE) declare_state(elaboration, scope, node);
    if (node->kind == NODE_IGNORE) declare_ignored(elaboration, scope, node);
    if (node->kind != NODE_LENGTH) continue;
    Name *name = scope_find_local(scope, node->text);
    if (!name) name = scope_add(elaboration, scope, NAME_SIZE, node->text, node->source);
    if (name && name->kind == NAME_SIZE && scope == elaboration->model) name->is_length = true;
    else
      ERROR_AT(elaboration, node->source, "'%s' cannot be a length: only a size of the model that has no value can", node->text);
  }
}

const char *name_label(Elaboration *elaboration, const Scope *scope, const Name *name) {
  bool is_carried = name->version_count > 0;
  const char *text = is_carried ? arena_format(elaboration->arena, "%s.out", name->text) : name->text;
  return *scope->prefix ? arena_format(elaboration->arena, "%s%s", scope->prefix, text) : text;
}

/* A target is new to its scope unless it is declared; one with the turn of a repeat among its subscripts belongs
 * outside of it. */
Name *target_name(Elaboration *elaboration, Scope *scope, const Node *target, int rank) {
  while (scope->turn_name && target->kind == NODE_READ && mentions_turn(target, scope->turn_name)) scope = scope->parent;
  Name *name = scope_find_local(scope, target->text);
  if (!name && strncmp(target->text, "state.", 6)) {
    Name *around = scope_find(scope, target->text, NULL);
    if (around && around->kind != NAME_TENSOR) name = around;
  } else if (!name) {
    bool is_state = scope_find(scope, target->text, NULL) != NULL;
    ERROR_AT(elaboration, target->source,
             is_state ? "every turn of the repeat would define '%s': use the turn as an index" : "there is no state '%s'",
             is_state ? target->text : target->text + 6);
    return NULL;
  }
  if (!name && strchr(target->text, '.')) {
    ERROR_AT(elaboration, target->source, "'%s' cannot be defined", target->text);
    return NULL;
  }
  if (!name) name = scope_add(elaboration, scope, NAME_TENSOR, target->text, target->source);
  if (!name) return NULL;
  if (name->kind != NAME_TENSOR) {
    ERROR_AT(elaboration, target->source, "'%s' is a %s and cannot be defined by an equation", target->text,
             name->kind == NAME_TURN   ? "turn of a repeat"
             : name->kind == NAME_SIZE ? "size"
                                       : "constant");
    NOTE_AT(elaboration, name->source, "it is declared here");
    return NULL;
  }
  if (name->defined && !name->defined->entity) {
    ERROR_AT(elaboration, target->source, "'%s' is an input of '%s' and cannot be defined", target->text, scope->node->text);
    return NULL;
  }
  if (name->defined || rank < 0) return name;
  if (name->declared_rank >= 0) rank = name->declared_rank;
  const char *label = name_label(elaboration, scope, name);
  Entity *entity = entity_create(elaboration, scope, ROLE_LOCAL, label, rank, target->source);
  for (int n = 0; n < name->declared_rank; n++) entity->axes[entity->outer_count + n] = name->declared[n];
  for (int type = TYPE_REAL; name->declared_type && type <= TYPE_BOOL; type++)
    if (!strcmp(name->declared_type, type_names[type])) entity->type = (Type)type, entity->has_type = true;
  entity->is_complex = name->declared_type && !strcmp(name->declared_type, COMPLEX_TYPE);
  name_define(elaboration, name, view_of_entity(elaboration, scope, entity), 0);
  return name;
}

/* `y = x` as `y[:, :] = x[:, :]`. */
void declare_copy(Elaboration *elaboration, Scope *scope, int position, const Node *target, const Node *value, int rank) {
  Node *left = syntax_node(elaboration->arena, NODE_READ, target->source, target->text);
  Node *right = syntax_node(elaboration->arena, NODE_READ, value->source, value->text);
  for (int n = 0; n < rank; n++)
    left->items = node_list_add(elaboration->arena, left->items,
                                syntax_node(elaboration->arena, NODE_COLON, target->source, NULL));
  right->items = left->items;
  declare_target(elaboration, scope, position, target, left, right);
}

/* `y = x`: the same tensor under another name. */
static bool declare_alias(Elaboration *elaboration, Scope *scope, int position, const Node *target, const Node *value) {
  if (target->kind != NODE_NAME || value->kind != NODE_NAME) return false;
  int seen_from = position;
  Name *source = scope_find(scope, value->text, &seen_from);
  View *view = source && source->kind == NAME_TENSOR ? name_view(source, seen_from) : NULL;
  if (!view || view->rank == 0) return false;
  Name *name = target_name(elaboration, scope, target, -1);
  if (!name) return true;
  if (name->defined || !view->entity) {
    declare_copy(elaboration, scope, position, target, value, view->rank);
    return true;
  }
  if (name->declared_rank >= 0 && name->declared_rank != view->rank) {
    ERROR_AT(elaboration, target->source, "'%s' has %d axes, but '%s' has %d", target->text, name->declared_rank, value->text,
             view->rank);
    return true;
  }
  for (int n = 0; n < name->declared_rank; n++)
    cell_merge(elaboration, name->declared[n], view->axes[n], target->source,
               arena_format(elaboration->arena, "axis %d of '%s'", n + 1, target->text));
  name_define(elaboration, name, view, 0);
  return true;
}

void declare_target(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *target,
                    const Node *value) {
  if (declare_alias(elaboration, scope, position, target, value)) return;
  Name *name = target_name(elaboration, scope, target, target->kind == NODE_READ ? target->items.count : 0);
  if (!name) return;
  TargetEntry entry = {scope, position, node, target, value, name, name->defined};
  ARENA_PUSH(elaboration->arena, elaboration->targets, elaboration->target_count, entry);
}

static void declare_equation(Elaboration *elaboration, Scope *scope, int position, const Node *node) {
  const Node *layer = node->left->kind == NODE_APPLY ? library_find(elaboration->library, node->left->text) : NULL;
  if (layer && layer->kind == NODE_LAYER) {
    declare_call(elaboration, scope, position, node, layer);
    return;
  }
  if (node->items.count > 1 || node->extra) {
    ERROR_AT(elaboration, node->source,
             node->extra ? "'as' follows the call of a layer" : "only the call of a layer defines several tensors at once");
    return;
  }
  declare_target(elaboration, scope, position, node, node->items.nodes[0], node->left);
}

static void declare_objective(Elaboration *elaboration, const Node *node) {
  if (elaboration->objective) {
    ERROR_AT(elaboration, node->source, "a model has one objective, and '%s' is a second one", node->text);
    NOTE_AT(elaboration, elaboration->objective->node->source, "the first is here");
    return;
  }
  Scope *scope = scope_create(elaboration, elaboration->model, node);
  scope->position = INT_MAX;
  elaboration->objective = scope;
  for (int n = 0; n < node->items.count; n++) {
    if (node->items.nodes[n]->left) ERROR_AT(elaboration, node->items.nodes[n]->source, "inputs of an objective have no default");
    declare_input(elaboration, scope, node->items.nodes[n], true);
  }
}

void declare_statements(Elaboration *elaboration, Scope *scope) {
  for (int n = 0; n < scope->statements.count; n++) {
    const Node *node = scope->statements.nodes[n];
    RequirementEntry requirement = {scope, node};
    if (node->kind == NODE_REQUIREMENT)
      ARENA_PUSH(elaboration->arena, elaboration->requirements, elaboration->requirement_count, requirement);
    if (node->kind == NODE_EQUATION) declare_equation(elaboration, scope, n, node);
    if (node->kind == NODE_REPEAT && node->is_unrolled) declare_unrolled(elaboration, scope, n, node);
    else if (node->kind == NODE_REPEAT) declare_repeat(elaboration, scope, n, node);
    if (node->kind == NODE_OBJECTIVE && scope == elaboration->model && scope->node->kind == NODE_MODEL)
      declare_objective(elaboration, node);
    else if (node->kind == NODE_OBJECTIVE)
      ERROR_AT(elaboration, node->source, "an objective belongs in the model, outside of repeats");
  }
}

/* Sizes of inputs that are known at run time only get their symbols here. */
static void declare_symbols(Elaboration *elaboration) {
  Scope *scope = elaboration->model;
  SourceRange nowhere = {0};
  for (int b = 0; b < scope->bucket_count; b++)
    for (Name *name = scope->buckets[b]; name; name = name->next) {
      bool is_stream = !strcmp(name->text, "T") && (name->is_input_size || name->is_length);
      if (name->kind != NAME_SIZE || !(is_stream || name->is_length)) continue;
      bool is_defined = false;
      for (int n = 0; n < elaboration->options->define_count; n++)
        is_defined |= !strcmp(elaboration->options->defines[n].name, name->text);
      if (is_defined) continue;
      bool is_first = program_find_symbol(elaboration->draft, SYMBOL_STREAM) == NONE;
      SymbolKind kind = is_stream && is_first ? SYMBOL_STREAM : SYMBOL_LENGTH;
      SymbolId symbol = program_add_symbol(elaboration->draft, kind, name->text);
      cell_set(elaboration, name->cell, size_symbol(symbol), name->source, NULL, nowhere, name->text);
    }
}

void declare_model(Elaboration *elaboration, const Node *node) {
  Scope *scope = scope_create(elaboration, NULL, node);
  elaboration->model = scope;
  declare_header(elaboration, scope);
  declare_sizes_and_parameters(elaboration, scope);
  apply_defines(elaboration, false); /* `unroll` asks for constants */
  declare_statements(elaboration, scope);
  declare_symbols(elaboration);
}
