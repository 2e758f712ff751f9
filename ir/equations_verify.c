/* equations_verify.c - what a legal program is.
 *
 * Each rule is one function that returns NULL or a message; rules are listed in equations_verify. Not checked here:
 * that cycles are broken by lags and that indices stay inside, which depends on run-time sizes.
 */
#include <stdlib.h>

#include "ir/expr_verify.h"
#include "ir/program_text.h"

typedef const char *Rule(const Program *program);

static Names names_of(const Program *program) { return (Names){program, NULL}; }
static bool has_tensor(const Program *program, TensorId id) { return id >= 0 && id < program->tensor_count; }
static bool has_port(const Program *program, int id) { return id >= 0 && id < program->port_count; }

static const char *check_symbols(const Program *program) {
  int seen[SYMBOL_DERIVED] = {0};
  for (int n = 0; n < program->symbol_count; n++) {
    const Symbol *symbol = &program->symbols[n];
    if (!symbol->name || !*symbol->name) return arena_format(program->arena, "symbol %d has no name", n);
    if (symbol->kind >= SYMBOL_CAPACITY_IN && symbol->kind <= SYMBOL_MOVED)
      return arena_format(program->arena, "'%s' is %s, which belongs to kernels", symbol->name, symbol_kind_names[symbol->kind]);
    if ((symbol->kind == SYMBOL_DERIVED) != (symbol->formula != NULL))
      return arena_format(program->arena, "'%s' has a formula and is not derived, or the other way round", symbol->name);
    if ((symbol->kind == SYMBOL_RECENT) != (symbol->most > 0) && symbol->kind != SYMBOL_HISTORY)
      return arena_format(program->arena, "'%s' has a bound, or lacks one", symbol->name);
    if (symbol->most && program_find_recent(program, symbol->kind, symbol->most) != n)
      return arena_format(program->arena, "'%s' is a second %s of the same bound", symbol->name, symbol_kind_names[symbol->kind]);
    if (symbol->kind == SYMBOL_HISTORY && symbol->most && program_find_recent(program, SYMBOL_RECENT, symbol->most) == NONE)
      return arena_format(program->arena, "'%s' has no recent steps of its bound", symbol->name);
    if (symbol->kind != SYMBOL_LENGTH && symbol->kind != SYMBOL_DERIVED && !symbol->most && seen[symbol->kind]++)
      return arena_format(program->arena, "'%s' is a second %s", symbol->name, symbol_kind_names[symbol->kind]);
    for (int m = 0; m < n; m++)
      if (!strcmp(program->symbols[m].name, symbol->name))
        return arena_format(program->arena, "two symbols are named '%s'", symbol->name);
  }
  bool has_parts = seen[SYMBOL_STREAM] && seen[SYMBOL_POSITION];
  return seen[SYMBOL_HISTORY] && !has_parts ? "there is a history, but not both a stream and a position" : NULL;
}

static const char *check_indices(const Program *program) {
  for (int n = 0; n < program->index_count; n++) {
    const Index *index = &program->indices[n];
    if (!index->name) return arena_format(program->arena, "index %d has no name", n);
    bool is_valid = size_is_valid(names_of(program), index->high) &&
                    (index->low.symbol == NONE || size_is_valid(names_of(program), index->low));
    if (!is_valid) return arena_format(program->arena, "index %d '%s' has no valid range", n, index->name);
  }
  return NULL;
}

/* The tensor is [slots, axes of the other without the boundary axis]. */
static const char *check_boundary(const Program *program, const Tensor *tensor) {
  if (!has_tensor(program, tensor->boundary_of) || &program->tensors[tensor->boundary_of] == tensor)
    return arena_format(program->arena, "'%s' is the boundary of tensor %d, which is not there", tensor->name,
                        tensor->boundary_of);
  const Tensor *of = &program->tensors[tensor->boundary_of];
  if (tensor->boundary_axis < 0 || tensor->boundary_axis >= of->rank)
    return arena_format(program->arena, "'%s' is the boundary of axis %d of '%s', which has %d", tensor->name,
                        tensor->boundary_axis, of->name, of->rank);
  if (tensor->rank != of->rank || tensor->type != of->type)
    return arena_format(program->arena, "'%s' is the boundary of '%s' but has another rank or type", tensor->name, of->name);
  SymbolId slots = tensor->shape[0].symbol;
  bool is_history = slots != NONE && program->symbols[slots].kind == SYMBOL_POSITION && tensor->shape[0].constant == 0;
  if (!is_history && (slots != NONE || tensor->shape[0].constant < 1))
    return arena_format(program->arena, "axis 0 of the boundary '%s' is no number of slots", tensor->name);
  for (int axis = 0, other = 0; other < of->rank; other++) {
    if (other == tensor->boundary_axis) continue;
    if (!size_equal(tensor->shape[++axis], of->shape[other]))
      return arena_format(program->arena, "axis %d of the boundary '%s' is not axis %d of '%s'", axis, tensor->name, other,
                          of->name);
  }
  return NULL;
}

/* What is the same at every step has no axis over them. */
static const char *check_kept(const Program *program, TensorId id) {
  const Tensor *tensor = &program->tensors[id];
  for (int axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis].symbol != NONE && program->symbols[tensor->shape[axis].symbol].kind == SYMBOL_STREAM)
      return arena_format(program->arena, "'%s' is kept, but has an axis over the stream", tensor->name);
  return NULL;
}

static int compare_names(const void *a, const void *b) { return strcmp(((const Tensor *)a)->name, ((const Tensor *)b)->name); }

static const char *check_tensor_names(const Program *program) {
  for (int n = 0; n < program->tensor_count; n++)
    if (!program->tensors[n].name || !*program->tensors[n].name) return arena_format(program->arena, "tensor %d has no name", n);
  Tensor *sorted = arena_copy(program->arena, program->tensors, sizeof *sorted * (size_t)program->tensor_count);
  qsort(sorted, (size_t)program->tensor_count, sizeof *sorted, compare_names);
  for (int n = 1; n < program->tensor_count; n++)
    if (!strcmp(sorted[n - 1].name, sorted[n].name))
      return arena_format(program->arena, "two tensors are named '%s'", sorted[n].name);
  return NULL;
}

static const char *check_tensors(const Program *program) {
  for (int n = 0; n < program->tensor_count; n++) {
    const Tensor *tensor = &program->tensors[n];
    for (int axis = 0; axis < tensor->rank; axis++)
      if (!size_is_valid(names_of(program), tensor->shape[axis]))
        return arena_format(program->arena, "axis %d of '%s' has no valid size", axis, tensor->name);
  }
  for (int n = 0; n < program->tensor_count; n++) {
    const Tensor *tensor = &program->tensors[n];
    const char *message = tensor->is_kept ? check_kept(program, n) : NULL;
    if (!message && tensor->boundary_of != NONE) message = check_boundary(program, tensor);
    if (message) return message;
  }
  return NULL;
}

static const char *check_targets(const Program *program) {
  int *owner = ARENA_ARRAY(program->arena, int, program->tensor_count);
  for (int n = 0; n < program->equation_count; n++) {
    TensorId target = program->equations[n].target;
    if (!has_tensor(program, target))
      return arena_format(program->arena, "equation %d defines tensor %d, which is not there", n, target);
    if (owner[target]++) return arena_format(program->arena, "'%s' has two equations", program->tensors[target].name);
    if (program->definition[target] != n)
      return arena_format(program->arena, "'definition' of '%s' is out of date", program->tensors[target].name);
  }
  for (int n = 0; n < program->tensor_count; n++)
    if (!owner[n] && program->definition[n] != NONE)
      return arena_format(program->arena, "'definition' of '%s' is out of date", program->tensors[n].name);
  return NULL;
}

typedef struct EquationScope {
  const Program *program;
  const Equation *equation;
  bool has_reduction;    /* the reduction's indices may be used */
  const bool *is_source; /* by tensor: has an equation or is given from outside */
} EquationScope;

static bool equation_binds(const void *context, const Expr *leaf) {
  const EquationScope *scope = context;
  const Equation *equation = scope->equation;
  for (int axis = 0; axis < scope->program->tensors[equation->target].rank; axis++)
    if (equation->indices[axis] == leaf->id) return true;
  for (int n = 0; scope->has_reduction && n < equation->reduce_count; n++)
    if (equation->reduce_indices[n] == leaf->id) return true;
  return false;
}

static const char *check_source(const void *context, const Expr *expr) {
  const EquationScope *scope = context;
  if (expr->op != OP_READ || scope->is_source[expr->id]) return NULL;
  return arena_format(scope->program->arena, "'%s' is read but nothing defines it", scope->program->tensors[expr->id].name);
}

static const char *check_equation_indices(const Program *program, const Equation *equation) {
  const Tensor *target = &program->tensors[equation->target];
  for (int n = 0; n < target->rank + equation->reduce_count; n++) {
    bool is_axis = n < target->rank;
    IndexId id = is_axis ? equation->indices[n] : equation->reduce_indices[n - target->rank];
    if (id < 0 || id >= program->index_count) return arena_format(program->arena, "index %d is not there", id);
    for (int m = 0; m < n; m++) {
      IndexId other = m < target->rank ? equation->indices[m] : equation->reduce_indices[m - target->rank];
      if (other == id) return arena_format(program->arena, "index '%s' is bound twice", program->indices[id].name);
    }
    if (!is_axis) continue;
    const Index *index = &program->indices[id];
    if (!size_is(index->low, 0) || !size_equal(index->high, target->shape[n]))
      return arena_format(program->arena, "the range of index '%s' is not that of axis %d of '%s'", index->name, n, target->name);
  }
  return NULL;
}

static const char *check_equation(const Program *program, const Equation *equation, const bool *is_source) {
  Type type = program->tensors[equation->target].type;
  const char *message = reduction_verify(equation->reduce, equation->reduce_count, equation->value, equation->guard,
                                         equation->body, type);
  if (!message) message = check_equation_indices(program, equation);
  EquationScope scope = {program, equation, false, is_source};
  ExprRules rules = {program->arena, names_of(program), equation_binds, &scope, check_source};
  if (!message && equation->value) message = expr_verify(&rules, equation->value, type, "the value");
  scope.has_reduction = true;
  if (!message && equation->guard) message = expr_verify(&rules, equation->guard, TYPE_BOOL, "the guard");
  if (!message && equation->body)
    message = expr_verify(&rules, equation->body, equation->reduce == REDUCE_ARGMAX ? equation->body->type : type,
                          "the reduction");
  return message;
}

static const char *check_equations(const Program *program) {
  bool *is_source = ARENA_ARRAY(program->arena, bool, program->tensor_count);
  for (int n = 0; n < program->tensor_count; n++) is_source[n] = program->definition[n] != NONE;
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (!port_is_result(port->kind) && has_tensor(program, port->tensor)) is_source[port->tensor] = true;
  }
  for (int n = 0; n < program->equation_count; n++) {
    const Equation *equation = &program->equations[n];
    const char *message = check_equation(program, equation, is_source);
    if (!message) continue;
    Text text = {.arena = program->arena};
    text_format(&text, "%s, in the equation\n", message);
    equation_print(&text, program, equation);
    return text_string(&text);
  }
  return NULL;
}

/* Which ports a port of this kind may belong to, as bits; 0: it belongs to none. */
static unsigned owners_of(PortKind kind) {
  switch (kind) {
  case PORT_GRADIENT: return 1u << PORT_PARAMETER | 1u << PORT_INPUT | 1u << PORT_STATE;
  case PORT_COTANGENT: return 1u << PORT_OUTPUT | 1u << PORT_OBJECTIVE;
  case PORT_CARRY_OUT: return 1u << PORT_CARRY_IN;
  case PORT_FINAL_STATE: return 1u << PORT_STATE;
  default: return 0;
  }
}

static bool is_of_kind(const Program *program, Size size, SymbolKind kind) {
  return size.symbol != NONE && size.constant == 0 && program->symbols[size.symbol].kind == kind;
}

/* What comes in are the steps before the call, what goes out those before and in it. */
static bool same_size(const Program *program, Size a, Size b) {
  bool is_grown = is_of_kind(program, a, SYMBOL_HISTORY) &&
                  (is_of_kind(program, b, SYMBOL_POSITION) || is_of_kind(program, b, SYMBOL_STREAM));
  return size_equal(a, b) || is_grown;
}

static bool same_shape(const Program *program, const Tensor *a, const Tensor *b) {
  bool is_same = a->rank == b->rank && a->type == b->type;
  for (int axis = 0; is_same && axis < a->rank; axis++) is_same = same_size(program, a->shape[axis], b->shape[axis]);
  return is_same;
}

static const char *check_owner(const Program *program, const Port *port) {
  unsigned owners = owners_of(port->kind);
  /* the output of a cotangent is gone from a gradient program, the carry in of a carry out from an initial one */
  if (port->of == NONE) return port->kind == PORT_GRADIENT ? "belongs to no other port" : NULL;
  if (!has_port(program, port->of)) return "belongs to a port that is not there";
  const Port *of = &program->ports[port->of];
  if (!(owners & 1u << of->kind)) return "belongs to a port of a wrong kind";
  if (!same_shape(program, &program->tensors[port->tensor], &program->tensors[of->tensor]))
    return "has not the shape and type of the port it belongs to";
  return NULL;
}

static const char *check_parameter(const Port *port, const Tensor *tensor) {
  int64_t elements = 1, stored = 1;
  if (port->has_turns && tensor->rank < 1) return "has turns but no axis for them";
  for (int axis = port->has_turns; axis < tensor->rank; axis++) {
    if (tensor->shape[axis].symbol != NONE) return "has a size that is known at run time only";
    if (__builtin_mul_overflow(elements, tensor->shape[axis].constant, &elements)) return "has too many elements";
  }
  if (port->has_turns && tensor->shape[0].symbol != NONE) return "has a number of turns that is known at run time only";
  for (int axis = 0; axis < port->stored_rank; axis++)
    if (port->stored_shape[axis] < 0 || __builtin_mul_overflow(stored, port->stored_shape[axis], &stored))
      return "has an invalid stored shape";
  return elements == stored ? NULL : "is stored with another number of elements";
}

/* Before pass_batch a port only says where the batch will go. */
static bool has_batch_axes(const Program *program) {
  for (const Tensor *tensor = program->tensors; tensor < program->tensors + program->tensor_count; tensor++)
    for (int axis = 0; axis < tensor->rank; axis++)
      if (tensor->shape[axis].symbol != NONE && program->symbols[tensor->shape[axis].symbol].kind == SYMBOL_BATCH) return true;
  return false;
}

static const char *check_port(const Program *program, const Port *port) {
  if (!port->name || !*port->name) return "has no name";
  if (!has_tensor(program, port->tensor)) return "has a tensor that is not there";
  const Tensor *tensor = &program->tensors[port->tensor];
  bool is_defined = program->definition[port->tensor] != NONE;
  if (port_is_result(port->kind) && !is_defined) return "is a result that nothing defines";
  if (!port_is_result(port->kind) && is_defined) return "comes from outside but has an equation";
  for (const Port *other = program->ports; other < port; other++) {
    if (other->kind == port->kind && other->of == port->of && !strcmp(other->name, port->name)) return "is there twice";
    if (!port_is_result(port->kind) && !port_is_result(other->kind) && other->tensor == port->tensor)
      return "has the tensor of another port";
  }
  if (port->batch_axis != NONE && has_batch_axes(program)) {
    if (port->batch_axis < 0 || port->batch_axis >= tensor->rank) return "has its batch at an axis that is not there";
    Size size = tensor->shape[port->batch_axis];
    if (size.symbol == NONE || size.constant || program->symbols[size.symbol].kind != SYMBOL_BATCH)
      return "has its batch at an axis of another size";
  }
  if (port->has_turns && port->kind != PORT_PARAMETER && port->kind != PORT_GRADIENT) return "has turns but is no parameter";
  if (port->kind == PORT_OBJECTIVE && (tensor->rank || tensor->type != TYPE_REAL)) return "is an objective but no real scalar";
  const char *message = port->kind == PORT_PARAMETER ? check_parameter(port, tensor) : NULL;
  return message ? message : check_owner(program, port);
}

static const char *check_ports(const Program *program) {
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    const char *message = check_port(program, port);
    if (message)
      return arena_format(program->arena, "%s '%s' (port %d) %s", port_names[port->kind], port->name ? port->name : "", n,
                          message);
  }
  return NULL;
}

const char *equations_verify(const Program *program) {
  static Rule *const rules[] = {check_symbols, check_indices, check_tensor_names, check_tensors,
                                check_targets, check_ports,   check_equations};
  for (size_t n = 0; n < sizeof rules / sizeof *rules; n++) {
    const char *message = rules[n](program);
    if (message) return message;
  }
  return NULL;
}
