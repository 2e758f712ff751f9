/* address.c - where the elements of buffers are, and the loads and stores that follow from how that changes from lane to
 * lane: not at all, by one element, or in any other way.
 *
 * A load under a guard never branches: where the guard is the same for all lanes, the address is replaced by that of a
 * few zeros; where it is not, the lanes are masked.
 */
#include "codegen/math_build.h"

enum { BF16_BITS = 16 };

/* ---- buffers at the entry of the function */

static LLVMValueRef emit_extent(Emitter *emitter, Size size) {
  LLVMValueRef constant = emit_constant(emitter, size.constant);
  if (size.symbol == NONE) return constant;
  return LLVMBuildNSWAdd(emitter->entry_builder, emit_symbol(emitter, size.symbol), constant, "");
}

/* Returns the number of elements. */
static LLVMValueRef emit_strides(Emitter *emitter, const Buffer *buffer, LLVMValueRef *out_strides) {
  LLVMValueRef stride = emit_constant(emitter, 1);
  for (int n = buffer->rank - 1; n >= 0; n--) {
    int axis = buffer->order[n];
    bool is_absent = buffer->is_folded[axis] || (buffer->has_turns && axis == 0);
    out_strides[axis] = is_absent ? emit_constant(emitter, 0) : stride;
    if (!is_absent) stride = LLVMBuildNSWMul(emitter->entry_builder, stride, emit_extent(emitter, buffer->shape[axis]), "");
  }
  return stride;
}

static LLVMValueRef metadata_node(Emitter *emitter, LLVMMetadataRef *operands, size_t count) {
  LLVMContextRef context = emitter->codegen->context;
  return LLVMMetadataAsValue(context, LLVMMDNodeInContext2(context, operands, count));
}

/* Memory that never overlaps has different tags. Buffers that share a slot of the workspace are never in use in the same stage;
 * the state that a call leaves may take the place of the one it came with. Numbers, not names, so that stages which do the
 * same are the same to LLVM. */
static LLVMValueRef alias_tag(Emitter *emitter, BufferId id) {
  LLVMContextRef context = emitter->codegen->context;
  const Buffer *buffer = &emitter->kernel->buffers[id];
  bool is_state = buffer->home == HOME_CARRY_IN || buffer->home == HOME_CARRY_OUT || buffer->home == HOME_FINAL_STATE;
  const char *name = is_state ? "state" : arena_format(emitter->codegen->arena, "buffer %d", emitter->used_buffers++);
  LLVMMetadataRef text = LLVMMDStringInContext2(context, name, strlen(name));
  LLVMMetadataRef zero = LLVMValueAsMetadata(emit_constant(emitter, 0));
  LLVMMetadataRef type = LLVMMDNodeInContext2(context, (LLVMMetadataRef[]){text, emitter->alias_root, zero}, 3);
  return metadata_node(emitter, (LLVMMetadataRef[]){type, type, zero}, 3);
}

void emit_tag(Emitter *emitter, LLVMValueRef instruction, BufferId buffer) {
  LLVMContextRef context = emitter->codegen->context;
  LLVMSetMetadata(instruction, LLVMGetMDKindIDInContext(context, "tbaa", 4), emitter->alias_tags[buffer]);
}

/* Pointers in the frame and in tables never change during a call. */
static LLVMValueRef load_constant(Emitter *emitter, LLVMBuilderRef builder, LLVMTypeRef type, LLVMValueRef address) {
  LLVMValueRef load = LLVMBuildLoad2(builder, type, address, "");
  unsigned kind = LLVMGetMDKindIDInContext(emitter->codegen->context, "invariant.load", 14);
  LLVMSetMetadata(load, kind, metadata_node(emitter, NULL, 0));
  return load;
}

/* The address of a number or buffer: for a stage the next word of its view. */
static LLVMValueRef frame_entry(Emitter *emitter, int field, int number) {
  Codegen *codegen = emitter->codegen;
  FrameViews *views = emitter->views;
  if (emitter->is_stage) {
    LLVMTypeRef frame = kernel_frame_type(codegen, emitter->kernel);
    int64_t word = (int64_t)LLVMABISizeOfType(codegen->data_layout, field == FRAME_NUMBERS ? codegen->type_i64 : codegen->type_ptr);
    int64_t from = (int64_t)LLVMOffsetOfElement(codegen->data_layout, frame, (unsigned)field) + number * word;
    LLVMValueRef index = emit_constant(emitter, views->count - emitter->view_first);
    ARENA_PUSH(codegen->arena, views->offsets, views->count, from);
    return LLVMBuildInBoundsGEP2(emitter->entry_builder, codegen->type_i64, emitter->frame, &index, 1, "");
  }
  LLVMValueRef path[] = {LLVMConstInt(codegen->type_i32, 0, false), LLVMConstInt(codegen->type_i32, (unsigned)field, false),
                         LLVMConstInt(codegen->type_i32, (unsigned)number, false)};
  LLVMTypeRef type = kernel_frame_type(codegen, emitter->kernel);
  return LLVMBuildInBoundsGEP2(emitter->entry_builder, type, emitter->frame, path, 3, "");
}

/* Marks what the statements touch. */
static void use_load(void *context, const Expr *expr) {
  bool *is_used = context;
  if (expr->op == OP_LOAD || expr->op == OP_GIVEN) is_used[expr->id] = true;
}

static void use_expr(const Expr *expr, bool *is_used) {
  if (expr) expr_visit(expr, use_load, is_used);
}

static void use_statements(const Statement *statement, bool is_alone, bool *is_used) {
  for (; statement; statement = is_alone ? NULL : statement->next) {
    const Expr *parts[] = {statement->low,   statement->high,        statement->condition, statement->value,
                           statement->guard, statement->reduce_body, statement->row0,      statement->column0,
                           statement->row_limit, statement->column_limit, statement->depth};
    for (size_t n = 0; n < sizeof parts / sizeof parts[0]; n++) use_expr(parts[n], is_used);
    for (int n = 0; n < statement->rank; n++) use_expr(statement->indices[n], is_used);
    if (statement->kind == STATEMENT_STORE || statement->kind == STATEMENT_TILE) is_used[statement->buffer] = true;
    if (statement->kind == STATEMENT_TILE) is_used[statement->a_buffer] = is_used[statement->b_buffer] = true;
    if (statement->packed_buffer != NONE) is_used[statement->packed_buffer] = true;
    if (statement->scale_buffer != NONE) is_used[statement->scale_buffer] = true;
    if (statement->row_scale_buffer != NONE) is_used[statement->row_scale_buffer] = true;
    use_statements(statement->body, false, is_used);
    use_statements(statement->otherwise, false, is_used);
  }
}

LLVMValueRef emit_symbol(Emitter *emitter, SymbolId id) {
  LLVMValueRef *symbol = &emitter->symbols[id];
  if (*symbol) return *symbol;
  const char *name = emitter->kernel->symbols[id].name;
  *symbol = load_constant(emitter, emitter->entry_builder, emitter->codegen->type_i64, frame_entry(emitter, FRAME_NUMBERS, id));
  LLVMSetValueName2(*symbol, name, strlen(name));
  return *symbol;
}

/* The bytes from the private buffers of the first thread to those of this one; see size_program.c. */
static LLVMValueRef emit_private_offset(Emitter *emitter) {
  if (emitter->private_offset) return emitter->private_offset;
  LLVMBuilderRef builder = emitter->entry_builder;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef stride = load_constant(emitter, builder, i64, frame_entry(emitter, FRAME_NUMBERS, emitter->kernel->symbol_count));
  return emitter->private_offset = LLVMBuildNSWMul(builder, stride, LLVMBuildZExt(builder, emitter->thread, i64, ""), "");
}

static void emit_buffer(Emitter *emitter, BufferId id) {
  const Buffer *buffer = &emitter->kernel->buffers[id];
  emitter->bases[id] = load_constant(emitter, emitter->entry_builder, emitter->codegen->type_ptr, frame_entry(emitter, FRAME_BUFFERS, id));
  if (buffer->is_private) {
    LLVMValueRef offset = emit_private_offset(emitter);
    emitter->bases[id] = LLVMBuildInBoundsGEP2(emitter->entry_builder, emitter->codegen->type_i8, emitter->bases[id], &offset, 1, "");
  }
  if (buffer->packed_slot != NONE) {
    BufferId other = kernel_packed_buffer(emitter->kernel, buffer->packed_slot);
    LLVMValueRef packed = load_constant(emitter, emitter->entry_builder, emitter->codegen->type_ptr, frame_entry(emitter, FRAME_BUFFERS, other));
    LLVMValueRef is_given = LLVMBuildIsNotNull(emitter->entry_builder, packed, "");
    emitter->bases[id] = LLVMBuildSelect(emitter->entry_builder, is_given, packed, emitter->bases[id], "");
  }
  LLVMSetValueName2(emitter->bases[id], buffer->name, strlen(buffer->name));
  emitter->strides[id] = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, buffer->rank);
  emitter->elements[id] = emit_strides(emitter, buffer, emitter->strides[id]);
  emitter->alias_tags[id] = alias_tag(emitter, id);
}

void emit_buffers(Emitter *emitter, const Statement *used_by, bool is_alone) {
  Codegen *codegen = emitter->codegen;
  const Kernel *kernel = emitter->kernel;
  static const char root[] = "buffers";
  LLVMMetadataRef text = LLVMMDStringInContext2(codegen->context, root, sizeof root - 1);
  emitter->alias_root = LLVMMDNodeInContext2(codegen->context, &text, 1);
  emitter->symbols = ARENA_ARRAY(codegen->arena, LLVMValueRef, kernel->symbol_count);
  emitter->bases = ARENA_ARRAY(codegen->arena, LLVMValueRef, kernel->buffer_count);
  emitter->strides = ARENA_ARRAY(codegen->arena, LLVMValueRef *, kernel->buffer_count);
  emitter->elements = ARENA_ARRAY(codegen->arena, LLVMValueRef, kernel->buffer_count);
  emitter->alias_tags = ARENA_ARRAY(codegen->arena, LLVMValueRef, kernel->buffer_count);
  bool *is_used = ARENA_ARRAY(codegen->arena, bool, kernel->buffer_count);
  use_statements(used_by, is_alone, is_used);
  for (int n = 0; n < kernel->buffer_count; n++)
    if (is_used[n]) emit_buffer(emitter, n);
}

/* ---- addresses */

typedef enum { ACCESS_UNIFORM, ACCESS_CONTIGUOUS, ACCESS_SCATTERED } AccessKind;

typedef struct Access {
  AccessKind kind;
  LLVMValueRef address; /* scattered: one for each lane */
} Access;

static LLVMValueRef add_product(Emitter *emitter, LLVMValueRef sum, LLVMValueRef index, LLVMValueRef stride) {
  LLVMValueRef product = LLVMBuildNSWMul(emitter->builder, index, stride, "");
  return sum ? LLVMBuildNSWAdd(emitter->builder, sum, product, "") : product;
}

static bool is_constant(LLVMValueRef value, int64_t constant) {
  return LLVMIsAConstantInt(value) && LLVMConstIntGetSExtValue(value) == constant;
}

/* Offsets within such a buffer fit 32 bits, for which processors have wider gathers. */
static bool has_small_extent(const Buffer *buffer) {
  int64_t elements = 1;
  for (int axis = 0; axis < buffer->rank; axis++) {
    if (buffer->shape[axis].symbol != NONE || __builtin_mul_overflow(elements, buffer->shape[axis].constant, &elements))
      return false;
  }
  return elements < INT32_MAX;
}

static LLVMValueRef all_lanes(Emitter *emitter) { return LLVMConstAllOnes(emit_type(emitter, TYPE_BOOL, true)); }

static LLVMValueRef masked_gather(Emitter *emitter, LLVMTypeRef element, LLVMValueRef addresses, LLVMValueRef mask,
                                  unsigned align) {
  LLVMTypeRef types[] = {emit_vector_type(emitter, element), LLVMTypeOf(addresses)};
  LLVMValueRef arguments[] = {addresses, LLVMConstInt(emitter->codegen->type_i32, align, false), mask ? mask : all_lanes(emitter),
                              LLVMConstNull(types[0])};
  return emit_intrinsic(emitter, "llvm.masked.gather", 2, types, 4, arguments);
}

/* The first element of the buffer; with turns that of the turn, which may differ between lanes. */
static Value emit_base(Emitter *emitter, BufferId id, const Expr *const *indices) {
  Codegen *codegen = emitter->codegen;
  LLVMValueRef base = emitter->bases[id];
  if (!emitter->kernel->buffers[id].has_turns) return (Value){base, false, TYPE_INT};
  Value turn = emit_part(emitter, indices[0]);
  LLVMValueRef entry = LLVMBuildGEP2(emitter->builder, codegen->type_ptr, base, &turn.value, 1, "");
  if (!turn.is_vector) return (Value){load_constant(emitter, emitter->builder, codegen->type_ptr, entry), false, TYPE_INT};
  unsigned align = LLVMPointerSize(codegen->data_layout);
  return (Value){masked_gather(emitter, codegen->type_ptr, entry, emitter->mask, align), true, TYPE_INT};
}

static Access emit_access(Emitter *emitter, BufferId id, const Expr *const *indices) {
  const Buffer *buffer = &emitter->kernel->buffers[id];
  LLVMTypeRef element = emit_element_type(emitter, id);
  Value base = emit_base(emitter, id, indices);
  LLVMValueRef address = base.value, lane_offset = NULL, growth = emit_constant(emitter, 0);
  for (int axis = buffer->has_turns; axis < buffer->rank; axis++) {
    LLVMValueRef stride = emitter->strides[id][axis];
    if (is_constant(stride, 0)) continue;
    int64_t lane_growth;
    if (emit_lane_growth(emitter, indices[axis], &lane_growth)) {
      LLVMValueRef along = add_product(emitter, NULL, emit_first_lane(emitter, indices[axis]), stride);
      address = LLVMBuildGEP2(emitter->builder, element, address, &along, 1, "");
      if (lane_growth) growth = add_product(emitter, growth, emit_constant(emitter, lane_growth), stride);
    } else {
      LLVMValueRef index = emit_as_vector(emitter, emit_part(emitter, indices[axis]));
      lane_offset = add_product(emitter, lane_offset, index, emit_broadcast(emitter, stride));
    }
  }
  LLVMBuilderRef builder = emitter->builder;
  if (!base.is_vector && !lane_offset) {
    if (is_constant(growth, 0)) return (Access){ACCESS_UNIFORM, address};
    if (is_constant(growth, 1)) return (Access){ACCESS_CONTIGUOUS, address};
  }
  if (!is_constant(growth, 0))
    lane_offset = add_product(emitter, lane_offset, emitter->lane_numbers, emit_broadcast(emitter, growth));
  if (lane_offset && has_small_extent(buffer))
    lane_offset = LLVMBuildTrunc(builder, lane_offset, emit_vector_type(emitter, emitter->codegen->type_i32), "");
  if (lane_offset) address = LLVMBuildGEP2(builder, element, address, &lane_offset, 1, "");
  return (Access){ACCESS_SCATTERED, address};
}

LLVMValueRef emit_uniform_address(Emitter *emitter, BufferId buffer, const Expr *const *indices) {
  PairMap memo, *outer = emitter->memo;
  pair_map_begin(&memo);
  emitter->memo = &memo;
  Access access = emit_access(emitter, buffer, indices);
  emitter->memo = outer;
  pair_map_end(&memo);
  if (access.kind != ACCESS_UNIFORM)
    internal_error("the address in '%s' differs between lanes", emitter->kernel->buffers[buffer].name);
  return access.address;
}

static void emit_prefetch(Emitter *emitter, LLVMValueRef address, int nearness) {
  LLVMTypeRef i32 = emitter->codegen->type_i32, ptr = emitter->codegen->type_ptr;
  LLVMValueRef to_read = LLVMConstInt(i32, 0, false), near = LLVMConstInt(i32, (unsigned)nearness, false), is_data = LLVMConstInt(i32, 1, false);
  emit_intrinsic(emitter, "llvm.prefetch", 1, &ptr, 4, (LLVMValueRef[]){address, to_read, near, is_data});
}

void emit_prefetch_load(Emitter *emitter, const Expr *load, int nearness) {
  PairMap memo, *outer = emitter->memo;
  pair_map_begin(&memo);
  emitter->memo = &memo;
  Access access = emit_access(emitter, load->id, load->args);
  emitter->memo = outer;
  pair_map_end(&memo);
  if (access.kind != ACCESS_SCATTERED) emit_prefetch(emitter, access.address, nearness);
}

/* ---- between memory and registers */

LLVMValueRef emit_from_packed(Emitter *emitter, PackedFormat format, LLVMValueRef kept) {
  const Codegen *codegen = emitter->codegen;
  if (format == PACKED_F32) return kept;
  LLVMTypeRef wide = math_type_like(kept, codegen->type_i32), real = math_type_like(kept, codegen->type_f32);
  if (packed_steps[format]) return LLVMBuildSIToFP(emitter->builder, kept, real, "");
  LLVMValueRef bits = LLVMBuildZExt(emitter->builder, kept, wide, "");
  return LLVMBuildBitCast(emitter->builder, LLVMBuildShl(emitter->builder, bits, math_integer(emitter, bits, BF16_BITS), ""), real, "");
}

/* To the nearest, of two alike the even one; not a number stays so. */
static LLVMValueRef to_bf16(Emitter *emitter, LLVMValueRef value, LLVMTypeRef type) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef bits = math_bits(emitter, value), places = math_integer(emitter, bits, BF16_BITS);
  LLVMValueRef upper = LLVMBuildLShr(builder, bits, places, "");
  LLVMValueRef is_odd = LLVMBuildAnd(builder, upper, math_integer(emitter, bits, 1), "");
  LLVMValueRef rounded = LLVMBuildAdd(builder, LLVMBuildAdd(builder, bits, math_integer(emitter, bits, 0x7fff), ""), is_odd, "");
  LLVMValueRef quiet = LLVMBuildOr(builder, upper, math_integer(emitter, bits, 0x40), "");
  LLVMValueRef is_nan = LLVMBuildFCmp(builder, LLVMRealUNO, value, value, "");
  LLVMValueRef kept = LLVMBuildSelect(builder, is_nan, quiet, LLVMBuildLShr(builder, rounded, places, ""), "");
  return LLVMBuildTrunc(builder, kept, type, "");
}

/* To the nearest, of two alike the even one: at 1.5 * 2^23 the last place of a float counts ones, and the bits of what is added show. */
static LLVMValueRef to_whole(Emitter *emitter, LLVMValueRef value, int steps, LLVMTypeRef type) {
  LLVMValueRef ones = math_add(emitter, math_clamp(emitter, value, -steps, steps), math_number(emitter, value, 0x1.8p23));
  return LLVMBuildTrunc(emitter->builder, math_bits(emitter, ones), type, "");
}

static LLVMValueRef from_memory(Emitter *emitter, BufferId buffer, bool is_vector, LLVMValueRef value) {
  Type type = emitter->kernel->buffers[buffer].type;
  PackedFormat format = emitter->kernel->buffers[buffer].format;
  if (format != PACKED_F32) return emit_from_packed(emitter, format, value);
  if (type == TYPE_REAL) return value;
  if (type == TYPE_INT) return LLVMBuildSExt(emitter->builder, value, emit_type(emitter, type, is_vector), "");
  return LLVMBuildIsNotNull(emitter->builder, value, "");
}

static LLVMValueRef to_memory(Emitter *emitter, BufferId buffer, bool is_vector, LLVMValueRef value) {
  Type type = emitter->kernel->buffers[buffer].type;
  LLVMTypeRef memory_type = emit_element_type(emitter, buffer);
  if (is_vector) memory_type = emit_vector_type(emitter, memory_type);
  PackedFormat format = emitter->kernel->buffers[buffer].format;
  if (format == PACKED_BF16) return to_bf16(emitter, value, memory_type);
  if (packed_steps[format]) return to_whole(emitter, value, packed_steps[format], memory_type);
  if (type == TYPE_REAL) return value;
  if (type == TYPE_INT) return LLVMBuildTrunc(emitter->builder, value, memory_type, "");
  return LLVMBuildZExt(emitter->builder, value, memory_type, "");
}

static unsigned alignment_of(const Emitter *emitter, BufferId buffer) { return (unsigned)buffer_element_bytes(&emitter->kernel->buffers[buffer]); }

LLVMValueRef emit_any_lane(Emitter *emitter, LLVMValueRef mask) {
  LLVMTypeRef type = LLVMTypeOf(mask);
  return emit_intrinsic(emitter, "llvm.vector.reduce.or", 1, &type, 1, &mask);
}

static LLVMValueRef both_masks(Emitter *emitter, LLVMValueRef a, LLVMValueRef b) {
  return a && b ? LLVMBuildAnd(emitter->builder, a, b, "") : a ? a : b;
}

static LLVMValueRef tagged(Emitter *emitter, LLVMValueRef instruction, BufferId buffer) {
  emit_tag(emitter, instruction, buffer);
  return instruction;
}

/* One element; lanes outside of the guard get 0. The access is real when any lane asks for it. */
static Value load_uniform(Emitter *emitter, const Expr *expr, LLVMValueRef address, Value guard) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef condition = guard.value;
  if (guard.is_vector) condition = emit_any_lane(emitter, both_masks(emitter, guard.value, emitter->mask));
  if (condition) address = LLVMBuildSelect(builder, condition, address, emitter->zeros, "");
  LLVMValueRef load = LLVMBuildLoad2(builder, emit_element_type(emitter, expr->id), address, "");
  LLVMSetAlignment(tagged(emitter, load, expr->id), alignment_of(emitter, expr->id));
  LLVMValueRef value = from_memory(emitter, expr->id, false, load);
  if (!guard.is_vector) return (Value){value, false, expr->type};
  value = LLVMBuildSelect(builder, guard.value, emit_broadcast(emitter, value),
                          LLVMConstNull(emit_type(emitter, expr->type, true)), "");
  return (Value){value, true, expr->type};
}

static Value load_contiguous(Emitter *emitter, const Expr *expr, LLVMValueRef address, Value guard) {
  LLVMBuilderRef builder = emitter->builder;
  LLVMTypeRef type = emit_vector_type(emitter, emit_element_type(emitter, expr->id));
  LLVMValueRef mask = both_masks(emitter, emitter->mask, guard.is_vector ? guard.value : NULL), load;
  if (guard.value && !guard.is_vector) address = LLVMBuildSelect(builder, guard.value, address, emitter->zeros, "");
  if (mask) {
    LLVMTypeRef types[] = {type, emitter->codegen->type_ptr};
    LLVMValueRef align = LLVMConstInt(emitter->codegen->type_i32, alignment_of(emitter, expr->id), false);
    load = emit_intrinsic(emitter, "llvm.masked.load", 2, types, 4, (LLVMValueRef[]){address, align, mask, LLVMConstNull(type)});
  } else {
    load = LLVMBuildLoad2(builder, type, address, "");
    LLVMSetAlignment(load, alignment_of(emitter, expr->id));
  }
  return (Value){from_memory(emitter, expr->id, true, tagged(emitter, load, expr->id)), true, expr->type};
}

static Value load_scattered(Emitter *emitter, const Expr *expr, LLVMValueRef addresses, Value guard) {
  LLVMValueRef mask = both_masks(emitter, emitter->mask, guard.value ? emit_as_vector(emitter, guard) : NULL);
  LLVMValueRef load = masked_gather(emitter, emit_element_type(emitter, expr->id), addresses, mask, alignment_of(emitter, expr->id));
  return (Value){from_memory(emitter, expr->id, true, tagged(emitter, load, expr->id)), true, expr->type};
}

Value emit_load(Emitter *emitter, const Expr *expr) {
  Value guard = {NULL, false, TYPE_BOOL};
  if (expr->guard) guard = emit_part(emitter, expr->guard);
  Access access = emit_access(emitter, expr->id, expr->args);
  if (access.kind == ACCESS_UNIFORM) return load_uniform(emitter, expr, access.address, guard);
  if (access.kind == ACCESS_CONTIGUOUS) return load_contiguous(emitter, expr, access.address, guard);
  return load_scattered(emitter, expr, access.address, guard);
}

static LLVMValueRef emit_masked_store(Emitter *emitter, const char *name, LLVMValueRef value, LLVMValueRef address, BufferId buffer) {
  LLVMTypeRef types[] = {LLVMTypeOf(value), LLVMTypeOf(address)};
  LLVMValueRef align = LLVMConstInt(emitter->codegen->type_i32, alignment_of(emitter, buffer), false);
  LLVMValueRef mask = emitter->mask ? emitter->mask : all_lanes(emitter);
  return emit_intrinsic(emitter, name, 2, types, 4, (LLVMValueRef[]){value, address, align, mask});
}

static Access store_access(Emitter *emitter, const Statement *store) {
  PairMap memo;
  pair_map_begin(&memo);
  emitter->memo = &memo;
  Access access = emit_access(emitter, store->buffer, store->indices);
  emitter->memo = NULL;
  pair_map_end(&memo);
  return access;
}

LLVMValueRef emit_store_address(Emitter *emitter, const Statement *store) {
  Access access = store_access(emitter, store);
  return access.kind == ACCESS_CONTIGUOUS ? access.address : NULL;
}

static void set_nontemporal(Emitter *emitter, LLVMValueRef store) {
  LLVMMetadataRef one = LLVMValueAsMetadata(LLVMConstInt(emitter->codegen->type_i32, 1, false));
  LLVMSetMetadata(store, LLVMGetMDKindIDInContext(emitter->codegen->context, "nontemporal", 11), metadata_node(emitter, &one, 1));
  LLVMSetAlignment(store, (unsigned)emitter->lanes * 4);
}

void emit_store(Emitter *emitter, const Statement *statement, Value value) {
  BufferId buffer = statement->buffer;
  Access access = store_access(emitter, statement);
  bool is_vector = emitter->vector_index != NONE;
  LLVMValueRef stored = to_memory(emitter, buffer, is_vector, is_vector ? emit_as_vector(emitter, value) : value.value), store;
  if (!is_vector || (access.kind == ACCESS_CONTIGUOUS && !emitter->mask)) {
    store = LLVMBuildStore(emitter->builder, stored, access.address);
    LLVMSetAlignment(store, alignment_of(emitter, buffer));
    if (is_vector && statement->is_nontemporal && emitter->is_past_caches) set_nontemporal(emitter, store);
  } else if (access.kind == ACCESS_CONTIGUOUS) {
    store = emit_masked_store(emitter, "llvm.masked.store", stored, access.address, buffer);
  } else {
    LLVMValueRef addresses = access.kind == ACCESS_UNIFORM ? emit_broadcast(emitter, access.address) : access.address;
    store = emit_masked_store(emitter, "llvm.masked.scatter", stored, addresses, buffer);
  }
  emit_tag(emitter, store, buffer);
}
