/* ir_test.c - the two intermediate languages: folding, rewriting, text forms and verifiers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/equations.h"
#include "ir/loops.h"

static int begin(void **state) {
  *state = arena_create();
  return 0;
}

static int end(void **state) {
  arena_destroy(*state);
  return 0;
}

#define ADD(a, b) expr_binary(arena, OP_ADD, a, b)
#define SUB(a, b) expr_binary(arena, OP_SUB, a, b)
#define MUL(a, b) expr_binary(arena, OP_MUL, a, b)
#define INT(value) expr_integer(arena, value)
#define REAL(value) expr_number(arena, value)

static void assert_same(const Expr *found, const Expr *expected) {
  if (!expr_equal(found, expected)) fail_msg("found %s, expected %s", op_table[found->op].text, op_table[expected->op].text);
  assert_int_equal(expr_hash(found), expr_hash(expected));
}

/* expressions */

static void test_real_identities(void **state) {
  Arena *arena = *state;
  const Expr *x = expr_local(arena, TYPE_REAL, 0), *y = expr_local(arena, TYPE_REAL, 1);
  assert_ptr_equal(ADD(x, REAL(0)), x);
  assert_ptr_equal(ADD(REAL(0), x), x);
  assert_ptr_equal(MUL(REAL(1), x), x);
  assert_ptr_equal(expr_binary(arena, OP_DIV, x, REAL(1)), x);
  assert_ptr_equal(expr_binary(arena, OP_POW, x, REAL(1)), x);
  assert_true(expr_is_number(MUL(x, REAL(0)), 0));
  assert_same(SUB(REAL(0), x), expr_unary(arena, OP_NEG, x));
  assert_ptr_equal(expr_unary(arena, OP_NEG, expr_unary(arena, OP_NEG, x)), x);
  assert_same(ADD(x, expr_unary(arena, OP_NEG, y)), SUB(x, y));
  assert_same(SUB(x, expr_unary(arena, OP_NEG, y)), ADD(x, y));
  assert_same(expr_binary(arena, OP_POW, x, REAL(2)), MUL(x, x));
  assert_ptr_equal(expr_binary(arena, OP_MAX, x, x), x);
  /* not an identity: NaN, and rounding */
  assert_int_equal(expr_binary(arena, OP_LE, x, x)->op, OP_LE);
  assert_int_equal(SUB(ADD(x, REAL(1)), REAL(1))->op, OP_SUB);
}

static void test_constants(void **state) {
  Arena *arena = *state;
  assert_true(expr_is_number(ADD(REAL(1.5), REAL(2)), 3.5));
  assert_true(expr_is_number(expr_unary(arena, OP_EXP, REAL(0)), 1));
  assert_true(expr_is_number(expr_unary(arena, OP_SIGMOID, REAL(0)), 0.5));
  assert_true(expr_is_number(expr_unary(arena, OP_SIGN, REAL(-3)), -1));
  assert_true(expr_is_number(expr_unary(arena, OP_TO_REAL, INT(4)), 4));
  assert_true(expr_is_integer(expr_unary(arena, OP_TO_INT, REAL(-2.7)), -2));
  assert_true(expr_is_integer(expr_binary(arena, OP_QUOTIENT, INT(-7), INT(2)), -4));
  assert_true(expr_is_integer(expr_binary(arena, OP_REMAINDER, INT(-7), INT(2)), 1));
  assert_true(expr_is_integer(expr_binary(arena, OP_REMAINDER, INT(7), INT(-2)), -1));
  assert_true(expr_is_integer(expr_binary(arena, OP_MIN, INT(7), INT(2)), 2));
  assert_int_equal(expr_binary(arena, OP_QUOTIENT, INT(1), INT(0))->op, OP_QUOTIENT);
  assert_int_equal(MUL(INT(INT64_MAX), INT(2))->op, OP_MUL);
  assert_true(isnan(expr_unary(arena, OP_SQRT, REAL(-1))->number));
}

static void test_integer_sums(void **state) {
  Arena *arena = *state;
  const Expr *t = expr_index(arena, 3), *u = expr_index(arena, 5), *n = expr_symbol(arena, 0);
  assert_same(SUB(ADD(t, INT(1)), INT(1)), t);
  assert_same(ADD(u, ADD(n, t)), ADD(ADD(t, n), u));
  assert_same(SUB(MUL(INT(2), ADD(t, u)), t), ADD(MUL(u, INT(2)), t));
  assert_true(expr_is_integer(SUB(t, t), 0));
  assert_true(expr_is_integer(MUL(INT(0), t), 0));
  assert_same(SUB(INT(0), t), expr_unary(arena, OP_NEG, t));
  assert_same(expr_binary(arena, OP_QUOTIENT, ADD(MUL(INT(4), t), INT(5)), INT(4)), ADD(t, INT(1)));
  assert_true(expr_is_integer(expr_binary(arena, OP_REMAINDER, ADD(MUL(INT(4), t), INT(5)), INT(4)), 1));
  /* what is no affine form keeps its constant apart */
  const Expr *token = expr_read(arena, TYPE_INT, 0, 1, &t, NULL);
  assert_same(SUB(ADD(token, INT(3)), INT(3)), token);
  assert_same(ADD(INT(2), ADD(token, INT(1))), ADD(token, INT(3)));
  assert_true(expr_is_integer(SUB(ADD(token, INT(3)), token), 3));
  assert_true(expr_is_boolean(expr_binary(arena, OP_GT, ADD(token, INT(1)), token), true));
}

static void test_comparisons_and_logic(void **state) {
  Arena *arena = *state;
  const Expr *t = expr_index(arena, 0), *u = expr_index(arena, 1);
  const Expr *yes = expr_boolean(arena, true), *no = expr_boolean(arena, false);
  const Expr *below = expr_binary(arena, OP_LT, t, u);
  assert_true(expr_is_boolean(expr_binary(arena, OP_GT, ADD(t, INT(1)), t), true));
  assert_true(expr_is_boolean(expr_binary(arena, OP_GE, SUB(t, INT(1)), t), false));
  assert_true(expr_is_boolean(expr_binary(arena, OP_EQ, ADD(t, u), ADD(u, t)), true));
  assert_same(expr_binary(arena, OP_MAX, ADD(t, INT(1)), t), ADD(t, INT(1)));
  assert_ptr_equal(expr_binary(arena, OP_AND, yes, below), below);
  assert_ptr_equal(expr_binary(arena, OP_AND, below, no), no);
  assert_ptr_equal(expr_binary(arena, OP_OR, below, no), below);
  assert_ptr_equal(expr_binary(arena, OP_AND, below, below), below);
  assert_same(expr_unary(arena, OP_NOT, below), expr_binary(arena, OP_GE, t, u));
  const Expr *given = expr_given(arena, 0);
  assert_ptr_equal(expr_unary(arena, OP_NOT, expr_unary(arena, OP_NOT, given)), given);
  assert_true(expr_is_boolean(expr_binary(arena, OP_OR, given, expr_unary(arena, OP_NOT, given)), true));
}

static void test_select(void **state) {
  Arena *arena = *state;
  const Expr *x = expr_local(arena, TYPE_REAL, 0), *y = expr_local(arena, TYPE_REAL, 1), *z = expr_local(arena, TYPE_REAL, 2);
  const Expr *condition = expr_given(arena, 0);
  assert_ptr_equal(expr_select(arena, expr_boolean(arena, true), x, y), x);
  assert_ptr_equal(expr_select(arena, expr_boolean(arena, false), x, y), y);
  assert_ptr_equal(expr_select(arena, condition, x, x), x);
  assert_same(expr_select(arena, condition, expr_select(arena, condition, x, y), z), expr_select(arena, condition, x, z));
  assert_same(expr_select(arena, condition, x, expr_select(arena, condition, y, z)), expr_select(arena, condition, x, z));
  assert_same(expr_select(arena, expr_unary(arena, OP_NOT, condition), x, y), expr_select(arena, condition, y, x));
  assert_ptr_equal(expr_select(arena, condition, expr_boolean(arena, true), expr_boolean(arena, false)), condition);
}

static void test_affine(void **state) {
  Arena *arena = *state;
  const Expr *t = expr_index(arena, 2), *n = expr_symbol(arena, 1);
  Affine affine;
  assert_true(expr_affine(ADD(SUB(MUL(INT(3), t), n), INT(4)), &affine));
  assert_int_equal(affine.constant, 4);
  assert_int_equal(affine.term_count, 2);
  assert_int_equal(affine_coefficient(&affine, false, 2), 3);
  assert_int_equal(affine_coefficient(&affine, true, 1), -1);
  assert_int_equal(affine_coefficient(&affine, true, 2), 0);
  assert_same(affine_expr(arena, &affine), ADD(SUB(MUL(INT(3), t), n), INT(4)));
  assert_false(expr_affine(MUL(t, n), &affine));
  assert_false(expr_affine(expr_read(arena, TYPE_INT, 0, 1, &t, NULL), &affine));
  const Expr *sum = INT(0);
  for (int i = 0; i <= AFFINE_TERMS; i++) sum = ADD(sum, expr_index(arena, i));
  assert_false(expr_affine(sum, &affine));
}

static void test_substitute(void **state) {
  Arena *arena = *state;
  const Expr *t = expr_index(arena, 0), *zero = REAL(0);
  const Expr *before = SUB(t, INT(1));
  const Expr *read = expr_read(arena, TYPE_REAL, 0, 1, &before, expr_unary(arena, OP_TO_REAL, t));
  const Expr *guarded = expr_select(arena, expr_binary(arena, OP_GE, t, INT(1)), read, zero);
  const Expr *next = ADD(t, INT(1));
  const Expr *moved = expr_substitute(arena, guarded, 1, &next);
  assert_true(expr_uses_index(moved, 0));
  assert_same(moved->args[1]->args[0], t);
  assert_same(moved->args[1]->outside, expr_unary(arena, OP_TO_REAL, next));
  const Expr *start = INT(0);
  assert_ptr_equal(expr_substitute(arena, guarded, 1, &start), zero); /* the condition folds */
  assert_ptr_equal(expr_substitute(arena, guarded, 0, NULL), guarded);
  assert_false(expr_uses_index(guarded, 1));
}

static void count_node(void *context, const Expr *expr) {
  (void)expr;
  ++*(int *)context;
}

static const Expr *doubled(Arena *arena, int times) {
  const Expr *expr = expr_unary(arena, OP_TO_REAL, expr_index(arena, 0));
  for (int n = 0; n < times; n++) expr = expr_binary(arena, OP_MUL, expr, expr_binary(arena, OP_ADD, expr, REAL(n + 2)));
  return expr;
}

/* 2^200 nodes as a tree: any walk that forgets what it has seen never ends. */
static void test_shared_subtrees(void **state) {
  Arena *arena = *state;
  const Expr *a = doubled(arena, 200), *b = doubled(arena, 200), *u = expr_index(arena, 1);
  int count = 0;
  expr_visit(a, count_node, &count);
  assert_int_equal(count, 2 + 200 * 3);
  assert_true(expr_equal(a, b));
  assert_false(expr_uses_index(a, 1));
  const Expr *moved = expr_substitute(arena, a, 1, &u);
  assert_false(expr_equal(a, moved));
  assert_true(expr_uses_index(moved, 1));
  Program *program = program_create(arena, "shared");
  IndexId index = program_add_index(program, "t", size_constant(0), size_constant(3));
  Size three = size_constant(3);
  TensorId y = program_add_tensor(program, "y", TYPE_REAL, 1, &three);
  program_add_equation(program, (Equation){.target = y, .indices = &index, .value = a});
  Text text = {.arena = arena};
  equations_print(&text, program);
  assert_true(text.length < 20000);
  SourceFile file = {"text", text.data, text.length};
  Program *again = equations_parse(arena, &file, diagnostics_create(arena));
  assert_non_null(again);
  assert_true(expr_equal(again->equations[0].value, a));
  text.length = 0;
  expr_print(&text, program, a);
  assert_true(text.length < 100000);
}

typedef struct Seen {
  const Expr *nodes[64];
  int count;
} Seen;

static void parents_come_first(void *context, const Expr *expr) {
  Seen *seen = context;
  for (int n = 0; n < seen->count; n++)
    for (int m = 0; m < expr->arg_count; m++) assert_ptr_not_equal(expr->args[m], seen->nodes[n]);
  seen->nodes[seen->count++] = expr;
}

static void test_visit_order(void **state) {
  Arena *arena = *state;
  const Expr *x = expr_local(arena, TYPE_REAL, 0);
  const Expr *inner = expr_unary(arena, OP_EXP, x);
  Seen seen = {.count = 0};
  expr_visit(ADD(inner, expr_unary(arena, OP_TANH, MUL(inner, x))), parents_come_first, &seen);
  assert_int_equal(seen.count, 5);
}

/* the text form of equations */

static const char *const small_program =
    "program leaky {\n"
    "  symbol B: batch\n"
    "  symbol T: stream\n"
    "  index t in 0 .. T\n"
    "  index n, k in 0 .. 4\n"
    "  index m in 0 .. 1\n"
    "  batch index r in 0 .. B\n"
    "  tensor x: real[T, 4]\n"
    "  tensor w: real[4, 4]\n"
    "  tensor y.before: real[1, 4] before y axis 0\n"
    "  tensor y: real[T, 4]\n"
    "  y.before[m, n] = 0.0\n"
    "  y[t, n] = x[t, n] with sum[k where k <= n](w[n, k] * y[t - 1, k else y.before[0, k]])\n"
    "  port parameter \"w\" = w, stored [16], uniform(-0.5, 0.5)\n"
    "  port input \"x\" = x\n"
    "  port output \"y\" = y, streams\n"
    "}\n";

static Program *parse_program(Arena *arena, const char *text) {
  SourceFile *file = ARENA_NEW(arena, SourceFile);
  *file = (SourceFile){"test.equations", text, strlen(text)};
  Diagnostics *diagnostics = diagnostics_create(arena);
  Program *program = equations_parse(arena, file, diagnostics);
  if (!program) diagnostics_print(diagnostics, stderr);
  assert_non_null(program);
  return program;
}

static const char *print_program(Arena *arena, const Program *program) {
  Text text = {.arena = arena};
  equations_print(&text, program);
  return text_string(&text);
}

static void assert_programs_equal(const Program *a, const Program *b) {
  assert_string_equal(a->name, b->name);
  assert_int_equal(a->symbol_count, b->symbol_count);
  assert_int_equal(a->index_count, b->index_count);
  assert_int_equal(a->tensor_count, b->tensor_count);
  assert_int_equal(a->equation_count, b->equation_count);
  assert_int_equal(a->port_count, b->port_count);
  for (int n = 0; n < a->index_count; n++) {
    assert_string_equal(a->indices[n].name, b->indices[n].name);
    assert_true(size_equal(a->indices[n].low, b->indices[n].low) && size_equal(a->indices[n].high, b->indices[n].high));
    assert_int_equal(a->indices[n].is_batch, b->indices[n].is_batch);
  }
  for (int n = 0; n < a->tensor_count; n++) {
    const Tensor *x = &a->tensors[n], *y = &b->tensors[n];
    assert_string_equal(x->name, y->name);
    assert_true(x->type == y->type && x->rank == y->rank && x->boundary_of == y->boundary_of);
    assert_true(x->boundary_axis == y->boundary_axis && x->is_after == y->is_after);
    for (int axis = 0; axis < x->rank; axis++) assert_true(size_equal(x->shape[axis], y->shape[axis]));
  }
  for (int n = 0; n < a->equation_count; n++) {
    const Equation *x = &a->equations[n], *y = &b->equations[n];
    assert_true(x->target == y->target && x->reduce == y->reduce && x->reduce_count == y->reduce_count);
    for (int axis = 0; axis < a->tensors[x->target].rank; axis++) assert_int_equal(x->indices[axis], y->indices[axis]);
    for (int m = 0; m < x->reduce_count; m++) assert_int_equal(x->reduce_indices[m], y->reduce_indices[m]);
    assert_true(!x->value == !y->value && !x->guard == !y->guard && !x->body == !y->body);
    if (x->value) assert_same(x->value, y->value);
    if (x->guard) assert_same(x->guard, y->guard);
    if (x->body) assert_same(x->body, y->body);
  }
  for (int n = 0; n < a->port_count; n++) {
    const Port *x = &a->ports[n], *y = &b->ports[n];
    assert_string_equal(x->name, y->name);
    assert_true(x->kind == y->kind && x->tensor == y->tensor && x->batch_axis == y->batch_axis && x->of == y->of);
    assert_true(x->is_for_objective == y->is_for_objective && x->streams == y->streams && !x->why_not == !y->why_not);
    if (x->why_not) assert_string_equal(x->why_not, y->why_not);
    assert_true(x->has_turns == y->has_turns && x->turn_scale == y->turn_scale && x->turn_offset == y->turn_offset);
    assert_int_equal(x->stored_rank, y->stored_rank);
    for (int axis = 0; axis < x->stored_rank; axis++) assert_int_equal(x->stored_shape[axis], y->stored_shape[axis]);
    assert_int_equal(x->init, y->init);
    assert_memory_equal(&x->init_a, &y->init_a, sizeof x->init_a);
    assert_memory_equal(&x->init_b, &y->init_b, sizeof x->init_b);
  }
}

static void assert_round_trip(Arena *arena, const Program *program) {
  const char *text = print_program(arena, program);
  Program *again = parse_program(arena, text);
  assert_programs_equal(program, again);
  assert_string_equal(print_program(arena, again), text);
}

static void test_program_text(void **state) {
  Arena *arena = *state;
  Program *program = parse_program(arena, small_program);
  assert_string_equal(print_program(arena, program), small_program);
  assert_null(equations_verify(program));
  assert_round_trip(arena, program);
}

/* Every construct, and names that are neither plain nor unique. */
static Program *large_program(Arena *arena) {
  Program *program = program_create(arena, "large model");
  SymbolId b = program_add_symbol(program, SYMBOL_BATCH, "B"), t = program_add_symbol(program, SYMBOL_STREAM, "T");
  program_add_symbol(program, SYMBOL_LENGTH, "where");
  SymbolId position = program_add_symbol(program, SYMBOL_POSITION, "at");
  Size bt[] = {size_symbol(b), size_symbol(t), size_constant(3)}, turns[] = {size_constant(2), size_constant(3)};
  TensorId x = program_add_tensor(program, "x", TYPE_REAL, 3, bt),
           w = program_add_tensor(program, "layers.{l}.w", TYPE_REAL, 2, turns);
  TensorId token = program_add_tensor(program, "sum", TYPE_INT, 2, bt), y = program_add_tensor(program, "x", TYPE_REAL, 3, bt);
  TensorId best = program_add_tensor(program, "best", TYPE_INT, 2, bt),
           loss = program_add_tensor(program, "loss", TYPE_REAL, 0, NULL);
  TensorId seed = program_add_tensor(program, "seed", TYPE_REAL, 0, NULL),
           is_first = program_add_tensor(program, "is_first", TYPE_BOOL, 1, &bt[1]);
  TensorId gradient = program_add_tensor(program, "d.w", TYPE_REAL, 2, turns);
  IndexId i[3], j[3], g[2], f;
  program_add_indices(program, y, NULL, i);
  program_add_indices(program, y, i, j);
  program_add_indices(program, w, NULL, g);
  program->indices[j[0]].is_batch = true;
  f = program_add_index(program, "T", size_constant(0), size_symbol(t));
  IndexId k = program_add_index(program, "odd name", size_constant(-2), (Size){t, -3});
  IndexId v = program_add_index(program, "v", size_constant(0), size_constant(3));
  const Expr *at[3] = {expr_index(arena, i[0]), expr_index(arena, i[1]), expr_index(arena, i[2])};
  const Expr *last[3] = {at[0], SUB(at[1], INT(1)), expr_binary(arena, OP_REMAINDER, SUB(INT(5), at[2]), INT(3))};
  const Expr *row[2] = {program_read(program, token, at, NULL), at[2]};
  const Expr *value = MUL(
      SUB(REAL(0), program_read(program, w, row, NULL)),
      expr_unary(arena, OP_TANH, SUB(program_read(program, y, last, REAL(-1e-30)), MUL(REAL(INFINITY), REAL(-2.5)))));
  const Expr *inner = SUB(program_read(program, x, at, NULL),
                          SUB(REAL(0.1), expr_unary(arena, OP_TO_REAL, expr_symbol(arena, position))));
  value = expr_select(
      arena,
      expr_unary(arena, OP_NOT,
                 expr_binary(arena, OP_AND, expr_binary(arena, OP_LT, at[1], INT(2)), expr_binary(arena, OP_LT, inner, value))),
      value, inner);
  program_add_equation(program, (Equation){.target = y,
                                           .indices = i,
                                           .value = value,
                                           .reduce = REDUCE_MAX,
                                           .reduce_count = 1,
                                           .reduce_indices = &k,
                                           .guard = expr_binary(arena, OP_NE, expr_index(arena, k), at[1]),
                                           .body = expr_unary(arena, OP_TO_REAL, expr_index(arena, k))});
  const Expr *score[3] = {at[0], at[1], expr_index(arena, v)};
  program_add_equation(program, (Equation){.target = best,
                                           .indices = i,
                                           .reduce = REDUCE_ARGMAX,
                                           .reduce_count = 1,
                                           .reduce_indices = &v,
                                           .body = program_read(program, y, score, NULL)});
  const Expr *all[3] = {expr_index(arena, j[0]), expr_index(arena, j[1]), expr_index(arena, j[2])};
  program_add_equation(program, (Equation){.target = loss,
                                           .value = REAL(0.1),
                                           .reduce = REDUCE_SUM,
                                           .reduce_count = 3,
                                           .reduce_indices = j,
                                           .body = program_read(program, y, all, NULL)});
  program_add_equation(
      program, (Equation){.target = is_first, .indices = &f, .value = expr_binary(arena, OP_EQ, expr_index(arena, f), INT(0))});
  program_add_equation(program, (Equation){.target = gradient, .indices = g, .value = program_read(program, seed, NULL, NULL)});
  int64_t stored[] = {1, 3};
  program_add_port(program, (Port){.kind = PORT_PARAMETER,
                                   .name = "layers.{}.w",
                                   .tensor = w,
                                   .batch_axis = NONE,
                                   .of = NONE,
                                   .has_turns = true,
                                   .turn_scale = 2,
                                   .turn_offset = -1,
                                   .stored_rank = 2,
                                   .stored_shape = arena_copy(arena, stored, sizeof stored),
                                   .init = INIT_NORMAL,
                                   .init_a = 0,
                                   .init_b = 0.02});
  program_add_port(program, (Port){.kind = PORT_INPUT, .name = "x", .tensor = x, .batch_axis = 0, .of = NONE});
  program_add_port(program, (Port){.kind = PORT_INPUT,
                                   .name = "token \"quoted\"\n",
                                   .tensor = token,
                                   .batch_axis = 0,
                                   .of = NONE,
                                   .is_for_objective = true});
  program_add_port(
      program,
      (Port){.kind = PORT_OUTPUT, .name = "y", .tensor = y, .batch_axis = 0, .of = NONE, .why_not = "'y' looks ahead\tat t + 1"});
  program_add_port(program, (Port){.kind = PORT_OBJECTIVE, .name = "loss", .tensor = loss, .batch_axis = NONE, .of = NONE});
  program_add_port(program, (Port){.kind = PORT_COTANGENT, .name = "loss", .tensor = seed, .batch_axis = NONE, .of = 4});
  program_add_port(
      program,
      (Port){.kind = PORT_GRADIENT, .name = "layers.{}.w", .tensor = gradient, .batch_axis = NONE, .of = 0, .has_turns = true});
  return program;
}

static void test_large_program(void **state) {
  Arena *arena = *state;
  Program *program = large_program(arena);
  assert_string_equal(program->tensors[3].name, "x.2");
  const char *message = equations_verify(program);
  if (message) fail_msg("%s", message);
  assert_round_trip(arena, program);
}

static void test_clone(void **state) {
  Arena *arena = *state, *other = arena_create();
  Program *program = large_program(arena);
  const char *before = print_program(arena, program);
  Program *clone = program_clone(other, program);
  assert_programs_equal(program, clone);
  Size four = size_constant(4);
  for (int n = 0; n < 9; n++) {
    program_add_tensor(clone, "more", TYPE_REAL, 1, &four);
    program_add_index(clone, "more", size_constant(0), four);
  }
  clone->tensors[0].shape[0] = size_constant(9);
  assert_string_equal(print_program(arena, program), before);
  arena_destroy(other);
}

/* The text has one error, printed like this. */
static void assert_program_error(Arena *arena, const char *text, const char *expected) {
  SourceFile file = {"bad", text, strlen(text)};
  Diagnostics *diagnostics = diagnostics_create(arena);
  assert_null(equations_parse(arena, &file, diagnostics));
  assert_int_equal(diagnostics_error_count(diagnostics), 1);
  char *printed = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&printed, &length);
  diagnostics_print(diagnostics, stream);
  fclose(stream);
  if (strncmp(printed, expected, strlen(expected))) fail_msg("found %s, expected %s", printed, expected);
  free(printed);
}

static void test_program_errors(void **state) {
  Arena *arena = *state;
  assert_program_error(arena, "", "bad:1:1: error: expected 'program', found the end of the text");
  assert_program_error(arena, "program p {\n  tensor x: reel[]\n}",
                       "bad:2:13: error: expected 'real', 'int' or 'bool', found 'reel'");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  x[] = y[]\n}", "bad:3:9: error: there is no tensor 'y'");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  x[] = 1 + 1.0\n}", "bad:3:11: error: argument 1 of '+' is int");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  x[] = 1.0\n  x[] = 2.0\n}",
                       "bad:4:3: error: a second equation for 'x'");
  assert_program_error(arena, "program p {\n  tensor x: real[2]\n  x[] = 1.0\n}",
                       "bad:3:3: error: 'x' has 1 axes, found 0 indices");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  tensor x: real[]\n}", "bad:3:10: error: a second tensor 'x'");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  x[] = exp(1.0, 2.0)\n}",
                       "bad:3:9: error: 'exp' takes 1 arguments, found 2");
  assert_program_error(arena, "program p {\n  tensor x: real[1] before y axis 0\n}", "bad:2:28: error: there is no tensor 'y'");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  port input \"x = x\n}",
                       "bad:3:14: error: this string has no end");
  assert_program_error(arena, "program p {\n  index i in 0 .. 99999999999999999999\n}",
                       "bad:2:19: error: the integer 99999999999999999999 does not fit");
  assert_program_error(arena, "program p {\n  index i'3 in 0 .. 2\n}", "bad:2:9: error: this is index 0, not 3");
  assert_program_error(arena, "program p { } }", "bad:1:15: error: expected the end of the text, found '}'");
  assert_program_error(arena, "program p {\n  tensor x: real[]\n  x[] = #0\n}", "bad:3:10: error: there is no line '#0 = ...'");
  assert_program_error(arena, "program p {\n  \x01\n}", "bad:2:3: error: a character that means nothing here (code 1)");
  char *deep = arena_allocate(arena, 60100);
  strcpy(deep, "program p { tensor x: real[] x[] = ");
  memset(deep + strlen(deep), '(', 60000);
  assert_program_error(arena, deep, "bad:1:2036: error: the expression is nested too deeply");
}

/* the verifier of equations */

static void assert_message(const char *message, const char *expected) {
  if (!message) fail_msg("accepted, expected: %s", expected);
  if (!strstr(message, expected)) fail_msg("found: %s, expected: %s", message, expected);
}

static void test_program_rejections(void **state) {
  static const char *const cases[][2] = {
      {"tensor y: real[] y[] = true", "the value is bool, expected real"},
      {"tensor y: real[] tensor x: real[] y[] = x[]", "'x' is read but nothing defines it, in the equation\n  y[] = x[]\n"},
      {"index i in 0 .. 3 tensor y: real[2] y[i] = 1.0", "the range of index 'i' is not that of axis 0 of 'y'"},
      {"index i in 1 .. 2 tensor y: real[2] y[i] = 1.0", "the range of index 'i'"},
      {"index i in 0 .. 2 tensor y: real[2, 2] y[i, i] = 1.0", "index 'i' is bound twice"},
      {"index i in 0 .. 2 tensor y: real[] y[] = to_real(i)", "index 'i' (number 0) is not bound here"},
      {"index i in 0 .. 2 tensor y: real[] y[] = to_real(i) with sum[i](1.0)",
       "in the value: index 'i' (number 0) is not bound here"},
      {"index i, j in 0 .. 2 tensor y: int[] y[] = argmax[i, j](1.0)", "argmax over more than one index"},
      {"index i in 0 .. 2 tensor y: int[] y[] = 1 with argmax[i](1.0)", "argmax with a value"},
      {"index i in 0 .. 2 tensor y: real[] y[] = argmax[i](1.0)", "argmax gives int"},
      {"index i in 0 .. 2 tensor y: bool[] y[] = max[i](true)", "a reduction of bool"},
      {"index i in 0 .. 2 tensor y: real[] y[] = sum[i](i)", "the reduction is int, expected real"},
      {"tensor y: real[] y[] = 1.0 port input \"y\" = y", "input 'y' (port 0) comes from outside but has an equation"},
      {"tensor y: real[] port output \"y\" = y", "output 'y' (port 0) is a result that nothing defines"},
      {"tensor y: real[] y[] = 1.0 port output \"y\" = y port output \"y\" = y", "is there twice"},
      {"tensor y: real[] y[] = 1.0 port gradient \"y\" = y", "belongs to no other port"},
      {"tensor y: real[] y[] = 1.0 port output \"o\" = y port gradient \"y\" = y, of 0", "belongs to a port of a wrong kind"},
      {"tensor y: real[2] index i in 0 .. 2 y[i] = 1.0 port objective \"y\" = y", "is an objective but no real scalar"},
      {"tensor y: real[2] port parameter \"y\" = y, stored [3]", "is stored with another number of elements"},
      {"symbol B: batch tensor b: real[B] tensor x: real[2] port input \"x\" = x, batch 0",
       "has its batch at an axis of another size"},
      {"tensor x: real[2, 3] tensor x.before: real[1, 4] before x axis 0",
       "axis 1 of the boundary 'x.before' is not axis 1 of 'x'"},
      {"symbol T: stream symbol U: stream", "'U' is a second stream"},
      {"tensor x: real[2] port input \"a\" = x port input \"b\" = x", "has the tensor of another port"},
  };
  Arena *arena = *state;
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++)
    assert_message(equations_verify(parse_program(arena, arena_format(arena, "program p { %s }", cases[n][0]))), cases[n][1]);
}

static void test_broken_tables(void **state) {
  Arena *arena = *state;
  Program *program = parse_program(arena, small_program);
  program->equations[1].target = 77;
  assert_message(equations_verify(program), "defines tensor 77");
  program = parse_program(arena, small_program);
  program->definition[3] = 0;
  assert_message(equations_verify(program), "'definition' of 'y' is out of date");
  program = parse_program(arena, small_program);
  program->equations[1].indices[1] = 99;
  assert_message(equations_verify(program), "index 99 is not there");
  program = parse_program(arena, small_program);
  program->tensors[0].name = "y";
  assert_message(equations_verify(program), "two tensors are named 'y'");
  program = parse_program(arena, small_program);
  program->equations[1].value = expr_load(arena, TYPE_REAL, 0, 0, NULL, NULL);
  assert_message(equations_verify(program), "a load in the wrong language");
  program = parse_program(arena, small_program);
  program->equations[1].value = expr_read(arena, TYPE_REAL, 0, 0, NULL, NULL);
  assert_message(equations_verify(program), "'x' has 2 axes, found 0 indices");
}

/* kernels */

static const char *const small_kernel = "kernel forward {\n"
                                        "  symbol B: batch\n"
                                        "  symbol T: stream\n"
                                        "  symbol blocks: derived = quotient(T + 7, 8)\n"
                                        "  index b in 0 .. B\n"
                                        "  index t in 0 .. T\n"
                                        "  index j, k, r, c in 0 .. 8\n"
                                        "  slots 2\n"
                                        "  buffer x: real[B, T, 8] input 0\n"
                                        "  buffer h0: real[B, 8] state 0\n"
                                        "  buffer w: real[2, 8, 8] parameter 0 turns\n"
                                        "  buffer packed: real[T, 4, 16] workspace 0 order [1, 0, 2] folded [0] private\n"
                                        "  buffer y: real[B, T, 8] output 0\n"
                                        "  buffer once: real[4, 8] workspace 1 or packed 0\n"
                                        "  buffer once.packed: real[4, 8] packed 0\n"
                                        "  buffer kept: real[64, 16] packed 1 int8\n"
                                        "  buffer scales: real[2, 16] packed 2 bf16\n"
                                        "  local %a: real\n"
                                        "  local %best: int\n"
                                        "  local %a'2: real\n"
                                        "  parallel b in 0 .. B {\n"
                                        "    reversed for t in 0 .. T {\n"
                                        "      vector reduce %best = argmax[k where k < T](x[b, t, k]) from t below T\n"
                                        "      if given(h0) and t == 0 {\n"
                                        "        vector j in 0 .. 8 {\n"
                                        "          reduce %a = h0[b, j where t >= 1] with sum[k](w[1, j, k] * x[b, t, k])\n"
                                        "          y[b, t, j] = %a\n"
                                        "        }\n"
                                        "      } else {\n"
                                        "        vector j in 0 .. 8 {\n"
                                        "          let %a'2 = -x[b, t, %best] * 2.0\n"
                                        "          y[b, t, j] = max(%a'2, -1.0)\n"
                                        "        }\n"
                                        "      }\n"
                                        "    }\n"
                                        "  }\n"
                                        "  barrier\n"
                                        "  parallel t in 0 .. T {\n"
                                        "    tile 4 by 2 {\n"
                                        "      row r from 4 * t below B\n"
                                        "      column c from 0 below 8\n"
                                        "      depth 4\n"
                                        "      left packed[t, 0, 0]\n"
                                        "      right packed[t + 1, 0, 0] or kept[32, 0] scaled scales[1, 0]\n"
                                        "      into y[r, t, c] with y[r, t, c] + h0[r, c]\n"
                                        "    }\n"
                                        "  }\n"
                                        "}\n";

static Kernel *parse_kernel(Arena *arena, const char *text) {
  SourceFile *file = ARENA_NEW(arena, SourceFile);
  *file = (SourceFile){"test.loops", text, strlen(text)};
  Diagnostics *diagnostics = diagnostics_create(arena);
  Kernel *kernel = kernel_parse(arena, file, diagnostics);
  if (!kernel) diagnostics_print(diagnostics, stderr);
  assert_non_null(kernel);
  return kernel;
}

static void test_kernel_text(void **state) {
  Arena *arena = *state;
  Kernel *kernel = parse_kernel(arena, small_kernel);
  const char *message = loops_verify(kernel);
  if (message) fail_msg("%s", message);
  Text text = {.arena = arena};
  kernel_print(&text, kernel);
  assert_string_equal(text_string(&text), small_kernel);
  assert_true(kernel->buffers[3].is_folded[0] && !kernel->buffers[3].is_folded[1]);
  assert_int_equal(kernel->buffers[3].order[0], 1);
  assert_true(kernel->buffers[2].has_turns);
  const Statement *loop = kernel->body->body;
  assert_true(loop->kind == STATEMENT_LOOP && loop->is_reversed && loop->loop_kind == LOOP_SEQUENTIAL);
  assert_true(loop->body->is_vector && loop->body->reduce == REDUCE_ARGMAX && loop->body->guard && !loop->body->value);
  const Statement *tile = kernel->body->next->next->body;
  assert_true(tile->tile_rows == 4 && tile->tile_vectors == 2 && tile->a_rank == 3 && tile->value);
  assert_true(kernel->buffers[tile->packed_buffer].format == PACKED_INT8 && kernel->buffers[tile->scale_buffer].format == PACKED_BF16);
  assert_int_equal(buffer_element_bytes(&kernel->buffers[tile->packed_buffer]), 1);
}

static void test_kernel_builder(void **state) {
  Arena *arena = *state;
  Program *program = parse_program(arena, small_program);
  Kernel *kernel = kernel_create(arena, ENTRY_GRADIENT, program);
  Size shape[] = {size_symbol(1), size_constant(4)};
  BufferId x = kernel_add_buffer(kernel, "x", TYPE_REAL, 2, shape, HOME_INPUT, 0);
  BufferId y = kernel_add_buffer(kernel, "x", TYPE_REAL, 2, shape, HOME_OUTPUT, 0);
  IndexId t = kernel_add_index(kernel, "t", size_constant(0), shape[0]),
          n = kernel_add_index(kernel, "n", size_constant(0), shape[1]);
  LocalId local = kernel_add_local(kernel, "value", TYPE_REAL);
  const Expr *at[] = {expr_index(arena, t), expr_index(arena, n)};
  Block inner = {0}, outer = {0};
  block_append(&inner, statement_let(kernel, local, expr_unary(arena, OP_EXP, doubled(arena, 3))));
  block_append(&inner, statement_store(kernel, y, at,
                                       ADD(expr_local(arena, TYPE_REAL, local), expr_load(arena, TYPE_REAL, x, 2, at, NULL))));
  Statement *vector = statement_loop(kernel, LOOP_VECTOR, n, INT(0), INT(4), inner.first);
  block_append(&outer, statement_loop(kernel, LOOP_PARALLEL, t, INT(0), size_expr(arena, shape[0]), vector));
  block_append(&outer, statement_barrier(kernel));
  kernel->body = outer.first;
  assert_null(loops_verify(kernel));
  Module module = {
      .arena = arena, .name = "m", .interface = program, .why_no_step = "x.seq:3: looks ahead", .has_objective = true};
  StatePiece piece = {"y.before", TYPE_REAL, 2, shape, 3, false, NONE, NONE, NULL};
  InputCheck check = {0, 0, {NONE, 65}};
  module.piece_count = module.check_count = 1;
  module.pieces = &piece;
  module.checks = &check;
  module.kernels[ENTRY_GRADIENT] = kernel;
  Text text = {.arena = arena};
  loops_print(&text, &module);
  assert_non_null(strstr(text.data, "  no step because \"x.seq:3: looks ahead\"\n  objective\n  state y.before: real[T, 4] port "
                                    "3\n  check input 0 in 0 .. 65\n"));
  assert_non_null(strstr(text.data, "x.2[t, n] = %value + x[t, n]\n"));
  const char *start = strstr(text.data, "kernel gradient");
  Text again = {.arena = arena};
  kernel_print(&again, parse_kernel(arena, start));
  assert_string_equal(again.data, start);
}

static const char *const kernel_head = "kernel forward {\n"
                                       "  symbol T: stream\n"
                                       "  index t, u, k in 0 .. T\n"
                                       "  slots 1\n"
                                       "  buffer x: real[T] input 0\n"
                                       "  buffer y: real[T] output 0\n"
                                       "  buffer a: real[4, 4] workspace 0\n"
                                       "  local %v, %w: real\n"
                                       "  local %i: int\n"
                                       "  %s\n"
                                       "}\n";

static void test_kernel_rejections(void **state) {
  static const char *const cases[][2] = {
      {"y[0] = 1.0", "a store outside of a parallel loop"},
      {"for t in 0 .. T { y[t] = 1.0 }", "a store outside of a parallel loop"},
      {"parallel t in 0 .. T { x[t] = 1.0 }", "'x' is only read (input)"},
      {"parallel t in 0 .. T { y[t] = 1 }", "the value is int, expected real"},
      {"parallel t in 0 .. T { y[u] = 1.0 }", "index 'u' (number 1) is not bound here"},
      {"parallel t in 0 .. T { parallel u in 0 .. T { } }", "a parallel loop in a parallel loop"},
      {"parallel t in 0 .. T { for t in 0 .. T { } }", "index 't' (number 0) is bound already"},
      {"vector t in 0 .. T { }", "a vector loop outside of loops"},
      {"for t in 0 .. T { vector u in 0 .. T { vector k in 0 .. T { } } }", "a vector loop in a vector loop"},
      {"for t in 0 .. T { vector u in 0 .. T { barrier } }", "a barrier in a parallel or vector loop"},
      {"parallel t in 0 .. T { barrier }", "a barrier in a parallel or vector loop"},
      {"parallel t in 0 .. T { vector u in 0 .. T { if u > 2 { } } }", "the condition differs from lane to lane"},
      {"parallel t in 0 .. T { vector u in 0 .. T { let %i = u + t if %i > 2 { } } }", "the condition differs from lane to lane"},
      {"parallel t in 0 .. T { vector u in 0 .. T { for k in 0 .. u { } } }", "the bounds differ from lane to lane"},
      {"parallel t in 0 .. T { vector u in 0 .. T { vector reduce %v = sum[k](x[k]) } }", "a vector reduction in a vector loop"},
      {"let %v = 1.0 let %v = 2.0", "local 'v' (number 0) is assigned twice"},
      {"let %v = %w", "local 'w' (number 1) is not bound here"},
      {"for t in 0 .. T { let %v = 1.0 } let %w = %v", "local 'v' (number 0) is not bound here"},
      {"let %v = 1", "the value is int, expected real"},
      {"reduce %v = argmax[t](1.0)", "argmax gives int"},
      {"reduce %v = 1.0", "a reduction without an operation"},
      {"tile 1 by 1 { row t from 0 below 1 column u from 0 below 1 depth 1 left a[0, 0] right a[0, 0] into a[t, u] }",
       "a tile outside of a parallel loop"},
      {"parallel k in 0 .. T { tile 1 by 1 { row t from 0 below 1 column u from 0 below 1 depth 1 left a[0, 1] right a[0, 1] "
       "into a[t, u] } }",
       "the last index of 'a' is not 0"},
      {"parallel k in 0 .. T { tile 1 by 1 { row t from 0 below 1 column u from 0 below 1 depth 1 left x[0] right a[0, 0] into "
       "a[t, u] } }",
       "'x' has 1 axes"},
      {"parallel t in 0 .. T { reversed for u in 0 .. T { y[u] = x[u where k > 2] } }", "index 'k' (number 2) is not bound here"},
  };
  Arena *arena = *state;
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    const char *at = strstr(kernel_head, "%s");
    Text text = {.arena = arena};
    text_add_length(&text, kernel_head, (size_t)(at - kernel_head));
    text_add(&text, cases[n][0]);
    text_add(&text, at + 2);
    assert_message(loops_verify(parse_kernel(arena, text.data)), cases[n][1]);
  }
}

static void test_kernel_tables(void **state) {
  Arena *arena = *state;
  Kernel *kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[3].order[0] = 0;
  assert_message(loops_verify(kernel), "has an order that is no permutation of its axes");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[0].has_turns = true;
  assert_message(loops_verify(kernel), "has turns but is no parameter");
  kernel = parse_kernel(arena, small_kernel);
  kernel->workspace_slots = 0;
  assert_message(loops_verify(kernel), "has a slot that is not there");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[0].shape[0] = size_constant(0);
  assert_message(loops_verify(kernel), "has an axis without a valid size");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[5].packed_slot = 3;
  assert_message(loops_verify(kernel), "names a packed buffer that is not there");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[6].shape[0] = size_constant(5);
  assert_message(loops_verify(kernel), "is laid out in another way than the packed buffer in its place");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[0].format = PACKED_INT8;
  assert_message(loops_verify(kernel), "has a format for numbers that are real and packed");
  kernel = parse_kernel(arena, small_kernel);
  kernel->body->next->next->body->scale_buffer = NONE;
  assert_message(loops_verify(kernel), "panels in int8 without scales");
  kernel = parse_kernel(arena, small_kernel);
  kernel->buffers[7].format = PACKED_BF16;
  assert_message(loops_verify(kernel), "scales without panels in int8");
  kernel = parse_kernel(arena, small_kernel);
  kernel->symbols[1].formula = expr_integer(arena, 1);
  assert_message(loops_verify(kernel), "has one without being derived");
  kernel = parse_kernel(arena, small_kernel);
  kernel->symbols[2].formula = expr_symbol(arena, 2);
  assert_message(loops_verify(kernel), "'blocks' is derived from more than integers and symbols before it");
}

static void assert_kernel_error(Arena *arena, const char *text, int line) {
  SourceFile file = {"bad", text, strlen(text)};
  Diagnostics *diagnostics = diagnostics_create(arena);
  assert_null(kernel_parse(arena, &file, diagnostics));
  char *printed = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&printed, &length);
  diagnostics_print(diagnostics, stream);
  fclose(stream);
  const char *expected = arena_format(arena, "bad:%d:", line);
  if (strncmp(printed, expected, strlen(expected))) fail_msg("found %s, expected line %d", printed, line);
  free(printed);
}

static void test_kernel_errors(void **state) {
  Arena *arena = *state;
  assert_kernel_error(arena, "kernel backward { }", 1);
  assert_kernel_error(arena, "kernel forward {\n  buffer x: real[2] output 0 order [0, 1]\n}", 2);
  assert_kernel_error(arena, "kernel forward {\n  for t in 0 .. 3 { }\n}", 2);
  assert_kernel_error(arena, "kernel forward {\n  index t in 0 .. 3\n  for t in 0.5 .. 3 { }\n}", 3);
  assert_kernel_error(arena, "kernel forward {\n  index t in 0 .. 3\n  for t in 0 .. 3 {\n", 4);
  assert_kernel_error(arena, "kernel forward {\n  let %x = 3\n}", 2);
  assert_kernel_error(arena, "kernel forward {\n  reversed barrier\n}", 2);
}

/* Whatever is cut off or changed in a text gives an error or a program, never a crash. */
static void test_damaged_texts(void **state) {
  Arena *arena = *state;
  const char *texts[] = {small_program, print_program(arena, large_program(arena)), small_kernel};
  unsigned random = 1;
  for (int n = 0; n < 3000; n++) {
    Arena *own = arena_create();
    const char *text = texts[n % 3];
    size_t length = strlen(text);
    char *copy = arena_string(own, text);
    for (int change = 0; change < 2; change++) {
      random = random * 1664525u + 1013904223u;
      copy[(random >> 8) % length] = text[(random >> 4) % length];
    }
    SourceFile file = {"damaged", copy, n % 5 ? length : (random >> 8) % length};
    Diagnostics *diagnostics = diagnostics_create(own);
    if (n % 3 == 2) {
      Kernel *kernel = kernel_parse(own, &file, diagnostics);
      if (kernel) loops_verify(kernel);
      assert_int_equal(kernel == NULL, diagnostics_error_count(diagnostics));
    } else {
      Program *program = equations_parse(own, &file, diagnostics);
      if (program) equations_verify(program);
      assert_int_equal(program == NULL, diagnostics_error_count(diagnostics));
    }
    arena_destroy(own);
  }
}

/* As few parentheses as keep the tree. */
static void test_parse_of_terms(void **state) {
  Arena *arena = *state;
  static const char *const terms[][2] = {
      {"(a[] + b[]) * a[] - (b[] - a[]) / b[]", "(a[] + b[]) * a[] - (b[] - a[]) / b[]"},
      {"a[] - (b[] - a[])", "a[] - (b[] - a[])"},
      {"((a[] - b[]) - a[])", "a[] - b[] - a[]"},
      {"-(a[] * b[])", "-(a[] * b[])"},
      {"-a[] * b[]", "-a[] * b[]"},
      {"select(not (a[] < b[]) and (a[] > 1.0 or b[] > -2.5), a[], inf)",
       "select(not a[] < b[] and (a[] > 1.0 or b[] > -2.5), a[], inf)"},
      {"to_real(quotient(-7, 2)) + a[]", "-4.0 + a[]"},
      {"1e-07 + a[] // a comment", "1e-07 + a[]"},
  };
  for (size_t n = 0; n < sizeof terms / sizeof *terms; n++) {
    Program *program = parse_program(
        arena, arena_format(arena, "program p { tensor a: real[] tensor b: real[] tensor c: real[] c[] = %s\n}", terms[n][0]));
    Text text = {.arena = arena};
    expr_print(&text, program, program->equations[0].value);
    assert_string_equal(text_string(&text), terms[n][1]);
    assert_round_trip(arena, program);
  }
}

/* The example that docs/ir.md gives of a language: the text of its last block of this kind. */
static const char *documented(Arena *arena, const char *kind) {
  FILE *file = fopen(SEQC_TESTS "/../docs/ir.md", "r");
  assert_non_null(file);
  const char *fence = arena_format(arena, "```%s\n", kind);
  Text text = {.arena = arena};
  bool is_inside = false;
  for (char line[400]; fgets(line, sizeof line, file);) {
    if (is_inside && strncmp(line, "```", 3) == 0) is_inside = false;
    else if (strcmp(line, fence) == 0) is_inside = true;
    else if (is_inside) text_add(&text, line);
  }
  fclose(file);
  return text_string(&text);
}

static void test_documented_examples(void **state) {
  Arena *arena = *state;
  const char *equations = documented(arena, "equations"), *loops = documented(arena, "loops");
  assert_string_equal(print_program(arena, parse_program(arena, equations)), equations);
  Kernel *kernel = parse_kernel(arena, loops);
  assert_null(loops_verify(kernel));
  Text text = {.arena = arena};
  kernel_print(&text, kernel);
  assert_string_equal(text_string(&text), loops);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_real_identities), TEST(test_constants),      TEST(test_integer_sums),       TEST(test_comparisons_and_logic),
      TEST(test_select),          TEST(test_affine),         TEST(test_substitute),         TEST(test_shared_subtrees),
      TEST(test_visit_order),     TEST(test_program_text),   TEST(test_parse_of_terms),     TEST(test_large_program),
      TEST(test_clone),           TEST(test_program_errors), TEST(test_program_rejections), TEST(test_broken_tables),
      TEST(test_kernel_text),     TEST(test_kernel_builder), TEST(test_kernel_rejections),  TEST(test_kernel_tables),
      TEST(test_kernel_errors),   TEST(test_damaged_texts), TEST(test_documented_examples),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
