/* reduce.c - reductions as nested loops that carry what was found so far.
 *
 * The innermost loop is taken in four strands with an accumulator each, as one would wait for the result of every addition.
 * With lanes each accumulator is a vector, and the last elements are masked. The order in which things are added depends
 * on the range alone, so results repeat.
 *
 * Several outputs can be found in one walk over the terms, with strands for each: what they share is loaded once.
 */
#include "codegen/flow.h"

enum { STRANDS = 4, STRAND_NODES = 12, MOST_CHAINS = 8 /* at least MOST_OUTPUTS */, TERMS_AHEAD = 16 };

typedef struct Reduction {
  Emitter *emitter;
  const Statement *statement;
  Type type;         /* of what is combined */
  bool has_lanes;    /* accumulators are vectors */
  const Outputs *outputs;
  int strands;
  int count;
  LLVMValueRef values[FLOW_CARRIED]; /* for each strand one of each output; argmax: the largest, where it is, whether there is one */
} Reduction;

/* ---- one term */

static LLVMValueRef as_wanted(Reduction *reduction, Value value) {
  return reduction->has_lanes ? emit_as_vector(reduction->emitter, value) : value.value;
}

static void take_where(Reduction *reduction, LLVMValueRef condition, int slot, LLVMValueRef value) {
  LLVMValueRef *place = &reduction->values[slot];
  *place = condition ? LLVMBuildSelect(reduction->emitter->builder, condition, value, *place, "") : value;
}

static void add_term(Reduction *reduction, int slot) {
  Emitter *emitter = reduction->emitter;
  LLVMBuilderRef builder = emitter->builder;
  LLVMValueRef mask = reduction->has_lanes ? emitter->mask : NULL;
  LLVMValueRef term = as_wanted(reduction, emit_expression(emitter, reduction->statement->reduce_body));
  if (reduction->statement->reduce != REDUCE_ARGMAX) {
    LLVMValueRef sum = emit_combine(emitter, reduction->statement->reduce, reduction->type, reduction->values[slot], term);
    take_where(reduction, mask, slot, sum);
    return;
  }
  LLVMValueRef is_larger = reduction->type == TYPE_REAL
                               ? LLVMBuildFCmp(builder, LLVMRealOGT, term, reduction->values[0], "")
                               : LLVMBuildICmp(builder, LLVMIntSGT, term, reduction->values[0], "");
  LLVMValueRef is_better = LLVMBuildOr(builder, is_larger, LLVMBuildNot(builder, reduction->values[2], ""), "");
  if (mask) is_better = LLVMBuildAnd(builder, is_better, mask, "");
  Value where = {emitter->indices[reduction->statement->reduce_indices[0]], false, TYPE_INT};
  take_where(reduction, is_better, 0, term);
  take_where(reduction, is_better, 1, as_wanted(reduction, where));
  reduction->values[2] = LLVMBuildOr(builder, reduction->values[2], is_better, "");
}

/* The body is computed only where the guard holds, or holds in some lane: its loads may be valid there only. */
static void add_guarded_term(Reduction *reduction, int slot) {
  Emitter *emitter = reduction->emitter;
  if (!reduction->statement->guard) {
    add_term(reduction, slot);
    return;
  }
  LLVMValueRef outer_mask = emitter->mask;
  Value guard = emit_expression(emitter, reduction->statement->guard);
  LLVMValueRef condition = guard.value;
  if (guard.is_vector) {
    emitter->mask = outer_mask ? LLVMBuildAnd(emitter->builder, outer_mask, guard.value, "") : guard.value;
    condition = emit_any_lane(emitter, emitter->mask);
  }
  BranchFlow branch = {.carried_count = reduction->count};
  memcpy(branch.carried, reduction->values, sizeof branch.carried);
  branch_begin(emitter, &branch, condition);
  add_term(reduction, slot);
  memcpy(branch.carried, reduction->values, sizeof branch.carried);
  branch_end(emitter, &branch);
  memcpy(reduction->values, branch.carried, sizeof branch.carried);
  emitter->mask = outer_mask;
}

static void enter_output(const Reduction *reduction, int output) {
  const Outputs *outputs = reduction->outputs;
  if (outputs->index != NONE) reduction->emitter->indices[outputs->index] = outputs->first[output];
}

static void prefetch_if_streamed(void *context, const Expr *expr) {
  const Reduction *reduction = context;
  const Statement *statement = reduction->statement;
  if (expr->op != OP_LOAD || expr->guard || !expr_uses_index(expr, reduction->outputs->index)) return;
  if (expr_uses_index(expr, statement->reduce_indices[statement->reduce_count - 1])) emit_prefetch_load(reduction->emitter, expr, FAR);
}

/* Rows of a matrix lie apart, and of each only a few lines are read: that is asked for in time, as the processor does not foresee it. */
static void prefetch_terms(Reduction *reduction) {
  Emitter *emitter = reduction->emitter;
  const Statement *statement = reduction->statement;
  IndexId term = statement->reduce_indices[statement->reduce_count - 1];
  LLVMValueRef now = emitter->indices[term];
  emitter->indices[term] = LLVMBuildNSWAdd(emitter->builder, now, emit_constant(emitter, TERMS_AHEAD), "");
  expr_visit(statement->reduce_body, prefetch_if_streamed, reduction);
  emitter->indices[term] = now;
}

/* A term of each output. */
static void add_terms(Reduction *reduction, int strand) {
  for (int n = 0; n < reduction->outputs->count; n++) {
    enter_output(reduction, n);
    if (reduction->outputs->count > 1) prefetch_terms(reduction);
    add_guarded_term(reduction, strand * reduction->outputs->count + n);
  }
}

/* ---- loops */

static LoopFlow begin_loop(Reduction *reduction, LLVMValueRef low, LLVMValueRef high, int64_t step) {
  LoopFlow loop = {.carried_count = reduction->count};
  memcpy(loop.carried, reduction->values, sizeof loop.carried);
  loop_begin(reduction->emitter, &loop, low, high, emit_constant(reduction->emitter, step));
  memcpy(reduction->values, loop.carried, sizeof loop.carried);
  return loop;
}

static void end_loop(Reduction *reduction, LoopFlow *loop) {
  memcpy(loop->carried, reduction->values, sizeof loop->carried);
  loop_end(reduction->emitter, loop);
  memcpy(reduction->values, loop->carried, sizeof loop->carried);
}

/* One element, or as many as there are lanes; `high` masks those past the end. */
static void add_unit(Reduction *reduction, IndexId index, LLVMValueRef first, LLVMValueRef high, int strand) {
  Emitter *emitter = reduction->emitter;
  if (reduction->statement->is_vector) {
    emit_enter_lanes(emitter, index, first, high);
    add_terms(reduction, strand);
    emit_leave_lanes(emitter);
  } else {
    emitter->indices[index] = first;
    add_terms(reduction, strand);
  }
}

/* The largest multiple of `step` elements after `low`. */
static LLVMValueRef whole_steps(Emitter *emitter, LLVMValueRef low, LLVMValueRef high, int64_t step) {
  LLVMTypeRef i64 = emitter->codegen->type_i64;
  LLVMValueRef count = LLVMBuildNSWSub(emitter->builder, high, low, "");
  count = emit_intrinsic(emitter, "llvm.smax", 1, &i64, 2, (LLVMValueRef[]){count, emit_constant(emitter, 0)});
  return LLVMBuildNSWAdd(emitter->builder, low, LLVMBuildAnd(emitter->builder, count, emit_constant(emitter, -step), ""), "");
}

/* As many units at a time as there are strands, then one at a time, then what is less than a unit. */
static void reduce_innermost(Reduction *reduction, IndexId index, LLVMValueRef low, LLVMValueRef high) {
  Emitter *emitter = reduction->emitter;
  int64_t unit = reduction->statement->is_vector ? emitter->lanes : 1;
  LLVMValueRef start = low;
  if (reduction->strands > 1) {
    LLVMValueRef stop = whole_steps(emitter, start, high, unit * reduction->strands);
    LoopFlow loop = begin_loop(reduction, start, stop, unit * reduction->strands);
    for (int strand = 0; strand < reduction->strands; strand++) {
      LLVMValueRef first = LLVMBuildNSWAdd(emitter->builder, loop.index, emit_constant(emitter, strand * unit), "");
      add_unit(reduction, index, first, NULL, strand);
    }
    end_loop(reduction, &loop);
    start = stop;
  }
  LLVMValueRef stop = whole_steps(emitter, start, high, unit);
  LoopFlow loop = begin_loop(reduction, start, stop, unit);
  add_unit(reduction, index, loop.index, NULL, 0);
  end_loop(reduction, &loop);
  if (unit == 1) return;
  BranchFlow branch = {.carried_count = reduction->count};
  memcpy(branch.carried, reduction->values, sizeof branch.carried);
  branch_begin(emitter, &branch, LLVMBuildICmp(emitter->builder, LLVMIntSLT, stop, high, ""));
  add_unit(reduction, index, stop, high, 0);
  memcpy(branch.carried, reduction->values, sizeof branch.carried);
  branch_end(emitter, &branch);
  memcpy(reduction->values, branch.carried, sizeof branch.carried);
}

static LLVMValueRef emit_size(Emitter *emitter, Size size) {
  LLVMValueRef constant = emit_constant(emitter, size.constant);
  return size.symbol == NONE ? constant : LLVMBuildNSWAdd(emitter->builder, emit_symbol(emitter, size.symbol), constant, "");
}

static void reduce_nest(Reduction *reduction, int depth) {
  Emitter *emitter = reduction->emitter;
  const Statement *statement = reduction->statement;
  if (depth == statement->reduce_count) { /* no index at all: the one term */
    add_terms(reduction, 0);
    return;
  }
  IndexId index = statement->reduce_indices[depth];
  const Index *range = &emitter->kernel->indices[index];
  bool is_innermost = depth == statement->reduce_count - 1;
  LLVMValueRef low = is_innermost && statement->low ? emit_scalar(emitter, statement->low) : emit_size(emitter, range->low);
  LLVMValueRef high = is_innermost && statement->high ? emit_scalar(emitter, statement->high) : emit_size(emitter, range->high);
  if (is_innermost) {
    reduce_innermost(reduction, index, low, high);
  } else {
    LoopFlow loop = begin_loop(reduction, low, high, 1);
    emitter->indices[index] = loop.index;
    reduce_nest(reduction, depth + 1);
    end_loop(reduction, &loop);
  }
  emitter->indices[index] = NULL;
}

/* ---- the whole */

static void prepare(Reduction *reduction) {
  Emitter *emitter = reduction->emitter;
  const Statement *statement = reduction->statement;
  bool is_argmax = statement->reduce == REDUCE_ARGMAX;
  LLVMValueRef identity = emit_identity(emitter, is_argmax ? REDUCE_MAX : statement->reduce, reduction->type, reduction->has_lanes);
  if (is_argmax) {
    reduction->values[0] = identity;
    reduction->values[1] = LLVMConstNull(emit_type(emitter, TYPE_INT, reduction->has_lanes));
    reduction->values[2] = LLVMConstNull(emit_type(emitter, TYPE_BOOL, reduction->has_lanes));
    reduction->count = 3;
    reduction->strands = 1;
    return;
  }
  int outputs = reduction->outputs->count;
  reduction->strands = !emit_has_strands(emitter, statement) ? 1 : outputs * STRANDS <= MOST_CHAINS ? STRANDS : MOST_CHAINS / outputs;
  reduction->count = reduction->strands * outputs;
  for (int n = 0; n < reduction->count; n++) reduction->values[n] = identity;
}

bool emit_has_strands(const Emitter *emitter, const Statement *statement) {
  bool is_cheap = !statement->guard && statement->reduce_count > 0 && emit_is_small(statement->reduce_body, STRAND_NODES);
  if (!is_cheap || statement->reduce == REDUCE_ARGMAX) return false;
  /* and long enough for a turn of all strands */
  const Index *innermost = &emitter->kernel->indices[statement->reduce_indices[statement->reduce_count - 1]];
  int64_t unit = statement->is_vector ? emitter->lanes : 1;
  bool is_known = innermost->low.symbol == innermost->high.symbol && !statement->low;
  return !is_known || innermost->high.constant - innermost->low.constant >= STRANDS * unit;
}

/* Strand with strand, then lane with lane. */
static LLVMValueRef gather_strands(Reduction *reduction, int output) {
  Emitter *emitter = reduction->emitter;
  ReduceOp op = reduction->statement->reduce;
  int outputs = reduction->outputs->count;
  LLVMValueRef *values = reduction->values + output;
  if (op == REDUCE_ARGMAX) return reduction->values[1];
  for (int width = reduction->strands; width > 1; width /= 2)
    for (int n = 0; n < width / 2; n++)
      values[n * outputs] = emit_combine(emitter, op, reduction->type, values[n * outputs], values[(n + width / 2) * outputs]);
  if (!reduction->statement->is_vector) return values[0];
  return emit_horizontal(emitter, op, reduction->type, values[0]);
}

static Value combine_value(Emitter *emitter, const Statement *statement, Type type, Value result) {
  if (!statement->value) return result;
  Value value = emit_expression(emitter, statement->value);
  bool is_vector = result.is_vector || value.is_vector;
  LLVMValueRef left = is_vector ? emit_as_vector(emitter, value) : value.value;
  LLVMValueRef right = is_vector ? emit_as_vector(emitter, result) : result.value;
  return (Value){emit_combine(emitter, statement->reduce, type, left, right), is_vector, result.type};
}

void emit_reduce_outputs(Emitter *emitter, const Statement *statement, const Outputs *outputs, Value *out_results) {
  Statement scalar = *statement;
  bool is_argmax = statement->reduce == REDUCE_ARGMAX;
  scalar.is_vector = statement->is_vector && !is_argmax && statement->reduce_count > 0;
  bool is_varying = emit_is_varying(emitter, statement->reduce_body) || emit_is_varying(emitter, statement->guard);
  Reduction reduction = {.emitter = emitter, .statement = &scalar, .type = statement->reduce_body->type,
                         .has_lanes = scalar.is_vector || is_varying, .outputs = outputs};
  prepare(&reduction);
  reduce_nest(&reduction, 0);
  for (int n = 0; n < outputs->count; n++) {
    enter_output(&reduction, n);
    Value result = {gather_strands(&reduction, n), is_varying, is_argmax ? TYPE_INT : reduction.type};
    out_results[n] = combine_value(emitter, statement, reduction.type, result);
  }
}

void emit_reduce(Emitter *emitter, const Statement *statement) {
  Outputs one = {.index = NONE, .count = 1};
  emit_reduce_outputs(emitter, statement, &one, &emitter->locals[statement->local]);
}
