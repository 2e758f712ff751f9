/* split_build.c - the equations of a recurrence that is split over time; split_time.c says which there are. */
#include <math.h>

#include "passes/ranges.h"
#include "passes/split_time.h"

typedef enum { PHASE_LOCAL, PHASE_FACTOR, PHASE_PIECE } Phase;

/* One equation being written. */
typedef struct Writer {
  Split *split;
  Phase phase;
  int number;         /* of the member */
  IndexId p, s, e;    /* piece, step in it, component of the factor */
} Writer;

static Arena *arena_of(const Split *split) { return split->program->arena; }

static const Expr *integer(const Split *split, int64_t value) { return expr_integer(arena_of(split), value); }

static const Expr *number(const Split *split, double value) { return expr_number(arena_of(split), value); }

static const Expr *add(const Split *split, const Expr *a, const Expr *b) { return expr_binary(arena_of(split), OP_ADD, a, b); }

const Equation *member_equation(const Split *split, int member) { return &split->program->equations[split->members[member].equation]; }

int member_of(const Split *split, TensorId tensor) {
  for (int m = 0; m < split->member_count; m++)
    if (split->members[m].target == tensor) return m;
  return NONE;
}

bool is_member_read(const Split *split, int member, const Expr *expr) {
  if (expr->op != OP_READ || member_of(split, expr->id) == NONE) return false;
  return recurrence_same_turn(split->program, split->recurrence, member_equation(split, member), expr);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------------------ */

static bool is_kept(const Split *split, int member, int axis, Phase phase) {
  return phase != PHASE_FACTOR || split->is_needed[split->groups[member * split->most_axes + axis]];
}

static bool has_pieces(const Split *split, Phase phase) { return phase != PHASE_FACTOR || *split->needs_time; }
static bool has_components(const Split *split, Phase phase) { return phase == PHASE_FACTOR && split->size > 1; }

static TensorId tensor_of(const Split *split, int member, Phase phase) {
  const Member *m = &split->members[member];
  return phase == PHASE_LOCAL ? m->local : phase == PHASE_FACTOR ? m->factor : m->piece;
}

static TensorId create_tensor(Split *split, int member, Phase phase) {
  static const char *const names[] = {"%s.local", "%s.factor", "%s.piece"};
  Program *program = split->program;
  const Tensor of = program->tensors[split->members[member].target];
  Size shape[32];
  int rank = 0;
  for (int axis = 0; axis < of.rank; axis++) {
    if (axis == split->members[member].axis) {
      Size all = {split->full.symbol, split->full.constant + 1};
      if (has_pieces(split, phase)) shape[rank++] = phase == PHASE_PIECE ? all : split->full;
      shape[rank++] = size_constant(split->steps);
    } else if (is_kept(split, member, axis, phase)) {
      shape[rank++] = of.shape[axis];
    }
  }
  if (has_components(split, phase)) shape[rank++] = size_constant(split->size);
  TensorId tensor = program_add_tensor(program, arena_format(program->arena, names[phase], of.name), TYPE_REAL, rank, shape);
  program->tensors[tensor].source = of.source;
  return tensor;
}

/* Without the steps: what stands before each piece. */
static TensorId create_start(Split *split, int member) {
  Program *program = split->program;
  const Tensor of = program->tensors[split->members[member].target];
  Size *shape = arena_copy(program->arena, of.shape, sizeof *shape * (size_t)of.rank);
  shape[split->members[member].axis] = (Size){split->full.symbol, split->full.constant + 1};
  TensorId tensor = program_add_tensor(program, arena_format(program->arena, "%s.start", of.name), TYPE_REAL, of.rank, shape);
  program->tensors[tensor].source = of.source;
  return tensor;
}

/* ---- reads ------------------------------------------------------------------------------------------------------------------- */

/* A read of a tensor of the split where the member's own axes stand at `places` (the time axis is skipped). */
static const Expr *read_at(const Split *split, int member, Phase phase, const Expr *p, const Expr *s, const Expr *e, const Expr *const *places,
                           const Expr *outside) {
  const Expr *args[32];
  int count = 0;
  for (int axis = 0; axis < split->program->tensors[split->members[member].target].rank; axis++) {
    if (axis == split->members[member].axis) {
      if (has_pieces(split, phase)) args[count++] = p;
      args[count++] = s;
    } else if (is_kept(split, member, axis, phase)) {
      args[count++] = places[axis];
    }
  }
  if (has_components(split, phase)) args[count++] = e;
  return program_read(split->program, tensor_of(split, member, phase), args, outside);
}

static const Expr *read_start(const Split *split, int member, const Expr *p, const Expr *const *places, const Expr *outside) {
  const Expr *args[32];
  for (int axis = 0; axis < split->program->tensors[split->members[member].target].rank; axis++)
    args[axis] = axis == split->members[member].axis ? p : places[axis];
  return program_read(split->program, split->members[member].start, args, outside);
}

/* Number of the component of a state that stands at these places. */
static const Expr *component(const Split *split, int member, const Expr *const *places) {
  const Member *m = &split->members[member];
  const Tensor *tensor = &split->program->tensors[m->target];
  const Expr *at = integer(split, 0);
  for (int axis = 0; axis < tensor->rank; axis++)
    if (axis != m->axis && m->is_mixed[axis])
      at = add(split, expr_binary(arena_of(split), OP_MUL, at, integer(split, tensor->shape[axis].constant)), places[axis]);
  return add(split, at, integer(split, m->first_component));
}

/* t in terms of piece and step. */
static const Expr *time_at(const Split *split, const Expr *p, const Expr *s) {
  Arena *arena = arena_of(split);
  const Expr *steps = add(split, expr_binary(arena, OP_MUL, p, integer(split, split->steps)), s);
  if (!split->loop->is_reversed) return steps;
  const Expr *last = expr_binary(arena, OP_SUB, size_expr(arena, split->length), integer(split, 1));
  return expr_binary(arena, OP_SUB, last, steps);
}

static const Expr *at_time(const Writer *writer, const Expr *expr, const Expr *time) {
  const Split *split = writer->split;
  if (!expr) return NULL;
  const Expr **replacement = ARENA_ARRAY(arena_of(split), const Expr *, split->program->index_count);
  const Equation *equation = member_equation(split, writer->number);
  replacement[equation->indices[split->members[writer->number].axis]] = time;
  return expr_substitute(arena_of(split), expr, split->program->index_count, replacement);
}

/* What a state is before the first step of a piece. */
static const Expr *before_piece(const Writer *writer, int maker, const Expr *read) {
  const Split *split = writer->split;
  Arena *arena = arena_of(split);
  if (writer->phase == PHASE_FACTOR) {
    if (split->size == 1) return number(split, split->one);
    const Expr *is_own = expr_binary(arena, OP_EQ, component(split, maker, read->args), expr_index(arena, writer->e));
    return expr_select(arena, is_own, number(split, split->one), number(split, split->nothing));
  }
  const Expr *p = expr_index(arena, writer->p);
  const Expr *other = writer->phase == PHASE_LOCAL ? number(split, split->nothing) : read_start(split, maker, p, read->args, NULL);
  if (!read->outside) return other;
  const Expr *first = time_at(split, integer(split, 0), integer(split, 0));
  return expr_select(arena, expr_binary(arena, OP_EQ, p, integer(split, 0)), at_time(writer, read->outside, first), other);
}

static const Expr *translate_read(void *context, const Expr *expr) {
  const Writer *writer = context;
  const Split *split = writer->split;
  if (!is_member_read(split, writer->number, expr)) return expr;
  Arena *arena = arena_of(split);
  int maker = member_of(split, expr->id);
  const Expr *time = expr_index(arena, member_equation(split, writer->number)->indices[split->members[writer->number].axis]);
  const Expr *s = expr_index(arena, writer->s), *p = expr_index(arena, writer->p), *e = expr_index(arena, writer->e);
  bool is_now = expr_equal(expr->args[split->members[maker].axis], time);
  const Expr *outside = is_now ? NULL : before_piece(writer, maker, expr);
  const Expr *step = is_now ? s : expr_binary(arena, OP_SUB, s, integer(split, 1));
  return expr_with_source(arena, read_at(split, maker, writer->phase, p, step, e, expr->args, outside), expr->source);
}

static const Expr *translate(Writer *writer, const Expr *expr) {
  const Split *split = writer->split;
  if (!expr) return NULL;
  expr = expr_rewrite(arena_of(split), expr, translate_read, writer);
  return at_time(writer, expr, time_at(split, expr_index(arena_of(split), writer->p), expr_index(arena_of(split), writer->s)));
}

/* ---- equations --------------------------------------------------------------------------------------------------------------- */

static const Expr **own_places(const Split *split, int member) {
  const Equation *equation = member_equation(split, member);
  int rank = split->program->tensors[equation->target].rank;
  const Expr **places = ARENA_ARRAY(arena_of(split), const Expr *, rank);
  for (int axis = 0; axis < rank; axis++) places[axis] = expr_index(arena_of(split), equation->indices[axis]);
  return places;
}

/* The indices of the target of a phase, from a read of it at plain indices. */
static IndexId *target_indices(const Split *split, const Expr *read) {
  IndexId *indices = ARENA_ARRAY(arena_of(split), IndexId, read->arg_count);
  for (int n = 0; n < read->arg_count; n++) indices[n] = read->args[n]->id;
  return indices;
}

/* After the last step values stay as they are, so that the last piece ends with those of the last step. */
static void hold_after_end(const Writer *writer, Equation *equation) {
  const Split *split = writer->split;
  Arena *arena = arena_of(split);
  if (split->length.symbol == NONE && split->length.constant % split->steps == 0) return;
  const Expr *p = expr_index(arena, writer->p), *s = expr_index(arena, writer->s);
  const Expr *steps = add(split, expr_binary(arena, OP_MUL, p, integer(split, split->steps)), s);
  const Expr *is_inside = expr_binary(arena, OP_LT, steps, size_expr(arena, split->length));
  const Expr *kept = number(split, 0);
  if (split->members[writer->number].is_state) {
    const Expr *const *places = own_places(split, writer->number);
    kept = read_at(split, writer->number, PHASE_PIECE, p, expr_binary(arena, OP_SUB, s, integer(split, 1)), NULL, places,
                   read_start(split, writer->number, p, places, NULL));
  }
  static const double identities[REDUCE_COUNT] = {[REDUCE_MAX] = -INFINITY, [REDUCE_MIN] = INFINITY};
  const Expr *value = equation->value ? equation->value : number(split, identities[equation->reduce]);
  equation->value = expr_select(arena, is_inside, value, kept);
  if (equation->body) equation->guard = conjunction(arena, is_inside, equation->guard);
}

static void write_member(Split *split, int member, Phase phase) {
  Program *program = split->program;
  const Member *m = &split->members[member];
  const Equation own = *member_equation(split, member);
  Size pieces = {split->full.symbol, split->full.constant + (phase == PHASE_PIECE)};
  Writer writer = {.split = split, .phase = phase, .number = member};
  writer.p = program_add_index(program, "p", size_constant(0), pieces);
  writer.s = program_add_index(program, "s", size_constant(0), size_constant(split->steps));
  writer.e = program_add_index(program, "e", size_constant(0), size_constant(split->size));
  Arena *arena = program->arena;
  const Expr *target = read_at(split, member, phase, expr_index(arena, writer.p), expr_index(arena, writer.s), expr_index(arena, writer.e),
                               own_places(split, member), NULL);
  Equation equation = {.target = target->id, .indices = target_indices(split, target), .source = own.source};
  const Expr *value = phase == PHASE_FACTOR ? m->carried_value : own.value, *body = phase == PHASE_FACTOR ? m->carried_body : own.body;
  equation.value = translate(&writer, value);
  if (body) {
    equation.body = translate(&writer, body);
    equation.guard = translate(&writer, own.guard);
    equation.reduce = own.reduce;
    equation.reduce_count = own.reduce_count;
    equation.reduce_indices = own.reduce_indices;
  }
  if (!equation.value && !equation.body) equation.value = number(split, split->nothing);
  if (phase == PHASE_PIECE) hold_after_end(&writer, &equation);
  program_add_equation(program, equation);
}

/* What the piece before makes of one state before it: factor * start, summed over the places of that state that count here. */
static const Expr *carried_over(Split *split, int to, int from, const Expr *p, const Expr *const *places) {
  Program *program = split->program;
  Arena *arena = program->arena;
  const Member *source = &split->members[from];
  const Equation own = *member_equation(split, to), other = *member_equation(split, from);
  const Expr *before = expr_binary(arena, OP_SUB, p, integer(split, 1)), *last = integer(split, split->steps - 1);
  int rank = program->tensors[other.target].rank, bound_count = 0;
  const Expr **there = ARENA_ARRAY(arena, const Expr *, rank);
  IndexId *bound = ARENA_ARRAY(arena, IndexId, rank);
  for (int axis = 0; axis < rank; axis++) {
    if (axis == source->axis) continue;
    const Index range = program->indices[other.indices[axis]];
    if (source->is_mixed[axis]) {
      bound[bound_count] = program_add_index(program, range.name, range.low, range.high);
      there[axis] = expr_index(arena, bound[bound_count++]);
      continue;
    }
    for (int q = 0; q < program->tensors[own.target].rank; q++)
      if (q != split->members[to].axis && split->groups[to * split->most_axes + q] == split->groups[from * split->most_axes + axis]) there[axis] = places[q];
  }
  const Expr *factor = read_at(split, to, PHASE_FACTOR, before, last, component(split, from, there), places, number(split, split->nothing));
  const Expr *start = read_start(split, from, before, there, number(split, split->nothing));
  const Expr *product = expr_binary(arena, split->is_extremal ? OP_ADD : OP_MUL, factor, start);
  if (!bound_count) return product;
  const char *name = arena_format(arena, "%s.1", program->tensors[split->members[to].start].name);
  TensorId sum = program_add_tensor(program, name, TYPE_REAL, program->tensors[split->members[to].start].rank, program->tensors[split->members[to].start].shape);
  const Expr *read = read_start(split, to, p, places, NULL);
  read = program_read(program, sum, read->args, NULL);
  Equation equation = {.target = sum, .indices = target_indices(split, read), .reduce = split->reduce, .reduce_count = bound_count, .source = own.source};
  equation.reduce_indices = bound;
  equation.body = product;
  program_add_equation(program, equation);
  return read;
}

static void write_start(Split *split, int member) {
  Program *program = split->program;
  Arena *arena = program->arena;
  IndexId index = program_add_index(program, "p", size_constant(0), (Size){split->full.symbol, split->full.constant + 1});
  const Expr *p = expr_index(arena, index), *const *places = own_places(split, member);
  const Expr *before = expr_binary(arena, OP_SUB, p, integer(split, 1)), *last = integer(split, split->steps - 1);
  const Expr *target = read_start(split, member, p, places, NULL);
  Equation equation = {.target = target->id, .indices = target_indices(split, target), .source = member_equation(split, member)->source};
  const Expr *value = read_at(split, member, PHASE_LOCAL, before, last, NULL, places, number(split, split->nothing));
  for (int m = 0; m < split->member_count; m++)
    if (split->members[m].is_state) value = expr_binary(arena, split->join, carried_over(split, member, m, p, places), value);
  equation.value = value;
  program_add_equation(program, equation);
}

/* X[t] is the step of a piece. */
static void replace_by_piece(Split *split, int member) {
  Arena *arena = arena_of(split);
  Equation *equation = &split->program->equations[split->members[member].equation];
  const Expr *time = expr_index(arena, equation->indices[split->members[member].axis]);
  if (split->loop->is_reversed) {
    const Expr *last = expr_binary(arena, OP_SUB, size_expr(arena, split->length), integer(split, 1));
    time = expr_binary(arena, OP_SUB, last, time);
  }
  const Expr *p = expr_binary(arena, OP_QUOTIENT, time, integer(split, split->steps));
  const Expr *s = expr_binary(arena, OP_REMAINDER, time, integer(split, split->steps));
  const Expr *value = read_at(split, member, PHASE_PIECE, p, s, NULL, own_places(split, member), NULL);
  *equation = (Equation){.target = equation->target, .indices = equation->indices, .value = value, .source = equation->source};
}

void split_build(Split *split) {
  for (int m = 0; m < split->member_count; m++) {
    Member *member = &split->members[m];
    member->local = create_tensor(split, m, PHASE_LOCAL);
    member->factor = create_tensor(split, m, PHASE_FACTOR);
    member->piece = create_tensor(split, m, PHASE_PIECE);
    member->start = member->is_state ? create_start(split, m) : NONE;
  }
  for (int m = 0; m < split->member_count; m++)
    for (int phase = PHASE_LOCAL; phase <= PHASE_PIECE; phase++) write_member(split, m, (Phase)phase);
  for (int m = 0; m < split->member_count; m++)
    if (split->members[m].is_state) write_start(split, m);
  for (int m = 0; m < split->member_count; m++) replace_by_piece(split, m);
}
