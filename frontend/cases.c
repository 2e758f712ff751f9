/* cases.c - equations of one tensor: one that holds everywhere, or parts that must tile it, joined by `select`. */
#include "frontend/elaborate.h"

/* ---- sizes that nothing gave ---- */

static void mark_reported(Cell *cell) {
  cell = cell_root(cell);
  cell->is_known = true;
  cell->size = size_constant(1);
}

/* A constant that differs between turns, and that shapes know as a size: `unroll` is for those. */
static void check_turns(Elaboration *elaboration, Name *name, Name *turn) {
  const Cell *cell = cell_root(name->cell);
  for (int64_t n = 0; cell->is_known && n < cell_size(turn->turn->extent).constant; n++) {
    int64_t number = turn->turn->offset + n;
    Value value = value_at_turn(elaboration, name, turn, number);
    if (value.kind == VALUE_ERROR || (value.kind == VALUE_SIZE && size_equal(value.size, cell->size))) continue;
    ERROR_AT(elaboration, name->source, "the size '%s' is %s in turn %lld of '%s' and %s elsewhere: sizes may differ in 'unroll' only",
             name->text, value.kind == VALUE_SIZE ? size_text(elaboration, value.size) : "no integer", (long long)number, turn->text,
             size_text(elaboration, cell->size));
    NOTE_AT(elaboration, cell->source, "%s comes from %s", size_text(elaboration, cell->size), cell->origin ? cell->origin : "here");
    return;
  }
}

void report_open_sizes(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->size_count; n++) {
    const Name *name = elaboration->sizes[n];
    if (cell_root(name->cell)->is_known) continue;
    if (name->value_scope->call) {
      ERROR_AT(elaboration, name->value_scope->call->source, "nothing gives the size '%s' of '%s': pass %s = VALUE in the call",
               name->text, name->value_scope->node->text, name->text);
      NOTE_AT(elaboration, name->source, "it is named here");
    } else {
      ERROR_AT(elaboration, name->source, "nothing gives the size '%s': use -D %s=VALUE, or 'const %s = VALUE'%s", name->text,
               name->text, name->text, name->is_input_size ? ", or 'length' if it is known at run time only" : "");
    }
    mark_reported(name->cell);
  }
  for (int n = 0; n < elaboration->constant_count; n++) {
    Name *name = elaboration->constants[n];
    if (name->known.kind != VALUE_UNKNOWN) continue;
    Name *turn = turn_of_constant(elaboration, name);
    if (turn) check_turns(elaboration, name, turn);
    if (turn || cell_root(name->cell)->is_known) continue;
    bool is_config = name->value->kind == NODE_NAME && !strncmp(name->value->text, "config.", 7);
    ERROR_AT(elaboration, name->source,
             is_config ? "nothing gives the constant '%s': the config has no '%s'" : "nothing gives the constant '%s'",
             name->text, is_config ? name->value->text + 7 : "");
    mark_reported(name->cell);
  }
  for (int n = 0; n < elaboration->variable_count; n++) {
    Variable *variable = elaboration->variables[n];
    if (cell_root(variable->extent)->is_known) continue;
    ERROR_AT(elaboration, variable->source,
             "nothing gives the range of index '%s': it stands alone at no axis of known size; write '%s in 0..N'",
             variable->name, variable->name);
    mark_reported(variable->extent);
  }
  for (int n = 0; n < elaboration->entity_count; n++) {
    Entity *entity = elaboration->entities[n];
    for (int axis = 0; axis < entity->rank; axis++) {
      if (cell_root(entity->axes[axis])->is_known) continue;
      ERROR_AT(elaboration, entity->source, "nothing gives the size of axis %d of '%s'", axis + 1 - entity->outer_count,
               entity->name);
      mark_reported(entity->axes[axis]);
    }
  }
}

void create_tensors(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->entity_count; n++) {
    Entity *entity = elaboration->entities[n];
    Size *shape = ARENA_ARRAY(elaboration->arena, Size, entity->rank);
    for (int axis = 0; axis < entity->rank; axis++) shape[axis] = cell_size(entity->axes[axis]);
    entity->id = draft_tensor(elaboration, entity, entity->name, entity->type, entity->rank, shape, entity->source);
  }
}

/* ---- the place of a case ---- */

typedef struct Span { /* low <= axis < high */
  Size low, high;
  IndexId index; /* NONE: one position */
  int64_t offset;
} Span;

static bool find_span(Elaboration *elaboration, const Expr *subscript, Span *out_span) {
  Affine affine;
  if (!expr_affine(subscript, &affine) || affine.term_count > 1) return false;
  *out_span = (Span){size_constant(affine.constant), size_constant(affine.constant + 1), NONE, affine.constant};
  if (affine.term_count == 0) return true;
  if (affine.terms[0].coefficient != 1) return false;
  if (affine.terms[0].is_symbol) {
    out_span->low.symbol = out_span->high.symbol = affine.terms[0].id;
    return true;
  }
  out_span->index = affine.terms[0].id;
  out_span->high = elaboration->draft->indices[out_span->index].high;
  out_span->high.constant += affine.constant;
  return true;
}

static const Expr *build_subscript(Elaboration *elaboration, const Term *term) {
  Builder builder = {.elaboration = elaboration};
  return build_as(&builder, term, TYPE_INT);
}

/* A run-time size is larger than any constant here. */
static bool is_below(Size a, Size b) { return a.symbol == b.symbol ? a.constant < b.constant : a.symbol == NONE; }

bool case_is_boundary(Elaboration *elaboration, const Entity *entity, const Case *part, Surround *out_surround) {
  for (int axis = 0; axis < entity->rank; axis++) {
    Span span;
    if (!find_span(elaboration, build_subscript(elaboration, part->subscripts[axis]), &span)) continue;
    Size extent = cell_size(entity->axes[axis]);
    bool is_before = span.low.symbol == NONE && span.low.constant < 0 && span.high.symbol == NONE && span.high.constant <= 0;
    bool is_after = span.index == NONE && !is_below(span.low, extent);
    if (!is_before && !is_after) continue;
    int64_t start = is_after ? extent.constant : 0;
    *out_surround = (Surround){axis, is_after, span.low.constant - start, span.high.constant - start, span.index};
    return true;
  }
  return false;
}

typedef struct Part {
  Case *part;
  Span *spans;
} Part;

typedef struct Tiling {
  Elaboration *elaboration;
  Entity *entity;
  int count;
  Part *parts;
} Tiling;

static bool find_part(Elaboration *elaboration, const Entity *entity, Case *part, Part *out_part) {
  out_part->part = part;
  out_part->spans = ARENA_ARRAY(elaboration->arena, Span, entity->rank);
  for (int axis = 0; axis < entity->rank; axis++) {
    Span *span = &out_part->spans[axis];
    if (!find_span(elaboration, build_subscript(elaboration, part->subscripts[axis]), span)) {
      ERROR_AT(elaboration, part->target->source, "an index on the left side is a number, a name or their sum");
      return false;
    }
    Size extent = cell_size(entity->axes[axis]);
    bool is_outside = (span->low.symbol == NONE && span->low.constant < 0) || is_below(extent, span->high);
    if (!is_outside) continue;
    ERROR_AT(elaboration, part->target->source,
             "index out of range: '%s' has %s elements on axis %d, the left side reaches from %s to %s", entity->name,
             size_text(elaboration, extent), axis + 1 - entity->outer_count, size_text(elaboration, span->low),
             size_text(elaboration, (Size){span->high.symbol, span->high.constant - 1}));
    return false;
  }
  return true;
}

static bool check_overlap(const Tiling *tiling) {
  for (int n = 0; n < tiling->count; n++)
    for (int m = 0; m < n; m++) {
      bool is_apart = false;
      for (int axis = 0; axis < tiling->entity->rank; axis++) {
        const Span *a = &tiling->parts[n].spans[axis], *b = &tiling->parts[m].spans[axis];
        is_apart |= !is_below(a->low, b->high) || !is_below(b->low, a->high);
      }
      if (is_apart) continue;
      ERROR_AT(tiling->elaboration, tiling->parts[n].part->target->source, "'%s' is defined twice here", tiling->entity->name);
      NOTE_AT(tiling->elaboration, tiling->parts[m].part->target->source, "the other equation is here");
      return false;
    }
  return true;
}

/* The parts do not overlap, so at a corner of the grid of their borders at most one holds; where none does is a gap. */
static bool is_covered_from(const Tiling *tiling, int axis, Size *corner) {
  if (axis == tiling->entity->rank) {
    for (int n = 0; n < tiling->count; n++) {
      bool holds = true;
      for (int other = 0; other < axis; other++)
        holds &= !is_below(corner[other], tiling->parts[n].spans[other].low) &&
                 is_below(corner[other], tiling->parts[n].spans[other].high);
      if (holds) return true;
    }
    return false;
  }
  Size extent = cell_size(tiling->entity->axes[axis]);
  corner[axis] = size_constant(0);
  if (!is_covered_from(tiling, axis + 1, corner)) return false;
  for (int n = 0; n < tiling->count; n++) {
    corner[axis] = tiling->parts[n].spans[axis].high;
    if (size_equal(corner[axis], extent)) continue;
    bool is_repeated = false;
    for (int m = 0; m < n; m++) is_repeated |= size_equal(tiling->parts[m].spans[axis].high, corner[axis]);
    if (!is_repeated && !is_covered_from(tiling, axis + 1, corner)) return false;
  }
  return true;
}

static bool check_cover(const Tiling *tiling) {
  Size *corner = ARENA_ARRAY(tiling->elaboration->arena, Size, tiling->entity->rank);
  if (is_covered_from(tiling, 0, corner)) return true;
  Text text = {.arena = tiling->elaboration->arena};
  for (int axis = tiling->entity->outer_count; axis < tiling->entity->rank; axis++)
    text_format(&text, "%s%s", axis > tiling->entity->outer_count ? ", " : "", size_text(tiling->elaboration, corner[axis]));
  ERROR_AT(tiling->elaboration, tiling->parts[0].part->target->source,
           "the equations of '%s' leave a gap: nothing defines %s[%s]", tiling->entity->name, tiling->entity->name,
           text_string(&text));
  return false;
}

/* ---- joining ---- */

static bool is_plain(const Tiling *tiling) {
  if (tiling->count != 1) return false;
  for (int axis = 0; axis < tiling->entity->rank; axis++) {
    const Span *span = &tiling->parts[0].spans[axis];
    if (span->index == NONE || span->offset != 0 || !size_equal(span->high, cell_size(tiling->entity->axes[axis]))) return false;
  }
  return true;
}

static const Expr *condition_of(const Tiling *tiling, const Part *part, const IndexId *indices) {
  Arena *arena = tiling->elaboration->arena;
  const Expr *condition = expr_boolean(arena, true);
  for (int axis = 0; axis < tiling->entity->rank; axis++) {
    const Span *span = &part->spans[axis];
    const Expr *index = expr_index(arena, indices[axis]);
    bool from_start = size_is(span->low, 0), to_end = size_equal(span->high, cell_size(tiling->entity->axes[axis]));
    if (!from_start)
      condition = expr_binary(arena, OP_AND, condition, expr_binary(arena, OP_GE, index, size_expr(arena, span->low)));
    if (!to_end)
      condition = expr_binary(arena, OP_AND, condition, expr_binary(arena, OP_LT, index, size_expr(arena, span->high)));
  }
  return condition;
}

static const Expr *moved_value(const Tiling *tiling, const Part *part, const IndexId *indices) {
  Program *draft = tiling->elaboration->draft;
  const Expr **replacements = ARENA_ARRAY(tiling->elaboration->arena, const Expr *, draft->index_count);
  for (int axis = 0; axis < tiling->entity->rank; axis++) {
    const Span *span = &part->spans[axis];
    if (span->index == NONE) continue;
    const Expr *index = expr_index(tiling->elaboration->arena, indices[axis]);
    replacements[span->index] = expr_binary(tiling->elaboration->arena, OP_SUB, index,
                                            expr_integer(tiling->elaboration->arena, span->offset));
  }
  return expr_substitute(tiling->elaboration->arena, part->part->built, draft->index_count, replacements);
}

static void join_parts(const Tiling *tiling) {
  Elaboration *elaboration = tiling->elaboration;
  Entity *entity = tiling->entity;
  Equation equation = {.target = entity->id, .source = tiling->parts[0].part->target->source};
  equation.indices = ARENA_ARRAY(elaboration->arena, IndexId, entity->rank);
  if (is_plain(tiling)) {
    for (int axis = 0; axis < entity->rank; axis++) equation.indices[axis] = tiling->parts[0].spans[axis].index;
    equation.value = tiling->parts[0].part->built;
    program_add_equation(elaboration->draft, equation);
    return;
  }
  for (int axis = 0; axis < entity->rank; axis++) {
    const char *name = "n";
    for (int n = tiling->count - 1; n >= 0; n--)
      if (tiling->parts[n].spans[axis].index != NONE) name = elaboration->draft->indices[tiling->parts[n].spans[axis].index].name;
    equation.indices[axis] = program_add_index(elaboration->draft, name, size_constant(0), cell_size(entity->axes[axis]));
  }
  const Expr *value = moved_value(tiling, &tiling->parts[tiling->count - 1], equation.indices);
  for (int n = tiling->count - 2; n >= 0; n--) {
    const Part *part = &tiling->parts[n];
    value = expr_select(elaboration->arena, condition_of(tiling, part, equation.indices),
                        moved_value(tiling, part, equation.indices), value);
  }
  equation.value = value;
  program_add_equation(elaboration->draft, equation);
}

static bool build_case(Elaboration *elaboration, const Entity *entity, Case *part, int *auxiliary_count) {
  Builder builder = {.elaboration = elaboration, .target = entity, .auxiliary_count = *auxiliary_count};
  for (int n = 0; n < part->scope->outer_count; n++)
    ARENA_PUSH(elaboration->arena, builder.variables, builder.variable_count, part->scope->outers[n]);
  for (int n = 0; n < part->variable_count; n++)
    ARENA_PUSH(elaboration->arena, builder.variables, builder.variable_count, part->variables[n]);
  part->built = build_as(&builder, part->value, entity->type);
  *auxiliary_count = builder.auxiliary_count;
  return builder.failures == 0;
}

static void build_entity(Elaboration *elaboration, Entity *entity) {
  Tiling tiling = {.elaboration = elaboration, .entity = entity};
  bool is_good = true;
  int auxiliary_count = 0;
  for (int n = 0; n < entity->case_count; n++) {
    Case *part = entity->cases[n];
    if (!build_case(elaboration, entity, part, &auxiliary_count)) is_good = false;
    Surround surround;
    if (case_is_boundary(elaboration, entity, part, &surround)) continue;
    Part place;
    if (entity->role != ROLE_LOCAL) {
      ERROR_AT(elaboration, part->target->source, "'%s' comes from outside and cannot be defined", entity->name);
      NOTE_AT(elaboration, entity->source, "it is declared here");
      is_good = false;
    } else if (!find_part(elaboration, entity, part, &place)) {
      is_good = false;
    } else {
      ARENA_PUSH(elaboration->arena, tiling.parts, tiling.count, place);
    }
  }
  if (!is_good || entity->role != ROLE_LOCAL) return;
  if (tiling.count == 0) {
    for (int n = 0; n < elaboration->state_count; n++)
      if (elaboration->states[n].final == entity)
        ERROR_AT(elaboration, entity->source, "no equation says what the state '%s' is after the last step",
                 elaboration->states[n].name);
    if (entity->case_count)
      ERROR_AT(elaboration, entity->cases[0]->target->source, "'%s' has a boundary but no equation", entity->name);
    return;
  }
  if (check_overlap(&tiling) && check_cover(&tiling)) join_parts(&tiling);
}

void build_equations(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->entity_count; n++) build_entity(elaboration, elaboration->entities[n]);
}
