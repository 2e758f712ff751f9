/* boundaries.c - reads outside of a tensor.
 *
 * Two walks over all expressions, under the conditions around each read: the first finds how far each tensor is read
 * before its start and after its end, then the boundary tensors are made, the second lets those reads take from them.
 * Only along lengths known at run time, or where the author wrote a boundary; elsewhere it is an error.
 */
#include "frontend/elaborate.h"
#include "ir/pair_map.h"

typedef struct Boundary {
  struct Boundary *next; /* of the same tensor */
  int axis;
  bool is_after;
  int64_t slots;
  TensorId id;
} Boundary;

typedef struct Walk {
  Elaboration *elaboration;
  Program *draft;
  Boundary **boundaries; /* by tensor */
  bool is_rewriting;
  PairMap memo;
} Walk;

static const Expr *walk(Walk *walk_state, const Expr *expr, const Known *known);

static Boundary *find_boundary(Walk *state, TensorId tensor, int axis, bool is_after) {
  for (Boundary *boundary = state->boundaries[tensor]; boundary; boundary = boundary->next)
    if (boundary->axis == axis && boundary->is_after == is_after) return boundary;
  return NULL;
}

static void need_slots(Walk *state, TensorId tensor, int axis, bool is_after, int64_t slots) {
  Boundary *boundary = find_boundary(state, tensor, axis, is_after);
  if (!boundary) {
    boundary = ARENA_NEW(state->elaboration->arena, Boundary);
    *boundary = (Boundary){state->boundaries[tensor], axis, is_after, slots, NONE};
    state->boundaries[tensor] = boundary;
  }
  if (slots > boundary->slots) boundary->slots = slots;
}

static bool has_author_boundary(Walk *state, TensorId tensor, int axis, bool is_after) {
  const Entity *entity = state->elaboration->owners[tensor];
  for (int n = 0; entity && n < entity->case_count; n++) {
    Surround surround;
    if (case_is_boundary(state->elaboration, entity, entity->cases[n], &surround) && surround.axis == axis &&
        surround.is_after == is_after)
      return true;
  }
  return false;
}

static void report(Walk *state, const Expr *read, int axis, const char *reaches) {
  const Tensor *tensor = &state->draft->tensors[read->id];
  const Entity *entity = state->elaboration->owners[read->id];
  ERROR_AT(state->elaboration, read->source, "index out of range: '%s' has %s elements on axis %d, the index can %s",
           tensor->name, size_text(state->elaboration, tensor->shape[axis]), axis + 1 - (entity ? entity->outer_count : 0),
           reaches);
  NOTE_AT(state->elaboration, tensor->source, "'%s' is declared here", tensor->name);
}

enum { MOST_SLOTS = 1 << 20 };

/* An index over a length that is known at run time plus a constant, or less: how far the table reaches is checked when the length
 * is there. A constant that is past the end for every length is not. */
static bool ends_at_table(const Walk *state, const Expr *gap) {
  Affine affine;
  if (!expr_affine(gap, &affine)) return false;
  int64_t largest = affine.constant; /* of the gap, where the indices are at their least */
  int lengths = 0;
  for (int n = 0; n < affine.term_count; n++) {
    const Index *index = &state->draft->indices[affine.terms[n].id];
    if (affine.terms[n].is_symbol || index->low.symbol != NONE) return false;
    largest += affine.terms[n].coefficient * index->low.constant;
    if (affine.terms[n].coefficient > 0) continue;
    if (affine.terms[n].coefficient != -1 || index->high.symbol == NONE) return false;
    lengths++;
  }
  return lengths == 1 && largest >= 0;
}

/* One end of one axis. `gap` is how far inside the index is: below zero is outside. Returns true when it may be. */
static bool may_leave(Walk *state, const Expr *read, int axis, bool is_after, const Expr *gap, const Known *known) {
  if (is_at_least_zero(state->draft, gap, known)) return false;
  Limit low = interval_of(state->draft, gap).low;
  Affine affine;
  if (!low.is_finite && !expr_affine(gap, &affine)) return false; /* depends on data: checked at run time */
  Size extent = state->draft->tensors[read->id].shape[axis];
  bool is_open = extent.symbol != NONE || has_author_boundary(state, read->id, axis, is_after);
  if (!is_open && is_after && ends_at_table(state, gap)) return false;
  if (state->is_rewriting) return true;
  bool is_bounded = low.is_finite && low.coefficient >= 0 && low.constant > -MOST_SLOTS;
  if (!is_open || !is_bounded) {
    const char *reaches = "lie any number of steps outside: use 'where' or 'if' to keep it inside";
    Size at = {low.symbol, is_after ? extent.constant - 1 - low.constant : low.constant};
    if (is_bounded && is_after && low.coefficient == 0) at.symbol = extent.symbol;
    if (is_bounded) reaches = arena_format(state->elaboration->arena, "reach %s", size_text(state->elaboration, at));
    report(state, read, axis, reaches);
    return false;
  }
  need_slots(state, read->id, axis, is_after, -low.constant);
  return true;
}

typedef struct Exit {
  int axis;
  bool is_after;
} Exit;

static const Expr *zero_of(Arena *arena, Type type) {
  return type == TYPE_REAL ? expr_number(arena, 0) : type == TYPE_INT ? expr_integer(arena, 0) : expr_boolean(arena, false);
}

static const Expr *read_boundary(Walk *state, const Expr *read, const Expr *const *indices, Exit exit, bool has_other_exits) {
  Arena *arena = state->elaboration->arena;
  const Boundary *boundary = find_boundary(state, read->id, exit.axis, exit.is_after);
  const Expr **slots = ARENA_ARRAY(arena, const Expr *, read->arg_count);
  const Expr *shift = expr_integer(arena, boundary->slots);
  if (exit.is_after) {
    shift = size_expr(arena, state->draft->tensors[read->id].shape[exit.axis]);
    slots[0] = expr_binary(arena, OP_SUB, indices[exit.axis], shift);
  } else {
    slots[0] = expr_binary(arena, OP_ADD, indices[exit.axis], shift);
  }
  for (int n = 0, place = 1; n < read->arg_count; n++)
    if (n != exit.axis) slots[place++] = indices[n];
  return program_read(state->draft, boundary->id, slots, has_other_exits ? zero_of(arena, read->type) : NULL);
}

static const Expr *outside_of(Walk *state, const Expr *read, const Expr *const *indices, const Exit *exits, int count) {
  Arena *arena = state->elaboration->arena;
  bool has_other_exits = false;
  for (int n = 1; n < count; n++) has_other_exits |= exits[n].axis != exits[0].axis;
  const Expr *outside = read_boundary(state, read, indices, exits[count - 1], has_other_exits);
  for (int n = count - 2; n >= 0; n--) {
    const Expr *index = indices[exits[n].axis];
    const Expr *extent = size_expr(arena, state->draft->tensors[read->id].shape[exits[n].axis]);
    const Expr *condition = exits[n].is_after ? expr_binary(arena, OP_GE, index, extent)
                                              : expr_binary(arena, OP_LT, index, expr_integer(arena, 0));
    outside = expr_select(arena, condition, read_boundary(state, read, indices, exits[n], has_other_exits), outside);
  }
  return outside;
}

static const Expr *walk_read(Walk *state, const Expr *read, const Known *known) {
  Arena *arena = state->elaboration->arena;
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, read->arg_count);
  for (int n = 0; n < read->arg_count; n++) indices[n] = walk(state, read->args[n], known);
  const Expr *outside = read->outside ? walk(state, read->outside, known) : NULL;
  Exit *exits = ARENA_ARRAY(arena, Exit, 2 * read->arg_count);
  int count = 0;
  for (int n = 0; n < read->arg_count && !outside; n++) {
    Size last = state->draft->tensors[read->id].shape[n];
    last.constant--;
    const Expr *gap = expr_binary(arena, OP_SUB, size_expr(arena, last), indices[n]);
    if (may_leave(state, read, n, false, indices[n], known)) exits[count++] = (Exit){n, false};
    if (may_leave(state, read, n, true, gap, known)) exits[count++] = (Exit){n, true};
  }
  if (!state->is_rewriting) return read;
  if (count) outside = outside_of(state, read, indices, exits, count);
  return expr_with_source(arena, program_read(state->draft, read->id, indices, outside), read->source);
}

static const Expr *walk_operation(Walk *state, const Expr *expr, const Known *known) {
  Arena *arena = state->elaboration->arena;
  const Expr **args = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  bool is_same = true;
  for (int n = 0; n < expr->arg_count; n++) {
    const Known *here = known;
    if (expr->op == OP_SELECT && n > 0) here = known_add(state->elaboration, known, expr->args[0], n == 1);
    args[n] = walk(state, expr->args[n], here);
    is_same &= args[n] == expr->args[n];
  }
  return is_same ? expr : expr_with_source(arena, expr_make(arena, expr->op, expr->arg_count, args), expr->source);
}

static const Expr *walk(Walk *state, const Expr *expr, const Known *known) {
  if (expr->arg_count == 0 && expr->op != OP_READ) return expr;
  const void *found = NULL;
  if (pair_map_find(&state->memo, expr, known, &found)) return found;
  const Expr *result = expr->op == OP_READ ? walk_read(state, expr, known) : walk_operation(state, expr, known);
  pair_map_add(&state->memo, expr, known, result);
  return result;
}

static void walk_all(Walk *state) {
  for (int n = 0; n < state->draft->equation_count; n++) {
    Equation *equation = &state->draft->equations[n];
    pair_map_begin(&state->memo);
    const Known *known = equation->guard ? known_add(state->elaboration, NULL, equation->guard, true) : NULL;
    const Expr *value = equation->value ? walk(state, equation->value, NULL) : NULL;
    const Expr *guard = equation->guard ? walk(state, equation->guard, NULL) : NULL;
    const Expr *body = equation->body ? walk(state, equation->body, known) : NULL;
    pair_map_end(&state->memo);
    equation = &state->draft->equations[n];
    equation->value = value;
    equation->guard = guard;
    equation->body = body;
  }
}

/* The author's value in terms of the boundary tensor's indices; `slot` is the first that it is for. */
static const Expr *author_value(Walk *state, const Entity *entity, const Case *part, const Surround *surround, int64_t slot,
                                const IndexId *indices) {
  Arena *arena = state->elaboration->arena;
  const Expr **replacements = ARENA_ARRAY(arena, const Expr *, state->draft->index_count);
  if (surround->index != NONE)
    replacements[surround->index] = expr_binary(arena, OP_SUB, expr_index(arena, indices[0]), expr_integer(arena, slot));
  for (int other = 0, place = 1; other < entity->rank; other++) {
    if (other == surround->axis) continue;
    const Term *subscript = part->subscripts[other];
    bool is_plain = subscript->kind == TERM_RAW || (subscript->kind == TERM_INDEX && subscript->variable->offset == 0);
    if (is_plain && subscript->variable->id != NONE)
      replacements[subscript->variable->id] = expr_index(arena, indices[place]);
    if (!is_plain) ERROR_AT(state->elaboration, part->target->source, "the other indices of a boundary are plain names");
    place++;
  }
  return expr_substitute(arena, part->built, state->draft->index_count, replacements);
}

static const Expr *in_slots(Arena *arena, const Expr *slot, int64_t low, int64_t high, int64_t slots) {
  if (high - low == 1) return expr_binary(arena, OP_EQ, slot, expr_integer(arena, low));
  const Expr *condition = expr_boolean(arena, true);
  if (low > 0) condition = expr_binary(arena, OP_GE, slot, expr_integer(arena, low));
  if (high < slots)
    condition = expr_binary(arena, OP_AND, condition, expr_binary(arena, OP_LT, slot, expr_integer(arena, high)));
  return condition;
}

/* All that the author says of the slots, zero elsewhere. */
static const Expr *author_values(Walk *state, TensorId of, const Boundary *boundary, const IndexId *indices) {
  Elaboration *elaboration = state->elaboration;
  const Entity *entity = elaboration->owners[of];
  const Expr *value = zero_of(elaboration->arena, state->draft->tensors[of].type);
  const Case **owners = ARENA_ARRAY(elaboration->arena, const Case *, boundary->slots);
  for (int n = 0; entity && n < entity->case_count; n++) {
    const Case *part = entity->cases[n];
    Surround surround;
    if (!case_is_boundary(elaboration, entity, part, &surround)) continue;
    if (surround.axis != boundary->axis || surround.is_after != boundary->is_after) continue;
    int64_t shift = boundary->is_after ? 0 : boundary->slots;
    int64_t low = surround.low + shift, high = surround.high + shift, first = low;
    if (low < 0) low = 0;
    if (high > boundary->slots) high = boundary->slots;
    if (low >= high) continue;
    for (int64_t slot = low; slot < high; slot++) {
      if (owners[slot]) {
        ERROR_AT(elaboration, part->target->source, "'%s' is defined twice here", entity->name);
        NOTE_AT(elaboration, owners[slot]->target->source, "the other equation is here");
        return value;
      }
      owners[slot] = part;
    }
    const Expr *given = author_value(state, entity, part, &surround, first, indices);
    const Expr *condition = in_slots(elaboration->arena, expr_index(elaboration->arena, indices[0]), low, high, boundary->slots);
    bool is_all = low == 0 && high == boundary->slots;
    value = is_all ? given : expr_select(elaboration->arena, condition, given, value);
  }
  return value;
}

static void make_boundary(Walk *state, TensorId of, Boundary *boundary) {
  Elaboration *elaboration = state->elaboration;
  Arena *arena = elaboration->arena;
  const Tensor tensor = state->draft->tensors[of];
  Size *shape = ARENA_ARRAY(arena, Size, tensor.rank);
  shape[0] = size_constant(boundary->slots);
  for (int axis = 0, place = 1; axis < tensor.rank; axis++)
    if (axis != boundary->axis) shape[place++] = tensor.shape[axis];
  const char *name = arena_format(arena, "%s.%s", tensor.name, boundary->is_after ? "after" : "before");
  boundary->id = draft_tensor(elaboration, NULL, name, tensor.type, tensor.rank, shape, tensor.source);
  Tensor *made = &state->draft->tensors[boundary->id];
  made->boundary_of = of;
  made->boundary_axis = boundary->axis;
  made->is_after = boundary->is_after;
  Equation equation = {.target = boundary->id, .source = tensor.source};
  IndexId *names = ARENA_ARRAY(arena, IndexId, tensor.rank);
  equation.indices = ARENA_ARRAY(arena, IndexId, tensor.rank);
  const Equation *definition = program_definition(state->draft, of);
  for (int axis = 0, place = 1; definition && axis < tensor.rank; axis++) {
    if (axis == boundary->axis) names[0] = definition->indices[axis];
    else names[place++] = definition->indices[axis];
  }
  program_add_indices(state->draft, boundary->id, definition ? names : NULL, equation.indices);
  equation.value = author_values(state, of, boundary, equation.indices);
  program_add_equation(state->draft, equation);
}

/* Author's boundaries read other tensors, which may need boundaries in turn, so they are walked with the equations. */
static void walk_author_boundaries(Walk *state) {
  for (int n = 0; n < state->elaboration->entity_count; n++) {
    const Entity *entity = state->elaboration->entities[n];
    for (int m = 0; m < entity->case_count; m++) {
      Surround surround;
      if (!entity->cases[m]->built || !case_is_boundary(state->elaboration, entity, entity->cases[m], &surround)) continue;
      pair_map_begin(&state->memo);
      walk(state, entity->cases[m]->built, NULL);
      pair_map_end(&state->memo);
    }
  }
}

void make_boundaries(Elaboration *elaboration) {
  Walk state = {.elaboration = elaboration, .draft = elaboration->draft};
  int tensor_count = elaboration->draft->tensor_count;
  int errors = diagnostics_error_count(elaboration->diagnostics);
  state.boundaries = ARENA_ARRAY(elaboration->arena, Boundary *, tensor_count);
  walk_all(&state);
  walk_author_boundaries(&state);
  if (diagnostics_error_count(elaboration->diagnostics) > errors) return;
  for (int n = 0; n < tensor_count; n++)
    for (Boundary *boundary = state.boundaries[n]; boundary; boundary = boundary->next) make_boundary(&state, n, boundary);
  Boundary **larger = ARENA_ARRAY(elaboration->arena, Boundary *, elaboration->draft->tensor_count);
  memcpy(larger, state.boundaries, sizeof *larger * (size_t)tensor_count);
  state.boundaries = larger;
  state.is_rewriting = true;
  walk_all(&state);
}
