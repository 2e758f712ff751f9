/* interpret_test.c - the oracle on small programs whose values are known by hand or by a plain loop. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/interpret.h"

/* A program under construction; all its sizes are constants. */
typedef struct Fixture {
  Arena *arena;
  Program *program;
} Fixture;

static Fixture fixture_create(void) {
  Arena *arena = arena_create();
  return (Fixture){arena, program_create(arena, "test")};
}

static TensorId add_tensor(Fixture *fixture, const char *name, int rank, const int64_t *extents) {
  Size shape[4];
  for (int i = 0; i < rank; i++) shape[i] = size_constant(extents[i]);
  return program_add_tensor(fixture->program, name, TYPE_REAL, rank, shape);
}

static IndexId add_index(Fixture *fixture, const char *name, int64_t high) {
  return program_add_index(fixture->program, name, size_constant(0), size_constant(high));
}

static const Expr *index_expr(Fixture *fixture, IndexId index) { return expr_index(fixture->arena, index); }

static const Expr *index_plus(Fixture *fixture, IndexId index, int64_t constant) {
  return expr_binary(fixture->arena, OP_ADD, expr_index(fixture->arena, index), expr_integer(fixture->arena, constant));
}

static const Expr *number(Fixture *fixture, double value) { return expr_number(fixture->arena, value); }

static const Expr *binary(Fixture *fixture, Op op, const Expr *a, const Expr *b) { return expr_binary(fixture->arena, op, a, b); }

static const Expr *read1(Fixture *fixture, TensorId tensor, const Expr *index, const Expr *outside) {
  return program_read(fixture->program, tensor, &index, outside);
}

static const Expr *read2(Fixture *fixture, TensorId tensor, const Expr *first, const Expr *second, const Expr *outside) {
  const Expr *indices[] = {first, second};
  return program_read(fixture->program, tensor, indices, outside);
}

static void define(Fixture *fixture, TensorId target, const IndexId *indices, const Expr *value) {
  program_add_equation(fixture->program, (Equation){.target = target, .indices = (IndexId *)indices, .value = value});
}

/* The tensor's values; inputs are given as pairs of tensor and values, ended by NONE. */
static const double *run(Fixture *fixture, TensorId tensor, const char **out_error, ...) {
  Interpretation *interpretation = interpretation_create(fixture->arena, fixture->program, (int64_t[1]){0});
  va_list inputs;
  va_start(inputs, out_error);
  for (TensorId input = va_arg(inputs, TensorId); input != NONE; input = va_arg(inputs, TensorId))
    interpretation->values[input] = va_arg(inputs, double *);
  va_end(inputs);
  return interpret(interpretation, tensor, out_error);
}

static void assert_values(const double *values, int count, const double *expected) {
  assert_non_null(values);
  for (int i = 0; i < count; i++) assert_true(fabs(values[i] - expected[i]) <= 1e-12 * fabs(expected[i]));
}

static void matrix_product(void **state) {
  (void)state;
  enum { M = 3, K = 300, N = 4 };
  Fixture f = fixture_create();
  TensorId a = add_tensor(&f, "a", 2, (int64_t[]){M, K}), b = add_tensor(&f, "b", 2, (int64_t[]){K, N});
  TensorId c = add_tensor(&f, "c", 2, (int64_t[]){M, N});
  IndexId i = add_index(&f, "i", M), j = add_index(&f, "j", N), k = add_index(&f, "k", K);
  const Expr *product = binary(&f, OP_MUL, read2(&f, a, index_expr(&f, i), index_expr(&f, k), NULL),
                               read2(&f, b, index_expr(&f, k), index_expr(&f, j), NULL));
  program_add_equation(f.program, (Equation){.target = c,
                                             .indices = (IndexId[]){i, j},
                                             .value = number(&f, 0.5),
                                             .reduce = REDUCE_SUM,
                                             .reduce_count = 1,
                                             .reduce_indices = &k,
                                             .body = product});
  double a_values[M * K], b_values[K * N], expected[M * N];
  for (int n = 0; n < M * K; n++) a_values[n] = sin(n);
  for (int n = 0; n < K * N; n++) b_values[n] = 1 + cos(n);
  for (int n = 0; n < M * N; n++) {
    expected[n] = 0.5;
    for (int m = 0; m < K; m++) expected[n] += a_values[n / N * K + m] * b_values[m * N + n % N];
  }
  const char *error;
  assert_values(run(&f, c, &error, a, a_values, b, b_values, NONE), M * N, expected);
  assert_null(error);
  arena_destroy(f.arena);
}

/* h[t, j] = 0.5 * h[t + lag, j] + sum over k of h[t + lag, k] + x[t, j]; from the other end for lag 1. */
static void check_recurrence(int lag) {
  enum { T = 9, J = 3 };
  Fixture f = fixture_create();
  TensorId x = add_tensor(&f, "x", 2, (int64_t[]){T, J}), h = add_tensor(&f, "h", 2, (int64_t[]){T, J});
  IndexId t = add_index(&f, "t", T), j = add_index(&f, "j", J), k = add_index(&f, "k", J);
  const Expr *before = read2(&f, h, index_plus(&f, t, lag), index_expr(&f, j), number(&f, 2));
  const Expr *value = binary(&f, OP_ADD, binary(&f, OP_MUL, number(&f, 0.5), before),
                             read2(&f, x, index_expr(&f, t), index_expr(&f, j), NULL));
  program_add_equation(f.program, (Equation){.target = h,
                                             .indices = (IndexId[]){t, j},
                                             .value = value,
                                             .reduce = REDUCE_SUM,
                                             .reduce_count = 1,
                                             .reduce_indices = &k,
                                             .body = read2(&f, h, index_plus(&f, t, lag), index_expr(&f, k), number(&f, 3))});
  double x_values[T * J], expected[T * J];
  for (int n = 0; n < T * J; n++) x_values[n] = n * 0.25 - 1;
  for (int step = 0; step < T; step++) {
    int now = lag < 0 ? step : T - 1 - step;
    for (int column = 0; column < J; column++) {
      const double *last = step ? &expected[(now + lag) * J] : NULL;
      double sum = step ? last[0] + last[1] + last[2] : 9;
      expected[now * J + column] = 0.5 * (step ? last[column] : 2) + x_values[now * J + column] + sum;
    }
  }
  const char *error;
  assert_values(run(&f, h, &error, x, x_values, NONE), T * J, expected);
  arena_destroy(f.arena);
}

static void recurrence_forward(void **state) {
  (void)state;
  check_recurrence(-1);
}

static void recurrence_reverse(void **state) {
  (void)state;
  check_recurrence(1);
}

/* Two tensors that need each other, asked for at the last step: y reads x of the step before, x reads y of this one. */
static void deep_recurrence(void **state) {
  (void)state;
  enum { T = 200000 };
  for (int lag = -1; lag <= 1; lag += 2) {
    Fixture f = fixture_create();
    TensorId x = add_tensor(&f, "x", 1, (int64_t[]){T}), y = add_tensor(&f, "y", 1, (int64_t[]){T});
    TensorId last = add_tensor(&f, "last", 0, NULL);
    IndexId t = add_index(&f, "t", T);
    define(&f, y, &t, binary(&f, OP_ADD, number(&f, 1), read1(&f, x, index_plus(&f, t, lag), number(&f, 0))));
    define(&f, x, &t, read1(&f, y, index_expr(&f, t), NULL));
    define(&f, last, NULL, read1(&f, x, expr_integer(f.arena, lag < 0 ? T - 1 : 0), NULL));
    const char *error;
    const double *value = run(&f, last, &error, NONE);
    assert_non_null(value);
    assert_true(*value == T);
    arena_destroy(f.arena);
  }
}

/* y[i] = sum over k with k <= i of x[k], a guard that no term passes for z. */
static void guards(void **state) {
  (void)state;
  enum { N = 5 };
  Fixture f = fixture_create();
  TensorId x = add_tensor(&f, "x", 1, (int64_t[]){N}), y = add_tensor(&f, "y", 1, (int64_t[]){N});
  TensorId z = add_tensor(&f, "z", 1, (int64_t[]){N});
  IndexId i = add_index(&f, "i", N), k = add_index(&f, "k", N);
  const Expr *body = read1(&f, x, index_expr(&f, k), NULL);
  Equation equation = {.target = y,
                       .indices = &i,
                       .reduce = REDUCE_SUM,
                       .reduce_count = 1,
                       .reduce_indices = &k,
                       .body = body,
                       .guard = binary(&f, OP_LE, index_expr(&f, k), index_expr(&f, i))};
  program_add_equation(f.program, equation);
  equation.target = z;
  equation.reduce = REDUCE_MAX;
  equation.guard = binary(&f, OP_LT, index_expr(&f, k), index_expr(&f, i));
  program_add_equation(f.program, equation);
  const char *error;
  double values[N] = {3, 1, 4, 1, 5};
  assert_values(run(&f, y, &error, x, values, NONE), N, (double[]){3, 4, 8, 9, 14});
  const double *largest = run(&f, z, &error, x, values, NONE);
  assert_true(largest[0] == -INFINITY);
  assert_values(largest + 1, N - 1, (double[]){3, 3, 4, 4});
  arena_destroy(f.arena);
}

/* y[i] = if i > 0 then x[i - 1] else -1: the read would be an error at 0. */
static void select_is_lazy(void **state) {
  (void)state;
  enum { N = 4 };
  Fixture f = fixture_create();
  TensorId x = add_tensor(&f, "x", 1, (int64_t[]){N}), y = add_tensor(&f, "y", 1, (int64_t[]){N});
  IndexId i = add_index(&f, "i", N);
  const Expr *condition = binary(&f, OP_GT, index_expr(&f, i), expr_integer(f.arena, 0));
  define(&f, y, &i, expr_select(f.arena, condition, read1(&f, x, index_plus(&f, i, -1), NULL), number(&f, -1)));
  const char *error;
  assert_values(run(&f, y, &error, x, (double[]){3, 1, 4, 1}, NONE), N, (double[]){-1, 3, 1, 4});
  arena_destroy(f.arena);
}

static void argmax_takes_the_first(void **state) {
  (void)state;
  enum { M = 3, N = 4 };
  Fixture f = fixture_create();
  TensorId x = add_tensor(&f, "x", 2, (int64_t[]){M, N});
  TensorId y = program_add_tensor(f.program, "y", TYPE_INT, 1, (Size[]){size_constant(M)});
  IndexId i = add_index(&f, "i", M), k = add_index(&f, "k", N);
  const Expr *body = read2(&f, x, index_expr(&f, i), index_expr(&f, k), NULL);
  program_add_equation(f.program, (Equation){.target = y,
                                             .indices = &i,
                                             .reduce = REDUCE_ARGMAX,
                                             .reduce_count = 1,
                                             .reduce_indices = &k,
                                             .body = body,
                                             .guard = binary(&f, OP_LT, body, number(&f, 10))});
  double values[M * N] = {1, 7, 7, 2, 20, 20, 20, 20, 20, -INFINITY, 20, -INFINITY};
  const char *error;
  assert_values(run(&f, y, &error, x, values, NONE), M, (double[]){1, 0, 1});
  arena_destroy(f.arena);
}

/* y[i] = table[token[i]], and the error of a token that the table does not have. */
static void gather(void **state) {
  (void)state;
  enum { N = 4, V = 3 };
  Fixture f = fixture_create();
  TensorId table = add_tensor(&f, "table", 1, (int64_t[]){V});
  TensorId token = program_add_tensor(f.program, "token", TYPE_INT, 1, (Size[]){size_constant(N)});
  TensorId y = add_tensor(&f, "y", 1, (int64_t[]){N});
  IndexId i = add_index(&f, "i", N);
  define(&f, y, &i, read1(&f, table, read1(&f, token, index_expr(&f, i), NULL), NULL));
  const char *error;
  double values[V] = {10, 20, 30};
  assert_values(run(&f, y, &error, table, values, token, (double[]){2, 0, 1, 2}, NONE), N, (double[]){30, 10, 20, 30});
  assert_null(run(&f, y, &error, table, values, token, (double[]){2, 0, 3, 2}, NONE));
  assert_string_equal(error, "index 3 of axis 0 of 'table' is out of range: expected 0 <= index < 3, in 'y'[0]");
  arena_destroy(f.arena);
}

static void cycle_is_an_error(void **state) {
  (void)state;
  enum { N = 3 };
  Fixture f = fixture_create();
  TensorId x = add_tensor(&f, "x", 1, (int64_t[]){N}), y = add_tensor(&f, "y", 1, (int64_t[]){N});
  IndexId i = add_index(&f, "i", N);
  define(&f, x, &i, read1(&f, y, index_plus(&f, i, 1), number(&f, 0)));
  define(&f, y, &i, read1(&f, x, index_plus(&f, i, -1), number(&f, 0)));
  const char *error;
  assert_null(run(&f, x, &error, NONE));
  assert_string_equal(error, "'x'[0] depends on itself through 'y'[1], in 'y'[1]");
  arena_destroy(f.arena);
}

static void integers_round_down(void **state) {
  (void)state;
  Fixture f = fixture_create();
  TensorId y = program_add_tensor(f.program, "y", TYPE_INT, 2, (Size[]){size_constant(2), size_constant(6)});
  IndexId i = add_index(&f, "i", 2), j = add_index(&f, "j", 6);
  const Expr *n = index_plus(&f, j, -3), *three = expr_integer(f.arena, 3);
  const Expr *is_first = binary(&f, OP_EQ, index_expr(&f, i), expr_integer(f.arena, 0));
  define(&f, y, (IndexId[]){i, j},
         expr_select(f.arena, is_first, binary(&f, OP_QUOTIENT, n, three), binary(&f, OP_REMAINDER, n, three)));
  const char *error;
  assert_values(run(&f, y, &error, NONE), 12, (double[]){-1, -1, -1, 0, 0, 0, 0, 1, 2, 0, 1, 2});
  arena_destroy(f.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matrix_product),
      cmocka_unit_test(recurrence_forward),
      cmocka_unit_test(recurrence_reverse),
      cmocka_unit_test(deep_recurrence),
      cmocka_unit_test(guards),
      cmocka_unit_test(select_is_lazy),
      cmocka_unit_test(argmax_takes_the_first),
      cmocka_unit_test(gather),
      cmocka_unit_test(cycle_is_an_error),
      cmocka_unit_test(integers_round_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
