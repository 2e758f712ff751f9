/* schedule.c - an order of execution for equations.
 *
 * Allen and Kennedy's loop distribution over named axes. Equations that depend on each other in a cycle need a sequential
 * loop over an axis along which every dependence has the same direction; inside that loop the dependences that reach over at
 * least one iteration no longer count, and the rest is ordered again. What is in no cycle is a step of its own: so everything
 * that does not depend on a recurrence leaves its loop, here and nowhere else. The first axis that works is taken, and
 * the axes of a repeat come before time, so that whole layers run over whole sequences.
 * Source: R. Allen, K. Kennedy, Automatic Translation of Fortran Programs to Vector Form, TOPLAS 9(4), 1987.
 */
#include "passes/schedule.h"

#include "passes/ranges.h"

/* Equation `user` reads what `maker` defines. */
typedef struct Edge {
  int user, maker;
  const Expr *read;
  bool is_carried; /* by a loop around: no longer an obstacle */
} Edge;

typedef struct Scheduler {
  Program *program;
  Diagnostics *diagnostics;
  int edge_count;
  Edge *edges;
  int *first_edge; /* by user; edges are sorted by user */
  int current_user;
  bool failed;
} Scheduler;

static void add_edge(void *context, const Expr *expr) {
  Scheduler *scheduler = context;
  if (expr->op != OP_READ || scheduler->program->definition[expr->id] == NONE) return;
  Edge edge = {scheduler->current_user, scheduler->program->definition[expr->id], expr, false};
  ARENA_PUSH(scheduler->program->arena, scheduler->edges, scheduler->edge_count, edge);
}

static void collect_edges(Scheduler *scheduler) {
  Program *program = scheduler->program;
  scheduler->first_edge = ARENA_ARRAY(program->arena, int, program->equation_count + 1);
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    scheduler->first_edge[n] = scheduler->edge_count;
    scheduler->current_user = n;
    if (equation->value) expr_visit(equation->value, add_edge, scheduler);
    if (equation->guard) expr_visit(equation->guard, add_edge, scheduler);
    if (equation->body) expr_visit(equation->body, add_edge, scheduler);
  }
  scheduler->first_edge[program->equation_count] = scheduler->edge_count;
}

/* ---- strongly connected components (Tarjan) ------------------------------------------------------------------------ */

typedef struct Components {
  const Scheduler *scheduler;
  const bool *is_member;
  int *order, *lowest, *stack, *component;
  bool *is_on_stack;
  int visited, depth, count;
} Components;

static void visit(Components *c, int equation) {
  c->order[equation] = c->lowest[equation] = ++c->visited;
  c->stack[c->depth++] = equation;
  c->is_on_stack[equation] = true;
  const Scheduler *s = c->scheduler;
  for (int e = s->first_edge[equation]; e < s->first_edge[equation + 1]; e++) {
    int maker = s->edges[e].maker;
    if (s->edges[e].is_carried || !c->is_member[maker]) continue;
    if (!c->order[maker]) visit(c, maker);
    if (c->is_on_stack[maker] && c->lowest[maker] < c->lowest[equation]) c->lowest[equation] = c->lowest[maker];
  }
  if (c->lowest[equation] != c->order[equation]) return;
  int member;
  do {
    member = c->stack[--c->depth];
    c->is_on_stack[member] = false;
    c->component[member] = c->count;
  } while (member != equation);
  c->count++;
}

/* Component numbers by equation; makers have smaller numbers than users. */
static int *find_components(const Scheduler *scheduler, const bool *is_member, int *out_count) {
  const Program *program = scheduler->program;
  Arena *arena = program->arena;
  int equations = program->equation_count;
  Components c = {.scheduler = scheduler, .is_member = is_member};
  c.order = ARENA_ARRAY(arena, int, equations);
  c.lowest = ARENA_ARRAY(arena, int, equations);
  c.stack = ARENA_ARRAY(arena, int, equations);
  c.component = ARENA_ARRAY(arena, int, equations);
  c.is_on_stack = ARENA_ARRAY(arena, bool, equations);
  for (int n = 0; n < equations; n++)
    if (is_member[n] && !c.order[n]) visit(&c, n);
  *out_count = c.count;
  return c.component;
}

int *equation_components(const Program *program, int *out_count) {
  Scheduler scheduler = {.program = (Program *)(uintptr_t)program};
  collect_edges(&scheduler);
  bool *is_member = ARENA_ARRAY(program->arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) is_member[n] = true;
  int count;
  int *component = find_components(&scheduler, is_member, &count);
  if (out_count) *out_count = count;
  return component;
}

/* ---- the axis of a loop -------------------------------------------------------------------------------------------- */

typedef struct Axes {
  const Scheduler *scheduler;
  const bool *is_member;
  int *axis;      /* by equation: NONE until known */
  bool is_reversed;
} Axes;

/* Steps by which the read reaches back along the axis: read index = time - lag. The range of the lag is put in *out_low, *out_high. */
static bool lag_range(const Axes *axes, const Edge *edge, int *out_sign) {
  const Program *program = axes->scheduler->program;
  const Equation *user = &program->equations[edge->user];
  Affine affine;
  if (!expr_affine(edge->read->args[axes->axis[edge->maker]], &affine)) return false;
  IndexId time = user->indices[axes->axis[edge->user]];
  if (affine_coefficient(&affine, false, time) != 1) return false;
  Ranges ranges = program_ranges(program);
  const Expr *here = expr_index(program->arena, time);
  const Expr *lag = expr_binary(program->arena, OP_SUB, here, edge->read->args[axes->axis[edge->maker]]);
  const Expr *lead = expr_binary(program->arena, OP_SUB, edge->read->args[axes->axis[edge->maker]], here);
  *out_sign = ranges_prove_at_least(&ranges, lag, 1) ? 1 : ranges_prove_at_least(&ranges, lead, 1) ? -1 : 0;
  return *out_sign != 0 || ranges_prove_at_least(&ranges, axes->is_reversed ? lead : lag, 0);
}

/* The axis of the maker's target that the read aligns with the user's, or the other way round. */
static int aligned_axis(const Program *program, const Edge *edge, int user_axis) {
  IndexId time = program->equations[edge->user].indices[user_axis];
  for (int p = 0; p < edge->read->arg_count; p++) {
    Affine affine;
    if (expr_affine(edge->read->args[p], &affine) && affine_coefficient(&affine, false, time) == 1) return p;
  }
  return NONE;
}

static int aligned_user_axis(const Program *program, const Edge *edge, int maker_axis) {
  Affine affine;
  if (!expr_affine(edge->read->args[maker_axis], &affine)) return NONE;
  const Equation *user = &program->equations[edge->user];
  int rank = program->tensors[user->target].rank;
  for (int q = 0; q < rank; q++)
    if (affine_coefficient(&affine, false, user->indices[q]) == 1) return q;
  return NONE;
}

/* Spreads the axis of one member to all; false when some read fits none. */
static bool align(Axes *axes) {
  const Scheduler *s = axes->scheduler;
  bool changed = true;
  while (changed) {
    changed = false;
    for (int e = 0; e < s->edge_count; e++) {
      const Edge *edge = &s->edges[e];
      if (edge->is_carried || !axes->is_member[edge->user] || !axes->is_member[edge->maker]) continue;
      int *user = &axes->axis[edge->user], *maker = &axes->axis[edge->maker];
      if ((*user == NONE) == (*maker == NONE)) continue;
      int found = *maker == NONE ? aligned_axis(s->program, edge, *user) : aligned_user_axis(s->program, edge, *maker);
      if (found == NONE) return false;
      *(*maker == NONE ? maker : user) = found;
      changed = true;
    }
  }
  return true;
}

static bool same_extents(const Axes *axes, int first) {
  const Program *program = axes->scheduler->program;
  Size extent = program->tensors[program->equations[first].target].shape[axes->axis[first]];
  for (int n = 0; n < program->equation_count; n++) {
    if (!axes->is_member[n]) continue;
    if (axes->axis[n] == NONE || !size_equal(program->tensors[program->equations[n].target].shape[axes->axis[n]], extent)) return false;
  }
  return true;
}

/* A sequential loop over this axis orders every dependence, and breaks at least one. */
static bool is_loop_axis(Axes *axes, int first) {
  const Scheduler *s = axes->scheduler;
  if (!align(axes) || !same_extents(axes, first)) return false;
  bool breaks = false;
  for (int e = 0; e < s->edge_count; e++) {
    const Edge *edge = &s->edges[e];
    if (edge->is_carried || !axes->is_member[edge->user] || !axes->is_member[edge->maker]) continue;
    int sign;
    if (!lag_range(axes, edge, &sign) || sign == (axes->is_reversed ? 1 : -1)) return false;
    breaks |= sign != 0;
  }
  return breaks;
}

static bool find_axis(Axes *axes, int first) {
  const Program *program = axes->scheduler->program;
  int rank = program->tensors[program->equations[first].target].rank;
  for (int candidate = 0; candidate < rank; candidate++)
    for (int direction = 0; direction < 2; direction++) {
      for (int n = 0; n < program->equation_count; n++) axes->axis[n] = NONE;
      axes->axis[first] = candidate;
      axes->is_reversed = direction == 1;
      if (is_loop_axis(axes, first)) return true;
    }
  return false;
}

/* ---- the tree ------------------------------------------------------------------------------------------------------ */

static ScheduleNode *schedule_members(Scheduler *scheduler, const bool *is_member);

static void report_cycle(Scheduler *scheduler, const bool *is_member) {
  const Program *program = scheduler->program;
  bool is_first = true;
  scheduler->failed = true;
  for (int n = 0; n < program->equation_count; n++) {
    if (!is_member[n]) continue;
    const Equation *equation = &program->equations[n];
    const char *name = program->tensors[equation->target].name;
    if (is_first)
      diagnostics_error(scheduler->diagnostics, equation->source, "'%s' depends on itself, and no order along one axis computes it", name);
    else
      diagnostics_note(scheduler->diagnostics, equation->source, "through '%s'", name);
    is_first = false;
  }
}

static ScheduleNode *make_loop(Scheduler *scheduler, const bool *is_member, int first) {
  Program *program = scheduler->program;
  Axes axes = {.scheduler = scheduler, .is_member = is_member, .axis = ARENA_ARRAY(program->arena, int, program->equation_count)};
  if (!find_axis(&axes, first)) {
    report_cycle(scheduler, is_member);
    return NULL;
  }
  ScheduleNode *loop = ARENA_NEW(program->arena, ScheduleNode);
  loop->equation = NONE;
  loop->is_reversed = axes.is_reversed;
  const Equation *equation = &program->equations[first];
  Size extent = program->tensors[equation->target].shape[axes.axis[first]];
  loop->index = program_add_index(program, program->indices[equation->indices[axes.axis[first]]].name, size_constant(0), extent);
  for (int n = 0; n < program->equation_count; n++) {
    if (!is_member[n]) continue;
    int axis_count = loop->member_count;
    ARENA_PUSH(program->arena, loop->members, loop->member_count, n);
    ARENA_PUSH(program->arena, loop->axes, axis_count, axes.axis[n]);
  }
  for (int e = 0; e < scheduler->edge_count; e++) {
    Edge *edge = &scheduler->edges[e];
    if (edge->is_carried || !is_member[edge->user] || !is_member[edge->maker]) continue;
    int sign;
    edge->is_carried = lag_range(&axes, edge, &sign) && sign != 0;
  }
  loop->body = schedule_members(scheduler, is_member);
  return loop;
}

static bool reads_itself(const Scheduler *scheduler, int equation) {
  for (int e = scheduler->first_edge[equation]; e < scheduler->first_edge[equation + 1]; e++)
    if (scheduler->edges[e].maker == equation && !scheduler->edges[e].is_carried) return true;
  return false;
}

static ScheduleNode *schedule_members(Scheduler *scheduler, const bool *is_member) {
  Program *program = scheduler->program;
  int count, equations = program->equation_count;
  int *component = find_components(scheduler, is_member, &count);
  ScheduleNode *first_node = NULL, **tail = &first_node;
  for (int c = 0; c < count && !scheduler->failed; c++) {
    bool *is_inside = ARENA_ARRAY(program->arena, bool, equations);
    int size = 0, first = NONE;
    for (int n = 0; n < equations; n++) {
      is_inside[n] = is_member[n] && component[n] == c;
      if (!is_inside[n]) continue;
      if (first == NONE) first = n;
      size++;
    }
    ScheduleNode *node;
    if (size == 1 && !reads_itself(scheduler, first)) {
      node = ARENA_NEW(program->arena, ScheduleNode);
      node->equation = first;
    } else {
      node = make_loop(scheduler, is_inside, first);
    }
    if (!node) break;
    *tail = node;
    tail = &node->next;
  }
  return first_node;
}

static bool is_carry_out(const Program *program, const ScheduleNode *node) {
  for (int n = 0; n < program->port_count && node->equation != NONE; n++)
    if (program->ports[n].kind == PORT_CARRY_OUT && program->ports[n].tensor == program->equations[node->equation].target) return true;
  return false;
}

ScheduleNode *schedule_put_carries_last(const Program *program, ScheduleNode *schedule) {
  ScheduleNode *first = NULL, **tail = &first, *last = NULL, **last_tail = &last;
  for (ScheduleNode *node = schedule; node; node = node->next) {
    ScheduleNode ***end = is_carry_out(program, node) ? &last_tail : &tail;
    **end = node;
    *end = &node->next;
  }
  *last_tail = NULL;
  *tail = last;
  return first;
}

int schedule_loop_axis(const ScheduleNode *loop, int equation) {
  for (int m = 0; loop && m < loop->member_count; m++)
    if (loop->members[m] == equation) return loop->axes[m];
  return NONE;
}

bool schedule_has_maps_only(const Program *program, const ScheduleNode *loop) {
  for (const ScheduleNode *step = loop->body; step; step = step->next)
    if (step->equation == NONE || program->equations[step->equation].reduce != REDUCE_NONE) return false;
  return true;
}

ScheduleNode *schedule_create(Program *program, Diagnostics *diagnostics) {
  Scheduler scheduler = {.program = program, .diagnostics = diagnostics};
  collect_edges(&scheduler);
  bool *is_member = ARENA_ARRAY(program->arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) is_member[n] = true;
  ScheduleNode *schedule = schedule_members(&scheduler, is_member);
  return scheduler.failed ? NULL : schedule_put_carries_last(program, schedule_sink(program, schedule));
}
