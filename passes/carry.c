/* carry.c - turn values before the first step into state that comes from, and goes to, another call.
 *
 * Needs:  boundary tensors of the stream's axis, each with an equation for the very first step; kept tensors.
 * Leaves: the boundaries are ports (carry in) without equation; for each a carry out: the last values of this call, or,
 *         where it was shorter than the lag, those that came in. A kept tensor is what came in after the first step, and goes out
 *         as it is; in a gradient it is computed every time, as what it is made of is needed there too. A kept boundary takes its
 *         equation's value in the call that has the first step, and what came in elsewhere.
 * Why:    the whole sequence, a chunk and a step are then one program with another boundary.
 */
#include "passes/passes.h"

typedef struct Carrying {
  Program *program;
  SymbolId stream;
} Carrying;

static bool is_carried(const Program *program, SymbolId stream, TensorId id) {
  const Tensor *tensor = &program->tensors[id];
  if (tensor->boundary_of == NONE || tensor->is_after) return false;
  return program->tensors[tensor->boundary_of].shape[tensor->boundary_axis].symbol == stream;
}

static int stored_at(const Carrying *carrying, TensorId id) {
  const Tensor *tensor = &carrying->program->tensors[id];
  int batch = NONE;
  for (int n = 0; n < tensor->rank; n++)
    if (tensor->shape[n].symbol != NONE && carrying->program->symbols[tensor->shape[n].symbol].kind == SYMBOL_BATCH) batch = n;
  return batch;
}

static bool is_history(const Program *program, TensorId before) {
  SymbolId slots = program->tensors[before].shape[0].symbol;
  return slots != NONE && program->symbols[slots].kind == SYMBOL_POSITION;
}

/* X.carry[m, ...] = X[T - slots + m, ...], outside of it X.before[T + m, ...]. All steps so far are X[m - position, ...], outside
 * of it X.before[m, ...]. */
static TensorId define_carry(Carrying *carrying, TensorId before) {
  Program *program = carrying->program;
  Arena *arena = program->arena;
  TensorId of = program->tensors[before].boundary_of;
  int axis = program->tensors[before].boundary_axis, rank = program->tensors[before].rank;
  const char *name = arena_format(arena, "%s.carry", program->tensors[of].name);
  Size *shape = arena_copy(arena, program->tensors[before].shape, sizeof *shape * (size_t)rank);
  bool grows = is_history(program, before);
  const Expr *slots = size_expr(arena, shape[0]), *shift = grows ? expr_integer(arena, 0) : expr_symbol(arena, carrying->stream);
  if (grows) shape[0] = size_symbol(program_find_symbol(program, SYMBOL_HISTORY));
  TensorId carry = program_add_tensor(program, name, program->tensors[before].type, rank, shape);
  program->tensors[carry].source = program->tensors[of].source;
  IndexId *indices = ARENA_ARRAY(arena, IndexId, rank);
  program_add_indices(program, carry, NULL, indices);
  const Expr **at_end = ARENA_ARRAY(arena, const Expr *, rank), **at_start = ARENA_ARRAY(arena, const Expr *, rank);
  const Expr *slot = expr_binary(arena, OP_ADD, shift, expr_index(arena, indices[0]));
  for (int n = 0, next = 1; n < rank; n++) at_end[n] = n == axis ? expr_binary(arena, OP_SUB, slot, slots) : expr_index(arena, indices[next++]);
  for (int n = 0; n < rank; n++) at_start[n] = n == 0 ? slot : expr_index(arena, indices[n]);
  const Expr *earlier = program_read(program, before, at_start, NULL);
  Equation equation = {.target = carry, .indices = indices, .source = program->tensors[of].source};
  equation.value = program_read(program, of, at_end, earlier);
  program_add_equation(program, equation);
  return carry;
}

static void remove_equations(Program *program, const bool *is_removed) {
  int kept = 0;
  for (int n = 0; n < program->equation_count; n++)
    if (!is_removed[program->equations[n].target]) program->equations[kept++] = program->equations[n];
  program->equation_count = kept;
  program_index(program);
}

static void add_carry_ports(Carrying *carrying, const char *name, TensorId in, TensorId out) {
  Port port = {.kind = PORT_CARRY_IN, .name = name, .tensor = in, .batch_axis = stored_at(carrying, out), .of = NONE};
  int number = in == NONE ? NONE : program_add_port(carrying->program, port);
  Port result = {.kind = PORT_CARRY_OUT, .name = name, .tensor = out, .batch_axis = stored_at(carrying, out), .of = number, .streams = true};
  program_add_port(carrying->program, result);
}

static TensorId add_like(Program *program, TensorId of, const char *what) {
  const Tensor tensor = program->tensors[of];
  TensorId made = program_add_tensor(program, arena_format(program->arena, "%s.%s", tensor.name, what), tensor.type, tensor.rank, tensor.shape);
  program->tensors[made].source = tensor.source;
  return made;
}

/* K[...] = K.first[...], which takes over the equation. */
static void name_value(Program *program, TensorId tensor) {
  TensorId first = add_like(program, tensor, "first");
  int number = program->definition[tensor], rank = program->tensors[tensor].rank;
  Equation copy = {.target = tensor, .source = program->equations[number].source};
  copy.indices = ARENA_ARRAY(program->arena, IndexId, rank);
  program_add_indices(program, tensor, program->equations[number].indices, copy.indices);
  const Expr **places = ARENA_ARRAY(program->arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) places[n] = expr_index(program->arena, copy.indices[n]);
  copy.value = program_read(program, first, places, NULL);
  program->equations[number].target = first;
  program_index(program);
  program_add_equation(program, copy);
}

/* K = position == 0 ? what it was : K.before. Where it was a reduction, that is a tensor of its own. */
static void take_from_before(Carrying *carrying, TensorId kept, TensorId before) {
  Program *program = carrying->program;
  Arena *arena = program->arena;
  if (program->equations[program->definition[kept]].reduce != REDUCE_NONE) name_value(program, kept);
  Equation *equation = &program->equations[program->definition[kept]];
  SymbolId position = program_find_symbol(program, SYMBOL_POSITION);
  if (position == NONE) position = program_add_symbol(program, SYMBOL_POSITION, "position");
  int rank = program->tensors[kept].rank;
  const Expr **places = ARENA_ARRAY(arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) places[n] = expr_index(arena, equation->indices[n]);
  const Expr *is_first = expr_binary(arena, OP_EQ, expr_symbol(arena, position), expr_integer(arena, 0));
  equation->value = expr_select(arena, is_first, equation->value, program_read(program, before, places, NULL));
}

static bool is_gradient(const Program *program) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].kind == PORT_GRADIENT) return true;
  return false;
}

static void carry_kept(Carrying *carrying, int tensors) {
  Program *program = carrying->program;
  bool is_recomputed = is_gradient(program);
  for (TensorId n = 0; n < tensors; n++) {
    if (!program->tensors[n].is_kept || program->tensors[n].boundary_of != NONE) continue;
    TensorId before = add_like(program, n, "before");
    program->tensors[before].is_kept = true;
    if (!is_recomputed) take_from_before(carrying, n, before);
    add_carry_ports(carrying, program->tensors[n].name, before, n);
  }
}

/* Before the first step there is none of it yet. */
static void start_kept(Carrying *carrying, TensorId kept) {
  Program *program = carrying->program;
  TensorId none = add_like(program, kept, "none");
  Equation equation = {.target = none, .indices = ARENA_ARRAY(program->arena, IndexId, program->tensors[kept].rank)};
  program_add_indices(program, none, NULL, equation.indices);
  Type type = program->tensors[kept].type;
  equation.value = type == TYPE_REAL  ? expr_number(program->arena, 0)
                   : type == TYPE_INT ? expr_integer(program->arena, 0)
                                      : expr_boolean(program->arena, false);
  program_add_equation(program, equation);
  add_carry_ports(carrying, program->tensors[kept].name, NONE, none);
}

bool pass_carry(Program *program, PassContext *context) {
  (void)context;
  Carrying carrying = {.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  if (carrying.stream == NONE) return false;
  int tensors = program->tensor_count;
  bool *is_removed = ARENA_ARRAY(program->arena, bool, tensors * 5);
  for (TensorId n = 0; n < tensors; n++) {
    if (!is_carried(program, carrying.stream, n)) continue;
    TensorId in = n;
    if (program->tensors[n].is_kept) take_from_before(&carrying, n, in = add_like(program, n, "carried"));
    else is_removed[n] = true;
    add_carry_ports(&carrying, program->tensors[n].name, in, define_carry(&carrying, n));
  }
  carry_kept(&carrying, tensors); /* last, as their sizes are those that may change before the first step */
  remove_equations(program, is_removed);
  return true;
}

void program_keep_initial(Program *program) {
  SymbolId stream = program_find_symbol(program, SYMBOL_STREAM);
  int kept = 0;
  for (int n = 0; n < program->port_count; n++)
    if (!port_is_result(program->ports[n].kind)) program->ports[kept++] = program->ports[n];
  program->port_count = kept;
  int tensors = program->tensor_count;
  Carrying carrying = {.program = program, .stream = stream};
  for (TensorId n = 0; n < tensors; n++) {
    if (!is_carried(program, stream, n)) continue;
    if (program->tensors[n].is_kept) start_kept(&carrying, n);
    else add_carry_ports(&carrying, program->tensors[n].name, NONE, n);
  }
  for (TensorId n = 0; n < tensors; n++)
    if (program->tensors[n].is_kept && program->tensors[n].boundary_of == NONE) start_kept(&carrying, n);
}
