/* interpret_expr.c - expressions in double precision, for many values of one index at once.
 *
 * Each expression is copied into nodes that own the memory of their results, with symbols put in and affine indices taken
 * apart, so that the inner loops of reductions run over plain arrays. What is lazy stays lazy: the arms of a select
 * and the value outside of a tensor are evaluated for those lanes only that need them.
 */
#include <math.h>

#include "ir/interpret_internal.h"

/* ---- nodes ---- */

static void read_axis_create(Interpreter *interpreter, const Expr *index, IndexId lane, int component, ReadAxis *out_axis) {
  Affine affine;
  if (!expr_affine(index, &affine)) {
    out_axis->node = node_create(interpreter, index, lane, component);
    return;
  }
  out_axis->constant = affine.constant;
  for (int i = 0; i < affine.term_count; i++) {
    const struct AffineTerm *term = &affine.terms[i];
    if (term->is_symbol) {
      out_axis->constant += term->coefficient * interpreter->shared.symbols[term->id];
    } else if (term->id == lane) {
      out_axis->lane_coefficient += term->coefficient;
    } else {
      out_axis->terms[out_axis->term_count].index = term->id;
      out_axis->terms[out_axis->term_count++].coefficient = term->coefficient;
    }
  }
}

static void node_create_read(Interpreter *interpreter, Node *node, const Expr *expr, IndexId lane, int component) {
  Arena *arena = interpreter->arena;
  const TensorState *tensor = &interpreter->tensors[expr->id];
  NodeRead *read = node->read = ARENA_NEW(arena, NodeRead);
  read->expr = expr;
  read->tensor = expr->id;
  read->is_in_cycle = tensor->is_cyclic && tensor->component == component;
  read->rank = expr->arg_count;
  read->axes = ARENA_ARRAY(arena, ReadAxis, read->rank);
  int64_t stride = 1;
  for (int axis = read->rank - 1; axis >= 0; axis--) {
    ReadAxis *place = &read->axes[axis];
    read_axis_create(interpreter, expr->args[axis], lane, component, place);
    place->extent = tensor->shape[axis];
    place->stride = stride;
    stride *= place->extent;
    node->varies |= place->node ? place->node->varies : place->lane_coefficient != 0;
  }
  if (expr->outside) {
    read->outside = node_create(interpreter, expr->outside, lane, component);
    node->varies |= read->outside->varies;
    node->subsets = ARENA_ARRAY(arena, LaneSubset, 2);
  }
}

static void node_fill(Node *node, double value, int count) {
  for (int i = 0; i < count; i++) node->values[i] = value;
}

Node *node_create(Interpreter *interpreter, const Expr *expr, IndexId lane, int component) {
  Node *node = ARENA_NEW(interpreter->arena, Node);
  node->op = expr->op;
  node->index = NONE;
  switch (expr->op) {
  case OP_NUMBER: node_fill(node, expr->number, LANE_LIMIT); return node;
  case OP_INTEGER:
  case OP_BOOLEAN: node_fill(node, (double)expr->integer, LANE_LIMIT); return node;
  case OP_SYMBOL: node_fill(node, (double)interpreter->shared.symbols[expr->id], LANE_LIMIT); return node;
  case OP_INDEX:
    node->index = expr->id;
    node->varies = expr->id == lane;
    return node;
  case OP_READ: node_create_read(interpreter, node, expr, lane, component); return node;
  default: break;
  }
  node->arg_count = expr->arg_count;
  node->args = ARENA_ARRAY(interpreter->arena, Node *, expr->arg_count);
  for (int i = 0; i < expr->arg_count; i++) {
    node->args[i] = node_create(interpreter, expr->args[i], lane, component);
    node->varies |= node->args[i]->varies;
  }
  if (expr->op == OP_SELECT) node->subsets = ARENA_ARRAY(interpreter->arena, LaneSubset, 2);
  return node;
}

/* ---- subsets of lanes ---- */

static void subset_add(LaneSubset *subset, const Lanes *lanes, int position) {
  subset->positions[subset->count] = position;
  subset->values[subset->count++] = lanes->values[position];
}

static Lanes subset_lanes(const LaneSubset *subset) {
  int count = subset->count;
  return (Lanes){count, subset->values[count - 1] - subset->values[0] == count - 1, subset->values};
}

static bool evaluate_subset(Interpreter *interpreter, Node *node, const LaneSubset *subset, double *out_values) {
  Lanes lanes = subset_lanes(subset);
  const double *values = node_evaluate(interpreter, node, &lanes);
  if (!values) return false;
  for (int i = 0; i < subset->count; i++) out_values[subset->positions[i]] = values[i];
  return true;
}

/* ---- reads ---- */

static int64_t axis_base(const Interpreter *interpreter, const ReadAxis *axis) {
  int64_t base = axis->constant;
  for (int i = 0; i < axis->term_count; i++) base += axis->terms[i].coefficient * interpreter->index_values[axis->terms[i].index];
  return base;
}

static bool is_inside(int64_t position, const ReadAxis *axis) { return position >= 0 && position < axis->extent; }

/* Every position affine and inside: one base and one stride. */
static bool read_is_simple(const Interpreter *interpreter, const NodeRead *read, const Lanes *lanes, int64_t *out_base,
                           int64_t *out_stride) {
  int64_t first = lanes->values[0], last = lanes->values[lanes->count - 1];
  int64_t offset = 0, stride = 0;
  for (int i = 0; i < read->rank; i++) {
    const ReadAxis *axis = &read->axes[i];
    if (axis->node) return false;
    int64_t base = axis_base(interpreter, axis);
    if (!is_inside(base + axis->lane_coefficient * first, axis)) return false;
    if (!is_inside(base + axis->lane_coefficient * last, axis)) return false;
    offset += base * axis->stride;
    stride += axis->lane_coefficient * axis->stride;
  }
  *out_base = offset;
  *out_stride = stride;
  return true;
}

/* Adds the position along one axis to the offsets; a lane outside gets offset -1. */
static bool add_axis_offsets(Interpreter *interpreter, NodeRead *read, int axis_number, const Lanes *lanes) {
  const ReadAxis *axis = &read->axes[axis_number];
  const double *positions = NULL;
  int64_t base = 0;
  if (axis->node) {
    positions = node_evaluate(interpreter, axis->node, lanes);
    if (!positions) return false;
  } else {
    base = axis_base(interpreter, axis);
  }
  for (int i = 0; i < lanes->count; i++) {
    if (read->offsets[i] < 0) continue;
    /* Compared as double first: a huge or undefined position has no integer value. */
    double position = positions ? positions[i] : (double)(base + axis->lane_coefficient * lanes->values[i]);
    if (position >= 0 && position < (double)axis->extent) {
      read->offsets[i] += (int64_t)position * axis->stride;
    } else if (read->outside) {
      read->offsets[i] = -1;
    } else {
      interpreter_fail(interpreter, read->expr->source,
                       "index %.0f of axis %d of '%s' is out of range: expected 0 <= index < %lld", position, axis_number,
                       interpreter->shared.program->tensors[read->tensor].name, (long long)axis->extent);
      return false;
    }
  }
  return true;
}

/* Requests what is missing; all lanes need their element, so all of them are asked for at once. */
static bool elements_are_done(Interpreter *interpreter, const NodeRead *read, const int64_t *offsets, int64_t base,
                              int64_t stride, const Lanes *lanes) {
  const uint8_t *states = interpreter->tensors[read->tensor].states;
  bool is_done = true;
  for (int i = 0; i < lanes->count; i++) {
    int64_t offset = offsets ? offsets[i] : base + stride * lanes->values[i];
    if (offset < 0 || states[offset] == ELEMENT_DONE) continue;
    is_done = false;
    if (!request_element(interpreter, read->tensor, offset)) return false;
  }
  return is_done;
}

static bool read_is_ready(Interpreter *interpreter, const NodeRead *read, const int64_t *offsets, int64_t base, int64_t stride,
                          const Lanes *lanes) {
  if (interpreter->tensors[read->tensor].is_complete) return true;
  if (read->is_in_cycle) return elements_are_done(interpreter, read, offsets, base, stride, lanes);
  request_all(interpreter, read->tensor);
  return false;
}

static const double *read_simple(Interpreter *interpreter, Node *node, int64_t base, int64_t stride, const Lanes *lanes) {
  if (!read_is_ready(interpreter, node->read, NULL, base, stride, lanes)) return NULL;
  const double *data = interpreter->shared.values[node->read->tensor];
  if (lanes->is_contiguous) {
    data += base + stride * lanes->values[0];
    if (stride == 1) return data;
    for (int i = 0; i < lanes->count; i++) node->values[i] = data[stride * i];
  } else {
    for (int i = 0; i < lanes->count; i++) node->values[i] = data[base + stride * lanes->values[i]];
  }
  return node->values;
}

static const double *evaluate_read(Interpreter *interpreter, Node *node, const Lanes *lanes) {
  NodeRead *read = node->read;
  int64_t base, stride;
  if (read_is_simple(interpreter, read, lanes, &base, &stride)) return read_simple(interpreter, node, base, stride, lanes);
  for (int i = 0; i < lanes->count; i++) read->offsets[i] = 0;
  for (int axis = 0; axis < read->rank; axis++)
    if (!add_axis_offsets(interpreter, read, axis, lanes)) return NULL;
  LaneSubset *outside = NULL;
  bool has_inside = !read->outside;
  if (read->outside) {
    outside = &node->subsets[0];
    outside->count = 0;
    for (int i = 0; i < lanes->count; i++) {
      if (read->offsets[i] < 0) subset_add(outside, lanes, i);
    }
    has_inside = outside->count < lanes->count;
  }
  if (has_inside && !read_is_ready(interpreter, read, read->offsets, 0, 0, lanes)) return NULL;
  if (has_inside) {
    const double *data = interpreter->shared.values[read->tensor];
    for (int i = 0; i < lanes->count; i++)
      if (read->offsets[i] >= 0) node->values[i] = data[read->offsets[i]];
  }
  if (outside && outside->count && !evaluate_subset(interpreter, read->outside, outside, node->values)) return NULL;
  return node->values;
}

/* ---- operations ---- */

static const double *evaluate_select(Interpreter *interpreter, Node *node, const Lanes *lanes) {
  const double *condition = node_evaluate(interpreter, node->args[0], lanes);
  if (!condition) return NULL;
  LaneSubset *when_true = &node->subsets[0], *when_false = &node->subsets[1];
  when_true->count = when_false->count = 0;
  for (int i = 0; i < lanes->count; i++) subset_add(condition[i] != 0 ? when_true : when_false, lanes, i);
  if (!when_false->count) return node_evaluate(interpreter, node->args[1], lanes);
  if (!when_true->count) return node_evaluate(interpreter, node->args[2], lanes);
  if (!evaluate_subset(interpreter, node->args[1], when_true, node->values)) return NULL;
  if (!evaluate_subset(interpreter, node->args[2], when_false, node->values)) return NULL;
  return node->values;
}

#define FOR_LANES(result)                                     \
  for (int i = 0; i < count; i++) node->values[i] = (result); \
  return node->values

static const double *apply_unary(Interpreter *interpreter, Node *node, int count, const double *a) {
  switch (node->op) {
  case OP_NEG: FOR_LANES(-a[i]);
  case OP_ABS: FOR_LANES(fabs(a[i]));
  case OP_SIGN: FOR_LANES((double)((a[i] > 0) - (a[i] < 0)));
  case OP_FLOOR: FOR_LANES(floor(a[i]));
  case OP_SQRT: FOR_LANES(sqrt(a[i]));
  case OP_EXP: FOR_LANES(exp(a[i]));
  case OP_EXP2: FOR_LANES(exp2(a[i]));
  case OP_EXPM1: FOR_LANES(expm1(a[i]));
  case OP_LOG: FOR_LANES(log(a[i]));
  case OP_LOG1P: FOR_LANES(log1p(a[i]));
  case OP_TANH: FOR_LANES(tanh(a[i]));
  case OP_SIGMOID: FOR_LANES(1 / (1 + exp(-a[i])));
  case OP_SIN: FOR_LANES(sin(a[i]));
  case OP_COS: FOR_LANES(cos(a[i]));
  case OP_ERF: FOR_LANES(erf(a[i]));
  case OP_NOT: FOR_LANES(a[i] == 0 ? 1.0 : 0.0);
  case OP_TO_INT: FOR_LANES(trunc(a[i]));
  case OP_TO_REAL:
  case OP_STOP_GRADIENT: return a;
  default:
    internal_error("interpreter: operation '%s' is not part of equations (in %s)", op_table[node->op].text,
                   element_text(interpreter, interpreter->current.tensor, interpreter->current.element));
  }
}

static const double *apply_quotient(Interpreter *interpreter, Node *node, int count, const double *a, const double *b) {
  for (int i = 0; i < count; i++) {
    if (b[i] == 0) {
      interpreter_fail(interpreter, (SourceRange){0}, "%s of %.0f by zero", op_table[node->op].text, a[i]);
      return NULL;
    }
    double quotient = floor(a[i] / b[i]);
    node->values[i] = node->op == OP_QUOTIENT ? quotient : a[i] - quotient * b[i];
  }
  return node->values;
}

#define FOR_LANES_TEST(test) FOR_LANES((test) ? 1.0 : 0.0)

static const double *apply_binary(Interpreter *interpreter, Node *node, int count, const double *a, const double *b) {
  switch (node->op) {
  case OP_ADD: FOR_LANES(a[i] + b[i]);
  case OP_SUB: FOR_LANES(a[i] - b[i]);
  case OP_MUL: FOR_LANES(a[i] * b[i]);
  case OP_DIV: FOR_LANES(a[i] / b[i]);
  case OP_QUOTIENT:
  case OP_REMAINDER: return apply_quotient(interpreter, node, count, a, b);
  case OP_MIN: FOR_LANES(b[i] < a[i] ? b[i] : a[i]);
  case OP_MAX: FOR_LANES(b[i] > a[i] ? b[i] : a[i]);
  case OP_POW: FOR_LANES(pow(a[i], b[i]));
  case OP_LT: FOR_LANES_TEST(a[i] < b[i]);
  case OP_LE: FOR_LANES_TEST(a[i] <= b[i]);
  case OP_GT: FOR_LANES_TEST(a[i] > b[i]);
  case OP_GE: FOR_LANES_TEST(a[i] >= b[i]);
  case OP_EQ: FOR_LANES_TEST(a[i] == b[i]);
  case OP_NE: FOR_LANES_TEST(a[i] != b[i]);
  case OP_AND: FOR_LANES_TEST(a[i] != 0 && b[i] != 0);
  case OP_OR: FOR_LANES_TEST(a[i] != 0 || b[i] != 0);
  default:
    internal_error("interpreter: operation '%s' is not part of equations (in %s)", op_table[node->op].text,
                   element_text(interpreter, interpreter->current.tensor, interpreter->current.element));
  }
}

static const double *evaluate_varying(Interpreter *interpreter, Node *node, const Lanes *lanes) {
  switch (node->op) {
  case OP_INDEX:
    for (int i = 0; i < lanes->count; i++)
      node->values[i] = (double)(node->varies ? lanes->values[i] : interpreter->index_values[node->index]);
    return node->values;
  case OP_READ: return evaluate_read(interpreter, node, lanes);
  case OP_SELECT: return evaluate_select(interpreter, node, lanes);
  default: break;
  }
  const double *a = node_evaluate(interpreter, node->args[0], lanes);
  if (!a) return NULL;
  if (node->arg_count == 1) return apply_unary(interpreter, node, lanes->count, a);
  const double *b = node_evaluate(interpreter, node->args[1], lanes);
  if (!b) return NULL;
  return apply_binary(interpreter, node, lanes->count, a, b);
}

const double *node_evaluate(Interpreter *interpreter, Node *node, const Lanes *lanes) {
  switch (node->op) {
  case OP_NUMBER:
  case OP_INTEGER:
  case OP_BOOLEAN:
  case OP_SYMBOL: return node->values;
  default: break;
  }
  if (node->varies || lanes->count == 1) return evaluate_varying(interpreter, node, lanes);
  Lanes first = {1, true, lanes->values};
  const double *value = evaluate_varying(interpreter, node, &first);
  if (!value) return NULL;
  node_fill(node, *value, lanes->count);
  return node->values;
}
