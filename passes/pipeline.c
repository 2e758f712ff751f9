/* pipeline.c - every pass, in order, in one place.
 *
 *     equations as written
 *       batch, position, lags, reach, history, keep `batched`: the interface, and what the interpreter runs
 *       basis
 *         |-- forward:   outputs, the objective and states, each where it is wanted
 *         |-- gradient:  differentiate .......... `gradient`: what the interpreter runs for gradients
 *         '-- initial:   the state before the first step
 *       each: carry, isolate, then simplify .. hoist, in a gradient recompute, then lower to a kernel
 */
#include "passes/pipeline.h"

#include <time.h>

#include "passes/passes.h"

typedef struct PassRow {
  const char *name;
  EquationsPass *run;
  bool is_optional;
  const char *help;
} PassRow;

static const PassRow pass_table[] = {
#define PASS(name, is_optional, help) {#name, pass_##name, is_optional, help},
#include "passes/passes.def"
#undef PASS
};
enum { PASS_COUNT = sizeof pass_table / sizeof *pass_table };

static const char lower_name[] = "lower";

typedef struct Runner {
  Arena *arena;
  const PipelineOptions *options;
  PassContext context;
  double seconds[PASS_COUNT + 1];
  bool is_stopped;
} Runner;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static const PassRow *find_pass(const char *name) {
  for (int n = 0; n < PASS_COUNT; n++)
    if (!strcmp(pass_table[n].name, name)) return &pass_table[n];
  return NULL;
}

static bool is_disabled(const Runner *runner, const PassRow *row) {
  if (!row->is_optional) return false;
  if (runner->options->optimisation == 0 && strcmp(row->name, "dead")) return true;
  for (int n = 0; n < runner->options->disable_count; n++)
    if (!strcmp(runner->options->disabled[n], row->name)) return true;
  return false;
}

static bool is_dumped(const Runner *runner, const char *name) {
  return runner->options->dump && (!strcmp(runner->options->dump, "all") || !strcmp(runner->options->dump, name));
}

static void dump_program(const Runner *runner, const char *pass, const char *what, const Program *program, bool changed) {
  if (!changed) {
    fprintf(runner->options->dump_stream, "# %s after %s: (unchanged)\n", what, pass);
    return;
  }
  Text text = {.arena = runner->arena};
  equations_print(&text, program);
  fprintf(runner->options->dump_stream, "# %s after %s\n%s\n", what, pass, text_string(&text));
}

/* Runs one pass on the program of one entry: times, dumps, verifies. */
static bool run(Runner *runner, const char *name, const char *what, Program *program) {
  const PassRow *row = find_pass(name);
  if (runner->is_stopped || is_disabled(runner, row)) return false;
  double start = now();
  bool changed = row->run(program, &runner->context);
  runner->seconds[row - pass_table] += now() - start;
  if (is_dumped(runner, name)) dump_program(runner, name, what, program, changed);
  if (runner->options->is_verifying) {
    const char *violation = equations_verify(program);
    if (violation) internal_error("after pass '%s' on %s: %s", name, what, violation);
  }
  if (runner->options->stop_after && !strcmp(runner->options->stop_after, name)) runner->is_stopped = true;
  return changed;
}

/* The optimisations that every program gets; each may make room for the others. */
static void optimise(Runner *runner, const char *what, Program *program) {
  run(runner, "dead", what, program);
  for (int round = 0; round < 3; round++) {
    bool changed = run(runner, "simplify", what, program);
    changed |= run(runner, "drop_axes", what, program);
    changed |= run(runner, "common", what, program);
    changed |= run(runner, "dead", what, program);
    if (!changed) break;
  }
  if (run(runner, "split_time", what, program)) {
    run(runner, "simplify", what, program);
    run(runner, "dead", what, program);
  }
  if (run(runner, "zeros", what, program)) run(runner, "simplify", what, program);
  run(runner, "share", what, program); /* while parts that are the same still look the same */
  run(runner, "reciprocal", what, program);
  if (run(runner, "factor_sums", what, program)) run(runner, "simplify", what, program);
  run(runner, "common", what, program);
  if (run(runner, "pick", what, program)) run(runner, "common", what, program);
  run(runner, "order_sums", what, program);
  run(runner, "split_sums", what, program);
  run(runner, "dead", what, program);
  run(runner, "base_two", what, program);
  run(runner, "hoist", what, program); /* after the others have made expressions small */
  run(runner, "common", what, program);
  run(runner, "dead", what, program);
}

/* The equations of one entry as they are lowered, for whatever machine. False when there is nothing more to do. */
static bool prepare(Runner *runner, Program *program, EntryKind entry, bool has_step) {
  const char *what = entry_names[entry];
  if (runner->context.report) runner->context.report->entry = entry;
  if (has_step && entry != ENTRY_INITIAL) run(runner, "carry", what, program);
  run(runner, "isolate", what, program);
  optimise(runner, what, program);
  if (entry == ENTRY_GRADIENT) run(runner, "recompute", what, program); /* after all that would merge it again */
  return !runner->is_stopped && !diagnostics_error_count(runner->context.diagnostics);
}

static Kernel *make_kernel(Runner *runner, const Program *program, EntryKind entry, const Machine *machine) {
  const char *what = entry_names[entry];
  double start = now();
  runner->context.machine = machine;
  Kernel *kernel = lower_program(runner->arena, program, entry, &runner->context);
  runner->seconds[PASS_COUNT] += now() - start;
  if (!kernel) return NULL;
  if (is_dumped(runner, lower_name)) {
    Text text = {.arena = runner->arena};
    kernel_print(&text, kernel);
    fprintf(runner->options->dump_stream, "# %s after lower\n%s\n", what, text_string(&text));
  }
  if (runner->options->is_verifying) {
    const char *violation = loops_verify(kernel);
    if (!violation && kernel->pack) violation = loops_verify(kernel->pack);
    if (violation) internal_error("after lowering %s: %s", what, violation);
  }
  return kernel;
}

/* ---- the module ---------------------------------------------------------------------------------------------------- */

static bool has_port(const Program *program, PortKind kind) {
  for (int n = 0; n < program->port_count; n++)
    if (program->ports[n].kind == kind) return true;
  return false;
}

/* What comes in for the piece, where it holds all steps so far; else NULL. */
static const Tensor *past_of(const Program *carried, const Port *out) {
  const Tensor *past = out->kind == PORT_CARRY_OUT ? &carried->tensors[carried->ports[out->of].tensor] : NULL;
  SymbolId slots = past ? past->shape[0].symbol : NONE;
  return slots != NONE && carried->symbols[slots].kind == SYMBOL_POSITION ? past : NULL;
}

/* The carried piece with all steps so far that the declared state shows, or NONE. */
static int shown_piece(const Module *module, const Program *carried, const Port *declared) {
  const Equation *equation = program_definition(carried, declared->tensor);
  const Expr *read = equation && equation->reduce == REDUCE_NONE ? equation->value : NULL;
  SymbolId history = program_find_symbol(carried, SYMBOL_HISTORY);
  bool grows = false;
  for (int n = 0; n < carried->tensors[declared->tensor].rank; n++)
    grows |= history != NONE && carried->tensors[declared->tensor].shape[n].symbol == history;
  for (int n = 0; grows && read && read->op == OP_READ && n < module->piece_count; n++) {
    const Tensor *past = past_of(carried, &carried->ports[module->pieces[n].port]);
    if (past && past->boundary_of == read->id) return n;
  }
  return NONE;
}

static bool is_kept(const Program *carried, const Port *port) {
  return port->kind == PORT_CARRY_OUT && carried->tensors[carried->ports[port->of].tensor].is_kept;
}

/* The axes of a piece with all steps so far as they lie in memory. */
static void put_in_order(const Module *module, const Program *carried, const Tensor *past, StatePiece *piece) {
  int *order = ARENA_ARRAY(module->arena, int, piece->rank);
  Size *shape = ARENA_ARRAY(module->arena, Size, piece->rank);
  program_history_order(carried, past->boundary_of, past->boundary_axis, order);
  for (int n = 0; n < piece->rank; n++) {
    shape[n] = piece->shape[order[n]];
    if (order[n] == past->boundary_axis) piece->grown_axis = n;
  }
  piece->shape = shape;
}

/* Among the pieces that are carried. */
static int carry_number(const Program *program, int port) {
  int number = 0;
  for (int n = 0; n < port; n++) number += program->ports[n].kind == PORT_CARRY_OUT;
  return number;
}

/* What is kept comes last: the rest stays where it is when the size of that changes. */
static void add_pieces(Module *module, const Program *carried, int *const *orders) {
  for (int round = 0; round < 3; round++)
    for (int n = 0; n < carried->port_count; n++) {
      const Port *port = &carried->ports[n];
      if (port->kind != (round == 1 ? PORT_FINAL_STATE : PORT_CARRY_OUT) || (round == 2) != is_kept(carried, port)) continue;
      const Tensor *past = past_of(carried, port), *tensor = &carried->tensors[past ? past->boundary_of : port->tensor];
      StatePiece piece = {port->name, tensor->type, tensor->rank, tensor->shape, n, round == 1, past ? past->boundary_axis : NONE, NONE, NULL};
      if (past) put_in_order(module, carried, past, &piece);
      else if (round != 1) piece.order = orders[carry_number(carried, n)];
      if (round == 1) piece.shown = shown_piece(module, carried, port);
      ARENA_PUSH(module->arena, module->pieces, module->piece_count, piece);
    }
}

typedef struct CheckSearch {
  Module *module;
  const Program *program;
  bool has_condition; /* in the equation: it may keep inside what it reads */
} CheckSearch;

static int input_number(const Program *program, TensorId tensor) {
  int number = 0;
  for (int n = 0; n < program->port_count; n++) {
    if (program->ports[n].kind != PORT_INPUT) continue;
    if (program->ports[n].tensor == tensor) return number;
    number++;
  }
  return NONE;
}

/* An integer input that is an index: its values must lie in the axis. */
static void find_check(void *context, const Expr *expr) {
  CheckSearch *search = context;
  if (expr->op != OP_READ || expr->outside) return;
  for (int n = 0; n < expr->arg_count; n++) {
    Size extent = search->program->tensors[expr->id].shape[n];
    if (expr->args[n]->op != OP_READ || (extent.symbol != NONE && search->has_condition)) continue;
    int input = input_number(search->program, expr->args[n]->id);
    if (input == NONE) continue;
    Module *module = search->module;
    InputCheck check = {input, 0, extent};
    int at = 0;
    while (at < module->check_count && (module->checks[at].input != input || module->checks[at].high.symbol != extent.symbol)) at++;
    if (at == module->check_count)
      ARENA_PUSH(module->arena, module->checks, module->check_count, check);
    else if (extent.constant < module->checks[at].high.constant)
      module->checks[at].high = extent;
  }
}

static void find_condition(void *context, const Expr *expr) {
  if (expr->op == OP_SELECT) ((CheckSearch *)context)->has_condition = true;
}

static void add_checks(Module *module, const Program *program) {
  CheckSearch search = {module, program, false};
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    const Expr *parts[] = {equation->value, equation->guard, equation->body};
    search.has_condition = equation->guard != NULL;
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], find_condition, &search);
    for (int p = 0; p < 3; p++)
      if (parts[p]) expr_visit(parts[p], find_check, &search);
  }
}

static const char *reason_text(Arena *arena, const Port *port) {
  if (!port) return "the model has no time axis";
  SourceRange where = port->why_not_source;
  const char *why = port->why_not ? port->why_not : "no output streams";
  return where.file ? arena_format(arena, "%s:%d: %s", where.file->path, where.line, why) : why;
}

/* All that does not depend on the machine. */
static Module *make_interface(Runner *runner, const Program *batched) {
  Arena *arena = runner->arena;
  Module *module = ARENA_NEW(arena, Module);
  module->arena = arena;
  module->name = batched->name;
  module->interface = batched;
  const Port *reason = NULL;
  module->has_step = program_find_symbol(batched, SYMBOL_STREAM) != NONE && program_has_step(batched, &reason);
  if (!module->has_step) module->why_no_step = reason_text(arena, reason);
  module->has_objective = has_port(batched, PORT_OBJECTIVE);
  add_checks(module, batched);
  module->limits = program_limits(program_clone(arena, batched));
  return module;
}

/* A module for each machine, with the interface of `batched`; NULL after errors or when stopped. */
static Module **make_modules(Runner *runner, const Program *batched, const Program *changed, const Program *gradient) {
  Arena *arena = runner->arena;
  int count = runner->options->machine_count;
  Module *module = make_interface(runner, batched), **modules = ARENA_ARRAY(arena, Module *, count);
  Kernel *(*kernels)[ENTRY_COUNT] = arena_allocate(arena, sizeof *kernels * (size_t)count);
  for (int entry = 0; entry < ENTRY_COUNT && !runner->is_stopped; entry++) {
    Program *program = program_clone(arena, entry == ENTRY_GRADIENT && gradient ? gradient : changed);
    if (entry == ENTRY_INITIAL) program_keep_initial(program);
    if (entry == ENTRY_PACK) continue; /* comes with the forward kernel */
    bool is_missing = entry == ENTRY_OBJECTIVE || /* the forward kernel computes it when it is asked for */
                      (entry == ENTRY_GRADIENT && !gradient) ||
                      (entry == ENTRY_INITIAL && !module->has_step);
    if (is_missing) continue;
    bool is_ready = prepare(runner, program, (EntryKind)entry, module->has_step);
    if (entry == ENTRY_FORWARD) runner->context.carry_orders = ARENA_ARRAY(arena, int *, carry_number(program, program->port_count));
    for (int n = 0; is_ready && n < count; n++) kernels[n][entry] = make_kernel(runner, program, (EntryKind)entry, &runner->options->machines[n]);
    if (entry == ENTRY_FORWARD) add_pieces(module, program, runner->context.carry_orders);
  }
  bool packs = false;
  for (int n = 0; n < count; n++) packs |= kernels[n][ENTRY_FORWARD] && kernels[n][ENTRY_FORWARD]->pack;
  for (int n = 0; n < count; n++) {
    modules[n] = arena_copy(arena, module, sizeof *module);
    memcpy(modules[n]->kernels, kernels[n], sizeof kernels[n]);
    Kernel *forward = kernels[n][ENTRY_FORWARD];
    if (packs) modules[n]->kernels[ENTRY_PACK] = forward->pack ? forward->pack : kernel_create(arena, ENTRY_PACK, NULL); /* entries are for all */
    if (module->has_objective) modules[n]->kernels[ENTRY_OBJECTIVE] = forward;
  }
  bool failed = runner->is_stopped || diagnostics_error_count(runner->context.diagnostics) || !count;
  return failed ? NULL : modules;
}

static void print_times(const Runner *runner) {
  double total = 0;
  for (int n = 0; n <= PASS_COUNT; n++) total += runner->seconds[n];
  fprintf(runner->options->dump_stream, "pass                ms\n");
  for (int n = 0; n <= PASS_COUNT; n++)
    fprintf(runner->options->dump_stream, "%-14s %8.2f\n", n < PASS_COUNT ? pass_table[n].name : lower_name, 1e3 * runner->seconds[n]);
  fprintf(runner->options->dump_stream, "%-14s %8.2f\n", "all", 1e3 * total);
}

static bool has_real_source(const Program *program) {
  for (int n = 0; n < program->port_count; n++) {
    PortKind kind = program->ports[n].kind;
    bool is_source = kind == PORT_PARAMETER || kind == PORT_INPUT || kind == PORT_STATE;
    if (is_source && program->tensors[program->ports[n].tensor].type == TYPE_REAL) return true;
  }
  return false;
}

PipelineResult pipeline_run(Arena *arena, const Program *program, const PipelineOptions *options, Diagnostics *diagnostics) {
  Runner runner = {.arena = arena, .options = options};
  PipelineResult result = {0};
  if (options->is_reporting) {
    result.report = ARENA_NEW(arena, Report);
    result.report->arena = arena;
  }
  runner.context = (PassContext){diagnostics, NULL, options->optimisation, options->piece_steps, options->packed_format, result.report, NULL};
  Program *batched = program_clone(arena, program);
  run(&runner, "batch", "model", batched);
  run(&runner, "position", "model", batched); /* before anything compares times within one call */
  run(&runner, "lags", "model", batched);     /* needs the model as written: no derived equation looks ahead for its author */
  run(&runner, "reach", "model", batched);    /* its conditions count from the first step of all */
  run(&runner, "history", "model", batched);  /* after it indices of one length may count from different steps */
  run(&runner, "keep", "model", batched);
  result.batched = batched;
  Program *changed = program_clone(arena, batched);
  if (!runner.is_stopped) run(&runner, "basis", "model", changed);
  if (has_real_source(batched) && !runner.is_stopped) {
    result.gradient = program_clone(arena, changed);
    run(&runner, "differentiate", "gradient", result.gradient);
  }
  if (!runner.is_stopped) result.modules = make_modules(&runner, batched, changed, result.gradient);
  if (result.modules) result.module = result.modules[0];
  if (options->is_timing) print_times(&runner);
  return result;
}

bool pipeline_has_pass(const char *name) { return !strcmp(name, lower_name) || find_pass(name); }

void pipeline_print_passes(FILE *stream) {
  for (int n = 0; n < PASS_COUNT; n++)
    fprintf(stream, "  %-14s %s%s\n", pass_table[n].name, pass_table[n].help, pass_table[n].is_optional ? " (optional)" : "");
  fprintf(stream, "  %-14s from equations to the loops of one kernel\n", lower_name);
}
