/* module.c - one object: the bodies of the kernels, their wrappers, the sizes and the descriptor. */
#include "codegen/module.h"

#include <ctype.h>
#include <llvm-c/Analysis.h>

static const LLVMAttributeIndex whole_function = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;

static void add_attribute(Codegen *codegen, LLVMValueRef function, const char *key, const char *value) {
  LLVMAttributeRef attribute = LLVMCreateStringAttribute(codegen->context, key, (unsigned)strlen(key), value,
                                                         (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, whole_function, attribute);
}

LLVMValueRef codegen_add_function(Codegen *codegen, const char *name, LLVMTypeRef type, LLVMLinkage linkage) {
  LLVMValueRef function = LLVMAddFunction(codegen->module, name, type);
  LLVMSetLinkage(function, linkage);
  add_attribute(codegen, function, "target-cpu", codegen->cpu);
  if (*codegen->features) add_attribute(codegen, function, "target-features", codegen->features);
  if (codegen->machine.lanes == 16) add_attribute(codegen, function, "prefer-vector-width", "512");
  LLVMSetUnnamedAddress(function, LLVMGlobalUnnamedAddr);
  unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
  LLVMAddAttributeAtIndex(function, whole_function, LLVMCreateEnumAttribute(codegen->context, nounwind, 0));
  return function;
}

void codegen_set_cold(Codegen *codegen, LLVMValueRef function) {
  static const char *const names[] = {"optnone", "noinline"};
  for (int n = 0; n < 2; n++) {
    unsigned kind = LLVMGetEnumAttributeKindForName(names[n], strlen(names[n]));
    LLVMAddAttributeAtIndex(function, whole_function, LLVMCreateEnumAttribute(codegen->context, kind, 0));
  }
}

LLVMValueRef codegen_intrinsic(Codegen *codegen, const char *name, LLVMTypeRef type) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  if (!id) internal_error("LLVM has no intrinsic '%s'", name);
  return LLVMGetIntrinsicDeclaration(codegen->module, id, &type, type ? 1 : 0);
}

const char *codegen_identifier(Arena *arena, const char *name) {
  bool starts_badly = !*name || isdigit((unsigned char)*name);
  char *identifier = arena_format(arena, "%s%s", starts_badly ? "m_" : "", name);
  for (char *c = identifier; *c; c++)
    if (!isascii((unsigned char)*c) || !isalnum((unsigned char)*c)) *c = '_';
  return identifier;
}

const Port *module_port(const Module *module, PortKind kind, int n) {
  const Program *program = module->interface;
  for (int p = 0; p < program->port_count; p++)
    if (program->ports[p].kind == kind && n-- == 0) return &program->ports[p];
  return NULL;
}

int module_port_count(const Module *module, PortKind kind) {
  int count = 0;
  while (module_port(module, kind, count)) count++;
  return count;
}

int port_slot_count(const Module *module, const Port *parameter) {
  return parameter->has_turns ? (int)module->interface->tensors[parameter->tensor].shape[0].constant : 1;
}

int64_t module_packed_offset(const Module *module, int slot) {
  const Kernel *pack = module->kernels[ENTRY_PACK];
  int64_t offset = 0;
  for (BufferId n = 0; pack && n < pack->buffer_count; n++) {
    const Buffer *buffer = &pack->buffers[n];
    if (buffer->home != HOME_PACKED || buffer->slot >= slot) continue;
    int64_t bytes = buffer_element_bytes(buffer);
    for (int axis = 0; axis < buffer->rank; axis++) bytes *= buffer->shape[axis].constant;
    offset += (bytes + SEQRT_ALIGNMENT - 1) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT;
  }
  return offset;
}

bool kernel_has_home(const Kernel *kernel, BufferHome home, int slot) {
  for (int b = 0; kernel && b < kernel->buffer_count; b++)
    if (kernel->buffers[b].home == home && (slot < 0 || kernel->buffers[b].slot == slot)) return true;
  return false;
}

bool entry_makes_state(const Module *module, EntryKind entry) {
  return kernel_has_home(module->kernels[entry], HOME_CARRY_IN, -1);
}

LLVMValueRef build_i32(const ModuleEmitter *emitter, int64_t value) {
  return LLVMConstInt(emitter->codegen->type_i32, (unsigned long long)value, true);
}

LLVMValueRef build_i64(const ModuleEmitter *emitter, int64_t value) {
  return LLVMConstInt(emitter->codegen->type_i64, (unsigned long long)value, true);
}

LLVMValueRef build_null(const ModuleEmitter *emitter) { return LLVMConstNull(emitter->codegen->type_ptr); }

LLVMBasicBlockRef build_block(const ModuleEmitter *emitter, const char *name) {
  LLVMValueRef function = LLVMGetBasicBlockParent(LLVMGetInsertBlock(emitter->builder));
  return LLVMAppendBasicBlockInContext(emitter->codegen->context, function, name);
}

LLVMValueRef build_call(const ModuleEmitter *emitter, LLVMValueRef function, LLVMValueRef *arguments, unsigned count) {
  return LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

LLVMValueRef build_is_null(const ModuleEmitter *emitter, LLVMValueRef pointer) {
  return LLVMBuildICmp(emitter->builder, LLVMIntEQ, pointer, build_null(emitter), "");
}

LLVMValueRef build_table_load(const ModuleEmitter *emitter, LLVMValueRef table, LLVMValueRef index) {
  LLVMTypeRef type = emitter->codegen->type_ptr;
  return LLVMBuildLoad2(emitter->builder, type, LLVMBuildInBoundsGEP2(emitter->builder, type, table, &index, 1, ""), "");
}

bool module_port_grows(const Module *module, const Port *state) {
  const Tensor *tensor = &module->interface->tensors[state->tensor];
  for (int axis = 0; axis < tensor->rank; axis++) {
    SymbolId symbol = tensor->shape[axis].symbol;
    if (symbol != NONE && module->interface->symbols[symbol].kind == SYMBOL_STREAM) return true;
  }
  return false;
}

int64_t module_limit(const Module *module, int length) {
  return module->limits ? module->limits[module_length_symbol(module, length)] : 0;
}

bool module_grows(const Module *module) {
  for (int n = 0; n < module->piece_count; n++)
    if (module->pieces[n].grown_axis != NONE) return true;
  return false;
}

LLVMValueRef build_bytes_after(const ModuleEmitter *emitter, LLVMValueRef pointer, LLVMValueRef bytes) {
  return LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i8, pointer, &bytes, 1, "");
}

LLVMValueRef build_call_field(const ModuleEmitter *emitter, LLVMValueRef call, int field) {
  LLVMValueRef address = LLVMBuildStructGEP2(emitter->builder, emitter->call_type, call, (unsigned)field, "");
  return LLVMBuildLoad2(emitter->builder, LLVMStructGetTypeAtIndex(emitter->call_type, (unsigned)field), address, "");
}

LLVMValueRef build_context_field(const ModuleEmitter *emitter, LLVMValueRef context, int field) {
  LLVMValueRef address = LLVMBuildStructGEP2(emitter->builder, emitter->context_type, context, (unsigned)field, "");
  return LLVMBuildLoad2(emitter->builder, LLVMStructGetTypeAtIndex(emitter->context_type, (unsigned)field), address, "");
}

LLVMValueRef build_function(ModuleEmitter *emitter, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters,
                            unsigned count) {
  Codegen *codegen = emitter->codegen;
  const char *full_name = arena_format(codegen->arena, "%s_%s", emitter->symbol, name);
  LLVMTypeRef type = LLVMFunctionType(result, parameters, count, false);
  LLVMValueRef function = codegen_add_function(codegen, full_name, type, LLVMInternalLinkage);
  codegen_set_cold(codegen, function);
  LLVMPositionBuilderAtEnd(emitter->builder, LLVMAppendBasicBlockInContext(codegen->context, function, "entry"));
  return function;
}

TableLoop table_loop_begin(const ModuleEmitter *emitter, LLVMValueRef low, LLVMValueRef high) {
  LLVMBuilderRef builder = emitter->builder;
  TableLoop loop = {.head = build_block(emitter, "head"), .after = build_block(emitter, "after")};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), body = build_block(emitter, "body");
  LLVMBuildBr(builder, loop.head);
  LLVMPositionBuilderAtEnd(builder, loop.head);
  loop.index = LLVMBuildPhi(builder, emitter->codegen->type_i64, "index");
  LLVMAddIncoming(loop.index, &low, &before, 1);
  LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, loop.index, high, ""), body, loop.after);
  LLVMPositionBuilderAtEnd(builder, body);
  return loop;
}

void table_loop_end(const ModuleEmitter *emitter, TableLoop *loop) {
  LLVMBasicBlockRef body = LLVMGetInsertBlock(emitter->builder);
  LLVMValueRef next = LLVMBuildAdd(emitter->builder, loop->index, build_i64(emitter, 1), "");
  LLVMAddIncoming(loop->index, &next, &body, 1);
  LLVMBuildBr(emitter->builder, loop->head);
  LLVMPositionBuilderAtEnd(emitter->builder, loop->after);
}

LLVMValueRef build_constant(const ModuleEmitter *emitter, const char *name, LLVMValueRef value) {
  LLVMValueRef global = LLVMAddGlobal(emitter->codegen->module, LLVMTypeOf(value), name);
  LLVMSetInitializer(global, value);
  LLVMSetGlobalConstant(global, true);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

LLVMValueRef build_numbers(const ModuleEmitter *emitter, const char *name, LLVMTypeRef type, const int64_t *numbers, int count) {
  if (!count) return build_null(emitter);
  LLVMValueRef *items = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, count);
  for (int n = 0; n < count; n++) items[n] = LLVMConstInt(type, (unsigned long long)numbers[n], true);
  return build_constant(emitter, name, LLVMConstArray2(type, items, (uint64_t)count));
}

LLVMValueRef build_table_number(const ModuleEmitter *emitter, LLVMValueRef table, LLVMValueRef row, int width, int column) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef i32 = emitter->codegen->type_i32;
  LLVMValueRef index = LLVMBuildMul(builder, row, build_i64(emitter, width), "");
  index = LLVMBuildAdd(builder, index, build_i64(emitter, column), "");
  LLVMValueRef number = LLVMBuildLoad2(builder, i32, LLVMBuildInBoundsGEP2(builder, i32, table, &index, 1, ""), "");
  return LLVMBuildSExt(builder, number, emitter->codegen->type_i64, "");
}

/* The structs of seqrt/abi.h; their layout is checked against C's by the tests. */
static void create_abi_types(ModuleEmitter *emitter) {
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef i32 = codegen->type_i32, i64 = codegen->type_i64, ptr = codegen->type_ptr;
  LLVMTypeRef fault[FAULT_FIELDS] = {i32, i32, i32, i32, i64, i64, i64, i64};
  emitter->fault_type = LLVMStructTypeInContext(codegen->context, fault, FAULT_FIELDS, false);
  LLVMTypeRef context[CONTEXT_FIELDS] = {i32, i32, ptr, ptr, ptr};
  emitter->context_type = LLVMStructTypeInContext(codegen->context, context, CONTEXT_FIELDS, false);
  LLVMTypeRef call[CALL_FIELDS];
  for (int field = 0; field < CALL_FIELDS; field++) call[field] = ptr;
  call[CALL_ABI_VERSION] = call[CALL_RESERVED] = i32;
  call[CALL_BATCH] = call[CALL_CAPACITY] = i64;
  call[CALL_FAULT] = emitter->fault_type;
  emitter->call_type = LLVMStructTypeInContext(codegen->context, call, CALL_FIELDS, false);
}

static void discard_old_module(Codegen *codegen) {
  for (int kind = 0; kind <= OUTPUT_BITCODE; kind++) {
    if (codegen->emitted[kind]) LLVMDisposeMemoryBuffer(codegen->emitted[kind]);
    codegen->emitted[kind] = NULL;
  }
  if (codegen->module) LLVMDisposeModule(codegen->module);
  codegen->module = NULL;
}

static void create_module(Codegen *codegen, const char *name) {
  codegen->module = LLVMModuleCreateWithNameInContext(name, codegen->context);
  LLVMSetTarget(codegen->module, codegen->triple);
  LLVMSetModuleDataLayout(codegen->module, codegen->data_layout);
  if (!codegen->options.is_pic) return;
  LLVMMetadataRef level = LLVMValueAsMetadata(LLVMConstInt(codegen->type_i32, 2, false));
  LLVMAddModuleFlag(codegen->module, LLVMModuleFlagBehaviorError, "PIC Level", strlen("PIC Level"), level);
}

static void verify_module(Codegen *codegen) {
#ifdef NDEBUG
  (void)codegen;
#else
  char *message = NULL;
  if (LLVMVerifyModule(codegen->module, LLVMReturnStatusAction, &message))
    internal_error("the module made for '%s' is invalid:\n%s", LLVMGetModuleIdentifier(codegen->module, &(size_t){0}), message);
  LLVMDisposeMessage(message);
#endif
}

/* The kernels for the processor that is selected. */
static void emit_bodies(Codegen *codegen, const Module *module, EntryBodies *out_bodies) {
  for (EntryKind entry = 0; entry < ENTRY_COUNT; entry++) {
    const Kernel *kernel = module->kernels[entry];
    if (!kernel) continue;
    bool is_shared = entry == ENTRY_OBJECTIVE && kernel == module->kernels[ENTRY_FORWARD];
    if (!is_shared) out_bodies->functions[entry] = emit_kernel_body(codegen, module, kernel, &out_bodies->views[entry]);
    else out_bodies->functions[entry] = out_bodies->functions[ENTRY_FORWARD];
    if (is_shared) out_bodies->views[entry] = out_bodies->views[ENTRY_FORWARD];
  }
}

bool codegen_compile(Codegen *codegen, Module *const *modules, Diagnostics *diagnostics) {
  const Module *module = modules[0];
  ModuleEmitter emitter = {.codegen = codegen,
                           .module = module,
                           .modules = modules,
                           .diagnostics = diagnostics,
                           .symbol = codegen_identifier(codegen->arena, module->name)};
  if (!check_interface(&emitter)) return false;
  discard_old_module(codegen);
  create_module(codegen, module->name);
  create_abi_types(&emitter);
  emitter.builder = LLVMCreateBuilderInContext(codegen->context);
  declare_plans(&emitter);
  build_pick_functions(&emitter);
  build_size_functions(&emitter);
  build_check_functions(&emitter);
  build_wrappers(&emitter);
  EntryBodies *bodies = ARENA_ARRAY(codegen->arena, EntryBodies, codegen->processor_count);
  for (int n = 0; n < codegen->processor_count; n++) {
    codegen_select(codegen, n);
    emit_bodies(codegen, modules[n], &bodies[n]);
  }
  codegen_select(codegen, 0);
  define_plans(&emitter, bodies);
  build_descriptor(&emitter);
  LLVMDisposeBuilder(emitter.builder);
  verify_module(codegen);
  optimise_module(codegen);
  return true;
}
