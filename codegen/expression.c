/* expression.c - expressions as straight-line code: nothing here branches, so an arm that is not chosen is computed too.
 *
 * The nodes of one expression are remembered while it is emitted, as subtrees are shared; what different expressions
 * have in common is left to LLVM.
 */
#include "codegen/emit.h"

typedef struct VaryingSearch {
  const Emitter *emitter;
  bool is_varying;
} VaryingSearch;

static void look_for_lanes(void *context, const Expr *expr) {
  VaryingSearch *search = context;
  const Emitter *emitter = search->emitter;
  if (expr->op == OP_INDEX && expr->id == emitter->vector_index) search->is_varying = true;
  if (expr->op == OP_LOCAL && emitter->locals[expr->id].is_vector) search->is_varying = true;
}

bool emit_is_varying(const Emitter *emitter, const Expr *expr) {
  if (emitter->vector_index == NONE || !expr) return false;
  if (!expr->arg_count) {
    VaryingSearch leaf = {emitter, false};
    look_for_lanes(&leaf, expr);
    return leaf.is_varying;
  }
  VaryingSearch search = {emitter, false};
  expr_visit(expr, look_for_lanes, &search);
  return search.is_varying;
}

bool emit_lane_growth(const Emitter *emitter, const Expr *expr, int64_t *out_growth) {
  *out_growth = 0;
  if (!emit_is_varying(emitter, expr)) return true;
  int64_t left, right;
  switch (expr->op) {
  case OP_INDEX: *out_growth = 1; return true;
  case OP_ADD:
  case OP_SUB:
    if (!emit_lane_growth(emitter, expr->args[0], &left) || !emit_lane_growth(emitter, expr->args[1], &right)) return false;
    *out_growth = expr->op == OP_ADD ? left + right : left - right;
    return true;
  case OP_MUL:
    for (int n = 0; n < 2; n++) {
      if (expr->args[n]->op != OP_INTEGER || !emit_lane_growth(emitter, expr->args[1 - n], &left)) continue;
      *out_growth = left * expr->args[n]->integer;
      return true;
    }
    return false;
  default: return false;
  }
}

int64_t emit_constant_count(const Expr *low, const Expr *high) {
  Affine from, to;
  if (!expr_affine(low, &from) || !expr_affine(high, &to) || from.term_count != to.term_count) return NONE;
  for (int n = 0; n < from.term_count; n++)
    if (affine_coefficient(&to, from.terms[n].is_symbol, from.terms[n].id) != from.terms[n].coefficient) return NONE;
  return to.constant > from.constant ? to.constant - from.constant : 0;
}

static void count_node(void *context, const Expr *expr) {
  int *count = context;
  bool is_leaf = op_table[expr->op].arity < 0 && expr->op != OP_LOAD;
  if (!is_leaf) *count += op_table[expr->op].flags & FLAG_COSTLY ? 16 : 1;
}

int emit_node_count(const Expr *expr) {
  int count = 0;
  if (expr) expr_visit(expr, count_node, &count);
  return count;
}

bool emit_is_small(const Expr *expr, int limit) { return emit_node_count(expr) <= limit; }

/* log1p(exp(x)) in one, where x <= 0. */
static bool is_log1p_of_exp(const Expr *expr) {
  return expr->op == OP_LOG1P && expr->args[0]->op == OP_EXP && expr_is_at_most_zero(expr->args[0]->args[0]);
}

static Value emit_node(Emitter *emitter, const Expr *expr) {
  const Codegen *codegen = emitter->codegen;
  Value args[3];
  switch (expr->op) {
  case OP_NUMBER: return (Value){LLVMConstReal(codegen->type_f32, expr->number), false, TYPE_REAL};
  case OP_INTEGER: return (Value){emit_constant(emitter, expr->integer), false, TYPE_INT};
  case OP_BOOLEAN: return (Value){LLVMConstInt(codegen->type_i1, expr->integer != 0, false), false, TYPE_BOOL};
  case OP_SYMBOL: return (Value){emit_symbol(emitter, expr->id), false, TYPE_INT};
  case OP_INDEX: {
    LLVMValueRef index = emitter->indices[expr->id];
    if (!index) internal_error("index '%s' is used outside of its loop", emitter->kernel->indices[expr->id].name);
    if (expr->id != emitter->vector_index || emitter->is_first_lane) return (Value){index, false, TYPE_INT};
    LLVMValueRef lanes = LLVMBuildNSWAdd(emitter->builder, emit_broadcast(emitter, index), emitter->lane_numbers, "");
    return (Value){lanes, true, TYPE_INT};
  }
  case OP_LOCAL:
    if (!emitter->locals[expr->id].value) internal_error("'%s' is used before its let", emitter->kernel->locals[expr->id].name);
    return emitter->locals[expr->id];
  case OP_GIVEN: {
    LLVMValueRef is_given = LLVMBuildIsNotNull(emitter->builder, emitter->bases[expr->id], "");
    return (Value){is_given, false, TYPE_BOOL};
  }
  case OP_LOAD: return emit_load(emitter, expr);
  default: break;
  }
  if (is_log1p_of_exp(expr)) {
    args[0] = emit_part(emitter, expr->args[0]->args[0]);
    return (Value){emit_log1p_of_exp(emitter, args[0].value), args[0].is_vector, TYPE_REAL};
  }
  if (op_table[expr->op].arity < 0) internal_error("no code for '%s'", op_table[expr->op].text);
  for (int n = 0; n < expr->arg_count; n++) args[n] = emit_part(emitter, expr->args[n]);
  return emit_operation(emitter, expr, args);
}

Value emit_part(Emitter *emitter, const Expr *expr) {
  const void *mode = emitter->is_first_lane ? emitter : NULL, *known;
  if (pair_map_find(emitter->memo, expr, mode, &known)) return *(const Value *)known;
  debug_lines_at(emitter, expr->source);
  Value value = emit_node(emitter, expr);
  pair_map_add(emitter->memo, expr, mode, arena_copy(emitter->codegen->arena, &value, sizeof value));
  return value;
}

LLVMValueRef emit_first_lane(Emitter *emitter, const Expr *expr) {
  bool was_first_lane = emitter->is_first_lane;
  emitter->is_first_lane = true;
  Value value = emit_part(emitter, expr);
  emitter->is_first_lane = was_first_lane;
  return value.value;
}

Value emit_expression(Emitter *emitter, const Expr *expr) {
  PairMap memo, *outer = emitter->memo;
  pair_map_begin(&memo);
  emitter->memo = &memo;
  Value value = emit_part(emitter, expr);
  emitter->memo = outer;
  pair_map_end(&memo);
  return value;
}

LLVMValueRef emit_scalar(Emitter *emitter, const Expr *expr) {
  Value value = emit_expression(emitter, expr);
  if (value.is_vector) internal_error("a value of the kernel's control flow differs between lanes");
  return value.value;
}
