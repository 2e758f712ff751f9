/* pick.c - what is picked out of long rows is a tensor of its own.
 *
 * Needs:  nothing; best when expressions have been simplified.
 * Leaves: in s = sum[t](w[t] * (a[t] - x[t, label[t]])), with long rows x[t], a read of x.picked[t] = x[t, label[t]] instead.
 * Why:    tensors with long rows are kept for a block of rows only (plan_slab.c), and all that reads them goes along. Who needs one element
 *         of each row need not: a gradient of w that comes after the whole sum, too, would hold up everything.
 *
 * The place must be known from the indices that the element has; a condition around the read stands around the pick.
 */
#include "passes/passes.h"
#include "passes/ranges.h"

enum {
  LONG_ROW = 1024,
  MOST_AXES = 16
};

/* Nodes that were rewritten: those that an expression has several times stay shared. */
typedef struct Entry {
  const Expr *expr, *condition, *result;
} Entry;

typedef struct Picking {
  Program *program;
  const Equation *equation;
  bool changed;
  int count;
  Entry *entries;
} Picking;

static bool is_known(const Picking *picking, IndexId index) {
  const Equation *equation = picking->equation;
  bool found = false;
  for (int n = 0; n < picking->program->tensors[equation->target].rank; n++) found |= equation->indices[n] == index;
  for (int n = 0; n < equation->reduce_count; n++) found |= equation->reduce_indices[n] == index;
  return found;
}

typedef struct UsedIndices {
  const IndexId *indices;
  int count;
  bool has_others, has_read;
} UsedIndices;

static void check_index(void *context, const Expr *expr) {
  UsedIndices *used = context;
  used->has_read |= expr->op == OP_READ;
  if (expr->op != OP_INDEX) return;
  bool found = false;
  for (int n = 0; n < used->count; n++) found |= used->indices[n] == expr->id;
  used->has_others |= !found;
}

/* Plain indices along all axes but one long one, along which the place is looked up; out_indices: those, *out_count of them. */
static bool is_pick(const Picking *picking, const Expr *read, IndexId *out_indices, int *out_count) {
  const Program *program = picking->program;
  const Tensor *tensor = &program->tensors[read->id];
  int place = NONE, count = 0;
  if (read->op != OP_READ || read->outside || read->arg_count > MOST_AXES || program->definition[read->id] == NONE) return false;
  if (tensor->boundary_of != NONE || tensor->type != TYPE_REAL) return false;
  for (int k = 0; k < read->arg_count; k++) {
    const Expr *index = read->args[k];
    bool is_plain = index->op == OP_INDEX && is_known(picking, index->id) && size_is(program->indices[index->id].low, 0);
    for (int n = 0; n < count && is_plain; n++) is_plain = out_indices[n] != index->id;
    if (is_plain) {
      out_indices[count++] = index->id;
    } else {
      if (place != NONE || tensor->shape[k].symbol != NONE || tensor->shape[k].constant < LONG_ROW) return false;
      place = k;
    }
  }
  if (place == NONE) return false;
  UsedIndices used = {out_indices, count, false, false};
  expr_visit(read->args[place], check_index, &used);
  *out_count = count;
  return used.has_read && !used.has_others;
}

static const Expr *pick(Picking *picking, const Expr *read, const Expr *condition) {
  Program *program = picking->program;
  IndexId *indices = ARENA_ARRAY(program->arena, IndexId, read->arg_count);
  int count;
  if (!is_pick(picking, read, indices, &count)) return read;
  UsedIndices used = {indices, count, false, false};
  if (condition) expr_visit(condition, check_index, &used);
  if (used.has_others) return read;
  Size *shape = ARENA_ARRAY(program->arena, Size, count);
  const Expr **args = ARENA_ARRAY(program->arena, const Expr *, count);
  for (int n = 0; n < count; n++) shape[n] = program->indices[indices[n]].high, args[n] = expr_index(program->arena, indices[n]);
  const Tensor tensor = program->tensors[read->id];
  TensorId picked = program_add_tensor(program, arena_format(program->arena, "%s.picked", tensor.name), tensor.type, count, shape);
  program->tensors[picked].source = tensor.source;
  const Expr *value = condition ? expr_select(program->arena, condition, read, expr_number(program->arena, 0)) : read;
  program_add_equation(program, (Equation){.target = picked, .indices = indices, .value = value, .source = picking->equation->source});
  picking->changed = true;
  return program_read(program, picked, args, NULL);
}

static const Expr *rewrite(Picking *picking, const Expr *expr, const Expr *condition);

static const Expr *rewrite_node(Picking *picking, const Expr *expr, const Expr *condition) {
  Arena *arena = picking->program->arena;
  if (expr->op == OP_READ) return pick(picking, expr, condition);
  const Expr **args = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  bool changed = false;
  for (int n = 0; n < expr->arg_count; n++) {
    const Expr *around = condition;
    if (expr->op == OP_SELECT && n == 1) around = conjunction(arena, condition, expr->args[0]);
    if (expr->op == OP_SELECT && n == 2) around = conjunction(arena, condition, expr_unary(arena, OP_NOT, expr->args[0]));
    args[n] = rewrite(picking, expr->args[n], around);
    changed |= args[n] != expr->args[n];
  }
  if (!changed) return expr;
  const Expr *result = expr->op == OP_SELECT ? expr_select(arena, args[0], args[1], args[2]) : expr_make(arena, expr->op, expr->arg_count, args);
  return expr_with_source(arena, result, expr->source);
}

/* `condition` holds where the expression is looked at; NULL: always. */
static const Expr *rewrite(Picking *picking, const Expr *expr, const Expr *condition) {
  if (!expr || !expr->arg_count) return expr;
  for (int n = 0; n < picking->count; n++)
    if (picking->entries[n].expr == expr && picking->entries[n].condition == condition) return picking->entries[n].result;
  Entry entry = {expr, condition, rewrite_node(picking, expr, condition)};
  ARENA_PUSH(picking->program->arena, picking->entries, picking->count, entry);
  return entry.result;
}

typedef struct Search {
  const Picking *picking;
  bool found;
} Search;

static void find_pick(void *context, const Expr *expr) {
  Search *search = context;
  if (expr->op != OP_READ || search->found) return;
  IndexId indices[MOST_AXES];
  int count;
  search->found = is_pick(search->picking, expr, indices, &count);
}

bool pass_pick(Program *program, PassContext *context) {
  (void)context;
  bool changed = false;
  for (int n = 0, count = program->equation_count; n < count; n++) {
    Equation equation = program->equations[n];
    Picking picking = {.program = program, .equation = &equation};
    bool is_one = equation.reduce == REDUCE_NONE && equation.value && equation.value->op == OP_READ; /* a tensor of its own already */
    Search search = {&picking, false};
    if (!is_one) equation_visit(&equation, find_pick, &search);
    if (!search.found) continue;
    const Expr *value = rewrite(&picking, equation.value, NULL), *body = rewrite(&picking, equation.body, equation.guard);
    if (!picking.changed) continue;
    program->equations[n].value = value;
    program->equations[n].body = body;
    changed = true;
  }
  return changed;
}
