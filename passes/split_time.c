/* split_time.c - recurrences whose steps can be composed are cut into pieces of a few steps, which run beside each other.
 *
 * Needs:  nothing; PassContext.piece_steps, else nothing is done.
 * Leaves: for each such recurrence of X over t, with t = piece_steps * p + s,
 *           X.local[p,s]   all pieces but the last, each from nothing
 *           X.factor[p,s]  what each makes of the values before it: the equations without what does not depend on these, from one
 *           X.start[p]     the values before each piece: X.factor * X.start + X.local of the piece before, at its last step
 *           X.piece[p,s]   all pieces from the right start; X[t] is one of these
 *         and the same for a maximum, with + and max for * and +.
 * Why:    time is where a recurrence has most of its work, and neither rows of a batch nor channels may be enough for all threads.
 *         Pieces are cut by a number of steps, so results do not depend on the number of threads. Adjoints of affine recurrences are
 *         affine again, so gradients are split too.
 */
#include <math.h>

#include "passes/passes.h"
#include "passes/ranges.h"
#include "passes/recurrence.h"
#include "passes/split_time.h"

/* ---- which ---------------------------------------------------------------------------------------------------------------- */

static bool is_long(const Program *program, const ScheduleNode *loop, int64_t steps) {
  Size extent = program->indices[loop->index].high;
  if (extent.symbol == NONE) return extent.constant > steps;
  SymbolKind kind = program->symbols[extent.symbol].kind;
  return extent.constant == 0 && (kind == SYMBOL_STREAM || kind == SYMBOL_LENGTH);
}

typedef struct EqualSearch {
  const Program *program;
  const ScheduleNode *loop;
  bool is_inside, found;
} EqualSearch;

static void find_loop_read(void *context, const Expr *expr) {
  EqualSearch *search = context;
  for (int m = 0; m < search->loop->member_count && expr->op == OP_READ; m++)
    search->is_inside |= search->program->equations[search->loop->members[m]].target == expr->id;
}

static void find_equal(void *context, const Expr *expr) {
  EqualSearch *search = context;
  if ((expr->op != OP_EQ && expr->op != OP_NE) || expr->args[0]->type != TYPE_REAL) return;
  search->is_inside = false;
  expr_visit(expr, find_loop_read, search);
  search->found |= search->is_inside;
}

/* Who asks which of several values a maximum was needs the very same numbers, and those before a piece are composed otherwise. */
static bool is_compared(const Program *program, const ScheduleNode *loop) {
  EqualSearch search = {program, loop, false, false};
  for (int n = 0; n < program->equation_count; n++) {
    const Expr *parts[] = {program->equations[n].value, program->equations[n].guard, program->equations[n].body};
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], find_equal, &search);
  }
  return search.found;
}

static bool can_split(const Program *program, const Recurrence *recurrence, int64_t steps) {
  if (!recurrence->has_split || !is_long(program, recurrence->loop, steps) || recurrence->size <= 0) return false;
  for (int s = 0; s < recurrence->state_count; s++)
    if (recurrence->states[s].lag != 1) return false;
  return !is_compared(program, recurrence->loop);
}

/* ---- the coefficients alone ------------------------------------------------------------------------------------------------ */

static void find_member(void *context, const Expr *expr) {
  MemberSearch *search = context;
  if (is_member_read(search->split, search->number, expr)) search->found = true;
}

static bool contains_member(const Split *split, int number, const Expr *expr) {
  MemberSearch search = {split, number, false};
  expr_visit(expr, find_member, &search);
  return search.found;
}

/* What the expression makes of carried values, without what it adds to them. NULL: nothing. */
static const Expr *carried_part(const Split *split, int number, const Expr *expr) {
  Arena *arena = split->program->arena;
  if (!expr || !contains_member(split, number, expr)) return NULL;
  if (expr->op == OP_READ) return expr;
  if (expr->op == OP_STOP_GRADIENT || expr->op == OP_NEG) {
    const Expr *inner = carried_part(split, number, expr->args[0]);
    return expr->op == OP_NEG ? expr_unary(arena, OP_NEG, inner) : inner;
  }
  if (expr->op == OP_SELECT) {
    const Expr *none = expr_number(arena, split->nothing);
    const Expr *a = carried_part(split, number, expr->args[1]), *b = carried_part(split, number, expr->args[2]);
    return expr_select(arena, expr->args[0], a ? a : none, b ? b : none);
  }
  const Expr *a = carried_part(split, number, expr->args[0]), *b = carried_part(split, number, expr->args[1]);
  bool is_sum = expr->op == OP_ADD || expr->op == OP_SUB;
  bool is_left_out = (is_sum && !split->is_extremal) || expr->op == OP_MAX || expr->op == OP_MIN;
  if (is_left_out && !b) return a;
  if (is_left_out && !a) return expr->op == OP_SUB ? expr_unary(arena, OP_NEG, b) : b;
  return expr_binary(arena, expr->op, a ? a : expr->args[0], b ? b : expr->args[1]);
}

/* ---- axes ------------------------------------------------------------------------------------------------------------------ */

static int *axis_group(const Split *split, int number, int axis) { return &split->groups[number * split->most_axes + axis]; }

static void join_groups(Split *split, int a, int b) {
  for (int n = 0; n < split->member_count * split->most_axes; n++)
    if (split->groups[n] == b) split->groups[n] = a;
}

typedef struct AxisWalk {
  Split *split;
  int number;
  bool changed;
} AxisWalk;

static int target_axis(const Split *split, int number, const Expr *index) {
  const Equation *equation = member_equation(split, number);
  for (int p = 0; p < split->program->tensors[equation->target].rank; p++)
    if (p != split->members[number].axis && index->op == OP_INDEX && index->id == equation->indices[p]) return p;
  return NONE;
}

static void align_read(void *context, const Expr *expr) {
  AxisWalk *walk = context;
  Split *split = walk->split;
  if (!is_member_read(split, walk->number, expr)) return;
  int maker = member_of(split, expr->id);
  for (int q = 0; q < expr->arg_count; q++) {
    int p = q == split->members[maker].axis ? NONE : target_axis(split, walk->number, expr->args[q]);
    if (p == NONE) continue;
    int a = *axis_group(split, walk->number, p), b = *axis_group(split, maker, q);
    if (a != b) join_groups(split, a, b);
  }
}

/* An axis is needed where its index is used for anything but to stand at the same axis of a carried value. */
static void need_axes(const Split *split, int number, const Expr *expr) {
  if (!expr) return;
  bool is_member = is_member_read(split, number, expr);
  int maker = is_member ? member_of(split, expr->id) : NONE;
  if (expr->op == OP_INDEX) {
    int p = target_axis(split, number, expr);
    if (p != NONE) split->is_needed[*axis_group(split, number, p)] = true;
    if (p == NONE && expr->id == member_equation(split, number)->indices[split->members[number].axis]) *split->needs_time = true;
  }
  for (int q = 0; q < expr->arg_count; q++) {
    if (is_member && q == split->members[maker].axis) continue;
    if (is_member && target_axis(split, number, expr->args[q]) != NONE) continue;
    if (is_member) split->is_needed[*axis_group(split, maker, q)] = true;
    need_axes(split, number, expr->args[q]);
  }
  if (!is_member) need_axes(split, number, expr->outside);
}

static void plan_axes(Split *split) {
  for (int n = 0; n < split->member_count * split->most_axes; n++) split->groups[n] = n;
  for (int n = 0; n < split->member_count; n++) {
    AxisWalk walk = {split, n, false};
    const Equation *equation = member_equation(split, n);
    if (equation->value) expr_visit(equation->value, align_read, &walk);
    if (equation->body) expr_visit(equation->body, align_read, &walk);
  }
  for (int n = 0; n < split->member_count; n++) {
    const Equation *equation = member_equation(split, n);
    int rank = split->program->tensors[equation->target].rank;
    const Expr *body = carried_part(split, n, equation->body);
    need_axes(split, n, carried_part(split, n, equation->value));
    need_axes(split, n, body);
    if (body) need_axes(split, n, equation->guard);
    for (int p = 0; p < rank; p++)
      for (int q = 0; q < p; q++) /* a diagonal stays one */
        if (*axis_group(split, n, p) == *axis_group(split, n, q)) split->is_needed[*axis_group(split, n, p)] = true;
  }
  for (int s = 0; s < split->recurrence->state_count; s++) {
    const RecurrenceState *state = &split->recurrence->states[s];
    int number = member_of(split, state->tensor);
    for (int p = 0; p < split->program->tensors[state->tensor].rank; p++)
      if (p != state->axis && state->is_mixed[p]) split->is_needed[*axis_group(split, number, p)] = true;
  }
}

/* ---- pieces of a program ----------------------------------------------------------------------------------------------------- */

static void plan_components(Split *split) {
  int64_t first = 0;
  for (int s = 0; s < split->recurrence->state_count; s++) {
    const RecurrenceState *state = &split->recurrence->states[s];
    Member *member = &split->members[member_of(split, state->tensor)];
    const Tensor *tensor = &split->program->tensors[state->tensor];
    int64_t size = 1;
    member->is_state = true;
    member->first_component = first;
    member->is_mixed = state->is_mixed;
    for (int p = 0; p < tensor->rank; p++)
      if (p != state->axis && state->is_mixed[p]) size *= tensor->shape[p].constant;
    first += size;
  }
  split->size = first;
}

static SymbolId piece_symbol(Program *program, SymbolId length, int64_t steps) {
  Arena *arena = program->arena;
  const Expr *before = expr_binary(arena, OP_SUB, expr_symbol(arena, length), expr_integer(arena, 1));
  const Expr *formula = expr_binary(arena, OP_QUOTIENT, before, expr_integer(arena, steps));
  for (int n = 0; n < program->symbol_count; n++)
    if (program->symbols[n].kind == SYMBOL_DERIVED && expr_equal(program->symbols[n].formula, formula)) return n;
  SymbolId symbol = program_add_symbol(program, SYMBOL_DERIVED, arena_format(arena, "%s.pieces", program->symbols[length].name));
  program->symbols[symbol].formula = formula;
  return symbol;
}

static void split_recurrence(Program *program, const Recurrence *recurrence, PassContext *context) {
  const ScheduleNode *loop = recurrence->loop;
  Arena *arena = program->arena;
  Split split = {.program = program, .recurrence = recurrence, .loop = loop, .steps = context->piece_steps, .member_count = loop->member_count};
  split.is_extremal = recurrence->class == RECURRENCE_EXTREMAL;
  bool is_min = split.is_extremal && recurrence->states[0].form->kind == FORM_MIN;
  split.nothing = !split.is_extremal ? 0 : is_min ? INFINITY : -INFINITY;
  split.one = split.is_extremal ? 0 : 1;
  split.join = !split.is_extremal ? OP_ADD : is_min ? OP_MIN : OP_MAX;
  split.reduce = !split.is_extremal ? REDUCE_SUM : is_min ? REDUCE_MIN : REDUCE_MAX;
  split.members = ARENA_ARRAY(arena, Member, loop->member_count);
  for (int m = 0; m < loop->member_count; m++) {
    split.members[m] = (Member){.equation = loop->members[m], .axis = loop->axes[m], .target = program->equations[loop->members[m]].target};
    int rank = program->tensors[program->equations[loop->members[m]].target].rank;
    if (rank > split.most_axes) split.most_axes = rank;
  }
  split.length = program->tensors[program->equations[loop->members[0]].target].shape[loop->axes[0]];
  if (split.length.symbol == NONE) split.full = size_constant((split.length.constant - 1) / split.steps);
  else split.full = size_symbol(piece_symbol(program, split.length.symbol, split.steps));
  split.groups = ARENA_ARRAY(arena, int, split.member_count * split.most_axes);
  split.is_needed = ARENA_ARRAY(arena, bool, split.member_count * split.most_axes);
  split.needs_time = ARENA_NEW(arena, bool);
  for (int m = 0; m < split.member_count; m++) split.members[m].carried_value = carried_part(&split, m, member_equation(&split, m)->value);
  for (int m = 0; m < split.member_count; m++) split.members[m].carried_body = carried_part(&split, m, member_equation(&split, m)->body);
  plan_components(&split);
  plan_axes(&split);
  ReportEntry *entry = report_add(context->report, REPORT_SPLIT, program, member_equation(&split, 0)->source);
  for (int m = 0; m < split.member_count; m++) report_name(context->report, entry, program->tensors[member_equation(&split, m)->target].name);
  if (entry) entry->depth = expr_integer(arena, split.steps);
  split_build(&split);
}

bool pass_split_time(Program *program, PassContext *context) {
  if (!context->piece_steps) return false;
  Recurrences found = recurrences_find(program, context->diagnostics);
  bool changed = false;
  for (int n = 0; n < found.count; n++) {
    if (!can_split(found.program, &found.items[n], context->piece_steps)) continue;
    split_recurrence(program, &found.items[n], context);
    changed = true;
  }
  return changed;
}
