/* kernel.c - the function for the body of a kernel. */
#include "codegen/emit.h"

LLVMTypeRef kernel_frame_type(Codegen *codegen, const Kernel *kernel) {
  LLVMTypeRef fields[] = {codegen->type_ptr, codegen->type_ptr,
                          LLVMArrayType2(codegen->type_i64, (uint64_t)kernel->symbol_count + 1),
                          LLVMArrayType2(codegen->type_ptr, (uint64_t)kernel->buffer_count)};
  return LLVMStructTypeInContext(codegen->context, fields, 4, false);
}

int64_t kernel_views_offset(Codegen *codegen, const Kernel *kernel) {
  return (int64_t)(LLVMABISizeOfType(codegen->data_layout, kernel_frame_type(codegen, kernel)) + 7) / 8 * 8;
}

static void add_attribute(Codegen *codegen, LLVMValueRef function, LLVMAttributeIndex index, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(function, index, LLVMCreateEnumAttribute(codegen->context, kind, 0));
}

/* The 64 zero bytes that guarded loads read; one for the whole object. */
static LLVMValueRef zero_bytes(Codegen *codegen) {
  static const char name[] = "zeros";
  LLVMValueRef zeros = LLVMGetNamedGlobal(codegen->module, name);
  if (zeros) return zeros;
  LLVMTypeRef type = LLVMArrayType2(codegen->type_i8, 64);
  zeros = LLVMAddGlobal(codegen->module, type, name);
  LLVMSetInitializer(zeros, LLVMConstNull(type));
  LLVMSetGlobalConstant(zeros, true);
  LLVMSetLinkage(zeros, LLVMInternalLinkage);
  LLVMSetAlignment(zeros, 64);
  return zeros;
}

static LLVMValueRef lane_numbers(const Codegen *codegen, int lanes) {
  LLVMValueRef numbers[64];
  for (int n = 0; n < lanes; n++) numbers[n] = LLVMConstInt(codegen->type_i64, (unsigned)n, false);
  return LLVMConstVector(numbers, (unsigned)lanes);
}

/* Parameters: the frame, the thread, their number, then the indices of the loops around. */
static LLVMValueRef add_body_function(Codegen *codegen, const char *name, int index_count) {
  LLVMTypeRef *parameters = ARENA_ARRAY(codegen->arena, LLVMTypeRef, 3 + index_count);
  parameters[0] = codegen->type_ptr;
  parameters[1] = parameters[2] = codegen->type_i32;
  for (int n = 0; n < index_count; n++) parameters[3 + n] = codegen->type_i64;
  LLVMTypeRef type = LLVMFunctionType(codegen->type_void, parameters, 3 + (unsigned)index_count, false);
  LLVMValueRef function = codegen_add_function(codegen, codegen_identifier(codegen->arena, name), type, LLVMInternalLinkage);
  static const char *const names[] = {"frame", "thread", "thread_count"};
  for (unsigned n = 0; n < 3; n++) LLVMSetValueName2(LLVMGetParam(function, n), names[n], strlen(names[n]));
  add_attribute(codegen, function, 1, "noalias");
  add_attribute(codegen, function, 1, "readonly");
  /* The ABI aligns stacks to 16 bytes: spilled vectors of more would lie across two cache lines in most processes. */
  LLVMAttributeRef realign = LLVMCreateStringAttribute(codegen->context, "stackrealign", 12, "", 0);
  if (codegen->machine.lanes > 4) LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, realign);
  return function;
}

static void begin_function(Emitter *emitter, LLVMValueRef function, const char *name) {
  Codegen *codegen = emitter->codegen;
  emitter->function = function;
  emitter->frame = LLVMGetParam(function, 0);
  emitter->thread = LLVMGetParam(function, 1);
  emitter->thread_count = LLVMGetParam(function, 2);
  emitter->lane_numbers = lane_numbers(codegen, emitter->lanes);
  emitter->zeros = zero_bytes(codegen);
  emitter->indices = ARENA_ARRAY(codegen->arena, LLVMValueRef, emitter->kernel->index_count);
  emitter->locals = ARENA_ARRAY(codegen->arena, Value, emitter->kernel->local_count);
  LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(codegen->context, function, "entry");
  LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(codegen->context, function, "body");
  emitter->entry_builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(emitter->entry_builder, entry);
  emitter->builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(emitter->builder, body);
  if (codegen->options.has_debug_lines) debug_lines_begin(emitter, name);
}

static void end_function(Emitter *emitter) {
  LLVMBuildRetVoid(emitter->builder);
  LLVMBuildBr(emitter->entry_builder, LLVMGetNextBasicBlock(LLVMGetEntryBasicBlock(emitter->function)));
  debug_lines_end(emitter);
  LLVMDisposeBuilder(emitter->builder);
  LLVMDisposeBuilder(emitter->entry_builder);
}

void emit_stage(Emitter *emitter, const Statement *loop) {
  const Kernel *kernel = emitter->kernel;
  Codegen *codegen = emitter->codegen;
  int count = 0, *around = ARENA_ARRAY(codegen->arena, int, kernel->index_count);
  for (int n = 0; n < kernel->index_count; n++)
    if (emitter->indices[n]) around[count++] = n;
  const char *name = arena_format(codegen->arena, "%s_%s_stage%d%s", codegen->module_name, entry_names[kernel->entry],
                                  (*emitter->stage_count)++, codegen->suffix);
  Emitter stage = {.codegen = codegen, .kernel = kernel, .lanes = emitter->lanes, .vector_index = NONE,
                   .stage_count = emitter->stage_count, .debug = emitter->debug,
                   .is_stage = true, .views = emitter->views, .view_first = emitter->views->count};
  begin_function(&stage, add_body_function(codegen, name, count), name);
  LLVMValueRef *arguments = ARENA_ARRAY(codegen->arena, LLVMValueRef, 3 + count);
  LLVMValueRef view = emit_constant(emitter, kernel_views_offset(codegen, kernel) + 8 * (int64_t)emitter->views->count);
  arguments[0] = LLVMBuildInBoundsGEP2(emitter->builder, codegen->type_i8, emitter->frame, &view, 1, "");
  arguments[1] = emitter->thread;
  arguments[2] = emitter->thread_count;
  for (int n = 0; n < count; n++) {
    arguments[3 + n] = emitter->indices[around[n]];
    stage.indices[around[n]] = LLVMGetParam(stage.function, 3 + (unsigned)n);
  }
  emit_buffers(&stage, loop, true);
  emit_parallel_loop(&stage, loop);
  /* stores past the caches are ordered with nothing else: the others may read them from here on */
  if (stage.has_gone_past) LLVMBuildFence(stage.builder, LLVMAtomicOrderingSequentiallyConsistent, false, "");
  end_function(&stage);
  LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(stage.function), stage.function, arguments, 3 + (unsigned)count, "");
}

LLVMValueRef emit_kernel_body(Codegen *codegen, const Module *module, const Kernel *kernel, FrameViews *out_views) {
  const char *name = arena_format(codegen->arena, "%s_%s_body%s", module->name, entry_names[kernel->entry], codegen->suffix);
  int stages = 0;
  Emitter emitter = {.codegen = codegen, .kernel = kernel, .lanes = codegen->machine.lanes, .vector_index = NONE, .stage_count = &stages,
                     .views = out_views};
  codegen->module_name = module->name;
  begin_function(&emitter, add_body_function(codegen, name, 0), name);
  codegen_set_cold(codegen, emitter.function);
  emit_buffers(&emitter, kernel->body, false);
  emit_block(&emitter, kernel->body);
  end_function(&emitter);
  return emitter.function;
}
