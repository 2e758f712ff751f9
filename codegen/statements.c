/* statements.c - the statements of a kernel. A vector loop becomes a loop over full vectors and one masked iteration for
 * what remains, so no lane ever touches memory that its loop does not.
 */
#include "codegen/flow.h"

/* ---- lanes */

void emit_enter_lanes(Emitter *emitter, IndexId index, LLVMValueRef first, LLVMValueRef high) {
  LLVMBuilderRef builder = emitter->builder;
  if (emitter->vector_index != NONE) internal_error("a vector loop inside of a vector loop");
  emitter->vector_index = index;
  emitter->indices[index] = first;
  emitter->mask = NULL;
  if (!high) return;
  LLVMTypeRef i64 = emitter->codegen->type_i64, i32 = emitter->codegen->type_i32;
  LLVMValueRef count = LLVMBuildNSWSub(builder, high, first, "");
  count = emit_intrinsic(emitter, "llvm.smax", 1, &i64, 2, (LLVMValueRef[]){count, emit_constant(emitter, 0)});
  count = emit_intrinsic(emitter, "llvm.smin", 1, &i64, 2, (LLVMValueRef[]){count, emit_constant(emitter, emitter->lanes)});
  LLVMValueRef limits = emit_broadcast(emitter, LLVMBuildTrunc(builder, count, i32, ""));
  LLVMValueRef numbers = LLVMBuildTrunc(builder, emitter->lane_numbers, emit_vector_type(emitter, i32), "");
  emitter->mask = LLVMBuildICmp(builder, LLVMIntULT, numbers, limits, "");
}

void emit_leave_lanes(Emitter *emitter) {
  emitter->vector_index = NONE;
  emitter->mask = NULL;
}

/* ---- loops */

/* is_reversed: whether it goes from the last to the first; NULL: as the statement says. */
static void emit_counted_loop(Emitter *emitter, const Statement *statement, LLVMValueRef low, LLVMValueRef high, LLVMValueRef is_reversed) {
  LoopFlow loop = {.carried_count = 0};
  LLVMValueRef one = emit_constant(emitter, 1), index;
  loop_begin(emitter, &loop, low, high, one);
  index = loop.index;
  if (statement->is_reversed || is_reversed) {
    LLVMValueRef ends = LLVMBuildNSWSub(emitter->builder, LLVMBuildNSWAdd(emitter->builder, low, high, ""), one, "");
    index = LLVMBuildNSWSub(emitter->builder, ends, loop.index, "");
    if (is_reversed) index = LLVMBuildSelect(emitter->builder, is_reversed, index, loop.index, "");
  }
  emitter->indices[statement->index] = index;
  emit_block(emitter, statement->body);
  loop_end(emitter, &loop);
}

static bool has_tile(const Statement *statement) {
  for (; statement; statement = statement->next)
    if (statement->kind == STATEMENT_TILE || has_tile(statement->body) || has_tile(statement->otherwise)) return true;
  return false;
}

/* In a loop, a product reads the same matrix in each iteration. Every other time from the end: what was read last is still in the cache,
 * which matters where the whole does not fit. Items don't depend on each other, so nothing else changes. NULL: no loop or no product. */
static LLVMValueRef is_other_turn(Emitter *emitter, const Statement *statement) {
  LLVMValueRef sum = NULL;
  if (!has_tile(statement->body)) return NULL;
  for (int n = 0; n < emitter->kernel->index_count; n++) {
    LLVMValueRef index = emitter->indices[n];
    if (index) sum = sum ? LLVMBuildAdd(emitter->builder, sum, index, "") : index;
  }
  return sum ? LLVMBuildTrunc(emitter->builder, sum, emitter->codegen->type_i1, "") : NULL;
}

/* This thread's range: low + count * thread / thread_count, and the same for the next thread. */
void emit_parallel_loop(Emitter *emitter, const Statement *statement) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef low = emit_scalar(emitter, statement->low), high = emit_scalar(emitter, statement->high);
  LLVMValueRef count = LLVMBuildNSWSub(builder, high, low, "");
  LLVMValueRef threads = LLVMBuildZExt(builder, emitter->thread_count, i64, "");
  LLVMValueRef ends[2];
  for (int n = 0; n < 2; n++) {
    LLVMValueRef thread = LLVMBuildZExt(builder, emitter->thread, i64, "");
    if (n == 1) thread = LLVMBuildNSWAdd(builder, thread, emit_constant(emitter, 1), "");
    LLVMValueRef part = LLVMBuildSDiv(builder, LLVMBuildNSWMul(builder, count, thread, ""), threads, "");
    ends[n] = LLVMBuildNSWAdd(builder, low, part, "");
  }
  emit_counted_loop(emitter, statement, ends[0], ends[1], is_other_turn(emitter, statement));
}

static void emit_vector_body(Emitter *emitter, const Statement *statement, LLVMValueRef first, LLVMValueRef high) {
  emit_enter_lanes(emitter, statement->index, first, high);
  emit_block(emitter, statement->body);
  emit_leave_lanes(emitter);
}

/* Vectors that share a walk over the terms of their reductions. Returns where the others begin. */
static LLVMValueRef emit_shared_walks(Emitter *emitter, const Statement *statement, LLVMValueRef low, LLVMValueRef high, int together) {
  int64_t step = together * emitter->lanes;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef count = LLVMBuildNSWSub(emitter->builder, high, low, "");
  count = emit_intrinsic(emitter, "llvm.smax", 1, &i64, 2, (LLVMValueRef[]){count, emit_constant(emitter, 0)});
  LLVMValueRef whole = LLVMBuildAnd(emitter->builder, count, emit_constant(emitter, -step), "");
  LLVMValueRef stop = LLVMBuildNSWAdd(emitter->builder, low, whole, "");
  LoopFlow loop = {.carried_count = 0};
  loop_begin(emitter, &loop, low, stop, emit_constant(emitter, step));
  emit_outputs(emitter, statement, loop.index, together);
  loop_end(emitter, &loop);
  return stop;
}

static const Statement *next_nontemporal(const Statement *statement) {
  while (statement && !statement->is_nontemporal) statement = statement->next;
  return statement;
}

/* Elements from `low` to where the stores begin at a line of the cache; not where lines don't begin together, or the result is no larger than
 * the caches: then -1. NULL: there is no such store. */
static LLVMValueRef elements_to_line(Emitter *emitter, const Statement *loop, LLVMValueRef low) {
  enum { LINE = 64 };
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef offset = NULL, is_past = NULL;
  emit_enter_lanes(emitter, loop->index, low, NULL);
  for (const Statement *store = next_nontemporal(loop->body); store; store = next_nontemporal(store->next)) {
    LLVMValueRef address = emit_store_address(emitter, store);
    if (!address) internal_error("a nontemporal store of '%s' is not contiguous", emitter->kernel->buffers[store->buffer].name);
    address = LLVMBuildAnd(builder, LLVMBuildPtrToInt(builder, address, i64, ""), emit_constant(emitter, LINE - 1), "");
    LLVMValueRef fewest = emit_constant(emitter, emitter->codegen->machine.last_cache_bytes / 2 / 4);
    LLVMValueRef holds = offset ? LLVMBuildICmp(builder, LLVMIntEQ, address, offset, "")
                                : LLVMBuildICmp(builder, LLVMIntSGT, emitter->elements[store->buffer], fewest, "");
    is_past = is_past ? LLVMBuildAnd(builder, is_past, holds, "") : holds;
    if (!offset) offset = address;
  }
  emit_leave_lanes(emitter);
  if (!offset) return NULL;
  LLVMValueRef rest = LLVMBuildAnd(builder, LLVMBuildNeg(builder, offset, ""), emit_constant(emitter, LINE - 1), "");
  rest = LLVMBuildLShr(builder, rest, emit_constant(emitter, 2), "");
  return LLVMBuildSelect(builder, is_past, rest, emit_constant(emitter, -1), "");
}

typedef struct Ahead {
  Emitter *emitter;
  IndexId index, row;
} Ahead;

/* What is of one size is read again soon enough. */
static bool grows(const Buffer *buffer) {
  bool is_large = false;
  for (int n = 0; n < buffer->rank; n++) is_large |= buffer->shape[n].symbol != NONE;
  return is_large;
}

static void prefetch_if_contiguous(void *context, const Expr *expr) {
  const Ahead *ahead = context;
  if (expr->op == OP_LOAD && grows(&ahead->emitter->kernel->buffers[expr->id]) && expr_uses_index(expr, ahead->index))
    emit_prefetch_load(ahead->emitter, expr, NEAR);
}

/* What is computed keeps the processor from looking far ahead by itself, and its own prefetching ends with a page. */
static void emit_prefetches(Emitter *emitter, const Statement *loop, LLVMValueRef first) {
  enum { BYTES_AHEAD = 4096 };
  Ahead ahead = {emitter, loop->index, NONE};
  emit_enter_lanes(emitter, loop->index, LLVMBuildNSWAdd(emitter->builder, first, emit_constant(emitter, BYTES_AHEAD / 4), ""), NULL);
  for (const Statement *statement = loop->body; statement; statement = statement->next)
    if (statement->value) expr_visit(statement->value, prefetch_if_contiguous, &ahead);
  emit_leave_lanes(emitter);
}

static void prefetch_if_of_row(void *context, const Expr *expr) {
  const Ahead *ahead = context;
  if (expr->op != OP_LOAD || !expr_uses_index(expr, ahead->index) || !expr_uses_index(expr, ahead->row)) return;
  const Buffer *buffer = &ahead->emitter->kernel->buffers[expr->id];
  if (grows(buffer) && !buffer->is_private) emit_prefetch_load(ahead->emitter, expr, FAR);
}

static void emit_next_rows(Emitter *emitter, const Statement *loop, LLVMValueRef first) {
  Ahead ahead = {emitter, loop->index, loop->ahead_index};
  LLVMValueRef row = emitter->indices[ahead.row];
  emitter->indices[ahead.row] = LLVMBuildNSWAdd(emitter->builder, row, emit_constant(emitter, loop->ahead_by), "");
  emit_enter_lanes(emitter, loop->index, first, NULL);
  for (const Statement *statement = loop->body; statement; statement = statement->next)
    if (statement->value) expr_visit(statement->value, prefetch_if_of_row, &ahead);
  emit_leave_lanes(emitter);
  emitter->indices[ahead.row] = row;
}

static void emit_full_vector(Emitter *emitter, const Statement *statement, LLVMValueRef first) {
  if (statement->ahead_index != NONE) emit_next_rows(emitter, statement, first);
  else if (emitter->is_past_caches) emit_prefetches(emitter, statement, first);
  emit_vector_body(emitter, statement, first, NULL);
}

static void emit_full_vectors(Emitter *emitter, const Statement *statement, LLVMValueRef low, LLVMValueRef tail) {
  int together = emit_woven_count(emitter, statement);
  if (together > 1) {
    LLVMValueRef count = LLVMBuildNSWSub(emitter->builder, tail, low, "");
    LLVMValueRef whole = LLVMBuildAnd(emitter->builder, count, emit_constant(emitter, -together * emitter->lanes), "");
    LLVMValueRef stop = LLVMBuildNSWAdd(emitter->builder, low, whole, "");
    LoopFlow loop = {.carried_count = 0};
    loop_begin(emitter, &loop, low, stop, emit_constant(emitter, together * emitter->lanes));
    emit_woven(emitter, statement, loop.index, together, emit_full_vector);
    loop_end(emitter, &loop);
    low = stop;
  }
  LoopFlow loop = {.carried_count = 0};
  loop_begin(emitter, &loop, low, tail, emit_constant(emitter, emitter->lanes));
  emit_full_vector(emitter, statement, loop.index);
  loop_end(emitter, &loop);
}

/* Where the last full vector ends. */
LLVMValueRef emit_tail(Emitter *emitter, LLVMValueRef low, LLVMValueRef high) {
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef count = LLVMBuildNSWSub(emitter->builder, high, low, "");
  count = emit_intrinsic(emitter, "llvm.smax", 1, &i64, 2, (LLVMValueRef[]){count, emit_constant(emitter, 0)});
  return LLVMBuildNSWAdd(emitter->builder, low, LLVMBuildAnd(emitter->builder, count, emit_constant(emitter, -emitter->lanes), ""), "");
}

/* A loop whose results may go past the caches: elements before the first whole line are masked, as those after the last are. */
static void emit_nontemporal_loop(Emitter *emitter, const Statement *statement, LLVMValueRef low, LLVMValueRef high, LLVMValueRef to_line) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef zero = emit_constant(emitter, 0), is_past = LLVMBuildICmp(builder, LLVMIntSGE, to_line, zero, "");
  LLVMValueRef first = LLVMBuildNSWAdd(builder, low, emit_intrinsic(emitter, "llvm.smax", 1, &i64, 2, (LLVMValueRef[]){to_line, zero}), "");
  first = emit_intrinsic(emitter, "llvm.smin", 1, &i64, 2, (LLVMValueRef[]){first, high});
  BranchFlow head = {.carried_count = 0};
  branch_begin(emitter, &head, LLVMBuildICmp(builder, LLVMIntSLT, low, first, ""));
  emit_vector_body(emitter, statement, low, first);
  branch_end(emitter, &head);
  LLVMValueRef tail = emit_tail(emitter, first, high);
  BranchFlow ways = {.carried_count = 0};
  branch_begin(emitter, &ways, is_past);
  emitter->is_past_caches = emitter->has_gone_past = true;
  emit_full_vectors(emitter, statement, first, tail);
  emitter->is_past_caches = false;
  branch_else(emitter, &ways);
  emit_full_vectors(emitter, statement, first, tail);
  branch_end(emitter, &ways);
  BranchFlow rest = {.carried_count = 0};
  branch_begin(emitter, &rest, LLVMBuildICmp(emitter->builder, LLVMIntSLT, tail, high, ""));
  emit_vector_body(emitter, statement, tail, high);
  branch_end(emitter, &rest);
}

static void emit_vector_loop(Emitter *emitter, const Statement *statement) {
  int64_t known = emit_constant_count(statement->low, statement->high), lanes = emitter->lanes;
  LLVMValueRef low = emit_scalar(emitter, statement->low), high = emit_scalar(emitter, statement->high);
  int together = emit_outputs_together(emitter, statement);
  if (together > 1) {
    low = emit_shared_walks(emitter, statement, low, high, together);
    if (known != NONE) known %= together * lanes;
    if (known == 0) return;
  }
  LLVMValueRef to_line = elements_to_line(emitter, statement, low);
  if (to_line) {
    emit_nontemporal_loop(emitter, statement, low, high, to_line);
    return;
  }
  LLVMValueRef tail = emit_tail(emitter, low, high);
  if (known == NONE || known >= lanes) emit_full_vectors(emitter, statement, low, tail);
  if (known != NONE && known % lanes == 0) return;
  BranchFlow branch = {.carried_count = 0};
  branch_begin(emitter, &branch, LLVMBuildICmp(emitter->builder, LLVMIntSLT, tail, high, ""));
  emit_vector_body(emitter, statement, tail, high);
  branch_end(emitter, &branch);
}

/* One iteration is no loop: that is how an index gets a computed value. */
static void emit_sequential_loop(Emitter *emitter, const Statement *statement) {
  Arena *arena = emitter->codegen->arena;
  const Expr *next = expr_binary(arena, OP_ADD, statement->low, expr_integer(arena, 1));
  LLVMValueRef low = emit_scalar(emitter, statement->low);
  if (expr_equal(next, statement->high)) {
    emitter->indices[statement->index] = low;
    emit_block(emitter, statement->body);
  } else {
    LLVMValueRef high = emit_scalar(emitter, statement->high);
    emit_counted_loop(emitter, statement, emit_transposed(emitter, statement, low, high), high, NULL);
  }
}

static void emit_loop(Emitter *emitter, const Statement *statement) {
  switch (statement->loop_kind) {
  case LOOP_SEQUENTIAL: emit_sequential_loop(emitter, statement); break;
  case LOOP_PARALLEL: emit_stage(emitter, statement); break;
  case LOOP_VECTOR: emit_vector_loop(emitter, statement); break;
  }
  emitter->indices[statement->index] = NULL;
}

/* ---- the others */

static void emit_if(Emitter *emitter, const Statement *statement) {
  BranchFlow branch = {.carried_count = 0};
  branch_begin(emitter, &branch, emit_scalar(emitter, statement->condition));
  emit_block(emitter, statement->body);
  if (statement->otherwise) {
    branch_else(emitter, &branch);
    emit_block(emitter, statement->otherwise);
  }
  branch_end(emitter, &branch);
}

/* seqrt_context is { i32, i32, ptr parallel, ptr barrier, ptr self }. */
static void emit_barrier(Emitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef ptr = codegen->type_ptr;
  BranchFlow branch = {.carried_count = 0};
  LLVMValueRef one = LLVMConstInt(codegen->type_i32, 1, false);
  branch_begin(emitter, &branch, LLVMBuildICmp(builder, LLVMIntSGT, emitter->thread_count, one, ""));
  LLVMValueRef field = LLVMBuildStructGEP2(builder, kernel_frame_type(codegen, emitter->kernel), emitter->frame, 1, "");
  LLVMValueRef context = LLVMBuildLoad2(builder, ptr, field, "");
  LLVMTypeRef members[] = {codegen->type_i32, codegen->type_i32, ptr, ptr, ptr};
  LLVMTypeRef context_type = LLVMStructTypeInContext(codegen->context, members, 5, false);
  LLVMValueRef barrier = LLVMBuildLoad2(builder, ptr, LLVMBuildStructGEP2(builder, context_type, context, 3, ""), "");
  LLVMBuildCall2(builder, LLVMFunctionType(codegen->type_void, &ptr, 1, false), barrier, &context, 1, "");
  branch_end(emitter, &branch);
}

void emit_block(Emitter *emitter, const Statement *first) {
  for (const Statement *statement = first; statement; statement = statement->next) {
    debug_lines_at(emitter, statement->source);
    switch (statement->kind) {
    case STATEMENT_LOOP: emit_loop(emitter, statement); break;
    case STATEMENT_IF: emit_if(emitter, statement); break;
    case STATEMENT_LET: emitter->locals[statement->local] = emit_expression(emitter, statement->value); break;
    case STATEMENT_STORE:
      emit_store(emitter, statement, emit_expression(emitter, statement->value));
      break;
    case STATEMENT_REDUCE: emit_reduce(emitter, statement); break;
    case STATEMENT_TILE: emit_tile(emitter, statement); break;
    case STATEMENT_PREFETCH: emit_prefetch_load(emitter, statement->value, FAR); break;
    case STATEMENT_BARRIER: emit_barrier(emitter); break;
    }
  }
}
