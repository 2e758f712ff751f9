/* elaborate.h - from syntax trees to equations: what the files of the elaboration share.
 *
 * Stages, in the order of elaborate.c; each goes over everything before the next begins, so the order of
 * equations in a file means nothing:
 *   declare   names, tensors, calls expanded into scopes of their own   (declare.c, calls.c, repeat.c)
 *   resolve   expressions to terms: names bound, functions expanded     (resolve.c, functions.c, targets.c)
 *   solve     sizes by unification of the axes at which indices stand   (sizes.c, constraints.c, values.c)
 *   build     terms to equations, each with at most one reduction       (types.c, build.c, cases.c)
 *   finish    boundaries of lagged reads, chains of sums, cycles, ports (boundaries.c, chains.c, cycles.c, ports.c)
 */
#ifndef SEQC_FRONTEND_ELABORATE_H
#define SEQC_FRONTEND_ELABORATE_H

#include <limits.h>

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/library.h"

typedef struct Elaboration Elaboration;
typedef struct Scope Scope;
typedef struct Term Term;
typedef struct Variable Variable;

/* A size as an unknown: cells that must be equal are merged; the one at the root holds the value. */
typedef struct Cell Cell;
struct Cell {
  Cell *parent;
  bool is_known;
  Size size;
  SourceRange source;  /* of the value */
  const char *origin;  /* of the value when it has no place in a file: "-D H=3", "'param.w' of FILE" */
};

typedef enum { VALUE_UNKNOWN, VALUE_SIZE, VALUE_REAL, VALUE_BOOLEAN, VALUE_STRING, VALUE_ABSENT, VALUE_ERROR } ValueKind;
typedef struct Value {
  ValueKind kind;
  Size size;        /* integers too */
  double real;
  bool boolean;
  const char *text;
} Value;

/* An index variable. Its value is offset + i for i from 0 below the cell, so every axis begins at 0. */
struct Variable {
  const char *name;
  Cell *extent;
  const Node *low, *high; /* given range, evaluated in `scope`; NULL: from the axes at which it stands */
  Scope *scope;
  int64_t offset;         /* value of `low` */
  bool is_batch, is_turn;
  SourceRange source;
  IndexId id;             /* NONE until built */
};

/* A part of an equation that holds for some positions of its target. */
typedef struct Case {
  const Term **subscripts; /* one for each axis of the tensor */
  int variable_count;
  Variable **variables;
  const Term *value;
  Scope *scope;
  const Node *target, *node;
  const Expr *built;
} Case;

typedef enum { ROLE_LOCAL, ROLE_INPUT, ROLE_PARAMETER, ROLE_STATE } TensorRole; /* all but LOCAL come from outside */

/* A tensor in the making. Its first axes are the outer variables of its scope: turns of repeats, mapped calls. */
typedef struct Entity {
  const char *name;
  TensorRole role;
  int outer_count, rank; /* rank counts the outer axes too */
  Cell **axes;
  bool has_type;
  Type type;
  SourceRange source;
  int case_count;
  Case **cases;
  TensorId id;           /* in the draft; NONE until types are known */
  bool is_used;          /* read by some equation */
} Entity;

/* How a name stands for a tensor: subscript k of the name goes where TERM_AXIS k stands. */
typedef struct View {
  Entity *entity;           /* NULL: `constant` holds for all elements */
  const Term *constant;
  int rank;
  Cell **axes;
  const Term **subscripts;  /* [entity->rank] */
} View;

typedef enum { NAME_SIZE, NAME_CONSTANT, NAME_TENSOR, NAME_TURN } NameKind;

typedef struct Version {
  int from; /* position of the first statement that sees it */
  View *view;
} Version;

typedef struct Name Name;
struct Name {
  const char *text;
  NameKind kind;
  SourceRange source;
  Name *next;
  Cell *cell;            /* SIZE, CONSTANT: as a size */
  const Node *value;     /* CONSTANT, read in `value_scope`; a SIZE's scope too */
  Scope *value_scope;
  Value known;           /* CONSTANT: VALUE_UNKNOWN until evaluated */
  bool is_evaluating, is_input_size, is_length;
  int version_count;     /* TENSOR */
  Version *versions;
  View *defined;         /* what equations of this scope define; NULL until the first */
  int declared_rank;     /* outputs; -1: none */
  Cell **declared;
  const char *declared_type;
  Variable *turn;        /* TURN */
};

enum { NAME_BUCKETS = 64 };

struct Scope {
  Scope *parent;             /* of a repeat's body: the scope around; else NULL */
  const Node *node;          /* layer, model, repeat, objective */
  const Node *call;          /* equation with the call that made it */
  Scope *caller;
  int position;              /* of the call or repeat among the caller's statements */
  int depth;
  int outer_count;
  Variable **outers;
  Variable *turn;            /* of a repeat */
  int mapped_count;          /* outers that the call added */
  Variable **mapped;
  const char *parameter_names; /* template, '*' being the parameter's own name */
  const char *prefix;        /* of the names of tensors */
  NodeList statements;
  int call_count;            /* hidden names made so far */
  int bucket_count;
  Name **buckets;
};

typedef enum {
  TERM_REAL, TERM_INTEGER, TERM_BOOLEAN,
  TERM_SIZE,      /* cell */
  TERM_CONSTANT,  /* constant: a name */
  TERM_INDEX,     /* variable: its value */
  TERM_RAW,       /* variable: its position, from 0 */
  TERM_LAST,      /* variable: its last position */
  TERM_AXIS,      /* integer: subscript of a view */
  TERM_READ,      /* entity, args: one for each axis; outside */
  TERM_CALL,      /* builtin, args */
  TERM_IF,        /* args: condition, when true, when false */
  TERM_REDUCE     /* builtin, variables, guard, args: body */
} TermKind;

/* One row of the table of functions that expressions know by themselves. */
typedef struct Builtin {
  const char *name;
  int least, most; /* arguments; most -1: any number */
  enum { BUILTIN_OP, BUILTIN_FOLD, BUILTIN_DIVIDE, BUILTIN_POWER, BUILTIN_RELU, BUILTIN_TO_REAL, BUILTIN_TO_INT, BUILTIN_REDUCE, BUILTIN_MEAN } kind;
  Op op;
  ReduceOp reduce;
} Builtin;

struct Term {
  TermKind kind;
  SourceRange source;
  double number;
  int64_t integer;
  Cell *cell;
  Name *constant;
  Variable *variable;
  Entity *entity;
  const Builtin *builtin;
  int count;
  const Term **args;
  const Term *outside, *guard;
  int variable_count;
  Variable **variables;
  /* memos, written by the stages */
  bool is_walked, has_type;
  int pass;
  Type type;
  const Expr *built;
};

typedef enum { CONSTRAINT_SIZE, CONSTRAINT_RANGE, CONSTRAINT_STORED, CONSTRAINT_STAND, CONSTRAINT_AXIS_OF_CASES } ConstraintKind;
typedef struct Parameter Parameter;
typedef struct Constraint {
  ConstraintKind kind;
  bool is_done, is_weak;
  Cell *cell, *other;      /* SIZE: is the expression's value; STAND: both equal */
  const Node *node;        /* SIZE: evaluated in `scope` */
  Scope *scope;
  Variable *variable;      /* RANGE */
  Parameter *parameter;    /* STORED */
  Entity *entity;          /* AXIS_OF_CASES */
  int axis;
  SourceRange source;
  const char *what;        /* for messages: "axis 2 of 'w'" */
} Constraint;

struct Parameter {
  Entity *entity;
  const Node *node;
  Scope *scope;
  const char *name;         /* with "{}" */
  const char *first_name;   /* of turn 0 */
  bool has_turns;
  int64_t turn_scale, turn_offset; /* of the value of the turn, before its own offset is known */
  Variable *turn;
  int stored_rank;          /* -1: as declared */
  Cell **stored;
  bool is_named;
};

typedef struct StateEntry {
  Entity *initial, *final;
  const Node *node;
  int batch_axis;
} StateEntry;

typedef struct PortEntry {
  Entity *entity;       /* inputs */
  Name *name;           /* outputs */
  const Node *node;
  int batch_axis;
  bool is_for_objective;
} PortEntry;

typedef struct CarryEntry { /* a tensor that a repeat hands from turn to turn */
  Entity *incoming;
  Name *name;           /* in the body; `defined` is what a turn leaves */
  View *before;
  Scope *scope;
  const Node *node;
} CarryEntry;

typedef struct FormalEntry {
  Scope *scope;
  Name *name;
  const Node *formal, *actual; /* actual NULL: the default */
} FormalEntry;

typedef struct TargetEntry {
  Scope *scope;       /* where the equation stands */
  int position;
  const Node *node, *target, *value;
  const Name *name;
  const View *view;   /* what the name stands for where it is defined */
} TargetEntry;

struct Elaboration {
  Arena *arena;
  Diagnostics *diagnostics;
  const FrontendOptions *options;
  void *config; /* cJSON */
  Library *library;
  Program *draft;
  Scope *model;
  SymbolId batch;
  int scope_count, value_depth, term_count;
  int entity_count, constraint_count, parameter_count, state_count, input_count, output_count;
  Entity **entities;
  Constraint *constraints;
  Parameter **parameters;
  StateEntry *states;
  PortEntry *inputs, *outputs;
  int carry_count, formal_count, target_count, variable_count;
  CarryEntry *carries;
  FormalEntry *formals;
  TargetEntry *targets;
  Variable **variables;
  int constant_count;
  Name **constants; /* of all scopes */
  int size_count;
  Name **sizes;
  /* the objective */
  Scope *objective;
  Entity *objective_row;
  /* by tensor of the draft: its entity or NULL */
  int owner_count;
  Entity **owners;
  bool *is_dropped;  /* by tensor of the draft: merged into another one */
};

#define ERROR_AT(elaboration, where, ...) diagnostics_error((elaboration)->diagnostics, (where), __VA_ARGS__)
#define NOTE_AT(elaboration, where, ...) diagnostics_note((elaboration)->diagnostics, (where), __VA_ARGS__)

/* scope.c */
Scope *scope_create(Elaboration *elaboration, Scope *parent, const Node *node);
Name *scope_find_local(const Scope *scope, const char *text);
Name *scope_find(Scope *scope, const char *text, int *position); /* bodies of repeats see what is around them */
Name *scope_add(Elaboration *elaboration, Scope *scope, NameKind kind, const char *text, SourceRange source); /* NULL: taken */
View *name_view(const Name *name, int position); /* what reads see at this position; NULL: nothing yet */
Variable *variable_create(Elaboration *elaboration, const char *name, SourceRange source);
Entity *entity_create(Elaboration *elaboration, Scope *scope, TensorRole role, const char *name, int rank, SourceRange source);
View *view_of_entity(Elaboration *elaboration, Scope *scope, Entity *entity);
void name_define(Elaboration *elaboration, Name *name, View *view, int from);
const char *scope_tensor_name(Elaboration *elaboration, const Scope *scope, const char *text);
const char *names_apply(Arena *arena, const char *names, const char *own); /* a template and what its '*' stands for */
const char *names_template(Arena *arena, const char *text);                /* "a" is "a.*", "a_*" itself */

/* sizes.c, values.c, constraints.c */
Cell *cell_create(Elaboration *elaboration);
Cell *cell_root(Cell *cell);
bool cell_set(Elaboration *elaboration, Cell *cell, Size size, SourceRange source, const char *origin, SourceRange where, const char *what);
bool cell_merge(Elaboration *elaboration, Cell *a, Cell *b, SourceRange where, const char *what);
Cell *axis_cell(Elaboration *elaboration, Scope *scope, const Node *axis, const char *what);
void declare_axis_names(Elaboration *elaboration, Scope *scope, const Node *axis);
Size cell_size(const Cell *cell);
const char *size_text(Elaboration *elaboration, Size size);
Value evaluate(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults);
Value name_value(Elaboration *elaboration, Name *name, bool with_defaults);
Value value_parse(Elaboration *elaboration, const char *text);
bool config_open(Elaboration *elaboration);
void config_close(Elaboration *elaboration);
Value config_value(Elaboration *elaboration, const char *key, SourceRange where);
Constraint *constraint_add(Elaboration *elaboration, Constraint constraint);
void solve_sizes(Elaboration *elaboration, bool with_weak); /* without: only what follows for certain */
void apply_defines(Elaboration *elaboration);
void apply_known_shapes(Elaboration *elaboration);
const KnownShape *known_shape(const Elaboration *elaboration, const char *kind, const char *name);
void solve_stored(Elaboration *elaboration, Constraint *constraint);

/* declare.c, calls.c, repeat.c */
void declare_model(Elaboration *elaboration, const Node *node);
void declare_statements(Elaboration *elaboration, Scope *scope);
void declare_sizes_and_parameters(Elaboration *elaboration, Scope *scope);
void declare_parameter(Elaboration *elaboration, Scope *scope, const Node *node);
void declare_call(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *layer);
void declare_repeat(Elaboration *elaboration, Scope *scope, int position, const Node *node);
void declare_target(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *target, const Node *value);
void declare_header(Elaboration *elaboration, Scope *scope);
Name *target_name(Elaboration *elaboration, Scope *scope, const Node *target, int rank);
void bind_formals(Elaboration *elaboration);
const char *name_label(Elaboration *elaboration, const Scope *scope, const Name *name); /* for its tensor */
bool is_bound_name(Elaboration *elaboration, Scope *scope, const char *text);

/* resolve.c, functions.c, targets.c */
typedef struct Environment Environment;
struct Environment {
  const Environment *outer;
  enum { BIND_ROOT, BIND_TERM, BIND_FORMAL, BIND_LOCAL, BIND_INDEX } kind;
  const char *name;
  Scope *scope;                  /* ROOT: NULL inside a function */
  int position;
  const Term *term;              /* TERM */
  const Node *node, *formal;     /* FORMAL: actual and formal; LOCAL: definition; INDEX: the actual index */
  const Environment *caller;     /* FORMAL, INDEX: where `node` is read */
  const Node *guard;             /* INDEX */
  const Term **memo;             /* LOCAL, FORMAL without indices */
  bool *is_free;                 /* INDEX: set when used outside of a reduction over it */
  int function_depth;            /* ROOT */
  const Node *function;          /* ROOT */
};
const Environment *environment_root(Elaboration *elaboration, Scope *scope, int position);
const Environment *environment_bind(Elaboration *elaboration, const Environment *outer, const char *name, const Term *term);
const Environment *environment_find(const Environment *environment, const char *name);
const Environment *environment_base(const Environment *environment);
const Term *resolve(Elaboration *elaboration, const Environment *environment, const Node *node, int depth);
const Term *resolve_function(Elaboration *elaboration, const Environment *environment, const Node *node, const Node *function, int depth);
const Term *resolve_reduction(Elaboration *elaboration, const Environment *environment, const Node *node, const Builtin *builtin, int depth);
const Term *resolve_view(Elaboration *elaboration, const View *view, const Term *const *subscripts, SourceRange source);
const Builtin *builtin_find(const char *name, bool is_reduction);
Term *term_create(Elaboration *elaboration, TermKind kind, SourceRange source);
const Term *term_variable(Elaboration *elaboration, TermKind kind, Variable *variable, SourceRange source);
const Term *term_call(Elaboration *elaboration, const Builtin *builtin, SourceRange source, int count, const Term *const *args);
void resolve_targets(Elaboration *elaboration);
void resolve_carries(Elaboration *elaboration);
void resolve_objective(Elaboration *elaboration);
void constrain_term(Elaboration *elaboration, const Term *term);
void constrain_targets(Elaboration *elaboration);

/* types.c, build.c, cases.c */
void infer_types(Elaboration *elaboration);
typedef struct Builder {
  Elaboration *elaboration;
  const Entity *target;
  int auxiliary_count;
  int variable_count;  /* that may be used: of the target and of the reductions around */
  Variable **variables;
  int failures;
} Builder;
const Expr *build_term(Builder *builder, const Term *term);
const Expr *build_as(Builder *builder, const Term *term, Type type);
IndexId variable_index(Elaboration *elaboration, Variable *variable);
void create_tensors(Elaboration *elaboration);
void build_equations(Elaboration *elaboration);
void report_open_sizes(Elaboration *elaboration);
/* -1, T and the like: not a part of the tensor but what lies around it. Slots count from 1 before, from 0 after. */
bool case_is_boundary(Elaboration *elaboration, const Entity *entity, const Case *part, int *out_axis, int64_t *out_slot, bool *out_is_after);
TensorId draft_tensor(Elaboration *elaboration, Entity *owner, const char *name, Type type, int rank, const Size *shape, SourceRange source);

/* boundaries.c, intervals.c, chains.c, cycles.c, ports.c */
typedef struct Limit { /* constant + coefficient * symbol; infinite in its own direction when not is_finite */
  bool is_finite;
  int64_t constant, coefficient;
  SymbolId symbol;
} Limit;
typedef struct Interval {
  Limit low, high; /* both reached */
} Interval;
typedef struct Known {
  const struct Known *outer;
  Affine affine; /* is >= 0 */
} Known;
Interval interval_of(const Program *program, const Expr *expr);
bool is_at_least_zero(const Program *program, const Expr *expr, const Known *known);
const Known *known_add(Elaboration *elaboration, const Known *known, const Expr *condition, bool holds);
void make_boundaries(Elaboration *elaboration);
void make_chains(Elaboration *elaboration, const int *components);
int *find_components(Elaboration *elaboration); /* by tensor: its innermost cycle, or NONE; cycles without lag are errors */
Program *finish_program(Elaboration *elaboration);
void add_parameter_ports(Elaboration *elaboration, Program *program, const TensorId *tensors);

Program *elaborate(Arena *arena, Library *library, const FrontendOptions *options, Diagnostics *diagnostics);

#endif
