/* sizes.c - the run-time sizes: symbols, workspace, state.
 *
 * The exported functions saturate at the largest int64, so a size that overflows anywhere ends as one that is too large, and
 * they answer 0 for it. The wrappers have asked them before they compute the same sizes for the offsets, with plain arithmetic. Constant factors are multiplied here, at compile time.
 *
 * Workspace: [the initial state, when the kernel reads a carried one] [slot 0] [slot 1] ...; each slot is followed by one unused
 * line, so that slots of one size don't start at the same place of the caches' sets.
 * State: seqrt_state_header, then the pieces in the order of the module.
 */
#include "codegen/module.h"

enum { LINE = SEQRT_ALIGNMENT };
#define LARGEST_SIZE ((int64_t)1 << 56)

_Static_assert(sizeof(seqrt_state_header) <= LINE, "the header of a state fits in one line");

static int64_t element_bytes(Type type) { return type == TYPE_BOOL ? 1 : 4; }

static LLVMValueRef build_product(const ModuleEmitter *emitter, LLVMValueRef a, LLVMValueRef b) {
  if (LLVMIsConstant(a) && LLVMConstIntGetSExtValue(a) == 1) return b;
  if (LLVMIsConstant(b) && LLVMConstIntGetSExtValue(b) == 1) return a;
  if (emitter->is_in_range) return LLVMBuildNSWMul(emitter->builder, a, b, "");
  LLVMValueRef arguments[] = {a, b};
  LLVMValueRef function = codegen_intrinsic(emitter->codegen, "llvm.smul.with.overflow", emitter->codegen->type_i64);
  LLVMValueRef both = build_call(emitter, function, arguments, 2);
  LLVMValueRef product = LLVMBuildExtractValue(emitter->builder, both, 0, "");
  LLVMValueRef is_over = LLVMBuildExtractValue(emitter->builder, both, 1, "");
  return LLVMBuildSelect(emitter->builder, is_over, build_i64(emitter, INT64_MAX), product, "");
}

static LLVMValueRef build_saturating(const ModuleEmitter *emitter, const char *name, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef arguments[] = {a, b};
  return build_call(emitter, codegen_intrinsic(emitter->codegen, name, emitter->codegen->type_i64), arguments, 2);
}

static LLVMValueRef build_sum(const ModuleEmitter *emitter, LLVMValueRef a, LLVMValueRef b) {
  if (LLVMIsConstant(a) && LLVMIsConstant(b)) {
    int64_t sum;
    if (__builtin_add_overflow(LLVMConstIntGetSExtValue(a), LLVMConstIntGetSExtValue(b), &sum)) sum = INT64_MAX;
    return build_i64(emitter, sum);
  }
  if (emitter->is_in_range) return LLVMBuildNSWAdd(emitter->builder, a, b, "");
  return build_saturating(emitter, "llvm.sadd.sat", a, b);
}

static LLVMValueRef build_rounded(const ModuleEmitter *emitter, LLVMValueRef bytes) {
  LLVMValueRef more = build_sum(emitter, bytes, build_i64(emitter, LINE - 1));
  return LLVMBuildAnd(emitter->builder, more, build_i64(emitter, -LINE), "");
}

static LLVMValueRef build_largest(const ModuleEmitter *emitter, LLVMValueRef a, LLVMValueRef b) {
  if (a == b) return a;
  LLVMValueRef is_more = LLVMBuildICmp(emitter->builder, LLVMIntSGT, a, b, "");
  return LLVMBuildSelect(emitter->builder, is_more, a, b, "");
}

static LLVMValueRef build_scaled_elements(const ModuleEmitter *emitter, int64_t scale, int rank, const Size *shape,
                                          const bool *is_skipped, LLVMValueRef *symbols) {
  LLVMValueRef product = NULL;
  for (int axis = 0; axis < rank; axis++) {
    if (is_skipped && is_skipped[axis]) continue;
    Size extent = shape[axis];
    if (extent.symbol == NONE) {
      if (__builtin_mul_overflow(scale, extent.constant, &scale)) scale = INT64_MAX;
      continue;
    }
    LLVMValueRef value = symbols[extent.symbol];
    if (!value) internal_error("a size depends on symbol %d, which is not known where it is needed", extent.symbol);
    if (extent.constant) value = build_sum(emitter, value, build_i64(emitter, extent.constant));
    if (extent.constant < 0) value = build_largest(emitter, value, build_i64(emitter, 0));
    product = product ? build_product(emitter, product, value) : value;
  }
  LLVMValueRef constant = build_i64(emitter, scale);
  return product ? build_product(emitter, product, constant) : constant;
}

LLVMValueRef build_elements(const ModuleEmitter *emitter, int rank, const Size *shape, const bool *is_skipped,
                            LLVMValueRef *symbols) {
  return build_scaled_elements(emitter, 1, rank, shape, is_skipped, symbols);
}

LLVMValueRef build_slot_offsets(const ModuleEmitter *emitter, const Kernel *kernel, LLVMValueRef *symbols, LLVMValueRef base,
                                LLVMValueRef *out_offsets) {
  LLVMValueRef end = base;
  for (int slot = 0; slot < kernel->workspace_slots; slot++) {
    LLVMValueRef size = build_i64(emitter, 0);
    for (int b = 0; b < kernel->buffer_count; b++) {
      const Buffer *buffer = &kernel->buffers[b];
      if (buffer->home != HOME_WORKSPACE || buffer->slot != slot) continue;
      LLVMValueRef bytes = build_scaled_elements(emitter, element_bytes(buffer->type), buffer->rank, buffer->shape,
                                                 buffer->is_folded, symbols);
      size = build_largest(emitter, size, bytes);
    }
    if (out_offsets) out_offsets[slot] = end;
    end = build_sum(emitter, end, build_sum(emitter, build_rounded(emitter, size), build_i64(emitter, LINE)));
  }
  return end;
}

LLVMValueRef build_piece_offsets(const ModuleEmitter *emitter, LLVMValueRef *symbols, LLVMValueRef *out_offsets) {
  LLVMValueRef end = build_i64(emitter, LINE);
  for (int n = 0; n < emitter->module->piece_count; n++) {
    const StatePiece *piece = &emitter->module->pieces[n];
    if (out_offsets) out_offsets[n] = end;
    LLVMValueRef bytes = build_scaled_elements(emitter, element_bytes(piece->type), piece->rank, piece->shape, NULL, symbols);
    end = build_sum(emitter, end, build_rounded(emitter, bytes));
  }
  return end;
}

int module_length_index(const Module *module, SymbolId symbol) {
  const Program *program = module->interface;
  int streams = 0, lengths = 0, before = 0;
  for (SymbolId s = 0; s < program->symbol_count; s++) {
    if (s == symbol) before = lengths;
    streams += program->symbols[s].kind == SYMBOL_STREAM;
    lengths += program->symbols[s].kind == SYMBOL_LENGTH;
  }
  if (program->symbols[symbol].kind == SYMBOL_STREAM) return 0;
  return program->symbols[symbol].kind == SYMBOL_LENGTH ? streams + before : -1;
}

SymbolId module_length_symbol(const Module *module, int n) {
  for (SymbolId s = 0; s < module->interface->symbol_count; s++)
    if (module_length_index(module, s) == n) return s;
  return NONE;
}

int module_length_count(const Module *module) {
  int count = 0;
  while (module_length_symbol(module, count) != NONE) count++;
  return count;
}

int module_symbol_count(const Module *module) {
  int count = module->interface->symbol_count;
  for (EntryKind entry = 0; entry < ENTRY_COUNT; entry++)
    if (module->kernels[entry] && module->kernels[entry]->symbol_count > count) count = module->kernels[entry]->symbol_count;
  return count;
}

/* Division that rounds down; a formula never divides by zero, as sizes are at least 1. */
static LLVMValueRef build_division(const ModuleEmitter *emitter, Op op, LLVMValueRef a, LLVMValueRef b) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef zero = build_i64(emitter, 0), quotient = LLVMBuildSDiv(builder, a, b, ""), rest = LLVMBuildSRem(builder, a, b, "");
  LLVMValueRef is_inexact = LLVMBuildICmp(builder, LLVMIntNE, rest, zero, "");
  LLVMValueRef has_other_sign = LLVMBuildICmp(builder, LLVMIntSLT, LLVMBuildXor(builder, rest, b, ""), zero, "");
  LLVMValueRef is_above = LLVMBuildAnd(builder, is_inexact, has_other_sign, "");
  LLVMValueRef lower = op == OP_QUOTIENT ? LLVMBuildSub(builder, quotient, build_i64(emitter, 1), "")
                                         : LLVMBuildAdd(builder, rest, b, "");
  return LLVMBuildSelect(builder, is_above, lower, op == OP_QUOTIENT ? quotient : rest, "");
}

/* The formula of a derived symbol; NULL where it depends on a symbol that is not known. */
static LLVMValueRef build_formula(const ModuleEmitter *emitter, const Expr *expr, LLVMValueRef *symbols) {
  if (expr->op == OP_INTEGER) return build_i64(emitter, expr->integer);
  if (expr->op == OP_SYMBOL) return symbols[expr->id];
  LLVMValueRef values[2] = {NULL, NULL};
  for (int n = 0; n < expr->arg_count && n < 2; n++)
    if (!(values[n] = build_formula(emitter, expr->args[n], symbols))) return NULL;
  switch (expr->op) {
  case OP_ADD: return build_sum(emitter, values[0], values[1]);
  case OP_SUB: return build_saturating(emitter, "llvm.ssub.sat", values[0], values[1]);
  case OP_NEG: return build_saturating(emitter, "llvm.ssub.sat", build_i64(emitter, 0), values[0]);
  case OP_MIN: return build_saturating(emitter, "llvm.smin", values[0], values[1]);
  case OP_MAX: return build_saturating(emitter, "llvm.smax", values[0], values[1]);
  case OP_MUL: return build_product(emitter, values[0], values[1]);
  case OP_QUOTIENT:
  case OP_REMAINDER: return build_division(emitter, expr->op, values[0], values[1]);
  default: internal_error("the formula of a derived size has an operation '%s'", op_table[expr->op].text);
  }
}

/* A symbol that the interface does not have. */
static LLVMValueRef build_kernel_symbol(const ModuleEmitter *emitter, const Symbol *symbol, LLVMValueRef position,
                                        LLVMValueRef *symbols) {
  if (symbol->kind == SYMBOL_POSITION) return position;
  if (symbol->kind == SYMBOL_DERIVED) return build_formula(emitter, symbol->formula, symbols);
  internal_error("kernels use a size '%s' that the interface does not have", symbol->name);
}

void build_symbols(const ModuleEmitter *emitter, const Kernel *kernel, LLVMValueRef batch, LLVMValueRef lengths,
                   LLVMValueRef position, LLVMValueRef *out_symbols) {
  const Program *program = emitter->module->interface;
  for (SymbolId s = 0; s < program->symbol_count; s++) {
    int n = module_length_index(emitter->module, s);
    if (n >= 0 && lengths) {
      LLVMValueRef index = build_i64(emitter, n);
      LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_i64, lengths, &index, 1, "");
      out_symbols[s] = LLVMBuildLoad2(emitter->builder, emitter->codegen->type_i64, address, program->symbols[s].name);
    } else {
      out_symbols[s] = n >= 0 ? NULL : program->symbols[s].kind == SYMBOL_BATCH ? batch : position;
    }
  }
  for (SymbolId s = program->symbol_count; kernel && s < kernel->symbol_count; s++)
    out_symbols[s] = build_kernel_symbol(emitter, &kernel->symbols[s], position, out_symbols);
}

/* Returns `size` from the current function, or 0 when it is out of bounds. */
static void build_return_size(const ModuleEmitter *emitter, LLVMValueRef size) {
  LLVMValueRef is_over = LLVMBuildICmp(emitter->builder, LLVMIntUGT, size, build_i64(emitter, LARGEST_SIZE), "");
  LLVMBuildRet(emitter->builder, LLVMBuildSelect(emitter->builder, is_over, build_i64(emitter, 0), size, ""));
}

/* Goes on where `is_fine`; returns 0 from the current function otherwise. */
static void build_size_guard(const ModuleEmitter *emitter, LLVMValueRef is_fine) {
  LLVMBasicBlockRef bad = build_block(emitter, "impossible"), good = build_block(emitter, "possible");
  LLVMBuildCondBr(emitter->builder, is_fine, good, bad);
  LLVMPositionBuilderAtEnd(emitter->builder, bad);
  LLVMBuildRet(emitter->builder, build_i64(emitter, 0));
  LLVMPositionBuilderAtEnd(emitter->builder, good);
}

static LLVMValueRef build_is_positive(const ModuleEmitter *emitter, LLVMValueRef value) {
  return LLVMBuildICmp(emitter->builder, LLVMIntSGE, value, build_i64(emitter, 1), "");
}

/* The end of the slots of a kernel that begin at `base`. */
static LLVMValueRef build_slots_end(const ModuleEmitter *emitter, EntryKind entry, LLVMValueRef function, LLVMValueRef base) {
  const Kernel *kernel = emitter->module->kernels[entry];
  LLVMValueRef *symbols = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, module_symbol_count(emitter->module));
  build_symbols(emitter, kernel, LLVMGetParam(function, 1), LLVMGetParam(function, 2), NULL, symbols);
  return build_slot_offsets(emitter, kernel, symbols, base, NULL);
}

/* A kernel that makes the initial state first lets it use the same workspace, after the state. */
static LLVMValueRef build_entry_size(const ModuleEmitter *emitter, EntryKind entry, LLVMValueRef function,
                                     LLVMValueRef *symbols) {
  const Module *module = emitter->module;
  if (!entry_makes_state(module, entry)) {
    LLVMValueRef size = build_slots_end(emitter, entry, function, build_i64(emitter, 0));
    return build_largest(emitter, size, build_i64(emitter, LINE)); /* 0 means impossible */
  }
  if (!module->kernels[ENTRY_INITIAL])
    internal_error("kernel '%s' reads carried state, but the module has no initial state", entry_names[entry]);
  LLVMValueRef state = build_piece_offsets(emitter, symbols, NULL);
  LLVMValueRef own = build_slots_end(emitter, entry, function, state);
  return build_largest(emitter, own, build_slots_end(emitter, ENTRY_INITIAL, function, state));
}

/* int64 workspace_size(int32 entry, int64 batch, const int64 *lengths) */
static void build_workspace_size(ModuleEmitter *emitter) {
  const Module *module = emitter->module;
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef types[] = {codegen->type_i32, codegen->type_i64, codegen->type_ptr};
  LLVMValueRef function = emitter->workspace_size = build_function(emitter, "workspace_size", codegen->type_i64, types, 3);
  LLVMValueRef batch = LLVMGetParam(function, 1), lengths = LLVMGetParam(function, 2);
  LLVMValueRef *symbols = ARENA_ARRAY(codegen->arena, LLVMValueRef, module_symbol_count(module));
  build_size_guard(emitter, build_is_positive(emitter, batch));
  if (module_length_count(module)) build_size_guard(emitter, LLVMBuildNot(emitter->builder, build_is_null(emitter, lengths), ""));
  build_symbols(emitter, NULL, batch, lengths, NULL, symbols);
  for (SymbolId s = 0; s < module->interface->symbol_count; s++)
    if (module_length_index(module, s) >= 0) build_size_guard(emitter, build_is_positive(emitter, symbols[s]));
  LLVMBasicBlockRef unknown = build_block(emitter, "unknown");
  LLVMValueRef choice = LLVMBuildSwitch(emitter->builder, LLVMGetParam(function, 0), unknown, ENTRY_COUNT);
  LLVMPositionBuilderAtEnd(emitter->builder, unknown);
  LLVMBuildRet(emitter->builder, build_i64(emitter, 0));
  for (EntryKind entry = 0; entry < ENTRY_COUNT; entry++) {
    if (!module->kernels[entry]) continue;
    LLVMPositionBuilderAtEnd(emitter->builder, unknown);
    LLVMBasicBlockRef block = build_block(emitter, entry_names[entry]);
    LLVMAddCase(choice, build_i32(emitter, entry), block);
    LLVMPositionBuilderAtEnd(emitter->builder, block);
    build_return_size(emitter, build_entry_size(emitter, entry, function, symbols));
  }
}

/* The symbols of a state: the batch is all it may depend on. */
static LLVMValueRef *state_symbols(ModuleEmitter *emitter, LLVMValueRef batch) {
  LLVMValueRef *symbols = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, module_symbol_count(emitter->module));
  build_symbols(emitter, NULL, batch, NULL, NULL, symbols);
  return symbols;
}

/* int64 state_size(int64 batch) */
static void build_state_size(ModuleEmitter *emitter) {
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef function = emitter->state_size = build_function(emitter, "state_size", i64, &i64, 1);
  LLVMValueRef batch = LLVMGetParam(function, 0);
  build_size_guard(emitter, build_is_positive(emitter, batch));
  build_return_size(emitter, build_piece_offsets(emitter, state_symbols(emitter, batch), NULL));
}

/* The declared state (counted in the interface) that a piece holds the value of. They are matched by name, as the ports of the
 * program that was carried need not have the numbers of the interface. */
static int declared_state_of(const Module *module, const StatePiece *piece) {
  const Program *program = module->interface;
  int final = program_find_port(program, PORT_FINAL_STATE, piece->name);
  int state = final == NONE ? program_find_port(program, PORT_STATE, piece->name) : program->ports[final].of;
  for (int n = 0; state != NONE && module_port(module, PORT_STATE, n); n++)
    if (module_port(module, PORT_STATE, n) == &program->ports[state]) return n;
  internal_error("piece '%s' of the state belongs to no declared state", piece->name);
}

/* int64 state_offset(int32 state, int64 batch) */
static void build_state_offset(ModuleEmitter *emitter) {
  const Module *module = emitter->module;
  Codegen *codegen = emitter->codegen;
  LLVMTypeRef types[] = {codegen->type_i32, codegen->type_i64};
  LLVMValueRef function = emitter->state_offset = build_function(emitter, "state_offset", codegen->type_i64, types, 2);
  LLVMValueRef state = LLVMGetParam(function, 0), batch = LLVMGetParam(function, 1);
  build_size_guard(emitter, build_is_positive(emitter, batch));
  LLVMValueRef *offsets = ARENA_ARRAY(codegen->arena, LLVMValueRef, module->piece_count);
  build_piece_offsets(emitter, state_symbols(emitter, batch), offsets);
  LLVMValueRef result = build_i64(emitter, 0);
  for (int n = 0; n < module->piece_count; n++) {
    if (!module->pieces[n].is_declared) continue;
    LLVMValueRef number = build_i32(emitter, declared_state_of(module, &module->pieces[n]));
    LLVMValueRef is_this = LLVMBuildICmp(emitter->builder, LLVMIntEQ, state, number, "");
    result = LLVMBuildSelect(emitter->builder, is_this, offsets[n], result, "");
  }
  build_return_size(emitter, result);
}

void build_size_functions(ModuleEmitter *emitter) {
  emitter->is_in_range = false;
  build_workspace_size(emitter);
  build_state_size(emitter);
  build_state_offset(emitter);
}
