/* ports.c - the finished program: used tensors in order, and everything it shows to the outside. */
#include "frontend/elaborate.h"

typedef struct Rows {
  const Program *draft;
  bool *is_row; /* by tensor: differs from row to row of the batch */
  bool *sums;   /* by tensor: depends on a reduction over the batch */
  bool reads_row, reads_sum;
} Rows;

static void note_row(void *context, const Expr *expr) {
  Rows *rows = context;
  if (expr->op != OP_READ) return;
  rows->reads_row |= rows->is_row[expr->id];
  rows->reads_sum |= rows->sums[expr->id];
}

static bool spread_rows(Rows *rows) {
  bool has_progress = false;
  for (int n = 0; n < rows->draft->equation_count; n++) {
    const Equation *equation = &rows->draft->equations[n];
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    bool over_batch = false;
    for (int r = 0; r < equation->reduce_count; r++) over_batch |= rows->draft->indices[equation->reduce_indices[r]].is_batch;
    rows->reads_row = rows->reads_sum = false;
    for (int p = over_batch ? 1 : 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], note_row, rows);
    if (over_batch) {
      rows->reads_sum = true;
      rows->reads_row = false;
      if (equation->value) expr_visit(equation->value, note_row, rows);
    }
    has_progress |= (rows->reads_row && !rows->is_row[equation->target]) || (rows->reads_sum && !rows->sums[equation->target]);
    rows->is_row[equation->target] |= rows->reads_row;
    rows->sums[equation->target] |= rows->reads_sum;
  }
  return has_progress;
}

static Rows find_rows(Elaboration *elaboration) {
  Rows rows = {.draft = elaboration->draft};
  rows.is_row = ARENA_ARRAY(elaboration->arena, bool, elaboration->draft->tensor_count);
  rows.sums = ARENA_ARRAY(elaboration->arena, bool, elaboration->draft->tensor_count);
  for (int n = 0; n < elaboration->input_count; n++)
    rows.is_row[elaboration->inputs[n].entity->id] = elaboration->inputs[n].batch_axis != NONE;
  for (int n = 0; n < elaboration->state_count; n++)
    rows.is_row[elaboration->states[n].initial->id] = elaboration->states[n].batch_axis != NONE;
  while (spread_rows(&rows)) continue;
  return rows;
}

/* ---- copying the draft ---- */

typedef struct Copy {
  Elaboration *elaboration;
  Program *draft, *program;
  TensorId *tensors; /* by tensor of the draft */
  IndexId *indices;
} Copy;

static IndexId copy_index(Copy *copy, IndexId id) {
  if (copy->indices[id] == NONE) {
    const Index *index = &copy->draft->indices[id];
    copy->indices[id] = program_add_index(copy->program, index->name, index->low, index->high);
    copy->program->indices[copy->indices[id]].is_batch = index->is_batch;
  }
  return copy->indices[id];
}

static const Expr *renamed(void *context, const Expr *expr) {
  Copy *copy = context;
  Arena *arena = copy->elaboration->arena;
  if (expr->op == OP_INDEX) return expr_index(arena, copy_index(copy, expr->id));
  if (expr->op != OP_READ) return expr;
  const Expr *read = expr_read(arena, expr->type, copy->tensors[expr->id], expr->arg_count, expr->args, expr->outside);
  return expr_with_source(arena, read, expr->source);
}

static const Expr *copy_expr(Copy *copy, const Expr *expr) {
  return expr ? expr_rewrite(copy->elaboration->arena, expr, renamed, copy) : NULL;
}

static void copy_tensors(Copy *copy) {
  const Elaboration *elaboration = copy->elaboration;
  for (int n = 0; n < copy->draft->tensor_count; n++) {
    const Entity *owner = elaboration->owners[n];
    copy->tensors[n] = NONE;
    bool is_given = owner && owner->role != ROLE_LOCAL;
    bool is_defined = copy->draft->definition[n] != NONE && !elaboration->is_dropped[n];
    if (!is_given && !is_defined) continue;
    const Tensor *tensor = &copy->draft->tensors[n];
    copy->tensors[n] = program_add_tensor(copy->program, tensor->name, tensor->type, tensor->rank, tensor->shape);
    copy->program->tensors[copy->tensors[n]].source = tensor->source;
  }
  for (int n = 0; n < copy->draft->tensor_count; n++) {
    const Tensor *tensor = &copy->draft->tensors[n];
    if (tensor->boundary_of == NONE || copy->tensors[n] == NONE) continue;
    Tensor *made = &copy->program->tensors[copy->tensors[n]];
    made->boundary_of = copy->tensors[tensor->boundary_of];
    made->boundary_axis = tensor->boundary_axis;
    made->is_after = tensor->is_after;
  }
}

static void copy_equations(Copy *copy) {
  for (int n = 0; n < copy->draft->equation_count; n++) {
    Equation equation = copy->draft->equations[n];
    if (copy->tensors[equation.target] == NONE || copy->elaboration->is_dropped[equation.target]) continue;
    int rank = copy->draft->tensors[equation.target].rank;
    IndexId *indices = ARENA_ARRAY(copy->elaboration->arena, IndexId, rank),
            *reduced = ARENA_ARRAY(copy->elaboration->arena, IndexId, equation.reduce_count);
    for (int i = 0; i < rank; i++) indices[i] = copy_index(copy, equation.indices[i]);
    for (int i = 0; i < equation.reduce_count; i++) reduced[i] = copy_index(copy, equation.reduce_indices[i]);
    equation.target = copy->tensors[equation.target];
    equation.indices = indices;
    equation.reduce_indices = reduced;
    equation.value = copy_expr(copy, equation.value);
    equation.guard = copy_expr(copy, equation.guard);
    equation.body = copy_expr(copy, equation.body);
    program_add_equation(copy->program, equation);
  }
}

/* ---- ports ---- */

static Port port_of(PortKind kind, const char *name, TensorId tensor, int batch_axis, SourceRange source) {
  return (Port){.kind = kind, .name = name, .tensor = tensor, .batch_axis = batch_axis, .of = NONE, .source = source};
}

static bool is_whole(const View *view) {
  if (view->entity->role != ROLE_LOCAL || view->entity->rank != view->rank) return false;
  for (int n = 0; n < view->rank; n++)
    if (view->subscripts[n]->kind != TERM_AXIS || view->subscripts[n]->integer != n) return false;
  return true;
}

static const Expr *joined_parts(Builder *builder, const Term *term, IndexId part) {
  Arena *arena = builder->elaboration->arena;
  const Term *re, *im;
  complex_parts(builder->elaboration, term, &re, &im);
  const Expr *is_real = expr_binary(arena, OP_EQ, expr_index(arena, part), expr_integer(arena, 0));
  return expr_select(arena, is_real, build_as(builder, re, TYPE_REAL), build_as(builder, im, TYPE_REAL));
}

/* What an output shows may be a part of a tensor (the last turn of a repeat), or come from outside: then it is copied. */
static TensorId output_tensor(Elaboration *elaboration, const PortEntry *port) {
  const View *view = port->name->version_count ? name_view(port->name, INT_MAX) : NULL;
  if (!view || (!view->entity && !view->constant)) {
    ERROR_AT(elaboration, port->node->source, "the output '%s' has no equation", port->node->text);
    return NONE;
  }
  if (!view->entity) {
    ERROR_AT(elaboration, port->node->source, "the output '%s' is a constant", port->node->text);
    return NONE;
  }
  bool is_complex = port->name->declared_type && !strcmp(port->name->declared_type, COMPLEX_TYPE);
  if (view->entity->is_complex && !is_complex) {
    ERROR_AT(elaboration, port->node->source, "the output '%s' is complex: declare it ': complex', or take re, im or abs",
             port->node->text);
    return NONE;
  }
  if (is_whole(view) && !is_complex) return view->entity->id;
  Program *draft = elaboration->draft;
  Size *shape = ARENA_ARRAY(elaboration->arena, Size, view->rank + 1);
  Equation equation = {.source = port->node->source};
  equation.indices = ARENA_ARRAY(elaboration->arena, IndexId, view->rank + 1);
  const Term **subscripts = ARENA_ARRAY(elaboration->arena, const Term *, view->rank);
  for (int n = 0; n < view->rank; n++) {
    shape[n] = cell_size(view->axes[n]);
    Variable *variable = variable_create(elaboration, arena_format(elaboration->arena, ":%d", n), port->node->source);
    variable->extent = view->axes[n];
    equation.indices[n] = variable_index(elaboration, variable);
    subscripts[n] = term_variable(elaboration, TERM_RAW, variable, port->node->source);
  }
  Builder builder = {.elaboration = elaboration};
  const Term *read = resolve_view(elaboration, view, subscripts, port->node->source);
  if (is_complex) {
    shape[view->rank] = size_constant(2);
    equation.indices[view->rank] = program_add_index(draft, "part", size_constant(0), shape[view->rank]);
    equation.value = joined_parts(&builder, read, equation.indices[view->rank]);
  } else {
    equation.value = build_term(&builder, read);
  }
  equation.target = draft_tensor(elaboration, NULL, port->node->text, view->entity->type, view->rank + is_complex, shape,
                                 port->node->source);
  program_add_equation(draft, equation);
  return equation.target;
}

static void check_state(Elaboration *elaboration, const StateEntry *state, const Rows *rows) {
  if (state->batch_axis == NONE && rows->is_row[state->final->id])
    ERROR_AT(elaboration, state->node->source, "the state '%s' is declared common, but it differs from row to row",
             state->name);
}

static void check_output(Elaboration *elaboration, const PortEntry *port, const Rows *rows, TensorId tensor) {
  const char *declared = port->name->declared_type;
  if (declared && !strcmp(declared, COMPLEX_TYPE)) declared = type_names[TYPE_REAL]; /* pairs of reals */
  Type type = elaboration->draft->tensors[tensor].type;
  if (strcmp(declared ? declared : type_names[type], type_names[type]))
    ERROR_AT(elaboration, port->node->source, "the output '%s' is declared %s, but its equation is %s", port->node->text,
             declared, type_names[type]);
  if (port->batch_axis == NONE && rows->is_row[tensor])
    ERROR_AT(elaboration, port->node->source, "the output '%s' is declared common, but it differs from row to row",
             port->node->text);
}

/* The mean over the batch of what the author wrote per row; what is a scalar already stays. */
static TensorId objective_tensor(Elaboration *elaboration, const Rows *rows, TensorId row) {
  Program *draft = elaboration->draft;
  if (!rows->is_row[row]) return row;
  Arena *arena = elaboration->arena;
  const char *name = draft->tensors[row].name;
  SourceRange source = draft->tensors[row].source;
  TensorId sum = draft_tensor(elaboration, NULL, arena_format(arena, "%s.sum", name), TYPE_REAL, 0, NULL, source);
  IndexId batch = program_add_index(draft, "b", size_constant(0), size_symbol(elaboration->batch));
  draft->indices[batch].is_batch = true;
  Equation total = {.target = sum, .reduce = REDUCE_SUM, .reduce_count = 1, .reduce_indices = &batch, .source = source};
  total.body = program_read(draft, row, NULL, NULL);
  program_add_equation(draft, total);
  TensorId mean = draft_tensor(elaboration, NULL, arena_format(arena, "%s.mean", name), TYPE_REAL, 0, NULL, source);
  const Expr *count = expr_unary(arena, OP_TO_REAL, expr_symbol(arena, elaboration->batch));
  Equation average = {
      .target = mean, .value = expr_binary(arena, OP_DIV, program_read(draft, sum, NULL, NULL), count), .source = source};
  program_add_equation(draft, average);
  return mean;
}

static void add_results(Elaboration *elaboration, Copy *copy, const Rows *rows, const TensorId *outputs, TensorId objective,
                        int first_state) {
  Program *program = copy->program;
  for (int n = 0; n < elaboration->output_count; n++) {
    const PortEntry *port = &elaboration->outputs[n];
    bool is_common = port->batch_axis == NONE || (rows->sums[outputs[n]] && !rows->is_row[outputs[n]]);
    program_add_port(program, port_of(PORT_OUTPUT, port->node->text, copy->tensors[outputs[n]],
                                      is_common ? NONE : port->batch_axis, port->node->source));
  }
  if (objective != NONE) {
    const Node *node = elaboration->objective->node;
    program_add_port(program, port_of(PORT_OBJECTIVE, node->text, copy->tensors[objective], NONE, node->source));
  }
  for (int n = 0; n < elaboration->state_count; n++) {
    const StateEntry *state = &elaboration->states[n];
    Port port = port_of(PORT_FINAL_STATE, state->name, copy->tensors[state->final->id], state->batch_axis,
                        state->node->source);
    port.of = first_state + n;
    program_add_port(program, port);
  }
}

static void add_sources(Elaboration *elaboration, Copy *copy, int *out_first_state) {
  Program *program = copy->program;
  add_parameter_ports(elaboration, program, copy->tensors);
  for (int n = 0; n < elaboration->input_count; n++) {
    const PortEntry *input = &elaboration->inputs[n];
    int other = program_find_port(program, PORT_INPUT, input->node->text);
    if (other != NONE) {
      ERROR_AT(elaboration, input->node->source, "two inputs are named '%s'", input->node->text);
      NOTE_AT(elaboration, program->ports[other].source, "the other one is here");
      continue;
    }
    Port port = port_of(PORT_INPUT, input->node->text, copy->tensors[input->entity->id], input->batch_axis, input->node->source);
    port.is_for_objective = input->is_for_objective;
    program_add_port(program, port);
  }
  *out_first_state = program->port_count;
  for (int n = 0; n < elaboration->state_count; n++) {
    const StateEntry *state = &elaboration->states[n];
    int other = program_find_port(program, PORT_STATE, state->name);
    if (other != NONE) {
      ERROR_AT(elaboration, state->node->source, "two states are named '%s'", state->name);
      NOTE_AT(elaboration, program->ports[other].source, "the other one is here");
    }
    program_add_port(program, port_of(PORT_STATE, state->name, copy->tensors[state->initial->id], state->batch_axis,
                                      state->node->source));
  }
}

Program *finish_program(Elaboration *elaboration) {
  Arena *arena = elaboration->arena;
  int dropped_count = elaboration->draft->tensor_count;
  TensorId *outputs = ARENA_ARRAY(arena, TensorId, elaboration->output_count);
  for (int n = 0; n < elaboration->output_count; n++) outputs[n] = output_tensor(elaboration, &elaboration->outputs[n]);
  if (diagnostics_error_count(elaboration->diagnostics)) return NULL;
  Rows rows = find_rows(elaboration);
  for (int n = 0; n < elaboration->output_count; n++) check_output(elaboration, &elaboration->outputs[n], &rows, outputs[n]);
  for (int n = 0; n < elaboration->state_count; n++) check_state(elaboration, &elaboration->states[n], &rows);
  TensorId objective = elaboration->objective_row ? objective_tensor(elaboration, &rows, elaboration->objective_row->id) : NONE;
  bool *dropped = ARENA_ARRAY(arena, bool, elaboration->draft->tensor_count);
  memcpy(dropped, elaboration->is_dropped, sizeof *dropped * (size_t)dropped_count);
  elaboration->is_dropped = dropped;
  Copy copy = {.elaboration = elaboration, .draft = elaboration->draft};
  copy.program = program_create(arena, elaboration->draft->name);
  copy.program->source = elaboration->draft->source;
  for (int n = 0; n < copy.draft->symbol_count; n++)
    program_add_symbol(copy.program, copy.draft->symbols[n].kind, copy.draft->symbols[n].name);
  copy.tensors = ARENA_ARRAY(arena, TensorId, copy.draft->tensor_count);
  copy.indices = ARENA_ARRAY(arena, IndexId, copy.draft->index_count);
  for (int n = 0; n < copy.draft->index_count; n++) copy.indices[n] = NONE;
  copy_tensors(&copy);
  copy_equations(&copy);
  int first_state = 0;
  add_sources(elaboration, &copy, &first_state);
  if (diagnostics_error_count(elaboration->diagnostics)) return NULL;
  add_results(elaboration, &copy, &rows, outputs, objective, first_state);
  add_ignored(elaboration, copy.program);
  if (diagnostics_error_count(elaboration->diagnostics)) return NULL;
  return copy.program;
}
