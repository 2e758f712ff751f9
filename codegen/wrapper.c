/* wrapper.c - the entry points: from a seqrt_call to the frame that a kernel's body runs on.
 *
 * The order is: check the call, make the initial state when a state is needed and none was given, find the address of every
 * buffer, run the body on all threads, sign the state. The body has the signature that seqrt_context.parallel asks for, so it is
 * handed over as it is.
 */
#include "codegen/module.h"

enum { FRAME_CALL, FRAME_CONTEXT, FRAME_SYMBOLS, FRAME_BUFFERS };

/* What the emission of one wrapper knows. */
typedef struct Wrapper {
  ModuleEmitter *emitter;
  const Kernel *kernel;
  EntryKind entry;
  LLVMTypeRef frame_type;
  LLVMValueRef call, frame;
  LLVMValueRef call_state_in; /* as the caller gave it */
  LLVMValueRef state_in;      /* or the initial state in the workspace; NULL when the kernel reads none */
  LLVMValueRef state_out;
  LLVMValueRef *symbols, *slot_offsets, *piece_offsets;
} Wrapper;

static LLVMValueRef build_select_null(const ModuleEmitter *emitter, LLVMValueRef is_null, LLVMValueRef pointer) {
  return LLVMBuildSelect(emitter->builder, is_null, build_null(emitter), pointer, "");
}

/* The position in the given state, 0 without one. */
static LLVMValueRef build_position(const Wrapper *wrapper) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMBasicBlockRef start = LLVMGetInsertBlock(builder), given = build_block(emitter, "position"),
                    done = build_block(emitter, "begin");
  LLVMBuildCondBr(builder, build_is_null(emitter, wrapper->call_state_in), done, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef loaded = LLVMBuildLoad2(builder, i64, wrapper->call_state_in, "");
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMValueRef position = LLVMBuildPhi(builder, i64, "position");
  LLVMValueRef values[] = {build_i64(emitter, 0), loaded};
  LLVMBasicBlockRef blocks[] = {start, given};
  LLVMAddIncoming(position, values, blocks, 2);
  return position;
}

static void build_call_store(const ModuleEmitter *emitter, LLVMValueRef call, int field, LLVMValueRef value) {
  LLVMBuildStore(emitter->builder, value, LLVMBuildStructGEP2(emitter->builder, emitter->call_type, call, (unsigned)field, ""));
}

static void build_copy(const ModuleEmitter *emitter, LLVMValueRef to, LLVMValueRef from, LLVMTypeRef type) {
  LLVMBuildMemCpy(emitter->builder, to, 8, from, 8, LLVMSizeOf(type));
}

/* Runs the entry that makes the initial state, with a call of its own that differs in its state and workspace. */
static void build_initial_state(const Wrapper *wrapper, LLVMValueRef copy, LLVMValueRef workspace, LLVMValueRef state_size) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  build_copy(emitter, copy, wrapper->call, emitter->call_type);
  build_call_store(emitter, copy, CALL_STATE_OUT, workspace);
  build_call_store(emitter, copy, CALL_OUTPUTS, build_null(emitter));
  build_call_store(emitter, copy, CALL_WORKSPACE, build_bytes_after(emitter, workspace, state_size));
  LLVMValueRef status = build_call(emitter, emitter->entries[ENTRY_INITIAL], &copy, 1);
  LLVMBasicBlockRef bad = build_block(emitter, "bad"), good = build_block(emitter, "good");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, status, build_i32(emitter, SEQRT_OK), ""), good, bad);
  LLVMPositionBuilderAtEnd(builder, bad);
  LLVMValueRef to = LLVMBuildStructGEP2(builder, emitter->call_type, wrapper->call, CALL_FAULT, "");
  LLVMValueRef from = LLVMBuildStructGEP2(builder, emitter->call_type, copy, CALL_FAULT, "");
  build_copy(emitter, to, from, emitter->fault_type);
  LLVMBuildRet(builder, status);
  LLVMPositionBuilderAtEnd(builder, good);
}

/* The state that the kernel reads: the given one, or, at the start of the workspace, the initial one, or a copy of the given one
 * where the kernel is to leave the new state in its place. */
static LLVMValueRef build_state_in(const Wrapper *wrapper, LLVMValueRef copy, LLVMValueRef workspace, LLVMValueRef state_size) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef make = build_block(emitter, "make_state"), given = build_block(emitter, "given_state"),
                    save = build_block(emitter, "save_state"), done = build_block(emitter, "have_state");
  LLVMBuildCondBr(builder, build_is_null(emitter, wrapper->call_state_in), make, given);
  LLVMPositionBuilderAtEnd(builder, make);
  build_initial_state(wrapper, copy, workspace, state_size);
  LLVMBasicBlockRef made = LLVMGetInsertBlock(builder);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef is_in_place = LLVMBuildICmp(builder, LLVMIntEQ, wrapper->call_state_in, wrapper->state_out, "");
  LLVMBuildCondBr(builder, is_in_place, save, done);
  LLVMPositionBuilderAtEnd(builder, save);
  LLVMBuildMemCpy(builder, workspace, 1, wrapper->call_state_in, 1, state_size);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMValueRef state = LLVMBuildPhi(builder, emitter->codegen->type_ptr, "state_in");
  LLVMValueRef values[] = {workspace, wrapper->call_state_in, workspace};
  LLVMBasicBlockRef blocks[] = {made, given, save};
  LLVMAddIncoming(state, values, blocks, 3);
  return state;
}

/* Piece `slot` among the carried or the declared ones. */
static LLVMValueRef build_piece(const Wrapper *wrapper, LLVMValueRef state, bool is_declared, int slot) {
  const ModuleEmitter *emitter = wrapper->emitter;
  const Module *module = emitter->module;
  for (int n = 0; n < module->piece_count; n++)
    if (module->pieces[n].is_declared == is_declared && slot-- == 0)
      return build_select_null(emitter, build_is_null(emitter, state),
                               build_bytes_after(emitter, state, wrapper->piece_offsets[n]));
  internal_error("kernel '%s' uses a piece of the state that the module does not have", entry_names[wrapper->entry]);
}

static int first_slot_of(const Module *module, int parameter) {
  int slot = 0;
  for (int n = 0; n < parameter; n++) slot += port_slot_count(module, module_port(module, PORT_PARAMETER, n));
  return slot;
}

static LLVMValueRef build_optional_entry(const Wrapper *wrapper, int field, int64_t index) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMValueRef arguments[] = {build_call_field(emitter, wrapper->call, field), build_i64(emitter, index)};
  return build_call(emitter, emitter->entry_of, arguments, 2);
}

/* The place in a table where the turns of a parameter begin. Null when there is no table or one of the turns is null: the
 * gradient of such a parameter is computed for all its turns or for none. */
static LLVMValueRef build_turns(const Wrapper *wrapper, int field, int parameter) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  const Module *module = emitter->module;
  LLVMValueRef table = build_call_field(emitter, wrapper->call, field);
  LLVMValueRef first = build_i64(emitter, first_slot_of(module, parameter));
  LLVMValueRef address = LLVMBuildGEP2(builder, emitter->codegen->type_ptr, table, &first, 1, "");
  LLVMValueRef is_missing = build_is_null(emitter, table);
  int64_t turns = port_slot_count(module, module_port(module, PORT_PARAMETER, parameter));
  LLVMValueRef count = LLVMBuildSelect(builder, is_missing, build_i64(emitter, 0), build_i64(emitter, turns), "");
  LLVMValueRef arguments[] = {address, count};
  LLVMValueRef hole = build_call(emitter, emitter->first_null, arguments, 2);
  LLVMValueRef has_hole = LLVMBuildICmp(builder, LLVMIntSGE, hole, build_i64(emitter, 0), "");
  return build_select_null(emitter, LLVMBuildOr(builder, is_missing, has_hole, ""), address);
}

static LLVMValueRef build_parameter(const Wrapper *wrapper, int field, const Buffer *buffer) {
  if (buffer->has_turns) return build_turns(wrapper, field, buffer->slot);
  return build_optional_entry(wrapper, field, first_slot_of(wrapper->emitter->module, buffer->slot));
}

static LLVMValueRef build_buffer_address(const Wrapper *wrapper, const Buffer *buffer, LLVMValueRef workspace) {
  const ModuleEmitter *emitter = wrapper->emitter;
  switch (buffer->home) {
  case HOME_WORKSPACE: return build_bytes_after(emitter, workspace, wrapper->slot_offsets[buffer->slot]);
  case HOME_PARAMETER: return build_parameter(wrapper, CALL_PARAMETERS, buffer);
  case HOME_PARAMETER_GRADIENT: return build_parameter(wrapper, CALL_PARAMETER_GRADIENTS, buffer);
  case HOME_INPUT: return build_optional_entry(wrapper, CALL_INPUTS, buffer->slot);
  case HOME_STATE: { /* used at the start of a sequence only */
    LLVMValueRef state = build_optional_entry(wrapper, CALL_INITIAL_STATES, buffer->slot);
    if (wrapper->entry == ENTRY_INITIAL) return state;
    return LLVMBuildSelect(emitter->builder, build_is_null(emitter, wrapper->call_state_in), state, build_null(emitter), "");
  }
  case HOME_OUTPUT: return build_optional_entry(wrapper, CALL_OUTPUTS, buffer->slot);
  case HOME_OBJECTIVE: return wrapper->entry == ENTRY_FORWARD ? build_null(emitter) : build_call_field(emitter, wrapper->call, CALL_OBJECTIVE);
  case HOME_COTANGENT: return build_optional_entry(wrapper, CALL_COTANGENTS, buffer->slot);
  case HOME_CARRY_IN: return build_piece(wrapper, wrapper->state_in, false, buffer->slot);
  case HOME_CARRY_OUT: return build_piece(wrapper, wrapper->state_out, false, buffer->slot);
  case HOME_FINAL_STATE: return build_piece(wrapper, wrapper->state_out, true, buffer->slot);
  case HOME_INPUT_GRADIENT: return build_optional_entry(wrapper, CALL_INPUT_GRADIENTS, buffer->slot);
  case HOME_STATE_GRADIENT: return build_optional_entry(wrapper, CALL_STATE_GRADIENTS, buffer->slot);
  case HOME_COUNT: break;
  }
  internal_error("buffer '%s' has no home", buffer->name);
}

static void build_frame_store(const Wrapper *wrapper, int field, int element, LLVMValueRef value) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMValueRef indices[] = {build_i32(emitter, 0), build_i32(emitter, field), build_i32(emitter, element)};
  unsigned depth = field == FRAME_SYMBOLS || field == FRAME_BUFFERS ? 3 : 2;
  LLVMBuildStore(emitter->builder, value,
                 LLVMBuildInBoundsGEP2(emitter->builder, wrapper->frame_type, wrapper->frame, indices, depth, ""));
}

static void build_frame(Wrapper *wrapper) {
  const ModuleEmitter *emitter = wrapper->emitter;
  const Kernel *kernel = wrapper->kernel;
  LLVMValueRef workspace = build_call_field(emitter, wrapper->call, CALL_WORKSPACE);
  LLVMValueRef copy = NULL, base = build_i64(emitter, 0);
  LLVMValueRef state_size = build_piece_offsets(emitter, wrapper->symbols, wrapper->piece_offsets);
  if (entry_makes_state(emitter->module, wrapper->entry)) {
    LLVMBuilderRef builder = emitter->builder;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(builder);
    LLVMPositionBuilderBefore(builder, wrapper->frame);
    copy = LLVMBuildAlloca(builder, emitter->call_type, "initial_call");
    LLVMPositionBuilderAtEnd(builder, here);
    wrapper->state_in = build_state_in(wrapper, copy, workspace, state_size);
    base = state_size;
  }
  build_slot_offsets(emitter, kernel, wrapper->symbols, base, wrapper->slot_offsets);
  build_frame_store(wrapper, FRAME_CALL, 0, wrapper->call);
  for (SymbolId s = 0; s < kernel->symbol_count; s++) build_frame_store(wrapper, FRAME_SYMBOLS, s, wrapper->symbols[s]);
  for (BufferId b = 0; b < kernel->buffer_count; b++)
    build_frame_store(wrapper, FRAME_BUFFERS, b, build_buffer_address(wrapper, &kernel->buffers[b], workspace));
}

/* On the team of the context, or alone; then without a context, so that nobody waits at a barrier. */
static void build_run(const Wrapper *wrapper, LLVMValueRef body) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef context = build_call_field(emitter, wrapper->call, CALL_CONTEXT);
  LLVMBasicBlockRef given = build_block(emitter, "context"), team = build_block(emitter, "team");
  LLVMBasicBlockRef alone = build_block(emitter, "alone"), done = build_block(emitter, "done");
  LLVMBuildCondBr(builder, build_is_null(emitter, context), alone, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef threads = build_context_field(emitter, context, CONTEXT_THREAD_COUNT);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSGT, threads, build_i32(emitter, 1), ""), team, alone);

  LLVMPositionBuilderAtEnd(builder, team);
  build_frame_store(wrapper, FRAME_CONTEXT, 0, context);
  LLVMValueRef parallel = build_context_field(emitter, context, CONTEXT_PARALLEL);
  LLVMTypeRef ptr = emitter->codegen->type_ptr, types[] = {ptr, ptr, ptr};
  LLVMValueRef arguments[] = {context, body, wrapper->frame};
  LLVMBuildCall2(builder, LLVMFunctionType(emitter->codegen->type_void, types, 3, false), parallel, arguments, 3, "");
  LLVMBuildBr(builder, done);

  LLVMPositionBuilderAtEnd(builder, alone);
  build_frame_store(wrapper, FRAME_CONTEXT, 0, build_null(emitter));
  LLVMValueRef single[] = {wrapper->frame, build_i32(emitter, 0), build_i32(emitter, 1)};
  build_call(emitter, body, single, 3);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

/* The number of steps done and whose state it is. */
static void build_state_header(const Wrapper *wrapper, LLVMValueRef position) {
  const ModuleEmitter *emitter = wrapper->emitter;
  LLVMBuilderRef builder = emitter->builder;
  const Module *module = emitter->module;
  LLVMBasicBlockRef wanted = build_block(emitter, "sign_state"), done = build_block(emitter, "end");
  LLVMBuildCondBr(builder, build_is_null(emitter, wrapper->state_out), done, wanted);
  LLVMPositionBuilderAtEnd(builder, wanted);
  SymbolId stream = program_find_symbol(module->interface, SYMBOL_STREAM);
  bool has_moved = wrapper->entry != ENTRY_INITIAL && stream != NONE;
  LLVMValueRef after = has_moved ? LLVMBuildAdd(builder, position, wrapper->symbols[stream], "") : position;
  LLVMBuildStore(builder, after, wrapper->state_out);
  LLVMValueRef one = build_i64(emitter, 1);
  LLVMValueRef address = LLVMBuildInBoundsGEP2(builder, emitter->codegen->type_i64, wrapper->state_out, &one, 1, "");
  LLVMBuildStore(builder, build_i64(emitter, (int64_t)module_fingerprint(module)), address);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

void build_wrapper(ModuleEmitter *emitter, EntryKind entry, LLVMValueRef body) {
  Codegen *codegen = emitter->codegen;
  const Kernel *kernel = emitter->module->kernels[entry];
  LLVMValueRef function = build_function(emitter, entry_names[entry], codegen->type_i32, &codegen->type_ptr, 1);
  emitter->entries[entry] = function;
  Wrapper wrapper = {.emitter = emitter,
                     .kernel = kernel,
                     .entry = entry,
                     .call = LLVMGetParam(function, 0),
                     .frame_type = kernel_frame_type(codegen, kernel),
                     .symbols = ARENA_ARRAY(codegen->arena, LLVMValueRef, module_symbol_count(emitter->module)),
                     .slot_offsets = ARENA_ARRAY(codegen->arena, LLVMValueRef, kernel->workspace_slots),
                     .piece_offsets = ARENA_ARRAY(codegen->arena, LLVMValueRef, emitter->module->piece_count)};
  wrapper.frame = LLVMBuildAlloca(emitter->builder, wrapper.frame_type, "frame");
  build_argument_checks(emitter, wrapper.call, entry);
  emitter->is_in_range = true;
  bool is_initial = entry == ENTRY_INITIAL;
  wrapper.call_state_in = is_initial ? NULL : build_call_field(emitter, wrapper.call, CALL_STATE_IN);
  wrapper.state_out = build_call_field(emitter, wrapper.call, CALL_STATE_OUT);
  LLVMValueRef position = is_initial ? build_i64(emitter, 0) : build_position(&wrapper);
  LLVMValueRef batch = build_call_field(emitter, wrapper.call, CALL_BATCH);
  build_symbols(emitter, kernel, batch, build_call_field(emitter, wrapper.call, CALL_LENGTHS), position, wrapper.symbols);
  build_value_checks(emitter, wrapper.call, entry, wrapper.symbols);
  build_frame(&wrapper);
  build_run(&wrapper, body);
  build_state_header(&wrapper, position);
  LLVMBuildRet(emitter->builder, build_i32(emitter, SEQRT_OK));
}
