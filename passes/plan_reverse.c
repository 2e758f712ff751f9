/* plan_reverse.c - which recurrences back through time are taken together with the forward one whose states they need.
 *
 * Needs:  a schedule; nothing else planned yet.
 * Leaves: for each such pair a Reverse, in the place of the backward loop. What was summed over its elements is a result of it: it is
 *         stored directly, or an equation adds up the parts that the items of work leave. Neither the states nor their adjoints
 *         are tensors in memory any longer.
 * Where:  - the equations of both loops are maps over the same axes, and no element reads another one;
 *         - the backward ones read the states at their step or the one before, and are read by sums over elements only, or at the
 *           first step;
 *         - some axis is summed over at every step, so that the states are much larger than what they are computed from.
 */
#include "passes/plan_reverse.h"

const Expr *frame_index(const Planning *planning, int axis) { return expr_index(planning->arena, planning->reverse->frame[axis]); }

/* ---- the schedule --------------------------------------------------------------------------------------------------- */

static void number_nodes(Planning *planning, ScheduleNode *nodes, ScheduleNode *parent, int *order) {
  for (ScheduleNode *node = nodes; node; node = node->next) {
    Place place = {parent, (*order)++};
    if (node->equation != NONE) {
      planning->places[node->equation] = place;
      continue;
    }
    struct LoopPlace entry = {node, place};
    ARENA_PUSH(planning->arena, planning->loops, planning->loop_count, entry);
    number_nodes(planning, node->body, node, order);
  }
}

/* ---- the frame ------------------------------------------------------------------------------------------------------- */

static bool has_frame_shape(const Planning *planning, TensorId tensor) {
  const Tensor *t = &planning->program->tensors[tensor];
  if (t->rank != planning->reverse->rank || t->type != TYPE_REAL) return false;
  for (int n = 0; n < t->rank; n++)
    if (!size_equal(t->shape[n], planning->reverse->extents[n])) return false;
  return true;
}

static const Expr *in_frame(const Planning *planning, const Equation *equation, const Expr *expr) {
  const Expr **by = ARENA_ARRAY(planning->arena, const Expr *, planning->program->index_count);
  for (int n = 0; n < planning->reverse->rank; n++) by[equation->indices[n]] = frame_index(planning, n);
  return reverse_tidy(planning->arena, expr_substitute(planning->arena, expr, planning->program->index_count, by));
}

/* ---- what is there before the loop back -------------------------------------------------------------------------------------- */

typedef struct EarlySearch {
  Planning *planning;
  int depth;
  bool fails;
} EarlySearch;

enum { DEEPEST_EARLY = 8 };

static bool come_before(Planning *planning, int equation, int depth);

static void find_early(void *context, const Expr *expr) {
  EarlySearch *search = context;
  if (expr->op != OP_READ || search->fails) return;
  int definition = search->planning->program->definition[expr->id];
  if (definition != NONE && !come_before(search->planning, definition, search->depth + 1)) search->fails = true;
}

static bool contains(const ScheduleNode *node, const ScheduleNode *loop) {
  if (node == loop) return true;
  for (const ScheduleNode *inner = node->body; inner; inner = inner->next)
    if (contains(inner, loop)) return true;
  return false;
}

/* Takes the node of the equation out of its list, and puts it in front of the one with the loop back. */
static void move_before(Planning *planning, int equation) {
  ScheduleNode *parent = planning->places[equation].parent, **nodes = parent ? &parent->body : planning->schedule, *moved = NULL;
  for (ScheduleNode **node = nodes; *node && !moved; node = &(*node)->next)
    if ((*node)->equation == equation) {
      moved = *node;
      *node = moved->next;
      break;
    }
  while (*nodes && !contains(*nodes, planning->reverse->loop)) nodes = &(*nodes)->next;
  moved->next = *nodes;
  *nodes = moved;
  planning->places[equation].order = planning->at.order;
}

/* It is computed before, or can be, as it depends on nothing that comes later. */
static bool come_before(Planning *planning, int equation, int depth) {
  const Place *place = &planning->places[equation];
  TensorId target = planning->program->equations[equation].target;
  if (planning->forward_of[target] != NONE || planning->backward_of[target] != NONE) return false;
  if (place->order <= planning->at.order && place->order >= 0) return true;
  EarlySearch search = {planning, depth, false};
  bool is_beside = place->order >= 0 && (!place->parent || place->parent == planning->at.parent);
  if (!is_beside || depth == DEEPEST_EARLY) return false;
  equation_visit(&planning->program->equations[equation], find_early, &search);
  if (search.fails) return false;
  move_before(planning, equation);
  return true;
}

/* The recurrence's own element, at this step or the one before (forward), at this one (backward). */
void reverse_check_read(void *context, const Expr *expr) {
  Planning *planning = context;
  if (expr->op != OP_READ) return;
  const Reverse *reverse = planning->reverse;
  bool is_backward = planning->backward_of[expr->id] != NONE;
  if (is_backward || planning->forward_of[expr->id] != NONE) {
    int64_t offset;
    for (int n = 0; n < reverse->rank; n++)
      if (n != reverse->time && !expr_is_index(expr->args[n], reverse->frame[n])) planning->fails = true;
    if (!reverse_offset(reverse, expr, &offset) || offset > 0 || offset < (is_backward ? 0 : -1)) planning->fails = true;
    return;
  }
  int definition = planning->program->definition[expr->id];
  if (definition != NONE && !come_before(planning, definition, 0)) planning->fails = true;
}

static bool add_backward(Planning *planning, int number) {
  const Equation *equation = &planning->program->equations[number];
  Reverse *reverse = planning->reverse;
  if (!has_frame_shape(planning, equation->target) || schedule_loop_axis(reverse->loop, number) != reverse->time) return false;
  if (equation->guard || !equation->value || program_shows(planning->program, equation->target)) return false;
  const char *name = planning->program->tensors[equation->target].name;
  ReverseMember member = {number, equation->target, name, in_frame(planning, equation, equation->value), NULL, NONE};
  planning->backward_of[equation->target] = reverse->backward_count;
  ARENA_PUSH(planning->arena, reverse->backward, reverse->backward_count, member);
  return true;
}

static bool begin_frame(Planning *planning, const ScheduleNode *loop) {
  Program *program = planning->program;
  Reverse *reverse = planning->reverse;
  int first = loop->body->equation;
  const Tensor *tensor = &program->tensors[program->equations[first].target];
  *reverse = (Reverse){.loop = loop, .rank = tensor->rank, .time = schedule_loop_axis(loop, first), .lane = NONE};
  if (tensor->rank > MOST_AXES || tensor->rank < 3 || reverse->time == NONE) return false;
  for (int n = 0; n < reverse->rank; n++) {
    reverse->extents[n] = tensor->shape[n];
    reverse->frame[n] = program_add_index(program, program->indices[program->equations[first].indices[n]].name, size_constant(0), tensor->shape[n]);
    tensor = &program->tensors[program->equations[first].target];
  }
  for (const ScheduleNode *step = loop->body; step; step = step->next)
    if (!add_backward(planning, step->equation)) return false;
  return true;
}

/* ---- the forward recurrence ------------------------------------------------------------------------------------------ */

typedef struct InitialSearch {
  Planning *planning;
  ReverseMember *member;
  TensorId tensor;
} InitialSearch;

/* What the state is before the first step, where something says it. */
static void find_initial(void *context, const Expr *expr) {
  InitialSearch *search = context;
  Planning *planning = search->planning;
  const Reverse *reverse = planning->reverse;
  if (expr->op != OP_READ || expr->id != search->tensor || !expr->outside) return;
  const Expr **by = ARENA_ARRAY(planning->arena, const Expr *, planning->program->index_count);
  by[reverse->frame[reverse->time]] = expr_integer(planning->arena, 0);
  const Expr *initial = reverse_tidy(planning->arena, expr_substitute(planning->arena, expr->outside, planning->program->index_count, by));
  if (search->member->initial && !expr_equal(search->member->initial, initial)) planning->fails = true;
  search->member->initial = initial;
}

void reverse_find_initials(Planning *planning, const Expr *expr) {
  for (int n = 0; n < planning->reverse->forward_count; n++) {
    InitialSearch search = {planning, &planning->reverse->forward[n], planning->reverse->forward[n].tensor};
    expr_visit(expr, find_initial, &search);
  }
}

static void add_forward_loop(Planning *planning, const ScheduleNode *loop) {
  Reverse *reverse = planning->reverse;
  for (const ScheduleNode *step = loop->body; step; step = step->next) {
    const Equation *equation = &planning->program->equations[step->equation];
    bool fits = has_frame_shape(planning, equation->target) && schedule_loop_axis(loop, step->equation) == reverse->time && !equation->guard && equation->value;
    if (!fits) {
      planning->fails = true;
      return;
    }
    const char *name = planning->program->tensors[equation->target].name;
    ReverseMember member = {step->equation, equation->target, name, in_frame(planning, equation, equation->value), NULL, NONE};
    planning->forward_of[equation->target] = reverse->forward_count;
    ARENA_PUSH(planning->arena, reverse->forward, reverse->forward_count, member);
  }
}

/* A tensor of the frame's shape that a loop forward through the same time defines. */
static void find_forward(void *context, const Expr *expr) {
  Planning *planning = context;
  if (expr->op != OP_READ || planning->fails || planning->forward_of[expr->id] != NONE || planning->backward_of[expr->id] != NONE) return;
  int definition = planning->program->definition[expr->id];
  if (definition == NONE || !has_frame_shape(planning, expr->id)) return;
  const ScheduleNode *loop = planning->places[definition].parent;
  if (!loop || loop->is_reversed || schedule_loop_axis(loop, definition) != planning->reverse->time || !schedule_has_maps_only(planning->program, loop)) return;
  add_forward_loop(planning, loop);
}

/* ---- the backward recurrence ------------------------------------------------------------------------------------------ */

typedef struct NextSearch {
  const Planning *planning;
  bool found;
} NextSearch;

static void find_next(void *context, const Expr *expr) {
  NextSearch *search = context;
  int64_t offset;
  if (expr->op == OP_READ && search->planning->backward_of[expr->id] != NONE && reverse_offset(search->planning->reverse, expr, &offset))
    search->found |= offset == 1;
}

/* t + 1 < T */
static bool has_next_step(const Planning *planning, const Expr *condition) {
  const Reverse *reverse = planning->reverse;
  if (condition->op != OP_LT || condition->args[0]->type != TYPE_INT) return false;
  Arena *arena = planning->arena;
  const Expr *next = expr_binary(arena, OP_ADD, frame_index(planning, reverse->time), expr_integer(arena, 1));
  const Expr *expected = expr_binary(arena, OP_SUB, next, size_expr(arena, reverse->extents[reverse->time]));
  Affine difference;
  const Expr *found = expr_binary(arena, OP_SUB, expr_binary(arena, OP_SUB, condition->args[0], condition->args[1]), expected);
  return expr_affine(found, &difference) && difference.term_count == 0 && difference.constant == 0;
}

/* What comes from the step after becomes a value that that step leaves: nothing has to be read there, and after the last step it is 0. */
static const Expr *take_carried(void *context, const Expr *expr) {
  Planning *planning = context;
  Reverse *reverse = planning->reverse;
  Arena *arena = planning->arena;
  if (expr->op != OP_SELECT || !expr_is_number(expr->args[2], 0) || !has_next_step(planning, expr->args[0])) return expr;
  NextSearch search = {planning, false};
  expr_visit(expr->args[1], find_next, &search);
  if (!search.found) return expr;
  const Expr **by = ARENA_ARRAY(arena, const Expr *, planning->program->index_count), *indices[MOST_AXES];
  by[reverse->frame[reverse->time]] = expr_binary(arena, OP_SUB, frame_index(planning, reverse->time), expr_integer(arena, 1));
  for (int n = 0; n < reverse->rank; n++) indices[n] = frame_index(planning, n);
  ReverseValue value = {NONE, reverse_tidy(arena, expr_substitute(arena, expr->args[1], planning->program->index_count, by))};
  const char *name = arena_format(arena, "%s.next", planning->program->tensors[reverse->backward[0].tensor].name);
  value.tensor = program_add_tensor(planning->program, name, TYPE_REAL, reverse->rank, reverse->extents);
  ARENA_PUSH(arena, reverse->carried, reverse->carried_count, value);
  return program_read(planning->program, value.tensor, indices, NULL);
}

static int carried_number(const Reverse *reverse, const Expr *expr) {
  int n = expr->op == OP_READ ? 0 : reverse->carried_count;
  while (n < reverse->carried_count && reverse->carried[n].tensor != expr->id) n++;
  return n < reverse->carried_count ? n : NONE;
}

/* Those that an equation adds up are one: the first takes the others in. Returns what is left of the value, or NULL. */
static const Expr *join_carried(Planning *planning, const Expr *value, const Expr **first) {
  Reverse *reverse = planning->reverse;
  Arena *arena = planning->arena;
  if (value->op == OP_ADD && value->type == TYPE_REAL) {
    const Expr *a = join_carried(planning, value->args[0], first), *b = join_carried(planning, value->args[1], first);
    return !a ? b : !b ? a : expr_binary(arena, OP_ADD, a, b);
  }
  int number = carried_number(reverse, value);
  if (number == NONE) return value;
  if (!*first) {
    *first = value;
    return NULL;
  }
  ReverseValue *into = &reverse->carried[carried_number(reverse, *first)];
  into->value = expr_binary(arena, OP_ADD, into->value, reverse->carried[number].value);
  reverse->carried[number] = reverse->carried[--reverse->carried_count];
  return NULL;
}

static void cut_carried(Planning *planning) {
  Reverse *reverse = planning->reverse;
  for (int n = 0; n < reverse->backward_count; n++) {
    const Expr *first = NULL, *value = expr_rewrite(planning->arena, reverse->backward[n].value, take_carried, planning);
    value = join_carried(planning, value, &first);
    reverse->backward[n].value = !first ? value : !value ? first : expr_binary(planning->arena, OP_ADD, first, value);
  }
}

/* ---- both ------------------------------------------------------------------------------------------------------------- */

/* Members of one step read those before them; the forward ones of the step before any. */
typedef struct OrderCheck {
  Planning *planning;
  int number;
  bool is_backward;
} OrderCheck;

static void check_order(void *context, const Expr *expr) {
  OrderCheck *check = context;
  Planning *planning = check->planning;
  int64_t offset;
  if (expr->op != OP_READ) return;
  const int *of = check->is_backward ? planning->backward_of : planning->forward_of;
  if (!check->is_backward && planning->backward_of[expr->id] != NONE) planning->fails = true;
  if (of[expr->id] == NONE || !reverse_offset(planning->reverse, expr, &offset)) return;
  if (offset == 0 && of[expr->id] >= check->number) planning->fails = true;
}

static bool check_members(Planning *planning) {
  Reverse *reverse = planning->reverse;
  for (int n = 0; n < reverse->forward_count; n++) {
    OrderCheck check = {planning, n, false};
    expr_visit(reverse->forward[n].value, reverse_check_read, planning);
    expr_visit(reverse->forward[n].value, check_order, &check);
    reverse_find_initials(planning, reverse->forward[n].value);
  }
  for (int n = 0; n < reverse->backward_count; n++) {
    OrderCheck check = {planning, n, true};
    expr_visit(reverse->backward[n].value, reverse_check_read, planning);
    expr_visit(reverse->backward[n].value, check_order, &check);
    reverse_find_initials(planning, reverse->backward[n].value);
  }
  for (int n = 0; n < reverse->carried_count; n++) {
    expr_visit(reverse->carried[n].value, reverse_check_read, planning);
    reverse_find_initials(planning, reverse->carried[n].value);
  }
  return !planning->fails;
}

static void reset_planning(Planning *planning) {
  int order = 0;
  int room = planning->program->tensor_count + 4 * planning->program->equation_count + 64; /* tensors and equations are added */
  planning->places = ARENA_ARRAY(planning->arena, Place, room);
  planning->loop_count = planning->reader_count = planning->end_count = 0;
  planning->loops = NULL;
  planning->readers = NULL;
  planning->ends = NULL;
  planning->fails = planning->is_forward_kept = false;
  for (int n = 0; n < room; n++) planning->places[n].order = -1;
  number_nodes(planning, *planning->schedule, NULL, &order);
  planning->forward_of = ARENA_ARRAY(planning->arena, int, room);
  planning->backward_of = ARENA_ARRAY(planning->arena, int, room);
  for (int n = 0; n < room; n++) planning->forward_of[n] = planning->backward_of[n] = NONE;
  planning->reverse = ARENA_NEW(planning->arena, Reverse);
}

static bool plan_loop(Planning *planning, const ScheduleNode *loop) {
  reset_planning(planning);
  Reverse *reverse = planning->reverse;
  for (int n = 0; n < planning->loop_count; n++)
    if (planning->loops[n].loop == loop) planning->at = planning->loops[n].place;
  if (!begin_frame(planning, loop)) return false;
  for (int n = 0; n < reverse->backward_count; n++) expr_visit(reverse->backward[n].value, find_forward, planning);
  for (int n = 0; n < planning->program->equation_count; n++)
    if (reverse_uses_of(planning, n).reads_backward) equation_visit(&planning->program->equations[n], find_forward, planning);
  if (planning->fails || !reverse->forward_count) return false;
  cut_carried(planning);
  if (!reverse->carried_count || !check_members(planning) || !reverse_find_readers(planning) || planning->fails) return false;
  if (!reverse_rewrite(planning)) return false;
  ARENA_PUSH(planning->arena, planning->lowering->reverses, planning->lowering->reverse_count, *reverse);
  return true;
}

static void collect_loops(Planning *planning, const ScheduleNode *nodes, const ScheduleNode ***loops, int *count) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) continue;
    if (node->is_reversed && schedule_has_maps_only(planning->program, node)) ARENA_PUSH(planning->arena, *loops, *count, node);
    collect_loops(planning, node->body, loops, count);
  }
}

void plan_reverses(Lowering *lowering, ScheduleNode **schedule) {
  if (lowering->context->optimisation == 0) return;
  Planning planning = {.lowering = lowering, .arena = lowering->arena, .program = lowering->program, .schedule = schedule};
  const ScheduleNode **loops = NULL;
  int count = 0;
  collect_loops(&planning, *schedule, &loops, &count);
  for (int n = 0; n < count; n++) plan_loop(&planning, loops[n]);
}

typedef struct LayoutSearch {
  Lowering *lowering;
  const Reverse *reverse;
} LayoutSearch;

/* A small tensor of the workspace that does not change with time. */
static void want_innermost(void *context, const Expr *expr) {
  const LayoutSearch *search = context;
  const Reverse *reverse = search->reverse;
  if (expr->op != OP_READ || search->lowering->innermost[expr->id] || expr->arg_count > reverse->rank) return;
  const Tensor *tensor = &search->lowering->program->tensors[expr->id];
  for (int n = 0; n < tensor->rank; n++)
    if (tensor->shape[n].symbol != NONE) return;
  for (int n = 0; n < expr->arg_count; n++)
    if (expr_is_index(expr->args[n], reverse->frame[reverse->lane])) search->lowering->innermost[expr->id] = n + 1;
}

void choose_reverse_layouts(Lowering *lowering) {
  for (int n = 0; n < lowering->reverse_count; n++) {
    const Reverse *reverse = &lowering->reverses[n];
    LayoutSearch search = {lowering, reverse};
    for (int k = 0; k < reverse->forward_count; k++) expr_visit(reverse->forward[k].value, want_innermost, &search);
    for (int k = 0; k < reverse->backward_count; k++) expr_visit(reverse->backward[k].value, want_innermost, &search);
    for (int k = 0; k < reverse->carried_count; k++) expr_visit(reverse->carried[k].value, want_innermost, &search);
    for (int k = 0; k < reverse->shared_count; k++) expr_visit(reverse->shared[k].value, want_innermost, &search);
    for (int k = 0; k < reverse->sum_count; k++) expr_visit(reverse->sums[k].term, want_innermost, &search);
  }
}

const Reverse *find_reverse(const Lowering *lowering, const ScheduleNode *node) {
  for (int n = 0; n < lowering->reverse_count; n++)
    if (lowering->reverses[n].loop == node) return &lowering->reverses[n];
  return NULL;
}
