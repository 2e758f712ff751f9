/* plan_memory.c - lifetimes of workspace buffers, and which of them share memory.
 *
 * Time is counted in barriers, as threads are in step only there: a buffer lives from the span between barriers in which it is
 * first touched to that of the last. A barrier on one way of a choice only parts nothing on the other, where the span goes on. A buffer
 * that is touched inside a sequential loop lives through the whole of the outermost one; but in a turn of a slab (lower_slab.c), which ends
 * with a barrier, all is computed anew, so what is touched in there only lives for a part of the turn. Buffers whose lives don't meet share a
 * slot if their sizes depend on the same run-time lengths, so that the
 * slot is about as large as each of them.
 */
#include "passes/lower.h"

typedef struct Life {
  int first, last; /* NONE: never touched */
} Life;

typedef struct Planning {
  Kernel *kernel;
  Life *lives;
  int now;
  int loop_begin; /* of the outermost sequential loop around, or NONE */
  bool *in_loop;  /* touched inside of it */
  bool *is_recent; /* touched since the last barrier, on some way */
  const Lowering *lowering;
  Life *turns;    /* in the turn of a slab */
  int turn_begin; /* of the outermost sequential loop inside of the turn; NONE: there is none around */
  bool is_in_turn;
  bool *is_outside; /* touched outside of the slab, or of its turns */
} Planning;

static void touch(Planning *planning, BufferId buffer) {
  Life *life = &planning->lives[buffer], *turn = &planning->turns[buffer];
  int first = planning->loop_begin == NONE ? planning->now : planning->loop_begin;
  int turn_first = planning->turn_begin == NONE ? planning->now : planning->turn_begin;
  planning->is_outside[buffer] |= !planning->is_in_turn;
  if (turn->first == NONE || turn_first < turn->first) turn->first = turn_first;
  if (planning->now > turn->last) turn->last = planning->now;
  if (life->first == NONE || first < life->first) life->first = first;
  if (planning->now > life->last) life->last = planning->now;
  if (planning->loop_begin != NONE) planning->in_loop[buffer] = true;
  planning->is_recent[buffer] = true;
}

static void end_span(Planning *planning) {
  for (int n = 0; n < planning->kernel->buffer_count; n++) {
    if (planning->is_recent[n] && planning->now > planning->lives[n].last) planning->lives[n].last = planning->now;
    if (planning->is_recent[n] && planning->now > planning->turns[n].last) planning->turns[n].last = planning->now;
  }
  memset(planning->is_recent, 0, sizeof *planning->is_recent * (size_t)planning->kernel->buffer_count);
  planning->now++;
}

static void touch_load(void *context, const Expr *expr) {
  if (expr->op == OP_LOAD) touch(context, expr->id);
}

static void touch_all(Planning *planning, const Statement *statement) {
  const Expr *parts[] = {statement->low, statement->high, statement->condition, statement->value, statement->guard, statement->reduce_body};
  for (size_t n = 0; n < sizeof parts / sizeof *parts; n++)
    if (parts[n]) expr_visit(parts[n], touch_load, planning);
  for (int n = 0; n < statement->rank; n++) expr_visit(statement->indices[n], touch_load, planning);
  if (statement->kind == STATEMENT_STORE || statement->kind == STATEMENT_TILE) touch(planning, statement->buffer);
  if (statement->kind == STATEMENT_TILE) {
    touch(planning, statement->a_buffer);
    touch(planning, statement->b_buffer);
    if (statement->row_scale_buffer != NONE) touch(planning, statement->row_scale_buffer);
  }
}

static void walk(Planning *planning, const Statement *statement, bool is_in_parallel);

/* What is recent on one of two ways is recent after them. A loop may have no turn. */
static void walk_ways(Planning *planning, const Statement *body, const Statement *otherwise, bool is_in_parallel) {
  int count = planning->kernel->buffer_count;
  bool *after, *before = arena_copy(planning->kernel->arena, planning->is_recent, sizeof *before * (size_t)count);
  walk(planning, body, is_in_parallel);
  after = planning->is_recent;
  planning->is_recent = before;
  walk(planning, otherwise, is_in_parallel);
  for (int n = 0; n < count; n++) planning->is_recent[n] |= after[n];
}

static bool is_turn(const Planning *planning, const Statement *loop) {
  for (int n = 0; n < planning->lowering->slab_count; n++)
    if (planning->lowering->slabs[n].turn == loop) return true;
  return false;
}

/* What is touched in a loop lives through all of it. */
static void end_loop_of_turn(Planning *planning) {
  for (int n = 0; n < planning->kernel->buffer_count; n++)
    if (planning->turns[n].last >= planning->turn_begin) planning->turns[n].last = planning->now;
  planning->turn_begin = NONE;
}

static void walk(Planning *planning, const Statement *statement, bool is_in_parallel) {
  for (; statement; statement = statement->next) {
    if (statement->kind == STATEMENT_BARRIER) {
      end_span(planning);
      continue;
    }
    bool is_sequential = statement->kind == STATEMENT_LOOP && statement->loop_kind == LOOP_SEQUENTIAL && !is_in_parallel;
    bool is_slab = is_sequential && is_turn(planning, statement);
    bool is_of_turn = is_sequential && planning->is_in_turn && planning->turn_begin == NONE;
    bool is_outermost = is_sequential && planning->loop_begin == NONE;
    if (is_outermost) {
      planning->loop_begin = planning->now;
      memset(planning->in_loop, 0, sizeof *planning->in_loop * (size_t)planning->kernel->buffer_count);
    }
    if (is_of_turn) planning->turn_begin = planning->now;
    touch_all(planning, statement);
    planning->is_in_turn |= is_slab;
    bool is_parallel = is_in_parallel || (statement->kind == STATEMENT_LOOP && statement->loop_kind == LOOP_PARALLEL);
    walk_ways(planning, statement->body, statement->otherwise, is_parallel);
    if (is_slab) planning->is_in_turn = false;
    if (is_of_turn) end_loop_of_turn(planning);
    if (!is_outermost) continue;
    for (int n = 0; n < planning->kernel->buffer_count; n++)
      if (planning->in_loop[n]) planning->lives[n].last = planning->now;
    planning->loop_begin = NONE;
  }
}

/* ---- slots --------------------------------------------------------------------------------------------------------- */

static int factors_of(const Kernel *kernel, SymbolId size, SymbolId symbol);

static int factors_in(const Kernel *kernel, const Expr *formula, SymbolId symbol) {
  if (formula->op == OP_MUL) return factors_in(kernel, formula->args[0], symbol) + factors_in(kernel, formula->args[1], symbol);
  return formula->op == OP_SYMBOL ? factors_of(kernel, formula->id, symbol) : 0;
}

/* How often the symbol is a factor of a size; what is computed as a product grows as its factors. */
static int factors_of(const Kernel *kernel, SymbolId size, SymbolId symbol) {
  if (size == NONE) return 0;
  const Symbol *own = &kernel->symbols[size];
  return own->kind == SYMBOL_DERIVED && own->formula->op == OP_MUL ? factors_in(kernel, own->formula, symbol) : size == symbol;
}

static int growth(const Kernel *kernel, const Buffer *buffer, SymbolId symbol) {
  int count = 0;
  for (int n = 0; n < buffer->rank; n++)
    if (!buffer->is_folded[n]) count += factors_of(kernel, buffer->shape[n].symbol, symbol);
  return count;
}

/* The run-time part of the size: symbols by their number of occurrences; constants are left out. */
static bool same_growth(const Kernel *kernel, const Buffer *a, const Buffer *b) {
  for (int s = 0; s < kernel->symbol_count; s++)
    if (growth(kernel, a, s) != growth(kernel, b, s)) return false;
  return a->type == b->type && a->is_private == b->is_private;
}

static double constant_part(const Buffer *buffer) {
  double product = 1;
  for (int n = 0; n < buffer->rank; n++)
    if (!buffer->is_folded[n] && buffer->shape[n].symbol == NONE) product *= (double)buffer->shape[n].constant;
  return product;
}

typedef struct Slot {
  BufferId sample; /* decides how the slot grows */
  int last;
  double size;
} Slot;

static int by_first(const Life *lives, BufferId a, BufferId b) { return lives[a].first != lives[b].first ? lives[a].first - lives[b].first : a - b; }

/* The free slot of the nearest size, or a new one. */
static void assign(Planning *planning, Slot **slots, BufferId id) {
  Kernel *kernel = planning->kernel;
  Buffer *buffer = &kernel->buffers[id];
  double size = constant_part(buffer), best_distance = 0;
  int best = NONE;
  for (int n = 0; n < kernel->workspace_slots; n++) {
    const Slot *slot = &(*slots)[n];
    if (slot->last >= planning->lives[id].first || !same_growth(kernel, buffer, &kernel->buffers[slot->sample])) continue;
    double distance = size > slot->size ? size - slot->size : slot->size - size;
    if (best != NONE && distance >= best_distance) continue;
    best = n;
    best_distance = distance;
  }
  if (best == NONE) {
    best = kernel->workspace_slots;
    Slot slot = {id, 0, size};
    ARENA_PUSH(kernel->arena, *slots, kernel->workspace_slots, slot);
  }
  buffer->slot = best;
  (*slots)[best].last = planning->lives[id].last;
  if (size > (*slots)[best].size) (*slots)[best].size = size;
}

void plan_memory(const Lowering *lowering) {
  Kernel *kernel = lowering->kernel;
  Planning planning = {.kernel = kernel, .lowering = lowering, .loop_begin = NONE, .turn_begin = NONE};
  planning.lives = ARENA_ARRAY(kernel->arena, Life, kernel->buffer_count);
  planning.turns = ARENA_ARRAY(kernel->arena, Life, kernel->buffer_count);
  planning.in_loop = ARENA_ARRAY(kernel->arena, bool, kernel->buffer_count);
  planning.is_outside = ARENA_ARRAY(kernel->arena, bool, kernel->buffer_count);
  planning.is_recent = ARENA_ARRAY(kernel->arena, bool, kernel->buffer_count);
  for (int n = 0; n < kernel->buffer_count; n++) planning.lives[n] = planning.turns[n] = (Life){NONE, NONE};
  walk(&planning, kernel->body, false);
  end_span(&planning);
  for (int n = 0; n < kernel->buffer_count; n++)
    if (!planning.is_outside[n]) planning.lives[n] = planning.turns[n];
  BufferId *order = ARENA_ARRAY(kernel->arena, BufferId, kernel->buffer_count);
  int count = 0;
  for (int n = 0; n < kernel->buffer_count; n++) {
    if (kernel->buffers[n].home != HOME_WORKSPACE) continue;
    if (planning.lives[n].first == NONE) { /* used by nobody in the end: it still needs a slot, but no memory */
      planning.lives[n] = (Life){0, 0};
      for (int axis = 0; axis < kernel->buffers[n].rank; axis++) kernel->buffers[n].is_folded[axis] = true;
    }
    int at = count++;
    while (at > 0 && by_first(planning.lives, n, order[at - 1]) < 0) {
      order[at] = order[at - 1];
      at--;
    }
    order[at] = n;
  }
  Slot *slots = NULL;
  for (int n = 0; n < count; n++) assign(&planning, &slots, order[n]);
}

/* ---- stores that nothing loads ------------------------------------------------------------------------------------- */

static void mark_loaded(void *context, const Expr *expr) {
  bool *is_loaded = context;
  if (expr->op == OP_LOAD) is_loaded[expr->id] = true;
}

static void mark_statements(const Statement *statement, bool *is_loaded) {
  for (; statement; statement = statement->next) {
    const Expr *parts[] = {statement->low, statement->high, statement->condition, statement->value, statement->guard, statement->reduce_body};
    for (size_t n = 0; n < sizeof parts / sizeof *parts; n++)
      if (parts[n]) expr_visit(parts[n], mark_loaded, is_loaded);
    for (int n = 0; n < statement->rank; n++) expr_visit(statement->indices[n], mark_loaded, is_loaded);
    if (statement->kind == STATEMENT_TILE) is_loaded[statement->a_buffer] = is_loaded[statement->b_buffer] = true;
    if (statement->row_scale_buffer != NONE) is_loaded[statement->row_scale_buffer] = true;
    mark_statements(statement->body, is_loaded);
    mark_statements(statement->otherwise, is_loaded);
  }
}

static Statement *without_stores(Kernel *kernel, Statement *statement, const bool *is_loaded) {
  Statement *first = NULL, **tail = &first;
  for (Statement *next; statement; statement = next) {
    next = statement->next;
    bool is_dead = statement->kind == STATEMENT_STORE && kernel->buffers[statement->buffer].home == HOME_WORKSPACE && !is_loaded[statement->buffer];
    if (is_dead) continue;
    statement->body = without_stores(kernel, statement->body, is_loaded);
    statement->otherwise = without_stores(kernel, statement->otherwise, is_loaded);
    *tail = statement;
    tail = &statement->next;
  }
  *tail = NULL;
  return first;
}

void remove_dead_stores(Kernel *kernel) {
  bool *is_loaded = ARENA_ARRAY(kernel->arena, bool, kernel->buffer_count);
  mark_statements(kernel->body, is_loaded);
  kernel->body = without_stores(kernel, kernel->body, is_loaded);
}

/* ---- stores past the caches ---------------------------------------------------------------------------------------- */

enum { FEWEST_ELEMENTS = 1 << 20 }; /* a buffer of fewer fits in caches */

static bool may_be_large(const Buffer *buffer) {
  int64_t elements = 1;
  for (int n = 0; n < buffer->rank; n++)
    if (buffer->shape[n].symbol != NONE || __builtin_mul_overflow(elements, buffer->shape[n].constant, &elements)) return true;
  return elements >= FEWEST_ELEMENTS;
}

/* One element after the other in memory, as the index grows. */
static bool is_contiguous(const Buffer *buffer, const Statement *store, IndexId index) {
  int last = buffer->rank ? buffer->order[buffer->rank - 1] : NONE;
  for (int n = 0; n < buffer->rank; n++) {
    Affine affine;
    if (!expr_uses_index(store->indices[n], index)) continue;
    if (n != last || buffer->is_folded[n] || !expr_affine(store->indices[n], &affine) || affine_coefficient(&affine, false, index) != 1) return false;
  }
  return last != NONE && expr_uses_index(store->indices[last], index);
}

static bool is_straight(const Statement *statement) {
  for (; statement; statement = statement->next)
    if (statement->kind != STATEMENT_LET && statement->kind != STATEMENT_STORE) return false;
  return true;
}

static bool is_large_result(const Buffer *buffer) {
  bool is_result = buffer->home == HOME_OUTPUT || buffer->home == HOME_INPUT_GRADIENT || buffer->home == HOME_PARAMETER_GRADIENT;
  return is_result && buffer->type == TYPE_REAL && may_be_large(buffer);
}

static void mark_loop(const Kernel *kernel, const Statement *loop, const bool *is_loaded) {
  if (!is_straight(loop->body)) return;
  for (Statement *store = loop->body; store; store = store->next) {
    if (store->kind != STATEMENT_STORE) continue;
    const Buffer *buffer = &kernel->buffers[store->buffer];
    store->is_nontemporal = !is_loaded[store->buffer] && is_large_result(buffer) && is_contiguous(buffer, store, loop->index);
  }
}

static void mark_loops(const Kernel *kernel, Statement *statement, const bool *is_loaded) {
  for (; statement; statement = statement->next) {
    mark_loops(kernel, statement->body, is_loaded);
    mark_loops(kernel, statement->otherwise, is_loaded);
    if (statement->kind == STATEMENT_LOOP && statement->loop_kind == LOOP_VECTOR) mark_loop(kernel, statement, is_loaded);
  }
}

void mark_nontemporal_stores(Kernel *kernel) {
  bool *is_loaded = ARENA_ARRAY(kernel->arena, bool, kernel->buffer_count);
  mark_statements(kernel->body, is_loaded);
  mark_loops(kernel, kernel->body, is_loaded);
}
