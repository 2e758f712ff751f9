/* reverse_rewrite.c - what comes out of a recurrence back through time, and how the rest of the program reads it.
 *
 * A sum over elements of one item of work alone is stored where it belongs. Any other one becomes a sum over what the items leave:
 * a tensor with an axis for the items, which the equation reads instead. The equations of such tensors stay in the program, so that
 * whoever asks what depends on what is told, but in no place of the schedule.
 */
#include "passes/plan_reverse.h"

/* ---- the roles of the axes --------------------------------------------------------------------------------------------- */

enum { FEWEST_LANES = 8, MOST_CHUNK = 128, LEAST_CHUNK = 32, ENOUGH_ITEMS = 8, LEAST_STEPS = 8, MOST_STEPS = 64, MOST_TOGETHER = 4 };

static ScheduleNode *loop_around(const Planning *planning, const ScheduleNode *loop) {
  for (int n = 0; n < planning->loop_count; n++)
    if (planning->loops[n].loop == loop) return planning->loops[n].place.parent;
  return NULL;
}

static bool is_step_result(const Planning *planning, const Reader *reader) { return reader->keeps[planning->reverse->time] && !reader->is_merged; }

/* Lanes run along the longest axis, as the others are loops inside of an item; of several, along the one that most results of a step keep. */
static void choose_lane(Planning *planning) {
  Reverse *reverse = planning->reverse;
  int best = -1;
  int64_t longest = 0;
  for (int axis = 0; axis < reverse->rank; axis++) {
    if (reverse->roles[axis] != AXIS_INNER || reverse->extents[axis].symbol != NONE || reverse->extents[axis].constant < FEWEST_LANES) continue;
    int count = 0;
    for (int n = 0; n < planning->reader_count; n++) count += is_step_result(planning, &planning->readers[n]) && planning->readers[n].keeps[axis];
    if (reverse->extents[axis].constant < longest || (reverse->extents[axis].constant == longest && count < best)) continue;
    best = count;
    longest = reverse->extents[axis].constant;
    reverse->lane = axis;
  }
}

static bool choose_roles(Planning *planning) {
  Reverse *reverse = planning->reverse;
  for (int axis = 0; axis < reverse->rank; axis++) reverse->roles[axis] = AXIS_INNER;
  reverse->roles[reverse->time] = AXIS_TIME;
  for (const ScheduleNode *loop = planning->at.parent; loop; loop = loop_around(planning, loop)) {
    int axis = schedule_loop_axis(loop, reverse->backward[0].equation);
    if (axis == NONE || axis == reverse->time) return false;
    reverse->roles[axis] = AXIS_OUTER;
    for (int n = 0; n < reverse->backward_count; n++)
      if (schedule_loop_axis(loop, reverse->backward[n].equation) != axis) return false;
  }
  choose_lane(planning);
  if (reverse->lane == NONE) return false;
  reverse->roles[reverse->lane] = AXIS_LANE;
  bool has_inner = false;
  for (int axis = 0; axis < reverse->rank; axis++) {
    bool is_summed = false;
    if (reverse->roles[axis] != AXIS_INNER) continue;
    for (int n = 0; n < planning->reader_count; n++) is_summed |= is_step_result(planning, &planning->readers[n]) && !planning->readers[n].keeps[axis];
    if (!is_summed) reverse->roles[axis] = AXIS_SHARED;
    else if (reverse->extents[axis].symbol != NONE) return false;
    has_inner |= is_summed;
  }
  return has_inner;
}

/* Items are fixed by the sizes alone: whoever runs them, the sums are added up in the same order. */
static bool choose_chunk(Planning *planning) {
  Reverse *reverse = planning->reverse;
  int64_t extent = reverse->extents[reverse->lane].constant, items = 1, chunk = LEAST_CHUNK;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (reverse->roles[axis] == AXIS_SHARED && reverse->extents[axis].symbol == NONE) items *= reverse->extents[axis].constant;
  bool sums_lanes = false;
  for (int n = 0; n < planning->reader_count; n++) sums_lanes |= is_step_result(planning, &planning->readers[n]) && !planning->readers[n].keeps[reverse->lane];
  while (chunk < MOST_CHUNK && (sums_lanes ? 1 : items * extent >= 2 * chunk * ENOUGH_ITEMS)) chunk *= 2;
  for (int n = 0; n < planning->reader_count; n++) {
    int64_t group = planning->readers[n].group;
    if (!planning->readers[n].tied || group >= extent) continue;
    if (group <= 0) return false;
    while (group % chunk) chunk--;
  }
  reverse->chunk = chunk < extent ? chunk : extent;
  for (int n = 0; n < planning->reader_count; n++) {
    const Reader *reader = &planning->readers[n];
    for (int k = 0; reader->tied && k < planning->program->index_count; k++)
      if (reader->axis_of[k] != NONE && expr_uses_index(reader->tied, k) && reader->axis_of[k] != reverse->lane) return false;
  }
  return true;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------ */

static const Expr *rename_read(void *context, const Expr *expr) {
  const Planning *planning = context;
  if (expr->op != OP_READ || planning->forward_of[expr->id] == NONE) return expr;
  TensorId tensor = planning->reverse->forward[planning->forward_of[expr->id]].tensor;
  return tensor == expr->id ? expr : program_read(planning->program, tensor, expr->args, expr->outside);
}

static const Expr *renamed(Planning *planning, const Expr *expr) { return expr ? expr_rewrite(planning->arena, expr, rename_read, planning) : NULL; }

/* The loops around run over the new equation too, along axes that it has. */
static void join_loops(Planning *planning, int equation, const int *axes, int count) {
  const Reverse *reverse = planning->reverse;
  for (ScheduleNode *loop = planning->at.parent; loop; loop = loop_around(planning, loop)) {
    int axis = schedule_loop_axis(loop, reverse->backward[0].equation);
    for (int n = 0; n < count; n++) {
      if (axes[n] != axis) continue;
      int members = loop->member_count;
      ARENA_PUSH(planning->arena, loop->axes, members, n);
      ARENA_PUSH(planning->arena, loop->members, loop->member_count, equation);
    }
  }
}

/* The states that are computed again have a name of their own where the others stay. */
static void add_clones(Planning *planning) {
  Reverse *reverse = planning->reverse;
  Program *program = planning->program;
  int axes[MOST_AXES];
  for (int n = 0; n < reverse->rank; n++) axes[n] = n;
  for (int n = 0; n < reverse->forward_count; n++) {
    const char *name = arena_format(planning->arena, "%s.again", program->tensors[reverse->forward[n].tensor].name);
    reverse->forward[n].tensor = program_add_tensor(program, name, TYPE_REAL, reverse->rank, reverse->extents);
  }
  for (int n = 0; n < reverse->forward_count; n++) {
    Equation equation = program->equations[reverse->forward[n].equation];
    equation.target = reverse->forward[n].tensor;
    equation.value = renamed(planning, equation.value);
    reverse->forward[n].equation = program_add_equation(program, equation);
    join_loops(planning, reverse->forward[n].equation, axes, reverse->rank);
  }
}

static void rename_all(Planning *planning) {
  Reverse *reverse = planning->reverse;
  Program *program = planning->program;
  for (int n = 0; n < reverse->forward_count; n++) {
    reverse->forward[n].value = renamed(planning, reverse->forward[n].value);
    reverse->forward[n].initial = renamed(planning, reverse->forward[n].initial);
  }
  for (int n = 0; n < reverse->backward_count; n++) {
    Equation *equation = &program->equations[reverse->backward[n].equation];
    equation->value = renamed(planning, equation->value);
    reverse->backward[n].value = renamed(planning, reverse->backward[n].value);
  }
  for (int n = 0; n < reverse->carried_count; n++) reverse->carried[n].value = renamed(planning, reverse->carried[n].value);
  for (int n = 0; n < planning->reader_count; n++) {
    Equation *equation = &program->equations[planning->readers[n].equation];
    equation->body = renamed(planning, equation->body);
    planning->readers[n].body = renamed(planning, planning->readers[n].body);
  }
}

static void remove_node(ScheduleNode **nodes, int equation, const ScheduleNode *loop) {
  while (*nodes) {
    bool is_it = loop ? *nodes == loop : (*nodes)->equation == equation;
    if (is_it) {
      *nodes = (*nodes)->next;
      return;
    }
    remove_node(&(*nodes)->body, equation, loop);
    nodes = &(*nodes)->next;
  }
}

/* What reads what comes out was before the loop back: it goes behind it. Nothing reads it before. */
static void move_behind(Planning *planning, int equation) {
  const Place *place = &planning->places[equation];
  if (place->order > planning->at.order) return;
  ScheduleNode *moved = NULL, **nodes = planning->at.parent ? &planning->at.parent->body : planning->schedule;
  for (ScheduleNode **node = nodes; *node && !moved; node = &(*node)->next)
    if ((*node)->equation == equation) {
      moved = *node;
      *node = moved->next;
      break;
    }
  while (*nodes && *nodes != planning->reverse->loop) nodes = &(*nodes)->next;
  if (!moved || !*nodes) internal_error("an equation that reads states is not beside the loop back");
  moved->next = (*nodes)->next;
  (*nodes)->next = moved;
}

/* ---- sums that go on ------------------------------------------------------------------------------------------------------ */

typedef struct UseCount {
  TensorId tensor;
  int count;
} UseCount;

static void count_use(void *context, const Expr *expr) {
  UseCount *use = context;
  use->count += expr->op == OP_READ && expr->id == use->tensor;
}

static bool is_read_once(const Planning *planning, TensorId tensor) {
  UseCount use = {tensor, 0};
  for (int n = 0; n < planning->program->equation_count; n++) equation_visit(&planning->program->equations[n], count_use, &use);
  return use.count == 1 && !program_shows(planning->program, tensor);
}

/* Another sum over the same, which this term of a value reads at the same place; or NULL. */
static Reader *reader_behind(Planning *planning, const Reader *reader, const Expr *term) {
  const Equation *equation = &planning->program->equations[reader->equation];
  if (term->op != OP_READ || term->outside || !is_read_once(planning, term->id)) return NULL;
  int rank = planning->program->tensors[equation->target].rank;
  if (term->arg_count != rank) return NULL;
  for (int n = 0; n < rank; n++)
    if (!expr_is_index(term->args[n], equation->indices[n])) return NULL;
  for (int n = 0; n < planning->reader_count; n++) {
    Reader *other = &planning->readers[n];
    const Equation *behind = &planning->program->equations[other->equation];
    if (behind->target != term->id || other->is_merged || other == reader) continue;
    bool is_alike = !behind->guard && !equation->guard;
    for (int k = 0; k < rank; k++) is_alike &= other->axis_of[behind->indices[k]] == reader->axis_of[equation->indices[k]];
    return is_alike ? other : NULL;
  }
  return NULL;
}

static const Expr *merge_terms(Planning *planning, Reader *reader, const Expr *value) {
  if (value->op == OP_ADD && value->type == TYPE_REAL) {
    const Expr *a = merge_terms(planning, reader, value->args[0]), *b = merge_terms(planning, reader, value->args[1]);
    return !a ? b : !b ? a : expr_binary(planning->arena, OP_ADD, a, b);
  }
  Reader *behind = reader_behind(planning, reader, value);
  if (!behind) return value;
  const Equation *equation = &planning->program->equations[reader->equation], *from = &planning->program->equations[behind->equation];
  const Expr **by = ARENA_ARRAY(planning->arena, const Expr *, planning->program->index_count);
  int rank = planning->program->tensors[equation->target].rank;
  for (int n = 0; n < rank; n++) by[from->indices[n]] = expr_index(planning->arena, equation->indices[n]);
  reader->body = expr_binary(planning->arena, OP_ADD, behind->body, reader->body);
  behind->is_merged = true;
  remove_node(planning->schedule, behind->equation, NULL);
  return from->value ? merge_terms(planning, reader, expr_substitute(planning->arena, from->value, planning->program->index_count, by)) : NULL;
}

/* Chains of sums become one each. */
static void merge_readers(Planning *planning) {
  for (int n = planning->reader_count - 1; n >= 0; n--) {
    Reader *reader = &planning->readers[n];
    Equation *equation = &planning->program->equations[reader->equation];
    if (!reader->is_merged && equation->value) equation->value = merge_terms(planning, reader, equation->value);
  }
  for (int n = 0; n < planning->reader_count; n++) {
    if (!planning->readers[n].is_merged) continue; /* nothing reads it */
    Equation *equation = &planning->program->equations[planning->readers[n].equation];
    equation->value = expr_number(planning->arena, 0);
    equation->reduce = REDUCE_NONE;
    equation->reduce_count = 0;
    equation->guard = equation->body = NULL;
  }
}

/* ---- results -------------------------------------------------------------------------------------------------------------- */

typedef struct LaterSearch {
  const Planning *planning;
  bool found;
} LaterSearch;

static void find_later(void *context, const Expr *expr) {
  LaterSearch *search = context;
  const Planning *planning = search->planning;
  if (expr->op != OP_READ) return;
  int definition = planning->program->definition[expr->id];
  if (definition != NONE) search->found |= planning->places[definition].order > planning->at.order || planning->places[definition].order < 0;
  search->found |= planning->forward_of[expr->id] != NONE || planning->backward_of[expr->id] != NONE;
}

static bool is_direct(const Planning *planning, const Reader *reader) {
  const Reverse *reverse = planning->reverse;
  const Equation *equation = &planning->program->equations[reader->equation];
  LaterSearch search = {planning, false};
  if (planning->places[reader->equation].parent != planning->at.parent || equation->guard) return false;
  int rank = planning->program->tensors[equation->target].rank;
  for (int n = 0; n < rank; n++)
    if (reader->axis_of[equation->indices[n]] == NONE) return false;
  for (int axis = 0; axis < reverse->rank; axis++)
    if (!reader->keeps[axis] && reverse->roles[axis] != AXIS_INNER) return false;
  if (equation->value) expr_visit(equation->value, find_later, &search);
  return !search.found;
}

static void add_direct(Planning *planning, const Reader *reader) {
  const Equation *equation = &planning->program->equations[reader->equation];
  ReverseResult result = {.target = equation->target, .equation = reader->equation, .body = reader->body};
  memcpy(result.keeps, reader->keeps, sizeof result.keeps);
  const Expr **by = ARENA_ARRAY(planning->arena, const Expr *, planning->program->index_count);
  int rank = planning->program->tensors[equation->target].rank;
  for (int n = 0; n < rank; n++) {
    result.axis[n] = reader->axis_of[equation->indices[n]];
    by[equation->indices[n]] = frame_index(planning, result.axis[n]);
  }
  if (equation->value) result.value = reverse_tidy(planning->arena, expr_substitute(planning->arena, equation->value, planning->program->index_count, by));
  ARENA_PUSH(planning->arena, planning->reverse->results, planning->reverse->result_count, result);
  remove_node(planning->schedule, reader->equation, NULL);
}

/* Axes of what an item leaves: those of loops around and of items first, lanes last. */
static int part_axes(const Reverse *reverse, const bool *keeps, int *axes) {
  static const ReverseAxis order[] = {AXIS_OUTER, AXIS_SHARED, AXIS_TIME, AXIS_INNER, AXIS_LANE};
  int count = 0;
  for (int n = 0; n < 5; n++) {
    for (int axis = 0; axis < reverse->rank; axis++)
      if (reverse->roles[axis] == order[n] && (keeps[axis] || n < 2)) axes[count++] = axis;
    if (n == 1 && !keeps[reverse->lane]) axes[count++] = CHUNK_AXIS;
  }
  return count;
}

static Size chunk_count(const Reverse *reverse) {
  return size_constant((reverse->extents[reverse->lane].constant + reverse->chunk - 1) / reverse->chunk);
}

static TensorId add_part(Planning *planning, const char *name, const int *axes, int count) {
  const Reverse *reverse = planning->reverse;
  Size shape[MOST_AXES];
  for (int n = 0; n < count; n++) shape[n] = axes[n] == CHUNK_AXIS ? chunk_count(reverse) : reverse->extents[axes[n]];
  return program_add_tensor(planning->program, name, TYPE_REAL, count, shape);
}

/* What an item leaves of it, and the equation that adds that up. */
static void add_part_result(Planning *planning, const Reader *reader) {
  Reverse *reverse = planning->reverse;
  Program *program = planning->program;
  Arena *arena = planning->arena;
  Equation equation = program->equations[reader->equation], part = {.reduce = REDUCE_SUM, .body = reader->body, .source = equation.source};
  ReverseResult result = {.equation = reader->equation, .body = reader->body};
  memcpy(result.keeps, reader->keeps, sizeof result.keeps);
  int count = part_axes(reverse, reader->keeps, result.axis), rank = program->tensors[equation.target].rank;
  result.target = part.target = add_part(planning, arena_format(arena, "%s.part", program->tensors[equation.target].name), result.axis, count);
  IndexId indices[MOST_AXES], summed[MOST_AXES], chunk = NONE;
  const Expr *reads[MOST_AXES];
  int kept = 0;
  for (int n = 0; n < count; n++) {
    if (result.axis[n] == CHUNK_AXIS) chunk = program_add_index(program, "chunk", size_constant(0), chunk_count(reverse));
    indices[n] = result.axis[n] == CHUNK_AXIS ? chunk : reverse->frame[result.axis[n]];
    reads[n] = expr_index(arena, chunk);
    for (int k = 0; result.axis[n] != CHUNK_AXIS && k < rank + equation.reduce_count; k++) {
      IndexId index = k < rank ? equation.indices[k] : equation.reduce_indices[k - rank];
      if (reader->axis_of[index] != result.axis[n]) continue;
      reads[n] = expr_index(arena, index);
      if (k >= rank) summed[kept++] = index;
    }
  }
  if (chunk != NONE) summed[kept++] = chunk;
  part.indices = indices;
  part.reduce_indices = ARENA_ARRAY(arena, IndexId, reverse->rank);
  for (int axis = 0; axis < reverse->rank; axis++) {
    bool is_item = reverse->roles[axis] == AXIS_OUTER || reverse->roles[axis] == AXIS_SHARED;
    if (!reader->keeps[axis] && !is_item) part.reduce_indices[part.reduce_count++] = reverse->frame[axis];
  }
  const Expr **by = ARENA_ARRAY(arena, const Expr *, program->index_count);
  for (int n = 0; n < planning->program->index_count && reader->tied && chunk != NONE; n++)
    if (expr_uses_index(reader->tied, n) && reader->axis_of[n] == reverse->lane)
      by[n] = expr_binary(arena, OP_MUL, expr_index(arena, chunk), expr_integer(arena, reverse->chunk));
  const Expr *tied = reader->tied ? expr_substitute(arena, reader->tied, program->index_count, by) : NULL;
  const Expr *guard = conjunction(arena, reader->rest, tied), *body = program_read(program, result.target, reads, NULL);
  if (kept) {
    equation.guard = guard;
    equation.body = body;
    equation.reduce_count = kept;
    equation.reduce_indices = arena_copy(arena, summed, sizeof *summed * (size_t)kept);
  } else {
    if (guard) body = expr_select(arena, guard, body, expr_number(arena, 0));
    equation.value = equation.value ? expr_binary(arena, OP_ADD, equation.value, body) : body;
    equation.reduce = REDUCE_NONE;
    equation.reduce_count = 0;
    equation.guard = equation.body = NULL;
  }
  program->equations[reader->equation] = equation;
  move_behind(planning, reader->equation);
  join_loops(planning, program_add_equation(program, part), result.axis, count);
  ARENA_PUSH(arena, reverse->results, reverse->result_count, result);
}

/* ---- ends ------------------------------------------------------------------------------------------------------------------ */

static TensorId end_of(Planning *planning, ReverseMember *member, bool is_forward) {
  Reverse *reverse = planning->reverse;
  if (member->end != NONE) return member->end;
  bool keeps[MOST_AXES];
  int axes[MOST_AXES];
  for (int n = 0; n < reverse->rank; n++) keeps[n] = n != reverse->time;
  int count = part_axes(reverse, keeps, axes);
  const char *name = arena_format(planning->arena, "%s.%s", planning->program->tensors[member->tensor].name, is_forward ? "last" : "first");
  member->end = add_part(planning, name, axes, count);
  const Expr *reads[MOST_AXES];
  IndexId indices[MOST_AXES];
  Size extent = reverse->extents[reverse->time];
  const Expr *last = expr_binary(planning->arena, OP_SUB, size_expr(planning->arena, extent), expr_integer(planning->arena, 1));
  for (int n = 0; n < reverse->rank; n++) reads[n] = frame_index(planning, n);
  reads[reverse->time] = is_forward ? last : expr_integer(planning->arena, 0);
  for (int n = 0; n < count; n++) indices[n] = reverse->frame[axes[n]];
  Equation equation = {.target = member->end, .indices = indices, .value = program_read(planning->program, member->tensor, reads, NULL)};
  equation.source = planning->program->equations[member->equation].source;
  join_loops(planning, program_add_equation(planning->program, equation), axes, count);
  return member->end;
}

static const Expr *read_end(void *context, const Expr *expr) {
  Planning *planning = context;
  Reverse *reverse = planning->reverse;
  if (expr->op != OP_READ) return expr;
  bool is_forward = planning->forward_of[expr->id] != NONE;
  if (!is_forward && planning->backward_of[expr->id] == NONE) return expr;
  ReverseMember *member = is_forward ? &reverse->forward[planning->forward_of[expr->id]] : &reverse->backward[planning->backward_of[expr->id]];
  bool keeps[MOST_AXES];
  int axes[MOST_AXES];
  for (int n = 0; n < reverse->rank; n++) keeps[n] = n != reverse->time;
  int count = part_axes(reverse, keeps, axes);
  const Expr *reads[MOST_AXES];
  for (int n = 0; n < count; n++) reads[n] = expr->args[axes[n]];
  return program_read(planning->program, end_of(planning, member, is_forward), reads, NULL);
}

static void rewrite_ends(Planning *planning) {
  for (int n = 0; n < planning->end_count; n++) {
    Equation equation = planning->program->equations[planning->ends[n]];
    if (equation.value) equation.value = expr_rewrite(planning->arena, equation.value, read_end, planning);
    if (equation.body) equation.body = expr_rewrite(planning->arena, equation.body, read_end, planning);
    planning->program->equations[planning->ends[n]] = equation;
    move_behind(planning, planning->ends[n]);
  }
}

/* ---- what both directions compute -------------------------------------------------------------------------------------------- */

typedef struct Sharing {
  Planning *planning;
  int count;
  struct SharedPart { const Expr *expr; bool is_forward, is_backward; TensorId tensor; } *parts;
  bool is_forward, is_replacing;
} Sharing;

typedef struct MemberSearch {
  const Reverse *reverse;
  bool found;
} MemberSearch;

static void find_member(void *context, const Expr *expr) {
  MemberSearch *search = context;
  if (expr->op != OP_READ) return;
  for (int n = 0; n < search->reverse->forward_count; n++) search->found |= search->reverse->forward[n].tensor == expr->id;
  for (int n = 0; n < search->reverse->backward_count; n++) search->found |= search->reverse->backward[n].tensor == expr->id;
  for (int n = 0; n < search->reverse->carried_count; n++) search->found |= search->reverse->carried[n].tensor == expr->id;
}

static const Expr *share_node(void *context, const Expr *expr) {
  Sharing *sharing = context;
  Planning *planning = sharing->planning;
  const Reverse *reverse = planning->reverse;
  if (!(op_table[expr->op].flags & FLAG_COSTLY)) return expr;
  MemberSearch search = {reverse, false};
  expr_visit(expr, find_member, &search);
  bool fits = !search.found && expr_uses_index(expr, reverse->frame[reverse->time]) && expr_uses_index(expr, reverse->frame[reverse_last_inner(reverse)]);
  if (!fits) return expr;
  int at = 0;
  while (at < sharing->count && !expr_equal(sharing->parts[at].expr, expr)) at++;
  if (!sharing->is_replacing) {
    struct SharedPart part = {expr, false, false, NONE};
    if (at == sharing->count) ARENA_PUSH(planning->arena, sharing->parts, sharing->count, part);
    sharing->parts[at].is_forward |= sharing->is_forward;
    sharing->parts[at].is_backward |= !sharing->is_forward;
    return expr;
  }
  if (at == sharing->count || sharing->parts[at].tensor == NONE) return expr;
  const Expr *indices[MOST_AXES];
  for (int n = 0; n < reverse->rank; n++) indices[n] = frame_index(planning, n);
  return program_read(planning->program, sharing->parts[at].tensor, indices, NULL);
}

static void share_in(Sharing *sharing, const Expr **expr, bool is_forward) {
  sharing->is_forward = is_forward;
  const Expr *changed = expr_rewrite(sharing->planning->arena, *expr, share_node, sharing);
  if (sharing->is_replacing) *expr = changed;
}

static void share_everywhere(Sharing *sharing) {
  Reverse *reverse = sharing->planning->reverse;
  for (int n = 0; n < reverse->forward_count; n++) share_in(sharing, &reverse->forward[n].value, true);
  for (int n = 0; n < reverse->backward_count; n++) share_in(sharing, &reverse->backward[n].value, false);
  for (int n = 0; n < reverse->carried_count; n++) share_in(sharing, &reverse->carried[n].value, false);
  for (int n = 0; n < reverse->result_count; n++) share_in(sharing, &reverse->results[n].body, false);
}

static void share_costly(Planning *planning) {
  Reverse *reverse = planning->reverse;
  Sharing sharing = {.planning = planning};
  share_everywhere(&sharing);
  for (int n = 0; n < sharing.count; n++) {
    if (!sharing.parts[n].is_forward || !sharing.parts[n].is_backward) continue;
    const char *name = arena_format(planning->arena, "%s.shared", planning->program->tensors[reverse->forward[0].tensor].name);
    ReverseValue value = {program_add_tensor(planning->program, name, TYPE_REAL, reverse->rank, reverse->extents), sharing.parts[n].expr};
    sharing.parts[n].tensor = value.tensor;
    ARENA_PUSH(planning->arena, reverse->shared, reverse->shared_count, value);
  }
  sharing.is_replacing = true;
  share_everywhere(&sharing);
}

/* ---- sizes of blocks --------------------------------------------------------------------------------------------------------- */

/* Elements that go together have their adjoints, sums and whatever does not change in registers; a block's states and sums are to
 * stay in the first cache. */
static void choose_block(Planning *planning) {
  Reverse *reverse = planning->reverse;
  const Machine *machine = planning->lowering->context->machine;
  int inner = reverse_last_inner(reverse);
  int64_t extent = reverse->extents[inner].constant, registers = 2 * reverse->carried_count + reverse->backward_count, narrow = 0, wide = 0;
  for (int n = 0; n < reverse->sum_count; n++) {
    const ReverseSum *sum = &reverse->sums[n];
    if (!sum->keeps[reverse->time]) registers += sum->keeps[inner];
    else if (sum->keeps[reverse->lane]) wide++;
    else narrow++;
  }
  reverse->together = MOST_TOGETHER;
  while (reverse->together > 1 && (extent % reverse->together || reverse->together * registers > machine->registers - 6)) reverse->together /= 2;
  int64_t lanes = machine->lanes, bytes = 4 * (lanes * reverse->together * (reverse->forward_count + reverse->shared_count + narrow) + reverse->chunk * wide);
  reverse->steps = MOST_STEPS;
  while (reverse->steps > LEAST_STEPS && reverse->steps * bytes > machine->l1_bytes) reverse->steps /= 2;
}

bool reverse_rewrite(Planning *planning) {
  Reverse *reverse = planning->reverse;
  if (!choose_roles(planning) || !choose_chunk(planning)) return false;
  for (int n = 0; n < planning->reader_count; n++) {
    const Reader *reader = &planning->readers[n];
    bool is_whole = true;
    for (int axis = 0; axis < reverse->rank; axis++) is_whole &= reader->keeps[axis];
    if (is_whole) return false;
  }
  const ScheduleNode *forward_loops[MOST_LOOPS];
  int loops = 0;
  for (int n = 0; n < reverse->forward_count; n++) {
    const ScheduleNode *loop = planning->places[reverse->forward[n].equation].parent;
    bool is_new = true;
    for (int k = 0; k < loops; k++) is_new &= forward_loops[k] != loop;
    if (is_new && loops == MOST_LOOPS) return false;
    if (is_new) forward_loops[loops++] = loop;
  }
  if (planning->is_forward_kept) add_clones(planning);
  else for (int n = 0; n < loops; n++) remove_node(planning->schedule, NONE, forward_loops[n]);
  rename_all(planning);
  merge_readers(planning);
  for (int n = 0; n < planning->reader_count; n++) {
    if (planning->readers[n].is_merged) continue;
    if (is_direct(planning, &planning->readers[n])) add_direct(planning, &planning->readers[n]);
    else add_part_result(planning, &planning->readers[n]);
  }
  rewrite_ends(planning);
  share_costly(planning);
  reverse_cut_sums(planning->arena, reverse);
  choose_block(planning);
  return true;
}
