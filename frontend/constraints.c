/* constraints.c - solving sizes: every constraint is tried until nothing more follows, then weak ones, one at a time. */
#include "frontend/elaborate.h"

Constraint *constraint_add(Elaboration *elaboration, Constraint constraint) {
  ARENA_PUSH(elaboration->arena, elaboration->constraints, elaboration->constraint_count, constraint);
  return &elaboration->constraints[elaboration->constraint_count - 1];
}

/* Solves `node` = `size` for the one size in it that is unknown. */
static bool solve_for(Elaboration *elaboration, Scope *scope, const Node *node, Size size, const Constraint *why) {
  if (node->kind == NODE_NAME) {
    Name *name = scope_find(scope, node->text, NULL);
    if (!name || !name->cell) return false;
    Cell *from = cell_root(why->cell);
    if (size.symbol == NONE && size.constant < 1) return false;
    cell_set(elaboration, name->cell, size, from->source, from->origin, node->source,
             arena_format(elaboration->arena, "'%s'", node->text));
    return true;
  }
  if (node->kind != NODE_BINARY || size.symbol != NONE) return false;
  Value left = evaluate(elaboration, scope, node->left, false), right = evaluate(elaboration, scope, node->right, false);
  bool is_left_known = left.kind == VALUE_SIZE && left.size.symbol == NONE;
  bool is_right_known = right.kind == VALUE_SIZE && right.size.symbol == NONE;
  if (is_left_known == is_right_known) return false;
  int64_t known = is_left_known ? left.size.constant : right.size.constant, value = size.constant;
  const Node *open = is_left_known ? node->right : node->left;
  switch (node->text[0]) {
  case '+': value -= known; break;
  case '-': value = is_left_known ? known - value : value + known; break;
  case '*':
    if (known == 0 || value % known != 0) return false;
    value /= known;
    break;
  case '/':
    if (is_left_known) return false;
    value *= known;
    break;
  default: return false;
  }
  return solve_for(elaboration, scope, open, size_constant(value), why);
}

static bool try_size(Elaboration *elaboration, Constraint *constraint, bool with_defaults) {
  Value value = evaluate(elaboration, constraint->scope, constraint->node, with_defaults);
  Cell *cell = cell_root(constraint->cell);
  if (value.kind == VALUE_UNKNOWN || value.kind == VALUE_ABSENT) {
    if (!cell->is_known || !solve_for(elaboration, constraint->scope, constraint->node, cell->size, constraint)) return false;
    value = evaluate(elaboration, constraint->scope, constraint->node, with_defaults);
  }
  constraint->is_done = true;
  if (value.kind == VALUE_SIZE) {
    if (value.size.symbol == NONE && value.size.constant < 1)
      ERROR_AT(elaboration, constraint->source, "%s has size %lld, expected at least 1", constraint->what,
               (long long)value.size.constant);
    else cell_set(elaboration, cell, value.size, constraint->source, NULL, constraint->source, constraint->what);
  } else if (value.kind != VALUE_ERROR) {
    ERROR_AT(elaboration, constraint->source, "%s: expected an integer, found %s", constraint->what,
             value.kind == VALUE_STRING ? "a string"
             : value.kind == VALUE_REAL ? "a real number"
                                        : "a truth value");
  }
  return true;
}

static bool try_range(Elaboration *elaboration, Constraint *constraint, bool with_defaults) {
  Variable *variable = constraint->variable;
  Value low = evaluate(elaboration, variable->scope, variable->low, with_defaults);
  Value high = evaluate(elaboration, variable->scope, variable->high, with_defaults);
  if (low.kind == VALUE_ERROR || high.kind == VALUE_ERROR) return constraint->is_done = true;
  if (low.kind == VALUE_UNKNOWN || high.kind == VALUE_UNKNOWN) return false;
  constraint->is_done = true;
  if (low.kind != VALUE_SIZE || high.kind != VALUE_SIZE || low.size.symbol != NONE) {
    ERROR_AT(elaboration, constraint->source, "the range of '%s' is not given by integers", variable->name);
    return true;
  }
  variable->offset = low.size.constant;
  Size extent = {high.size.symbol, high.size.constant - low.size.constant};
  if (extent.symbol == NONE && extent.constant < 1)
    ERROR_AT(elaboration, constraint->source, "the range of '%s' is empty: %lld..%lld", variable->name,
             (long long)low.size.constant, (long long)high.size.constant);
  else
    cell_set(elaboration, variable->extent, extent, constraint->source, NULL, constraint->source,
             arena_format(elaboration->arena, "the range of '%s'", variable->name));
  return true;
}

/* A length known at run time runs over the first rows of a parameter; anything else has the size of the axis. */
static bool try_table(Elaboration *elaboration, Constraint *constraint) {
  Cell *index = cell_root(constraint->cell), *axis = cell_root(constraint->other);
  bool is_length = index->is_known && index->size.symbol != NONE;
  if (is_length && !axis->is_known) return false;
  constraint->is_done = true;
  if (is_length && axis->size.symbol == NONE) return true;
  return cell_merge(elaboration, constraint->cell, constraint->other, constraint->source, constraint->what);
}

/* An axis that only cases give: it ends where the last of them ends. */
static bool try_axis_of_cases(Elaboration *elaboration, Constraint *constraint) {
  const Entity *entity = constraint->entity;
  Size end = size_constant(0);
  for (int n = 0; n < entity->case_count; n++) {
    const Term *subscript = entity->cases[n]->subscripts[constraint->axis];
    int64_t offset = 0;
    if (subscript->kind == TERM_CALL && subscript->count == 2 && subscript->builtin->op == OP_ADD) {
      const Term *other = subscript->args[0]->kind == TERM_INDEX ? subscript->args[1] : subscript->args[0];
      if (other->kind == TERM_INTEGER) offset = other->integer;
      if (other->kind == TERM_SIZE && cell_size(other->cell).symbol == NONE) offset = cell_size(other->cell).constant;
      subscript = subscript->args[0]->kind == TERM_INDEX ? subscript->args[0] : subscript->args[1];
    }
    Size high = size_constant(0);
    if (subscript->kind == TERM_INTEGER) high = size_constant(subscript->integer + 1);
    if (subscript->kind == TERM_INDEX || subscript->kind == TERM_RAW) {
      if (!cell_root(subscript->variable->extent)->is_known) return false;
      high = cell_size(subscript->variable->extent);
      high.constant += offset + subscript->variable->offset;
    }
    if (high.symbol != NONE || (end.symbol == NONE && high.constant > end.constant)) end = high;
  }
  if (end.symbol == NONE && end.constant < 1) return false;
  constraint->is_done = true;
  cell_set(elaboration, constraint->cell, end, constraint->source, NULL, constraint->source, constraint->what);
  return true;
}

static bool try_constraint(Elaboration *elaboration, Constraint *constraint, bool is_weak_turn) {
  switch (constraint->kind) {
  case CONSTRAINT_SIZE: return try_size(elaboration, constraint, is_weak_turn);
  case CONSTRAINT_RANGE: return try_range(elaboration, constraint, is_weak_turn);
  case CONSTRAINT_STORED: solve_stored(elaboration, constraint); return constraint->is_done;
  case CONSTRAINT_STAND:
    if (cell_root(constraint->cell)->is_known || !cell_root(constraint->other)->is_known) return false;
    constraint->is_done = true;
    return cell_merge(elaboration, constraint->cell, constraint->other, constraint->source, constraint->what);
  case CONSTRAINT_TABLE: return try_table(elaboration, constraint);
  case CONSTRAINT_AXIS_OF_CASES:
    if (!cell_root(constraint->cell)->is_known) return try_axis_of_cases(elaboration, constraint);
    return constraint->is_done = true;
  }
  return false;
}

/* With defaults: one constant (`config.x or 3`) that nothing else gave. Backwards on every other turn, so that long
 * chains of constants are followed quickly in either direction. */
static bool try_constants(Elaboration *elaboration, bool with_defaults, bool is_backwards) {
  bool has_progress = false;
  int count = elaboration->constant_count;
  for (int n = 0; n < count && !(has_progress && with_defaults); n++) {
    Name *name = elaboration->constants[is_backwards ? count - 1 - n : n];
    if (name->known.kind != VALUE_UNKNOWN) continue;
    name_value(elaboration, name, with_defaults);
    has_progress |= name->known.kind != VALUE_UNKNOWN;
  }
  return has_progress;
}

/* Gives a value to one size that nothing else gives: first those of the model, whose shapes the others follow. */
static bool choose_size(Elaboration *elaboration) {
  const FrontendOptions *options = elaboration->options;
  if (!options->free_size_count) return false;
  const Name *open = NULL;
  for (int n = 0; n < elaboration->size_count; n++) {
    const Name *name = elaboration->sizes[n];
    if (!cell_root(name->cell)->is_known && (!open || (open->value_scope->call && !name->value_scope->call))) open = name;
  }
  for (int n = 0; n < elaboration->constant_count && !open; n++) {
    const Name *name = elaboration->constants[n];
    bool is_config = name->value && name->value->kind == NODE_NAME && !strncmp(name->value->text, "config.", 7);
    if (name->known.kind == VALUE_UNKNOWN && !cell_root(name->cell)->is_known && is_config) open = name;
  }
  if (!open) return false;
  int64_t value = options->free_sizes[elaboration->chosen_count % options->free_size_count];
  bool is_length = value == 0 && open->is_input_size && open->kind == NAME_SIZE;
  ChosenSize chosen = {open->text, is_length || value > 0 ? value : 1};
  ARENA_PUSH(elaboration->arena, elaboration->chosen, elaboration->chosen_count, chosen);
  Size size = is_length ? size_symbol(program_add_symbol(elaboration->draft, SYMBOL_LENGTH, open->text)) : size_constant(chosen.value);
  return cell_set(elaboration, open->cell, size, open->source, NULL, open->source, open->text);
}

void solve_sizes(Elaboration *elaboration, bool with_weak) {
  int first = 0;
  for (bool is_backwards = false;; is_backwards = !is_backwards) {
    bool has_progress = try_constants(elaboration, false, is_backwards);
    while (first < elaboration->constraint_count && elaboration->constraints[first].is_done) first++;
    for (int n = first; n < elaboration->constraint_count; n++) {
      Constraint *constraint = &elaboration->constraints[n];
      if (!constraint->is_done && !constraint->is_weak) has_progress |= try_constraint(elaboration, constraint, false);
    }
    if (has_progress) continue;
    if (!with_weak) return;
    if (try_constants(elaboration, true, false)) continue;
    for (int n = first; n < elaboration->constraint_count && !has_progress; n++) {
      Constraint *constraint = &elaboration->constraints[n];
      if (!constraint->is_done) has_progress = try_constraint(elaboration, constraint, true);
    }
    if (!has_progress && !choose_size(elaboration)) return;
  }
}
