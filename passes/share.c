/* share.c - a costly part that several equations compute at every pair of places becomes a tensor.
 *
 * Needs:  nothing; best when equations are small.
 * Leaves: exp(s[t,u] - m[t]), where it stands in two equations, is a tensor of its own, which both read.
 * Why:    a tensor that grows with two run-time lengths is kept for a few rows only (plan_band.c), so reading it costs less than computing
 *         it again. Other tensors would go through memory: the lowering shares parts of those that it takes together row by row.
 */
#include "passes/passes.h"

enum { MOST_FREE = 8 };

/* A part, with its indices in order of appearance. */
typedef struct Part {
  const Expr *expr;
  int count;
  IndexId indices[MOST_FREE];
  int group; /* of the equations that have it; NONE: any */
  int uses;  /* equations that have it */
  int last_equation;
  TensorId tensor;
} Part;

typedef struct Sharing {
  Program *program;
  int part_count;
  Part *parts;
  int equation;
  const int *groups; /* by equation: parts are shared within a group only; NULL: what grows with a square, everywhere */
  bool is_replacing, changed;
} Sharing;

typedef struct FreeSearch {
  const Program *program;
  Part *part;
  bool fails;
} FreeSearch;

static void find_free(void *context, const Expr *expr) {
  FreeSearch *search = context;
  if (expr->op == OP_READ) { /* legal to compute anywhere */
    search->fails |= expr->outside != NULL || search->program->tensors[expr->id].boundary_of != NONE;
    for (int n = 0; n < expr->arg_count; n++) search->fails |= expr->args[n]->op != OP_INDEX;
  }
  if (expr->op != OP_INDEX) return;
  for (int n = 0; n < search->part->count; n++)
    if (search->part->indices[n] == expr->id) return;
  if (search->part->count == MOST_FREE) search->fails = true;
  else search->part->indices[search->part->count++] = expr->id;
}

static bool grows_with_a_square(const Program *program, const Part *part) {
  int axes = 0;
  for (int n = 0; n < part->count; n++) {
    const Index *index = &program->indices[part->indices[n]];
    if (!size_is(index->low, 0)) return false;
    axes += program_is_run_time(program, index->high);
  }
  return axes >= 2;
}

/* Rows of one step, which are long. */
static bool is_long_row(const Program *program, const Part *part) {
  enum { LONG_ROW = 64 };
  bool has_length = false, is_long = false;
  for (int n = 0; n < part->count; n++) {
    const Index *index = &program->indices[part->indices[n]];
    if (!size_is(index->low, 0)) return false;
    has_length |= program_is_run_time(program, index->high);
    is_long |= index->high.symbol == NONE && index->high.constant >= LONG_ROW;
  }
  return has_length && is_long;
}

static bool same_ranges(const Program *program, const Part *a, const Part *b) {
  if (a->count != b->count) return false;
  for (int n = 0; n < a->count; n++)
    if (!size_equal(program->indices[a->indices[n]].high, program->indices[b->indices[n]].high)) return false;
  return true;
}

static void find_widest(void *context, const Expr *expr) {
  const Expr **widest = context;
  if (expr->op == OP_READ && (!*widest || expr->arg_count > (*widest)->arg_count)) *widest = expr;
}

/* The order of the axes is that of the tensor of most axes. */
static void order_indices(Part *part) {
  const Expr *widest = NULL;
  expr_visit(part->expr, find_widest, (void *)&widest);
  IndexId ordered[MOST_FREE];
  int placed = 0;
  for (int n = 0; widest && n < widest->arg_count; n++) {
    bool is_new = true;
    for (int k = 0; k < placed; k++) is_new &= ordered[k] != widest->args[n]->id;
    if (is_new && placed < MOST_FREE) ordered[placed++] = widest->args[n]->id;
  }
  if (placed != part->count) return; /* not all of them are its axes: any order will do */
  memcpy(part->indices, ordered, sizeof ordered[0] * (size_t)placed);
}

/* The known part that is the same up to the names of indices, or a new one; NULL when it is none. */
static Part *find_part(Sharing *sharing, const Expr *expr, Part *found) {
  Program *program = sharing->program;
  *found = (Part){.expr = expr, .last_equation = NONE, .tensor = NONE, .group = sharing->groups ? sharing->groups[sharing->equation] : NONE};
  FreeSearch search = {program, found, false};
  expr_visit(expr, find_free, &search);
  bool is_worth = sharing->groups ? is_long_row(program, found) : grows_with_a_square(program, found);
  if (search.fails || !is_worth) return NULL;
  order_indices(found);
  for (int n = 0; n < sharing->part_count; n++) {
    Part *part = &sharing->parts[n];
    if (part->group != found->group || !same_ranges(program, part, found)) continue;
    const Expr **by = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
    for (int k = 0; k < part->count; k++) by[found->indices[k]] = expr_index(program->arena, part->indices[k]);
    if (expr_equal(part->expr, expr_substitute(program->arena, expr, program->index_count, by))) return part;
  }
  if (sharing->is_replacing) return NULL;
  ARENA_PUSH(program->arena, sharing->parts, sharing->part_count, *found);
  return &sharing->parts[sharing->part_count - 1];
}

static TensorId tensor_of(Sharing *sharing, Part *part) {
  Program *program = sharing->program;
  if (part->tensor != NONE) return part->tensor;
  Size shape[MOST_FREE];
  for (int n = 0; n < part->count; n++) shape[n] = program->indices[part->indices[n]].high;
  const Equation *user = &program->equations[sharing->equation];
  const char *name = arena_format(program->arena, "%s.shared", program->tensors[user->target].name);
  part->tensor = program_add_tensor(program, name, TYPE_REAL, part->count, shape);
  return part->tensor;
}

static const Expr *share_node(void *context, const Expr *expr) {
  Sharing *sharing = context;
  if (!(op_table[expr->op].flags & FLAG_COSTLY)) return expr;
  Part found, *part = find_part(sharing, expr, &found);
  if (!part) return expr;
  if (!sharing->is_replacing) {
    part->uses += part->last_equation != sharing->equation;
    part->last_equation = sharing->equation;
    return expr;
  }
  if (part->uses < 2) return expr;
  const Expr *indices[MOST_FREE];
  for (int n = 0; n < part->count; n++) indices[n] = expr_index(sharing->program->arena, found.indices[n]);
  sharing->changed = true;
  return program_read(sharing->program, tensor_of(sharing, part), indices, NULL);
}

static void walk(Sharing *sharing) {
  Program *program = sharing->program;
  int equations = program->equation_count;
  for (int n = 0; n < equations; n++) {
    if (sharing->groups && sharing->groups[n] == NONE) continue;
    sharing->equation = n;
    Equation equation = program->equations[n];
    if (equation.value) equation.value = expr_rewrite(program->arena, equation.value, share_node, sharing);
    if (equation.body) equation.body = expr_rewrite(program->arena, equation.body, share_node, sharing);
    program->equations[n] = equation;
  }
}

bool share_parts(Program *program, const int *groups) {
  Sharing sharing = {.program = program, .groups = groups};
  walk(&sharing);
  sharing.is_replacing = true;
  walk(&sharing);
  for (int n = 0; n < sharing.part_count; n++) {
    const Part *part = &sharing.parts[n];
    if (part->tensor == NONE) continue;
    Equation equation = {.target = part->tensor, .indices = (IndexId *)(uintptr_t)part->indices, .value = part->expr, .source = part->expr->source};
    program_add_equation(program, equation);
  }
  return sharing.changed;
}

bool pass_share(Program *program, PassContext *context) {
  (void)context;
  return share_parts(program, NULL);
}
