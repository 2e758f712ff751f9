/* keep.c - find what is computed once: it depends on inputs that come whole, and every step reads it.
 *
 * Needs:  the batch axis; `streams` on the ports.
 * Leaves: a tensor that depends on no time, only on inputs that are whole (and parameters), costs a sum, and is read by equations
 *         that have a time has a copy, marked `kept`, which these read in its place. Values before the first step that depend on
 *         inputs, not on a declared state, are marked too.
 * Why:    pass_carry makes such a copy state that is computed at the first step, so that chunks and steps after it need no encoder,
 *         and so that there is a state before there are inputs.
 */
#include "passes/passes.h"

enum { MOST_LENGTHS = 5 }; /* that a state has room to remember */

typedef struct Copy {
  TensorId of, copy;
  const Expr **fixed; /* by axis of the tensor: the one place that is read there, NULL: all */
} Copy;

typedef struct Keeping {
  Program *program;
  SymbolId stream;
  bool *is_timed;  /* by tensor: depends on time, or on what came before */
  bool *has_input; /* depends on an input */
  bool *has_state; /* depends on a declared state before the first step */
  bool *is_costly; /* and a sum is in it */
  int tensor_count; /* before there were copies */
  int copy_count;
  Copy *copies;
  /* the equation at hand */
  bool reads_timed, reads_input, reads_state, reads_costly;
  bool changed;
} Keeping;

static bool is_time(const Keeping *keeping, Size size) {
  return program_is_run_time(keeping->program, size) &&
         keeping->program->symbols[size.symbol].kind != SYMBOL_LENGTH;
}

static void look(void *context, const Expr *expr) {
  Keeping *keeping = context;
  const Program *program = keeping->program;
  if (expr->op == OP_SYMBOL) keeping->reads_timed |= is_time(keeping, size_symbol(expr->id));
  if (expr->op == OP_INDEX) keeping->reads_timed |= is_time(keeping, program->indices[expr->id].high);
  if (expr->op != OP_READ) return;
  keeping->reads_timed |= keeping->is_timed[expr->id];
  keeping->reads_input |= keeping->has_input[expr->id];
  keeping->reads_state |= keeping->has_state[expr->id];
  keeping->reads_costly |= keeping->is_costly[expr->id];
}

static void look_at(Keeping *keeping, const Equation *equation) {
  keeping->reads_timed = keeping->reads_input = keeping->reads_state = keeping->reads_costly = false;
  for (int n = 0; n < equation->reduce_count; n++)
    keeping->reads_timed |= is_time(keeping, keeping->program->indices[equation->reduce_indices[n]].high);
  if (equation->value) expr_visit(equation->value, look, keeping);
  if (equation->guard) expr_visit(equation->guard, look, keeping);
  if (equation->body) expr_visit(equation->body, look, keeping);
}

static void set(Keeping *keeping, bool *place, bool value) {
  if (!value || *place) return;
  *place = keeping->changed = true;
}

/* Tensors with an axis over the stream, states, and what is carried; inputs that have none of it. */
static void mark_sources(Keeping *keeping) {
  const Program *program = keeping->program;
  for (TensorId n = 0; n < program->tensor_count; n++) {
    const Tensor *tensor = &program->tensors[n];
    for (int axis = 0; axis < tensor->rank; axis++) keeping->is_timed[n] |= is_time(keeping, tensor->shape[axis]);
    if (tensor->boundary_of == NONE) continue;
    keeping->is_timed[n] |= is_time(keeping, program->tensors[tensor->boundary_of].shape[tensor->boundary_axis]);
  }
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->kind == PORT_STATE) keeping->is_timed[port->tensor] = keeping->has_state[port->tensor] = true;
    if (port->kind == PORT_INPUT) keeping->has_input[port->tensor] = true;
  }
}

static void spread(Keeping *keeping) {
  const Program *program = keeping->program;
  do {
    keeping->changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      const Equation *equation = &program->equations[n];
      look_at(keeping, equation);
      set(keeping, &keeping->is_timed[equation->target], keeping->reads_timed);
      set(keeping, &keeping->has_input[equation->target], keeping->reads_input);
      set(keeping, &keeping->has_state[equation->target], keeping->reads_state);
      set(keeping, &keeping->is_costly[equation->target],
          keeping->has_input[equation->target] && (keeping->reads_costly || equation->reduce != REDUCE_NONE));
    }
  } while (keeping->changed);
}

static bool is_kept(const Keeping *keeping, TensorId tensor) {
  return tensor < keeping->tensor_count && keeping->is_costly[tensor] && !keeping->is_timed[tensor];
}

static bool is_same_part(const Copy *copy, TensorId of, int rank, const Expr *const *places) {
  bool is_same = copy->of == of;
  for (int n = 0; n < rank && is_same; n++) {
    const Expr *fixed = places && places[n]->op == OP_INTEGER ? places[n] : NULL;
    is_same = fixed ? copy->fixed[n] && copy->fixed[n]->integer == fixed->integer : !copy->fixed[n];
  }
  return is_same;
}

/* The part of the tensor at the places that are integers: the last turn of a repeat is kept without the others. */
static TensorId copy_of(Keeping *keeping, TensorId tensor, const Expr *const *places) {
  Program *program = keeping->program;
  const Tensor of = program->tensors[tensor];
  for (int n = 0; n < keeping->copy_count; n++)
    if (is_same_part(&keeping->copies[n], tensor, of.rank, places)) return keeping->copies[n].copy;
  Copy part = {.of = tensor, .fixed = ARENA_ARRAY(program->arena, const Expr *, of.rank)};
  const Equation *definition = program_definition(program, tensor);
  Size *shape = ARENA_ARRAY(program->arena, Size, of.rank);
  IndexId *names = ARENA_ARRAY(program->arena, IndexId, of.rank), *indices = ARENA_ARRAY(program->arena, IndexId, of.rank);
  int rank = 0;
  for (int n = 0; n < of.rank; n++) {
    if (places && places[n]->op == OP_INTEGER) part.fixed[n] = places[n];
    if (part.fixed[n]) continue;
    if (definition) names[rank] = definition->indices[n];
    shape[rank++] = of.shape[n];
  }
  part.copy = program_add_tensor(program, arena_format(program->arena, "%s.kept", of.name), of.type, rank, shape);
  program->tensors[part.copy].source = of.source;
  program->tensors[part.copy].is_kept = true;
  program_add_indices(program, part.copy, definition ? names : NULL, indices);
  const Expr **reads = ARENA_ARRAY(program->arena, const Expr *, of.rank);
  for (int n = 0, axis = 0; n < of.rank; n++) reads[n] = part.fixed[n] ? part.fixed[n] : expr_index(program->arena, indices[axis++]);
  Equation equation = {.target = part.copy, .indices = indices, .value = program_read(program, tensor, reads, NULL), .source = of.source};
  program_add_equation(program, equation);
  ARENA_PUSH(program->arena, keeping->copies, keeping->copy_count, part);
  return part.copy;
}

static const Expr *read_copy(void *context, const Expr *expr) {
  Keeping *keeping = context;
  if (expr->op != OP_READ || !is_kept(keeping, expr->id)) return expr;
  Arena *arena = keeping->program->arena;
  TensorId copy = copy_of(keeping, expr->id, expr->args);
  const Expr **places = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  for (int n = 0, axis = 0; n < expr->arg_count; n++)
    if (expr->args[n]->op != OP_INTEGER) places[axis++] = expr->args[n];
  return expr_with_source(arena, program_read(keeping->program, copy, places, expr->outside), expr->source);
}

static const Expr *with_copies(Keeping *keeping, const Expr *expr) {
  return expr ? expr_rewrite(keeping->program->arena, expr, read_copy, keeping) : NULL;
}

static bool mark_boundaries(Keeping *keeping, int tensors) {
  bool changed = false;
  for (TensorId n = 0; n < tensors; n++) {
    Tensor *tensor = &keeping->program->tensors[n];
    if (tensor->boundary_of == NONE || tensor->is_after) continue;
    bool is_of_stream = keeping->program->tensors[tensor->boundary_of].shape[tensor->boundary_axis].symbol == keeping->stream;
    tensor->is_kept = is_of_stream && keeping->has_input[n] && !keeping->has_state[n];
    changed |= tensor->is_kept;
  }
  return changed;
}

static int whole_lengths(const Program *program) {
  int count = 0;
  for (int n = 0; n < program->symbol_count; n++) count += program->symbols[n].kind == SYMBOL_LENGTH;
  return count;
}

bool pass_keep(Program *program, PassContext *context) {
  (void)context;
  const Port *reason;
  Keeping keeping = {.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  if (keeping.stream == NONE || !program_has_step(program, &reason) || whole_lengths(program) > MOST_LENGTHS) return false;
  int tensors = keeping.tensor_count = program->tensor_count, equations = program->equation_count;
  keeping.is_timed = ARENA_ARRAY(program->arena, bool, tensors);
  keeping.has_input = ARENA_ARRAY(program->arena, bool, tensors);
  keeping.has_state = ARENA_ARRAY(program->arena, bool, tensors);
  keeping.is_costly = ARENA_ARRAY(program->arena, bool, tensors);
  mark_sources(&keeping);
  spread(&keeping);
  for (int n = 0; n < equations; n++) {
    TensorId target = program->equations[n].target;
    if (!keeping.is_timed[target] || program->tensors[target].boundary_of != NONE) continue;
    const Expr *value = with_copies(&keeping, program->equations[n].value);
    const Expr *guard = with_copies(&keeping, program->equations[n].guard);
    const Expr *body = with_copies(&keeping, program->equations[n].body);
    Equation *equation = &program->equations[n];
    equation->value = value;
    equation->guard = guard;
    equation->body = body;
  }
  for (int n = 0; n < program->port_count; n++) {
    Port *port = &program->ports[n];
    if (port_is_result(port->kind) && is_kept(&keeping, port->tensor)) program->ports[n].tensor = copy_of(&keeping, port->tensor, NULL);
  }
  return mark_boundaries(&keeping, tensors) || program->equation_count > equations;
}
