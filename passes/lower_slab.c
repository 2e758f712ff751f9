/* lower_slab.c - a slab as loops over blocks of rows, in which all of its equations are stages like those outside.
 *
 * A turn ends with a barrier, as memory that one part of it needs serves another one too. What does not depend on the rows, as the panels of the weights, is made before the loops.
 */
#include "passes/band.h"

Slab *find_slab(const Lowering *lowering, const ScheduleNode *node) {
  for (int n = 0; n < lowering->slab_count; n++)
    if (lowering->slabs[n].loop == node) return &lowering->slabs[n];
  return NULL;
}

int loops_around(const Lowering *lowering) { return lowering->open_count - (lowering->slab != NULL); }

bool changes_in_loop(const OpenLoop *open, const Expr *expr) {
  if (expr->op == OP_READ) return open->is_written[expr->id];
  if (expr->op != OP_INDEX) return false;
  bool is_own = expr->id == open->node->index;
  for (int k = 0; open->slab && k < open->slab->axis_count; k++) {
    const SlabAxis *axis = &open->slab->axes[k];
    is_own |= expr->id == axis->block || expr->id == axis->first || expr->id == axis->skipped;
  }
  return is_own;
}

int64_t slab_rows(const Lowering *lowering, int count, const IndexId *indices) {
  bool is_own = lowering->slab && count;
  for (int n = 0; n < count && is_own; n++) {
    const Index *range = &lowering->kernel->indices[indices[n]];
    bool is_row = false;
    for (int k = 0; k < lowering->slab->axis_count; k++) is_row |= size_is(range->low, 0) && size_equal(range->high, lowering->slab->axes[k].rows);
    is_own = is_row;
  }
  return is_own ? SLAB_ROWS : 0;
}

typedef struct TurnCheck {
  const Lowering *lowering;
  bool fails;
} TurnCheck;

static void check_turn(void *context, const Expr *expr) {
  TurnCheck *check = context;
  bool is_of_turn = expr->op == OP_INDEX && changes_in_loop(&check->lowering->open[0], expr);
  check->fails |= expr->op == OP_READ || expr->op == OP_LOAD || expr->op == OP_LOCAL || (expr->op == OP_INDEX && !is_of_turn);
}

const Expr *slab_start(const Lowering *lowering, const Expr *value) {
  if (!lowering->slab || !value || value->op != OP_SELECT) return NULL;
  TurnCheck check = {lowering, false};
  expr_visit(value->args[0], check_turn, &check);
  return check.fails ? NULL : value->args[0];
}

static Statement *bind(Lowering *lowering, IndexId index, const Expr *value, Statement *body) {
  return statement_loop(lowering->kernel, LOOP_SEQUENTIAL, index, value, expr_binary(lowering->arena, OP_ADD, value, integer(lowering, 1)), body);
}

/* for block: for first: for skipped: body. */
static Statement *block_loop(Lowering *lowering, const SlabAxis *axis, Statement *body) {
  Arena *arena = lowering->arena;
  const Expr *rows = size_expr(arena, axis->rows), *due = expr_binary(arena, OP_MUL, expr_index(arena, axis->block), rows);
  const Expr *last = expr_binary(arena, OP_SUB, size_expr(arena, axis->extent), rows);
  const Index *range = &lowering->kernel->indices[axis->block];
  body = bind(lowering, axis->skipped, expr_binary(arena, OP_SUB, due, expr_index(arena, axis->first)), body);
  body = bind(lowering, axis->first, expr_binary(arena, OP_MIN, due, last), body);
  return statement_loop(lowering->kernel, LOOP_SEQUENTIAL, axis->block, size_expr(arena, range->low), size_expr(arena, range->high), body);
}

static void emit(Lowering *lowering, Slab *slab) {
  if (lowering->open_count == MOST_LOOPS) internal_error("more than %d nested loops", MOST_LOOPS);
  Block *outer = lowering->block, body = {0};
  OpenLoop *open = &lowering->open[lowering->open_count++];
  *open = (OpenLoop){.node = slab->loop, .is_written = ARENA_ARRAY(lowering->arena, bool, lowering->program->tensor_count), .before = outer, .slab = slab};
  for (int m = 0; m < slab->members.count; m++) open->is_written[lowering->program->equations[slab->members.equations[m]].target] = true;
  lowering->block = &body;
  lowering->slab = slab;
  lower_nodes(lowering, slab->loop->body);
  flush_group(lowering);
  lowering->slab = NULL;
  lowering->block = outer;
  lowering->open_count--;
  Statement *work = body.first;
  for (int k = slab->axis_count - 1; k >= 0; k--) {
    bool is_innermost = work == body.first;
    work = block_loop(lowering, &slab->axes[k], work);
    if (is_innermost) slab->turn = work->body->body;
  }
  block_append(outer, work);
}

void lower_slab(Lowering *lowering, Slab *slab) {
  flush_group(lowering);
  const Expr *wanted = any_wanted(lowering, &slab->members);
  if (!wanted) {
    emit(lowering, slab);
    return;
  }
  Block *outer = lowering->block, body = {0};
  lowering->block = &body;
  emit(lowering, slab);
  lowering->block = outer;
  block_append(outer, statement_if(lowering->kernel, wanted, body.first, NULL));
}

void end_turns(const Lowering *lowering) {
  for (int n = 0; n < lowering->slab_count; n++) {
    Statement *last = lowering->slabs[n].turn ? lowering->slabs[n].turn->body : NULL;
    while (last && last->next) last = last->next;
    if (last && last->kind != STATEMENT_BARRIER) last->next = statement_barrier(lowering->kernel);
  }
}
