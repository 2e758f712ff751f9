/* wrapper.c - the entry points: from a seqrt_call to the frame that a kernel's body runs on.
 *
 * One function does it for all of them, by their plans. The order is: check the call, make the initial state when a state is
 * needed and none was given, find the address of every buffer, run the body on all threads, sign the state. The body has the
 * signature that seqrt_context.parallel asks for, so it is handed over as it is.
 */
#include "codegen/size_program.h"

/* What the emission of the common function knows. */
typedef struct Runner {
  ModuleEmitter *emitter;
  LLVMValueRef function, call, plan;
  LLVMValueRef copy, homes; /* on the stack: a call for the initial entry, where the buffers' homes begin */
  LLVMValueRef values, frame;
  LLVMValueRef call_state_in; /* as the caller gave it */
  LLVMValueRef state_in;      /* or the initial state in the workspace */
  LLVMValueRef state_out, workspace, position;
} Runner;

static LLVMValueRef build_value_slot(const ModuleEmitter *emitter, LLVMValueRef values, LLVMValueRef number) {
  return LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i64, values, &number, 1, "");
}

/* ptr find_turns(ptr address, int64 turns): null if one of the turns is null, as the gradient of such a parameter is computed
 * for all its turns or for none. Without turns the entry itself. */
static LLVMValueRef build_find_turns(ModuleEmitter *emitter) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef ptr = emitter->codegen->type_ptr, types[] = {ptr, emitter->codegen->type_i64};
  LLVMValueRef function = build_function(emitter, "find_turns", ptr, types, 2), zero = build_i64(emitter, 0);
  LLVMValueRef address = LLVMGetParam(function, 0), turns = LLVMGetParam(function, 1);
  LLVMBasicBlockRef one = build_block(emitter, "one"), all = build_block(emitter, "all");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, turns, zero, ""), one, all);
  LLVMPositionBuilderAtEnd(builder, one);
  LLVMBuildRet(builder, LLVMBuildLoad2(builder, ptr, address, ""));
  LLVMPositionBuilderAtEnd(builder, all);
  LLVMValueRef arguments[] = {address, turns}, hole = build_call(emitter, emitter->first_null, arguments, 2);
  LLVMValueRef is_whole = LLVMBuildICmp(builder, LLVMIntSLT, hole, zero, "");
  LLVMBuildRet(builder, LLVMBuildSelect(builder, is_whole, address, build_null(emitter), ""));
  return function;
}

/* void place_buffers(plan, ptr *homes, const int64 *values, ptr *out_buffers) */
static LLVMValueRef build_place_buffers(ModuleEmitter *emitter) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64, ptr = emitter->codegen->type_ptr, types[] = {ptr, ptr, ptr, ptr};
  LLVMValueRef find_turns = build_find_turns(emitter);
  LLVMValueRef function = build_function(emitter, "place_buffers", emitter->codegen->type_void, types, 4);
  LLVMValueRef plan = LLVMGetParam(function, 0), values = LLVMGetParam(function, 2);
  LLVMValueRef places = build_plan_field(emitter, plan, PLAN_PLACES);
  TableLoop loop = table_loop_begin(emitter, build_i64(emitter, 0), build_plan_field(emitter, plan, PLAN_PLACE_COUNT));
  LLVMValueRef home_number = build_table_number(emitter, places, loop.index, PLACE_FIELDS, PLACE_HOME);
  LLVMValueRef at = build_table_number(emitter, places, loop.index, PLACE_FIELDS, PLACE_AT);
  LLVMValueRef turns = build_table_number(emitter, places, loop.index, PLACE_FIELDS, PLACE_TURNS);
  LLVMValueRef home = build_table_load(emitter, LLVMGetParam(function, 1), home_number);
  LLVMValueRef result = LLVMBuildInBoundsGEP2(builder, ptr, LLVMGetParam(function, 3), &loop.index, 1, "");
  LLVMBuildStore(builder, home, result);
  LLVMBasicBlockRef given = build_block(emitter, "given"), bytes = build_block(emitter, "bytes");
  LLVMBasicBlockRef entry = build_block(emitter, "entry"), next = build_block(emitter, "next");
  LLVMBuildCondBr(builder, build_is_null(emitter, home), next, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, turns, build_i64(emitter, 0), ""), bytes, entry);
  LLVMPositionBuilderAtEnd(builder, bytes);
  LLVMValueRef offset = LLVMBuildLoad2(builder, i64, build_value_slot(emitter, values, at), "");
  LLVMBuildStore(builder, build_bytes_after(emitter, home, offset), result);
  LLVMBuildBr(builder, next);
  LLVMPositionBuilderAtEnd(builder, entry);
  LLVMValueRef arguments[] = {LLVMBuildInBoundsGEP2(builder, ptr, home, &at, 1, ""), turns};
  LLVMBuildStore(builder, build_call(emitter, find_turns, arguments, 2), result);
  LLVMBuildBr(builder, next);
  LLVMPositionBuilderAtEnd(builder, next);
  table_loop_end(emitter, &loop);
  LLVMBuildRetVoid(builder);
  return function;
}

/* void fill_views(plan, frame) */
static LLVMValueRef build_fill_views(ModuleEmitter *emitter) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64, ptr = emitter->codegen->type_ptr, types[] = {ptr, ptr};
  LLVMValueRef function = build_function(emitter, "fill_views", emitter->codegen->type_void, types, 2);
  LLVMValueRef plan = LLVMGetParam(function, 0), frame = LLVMGetParam(function, 1);
  LLVMValueRef table = build_plan_field(emitter, plan, PLAN_VIEWS);
  LLVMValueRef views = build_bytes_after(emitter, frame, build_plan_field(emitter, plan, PLAN_VIEWS_AT));
  TableLoop loop = table_loop_begin(emitter, build_i64(emitter, 0), build_plan_field(emitter, plan, PLAN_VIEW_WORDS));
  LLVMValueRef offset = build_table_number(emitter, table, loop.index, 1, 0);
  LLVMValueRef word = LLVMBuildLoad2(builder, i64, build_bytes_after(emitter, frame, offset), "");
  LLVMSetAlignment(word, 4); /* where pointers are short; there the other half of the word is not looked at */
  LLVMBuildStore(builder, word, build_value_slot(emitter, views, loop.index));
  table_loop_end(emitter, &loop);
  LLVMBuildRetVoid(builder);
  return function;
}

/* A number in the header of the given state, 0 without one. */
static LLVMValueRef build_header_number(const Runner *runner, int number) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMBasicBlockRef start = LLVMGetInsertBlock(builder), given = build_block(emitter, "header"),
                    done = build_block(emitter, "begin");
  LLVMBuildCondBr(builder, build_is_null(emitter, runner->call_state_in), done, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef address = build_value_slot(emitter, runner->call_state_in, build_i64(emitter, number));
  LLVMValueRef loaded = LLVMBuildLoad2(builder, i64, address, "");
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMValueRef result = LLVMBuildPhi(builder, i64, "");
  LLVMValueRef values[] = {build_i64(emitter, 0), loaded};
  LLVMBasicBlockRef blocks[] = {start, given};
  LLVMAddIncoming(result, values, blocks, 2);
  return result;
}

/* Position, capacity of the given state, and the steps that must be copied as the new state does not take its place. */
static void build_header_values(Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  runner->position = build_header_number(runner, HEADER_POSITION);
  LLVMBuildStore(builder, runner->position, build_value_slot(emitter, runner->values, build_i64(emitter, VALUE_POSITION)));
  if (!module_grows(emitter->module)) return;
  LLVMValueRef capacity = build_header_number(runner, HEADER_CAPACITY);
  LLVMValueRef stays = LLVMBuildICmp(builder, LLVMIntEQ, runner->call_state_in, runner->state_out, "");
  LLVMValueRef moved = LLVMBuildSelect(builder, stays, build_i64(emitter, 0), runner->position, "");
  LLVMBuildStore(builder, capacity, build_value_slot(emitter, runner->values, build_i64(emitter, VALUE_CAPACITY_IN)));
  LLVMBuildStore(builder, moved, build_value_slot(emitter, runner->values, build_i64(emitter, VALUE_MOVED)));
}

static void build_call_store(const ModuleEmitter *emitter, LLVMValueRef call, int field, LLVMValueRef value) {
  LLVMBuildStore(emitter->builder, value, LLVMBuildStructGEP2(emitter->builder, emitter->call_type, call, (unsigned)field, ""));
}

static void build_copy(const ModuleEmitter *emitter, LLVMValueRef to, LLVMValueRef from, LLVMTypeRef type) {
  LLVMBuildMemCpy(emitter->builder, to, 8, from, 8, LLVMSizeOf(type));
}

/* Runs the entry that makes the initial state, with a call of its own that differs in its state and workspace. */
static void build_initial_state(const Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef state_size = build_plan_value(emitter, runner->plan, PLAN_STATE_SIZE, runner->values);
  build_copy(emitter, runner->copy, runner->call, emitter->call_type);
  build_call_store(emitter, runner->copy, CALL_STATE_OUT, runner->workspace);
  build_call_store(emitter, runner->copy, CALL_OUTPUTS, build_null(emitter));
  build_call_store(emitter, runner->copy, CALL_CAPACITY, build_i64(emitter, 0));
  build_call_store(emitter, runner->copy, CALL_WORKSPACE, build_bytes_after(emitter, runner->workspace, state_size));
  LLVMValueRef arguments[] = {runner->copy, build_plan_field(emitter, runner->plan, PLAN_INITIAL)};
  LLVMValueRef status = build_call(emitter, runner->function, arguments, 2);
  LLVMBasicBlockRef bad = build_block(emitter, "bad"), good = build_block(emitter, "good");
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, status, build_i32(emitter, SEQRT_OK), ""), good, bad);
  LLVMPositionBuilderAtEnd(builder, bad);
  LLVMValueRef to = LLVMBuildStructGEP2(builder, emitter->call_type, runner->call, CALL_FAULT, "");
  LLVMValueRef from = LLVMBuildStructGEP2(builder, emitter->call_type, runner->copy, CALL_FAULT, "");
  build_copy(emitter, to, from, emitter->fault_type);
  LLVMBuildRet(builder, status);
  LLVMPositionBuilderAtEnd(builder, good);
}

/* The state that the kernel reads: the given one, or the initial one at the start of the workspace. The new state may be left in
 * the place of the given one: kernels write it last. */
static LLVMValueRef build_state_in(const Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef given_state = runner->call_state_in;
  LLVMBasicBlockRef start = LLVMGetInsertBlock(builder), needed = build_block(emitter, "need_state"),
                    make = build_block(emitter, "make_state"), done = build_block(emitter, "have_state");
  LLVMBuildCondBr(builder, build_plan_flag(emitter, runner->plan, FLAG_MAKES_STATE), needed, done);
  LLVMPositionBuilderAtEnd(builder, needed);
  LLVMBuildCondBr(builder, build_is_null(emitter, given_state), make, done);
  LLVMPositionBuilderAtEnd(builder, make);
  build_initial_state(runner);
  LLVMBasicBlockRef made = LLVMGetInsertBlock(builder);
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
  LLVMValueRef state = LLVMBuildPhi(builder, emitter->codegen->type_ptr, "state_in");
  LLVMValueRef values[] = {given_state, given_state, runner->workspace};
  LLVMBasicBlockRef blocks[] = {start, needed, made};
  LLVMAddIncoming(state, values, blocks, 3);
  return state;
}

/* Where the buffers of a home are, or their table is. */
static LLVMValueRef build_home(const Runner *runner, BufferHome home) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef call = runner->call, null = build_null(emitter);
  switch (home) {
  case HOME_WORKSPACE: return runner->workspace;
  case HOME_PARAMETER: return build_call_field(emitter, call, CALL_PARAMETERS);
  case HOME_PARAMETER_GRADIENT: return build_call_field(emitter, call, CALL_PARAMETER_GRADIENTS);
  case HOME_INPUT: return build_call_field(emitter, call, CALL_INPUTS);
  case HOME_STATE: /* used at the start of a sequence only */
    return LLVMBuildSelect(builder, build_is_null(emitter, runner->call_state_in),
                           build_call_field(emitter, call, CALL_INITIAL_STATES), null, "");
  case HOME_OUTPUT: return build_call_field(emitter, call, CALL_OUTPUTS);
  case HOME_OBJECTIVE:
    return LLVMBuildSelect(builder, build_plan_flag(emitter, runner->plan, FLAG_FORWARD), null,
                           build_call_field(emitter, call, CALL_OBJECTIVE), "");
  case HOME_COTANGENT: return build_call_field(emitter, call, CALL_COTANGENTS);
  case HOME_CARRY_IN: return runner->state_in;
  case HOME_CARRY_OUT:
  case HOME_FINAL_STATE: return runner->state_out;
  case HOME_HISTORY:
    return LLVMBuildSelect(builder, build_is_null(emitter, runner->state_out),
                           build_bytes_after(emitter, runner->workspace, build_plan_value(emitter, runner->plan, PLAN_SCRATCH, runner->values)),
                           runner->state_out, "");
  case HOME_INPUT_GRADIENT: return build_call_field(emitter, call, CALL_INPUT_GRADIENTS);
  case HOME_STATE_GRADIENT: return build_call_field(emitter, call, CALL_STATE_GRADIENTS);
  case HOME_PACKED: return build_call_field(emitter, call, CALL_PACKED);
  case HOME_COUNT: break;
  }
  internal_error("there is no home %d", (int)home);
}

static void build_frame_store(const Runner *runner, int field, LLVMValueRef value) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMValueRef index = build_i64(emitter, field);
  LLVMBuildStore(emitter->builder, value,
                 LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_ptr, runner->frame, &index, 1, ""));
}

static void build_frame(Runner *runner, LLVMValueRef place_buffers, LLVMValueRef fill_views) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef bytes = build_plan_field(emitter, runner->plan, PLAN_FRAME_BYTES);
  runner->frame = LLVMBuildArrayAlloca(builder, emitter->codegen->type_i8, bytes, "frame");
  LLVMSetAlignment(runner->frame, 16);
  build_frame_store(runner, FRAME_CALL, runner->call);
  LLVMValueRef numbers = build_value_slot(emitter, runner->values, build_plan_field(emitter, runner->plan, PLAN_NUMBERS));
  LLVMValueRef number_bytes = LLVMBuildMul(builder, build_plan_field(emitter, runner->plan, PLAN_NUMBER_COUNT), build_i64(emitter, 8), "");
  LLVMValueRef to = build_bytes_after(emitter, runner->frame, build_plan_field(emitter, runner->plan, PLAN_NUMBERS_AT));
  LLVMBuildMemCpy(builder, to, 8, numbers, 8, number_bytes);
  for (BufferHome home = 0; home < HOME_COUNT; home++) {
    LLVMValueRef index = build_i64(emitter, home), pointer = build_home(runner, home);
    LLVMBuildStore(builder, pointer, LLVMBuildInBoundsGEP2(builder, emitter->codegen->type_ptr, runner->homes, &index, 1, ""));
  }
  LLVMValueRef buffers = build_bytes_after(emitter, runner->frame, build_plan_field(emitter, runner->plan, PLAN_BUFFERS_AT));
  LLVMValueRef arguments[] = {runner->plan, runner->homes, runner->values, buffers};
  build_call(emitter, place_buffers, arguments, 4);
  LLVMValueRef whole[] = {runner->plan, runner->frame};
  build_call(emitter, fill_views, whole, 2);
}

/* On the team of the context, or alone; then without a context, so that nobody waits at a barrier. */
static void build_run_body(const Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  Codegen *codegen = emitter->codegen;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef context = build_call_field(emitter, runner->call, CALL_CONTEXT);
  LLVMValueRef body = build_plan_field(emitter, runner->plan, PLAN_BODY);
  LLVMBasicBlockRef given = build_block(emitter, "context"), team = build_block(emitter, "team");
  LLVMBasicBlockRef alone = build_block(emitter, "alone"), done = build_block(emitter, "done");
  LLVMBuildCondBr(builder, build_is_null(emitter, context), alone, given);
  LLVMPositionBuilderAtEnd(builder, given);
  LLVMValueRef threads = build_context_field(emitter, context, CONTEXT_THREAD_COUNT);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSGT, threads, build_i32(emitter, 1), ""), team, alone);

  LLVMPositionBuilderAtEnd(builder, team);
  build_frame_store(runner, FRAME_CONTEXT, context);
  LLVMValueRef parallel = build_context_field(emitter, context, CONTEXT_PARALLEL);
  LLVMTypeRef ptr = codegen->type_ptr, types[] = {ptr, ptr, ptr};
  LLVMValueRef arguments[] = {context, body, runner->frame};
  LLVMBuildCall2(builder, LLVMFunctionType(codegen->type_void, types, 3, false), parallel, arguments, 3, "");
  LLVMBuildBr(builder, done);

  LLVMPositionBuilderAtEnd(builder, alone);
  build_frame_store(runner, FRAME_CONTEXT, build_null(emitter));
  LLVMTypeRef body_types[] = {ptr, codegen->type_i32, codegen->type_i32};
  LLVMValueRef single[] = {runner->frame, build_i32(emitter, 0), build_i32(emitter, 1)};
  LLVMBuildCall2(builder, LLVMFunctionType(codegen->type_void, body_types, 3, false), body, single, 3, "");
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

/* The number of steps done, whose state it is, and how many steps it has room for. */
static void build_state_header(const Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMBasicBlockRef wanted = build_block(emitter, "sign_state"), done = build_block(emitter, "end");
  LLVMBuildCondBr(builder, build_is_null(emitter, runner->state_out), done, wanted);
  LLVMPositionBuilderAtEnd(builder, wanted);
  LLVMValueRef moved = build_plan_value(emitter, runner->plan, PLAN_MOVED, runner->values);
  LLVMBuildStore(builder, LLVMBuildAdd(builder, runner->position, moved, ""), runner->state_out);
  LLVMBuildStore(builder, build_i64(emitter, (int64_t)module_fingerprint(emitter->module)),
                 build_value_slot(emitter, runner->state_out, build_i64(emitter, HEADER_FINGERPRINT)));
  LLVMValueRef capacity = module_grows(emitter->module) ? build_call_field(emitter, runner->call, CALL_CAPACITY) : build_i64(emitter, 0);
  LLVMBuildStore(builder, capacity, build_value_slot(emitter, runner->state_out, build_i64(emitter, HEADER_CAPACITY)));
  int lengths = module_state_has_lengths(emitter->module) ? module_length_count(emitter->module) : 0;
  for (int n = 1; n < lengths; n++) { /* the first is the stream */
    LLVMValueRef given = build_value_slot(emitter, runner->values, build_i64(emitter, VALUE_LENGTHS + n));
    LLVMValueRef length = LLVMBuildLoad2(builder, emitter->codegen->type_i64, given, "");
    LLVMBuildStore(builder, length, build_value_slot(emitter, runner->state_out, build_i64(emitter, HEADER_LENGTHS + n - 1)));
  }
  LLVMBuildBr(builder, done);
  LLVMPositionBuilderAtEnd(builder, done);
}

/* Checks the call and computes all that follows from its sizes and its position. */
static void build_preparation(Runner *runner) {
  const ModuleEmitter *emitter = runner->emitter;
  LLVMBuilderRef builder = emitter->builder;
  runner->values = build_values(emitter, runner->plan);
  LLVMValueRef check[] = {runner->call, runner->plan, runner->values};
  build_return_unless_fine(emitter, build_call(emitter, emitter->check_call, check, 3));
  LLVMValueRef is_initial = build_plan_flag(emitter, runner->plan, FLAG_INITIAL);
  LLVMValueRef state_in = build_call_field(emitter, runner->call, CALL_STATE_IN);
  runner->call_state_in = LLVMBuildSelect(builder, is_initial, build_null(emitter), state_in, "");
  runner->state_out = build_call_field(emitter, runner->call, CALL_STATE_OUT);
  runner->workspace = build_call_field(emitter, runner->call, CALL_WORKSPACE);
  build_header_values(runner);
  LLVMValueRef rest[] = {build_plan_field(emitter, runner->plan, PLAN_STEPS), build_plan_field(emitter, runner->plan, PLAN_SIZE_STEPS),
                         build_plan_field(emitter, runner->plan, PLAN_STEP_COUNT), runner->values};
  build_call(emitter, emitter->evaluate, rest, 4);
  build_return_unless_fine(emitter, build_call(emitter, emitter->check_values, check, 3));
}

/* int32 run(call, plan) */
static LLVMValueRef build_run_function(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMValueRef place_buffers = build_place_buffers(emitter), fill_views = build_fill_views(emitter);
  LLVMTypeRef types[] = {codegen->type_ptr, codegen->type_ptr};
  LLVMValueRef function = build_function(emitter, "run", codegen->type_i32, types, 2);
  Runner runner = {.emitter = emitter,
                   .function = function,
                   .call = LLVMGetParam(function, 0),
                   .plan = LLVMGetParam(function, 1),
                   .copy = LLVMBuildAlloca(emitter->builder, emitter->call_type, "initial_call"),
                   .homes = LLVMBuildAlloca(emitter->builder, LLVMArrayType2(codegen->type_ptr, HOME_COUNT), "homes")};
  build_preparation(&runner);
  runner.state_in = emitter->module->kernels[ENTRY_INITIAL] ? build_state_in(&runner) : runner.call_state_in;
  build_frame(&runner, place_buffers, fill_views);
  build_run_body(&runner);
  build_state_header(&runner);
  LLVMBuildRet(emitter->builder, build_i32(emitter, SEQRT_OK));
  return function;
}

void build_wrappers(ModuleEmitter *emitter) {
  LLVMValueRef run = build_run_function(emitter);
  for (EntryKind entry = 0; entry < ENTRY_COUNT; entry++) {
    if (!emitter->module->kernels[entry]) continue;
    LLVMTypeRef ptr = emitter->codegen->type_ptr;
    LLVMValueRef function = build_function(emitter, entry_names[entry], emitter->codegen->type_i32, &ptr, 1);
    emitter->entries[entry] = function;
    LLVMValueRef arguments[] = {LLVMGetParam(function, 0), build_plan_address(emitter, build_i64(emitter, entry))};
    LLVMBuildRet(emitter->builder, build_call(emitter, run, arguments, 2));
  }
}
