/* batch.c - give every tensor that depends on a batched input the batch axis.
 *
 * Needs:  a program without batch axes, ports that say where the batch goes.
 * Leaves: batched tensors with the batch at the port's place, else as axis 0 (after the slot of a boundary tensor);
 *         batch_axis NONE on results that are common to all rows; no index with is_batch.
 * Why:    authors write one sequence; from here on a row of the batch is an index like any other, and gradients of
 *         parameters sum over it with nothing added.
 */
#include "passes/passes.h"

typedef struct Batching {
  Program *program;
  bool *is_batched;    /* by tensor */
  bool *sums_batch;    /* by tensor: depends on a reduction over the batch */
  int *axis;           /* by tensor: where the batch is inserted */
  IndexId row;         /* the batch index of every batched equation */
  IndexId current;     /* row, or the reduction index over the batch in the equation at hand */
  bool reads_batched, reads_sum;
} Batching;

static void note_read(void *context, const Expr *expr) {
  Batching *batching = context;
  if (expr->op != OP_READ) return;
  batching->reads_batched |= batching->is_batched[expr->id];
  batching->reads_sum |= batching->sums_batch[expr->id];
}

static IndexId batch_reduction(const Program *program, const Equation *equation) {
  for (int n = 0; n < equation->reduce_count; n++)
    if (program->indices[equation->reduce_indices[n]].is_batch) return equation->reduce_indices[n];
  return NONE;
}

/* One round of the fixed point: true when something became batched. */
static bool spread(Batching *batching) {
  Program *program = batching->program;
  bool changed = false;
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    batching->reads_batched = batching->reads_sum = false;
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], note_read, batching);
    bool sums = batch_reduction(program, equation) != NONE;
    bool is_batched = batching->reads_batched && !sums;
    if (is_batched && !batching->is_batched[equation->target]) batching->is_batched[equation->target] = changed = true;
    if ((sums || batching->reads_sum) && !batching->sums_batch[equation->target])
      batching->sums_batch[equation->target] = changed = true;
  }
  for (int n = 0; n < program->tensor_count; n++) {
    TensorId of = program->tensors[n].boundary_of;
    if (of == NONE) continue;
    if (batching->is_batched[of] != batching->is_batched[n]) batching->is_batched[of] = batching->is_batched[n] = changed = true;
  }
  return changed;
}

/* Results that are declared per row are so even when all rows are alike, unless they are sums over the rows. */
static bool spread_to_results(Batching *batching) {
  Program *program = batching->program;
  bool changed = false;
  for (int n = 0; n < program->port_count; n++) {
    Port *port = &program->ports[n];
    if (!port_is_result(port->kind) || port->batch_axis == NONE || batching->is_batched[port->tensor]) continue;
    if (batching->sums_batch[port->tensor]) {
      port->batch_axis = NONE;
    } else {
      batching->is_batched[port->tensor] = changed = true;
    }
  }
  return changed;
}

static void find_axes(Batching *batching) {
  Program *program = batching->program;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->batch_axis != NONE && batching->is_batched[port->tensor] && port->batch_axis > 0)
      batching->axis[port->tensor] = port->batch_axis;
  }
  for (int n = 0; n < program->tensor_count; n++) {
    Tensor *tensor = &program->tensors[n];
    if (tensor->boundary_of == NONE || !batching->is_batched[n]) continue;
    int axis = batching->axis[tensor->boundary_of];
    if (axis <= tensor->boundary_axis) tensor->boundary_axis++;
    batching->axis[n] = axis < tensor->boundary_axis ? axis + 1 : axis;
  }
}

static const Expr *insert_row(void *context, const Expr *expr) {
  Batching *batching = context;
  if (expr->op != OP_READ || !batching->is_batched[expr->id]) return expr;
  Program *program = batching->program;
  int axis = batching->axis[expr->id];
  const Expr **indices = ARENA_ARRAY(program->arena, const Expr *, expr->arg_count + 1);
  for (int n = 0; n <= expr->arg_count; n++)
    indices[n] = n < axis ? expr->args[n] : n == axis ? expr_index(program->arena, batching->current) : expr->args[n - 1];
  const Expr *read = expr_read(program->arena, expr->type, expr->id, expr->arg_count + 1, indices, expr->outside);
  return expr_with_source(program->arena, read, expr->source);
}

static void insert_axis(Batching *batching, TensorId id, SymbolId batch) {
  Program *program = batching->program;
  Tensor *tensor = &program->tensors[id];
  int axis = batching->axis[id];
  Size *shape = ARENA_ARRAY(program->arena, Size, tensor->rank + 1);
  for (int n = 0; n <= tensor->rank; n++)
    shape[n] = n < axis ? tensor->shape[n] : n == axis ? size_symbol(batch) : tensor->shape[n - 1];
  tensor->shape = shape;
  tensor->rank++;
}

static void insert_index(Batching *batching, Equation *equation, int rank) {
  Program *program = batching->program;
  int axis = batching->axis[equation->target];
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, rank);
  for (int n = 0; n < rank; n++)
    indices[n] = n < axis ? equation->indices[n] : n == axis ? batching->row : equation->indices[n - 1];
  equation->indices = indices;
}

static bool is_source(PortKind kind) { return kind == PORT_INPUT || kind == PORT_STATE; }

bool pass_batch(Program *program, PassContext *context) {
  (void)context;
  SymbolId batch = program_find_symbol(program, SYMBOL_BATCH);
  if (batch == NONE) batch = program_add_symbol(program, SYMBOL_BATCH, "B");
  Batching batching = {.program = program};
  batching.is_batched = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  batching.sums_batch = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  batching.axis = ARENA_ARRAY(program->arena, int, program->tensor_count);
  batching.row = program_add_index(program, "b", size_constant(0), size_symbol(batch));
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (is_source(port->kind) && port->batch_axis != NONE) batching.is_batched[port->tensor] = true;
  }
  do
    while (spread(&batching)) continue;
  while (spread_to_results(&batching));
  find_axes(&batching);
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    IndexId reduction = batch_reduction(program, equation);
    batching.current = reduction == NONE ? batching.row : reduction;
    if (equation->value) equation->value = expr_rewrite(program->arena, equation->value, insert_row, &batching);
    if (equation->guard) equation->guard = expr_rewrite(program->arena, equation->guard, insert_row, &batching);
    if (equation->body) equation->body = expr_rewrite(program->arena, equation->body, insert_row, &batching);
    if (batching.is_batched[equation->target])
      insert_index(&batching, equation, program->tensors[equation->target].rank + 1);
  }
  for (int n = 0; n < program->tensor_count; n++)
    if (batching.is_batched[n]) insert_axis(&batching, n, batch);
  for (int n = 0; n < program->port_count; n++) {
    Port *port = &program->ports[n];
    port->batch_axis = batching.is_batched[port->tensor] ? batching.axis[port->tensor] : NONE;
  }
  for (int n = 0; n < program->index_count; n++) program->indices[n].is_batch = false;
  return true;
}
