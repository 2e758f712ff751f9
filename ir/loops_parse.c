/* loops_parse.c - a kernel from text; the grammar is in docs/ir.md.
 *
 * A declaration stands before its uses. What is well formed but no legal kernel is left to loops_verify.
 */
#include "ir/program_text.h"

enum { MOST_NESTED = 500 };

typedef struct KernelParser {
  ExprParser exprs;
  Reader reader;
  Kernel *kernel;
  int depth;
} KernelParser;

static Statement *parse_block(KernelParser *parser);

static int *parse_axes(KernelParser *parser, int rank, int *out_count) {
  Reader *reader = &parser->reader;
  int *axes = NULL;
  *out_count = 0;
  reader_expect(reader, "[");
  while (!reader->has_failed && !reader_is(reader, "]")) {
    if (*out_count) reader_expect(reader, ",");
    SourceRange where = reader->token.where;
    int axis = reader_count(reader);
    if (axis >= rank) reader_fail(reader, where, "axis %d of a buffer with %d", axis, rank);
    ARENA_PUSH(parser->kernel->arena, axes, *out_count, axis);
  }
  reader_expect(reader, "]");
  return axes;
}

static void parse_layout(KernelParser *parser, Buffer *buffer) {
  Reader *reader = &parser->reader;
  int count;
  SourceRange where = reader->token.where;
  if (reader_accept(reader, "order")) {
    int *order = parse_axes(parser, buffer->rank, &count);
    if (count != buffer->rank) reader_fail(reader, where, "the order has %d axes, the buffer %d", count, buffer->rank);
    if (!reader->has_failed) buffer->order = order;
  }
  if (reader_accept(reader, "folded")) {
    int *folded = parse_axes(parser, buffer->rank, &count);
    for (int n = 0; n < count && !reader->has_failed; n++) buffer->is_folded[folded[n]] = true;
  }
  buffer->has_turns = reader_accept(reader, "turns");
  buffer->is_private = reader_accept(reader, "private");
  for (int n = PACKED_F32 + 1; n < PACKED_FORMAT_COUNT; n++)
    if (reader_accept(reader, packed_format_names[n])) buffer->format = (PackedFormat)n;
  if (reader_accept(reader, "or")) {
    reader_expect(reader, "packed");
    buffer->packed_slot = reader_count(reader);
  }
}

static void parse_buffer(KernelParser *parser) {
  Reader *reader = &parser->reader;
  Kernel *kernel = parser->kernel;
  SourceRange where = reader->token.where;
  const char *name = reader_name(reader, "the name of a buffer");
  for (int n = 0; n < kernel->buffer_count; n++)
    if (!strcmp(kernel->buffers[n].name, name)) reader_fail(reader, where, "a second buffer '%s'", name);
  reader_expect(reader, ":");
  int type = choice_parse(reader, 3, type_names, "'real', 'int' or 'bool'");
  Size *shape;
  int rank = shape_parse(&parser->exprs, &shape);
  int home = choice_parse(reader, HOME_COUNT, home_names, "where the buffer lives");
  int slot = reader_count(reader);
  if (reader->has_failed) return;
  BufferId id = kernel_add_buffer(kernel, name, (Type)type, rank, shape, (BufferHome)home, slot);
  parse_layout(parser, &kernel->buffers[id]);
}

static void parse_locals(KernelParser *parser) {
  Reader *reader = &parser->reader;
  Kernel *kernel = parser->kernel;
  int first = kernel->local_count;
  do {
    reader_expect(reader, "%");
    const Token token = reader->token;
    bool is_name = token.kind == TOKEN_STRING || token.kind == TOKEN_WORD;
    if (!is_name) reader_fail_expected(reader, "the name of a local");
    if (token.has_suffix && token.suffix != kernel->local_count)
      reader_fail(reader, token.where, "this is local %d, not %d", kernel->local_count, token.suffix);
    reader_next(reader);
    kernel_add_local(kernel, token.text, TYPE_REAL);
  } while (reader_accept(reader, ","));
  reader_expect(reader, ":");
  int type = choice_parse(reader, 3, type_names, "'real', 'int' or 'bool'");
  for (int n = first; type >= 0 && n < kernel->local_count; n++) kernel->locals[n].type = (Type)type;
}

static Statement *parse_loop(KernelParser *parser, LoopKind kind, bool is_reversed) {
  Reader *reader = &parser->reader;
  IndexId index = names_parse(&parser->exprs, NAME_INDEX, "index");
  reader_expect(reader, "in");
  const Expr *low = expr_parse_type(&parser->exprs, TYPE_INT, "the lower bound");
  reader_expect(reader, "..");
  const Expr *high = expr_parse_type(&parser->exprs, TYPE_INT, "the upper bound");
  IndexId ahead = NONE;
  int by = 0;
  if (reader_accept(reader, "ahead")) {
    ahead = names_parse(&parser->exprs, NAME_INDEX, "index");
    reader_expect(reader, "by");
    by = reader_count(reader);
  }
  Statement *loop = statement_loop(parser->kernel, kind, index, low, high, parse_block(parser));
  loop->is_reversed = is_reversed;
  loop->ahead_index = ahead;
  loop->ahead_by = by;
  return loop;
}

static Statement *parse_if(KernelParser *parser) {
  const Expr *condition = expr_parse_type(&parser->exprs, TYPE_BOOL, "the condition");
  Statement *then = parse_block(parser);
  Statement *otherwise = reader_accept(&parser->reader, "else") ? parse_block(parser) : NULL;
  return statement_if(parser->kernel, condition, then, otherwise);
}

static LocalId parse_local_name(KernelParser *parser) {
  reader_expect(&parser->reader, "%");
  return names_parse(&parser->exprs, NAME_LOCAL, "local");
}

static Statement *parse_let(KernelParser *parser) {
  LocalId local = parse_local_name(parser);
  reader_expect(&parser->reader, "=");
  return statement_let(parser->kernel, local, expr_parse(&parser->exprs));
}

static Statement *parse_reduce(KernelParser *parser, bool is_vector) {
  LocalId local = parse_local_name(parser);
  reader_expect(&parser->reader, "=");
  Reduction reduction = reduction_parse(&parser->exprs);
  Statement *reduce = statement_reduce(parser->kernel, local, reduction.reduce, reduction.count, reduction.indices, reduction.guard,
                                       reduction.value, reduction.body, is_vector);
  if (reader_accept(&parser->reader, "from")) {
    reduce->low = expr_parse_type(&parser->exprs, TYPE_INT, "the first value");
    reader_expect(&parser->reader, "below");
    reduce->high = expr_parse_type(&parser->exprs, TYPE_INT, "the limit");
  }
  return reduce;
}

/* The name and indices of a buffer; the rank is that of the buffer. */
static const Expr **parse_place(KernelParser *parser, BufferId *out_buffer, int *out_rank) {
  *out_buffer = names_parse(&parser->exprs, NAME_ARRAY, "buffer");
  *out_rank = 0;
  if (parser->reader.has_failed) return NULL;
  const Expr **indices = access_parse(&parser->exprs, *out_buffer, NULL, NULL);
  if (!parser->reader.has_failed) *out_rank = parser->kernel->buffers[*out_buffer].rank;
  return indices;
}

static Statement *parse_store(KernelParser *parser) {
  Statement *store = statement_create(parser->kernel, STATEMENT_STORE);
  store->is_nontemporal = reader_accept(&parser->reader, "nontemporal");
  store->indices = parse_place(parser, &store->buffer, &store->rank);
  reader_expect(&parser->reader, "=");
  store->value = expr_parse(&parser->exprs);
  return store;
}

static void parse_extent(KernelParser *parser, const char *what, IndexId *out_index, const Expr **out_from,
                         const Expr **out_limit) {
  reader_expect(&parser->reader, what);
  *out_index = names_parse(&parser->exprs, NAME_INDEX, "index");
  reader_expect(&parser->reader, "from");
  *out_from = expr_parse_type(&parser->exprs, TYPE_INT, "the first element");
  reader_expect(&parser->reader, "below");
  *out_limit = expr_parse_type(&parser->exprs, TYPE_INT, "the limit");
}

static Statement *parse_tile(KernelParser *parser) {
  Reader *reader = &parser->reader;
  Statement *tile = statement_create(parser->kernel, STATEMENT_TILE);
  tile->tile_rows = reader_count(reader);
  reader_expect(reader, "by");
  tile->tile_vectors = reader_count(reader);
  reader_expect(reader, "{");
  parse_extent(parser, "row", &tile->row_index, &tile->row0, &tile->row_limit);
  parse_extent(parser, "column", &tile->column_index, &tile->column0, &tile->column_limit);
  reader_expect(reader, "depth");
  tile->depth = expr_parse_type(&parser->exprs, TYPE_INT, "the depth");
  reader_expect(reader, "left");
  tile->has_rows_in_place = reader_accept(reader, "rows");
  tile->a_indices = parse_place(parser, &tile->a_buffer, &tile->a_rank);
  tile->a_depth_axis = tile->a_rank - 2;
  if (tile->has_rows_in_place && reader_accept(reader, "scaled")) tile->row_scale_indices = parse_place(parser, &tile->row_scale_buffer, &tile->row_scale_rank);
  if (!tile->has_rows_in_place && reader_accept(reader, "axis")) tile->a_depth_axis = reader_count(reader);
  reader_expect(reader, "right");
  tile->b_indices = parse_place(parser, &tile->b_buffer, &tile->b_rank);
  if (reader_accept(reader, "or")) tile->packed_indices = parse_place(parser, &tile->packed_buffer, &tile->packed_rank);
  if (reader_accept(reader, "scaled")) tile->scale_indices = parse_place(parser, &tile->scale_buffer, &tile->scale_rank);
  reader_expect(reader, "into");
  tile->indices = parse_place(parser, &tile->buffer, &tile->rank);
  if (reader_accept(reader, "with")) tile->value = expr_parse(&parser->exprs);
  reader_expect(reader, "}");
  return tile;
}

static Statement *parse_prefetch(KernelParser *parser) {
  SourceRange where = parser->reader.token.where;
  const Expr *load = expr_parse(&parser->exprs);
  if (!parser->reader.has_failed && load->op != OP_LOAD) reader_fail(&parser->reader, where, "only an element of a buffer can be prefetched");
  return parser->reader.has_failed ? statement_create(parser->kernel, STATEMENT_PREFETCH) : statement_prefetch(parser->kernel, load);
}

static Statement *parse_statement(KernelParser *parser) {
  Reader *reader = &parser->reader;
  expr_parse_shared_lines(&parser->exprs);
  if (reader_accept(reader, "let")) return parse_let(parser);
  if (reader_accept(reader, "reduce")) return parse_reduce(parser, false);
  if (reader_accept(reader, "if")) return parse_if(parser);
  if (reader_accept(reader, "tile")) return parse_tile(parser);
  if (reader_accept(reader, "prefetch")) return parse_prefetch(parser);
  if (reader_accept(reader, "barrier")) return statement_barrier(parser->kernel);
  bool is_reversed = reader_accept(reader, "reversed");
  if (reader_accept(reader, "vector"))
    return reader_accept(reader, "reduce") ? parse_reduce(parser, true) : parse_loop(parser, LOOP_VECTOR, is_reversed);
  if (reader_accept(reader, "parallel")) return parse_loop(parser, LOOP_PARALLEL, is_reversed);
  if (is_reversed || reader_is(reader, "for")) {
    reader_expect(reader, "for");
    return parse_loop(parser, LOOP_SEQUENTIAL, is_reversed);
  }
  return parse_store(parser);
}

static Statement *parse_statements(KernelParser *parser) {
  Block block = {0};
  while (!parser->reader.has_failed && !reader_is(&parser->reader, "}")) block_append(&block, parse_statement(parser));
  return block.first;
}

static Statement *parse_block(KernelParser *parser) {
  Reader *reader = &parser->reader;
  if (++parser->depth > MOST_NESTED) reader_fail(reader, reader->token.where, "the statements are nested too deeply");
  reader_expect(reader, "{");
  Statement *first = parse_statements(parser);
  reader_expect(reader, "}");
  parser->depth--;
  return first;
}

static void parse_declarations(KernelParser *parser) {
  Reader *reader = &parser->reader;
  Kernel *kernel = parser->kernel;
  while (!reader->has_failed) {
    if (reader_accept(reader, "symbol")) {
      Symbol symbol = symbol_parse(&parser->exprs);
      ARENA_PUSH(kernel->arena, kernel->symbols, kernel->symbol_count, symbol);
    } else if (reader_is(reader, "index") || reader_is(reader, "batch")) {
      kernel->indices = indices_parse(&parser->exprs, kernel->indices, &kernel->index_count);
    } else if (reader_accept(reader, "slots")) {
      kernel->workspace_slots = reader_count(reader);
    } else if (reader_accept(reader, "buffer")) {
      parse_buffer(parser);
    } else if (reader_accept(reader, "local")) {
      parse_locals(parser);
    } else {
      return;
    }
  }
}

Kernel *kernel_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics) {
  KernelParser parser = {.exprs = {.arena = arena}};
  Reader *reader = &parser.reader;
  reader_begin(reader, arena, file, diagnostics);
  reader_expect(reader, "kernel");
  int entry = choice_parse(reader, ENTRY_COUNT, entry_names, "'forward', 'objective', 'gradient', 'initial' or 'pack'");
  parser.kernel = kernel_create(arena, entry < 0 ? ENTRY_FORWARD : (EntryKind)entry, NULL);
  parser.exprs.reader = reader;
  parser.exprs.names = (Names){NULL, parser.kernel};
  reader_expect(reader, "{");
  parse_declarations(&parser);
  parser.kernel->body = parse_statements(&parser);
  reader_expect(reader, "}");
  if (reader->token.kind != TOKEN_END) reader_fail_expected(reader, "the end of the text");
  return reader->has_failed ? NULL : parser.kernel;
}
