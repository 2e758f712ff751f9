/* equations_print.c - a program as text; the grammar is in docs/ir.md. Everything but source places is printed. */
#include "ir/program_text.h"

static Names names_of(const Program *program) { return (Names){program, NULL}; }

static void print_tensor(Text *text, const Program *program, TensorId id) {
  const Tensor *tensor = &program->tensors[id];
  text_add(text, "  tensor ");
  names_print(text, names_of(program), NAME_ARRAY, id);
  text_format(text, ": %s", type_names[tensor->type]);
  shape_print(text, names_of(program), tensor->rank, tensor->shape);
  if (tensor->is_kept) text_add(text, " kept");
  if (tensor->boundary_of != NONE) {
    text_add(text, tensor->is_after ? " after " : " before ");
    names_print(text, names_of(program), NAME_ARRAY, tensor->boundary_of);
    text_format(text, " axis %d", tensor->boundary_axis);
  }
  text_add(text, "\n");
}

void equation_print(Text *text, const Program *program, const Equation *equation) {
  ExprPrinter printer;
  expr_printer_begin(&printer, text, names_of(program));
  expr_printer_add(&printer, equation->value);
  expr_printer_add(&printer, equation->guard);
  expr_printer_add(&printer, equation->body);
  expr_printer_shared_lines(&printer, 2);
  text_add(text, "  ");
  names_print(text, names_of(program), NAME_ARRAY, equation->target);
  text_add(text, "[");
  bool is_tensor = equation->target >= 0 && equation->target < program->tensor_count;
  for (int axis = 0; is_tensor && axis < program->tensors[equation->target].rank; axis++) {
    if (axis) text_add(text, ", ");
    names_print(text, names_of(program), NAME_INDEX, equation->indices[axis]);
  }
  text_add(text, "] = ");
  expr_printer_reduction(&printer, equation->value, equation->reduce, equation->reduce_count, equation->reduce_indices,
                         equation->guard, equation->body);
  text_add(text, "\n");
  expr_printer_end(&printer);
}

static void print_init(Text *text, const Port *port) {
  static const char *const names[] = {"", "constant", "uniform", "normal"};
  if (port->init == INIT_NONE) return;
  text_format(text, ", %s(", names[port->init]);
  text_double(text, port->init_a);
  text_add(text, ", ");
  text_double(text, port->init_b);
  text_add(text, ")");
}

static void print_port(Text *text, const Program *program, const Port *port) {
  text_format(text, "  port %s ", port_names[port->kind]);
  text_quoted(text, port->name ? port->name : "");
  text_add(text, " = ");
  names_print(text, names_of(program), NAME_ARRAY, port->tensor);
  if (port->batch_axis != NONE) text_format(text, ", batch %d", port->batch_axis);
  if (port->of != NONE) text_format(text, ", of %d", port->of);
  if (port->is_for_objective) text_add(text, ", for_objective");
  if (port->streams) text_add(text, ", streams");
  if (port->why_not) {
    text_add(text, ", because ");
    text_quoted(text, port->why_not);
  }
  if (port->has_turns) text_add(text, ", turns");
  if (port->turn_scale) text_format(text, ", scale %lld", (long long)port->turn_scale);
  if (port->turn_offset) text_format(text, ", offset %lld", (long long)port->turn_offset);
  if (port->kind == PORT_PARAMETER || port->stored_rank) {
    text_add(text, ", stored [");
    for (int axis = 0; axis < port->stored_rank; axis++)
      text_format(text, "%s%lld", axis ? ", " : "", (long long)port->stored_shape[axis]);
    text_add(text, "]");
  }
  print_init(text, port);
  text_add(text, "\n");
}

void equations_print(Text *text, const Program *program) {
  text_add(text, "program ");
  name_print(text, program->name);
  text_add(text, " {\n");
  symbols_print(text, names_of(program), program->symbol_count, program->symbols);
  indices_print(text, names_of(program), program->index_count, program->indices);
  for (int n = 0; n < program->tensor_count; n++) print_tensor(text, program, n);
  for (int n = 0; n < program->equation_count; n++) equation_print(text, program, &program->equations[n]);
  for (int n = 0; n < program->port_count; n++) print_port(text, program, &program->ports[n]);
  for (int n = 0; n < program->ignored_count; n++) {
    text_add(text, "  ignored ");
    text_quoted(text, program->ignored[n]);
    text_add(text, "\n");
  }
  text_add(text, "}\n");
}
