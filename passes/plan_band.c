/* plan_band.c - which equations are taken together, a band of rows at a time.
 *
 * Scores s[t,u] of every step for every other one grow with the square of the length, and most of them are only read by their
 * neighbours, at the same t. If one thread takes a few rows t through all of these equations, only these rows are ever in memory,
 * and they stay in the cache. That is done where
 *   - a tensor has two run-time axes besides the batch, is no result, and all that reads it stands at the same place of the schedule;
 *   - what these equations read of each other stands at the same row throughout, so that no band waits for another;
 *   - an equation that sums over the rows is read by none of them: each band adds its part.
 * The nodes of a band are put side by side in the schedule.
 *
 * A band is worth while too where a row of a tensor is read once and again, first to be reduced and then with what came of it, as norms
 * and softmax do: then it comes from memory once.
 */
#include "passes/plan_band.h"
#include "passes/reverse.h"
#include "passes/row_reads.h"

static int number_of(const Plan *plan, int equation) {
  for (int n = 0; n < plan->band.count; n++)
    if (plan->band.equations[n] == equation) return n;
  return NONE;
}

/* ---- candidates ----------------------------------------------------------------------------------------------------- */

static bool grows_with_a_square(const Lowering *lowering, TensorId tensor) {
  const Tensor *t = &lowering->program->tensors[tensor];
  int axes = 0;
  for (int n = 0; n < t->rank; n++)
    axes += program_is_run_time(lowering->program, t->shape[n]) && !lowering->depth[tensor * MOST_AXES + n];
  return axes >= 2;
}

typedef struct ReadSearch {
  const Plan *plan;
  int equation; /* the one that reads */
} ReadSearch;

/* All that reads it must be a step of the same list, and read it at a place inside. */
static void check_candidate(void *context, const Expr *expr) {
  ReadSearch *search = context;
  if (expr->op != OP_READ) return;
  if (expr->outside || search->plan->position[search->equation] == NONE) search->plan->is_candidate[expr->id] = false;
}

void plan_drop_candidates(Plan *plan) {
  for (int n = 0; n < plan->program->equation_count; n++) {
    ReadSearch search = {plan, n};
    equation_visit(&plan->program->equations[n], check_candidate, &search);
  }
}

static void find_candidates(Plan *plan) {
  const Program *program = plan->program;
  bool any = false;
  for (const ScheduleNode *node = plan->nodes; node; node = node->next) {
    if (node->equation == NONE) continue;
    const Equation *equation = &program->equations[node->equation];
    bool is_one = grows_with_a_square(plan->lowering, equation->target) && !program_shows(program, equation->target) &&
                  program->tensors[equation->target].boundary_of == NONE && !plan->lowering->is_readout[node->equation] &&
                  !plan->lowering->is_of_slab[equation->target];
    plan->is_candidate[equation->target] = is_one;
    any |= is_one;
  }
  if (any) plan_drop_candidates(plan);
}

/* ---- members --------------------------------------------------------------------------------------------------------- */

typedef struct Touch {
  const Plan *plan;
  const bool *of; /* by tensor */
  bool found;
} Touch;

static void find_touch(void *context, const Expr *expr) {
  Touch *touch = context;
  if (expr->op == OP_READ && touch->of[expr->id]) touch->found = true;
}

static bool reads_any(const Plan *plan, int equation, const bool *of) {
  const Reads *reads = &plan->reads[equation];
  for (int n = 0; n < reads->count; n++)
    if (of[reads->tensors[n]]) return true;
  return false;
}

bool plan_reads(const Plan *plan, int equation, TensorId tensor) {
  const Reads *reads = &plan->reads[equation];
  for (int n = 0; n < reads->count; n++)
    if (reads->tensors[n] == tensor) return true;
  return false;
}

/* What is read out of states back through time is made in their loop, and what that takes is needed there. NULL: it has none. */
static const ReverseResult *results_of(const Plan *plan, const ScheduleNode *node, int *out_count) {
  const Reverse *reverse = find_reverse(plan->lowering, node);
  *out_count = reverse ? reverse->result_count : 0;
  return reverse ? reverse->results : NULL;
}

/* Marks what a node defines. */
static void mark_targets(const Plan *plan, const ScheduleNode *node, bool *is_marked) {
  int count;
  const ReverseResult *results = results_of(plan, node, &count);
  if (node->equation != NONE) is_marked[plan->program->equations[node->equation].target] = true;
  for (int m = 0; m < node->member_count; m++) is_marked[plan->program->equations[node->members[m]].target] = true;
  for (int n = 0; n < count; n++) is_marked[results[n].target] = true;
}

static bool defines_any(const Plan *plan, const ScheduleNode *node, const bool *of) {
  int count;
  const ReverseResult *results = results_of(plan, node, &count);
  if (node->equation != NONE) return of[plan->program->equations[node->equation].target];
  for (int m = 0; m < node->member_count; m++)
    if (of[plan->program->equations[node->members[m]].target]) return true;
  for (int n = 0; n < count; n++)
    if (of[results[n].target]) return true;
  return false;
}

static void mark_reads(const Plan *plan, int equation, bool *is_marked) {
  const Reads *reads = &plan->reads[equation];
  for (int n = 0; n < reads->count; n++) is_marked[reads->tensors[n]] = true;
}

static bool node_reads(const Plan *plan, const ScheduleNode *node, const bool *of) {
  int count;
  const ReverseResult *results = results_of(plan, node, &count);
  if (node->equation != NONE) return reads_any(plan, node->equation, of);
  for (int m = 0; m < node->member_count; m++)
    if (reads_any(plan, node->members[m], of)) return true;
  Touch touch = {plan, of, false};
  for (int n = 0; n < count; n++) {
    if (results[n].value) expr_visit(results[n].value, find_touch, &touch);
    if (results[n].body) expr_visit(results[n].body, find_touch, &touch);
  }
  return touch.found;
}

void plan_gather(Plan *plan, int first) {
  const Program *program = plan->program;
  memset(plan->is_member, 0, sizeof *plan->is_member * (size_t)program->equation_count);
  bool *is_inside = ARENA_ARRAY(plan->lowering->arena, bool, program->tensor_count);
  plan->is_member[first] = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      if (plan->position[n] == NONE) continue;
      TensorId target = program->equations[n].target;
      if (plan->is_member[n] && plan->is_candidate[target] && !is_inside[target]) is_inside[target] = changed = true;
      if (plan->is_member[n]) continue;
      bool joins = reads_any(plan, n, is_inside);
      for (int m = 0; m < program->equation_count && !joins && plan->is_candidate[target]; m++)
        joins = plan->is_member[m] && plan_reads(plan, m, target);
      if (joins) plan->is_member[n] = changed = true;
    }
  }
}

/* It may be done row by row along with others; a product of matrices that is kept whole is faster by itself. */
static bool may_join(const Plan *plan, int equation) {
  const Equation *e = &plan->program->equations[equation];
  return plan->position[equation] != NONE && /* nor read out of a sweep */
         (plan->is_candidate[e->target] || e->reduce == REDUCE_NONE || is_row_reduction(plan->program, equation));
}

/* Of a node: the band that it belongs to already, or NONE. */
static int earlier_band(const Plan *plan, const ScheduleNode *node) {
  bool is_member = node->equation != NONE && plan->is_member[node->equation];
  return node->equation == NONE || is_member || !plan->lowering->band_of ? NONE : plan->lowering->band_of[node->equation];
}

/* Marks what the members define, and what needs it. A band stays in one piece: all of it comes after the members when some of it does;
 * by band. */
static const bool *mark_after(const Plan *plan, bool *is_after) {
  bool *is_band_after = ARENA_ARRAY(plan->lowering->arena, bool, plan->lowering->band_count + 1);
  for (bool changed = true; changed;) {
    changed = false;
    memset(is_after, 0, sizeof *is_after * (size_t)plan->program->tensor_count); /* in order: what is read of the turn before does not count */
    for (const ScheduleNode *node = plan->nodes; node; node = node->next) {
      bool is_member = node->equation != NONE && plan->is_member[node->equation];
      int band = earlier_band(plan, node);
      if (!is_member && !node_reads(plan, node, is_after) && (band == NONE || !is_band_after[band])) continue;
      mark_targets(plan, node, is_after);
      if (band != NONE && !is_band_after[band]) is_band_after[band] = changed = true;
    }
  }
  return is_band_after;
}

bool plan_close(Plan *plan, bool joins) {
  const Program *program = plan->program;
  for (bool changed = true; changed;) {
    changed = false;
    bool *is_after = ARENA_ARRAY(plan->lowering->arena, bool, program->tensor_count);
    const bool *is_band_after = mark_after(plan, is_after);
    bool *is_needed = ARENA_ARRAY(plan->lowering->arena, bool, program->tensor_count);
    for (int n = 0; n < program->equation_count; n++)
      if (plan->is_member[n]) mark_reads(plan, n, is_needed);
    for (const ScheduleNode *node = plan->nodes; node; node = node->next) {
      bool is_member = node->equation != NONE && plan->is_member[node->equation];
      int band = earlier_band(plan, node);
      bool is_needed_after = node_reads(plan, node, is_after) || (band != NONE && is_band_after[band]);
      if (is_member || !defines_any(plan, node, is_needed) || !is_needed_after) continue;
      if (!joins || node->equation == NONE || band != NONE || !may_join(plan, node->equation)) return false;
      plan->is_member[node->equation] = changed = true;
    }
  }
  return true;
}

void plan_order_members(Plan *plan) {
  plan->band = (Band){0};
  for (const ScheduleNode *node = plan->nodes; node; node = node->next)
    if (node->equation != NONE && plan->is_member[node->equation])
      ARENA_PUSH(plan->lowering->arena, plan->band.equations, plan->band.count, node->equation);
}

/* ---- shared axes ----------------------------------------------------------------------------------------------------- */

/* Follows one axis of one candidate through all reads among members; place: the axis by member, NONE until known. */
typedef struct Follow {
  Plan *plan;
  int *place;
  bool *sums; /* by member: a reduction runs along the axis */
  int number; /* of the member at hand */
  bool changed, fails;
} Follow;

static void follow_read(void *context, const Expr *expr) {
  Follow *follow = context;
  Plan *plan = follow->plan;
  int definition = expr->op == OP_READ ? plan->program->definition[expr->id] : NONE;
  int maker = definition == NONE ? NONE : number_of(plan, definition), user = follow->number;
  if (maker == NONE || maker == user) return;
  const Equation *equation = plan_member(plan, user);
  int rank = plan->program->tensors[equation->target].rank;
  if (follow->place[maker] != NONE) {
    const Expr *index = expr->args[follow->place[maker]];
    int found = NONE;
    bool is_summed = false;
    for (int n = 0; n < rank; n++)
      if (expr_is_index(index, equation->indices[n])) found = n;
    for (int n = 0; n < equation->reduce_count; n++) is_summed |= expr_is_index(index, equation->reduce_indices[n]);
    if (is_summed && equation->reduce == REDUCE_SUM) {
      if (follow->place[user] != NONE) follow->fails = true;
      if (!follow->sums[user]) follow->sums[user] = follow->changed = true;
    } else if (found == NONE || follow->sums[user] || (follow->place[user] != NONE && follow->place[user] != found)) {
      follow->fails = true;
    } else if (follow->place[user] == NONE) {
      follow->place[user] = found, follow->changed = true;
    }
  } else if (follow->sums[maker]) {
    follow->fails = true; /* its sum is whole only when all bands are done */
  } else if (follow->place[user] != NONE) {
    for (int k = 0; k < expr->arg_count; k++)
      if (expr_is_index(expr->args[k], equation->indices[follow->place[user]])) follow->place[maker] = k, follow->changed = true;
    if (follow->place[maker] == NONE) follow->fails = true;
  }
}

bool plan_follow_axis(Plan *plan, int first, int axis, int *place, bool *sums) {
  Follow follow = {plan, place, sums, 0, true, false};
  for (int n = 0; n < plan->band.count; n++) place[n] = NONE, sums[n] = false;
  place[first] = axis;
  while (follow.changed && !follow.fails) {
    follow.changed = false;
    for (follow.number = 0; follow.number < plan->band.count; follow.number++)
      equation_visit(plan_member(plan, follow.number), follow_read, &follow);
  }
  Size extent = plan->program->tensors[plan_member(plan, first)->target].shape[axis];
  for (int n = 0; n < plan->band.count && !follow.fails; n++) {
    TensorId target = plan_member(plan, n)->target;
    bool is_loop = place[n] != NONE && plan->lowering->depth && plan->lowering->depth[target * MOST_AXES + place[n]];
    bool is_other = place[n] != NONE && !size_equal(plan->program->tensors[target].shape[place[n]], extent);
    follow.fails = (place[n] == NONE && !sums[n]) || is_loop || is_other;
  }
  return !follow.fails;
}

bool plan_sums_are_plain(const Plan *plan, const bool *sums) {
  bool *is_defined = ARENA_ARRAY(plan->lowering->arena, bool, plan->program->tensor_count);
  for (int n = 0; n < plan->band.count; n++) is_defined[plan_member(plan, n)->target] = true;
  for (int n = 0; n < plan->band.count; n++) {
    Touch touch = {plan, is_defined, false};
    if (sums[n] && plan_member(plan, n)->value) expr_visit(plan_member(plan, n)->value, find_touch, &touch);
    if (touch.found || (sums[n] && plan->is_candidate[plan_member(plan, n)->target])) return false;
  }
  return true;
}

static void add_shared(Plan *plan, const int *place) {
  for (int n = 0; n < plan->band.count; n++) plan->band.shared[n * MOST_AXES + plan->band.shared_count] = place[n];
  plan->band.shared_count++;
}

/* The target from whose axes the shared ones are found: a candidate, or what a row is reduced to. */
static int first_member(const Plan *plan) {
  for (int n = 0; n < plan->band.count; n++)
    if (plan->is_candidate[plan_member(plan, n)->target]) return n;
  for (int n = 0; n < plan->band.count; n++)
    if (plan_member(plan, n)->reduce != REDUCE_NONE) return n;
  return 0;
}

/* The axes that all members share, the rows last: a run-time axis, if there is one along which nothing is summed. */
static bool find_shared(Plan *plan) {
  Arena *arena = plan->lowering->arena;
  int first = first_member(plan);
  TensorId tensor = plan_member(plan, first)->target;
  int rank = plan->program->tensors[tensor].rank, rows = NONE;
  bool rows_are_summed = true;
  int *place = ARENA_ARRAY(arena, int, plan->band.count);
  bool *sums = ARENA_ARRAY(arena, bool, plan->band.count), *is_aligned = ARENA_ARRAY(arena, bool, rank);
  for (int axis = 0; axis < rank; axis++) {
    if (plan->lowering->depth[tensor * MOST_AXES + axis] || !plan_follow_axis(plan, first, axis, place, sums)) continue;
    bool is_summed = false;
    for (int n = 0; n < plan->band.count; n++) is_summed |= sums[n];
    is_aligned[axis] = !is_summed;
    bool is_better = rows == NONE || (rows_are_summed && !is_summed);
    if (program_is_run_time(plan->program, plan->program->tensors[tensor].shape[axis]) && is_better)
      rows = axis, rows_are_summed = is_summed;
  }
  if (rows == NONE) return false;
  plan->band.shared = ARENA_ARRAY(arena, int, plan->band.count * MOST_AXES);
  for (int axis = 0; axis < rank; axis++)
    if (axis != rows && is_aligned[axis] && plan_follow_axis(plan, first, axis, place, sums)) add_shared(plan, place);
  if (plan->band.shared_count + 1 >= MOST_AXES || !plan_follow_axis(plan, first, rows, place, sums)) return false;
  add_shared(plan, place);
  plan->band.has_sums = rows_are_summed;
  return !rows_are_summed || plan_sums_are_plain(plan, sums);
}

/* ---- rows that are read again ---------------------------------------------------------------------------------------- */

enum { PAGE_ELEMENTS = 1024 };

static bool is_free(const Plan *plan, int equation) {
  return plan->position[equation] != NONE && plan->lowering->band_of[equation] == NONE && !plan->is_member[equation];
}

/* The reduction, what is computed with it from its row, and reductions that this needs as well. */
static void gather_row(Plan *plan, int first) {
  const Program *program = plan->program;
  memset(plan->is_member, 0, sizeof *plan->is_member * (size_t)program->equation_count);
  plan->is_member[first] = true;
  int rank = program->tensors[program->equations[first].target].rank;
  for (bool changed = true; changed;) {
    changed = false;
    for (int n = 0; n < program->equation_count; n++) {
      TensorId target = program->equations[n].target;
      if (!is_free(plan, n) || !may_join(plan, n)) continue;
      bool joins = false;
      for (int m = 0; m < program->equation_count && !joins; m++) {
        if (!plan->is_member[m]) continue;
        TensorId other = program->equations[m].target; /* one number for each row is what ties them */
        joins = (program->tensors[other].rank == rank && plan_reads(plan, n, other) && follows_row(plan->program, n, other)) ||
                (program->tensors[target].rank == rank && plan_reads(plan, m, target) && follows_row(plan->program, m, target)) ||
                (program->tensors[target].rank == rank && plan_reads(plan, n, other) && reduces_row(plan->program, n, other));
      }
      if (!joins) continue;
      plan->is_member[n] = true;
      plan->is_member[n] = plan_close(plan, false); /* what comes much later, a gradient, has other rows between */
      changed |= plan->is_member[n];
    }
  }
}

static bool is_read_by_members(const Plan *plan, TensorId tensor) {
  for (int n = 0; n < plan->program->equation_count; n++)
    if (!plan->is_member[n] && plan_reads(plan, n, tensor)) return false;
  return true;
}

/* Maps along whole rows that only the band reads need not be kept: what their rows are reduced to has fewer axes. */
static void find_inner_rows(Plan *plan) {
  const Program *program = plan->program;
  int rank = program->tensors[plan_member(plan, first_member(plan))->target].rank;
  for (int n = 0; n < plan->band.count; n++) {
    const Equation *equation = plan_member(plan, n);
    TensorId target = equation->target;
    plan->is_candidate[target] = equation->reduce == REDUCE_NONE && program->tensors[target].rank > rank && !program_shows(program, target) &&
                                 program->tensors[target].boundary_of == NONE && is_read_by_members(plan, target);
  }
}

/* Elements of one row, where they are known. */
static int64_t row_elements(const Program *program, TensorId tensor) {
  const Tensor *t = &program->tensors[tensor];
  int64_t elements = 1;
  for (int n = 0; n < t->rank; n++)
    if (t->shape[n].symbol == NONE && t->shape[n].constant > 0 && __builtin_mul_overflow(elements, t->shape[n].constant, &elements)) return INT32_MAX;
  return elements;
}

/* As many rows as a page holds of the longest, at least one: while they are computed with the processor fetches those that follow and writes those
 * before, which it does by the page; of more it would do one after the other. */
static int rows_of_block(const Plan *plan) {
  int64_t longest = 1;
  for (int n = 0; n < plan->band.count; n++) {
    const Reads *reads = &plan->reads[plan->band.equations[n]];
    for (int k = 0; k < reads->count; k++) {
      int64_t elements = row_elements(plan->program, reads->tensors[k]);
      if (elements > longest) longest = elements;
    }
  }
  int64_t rows = PAGE_ELEMENTS / longest;
  return rows < 1 ? 1 : rows > BLOCK_ROWS ? BLOCK_ROWS : (int)rows;
}

static void accept(Plan *plan);

static void plan_rows(Plan *plan, bool *is_tried) {
  const Program *program = plan->program;
  plan->is_of_rows = true;
  memset(plan->is_candidate, 0, sizeof *plan->is_candidate * (size_t)program->tensor_count);
  memset(plan->is_member, 0, sizeof *plan->is_member * (size_t)program->equation_count);
  for (const ScheduleNode *node = plan->nodes; node; node = node->next) {
    int n = node->equation;
    if (n == NONE || is_tried[n] || plan->position[n] == NONE || plan->lowering->band_of[n] != NONE || !is_row_reduction(program, n)) continue;
    gather_row(plan, n);
    for (int m = 0; m < program->equation_count; m++) is_tried[m] |= plan->is_member[m];
    plan_order_members(plan);
    if (plan->band.count < 2 || !find_shared(plan) || plan->band.has_sums) continue;
    plan->nodes = plan_put_together(plan);
    find_inner_rows(plan);
    accept(plan);
    memset(plan->is_candidate, 0, sizeof *plan->is_candidate * (size_t)program->tensor_count);
  }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

ScheduleNode *plan_put_together(const Plan *plan) {
  bool *is_after = ARENA_ARRAY(plan->lowering->arena, bool, plan->program->tensor_count);
  const bool *is_band_after = mark_after(plan, is_after);
  memset(is_after, 0, sizeof *is_after * (size_t)plan->program->tensor_count);
  ScheduleNode *parts[3] = {NULL}, **tails[3] = {&parts[0], &parts[1], &parts[2]};
  for (ScheduleNode *node = plan->nodes; node; node = node->next) {
    bool is_member = node->equation != NONE && plan->is_member[node->equation];
    int band = earlier_band(plan, node);
    int part = is_member ? 1 : node_reads(plan, node, is_after) || (band != NONE && is_band_after[band]) ? 2 : 0;
    if (part) mark_targets(plan, node, is_after);
    *tails[part] = node;
    tails[part] = &node->next;
  }
  *tails[2] = NULL;
  *tails[1] = parts[2];
  *tails[0] = parts[1];
  return parts[0];
}

typedef struct Outside {
  TensorId tensor;
  bool found; /* a read that may lie outside of it */
} Outside;

static void find_outside(void *context, const Expr *expr) {
  Outside *outside = context;
  outside->found |= expr->op == OP_READ && expr->id == outside->tensor && expr->outside;
}

/* One or more numbers for each row that nothing else reads. Kept for the rows at hand, they are the thread's own: of a whole tensor, rows of
 * several heads would share lines, which two threads would send to and fro. */
static bool is_inner_row(const Plan *plan, int number) {
  const Program *program = plan->program;
  TensorId target = plan_member(plan, number)->target;
  int rows = plan->band.shared[number * MOST_AXES + plan->band.shared_count - 1];
  if (rows == NONE || program_shows(program, target) || program_has_boundary(program, target) || !is_read_by_members(plan, target)) return false;
  Outside outside = {target, false};
  for (int n = 0; n < plan->band.count; n++) equation_visit(plan_member(plan, n), find_outside, &outside);
  return !outside.found;
}

static void find_inner(Plan *plan) {
  for (int n = 0; n < plan->band.count; n++)
    if (is_inner_row(plan, n)) plan->is_candidate[plan_member(plan, n)->target] = true;
}

static void accept(Plan *plan) {
  Lowering *lowering = plan->lowering;
  if (!plan->is_of_rows) find_inner(plan);
  plan->band.is_of_rows = plan->is_of_rows;
  plan->band.rows = plan->is_of_rows ? rows_of_block(plan) : BLOCK_ROWS;
  for (int n = 0; n < plan->band.count; n++) {
    TensorId target = plan_member(plan, n)->target;
    lowering->band_of[plan->band.equations[n]] = lowering->band_count;
    if (!plan->is_candidate[target]) continue;
    plan->band.has_products |= !plan->is_of_rows;
    const int *shared = &plan->band.shared[n * MOST_AXES];
    lowering->band_rows[target] = shared[plan->band.shared_count - 1] + 1;
    for (int s = 0; s + 1 < plan->band.shared_count; s++) lowering->is_folded[target * MOST_AXES + shared[s]] = true;
  }
  ARENA_PUSH(lowering->arena, lowering->bands, lowering->band_count, plan->band);
}

typedef struct ReadCollector {
  Arena *arena;
  Reads *reads;
} ReadCollector;

static void collect_read(void *context, const Expr *expr) {
  ReadCollector *collector = context;
  if (expr->op == OP_READ) ARENA_PUSH(collector->arena, collector->reads->tensors, collector->reads->count, expr->id);
}

const Reads *plan_collect_reads(const Plan *plan) {
  Arena *arena = plan->lowering->arena;
  Reads *reads = ARENA_ARRAY(arena, Reads, plan->program->equation_count);
  for (int n = 0; n < plan->program->equation_count; n++) {
    ReadCollector collector = {arena, &reads[n]};
    equation_visit(&plan->program->equations[n], collect_read, &collector);
  }
  return reads;
}

/* It takes the sum element by element. */
static bool maps_sum(const Plan *plan, int equation, int sum) {
  const Program *program = plan->program;
  const Equation *map = &program->equations[equation], *summed = &program->equations[sum];
  if (summed->reduce != REDUCE_SUM || plan->is_candidate[summed->target] || !plan_reads(plan, equation, summed->target)) return false;
  return program->tensors[map->target].rank == program->tensors[summed->target].rank && follows_row(plan->program, equation, summed->target);
}

static bool joins_sums(const Plan *plan, int equation) {
  for (int m = 0; m < plan->program->equation_count; m++)
    if (plan->is_member[m] && maps_sum(plan, equation, m)) return true;
  return false;
}

/* Maps of sums of the band, which then need not be kept whole. */
static void gather_followers(Plan *plan) {
  const Program *program = plan->program;
  size_t bytes = sizeof *plan->is_member * (size_t)program->equation_count;
  bool *before = ARENA_ARRAY(plan->lowering->arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) {
    if (!is_free(plan, n) || program->equations[n].reduce != REDUCE_NONE || !may_join(plan, n) || !joins_sums(plan, n)) continue;
    memcpy(before, plan->is_member, bytes);
    plan->is_member[n] = true;
    bool is_fine = plan_close(plan, true);
    plan_order_members(plan);
    if (!is_fine || !find_shared(plan)) memcpy(plan->is_member, before, bytes);
  }
  plan_order_members(plan);
}

static ScheduleNode *plan_nodes(Lowering *lowering, ScheduleNode *nodes);

static ScheduleNode *plan_list(Lowering *lowering, ScheduleNode *nodes) {
  const Program *program = lowering->program;
  Arena *arena = lowering->arena;
  Plan plan = {.lowering = lowering, .program = program, .nodes = nodes};
  plan.position = ARENA_ARRAY(arena, int, program->equation_count);
  plan.is_candidate = ARENA_ARRAY(arena, bool, program->tensor_count);
  plan.is_member = ARENA_ARRAY(arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) plan.position[n] = NONE;
  int place = 0;
  for (const ScheduleNode *node = nodes; node; node = node->next, place++)
    if (node->equation != NONE && !lowering->is_readout[node->equation]) plan.position[node->equation] = place;
  find_candidates(&plan);
  plan.reads = plan_collect_reads(&plan);
  bool *is_tried = ARENA_ARRAY(arena, bool, program->equation_count);
  for (int n = 0; n < program->equation_count; n++) {
    if (plan.position[n] == NONE || is_tried[n] || !plan.is_candidate[program->equations[n].target]) continue;
    plan_gather(&plan, n);
    for (int m = 0; m < program->equation_count; m++) is_tried[m] |= plan.is_member[m];
    if (!plan_close(&plan, true)) continue;
    plan_order_members(&plan);
    if (!find_shared(&plan)) continue;
    gather_followers(&plan);
    if (!find_shared(&plan)) internal_error("a band has lost its rows");
    plan.nodes = plan_put_together(&plan);
    accept(&plan);
  }
  plan_rows(&plan, is_tried);
  return plan.nodes;
}

static ScheduleNode *plan_nodes(Lowering *lowering, ScheduleNode *nodes) {
  for (ScheduleNode *node = nodes; node; node = node->next)
    if (node->equation == NONE) node->body = plan_nodes(lowering, node->body);
  return plan_list(lowering, nodes);
}

ScheduleNode *plan_bands(Lowering *lowering, ScheduleNode *schedule) {
  const Program *program = lowering->program;
  lowering->band_of = ARENA_ARRAY(lowering->arena, int, program->equation_count);
  lowering->band_rows = ARENA_ARRAY(lowering->arena, int, program->tensor_count);
  for (int n = 0; n < program->equation_count; n++) lowering->band_of[n] = NONE;
  return lowering->context->optimisation > 0 ? plan_nodes(lowering, schedule) : schedule;
}
