/* flow.h - loops and branches as begin and end; no other file adds basic blocks.
 *
 * A loop can carry values: `carried` holds what they are at the start, then in the body what they are in this iteration
 * (to be replaced by what the next one gets), and after the end the result.
 */
#ifndef SEQC_CODEGEN_FLOW_H
#define SEQC_CODEGEN_FLOW_H

#include "codegen/emit.h"

enum { FLOW_CARRIED = 64 };

typedef struct LoopFlow {
  int carried_count;
  LLVMValueRef carried[FLOW_CARRIED];
  LLVMValueRef index; /* in the body: i64 */
  bool is_unrolled_by_hand; /* keeps LLVM from doing it again */

  LLVMBasicBlockRef before, body, after;
  LLVMValueRef phis[FLOW_CARRIED], start[FLOW_CARRIED];
  LLVMValueRef high, step;
} LoopFlow;

/* for index = low; index < high; index += step. The caller sets carried_count and carried before. */
void loop_begin(Emitter *emitter, LoopFlow *loop, LLVMValueRef low, LLVMValueRef high, LLVMValueRef step);
void loop_end(Emitter *emitter, LoopFlow *loop);

typedef struct BranchFlow {
  int carried_count;
  LLVMValueRef carried[FLOW_CARRIED];

  LLVMValueRef start[FLOW_CARRIED], first[FLOW_CARRIED];
  LLVMBasicBlockRef before, otherwise, after, first_end;
  bool has_else;
} BranchFlow;

void branch_begin(Emitter *emitter, BranchFlow *branch, LLVMValueRef condition);
void branch_else(Emitter *emitter, BranchFlow *branch); /* may be left out */
void branch_end(Emitter *emitter, BranchFlow *branch);

/* statements.c: where the last full vector of a range ends. */
LLVMValueRef emit_tail(Emitter *emitter, LLVMValueRef low, LLVMValueRef high);
/* transpose.c: what can be done of the loop in squares that are turned in registers; returns where the rest begins. */
LLVMValueRef emit_transposed(Emitter *emitter, const Statement *outer, LLVMValueRef low, LLVMValueRef high);

#endif
