/* tile.c - a block of a matrix product kept in registers.
 *
 * All accumulators are values carried by one loop over k. Each step loads the vectors of B once and multiplies them with
 * the rows of A, one broadcast element at a time, which the processor does while it loads. That is a function, one for each
 * shape of tile and for rows that are packed or in place, so that it is compiled once. A whole block that is stored as it is, or added to
 * what is there, goes straight to its place. Any other comes back through memory, is added to `value` and stored, with masks at the
 * edges. Where fewer rows in place are left than a tile has, a smaller one does them: down to one, a vector times a matrix. Panels lie
 * side by side in the order in which they are read, which the processor foresees better than instructions that ask for them: those
 * cost a tenth of the bandwidth of memory.
 */
#include "codegen/flow.h"
#include "codegen/tile_dots.h"

enum {
  K_UNROLL = 4,
  SCALE_UNROLL = 8, /* of the terms that share a scale */
  SHORT_VALUE = 4,
  MOST_ROWS = 16,
  BESIDE = 64 /* elements whose sums must go on beside each other: two multipliers of 256 bits need four steps each */
};

typedef struct Tile {
  Emitter *emitter;
  const Statement *statement;
  int rows, vectors;
  LLVMTypeRef vector_type;
  LLVMValueRef a[MOST_ROWS], b;    /* of the first element; of A one, or one for each row in place */
  LLVMValueRef packed, is_packed;  /* the panel of B that was packed once, and whether it is there; NULL: there are none */
  PackedFormat b_format, packed_format; /* of the elements in memory */
  LLVMValueRef row_scales;         /* of rows of whole numbers, the first; NULL: they are none */
  LLVMValueRef scales;             /* of the panel that was packed once, in int8: the first, for the first column; NULL: there are none */
  LLVMValueRef a_stride, b_stride; /* from one k to the next */
  LLVMValueRef row0, column0, row_limit, column_limit;
  LLVMValueRef sums[FLOW_CARRIED]; /* by row and vector */
  LLVMValueRef out, pitch;         /* where the function of the tile leaves them, and the distance from row to row there */
  bool adds;                       /* to what is there */
} Tile;

/* ---- the product */

/* Loads the element `offset` of row `step` of a panel, counted from where `panel` points. */
static LLVMValueRef panel_load(Tile *tile, LLVMTypeRef type, BufferId buffer, LLVMValueRef panel, LLVMValueRef stride, int step,
                               int offset) {
  Emitter *emitter = tile->emitter;
  LLVMValueRef place = LLVMBuildNSWMul(emitter->builder, emit_constant(emitter, step), stride, "");
  place = LLVMBuildNSWAdd(emitter->builder, place, emit_constant(emitter, offset), "");
  LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_f32, panel, &place, 1, "");
  LLVMValueRef load = LLVMBuildLoad2(emitter->builder, type, address, "");
  LLVMSetAlignment(load, 4);
  emit_tag(emitter, load, buffer);
  return load;
}

/* Of elements in memory. */
static LLVMTypeRef kept_type(const Tile *tile, PackedFormat format) {
  const Codegen *codegen = tile->emitter->codegen;
  return format == PACKED_INT8 ? codegen->type_i8 : format == PACKED_BF16 ? codegen->type_i16 : codegen->type_f32;
}

/* Vector `v` of row `step` of a panel of B, or of its scales. */
static LLVMValueRef column_load(Tile *tile, PackedFormat format, LLVMValueRef panel, int step, int v) {
  Emitter *emitter = tile->emitter;
  BufferId buffer = tile->statement->b_buffer;
  int offset = v * emitter->lanes;
  if (format == PACKED_F32) return panel_load(tile, tile->vector_type, buffer, panel, tile->b_stride, step, offset);
  LLVMTypeRef type = kept_type(tile, format);
  LLVMValueRef place = LLVMBuildNSWMul(emitter->builder, emit_constant(emitter, step), tile->b_stride, "");
  place = LLVMBuildNSWAdd(emitter->builder, place, emit_constant(emitter, offset), "");
  LLVMValueRef address = LLVMBuildInBoundsGEP2(emitter->builder, type, panel, &place, 1, "");
  LLVMValueRef load = LLVMBuildLoad2(emitter->builder, emit_vector_type(emitter, type), address, "");
  LLVMSetAlignment(load, format == PACKED_BF16 ? 2 : 1);
  emit_tag(emitter, load, buffer);
  return emit_from_packed(emitter, format, load);
}

static LLVMValueRef panel_at(Tile *tile, LLVMTypeRef type, LLVMValueRef panel, LLVMValueRef k, LLVMValueRef stride) {
  Emitter *emitter = tile->emitter;
  LLVMValueRef offset = LLVMBuildNSWMul(emitter->builder, k, stride, "");
  return LLVMBuildInBoundsGEP2(emitter->builder, type, panel, &offset, 1, "");
}

/* Element `step` of row `r` of A, in all lanes. */
static LLVMValueRef row_element(Tile *tile, const LLVMValueRef *a, int step, int r) {
  const Statement *statement = tile->statement;
  LLVMTypeRef f32 = tile->emitter->codegen->type_f32;
  LLVMValueRef element = statement->has_rows_in_place
                             ? panel_load(tile, f32, statement->a_buffer, a[r], emit_constant(tile->emitter, 1), step, 0)
                             : panel_load(tile, f32, statement->a_buffer, a[0], tile->a_stride, step, r);
  return emit_broadcast(tile->emitter, element);
}

static void emit_step(Tile *tile, LLVMValueRef *sums, const LLVMValueRef *a, LLVMValueRef b, int step) {
  Emitter *emitter = tile->emitter;
  LLVMValueRef columns[FLOW_CARRIED];
  for (int v = 0; v < tile->vectors; v++) columns[v] = column_load(tile, tile->b_format, b, step, v);
  for (int r = 0; r < tile->rows; r++) {
    LLVMValueRef row = row_element(tile, a, step, r);
    for (int v = 0; v < tile->vectors; v++) {
      LLVMValueRef *sum = &sums[r * tile->vectors + v];
      *sum = emit_multiply_add(emitter, row, columns[v], *sum);
    }
  }
}

/* How many pointers to A a tile has, and how far they move from one k to the next. */
static int pointer_count(const Tile *tile) { return tile->statement->has_rows_in_place ? tile->rows : 1; }

/* The distance from one k to the next is not that of a panel. */
static unsigned has_wide_steps(const Tile *tile) { return !LLVMIsConstant(tile->a_stride); }

/* A low tile has few sums: each is taken apart into as many as keep the processor busy, which step after step add to in turn. */
static int chain_count(const Tile *tile) {
  int chains = 1;
  while (chains < K_UNROLL && chains * tile->rows * tile->vectors * tile->emitter->lanes < BESIDE) chains *= 2;
  return chains;
}

static void emit_steps(Tile *tile, LLVMValueRef low, LLVMValueRef high, int unroll, int chains) {
  Emitter *emitter = tile->emitter;
  int sums = tile->rows * tile->vectors;
  LoopFlow loop = {.carried_count = chains * sums, .is_unrolled_by_hand = true};
  memcpy(loop.carried, tile->sums, sizeof loop.carried);
  loop_begin(emitter, &loop, low, high, emit_constant(emitter, unroll));
  LLVMValueRef a[MOST_ROWS], b = panel_at(tile, kept_type(tile, tile->b_format), tile->b, loop.index, tile->b_stride);
  for (int n = 0; n < pointer_count(tile); n++) a[n] = panel_at(tile, emitter->codegen->type_f32, tile->a[n], loop.index, tile->a_stride);
  for (int n = 0; n < unroll; n++) emit_step(tile, loop.carried + n % chains * sums, a, b, n);
  loop_end(emitter, &loop);
  memcpy(tile->sums, loop.carried, sizeof loop.carried);
}

static LLVMValueRef out_address(const Tile *tile, int r, int v) {
  Emitter *emitter = tile->emitter;
  LLVMValueRef place = LLVMBuildNSWMul(emitter->builder, emit_constant(emitter, r), tile->pitch, "");
  place = LLVMBuildNSWAdd(emitter->builder, place, emit_constant(emitter, v * emitter->lanes), "");
  return LLVMBuildInBoundsGEP2(emitter->builder, emitter->codegen->type_f32, tile->out, &place, 1, "");
}

/* The sums begin with zero, or with what they are added to. */
static void begin_sums(Tile *tile, int chains) {
  int sums = tile->rows * tile->vectors;
  for (int n = 0; n < chains * sums; n++) {
    tile->sums[n] = LLVMConstNull(tile->vector_type);
    if (!tile->adds || n >= sums) continue;
    tile->sums[n] = LLVMBuildLoad2(tile->emitter->builder, tile->vector_type, out_address(tile, n / tile->vectors, n % tile->vectors), "");
    LLVMSetAlignment(tile->sums[n], 4);
  }
}

/* Puts the parts of the sums together, two and two. */
static void join_chains(Tile *tile, int chains) {
  int sums = tile->rows * tile->vectors;
  for (int half = chains / 2; half; half /= 2)
    for (int n = 0; n < half * sums; n++) tile->sums[n] = LLVMBuildFAdd(tile->emitter->builder, tile->sums[n], tile->sums[n + half * sums], "");
}

/* All terms, as one sum. */
static void emit_whole(Tile *tile, LLVMValueRef depth) {
  Emitter *emitter = tile->emitter;
  int chains = chain_count(tile);
  begin_sums(tile, chains);
  LLVMValueRef whole = LLVMBuildAnd(emitter->builder, depth, emit_constant(emitter, -K_UNROLL), "");
  emit_steps(tile, emit_constant(emitter, 0), whole, K_UNROLL, chains);
  join_chains(tile, chains);
  emit_steps(tile, whole, depth, 1, 1);
}

/* ---- with scales */

/* totals += scale * sum over the terms from low to high. */
static void emit_group(Tile *tile, LLVMValueRef *totals, LLVMValueRef group, LLVMValueRef low, LLVMValueRef high, int unroll, int chains) {
  begin_sums(tile, chains);
  emit_steps(tile, low, high, unroll, chains);
  join_chains(tile, chains);
  LLVMValueRef scales = panel_at(tile, kept_type(tile, PACKED_BF16), tile->scales, group, tile->b_stride);
  for (int v = 0; v < tile->vectors; v++) {
    LLVMValueRef scale = column_load(tile, PACKED_BF16, scales, 0, v);
    for (int r = 0; r < tile->rows; r++) {
      LLVMValueRef *total = &totals[r * tile->vectors + v];
      *total = emit_multiply_add(tile->emitter, tile->sums[r * tile->vectors + v], scale, *total);
    }
  }
}

/* The terms of each scale as a sum of their own. */
static void emit_groups(Tile *tile, LLVMValueRef depth) {
  Emitter *emitter = tile->emitter;
  LLVMValueRef terms = emit_constant(emitter, SCALE_TERMS), zero = emit_constant(emitter, 0), one = emit_constant(emitter, 1);
  LLVMValueRef whole = LLVMBuildSDiv(emitter->builder, depth, terms, ""), rest = LLVMBuildNSWMul(emitter->builder, whole, terms, "");
  LoopFlow groups = {.carried_count = tile->rows * tile->vectors, .is_unrolled_by_hand = true};
  for (int n = 0; n < groups.carried_count; n++) groups.carried[n] = LLVMConstNull(tile->vector_type);
  loop_begin(emitter, &groups, zero, whole, one);
  LLVMValueRef low = LLVMBuildNSWMul(emitter->builder, groups.index, terms, "");
  emit_group(tile, groups.carried, groups.index, low, LLVMBuildNSWAdd(emitter->builder, low, terms, ""), SCALE_UNROLL, chain_count(tile));
  loop_end(emitter, &groups);
  BranchFlow last = {.carried_count = groups.carried_count};
  memcpy(last.carried, groups.carried, sizeof last.carried);
  branch_begin(emitter, &last, LLVMBuildICmp(emitter->builder, LLVMIntSLT, rest, depth, ""));
  emit_group(tile, last.carried, whole, rest, depth, 1, 1);
  branch_end(emitter, &last);
  memcpy(tile->sums, last.carried, sizeof tile->sums);
}

/* ---- its function */

enum { FIRST_POINTER = 4, MOST_ARGUMENTS = FIRST_POINTER + MOST_ROWS + 2 };

/* Of the function of a tile, behind the pointers to A. */
static unsigned further_arguments(const Tile *tile) { return has_wide_steps(tile) + (tile->b_format == PACKED_INT8); }

void emit_keep_apart(const Codegen *codegen, LLVMValueRef function) {
  unsigned kind = LLVMGetEnumAttributeKindForName("noinline", 8);
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(codegen->context, kind, 0));
}

/* The function `void tile_RxV(b, depth, out, pitch, a.., [stride of a], [scales])`: sums of products of one tile; there is one of each shape for a
 * processor. */
static LLVMValueRef tile_function(Tile *caller) {
  Codegen *codegen = caller->emitter->codegen;
  const char *left = caller->statement->has_rows_in_place ? "rows" : has_wide_steps(caller) ? "wide" : "tile";
  const char *right = caller->b_format == PACKED_F32 ? "" : arena_format(codegen->arena, "_%s", packed_format_names[caller->b_format]);
  const char *name = arena_format(codegen->arena, "%s_%dx%d%s%s%s", left, caller->rows, caller->vectors, caller->adds ? "_added" : "", right, codegen->suffix);
  LLVMValueRef function = LLVMGetNamedFunction(codegen->module, name);
  if (function) return function;
  LLVMTypeRef types[MOST_ARGUMENTS] = {codegen->type_ptr, codegen->type_i64, codegen->type_ptr, codegen->type_i64};
  unsigned pointers = (unsigned)pointer_count(caller), count = FIRST_POINTER + pointers + further_arguments(caller);
  for (unsigned n = 0; n < pointers; n++) types[FIRST_POINTER + n] = codegen->type_ptr;
  if (has_wide_steps(caller)) types[FIRST_POINTER + pointers] = codegen->type_i64;
  if (caller->b_format == PACKED_INT8) types[count - 1] = codegen->type_ptr;
  function = codegen_add_function(codegen, name, LLVMFunctionType(codegen->type_void, types, count, false), LLVMInternalLinkage);
  emit_keep_apart(codegen, function);
  Emitter emitter = *caller->emitter;
  emitter.function = function;
  emitter.debug = NULL;
  emitter.builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(emitter.builder, LLVMAppendBasicBlockInContext(codegen->context, function, "entry"));
  Tile tile = *caller;
  tile.emitter = &emitter;
  for (unsigned n = 0; n < pointers; n++) tile.a[n] = LLVMGetParam(function, FIRST_POINTER + n);
  if (has_wide_steps(caller)) tile.a_stride = LLVMGetParam(function, FIRST_POINTER + pointers);
  tile.b = LLVMGetParam(function, 0);
  tile.out = LLVMGetParam(function, 2);
  tile.pitch = LLVMGetParam(function, 3);
  if (tile.b_format == PACKED_INT8) {
    tile.scales = LLVMGetParam(function, count - 1);
    emit_groups(&tile, LLVMGetParam(function, 1));
  } else {
    emit_whole(&tile, LLVMGetParam(function, 1));
  }
  for (int n = 0; n < tile.rows * tile.vectors; n++)
    LLVMSetAlignment(LLVMBuildStore(emitter.builder, tile.sums[n], out_address(&tile, n / tile.vectors, n % tile.vectors)), 4);
  LLVMBuildRetVoid(emitter.builder);
  LLVMDisposeBuilder(emitter.builder);
  return function;
}

/* The first `rows` rows of a tile of whole numbers. */
static void call_dots(const Tile *tile, int rows) {
  Emitter *emitter = tile->emitter;
  const Statement *statement = tile->statement;
  DotTile dots = {rows, tile->vectors, tile->adds, {
      [DOT_B] = tile->b, [DOT_SCALES] = tile->scales, [DOT_A] = tile->a[0], [DOT_A_STRIDE] = tile->a_stride,
      [DOT_ROW_SCALES] = tile->row_scales, [DOT_ROW_SCALE_STRIDE] = emitter->strides[statement->row_scale_buffer][statement->row_scale_rank - 2],
      [DOT_DEPTH] = emit_scalar(emitter, statement->depth), [DOT_OUT] = tile->out, [DOT_PITCH] = tile->pitch}};
  emit_dots(emitter, &dots);
}

/* The first `rows` rows of the tile. */
static void call_tile(const Tile *whole, int rows) {
  if (whole->row_scales) {
    call_dots(whole, rows);
    return;
  }
  Tile part = *whole, *tile = &part;
  Emitter *emitter = tile->emitter;
  tile->rows = rows;
  LLVMValueRef function = tile_function(tile);
  LLVMValueRef arguments[MOST_ARGUMENTS] = {tile->b, emit_scalar(emitter, tile->statement->depth), tile->out, tile->pitch};
  unsigned pointers = (unsigned)pointer_count(tile), count = FIRST_POINTER + pointers + further_arguments(tile);
  for (unsigned n = 0; n < pointers; n++) arguments[FIRST_POINTER + n] = tile->a[n];
  if (has_wide_steps(tile)) arguments[FIRST_POINTER + pointers] = tile->a_stride;
  if (tile->b_format == PACKED_INT8) arguments[count - 1] = tile->scales;
  LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

/* Fewer rows than the tile has are left in some tile. */
static bool has_rest(const Tile *tile) {
  const Expr *limit = tile->statement->row_limit;
  return tile->statement->has_rows_in_place && (limit->op != OP_INTEGER || limit->integer % tile->rows);
}

/* A tile of `rows` rows, or of the next smaller height where that is enough for those left. */
static void call_smallest(const Tile *tile, LLVMValueRef left, int rows) {
  static const int heights[] = {6, 4, 2, 1};
  int smaller = 0;
  for (int n = 3; n >= 0; n--)
    if (heights[n] < rows) smaller = heights[n];
  if (!smaller) {
    call_tile(tile, rows);
    return;
  }
  BranchFlow branch = {.carried_count = 0};
  branch_begin(tile->emitter, &branch, LLVMBuildICmp(tile->emitter->builder, LLVMIntSGT, left, emit_constant(tile->emitter, smaller), ""));
  call_tile(tile, rows);
  branch_else(tile->emitter, &branch);
  call_smallest(tile, left, smaller);
  branch_end(tile->emitter, &branch);
}

static void emit_sums(const Tile *tile) {
  if (has_rest(tile))
    call_smallest(tile, LLVMBuildNSWSub(tile->emitter->builder, tile->row_limit, tile->row0, ""), tile->rows);
  else
    call_tile(tile, tile->rows);
}

static void emit_product(Tile *tile) {
  Emitter *emitter = tile->emitter;
  LLVMTypeRef type = LLVMArrayType2(tile->vector_type, (uint64_t)(tile->rows * tile->vectors));
  tile->out = LLVMBuildAlloca(emitter->entry_builder, type, "tile");
  tile->pitch = emit_constant(emitter, tile->vectors * emitter->lanes);
  LLVMSetAlignment(tile->out, 64);
  if (!tile->packed) {
    emit_sums(tile);
    return;
  }
  Tile other = *tile;
  other.b = tile->packed;
  other.b_format = tile->packed_format;
  BranchFlow branch = {.carried_count = 0};
  branch_begin(emitter, &branch, tile->is_packed);
  emit_sums(&other);
  branch_else(emitter, &branch);
  emit_sums(tile);
  branch_end(emitter, &branch);
}

/* ---- what becomes of it */

/* C[row, column0 + v * lanes ...] = value + sum; only columns below the limit when is_masked. */
static void emit_result(Tile *tile, LLVMValueRef row, LLVMValueRef vector, bool is_masked, LLVMValueRef sum) {
  Emitter *emitter = tile->emitter;
  const Statement *statement = tile->statement;
  LLVMValueRef offset = LLVMBuildNSWMul(emitter->builder, vector, emit_constant(emitter, emitter->lanes), "");
  LLVMValueRef first = LLVMBuildNSWAdd(emitter->builder, tile->column0, offset, "");
  emitter->indices[statement->row_index] = row;
  emit_enter_lanes(emitter, statement->column_index, first, is_masked ? tile->column_limit : NULL);
  Value result = {sum, true, TYPE_REAL};
  if (statement->value) {
    LLVMValueRef value = emit_as_vector(emitter, emit_expression(emitter, statement->value));
    result.value = emit_combine(emitter, REDUCE_SUM, TYPE_REAL, value, sum);
  }
  emit_store(emitter, statement, result);
  emit_leave_lanes(emitter);
}

static LLVMValueRef row_at(Tile *tile, LLVMValueRef r) { return LLVMBuildNSWAdd(tile->emitter->builder, tile->row0, r, ""); }

static LLVMValueRef sum_address(Tile *tile, LLVMValueRef scratch, LLVMValueRef r, LLVMValueRef v) {
  LLVMBuilderRef builder = tile->emitter->builder;
  LLVMValueRef place = LLVMBuildNSWMul(builder, r, emit_constant(tile->emitter, tile->vectors), "");
  place = LLVMBuildNSWAdd(builder, place, v, "");
  return LLVMBuildInBoundsGEP2(builder, tile->vector_type, scratch, &place, 1, "");
}

static void emit_vectors(Tile *tile, LLVMValueRef r, LLVMValueRef v, bool is_masked) {
  LLVMValueRef sum = LLVMBuildLoad2(tile->emitter->builder, tile->vector_type, sum_address(tile, tile->out, r, v), "");
  emit_result(tile, row_at(tile, r), v, is_masked, sum);
}

/* One copy of the code for all rows; columns are masked only where their number is not known to fill the panels. */
static void emit_results(Tile *tile) {
  Emitter *emitter = tile->emitter;
  const Expr *limit = tile->statement->column_limit;
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef zero = emit_constant(emitter, 0), one = emit_constant(emitter, 1);
  LLVMValueRef left = LLVMBuildNSWSub(emitter->builder, tile->row_limit, tile->row0, "");
  LLVMValueRef rows = emit_intrinsic(emitter, "llvm.smin", 1, &i64, 2, (LLVMValueRef[]){left, emit_constant(emitter, tile->rows)});
  bool is_masked = limit->op != OP_INTEGER || limit->integer % (tile->vectors * emitter->lanes);
  LoopFlow row_loop = {.is_unrolled_by_hand = true}, vector_loop = {.is_unrolled_by_hand = true};
  loop_begin(emitter, &row_loop, zero, rows, one);
  if (!is_masked && emit_is_small(tile->statement->value, SHORT_VALUE)) {
    for (int v = 0; v < tile->vectors; v++) emit_vectors(tile, row_loop.index, emit_constant(emitter, v), false);
  } else {
    loop_begin(emitter, &vector_loop, zero, emit_constant(emitter, tile->vectors), one);
    emit_vectors(tile, row_loop.index, vector_loop.index, is_masked);
    loop_end(emitter, &vector_loop);
  }
  loop_end(emitter, &row_loop);
}

/* Where A begins: its panel, or each row; rows past the limit are the last one once more. */
static void find_rows(Tile *tile) {
  Emitter *emitter = tile->emitter;
  const Statement *statement = tile->statement;
  if (!statement->has_rows_in_place) {
    tile->a[0] = emit_uniform_address(emitter, statement->a_buffer, statement->a_indices);
    tile->a_stride = emitter->strides[statement->a_buffer][statement->a_depth_axis];
    return;
  }
  if (statement->row_scale_buffer != NONE) { /* there are rows for whole tiles */
    emitter->indices[statement->row_index] = tile->row0;
    tile->a[0] = emit_uniform_address(emitter, statement->a_buffer, statement->a_indices);
    tile->a_stride = emitter->strides[statement->a_buffer][statement->a_rank - 2];
    tile->row_scales = emit_uniform_address(emitter, statement->row_scale_buffer, statement->row_scale_indices);
    return;
  }
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef last = LLVMBuildNSWSub(emitter->builder, tile->row_limit, emit_constant(emitter, 1), "");
  for (int r = 0; r < tile->rows; r++) {
    LLVMValueRef row = LLVMBuildNSWAdd(emitter->builder, tile->row0, emit_constant(emitter, r), "");
    emitter->indices[statement->row_index] = emit_intrinsic(emitter, "llvm.smin", 1, &i64, 2, (LLVMValueRef[]){row, last});
    tile->a[r] = emit_uniform_address(emitter, statement->a_buffer, statement->a_indices);
  }
  tile->a_stride = emit_constant(emitter, 1);
}

/* Where the panel of B begins: among those packed once where there are any. */
static void find_panel(Tile *tile) {
  Emitter *emitter = tile->emitter;
  const Statement *statement = tile->statement;
  tile->b = emit_uniform_address(emitter, statement->b_buffer, statement->b_indices);
  tile->b_stride = emitter->strides[statement->b_buffer][statement->b_rank - 2];
  if (statement->scale_buffer != NONE) tile->scales = emit_uniform_address(emitter, statement->scale_buffer, statement->scale_indices);
  if (statement->packed_buffer == NONE) return;
  LLVMValueRef base = emitter->bases[statement->packed_buffer];
  LLVMValueRef is_given = LLVMBuildICmp(emitter->builder, LLVMIntNE, base, LLVMConstNull(LLVMTypeOf(base)), "");
  LLVMValueRef packed = emit_uniform_address(emitter, statement->packed_buffer, statement->packed_indices);
  tile->packed_format = emitter->kernel->buffers[statement->packed_buffer].format;
  if (tile->packed_format == PACKED_F32) {
    tile->b = LLVMBuildSelect(emitter->builder, is_given, packed, tile->b, "");
    return;
  }
  tile->packed = packed;
  tile->is_packed = is_given;
}

/* ---- without a way through memory */

/* The index moves along one axis only, and steadily; *out_axis: along which, NONE: none. */
static bool moves_steadily(const Statement *statement, IndexId index, int64_t *out_coefficient, int *out_axis) {
  *out_axis = NONE;
  for (int n = 0; n < statement->rank; n++) {
    Affine affine;
    if (!expr_uses_index(statement->indices[n], index)) continue;
    if (*out_axis != NONE || !expr_affine(statement->indices[n], &affine)) return false;
    *out_axis = n;
    *out_coefficient = affine_coefficient(&affine, false, index);
  }
  return true;
}

/* The target gets the sums as they are, or they are added to it. */
static bool is_plain(const Tile *tile) {
  const Statement *statement = tile->statement;
  int64_t step;
  int row, column;
  if (tile->packed || !moves_steadily(statement, statement->row_index, &step, &row) || row == NONE) return false;
  if (!moves_steadily(statement, statement->column_index, &step, &column) || column == NONE || step != 1) return false;
  const Expr *value = statement->value;
  if (!value) return true;
  bool is_same = value->op == OP_LOAD && value->id == statement->buffer && !value->guard;
  for (int n = 0; is_same && n < statement->rank; n++) is_same = expr_equal(value->args[n], statement->indices[n]);
  return is_same;
}

static LLVMValueRef first_of_row(const Tile *tile, LLVMValueRef row) {
  Emitter *emitter = tile->emitter;
  emitter->indices[tile->statement->row_index] = row;
  emitter->indices[tile->statement->column_index] = tile->column0;
  return emit_uniform_address(emitter, tile->statement->buffer, tile->statement->indices);
}

/* A whole tile goes straight to the target. */
static void emit_direct(const Tile *whole) {
  Tile tile = *whole;
  Emitter *emitter = tile.emitter;
  LLVMBuilderRef builder = emitter->builder;
  tile.adds = tile.statement->value != NULL;
  tile.out = first_of_row(&tile, tile.row0);
  LLVMValueRef next = first_of_row(&tile, row_at(&tile, emit_constant(emitter, 1)));
  tile.pitch = LLVMBuildPtrDiff2(builder, emitter->codegen->type_f32, next, tile.out, "");
  call_tile(&tile, tile.rows);
}

static LLVMValueRef is_whole(const Tile *tile) {
  Emitter *emitter = tile->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef rows = LLVMBuildNSWSub(builder, tile->row_limit, tile->row0, ""), columns = LLVMBuildNSWSub(builder, tile->column_limit, tile->column0, "");
  LLVMValueRef has_rows = LLVMBuildICmp(builder, LLVMIntSGE, rows, emit_constant(emitter, tile->rows), "");
  LLVMValueRef has_columns = LLVMBuildICmp(builder, LLVMIntSGE, columns, emit_constant(emitter, tile->vectors * emitter->lanes), "");
  return LLVMBuildAnd(builder, has_rows, has_columns, "");
}

void emit_tile(Emitter *emitter, const Statement *statement) {
  Tile tile = {.emitter = emitter, .statement = statement, .rows = statement->tile_rows, .vectors = statement->tile_vectors};
  if (tile.rows * tile.vectors > FLOW_CARRIED || tile.rows > MOST_ROWS) internal_error("a tile of %d by %d vectors", tile.rows, tile.vectors);
  tile.vector_type = emit_type(emitter, TYPE_REAL, true);
  find_panel(&tile);
  tile.row0 = emit_scalar(emitter, statement->row0);
  tile.column0 = emit_scalar(emitter, statement->column0);
  tile.row_limit = emit_scalar(emitter, statement->row_limit);
  tile.column_limit = emit_scalar(emitter, statement->column_limit);
  find_rows(&tile);
  BranchFlow branch = {.carried_count = 0};
  bool has_choice = is_plain(&tile);
  if (has_choice) {
    branch_begin(emitter, &branch, is_whole(&tile));
    emit_direct(&tile);
    branch_else(emitter, &branch);
  }
  emit_product(&tile);
  emit_results(&tile);
  if (has_choice) branch_end(emitter, &branch);
  emitter->indices[statement->row_index] = NULL;
  emitter->indices[statement->column_index] = NULL;
}
