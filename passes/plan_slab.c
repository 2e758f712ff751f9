/* plan_slab.c - which equations are taken together, some hundred rows at a time, because each row is long.
 *
 * A classification over fifty thousand words makes a tensor x[b,t,v] that is larger than all else, and all that ever reads it stands at
 * the same row, but for the largest element and the sum along v that a row is reduced to. So all of these equations are done for one block
 * of rows after the other: the tensor, what its rows are reduced to, and, as soon as the weight of each row in the objective is known
 * before, its gradient and the products with that. All threads share out each of these steps, as a product over a few rows only
 * would read its weights again and again; sums over the rows go on from block to block. That is done where
 *   - a row of known length, much longer than a cache holds some hundred of, is reduced;
 *   - what these equations read of each other stands at the same row throughout, and sums over rows are read by none of them.
 *
 * The equations are rewritten in place, in terms of the row within the block; what only they read has rows for one block. A block is
 * a part of each of the axes that rows have: along the last one as much as there is, up to SLAB_ROWS; along the others, too, as long as rows
 * are fewer. Blocks are about equal. So that all have the same extents, the last one begins earlier than the one before ends. Its
 * first rows are done twice, and sums skip them.
 */
#include "passes/plan_band.h"

enum { LONG_FACTOR = 4 }; /* a block of long rows is larger than the second level so many times, so no thread has it near anyway */

/* ---- members ---------------------------------------------------------------------------------------------------------- */

/* The length of a long row that the equation reduces; 0: none. */
static int64_t long_row(const Plan *plan, int equation) {
  const Equation *e = &plan->program->equations[equation];
  int64_t least = (int64_t)plan->lowering->context->machine->l2_bytes * LONG_FACTOR / (SLAB_ROWS * 4);
  if (e->reduce == REDUCE_NONE || !is_row_reduction(plan->program, equation)) return 0;
  for (int n = 0; n < e->reduce_count; n++) {
    const Index *range = &plan->program->indices[e->reduce_indices[n]];
    if (range->high.symbol == NONE && size_is(range->low, 0) && range->high.constant > least) return range->high.constant;
  }
  return 0;
}

/* Tensors with rows of this length that are made and read in this list of steps only. */
static void find_long(Plan *plan, int64_t length) {
  const Program *program = plan->program;
  memset(plan->is_candidate, 0, sizeof *plan->is_candidate * (size_t)program->tensor_count);
  for (int n = 0; n < program->equation_count; n++) {
    TensorId target = program->equations[n].target;
    const Tensor *tensor = &program->tensors[target];
    bool has_rows = false, is_long = false;
    for (int axis = 0; axis < tensor->rank; axis++) has_rows |= tensor->shape[axis].symbol != NONE, is_long |= size_is(tensor->shape[axis], length);
    plan->is_candidate[target] = plan->position[n] != NONE && has_rows && is_long && !program_shows(program, target) && !program_has_boundary(program, target);
  }
  plan_drop_candidates(plan);
}

/* No state that another call goes on with. */
static bool are_plain(const Plan *plan) {
  for (int n = 0; n < plan->band.count; n++) {
    TensorId target = plan_member(plan, n)->target;
    bool is_state = program_has_boundary(plan->program, target) || program_port_of_tensor(plan->program, target, PORT_CARRY_OUT) != NONE ||
                    program_port_of_tensor(plan->program, target, PORT_FINAL_STATE) != NONE;
    if (is_state) return false;
  }
  return true;
}

/* ---- axes of rows ----------------------------------------------------------------------------------------------------- */

static SymbolId add_derived(Program *program, const char *name, const Expr *formula) {
  SymbolId id = program_add_symbol(program, SYMBOL_DERIVED, arena_format(program->arena, "%s%d", name, program->symbol_count));
  program->symbols[id].formula = formula;
  return id;
}

static const Expr *ceil_of(Arena *arena, const Expr *a, const Expr *b) {
  const Expr *one = expr_integer(arena, 1);
  return expr_binary(arena, OP_QUOTIENT, expr_binary(arena, OP_ADD, a, expr_binary(arena, OP_SUB, b, one)), b);
}

/* From the last axis to the first: how many rows of it a block has, where those after leave room for more. */
static void size_blocks(Program *program, Slab *slab, const Size *extents) {
  Arena *arena = program->arena;
  const Expr *room = expr_integer(arena, SLAB_ROWS), *one = expr_integer(arena, 1);
  for (int k = slab->axis_count - 1; k >= 0; k--) {
    SlabAxis *axis = &slab->axes[k];
    const Expr *extent = size_expr(arena, extents[k]);
    SymbolId blocks = add_derived(program, "blocks", ceil_of(arena, extent, room));
    SymbolId rows = add_derived(program, "rows", ceil_of(arena, extent, expr_symbol(arena, blocks)));
    const Expr *rest = expr_binary(arena, OP_SUB, extent, expr_symbol(arena, rows));
    SymbolId firsts = add_derived(program, "firsts", expr_binary(arena, OP_ADD, rest, one));
    axis->extent = extents[k];
    axis->rows = size_symbol(rows);
    axis->block = program_add_index(program, "block", size_constant(0), size_symbol(blocks));
    axis->first = program_add_index(program, "first", size_constant(0), size_symbol(firsts));
    axis->skipped = program_add_index(program, "skipped", size_constant(0), axis->rows);
    room = expr_binary(arena, OP_MAX, one, expr_binary(arena, OP_QUOTIENT, room, expr_symbol(arena, rows)));
  }
}

/* The run-time axes that all members share. */
static bool find_axes(Plan *plan, Slab *slab, Size *extents) {
  Arena *arena = plan->lowering->arena;
  int first = 0;
  while (!plan->is_candidate[plan_member(plan, first)->target]) first++;
  const Tensor *tensor = &plan->program->tensors[plan_member(plan, first)->target];
  int *place = ARENA_ARRAY(arena, int, plan->band.count);
  bool *sums = ARENA_ARRAY(arena, bool, plan->band.count);
  slab->places = ARENA_ARRAY(arena, int, plan->band.count * MOST_SLAB_AXES);
  for (int axis = 0; axis < tensor->rank && slab->axis_count < MOST_SLAB_AXES; axis++) {
    if (tensor->shape[axis].symbol == NONE || !plan_follow_axis(plan, first, axis, place, sums) || !plan_sums_are_plain(plan, sums)) continue;
    for (int n = 0; n < plan->band.count; n++) slab->places[n * MOST_SLAB_AXES + slab->axis_count] = place[n];
    extents[slab->axis_count++] = tensor->shape[axis];
  }
  return slab->axis_count > 0;
}

/* ---- equations in terms of the rows of a block ------------------------------------------------------------------------ */

typedef struct Rewrite {
  Plan *plan;
  const Slab *slab;
  const bool *is_local;       /* by tensor: has rows for one block */
  int number;                 /* of the member at hand */
  IndexId row[MOST_SLAB_AXES];
  IndexId summed;             /* found: the index of its reduction that runs over the rows of axis `axis` */
  int axis;
} Rewrite;

static int member_number(const Plan *plan, TensorId tensor) {
  for (int n = 0; n < plan->band.count; n++)
    if (plan_member(plan, n)->target == tensor) return n;
  return NONE;
}

static void find_summed(void *context, const Expr *expr) {
  Rewrite *rewrite = context;
  const Equation *equation = plan_member(rewrite->plan, rewrite->number);
  int maker = expr->op == OP_READ ? member_number(rewrite->plan, expr->id) : NONE;
  int place = maker == NONE || maker == rewrite->number ? NONE : rewrite->slab->places[maker * MOST_SLAB_AXES + rewrite->axis];
  for (int n = 0; n < equation->reduce_count && place != NONE; n++)
    if (expr_is_index(expr->args[place], equation->reduce_indices[n])) rewrite->summed = equation->reduce_indices[n];
}

/* What has rows for one block is read at the row in the block. */
static const Expr *read_local(void *context, const Expr *expr) {
  const Rewrite *rewrite = context;
  if (expr->op != OP_READ || !rewrite->is_local[expr->id]) return expr;
  Program *program = rewrite->plan->lowering->program;
  int maker = member_number(rewrite->plan, expr->id);
  const Expr **args = arena_copy(program->arena, expr->args, sizeof *args * (size_t)expr->arg_count);
  for (int k = 0; k < rewrite->slab->axis_count; k++) args[rewrite->slab->places[maker * MOST_SLAB_AXES + k]] = expr_index(program->arena, rewrite->row[k]);
  return expr_with_source(program->arena, program_read(program, expr->id, args, NULL), expr->source);
}

static const Expr *global_row(const Rewrite *rewrite, int axis) {
  Arena *arena = rewrite->plan->lowering->arena;
  return expr_binary(arena, OP_ADD, expr_index(arena, rewrite->slab->axes[axis].first), expr_index(arena, rewrite->row[axis]));
}

/* Later blocks go on from what those before left; rows that were done already are skipped. */
static void go_on(const Rewrite *rewrite, Equation *equation, const Expr *is_first) {
  Program *program = rewrite->plan->lowering->program;
  const Expr **at = ARENA_ARRAY(program->arena, const Expr *, program->tensors[equation->target].rank);
  for (int n = 0; n < program->tensors[equation->target].rank; n++) at[n] = expr_index(program->arena, equation->indices[n]);
  for (int k = 0; k < rewrite->slab->axis_count; k++) {
    int place = rewrite->slab->places[rewrite->number * MOST_SLAB_AXES + k];
    if (place != NONE) at[place] = global_row(rewrite, k);
  }
  const Expr *start = equation->value ? equation->value : expr_number(program->arena, 0);
  equation->value = expr_select(program->arena, is_first, start, program_read(program, equation->target, at, NULL));
}

static void rewrite_member(Rewrite *rewrite) {
  Program *program = rewrite->plan->lowering->program;
  Arena *arena = program->arena;
  const Slab *slab = rewrite->slab;
  Equation *equation = &program->equations[rewrite->plan->band.equations[rewrite->number]];
  const Expr **by = ARENA_ARRAY(arena, const Expr *, program->index_count + slab->axis_count), *is_first = NULL, *guard = NULL;
  equation->indices = arena_copy(arena, equation->indices, sizeof *equation->indices * (size_t)program->tensors[equation->target].rank);
  equation->reduce_indices = arena_copy(arena, equation->reduce_indices, sizeof *equation->indices * (size_t)equation->reduce_count);
  int index_count = program->index_count;
  for (int k = 0; k < slab->axis_count; k++) {
    int place = slab->places[rewrite->number * MOST_SLAB_AXES + k];
    rewrite->axis = k;
    rewrite->summed = NONE;
    if (place == NONE) equation_visit(equation, find_summed, rewrite);
    IndexId old = place == NONE ? rewrite->summed : equation->indices[place];
    if (old == NONE) internal_error("a sum over the rows of a slab reads none of its rows");
    IndexId row = rewrite->row[k] = program_add_index(program, program->indices[old].name, size_constant(0), slab->axes[k].rows);
    by[old] = global_row(rewrite, k);
    if (place != NONE) {
      equation->indices[place] = row;
      continue;
    }
    for (int n = 0; n < equation->reduce_count; n++)
      if (equation->reduce_indices[n] == old) equation->reduce_indices[n] = row;
    const Expr *is_new = expr_binary(arena, OP_GE, expr_index(arena, row), expr_index(arena, slab->axes[k].skipped));
    const Expr *begins = expr_binary(arena, OP_EQ, expr_index(arena, slab->axes[k].block), expr_integer(arena, 0));
    guard = guard ? expr_binary(arena, OP_AND, guard, is_new) : is_new;
    is_first = is_first ? expr_binary(arena, OP_AND, is_first, begins) : begins;
  }
  const Expr **parts[] = {&equation->value, &equation->guard, &equation->body};
  for (int n = 0; n < 3; n++)
    if (*parts[n]) *parts[n] = expr_rewrite(arena, expr_substitute(arena, *parts[n], index_count, by), read_local, rewrite);
  if (guard) equation->guard = equation->guard ? expr_binary(arena, OP_AND, guard, equation->guard) : guard;
  if (is_first) go_on(rewrite, equation, is_first);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static bool is_read_elsewhere(const Plan *plan, TensorId tensor) {
  for (int n = 0; n < plan->program->equation_count; n++)
    if (!plan->is_member[n] && plan_reads(plan, n, tensor)) return true;
  return false;
}

/* Tensors that only members read get rows for one block; of the others, which stay whole, stores go to the rows of the block. */
static void place_targets(Plan *plan, const Slab *slab, bool *is_local) {
  Lowering *lowering = plan->lowering;
  Program *program = lowering->program;
  for (int n = 0; n < plan->band.count; n++) {
    TensorId target = plan_member(plan, n)->target;
    Tensor *tensor = &program->tensors[target];
    is_local[target] = !program_shows(program, target) && !is_read_elsewhere(plan, target);
    for (int k = 0; k < slab->axis_count; k++) is_local[target] &= slab->places[n * MOST_SLAB_AXES + k] != NONE;
    if (is_local[target]) tensor->shape = arena_copy(lowering->arena, tensor->shape, sizeof *tensor->shape * (size_t)tensor->rank);
    for (int k = 0; k < slab->axis_count; k++) {
      int place = slab->places[n * MOST_SLAB_AXES + k];
      if (is_local[target]) tensor->shape[place] = slab->axes[k].rows;
      else if (place != NONE) lowering->first_rows[target * MOST_AXES + place] = slab->axes[k].first + 1;
    }
    lowering->is_of_slab[target] = is_local[target];
  }
}

/* The steps of the members, which stand side by side, become the body of one loop. */
static ScheduleNode *wrap(const Plan *plan, ScheduleNode *nodes, ScheduleNode *loop) {
  ScheduleNode **link = &nodes;
  while ((*link)->equation == NONE || !plan->is_member[(*link)->equation]) link = &(*link)->next;
  loop->body = *link;
  ScheduleNode **end = link;
  while (*end && (*end)->equation != NONE && plan->is_member[(*end)->equation]) end = &(*end)->next;
  loop->next = *end;
  *end = NULL;
  *link = loop;
  return nodes;
}

static void accept(Plan *plan, Slab *slab, const Size *extents) {
  Lowering *lowering = plan->lowering;
  Program *program = lowering->program;
  bool *is_local = ARENA_ARRAY(lowering->arena, bool, program->tensor_count);
  size_blocks(program, slab, extents);
  place_targets(plan, slab, is_local);
  Rewrite rewrite = {.plan = plan, .slab = slab, .is_local = is_local};
  for (rewrite.number = 0; rewrite.number < plan->band.count; rewrite.number++) rewrite_member(&rewrite);
  ScheduleNode *loop = ARENA_NEW(lowering->arena, ScheduleNode);
  *loop = (ScheduleNode){.equation = NONE, .index = NONE, .members = plan->band.equations, .member_count = plan->band.count};
  loop->axes = ARENA_ARRAY(lowering->arena, int, plan->band.count);
  for (int n = 0; n < plan->band.count; n++) loop->axes[n] = NONE;
  plan->nodes = wrap(plan, plan_put_together(plan), loop);
  slab->loop = loop;
  slab->members = plan->band;
  ARENA_PUSH(lowering->arena, lowering->slabs, lowering->slab_count, *slab);
}

ScheduleNode *plan_slabs(Lowering *lowering, ScheduleNode *schedule) {
  const Program *program = lowering->program;
  Arena *arena = lowering->arena;
  lowering->first_rows = ARENA_ARRAY(arena, int, program->tensor_count * MOST_AXES);
  lowering->is_of_slab = ARENA_ARRAY(arena, bool, program->tensor_count);
  if (lowering->context->optimisation == 0) return schedule;
  Plan plan = {.lowering = lowering, .program = program, .nodes = schedule};
  plan.position = ARENA_ARRAY(arena, int, program->equation_count);
  plan.is_candidate = ARENA_ARRAY(arena, bool, program->tensor_count);
  plan.is_member = ARENA_ARRAY(arena, bool, program->equation_count);
  bool *is_tried = ARENA_ARRAY(arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) plan.position[n] = NONE;
  int place = 0;
  for (const ScheduleNode *node = schedule; node; node = node->next, place++)
    if (node->equation != NONE) plan.position[node->equation] = place;
  for (int n = 0; n < program->equation_count; n++) {
    int64_t length = plan.position[n] == NONE || is_tried[n] ? 0 : long_row(&plan, n);
    if (!length) continue;
    if (!plan.reads) plan.reads = plan_collect_reads(&plan);
    find_long(&plan, length);
    plan_gather(&plan, n);
    bool is_closed = plan_close(&plan, true), has_long = false;
    plan_order_members(&plan);
    for (int m = 0; m < plan.band.count; m++) is_tried[plan.band.equations[m]] = true, has_long |= plan.is_candidate[plan_member(&plan, m)->target];
    Slab slab = {.loop = NULL};
    Size extents[MOST_SLAB_AXES];
    if (!is_closed || !has_long || !are_plain(&plan) || !find_axes(&plan, &slab, extents)) continue;
    accept(&plan, &slab, extents);
    for (int m = 0; m < plan.band.count; m++) plan.position[plan.band.equations[m]] = NONE;
  }
  return plan.nodes;
}
