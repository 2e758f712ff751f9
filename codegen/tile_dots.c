/* tile_dots.c - the sums of a tile of whole numbers: rows in 16 bits and columns in 8, of which each instruction multiplies two terms.
 *
 * A step loads two terms of all columns, widens them to 16 bits and multiplies them by two terms of each row, in all lanes. Products are added up in 32
 * bits over the terms that share a scale, where nothing is lost; then they are multiplied by the scales of row and column and added to the sums.
 */
#include "codegen/flow.h"
#include "codegen/tile_dots.h"

enum {
  PAIR_UNROLL = 4,
  SCALE_PAIRS = SCALE_TERMS / 2,
  BESIDE = 4 /* sums that must go on beside each other, as each has to wait for the step before */
};

typedef struct Dots {
  Emitter *emitter;
  int rows, vectors;
  LLVMTypeRef sum_type, whole_type, pair_type; /* of lanes: float, 32-bit integers, and pairs of 16-bit ones */
  LLVMValueRef b, scales, a, a_stride, row_scales, row_scale_stride;
} Dots;

static LLVMValueRef element_at(const Dots *dots, LLVMTypeRef type, LLVMValueRef first, LLVMValueRef offset) {
  return LLVMBuildInBoundsGEP2(dots->emitter->builder, type, first, &offset, 1, "");
}

static LLVMValueRef times(const Dots *dots, LLVMValueRef value, int64_t by) {
  return LLVMBuildNSWMul(dots->emitter->builder, value, emit_constant(dots->emitter, by), "");
}

static LLVMValueRef load(const Dots *dots, LLVMTypeRef type, LLVMValueRef address, unsigned alignment) {
  LLVMValueRef value = LLVMBuildLoad2(dots->emitter->builder, type, address, "");
  LLVMSetAlignment(value, alignment);
  return value;
}

/* Two terms of each column of vector v, as pairs of 16 bits. */
static LLVMValueRef column_pairs(const Dots *dots, LLVMValueRef pair, int v) {
  const Codegen *codegen = dots->emitter->codegen;
  int lanes = dots->emitter->lanes;
  LLVMValueRef offset = LLVMBuildNSWAdd(dots->emitter->builder, times(dots, pair, 2 * dots->vectors * lanes), emit_constant(dots->emitter, 2 * v * lanes), "");
  unsigned numbers = 2 * (unsigned)lanes;
  LLVMValueRef kept = load(dots, LLVMVectorType(codegen->type_i8, numbers), element_at(dots, codegen->type_i8, dots->b, offset), 1);
  return LLVMBuildSExt(dots->emitter->builder, kept, dots->pair_type, "");
}

/* In each lane the sum of two products. LLVM adds it to another in the same instruction where that is faster. */
static LLVMValueRef add_products(const Dots *dots, LLVMValueRef a, LLVMValueRef b) {
  int lanes = dots->emitter->lanes;
  const char *name = lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : lanes == 8 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd";
  return emit_intrinsic(dots->emitter, name, 0, NULL, 2, (LLVMValueRef[]){a, b});
}

/* sums[row, vector] += two products */
static void emit_pair(const Dots *dots, LLVMValueRef *sums, LLVMValueRef pair) {
  Emitter *emitter = dots->emitter;
  LLVMValueRef columns[FLOW_CARRIED];
  for (int v = 0; v < dots->vectors; v++) columns[v] = column_pairs(dots, pair, v);
  for (int r = 0; r < dots->rows; r++) {
    LLVMValueRef offset = LLVMBuildNSWAdd(emitter->builder, times(dots, pair, 2), times(dots, dots->a_stride, r), "");
    LLVMValueRef row = load(dots, emitter->codegen->type_i32, element_at(dots, emitter->codegen->type_i16, dots->a, offset), 2);
    row = LLVMBuildBitCast(emitter->builder, emit_broadcast(emitter, row), dots->pair_type, "");
    for (int v = 0; v < dots->vectors; v++) {
      LLVMValueRef *sum = &sums[r * dots->vectors + v];
      *sum = LLVMBuildAdd(emitter->builder, *sum, add_products(dots, row, columns[v]), "");
    }
  }
}

/* Leaves in `sums` those over the pairs from low to high. */
static void emit_pairs(const Dots *dots, LLVMValueRef *sums, LLVMValueRef low, LLVMValueRef high, int unroll, int chains) {
  Emitter *emitter = dots->emitter;
  int count = dots->rows * dots->vectors;
  LoopFlow loop = {.carried_count = chains * count, .is_unrolled_by_hand = true};
  for (int n = 0; n < loop.carried_count; n++) loop.carried[n] = LLVMConstNull(dots->whole_type);
  loop_begin(emitter, &loop, low, high, emit_constant(emitter, unroll));
  for (int n = 0; n < unroll; n++)
    emit_pair(dots, loop.carried + n % chains * count, LLVMBuildNSWAdd(emitter->builder, loop.index, emit_constant(emitter, n), ""));
  loop_end(emitter, &loop);
  for (int half = chains / 2; half; half /= 2)
    for (int n = 0; n < half * count; n++)
      loop.carried[n] = LLVMBuildAdd(emitter->builder, loop.carried[n], loop.carried[n + half * count], "");
  memcpy(sums, loop.carried, sizeof *sums * (size_t)count);
}

/* totals += row scale * column scale * sums */
static void add_scaled(const Dots *dots, LLVMValueRef *totals, LLVMValueRef *sums, LLVMValueRef group) {
  Emitter *emitter = dots->emitter;
  const Codegen *codegen = emitter->codegen;
  LLVMValueRef columns[FLOW_CARRIED];
  for (int v = 0; v < dots->vectors; v++) {
    LLVMValueRef offset = times(dots, group, dots->vectors * emitter->lanes);
    offset = LLVMBuildNSWAdd(emitter->builder, offset, emit_constant(emitter, v * emitter->lanes), "");
    LLVMValueRef kept = load(dots, emit_vector_type(emitter, codegen->type_i16), element_at(dots, codegen->type_i16, dots->scales, offset), 2);
    columns[v] = emit_from_packed(emitter, PACKED_BF16, kept);
  }
  for (int r = 0; r < dots->rows; r++) {
    LLVMValueRef offset = LLVMBuildNSWAdd(emitter->builder, group, times(dots, dots->row_scale_stride, r), "");
    LLVMValueRef row = emit_broadcast(emitter, load(dots, codegen->type_f32, element_at(dots, codegen->type_f32, dots->row_scales, offset), 4));
    for (int v = 0; v < dots->vectors; v++) {
      LLVMValueRef *total = &totals[r * dots->vectors + v];
      LLVMValueRef sum = LLVMBuildSIToFP(emitter->builder, sums[r * dots->vectors + v], dots->sum_type, "");
      *total = emit_multiply_add(emitter, LLVMBuildFMul(emitter->builder, row, columns[v], ""), sum, *total);
    }
  }
}

static int chain_count(const Dots *dots) {
  int chains = 1;
  while (chains < PAIR_UNROLL && chains * dots->rows * dots->vectors <= BESIDE) chains *= 2;
  return chains;
}

/* Leaves in totals what they begin with plus the sums. */
static void emit_groups(const Dots *dots, LLVMValueRef *totals, LLVMValueRef depth) {
  Emitter *emitter = dots->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef zero = emit_constant(emitter, 0), one = emit_constant(emitter, 1), sums[FLOW_CARRIED];
  LLVMValueRef pairs = LLVMBuildAShr(builder, LLVMBuildNSWAdd(builder, depth, one, ""), one, "");
  LLVMValueRef whole = LLVMBuildSDiv(builder, pairs, emit_constant(emitter, SCALE_PAIRS), ""), rest = times(dots, whole, SCALE_PAIRS);
  LoopFlow groups = {.carried_count = dots->rows * dots->vectors, .is_unrolled_by_hand = true};
  memcpy(groups.carried, totals, sizeof *totals * (size_t)groups.carried_count);
  loop_begin(emitter, &groups, zero, whole, one);
  LLVMValueRef low = times(dots, groups.index, SCALE_PAIRS);
  emit_pairs(dots, sums, low, LLVMBuildNSWAdd(builder, low, emit_constant(emitter, SCALE_PAIRS), ""), PAIR_UNROLL, chain_count(dots));
  add_scaled(dots, groups.carried, sums, groups.index);
  loop_end(emitter, &groups);
  BranchFlow last = {.carried_count = groups.carried_count};
  memcpy(last.carried, groups.carried, sizeof last.carried);
  branch_begin(emitter, &last, LLVMBuildICmp(builder, LLVMIntSLT, rest, pairs, ""));
  emit_pairs(dots, sums, rest, pairs, 1, 1);
  add_scaled(dots, last.carried, sums, whole);
  branch_end(emitter, &last);
  memcpy(totals, last.carried, sizeof *totals * (size_t)groups.carried_count);
}

static LLVMValueRef out_address(const Dots *dots, LLVMValueRef out, LLVMValueRef pitch, int n) {
  LLVMValueRef place = times(dots, pitch, n / dots->vectors);
  place = LLVMBuildNSWAdd(dots->emitter->builder, place, emit_constant(dots->emitter, n % dots->vectors * dots->emitter->lanes), "");
  return element_at(dots, dots->emitter->codegen->type_f32, out, place);
}

/* The body of the function: its parameters are those of DotTile, in their order. */
static void emit_body(Emitter *emitter, const DotTile *tile) {
  LLVMValueRef *parameters = ARENA_ARRAY(emitter->codegen->arena, LLVMValueRef, DOT_ARGUMENTS);
  LLVMGetParams(emitter->function, parameters);
  Dots dots = {.emitter = emitter, .rows = tile->rows, .vectors = tile->vectors, .sum_type = emit_type(emitter, TYPE_REAL, true),
               .whole_type = emit_vector_type(emitter, emitter->codegen->type_i32),
               .pair_type = LLVMVectorType(emitter->codegen->type_i16, 2 * (unsigned)emitter->lanes), .b = parameters[DOT_B], .scales = parameters[DOT_SCALES],
               .a = parameters[DOT_A], .a_stride = parameters[DOT_A_STRIDE], .row_scales = parameters[DOT_ROW_SCALES],
               .row_scale_stride = parameters[DOT_ROW_SCALE_STRIDE]};
  LLVMValueRef totals[FLOW_CARRIED], out = parameters[DOT_OUT], pitch = parameters[DOT_PITCH];
  int count = dots.rows * dots.vectors;
  for (int n = 0; n < count; n++)
    totals[n] = tile->adds ? load(&dots, dots.sum_type, out_address(&dots, out, pitch, n), 4) : LLVMConstNull(dots.sum_type);
  emit_groups(&dots, totals, parameters[DOT_DEPTH]);
  for (int n = 0; n < count; n++) LLVMSetAlignment(LLVMBuildStore(emitter->builder, totals[n], out_address(&dots, out, pitch, n)), 4);
  LLVMBuildRetVoid(emitter->builder);
}

static LLVMValueRef dot_function(const Emitter *caller, const DotTile *tile) {
  Codegen *codegen = caller->codegen;
  const char *name = arena_format(codegen->arena, "dots_%dx%d%s%s", tile->rows, tile->vectors, tile->adds ? "_added" : "", codegen->suffix);
  LLVMValueRef function = LLVMGetNamedFunction(codegen->module, name);
  if (function) return function;
  LLVMTypeRef types[DOT_ARGUMENTS];
  for (int n = 0; n < DOT_ARGUMENTS; n++) types[n] = LLVMTypeOf(tile->arguments[n]);
  function = codegen_add_function(codegen, name, LLVMFunctionType(codegen->type_void, types, DOT_ARGUMENTS, false), LLVMInternalLinkage);
  emit_keep_apart(codegen, function);
  Emitter emitter = *caller;
  emitter.function = function;
  emitter.debug = NULL;
  emitter.builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(emitter.builder, LLVMAppendBasicBlockInContext(codegen->context, function, "entry"));
  emit_body(&emitter, tile);
  LLVMDisposeBuilder(emitter.builder);
  return function;
}

void emit_dots(Emitter *emitter, const DotTile *tile) {
  LLVMValueRef function = dot_function(emitter, tile), arguments[DOT_ARGUMENTS];
  memcpy(arguments, tile->arguments, sizeof arguments);
  LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(function), function, arguments, DOT_ARGUMENTS, "");
}
