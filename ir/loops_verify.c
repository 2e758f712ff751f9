/* loops_verify.c - what a legal kernel is.
 *
 * One walk in execution order that knows which indices and locals are in scope, which loops are around, and which locals
 * differ from lane to lane. Not checked here: that iterations of a parallel loop are independent, and bounds.
 */
#include "ir/expr_verify.h"
#include "ir/program_text.h"

typedef enum { LOCAL_UNSET, LOCAL_VISIBLE, LOCAL_HIDDEN } LocalState; /* hidden: its block has ended */

typedef struct Verifier {
  const Kernel *kernel;
  Names names;
  ExprRules rules;
  bool *index_is_bound;
  LocalState *locals;
  bool *local_varies; /* by lane of a vector loop */
  LocalId *visible;   /* in the order of definition */
  int visible_count;
  IndexId vector_index; /* of the vector loop around, or NONE */
  int loop_depth;
  bool is_parallel; /* in a parallel loop */
  const Statement *statement;
  const char *message;
} Verifier;

__attribute__((format(printf, 2, 3))) static void fail(Verifier *verifier, const char *format, ...) {
  if (verifier->message) return;
  va_list arguments;
  va_start(arguments, format);
  verifier->message = arena_format_list(verifier->kernel->arena, format, arguments);
  va_end(arguments);
}

static bool leaf_is_bound(const void *context, const Expr *leaf) {
  const Verifier *verifier = context;
  return leaf->op == OP_INDEX ? verifier->index_is_bound[leaf->id] : verifier->locals[leaf->id] == LOCAL_VISIBLE;
}

static void check_expr(Verifier *verifier, const Expr *expr, Type type, const char *what) {
  const char *message = verifier->message ? NULL : expr_verify(&verifier->rules, expr, type, what);
  if (message) fail(verifier, "%s", message);
}

typedef struct Variance {
  const Verifier *verifier;
  bool varies;
} Variance;

static void visit_variance(void *context, const Expr *expr) {
  Variance *variance = context;
  if (expr->op == OP_INDEX) variance->varies |= expr->id == variance->verifier->vector_index;
  if (expr->op == OP_LOCAL) variance->varies |= variance->verifier->local_varies[expr->id];
}

/* Only of checked expressions. */
static bool expr_varies(const Verifier *verifier, const Expr *expr) {
  Variance variance = {verifier, false};
  if (expr && !verifier->message && verifier->vector_index != NONE) expr_visit(expr, visit_variance, &variance);
  return variance.varies;
}

static bool bind_index(Verifier *verifier, IndexId index) {
  if (index < 0 || index >= verifier->kernel->index_count) fail(verifier, "index %d is not there", index);
  else if (verifier->index_is_bound[index])
    fail(verifier, "index '%s' (number %d) is bound already", verifier->kernel->indices[index].name, index);
  if (verifier->message) return false;
  return verifier->index_is_bound[index] = true;
}

static void define_local(Verifier *verifier, LocalId local, bool varies) {
  if (verifier->message) return;
  verifier->locals[local] = LOCAL_VISIBLE;
  verifier->local_varies[local] = varies;
  verifier->visible[verifier->visible_count++] = local;
}

static void check_local(Verifier *verifier, LocalId local) {
  if (local < 0 || local >= verifier->kernel->local_count) fail(verifier, "local %d is not there", local);
  else if (verifier->locals[local] != LOCAL_UNSET)
    fail(verifier, "local '%s' (number %d) is assigned twice", verifier->kernel->locals[local].name, local);
}

static void check_block(Verifier *verifier, const Statement *first);

static void check_loop(Verifier *verifier, const Statement *loop) {
  check_expr(verifier, loop->low, TYPE_INT, "the lower bound");
  check_expr(verifier, loop->high, TYPE_INT, "the upper bound");
  if (expr_varies(verifier, loop->low) || expr_varies(verifier, loop->high))
    fail(verifier, "the bounds differ from lane to lane");
  if (loop->loop_kind != LOOP_SEQUENTIAL && loop->is_reversed) fail(verifier, "only a 'for' has an order to be reversed");
  if (loop->loop_kind != LOOP_SEQUENTIAL && verifier->vector_index != NONE)
    fail(verifier, "a %s loop in a vector loop", loop_names[loop->loop_kind]);
  if (loop->loop_kind == LOOP_PARALLEL && verifier->is_parallel) fail(verifier, "a parallel loop in a parallel loop");
  if (loop->loop_kind == LOOP_VECTOR && verifier->loop_depth == 0) fail(verifier, "a vector loop outside of loops");
  if (loop->ahead_index != NONE && (loop->loop_kind != LOOP_VECTOR || !verifier->index_is_bound[loop->ahead_index]))
    fail(verifier, "a loop looks ahead along an index that no loop around has, or is no vector loop");
  if (!bind_index(verifier, loop->index)) return;
  bool was_parallel = verifier->is_parallel;
  IndexId was_vector = verifier->vector_index;
  if (loop->loop_kind == LOOP_PARALLEL) verifier->is_parallel = true;
  if (loop->loop_kind == LOOP_VECTOR) verifier->vector_index = loop->index;
  verifier->loop_depth++;
  check_block(verifier, loop->body);
  verifier->loop_depth--;
  verifier->is_parallel = was_parallel;
  verifier->vector_index = was_vector;
  verifier->index_is_bound[loop->index] = false;
}

static void check_if(Verifier *verifier, const Statement *branch) {
  check_expr(verifier, branch->condition, TYPE_BOOL, "the condition");
  if (expr_varies(verifier, branch->condition)) fail(verifier, "the condition differs from lane to lane");
  /* one of the two runs, so both may assign a local */
  int count = verifier->kernel->local_count;
  void *before = arena_copy(verifier->kernel->arena, verifier->locals, sizeof *verifier->locals * (size_t)count);
  check_block(verifier, branch->body);
  memcpy(verifier->locals, before, sizeof *verifier->locals * (size_t)count);
  check_block(verifier, branch->otherwise);
}

static void check_let(Verifier *verifier, const Statement *let) {
  check_local(verifier, let->local);
  if (!verifier->message) check_expr(verifier, let->value, verifier->kernel->locals[let->local].type, "the value");
  define_local(verifier, let->local, expr_varies(verifier, let->value));
}

/* Of the innermost index of a reduction: in terms of those around it. */
static void check_bound(Verifier *verifier, const Expr *bound, const char *what) {
  check_expr(verifier, bound, TYPE_INT, what);
  if (!verifier->message && expr_varies(verifier, bound)) fail(verifier, "%s differs from lane to lane", what);
}

static void check_reduce(Verifier *verifier, const Statement *reduce) {
  check_local(verifier, reduce->local);
  if (verifier->message) return;
  Type type = verifier->kernel->locals[reduce->local].type;
  const char *message = reduce->reduce == REDUCE_NONE ? "a reduction without an operation"
                                                      : reduction_verify(reduce->reduce, reduce->reduce_count, reduce->value,
                                                                         reduce->guard, reduce->reduce_body, type);
  if (message) fail(verifier, "%s", message);
  if (!reduce->low != !reduce->high || (reduce->low && !reduce->reduce_count)) fail(verifier, "a reduction with half a range");
  if (reduce->is_vector && verifier->vector_index != NONE) fail(verifier, "a vector reduction in a vector loop");
  if (verifier->message) return;
  if (reduce->value) check_expr(verifier, reduce->value, type, "the value");
  int bound = 0;
  while (bound < reduce->reduce_count && bind_index(verifier, reduce->reduce_indices[bound])) {
    if (++bound < reduce->reduce_count - 1 || !reduce->low) continue;
    check_bound(verifier, reduce->low, "the first value");
    check_bound(verifier, reduce->high, "the limit");
  }
  if (reduce->guard) check_expr(verifier, reduce->guard, TYPE_BOOL, "the guard");
  check_expr(verifier, reduce->reduce_body, reduce->reduce == REDUCE_ARGMAX ? reduce->reduce_body->type : type, "the reduction");
  bool varies = expr_varies(verifier, reduce->value) || expr_varies(verifier, reduce->guard) ||
                expr_varies(verifier, reduce->reduce_body);
  while (bound > 0) verifier->index_is_bound[reduce->reduce_indices[--bound]] = false;
  define_local(verifier, reduce->local, varies);
}

static bool home_is_written(BufferHome home) {
  switch (home) {
  case HOME_PARAMETER:
  case HOME_INPUT:
  case HOME_STATE:
  case HOME_COTANGENT:
  case HOME_CARRY_IN: return false;
  default: return true;
  }
}

/* A buffer and the indices at which a statement touches it. */
static void check_place(Verifier *verifier, BufferId id, int rank, const Expr *const *indices, bool is_store) {
  if (verifier->message) return;
  if (id < 0 || id >= verifier->kernel->buffer_count) {
    fail(verifier, "buffer %d is not there", id);
    return;
  }
  const Buffer *buffer = &verifier->kernel->buffers[id];
  if (rank != buffer->rank) fail(verifier, "'%s' has %d axes, found %d indices", buffer->name, buffer->rank, rank);
  if (is_store && !home_is_written(buffer->home))
    fail(verifier, "'%s' is only read (%s)", buffer->name, home_names[buffer->home]);
  for (int axis = 0; axis < rank; axis++) check_expr(verifier, indices[axis], TYPE_INT, "an index");
}

static void check_store(Verifier *verifier, const Statement *store) {
  if (!verifier->is_parallel) fail(verifier, "a store outside of a parallel loop, where every thread would do it");
  check_place(verifier, store->buffer, store->rank, store->indices, true);
  if (!verifier->message) check_expr(verifier, store->value, verifier->kernel->buffers[store->buffer].type, "the value");
}

static void check_operand(Verifier *verifier, BufferId id, int rank, const Expr *const *indices, bool is_packed) {
  check_place(verifier, id, rank, indices, false);
  if (verifier->message) return;
  const Buffer *buffer = &verifier->kernel->buffers[id];
  if (buffer->type != TYPE_REAL) fail(verifier, "'%s' is %s, a tile is real", buffer->name, type_names[buffer->type]);
  if (!is_packed) return;
  if (rank < 2) fail(verifier, "'%s' has %d axes, a factor of a tile has at least 2", buffer->name, rank);
}

static bool has_format(const Verifier *verifier, BufferId id, PackedFormat format) {
  return id != NONE && id >= 0 && id < verifier->kernel->buffer_count && verifier->kernel->buffers[id].format == format;
}

/* Panels in int8 have scales, and no others do; rows in int16 likewise. */
static void check_scales(Verifier *verifier, const Statement *tile) {
  if (verifier->message) return;
  bool is_int8 = has_format(verifier, tile->b_buffer, PACKED_INT8), is_int16 = has_format(verifier, tile->a_buffer, PACKED_INT16);
  bool has_scaled = is_int8 || has_format(verifier, tile->packed_buffer, PACKED_INT8);
  if (has_scaled != (tile->scale_buffer != NONE)) fail(verifier, has_scaled ? "panels in int8 without scales" : "scales without panels in int8");
  if (is_int8 != is_int16) fail(verifier, is_int8 ? "panels in int8 for rows that are not in int16" : "rows in int16 for panels that are not in int8");
  if (is_int16 != (tile->row_scale_buffer != NONE)) fail(verifier, is_int16 ? "rows in int16 without scales" : "scales without rows in int16");
  if (has_scaled) check_operand(verifier, tile->scale_buffer, tile->scale_rank, tile->scale_indices, true);
}

static void check_tile(Verifier *verifier, const Statement *tile) {
  if (!verifier->is_parallel) fail(verifier, "a tile outside of a parallel loop, where every thread would store it");
  if (verifier->vector_index != NONE) fail(verifier, "a tile in a vector loop");
  if (tile->tile_rows < 1 || tile->tile_vectors < 1)
    fail(verifier, "a tile of %d rows by %d vectors", tile->tile_rows, tile->tile_vectors);
  check_expr(verifier, tile->row0, TYPE_INT, "the first row");
  check_expr(verifier, tile->row_limit, TYPE_INT, "the limit of the rows");
  check_expr(verifier, tile->column0, TYPE_INT, "the first column");
  check_expr(verifier, tile->column_limit, TYPE_INT, "the limit of the columns");
  check_expr(verifier, tile->depth, TYPE_INT, "the depth");
  check_operand(verifier, tile->b_buffer, tile->b_rank, tile->b_indices, true);
  if (!verifier->message && tile->b_rank >= 2 && !expr_is_integer(tile->b_indices[tile->b_rank - 1], 0))
    fail(verifier, "the last index of '%s' is not 0", verifier->kernel->buffers[tile->b_buffer].name);
  if (tile->packed_buffer != NONE) check_operand(verifier, tile->packed_buffer, tile->packed_rank, tile->packed_indices, true);
  check_scales(verifier, tile);
  if (!tile->has_rows_in_place) {
    check_operand(verifier, tile->a_buffer, tile->a_rank, tile->a_indices, true);
    if (tile->a_depth_axis < 0 || tile->a_depth_axis >= tile->a_rank) fail(verifier, "the depth of a tile along axis %d of %d", tile->a_depth_axis, tile->a_rank);
  }
  if (!bind_index(verifier, tile->row_index)) return;
  if (tile->has_rows_in_place) check_operand(verifier, tile->a_buffer, tile->a_rank, tile->a_indices, false);
  if (tile->row_scale_buffer != NONE) check_operand(verifier, tile->row_scale_buffer, tile->row_scale_rank, tile->row_scale_indices, true);
  if (!bind_index(verifier, tile->column_index)) return;
  check_place(verifier, tile->buffer, tile->rank, tile->indices, true);
  if (!verifier->message && verifier->kernel->buffers[tile->buffer].type != TYPE_REAL)
    fail(verifier, "a tile is stored to a buffer that is not real");
  if (tile->value) check_expr(verifier, tile->value, TYPE_REAL, "the value");
  verifier->index_is_bound[tile->row_index] = verifier->index_is_bound[tile->column_index] = false;
}

static void check_statement(Verifier *verifier, const Statement *statement) {
  verifier->statement = statement;
  switch (statement->kind) {
  case STATEMENT_LOOP: check_loop(verifier, statement); break;
  case STATEMENT_IF: check_if(verifier, statement); break;
  case STATEMENT_LET: check_let(verifier, statement); break;
  case STATEMENT_STORE: check_store(verifier, statement); break;
  case STATEMENT_REDUCE: check_reduce(verifier, statement); break;
  case STATEMENT_TILE: check_tile(verifier, statement); break;
  case STATEMENT_PREFETCH:
    if (!statement->value || statement->value->op != OP_LOAD) fail(verifier, "what is prefetched is no load");
    else check_expr(verifier, statement->value, statement->value->type, "what is prefetched");
    break;
  case STATEMENT_BARRIER:
    if (verifier->is_parallel || verifier->vector_index != NONE) fail(verifier, "a barrier in a parallel or vector loop");
    break;
  }
}

static void check_block(Verifier *verifier, const Statement *first) {
  int before = verifier->visible_count;
  for (const Statement *statement = first; statement && !verifier->message; statement = statement->next)
    check_statement(verifier, statement);
  while (verifier->visible_count > before) verifier->locals[verifier->visible[--verifier->visible_count]] = LOCAL_HIDDEN;
}

static const char *check_order(const Kernel *kernel, const Buffer *buffer) {
  bool *seen = ARENA_ARRAY(kernel->arena, bool, buffer->rank);
  for (int axis = 0; axis < buffer->rank; axis++) {
    int place = buffer->order[axis];
    if (place < 0 || place >= buffer->rank || seen[place]) return "has an order that is no permutation of its axes";
    seen[place] = true;
  }
  return NULL;
}

/* What is used in its place is laid out as it is. */
static const char *check_packed(const Kernel *kernel, const Buffer *buffer) {
  BufferId id = kernel_packed_buffer(kernel, buffer->packed_slot);
  if (id == NONE || buffer->home != HOME_WORKSPACE || buffer->is_private) return "names a packed buffer that is not there, or is not of the workspace";
  const Buffer *packed = &kernel->buffers[id];
  bool is_same = packed->type == buffer->type && packed->rank == buffer->rank && packed->format == PACKED_F32;
  for (int n = 0; is_same && n < buffer->rank; n++)
    is_same = size_equal(packed->shape[n], buffer->shape[n]) && packed->order[n] == buffer->order[n] && !packed->is_folded[n] && !buffer->is_folded[n];
  return is_same ? NULL : "is laid out in another way than the packed buffer in its place";
}

static const char *check_buffer(const Kernel *kernel, const Buffer *buffer) {
  for (const Buffer *other = kernel->buffers; other < buffer; other++)
    if (!strcmp(other->name, buffer->name)) return "has the name of another buffer";
  for (int axis = 0; axis < buffer->rank; axis++)
    if (!size_is_valid((Names){NULL, kernel}, buffer->shape[axis]) || size_is(buffer->shape[axis], 0))
      return "has an axis without a valid size";
  if (buffer->home < 0 || buffer->home >= HOME_COUNT) return "lives nowhere";
  if (buffer->slot < 0 || (buffer->home == HOME_WORKSPACE && buffer->slot >= kernel->workspace_slots))
    return "has a slot that is not there";
  bool may_have_turns = buffer->home == HOME_PARAMETER || buffer->home == HOME_PARAMETER_GRADIENT;
  if (buffer->has_turns && (!may_have_turns || buffer->rank < 1)) return "has turns but is no parameter with an axis for them";
  if (buffer->is_private && buffer->home != HOME_WORKSPACE) return "is private to a thread but not of the workspace";
  bool may_have_format = buffer->home == HOME_PACKED || (buffer->home == HOME_WORKSPACE && buffer->format == PACKED_INT16);
  if (buffer->format != PACKED_F32 && (!may_have_format || buffer->type != TYPE_REAL)) return "has a format for numbers that are real and packed";
  for (const Buffer *other = kernel->buffers; other < buffer; other++) {
    bool is_shared = buffer->home == HOME_WORKSPACE && other->home == HOME_WORKSPACE && other->slot == buffer->slot;
    if (is_shared && other->is_private != buffer->is_private) return "shares its slot with one that is private";
  }
  const char *violation = buffer->packed_slot == NONE ? NULL : check_packed(kernel, buffer);
  return violation ? violation : check_order(kernel, buffer);
}

/* A formula is made of integers and symbols before its own. */
static void visit_formula(void *context, const Expr *expr) {
  int *limit = context;
  bool is_legal = expr->type == TYPE_INT && expr->op != OP_INDEX && expr->op != OP_LOAD && expr->op != OP_LOCAL &&
                  expr->op != OP_READ;
  if (!is_legal || (expr->op == OP_SYMBOL && (expr->id < 0 || expr->id >= *limit))) *limit = NONE;
}

static const char *check_symbols(const Kernel *kernel) {
  for (int n = 0; n < kernel->symbol_count; n++) {
    const Symbol *symbol = &kernel->symbols[n];
    if ((symbol->kind == SYMBOL_DERIVED) != (symbol->formula != NULL))
      return arena_format(kernel->arena, "'%s' is derived without a formula or has one without being derived", symbol->name);
    int limit = n;
    if (symbol->formula) expr_visit(symbol->formula, visit_formula, &limit);
    if (limit == NONE)
      return arena_format(kernel->arena, "'%s' is derived from more than integers and symbols before it", symbol->name);
    for (int m = 0; m < n; m++)
      if (!strcmp(kernel->symbols[m].name, symbol->name))
        return arena_format(kernel->arena, "two symbols are named '%s'", symbol->name);
  }
  return NULL;
}

static const char *check_tables(const Kernel *kernel) {
  const char *wrong = check_symbols(kernel);
  if (wrong) return wrong;
  for (int n = 0; n < kernel->index_count; n++) {
    const Index *index = &kernel->indices[n];
    bool is_low_valid = index->low.symbol == NONE || size_is_valid((Names){NULL, kernel}, index->low);
    if (!is_low_valid || !size_is_valid((Names){NULL, kernel}, index->high))
      return arena_format(kernel->arena, "index %d '%s' has no valid range", n, index->name);
  }
  for (int n = 0; n < kernel->buffer_count; n++) {
    const char *message = kernel->buffers[n].name ? check_buffer(kernel, &kernel->buffers[n]) : "has no name";
    if (message)
      return arena_format(kernel->arena, "buffer %d '%s' %s", n, kernel->buffers[n].name ? kernel->buffers[n].name : "", message);
  }
  for (int n = 0; n < kernel->local_count; n++)
    if (!kernel->locals[n].name) return arena_format(kernel->arena, "local %d has no name", n);
  return NULL;
}

const char *loops_verify(const Kernel *kernel) {
  const char *message = check_tables(kernel);
  if (message) return message;
  Verifier verifier = {.kernel = kernel, .names = {NULL, kernel}, .vector_index = NONE};
  verifier.index_is_bound = ARENA_ARRAY(kernel->arena, bool, kernel->index_count);
  verifier.locals = ARENA_ARRAY(kernel->arena, LocalState, kernel->local_count);
  verifier.local_varies = ARENA_ARRAY(kernel->arena, bool, kernel->local_count);
  verifier.visible = ARENA_ARRAY(kernel->arena, LocalId, kernel->local_count);
  verifier.rules = (ExprRules){.arena = kernel->arena, .names = verifier.names, .is_bound = leaf_is_bound, .context = &verifier};
  check_block(&verifier, kernel->body);
  if (!verifier.message) return NULL;
  Text text = {.arena = kernel->arena};
  text_format(&text, "%s, in the statement\n", verifier.message);
  statement_print(&text, kernel, verifier.statement);
  return text_string(&text);
}
