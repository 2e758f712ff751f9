/* equations.h - the first intermediate language: a model as equations over named indices.
 *
 * A Program is a list of tensors, each defined by at most one equation
 *
 *     target[i, j, ...] = value  (+)  reduce[r, s, ... where guard](body)
 *
 * in which `value` or the reduction may be missing. There are no statements and no order: an equation may read
 * any tensor, also its own target, as long as every cycle is broken by a lag along some axis (`h[t-1, k]`).
 * `repeat` is such an axis too: its turns read the turn before. Whatever is a loop, a batch, a gradient or a step is
 * again such a program; nothing here knows what a layer is.
 *
 * The text form (equations_print, equations_parse) is documented in docs/ir.md.
 */
#ifndef SEQC_IR_EQUATIONS_H
#define SEQC_IR_EQUATIONS_H

#include "ir/expr.h"

typedef int TensorId, IndexId, SymbolId;

/* A size: constant, or a symbol known at run time plus a constant. */
typedef struct Size {
  SymbolId symbol; /* NONE for a constant */
  int64_t constant;
} Size;
bool size_equal(Size a, Size b);
bool size_is(Size size, int64_t constant);
Size size_constant(int64_t constant);
Size size_symbol(SymbolId symbol);
const Expr *size_expr(Arena *arena, Size size);

/* What is known at run time only. */
typedef enum {
  SYMBOL_BATCH,    /* rows of the batch */
  SYMBOL_STREAM,   /* the length that is cut into chunks and steps: time */
  SYMBOL_LENGTH,   /* another length, present as a whole */
  SYMBOL_POSITION, /* steps done before this call: absolute time of index 0 of the stream */
  SYMBOL_RECENT,   /* the position, or `most` where that is less: steps before this call that something still reads */
  SYMBOL_HISTORY,  /* those steps, or with `most` 0 all before this call, and the stream together */
  /* kernels only */
  SYMBOL_CAPACITY_IN,  /* steps that the state which a call comes with has room for */
  SYMBOL_CAPACITY_OUT, /* that the one which it leaves has room for */
  SYMBOL_MOVED,        /* steps done before that are copied from the one to the other */
  /* again everywhere */
  SYMBOL_DERIVED       /* computed from the symbols before it; at least 0 */
} SymbolKind;
typedef struct Symbol {
  SymbolKind kind;
  const char *name;
  const Expr *formula; /* derived ones: of integers and symbols */
  int64_t most;        /* of recent steps and a history of these */
} Symbol;

/* An index variable ranges over low <= i < high. Each belongs to one equation or is shared freely: only its name and range matter. */
typedef struct Index {
  const char *name;
  Size low, high;
  bool is_batch; /* reduces over the batch, which authors do not write in equations; see pass_batch */
} Index;

typedef struct Tensor {
  const char *name; /* unique in the program; dots are allowed */
  Type type;
  int rank;
  Size *shape;
  SourceRange source;
  /* Values of another tensor before the first step (or after the last): this tensor is [slots, rest of the axes],
   * slot m standing for index m - slots (`is_after`: high + m) of axis `boundary_axis` of tensor `boundary_of`. NONE for others.
   * Made by the front end from boundary equations or as zero; carried from chunk to chunk by pass_carry. Where the slots are as
   * many as the position, they are all steps before this call: see pass_history. */
  TensorId boundary_of;
  int boundary_axis;
  bool is_after;
  bool is_kept; /* the same at every step: computed at the first one and carried from there. Made by pass_keep */
} Tensor;

typedef enum { REDUCE_NONE, REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PRODUCT, REDUCE_ARGMAX, REDUCE_COUNT } ReduceOp;
extern const char *const reduce_names[REDUCE_COUNT]; /* "", "sum", "max", "min", "product", "argmax" */

typedef struct Equation {
  TensorId target;
  IndexId *indices; /* one for each axis of the target, all different */
  const Expr *value; /* combined with the reduction by its operation; NULL: none */
  ReduceOp reduce;
  int reduce_count;
  IndexId *reduce_indices; /* argmax: exactly one; the first largest, and 0 when no index passes the guard */
  const Expr *guard; /* NULL: true */
  const Expr *body;
  SourceRange source;
} Equation;

/* What a program shows to the outside. */
typedef enum {
  PORT_PARAMETER,
  PORT_INPUT,
  PORT_STATE,         /* declared state before the first step; an input, zero when absent */
  PORT_CARRY_IN,      /* derived state: opaque, from the call before */
  PORT_COTANGENT,     /* of an output: weight of each element in the scalar that is differentiated */
  PORT_OUTPUT,
  PORT_OBJECTIVE,     /* a scalar output to be minimised */
  PORT_FINAL_STATE,   /* declared state after the last step */
  PORT_CARRY_OUT,
  PORT_GRADIENT,      /* of the port `of` (parameter, input or state) */
  PORT_KIND_COUNT
} PortKind;
extern const char *const port_names[PORT_KIND_COUNT];
bool port_is_result(PortKind kind); /* OUTPUT and below */

typedef enum { INIT_NONE, INIT_CONSTANT, INIT_UNIFORM, INIT_NORMAL } InitKind;

typedef struct Port {
  PortKind kind;
  const char *name;   /* a parameter's with "{}" where the turn of the repeat stands, when it has turns */
  TensorId tensor;
  int batch_axis;     /* where the batch stands in the tensor once pass_batch has run; NONE: common to all rows */
  int of;             /* gradient, cotangent, carry out, final state: the port it belongs to; else NONE */
  bool is_for_objective; /* input: needed by the objective only */
  bool streams;       /* result: exists in chunked and stepped form; decided by pass_lags */
  const char *why_not; /* result that does not stream: the reason, in the author's words */
  SourceRange why_not_source;
  SourceRange source;
  /* parameters */
  bool has_turns;     /* axis 0 of the tensor is the turn of a repeat; each turn is a tensor of its own outside */
  int64_t turn_scale, turn_offset; /* turn n is written as turn_scale * n + turn_offset in the name */
  int stored_rank;
  int64_t *stored_shape; /* of one turn, as in the checkpoint; the same number of elements in the same order */
  InitKind init;
  double init_a, init_b; /* constant a; uniform [a, b); normal mean a, deviation b */
} Port;

typedef struct Program {
  Arena *arena;
  const char *name; /* of the model: the prefix of its symbols */
  int symbol_count;
  Symbol *symbols;
  int index_count;
  Index *indices;
  int tensor_count;
  Tensor *tensors;
  int equation_count;
  Equation *equations;
  struct TensorNames *names; /* the builder's */
  int *definition; /* by tensor: its equation or NONE. Kept by the builder; program_index rebuilds it */
  int port_count;
  Port *ports;
  int ignored_count;
  const char **ignored; /* names of arrays that files of weights may hold beside the parameters; '*' stands for any characters */
  SourceRange source;
} Program;

/* Builder. Passes add to programs through these only. */
Program *program_create(Arena *arena, const char *name);
Program *program_clone(Arena *arena, const Program *program); /* arrays are copied, expressions are shared */
SymbolId program_add_symbol(Program *program, SymbolKind kind, const char *name);
SymbolId program_find_symbol(const Program *program, SymbolKind kind); /* the first of its kind (and no `most`) or NONE */
SymbolId program_find_recent(const Program *program, SymbolKind kind, int64_t most); /* or NONE */
IndexId program_add_index(Program *program, const char *name, Size low, Size high);
/* The name is made unique by a suffix when it is taken. The shape is copied. */
TensorId program_add_tensor(Program *program, const char *name, Type type, int rank, const Size *shape);
int program_add_equation(Program *program, Equation equation); /* indices are copied; the target must be undefined */
int program_add_port(Program *program, Port port);
/* The name of one turn of a parameter, or the name itself where there are no turns. */
const char *port_turn_name(Arena *arena, const Port *port, int64_t turn);
void program_add_ignored(Program *program, const char *pattern); /* once each */
int program_find_port(const Program *program, PortKind kind, const char *name); /* or NONE */
bool program_shows(const Program *program, TensorId tensor); /* by a port of any kind */
bool program_has_boundary(const Program *program, TensorId tensor); /* there is one of it, or it is one */
/* The reduction of the equation gets a tensor of its own, X.suffix, and an equation at the end. What is left is a map without a value, for which
 * the result, a read of that tensor, is to be used. */
const Expr *program_split_sum(Program *program, int equation, const char *suffix);
bool program_is_run_time(const Program *program, Size size); /* known in the call; the batch does not count */
int program_run_time_axes(const Program *program, TensorId tensor); /* of such sizes */
int program_port_of_tensor(const Program *program, TensorId tensor, PortKind kind); /* or NONE */
const Equation *program_definition(const Program *program, TensorId tensor); /* or NULL */
/* Visits value, guard and body, those there are. */
void equation_visit(const Equation *equation, ExprVisit *visit, void *context);
void program_index(Program *program); /* recomputes `definition` after equations were moved or removed */
/* A read of the tensor at the given indices. */
const Expr *program_read(Program *program, TensorId tensor, const Expr *const *indices, const Expr *outside);
/* Fresh indices for all axes of a tensor, named like `names` when given. Written to out_indices[rank]. */
void program_add_indices(Program *program, TensorId tensor, const IndexId *names, IndexId *out_indices);

/* The verifier: what a legal program is. Returns NULL, or the first violation with the equation around it. */
const char *equations_verify(const Program *program);

/* Text form; equations_parse(equations_print(p)) is the same program. Errors of the text are diagnostics. */
void equations_print(Text *text, const Program *program);
Program *equations_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics);
void expr_print(Text *text, const Program *program, const Expr *expr);

#endif
