/* elaboration.h - what the elaboration knows of a model while it works: sizes, names, scopes, tensors, terms.
 *
 * Everything lives in the arena of the compilation and is reached from Elaboration. The functions are in elaborate.h.
 */
#ifndef SEQC_FRONTEND_ELABORATION_H
#define SEQC_FRONTEND_ELABORATION_H

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
  SourceRange source; /* of the value */
  const char *origin; /* of the value when it has no place in a file: "-D H=3", "'param.w' of FILE" */
};

typedef enum { VALUE_UNKNOWN, VALUE_SIZE, VALUE_REAL, VALUE_BOOLEAN, VALUE_STRING, VALUE_ABSENT, VALUE_ERROR } ValueKind;
typedef struct Value {
  ValueKind kind;
  Size size; /* integers too */
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
  int64_t offset; /* value of `low` */
  bool is_batch, is_turn;
  SourceRange source;
  IndexId id; /* NONE until built */
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

enum { TYPE_OPEN = -1 };

/* A tensor in the making. Its first axes are the outer variables of its scope: turns of repeats, mapped calls. */
typedef struct Entity {
  const char *name;
  TensorRole role;
  int outer_count, rank; /* rank counts the outer axes too */
  Cell **axes;
  bool has_type;
  Type type;
  int guess;                      /* of the type, while it is looked for; or TYPE_OPEN */
  bool is_complex, has_part_axis; /* the last axis is (re, im) */
  struct Entity *imaginary;       /* else, once split: the tensor beside this one */
  SourceRange source;
  int case_count;
  Case **cases;
  TensorId id;  /* in the draft; NONE until types are known */
  bool is_used; /* read by some equation */
} Entity;

/* How a name stands for a tensor: subscript k of the name goes where TERM_AXIS k stands. */
typedef struct View {
  Entity *entity; /* NULL: `constant` holds for all elements */
  const Term *constant;
  int rank;
  Cell **axes;
  const Term **subscripts; /* [entity->rank] */
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
  Cell *cell;        /* SIZE, CONSTANT: as a size */
  const Node *value; /* CONSTANT, read in `value_scope`; a SIZE's scope too */
  Scope *value_scope;
  Value known; /* CONSTANT: VALUE_UNKNOWN until evaluated; TURN: the turn for which constants are evaluated, if any */
  bool is_evaluating, is_input_size, is_length;
  bool is_turn; /* CONSTANT: the turn of an unrolled repeat */
  int version_count; /* TENSOR */
  Version *versions;
  View *defined;     /* what equations of this scope define; NULL until the first */
  int declared_rank; /* outputs; -1: none */
  Cell **declared;
  const char *declared_type;
  Variable *turn; /* TURN */
};

enum { NAME_BUCKETS = 64 };

struct Scope {
  Scope *parent;    /* of a repeat's body: the scope around; else NULL */
  const Node *node; /* layer, model, repeat, objective */
  const Node *call; /* equation with the call that made it */
  Scope *caller;
  int position; /* of the call or repeat among the caller's statements */
  int depth;
  int outer_count;
  Variable **outers;
  Variable *turn;   /* of a repeat that is compiled once */
  const char *turn_name; /* of a repeat */
  Name *unrolled;        /* of a repeat that is unrolled: the turn's value */
  int mapped_count; /* outers that the call added */
  Variable **mapped;
  const char *parameter_names; /* template, '*' being the parameter's own name */
  const char *prefix;          /* of the names of tensors */
  NodeList statements;
  int call_count; /* hidden names made so far */
  int bucket_count;
  Name **buckets;
};

typedef enum {
  TERM_REAL,
  TERM_INTEGER,
  TERM_BOOLEAN,
  TERM_SIZE,     /* cell */
  TERM_CONSTANT, /* constant: a name */
  TERM_INDEX,    /* variable: its value */
  TERM_RAW,      /* variable: its position, from 0 */
  TERM_LAST,     /* variable: its last position */
  TERM_AXIS,     /* integer: subscript of a view */
  TERM_PART,     /* re or im: last subscript of a tensor that keeps both */
  TERM_READ,     /* entity, args: one for each axis; outside */
  TERM_CALL,     /* builtin, args */
  TERM_IF,       /* args: condition, when true, when false */
  TERM_REDUCE    /* builtin, variables, guard, args: body */
} TermKind;

/* One row of the table of functions that expressions know by themselves. */
typedef struct Builtin {
  const char *name;
  int least, most; /* arguments; most -1: any number */
  enum {
    BUILTIN_OP,
    BUILTIN_FOLD,
    BUILTIN_DIVIDE,
    BUILTIN_POWER,
    BUILTIN_RELU,
    BUILTIN_TO_REAL,
    BUILTIN_TO_INT,
    BUILTIN_COMPLEX,
    BUILTIN_RE,
    BUILTIN_IM,
    BUILTIN_CONJUGATE,
    BUILTIN_REDUCE,
    BUILTIN_MEAN
  } kind;
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
  bool is_walked, has_type, is_complex;
  int pass, complex_pass;
  int guess;                           /* a type, or TYPE_OPEN */
  const Term *lowered_re, *lowered_im; /* im NULL: real */
  Type type;
  const Expr *built;
};

typedef enum { CONSTRAINT_SIZE, CONSTRAINT_RANGE, CONSTRAINT_STORED, CONSTRAINT_STAND, CONSTRAINT_TABLE, CONSTRAINT_AXIS_OF_CASES } ConstraintKind;
typedef struct Parameter Parameter;
typedef struct Constraint {
  ConstraintKind kind;
  bool is_done, is_weak;
  Cell *cell, *other; /* SIZE: is the expression's value; STAND: both equal; TABLE: or an index over steps in a table */
  const Node *node;   /* SIZE: evaluated in `scope` */
  Scope *scope;
  Variable *variable;   /* RANGE */
  Parameter *parameter; /* STORED */
  Entity *entity;       /* AXIS_OF_CASES */
  int axis;
  SourceRange source;
  const char *what; /* for messages: "axis 2 of 'w'" */
} Constraint;

struct Parameter {
  Entity *entity;
  const Node *node;
  Scope *scope;
  const char *name;       /* with "{}" */
  const char *first_name; /* of turn 0 */
  bool has_turns;
  int64_t turn_scale, turn_offset; /* of the value of the turn, before its own offset is known */
  Variable *turn;
  int stored_rank; /* -1: as declared */
  Cell **stored;
};

typedef struct StateEntry {
  const char *name; /* public */
  Entity *initial, *final;
  const Node *node;
  int batch_axis;
} StateEntry;

typedef struct PortEntry {
  Entity *entity; /* inputs */
  Name *name;     /* outputs */
  const Node *node;
  int batch_axis;
  bool is_for_objective;
} PortEntry;

typedef struct CarryEntry { /* a tensor that a repeat hands from turn to turn */
  Entity *incoming;
  Name *name; /* in the body; `defined` is what a turn leaves */
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
  Scope *scope; /* where the equation stands */
  int position;
  const Node *node, *target, *value;
  const Name *name;
  const View *view; /* what the name stands for where it is defined */
} TargetEntry;

/* Names in files of weights that belong to no parameter. */
typedef struct IgnoreEntry {
  const char *pattern;
  const Node *node;
} IgnoreEntry;

typedef struct RequirementEntry {
  Scope *scope;
  const Node *node;
} RequirementEntry;

struct Elaboration {
  Arena *arena;
  Diagnostics *diagnostics;
  const FrontendOptions *options;
  void **configs; /* cJSON, one for each of the options */
  Library *library;
  Program *draft;
  Scope *model;
  SymbolId batch;
  int scope_count, value_depth, term_count;
  Name *turn_met; /* by the evaluation in progress: its value differs between the turns of a repeat */
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
  int constant_count, requirement_count;
  Name **constants; /* of all scopes */
  RequirementEntry *requirements;
  int size_count;
  Name **sizes;
  int ignore_count;
  IgnoreEntry *ignores;
  bool guesses_types; /* of tensors in a cycle */
  int chosen_count; /* from options->free_sizes */
  ChosenSize *chosen;
  /* the objective */
  Scope *objective;
  Entity *objective_row;
  /* by tensor of the draft: its entity or NULL */
  int owner_count;
  Entity **owners;
  bool *is_dropped; /* by tensor of the draft: merged into another one */
};

#endif
