/* sink.c - what one loop alone reads, at the place it has reached, is computed inside of it.
 *
 * A step that no cycle holds stands outside of all loops, where it runs over whole tensors: products over all of time are faster than one
 * for each step. But what grows with the square of time is large enough in one turn of a repeat, an axis of known length. Where it is
 * read in the same turn only, no other turn needs memory for it: scores that a gradient computes again, layer by layer.
 */
#include "passes/schedule.h"

typedef struct Sink {
  const Program *program;
  const ScheduleNode *loop;
  const int *loop_axis; /* by equation: of its target, NONE for those outside of the loop */
  TensorId tensor;
  int reader;           /* equation at hand */
  int axis;             /* of the tensor, NONE until a read is found */
  bool fails;
} Sink;

/* Reads stand in the loop, at its index along one and the same axis. */
static void check_read(void *context, const Expr *expr) {
  Sink *sink = context;
  if (expr->op != OP_READ || expr->id != sink->tensor) return;
  int axis = sink->loop_axis[sink->reader];
  if (axis == NONE || expr->outside) {
    sink->fails = true;
    return;
  }
  IndexId index = sink->program->equations[sink->reader].indices[axis];
  for (int n = 0; n < expr->arg_count && sink->axis == NONE; n++)
    if (expr_is_index(expr->args[n], index)) sink->axis = n;
  sink->fails |= sink->axis == NONE || !expr_is_index(expr->args[sink->axis], index);
}

/* The axis of the node's target along which it can go into the loop, or NONE. */
static int sink_axis(Sink *sink, const ScheduleNode *node) {
  const Program *program = sink->program;
  const Tensor *tensor = &program->tensors[sink->tensor = program->equations[node->equation].target];
  const Index *range = &program->indices[sink->loop->index];
  if (program_run_time_axes(program, sink->tensor) < 2 || range->high.symbol != NONE || program_shows(program, sink->tensor) || program_has_boundary(program, sink->tensor)) return NONE;
  sink->axis = NONE;
  sink->fails = false;
  for (sink->reader = 0; sink->reader < program->equation_count && !sink->fails; sink->reader++)
    equation_visit(&program->equations[sink->reader], check_read, sink);
  return sink->fails || sink->axis == NONE || !size_equal(tensor->shape[sink->axis], range->high) ? NONE : sink->axis;
}

/* The step becomes the first of the loop. */
static void move_into(Arena *arena, ScheduleNode *loop, ScheduleNode *node, int axis) {
  int axis_count = loop->member_count;
  ARENA_PUSH(arena, loop->members, loop->member_count, node->equation);
  ARENA_PUSH(arena, loop->axes, axis_count, axis);
  node->next = loop->body;
  loop->body = node;
}

/* From the last step before the loop to the first: what reads a step may have gone in before it. */
static ScheduleNode *sink_into(Program *program, ScheduleNode *list, ScheduleNode *loop) {
  Arena *arena = program->arena;
  int *loop_axis = ARENA_ARRAY(arena, int, program->equation_count), count = 0;
  for (int n = 0; n < program->equation_count; n++) loop_axis[n] = NONE;
  for (int m = 0; m < loop->member_count; m++) loop_axis[loop->members[m]] = loop->axes[m];
  ScheduleNode **before = NULL;
  for (ScheduleNode *node = list; node != loop; node = node->next) ARENA_PUSH(arena, before, count, node);
  for (int n = count - 1; n >= 0; n--) {
    Sink sink = {.program = program, .loop = loop, .loop_axis = loop_axis};
    int axis = before[n]->equation == NONE ? NONE : sink_axis(&sink, before[n]);
    if (axis == NONE) continue;
    ScheduleNode *after = before[n]->next;
    if (n > 0) before[n - 1]->next = after;
    else list = after;
    loop_axis[before[n]->equation] = axis;
    move_into(arena, loop, before[n], axis);
  }
  return list;
}

ScheduleNode *schedule_sink(Program *program, ScheduleNode *schedule) {
  for (ScheduleNode *node = schedule; node; node = node->next) {
    if (node->equation != NONE) continue;
    schedule = sink_into(program, schedule, node);
    node->body = schedule_sink(program, node->body);
  }
  return schedule;
}
