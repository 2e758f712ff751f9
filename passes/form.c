/* form.c - what one step of a recurrence makes of the values that the step before left.
 *
 * An equation that reads another one at the same step takes over its form with the indices replaced; bound indices get fresh
 * names for that. Two values that both depend on the past may be added, and compared, but not multiplied.
 */
#include "passes/form.h"

#include <math.h>

#include "passes/ranges.h"

struct FormContext {
  Program *program;
  const ScheduleNode *loop;
  const Around *around;
  Form **forms;      /* by equation, NULL until known */
  int *time_axes;    /* by tensor: the axis of the loop, NONE for others */
  const Equation *equation;
  IndexId time;      /* of the equation */
};

static Form evaluate(FormContext *context, const Expr *expr);

static Form constant_form(const Expr *expr) { return (Form){.kind = FORM_CONSTANT, .offset = expr}; }

static Form nonlinear(const Expr *culprit, const char *why) { return (Form){.kind = FORM_NONLINEAR, .culprit = culprit, .why = why}; }

static bool is_extremal(const Form *form) { return form->kind == FORM_MAX || form->kind == FORM_MIN; }

/* What a term or an offset that is not there counts as. */
static const Expr *neutral(const FormContext *context, FormKind kind) {
  return expr_number(context->program->arena, kind == FORM_MAX ? -INFINITY : kind == FORM_MIN ? INFINITY : 0);
}

static bool same_place(const FormTerm *a, const FormTerm *b) {
  return a->bound_count == 0 && b->bound_count == 0 && !a->guard && !b->guard && a->through == b->through && expr_equal(a->read, b->read);
}

/* Adds a term, together with one of the same value where there is one. */
static void add_term(FormContext *context, Form *form, FormTerm term) {
  Arena *arena = context->program->arena;
  Op join = form->kind == FORM_MAX ? OP_MAX : form->kind == FORM_MIN ? OP_MIN : OP_ADD;
  if (expr_equal(term.coefficient, neutral(context, form->kind))) return;
  for (int n = 0; n < form->term_count; n++) {
    if (!same_place(&form->terms[n], &term)) continue;
    form->terms[n].coefficient = expr_binary(arena, join, form->terms[n].coefficient, term.coefficient);
    return;
  }
  ARENA_PUSH(arena, form->terms, form->term_count, term);
}

/* value -> factor * value (affine) or factor + value (extremal) in every term and in the offset. */
static Form transformed(FormContext *context, const Form *form, Op op, const Expr *factor, bool is_left) {
  Arena *arena = context->program->arena;
  Form result = {.kind = form->kind};
  for (int n = 0; n < form->term_count; n++) {
    FormTerm term = form->terms[n];
    const Expr *c = term.coefficient;
    term.coefficient = !factor ? expr_unary(arena, op, c) : is_left ? expr_binary(arena, op, factor, c) : expr_binary(arena, op, c, factor);
    add_term(context, &result, term);
  }
  const Expr *o = form->offset;
  bool is_none = o && is_extremal(form) && expr_equal(o, neutral(context, form->kind));
  if (is_none) result.offset = o;
  else if (o) result.offset = !factor ? expr_unary(arena, op, o) : is_left ? expr_binary(arena, op, factor, o) : expr_binary(arena, op, o, factor);
  return result;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------- */

static Form add_forms(FormContext *context, const Expr *whole, const Form *a, const Form *b, bool is_minus) {
  Arena *arena = context->program->arena;
  if (is_extremal(a) || is_extremal(b)) { /* a constant shifts every branch */
    const Form *extremal = is_extremal(a) ? a : b, *other = is_extremal(a) ? b : a;
    if (other->kind != FORM_CONSTANT || (is_minus && extremal == b)) return nonlinear(whole, "a maximum of carried values is added to another one");
    return transformed(context, extremal, is_minus ? OP_SUB : OP_ADD, other->offset, false);
  }
  Form result = {.kind = FORM_AFFINE};
  for (int n = 0; n < a->term_count; n++) add_term(context, &result, a->terms[n]);
  for (int n = 0; n < b->term_count; n++) {
    FormTerm term = b->terms[n];
    if (is_minus) term.coefficient = expr_unary(arena, OP_NEG, term.coefficient);
    add_term(context, &result, term);
  }
  if (a->offset && b->offset) result.offset = expr_binary(arena, is_minus ? OP_SUB : OP_ADD, a->offset, b->offset);
  return result;
}

/* ---- maxima and conditions -------------------------------------------------------------------------------------------- */

/* The form as a maximum (minimum): a constant, or one carried value of factor 1 plus a constant. */
static bool to_extremal(FormContext *context, Form *form, FormKind kind) {
  if (form->kind == FORM_CONSTANT || form->kind == kind) {
    form->kind = kind;
    return true;
  }
  bool is_single = form->kind == FORM_AFFINE && form->term_count == 1 && form->terms[0].bound_count == 0 && form->offset;
  if (!is_single || !expr_is_number(form->terms[0].coefficient, 1)) return false;
  form->terms[0].coefficient = form->offset;
  form->offset = neutral(context, kind);
  form->kind = kind;
  return true;
}

static const Expr *larger(const FormContext *context, FormKind kind, const Expr *a, const Expr *b) {
  const Expr *none = neutral(context, kind);
  if (expr_equal(a, none) || expr_equal(b, none)) return expr_equal(a, none) ? b : a;
  return expr_binary(context->program->arena, kind == FORM_MAX ? OP_MAX : OP_MIN, a, b);
}

static Form join_extremal(FormContext *context, const Expr *whole, Form a, Form b, FormKind kind) {
  if (!to_extremal(context, &a, kind) || !to_extremal(context, &b, kind)) return nonlinear(whole, "a carried value is compared after it was scaled");
  Form result = {.kind = kind};
  for (int n = 0; n < a.term_count; n++) add_term(context, &result, a.terms[n]);
  for (int n = 0; n < b.term_count; n++) add_term(context, &result, b.terms[n]);
  if (a.offset && b.offset) result.offset = larger(context, kind, a.offset, b.offset);
  return result;
}

/* A condition that does not depend on the past picks coefficients. */
static Form choose(FormContext *context, const Expr *whole, Form a, Form b) {
  Arena *arena = context->program->arena;
  const Expr *condition = whole->args[0];
  FormKind kind = is_extremal(&a) ? a.kind : is_extremal(&b) ? b.kind : FORM_AFFINE;
  if (kind != FORM_AFFINE && (!to_extremal(context, &a, kind) || !to_extremal(context, &b, kind)))
    return nonlinear(whole, "a maximum of carried values in one case, another form in the other");
  const Expr *none = neutral(context, kind);
  Form result = {.kind = kind};
  for (int n = 0; n < a.term_count; n++) {
    FormTerm term = a.terms[n];
    const Expr *other = none;
    for (int m = 0; m < b.term_count; m++)
      if (same_place(&term, &b.terms[m])) other = b.terms[m].coefficient;
    term.coefficient = expr_select(arena, condition, term.coefficient, other);
    add_term(context, &result, term);
  }
  for (int m = 0; m < b.term_count; m++) {
    bool is_shared = false;
    for (int n = 0; n < a.term_count; n++) is_shared |= same_place(&a.terms[n], &b.terms[m]);
    FormTerm term = b.terms[m];
    term.coefficient = expr_select(arena, condition, none, term.coefficient);
    if (!is_shared) add_term(context, &result, term);
  }
  if (a.offset && b.offset) result.offset = expr_select(arena, condition, a.offset, b.offset);
  return result;
}

/* ---- reads ----------------------------------------------------------------------------------------------------------- */

typedef struct MemberSearch {
  const FormContext *context;
  bool found;
} MemberSearch;

/* The axis of a target that a loop runs over, or NONE. */
static int loop_axis(const Program *program, const ScheduleNode *loop, TensorId target) {
  for (int m = 0; m < loop->member_count; m++)
    if (program->equations[loop->members[m]].target == target) return loop->axes[m];
  return NONE;
}

bool same_turn(const Program *program, const Around *around, const Equation *user, const Expr *read) {
  for (int n = 0; n < around->count; n++) {
    int there = loop_axis(program, around->loops[n], read->id), here = loop_axis(program, around->loops[n], user->target);
    if (there == NONE || here == NONE) continue;
    if (read->args[there]->op != OP_INDEX || read->args[there]->id != user->indices[here]) return false;
  }
  return true;
}

static bool is_carried(const FormContext *context, const Expr *read) {
  return read->op == OP_READ && context->time_axes[read->id] != NONE && same_turn(context->program, context->around, context->equation, read);
}

static void find_member(void *search_context, const Expr *expr) {
  MemberSearch *search = search_context;
  if (is_carried(search->context, expr)) search->found = true;
}

static bool contains_member(const FormContext *context, const Expr *expr) {
  MemberSearch search = {context, false};
  expr_visit(expr, find_member, &search);
  return search.found;
}

/* The form of another equation of the loop, where its indices are those of the read. */
static Form substituted(FormContext *context, const Form *form, const Equation *of, const Expr *read) {
  Program *program = context->program;
  Arena *arena = program->arena;
  Form result = *form;
  result.terms = NULL;
  result.term_count = 0;
  for (int n = -1; n < form->term_count; n++) {
    FormTerm term = n < 0 ? (FormTerm){0} : form->terms[n];
    IndexId *fresh = ARENA_ARRAY(arena, IndexId, term.bound_count);
    for (int k = 0; k < term.bound_count; k++) {
      const Index bound = program->indices[term.bound[k]];
      fresh[k] = program_add_index(program, bound.name, bound.low, bound.high);
    }
    const Expr **replacement = ARENA_ARRAY(arena, const Expr *, program->index_count);
    for (int k = 0; k < read->arg_count; k++) replacement[of->indices[k]] = read->args[k];
    for (int k = 0; k < term.bound_count; k++) replacement[term.bound[k]] = expr_index(arena, fresh[k]);
    if (n < 0) {
      if (form->offset) result.offset = expr_substitute(arena, form->offset, program->index_count, replacement);
      continue;
    }
    term.bound = fresh;
    term.read = expr_substitute(arena, term.read, program->index_count, replacement);
    term.coefficient = expr_substitute(arena, term.coefficient, program->index_count, replacement);
    if (term.guard) term.guard = expr_substitute(arena, term.guard, program->index_count, replacement);
    ARENA_PUSH(arena, result.terms, result.term_count, term);
  }
  return result;
}

static Form read_form(FormContext *context, const Expr *read) {
  Program *program = context->program;
  Arena *arena = program->arena;
  int axis = is_carried(context, read) ? context->time_axes[read->id] : NONE;
  for (int n = 0; n < read->arg_count; n++)
    if (contains_member(context, read->args[n])) return nonlinear(read, "a carried value chooses what is read");
  if (axis == NONE) return read->outside && contains_member(context, read->outside) ? nonlinear(read, "a carried value stands for what lies outside") : constant_form(read);
  const Expr *lag = expr_binary(arena, OP_SUB, expr_index(arena, context->time), read->args[axis]);
  Affine affine;
  if (!expr_affine(lag, &affine) || affine.term_count) return nonlinear(read, "it is read at a step that is computed");
  int64_t steps = context->loop->is_reversed ? -affine.constant : affine.constant;
  if (steps == 0) {
    int maker = program->definition[read->id];
    Form form = *form_of(context, maker);
    return form.kind == FORM_NONLINEAR ? form : substituted(context, &form, &program->equations[maker], read);
  }
  Form form = {.kind = FORM_AFFINE, .offset = expr_number(arena, 0)};
  FormTerm term = {.read = read, .lag = (int)steps, .coefficient = expr_number(arena, 1), .through = NONE};
  if (read->type != TYPE_REAL) return nonlinear(read, "the carried value is no real number");
  ARENA_PUSH(arena, form.terms, form.term_count, term);
  return form;
}

/* ---- expressions ------------------------------------------------------------------------------------------------------ */

static Form multiply(FormContext *context, const Expr *whole, const Form *a, const Form *b) {
  bool is_left = a->kind == FORM_CONSTANT;
  const Form *scaled = is_left ? b : a, *factor = is_left ? a : b;
  if (factor->kind != FORM_CONSTANT) return nonlinear(whole, "two carried values are multiplied");
  if (is_extremal(scaled)) return nonlinear(whole, "a maximum of carried values is scaled");
  return transformed(context, scaled, OP_MUL, factor->offset, is_left);
}

static Form evaluate_binary(FormContext *context, const Expr *expr, const Form *a, const Form *b) {
  switch (expr->op) {
  case OP_ADD: return add_forms(context, expr, a, b, false);
  case OP_SUB: return add_forms(context, expr, a, b, true);
  case OP_MUL: return multiply(context, expr, a, b);
  case OP_DIV:
    if (b->kind != FORM_CONSTANT) return nonlinear(expr, "a carried value is divided by");
    return is_extremal(a) ? nonlinear(expr, "a maximum of carried values is scaled") : transformed(context, a, OP_DIV, b->offset, false);
  case OP_MAX: return join_extremal(context, expr, *a, *b, FORM_MAX);
  case OP_MIN: return join_extremal(context, expr, *a, *b, FORM_MIN);
  default: return nonlinear(expr, "the operation is not affine");
  }
}

static Form evaluate(FormContext *context, const Expr *expr) {
  if (!contains_member(context, expr)) return constant_form(expr);
  if (expr->op == OP_READ) return read_form(context, expr);
  Form args[3] = {{0}};
  for (int n = 0; n < expr->arg_count; n++) {
    args[n] = evaluate(context, expr->args[n]);
    if (args[n].kind == FORM_NONLINEAR) return args[n];
  }
  if (expr->op == OP_STOP_GRADIENT) return args[0];
  if (expr->op == OP_NEG && args[0].kind == FORM_AFFINE) return transformed(context, &args[0], OP_NEG, NULL, false);
  if (expr->op == OP_SELECT)
    return args[0].kind == FORM_CONSTANT ? choose(context, expr, args[1], args[2]) : nonlinear(expr, "a carried value decides between two cases");
  if (expr->arg_count == 2) return evaluate_binary(context, expr, &args[0], &args[1]);
  return nonlinear(expr, "the function is not affine");
}

/* ---- equations -------------------------------------------------------------------------------------------------------- */

static bool uses_plainly(const Expr *read, IndexId index) {
  for (int n = 0; n < read->arg_count; n++)
    if (read->args[n]->op == OP_INDEX && read->args[n]->id == index) return true;
  return false;
}

/* How many numbers the reduction makes of one vector that it runs over: the axes of its target that the read has not. */
static int64_t reduction_width(const FormContext *context, const Expr *read) {
  const Tensor *target = &context->program->tensors[context->equation->target];
  int64_t width = 1;
  for (int n = 0; n < target->rank; n++) {
    if (context->equation->indices[n] == context->time || uses_plainly(read, context->equation->indices[n])) continue;
    if (target->shape[n].symbol != NONE) return 0;
    width *= target->shape[n].constant;
  }
  return width;
}

static Form reduce_form(FormContext *context, const Equation *equation, Form body) {
  static const FormKind kinds[REDUCE_COUNT] = {[REDUCE_SUM] = FORM_AFFINE, [REDUCE_MAX] = FORM_MAX, [REDUCE_MIN] = FORM_MIN};
  FormKind kind = kinds[equation->reduce];
  if (body.kind == FORM_NONLINEAR) return body;
  if (equation->guard && contains_member(context, equation->guard)) return nonlinear(equation->guard, "a carried value decides what is reduced");
  if (body.kind == FORM_CONSTANT) return (Form){.kind = kind};
  if (kind == FORM_CONSTANT) return nonlinear(equation->body, "carried values are multiplied together, or their largest is looked for");
  if (kind == FORM_AFFINE && is_extremal(&body)) return nonlinear(equation->body, "maxima of carried values are added");
  if (kind != FORM_AFFINE && !to_extremal(context, &body, kind)) return nonlinear(equation->body, "a carried value is compared after it was scaled");
  bool has_offset = !body.offset || !expr_equal(body.offset, neutral(context, kind));
  for (int n = 0; n < body.term_count; n++) {
    FormTerm *term = &body.terms[n];
    IndexId *bound = ARENA_ARRAY(context->program->arena, IndexId, term->bound_count + equation->reduce_count);
    if (term->bound_count) memcpy(bound, term->bound, sizeof *bound * (size_t)term->bound_count);
    memcpy(bound + term->bound_count, equation->reduce_indices, sizeof *bound * (size_t)equation->reduce_count);
    term->bound = bound;
    term->bound_count += equation->reduce_count;
    term->guard = conjunction(context->program->arena, term->guard, equation->guard);
    if (term->through != NONE) continue;
    term->through = (int)(equation - context->program->equations);
    term->width = reduction_width(context, term->read);
  }
  if (has_offset) body.offset = NULL;
  return body;
}

const Form *form_of(FormContext *context, int number) {
  if (context->forms[number]) return context->forms[number];
  Program *program = context->program;
  const Equation *equation = &program->equations[number], *outer = context->equation;
  IndexId outer_time = context->time;
  Form *result = context->forms[number] = ARENA_NEW(program->arena, Form);
  context->equation = equation;
  context->time = equation->indices[context->time_axes[equation->target]];
  Form value = equation->value ? evaluate(context, equation->value) : constant_form(NULL);
  *result = value;
  if (equation->reduce != REDUCE_NONE && value.kind != FORM_NONLINEAR) {
    Form reduced = reduce_form(context, equation, evaluate(context, equation->body));
    if (!equation->value || reduced.kind == FORM_NONLINEAR) *result = reduced;
    else if (equation->reduce == REDUCE_SUM) *result = add_forms(context, equation->body, &value, &reduced, false);
    else *result = join_extremal(context, equation->body, value, reduced, reduced.kind);
  }
  context->equation = outer;
  context->time = outer_time;
  return result;
}

FormContext *forms_create(Program *program, const ScheduleNode *loop, const Around *around) {
  FormContext *context = ARENA_NEW(program->arena, FormContext);
  *context = (FormContext){.program = program, .loop = loop, .around = around};
  context->forms = ARENA_ARRAY(program->arena, Form *, program->equation_count);
  context->time_axes = ARENA_ARRAY(program->arena, int, program->tensor_count);
  for (TensorId n = 0; n < program->tensor_count; n++) context->time_axes[n] = NONE;
  for (int m = 0; m < loop->member_count; m++) context->time_axes[program->equations[loop->members[m]].target] = loop->axes[m];
  return context;
}
