/* equations_parse.c - a program from text; the grammar is in docs/ir.md.
 *
 * A declaration stands before its uses; only the tensor that a boundary belongs to may come later.
 * What is well formed but no legal program is left to equations_verify.
 */
#include "ir/program_text.h"

typedef struct Pending {
  TensorId tensor;
  Token of;
} Pending;

typedef struct ProgramParser {
  ExprParser exprs;
  Reader reader;
  Program *program;
  Pending *pending; /* boundaries whose tensor is looked up at the end */
  int pending_count;
} ProgramParser;

static void parse_symbol(ProgramParser *parser) {
  Symbol symbol = symbol_parse(&parser->exprs);
  SymbolId id = program_add_symbol(parser->program, symbol.kind, symbol.name);
  parser->program->symbols[id].formula = symbol.formula;
  parser->program->symbols[id].most = symbol.most;
}

static void parse_tensor(ProgramParser *parser) {
  Reader *reader = &parser->reader;
  Program *program = parser->program;
  SourceRange where = reader->token.where;
  const char *name = reader_name(reader, "the name of a tensor");
  for (int n = 0; n < program->tensor_count; n++)
    if (!strcmp(program->tensors[n].name, name)) reader_fail(reader, where, "a second tensor '%s'", name);
  reader_expect(reader, ":");
  int type = choice_parse(reader, 3, type_names, "'real', 'int' or 'bool'");
  Size *shape;
  int rank = shape_parse(&parser->exprs, &shape);
  TensorId id = program_add_tensor(program, name, type < 0 ? TYPE_REAL : (Type)type, rank, shape);
  Tensor *tensor = &program->tensors[id];
  tensor->is_kept = reader_accept(reader, "kept");
  tensor->is_after = reader_is(reader, "after");
  if (!reader_accept(reader, "before") && !reader_accept(reader, "after")) return;
  Pending pending = {id, reader->token};
  ARENA_PUSH(program->arena, parser->pending, parser->pending_count, pending);
  reader_name(reader, "the name of a tensor");
  reader_expect(reader, "axis");
  tensor->boundary_axis = reader_count(reader);
}

static void resolve_boundaries(ProgramParser *parser) {
  Program *program = parser->program;
  for (int n = 0; n < parser->pending_count && !parser->reader.has_failed; n++) {
    const Pending *pending = &parser->pending[n];
    for (int id = 0; id < program->tensor_count; id++)
      if (!strcmp(program->tensors[id].name, pending->of.text)) program->tensors[pending->tensor].boundary_of = id;
    if (program->tensors[pending->tensor].boundary_of == NONE)
      reader_fail(&parser->reader, pending->of.where, "there is no tensor '%s'", pending->of.text);
  }
}

static void parse_equation(ProgramParser *parser) {
  Reader *reader = &parser->reader;
  Program *program = parser->program;
  expr_parse_shared_lines(&parser->exprs);
  SourceRange where = reader->token.where;
  Equation equation = {.target = names_parse(&parser->exprs, NAME_ARRAY, "tensor")};
  int rank = 0;
  reader_expect(reader, "[");
  while (!reader->has_failed && !reader_is(reader, "]")) {
    if (rank) reader_expect(reader, ",");
    ARENA_PUSH(program->arena, equation.indices, rank, names_parse(&parser->exprs, NAME_INDEX, "index"));
  }
  reader_expect(reader, "]");
  reader_expect(reader, "=");
  if (reader->has_failed) return;
  const Tensor *target = &program->tensors[equation.target];
  if (rank != target->rank) reader_fail(reader, where, "'%s' has %d axes, found %d indices", target->name, target->rank, rank);
  if (program->definition[equation.target] != NONE) reader_fail(reader, where, "a second equation for '%s'", target->name);
  Reduction reduction = reduction_parse(&parser->exprs);
  if (reader->has_failed) return;
  equation.value = reduction.value;
  equation.reduce = reduction.reduce;
  equation.reduce_count = reduction.count;
  equation.reduce_indices = reduction.indices;
  equation.guard = reduction.guard;
  equation.body = reduction.body;
  program_add_equation(program, equation);
}

static void parse_stored(ProgramParser *parser, Port *port) {
  Reader *reader = &parser->reader;
  reader_expect(reader, "[");
  while (!reader->has_failed && !reader_is(reader, "]")) {
    if (port->stored_rank) reader_expect(reader, ",");
    ARENA_PUSH(parser->program->arena, port->stored_shape, port->stored_rank, reader_integer(reader));
  }
  reader_expect(reader, "]");
}

static void parse_init(Reader *reader, InitKind init, Port *port) {
  port->init = init;
  reader_expect(reader, "(");
  port->init_a = reader_real(reader);
  if (reader_accept(reader, ",")) port->init_b = reader_real(reader);
  reader_expect(reader, ")");
}

static void parse_attribute(ProgramParser *parser, Port *port) {
  Reader *reader = &parser->reader;
  if (reader_accept(reader, "batch")) port->batch_axis = reader_count(reader);
  else if (reader_accept(reader, "of")) port->of = reader_count(reader);
  else if (reader_accept(reader, "for_objective")) port->is_for_objective = true;
  else if (reader_accept(reader, "streams")) port->streams = true;
  else if (reader_accept(reader, "because")) port->why_not = reader_string(reader);
  else if (reader_accept(reader, "turns")) port->has_turns = true;
  else if (reader_accept(reader, "scale")) port->turn_scale = reader_integer(reader);
  else if (reader_accept(reader, "offset")) port->turn_offset = reader_integer(reader);
  else if (reader_accept(reader, "stored")) parse_stored(parser, port);
  else if (reader_accept(reader, "constant")) parse_init(reader, INIT_CONSTANT, port);
  else if (reader_accept(reader, "uniform")) parse_init(reader, INIT_UNIFORM, port);
  else if (reader_accept(reader, "normal")) parse_init(reader, INIT_NORMAL, port);
  else reader_fail_expected(reader, "an attribute of a port");
}

static void parse_port(ProgramParser *parser) {
  Reader *reader = &parser->reader;
  Port port = {.batch_axis = NONE, .of = NONE};
  int kind = choice_parse(reader, PORT_KIND_COUNT, port_names, "a kind of port");
  port.kind = kind < 0 ? PORT_INPUT : (PortKind)kind;
  port.name = reader_string(reader);
  reader_expect(reader, "=");
  port.tensor = names_parse(&parser->exprs, NAME_ARRAY, "tensor");
  while (reader_accept(reader, ",")) parse_attribute(parser, &port);
  program_add_port(parser->program, port);
}

static void parse_item(ProgramParser *parser) {
  Reader *reader = &parser->reader;
  Program *program = parser->program;
  if (reader_accept(reader, "symbol")) parse_symbol(parser);
  else if (reader_is(reader, "index") || reader_is(reader, "batch"))
    program->indices = indices_parse(&parser->exprs, program->indices, &program->index_count);
  else if (reader_accept(reader, "tensor")) parse_tensor(parser);
  else if (reader_accept(reader, "port")) parse_port(parser);
  else if (reader_accept(reader, "ignored")) program_add_ignored(program, reader_string(reader));
  else parse_equation(parser);
}

Program *equations_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics) {
  ProgramParser parser = {.exprs = {.arena = arena}};
  Reader *reader = &parser.reader;
  reader_begin(reader, arena, file, diagnostics);
  reader_expect(reader, "program");
  parser.program = program_create(arena, reader_name(reader, "the name of the program"));
  parser.exprs.reader = reader;
  parser.exprs.names = (Names){parser.program, NULL};
  reader_expect(reader, "{");
  while (!reader->has_failed && !reader_is(reader, "}")) parse_item(&parser);
  reader_expect(reader, "}");
  if (reader->token.kind != TOKEN_END) reader_fail_expected(reader, "the end of the text");
  resolve_boundaries(&parser);
  return reader->has_failed ? NULL : parser.program;
}
