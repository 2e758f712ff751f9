/* reach.c - let a read at an earlier step, which a condition keeps inside of the sequence, reach back before this call.
 *
 * Needs:  the program as its author wrote it, with absolute positions; `streams` on the ports.
 * Leaves: where chunk and step exist, every read at a lag that could lie before the first step of the call takes it from a
 *         boundary tensor: x[t - 2] under `t >= 2` became x[t - 2 else x.before[t]].
 * Why:    the condition counts from the first step of all, so it holds in a later call too, for steps that call does not have.
 */
#include "passes/passes.h"
#include "passes/times.h"
#include "passes/ranges.h"

typedef struct Reach {
  Program *program;
  const Times *times;
  int known;        /* tensors the times know */
  IndexId time;     /* of the equation at hand */
  int64_t *slots;   /* by tensor: how far a read without boundary reaches back */
  TensorId *source, *before; /* by tensor: what such reads take instead, and its boundary */
} Reach;

/* How many steps before the first the read can lie; 0: none, it has a boundary, or it is no read at a lag. */
static int64_t reach_of(const Reach *reach, const Expr *expr) {
  if (expr->op != OP_READ || expr->outside || expr->id >= reach->known || reach->time == NONE || reach->times->axis[expr->id] == NONE) return 0;
  const Program *program = reach->program;
  Affine affine;
  if (!expr_affine(expr->args[reach->times->axis[expr->id]], &affine) || affine_coefficient(&affine, false, reach->time) != 1) return 0;
  int64_t least = affine.constant; /* at the first step */
  for (int n = 0; n < affine.term_count; n++) {
    int64_t coefficient = affine.terms[n].coefficient;
    if (!affine.terms[n].is_symbol && affine.terms[n].id == reach->time) continue;
    if (affine.terms[n].is_symbol) return 0;
    const Index *index = &program->indices[affine.terms[n].id];
    Size bound = coefficient > 0 ? index->low : index->high;
    if (bound.symbol != NONE) return 0; /* at any step so far */
    least += coefficient * (bound.constant - (coefficient < 0));
  }
  return least < 0 ? -least : 0;
}

static void note_reach(void *context, const Expr *expr) {
  Reach *reach = context;
  int64_t slots = reach_of(reach, expr);
  if (slots > 0 && slots > reach->slots[expr->id]) reach->slots[expr->id] = slots;
}

static const Expr *take_boundary(void *context, const Expr *expr) {
  Reach *reach = context;
  if (!reach_of(reach, expr)) return expr;
  Program *program = reach->program;
  int axis = reach->times->axis[expr->id];
  const Expr **places = ARENA_ARRAY(program->arena, const Expr *, expr->arg_count);
  for (int n = 0, next = 1; n < expr->arg_count; n++)
    if (n != axis) places[next++] = expr->args[n];
  places[0] = expr_binary(program->arena, OP_ADD, expr->args[axis], expr_integer(program->arena, reach->slots[expr->id]));
  const Expr *before = program_read(program, reach->before[expr->id], places, NULL);
  return expr_with_source(program->arena, program_read(program, reach->source[expr->id], expr->args, before), expr->source);
}

static bool has_boundary(const Program *program, TensorId tensor, int axis) {
  for (int n = 0; n < program->tensor_count; n++)
    if (program->tensors[n].boundary_of == tensor && program->tensors[n].boundary_axis == axis && !program->tensors[n].is_after) return true;
  return false;
}

/* One that has a boundary already is read through a copy with one of its own. */
static void add_boundary(Reach *reach, TensorId tensor) {
  Program *program = reach->program;
  int axis = reach->times->axis[tensor];
  reach->source[tensor] = has_boundary(program, tensor, axis) ? program_copy_tensor(program, tensor, "back") : tensor;
  reach->before[tensor] = program_add_boundary(program, reach->source[tensor], axis, size_constant(reach->slots[tensor]), "before");
}

static bool enter(Reach *reach, const Equation *equation) {
  reach->time = equation->target < reach->known && !reach->times->reason[equation->target] ? times_index(reach->times, equation) : NONE;
  return reach->time != NONE;
}

bool pass_reach(Program *program, PassContext *context) {
  (void)context;
  const Port *reason;
  if (program_find_symbol(program, SYMBOL_STREAM) == NONE || !program_has_step(program, &reason)) return false;
  Reach reach = {.program = program, .times = times_find(program), .known = program->tensor_count};
  reach.slots = ARENA_ARRAY(program->arena, int64_t, reach.known);
  reach.source = ARENA_ARRAY(program->arena, TensorId, reach.known);
  reach.before = ARENA_ARRAY(program->arena, TensorId, reach.known);
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    if (!enter(&reach, equation)) continue;
    if (equation->value) expr_visit(equation->value, note_reach, &reach);
    if (equation->guard) expr_visit(equation->guard, note_reach, &reach);
    if (equation->body) expr_visit(equation->body, note_reach, &reach);
  }
  bool changed = false;
  int equations = program->equation_count;
  for (TensorId n = 0; n < reach.known; n++) {
    if (!reach.slots[n]) continue;
    add_boundary(&reach, n);
    changed = true;
  }
  for (int n = 0; n < equations && changed; n++) {
    if (!enter(&reach, &program->equations[n])) continue;
    const Expr **parts[] = {&program->equations[n].value, &program->equations[n].guard, &program->equations[n].body};
    for (int p = 0; p < 3; p++)
      if (*parts[p]) *parts[p] = expr_rewrite(program->arena, *parts[p], take_boundary, &reach);
  }
  return changed;
}
