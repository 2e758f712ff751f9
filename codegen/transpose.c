/* transpose.c - two loops of which the outer one runs along rows of what is read, and the inner one, whose lanes they are, along rows of
 * what is stored: packing of a matrix that lies the other way.
 *
 * One lane after the other would be gathered, each from a line of its own. Instead squares of as many rows as there are lanes are
 * read row by row, turned in registers, and stored row by row.
 */
#include "codegen/flow.h"

enum { MOST_LANES = 16, MOST_NODES = 40, BLOCK = 4 };

typedef struct Turn {
  const Emitter *emitter;
  IndexId outer, inner;
  bool turns; /* something is read along the outer index, and apart along the inner one */
  bool fails;
} Turn;

/* Elements of the buffer lie one after the other as the index grows, or, without the index, are the same. */
static bool is_along(const Buffer *buffer, const Expr *const *indices, IndexId index) {
  int innermost = NONE;
  for (int n = 0; n < buffer->rank; n++)
    if (!buffer->is_folded[buffer->order[n]]) innermost = buffer->order[n];
  for (int n = 0; n < buffer->rank; n++) {
    Affine affine;
    if (!expr_uses_index(indices[n], index)) continue;
    if (n != innermost || (buffer->has_turns && n == 0) || !expr_affine(indices[n], &affine) || affine_coefficient(&affine, false, index) != 1) return false;
  }
  return true;
}

static bool uses_index(int count, const Expr *const *indices, IndexId index) {
  for (int n = 0; n < count; n++)
    if (expr_uses_index(indices[n], index)) return true;
  return false;
}

static void check_load(void *context, const Expr *expr) {
  Turn *turn = context;
  if (expr->op != OP_LOAD) return;
  const Buffer *buffer = &turn->emitter->kernel->buffers[expr->id];
  turn->fails |= !is_along(buffer, expr->args, turn->outer);
  turn->turns |= uses_index(expr->arg_count, expr->args, turn->outer) && !is_along(buffer, expr->args, turn->inner);
}

/* A store alone in a nest of two loops, of known whole vectors. */
static bool can_turn(const Emitter *emitter, const Statement *outer) {
  const Statement *inner = outer->body;
  int lanes = emitter->lanes;
  if (lanes < BLOCK || lanes > MOST_LANES || outer->is_reversed || !inner || inner->next || inner->kind != STATEMENT_LOOP) return false;
  const Statement *store = inner->body;
  if (inner->loop_kind != LOOP_VECTOR || inner->ahead_index != NONE || !store || store->next || store->kind != STATEMENT_STORE) return false;
  int64_t count = emit_constant_count(inner->low, inner->high);
  if (count <= 0 || count % lanes || expr_uses_index(inner->low, outer->index) || store->is_nontemporal) return false;
  const Buffer *buffer = &emitter->kernel->buffers[store->buffer];
  bool is_plain = buffer->type == TYPE_REAL && store->value->type == TYPE_REAL && emit_is_small(store->value, MOST_NODES);
  if (!is_plain || !is_along(buffer, store->indices, inner->index) || !uses_index(store->rank, store->indices, inner->index)) return false;
  Turn turn = {emitter, outer->index, inner->index, false, false};
  expr_visit(store->value, check_load, &turn);
  return turn.turns && !turn.fails;
}

/* Elements of both, by their numbers: those of the second come after those of the first. */
static LLVMValueRef shuffle(Emitter *emitter, LLVMValueRef first, LLVMValueRef second, const int *numbers) {
  LLVMValueRef constants[MOST_LANES];
  for (int n = 0; n < emitter->lanes; n++) constants[n] = LLVMConstInt(emitter->codegen->type_i32, (unsigned)numbers[n], false);
  return LLVMBuildShuffleVector(emitter->builder, first, second, LLVMConstVector(constants, (unsigned)emitter->lanes), "");
}

/* Blocks of `width` elements of two vectors in turn, within each block of 4: from the first half of it, or from the second. */
static void interleave(Emitter *emitter, LLVMValueRef *first, LLVMValueRef *second, int width) {
  int low[MOST_LANES], high[MOST_LANES], half = BLOCK / 2;
  for (int n = 0; n < emitter->lanes; n++) {
    int block = n / BLOCK * BLOCK, place = n % BLOCK / width, inside = n % width;
    int from = block + place / 2 * width + inside + (place % 2 ? emitter->lanes : 0);
    low[n] = from, high[n] = from + half;
  }
  LLVMValueRef other = shuffle(emitter, *first, *second, high);
  *first = shuffle(emitter, *first, *second, low);
  *second = other;
}

/* The even blocks of 4 of both, and the odd ones. */
static void part_blocks(Emitter *emitter, LLVMValueRef *first, LLVMValueRef *second) {
  int even[MOST_LANES], odd[MOST_LANES];
  for (int n = 0; n < emitter->lanes; n++) {
    even[n] = n / BLOCK * 2 * BLOCK + n % BLOCK;
    odd[n] = even[n] + BLOCK;
  }
  LLVMValueRef other = shuffle(emitter, *first, *second, odd);
  *first = shuffle(emitter, *first, *second, even);
  *second = other;
}

/* Squares of 4 by 4 in place, then these squares among each other. */
static void turn_square(Emitter *emitter, LLVMValueRef *rows) {
  LLVMValueRef turned[MOST_LANES];
  int blocks = emitter->lanes / BLOCK;
  for (int n = 0; n < emitter->lanes; n += BLOCK) {
    interleave(emitter, &rows[n], &rows[n + 1], 1);
    interleave(emitter, &rows[n + 2], &rows[n + 3], 1);
    interleave(emitter, &rows[n], &rows[n + 2], 2);
    interleave(emitter, &rows[n + 1], &rows[n + 3], 2);
  }
  static const int column[BLOCK] = {0, 2, 1, 3}; /* that a row of a square of 4 is by now */
  for (int place = 0; place < BLOCK; place++) {
    LLVMValueRef of_blocks[MOST_LANES];
    for (int n = 0; n < blocks; n++) of_blocks[n] = rows[n * BLOCK + place];
    for (int half = 1; half < blocks; half *= 2)
      for (int n = 0; n < blocks; n++)
        if (!(n & half)) part_blocks(emitter, &of_blocks[n], &of_blocks[n + half]);
    for (int n = 0; n < blocks; n++) turned[n * BLOCK + column[place]] = of_blocks[n];
  }
  for (int n = 0; n < emitter->lanes; n++) rows[n] = turned[n];
}

static void emit_square(Emitter *emitter, const Statement *outer, LLVMValueRef first, LLVMValueRef place) {
  const Statement *inner = outer->body, *store = inner->body;
  LLVMValueRef rows[MOST_LANES];
  for (int n = 0; n < emitter->lanes; n++) {
    emitter->indices[inner->index] = LLVMBuildNSWAdd(emitter->builder, place, emit_constant(emitter, n), "");
    emit_enter_lanes(emitter, outer->index, first, NULL);
    rows[n] = emit_as_vector(emitter, emit_expression(emitter, store->value));
    emit_leave_lanes(emitter);
  }
  turn_square(emitter, rows);
  for (int n = 0; n < emitter->lanes; n++) {
    emitter->indices[outer->index] = LLVMBuildNSWAdd(emitter->builder, first, emit_constant(emitter, n), "");
    emit_enter_lanes(emitter, inner->index, place, NULL);
    emit_store(emitter, store, (Value){rows[n], true, TYPE_REAL});
    emit_leave_lanes(emitter);
  }
}

LLVMValueRef emit_transposed(Emitter *emitter, const Statement *outer, LLVMValueRef low, LLVMValueRef high) {
  if (!can_turn(emitter, outer)) return low;
  LLVMValueRef lanes = emit_constant(emitter, emitter->lanes);
  const Statement *inner = outer->body;
  LLVMValueRef inner_low = emit_scalar(emitter, inner->low), inner_high = emit_scalar(emitter, inner->high), stop = emit_tail(emitter, low, high);
  LoopFlow rows = {.carried_count = 0}, columns = {.carried_count = 0};
  loop_begin(emitter, &columns, inner_low, inner_high, lanes); /* outermost: few rows are read on and on */
  loop_begin(emitter, &rows, low, stop, lanes);
  emit_square(emitter, outer, rows.index, columns.index);
  loop_end(emitter, &rows);
  loop_end(emitter, &columns);
  emitter->indices[inner->index] = NULL;
  return stop;
}
