/* weave.c - several vectors of a loop side by side.
 *
 * A function of an element is a long chain, each step of which waits for the one before. A processor finds what it can do meanwhile in the
 * vectors that follow only as far as it looks ahead. So the code of several vectors is emitted and then woven: the first instruction of each, the
 * second of each, and so on. Lanes of a vector loop don't depend on each other, so nothing else changes.
 */
#include "codegen/flow.h"

enum {
  FEWEST_NODES = 16, /* one function */
  FEW_NODES = 20,    /* short enough for two */
  MANY_NODES = 40,   /* more need too many registers for four */
  MOST_NODES = 100,
  MOST_WOVEN = 4
};

int emit_woven_count(const Emitter *emitter, const Statement *loop) {
  int nodes = 0;
  for (const Statement *statement = loop->body; statement; statement = statement->next) {
    if (statement->kind != STATEMENT_LET && statement->kind != STATEMENT_STORE) return 1;
    nodes += emit_node_count(statement->value);
  }
  if (!emitter->codegen->options.optimisation || nodes < FEWEST_NODES || nodes > MOST_NODES) return 1;
  int count = nodes < FEW_NODES || nodes > MANY_NODES ? MOST_WOVEN / 2 : MOST_WOVEN;
  int64_t known = emit_constant_count(loop->low, loop->high);
  return known != NONE && known < count * emitter->lanes ? 1 : count;
}

typedef struct Strand {
  int count;
  LLVMValueRef *instructions;
} Strand;

/* What was added to the block after `last`; NULL: all of it. */
static Strand take_strand(Emitter *emitter, LLVMBasicBlockRef block, LLVMValueRef last) {
  Strand strand = {0};
  LLVMValueRef next = last ? LLVMGetNextInstruction(last) : LLVMGetFirstInstruction(block);
  for (; next; next = LLVMGetNextInstruction(next)) ARENA_PUSH(emitter->codegen->arena, strand.instructions, strand.count, next);
  return strand;
}

/* Whether all that it uses is in its place again. */
static bool is_ready(LLVMValueRef instruction) {
  for (int n = 0; n < LLVMGetNumOperands(instruction); n++) {
    LLVMValueRef operand = LLVMIsAInstruction(LLVMGetOperand(instruction, (unsigned)n));
    if (operand && !LLVMGetInstructionParent(operand)) return false;
  }
  return true;
}

static void weave(Emitter *emitter, const Strand *strands, int count) {
  int placed[MOST_WOVEN] = {0};
  for (int k = 0; k < count; k++)
    for (int n = 0; n < strands[k].count; n++) LLVMInstructionRemoveFromParent(strands[k].instructions[n]);
  for (bool is_left = true; is_left;) {
    is_left = false;
    for (int k = 0; k < count; k++) {
      if (placed[k] == strands[k].count) continue;
      is_left = true;
      LLVMValueRef instruction = strands[k].instructions[placed[k]];
      if (!is_ready(instruction)) continue;
      LLVMInsertIntoBuilder(emitter->builder, instruction);
      placed[k]++;
    }
  }
}

void emit_woven(Emitter *emitter, const Statement *loop, LLVMValueRef first, int count, EmitVector *emit_vector) {
  Strand strands[MOST_WOVEN];
  LLVMBasicBlockRef block = LLVMGetInsertBlock(emitter->builder);
  bool is_straight = true;
  for (int k = 0; k < count; k++) {
    LLVMValueRef last = LLVMGetLastInstruction(block);
    emit_vector(emitter, loop, k ? LLVMBuildNSWAdd(emitter->builder, first, emit_constant(emitter, k * emitter->lanes), "") : first);
    is_straight &= LLVMGetInsertBlock(emitter->builder) == block;
    if (is_straight) strands[k] = take_strand(emitter, block, last);
  }
  if (is_straight && count > 1) weave(emitter, strands, count);
}
