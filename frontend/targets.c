/* targets.c - left sides: the indices they bind, and the case of a tensor that an equation is. */
#include "frontend/elaborate.h"

static void add_variable(Elaboration *elaboration, Case *part, const Environment **environment, const char *name,
                         SourceRange source) {
  Variable *variable = variable_create(elaboration, name, source);
  ARENA_PUSH(elaboration->arena, part->variables, part->variable_count, variable);
  *environment = environment_bind(elaboration, *environment, name, term_variable(elaboration, TERM_INDEX, variable, source));
}

/* `k in 1..K`: the equation holds for these positions only. */
static void add_range(Elaboration *elaboration, const TargetEntry *entry, Case *part, const Environment **environment,
                      const Node *item) {
  if (is_bound_name(elaboration, entry->scope, item->text)) {
    ERROR_AT(elaboration, item->source, "'%s' cannot be an index here: it has another meaning", item->text);
    return;
  }
  add_variable(elaboration, part, environment, item->text, item->source);
  Variable *variable = part->variables[part->variable_count - 1];
  variable->low = item->left;
  variable->high = item->right;
  variable->scope = entry->scope;
  Constraint range = {.kind = CONSTRAINT_RANGE, .variable = variable, .source = item->source};
  constraint_add(elaboration, range);
}

/* Binds the names of a subscript that mean nothing yet. */
static void bind_subscript(Elaboration *elaboration, const TargetEntry *entry, Case *part, const Environment **environment,
                           const Node *item) {
  if (!item) return;
  if (item->kind == NODE_NAME) {
    if (is_bound_name(elaboration, entry->scope, item->text)) return;
    if (environment_find(*environment, item->text))
      ERROR_AT(elaboration, item->source, "index '%s' stands twice on the left side", item->text);
    else add_variable(elaboration, part, environment, item->text, item->source);
    return;
  }
  bind_subscript(elaboration, entry, part, environment, item->left);
  bind_subscript(elaboration, entry, part, environment, item->right);
}

static void add_case(Elaboration *elaboration, Entity *entity, Case *part) {
  (void)elaboration;
  ARENA_PUSH(elaboration->arena, entity->cases, entity->case_count, part);
}

static void resolve_target(Elaboration *elaboration, const TargetEntry *entry) {
  const View *view = entry->view;
  if (!view || !view->entity) return;
  const Node *target = entry->target;
  Case *part = ARENA_NEW(elaboration->arena, Case);
  part->scope = entry->scope;
  part->target = target;
  part->node = entry->node;
  const Environment *environment = environment_root(elaboration, entry->scope, entry->position);
  int given = target->kind == NODE_READ ? target->items.count : 0;
  if (target->right) ERROR_AT(elaboration, target->right->source, "the left side takes no 'where'");
  if (given != view->rank) {
    ERROR_AT(elaboration, target->source, "'%s' has %d axes, but the left side has %d indices", target->text, view->rank, given);
    NOTE_AT(elaboration, entry->name->source, "it is declared here");
    return;
  }
  const Term **subscripts = ARENA_ARRAY(elaboration->arena, const Term *, given);
  for (int n = 0, colons = 0; n < given; n++) {
    const Node *item = target->items.nodes[n];
    if (item->kind == NODE_COLON) {
      add_variable(elaboration, part, &environment, arena_format(elaboration->arena, ":%d", colons++), item->source);
      subscripts[n] = environment->term;
    } else if (item->kind == NODE_RANGE) {
      add_range(elaboration, entry, part, &environment, item);
      subscripts[n] = environment->kind == BIND_TERM ? environment->term : term_create(elaboration, TERM_INTEGER, item->source);
    } else {
      bind_subscript(elaboration, entry, part, &environment, item);
      subscripts[n] = resolve(elaboration, environment, item, 0);
    }
  }
  part->subscripts = resolve_view(elaboration, view, subscripts, target->source)->args;
  part->value = resolve(elaboration, environment, entry->value, 0);
  add_case(elaboration, view->entity, part);
  constrain_term(elaboration, part->value);
}

void resolve_targets(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->target_count; n++) resolve_target(elaboration, &elaboration->targets[n]);
}

/* incoming[l, ...] = what the turn before left, before the first turn what was there before the repeat */
static void resolve_carry(Elaboration *elaboration, const CarryEntry *entry) {
  const View *defined = entry->name->defined;
  if (!defined || !defined->entity || !entry->before->entity) {
    if (entry->before->constant)
      ERROR_AT(elaboration, entry->node->source, "'%s' is a constant before the repeat and cannot be carried", entry->name->text);
    return;
  }
  SourceRange source = entry->node->source;
  Case *part = ARENA_NEW(elaboration->arena, Case);
  part->scope = entry->scope;
  part->target = part->node = entry->node;
  const Term **subscripts = ARENA_ARRAY(elaboration->arena, const Term *, defined->rank);
  for (int n = 0; n < defined->rank; n++) {
    Variable *variable = variable_create(elaboration, arena_format(elaboration->arena, ":%d", n), source);
    ARENA_PUSH(elaboration->arena, part->variables, part->variable_count, variable);
    subscripts[n] = term_variable(elaboration, TERM_INDEX, variable, source);
  }
  part->subscripts =
      resolve_view(elaboration, view_of_entity(elaboration, (Scope *)entry->scope, entry->incoming), subscripts, source)->args;
  Term *read = (Term *)resolve_view(elaboration, defined, subscripts, source);
  Term *one = term_create(elaboration, TERM_INTEGER, source);
  one->integer = 1;
  for (int n = 0; n < read->count; n++) {
    if (read->args[n]->kind != TERM_RAW || read->args[n]->variable != entry->scope->turn) continue;
    const Term *args[] = {read->args[n], one};
    read->args[n] = term_call(elaboration, builtin_find("-", false), source, 2, args);
  }
  read->outside = resolve_view(elaboration, entry->before, subscripts, source);
  part->value = read;
  add_case(elaboration, entry->incoming, part);
  constrain_term(elaboration, read);
}

void resolve_carries(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->carry_count; n++) resolve_carry(elaboration, &elaboration->carries[n]);
}

void resolve_objective(Elaboration *elaboration) {
  if (!elaboration->objective) return;
  const Node *node = elaboration->objective->node;
  Entity *entity = entity_create(elaboration, elaboration->objective, ROLE_LOCAL, node->text, 0, node->source);
  entity->has_type = true;
  Case *part = ARENA_NEW(elaboration->arena, Case);
  part->scope = elaboration->objective;
  part->target = part->node = node;
  part->subscripts = ARENA_ARRAY(elaboration->arena, const Term *, 0);
  part->value = resolve(elaboration, environment_root(elaboration, elaboration->objective, INT_MAX), node->left, 0);
  add_case(elaboration, entity, part);
  constrain_term(elaboration, part->value);
  elaboration->objective_row = entity;
}

/* ---- where indices stand ---- */

typedef struct Conditions { /* the `if`s around */
  const struct Conditions *outer;
  const Term *condition;
} Conditions;

static bool uses_variable(const Term *term, const Variable *variable, int depth) {
  if ((term->kind == TERM_INDEX || term->kind == TERM_RAW) && term->variable == variable) return true;
  if (depth > 40) return true;
  for (int n = 0; n < term->count; n++)
    if (uses_variable(term->args[n], variable, depth + 1)) return true;
  return false;
}

/* An index that a condition around speaks of may leave out a part of the axis, so it says nothing about sizes by itself. */
static void stand(Elaboration *elaboration, const Term *read, int axis, const Conditions *conditions) {
  const Term *index = read->args[axis];
  Variable *variable = index->kind == TERM_INDEX || index->kind == TERM_RAW ? index->variable : NULL;
  if (!variable || variable->low || variable->is_batch) return;
  bool is_weak = false;
  for (; conditions; conditions = conditions->outer) is_weak |= uses_variable(conditions->condition, variable, 0);
  const char *what = variable->name[0] == ':' ? arena_format(elaboration->arena, "axis %d of '%s'", axis + 1, read->entity->name)
                                              : arena_format(elaboration->arena, "index '%s' at axis %d of '%s'", variable->name,
                                                             axis + 1 - read->entity->outer_count, read->entity->name);
  SourceRange source = index->source.file ? index->source : read->source;
  bool is_table = read->entity->role == ROLE_PARAMETER && variable->name[0] != ':';
  if (!is_weak && !is_table) {
    cell_merge(elaboration, variable->extent, read->entity->axes[axis], source, what);
    return;
  }
  Constraint constraint = {.kind = is_weak ? CONSTRAINT_STAND : CONSTRAINT_TABLE,
                           .is_weak = is_weak,
                           .cell = variable->extent,
                           .other = read->entity->axes[axis],
                           .source = source,
                           .what = what};
  constraint_add(elaboration, constraint);
}

static void walk(Elaboration *elaboration, const Term *term, const Conditions *conditions) {
  if (term->is_walked) return;
  ((Term *)term)->is_walked = true;
  if (term->kind == TERM_READ)
    for (int n = 0; n < term->count; n++) stand(elaboration, term, n, conditions);
  Conditions inner = {conditions, term->kind == TERM_IF ? term->args[0] : NULL};
  for (int n = 0; n < term->count; n++) walk(elaboration, term->args[n], term->kind == TERM_IF && n > 0 ? &inner : conditions);
  if (term->guard) walk(elaboration, term->guard, conditions);
  if (term->outside) walk(elaboration, term->outside, conditions);
}

void constrain_term(Elaboration *elaboration, const Term *term) { walk(elaboration, term, NULL); }

static const Term *plain_subscript(const Case *part, int axis) {
  const Term *term = part->subscripts[axis];
  bool is_index = term->kind == TERM_INDEX || term->kind == TERM_RAW;
  return is_index && !term->variable->low ? term : NULL;
}

static bool is_constant_subscript(const Term *term) {
  if (term->kind == TERM_INDEX || term->kind == TERM_RAW) return false;
  for (int n = 0; n < term->count; n++)
    if (!is_constant_subscript(term->args[n])) return false;
  return true;
}

/* -1, T, T + 1: what lies before or after; a plain number is a case. */
static bool looks_like_boundary(const Term *term) { return is_constant_subscript(term) && term->kind != TERM_INTEGER; }

static void constrain_axis(Elaboration *elaboration, Entity *entity, int axis) {
  bool has_parts = false;
  for (int n = 0; n < entity->case_count; n++)
    has_parts |= !plain_subscript(entity->cases[n], axis) && !looks_like_boundary(entity->cases[n]->subscripts[axis]);
  const char *what = arena_format(elaboration->arena, "axis %d of '%s'", axis + 1 - entity->outer_count, entity->name);
  for (int n = 0; n < entity->case_count; n++) {
    const Term *term = plain_subscript(entity->cases[n], axis);
    if (!term) continue;
    if (!has_parts) {
      const char *standing = term->variable->name[0] == ':'
                                 ? what
                                 : arena_format(elaboration->arena, "index '%s' at %s", term->variable->name, what);
      cell_merge(elaboration, term->variable->extent, entity->axes[axis], term->source, standing);
      continue;
    }
    Constraint constraint = {.kind = CONSTRAINT_STAND,
                             .is_weak = true,
                             .cell = term->variable->extent,
                             .other = entity->axes[axis],
                             .source = term->source,
                             .what = what};
    constraint_add(elaboration, constraint);
  }
  if (!has_parts) return;
  Constraint constraint = {.kind = CONSTRAINT_AXIS_OF_CASES,
                           .is_weak = true,
                           .cell = entity->axes[axis],
                           .entity = entity,
                           .axis = axis,
                           .source = entity->source,
                           .what = what};
  constraint_add(elaboration, constraint);
}

void constrain_targets(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->entity_count; n++)
    for (int axis = elaboration->entities[n]->outer_count;
         axis < elaboration->entities[n]->rank && elaboration->entities[n]->case_count; axis++)
      constrain_axis(elaboration, elaboration->entities[n], axis);
}
