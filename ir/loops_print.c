/* loops_print.c - kernels and modules as text; the grammar is in docs/ir.md. Everything but source places is printed. */
#include "ir/program_text.h"

typedef struct Printer {
  Text *text;
  const Kernel *kernel;
  Names names;
} Printer;

static void print_block(const Printer *printer, const Statement *first, int indent);

static void print_ints(Text *text, const char *what, int count, const int *values) {
  text_format(text, " %s [", what);
  for (int n = 0; n < count; n++) text_format(text, "%s%d", n ? ", " : "", values[n]);
  text_add(text, "]");
}

static void print_buffer(const Printer *printer, BufferId id) {
  Text *text = printer->text;
  const Buffer *buffer = &printer->kernel->buffers[id];
  text_add(text, "  buffer ");
  names_print(text, printer->names, NAME_ARRAY, id);
  text_format(text, ": %s", type_names[buffer->type]);
  shape_print(text, printer->names, buffer->rank, buffer->shape);
  text_format(text, " %s %d", home_names[buffer->home], buffer->slot);
  int *folded = NULL, folded_count = 0;
  bool is_ordered = true;
  for (int axis = 0; axis < buffer->rank; axis++) {
    is_ordered = is_ordered && buffer->order[axis] == axis;
    if (buffer->is_folded[axis]) ARENA_PUSH(text->arena, folded, folded_count, axis);
  }
  if (!is_ordered) print_ints(text, "order", buffer->rank, buffer->order);
  if (folded_count) print_ints(text, "folded", folded_count, folded);
  if (buffer->has_turns) text_add(text, " turns");
  if (buffer->is_private) text_add(text, " private");
  if (buffer->format != PACKED_F32) text_format(text, " %s", packed_format_names[buffer->format]);
  if (buffer->packed_slot != NONE) text_format(text, " or packed %d", buffer->packed_slot);
  text_add(text, "\n");
}

static void print_locals(const Printer *printer) {
  const Kernel *kernel = printer->kernel;
  for (int n = 0; n < kernel->local_count;) {
    Type type = kernel->locals[n].type;
    text_add(printer->text, "  local ");
    for (int start = n; n < kernel->local_count && kernel->locals[n].type == type; n++) {
      if (n > start) text_add(printer->text, ", ");
      names_print(printer->text, printer->names, NAME_LOCAL, n);
    }
    text_format(printer->text, ": %s\n", type_names[type]);
  }
}

/* Every expression of the statement itself, for the shared lines before it. */
static void add_exprs(ExprPrinter *exprs, const Statement *statement) {
  const Expr *const all[] = {statement->low,     statement->high,         statement->condition, statement->value,
                             statement->guard,   statement->reduce_body,  statement->row0,      statement->row_limit,
                             statement->column0, statement->column_limit, statement->depth};
  for (size_t n = 0; n < sizeof all / sizeof *all; n++) expr_printer_add(exprs, all[n]);
  for (int n = 0; n < statement->rank; n++) expr_printer_add(exprs, statement->indices[n]);
  for (int n = 0; n < statement->a_rank; n++) expr_printer_add(exprs, statement->a_indices[n]);
  for (int n = 0; n < statement->b_rank; n++) expr_printer_add(exprs, statement->b_indices[n]);
  for (int n = 0; n < statement->packed_rank; n++) expr_printer_add(exprs, statement->packed_indices[n]);
  for (int n = 0; n < statement->scale_rank; n++) expr_printer_add(exprs, statement->scale_indices[n]);
  for (int n = 0; n < statement->row_scale_rank; n++) expr_printer_add(exprs, statement->row_scale_indices[n]);
}

static void print_loop(const Printer *printer, ExprPrinter *exprs, const Statement *loop, int indent) {
  Text *text = printer->text;
  text_format(text, "%s%s ", loop->is_reversed ? "reversed " : "", loop_names[loop->loop_kind]);
  names_print(text, printer->names, NAME_INDEX, loop->index);
  text_add(text, " in ");
  expr_printer_print(exprs, loop->low);
  text_add(text, " .. ");
  expr_printer_print(exprs, loop->high);
  if (loop->ahead_index != NONE) {
    text_add(text, " ahead ");
    names_print(text, printer->names, NAME_INDEX, loop->ahead_index);
    text_format(text, " by %d", loop->ahead_by);
  }
  text_add(text, " {\n");
  print_block(printer, loop->body, indent + 2);
  text_format(text, "%*s}\n", indent, "");
}

static void print_if(const Printer *printer, ExprPrinter *exprs, const Statement *branch, int indent) {
  Text *text = printer->text;
  text_add(text, "if ");
  expr_printer_print(exprs, branch->condition);
  text_add(text, " {\n");
  print_block(printer, branch->body, indent + 2);
  if (branch->otherwise) {
    text_format(text, "%*s} else {\n", indent, "");
    print_block(printer, branch->otherwise, indent + 2);
  }
  text_format(text, "%*s}\n", indent, "");
}

static void print_extent(const Printer *printer, ExprPrinter *exprs, int indent, const char *what, IndexId index,
                         const Expr *from, const Expr *limit) {
  text_format(printer->text, "%*s%s ", indent, "", what);
  names_print(printer->text, printer->names, NAME_INDEX, index);
  text_add(printer->text, " from ");
  expr_printer_print(exprs, from);
  text_add(printer->text, " below ");
  expr_printer_print(exprs, limit);
  text_add(printer->text, "\n");
}

static void print_tile(const Printer *printer, ExprPrinter *exprs, const Statement *tile, int indent) {
  Text *text = printer->text;
  text_format(text, "tile %d by %d {\n", tile->tile_rows, tile->tile_vectors);
  print_extent(printer, exprs, indent + 2, "row", tile->row_index, tile->row0, tile->row_limit);
  print_extent(printer, exprs, indent + 2, "column", tile->column_index, tile->column0, tile->column_limit);
  text_format(text, "%*sdepth ", indent + 2, "");
  expr_printer_print(exprs, tile->depth);
  text_format(text, "\n%*sleft %s", indent + 2, "", tile->has_rows_in_place ? "rows " : "");
  expr_printer_access(exprs, tile->a_buffer, tile->a_rank, tile->a_indices, NULL, NULL);
  if (!tile->has_rows_in_place && tile->a_depth_axis != tile->a_rank - 2) text_format(text, " axis %d", tile->a_depth_axis);
  if (tile->row_scale_buffer != NONE) {
    text_add(text, " scaled ");
    expr_printer_access(exprs, tile->row_scale_buffer, tile->row_scale_rank, tile->row_scale_indices, NULL, NULL);
  }
  text_format(text, "\n%*sright ", indent + 2, "");
  expr_printer_access(exprs, tile->b_buffer, tile->b_rank, tile->b_indices, NULL, NULL);
  if (tile->packed_buffer != NONE) {
    text_add(text, " or ");
    expr_printer_access(exprs, tile->packed_buffer, tile->packed_rank, tile->packed_indices, NULL, NULL);
  }
  if (tile->scale_buffer != NONE) {
    text_add(text, " scaled ");
    expr_printer_access(exprs, tile->scale_buffer, tile->scale_rank, tile->scale_indices, NULL, NULL);
  }
  text_format(text, "\n%*sinto ", indent + 2, "");
  expr_printer_access(exprs, tile->buffer, tile->rank, tile->indices, NULL, NULL);
  if (tile->value) {
    text_add(text, " with ");
    expr_printer_print(exprs, tile->value);
  }
  text_format(text, "\n%*s}\n", indent, "");
}

static void print_assignment(const Printer *printer, ExprPrinter *exprs, const Statement *statement) {
  Text *text = printer->text;
  if (statement->kind == STATEMENT_STORE) {
    if (statement->is_nontemporal) text_add(text, "nontemporal ");
    expr_printer_access(exprs, statement->buffer, statement->rank, statement->indices, NULL, NULL);
  } else {
    if (statement->kind == STATEMENT_REDUCE && statement->is_vector) text_add(text, "vector ");
    text_add(text, statement->kind == STATEMENT_LET ? "let " : "reduce ");
    names_print(text, printer->names, NAME_LOCAL, statement->local);
  }
  text_add(text, " = ");
  expr_printer_reduction(exprs, statement->value, statement->reduce, statement->reduce_count, statement->reduce_indices,
                         statement->guard, statement->reduce_body);
  if (statement->kind == STATEMENT_REDUCE && statement->low) {
    text_add(text, " from ");
    expr_printer_print(exprs, statement->low);
    text_add(text, " below ");
    expr_printer_print(exprs, statement->high);
  }
  text_add(text, "\n");
}

static void print_statement(const Printer *printer, const Statement *statement, int indent) {
  ExprPrinter exprs;
  expr_printer_begin(&exprs, printer->text, printer->names);
  add_exprs(&exprs, statement);
  expr_printer_shared_lines(&exprs, indent);
  text_format(printer->text, "%*s", indent, "");
  switch (statement->kind) {
  case STATEMENT_LOOP: print_loop(printer, &exprs, statement, indent); break;
  case STATEMENT_IF: print_if(printer, &exprs, statement, indent); break;
  case STATEMENT_LET:
  case STATEMENT_STORE:
  case STATEMENT_REDUCE: print_assignment(printer, &exprs, statement); break;
  case STATEMENT_TILE: print_tile(printer, &exprs, statement, indent); break;
  case STATEMENT_PREFETCH:
    text_add(printer->text, "prefetch ");
    expr_printer_print(&exprs, statement->value);
    text_add(printer->text, "\n");
    break;
  case STATEMENT_BARRIER: text_add(printer->text, "barrier\n"); break;
  }
  expr_printer_end(&exprs);
}

static void print_block(const Printer *printer, const Statement *first, int indent) {
  for (const Statement *statement = first; statement; statement = statement->next) print_statement(printer, statement, indent);
}

void statement_print(Text *text, const Kernel *kernel, const Statement *statement) {
  Printer printer = {text, kernel, {NULL, kernel}};
  print_statement(&printer, statement, 2);
}

void kernel_print(Text *text, const Kernel *kernel) {
  Printer printer = {text, kernel, {NULL, kernel}};
  text_format(text, "kernel %s {\n", entry_names[kernel->entry]);
  symbols_print(text, printer.names, kernel->symbol_count, kernel->symbols);
  indices_print(text, printer.names, kernel->index_count, kernel->indices);
  if (kernel->workspace_slots) text_format(text, "  slots %d\n", kernel->workspace_slots);
  for (int n = 0; n < kernel->buffer_count; n++) print_buffer(&printer, n);
  print_locals(&printer);
  print_block(&printer, kernel->body, 2);
  text_add(text, "}\n");
}

void loops_print(Text *text, const Module *module) {
  Names names = {module->interface, NULL};
  text_add(text, "module ");
  name_print(text, module->name);
  text_add(text, " {\n");
  if (module->has_step) {
    text_add(text, "  step\n");
  } else {
    text_add(text, "  no step because ");
    text_quoted(text, module->why_no_step ? module->why_no_step : "");
    text_add(text, "\n");
  }
  if (module->has_objective) text_add(text, "  objective\n");
  for (int n = 0; n < module->piece_count; n++) {
    const StatePiece *piece = &module->pieces[n];
    text_add(text, "  state ");
    name_print(text, piece->name);
    text_format(text, ": %s", type_names[piece->type]);
    shape_print(text, names, piece->rank, piece->shape);
    text_format(text, " port %d%s", piece->port, piece->is_declared ? " declared" : "");
    if (piece->grown_axis != NONE) text_format(text, " grows %d", piece->grown_axis);
    if (piece->shown != NONE) text_format(text, " shows %d", piece->shown);
    text_add(text, "\n");
  }
  for (int n = 0; n < module->check_count; n++) {
    text_format(text, "  check input %d in %lld .. ", module->checks[n].input, (long long)module->checks[n].low);
    size_print(text, names, module->checks[n].high);
    text_add(text, "\n");
  }
  text_add(text, "}\n");
  for (int entry = 0; entry < ENTRY_COUNT; entry++) {
    if (!module->kernels[entry]) continue;
    text_add(text, "\n");
    kernel_print(text, module->kernels[entry]);
  }
}
