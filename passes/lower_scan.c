/* lower_scan.c - recurrences whose elements do not mix: time inside of the parallel loop.
 *
 * Where every equation of a loop is a map, and what it reads of other steps stands at the same place along all axes that are
 * shared out, each thread can run its elements through all of time without waiting for the others. The equations of one
 * step are fused as everywhere else.
 */
#include "passes/lower.h"

typedef struct MixSearch {
  const Group *group;
  bool mixes;
} MixSearch;

static bool uses_shared_out(const Group *group, const Expr *expr) {
  for (int n = 0; n < group->loop_count; n++)
    if (expr_uses_index(expr, group->loops[n])) return true;
  return false;
}

/* A tensor of the loop is read at another place than it is written, along an axis that is shared out. */
static void find_mixing(void *context, const Expr *expr) {
  MixSearch *search = context;
  if (expr->op != OP_READ) return;
  for (int n = 0; n < search->group->forwarded_count; n++) {
    const Forwarded *forwarded = &search->group->forwarded[n];
    if (forwarded->tensor != expr->id) continue;
    for (int k = 0; k < expr->arg_count; k++) {
      bool is_shared_out = uses_shared_out(search->group, forwarded->indices[k]) || uses_shared_out(search->group, expr->args[k]);
      if (is_shared_out && !expr_equal(expr->args[k], forwarded->indices[k])) search->mixes = true;
    }
  }
}

static bool mixes_elements(const Group *group) {
  MixSearch search = {group, false};
  for (int n = 0; n < group->forwarded_count; n++) expr_visit(group->forwarded[n].value, find_mixing, &search);
  return search.mixes;
}

enum { LONG_CHUNK = 4 * MAP_CHUNK, FEW_ITEMS = 16 };

/* How many rows of a short last axis one thread takes through time: long runs of memory at each step, but not so that few have work. */
static int64_t rows_together(const Kernel *kernel, IndexId rows, int64_t row) {
  Size from = kernel->indices[rows].low, to = kernel->indices[rows].high;
  int64_t chunk = LONG_CHUNK;
  if (from.symbol == to.symbol)
    while (chunk > MAP_CHUNK && (to.constant - from.constant) * row < chunk * FEW_ITEMS) chunk /= 2;
  return (chunk + row - 1) / row;
}

static Statement *scan_stage(Lowering *lowering, const ScheduleNode *node) {
  Group *group = &lowering->group;
  Kernel *kernel = lowering->kernel;
  /* a short last axis is taken together with some of the one before, so that a step touches whole cache lines */
  IndexId last = group->loops[group->loop_count - 1];
  Size from = kernel->indices[last].low, to = kernel->indices[last].high;
  bool is_short = group->loop_count > 1 && from.symbol == to.symbol && to.constant - from.constant < MAP_CHUNK;
  int64_t chunk = is_short ? rows_together(kernel, group->loops[group->loop_count - 2], to.constant - from.constant) : MAP_CHUNK;
  const Expr *low, *high;
  Statement *innermost, *stage = parallel_nest(lowering, group->loop_count - is_short, group->loops, chunk, &low, &high, &innermost);
  Statement *lanes;
  if (is_short) {
    lanes = statement_loop(kernel, LOOP_VECTOR, last, size_expr(lowering->arena, from), size_expr(lowering->arena, to), group->block.first);
    lanes = statement_loop(kernel, LOOP_SEQUENTIAL, group->loops[group->loop_count - 2], low, high, lanes);
  } else {
    lanes = statement_loop(kernel, LOOP_VECTOR, last, low, high, group->block.first);
  }
  const Index *range = &kernel->indices[node->index];
  Statement *time = statement_loop(kernel, LOOP_SEQUENTIAL, node->index, size_expr(lowering->arena, range->low), size_expr(lowering->arena, range->high), lanes);
  time->is_reversed = node->is_reversed;
  innermost->body = time;
  stage->source = group->source;
  return stage;
}

bool lower_scan(Lowering *lowering, const ScheduleNode *node) {
  if (!schedule_has_maps_only(lowering->program, node) || lowering->open_count == MOST_LOOPS) return false;
  OpenLoop *open = &lowering->open[lowering->open_count++];
  *open = (OpenLoop){.node = node, .is_written = ARENA_ARRAY(lowering->arena, bool, lowering->program->tensor_count), .before = lowering->block};
  lowering->group = (Group){.is_trial = true};
  for (const ScheduleNode *step = node->body; step; step = step->next) lower_equation(lowering, step->equation);
  lowering->open_count--;
  Group *group = &lowering->group;
  bool is_scan = group->is_open && !group->has_failed && group->loop_count > 0 && !mixes_elements(group);
  if (is_scan) end_stage(lowering, lowering->block, scan_stage(lowering, node), NULL);
  lowering->group = (Group){.is_open = false};
  return is_scan;
}
