/* cycles.c - which tensors depend on each other in a circle, and along which axis a lag breaks it.
 *
 * A strongly connected set of tensors is computable when there is an axis in each of them such that no read goes
 * forward along it; the reads that go back are then taken away, and what is left is looked at in the same way.
 * The last set a tensor was in is its innermost cycle.
 */
#include "frontend/elaborate.h"
#include "ir/pair_map.h"

typedef struct Edge {
  TensorId from, to; /* `from` reads `to` */
  const Expr *read;
  const Known *known;
  bool is_cut;
} Edge;

typedef struct Cycles {
  Elaboration *elaboration;
  Program *draft;
  int edge_count;
  Edge *edges;
  int *first;     /* by tensor: its edges in `edges`, which are sorted by `from` */
  int *component; /* by tensor */
  int component_count;
  TensorId from; /* while collecting */
  PairMap memo;
  int *axis_of; /* by tensor, for the set at hand */
  int *lag_of;  /* by edge */
  int *set_of;  /* by tensor: the set at hand of the innermost search */
  int set_count;
} Cycles;

static void collect(Cycles *cycles, const Expr *expr, const Known *known) {
  if (!expr || (expr->arg_count == 0 && expr->op != OP_READ)) return;
  const void *ignored = NULL;
  if (pair_map_find(&cycles->memo, expr, known, &ignored)) return;
  pair_map_add(&cycles->memo, expr, known, NULL);
  if (expr->op == OP_READ) {
    Edge edge = {cycles->from, expr->id, expr, known, false};
    ARENA_PUSH(cycles->elaboration->arena, cycles->edges, cycles->edge_count, edge);
  }
  for (int n = 0; n < expr->arg_count; n++) {
    const Known *here = known;
    if (expr->op == OP_SELECT && n > 0) here = known_add(cycles->elaboration, known, expr->args[0], n == 1);
    collect(cycles, expr->args[n], here);
  }
  collect(cycles, expr->outside, known);
}

static void collect_all(Cycles *cycles) {
  cycles->first = ARENA_ARRAY(cycles->elaboration->arena, int, cycles->draft->tensor_count + 1);
  for (TensorId id = 0; id < cycles->draft->tensor_count; id++) {
    cycles->first[id] = cycles->edge_count;
    const Equation *equation = program_definition(cycles->draft, id);
    if (!equation) continue;
    cycles->from = id;
    pair_map_begin(&cycles->memo);
    collect(cycles, equation->value, NULL);
    collect(cycles, equation->guard, NULL);
    collect(cycles, equation->body, equation->guard ? known_add(cycles->elaboration, NULL, equation->guard, true) : NULL);
    pair_map_end(&cycles->memo);
  }
  cycles->first[cycles->draft->tensor_count] = cycles->edge_count;
}

/* ---- strongly connected sets, without recursion ---- */

typedef struct Search {
  int *order, *low, *next, *stack, *path;
  bool *is_stacked;
  int time, stack_count, path_count;
} Search;

typedef struct Set {
  int count;
  TensorId *tensors;
} Set;

static bool is_inner(const Cycles *cycles, const Edge *edge, int set) { return !edge->is_cut && cycles->set_of[edge->to] == set; }

static void search_from(Cycles *cycles, Search *search, TensorId start, int set, int *out_count, Set **out_sets) {
  search->path[search->path_count++] = start;
  while (search->path_count) {
    TensorId at = search->path[search->path_count - 1];
    if (!search->order[at]) {
      search->order[at] = search->low[at] = ++search->time;
      search->stack[search->stack_count++] = at;
      search->is_stacked[at] = true;
      search->next[at] = cycles->first[at];
    }
    TensorId down = NONE;
    for (; search->next[at] < cycles->first[at + 1] && down == NONE; search->next[at]++) {
      const Edge *edge = &cycles->edges[search->next[at]];
      if (!is_inner(cycles, edge, set)) continue;
      if (!search->order[edge->to]) down = edge->to;
      else if (search->is_stacked[edge->to] && search->order[edge->to] < search->low[at])
        search->low[at] = search->order[edge->to];
    }
    if (down != NONE) {
      search->path[search->path_count++] = down;
      continue;
    }
    search->path_count--;
    if (search->path_count) {
      TensorId up = search->path[search->path_count - 1];
      if (search->low[at] < search->low[up]) search->low[up] = search->low[at];
    }
    if (search->low[at] != search->order[at]) continue;
    Set found = {0};
    TensorId popped = NONE;
    do {
      popped = search->stack[--search->stack_count];
      search->is_stacked[popped] = false;
      ARENA_PUSH(cycles->elaboration->arena, found.tensors, found.count, popped);
    } while (popped != at);
    ARENA_PUSH(cycles->elaboration->arena, *out_sets, *out_count, found);
  }
}

static bool reads_itself(const Cycles *cycles, TensorId id) {
  for (int n = cycles->first[id]; n < cycles->first[id + 1]; n++)
    if (!cycles->edges[n].is_cut && cycles->edges[n].to == id) return true;
  return false;
}

/* ---- an axis along which nothing is read ahead ---- */

enum { LAG_AHEAD = -1 };

/* 0: never ahead of `index`; 1: always behind. */
static int lag_at(const Cycles *cycles, const Edge *edge, const Expr *index, int axis, int direction) {
  Arena *arena = cycles->elaboration->arena;
  const Expr *place = edge->read->args[axis];
  const Expr *gap = direction > 0 ? expr_binary(arena, OP_SUB, index, place) : expr_binary(arena, OP_SUB, place, index);
  if (!is_at_least_zero(cycles->draft, gap, edge->known)) return LAG_AHEAD;
  return is_at_least_zero(cycles->draft, expr_binary(arena, OP_SUB, gap, expr_integer(arena, 1)), edge->known);
}

/* The axis of the tensor that is read which corresponds to `axis` of the one that reads. */
static int axis_of_read(const Cycles *cycles, const Edge *edge, int axis, int direction) {
  const Equation *equation = program_definition(cycles->draft, edge->from);
  int id = equation->indices[axis];
  Size extent = cycles->draft->tensors[edge->from].shape[axis];
  for (int n = 0; n < edge->read->arg_count; n++)
    if (expr_uses_index(edge->read->args[n], id)) return n;
  for (int n = 0; n < edge->read->arg_count; n++)
    if (extent.symbol != NONE && size_equal(extent, cycles->draft->tensors[edge->to].shape[n]) &&
        lag_at(cycles, edge, expr_index(cycles->elaboration->arena, id), n, direction) != LAG_AHEAD)
      return n;
  return NONE;
}

static int axis_of_reader(const Cycles *cycles, const Edge *edge, int axis) {
  const Equation *equation = program_definition(cycles->draft, edge->from);
  for (int n = 0; n < cycles->draft->tensors[edge->from].rank; n++)
    if (expr_uses_index(edge->read->args[axis], equation->indices[n])) return n;
  return NONE;
}

static bool map_axes(Cycles *cycles, const Set *set, int number, int axis, int direction) {
  for (int n = 0; n < set->count; n++) cycles->axis_of[set->tensors[n]] = NONE;
  cycles->axis_of[set->tensors[0]] = axis;
  for (bool has_progress = true; has_progress;) {
    has_progress = false;
    for (int n = 0; n < set->count; n++)
      for (int e = cycles->first[set->tensors[n]]; e < cycles->first[set->tensors[n] + 1]; e++) {
        const Edge *edge = &cycles->edges[e];
        if (!is_inner(cycles, edge, number)) continue;
        int *from = &cycles->axis_of[edge->from], *to = &cycles->axis_of[edge->to];
        if (*from != NONE && *to == NONE) *to = axis_of_read(cycles, edge, *from, direction), has_progress |= *to != NONE;
        else if (*from == NONE && *to != NONE) *from = axis_of_reader(cycles, edge, *to), has_progress |= *from != NONE;
      }
  }
  for (int n = 0; n < set->count; n++)
    if (cycles->axis_of[set->tensors[n]] == NONE) return false;
  return true;
}

/* Cuts the reads that go back along the axis; false when one goes ahead or none goes back. */
static bool cut_along(Cycles *cycles, const Set *set, int number, int axis, int direction) {
  if (!map_axes(cycles, set, number, axis, direction)) return false;
  bool has_lag = false;
  for (int n = 0; n < set->count; n++)
    for (int e = cycles->first[set->tensors[n]]; e < cycles->first[set->tensors[n] + 1]; e++) {
      const Edge *edge = &cycles->edges[e];
      if (!is_inner(cycles, edge, number)) continue;
      const Equation *equation = program_definition(cycles->draft, edge->from);
      const Expr *index = expr_index(cycles->elaboration->arena, equation->indices[cycles->axis_of[edge->from]]);
      cycles->lag_of[e] = lag_at(cycles, edge, index, cycles->axis_of[edge->to], direction);
      if (cycles->lag_of[e] == LAG_AHEAD) return false;
      has_lag |= cycles->lag_of[e] > 0;
    }
  if (!has_lag) return false;
  for (int n = 0; n < set->count; n++)
    for (int e = cycles->first[set->tensors[n]]; e < cycles->first[set->tensors[n] + 1]; e++)
      if (is_inner(cycles, &cycles->edges[e], number) && cycles->lag_of[e] > 0) cycles->edges[e].is_cut = true;
  return true;
}

/* A circle through the set, in the author's names. */
static void report_cycle(Cycles *cycles, const Set *set, int number) {
  TensorId *path = ARENA_ARRAY(cycles->elaboration->arena, TensorId, set->count + 1);
  int *place = cycles->axis_of; /* free to be used again: position in the path + 1 */
  for (int n = 0; n < set->count; n++) place[set->tensors[n]] = 0;
  int count = 0;
  TensorId at = set->tensors[set->count - 1];
  while (!place[at]) {
    path[count++] = at;
    place[at] = count;
    for (int e = cycles->first[at]; e < cycles->first[at + 1]; e++)
      if (is_inner(cycles, &cycles->edges[e], number)) {
        at = cycles->edges[e].to;
        break;
      }
  }
  int start = place[at] - 1;
  Text text = {.arena = cycles->elaboration->arena};
  for (int n = start, shown = 0; n < count && shown < 12; n++, shown++)
    text_format(&text, "%s%s", n > start ? " reads " : "", cycles->draft->tensors[path[n]].name);
  const char *first = cycles->draft->tensors[path[start]].name;
  ERROR_AT(cycles->elaboration, cycles->draft->tensors[path[start]].source,
           "'%s' depends on itself and no lag breaks the cycle: %s reads %s", first, text_string(&text), first);
  for (int n = start + 1, shown = 0; n < count && shown < 6; n++) {
    if (cycles->elaboration->owners[path[n]] == NULL) continue;
    NOTE_AT(cycles->elaboration, cycles->draft->tensors[path[n]].source, "through '%s'", cycles->draft->tensors[path[n]].name);
    shown++;
  }
}

static void examine(Cycles *cycles, int count, const TensorId *tensors, int level);

static void examine_set(Cycles *cycles, const Set *set, int level) {
  int number = ++cycles->set_count;
  cycles->component_count++;
  for (int n = 0; n < set->count; n++) {
    cycles->set_of[set->tensors[n]] = number;
    cycles->component[set->tensors[n]] = cycles->component_count;
  }
  for (int axis = 0; axis < cycles->draft->tensors[set->tensors[0]].rank && level < 16; axis++)
    for (int direction = 1; direction >= -1; direction -= 2)
      if (cut_along(cycles, set, number, axis, direction)) {
        examine(cycles, set->count, set->tensors, level + 1);
        return;
      }
  report_cycle(cycles, set, number);
}

static void examine(Cycles *cycles, int count, const TensorId *tensors, int level) {
  Arena *arena = cycles->elaboration->arena;
  int all = cycles->draft->tensor_count, number = ++cycles->set_count;
  static const Search empty;
  Search search = empty;
  int *memory = ARENA_ARRAY(arena, int, 3 * all + 2 * count);
  search.order = memory;
  search.low = memory + all;
  search.next = memory + 2 * all;
  search.stack = memory + 3 * all;
  search.path = memory + 3 * all + count;
  search.is_stacked = ARENA_ARRAY(arena, bool, all);
  for (int n = 0; n < count; n++) cycles->set_of[tensors[n]] = number;
  Set *sets = NULL;
  int set_count = 0;
  for (int n = 0; n < count; n++)
    if (!search.order[tensors[n]]) search_from(cycles, &search, tensors[n], number, &set_count, &sets);
  for (int n = 0; n < set_count; n++)
    if (sets[n].count > 1 || reads_itself(cycles, sets[n].tensors[0])) examine_set(cycles, &sets[n], level);
}

int *find_components(Elaboration *elaboration) {
  Cycles cycles = {.elaboration = elaboration, .draft = elaboration->draft};
  int count = elaboration->draft->tensor_count;
  collect_all(&cycles);
  cycles.component = ARENA_ARRAY(elaboration->arena, int, count);
  cycles.axis_of = ARENA_ARRAY(elaboration->arena, int, count);
  cycles.set_of = ARENA_ARRAY(elaboration->arena, int, count);
  cycles.lag_of = ARENA_ARRAY(elaboration->arena, int, cycles.edge_count);
  TensorId *tensors = ARENA_ARRAY(elaboration->arena, TensorId, count);
  for (int n = 0; n < count; n++) {
    tensors[n] = n;
    cycles.component[n] = NONE;
  }
  examine(&cycles, count, tensors, 0);
  return cycles.component;
}
