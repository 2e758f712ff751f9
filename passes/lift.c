/* lift.c - steps that stand behind a loop, and could as well stand in front of it.
 *
 * The order of the equations decides where a step stands that does not depend on a loop. Where it is the same at all times, and what reads
 * the loop reads it too, it comes first: then nothing stands between the loop and its readers, and they can run inside.
 */
#include "passes/schedule.h"

typedef struct Lift {
  const Program *program;
  ScheduleNode **nodes; /* the list in which the loop stands */
  const ScheduleNode *loop;
  bool *is_behind;      /* by equation: stands in the list behind the loop, or in the loop */
  bool fails, reads_loop;
} Lift;

static bool is_member(const ScheduleNode *loop, int equation) {
  for (int m = 0; m < loop->member_count; m++)
    if (loop->members[m] == equation) return true;
  return false;
}

static void mark_behind(Lift *lift, const ScheduleNode *nodes) {
  for (const ScheduleNode *node = nodes; node; node = node->next) {
    if (node->equation != NONE) lift->is_behind[node->equation] = true;
    else mark_behind(lift, node->body);
  }
}

static void find_loop_read(void *context, const Expr *expr) {
  Lift *lift = context;
  lift->reads_loop |= expr->op == OP_READ && is_member(lift->loop, lift->program->definition[expr->id]);
}

static void lift_makers(void *context, const Expr *expr);

/* False where it has to stay behind the loop. */
static bool lift_step(Lift *lift, int equation) {
  if (equation == NONE || !lift->is_behind[equation]) return true;
  ScheduleNode **from = lift->nodes;
  while (*from && (*from)->equation != equation) from = &(*from)->next;
  if (!*from || program_run_time_axes(lift->program, lift->program->equations[equation].target)) return false;
  bool fails = lift->fails;
  lift->fails = false;
  equation_visit(&lift->program->equations[equation], lift_makers, lift);
  bool stays = lift->fails;
  lift->fails = fails;
  if (stays) return false;
  for (from = lift->nodes; (*from)->equation != equation;) from = &(*from)->next; /* its makers have moved */
  ScheduleNode *step = *from, **to = lift->nodes;
  *from = step->next;
  while (*to != lift->loop) to = &(*to)->next;
  step->next = *to;
  *to = step;
  lift->is_behind[equation] = false;
  return true;
}

static void lift_makers(void *context, const Expr *expr) {
  Lift *lift = context;
  if (expr->op == OP_READ && !lift->fails && !lift_step(lift, lift->program->definition[expr->id])) lift->fails = true;
}

/* What a reader of the loop reads: each on its own. */
static void lift_read(void *context, const Expr *expr) {
  Lift *lift = context;
  lift->fails = false;
  lift_makers(lift, expr);
}

static void lift_over(const Program *program, ScheduleNode **nodes, ScheduleNode *loop) {
  Lift lift = {.program = program, .nodes = nodes, .loop = loop, .is_behind = ARENA_ARRAY(program->arena, bool, program->equation_count)};
  mark_behind(&lift, loop);
  for (ScheduleNode *node = loop->next, *next; node; node = next) {
    next = node->next;
    if (node->equation == NONE) continue;
    const Equation *equation = &program->equations[node->equation];
    lift.reads_loop = false;
    equation_visit(equation, find_loop_read, &lift);
    if (lift.reads_loop) equation_visit(equation, lift_read, &lift);
  }
}

void schedule_lift(const Program *program, ScheduleNode **nodes) {
  for (ScheduleNode *node = *nodes, *next; node; node = next) {
    next = node->next;
    if (node->equation != NONE) continue;
    lift_over(program, nodes, node);
    schedule_lift(program, &node->body);
    next = node->next;
  }
}
