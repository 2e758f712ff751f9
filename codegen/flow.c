/* flow.c - begin and end of loops and branches. Loops test once before the first iteration and then at the end of each. */
#include "codegen/flow.h"

#include <llvm-c/DebugInfo.h>

static LLVMBasicBlockRef add_block(Emitter *emitter, const char *name) {
  return LLVMAppendBasicBlockInContext(emitter->codegen->context, emitter->function, name);
}

static LLVMValueRef add_phi(Emitter *emitter, LLVMValueRef one, LLVMBasicBlockRef from_one, LLVMValueRef other,
                            LLVMBasicBlockRef from_other) {
  LLVMValueRef phi = LLVMBuildPhi(emitter->builder, LLVMTypeOf(one), "");
  LLVMAddIncoming(phi, &one, &from_one, 1);
  if (other) LLVMAddIncoming(phi, &other, &from_other, 1);
  return phi;
}

void loop_begin(Emitter *emitter, LoopFlow *loop, LLVMValueRef low, LLVMValueRef high, LLVMValueRef step) {
  loop->high = high;
  loop->step = step;
  loop->before = LLVMGetInsertBlock(emitter->builder);
  loop->body = add_block(emitter, "loop");
  loop->after = add_block(emitter, "after");
  LLVMValueRef is_entered = LLVMBuildICmp(emitter->builder, LLVMIntSLT, low, high, "");
  LLVMBuildCondBr(emitter->builder, is_entered, loop->body, loop->after);
  LLVMPositionBuilderAtEnd(emitter->builder, loop->body);
  loop->index = add_phi(emitter, low, loop->before, NULL, NULL);
  for (int n = 0; n < loop->carried_count; n++) {
    loop->start[n] = loop->carried[n];
    loop->carried[n] = loop->phis[n] = add_phi(emitter, loop->start[n], loop->before, NULL, NULL);
  }
}

/* !{self, !{"llvm.loop.unroll.disable"}} */
static void disable_unrolling(Emitter *emitter, LLVMValueRef branch) {
  LLVMContextRef context = emitter->codegen->context;
  static const char name[] = "llvm.loop.unroll.disable";
  LLVMMetadataRef text = LLVMMDStringInContext2(context, name, sizeof name - 1);
  LLVMMetadataRef self = LLVMTemporaryMDNode(context, NULL, 0);
  LLVMMetadataRef operands[] = {self, LLVMMDNodeInContext2(context, &text, 1)};
  LLVMMetadataRef node = LLVMMDNodeInContext2(context, operands, 2);
  LLVMMetadataReplaceAllUsesWith(self, node);
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(context, "llvm.loop", 9), LLVMMetadataAsValue(context, node));
}

void loop_end(Emitter *emitter, LoopFlow *loop) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(builder);
  LLVMValueRef next = LLVMBuildNSWAdd(builder, loop->index, loop->step, "");
  LLVMValueRef goes_on = LLVMBuildICmp(builder, LLVMIntSLT, next, loop->high, "");
  LLVMValueRef branch = LLVMBuildCondBr(builder, goes_on, loop->body, loop->after);
  if (loop->is_unrolled_by_hand) disable_unrolling(emitter, branch);
  LLVMAddIncoming(loop->index, &next, &latch, 1);
  LLVMPositionBuilderAtEnd(builder, loop->after);
  for (int n = 0; n < loop->carried_count; n++) {
    LLVMAddIncoming(loop->phis[n], &loop->carried[n], &latch, 1);
    loop->carried[n] = add_phi(emitter, loop->start[n], loop->before, loop->carried[n], latch);
  }
}

void branch_begin(Emitter *emitter, BranchFlow *branch, LLVMValueRef condition) {
  branch->before = LLVMGetInsertBlock(emitter->builder);
  branch->has_else = false;
  LLVMBasicBlockRef then = add_block(emitter, "then");
  branch->otherwise = add_block(emitter, "else");
  branch->after = add_block(emitter, "endif");
  LLVMBuildCondBr(emitter->builder, condition, then, branch->otherwise);
  for (int n = 0; n < branch->carried_count; n++) branch->start[n] = branch->carried[n];
  LLVMPositionBuilderAtEnd(emitter->builder, then);
}

void branch_else(Emitter *emitter, BranchFlow *branch) {
  branch->has_else = true;
  branch->first_end = LLVMGetInsertBlock(emitter->builder);
  for (int n = 0; n < branch->carried_count; n++) {
    branch->first[n] = branch->carried[n];
    branch->carried[n] = branch->start[n];
  }
  LLVMBuildBr(emitter->builder, branch->after);
  LLVMPositionBuilderAtEnd(emitter->builder, branch->otherwise);
}

void branch_end(Emitter *emitter, BranchFlow *branch) {
  if (!branch->has_else) branch_else(emitter, branch);
  LLVMBasicBlockRef second_end = LLVMGetInsertBlock(emitter->builder);
  LLVMBuildBr(emitter->builder, branch->after);
  LLVMPositionBuilderAtEnd(emitter->builder, branch->after);
  for (int n = 0; n < branch->carried_count; n++)
    branch->carried[n] = add_phi(emitter, branch->first[n], branch->first_end, branch->carried[n], second_end);
}
