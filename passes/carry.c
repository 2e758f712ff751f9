/* carry.c - turn values before the first step into state that comes from, and goes to, another call.
 *
 * Needs:  boundary tensors of the stream's axis, each with an equation for the very first step.
 * Leaves: these tensors are ports (carry in) without equation; for each a carry out: the last values of this call, or,
 *         where it was shorter than the lag, those that came in.
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

bool pass_carry(Program *program, PassContext *context) {
  (void)context;
  Carrying carrying = {.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  if (carrying.stream == NONE) return false;
  int tensors = program->tensor_count;
  bool *is_removed = ARENA_ARRAY(program->arena, bool, tensors * 2);
  for (TensorId n = 0; n < tensors; n++) {
    if (!is_carried(program, carrying.stream, n)) continue;
    is_removed[n] = true;
    Port in = {.kind = PORT_CARRY_IN, .name = program->tensors[n].name, .tensor = n, .batch_axis = stored_at(&carrying, n), .of = NONE};
    int port = program_add_port(program, in);
    Port out = {.kind = PORT_CARRY_OUT, .name = in.name, .tensor = define_carry(&carrying, n), .batch_axis = in.batch_axis, .of = port, .streams = true};
    program_add_port(program, out);
  }
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
  for (TensorId n = 0; n < tensors; n++) {
    if (!is_carried(program, stream, n)) continue;
    Carrying carrying = {.program = program, .stream = stream};
    Port out = {.kind = PORT_CARRY_OUT, .name = program->tensors[n].name, .tensor = n, .batch_axis = stored_at(&carrying, n), .of = NONE};
    program_add_port(program, out);
  }
}
