/* scope.c - tables of names, and the small things that names stand for. */
#include "frontend/elaborate.h"

Scope *scope_create(Elaboration *elaboration, Scope *parent, const Node *node) {
  Scope *scope = ARENA_NEW(elaboration->arena, Scope);
  scope->parent = parent;
  scope->node = node;
  scope->parameter_names = "*";
  scope->prefix = "";
  scope->statements = node->body;
  scope->bucket_count = node->body.count < 2 * NAME_BUCKETS ? NAME_BUCKETS : node->body.count;
  scope->buckets = ARENA_ARRAY(elaboration->arena, Name *, scope->bucket_count);
  if (parent) {
    scope->outer_count = parent->outer_count;
    scope->outers = parent->outers;
    scope->parameter_names = parent->parameter_names;
    scope->prefix = parent->prefix;
    scope->depth = parent->depth + 1;
  }
  elaboration->scope_count++;
  return scope;
}

static Name **bucket_of(const Scope *scope, const char *text) {
  return &scope->buckets[string_hash(text) % (unsigned)scope->bucket_count];
}

Name *scope_find_local(const Scope *scope, const char *text) {
  for (Name *name = *bucket_of(scope, text); name; name = name->next)
    if (!strcmp(name->text, text)) return name;
  return NULL;
}

Name *scope_find(Scope *scope, const char *text, int *position) {
  for (; scope; scope = scope->parent) {
    Name *name = scope_find_local(scope, text);
    if (name) return name;
    if (position) *position = scope->position;
  }
  return NULL;
}

Name *scope_add(Elaboration *elaboration, Scope *scope, NameKind kind, const char *text, SourceRange source) {
  Name *other = scope_find_local(scope, text);
  if (other) {
    ERROR_AT(elaboration, source, "'%s' is defined twice", text);
    NOTE_AT(elaboration, other->source, "the other definition is here");
    return NULL;
  }
  Name *name = ARENA_NEW(elaboration->arena, Name);
  Name **bucket = bucket_of(scope, text);
  name->text = text;
  name->kind = kind;
  name->source = source;
  name->next = *bucket;
  name->declared_rank = -1;
  if (kind == NAME_SIZE || kind == NAME_CONSTANT) name->cell = cell_create(elaboration);
  *bucket = name;
  name->value_scope = scope;
  if (kind == NAME_SIZE) ARENA_PUSH(elaboration->arena, elaboration->sizes, elaboration->size_count, name);
  if (kind == NAME_CONSTANT) ARENA_PUSH(elaboration->arena, elaboration->constants, elaboration->constant_count, name);
  return name;
}

View *name_view(const Name *name, int position) {
  View *view = name->version_count ? name->versions[0].view : NULL;
  for (int n = 1; n < name->version_count && name->versions[n].from <= position; n++) view = name->versions[n].view;
  return view;
}

Variable *variable_create(Elaboration *elaboration, const char *name, SourceRange source) {
  Variable *variable = ARENA_NEW(elaboration->arena, Variable);
  variable->name = name;
  variable->source = source;
  variable->extent = cell_create(elaboration);
  variable->id = NONE;
  ARENA_PUSH(elaboration->arena, elaboration->variables, elaboration->variable_count, variable);
  return variable;
}

const char *scope_tensor_name(Elaboration *elaboration, const Scope *scope, const char *text) {
  return *scope->prefix ? arena_format(elaboration->arena, "%s%s", scope->prefix, text) : text;
}

/* `rank` without the outer axes, which follow from the scope; parameters have those of repeats only. */
Entity *entity_create(Elaboration *elaboration, Scope *scope, TensorRole role, const char *name, int rank, SourceRange source) {
  Entity *entity = ARENA_NEW(elaboration->arena, Entity);
  entity->name = name;
  entity->role = role;
  entity->source = source;
  entity->id = NONE;
  entity->axes = ARENA_ARRAY(elaboration->arena, Cell *, scope->outer_count + rank);
  for (int n = 0; n < scope->outer_count; n++)
    if (role == ROLE_LOCAL || (role == ROLE_PARAMETER && scope->outers[n]->is_turn))
      entity->axes[entity->outer_count++] = scope->outers[n]->extent;
  entity->rank = entity->outer_count + rank;
  for (int n = entity->outer_count; n < entity->rank; n++) entity->axes[n] = cell_create(elaboration);
  if (role == ROLE_PARAMETER) entity->has_type = true;
  ARENA_PUSH(elaboration->arena, elaboration->entities, elaboration->entity_count, entity);
  return entity;
}

/* One more axis, for re and im; before any view of the tensor is made. */
void entity_keep_parts(Elaboration *elaboration, Entity *entity) {
  Cell **axes = ARENA_ARRAY(elaboration->arena, Cell *, entity->rank + 1);
  for (int n = 0; n < entity->rank; n++) axes[n] = entity->axes[n];
  axes[entity->rank] = cell_create(elaboration);
  cell_set(elaboration, axes[entity->rank], size_constant(2), entity->source, "': complex'", entity->source, entity->name);
  entity->axes = axes;
  entity->rank++;
  entity->is_complex = entity->has_part_axis = true;
}

View *view_of_entity(Elaboration *elaboration, Scope *scope, Entity *entity) {
  View *view = ARENA_NEW(elaboration->arena, View);
  view->entity = entity;
  view->rank = entity->rank - entity->outer_count - (entity->has_part_axis ? 1 : 0);
  view->axes = entity->axes + entity->outer_count;
  view->subscripts = ARENA_ARRAY(elaboration->arena, const Term *, entity->rank);
  int axis = 0;
  for (int n = 0; n < scope->outer_count && axis < entity->outer_count; n++)
    if (entity->role == ROLE_LOCAL || scope->outers[n]->is_turn)
      view->subscripts[axis++] = term_variable(elaboration, TERM_RAW, scope->outers[n], entity->source);
  for (int n = 0; n < view->rank; n++) {
    Term *term = term_create(elaboration, TERM_AXIS, entity->source);
    term->integer = n;
    view->subscripts[axis + n] = term;
  }
  if (entity->has_part_axis) view->subscripts[entity->rank - 1] = term_create(elaboration, TERM_PART, entity->source);
  return view;
}

/* What is carried keeps its first version, the one that comes in, for reads of the body. */
void name_define(Elaboration *elaboration, Name *name, View *view, int from) {
  name->defined = view;
  if (from == 0 && name->version_count) return;
  Version version = {from, view};
  ARENA_PUSH(elaboration->arena, name->versions, name->version_count, version);
}

/* A star between braces multiplies. */
static const char *find_star(const char *text) {
  for (int depth = 0; *text; text++) {
    depth += (*text == '{') - (*text == '}');
    if (*text == '*' && depth == 0) return text;
  }
  return NULL;
}

const char *names_apply(Arena *arena, const char *names, const char *own) {
  const char *star = find_star(names);
  if (!star) return names;
  return arena_format(arena, "%.*s%s%s", (int)(star - names), names, own, star + 1);
}

const char *names_template(Arena *arena, const char *text) { return find_star(text) ? text : arena_format(arena, "%s.*", text); }
