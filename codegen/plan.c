/* plan.c - what the entry points of an object differ in, as constants: one function checks and runs all of them. */
#include "codegen/size_program.h"

static const char plans_name[] = "plans";

static int plan_count(const ModuleEmitter *emitter) { return emitter->codegen->processor_count * ENTRY_COUNT; }

void declare_plans(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef fields[PLAN_FIELDS];
  for (int field = 0; field < PLAN_FIELDS; field++) fields[field] = field <= PLAN_BODY ? codegen->type_ptr : codegen->type_i64;
  emitter->plan_type = LLVMStructTypeInContext(codegen->context, fields, PLAN_FIELDS, false);
  emitter->plans = LLVMAddGlobal(codegen->module, LLVMArrayType2(emitter->plan_type, (uint64_t)plan_count(emitter)), plans_name);
  LLVMSetGlobalConstant(emitter->plans, true);
  LLVMSetLinkage(emitter->plans, LLVMPrivateLinkage);
}

/* The initial state may be made inside of another entry, which then needs what it reads. */
static bool entry_reads(const Module *module, EntryKind entry, BufferHome home, int slot) {
  const Port *input = home == HOME_INPUT && slot >= 0 ? module_port(module, PORT_INPUT, slot) : NULL;
  if (entry == ENTRY_FORWARD && input && input->is_for_objective) return false; /* it computes no objective */
  return kernel_has_home(module->kernels[entry], home, slot) ||
         (entry_makes_state(module, entry) && kernel_has_home(module->kernels[ENTRY_INITIAL], home, slot));
}

static int first_slot_of(const Module *module, int parameter) {
  int slot = 0;
  for (int n = 0; n < parameter; n++) slot += port_slot_count(module, module_port(module, PORT_PARAMETER, n));
  return slot;
}

/* Piece `slot` among the carried or the declared ones. */
static int piece_number(const Module *module, bool is_declared, int slot) {
  for (int n = 0; n < module->piece_count; n++)
    if (module->pieces[n].is_declared == is_declared && slot-- == 0) return n;
  internal_error("a kernel uses a piece of the state that the module does not have");
}

/* Where sizes and offsets are among the values of a program. */
typedef struct Layout {
  SizeProgram *program;
  SlotSizes slots;
  int *packed;
  int *pieces_in, *pieces_out; /* of the state that comes and of that which is left: the one may have room for fewer steps */
  int state_size; /* of the initial state */
  int scratch;    /* where the state is that is appended to when none is left */
  int size, zero;
} Layout;

/* A kernel that makes the initial state first lets it use the same workspace, after the state. The initial state has no steps. */
static Layout layout_create(const ModuleEmitter *emitter, EntryKind entry) {
  const Module *module = emitter->module;
  const Kernel *kernel = module->kernels[entry];
  Arena *arena = emitter->codegen->arena;
  SizeProgram *program = size_program_create(arena, module, true);
  Layout layout = {.program = program,
                   .pieces_in = ARENA_ARRAY(arena, int, module->piece_count),
                   .pieces_out = ARENA_ARRAY(arena, int, module->piece_count),
                   .zero = size_constant_value(program, 0)};
  layout.state_size = size_state_value(program, layout.zero, NULL);
  layout.packed = ARENA_ARRAY(arena, int, kernel->buffer_count);
  for (int n = 0; n < kernel->buffer_count; n++)
    if (kernel->buffers[n].home == HOME_PACKED)
      layout.packed[n] = size_constant_value(program, module_packed_offset(module, kernel->buffers[n].slot));
  int least = size_constant_value(program, SEQRT_ALIGNMENT); /* 0 means impossible */
  if (entry_makes_state(module, entry)) {
    if (!module->kernels[ENTRY_INITIAL])
      internal_error("kernel '%s' reads carried state, but the module has no initial state", entry_names[entry]);
    size_program_enter(program, module->kernels[ENTRY_INITIAL]);
    least = size_slots_value(program, layout.state_size).end;
  }
  size_program_enter(program, kernel);
  int base = layout.scratch = entry_makes_state(module, entry) ? layout.state_size : layout.zero;
  int state_out = size_state_value(program, VALUE_CAPACITY_OUT, layout.pieces_out);
  if (kernel_has_home(kernel, HOME_HISTORY, -1)) base = size_step_value(program, STEP_AFTER, base, state_out);
  layout.slots = size_slots_value(program, base);
  layout.size = size_step_value(program, STEP_MAX, layout.slots.end, least);
  return layout;
}

static LLVMValueRef build_places(const ModuleEmitter *emitter, const Kernel *kernel, const Layout *layout) {
  const Module *module = emitter->module;
  int64_t *numbers = ARENA_ARRAY(emitter->codegen->arena, int64_t, PLACE_FIELDS * kernel->buffer_count);
  for (BufferId b = 0; b < kernel->buffer_count; b++) {
    const Buffer *buffer = &kernel->buffers[b];
    int64_t *place = numbers + PLACE_FIELDS * b;
    place[PLACE_HOME] = buffer->home;
    place[PLACE_AT] = buffer->slot;
    switch (buffer->home) {
    case HOME_PARAMETER:
    case HOME_PARAMETER_GRADIENT:
      place[PLACE_AT] = first_slot_of(module, buffer->slot);
      if (buffer->has_turns) place[PLACE_TURNS] = port_slot_count(module, module_port(module, PORT_PARAMETER, buffer->slot));
      continue;
    case HOME_WORKSPACE: place[PLACE_AT] = layout->slots.offsets[buffer->slot]; break;
    case HOME_PACKED: place[PLACE_AT] = layout->packed[b]; break;
    case HOME_OBJECTIVE: place[PLACE_AT] = layout->zero; break;
    case HOME_CARRY_IN: place[PLACE_AT] = layout->pieces_in[piece_number(module, false, buffer->slot)]; break;
    case HOME_HISTORY:
    case HOME_CARRY_OUT: place[PLACE_AT] = layout->pieces_out[piece_number(module, false, buffer->slot)]; break;
    case HOME_FINAL_STATE: place[PLACE_AT] = layout->pieces_out[piece_number(module, true, buffer->slot)]; break;
    default: continue;
    }
    place[PLACE_TURNS] = -1;
  }
  return build_numbers(emitter, "places", emitter->codegen->type_i32, numbers, PLACE_FIELDS * kernel->buffer_count);
}

static LLVMValueRef build_inputs(const ModuleEmitter *emitter, EntryKind entry, int64_t *out_count) {
  int64_t *numbers = ARENA_ARRAY(emitter->codegen->arena, int64_t, module_port_count(emitter->module, PORT_INPUT));
  int count = 0;
  for (int n = 0; module_port(emitter->module, PORT_INPUT, n); n++)
    if (entry_reads(emitter->module, entry, HOME_INPUT, n)) numbers[count++] = n;
  *out_count = count;
  return build_numbers(emitter, "inputs", emitter->codegen->type_i32, numbers, count);
}

static LLVMValueRef build_ranges(const ModuleEmitter *emitter, EntryKind entry, SizeProgram *program, int64_t *out_count) {
  const Module *module = emitter->module;
  int64_t *numbers = ARENA_ARRAY(emitter->codegen->arena, int64_t, RANGE_FIELDS * module->check_count);
  int count = 0;
  for (int n = 0; n < module->check_count; n++) {
    const InputCheck *check = &module->checks[n];
    if (!entry_reads(module, entry, HOME_INPUT, check->input)) continue;
    const Tensor *tensor = &module->interface->tensors[module_port(module, PORT_INPUT, check->input)->tensor];
    int64_t *range = numbers + RANGE_FIELDS * count++;
    range[RANGE_INPUT] = check->input;
    range[RANGE_COUNT] = size_elements_value(program, 1, tensor->rank, tensor->shape, NULL);
    range[RANGE_LOW] = check->low;
    range[RANGE_HIGH] = size_elements_value(program, 1, 1, &check->high, NULL);
  }
  *out_count = count;
  return build_numbers(emitter, "ranges", emitter->codegen->type_i64, numbers, RANGE_FIELDS * count);
}

static int entry_flags(const Module *module, EntryKind entry) {
  static const int kinds[ENTRY_COUNT] = {
      [ENTRY_FORWARD] = FLAG_FORWARD, [ENTRY_GRADIENT] = FLAG_GRADIENT, [ENTRY_INITIAL] = FLAG_INITIAL, [ENTRY_PACK] = FLAG_PACK};
  return kinds[entry] | (entry_makes_state(module, entry) ? FLAG_MAKES_STATE : 0) |
         (entry_reads(module, entry, HOME_INPUT, -1) ? FLAG_READS_INPUTS : 0) |
         (kernel_has_home(module->kernels[entry], HOME_COTANGENT, -1) ? FLAG_READS_COTANGENTS : 0);
}

static LLVMValueRef plan_constant(const ModuleEmitter *emitter, int processor, EntryKind entry, LLVMValueRef body, const FrameViews *views) {
  const Module *module = emitter->module;
  Codegen *codegen = emitter->codegen;
  const Kernel *kernel = module->kernels[entry];
  Layout layout = layout_create(emitter, entry);
  SizeProgram *program = layout.program;
  int64_t numbers[PLAN_FIELDS] = {
      [PLAN_SIZE_STEPS] = program->step_count, [PLAN_SIZE] = layout.size, [PLAN_STATE_SIZE] = layout.state_size, [PLAN_SCRATCH] = layout.scratch};
  LLVMValueRef inputs = build_inputs(emitter, entry, &numbers[PLAN_INPUT_COUNT]);
  size_program_place(program);
  size_state_value(program, VALUE_CAPACITY_IN, layout.pieces_in);
  LLVMValueRef ranges = build_ranges(emitter, entry, program, &numbers[PLAN_RANGE_COUNT]);
  SymbolId stream = program_find_symbol(module->interface, SYMBOL_STREAM);
  bool has_moved = entry != ENTRY_INITIAL && entry != ENTRY_PACK && stream != NONE;
  numbers[PLAN_MOVED] = has_moved ? size_symbol_value(program, stream) : layout.zero;
  numbers[PLAN_NUMBERS] = size_frame_values(program, layout.slots.stride);
  numbers[PLAN_NUMBER_COUNT] = kernel->symbol_count + 1;
  numbers[PLAN_STEP_COUNT] = program->step_count;
  numbers[PLAN_PLACE_COUNT] = kernel->buffer_count;
  LLVMTypeRef frame = kernel_frame_type(codegen, kernel);
  numbers[PLAN_NUMBERS_AT] = (int64_t)LLVMOffsetOfElement(codegen->data_layout, frame, FRAME_NUMBERS);
  numbers[PLAN_BUFFERS_AT] = (int64_t)LLVMOffsetOfElement(codegen->data_layout, frame, FRAME_BUFFERS);
  numbers[PLAN_VIEWS_AT] = kernel_views_offset(codegen, kernel);
  numbers[PLAN_VIEW_WORDS] = views->count;
  numbers[PLAN_FRAME_BYTES] = numbers[PLAN_VIEWS_AT] + 8 * (int64_t)views->count;
  for (int n = 0; entry_reads(module, entry, HOME_PARAMETER, -1) && module_port(module, PORT_PARAMETER, n); n++)
    numbers[PLAN_PARAMETERS] += port_slot_count(module, module_port(module, PORT_PARAMETER, n));
  numbers[PLAN_FLAGS] = entry_flags(module, entry);
  LLVMValueRef fields[PLAN_FIELDS];
  for (int field = 0; field < PLAN_FIELDS; field++) fields[field] = build_i64(emitter, numbers[field]);
  fields[PLAN_STEPS] = build_size_steps(emitter, program);
  fields[PLAN_PLACES] = build_places(emitter, kernel, &layout);
  fields[PLAN_INPUTS] = inputs;
  fields[PLAN_RANGES] = ranges;
  fields[PLAN_VIEWS] = build_numbers(emitter, "views", codegen->type_i32, views->offsets, views->count);
  fields[PLAN_BODY] = body;
  LLVMValueRef initial = build_i64(emitter, processor * ENTRY_COUNT + ENTRY_INITIAL);
  fields[PLAN_INITIAL] = LLVMConstInBoundsGEP2(emitter->plan_type, emitter->plans, &initial, 1);
  return LLVMConstStructInContext(codegen->context, fields, PLAN_FIELDS, false);
}

void define_plans(ModuleEmitter *emitter, const EntryBodies *bodies) {
  int count = plan_count(emitter);
  LLVMValueRef *plans = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, count);
  for (int n = 0; n < count; n++) {
    int processor = n / ENTRY_COUNT, entry = n % ENTRY_COUNT;
    LLVMValueRef body = bodies[processor].functions[entry];
    emitter->module = emitter->modules[processor];
    plans[n] = body ? plan_constant(emitter, processor, (EntryKind)entry, body, &bodies[processor].views[entry])
                    : LLVMConstNull(emitter->plan_type);
  }
  emitter->module = emitter->modules[0];
  LLVMSetInitializer(emitter->plans, LLVMConstArray2(emitter->plan_type, plans, (uint64_t)count));
}

LLVMValueRef build_plan_at(const ModuleEmitter *emitter, LLVMValueRef index) {
  return LLVMBuildInBoundsGEP2(emitter->builder, emitter->plan_type, emitter->plans, &index, 1, "");
}

LLVMValueRef build_plan_address(const ModuleEmitter *emitter, LLVMValueRef entry) {
  return emitter->plan_of ? build_call(emitter, emitter->plan_of, &entry, 1) : build_plan_at(emitter, entry);
}

LLVMValueRef build_plan_field(const ModuleEmitter *emitter, LLVMValueRef plan, int field) {
  LLVMValueRef address = LLVMBuildStructGEP2(emitter->builder, emitter->plan_type, plan, (unsigned)field, "");
  return LLVMBuildLoad2(emitter->builder, LLVMStructGetTypeAtIndex(emitter->plan_type, (unsigned)field), address, "");
}

LLVMValueRef build_plan_flag(const ModuleEmitter *emitter, LLVMValueRef plan, int flag) {
  LLVMValueRef both = LLVMBuildAnd(emitter->builder, build_plan_field(emitter, plan, PLAN_FLAGS), build_i64(emitter, flag), "");
  return LLVMBuildICmp(emitter->builder, LLVMIntNE, both, build_i64(emitter, 0), "");
}

LLVMValueRef build_plan_value(const ModuleEmitter *emitter, LLVMValueRef plan, int field, LLVMValueRef values) {
  LLVMValueRef number = build_plan_field(emitter, plan, field);
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  return LLVMBuildLoad2(emitter->builder, i64, LLVMBuildInBoundsGEP2(emitter->builder, i64, values, &number, 1, ""), "");
}
