/* differentiate.c - add the gradient of the objective, or of the outputs weighted by cotangents.
 *
 * Needs:  the batch axis.
 * Leaves: for each tensor X on a path from a real parameter, input or state to the result a tensor d.X, for each of the
 *         former a gradient port; the outputs' ports are gone. The objective and the final states stay.
 * Why:    the adjoint of an equation is an equation. A read X[e(i)] in the equation of Y[i] adds to d.X[a] the sum over
 *         all i with e(i) = a; where e can be inverted that is a substitution (t-1 turns into t+1), where it can't a
 *         guard (a gather turns into a sum over the places that read this row). Nothing else is needed: recurrences, repeats
 *         and batches are indices.
 */
#include "passes/derivative.h"
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Differentiation {
  Program *program;
  bool *depends;     /* by tensor: on something that has a gradient */
  bool *is_needed;   /* by tensor: the result depends on it */
  bool *is_active;   /* both */
  TensorId *adjoint; /* by tensor, NONE when not active */
  IndexId **indices; /* by tensor: of the equation of its adjoint */
  const Expr **sum;  /* by tensor: terms so far */
  int tensors;       /* of the program before */
  bool has_step;     /* it is run in pieces too */
} Differentiation;

typedef struct Reach {
  bool *reached;
  bool found, changed;
} Reach;

static void find_reached(void *context, const Expr *expr) {
  Reach *reach = context;
  if (expr->op == OP_READ && expr->type == TYPE_REAL && reach->reached[expr->id]) reach->found = true;
}

static void reach_reads(void *context, const Expr *expr) {
  Reach *reach = context;
  if (expr->op != OP_READ || expr->type != TYPE_REAL || reach->reached[expr->id]) return;
  reach->reached[expr->id] = reach->changed = true;
}

/* A state with a value for each step has none before the first. */
static bool grows(const Program *program, const Port *port) {
  SymbolId stream = program_find_symbol(program, SYMBOL_STREAM);
  const Tensor *tensor = &program->tensors[port->tensor];
  for (int n = 0; n < tensor->rank && stream != NONE && port->kind == PORT_STATE; n++)
    if (tensor->shape[n].symbol == stream) return true;
  return false;
}

static bool has_gradient(const Program *program, const Port *port) {
  bool is_kind = port->kind == PORT_PARAMETER || port->kind == PORT_INPUT || port->kind == PORT_STATE;
  return is_kind && program->tensors[port->tensor].type == TYPE_REAL && !grows(program, port);
}

static bool is_result(const Program *program, const Port *port, bool has_objective) {
  if (has_objective) return port->kind == PORT_OBJECTIVE;
  return port->kind == PORT_OUTPUT && program->tensors[port->tensor].type == TYPE_REAL;
}

static void find_active(Differentiation *d, bool has_objective) {
  Program *program = d->program;
  for (int n = 0; n < program->port_count; n++) {
    if (has_gradient(program, &program->ports[n])) d->depends[program->ports[n].tensor] = true;
    if (is_result(program, &program->ports[n], has_objective)) d->is_needed[program->ports[n].tensor] = true;
  }
  Reach up = {.reached = d->depends}, down = {.reached = d->is_needed};
  do {
    up.changed = down.changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      const Equation *equation = &program->equations[n];
      const Expr *parts[] = {equation->value, equation->body};
      for (int p = 0; p < 2; p++) {
        if (!parts[p] || program->tensors[equation->target].type != TYPE_REAL) continue;
        up.found = false;
        if (!d->depends[equation->target]) expr_visit(parts[p], find_reached, &up);
        if (up.found) d->depends[equation->target] = up.changed = true;
        if (d->is_needed[equation->target]) expr_visit(parts[p], reach_reads, &down);
      }
    }
  } while (up.changed || down.changed);
}

static void create_adjoints(Differentiation *d) {
  Program *program = d->program;
  for (int n = 0; n < d->tensors; n++) {
    d->is_active[n] = d->depends[n] && d->is_needed[n];
    d->adjoint[n] = NONE;
    if (!d->is_active[n]) continue;
    const Tensor *tensor = &program->tensors[n];
    const char *name = arena_format(program->arena, "d.%s", tensor->name);
    SourceRange source = tensor->source;
    d->adjoint[n] = program_add_tensor(program, name, TYPE_REAL, tensor->rank, tensor->shape);
    program->tensors[d->adjoint[n]].source = source;
    d->indices[n] = ARENA_ARRAY(program->arena, IndexId, program->tensors[n].rank);
    const Equation *definition = program_definition(program, n);
    program_add_indices(program, n, definition ? definition->indices : NULL, d->indices[n]);
  }
}

static void add_term(Differentiation *d, TensorId tensor, const Expr *term) {
  d->sum[tensor] = d->sum[tensor] ? expr_binary(d->program->arena, OP_ADD, d->sum[tensor], term) : term;
}

/* ---- one read ---------------------------------------------------------------------------------------------------- */

typedef struct Inversion {
  Differentiation *d;
  TensorId tensor;
  const Expr **solved; /* by index */
  int solved_size;
  const Expr *guard;   /* NULL: true */
} Inversion;

static const Expr *substitute(Inversion *inversion, const Expr *expr) {
  return expr_substitute(inversion->d->program->arena, expr, inversion->solved_size, inversion->solved);
}

static bool same_range(const Index *index, Size extent) { return size_is(index->low, 0) && size_equal(index->high, extent); }

/* Solves index expression == place for one of the variables; false when it has none with coefficient 1 or -1. */
static bool solve(Inversion *inversion, const Expr *expr, int axis, int variable_count, const IndexId *variables, bool only_plain) {
  Program *program = inversion->d->program;
  Arena *arena = program->arena;
  Affine affine;
  if (!expr_affine(substitute(inversion, expr), &affine)) return false;
  const Expr *place = expr_index(arena, inversion->d->indices[inversion->tensor][axis]);
  for (int n = 0; n < variable_count; n++) {
    IndexId v = variables[n];
    int64_t coefficient = affine_coefficient(&affine, false, v);
    bool is_plain = affine.term_count == 1 && affine.constant == 0 && coefficient == 1;
    if (inversion->solved[v] || (coefficient != 1 && coefficient != -1) || (only_plain && !is_plain)) continue;
    Affine rest = affine;
    rest.term_count = 0;
    for (int k = 0; k < affine.term_count; k++)
      if (affine.terms[k].is_symbol || affine.terms[k].id != v) rest.terms[rest.term_count++] = affine.terms[k];
    const Expr *difference = expr_binary(arena, OP_SUB, place, affine_expr(arena, &rest));
    const Expr *solution = coefficient == 1 ? difference : expr_unary(arena, OP_NEG, difference);
    const Expr **single = ARENA_ARRAY(arena, const Expr *, inversion->solved_size);
    single[v] = solution;
    for (int k = 0; k < inversion->solved_size; k++)
      if (inversion->solved[k]) inversion->solved[k] = expr_substitute(arena, inversion->solved[k], inversion->solved_size, single);
    inversion->solved[v] = solution;
    if (is_plain && same_range(&program->indices[v], program->tensors[inversion->tensor].shape[axis])) return true;
    const Index *range = &program->indices[v];
    const Expr *low = expr_binary(arena, OP_GE, solution, size_expr(arena, range->low));
    const Expr *high = expr_binary(arena, OP_LT, solution, size_expr(arena, range->high));
    inversion->guard = conjunction(arena, inversion->guard, conjunction(arena, low, high));
    return true;
  }
  return false;
}

/* Sums `body` over the free variables into a tensor shaped like `tensor`; returns the read of it. */
static const Expr *sum_over(Differentiation *d, TensorId tensor, const Expr *body, const Expr *guard, int free_count, const IndexId *free,
                            SourceRange source) {
  Program *program = d->program;
  Arena *arena = program->arena;
  const char *name = arena_format(arena, "%s.1", program->tensors[d->adjoint[tensor]].name);
  int rank = program->tensors[tensor].rank;
  TensorId sum = program_add_tensor(program, name, TYPE_REAL, rank, program->tensors[tensor].shape);
  program->tensors[sum].source = source;
  Equation equation = {.target = sum, .indices = d->indices[tensor], .reduce = REDUCE_SUM, .source = source};
  equation.reduce_count = free_count;
  equation.reduce_indices = arena_copy(arena, free, sizeof *free * (size_t)free_count);
  equation.guard = guard;
  equation.body = body;
  program_add_equation(program, equation);
  const Expr **reads = ARENA_ARRAY(arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) reads[n] = expr_index(arena, d->indices[tensor][n]);
  return program_read(program, sum, reads, NULL);
}

/* Moves select(c, x, 0) into the guard, and what of the guard only bounds one variable into its range. A variable that
 * is left with one value is replaced by it. */
static const Expr *narrow(Program *program, const Expr *body, const Expr **guard, int *free_count, IndexId *free) {
  Arena *arena = program->arena;
  body = expr_condition_first(arena, body);
  while (body->op == OP_SELECT && condition_is_on_indices(body->args[0])) {
    if (expr_is_number(body->args[2], 0)) {
      *guard = conjunction(arena, *guard, body->args[0]);
      body = body->args[1];
    } else if (expr_is_number(body->args[1], 0)) {
      *guard = conjunction(arena, *guard, expr_unary(arena, OP_NOT, body->args[0]));
      body = body->args[2];
    } else {
      break;
    }
  }
  Ranges ranges = program_ranges(program);
  *guard = ranges_simplify(&ranges, *guard);
  for (int n = 0; n < *free_count; n++) {
    int count;
    const Expr **parts = conjuncts(arena, *guard, &count);
    Index range = program->indices[free[n]];
    const Expr *rest = NULL;
    bool is_narrowed = false;
    for (int p = 0; p < count; p++) {
      if (condition_narrows(parts[p], free[n], &range))
        is_narrowed = true;
      else
        rest = conjunction(arena, rest, parts[p]);
    }
    if (!is_narrowed) continue;
    IndexId narrowed = program_add_index(program, range.name, range.low, range.high);
    bool is_single = range.low.symbol == range.high.symbol && range.high.constant - range.low.constant == 1;
    const Expr **replacement = ARENA_ARRAY(arena, const Expr *, program->index_count);
    replacement[free[n]] = is_single ? size_expr(arena, range.low) : expr_index(arena, narrowed);
    body = expr_substitute(arena, body, program->index_count, replacement);
    *guard = rest ? expr_substitute(arena, rest, program->index_count, replacement) : NULL;
    if (is_single) {
      free[n] = free[--*free_count];
      n--;
    } else {
      free[n] = narrowed;
    }
  }
  return body;
}


/* ---- places that are a function of one variable ------------------------------------------------------------------- */

typedef struct Tie {
  const Expr *tied, *rest;   /* of the guard: parts `place == e(f)`, and what remains */
  bool *is_tied_axis;        /* of the tensor: `place` is its index */
  int last_count, first_count;
  IndexId *last, *first;     /* free variables: those in e, and the others */
} Tie;

static int axis_of_place(const Differentiation *d, TensorId tensor, const Expr *expr) {
  for (int axis = 0; expr->op == OP_INDEX && axis < d->program->tensors[tensor].rank; axis++)
    if (d->indices[tensor][axis] == expr->id) return axis;
  return NONE;
}

/* The axis whose index the part ties to free variables, if it stands nowhere else; else NONE. */
static int tied_axis(const Differentiation *d, TensorId tensor, const Expr *body, const Expr *const *parts, int count, int part) {
  if (parts[part]->op != OP_EQ || !condition_is_on_indices(parts[part])) return NONE;
  for (int side = 0; side < 2; side++) {
    int axis = axis_of_place(d, tensor, parts[part]->args[side]);
    if (axis == NONE) continue;
    IndexId index = d->indices[tensor][axis];
    bool is_used = expr_uses_index(body, index) || expr_uses_index(parts[part]->args[1 - side], index);
    for (int n = 0; n < count; n++) is_used |= n != part && expr_uses_index(parts[n], index);
    if (!is_used) return axis;
  }
  return NONE;
}

static bool find_tie(Differentiation *d, TensorId tensor, const Expr *body, const Expr *guard, int free_count, const IndexId *free, Tie *out_tie) {
  Arena *arena = d->program->arena;
  int count;
  const Expr **parts = conjuncts(arena, guard, &count);
  *out_tie = (Tie){.is_tied_axis = ARENA_ARRAY(arena, bool, d->program->tensors[tensor].rank)};
  out_tie->last = ARENA_ARRAY(arena, IndexId, free_count);
  out_tie->first = ARENA_ARRAY(arena, IndexId, free_count);
  for (int n = 0; n < count; n++) {
    int axis = tied_axis(d, tensor, body, parts, count, n);
    if (axis == NONE) {
      out_tie->rest = conjunction(arena, out_tie->rest, parts[n]);
    } else {
      out_tie->tied = conjunction(arena, out_tie->tied, parts[n]);
      out_tie->is_tied_axis[axis] = true;
    }
  }
  for (int n = 0; out_tie->tied && n < free_count; n++) {
    bool is_last = expr_uses_index(out_tie->tied, free[n]);
    if (is_last && !size_is(d->program->indices[free[n]].low, 0)) return false;
    if (is_last) out_tie->last[out_tie->last_count++] = free[n];
    else out_tie->first[out_tie->first_count++] = free[n];
  }
  return out_tie->last_count > 0 && out_tie->first_count > 0;
}

/* Sums over the other variables first, for each value of those that are tied to a place: that is a plain sum of products where the
 * body is one. The result is the read of it, to be summed over the rest. */
static const Expr *sum_first(Differentiation *d, TensorId tensor, const Expr *body, const Tie *tie, SourceRange source) {
  Program *program = d->program;
  Arena *arena = program->arena;
  int rank = program->tensors[tensor].rank, count = 0;
  IndexId *indices = ARENA_ARRAY(arena, IndexId, rank + tie->last_count);
  bool has_placed = false;
  for (int axis = 0; axis < rank; axis++) {
    if (!tie->is_tied_axis[axis]) indices[count++] = d->indices[tensor][axis];
    for (int n = 0; tie->is_tied_axis[axis] && !has_placed && n < tie->last_count; n++) indices[count++] = tie->last[n];
    has_placed |= tie->is_tied_axis[axis];
  }
  Size *shape = ARENA_ARRAY(arena, Size, count);
  const Expr **reads = ARENA_ARRAY(arena, const Expr *, count);
  for (int n = 0; n < count; n++) {
    shape[n] = program->indices[indices[n]].high;
    reads[n] = expr_index(arena, indices[n]);
  }
  const char *name = arena_format(arena, "%s.first", program->tensors[d->adjoint[tensor]].name);
  TensorId sum = program_add_tensor(program, name, TYPE_REAL, count, shape);
  program->tensors[sum].source = source;
  Equation equation = {.target = sum, .indices = indices, .reduce = REDUCE_SUM, .guard = tie->rest, .body = body, .source = source};
  equation.reduce_count = tie->first_count;
  equation.reduce_indices = tie->first;
  program_add_equation(program, equation);
  return program_read(program, sum, reads, NULL);
}

/* `body` where the guard holds, else 0; what of the guard reads data is decided where the rest of it holds. */
static const Expr *guarded(Arena *arena, const Expr *guard, const Expr *body) {
  int count;
  const Expr **parts = conjuncts(arena, guard, &count);
  const Expr *on_indices = NULL, *on_data = NULL;
  for (int n = 0; n < count; n++) {
    if (condition_is_on_indices(parts[n])) on_indices = conjunction(arena, on_indices, parts[n]);
    else on_data = conjunction(arena, on_data, parts[n]);
  }
  const Expr *zero = expr_number(arena, 0);
  if (on_data) body = expr_select(arena, on_data, body, zero);
  return on_indices ? expr_select(arena, on_indices, body, zero) : body;
}

static void add_contribution(Differentiation *d, const Expr *read, const Expr *adjoint, int variable_count, const IndexId *variables,
                             SourceRange source) {
  Program *program = d->program;
  Arena *arena = program->arena;
  Inversion inversion = {.d = d, .tensor = read->id, .solved_size = program->index_count};
  inversion.solved = ARENA_ARRAY(arena, const Expr *, program->index_count);
  bool *is_solved = ARENA_ARRAY(arena, bool, read->arg_count);
  for (int round = 0; round < 2; round++)
    for (int axis = 0; axis < read->arg_count; axis++)
      if (!is_solved[axis]) is_solved[axis] = solve(&inversion, read->args[axis], axis, variable_count, variables, round == 0);
  for (int axis = 0; axis < read->arg_count; axis++) {
    if (is_solved[axis]) continue;
    const Expr *place = expr_index(arena, d->indices[read->id][axis]);
    inversion.guard = conjunction(arena, inversion.guard, expr_binary(arena, OP_EQ, place, substitute(&inversion, read->args[axis])));
  }
  const Expr *body = substitute(&inversion, adjoint);
  const Expr *guard = inversion.guard ? substitute(&inversion, inversion.guard) : NULL;
  IndexId *free = ARENA_ARRAY(arena, IndexId, variable_count);
  int free_count = 0;
  for (int n = 0; n < variable_count; n++)
    if (!inversion.solved[variables[n]]) free[free_count++] = variables[n];
  body = narrow(program, body, &guard, &free_count, free);
  Ranges ranges = program_ranges(program);
  body = ranges_simplify(&ranges, body);
  guard = ranges_simplify(&ranges, guard);
  if (guard && expr_is_boolean(guard, true)) guard = NULL;
  if (expr_is_number(body, 0) || (guard && expr_is_boolean(guard, false))) return;
  if (free_count == 0) {
    add_term(d, read->id, guarded(arena, guard, body));
    return;
  }
  Tie tie;
  if (find_tie(d, read->id, body, guard, free_count, free, &tie)) {
    body = sum_first(d, read->id, body, &tie, source);
    guard = tie.tied;
    free_count = tie.last_count;
    free = tie.last;
  }
  add_term(d, read->id, sum_over(d, read->id, body, guard, free_count, free, source));
}

/* ---- one equation ------------------------------------------------------------------------------------------------ */

static const Expr *read_at_target(Differentiation *d, const Equation *equation, TensorId tensor) {
  Program *program = d->program;
  int rank = program->tensors[equation->target].rank;
  const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) reads[n] = expr_index(program->arena, equation->indices[n]);
  return program_read(program, tensor, reads, NULL);
}

/* The adjoint of one value that went into the reduction. */
static const Expr *reduction_adjoint(Differentiation *d, const Equation *equation, const Expr *part, const Expr *of_target) {
  Arena *arena = d->program->arena;
  if (equation->reduce == REDUCE_MAX || equation->reduce == REDUCE_MIN) {
    const Expr *result = read_at_target(d, equation, equation->target);
    return expr_select(arena, expr_binary(arena, OP_EQ, part, result), of_target, expr_number(arena, 0));
  }
  if (equation->reduce == REDUCE_PRODUCT) {
    const Expr *result = read_at_target(d, equation, equation->target);
    return expr_binary(arena, OP_DIV, expr_binary(arena, OP_MUL, of_target, result), part);
  }
  return of_target;
}

static void differentiate_part(Differentiation *d, const Equation *equation, const Expr *part, bool is_body) {
  Program *program = d->program;
  int rank = program->tensors[equation->target].rank, variable_count = rank + (is_body ? equation->reduce_count : 0);
  IndexId *variables = ARENA_ARRAY(program->arena, IndexId, variable_count);
  if (rank) memcpy(variables, equation->indices, sizeof *variables * (size_t)rank);
  if (is_body && equation->reduce_count) memcpy(variables + rank, equation->reduce_indices, sizeof *variables * (size_t)equation->reduce_count);
  const Expr *adjoint = read_at_target(d, equation, d->adjoint[equation->target]);
  adjoint = reduction_adjoint(d, equation, part, adjoint);
  if (is_body && equation->guard) adjoint = expr_select(program->arena, equation->guard, adjoint, expr_number(program->arena, 0));
  int count;
  ReadAdjoint *adjoints = expr_adjoints(program, part, adjoint, d->is_active, &count);
  for (int n = 0; n < count; n++)
    add_contribution(d, adjoints[n].read, adjoints[n].adjoint, variable_count, variables, equation->source);
}

static void differentiate_equations(Differentiation *d) {
  Program *program = d->program;
  int equations = program->equation_count;
  for (int n = 0; n < equations; n++) {
    Equation equation = program->equations[n];
    if (equation.target >= d->tensors || !d->is_active[equation.target] || equation.reduce == REDUCE_ARGMAX) continue;
    if (equation.value) differentiate_part(d, &equation, equation.value, false);
    if (equation.body) differentiate_part(d, &equation, equation.body, true);
  }
}

/* ---- ports ------------------------------------------------------------------------------------------------------- */

static void add_seeds(Differentiation *d, bool has_objective) {
  Program *program = d->program;
  int ports = program->port_count;
  for (int n = 0; n < ports; n++) {
    Port port = program->ports[n];
    if (port.kind != (has_objective ? PORT_OBJECTIVE : PORT_OUTPUT)) continue;
    const Expr *seed = expr_number(program->arena, 1);
    if (!has_objective) { /* one for each output, integers too: callers find them by the output's number */
      const Tensor *tensor = &program->tensors[port.tensor];
      const char *name = arena_format(program->arena, "cotangent.%s", port.name);
      TensorId cotangent = program_add_tensor(program, name, TYPE_REAL, tensor->rank, tensor->shape);
      Port weight = {.kind = PORT_COTANGENT, .name = port.name, .tensor = cotangent, .batch_axis = port.batch_axis, .of = n};
      program_add_port(program, weight);
      if (!d->is_active[port.tensor]) continue;
      int rank = program->tensors[port.tensor].rank;
      const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, rank);
      for (int k = 0; k < rank; k++) reads[k] = expr_index(program->arena, d->indices[port.tensor][k]);
      seed = program_read(program, cotangent, reads, NULL);
    }
    if (d->is_active[port.tensor]) add_term(d, port.tensor, seed);
  }
}

/* Values before the first step of all are what their equation says in the call with that step only; later they came in, and no
 * gradient flows into what came in. */
static const Expr *at_first_step(Differentiation *d, TensorId tensor, const Expr *adjoint) {
  Program *program = d->program;
  Arena *arena = program->arena;
  const Tensor *of = &program->tensors[tensor];
  SymbolId stream = program_find_symbol(program, SYMBOL_STREAM);
  bool is_before = d->has_step && of->boundary_of != NONE && !of->is_after &&
                   program->tensors[of->boundary_of].shape[of->boundary_axis].symbol == stream;
  if (!is_before || adjoint->op == OP_NUMBER) return adjoint;
  SymbolId position = program_find_symbol(program, SYMBOL_POSITION);
  if (position == NONE) position = program_add_symbol(program, SYMBOL_POSITION, "position");
  const Expr *is_first = expr_binary(arena, OP_EQ, expr_symbol(arena, position), expr_integer(arena, 0));
  return expr_select(arena, is_first, adjoint, expr_number(arena, 0));
}

static void define_adjoints(Differentiation *d) {
  Program *program = d->program;
  for (int n = 0; n < d->tensors; n++) {
    if (!d->is_active[n]) continue;
    Equation equation = {.target = d->adjoint[n], .indices = d->indices[n], .source = program->tensors[n].source};
    equation.value = at_first_step(d, n, d->sum[n] ? d->sum[n] : expr_number(program->arena, 0));
    program_add_equation(program, equation);
  }
}

static void add_gradient_ports(Differentiation *d) {
  Program *program = d->program;
  int ports = program->port_count;
  for (int n = 0; n < ports; n++) {
    Port port = program->ports[n];
    if (!has_gradient(program, &port)) continue;
    TensorId gradient = d->adjoint[port.tensor];
    if (gradient == NONE) {
      const Tensor *tensor = &program->tensors[port.tensor];
      gradient = program_add_tensor(program, arena_format(program->arena, "d.%s", tensor->name), TYPE_REAL, tensor->rank, tensor->shape);
      IndexId *indices = ARENA_ARRAY(program->arena, IndexId, program->tensors[gradient].rank);
      program_add_indices(program, gradient, NULL, indices);
      program_add_equation(program, (Equation){.target = gradient, .indices = indices, .value = expr_number(program->arena, 0)});
    }
    Port result = port;
    result.kind = PORT_GRADIENT;
    result.tensor = gradient;
    result.of = n;
    program_add_port(program, result);
  }
}

static void drop_outputs(Program *program) {
  int *moved = ARENA_ARRAY(program->arena, int, program->port_count), kept = 0;
  for (int n = 0; n < program->port_count; n++) {
    moved[n] = program->ports[n].kind == PORT_OUTPUT ? NONE : kept;
    if (moved[n] != NONE) program->ports[kept++] = program->ports[n];
  }
  program->port_count = kept;
  for (int n = 0; n < kept; n++)
    if (program->ports[n].of != NONE) program->ports[n].of = moved[program->ports[n].of];
}

bool pass_differentiate(Program *program, PassContext *context) {
  (void)context;
  bool has_objective = false;
  for (int n = 0; n < program->port_count; n++) has_objective |= program->ports[n].kind == PORT_OBJECTIVE;
  const Port *reason;
  Differentiation d = {.program = program, .tensors = program->tensor_count};
  d.has_step = program_find_symbol(program, SYMBOL_STREAM) != NONE && program_has_step(program, &reason);
  d.depends = ARENA_ARRAY(program->arena, bool, d.tensors);
  d.is_needed = ARENA_ARRAY(program->arena, bool, d.tensors);
  d.is_active = ARENA_ARRAY(program->arena, bool, d.tensors);
  d.adjoint = ARENA_ARRAY(program->arena, TensorId, d.tensors);
  d.indices = ARENA_ARRAY(program->arena, IndexId *, d.tensors);
  d.sum = ARENA_ARRAY(program->arena, const Expr *, d.tensors);
  find_active(&d, has_objective);
  create_adjoints(&d);
  add_seeds(&d, has_objective);
  differentiate_equations(&d);
  define_adjoints(&d);
  add_gradient_ports(&d);
  drop_outputs(program);
  return true;
}
