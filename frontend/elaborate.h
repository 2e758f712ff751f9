/* elaborate.h - from syntax trees to equations: what the files of the elaboration share.
 *
 * Stages, in the order of elaborate.c; each goes over everything before the next begins, so the order of
 * equations in a file means nothing:
 *   declare   names, tensors, calls expanded into scopes of their own   (declare.c, choices.c, calls.c, repeat.c, unroll.c)
 *   resolve   expressions to terms: names bound, functions expanded     (resolve.c, functions.c, targets.c)
 *   solve     sizes by unification of the axes at which indices stand   (sizes.c, constraints.c, values.c)
 *   split     complex numbers to pairs of reals                         (complex.c)
 *   build     terms to equations, each with at most one reduction       (types.c, build.c, cases.c)
 *   finish    boundaries of lagged reads, chains of sums, cycles, ports (boundaries.c, chains.c, cycles.c, ports.c)
 */
#ifndef SEQC_FRONTEND_ELABORATE_H
#define SEQC_FRONTEND_ELABORATE_H

#include "frontend/elaboration.h"

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
void entity_keep_parts(Elaboration *elaboration, Entity *entity);
View *view_of_entity(Elaboration *elaboration, Scope *scope, Entity *entity);
void name_define(Elaboration *elaboration, Name *name, View *view, int from);
const char *scope_tensor_name(Elaboration *elaboration, const Scope *scope, const char *text);
const char *names_apply(Arena *arena, const char *names, const char *own); /* a template and what its '*' stands for */
const char *names_template(Arena *arena, const char *text);                /* "a" is "a.*", "a_*" itself */

/* sizes.c, values.c, requirements.c, constraints.c */
Cell *cell_create(Elaboration *elaboration);
Cell *cell_root(Cell *cell);
bool cell_set(Elaboration *elaboration, Cell *cell, Size size, SourceRange source, const char *origin, SourceRange where,
              const char *what);
bool cell_merge(Elaboration *elaboration, Cell *a, Cell *b, SourceRange where, const char *what);
Cell *axis_cell(Elaboration *elaboration, Scope *scope, const Node *axis, const char *what);
void declare_axis_names(Elaboration *elaboration, Scope *scope, const Node *axis);
Size cell_size(const Cell *cell);
const char *size_text(Elaboration *elaboration, Size size);
Value evaluate(Elaboration *elaboration, Scope *scope, const Node *node, bool with_defaults);
Value name_value(Elaboration *elaboration, Name *name, bool with_defaults);
Name *turn_of_constant(Elaboration *elaboration, Name *name); /* NULL: one value for all turns */
Value value_at_turn(Elaboration *elaboration, Name *name, Name *turn, int64_t value);
Value value_parse(Elaboration *elaboration, const char *text);
bool config_open(Elaboration *elaboration);
void config_close(Elaboration *elaboration);
Value config_value(Elaboration *elaboration, const char *key, SourceRange where);
Value config_entry(Elaboration *elaboration, const char *key, int64_t index, SourceRange where); /* of a list */
Value config_count(Elaboration *elaboration, const char *key, SourceRange where);
/* "'hidden_size' of config.json": from where the value of an expression comes; NULL when not from a config. */
const char *config_origin(Elaboration *elaboration, const Node *node);
void check_requirements(Elaboration *elaboration);
Constraint *constraint_add(Elaboration *elaboration, Constraint constraint);
void solve_sizes(Elaboration *elaboration, bool with_weak); /* without: only what follows for certain */
void apply_defines(Elaboration *elaboration, bool only_constants);
void apply_known_shapes(Elaboration *elaboration);
const KnownShape *known_shape(const Elaboration *elaboration, const char *kind, const char *name);
void solve_stored(Elaboration *elaboration, Constraint *constraint);

/* declare.c, choices.c, calls.c, repeat.c, unroll.c */
void declare_model(Elaboration *elaboration, const Node *node);
void declare_statements(Elaboration *elaboration, Scope *scope);
void declare_sizes_and_parameters(Elaboration *elaboration, Scope *scope);
void declare_copy(Elaboration *elaboration, Scope *scope, int position, const Node *target, const Node *value, int rank);
void choose_statements(Elaboration *elaboration, Scope *scope);
void declare_constant(Elaboration *elaboration, Scope *scope, const Node *node);
void pass_constants(Scope *callee);
void declare_parameter(Elaboration *elaboration, Scope *scope, const Node *node);
void declare_ignored(Elaboration *elaboration, Scope *scope, const Node *node);
void declare_call(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *layer);
bool mentions_turn(const Node *target, const char *turn);
void declare_unrolled(Elaboration *elaboration, Scope *scope, int position, const Node *node);
/* With the turns of unrolled repeats around `scope` in place: "c.{l}" is "c.0". */
const char *names_of_turns(Elaboration *elaboration, const Scope *scope, const char *text);
/* "{2*l+1}", from behind its brace: scale * turn + offset. */
bool parse_turn(const char *text, const char *end, const char *turn, int64_t *out_scale, int64_t *out_offset);
void declare_repeat(Elaboration *elaboration, Scope *scope, int position, const Node *node);
void declare_target(Elaboration *elaboration, Scope *scope, int position, const Node *node, const Node *target,
                    const Node *value);
void declare_header(Elaboration *elaboration, Scope *scope);
Name *target_name(Elaboration *elaboration, Scope *scope, const Node *target, int rank);
void bind_formals(Elaboration *elaboration);
const char *name_label(Elaboration *elaboration, const Scope *scope, const Name *name); /* for its tensor */
#define COMPLEX_TYPE "complex"
bool is_declared_complex(Elaboration *elaboration, const Node *node, const char *what);
bool is_bound_name(Elaboration *elaboration, Scope *scope, const char *text);

/* resolve.c, functions.c, targets.c */
typedef struct Environment Environment;
struct Environment {
  const Environment *outer;
  enum { BIND_ROOT, BIND_TERM, BIND_FORMAL, BIND_LOCAL, BIND_INDEX } kind;
  const char *name;
  Scope *scope; /* ROOT: NULL inside a function */
  int position;
  const Term *term;          /* TERM */
  const Node *node, *formal; /* FORMAL: actual and formal; LOCAL: definition; INDEX: the actual index */
  const Environment *caller; /* FORMAL, INDEX: where `node` is read */
  const Node *guard;         /* INDEX */
  const Term **memo;         /* LOCAL, FORMAL without indices */
  bool *is_free;             /* INDEX: set when used outside of a reduction over it */
  int function_depth;        /* ROOT */
};
const Environment *environment_root(Elaboration *elaboration, Scope *scope, int position);
const Environment *environment_bind(Elaboration *elaboration, const Environment *outer, const char *name, const Term *term);
const Environment *environment_find(const Environment *environment, const char *name);
const Environment *environment_base(const Environment *environment);
const Term *resolve(Elaboration *elaboration, const Environment *environment, const Node *node, int depth);
const Term *resolve_function(Elaboration *elaboration, const Environment *environment, const Node *node, const Node *function,
                             int depth);
const Term *resolve_reduction(Elaboration *elaboration, const Environment *environment, const Node *node, const Builtin *builtin,
                              int depth);
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

/* complex.c, types.c, build.c, cases.c */
void split_complex(Elaboration *elaboration);
void complex_parts(Elaboration *elaboration, const Term *term, const Term **out_re, const Term **out_im);
void infer_types(Elaboration *elaboration);
typedef struct Builder {
  Elaboration *elaboration;
  const Entity *target;
  int auxiliary_count;
  int variable_count; /* that may be used: of the target and of the reductions around */
  Variable **variables;
  int failures;
} Builder;
const Expr *build_term(Builder *builder, const Term *term);
const Expr *build_as(Builder *builder, const Term *term, Type type);
IndexId variable_index(Elaboration *elaboration, Variable *variable);
void create_tensors(Elaboration *elaboration);
void build_equations(Elaboration *elaboration);
void report_open_sizes(Elaboration *elaboration);
/* -1, T, `k in -4..0` and the like: not a part of the tensor but what lies around it. The steps low <= n < high; after
 * the end they count from there. */
typedef struct Surround {
  int axis;
  bool is_after;
  int64_t low, high;
  IndexId index; /* stands for the steps, from `low` on; NONE: one step */
} Surround;
bool case_is_boundary(Elaboration *elaboration, const Entity *entity, const Case *part, Surround *out_surround);
TensorId draft_tensor(Elaboration *elaboration, Entity *owner, const char *name, Type type, int rank, const Size *shape,
                      SourceRange source);

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
void add_ignored(Elaboration *elaboration, Program *program);

/* Fills the program (NULL after errors) and the chosen sizes of the result. */
void elaborate(Arena *arena, Library *library, const FrontendOptions *options, Diagnostics *diagnostics, FrontendResult *out_result);

#endif
