/* math_test.c - the largest error of each function over a sweep of all float arguments, in units of the last place, against
 * double precision of the C library; on the processors that differ in fused multiply-adds and width of vectors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_run.h"

enum { BLOCK = 4093, STEP = 4999 };

typedef struct Function {
  const char *text; /* of x[i] and, for pow, y[i] */
  double (*exact)(double);
  double low, high; /* of the sweep */
  double most_ulp;
} Function;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

static const Function functions[] = {
    {"exp(x[i])", exp, -INFINITY, INFINITY, 1.1}, {"expm1(x[i])", expm1, -INFINITY, INFINITY, 1.6},
    {"exp2(x[i])", exp2, -INFINITY, INFINITY, 1.1},
    {"log(x[i])", log, -1, INFINITY, 0.9},        {"log1p(x[i])", log1p, -2, INFINITY, 1.6},
    {"tanh(x[i])", tanh, -INFINITY, INFINITY, 2}, {"sigmoid(x[i])", sigmoid, -INFINITY, INFINITY, 2},
    {"sin(x[i])", sin, -1e4, 1e4, 1.7},           {"cos(x[i])", cos, -1e4, 1e4, 1.7},
    {"erf(x[i])", erf, -INFINITY, INFINITY, 1.3}, {"max(x[i], 0.0) + log1p(exp(-abs(x[i])))", softplus, -INFINITY, INFINITY, 2.1},
};

/* Results below the smallest normal number may be anything below it; what rounds to infinity may be the largest number. */
static double error_in_ulp(float found, double exact) {
  if (isnan(exact) || isnan(found)) return isnan(exact) && isnan(found) ? 0 : INFINITY;
  if (isinf((float)exact) || isinf(found)) {
    bool is_near = !isinf(exact) && fabs(exact) < 3.41e38 && fabs((double)found) > 3.4e38;
    return (double)found == exact || isinf((float)exact) == isinf(found) || is_near ? 0 : INFINITY;
  }
  const double smallest = 1.1754943508222875e-38;
  if (fabs(exact) < smallest) return fabs((double)found) <= smallest * 1.0001 ? 0 : INFINITY;
  int exponent;
  (void)frexp(exact, &exponent);
  return fabs((double)found - exact) / ldexp(1, exponent - 24);
}

static KernelRun compile(const char *function, const char *cpu) {
  Arena *arena = arena_create();
  KernelRun run = kernel_run_begin(
      arena_format(arena,
                   "kernel forward { symbol N: length index p in 0 .. 1 index i in 0 .. N buffer x: real[N] input 0\n"
                   "buffer y: real[N] input 1 buffer z: real[N] output 0\n"
                   "parallel p in 0 .. 1 { vector i in 0 .. N { z[i] = %s } } }",
                   function),
      cpu, 2);
  arena_destroy(arena);
  return run;
}

static void sweep(const Function *function, const char *cpu) {
  static float x[BLOCK], z[BLOCK];
  KernelRun run = compile(function->text, cpu);
  double worst = 0, worst_at = 0;
  for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
    int64_t count = 0;
    for (; count < BLOCK && bits < UINT64_C(1) << 32; bits += STEP) {
      uint32_t pattern = (uint32_t)bits;
      float value;
      memcpy(&value, &pattern, sizeof value);
      if (isnan(value) || ((double)value >= function->low && (double)value <= function->high)) x[count++] = value;
    }
    kernel_run(&run, NULL, &count, (void *[]){x, x, z}, 0, 1);
    for (int64_t n = 0; n < count; n++) {
      double error = error_in_ulp(z[n], function->exact((double)x[n]));
      if (error > worst) worst = error, worst_at = (double)x[n];
    }
  }
  kernel_run_end(&run);
  if (worst > function->most_ulp)
    fail_msg("%s is wrong by %.2f ulp at %.9g, on %s", function->text, worst, worst_at, cpu ? cpu : "the host");
}

static void functions_of_one_argument(void **state) {
  (void)state;
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) sweep(&functions[n], NULL);
}

static void without_wide_vectors(void **state) {
  (void)state;
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) {
    sweep(&functions[n], "haswell");
    Function loose = functions[n];
    loose.most_ulp += 0.2; /* products are rounded */
    sweep(&loose, "x86-64");
  }
}

static void limits(void **state) {
  (void)state;
  static float x[] = {0, -0.0F, INFINITY, -INFINITY, NAN, 1, -1, 1e-40F};
  enum { COUNT = sizeof x / sizeof *x };
  float z[COUNT];
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) {
    KernelRun run = compile(functions[n].text, NULL);
    kernel_run(&run, NULL, (int64_t[]){COUNT}, (void *[]){x, x, z}, 0, 1);
    for (int i = 0; i < COUNT; i++)
      if (error_in_ulp(z[i], functions[n].exact((double)x[i])) > functions[n].most_ulp)
        fail_msg("%s is %g at %g", functions[n].text, (double)z[i], (double)x[i]);
    kernel_run_end(&run);
  }
}

static void powers(void **state) {
  (void)state;
  static const float special[] = {0,  -0.0F,  1,     -1,       2,         -2,  0.5F,     -0.5F,     3,
                                  -3, 1e-40F, 7e37F, INFINITY, -INFINITY, NAN, 16777216, 1.0000001F};
  enum { SPECIAL = sizeof special / sizeof *special, COUNT = 200000 };
  static float x[COUNT], y[COUNT], z[COUNT];
  unsigned random = 1;
  for (int n = 0; n < COUNT; n++) {
    random = random * 1664525u + 1013904223u;
    x[n] = (float)exp((double)(random >> 8) / (1 << 24) * 160 - 80) * (n % 5 ? 1 : -1);
    random = random * 1664525u + 1013904223u;
    double most = 88 / (fabs(log(fabs((double)x[n]))) + 0.01), part = (double)(random >> 8) / (1 << 23) - 1;
    y[n] = n % 3 ? (float)(most * part) : (float)(int)(most * part);
    if (n < SPECIAL * SPECIAL) x[n] = special[n / SPECIAL], y[n] = special[n % SPECIAL];
  }
  KernelRun run = compile("pow(x[i], y[i])", NULL);
  kernel_run(&run, NULL, (int64_t[]){COUNT}, (void *[]){x, y, z}, 0, 1);
  for (int n = 0; n < COUNT; n++) {
    double exact = pow((double)x[n], (double)y[n]), error = error_in_ulp(z[n], exact);
    if (error > 1.6)
      fail_msg("pow(%.9g, %.9g) is %.9g, not %.9g: %.2f ulp", (double)x[n], (double)y[n], (double)z[n], exact, error);
  }
  kernel_run_end(&run);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(functions_of_one_argument), cmocka_unit_test(without_wide_vectors),
                                     cmocka_unit_test(limits), cmocka_unit_test(powers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
