/* loops.c - building kernels. */
#include "ir/loops.h"

const char *const packed_format_names[PACKED_FORMAT_COUNT] = {"f32", "bf16", "int8", "int16"};
const int packed_steps[PACKED_FORMAT_COUNT] = {[PACKED_INT8] = 127, [PACKED_INT16] = 32767};
const char *const home_names[HOME_COUNT] = {"workspace",          "parameter",      "input",         "state",     "output",
                                            "objective",          "cotangent",      "carry_in",      "carry_out", "final_state",
                                            "history",            "parameter_gradient", "input_gradient", "state_gradient", "packed"};
const char *const loop_names[] = {"for", "parallel", "vector"};
const char *const entry_names[ENTRY_COUNT] = {"forward", "objective", "gradient", "initial", "pack"};

Kernel *kernel_create(Arena *arena, EntryKind entry, const Program *program) {
  Kernel *kernel = ARENA_NEW(arena, Kernel);
  kernel->arena = arena;
  kernel->entry = entry;
  for (int n = 0; program && n < program->symbol_count; n++)
    ARENA_PUSH(arena, kernel->symbols, kernel->symbol_count, program->symbols[n]);
  return kernel;
}

IndexId kernel_add_index(Kernel *kernel, const char *name, Size low, Size high) {
  Index index = {.name = arena_string(kernel->arena, name), .low = low, .high = high};
  ARENA_PUSH(kernel->arena, kernel->indices, kernel->index_count, index);
  return kernel->index_count - 1;
}

LocalId kernel_add_local(Kernel *kernel, const char *name, Type type) {
  Local local = {arena_string(kernel->arena, name), type};
  ARENA_PUSH(kernel->arena, kernel->locals, kernel->local_count, local);
  return kernel->local_count - 1;
}

static const char *unique_name(Kernel *kernel, const char *name) {
  const char *candidate = arena_string(kernel->arena, name);
  for (int suffix = 2;; suffix++) {
    bool is_taken = false;
    for (int n = 0; n < kernel->buffer_count; n++) is_taken = is_taken || !strcmp(kernel->buffers[n].name, candidate);
    if (!is_taken) return candidate;
    candidate = arena_format(kernel->arena, "%s.%d", name, suffix);
  }
}

BufferId kernel_add_buffer(Kernel *kernel, const char *name, Type type, int rank, const Size *shape, BufferHome home, int slot) {
  Buffer buffer = {.name = unique_name(kernel, name), .type = type, .rank = rank, .home = home, .slot = slot, .packed_slot = NONE};
  buffer.shape = arena_copy(kernel->arena, shape, sizeof *shape * (size_t)rank);
  buffer.order = ARENA_ARRAY(kernel->arena, int, rank);
  buffer.is_folded = ARENA_ARRAY(kernel->arena, bool, rank);
  for (int axis = 0; axis < rank; axis++) buffer.order[axis] = axis;
  ARENA_PUSH(kernel->arena, kernel->buffers, kernel->buffer_count, buffer);
  return kernel->buffer_count - 1;
}

BufferId kernel_packed_buffer(const Kernel *kernel, int slot) {
  for (BufferId n = 0; n < kernel->buffer_count; n++)
    if (kernel->buffers[n].home == HOME_PACKED && kernel->buffers[n].slot == slot) return n;
  return NONE;
}

void block_append(Block *block, Statement *statement) {
  if (!block->tail) block->tail = &block->first;
  *block->tail = statement;
  while (*block->tail) block->tail = &(*block->tail)->next;
}

Statement *statement_create(Kernel *kernel, StatementKind kind) {
  Statement *statement = ARENA_NEW(kernel->arena, Statement);
  statement->kind = kind;
  statement->index = statement->local = statement->buffer = statement->ahead_index = NONE;
  statement->row_index = statement->column_index = statement->a_buffer = statement->b_buffer = statement->packed_buffer = statement->scale_buffer = NONE;
  statement->row_scale_buffer = NONE;
  return statement;
}

Statement *statement_loop(Kernel *kernel, LoopKind kind, IndexId index, const Expr *low, const Expr *high, Statement *body) {
  Statement *loop = statement_create(kernel, STATEMENT_LOOP);
  loop->loop_kind = kind;
  loop->index = index;
  loop->low = low;
  loop->high = high;
  loop->body = body;
  return loop;
}

int64_t buffer_element_bytes(const Buffer *buffer) {
  static const int64_t bytes[PACKED_FORMAT_COUNT] = {[PACKED_F32] = 4, [PACKED_BF16] = 2, [PACKED_INT8] = 1, [PACKED_INT16] = 2};
  return buffer->type == TYPE_BOOL ? 1 : bytes[buffer->format];
}

Statement *statement_if(Kernel *kernel, const Expr *condition, Statement *then, Statement *otherwise) {
  Statement *branch = statement_create(kernel, STATEMENT_IF);
  branch->condition = condition;
  branch->body = then;
  branch->otherwise = otherwise;
  return branch;
}

Statement *statement_let(Kernel *kernel, LocalId local, const Expr *value) {
  Statement *let = statement_create(kernel, STATEMENT_LET);
  let->local = local;
  let->value = value;
  return let;
}

Statement *statement_store(Kernel *kernel, BufferId buffer, const Expr *const *indices, const Expr *value) {
  Statement *store = statement_create(kernel, STATEMENT_STORE);
  store->buffer = buffer;
  store->rank = kernel->buffers[buffer].rank;
  store->indices = arena_copy(kernel->arena, indices, sizeof *indices * (size_t)store->rank);
  store->value = value;
  return store;
}

Statement *statement_reduce(Kernel *kernel, LocalId local, ReduceOp op, int count, const IndexId *indices, const Expr *guard,
                            const Expr *value, const Expr *body, bool is_vector) {
  Statement *reduce = statement_create(kernel, STATEMENT_REDUCE);
  reduce->local = local;
  reduce->reduce = op;
  reduce->reduce_count = count;
  reduce->reduce_indices = arena_copy(kernel->arena, indices, sizeof *indices * (size_t)count);
  reduce->guard = guard;
  reduce->value = value;
  reduce->reduce_body = body;
  reduce->is_vector = is_vector;
  return reduce;
}

Statement *statement_prefetch(Kernel *kernel, const Expr *load) {
  Statement *prefetch = statement_create(kernel, STATEMENT_PREFETCH);
  prefetch->value = load;
  return prefetch;
}

Statement *statement_barrier(Kernel *kernel) { return statement_create(kernel, STATEMENT_BARRIER); }
