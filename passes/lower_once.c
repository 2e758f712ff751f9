/* lower_once.c - what is computed when parameters are packed, and not in each call.
 *
 * A map of parameters alone, of sizes that are known, is the same in every call until they change. The kernel that packs computes it
 * into a part of the packed parameters; the kernel at hand does only where none are given.
 */
#include "passes/lower.h"

typedef struct ConstantSearch {
  Lowering *lowering;
  bool fails, has_parameter;
} ConstantSearch;

static void find_changing(void *context, const Expr *expr) {
  ConstantSearch *search = context;
  Lowering *lowering = search->lowering;
  if (expr->op == OP_SYMBOL || expr->op == OP_GIVEN) search->fails = true;
  if (expr->op == OP_INDEX) {
    const Index *range = &lowering->kernel->indices[expr->id];
    search->fails |= range->low.symbol != NONE || range->high.symbol != NONE;
  }
  if (expr->op != OP_READ) return;
  BufferId id = buffer_of(lowering, expr->id);
  const Buffer *buffer = &lowering->kernel->buffers[id];
  search->has_parameter |= buffer->home == HOME_PARAMETER || buffer->packed_slot != NONE;
  search->fails |= buffer->home != HOME_PARAMETER && buffer->packed_slot == NONE;
}

static bool is_constant(Lowering *lowering, int number) {
  const Program *program = lowering->program;
  const Equation *equation = &program->equations[number];
  const Tensor *target = &program->tensors[equation->target];
  const Halo *halo = &lowering->halos[equation->target];
  if (lowering->kernel->entry != ENTRY_FORWARD || lowering->open_count || equation->reduce != REDUCE_NONE) return false;
  if (target->boundary_of != NONE || halo->is_there || halo->is_history || lowering->band_rows[equation->target]) return false;
  if (wanted_is_conditional(lowering, equation->target)) return false;
  for (int n = 0; n < target->rank; n++)
    if (target->shape[n].symbol != NONE) return false;
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].tensor == equation->target) return false;
  ConstantSearch search = {.lowering = lowering};
  expr_visit(equation->value, find_changing, &search);
  return search.has_parameter && !search.fails;
}

/* The same equation once more, in the kernel that packs. */
static void compute_once(Lowering *lowering, int number, int slot) {
  TensorId target = lowering->program->equations[number].target;
  Lowering inner = enter_pack(lowering);
  inner.block = &lowering->pack_block;
  inner.group = (Group){0};
  inner.product_stage = NULL;
  inner.is_packing = true;
  BufferId id = buffer_of(&inner, target);
  inner.kernel->buffers[id].home = HOME_PACKED;
  inner.kernel->buffers[id].slot = slot;
  lower_equation(&inner, number);
  flush_group(&inner);
  leave_pack(lowering);
}

bool lower_once(Lowering *lowering, int number) {
  TensorId target = lowering->program->equations[number].target;
  if (!is_constant(lowering, number)) return false;
  flush_group(lowering);
  Kernel *kernel = lowering->kernel;
  BufferId own = buffer_of(lowering, target);
  for (int n = 0; n < kernel->buffers[own].rank; n++)
    if (kernel->buffers[own].is_folded[n]) return false;
  int slot = packed_count(kernel);
  BufferId packed = kernel_add_buffer(kernel, arena_format(lowering->arena, "%s.packed", kernel->buffers[own].name), kernel->buffers[own].type,
                                      kernel->buffers[own].rank, kernel->buffers[own].shape, HOME_PACKED, slot);
  kernel->buffers[packed].order = kernel->buffers[own].order;
  compute_once(lowering, number, slot);
  Block *outer = lowering->block, body = {0};
  lowering->block = &body;
  lower_equation(lowering, number);
  flush_group(lowering);
  lowering->block = outer;
  kernel->buffers[own].packed_slot = slot; /* from here on */
  block_append(outer, statement_if(kernel, expr_unary(lowering->arena, OP_NOT, expr_given(lowering->arena, packed)), body.first, NULL));
  return true;
}
