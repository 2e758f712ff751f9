/* explain.c - `seqc --explain MODEL`: for each recurrence its class and the terms that prove it, the schedule that lowering chose,
 * what that costs, what stands in the way of more threads; then products, what was hoisted, and what is kept from step to step.
 *
 * Classes come from passes/recurrence.h, decisions from the report that the passes filled; nothing is worked out again here but costs.
 */
#include "driver/explain.h"

#include "driver/author_text.h"
#include "passes/combine.h"

typedef struct Explainer {
  FILE *stream;
  Arena *arena;
  const Program *program;      /* as written */
  const PipelineResult *lowered;
  Recurrences found;
} Explainer;

static const char *place(const Explainer *explainer, SourceRange source) {
  return source.file ? arena_format(explainer->arena, "%s:%d", source.file->path, source.line) : "";
}

static void line(const Explainer *explainer, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line(const Explainer *explainer, const char *what, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(explainer->stream, "  %-10s ", what);
  vfprintf(explainer->stream, format, arguments);
  fputs("\n", explainer->stream);
  va_end(arguments);
}

/* ---- class ----------------------------------------------------------------------------------------------------------- */

static const char *class_text(const Explainer *explainer, const Recurrence *recurrence) {
  Arena *arena = explainer->arena;
  const char *name = recurrence_class_names[recurrence->class];
  const char *constant = recurrence->is_constant ? ", constant in time" : "";
  long long size = (long long)recurrence->size;
  const Program *program = explainer->found.program;
  switch (recurrence->class) {
  case RECURRENCE_NONLINEAR:
  case RECURRENCE_TURNS:
  case RECURRENCE_SHIFT: return name;
  case RECURRENCE_RESCALED: return arena_format(arena, "%s, relative to the running maximum '%s'", name, program->tensors[recurrence->scale].name);
  case RECURRENCE_LOW_RANK:
    return arena_format(arena, "%s: what stays in place, plus a matrix of rank %lld of %lld x %lld%s", name, (long long)recurrence->rank, size, size, constant);
  case RECURRENCE_BLOCKS: return arena_format(arena, "%s: matrices of %lld x %lld%s", name, size, size, constant);
  case RECURRENCE_MATRIX:
    if (size == 0) return arena_format(arena, "%s%s", name, constant);
    return arena_format(arena, "%s: matrices of %lld x %lld%s", name, size, size, constant);
  case RECURRENCE_EXTREMAL: {
    bool is_min = recurrence->states[0].form->kind == FORM_MIN;
    return arena_format(arena, "%s%s%s", is_min ? "min-plus" : name, size == 1 ? ", diagonal" : "", constant);
  }
  default: return arena_format(arena, "%s%s", name, constant);
  }
}

static const char *term_text(const Explainer *explainer, const FormTerm *term, bool is_extremal) {
  const Program *program = explainer->found.program;
  Text text = {.arena = explainer->arena};
  const Expr *read = program_read((Program *)(uintptr_t)program, term->read->id, term->read->args, NULL);
  bool is_one = expr_is_number(term->coefficient, is_extremal ? 0 : 1);
  if (term->bound_count) {
    text_add(&text, is_extremal ? "max[" : "sum[");
    for (int n = 0; n < term->bound_count; n++) text_format(&text, "%s%s'", n ? "," : "", program->indices[term->bound[n]].name);
    if (term->guard) text_format(&text, " where %s", author_text(program, term->guard, term->bound_count, term->bound));
    text_add(&text, "](");
  }
  if (!is_one) {
    bool is_sum = term->coefficient->op == OP_ADD || term->coefficient->op == OP_SUB || term->coefficient->op == OP_SELECT;
    const char *coefficient = author_text(program, term->coefficient, term->bound_count, term->bound);
    text_format(&text, is_sum && !is_extremal ? "(%s)" : "%s", coefficient);
    text_add(&text, is_extremal ? " + " : " * ");
  }
  text_add(&text, author_text(program, read, term->bound_count, term->bound));
  if (term->bound_count) text_add(&text, ")");
  return text_string(&text);
}

/* Each carried tensor as what was found of it: coefficients and carried values; "..." is all that does not depend on the past. */
static void print_terms(const Explainer *explainer, const Recurrence *recurrence) {
  enum { SHOWN = 6 };
  const Program *program = explainer->found.program;
  for (int s = 0; s < recurrence->state_count; s++) {
    const RecurrenceState *state = &recurrence->states[s];
    const Equation *equation = &program->equations[state->equation];
    bool is_extremal = state->form->kind == FORM_MAX || state->form->kind == FORM_MIN;
    const char *target = author_target(program, equation), *join = is_extremal ? "  or" : "   +";
    for (int k = 0; k < state->form->term_count && k < SHOWN; k++) {
      if (k == 0) fprintf(explainer->stream, "    %s = %s%s\n", target, !is_extremal ? "" : state->form->kind == FORM_MAX ? "largest of  " : "smallest of  ", term_text(explainer, &state->form->terms[k], is_extremal));
      else fprintf(explainer->stream, "    %*s %s %s\n", (int)strlen(target) - 2, "", join, term_text(explainer, &state->form->terms[k], is_extremal));
    }
    if (state->form->term_count > SHOWN)
      fprintf(explainer->stream, "    %*s %s %d terms more\n", (int)strlen(target) - 2, "", join, state->form->term_count - SHOWN);
    const Expr *offset = state->form->offset;
    bool is_none = offset && (expr_is_number(offset, 0) || (is_extremal && offset->op == OP_NUMBER));
    if (!is_none)
      fprintf(explainer->stream, "    %*s %s %s\n", (int)strlen(target) - 2, "", join, offset ? author_text(program, offset, 0, NULL) : "...");
  }
}

static void print_nonlinear(const Explainer *explainer, const Recurrence *recurrence) {
  const Program *program = explainer->found.program;
  SourceRange source = program->equations[recurrence->culprit_equation].source;
  const Expr *culprit = recurrence->culprit;
  if (culprit && culprit->source.file) source = culprit->source;
  if (culprit) line(explainer, "because", "%s: %s   (%s)", recurrence->why, author_text(program, culprit, 0, NULL), place(explainer, source));
  else line(explainer, "because", "%s   (%s)", recurrence->why, place(explainer, source));
}

static void print_combine(const Explainer *explainer, const Recurrence *recurrence) {
  if (recurrence->class == RECURRENCE_RESCALED) {
    const char *m = explainer->found.program->tensors[recurrence->scale].name;
    line(explainer, "combine", "(g, m, b) of a piece, g being what %s grows by and m its maximum from nothing, and of the next one give", m);
    line(explainer, "", "(g' + g, M, exp(m + g' - M) * b + exp(m' - M) * b') with M = max(m + g', m')");
    return;
  }
  Combine combine = recurrence_combine(&explainer->found, recurrence);
  if (!combine.size) {
    bool is_extremal = recurrence->states[0].form->kind != FORM_AFFINE;
    line(explainer, "combine", is_extremal ? "(A, b) and (A', b') give (A' A, A' b or b'), with + for the product and the larger for the sum"
                                           : "(A, b) and (A', b') give (A' A, A' b + b')");
    return;
  }
  Text text = {.arena = explainer->arena};
  for (int s = 0; s < combine.size; s++)
    for (int r = 0; r < combine.size; r++) {
      const Expr *whole = combine.whole[s][r];
      bool is_told = recurrence->class == RECURRENCE_COMPLEX && r > 0; /* the second column follows from the first */
      if (whole && whole->op != OP_NUMBER && !is_told) text_format(&text, "%s%s", text.length ? ", " : "", author_text(combine.program, whole, 0, NULL));
    }
  for (int s = 0; s < combine.size; s++) text_format(&text, "%s%s", text.length ? ", " : "", author_text(combine.program, combine.offset[s], 0, NULL));
  line(explainer, "combine", "a piece and the next one (with ') give (%s)", text_string(&text));
}

static void print_legal(const Explainer *explainer, const Recurrence *recurrence) {
  line(explainer, "legal", "step after step%s%s%s", recurrence->has_split ? "; split over time" : "", recurrence->has_convolution ? "; convolution" : "",
       recurrence->has_products ? "; products of chunks" : "");
}

/* ---- schedule -------------------------------------------------------------------------------------------------------- */

static bool has_name(const ReportEntry *entry, const char *name) {
  for (int n = 0; n < entry->name_count; n++)
    if (strcmp(entry->names[n], name) == 0) return true;
  return false;
}

static const char *name_list(const Explainer *explainer, int count, const char *const *names) {
  Text text = {.arena = explainer->arena};
  for (int n = 0; n < count; n++) text_format(&text, "%s%s", n ? ", " : "", names[n]);
  return text_string(&text);
}

/* The loop of this entry point that computes the tensor, or NULL. */
static const ReportEntry *loop_of(const Explainer *explainer, EntryKind entry, const char *tensor) {
  const Report *report = explainer->lowered->report;
  const ReportEntry *found = NULL;
  for (int n = 0; n < report->count; n++) {
    const ReportEntry *item = &report->items[n];
    bool is_loop = item->kind == REPORT_LOOP || item->kind == REPORT_SCAN || item->kind == REPORT_SWEEP || item->kind == REPORT_REVERSE ||
                   item->kind == REPORT_SPLIT;
    bool is_settled = found && (found->kind == REPORT_SPLIT || found->kind == REPORT_REVERSE);
    if (is_loop && item->entry == entry && has_name(item, tensor) && !is_settled) found = item;
  }
  return found;
}

static const char *schedule_text(const Explainer *explainer, const ReportEntry *entry) {
  switch (entry->kind) {
  case REPORT_LOOP: return "one loop over the steps; in each, all threads share out the work and wait for each other";
  case REPORT_SCAN: return "the steps run inside of each thread's share of the elements: no waiting";
  case REPORT_SWEEP:
    return arena_format(explainer->arena, "the steps run inside of each thread's share, together with what is read out; of %s one step is kept",
                        name_list(explainer, entry->other_count, entry->others));
  case REPORT_REVERSE:
    return arena_format(explainer->arena, "back through time inside of each thread's share; of %s every %s steps one is kept, the others are computed again",
                        name_list(explainer, entry->other_count, entry->others), author_text(entry->program, entry->depth, 0, NULL));
  case REPORT_SPLIT:
    return arena_format(explainer->arena, "split over time into pieces of %s steps: from zero, combined, and once more from the right start",
                        author_text(entry->program, entry->depth, 0, NULL));
  default: return "";
  }
}

/* ---- cost ------------------------------------------------------------------------------------------------------------ */

typedef struct Cost {
  int64_t multiply_adds, functions;
  bool is_open; /* some size is known at run time only */
} Cost;

static void count_operations(void *context, const Expr *expr) {
  Cost *cost = context;
  if (expr->type != TYPE_REAL || expr->arg_count == 0 || expr->op == OP_READ) return;
  bool adds_product = (expr->op == OP_ADD || expr->op == OP_SUB) && (expr->args[0]->op == OP_MUL || expr->args[1]->op == OP_MUL);
  if (op_table[expr->op].flags & FLAG_COSTLY) cost->functions++;
  else if (!adds_product && expr->op != OP_TO_REAL && expr->op != OP_STOP_GRADIENT && expr->op != OP_NEG) cost->multiply_adds++;
}

/* Along the loop's axis, that of pieces and that of the batch, there is one step and one row. */
static bool is_counted(const Program *program, const Equation *equation, int axis, const char *step) {
  Size size = program->tensors[equation->target].shape[axis];
  SymbolKind kind = size.symbol != NONE ? program->symbols[size.symbol].kind : SYMBOL_LENGTH;
  return kind != SYMBOL_BATCH && kind != SYMBOL_DERIVED && strcmp(program->indices[equation->indices[axis]].name, step) != 0;
}

static void add_cost(const Program *program, const Equation *equation, const char *step, Cost *total) {
  int64_t elements = 1, terms = 1;
  for (int n = 0; n < program->tensors[equation->target].rank; n++) {
    if (!is_counted(program, equation, n, step)) continue;
    Size size = program->tensors[equation->target].shape[n];
    if (size.symbol != NONE) total->is_open = true;
    else elements *= size.constant;
  }
  for (int n = 0; n < equation->reduce_count; n++) {
    const Index *index = &program->indices[equation->reduce_indices[n]];
    if (index->high.symbol != NONE || index->low.symbol != NONE) total->is_open = true;
    else terms *= index->high.constant - index->low.constant;
  }
  Cost value = {0}, body = {0};
  if (equation->value) expr_visit(equation->value, count_operations, &value);
  if (equation->body) expr_visit(equation->body, count_operations, &body);
  if (equation->body && equation->body->op != OP_MUL) body.multiply_adds++;
  total->multiply_adds += elements * (value.multiply_adds + terms * body.multiply_adds);
  total->functions += elements * (value.functions + terms * body.functions);
}

/* The equation is one of those that a split made of the named ones. */
static bool is_of_pieces(const Explainer *explainer, const ReportEntry *entry, int equation) {
  static const char *const phases[] = {"local", "factor", "piece"};
  const char *target = entry->program->tensors[entry->program->equations[equation].target].name;
  for (int n = 0; n < entry->name_count; n++)
    for (int k = 0; k < 3; k++)
      if (strcmp(target, arena_format(explainer->arena, "%s.%s", entry->names[n], phases[k])) == 0) return true;
  return false;
}

/* Of what the loop of the forward kernel was left with. */
static void print_cost(const Explainer *explainer, const Recurrence *recurrence, const ReportEntry *forward) {
  Cost cost = {0};
  const Program *program = explainer->found.program;
  bool is_split = forward->kind == REPORT_SPLIT;
  const char *step = is_split ? "s" : program->indices[recurrence->loop->index].name;
  for (int n = 0; n < forward->program->equation_count; n++)
    if (is_split ? is_of_pieces(explainer, forward, n) : has_name(forward, forward->program->tensors[forward->program->equations[n].target].name))
      add_cost(forward->program, &forward->program->equations[n], step, &cost);
  int64_t bytes = 0;
  for (int s = 0; s < recurrence->state_count; s++) {
    const Tensor *tensor = &program->tensors[recurrence->states[s].tensor];
    int64_t size = 4 * recurrence->states[s].lag;
    for (int n = 0; n < tensor->rank; n++)
      if (n != recurrence->states[s].axis && tensor->shape[n].symbol == NONE) size *= tensor->shape[n].constant;
    bytes += size;
  }
  const char *more = cost.is_open ? ", times the sizes that are known at run time" : "";
  line(explainer, "cost", "a step of one row: %lld multiply-adds, %lld functions such as exp; %lld bytes of state%s", (long long)cost.multiply_adds,
       (long long)cost.functions, (long long)bytes, more);
}

static void print_schedule(const Explainer *explainer, const Recurrence *recurrence) {
  const Program *program = explainer->found.program;
  const char *name = program->tensors[recurrence->states[0].tensor].name;
  const ReportEntry *forward = loop_of(explainer, ENTRY_FORWARD, name);
  const ReportEntry *gradient = loop_of(explainer, ENTRY_GRADIENT, arena_format(explainer->arena, "d.%s", name));
  if (forward) line(explainer, "schedule", "%s", schedule_text(explainer, forward));
  else line(explainer, "schedule", "no loop is left of it");
  if (gradient) line(explainer, "gradient", "%s", schedule_text(explainer, gradient));
  if (forward) print_cost(explainer, recurrence, forward);
}

/* ---- what is in the way ----------------------------------------------------------------------------------------------- */

static const char *axis_names(const Explainer *explainer, const Recurrence *recurrence, bool is_mixed) {
  const Program *program = explainer->found.program;
  const RecurrenceState *state = &recurrence->states[0];
  const Equation *equation = &program->equations[state->equation];
  Text text = {.arena = explainer->arena};
  for (int n = 0; n < program->tensors[state->tensor].rank; n++)
    if (n != state->axis && state->is_mixed[n] == is_mixed) text_format(&text, "%s%s", text.length ? ", " : "", program->indices[equation->indices[n]].name);
  return text_string(&text);
}

static void print_blocks(const Explainer *explainer, const Recurrence *recurrence) {
  if (recurrence->class == RECURRENCE_NONLINEAR) {
    line(explainer, "blocked", "a step needs the one before: no composition of steps is simpler than running them; rows of the batch are independent");
    return;
  }
  const char *free = axis_names(explainer, recurrence, false), *mixed = axis_names(explainer, recurrence, true);
  if (*mixed) line(explainer, "parallel", "over the batch%s%s; elements mix along %s", *free ? ", " : "", free, mixed);
  else line(explainer, "parallel", "over the batch%s%s; no elements mix", *free ? ", " : "", free);
}

/* A loop around others, or over the turns of a repeat: not over time. */
static bool is_turns(const Program *program, const Recurrence *recurrence) {
  bool is_constant = program->indices[recurrence->loop->index].high.symbol == NONE;
  return recurrence->class == RECURRENCE_TURNS || (is_constant && recurrence->class == RECURRENCE_NONLINEAR);
}

static void print_recurrence(const Explainer *explainer, const Recurrence *recurrence) {
  const Program *program = explainer->found.program;
  const char *axis = program->indices[recurrence->loop->index].name;
  const char *direction = recurrence->loop->is_reversed ? ", from the last step to the first" : "";
  if (is_turns(program, recurrence)) {
    fprintf(explainer->stream, "\nloop over %s: one turn after the other, compiled once\n", axis);
    return;
  }
  const char **names = ARENA_ARRAY(explainer->arena, const char *, recurrence->state_count);
  for (int s = 0; s < recurrence->state_count; s++) names[s] = program->tensors[recurrence->states[s].tensor].name;
  SourceRange source = program->equations[recurrence->states[0].equation].source;
  fprintf(explainer->stream, "\nrecurrence of %s over %s%s   (%s)\n", name_list(explainer, recurrence->state_count, names), axis, direction,
          place(explainer, source));
  line(explainer, "class", "%s", class_text(explainer, recurrence));
  if (recurrence->class == RECURRENCE_NONLINEAR) print_nonlinear(explainer, recurrence);
  else {
    print_terms(explainer, recurrence);
    print_combine(explainer, recurrence);
  }
  print_legal(explainer, recurrence);
  print_schedule(explainer, recurrence);
  print_blocks(explainer, recurrence);
}

/* ---- products, what was hoisted, state --------------------------------------------------------------------------------- */

static void print_products(const Explainer *explainer) {
  const Report *report = explainer->lowered->report;
  bool is_first = true;
  for (int n = 0; n < report->count; n++) {
    const ReportEntry *item = &report->items[n];
    if (item->kind != REPORT_PRODUCT || item->entry != ENTRY_FORWARD) continue;
    if (is_first) fprintf(explainer->stream, "\nproducts of matrices: rows x columns, terms\n");
    is_first = false;
    const char *rows = author_text(item->program, item->rows, 0, NULL), *columns = author_text(item->program, item->columns, 0, NULL);
    fprintf(explainer->stream, "  %-24s %s x %s, %s   (%s)\n", item->names[0], rows, columns, author_text(item->program, item->depth, 0, NULL),
            place(explainer, item->source));
  }
}

static void print_size(const Explainer *explainer, int64_t bytes, PackedFormat format) {
  static const char *const units[] = {"bytes", "KB", "MB"};
  int unit = 0;
  for (; unit < 2 && bytes >= 10000; unit++) bytes = (bytes + 500) / 1000;
  fprintf(explainer->stream, "%s%lld %s as %s", format ? ", " : "", (long long)bytes, units[unit], packed_format_names[format]);
}

/* What sessions keep of parameters in the order of products, beside the parameters; the padding of panels with it. */
static void print_packed(const Explainer *explainer) {
  const Report *report = explainer->lowered->report;
  int64_t elements = 0, scales = 0;
  for (int n = 0; n < report->count; n++) {
    if (report->items[n].kind != REPORT_PRODUCT || report->items[n].entry != ENTRY_FORWARD) continue;
    elements += report->items[n].packed_elements;
    scales += report->items[n].packed_scales;
  }
  if (!elements) return;
  fprintf(explainer->stream, "\nparameters of products, packed once for many calls: ");
  for (int n = PACKED_F32; n <= PACKED_INT8; n++) {
    Buffer kept = {.format = (PackedFormat)n};
    print_size(explainer, elements * buffer_element_bytes(&kept) + (n == PACKED_INT8 ? 2 * scales : 0), (PackedFormat)n);
  }
  fprintf(explainer->stream, " (--packed)\n");
}

static void print_hoisted(const Explainer *explainer) {
  const Report *report = explainer->lowered->report;
  bool is_first = true;
  for (int n = 0; n < report->count; n++) {
    const ReportEntry *item = &report->items[n];
    const Equation *definition = NULL;
    if (item->kind != REPORT_HOIST || item->entry != ENTRY_FORWARD) continue;
    for (int t = 0; t < item->program->tensor_count; t++)
      if (strcmp(item->program->tensors[t].name, item->names[0]) == 0) definition = program_definition(item->program, t);
    if (!definition || !definition->value) continue; /* merged with another one since */
    if (is_first) fprintf(explainer->stream, "\ncomputed once, before it is used again and again\n");
    is_first = false;
    fprintf(explainer->stream, "  %s   (%s)\n", author_text(item->program, definition->value, 0, NULL), place(explainer, item->source));
  }
}

/* Of one row; where a piece grows, of one step. 0: not known while compiling. */
static int64_t state_bytes(const StatePiece *piece, const Program *program) {
  int64_t bytes = piece->type == TYPE_BOOL ? 1 : 4;
  for (int n = 0; n < piece->rank; n++) {
    Size size = piece->shape[n];
    if (n == piece->grown_axis || (size.symbol != NONE && program->symbols[size.symbol].kind == SYMBOL_BATCH)) continue;
    if (size.symbol != NONE) return 0;
    bytes *= size.constant;
  }
  return bytes;
}

/* A carried piece is named after what it fills: its first axis counts steps. */
static const char *piece_kind(const Explainer *explainer, const StatePiece *piece) {
  if (piece->grown_axis != NONE) return "history cache";
  if (piece->is_declared) return "shown as declared";
  int64_t steps = piece->rank ? piece->shape[0].constant : 1;
  return steps > 1 ? arena_format(explainer->arena, "ring buffer of %lld steps", (long long)steps) : "register";
}

static const char *piece_name(const Explainer *explainer, const char *name) {
  static const char *const endings[] = {".past", ".before", ".seen", ".final"};
  for (int n = 0; n < 4; n++) {
    size_t length = strlen(name), ending = strlen(endings[n]);
    if (length > ending && strcmp(name + length - ending, endings[n]) == 0) name = arena_string_length(explainer->arena, name, length - ending);
  }
  return strncmp(name, "state.", 6) == 0 ? name + 6 : name;
}

/* Outputs that need more than the past. */
static void print_refusals(const Explainer *explainer) {
  const Program *program = explainer->lowered->batched;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->kind != PORT_OUTPUT || port->streams || !port->why_not) continue;
    fprintf(explainer->stream, "  %s does not stream: %s   (%s)\n", port->name, port->why_not, place(explainer, port->why_not_source));
  }
}

static void print_state(const Explainer *explainer) {
  const Module *module = explainer->lowered->module;
  if (!module->has_step) {
    fprintf(explainer->stream, "\nno streaming: %s\n", module->why_no_step);
    return;
  }
  int64_t total = 0, grown = 0;
  fprintf(explainer->stream, "\nkept from step to step\n");
  for (int n = 0; n < module->piece_count; n++) {
    const StatePiece *piece = &module->pieces[n];
    const char *name = piece_name(explainer, piece->name);
    if (piece->shown != NONE) { /* lies in another piece */
      fprintf(explainer->stream, "  %-24s shown as declared\n", name);
      continue;
    }
    int64_t bytes = state_bytes(piece, module->interface);
    *(piece->grown_axis != NONE ? &grown : &total) += bytes;
    const char *each = piece->grown_axis != NONE ? " and step" : "";
    if (bytes) fprintf(explainer->stream, "  %-24s %s, %lld bytes a row%s\n", name, piece_kind(explainer, piece), (long long)bytes, each);
    else fprintf(explainer->stream, "  %-24s %s, of sizes known at run time\n", name, piece_kind(explainer, piece));
  }
  const char *more = grown ? arena_format(explainer->arena, " and %lld more for each step", (long long)grown) : "";
  fprintf(explainer->stream, "  together %lld bytes a row%s\n", (long long)total, more);
  print_refusals(explainer);
}

void explain_print(FILE *stream, const Program *program, const PipelineResult *lowered, Diagnostics *diagnostics) {
  Explainer explainer = {.stream = stream, .arena = program->arena, .program = program, .lowered = lowered};
  explainer.found = recurrences_find(program, diagnostics);
  fprintf(stream, "%s: ", program->name);
  int count = 0;
  for (int n = 0; n < explainer.found.count; n++) count += !is_turns(explainer.found.program, &explainer.found.items[n]);
  fprintf(stream, count == 1 ? "%d recurrence\n" : "%d recurrences\n", count);
  for (int n = 0; n < explainer.found.count; n++) print_recurrence(&explainer, &explainer.found.items[n]);
  print_products(&explainer);
  print_packed(&explainer);
  print_hoisted(&explainer);
  print_state(&explainer);
}
