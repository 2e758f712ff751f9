/* lower.c - from a scheduled program to the kernel of one entry point.
 *
 * Needs:  isolated results; every equation of the form value (+) one reduction.
 * Leaves: a kernel of stages. A stage is one parallel loop nest; barriers come between them in the end (barriers.c).
 *         The loops of the schedule become sequential loops around stages.
 */
#include "passes/lower.h"
#include "passes/reverse.h"

void end_stage(Lowering *lowering, Block *block, Statement *stage, const Expr *wanted) {
  if (wanted) stage = statement_if(lowering->kernel, wanted, stage, NULL);
  block_append(block, stage);
}

/* ---- loop nests ---------------------------------------------------------------------------------------------------- */

/* for index in value .. value + 1: binds an index to a computed value. */
static Statement *bind_index(Lowering *lowering, IndexId index, const Expr *value, Statement *body) {
  const Expr *next = expr_binary(lowering->arena, OP_ADD, value, integer(lowering, 1));
  return statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, value, next, body);
}

Statement *parallel_nest(Lowering *lowering, int count, const IndexId *loops, int64_t chunk, const Expr **out_low, const Expr **out_high,
                         Statement **out_innermost) {
  Arena *arena = lowering->arena;
  Kernel *kernel = lowering->kernel;
  IndexId item = kernel_add_index(kernel, "item", size_constant(0), size_constant(1));
  const Expr *rest = expr_index(arena, item), *total = integer(lowering, 1);
  const Expr *values[MOST_AXES];
  *out_low = *out_high = NULL;
  if (count > 0) {
    const Index *last = &kernel->indices[loops[count - 1]];
    const Expr *low = size_expr(arena, last->low), *high = size_expr(arena, last->high);
    *out_low = low;
    *out_high = high;
    bool is_cut = chunk > 0 && !(last->low.symbol == NONE && last->high.symbol == NONE && last->high.constant - last->low.constant <= chunk);
    if (is_cut) {
      const Expr *chunks = ceil_quotient(lowering, extent_of(lowering, loops[count - 1]), chunk);
      const Expr *number = count == 1 ? rest : expr_binary(arena, OP_REMAINDER, rest, chunks);
      rest = count == 1 ? rest : expr_binary(arena, OP_QUOTIENT, rest, chunks);
      *out_low = expr_binary(arena, OP_ADD, low, expr_binary(arena, OP_MUL, number, integer(lowering, chunk)));
      *out_high = expr_binary(arena, OP_ADD, *out_low, integer(lowering, chunk));
      bool is_exact = last->low.symbol == last->high.symbol && (last->high.constant - last->low.constant) % chunk == 0;
      if (!is_exact && chunk > 1) *out_high = expr_binary(arena, OP_MIN, high, *out_high);
      total = chunks;
    }
  }
  for (int n = count - 2; n >= 0; n--) {
    const Expr *extent = extent_of(lowering, loops[n]), *low = size_expr(arena, kernel->indices[loops[n]].low);
    const Expr *place = n == 0 ? rest : expr_binary(arena, OP_REMAINDER, rest, extent);
    values[n] = expr_binary(arena, OP_ADD, low, place);
    if (n > 0) rest = expr_binary(arena, OP_QUOTIENT, rest, extent);
    total = expr_binary(arena, OP_MUL, total, extent);
  }
  Statement *whole = statement_loop(kernel, LOOP_PARALLEL, item, integer(lowering, 0), total, NULL);
  Statement *innermost = whole;
  for (int n = 0; n < count - 1; n++) {
    innermost->body = bind_index(lowering, loops[n], values[n], NULL);
    innermost = innermost->body;
  }
  *out_innermost = innermost;
  return whole;
}

/* ---- units --------------------------------------------------------------------------------------------------------- */

static const Expr *bind_parts(Lowering *lowering, const Expr *expr, const Expr *const *replacements) {
  if (!expr) return NULL;
  Ranges ranges = lowering_ranges(lowering);
  expr = expr_substitute(lowering->arena, expr, lowering->program->index_count, replacements);
  return ranges_simplify(&ranges, expr);
}

const Expr *bound_axis(const Lowering *lowering, int equation, int axis) {
  for (int n = 0; n < lowering->open_count; n++) {
    const ScheduleNode *loop = lowering->open[n].node;
    for (int m = 0; m < loop->member_count; m++)
      if (loop->members[m] == equation && loop->axes[m] == axis) return expr_index(lowering->arena, loop->index);
  }
  return NULL;
}

void drop_sum(Lowering *lowering, Unit *unit) {
  Equation *map = ARENA_NEW(lowering->arena, Equation);
  *map = *unit->equation;
  map->reduce = REDUCE_NONE;
  unit->equation = map;
  unit->guard = unit->body = NULL;
  unit->reduce_count = 0;
  if (!unit->value) unit->value = expr_number(lowering->arena, 0);
}

/* Where no index passes the guard, the reduction is its value alone. */
void drop_empty_sum(Lowering *lowering, Unit *unit) {
  bool is_empty = unit->equation->reduce == REDUCE_SUM && unit->guard && expr_is_boolean(unit->guard, false);
  if (is_empty) drop_sum(lowering, unit);
}

static void lower_unit(Lowering *lowering, Unit *unit) {
  drop_empty_sum(lowering, unit);
  if (unit->equation->reduce == REDUCE_NONE) {
    lower_map(lowering, unit);
    return;
  }
  flush_group(lowering);
  if (lower_scatter(lowering, unit) || lower_product(lowering, unit)) return;
  lower_reduce(lowering, unit);
}

Unit unit_of(Lowering *lowering, int number, const Expr *const *bound) {
  const Equation *equation = &lowering->program->equations[number];
  Unit unit = {.equation = equation, .target = equation->target, .rank = lowering->program->tensors[equation->target].rank};
  unit.axes = ARENA_ARRAY(lowering->arena, UnitAxis, unit.rank);
  const Expr **replacements = ARENA_ARRAY(lowering->arena, const Expr *, lowering->program->index_count);
  for (int n = 0; n < unit.rank; n++) {
    unit.axes[n].index = equation->indices[n];
    unit.axes[n].bound = bound[n];
    replacements[equation->indices[n]] = unit.axes[n].bound;
  }
  unit.value = bind_parts(lowering, equation->value, replacements);
  unit.guard = bind_parts(lowering, equation->guard, replacements);
  unit.body = bind_parts(lowering, equation->body, replacements);
  unit.reduce_count = equation->reduce_count;
  unit.reduce_indices = equation->reduce_indices;
  buffer_of(lowering, unit.target);
  return unit;
}

void lower_equation(Lowering *lowering, int number) {
  int rank = lowering->program->tensors[lowering->program->equations[number].target].rank;
  const Expr **bound = ARENA_ARRAY(lowering->arena, const Expr *, rank);
  for (int n = 0; n < rank; n++) bound[n] = bound_axis(lowering, number, n);
  Unit unit = unit_of(lowering, number, bound);
  split_unit(lowering, &unit, lower_unit);
}

/* `sweep` is NULL where the loop is none. */
static void report_loop(Lowering *lowering, const ScheduleNode *node, ReportKind kind, const Sweep *sweep) {
  const Program *program = lowering->program;
  ReportEntry *entry = report_add(lowering->context->report, kind, program, program->equations[node->members[0]].source);
  if (!entry) return;
  for (int m = 0; m < node->member_count; m++) {
    TensorId target = program->equations[node->members[m]].target;
    report_name(lowering->context->report, entry, program->tensors[target].name);
    if (sweep && lowering->is_contracted[target]) report_other(lowering->context->report, entry, program->tensors[target].name);
  }
}

static void lower_whole_loop(Lowering *lowering, const ScheduleNode *node) {
  fill_halos(lowering, node);
  if (lower_reverse(lowering, node)) return;
  if (lower_sweep(lowering, node)) {
    report_loop(lowering, node, REPORT_SWEEP, find_sweep(lowering, node));
    return;
  }
  if (lower_scan(lowering, node)) {
    report_loop(lowering, node, REPORT_SCAN, NULL);
    return;
  }
  report_loop(lowering, node, REPORT_LOOP, NULL);
  if (lowering->open_count == MOST_LOOPS) internal_error("more than %d nested loops", MOST_LOOPS);
  Kernel *kernel = lowering->kernel;
  Block *outer = lowering->block, body = {0};
  OpenLoop *open = &lowering->open[lowering->open_count++];
  *open = (OpenLoop){.node = node, .is_written = ARENA_ARRAY(lowering->arena, bool, lowering->program->tensor_count), .before = outer};
  for (int m = 0; m < node->member_count; m++) open->is_written[lowering->program->equations[node->members[m]].target] = true;
  lowering->block = &body;
  lower_nodes(lowering, node->body);
  flush_group(lowering);
  lowering->block = outer;
  lowering->open_count--;
  const Index *range = &kernel->indices[node->index];
  Statement *loop = statement_loop(kernel, LOOP_SEQUENTIAL, node->index, size_expr(lowering->arena, range->low),
                                   size_expr(lowering->arena, range->high), body.first);
  loop->is_reversed = node->is_reversed;
  block_append(outer, loop);
}

static void lower_loop(Lowering *lowering, const ScheduleNode *node) {
  flush_group(lowering);
  const Expr *condition = loop_condition(lowering, node);
  if (!condition) {
    lower_whole_loop(lowering, node);
    return;
  }
  Block *outer = lowering->block, body = {0};
  lowering->block = &body;
  lower_whole_loop(lowering, node);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, condition, body.first, NULL));
}

void lower_nodes(Lowering *lowering, const ScheduleNode *nodes) {
  int band = NONE;
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE && lowering->band_of[node->equation] != NONE) {
      if (lowering->band_of[node->equation] != band) lower_band(lowering, &lowering->bands[lowering->band_of[node->equation]]);
      band = lowering->band_of[node->equation];
    } else if (find_slab(lowering, node)) {
      lower_slab(lowering, find_slab(lowering, node));
    } else if (node->equation == NONE)
      lower_loop(lowering, node);
    else if (!lowering->is_readout[node->equation] && !is_history_result(lowering, node->equation) && !lower_once(lowering, node->equation))
      lower_equation(lowering, node->equation);
  }
}

/* The order of execution, and what is taken together; NULL after errors, or where there is nothing to do. */
static ScheduleNode *plan_order(Lowering *lowering, EntryKind entry) {
  Program *own = lowering->program;
  ScheduleNode *schedule = schedule_create(own, lowering->context->diagnostics);
  if (!schedule && diagnostics_error_count(lowering->context->diagnostics)) return NULL;
  if (lowering->context->optimisation > 0) schedule_lift(own, &schedule);
  plan_reverses(lowering, &schedule);
  schedule = plan_slabs(lowering, schedule);
  lowering->kernel = kernel_create(lowering->arena, entry, own);
  for (int n = 0; n < own->index_count; n++)
    kernel_add_index(lowering->kernel, own->indices[n].name, own->indices[n].low, own->indices[n].high);
  plan_storage(lowering, schedule);
  choose_reverse_layouts(lowering);
  plan_sweeps(lowering, schedule);
  schedule = plan_bands(lowering, schedule);
  drop_starts(lowering);
  return schedule_put_carries_last(own, schedule);
}

const int *lower_plan(Program *program, PassContext *context, const ScheduleNode **out_schedule) {
  Lowering lowering = {.arena = program->arena, .program = program, .context = context};
  *out_schedule = plan_order(&lowering, ENTRY_GRADIENT);
  return lowering.band_rows;
}

/* By equation: the band that takes rows through it again; NULL: there is none. What grows with a square is shared already. */
static const int *bands_of_rows(const Lowering *lowering) {
  int *groups = ARENA_ARRAY(lowering->arena, int, lowering->program->equation_count);
  bool any = false;
  for (int n = 0; n < lowering->program->equation_count; n++) {
    int band = lowering->band_of[n];
    groups[n] = band != NONE && lowering->bands[band].is_of_rows ? band : NONE;
    any |= groups[n] != NONE;
  }
  return any ? groups : NULL;
}

Kernel *lower_program(Arena *arena, const Program *program, EntryKind entry, PassContext *context) {
  Program *own = program_clone(arena, program);
  Lowering lowering = {.arena = arena, .program = own, .context = context};
  ScheduleNode *schedule = plan_order(&lowering, entry);
  if (diagnostics_error_count(context->diagnostics)) return NULL;
  const int *groups = bands_of_rows(&lowering);
  Program *shared = groups ? program_clone(arena, program) : NULL;
  if (shared && share_parts(shared, groups)) {
    lowering = (Lowering){.arena = arena, .program = shared, .context = context};
    schedule = plan_order(&lowering, entry);
  }
  plan_halos(&lowering, schedule);
  plan_wanted(&lowering);
  Block body = {0};
  lowering.block = &body;
  fill_histories(&lowering);
  lower_nodes(&lowering, schedule);
  flush_group(&lowering);
  lowering.kernel->body = body.first;
  remove_dead_stores(lowering.kernel);
  if (context->optimisation > 0) mark_nontemporal_stores(lowering.kernel);
  place_barriers(lowering.kernel);
  if (lowering.kernel->pack) place_barriers(lowering.kernel->pack);
  end_turns(&lowering);
  plan_memory(&lowering);
  return lowering.kernel;
}
