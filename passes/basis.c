/* basis.c - states of recurrences with constant factors, in the basis in which a step multiplies least.
 *
 * Needs:  equations as the author meant them, before values are carried from call to call: what is carried is the new state.
 * Leaves: where a, g and c are the same at all steps, of
 *           x[t] = a * x[t-1] + g * u[t]      y[t] = sum[n](c * x[t])
 *         with x = g * s, written in the place of x,
 *           s[t] = u[t] + a * s[t-1]          y[t] = sum[n]((c * g) * s[t])
 *         and of two values that a matrix (a, b; c, d) takes on, driven by u alone, or by (g, k) * u where it is (a, -c; c, a), with
 *         x = (g, b*k; k, c*g) s
 *           s0[t] = u[t] + b*c * s1[t-1] + a * s0[t-1]
 *           s1[t] = s0[t-1] + d * s1[t-1]
 *         Nothing is divided, so no factor has to differ from zero. A complex mode takes five products a step instead of eight, and its gradient
 *         one sum over time for each factor of s instead of one for each of c and g.
 * Where:  the state is zero before the first step, nothing shows it, and whatever reads it is a sum with constant factors that takes
 *         each element once.
 */
#include "passes/passes.h"

typedef struct Basis {
  Program *program;
  Arena *arena;
  int count;             /* of states that go together: 1 or 2 */
  int number[2];         /* their equations */
  TensorId state[2];
  IndexId *indices;      /* all is written in those of the first */
  int time;              /* axis */
  int64_t step;          /* they read the step at this offset: -1, or 1 where time runs back */
  const Expr *matrix[2][2], *gain[2], *drive; /* NULL: zero; a gain that is one is the number */
} Basis;

/* An expression as a sum of factors times states, and the rest. */
typedef struct Linear {
  const Basis *basis;
  const Expr *factor[2], *read[2]; /* by state; NULL: none */
  const Expr *rest;
  bool fails;
} Linear;

/* ---- taking apart -------------------------------------------------------------------------------------------------------- */

typedef struct StateSearch {
  const Basis *basis;
  bool found;
} StateSearch;

static int state_number(const Basis *basis, const Expr *expr) {
  for (int n = 0; n < basis->count; n++)
    if (expr->op == OP_READ && expr->id == basis->state[n]) return n;
  return NONE;
}

static void find_state(void *context, const Expr *expr) {
  StateSearch *search = context;
  search->found |= state_number(search->basis, expr) != NONE;
}

static bool has_state(const Basis *basis, const Expr *expr) {
  StateSearch search = {basis, false};
  if (expr) expr_visit(expr, find_state, &search);
  return search.found;
}

/* Products and sums in which NULL is zero, signs outside. */
static const Expr *negative(Arena *arena, const Expr *expr) { return expr->op == OP_NEG ? expr->args[0] : expr_unary(arena, OP_NEG, expr); }

static const Expr *times(Arena *arena, const Expr *a, const Expr *b) {
  if (!a || !b) return NULL;
  if (expr_is_number(a, -1) || expr_is_number(b, -1)) return negative(arena, expr_is_number(a, -1) ? b : a);
  if (a->op == OP_NEG) return negative(arena, times(arena, a->args[0], b));
  if (b->op == OP_NEG) return negative(arena, times(arena, a, b->args[0]));
  return expr_binary(arena, OP_MUL, a, b);
}

static const Expr *over(Arena *arena, const Expr *a, const Expr *b) {
  return a->op == OP_NEG ? negative(arena, over(arena, a->args[0], b)) : expr_binary(arena, OP_DIV, a, b);
}

static const Expr *plus(Arena *arena, const Expr *a, const Expr *b) {
  if (!a || !b) return a ? a : b;
  if (b->op == OP_NEG) return expr_binary(arena, OP_SUB, a, b->args[0]);
  return expr_binary(arena, OP_ADD, a, b);
}

static void take_apart(Linear *linear, const Expr *expr, const Expr *factor) {
  Arena *arena = linear->basis->arena;
  int state = state_number(linear->basis, expr);
  if (state != NONE) {
    linear->factor[state] = plus(arena, linear->factor[state], factor);
    linear->fails |= linear->read[state] && !expr_equal(linear->read[state], expr);
    linear->read[state] = expr;
  } else if (!has_state(linear->basis, expr)) {
    linear->rest = plus(arena, linear->rest, times(arena, factor, expr));
  } else if (expr->op == OP_ADD || expr->op == OP_SUB) {
    take_apart(linear, expr->args[0], factor);
    take_apart(linear, expr->args[1], expr->op == OP_SUB ? negative(arena, factor) : factor);
  } else if (expr->op == OP_NEG) {
    take_apart(linear, expr->args[0], negative(arena, factor));
  } else if (expr->op == OP_MUL && !has_state(linear->basis, expr->args[1])) {
    take_apart(linear, expr->args[0], times(arena, factor, expr->args[1]));
  } else if (expr->op == OP_MUL && !has_state(linear->basis, expr->args[0])) {
    take_apart(linear, expr->args[1], times(arena, factor, expr->args[0]));
  } else if (expr->op == OP_DIV && !has_state(linear->basis, expr->args[1])) {
    take_apart(linear, expr->args[0], over(arena, factor, expr->args[1]));
  } else {
    linear->fails = true;
  }
}

static Linear linear_of(const Basis *basis, const Expr *expr) {
  Linear linear = {.basis = basis};
  take_apart(&linear, expr, expr_number(basis->arena, 1));
  return linear;
}

/* ---- the recurrence ------------------------------------------------------------------------------------------------------ */

/* Before the first step it is zero, and no caller can make it anything else. */
static bool is_zero_outside(const Program *program, const Expr *read) {
  const Expr *outside = read->outside;
  if (!outside || expr_is_number(outside, 0)) return true;
  if (outside->op != OP_READ || program->tensors[outside->id].boundary_of != read->id || program_shows(program, outside->id)) return false;
  const Equation *equation = program_definition(program, outside->id);
  return equation && equation->reduce == REDUCE_NONE && expr_is_number(equation->value, 0);
}

/* The element at hand, at the step before: the axis of time is the same for all. */
static bool is_own_past(Basis *basis, const Expr *read) {
  int time = NONE;
  for (int k = 0; k < read->arg_count; k++) {
    Affine affine;
    if (expr_is_index(read->args[k], basis->indices[k])) continue;
    bool is_step = time == NONE && expr_affine(read->args[k], &affine) && affine.term_count == 1 &&
                   affine_coefficient(&affine, false, basis->indices[k]) == 1 && (affine.constant == 1 || affine.constant == -1);
    if (!is_step || (basis->time != NONE && (basis->time != k || basis->step != affine.constant))) return false;
    time = basis->time = k;
    basis->step = affine.constant;
  }
  return time != NONE && is_zero_outside(basis->program, read);
}

static bool is_steady(const Basis *basis, const Expr *expr) { return !expr || !expr_uses_index(expr, basis->indices[basis->time]); }

/* Of a product, the factors that stay the same and those that change with time. */
static void split_factors(const Basis *basis, const Expr *expr, const Expr **steady, const Expr **changing) {
  bool is_steady_quotient = expr->op == OP_DIV && is_steady(basis, expr->args[1]);
  if (expr->op == OP_MUL || expr->op == OP_NEG || is_steady_quotient) {
    split_factors(basis, expr->args[0], steady, changing);
    if (expr->op == OP_MUL) split_factors(basis, expr->args[1], steady, changing);
    if (expr->op == OP_NEG) *steady = negative(basis->arena, *steady);
    if (is_steady_quotient) *steady = over(basis->arena, *steady, expr->args[1]);
    return;
  }
  const Expr **into = is_steady(basis, expr) ? steady : changing;
  *into = times(basis->arena, *into, expr);
}

static bool find_drive(Basis *basis, int n, const Expr *rest) {
  if (!rest) return true;
  const Expr *changing = expr_number(basis->arena, 1);
  basis->gain[n] = expr_number(basis->arena, 1);
  split_factors(basis, rest, &basis->gain[n], &changing);
  if (basis->drive && !expr_equal(basis->drive, changing)) return false;
  basis->drive = changing;
  return true;
}

static const Expr *in_own_indices(const Basis *basis, const Equation *equation) {
  const Expr **by = ARENA_ARRAY(basis->arena, const Expr *, basis->program->index_count);
  for (int k = 0; k < basis->program->tensors[equation->target].rank; k++) by[equation->indices[k]] = expr_index(basis->arena, basis->indices[k]);
  return expr_substitute(basis->arena, equation->value, basis->program->index_count, by);
}

static bool find_matrix(Basis *basis) {
  for (int n = 0; n < basis->count; n++) {
    const Equation *equation = &basis->program->equations[basis->number[n]];
    Linear linear = linear_of(basis, in_own_indices(basis, equation));
    if (linear.fails) return false;
    for (int k = 0; k < basis->count; k++) {
      if (!linear.factor[k] || !is_own_past(basis, linear.read[k])) return false;
      basis->matrix[n][k] = linear.factor[k];
    }
    for (int k = 0; k < basis->count; k++)
      if (!is_steady(basis, linear.factor[k])) return false;
    if (!find_drive(basis, n, linear.rest)) return false;
  }
  return basis->drive != NULL;
}

static bool is_negation(const Expr *a, const Expr *b) {
  return (a->op == OP_NEG && expr_equal(a->args[0], b)) || (b->op == OP_NEG && expr_equal(b->args[0], a));
}

/* The drive reaches the second state through the first, or the gains commute with the matrix. */
static bool has_basis(const Basis *basis) {
  if (basis->count == 1) return !expr_is_number(basis->gain[0], 1);
  bool is_there = basis->gain[0] && !basis->gain[1] && expr_is_number(basis->gain[0], 1) && expr_is_number(basis->matrix[1][0], 1);
  if (!basis->gain[0] || is_there) return false;
  return !basis->gain[1] || (expr_equal(basis->matrix[0][0], basis->matrix[1][1]) && is_negation(basis->matrix[0][1], basis->matrix[1][0]));
}

typedef struct PartnerSearch {
  const Basis *basis;
  TensorId partner;
} PartnerSearch;

static void find_partner(void *context, const Expr *expr) {
  PartnerSearch *search = context;
  const Basis *basis = search->basis;
  const Equation *equation = expr->op == OP_READ ? program_definition(basis->program, expr->id) : NULL;
  if (!equation || expr->id == basis->state[0] || search->partner != NONE) return;
  const Tensor *own = &basis->program->tensors[basis->state[0]], *other = &basis->program->tensors[expr->id];
  bool is_alike = equation->reduce == REDUCE_NONE && own->rank == other->rank && other->type == TYPE_REAL && has_state(basis, equation->value);
  for (int k = 0; is_alike && k < own->rank; k++) is_alike = size_equal(own->shape[k], other->shape[k]);
  if (is_alike) search->partner = expr->id;
}

/* The recurrence of which the equation is the first. */
static bool find_recurrence(Basis *basis, int number) {
  const Equation *equation = &basis->program->equations[number];
  *basis = (Basis){.program = basis->program, .arena = basis->arena, .count = 1, .time = NONE, .indices = equation->indices};
  basis->number[0] = number;
  basis->state[0] = equation->target;
  bool fits = equation->reduce == REDUCE_NONE && basis->program->tensors[equation->target].type == TYPE_REAL && has_state(basis, equation->value);
  if (!fits) return false;
  PartnerSearch search = {basis, NONE};
  expr_visit(equation->value, find_partner, &search);
  if (search.partner != NONE) {
    basis->number[1] = basis->program->definition[search.partner];
    basis->state[1] = search.partner;
    basis->count = 2;
  }
  for (int n = 0; n < basis->count; n++)
    if (program_shows(basis->program, basis->state[n])) return false;
  return find_matrix(basis) && has_basis(basis);
}

/* ---- readers --------------------------------------------------------------------------------------------------------------- */

/* Each element of the state is read once, at a step that is an index of the target, and its factor does not depend on the step. */
static bool reads_once(const Basis *basis, const Equation *equation, const Linear *linear) {
  const Program *program = basis->program;
  const Expr *read = linear->read[0] ? linear->read[0] : linear->read[1];
  int rank = program->tensors[equation->target].rank;
  for (int n = 0; n < basis->count; n++) {
    if (!linear->read[n]) continue;
    if (linear->read[n]->outside) return false;
    for (int k = 0; k < read->arg_count; k++)
      if (!expr_equal(linear->read[n]->args[k], read->args[k])) return false;
  }
  for (int k = 0; k < read->arg_count; k++) {
    if (read->args[k]->op != OP_INDEX || !size_is(program->indices[read->args[k]->id].low, 0)) return false;
    for (int m = 0; m < k; m++)
      if (read->args[m]->id == read->args[k]->id) return false;
  }
  bool is_time_kept = false;
  for (int n = 0; n < rank + equation->reduce_count; n++) {
    IndexId index = n < rank ? equation->indices[n] : equation->reduce_indices[n - rank];
    bool is_used = false;
    for (int k = 0; k < read->arg_count; k++) is_used |= expr_is_index(read->args[k], index);
    if (!is_used) return false;
    is_time_kept |= n < rank && expr_is_index(read->args[basis->time], index);
  }
  for (int n = 0; n < basis->count; n++)
    if (linear->factor[n] && expr_uses_index(linear->factor[n], read->args[basis->time]->id)) return false;
  return is_time_kept;
}

static bool is_member(const Basis *basis, int number) {
  return number == basis->number[0] || (basis->count == 2 && number == basis->number[1]);
}

static bool can_read(const Basis *basis, const Equation *equation) {
  if (has_state(basis, equation->value) || has_state(basis, equation->guard) || equation->reduce != REDUCE_SUM) return false;
  Linear linear = linear_of(basis, equation->body);
  return !linear.fails && !linear.rest && reads_once(basis, equation, &linear);
}

static bool have_readers(const Basis *basis) {
  int count = 0;
  for (int n = 0; n < basis->program->equation_count; n++) {
    const Equation *equation = &basis->program->equations[n];
    if (is_member(basis, n) || !(has_state(basis, equation->value) || has_state(basis, equation->guard) || has_state(basis, equation->body))) continue;
    if (!can_read(basis, equation)) return false;
    count++;
  }
  return count > 0;
}

/* ---- rewriting --------------------------------------------------------------------------------------------------------------- */

/* A tensor of its own for a product that stays the same, along those of these indices that it uses. */
static const Expr *kept(const Basis *basis, const char *name, const Expr *value, const IndexId *indices, int count, SourceRange source) {
  Program *program = basis->program;
  bool is_negative = value->op == OP_NEG;
  if (is_negative) value = value->args[0];
  IndexId *used = ARENA_ARRAY(basis->arena, IndexId, count);
  Size *shape = ARENA_ARRAY(basis->arena, Size, count);
  const Expr **reads = ARENA_ARRAY(basis->arena, const Expr *, count);
  int rank = 0;
  for (int n = 0; n < count; n++) {
    if (!expr_uses_index(value, indices[n])) continue;
    used[rank] = indices[n];
    shape[rank] = program->indices[indices[n]].high;
    reads[rank++] = expr_index(basis->arena, indices[n]);
  }
  if (value->arg_count > 0 && value->op != OP_READ) {
    Equation equation = {.target = program_add_tensor(program, name, TYPE_REAL, rank, shape), .indices = used, .value = value, .source = source};
    program->tensors[equation.target].source = source;
    program_add_equation(program, equation);
    value = program_read(program, equation.target, reads, NULL);
  }
  return is_negative ? expr_unary(basis->arena, OP_NEG, value) : value;
}

/* The state `row` of the author's, from the new state `column`. */
static const Expr *change_of(const Basis *basis, int row, int column) {
  if (row == 0 || column == 0) return column == 0 ? basis->gain[row] : times(basis->arena, basis->matrix[0][1], basis->gain[1]);
  return times(basis->arena, basis->matrix[1][0], basis->gain[0]);
}

static void rewrite_reader(const Basis *basis, int number) {
  Program *program = basis->program;
  Arena *arena = basis->arena;
  Equation equation = program->equations[number];
  Linear linear = linear_of(basis, equation.body);
  const Expr *read = linear.read[0] ? linear.read[0] : linear.read[1], *body = NULL;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, program->index_count);
  IndexId *indices = ARENA_ARRAY(arena, IndexId, read->arg_count);
  for (int k = 0; k < read->arg_count; k++) {
    by[basis->indices[k]] = read->args[k];
    indices[k] = read->args[k]->id;
  }
  int index_count = program->index_count;
  for (int column = 0; column < basis->count; column++) {
    const Expr *factor = NULL;
    for (int row = 0; row < basis->count; row++) {
      const Expr *change = change_of(basis, row, column);
      if (change) change = expr_substitute(arena, change, index_count, by);
      factor = plus(arena, factor, times(arena, linear.factor[row], change));
    }
    if (!factor) continue;
    const char *name = arena_format(arena, "%s.factor", program->tensors[basis->state[column]].name);
    factor = kept(basis, name, factor, indices, read->arg_count, equation.source);
    body = plus(arena, body, times(arena, factor, program_read(program, basis->state[column], read->args, NULL)));
  }
  program->equations[number].body = body;
}

static void rewrite_recurrence(const Basis *basis) {
  Program *program = basis->program;
  Arena *arena = basis->arena;
  const Expr *past[2] = {NULL, NULL}, *value[2] = {NULL, NULL};
  int rank = program->tensors[basis->state[0]].rank;
  for (int n = 0; n < basis->count; n++) {
    Linear linear = linear_of(basis, in_own_indices(basis, &program->equations[basis->number[n]]));
    past[n] = linear.read[n];
  }
  value[0] = basis->drive;
  if (basis->count == 2) {
    const Expr *coupling = times(arena, basis->matrix[0][1], basis->matrix[1][0]);
    const char *name = arena_format(arena, "%s.coupling", program->tensors[basis->state[1]].name);
    coupling = kept(basis, name, coupling, basis->indices, rank, program->equations[basis->number[0]].source);
    value[0] = plus(arena, value[0], times(arena, coupling, past[1]));
    value[1] = plus(arena, past[0], times(arena, basis->matrix[1][1], past[1]));
  }
  value[0] = plus(arena, value[0], times(arena, basis->matrix[0][0], past[0]));
  for (int n = 0; n < basis->count; n++) {
    program->equations[basis->number[n]].indices = basis->indices;
    program->equations[basis->number[n]].value = value[n];
  }
}

bool pass_basis(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  int count = program->equation_count;
  for (int n = 0; n < count; n++) {
    Basis basis = {.program = program, .arena = program->arena};
    if (!find_recurrence(&basis, n) || !have_readers(&basis)) continue;
    for (int m = 0; m < count; m++)
      if (!is_member(&basis, m) && has_state(&basis, program->equations[m].body)) rewrite_reader(&basis, m);
    rewrite_recurrence(&basis);
    changed = true;
  }
  return changed;
}
