/* descriptor.c - NAME_model, the one exported symbol: what seqrt/abi.h says about a model, as constants. */
#include <limits.h>

#include "codegen/module.h"

#ifndef SEQC_VERSION
#define SEQC_VERSION "0.1.0"
#endif

_Static_assert((int)ENTRY_FORWARD == SEQRT_FORWARD && (int)ENTRY_OBJECTIVE == SEQRT_OBJECTIVE &&
                   (int)ENTRY_GRADIENT == SEQRT_GRADIENT && (int)ENTRY_INITIAL == SEQRT_INITIAL &&
                   (int)ENTRY_PACK == SEQRT_PACK && (int)ENTRY_COUNT == SEQRT_ENTRY_COUNT,
               "entries are numbered as in the ABI");
_Static_assert((int)INIT_NONE == SEQRT_INIT_NONE && (int)INIT_CONSTANT == SEQRT_INIT_CONSTANT &&
                   (int)INIT_UNIFORM == SEQRT_INIT_UNIFORM && (int)INIT_NORMAL == SEQRT_INIT_NORMAL,
               "initialisers are numbered as in the ABI");

/* ---- fingerprint: FNV-1a over what a state or a checkpoint depends on ---- */

static void hash_bytes(uint64_t *hash, const void *data, size_t size) {
  for (const unsigned char *byte = data, *end = byte + size; byte < end; byte++) *hash = (*hash ^ *byte) * 0x100000001b3u;
}

static void hash_text(uint64_t *hash, const char *text) { hash_bytes(hash, text, strlen(text) + 1); }

static void hash_number(uint64_t *hash, int64_t number) {
  unsigned char bytes[8]; /* the same on all hosts */
  for (int n = 0; n < 8; n++) bytes[n] = (unsigned char)((uint64_t)number >> (8 * n));
  hash_bytes(hash, bytes, sizeof bytes);
}

static void hash_shape(uint64_t *hash, const Program *program, Type type, int rank, const Size *shape) {
  hash_number(hash, type);
  hash_number(hash, rank);
  for (int axis = 0; axis < rank; axis++) {
    hash_number(hash, shape[axis].symbol == NONE ? -1 : (int64_t)program->symbols[shape[axis].symbol].kind);
    hash_number(hash, shape[axis].constant);
  }
}

uint64_t module_fingerprint(const Module *module) {
  uint64_t hash = 0xcbf29ce484222325u;
  const Program *program = module->interface;
  static const PortKind kinds[] = {PORT_PARAMETER, PORT_INPUT, PORT_STATE, PORT_OUTPUT};
  hash_text(&hash, module->name);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (int n = 0; module_port(module, kinds[k], n); n++) {
      const Port *port = module_port(module, kinds[k], n);
      const Tensor *tensor = &program->tensors[port->tensor];
      hash_number(&hash, kinds[k]);
      hash_text(&hash, port->name);
      hash_shape(&hash, program, tensor->type, tensor->rank, tensor->shape);
    }
  for (int n = 0; n < module->piece_count; n++) {
    const StatePiece *piece = &module->pieces[n];
    hash_text(&hash, piece->name);
    hash_number(&hash, piece->is_declared);
    hash_number(&hash, piece->grown_axis);
    hash_number(&hash, piece->shown);
    hash_shape(&hash, program, piece->type, piece->rank, piece->shape);
    for (int axis = 0; piece->order && axis < piece->rank; axis++) hash_number(&hash, piece->order[axis]);
  }
  return hash;
}

/* ---- what the ABI can say ---- */

static const char *size_text(Arena *arena, const Program *program, Size size) {
  const char *name = program->symbols[size.symbol].name;
  return size.constant ? arena_format(arena, "%s%+lld", name, (long long)size.constant) : name;
}

static bool check_port(const ModuleEmitter *emitter, const Port *port, const char *what) {
  const Program *program = emitter->module->interface;
  const Tensor *tensor = &program->tensors[port->tensor];
  bool is_fine = true;
  if (tensor->type == TYPE_BOOL) {
    diagnostics_error(emitter->diagnostics, port->source, "%s '%s' is bool, expected real or int at the border of a model", what,
                      port->name);
    is_fine = false;
  }
  for (int axis = 0; axis < tensor->rank; axis++) {
    Size size = tensor->shape[axis];
    if (size.symbol == NONE) continue;
    bool is_plain = !size.constant && program->symbols[size.symbol].kind < SYMBOL_POSITION;
    if (is_plain && port->kind != PORT_PARAMETER) continue;
    diagnostics_error(emitter->diagnostics, port->source, "%s '%s' has an axis of size '%s', expected a constant%s", what,
                      port->name, size_text(emitter->codegen->arena, program, size),
                      port->kind == PORT_PARAMETER ? "" : ", the batch or a length");
    is_fine = false;
  }
  return is_fine;
}

bool check_interface(const ModuleEmitter *emitter) {
  static const struct {
    PortKind kind;
    const char *what;
  } rules[] = {{PORT_PARAMETER, "parameter"}, {PORT_INPUT, "input"}, {PORT_STATE, "state"}, {PORT_OUTPUT, "output"}};
  bool is_fine = true;
  for (size_t k = 0; k < sizeof rules / sizeof *rules; k++)
    for (int n = 0; module_port(emitter->module, rules[k].kind, n); n++)
      is_fine &= check_port(emitter, module_port(emitter->module, rules[k].kind, n), rules[k].what);
  return is_fine;
}

/* ---- constants ---- */

static LLVMValueRef constant_struct(const ModuleEmitter *emitter, LLVMValueRef *fields, unsigned count) {
  return LLVMConstStructInContext(emitter->codegen->context, fields, count, false);
}

static LLVMValueRef build_string(const ModuleEmitter *emitter, const char *text) {
  if (!text) return build_null(emitter);
  LLVMValueRef global = build_constant(emitter, "text",
                                       LLVMConstStringInContext2(emitter->codegen->context, text, strlen(text), false));
  LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
  return global;
}

static LLVMValueRef build_array(const ModuleEmitter *emitter, const char *name, LLVMTypeRef type, LLVMValueRef *items,
                                int count) {
  return count ? build_constant(emitter, name, LLVMConstArray2(type, items, (uint64_t)count)) : build_null(emitter);
}

static LLVMValueRef build_shape(const ModuleEmitter *emitter, int rank, const int64_t *extents) {
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, rank);
  for (int axis = 0; axis < rank; axis++) items[axis] = build_i64(emitter, extents[axis]);
  return build_array(emitter, "shape", emitter->codegen->type_i64, items, rank);
}

int64_t module_axis(const Module *module, Size size) {
  if (size.symbol == NONE) return size.constant;
  int length = module_length_index(module, size.symbol);
  return length >= 0 ? SEQRT_AXIS_LENGTH(length) : SEQRT_AXIS_BATCH;
}

bool module_input_range(const Module *module, int input, int64_t *out_low, int64_t *out_high) {
  bool has_range = false;
  *out_low = INT64_MIN, *out_high = INT64_MAX;
  for (int n = 0; n < module->check_count; n++) {
    const InputCheck *check = &module->checks[n];
    if (check->input != input || check->high.symbol != NONE) continue; /* what a length bounds is no constant */
    has_range = true;
    if (check->low > *out_low) *out_low = check->low;
    if (check->high.constant < *out_high) *out_high = check->high.constant;
  }
  if (!has_range) *out_low = *out_high = 0;
  return has_range;
}

static LLVMValueRef build_tensor(const ModuleEmitter *emitter, const Port *port, int number) {
  const Module *module = emitter->module;
  const Tensor *tensor = &module->interface->tensors[port->tensor];
  int64_t *extents = ARENA_ARRAY(emitter->codegen->arena, int64_t, tensor->rank);
  for (int axis = 0; axis < tensor->rank; axis++) extents[axis] = module_axis(module, tensor->shape[axis]);
  bool grows = port->kind == PORT_STATE && module_port_grows(module, port);
  for (int axis = 0; axis < tensor->rank; axis++) /* one for each step: of all steps so far */
    if (grows && extents[axis] == SEQRT_AXIS_LENGTH(0)) extents[axis] = SEQRT_AXIS_STEPS;
  int64_t low = 0, high = 0;
  bool has_range = port->kind == PORT_INPUT && module_input_range(module, number, &low, &high);
  bool streams = port->kind == PORT_STATE ? module->has_step : port->streams;
  LLVMValueRef fields[] = {build_string(emitter, port->name),
                           build_i32(emitter, tensor->type == TYPE_INT ? SEQRT_I32 : SEQRT_F32),
                           build_i32(emitter, tensor->rank),
                           build_shape(emitter, tensor->rank, extents),
                           build_i32(emitter, port->batch_axis),
                           build_i32(emitter, port->is_for_objective),
                           build_i32(emitter, streams),
                           build_i32(emitter, has_range),
                           build_i64(emitter, low),
                           build_i64(emitter, high)};
  return constant_struct(emitter, fields, sizeof fields / sizeof *fields);
}

static LLVMValueRef build_parameter(const ModuleEmitter *emitter, const Port *port, int first_slot) {
  Codegen *codegen = emitter->codegen;
  int64_t elements = 1;
  for (int axis = 0; axis < port->stored_rank; axis++) elements *= port->stored_shape[axis];
  LLVMTypeRef type_double = LLVMDoubleTypeInContext(codegen->context);
  LLVMValueRef fields[] = {build_string(emitter, port->name),
                           build_i32(emitter, port->stored_rank),
                           build_i32(emitter, port->has_turns ? port_slot_count(emitter->module, port) : 0),
                           build_shape(emitter, port->stored_rank, port->stored_shape),
                           build_i64(emitter, elements),
                           build_i64(emitter, port->turn_scale),
                           build_i64(emitter, port->turn_offset),
                           build_i32(emitter, first_slot),
                           build_i32(emitter, (int)port->init),
                           LLVMConstReal(type_double, port->init_a),
                           LLVMConstReal(type_double, port->init_b)};
  return constant_struct(emitter, fields, sizeof fields / sizeof *fields);
}

static LLVMValueRef build_parameters(const ModuleEmitter *emitter, int count, int *out_slots) {
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, count);
  int slots = 0;
  for (int n = 0; n < count; n++) {
    const Port *port = module_port(emitter->module, PORT_PARAMETER, n);
    items[n] = build_parameter(emitter, port, slots);
    slots += port_slot_count(emitter->module, port);
  }
  *out_slots = slots;
  return count ? build_array(emitter, "parameters", LLVMTypeOf(items[0]), items, count) : build_null(emitter);
}

static LLVMValueRef build_tensors(const ModuleEmitter *emitter, PortKind kind, const char *name) {
  int count = module_port_count(emitter->module, kind);
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, count);
  for (int n = 0; n < count; n++) items[n] = build_tensor(emitter, module_port(emitter->module, kind, n), n);
  return count ? build_array(emitter, name, LLVMTypeOf(items[0]), items, count) : build_null(emitter);
}

static LLVMValueRef build_length_names(const ModuleEmitter *emitter, int count) {
  const Module *module = emitter->module;
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, count);
  for (int n = 0; n < count; n++)
    items[n] = build_string(emitter, module->interface->symbols[module_length_symbol(module, n)].name);
  return build_array(emitter, "length_names", emitter->codegen->type_ptr, items, count);
}

static LLVMValueRef build_limits(const ModuleEmitter *emitter, int count) {
  int64_t *limits = ARENA_ARRAY(emitter->codegen->arena, int64_t, count);
  for (int n = 0; n < count; n++) limits[n] = module_limit(emitter->module, n);
  return build_numbers(emitter, "length_limits", emitter->codegen->type_i64, limits, count);
}

static LLVMValueRef build_ignored(const ModuleEmitter *emitter) {
  const Program *program = emitter->module->interface;
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, program->ignored_count);
  for (int n = 0; n < program->ignored_count; n++) items[n] = build_string(emitter, program->ignored[n]);
  return program->ignored_count ? build_array(emitter, "ignored", emitter->codegen->type_ptr, items, program->ignored_count)
                                : build_null(emitter);
}

static LLVMValueRef build_entries(const ModuleEmitter *emitter) {
  LLVMValueRef items[ENTRY_COUNT];
  for (EntryKind entry = 0; entry < ENTRY_COUNT; entry++)
    items[entry] = emitter->entries[entry] ? emitter->entries[entry] : build_null(emitter);
  return LLVMConstArray2(emitter->codegen->type_ptr, items, ENTRY_COUNT);
}

/* Whatever processor is used. */
static int64_t largest_packed_size(const ModuleEmitter *emitter) {
  int64_t largest = 0;
  for (int n = 0; n < emitter->codegen->processor_count; n++) {
    int64_t size = module_packed_offset(emitter->modules[n], INT_MAX);
    if (size > largest) largest = size;
  }
  return largest;
}

static LLVMValueRef build_processors(const ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMValueRef *items = ARENA_ARRAY(codegen->arena, LLVMValueRef, codegen->processor_count);
  for (int n = 0; n < codegen->processor_count; n++) items[n] = build_string(emitter, codegen_processor_name(codegen, n));
  return build_array(emitter, "processors", codegen->type_ptr, items, codegen->processor_count);
}

void build_descriptor(ModuleEmitter *emitter) {
  const Module *module = emitter->module;
  Codegen *codegen = emitter->codegen;
  int parameters = module_port_count(module, PORT_PARAMETER), slots = 0, lengths = module_length_count(module);
  LLVMValueRef parameter_table = build_parameters(emitter, parameters, &slots);
  const Port *objective = module_port(module, PORT_OBJECTIVE, 0);
  LLVMValueRef fields[] = {build_i32(emitter, SEQRT_ABI_VERSION),
                           build_i32(emitter, 0), /* struct_size, known once the type is */
                           build_string(emitter, module->name),
                           build_string(emitter, "seqc " SEQC_VERSION),
                           build_string(emitter, codegen_target_text(codegen)),
                           build_i32(emitter, parameters),
                           build_i32(emitter, slots),
                           parameter_table,
                           build_i32(emitter, module_port_count(module, PORT_INPUT)),
                           build_tensors(emitter, PORT_INPUT, "inputs"),
                           build_i32(emitter, module_port_count(module, PORT_OUTPUT)),
                           build_tensors(emitter, PORT_OUTPUT, "outputs"),
                           build_i32(emitter, module_port_count(module, PORT_STATE)),
                           build_tensors(emitter, PORT_STATE, "states"),
                           build_i32(emitter, lengths),
                           build_length_names(emitter, lengths),
                           build_i32(emitter, module->has_objective),
                           build_i32(emitter, module->has_step),
                           build_i32(emitter, module_grows(module)),
                           build_i32(emitter, 0),
                           build_string(emitter, module->has_objective && objective ? objective->name : NULL),
                           build_string(emitter, module->has_step ? NULL : module->why_no_step),
                           build_i64(emitter, (int64_t)module_fingerprint(module)),
                           build_entries(emitter),
                           build_limits(emitter, lengths),
                           emitter->workspace_size,
                           emitter->state_size,
                           emitter->state_offset,
                           build_i32(emitter, module->interface->ignored_count),
                           build_ignored(emitter),
                           build_i64(emitter, largest_packed_size(emitter)),
                           build_i32(emitter, codegen->processor_count),
                           build_processors(emitter),
                           emitter->use_processor ? emitter->use_processor : build_null(emitter)};
  unsigned count = sizeof fields / sizeof *fields;
  LLVMTypeRef type = LLVMTypeOf(constant_struct(emitter, fields, count));
  fields[1] = build_i32(emitter, (int64_t)LLVMABISizeOfType(codegen->data_layout, type));
  LLVMValueRef global = LLVMAddGlobal(codegen->module, type, arena_format(codegen->arena, "%s_model", emitter->symbol));
  LLVMSetInitializer(global, constant_struct(emitter, fields, count));
  LLVMSetGlobalConstant(global, true);
  LLVMSetLinkage(global, LLVMExternalLinkage);
}
