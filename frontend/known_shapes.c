/* known_shapes.c - what shapes of a file of weights or of reference data say about sizes. */
#include "frontend/elaborate.h"

enum { MOST_AXES = 16 };

const KnownShape *known_shape(const Elaboration *elaboration, const char *kind, const char *name) {
  size_t length = strlen(kind);
  for (int n = 0; n < elaboration->options->known_shape_count; n++) {
    const KnownShape *shape = &elaboration->options->known_shapes[n];
    if (!strncmp(shape->name, kind, length) && shape->name[length] == '.' && !strcmp(shape->name + length + 1, name))
      return shape;
  }
  return NULL;
}

static const char *shape_text(Elaboration *elaboration, const KnownShape *shape) {
  Text text = {.arena = elaboration->arena};
  text_add(&text, "(");
  for (int n = 0; n < shape->rank; n++) text_format(&text, "%s%lld", n ? ", " : "", (long long)shape->shape[n]);
  text_add(&text, ")");
  return text_string(&text);
}

static const char *shape_origin(Elaboration *elaboration, const KnownShape *shape) {
  const char *path = shape->path;
  return arena_format(elaboration->arena, "'%s' %s%s%s", shape->name, shape_text(elaboration, shape), path ? " of " : "",
                      path ? path : "");
}

static void set_axis(Elaboration *elaboration, Cell *cell, const KnownShape *shape, int axis, SourceRange where,
                     const char *name) {
  Cell *root = cell_root(cell);
  if (root->is_known && root->size.symbol != NONE) return; /* any length will do */
  SourceRange nowhere = {0};
  cell_set(elaboration, cell, size_constant(shape->shape[axis]), nowhere, shape_origin(elaboration, shape), where,
           arena_format(elaboration->arena, "axis %d of '%s'", axis + 1, name));
}

/* A tensor whose file form has the batch at `batch_axis`, unless it is common or a scalar over the batch. */
static void apply_batched(Elaboration *elaboration, const char *kind, const char *name, int rank, Cell *const *axes,
                          int batch_axis, SourceRange where) {
  const KnownShape *shape = known_shape(elaboration, kind, name);
  if (!shape) return;
  if (shape->rank == rank && (batch_axis == NONE || rank == 0)) batch_axis = NONE;
  else if (shape->rank != rank + (batch_axis != NONE)) {
    ERROR_AT(elaboration, where, "'%s' has %d axes%s, but %s has %d", name, rank + (batch_axis != NONE),
             batch_axis != NONE ? " with the batch" : "", shape_origin(elaboration, shape), shape->rank);
    return;
  }
  for (int n = 0; n < rank; n++) set_axis(elaboration, axes[n], shape, n + (batch_axis != NONE && n >= batch_axis), where, name);
}

/* "conv.{}" has a tensor in the file for each turn, without the axis that counts them. */
static void apply_state(Elaboration *elaboration, const char *kind, const StateEntry *state) {
  const char *name = state->name, *turn = strstr(name, "{}");
  int turns = turn && state->initial->rank ? 1 : 0;
  if (turns) name = arena_format(elaboration->arena, "%.*s0%s", (int)(turn - name), name, turn + 2);
  apply_batched(elaboration, kind, name, state->initial->rank - turns, state->initial->axes + turns,
                state->batch_axis == NONE ? NONE : state->batch_axis - turns, state->node->source);
}

/* A complex output has one more axis in a file, as an input has in its tensor. */
static void apply_output(Elaboration *elaboration, const PortEntry *port) {
  int rank = port->name->declared_rank;
  bool is_complex = port->name->declared_type && !strcmp(port->name->declared_type, COMPLEX_TYPE);
  Cell **axes = ARENA_ARRAY(elaboration->arena, Cell *, rank + 1);
  for (int n = 0; n < rank; n++) axes[n] = port->name->declared[n];
  axes[rank] = cell_create(elaboration);
  if (is_complex) cell_set(elaboration, axes[rank], size_constant(2), port->node->source, "': complex'", port->node->source, "");
  apply_batched(elaboration, "output", port->node->text, rank + is_complex, axes, port->batch_axis, port->node->source);
}

static void apply_parameter(Elaboration *elaboration, Parameter *parameter) {
  const KnownShape *shape = known_shape(elaboration, "param", parameter->first_name);
  if (!shape) return;
  const Entity *entity = parameter->entity;
  int rank = entity->rank - entity->outer_count;
  Cell **axes = parameter->stored_rank >= 0 ? parameter->stored : entity->axes + entity->outer_count;
  int stored_rank = parameter->stored_rank >= 0 ? parameter->stored_rank : rank;
  if (shape->rank == stored_rank) {
    for (int n = 0; n < stored_rank; n++) set_axis(elaboration, axes[n], shape, n, entity->source, parameter->first_name);
  } else if (parameter->stored_rank >= 0 || shape->rank > rank) {
    ERROR_AT(elaboration, entity->source, "'%s' has %d axes, but %s has %d", parameter->first_name, stored_rank,
             shape_origin(elaboration, shape), shape->rank);
  } else {
    Constraint constraint = {.kind = CONSTRAINT_STORED, .parameter = parameter, .source = entity->source};
    constraint_add(elaboration, constraint);
  }
}

/* Finds the ways to merge consecutive declared axes into the stored ones. */
typedef struct Grouping {
  const KnownShape *shape;
  Cell **axes;
  int rank, found;
  int ends[MOST_AXES], best[MOST_AXES];
} Grouping;

static void group_from(Grouping *grouping, int stored, int axis) {
  if (stored == grouping->shape->rank) {
    if (axis != grouping->rank) return;
    if (grouping->found++ == 0) memcpy(grouping->best, grouping->ends, sizeof grouping->ends);
    return;
  }
  int64_t product = 1;
  int unknown = 0;
  for (int end = axis + 1; end <= grouping->rank - (grouping->shape->rank - stored - 1); end++) {
    const Cell *cell = cell_root(grouping->axes[end - 1]);
    if (!cell->is_known) unknown++;
    else if (__builtin_mul_overflow(product, cell->size.constant, &product) || product > grouping->shape->shape[stored]) return;
    if (unknown == 0 ? product != grouping->shape->shape[stored] : grouping->shape->shape[stored] % product != 0) continue;
    grouping->ends[stored] = end;
    group_from(grouping, stored + 1, end);
  }
}

void solve_stored(Elaboration *elaboration, Constraint *constraint) {
  Parameter *parameter = constraint->parameter;
  const Entity *entity = parameter->entity;
  Grouping grouping = {.shape = known_shape(elaboration, "param", parameter->first_name)};
  grouping.axes = entity->axes + entity->outer_count;
  grouping.rank = entity->rank - entity->outer_count;
  if (grouping.rank > MOST_AXES) return;
  group_from(&grouping, 0, 0);
  if (grouping.found == 0) {
    ERROR_AT(elaboration, constraint->source, "the axes of '%s' cannot be merged to %s", parameter->first_name,
             shape_origin(elaboration, grouping.shape));
    constraint->is_done = true;
    return;
  }
  if (grouping.found > 1) return;
  int unknown_count = 0;
  for (int stored = 0, axis = 0; stored < grouping.shape->rank; axis = grouping.best[stored++]) {
    int64_t product = 1;
    Cell *unknown = NULL;
    int open = 0, at = 0;
    for (int n = axis; n < grouping.best[stored]; n++) {
      Cell *cell = cell_root(grouping.axes[n]);
      if (cell->is_known) product *= cell->size.constant;
      else if (unknown != cell) unknown = cell, open++, at = n;
    }
    SourceRange nowhere = {0};
    if (open == 1)
      cell_set(elaboration, unknown, size_constant(grouping.shape->shape[stored] / product), nowhere,
               shape_origin(elaboration, grouping.shape), constraint->source,
               arena_format(elaboration->arena, "axis %d of '%s'", at + 1, parameter->first_name));
    unknown_count += open > 1;
  }
  if (unknown_count) return;
  constraint->is_done = true;
  parameter->stored_rank = grouping.shape->rank;
  parameter->stored = ARENA_ARRAY(elaboration->arena, Cell *, grouping.shape->rank);
  for (int n = 0; n < grouping.shape->rank; n++) {
    parameter->stored[n] = cell_create(elaboration);
    cell_set(elaboration, parameter->stored[n], size_constant(grouping.shape->shape[n]), constraint->source, NULL,
             constraint->source, "");
  }
}

void apply_known_shapes(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->parameter_count; n++) apply_parameter(elaboration, elaboration->parameters[n]);
  for (int n = 0; n < elaboration->input_count; n++) {
    const PortEntry *port = &elaboration->inputs[n];
    apply_batched(elaboration, "input", port->node->text, port->entity->rank, port->entity->axes, port->batch_axis,
                  port->node->source);
  }
  for (int n = 0; n < elaboration->output_count; n++) apply_output(elaboration, &elaboration->outputs[n]);
  for (int n = 0; n < elaboration->state_count; n++) {
    apply_state(elaboration, "state", &elaboration->states[n]);
    apply_state(elaboration, "state0", &elaboration->states[n]);
  }
}
