/* lags.c - find what each result needs of the past and the future; decide what streams.
 *
 * Needs:  the batch axis; boundary tensors where a read can lie before the first step.
 * Leaves: on every result port `streams`, or why not and where.
 * Why:    a tensor exists step by step when it reads itself and others at the current step, at a bounded number of steps
 *         before, or, without time axis of its own, at the last steps. A read at t+1, over all of time, or at a fixed step
 *         does not let it, nor anything that depends on it.
 */
#include "passes/passes.h"
#include "passes/ranges.h"

typedef struct Lags {
  Program *program;
  SymbolId stream;
  const char **reason; /* by tensor; NULL: it streams */
  SourceRange *where;
  bool *is_final;      /* no time axis, but a value of the last steps */
  const Equation *equation;
  IndexId time;        /* of the target of the equation, or NONE */
  bool changed;
} Lags;

static int stream_axis(const Lags *lags, TensorId tensor) {
  const Tensor *t = &lags->program->tensors[tensor];
  for (int n = 0; n < t->rank; n++)
    if (t->shape[n].symbol == lags->stream) return n;
  return NONE;
}

static void refuse(Lags *lags, SourceRange where, const char *reason) {
  TensorId target = lags->equation->target;
  if (lags->reason[target]) return;
  lags->reason[target] = reason;
  lags->where[target] = where.file ? where : lags->equation->source;
  lags->changed = true;
}

static const char *tensor_name(const Lags *lags, TensorId tensor) { return lags->program->tensors[tensor].name; }

/* The read of a tensor with a time axis, by its index there. */
static void check_time(Lags *lags, const Expr *read, const Expr *index) {
  Arena *arena = lags->program->arena;
  Ranges ranges = program_ranges(lags->program);
  Affine affine;
  const char *name = tensor_name(lags, read->id);
  if (!expr_affine(index, &affine)) {
    refuse(lags, read->source, arena_format(arena, "'%s' is read at a step that is computed", name));
    return;
  }
  bool from_end = affine_coefficient(&affine, true, lags->stream) == 1;
  if (lags->time != NONE && affine_coefficient(&affine, false, lags->time) == 1 && !from_end) {
    const Expr *lag = expr_binary(arena, OP_SUB, expr_index(arena, lags->time), index);
    if (ranges_prove_at_least(&ranges, lag, 0)) return;
    refuse(lags, read->source, arena_format(arena, "'%s' looks ahead: it reads '%s' at a later step", tensor_name(lags, lags->equation->target), name));
    return;
  }
  bool is_last = from_end && (affine.term_count == 1 || lags->time == NONE) && affine.constant <= -1;
  if (is_last && lags->time == NONE) {
    if (!lags->is_final[lags->equation->target]) lags->is_final[lags->equation->target] = lags->changed = true;
    return;
  }
  if (lags->time == NONE && !from_end)
    refuse(lags, read->source, arena_format(arena, "'%s' needs the whole length: it reads '%s' at every step", tensor_name(lags, lags->equation->target), name));
  else if (affine.term_count == 0)
    refuse(lags, read->source, arena_format(arena, "'%s' is read at a fixed step", name));
  else
    refuse(lags, read->source, arena_format(arena, "'%s' looks ahead: it reads '%s' at other steps than its own", tensor_name(lags, lags->equation->target), name));
}

/* The axis of a boundary of the stream that counts steps before the first: what is read there is carried along. */
static int carried_axis(const Lags *lags, TensorId tensor) {
  const Tensor *t = &lags->program->tensors[tensor];
  bool is_before = t->boundary_of != NONE && !t->is_after;
  return is_before && stream_axis(lags, t->boundary_of) == t->boundary_axis ? 0 : NONE;
}

static void check_expr(Lags *lags, const Expr *expr) {
  if (!expr) return;
  if (expr->op == OP_SYMBOL && expr->id == lags->stream)
    refuse(lags, expr->source, arena_format(lags->program->arena, "'%s' depends on the length of the whole sequence", tensor_name(lags, lags->equation->target)));
  int axis = expr->op == OP_READ ? stream_axis(lags, expr->id) : NONE;
  int carried = expr->op == OP_READ ? carried_axis(lags, expr->id) : NONE;
  for (int n = 0; n < expr->arg_count; n++)
    if (n != axis && n != carried) check_expr(lags, expr->args[n]);
  check_expr(lags, expr->outside);
  if (expr->op != OP_READ) return;
  if (lags->reason[expr->id]) refuse(lags, lags->where[expr->id], lags->reason[expr->id]);
  if (axis != NONE) check_time(lags, expr, expr->args[axis]);
  if (!lags->is_final[expr->id]) return;
  if (lags->time != NONE)
    refuse(lags, expr->source, arena_format(lags->program->arena, "'%s' looks ahead: it reads '%s', a value of the last step",
                                            tensor_name(lags, lags->equation->target), tensor_name(lags, expr->id)));
  else if (!lags->is_final[lags->equation->target])
    lags->is_final[lags->equation->target] = lags->changed = true;
}

bool pass_lags(Program *program, PassContext *context) {
  (void)context;
  Lags lags = {.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  lags.reason = ARENA_ARRAY(program->arena, const char *, program->tensor_count);
  lags.where = ARENA_ARRAY(program->arena, SourceRange, program->tensor_count);
  lags.is_final = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  do {
    lags.changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      lags.equation = &program->equations[n];
      int axis = stream_axis(&lags, lags.equation->target);
      lags.time = axis == NONE ? NONE : lags.equation->indices[axis];
      check_expr(&lags, lags.equation->value);
      check_expr(&lags, lags.equation->guard);
      check_expr(&lags, lags.equation->body);
    }
  } while (lags.changed);
  for (int n = 0; n < program->port_count; n++) {
    Port *port = &program->ports[n];
    if (!port_is_result(port->kind)) continue;
    port->why_not = lags.reason[port->tensor];
    port->why_not_source = lags.where[port->tensor];
    port->streams = !port->why_not;
  }
  return true;
}

bool program_has_step(const Program *program, const Port **out_reason) {
  const Port *reason = NULL;
  int streaming = 0, outputs = 0;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->kind == PORT_FINAL_STATE && !port->streams) {
      *out_reason = port;
      return false;
    }
    if (port->kind != PORT_OUTPUT && port->kind != PORT_FINAL_STATE) continue;
    outputs++;
    if (port->streams)
      streaming++;
    else
      reason = port;
  }
  *out_reason = reason;
  return streaming > 0 || outputs == 0;
}
