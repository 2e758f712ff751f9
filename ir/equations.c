/* equations.c - building programs of equations. */
#include "ir/equations.h"

#include <stdio.h>

const char *const reduce_names[REDUCE_COUNT] = {"", "sum", "max", "min", "product", "argmax"};
const char *const port_names[PORT_KIND_COUNT] = {"parameter", "input",     "state",       "carry_in",  "cotangent",
                                                 "output",    "objective", "final_state", "carry_out", "gradient"};

bool port_is_result(PortKind kind) { return kind >= PORT_OUTPUT; }

bool size_equal(Size a, Size b) { return a.symbol == b.symbol && a.constant == b.constant; }
bool size_is(Size size, int64_t constant) { return size.symbol == NONE && size.constant == constant; }
Size size_constant(int64_t constant) { return (Size){NONE, constant}; }
Size size_symbol(SymbolId symbol) { return (Size){symbol, 0}; }

const Expr *size_expr(Arena *arena, Size size) {
  const Expr *constant = expr_integer(arena, size.constant);
  return size.symbol == NONE ? constant : expr_binary(arena, OP_ADD, expr_symbol(arena, size.symbol), constant);
}

Program *program_create(Arena *arena, const char *name) {
  Program *program = ARENA_NEW(arena, Program);
  program->arena = arena;
  program->name = arena_string(arena, name);
  return program;
}

/* A copy with the capacity that arena_grow expects of an array of `count` items. */
static void *copy_array(Arena *arena, const void *items, int count, size_t item_size) {
  size_t capacity = 4;
  while (capacity < (size_t)count) capacity *= 2;
  if (count == 0) return NULL;
  void *copy = arena_allocate(arena, capacity * item_size);
  memcpy(copy, items, (size_t)count * item_size);
  return copy;
}

#define COPY_ARRAY(arena, items, count) copy_array((arena), (items), (count), sizeof *(items))

Program *program_clone(Arena *arena, const Program *program) {
  Program *clone = arena_copy(arena, program, sizeof *program);
  clone->arena = arena;
  clone->names = NULL;
  clone->symbols = COPY_ARRAY(arena, program->symbols, program->symbol_count);
  clone->indices = COPY_ARRAY(arena, program->indices, program->index_count);
  clone->tensors = COPY_ARRAY(arena, program->tensors, program->tensor_count);
  clone->definition = COPY_ARRAY(arena, program->definition, program->tensor_count);
  clone->equations = COPY_ARRAY(arena, program->equations, program->equation_count);
  clone->ports = COPY_ARRAY(arena, program->ports, program->port_count);
  clone->ignored = COPY_ARRAY(arena, program->ignored, program->ignored_count);
  for (int n = 0; n < clone->tensor_count; n++) {
    Tensor *tensor = &clone->tensors[n];
    tensor->shape = COPY_ARRAY(arena, tensor->shape, tensor->rank);
  }
  for (int n = 0; n < clone->equation_count; n++) {
    Equation *equation = &clone->equations[n];
    equation->indices = COPY_ARRAY(arena, equation->indices, clone->tensors[equation->target].rank);
    equation->reduce_indices = COPY_ARRAY(arena, equation->reduce_indices, equation->reduce_count);
  }
  for (int n = 0; n < clone->port_count; n++) {
    Port *port = &clone->ports[n];
    port->stored_shape = COPY_ARRAY(arena, port->stored_shape, port->stored_rank);
  }
  return clone;
}

SymbolId program_add_symbol(Program *program, SymbolKind kind, const char *name) {
  Symbol symbol = {.kind = kind, .name = arena_string(program->arena, name)};
  ARENA_PUSH(program->arena, program->symbols, program->symbol_count, symbol);
  return program->symbol_count - 1;
}

SymbolId program_find_symbol(const Program *program, SymbolKind kind) {
  for (int n = 0; n < program->symbol_count; n++)
    if (program->symbols[n].kind == kind && !program->symbols[n].most) return n;
  return NONE;
}

SymbolId program_find_recent(const Program *program, SymbolKind kind, int64_t most) {
  for (int n = 0; n < program->symbol_count; n++)
    if (program->symbols[n].kind == kind && program->symbols[n].most == most) return n;
  return NONE;
}

IndexId program_add_index(Program *program, const char *name, Size low, Size high) {
  Index index = {.name = arena_string(program->arena, name), .low = low, .high = high};
  ARENA_PUSH(program->arena, program->indices, program->index_count, index);
  return program->index_count - 1;
}

/* Tensors by name, so that a program of many is not searched for each new one. Made anew when tensors were added or removed by
 * other hands. */
struct TensorNames {
  int count;      /* tensors it knows: all below this id */
  int slot_count; /* a power of two, at least twice the count */
  int *slots;     /* id + 1; 0: free */
};

static int *name_slot(const Program *program, const char *name) {
  const struct TensorNames *names = program->names;
  unsigned hash = 2166136261u;
  for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  unsigned mask = (unsigned)names->slot_count - 1, at = hash & mask;
  while (names->slots[at] && strcmp(program->tensors[names->slots[at] - 1].name, name)) at = (at + 1) & mask;
  return &names->slots[at];
}

static void index_names(Program *program) {
  struct TensorNames *names = program->names = ARENA_NEW(program->arena, struct TensorNames);
  names->slot_count = 16;
  while (names->slot_count < program->tensor_count * 4) names->slot_count *= 2;
  names->slots = ARENA_ARRAY(program->arena, int, names->slot_count);
  names->count = program->tensor_count;
  for (int n = 0; n < program->tensor_count; n++) *name_slot(program, program->tensors[n].name) = n + 1;
}

static bool has_tensor(Program *program, const char *name) {
  const struct TensorNames *names = program->names;
  if (!names || names->count != program->tensor_count || names->count * 2 >= names->slot_count) index_names(program);
  return *name_slot(program, name) != 0;
}

static const char *unique_name(Program *program, const char *name) {
  if (!has_tensor(program, name)) return arena_string(program->arena, name);
  for (int suffix = 2;; suffix++) {
    const char *candidate = arena_format(program->arena, "%s.%d", name, suffix);
    if (!has_tensor(program, candidate)) return candidate;
  }
}

TensorId program_add_tensor(Program *program, const char *name, Type type, int rank, const Size *shape) {
  Tensor tensor = {.name = unique_name(program, name), .type = type, .rank = rank, .boundary_of = NONE};
  tensor.shape = COPY_ARRAY(program->arena, shape, rank);
  int count = program->tensor_count;
  ARENA_PUSH(program->arena, program->definition, count, NONE);
  ARENA_PUSH(program->arena, program->tensors, program->tensor_count, tensor);
  *name_slot(program, tensor.name) = ++program->names->count;
  return program->tensor_count - 1;
}

int program_add_equation(Program *program, Equation equation) {
  if (equation.target < 0 || equation.target >= program->tensor_count)
    internal_error("equation for tensor %d of %d", equation.target, program->tensor_count);
  const Tensor *target = &program->tensors[equation.target];
  if (program->definition[equation.target] != NONE) internal_error("second equation for '%s'", target->name);
  equation.indices = COPY_ARRAY(program->arena, equation.indices, target->rank);
  equation.reduce_indices = COPY_ARRAY(program->arena, equation.reduce_indices, equation.reduce_count);
  program->definition[equation.target] = program->equation_count;
  ARENA_PUSH(program->arena, program->equations, program->equation_count, equation);
  return program->equation_count - 1;
}

int program_add_port(Program *program, Port port) {
  ARENA_PUSH(program->arena, program->ports, program->port_count, port);
  return program->port_count - 1;
}

const char *port_turn_name(Arena *arena, const Port *port, int64_t turn) {
  const char *place = port->has_turns ? strstr(port->name, "{}") : NULL;
  if (!place) return port->name;
  return arena_format(arena, "%.*s%lld%s", (int)(place - port->name), port->name,
                      (long long)(port->turn_scale * turn + port->turn_offset), place + 2);
}

void program_add_ignored(Program *program, const char *pattern) {
  for (int n = 0; n < program->ignored_count; n++)
    if (!strcmp(program->ignored[n], pattern)) return;
  ARENA_PUSH(program->arena, program->ignored, program->ignored_count, arena_string(program->arena, pattern));
}

int program_find_port(const Program *program, PortKind kind, const char *name) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].kind == kind && !strcmp(program->ports[n].name, name)) return n;
  return NONE;
}

int program_port_of_tensor(const Program *program, TensorId tensor, PortKind kind) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].kind == kind && program->ports[n].tensor == tensor) return n;
  return NONE;
}

const Equation *program_definition(const Program *program, TensorId tensor) {
  int equation = program->definition[tensor];
  return equation == NONE ? NULL : &program->equations[equation];
}

void program_index(Program *program) {
  for (int n = 0; n < program->tensor_count; n++) program->definition[n] = NONE;
  for (int n = 0; n < program->equation_count; n++) program->definition[program->equations[n].target] = n;
}

const Expr *program_read(Program *program, TensorId tensor, const Expr *const *indices, const Expr *outside) {
  const Tensor *read = &program->tensors[tensor];
  return expr_read(program->arena, read->type, tensor, read->rank, indices, outside);
}

void program_add_indices(Program *program, TensorId tensor, const IndexId *names, IndexId *out_indices) {
  int rank = program->tensors[tensor].rank;
  for (int axis = 0; axis < rank; axis++) {
    char fallback[16];
    snprintf(fallback, sizeof fallback, "i%d", axis);
    const char *name = names ? program->indices[names[axis]].name : fallback;
    out_indices[axis] = program_add_index(program, name, size_constant(0), program->tensors[tensor].shape[axis]);
  }
}

void equation_visit(const Equation *equation, ExprVisit *visit, void *context) {
  if (equation->value) expr_visit(equation->value, visit, context);
  if (equation->guard) expr_visit(equation->guard, visit, context);
  if (equation->body) expr_visit(equation->body, visit, context);
}

bool program_has_boundary(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->tensor_count; n++)
    if (program->tensors[n].boundary_of == tensor) return true;
  return program->tensors[tensor].boundary_of != NONE;
}

const Expr *program_split_sum(Program *program, int number, const char *suffix) {
  Arena *arena = program->arena;
  Equation whole = program->equations[number], sum = whole;
  const Tensor target = program->tensors[whole.target];
  sum.target = program_add_tensor(program, arena_format(arena, "%s.%s", target.name, suffix), target.type, target.rank, target.shape);
  program->tensors[sum.target].source = target.source;
  sum.value = NULL;
  const Expr **indices = ARENA_ARRAY(arena, const Expr *, target.rank);
  for (int axis = 0; axis < target.rank; axis++) indices[axis] = expr_index(arena, whole.indices[axis]);
  whole.reduce = REDUCE_NONE;
  whole.reduce_count = 0;
  whole.reduce_indices = NULL;
  whole.value = whole.guard = whole.body = NULL;
  program->equations[number] = whole;
  program_add_equation(program, sum);
  return program_read(program, sum.target, indices, NULL);
}

bool program_is_run_time(const Program *program, Size size) {
  return size.symbol != NONE && program->symbols[size.symbol].kind != SYMBOL_BATCH;
}

int program_run_time_axes(const Program *program, TensorId id) {
  const Tensor *tensor = &program->tensors[id];
  int count = 0;
  for (int n = 0; n < tensor->rank; n++) count += program_is_run_time(program, tensor->shape[n]);
  return count;
}

bool program_shows(const Program *program, TensorId tensor) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == tensor) return true;
  return false;
}
