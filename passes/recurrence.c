/* recurrence.c - what kind each recurrence of a program is.
 *
 * form.c gives every carried value its coefficients. Which class that is follows from where the indices of the reads stand and on
 * what the coefficients depend; nothing is compared with a list of layers.
 */
#include "passes/recurrence.h"

#include "passes/ranges.h"

const char *const recurrence_class_names[RECURRENCE_CLASS_COUNT] = {
    [RECURRENCE_TURNS] = "turns",         [RECURRENCE_NONLINEAR] = "nonlinear",
    [RECURRENCE_SHIFT] = "shift",         [RECURRENCE_SCALAR] = "scalar",
    [RECURRENCE_DIAGONAL] = "diagonal",   [RECURRENCE_COMPLEX] = "complex diagonal",
    [RECURRENCE_BLOCKS] = "small dense",  [RECURRENCE_LOW_RANK] = "low rank",
    [RECURRENCE_MATRIX] = "affine",       [RECURRENCE_EXTREMAL] = "max-plus",
    [RECURRENCE_RESCALED] = "running rescaled sum",
};

enum { INLINE_DEPTH = 8 };

typedef struct Classifier {
  Program *program;
  Recurrence *recurrence;
  const Recurrences *earlier; /* loops before this one */
  bool has_shift; /* some read is at a constant distance along an axis */
  bool changed;
} Classifier;

/* ---- what an expression depends on ---------------------------------------------------------------------------------- */

typedef struct Dependence {
  const Program *program;
  int depth;
} Dependence;

static bool depends(const Dependence *dependence, const Expr *expr, IndexId index);

/* A tensor that has the axis may be the same along it all the same. */
static bool varies_along(const Dependence *dependence, TensorId tensor, int axis) {
  const Equation *definition = program_definition(dependence->program, tensor);
  if (!definition || dependence->depth == INLINE_DEPTH) return true;
  Dependence inner = {dependence->program, dependence->depth + 1};
  IndexId index = definition->indices[axis];
  const Expr *parts[] = {definition->value, definition->guard, definition->body};
  for (int p = 0; p < 3; p++)
    if (parts[p] && depends(&inner, parts[p], index)) return true;
  return false;
}

static bool depends(const Dependence *dependence, const Expr *expr, IndexId index) {
  if (!expr_uses_index(expr, index)) return false;
  if (expr->op == OP_INDEX) return true;
  if (expr->outside && depends(dependence, expr->outside, index)) return true;
  for (int n = 0; n < expr->arg_count; n++)
    if (depends(dependence, expr->args[n], index) && (expr->op != OP_READ || varies_along(dependence, expr->id, n))) return true;
  return false;
}

static bool depends_on(const Program *program, const Expr *expr, IndexId index) {
  Dependence dependence = {program, 0};
  return expr && depends(&dependence, expr, index);
}

typedef struct Inlining {
  Program *program;
  const bool *is_member; /* by tensor */
  bool changed;
} Inlining;

static const Expr *inline_read(void *context, const Expr *expr) {
  Inlining *inlining = context;
  Program *program = inlining->program;
  if (expr->op != OP_READ || inlining->is_member[expr->id]) return expr;
  const Equation *definition = program_definition(program, expr->id);
  if (!definition || definition->reduce != REDUCE_NONE) return expr;
  const Expr **replacement = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < expr->arg_count; n++) replacement[definition->indices[n]] = expr->args[n];
  inlining->changed = true;
  return expr_substitute(program->arena, definition->value, program->index_count, replacement);
}

static void mark_members(const Program *program, const ScheduleNode *loop, bool *is_member) {
  for (int m = 0; m < loop->member_count; m++) is_member[program->equations[loop->members[m]].target] = true;
}

/* Definitions of other tensors put in place of reads, where they are no reductions and in no cycle: what the expression is made of. */
static const Expr *inlined(const Classifier *classifier, const Expr *expr) {
  Program *program = classifier->program;
  bool *is_member = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  mark_members(program, classifier->recurrence->loop, is_member);
  for (int n = 0; classifier->earlier && n < classifier->earlier->count; n++)
    if (classifier->earlier->items[n].class != RECURRENCE_TURNS) mark_members(program, classifier->earlier->items[n].loop, is_member);
  Inlining inlining = {program, is_member, true};
  for (int round = 0; round < INLINE_DEPTH && inlining.changed; round++) {
    inlining.changed = false;
    expr = expr_rewrite(program->arena, expr, inline_read, &inlining);
  }
  return expr;
}

/* ---- places ----------------------------------------------------------------------------------------------------------- */

static RecurrenceState *state_of(const Classifier *classifier, TensorId tensor) {
  for (int n = 0; n < classifier->recurrence->state_count; n++)
    if (classifier->recurrence->states[n].tensor == tensor) return &classifier->recurrence->states[n];
  return NULL;
}

static void mix(Classifier *classifier, RecurrenceState *state, int axis) {
  if (!state->is_mixed[axis]) classifier->changed = true;
  state->is_mixed[axis] = true;
}

/* Elements mix along an axis where a read stands at another place, and then along whatever axis stands for it elsewhere. */
static void place_term(Classifier *classifier, RecurrenceState *row, const FormTerm *term) {
  const Equation *equation = &classifier->program->equations[row->equation];
  RecurrenceState *source = state_of(classifier, term->read->id);
  int row_rank = classifier->program->tensors[row->tensor].rank;
  bool *is_matched = ARENA_ARRAY(classifier->program->arena, bool, row_rank);
  for (int q = 0; q < term->read->arg_count; q++) {
    if (q == source->axis) continue;
    int match = NONE;
    for (int p = 0; p < row_rank; p++)
      if (p != row->axis && expr_is_index(term->read->args[q], equation->indices[p])) match = p;
    if (match == NONE) {
      mix(classifier, source, q);
      Affine affine;
      classifier->has_shift |= expr_affine(term->read->args[q], &affine) && affine.term_count == 1 && term->bound_count == 0;
      continue;
    }
    is_matched[match] = true;
    bool is_turned = source == row && match != q; /* a transposition */
    if (is_turned || row->is_mixed[match]) mix(classifier, source, q);
    if (is_turned || source->is_mixed[q]) mix(classifier, row, match);
  }
  for (int p = 0; p < row_rank; p++)
    if (p != row->axis && !is_matched[p]) mix(classifier, row, p);
}

static void place_all(Classifier *classifier) {
  Recurrence *recurrence = classifier->recurrence;
  do {
    classifier->changed = false;
    for (int n = 0; n < recurrence->state_count; n++)
      for (int k = 0; k < recurrence->states[n].form->term_count; k++)
        place_term(classifier, &recurrence->states[n], &recurrence->states[n].form->terms[k]);
  } while (classifier->changed);
}

/* ---- the carried tensors ----------------------------------------------------------------------------------------------- */

static void add_state(Classifier *classifier, FormContext *forms, TensorId tensor, int lag) {
  Recurrence *recurrence = classifier->recurrence;
  RecurrenceState *known = state_of(classifier, tensor);
  if (known) {
    if (lag > known->lag) known->lag = lag;
    return;
  }
  const Program *program = classifier->program;
  RecurrenceState state = {.tensor = tensor, .equation = program->definition[tensor], .lag = lag};
  for (int m = 0; m < recurrence->loop->member_count; m++)
    if (recurrence->loop->members[m] == state.equation) state.axis = recurrence->loop->axes[m];
  state.form = form_of(forms, state.equation);
  state.is_mixed = ARENA_ARRAY(program->arena, bool, program->tensors[tensor].rank);
  ARENA_PUSH(program->arena, recurrence->states, recurrence->state_count, state);
}

/* What is read at an earlier step, as text has it: nonlinear ones too. */
typedef struct StateSearch {
  Classifier *classifier;
  FormContext *forms;
  const Equation *equation;
  int axis;
} StateSearch;

static void find_state(void *context, const Expr *expr) {
  StateSearch *search = context;
  const Recurrence *recurrence = search->classifier->recurrence;
  const Program *program = search->classifier->program;
  if (expr->op != OP_READ || !same_turn(program, &recurrence->around, search->equation, expr)) return;
  for (int m = 0; m < recurrence->loop->member_count; m++) {
    if (program->equations[recurrence->loop->members[m]].target != expr->id) continue;
    const Expr *time = expr_index(program->arena, search->equation->indices[search->axis]);
    Affine lag;
    if (!expr_affine(expr_binary(program->arena, OP_SUB, time, expr->args[recurrence->loop->axes[m]]), &lag) || lag.term_count) return;
    int64_t steps = recurrence->loop->is_reversed ? -lag.constant : lag.constant;
    if (steps > 0) add_state(search->classifier, search->forms, expr->id, (int)steps);
  }
}

static void find_states(Classifier *classifier, FormContext *forms) {
  const ScheduleNode *loop = classifier->recurrence->loop;
  for (int m = 0; m < loop->member_count; m++) {
    const Equation *equation = &classifier->program->equations[loop->members[m]];
    StateSearch search = {classifier, forms, equation, loop->axes[m]};
    if (equation->value) expr_visit(equation->value, find_state, &search);
    if (equation->guard) expr_visit(equation->guard, find_state, &search);
    if (equation->body) expr_visit(equation->body, find_state, &search);
  }
}

/* ---- coefficients ------------------------------------------------------------------------------------------------------ */

static bool is_constant_in_time(const Classifier *classifier) {
  const Recurrence *recurrence = classifier->recurrence;
  for (int n = 0; n < recurrence->state_count; n++) {
    const RecurrenceState *state = &recurrence->states[n];
    IndexId time = classifier->program->equations[state->equation].indices[state->axis];
    for (int k = 0; k < state->form->term_count; k++)
      if (depends_on(classifier->program, state->form->terms[k].coefficient, time) || depends_on(classifier->program, state->form->terms[k].guard, time)) return false;
  }
  return true;
}

/* Factors of a product, signs and constant numbers left out. */
static void collect_factors(Arena *arena, const Expr *expr, const Expr ***factors, int *count) {
  if (expr->op == OP_MUL || expr->op == OP_DIV || expr->op == OP_NEG) {
    for (int n = 0; n < expr->arg_count; n++) collect_factors(arena, expr->args[n], factors, count);
    return;
  }
  ARENA_PUSH(arena, *factors, *count, expr);
}

/* The input comes as a product of vectors of which this axis is not in all: with the axis the state is a matrix. */
static bool is_outer_axis(const Classifier *classifier, const RecurrenceState *state, int axis) {
  Program *program = classifier->program;
  const Equation *equation = &program->equations[state->equation];
  int rank = program->tensors[state->tensor].rank, count = 0;
  const Expr **factors = NULL;
  if (!state->form->offset) return false;
  collect_factors(program->arena, inlined(classifier, state->form->offset), &factors, &count);
  bool is_in_one = false, is_missing = false;
  for (int n = 0; n < count; n++) {
    bool uses_any = false;
    for (int p = 0; p < rank; p++) uses_any |= p != state->axis && depends_on(program, factors[n], equation->indices[p]);
    bool uses = depends_on(program, factors[n], equation->indices[axis]);
    is_in_one |= uses;
    is_missing |= uses_any && !uses;
  }
  return is_in_one && is_missing;
}

/* The coefficient is one number for all elements along the axes in which the input is an outer product, or for all there are. */
static bool is_scalar(const Classifier *classifier) {
  const RecurrenceState *state = &classifier->recurrence->states[0];
  const Program *program = classifier->program;
  const Equation *equation = &program->equations[state->equation];
  const Expr *coefficient = state->form->terms[0].coefficient;
  bool uses_any = false, has_outer = false, uses_outer = false;
  for (int p = 0; p < program->tensors[state->tensor].rank; p++) {
    Size extent = program->tensors[state->tensor].shape[p];
    bool is_batch = extent.symbol != NONE && program->symbols[extent.symbol].kind == SYMBOL_BATCH;
    if (p == state->axis || is_batch) continue;
    bool uses = depends_on(program, coefficient, equation->indices[p]), is_outer = is_outer_axis(classifier, state, p);
    uses_any |= uses;
    has_outer |= is_outer;
    uses_outer |= is_outer && uses;
  }
  return !uses_any || (has_outer && !uses_outer);
}

/* a and b of (a, b; -b, a), written in any order. */
static bool is_negation(const Expr *a, const Expr *b) {
  return (a->op == OP_NEG && expr_equal(a->args[0], b)) || (b->op == OP_NEG && expr_equal(b->args[0], a));
}

/* The term's coefficient in the names of the other state's indices. */
static const Expr *coefficient_from(const Classifier *classifier, const RecurrenceState *row, TensorId source, const RecurrenceState *names) {
  Program *program = classifier->program;
  const Expr *found = NULL;
  const Expr **replacement = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int p = 0; p < program->tensors[row->tensor].rank; p++)
    replacement[program->equations[row->equation].indices[p]] = expr_index(program->arena, program->equations[names->equation].indices[p]);
  for (int k = 0; k < row->form->term_count; k++) {
    if (row->form->terms[k].read->id != source) continue;
    if (found) return NULL;
    found = expr_substitute(program->arena, row->form->terms[k].coefficient, program->index_count, replacement);
  }
  return found;
}

static bool is_complex(const Classifier *classifier) {
  const Recurrence *recurrence = classifier->recurrence;
  if (recurrence->state_count != 2) return false;
  const RecurrenceState *a = &recurrence->states[0], *b = &recurrence->states[1];
  if (classifier->program->tensors[a->tensor].rank != classifier->program->tensors[b->tensor].rank || a->lag != 1 || b->lag != 1) return false;
  const Expr *aa = coefficient_from(classifier, a, a->tensor, a), *ab = coefficient_from(classifier, a, b->tensor, a);
  const Expr *ba = coefficient_from(classifier, b, a->tensor, a), *bb = coefficient_from(classifier, b, b->tensor, a);
  return aa && ab && ba && bb && expr_equal(aa, bb) && is_negation(ab, ba);
}

/* ---- running rescaled sums ---------------------------------------------------------------------------------------------- */

typedef struct Exponent {
  const Expr *parts[16];
  bool is_minus[16];
  int count;
} Exponent;

static void collect_exponent(const Expr *expr, bool is_minus, Exponent *exponent) {
  if (expr->op == OP_STOP_GRADIENT || expr->op == OP_NEG) collect_exponent(expr->args[0], is_minus != (expr->op == OP_NEG), exponent);
  else if (expr->op == OP_ADD || expr->op == OP_SUB) {
    collect_exponent(expr->args[0], is_minus, exponent);
    collect_exponent(expr->args[1], is_minus != (expr->op == OP_SUB), exponent);
  } else if (exponent->count < 16) {
    exponent->is_minus[exponent->count] = is_minus;
    exponent->parts[exponent->count++] = expr;
  }
}

static const Recurrence *recurrence_of_state(const Recurrences *earlier, TensorId tensor) {
  for (int n = 0; earlier && n < earlier->count; n++)
    for (int s = 0; s < earlier->items[n].state_count; s++)
      if (earlier->items[n].states[s].tensor == tensor) return &earlier->items[n];
  return NULL;
}

/* exp(... + m[t-1] - m[t]) with m a running maximum: the sum is kept relative to it. Returns m or NONE. */
static TensorId running_scale(const Classifier *classifier) {
  Program *program = classifier->program;
  const RecurrenceState *state = &classifier->recurrence->states[0];
  int count = 0;
  const Expr **factors = NULL;
  collect_factors(program->arena, inlined(classifier, state->form->terms[0].coefficient), &factors, &count);
  for (int n = 0; n < count; n++) {
    if (factors[n]->op != OP_EXP) continue;
    Exponent exponent = {.count = 0};
    collect_exponent(factors[n]->args[0], false, &exponent);
    for (int k = 0; k < exponent.count; k++)
      for (int m = 0; m < exponent.count; m++) {
        const Expr *before = exponent.parts[k], *now = exponent.parts[m];
        bool is_pair = before->op == OP_READ && now->op == OP_READ && before->id == now->id && !exponent.is_minus[k] && exponent.is_minus[m];
        const Recurrence *scale = is_pair ? recurrence_of_state(classifier->earlier, now->id) : NULL;
        if (scale && scale->class == RECURRENCE_EXTREMAL && !expr_equal(before, now)) return now->id;
      }
  }
  return NONE;
}

/* ---- classes ------------------------------------------------------------------------------------------------------------ */

static bool is_pointwise(const Recurrence *recurrence, const Program *program) {
  for (int n = 0; n < recurrence->state_count; n++)
    for (int p = 0; p < program->tensors[recurrence->states[n].tensor].rank; p++)
      if (recurrence->states[n].is_mixed[p]) return false;
  return true;
}

/* Numbers that depend on each other, for each element of the axes along which nothing mixes. 0: not known while compiling. */
static int64_t coupled_size(const Recurrence *recurrence, const Program *program) {
  int64_t total = 0;
  for (int n = 0; n < recurrence->state_count; n++) {
    const Tensor *tensor = &program->tensors[recurrence->states[n].tensor];
    int64_t size = recurrence->states[n].lag;
    for (int p = 0; p < tensor->rank; p++) {
      if (!recurrence->states[n].is_mixed[p]) continue;
      if (tensor->shape[p].symbol != NONE) return 0;
      size *= tensor->shape[p].constant;
    }
    total += size;
  }
  return total;
}

/* Every sum over a mixed axis makes a few numbers of a whole vector: together so many. 0: some does not. */
static int64_t mixing_rank(const Recurrence *recurrence, const Program *program) {
  bool *is_counted = ARENA_ARRAY(program->arena, bool, program->equation_count);
  int64_t rank = 0;
  for (int n = 0; n < recurrence->state_count; n++)
    for (int k = 0; k < recurrence->states[n].form->term_count; k++) {
      const FormTerm *term = &recurrence->states[n].form->terms[k];
      if (term->bound_count == 0) continue;
      if (term->through == NONE || term->width == 0) return 0;
      if (is_counted[term->through]) continue;
      is_counted[term->through] = true;
      rank += term->width;
    }
  return rank;
}

/* Each new value is one old one from another place, or nothing. */
static bool is_shift(const Classifier *classifier) {
  const Recurrence *recurrence = classifier->recurrence;
  if (recurrence->state_count != 1 || !classifier->has_shift || recurrence->states[0].lag != 1) return false;
  const Form *form = recurrence->states[0].form;
  if (form->term_count != 1 || form->terms[0].bound_count) return false;
  const Expr *c = form->terms[0].coefficient;
  bool is_guarded = c->op == OP_SELECT && (expr_is_number(c->args[1], 1) || expr_is_number(c->args[1], 0)) &&
                    (expr_is_number(c->args[2], 1) || expr_is_number(c->args[2], 0));
  return expr_is_number(c, 1) || is_guarded;
}

static RecurrenceClass affine_class(Classifier *classifier) {
  Recurrence *recurrence = classifier->recurrence;
  recurrence->is_constant = is_constant_in_time(classifier);
  recurrence->size = coupled_size(recurrence, classifier->program);
  if (is_shift(classifier)) return RECURRENCE_SHIFT;
  if (is_pointwise(recurrence, classifier->program)) {
    if (recurrence->size == 1) {
      recurrence->scale = running_scale(classifier);
      if (recurrence->scale != NONE) return RECURRENCE_RESCALED;
      return is_scalar(classifier) ? RECURRENCE_SCALAR : RECURRENCE_DIAGONAL;
    }
    if (is_complex(classifier)) return RECURRENCE_COMPLEX;
    return recurrence->size <= MOST_BLOCK ? RECURRENCE_BLOCKS : RECURRENCE_MATRIX;
  }
  recurrence->rank = mixing_rank(recurrence, classifier->program);
  bool is_low = recurrence->rank > 0 && !classifier->has_shift && (recurrence->size == 0 || 2 * recurrence->rank <= recurrence->size);
  if (is_low) return RECURRENCE_LOW_RANK;
  return recurrence->size > 0 && recurrence->size <= MOST_BLOCK ? RECURRENCE_BLOCKS : RECURRENCE_MATRIX;
}

static RecurrenceClass classify_forms(Classifier *classifier) {
  Recurrence *recurrence = classifier->recurrence;
  FormKind kind = FORM_CONSTANT;
  for (int n = 0; n < recurrence->state_count; n++) {
    const Form *form = recurrence->states[n].form;
    if (form->kind == FORM_CONSTANT) continue;
    recurrence->culprit_equation = recurrence->states[n].equation;
    recurrence->culprit = form->culprit;
    recurrence->why = form->why;
    if (form->kind == FORM_NONLINEAR) return RECURRENCE_NONLINEAR;
    if (kind != FORM_CONSTANT && form->kind != kind) {
      recurrence->why = "one carried value is a sum of others, another one a maximum";
      return RECURRENCE_NONLINEAR;
    }
    kind = form->kind;
  }
  place_all(classifier);
  if (kind == FORM_AFFINE) return affine_class(classifier);
  recurrence->is_constant = is_constant_in_time(classifier);
  recurrence->size = coupled_size(recurrence, classifier->program);
  return RECURRENCE_EXTREMAL;
}

/* What else than one step after the other computes it. */
static void find_forms(const Classifier *classifier) {
  Recurrence *recurrence = classifier->recurrence;
  const Program *program = classifier->program;
  bool is_affine = recurrence->class != RECURRENCE_TURNS && recurrence->class != RECURRENCE_NONLINEAR;
  bool is_small = recurrence->size > 0 && recurrence->size <= MOST_BLOCK;
  recurrence->has_split = is_affine && (is_small || recurrence->class == RECURRENCE_LOW_RANK || recurrence->class == RECURRENCE_SHIFT);
  recurrence->has_convolution = is_affine && recurrence->is_constant && recurrence->class != RECURRENCE_EXTREMAL;
  bool is_product = recurrence->class == RECURRENCE_SCALAR || recurrence->class == RECURRENCE_DIAGONAL || recurrence->class == RECURRENCE_RESCALED;
  int axes = 0;
  for (int p = 0; is_product && p < program->tensors[recurrence->states[0].tensor].rank; p++)
    axes += p != recurrence->states[0].axis && is_outer_axis(classifier, &recurrence->states[0], p);
  recurrence->has_products = axes >= 2 || recurrence->class == RECURRENCE_LOW_RANK;
}

bool recurrence_same_turn(const Program *program, const Recurrence *recurrence, const Equation *user, const Expr *read) {
  return same_turn(program, &recurrence->around, user, read);
}

static Recurrence classify(Program *program, const ScheduleNode *loop, const Around *around, const Recurrences *earlier) {
  Recurrence recurrence = {.loop = loop, .around = *around, .scale = NONE, .culprit_equation = NONE};
  Size extent = program->indices[loop->index].high;
  recurrence.is_over_stream = extent.symbol != NONE && program->symbols[extent.symbol].kind == SYMBOL_STREAM;
  for (const ScheduleNode *node = loop->body; node; node = node->next)
    if (node->equation == NONE) return recurrence;
  Classifier classifier = {.program = program, .recurrence = &recurrence, .earlier = earlier};
  find_states(&classifier, forms_create(program, loop, around));
  recurrence.class = classify_forms(&classifier);
  find_forms(&classifier);
  return recurrence;
}

static void find_in(Recurrences *found, const ScheduleNode *nodes, const Around *around) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    Recurrence recurrence = classify(found->program, node, around, found);
    ARENA_PUSH(found->program->arena, found->items, found->count, recurrence);
    Around inner = *around;
    if (inner.count == MOST_AROUND) continue; /* as deep as lowering goes */
    inner.loops[inner.count++] = node;
    find_in(found, node->body, &inner);
  }
}

Recurrences recurrences_find(const Program *program, Diagnostics *diagnostics) {
  Recurrences found = {.program = program_clone(program->arena, program)};
  const ScheduleNode *schedule = schedule_create(found.program, diagnostics);
  Around none = {0};
  if (schedule) find_in(&found, schedule, &none);
  return found;
}
