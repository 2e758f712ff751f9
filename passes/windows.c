/* windows.c - how many of the steps so far are read.
 *
 * A sum over u that takes nothing from u <= t - 5 needs five steps. The numbers that the conditions compare times by are tried, the
 * smallest first, each by looking at what is left for u = t - 5 - w with any w. What is read along one axis over steps belongs
 * together: scores, their maximum and their sum have places for the same steps, so they need what the widest of them does.
 */
#include "passes/windows.h"

enum { MOST_CANDIDATES = 24, WIDEST = 1 << 20 };

typedef struct Search {
  Program *program;
  const Times *times;
  int candidate_count;
  int64_t candidates[MOST_CANDIDATES];
  int *parent;         /* by node: an axis, or a reduction's index */
  int64_t *width;      /* by node: of the reductions that are this one; -1: all steps so far */
  int first_reduction; /* node */
  Windows *windows;
  int number;          /* the equation at hand */
  const bool *is_long;
  IndexId time;
  bool is_second;      /* widths are known: what tensors must keep */
} Search;

static int root(const Search *search, int node) {
  while (search->parent[node] != node) node = search->parent[node];
  return node;
}

static void widen(Search *search, int node, int64_t width) {
  int64_t *known = &search->width[root(search, node)];
  if (*known >= 0 && (width < 0 || width > *known)) *known = width;
}

static void join(Search *search, int a, int b) {
  a = root(search, a), b = root(search, b);
  if (a == b) return;
  search->parent[b] = a;
  widen(search, a, search->width[b]);
}

/* The node of an index over steps so far in the equation at hand. */
static int node_of(const Search *search, IndexId index) {
  const Equation *equation = &search->program->equations[search->number];
  int rank = search->program->tensors[equation->target].rank;
  for (int n = 0; n < rank; n++)
    if (equation->indices[n] == index) return equation->target * WINDOW_AXES + n;
  int r = 0;
  while (equation->reduce_indices[r] != index) r++;
  return search->first_reduction + search->number * WINDOW_REDUCTIONS + r;
}

/* ---- candidates ----------------------------------------------------------------------------------------------------- */

static void add_candidate(Search *search, int64_t window) {
  if (window < 1 || window > WIDEST) return;
  int at = 0;
  while (at < search->candidate_count && search->candidates[at] < window) at++;
  if (at < search->candidate_count && search->candidates[at] == window) return;
  if (search->candidate_count == MOST_CANDIDATES) return;
  for (int n = search->candidate_count++; n > at; n--) search->candidates[n] = search->candidates[n - 1];
  search->candidates[at] = window;
}

static void find_candidates(void *context, const Expr *expr) {
  Search *search = context;
  Affine affine;
  if (expr->type != TYPE_BOOL || expr->arg_count != 2 || expr->args[0]->type != TYPE_INT) return;
  if (!expr_affine(expr_binary(search->program->arena, OP_SUB, expr->args[0], expr->args[1]), &affine) || affine.term_count != 2) return;
  int64_t constant = affine.constant < 0 ? -affine.constant : affine.constant;
  for (int64_t window = constant - 1; window <= constant + 1; window++) add_candidate(search, window);
}

static void find_widths(Search *search) {
  const Program *program = search->program;
  int reductions = program->equation_count * WINDOW_REDUCTIONS;
  for (int n = 0; n < reductions; n++) search->width[search->first_reduction + n] = -1;
  for (int c = search->candidate_count - 1; c >= 0; c--) {
    const bool *ends = times_window_reductions(search->times, search->candidates[c], WINDOW_REDUCTIONS);
    for (int n = 0; n < reductions; n++)
      if (ends[n]) search->width[search->first_reduction + n] = search->candidates[c];
  }
}

/* ---- what belongs together ------------------------------------------------------------------------------------------ */

/* The one index over steps so far in a place that counts like one; NONE: there is none, -2: more, or the place counts otherwise. */
static IndexId plain_index(const Search *search, const Affine *affine) {
  IndexId found = NONE;
  int64_t count = 0;
  for (int n = 0; n < affine->term_count; n++) {
    if (affine->terms[n].is_symbol) continue;
    bool is_long = search->is_long[affine->terms[n].id];
    if (is_long || affine->terms[n].id == search->time) count += affine->terms[n].coefficient;
    if (!is_long) continue;
    if (found != NONE || affine->terms[n].coefficient != 1) return -2;
    found = affine->terms[n].id;
  }
  return found != NONE && count != 1 ? -2 : found;
}

static void widen_all(Search *search, const Affine *affine) {
  for (int n = 0; n < affine->term_count; n++)
    if (!affine->terms[n].is_symbol && search->is_long[affine->terms[n].id]) widen(search, node_of(search, affine->terms[n].id), -1);
}

static void keep(Search *search, TensorId tensor, int64_t window) {
  int64_t *grown = &search->windows->grown[tensor];
  if (*grown >= 0 && (window < 0 || window > *grown)) *grown = window;
}

static void look_at_read(void *context, const Expr *expr) {
  Search *search = context;
  if (expr->op != OP_READ) return;
  const Times *times = search->times;
  for (int n = 0; n < expr->arg_count; n++) {
    Affine affine;
    if (!times_is_stream(times, search->program->tensors[expr->id].shape[n]) || !expr_affine(expr->args[n], &affine)) continue;
    IndexId index = plain_index(search, &affine);
    bool is_time = n == times->axis[expr->id];
    int64_t back = -affine.constant; /* steps before the index */
    if (search->is_second) {
      if (!is_time || index == NONE) continue;
      int64_t width = index == -2 ? -1 : search->width[root(search, node_of(search, index))];
      keep(search, expr->id, width < 0 ? -1 : width + (back > 0 ? back : 0));
    } else if (index == -2) {
      widen_all(search, &affine);
      if (!is_time) widen(search, expr->id * WINDOW_AXES + n, -1);
    } else if (!is_time && (index == NONE || affine.constant)) {
      bool is_own = expr->args[n]->op == OP_INDEX;
      if (!is_own || index != NONE) widen(search, expr->id * WINDOW_AXES + n, -1);
      if (index != NONE) widen(search, node_of(search, index), -1);
    } else if (!is_time) {
      join(search, node_of(search, index), expr->id * WINDOW_AXES + n);
    }
  }
}

static void look_at_all(Search *search) {
  for (int n = 0; n < search->program->equation_count; n++) {
    const Equation *equation = &search->program->equations[n];
    if (search->times->reason[equation->target] || times_index(search->times, equation) == NONE) continue;
    search->number = n;
    search->time = times_index(search->times, equation);
    search->is_long = times_long_indices(search->times, equation);
    equation_visit(equation, look_at_read, search);
  }
}

Windows *windows_find(Program *program, const Times *times) {
  Arena *arena = program->arena;
  Windows *windows = ARENA_NEW(arena, Windows);
  int axes = program->tensor_count * WINDOW_AXES, reductions = program->equation_count * WINDOW_REDUCTIONS;
  *windows = (Windows){ARENA_ARRAY(arena, int64_t, axes), ARENA_ARRAY(arena, int64_t, reductions), ARENA_ARRAY(arena, int64_t, program->tensor_count)};
  Search search = {.program = program, .times = times, .first_reduction = axes, .windows = windows};
  search.parent = ARENA_ARRAY(arena, int, axes + reductions);
  search.width = ARENA_ARRAY(arena, int64_t, axes + reductions);
  for (int n = 0; n < axes + reductions; n++) search.parent[n] = n;
  for (int n = 0; n < program->equation_count; n++) equation_visit(&program->equations[n], find_candidates, &search);
  find_widths(&search);
  look_at_all(&search);
  search.is_second = true;
  look_at_all(&search);
  for (int n = 0; n < axes + reductions; n++) {
    int64_t width = search.width[root(&search, n)], window = width <= 0 ? 0 : width < 2 ? 2 : width;
    if (n < axes) windows->axis[n] = window;
    else windows->reduction[n - axes] = window;
  }
  for (TensorId n = 0; n < program->tensor_count; n++)
    windows->grown[n] = windows->grown[n] <= 0 ? 0 : windows->grown[n] < 2 ? 2 : windows->grown[n];
  return windows;
}
