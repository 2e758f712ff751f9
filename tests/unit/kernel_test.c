/* kernel_test.c - bodies of kernels, given as text, compiled and run against plain C: loops and tails, every way of addressing,
 * reductions, guards, threads and barriers, matrix tiles with their edges. Each runs unoptimised and optimised.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_run.h"

enum { MOST = 1 << 16, SENTINEL = 12345 };
static const int levels[] = {0, 2, 3};
#define FOR_LEVELS(level) for (size_t level = 0; level < sizeof levels / sizeof *levels; level++)

static void fill(float *values, int count, int seed) {
  unsigned state = (unsigned)seed * 2654435761u + 1;
  for (int n = 0; n < count; n++) {
    state = state * 1664525u + 1013904223u;
    values[n] = (float)(state >> 8) / (float)(1 << 23) - 1;
  }
}

static void expect(const float *found, const float *wanted, int count, double tolerance) {
  for (int n = 0; n < count; n++)
    if (!(fabs((double)found[n] - (double)wanted[n]) <= tolerance * (1 + fabs((double)wanted[n]))))
      fail_msg("element %d is %.9g, not %.9g", n, (double)found[n], (double)wanted[n]);
}

/* Ranges of reductions that are narrower than their index's, empty ones among them. */
static void reductions_over_a_part(void **state) {
  (void)state;
  static const char *const kinds[] = {"vector reduce", "reduce"};
  enum { N = 90 };
  float x[N], y[N];
  fill(x, N, 20);
  for (int kind = 0; kind < 2; kind++) FOR_LEVELS(level) {
    char text[512];
    snprintf(text, sizeof text,
             "kernel forward { symbol N: length index i, k in 0 .. N buffer x: real[N] input 0 buffer y: real[N] output 0\n"
             "local %%s: real parallel i in 0 .. N { %s %%s = 0.5 with sum[k](x[k]) from i - 3 below min(N, 2 * i - 20) y[i] = %%s } }",
             kinds[kind]);
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    int64_t count = N;
    for (int n = 0; n < 3; n++) x[n] = 0; /* the range begins before them in the first rows, where it is empty */
    kernel_run(&run, NULL, &count, (void *[]){x, y}, 0, 1);
    for (int i = 0; i < N; i++) {
      double wanted = 0.5;
      for (int k = i - 3; k < (2 * i - 20 < N ? 2 * i - 20 : N); k++) wanted += (double)x[k];
      if (fabs((double)y[i] - wanted) > 1e-5) fail_msg("sum %d is %g, not %g", i, (double)y[i], wanted);
    }
    kernel_run_end(&run);
  }
}

/* ---- loops and addresses */

static void vector_loop_stops_at_its_end(void **state) {
  (void)state;
  static const char text[] = "kernel forward { symbol N: length index p in 0 .. 1 index i in 0 .. N buffer x: real[N] input 0 "
                             "buffer y: real[N] output 0\n"
                             "parallel p in 0 .. 1 { vector i in 1 .. N { y[i] = tanh(x[i]) * 2.0 + x[i - 1] } } }";
  float x[80], y[81], wanted[81];
  fill(x, 80, 1);
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    for (int64_t count = 0; count <= 80; count++) {
      for (int n = 0; n < 81; n++) y[n] = wanted[n] = SENTINEL;
      for (int n = 1; n < count; n++) wanted[n] = tanhf(x[n]) * 2 + x[n - 1];
      kernel_run(&run, NULL, &count, (void *[]){x, y}, 0, 1);
      expect(y, wanted, 81, 1e-6);
    }
    kernel_run_end(&run);
  }
}

/* Transposed, strided, broadcast, by a table of indices, with guards of both kinds; integers and booleans in memory. */
static void every_way_of_addressing(void **state) {
  (void)state;
  static const char text[] =
      "kernel forward { symbol N: length symbol T: length index t in 0 .. T index i in 0 .. N\n"
      "slots 2 buffer a: real[N, T] input 0\nbuffer table: real[50, 3] parameter 0\nbuffer token: int[N] input 1\n"
      "buffer late: real[T] input 2\nbuffer y: real[T, N] output 0\nbuffer back: real[N, T] output 1\nbuffer flag: bool[T, N] "
      "workspace 0\n"
      "buffer whole: int[T, N] workspace 1\n"
      "parallel t in 0 .. T { vector i in 0 .. N {\n"
      "flag[t, i] = i < token[i]\n"
      "whole[t, i] = remainder(token[i] - 25, 7) + quotient(i - 9, 4) * t\n"
      "back[i, t] = a[i, t] + late[t - 1 where t >= 1] + late[t where i <= t]\n"
      "y[t, i] = table[token[i], 2] + a[i - 2, t where i >= 2] + a[N - 1 - i, t] + table[t + 3, 1] + to_real(i)\n"
      "y[t, i] = y[t, i] + select(flag[t, i], to_real(whole[t, i]), 0.5)\n"
      "} } }";
  enum { N = 37, T = 5 };
  static float a[N * T], table[150], late[T], y[N * T], back[N * T], wanted[N * T], wanted_back[N * T];
  static int32_t token[N], whole[N * T];
  static uint8_t flag[N * T];
  fill(a, N * T, 2), fill(table, 150, 3), fill(late, T, 4);
  for (int i = 0; i < N; i++) token[i] = (i * 17 + 5) % 50;
  for (int t = 0; t < T; t++)
    for (int i = 0; i < N; i++) {
      float sum = table[token[i] * 3 + 2] + a[(N - 1 - i) * T + t] + table[(t + 3) * 3 + 1] + (float)i;
      if (i >= 2) sum += a[(i - 2) * T + t];
      double value = (double)(token[i] - 25 - 7 * (int)floor((token[i] - 25) / 7.0)) + floor((i - 9) / 4.0) * t;
      wanted[t * N + i] = sum + (i < token[i] ? (float)value : 0.5F);
      wanted_back[i * T + t] = a[i * T + t] + (t >= 1 ? late[t - 1] : 0) + (i <= t ? late[t] : 0);
    }
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    memset(y, 0, sizeof y), memset(back, 0, sizeof back);
    kernel_run(&run, NULL, (int64_t[]){N, T}, (void *[]){a, table, token, late, y, back, flag, whole}, 0, 1);
    expect(y, wanted, N * T, 1e-6);
    expect(back, wanted_back, N * T, 1e-6);
    kernel_run_end(&run);
  }
}

/* Turns choose the pointer; a buffer that was not given reads as zero; a folded axis and a layout in another order. */
static void layouts_and_missing_buffers(void **state) {
  (void)state;
  static const char text[] = "kernel forward { index l in 0 .. 3 index i, j in 0 .. 20 slots 1 buffer w: real[3, 20] parameter 0 "
                             "turns buffer h: real[20] state 0\n"
                             "buffer s: real[3, 20, 4] workspace 0 order [0, 2, 1] folded [0] buffer y: real[3, 20] output 0 "
                             "buffer z: real[3] output 1\n"
                             "parallel l in 0 .. 3 { vector i in 0 .. 20 { s[l, i, 1] = w[l, i] + h[i where given(h)] + 1.0 }\n"
                             "vector i in 0 .. 20 { y[l, i] = s[l, i, 1] } }\n"
                             "parallel j in 0 .. 1 { vector l in 0 .. 3 { z[l] = w[l, 7] } } }";
  float w[60], s[80], y[60], z[3], wanted[60], h[20];
  const float *turns[] = {w, w + 20, w + 40};
  fill(w, 60, 5), fill(h, 20, 6);
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    for (int is_given = 0; is_given < 2; is_given++) {
      for (int n = 0; n < 60; n++) wanted[n] = w[n] + (is_given ? h[n % 20] : 0) + 1;
      kernel_run(&run, NULL, (int64_t[]){0}, (void *[]){(void *)turns, is_given ? h : NULL, s, y, z}, 0, 1);
      expect(y, wanted, 60, 1e-6);
      expect(s + 20, wanted + 40, 20, 1e-6);
      for (int l = 0; l < 3; l++) assert_true(z[l] >= w[20 * l + 7] && z[l] <= w[20 * l + 7]);
    }
    kernel_run_end(&run);
  }
}

/* ---- reductions */

static void reductions_both_ways(void **state) {
  (void)state;
  static const char text[] =
      "kernel forward { symbol N: length index i, k in 0 .. N index r in 0 .. 3 index p in 0 .. 1 buffer x: real[N, N] input 0\n"
      "buffer y: real[8] output 0 buffer v: real[5, N] output 1\n"
      "local %sum, %guarded, %max, %min, %product, %lane_sum, %lane_max, %lane_guarded: real local %where, %lane_where: int\n"
      "parallel p in 0 .. 1 {\n"
      "vector reduce %sum = 3.0 with sum[i, k](x[i, k] * x[i, k])\n"
      "vector reduce %guarded = sum[k where k >= 2 and k < N - 1](exp(x[0, k]))\n"
      "vector reduce %max = max[k](x[k, 0])\n"
      "reduce %min = min[i, k](x[i, k])\n"
      "reduce %product = product[r](x[0, 0] + to_real(r))\n"
      "reduce %where = argmax[k where k != 3](x[0, k])\n"
      "y[0] = %sum y[1] = %guarded y[2] = %max y[3] = %min y[4] = %product y[5] = to_real(%where)\n"
      "vector i in 0 .. N {\n"
      "reduce %lane_sum = x[i, 0] with sum[k](x[k, i] * x[0, k])\n"
      "reduce %lane_max = max[k](x[i, k])\n"
      "reduce %lane_guarded = sum[k where k <= i](x[k, i])\n"
      "reduce %lane_where = argmax[k](x[k, i])\n"
      "v[0, i] = %lane_sum v[1, i] = %lane_max v[2, i] = %lane_guarded v[3, i] = to_real(%lane_where) v[4, i] = %sum\n"
      "} } }";
  enum { MOST_N = 83 };
  static float x[MOST_N * MOST_N], y[8], v[5 * MOST_N], wanted[8], wanted_v[5 * MOST_N];
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    for (int64_t n = 1; n <= MOST_N; n += n < 20 ? 1 : 21) {
      fill(x, (int)(n * n), (int)n);
      double sum = 3, guarded = 0, max = -INFINITY, min = INFINITY;
      int64_t where = -1;
      for (int64_t k = 0; k < n * n; k++) sum += (double)x[k] * (double)x[k], min = fmin(min, (double)x[k]);
      for (int64_t k = 0; k < n; k++) {
        if (k >= 2 && k < n - 1) guarded += exp((double)x[k]);
        max = fmax(max, (double)x[k * n]);
        if (k != 3 && (where < 0 || x[k] > x[where])) where = k;
      }
      const float all[] = {(float)sum, (float)guarded, (float)max, (float)min, x[0] * (x[0] + 1) * (x[0] + 2), (float)where};
      memcpy(wanted, all, sizeof all);
      for (int64_t i = 0; i < n; i++) {
        double lane_sum = (double)x[i * n], lane_max = -INFINITY, lane_guarded = 0;
        int64_t lane_where = 0;
        for (int64_t k = 0; k < n; k++) {
          lane_sum += (double)x[k * n + i] * (double)x[k];
          lane_max = fmax(lane_max, (double)x[i * n + k]);
          if (k <= i) lane_guarded += (double)x[k * n + i];
          if (x[k * n + i] > x[lane_where * n + i]) lane_where = k;
        }
        const double lanes[] = {lane_sum, lane_max, lane_guarded, (double)lane_where, sum};
        for (int q = 0; q < 5; q++) wanted_v[q * n + i] = (float)lanes[q];
      }
      kernel_run(&run, NULL, &n, (void *[]){x, y, v}, 0, 1);
      expect(y, wanted, 6, 1e-5);
      expect(v, wanted_v, (int)(5 * n), 1e-5);
    }
    kernel_run_end(&run);
  }
}

/* ---- threads */

typedef struct Team {
  seqrt_context context;
  pthread_barrier_t barrier;
  const KernelRun *run;
  const int64_t *symbols;
  void *const *buffers;
} Team;

typedef struct Member {
  Team *team;
  int32_t thread;
} Member;

static void wait_for_all(const seqrt_context *context) {
  Team *team = context->self;
  pthread_barrier_wait(&team->barrier);
}

static void *run_member(void *argument) {
  const Member *member = argument;
  Team *team = member->team;
  kernel_run(team->run, &team->context, team->symbols, team->buffers, member->thread, team->context.thread_count);
  return NULL;
}

static void run_team(const KernelRun *run, int32_t threads, const int64_t *symbols, void *const *buffers) {
  Team team = {.context = {.thread_count = threads, .barrier = wait_for_all}, .run = run, .symbols = symbols, .buffers = buffers};
  team.context.self = &team;
  pthread_barrier_init(&team.barrier, NULL, (unsigned)threads);
  pthread_t handles[8];
  Member members[8];
  for (int32_t n = 0; n < threads; n++) {
    members[n] = (Member){&team, n};
    pthread_create(&handles[n], NULL, run_member, &members[n]);
  }
  for (int32_t n = 0; n < threads; n++) pthread_join(handles[n], NULL);
  pthread_barrier_destroy(&team.barrier);
}

static void threads_agree(void **state) {
  (void)state;
  static const char text[] =
      "kernel forward { symbol N: length index t in 0 .. 9 index i, j in 0 .. N slots 2 buffer a: real[N, N] workspace 0\n"
      "buffer b: real[N, N] workspace 1 local %s: real\n"
      "reversed for t in 0 .. 9 {\n"
      "parallel i in 0 .. N { vector j in 0 .. N { b[i, j] = sin(a[j, i]) + to_real(t) } }\nbarrier\n"
      "parallel i in 0 .. N { if remainder(i, 2) == 0 { vector j in 0 .. N { a[i, j] = b[i, j] * 0.5 } }\n"
      "else { vector j in 0 .. N { let %s = b[j, i] a[i, j] = %s + b[i, j] } } }\nbarrier } }";
  enum { N = 29 };
  static float a[2][N * N], b[2][N * N];
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    fill(a[0], N * N, 9);
    kernel_run(&run, NULL, (int64_t[]){N}, (void *[]){a[0], b[0]}, 0, 1);
    for (int32_t threads = 1; threads <= 5; threads += 2) {
      fill(a[1], N * N, 9);
      run_team(&run, threads, (int64_t[]){N}, (void *[]){a[1], b[1]});
      assert_memory_equal(a[0], a[1], sizeof a[0]);
    }
    kernel_run_end(&run);
  }
}

/* ---- tiles */

/* C = value + A B in tiles, from packed panels; `value` is text in terms of bias, C and the indices i and j. */
static const char *tile_text(Arena *arena, int rows, int vectors, int lanes, const char *value) {
  int width = vectors * lanes;
  return arena_format(
      arena,
      "kernel forward { symbol M: length symbol N: length symbol K: length symbol MP: length symbol NP: length\n"
      "index p in 0 .. MP index q in 0 .. NP index i in 0 .. M index j in 0 .. N slots 2\n"
      "buffer a: real[MP, K, %d] workspace 0 buffer b: real[NP, K, %d] workspace 1 buffer bias: real[N] parameter 0\n"
      "buffer c: real[M, N] output 0\n"
      "parallel p in 0 .. MP { for q in 0 .. NP { tile %d by %d { row i from p * %d below M column j from q * %d below N depth "
      "K\n"
      "left a[p, 0, 0] right b[q, 0, 0] into c[i, j] with %s } } } }",
      rows, width, rows, vectors, rows, width, value);
}

static void run_tiles(int rows, int vectors, const char *value, const char *cpu, int level) {
  static float a[MOST], b[MOST], bias[512], c[MOST], wanted[MOST];
  static const int64_t sizes[][3] = {{1, 1, 1}, {8, 48, 4}, {17, 100, 13}, {24, 96, 32}, {7, 131, 5}, {30, 33, 6}};
  CodegenOptions options = {.cpu = cpu, .optimisation = 2, .is_pic = true};
  Arena *arena = arena_create();
  Codegen *codegen = codegen_create(&options, diagnostics_create(arena));
  int lanes = codegen_machines(codegen, &(int){0})->lanes, width = vectors * lanes;
  codegen_destroy(codegen);
  KernelRun run = kernel_run_begin(tile_text(arena, rows, vectors, lanes, value), cpu, level);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2], panels = (m + rows - 1) / rows, columns = (n + width - 1) / width;
    fill(a, (int)(panels * k * rows), 11), fill(b, (int)(columns * k * width), 12), fill(bias, (int)n, 13),
        fill(c, (int)(m * n + 64), 14);
    memcpy(wanted, c, sizeof c);
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) {
        double sum = !strcmp(value, "bias[j]") ? (double)bias[j] : (double)c[i * n + j];
        if (!strncmp(value, "tanh", 4))
          sum = tanh((double)c[i * n + j] * (double)bias[j]) + sin((double)(i + j)) + exp((double)bias[j]);
        for (int64_t l = 0; l < k; l++)
          sum += (double)a[((i / rows) * k + l) * rows + i % rows] * (double)b[((j / width) * k + l) * width + j % width];
        wanted[i * n + j] = (float)sum;
      }
    kernel_run(&run, NULL, (int64_t[]){m, n, k, panels, columns}, (void *[]){a, b, bias, c}, 0, 1);
    expect(c, wanted, (int)(m * n + 64), 1e-5);
  }
  kernel_run_end(&run);
  arena_destroy(arena);
}

static void tiles_and_their_edges(void **state) {
  (void)state;
  static const char *const values[] = {"bias[j]", "c[i, j]", "tanh(c[i, j] * bias[j]) + sin(to_real(i + j)) + exp(bias[j])"};
  for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
    FOR_LEVELS(level) run_tiles(8, 3, values[v], NULL, levels[level]);
    run_tiles(6, 2, values[v], "haswell", 2);
    run_tiles(4, 2, values[v], "x86-64", 2);
    run_tiles(1, 1, values[v], NULL, 2);
  }
}

/* The part of each thread lies as far from the one before as the frame says. */
static void private_buffers_do_not_meet(void **state) {
  (void)state;
  static const char text[] = "kernel forward { symbol N: length index p in 0 .. 3 index i, j in 0 .. N slots 1\n"
                             "buffer mine: real[N] workspace 0 private\nbuffer y: real[3, N] output 0\n"
                             "parallel p in 0 .. 3 { vector i in 0 .. N { mine[i] = to_real(100 * p + i) } }\n"
                             "parallel p in 0 .. 3 { vector j in 0 .. N { y[p, j] = mine[N - 1 - j] } } }";
  enum { N = 37, THREADS = 3, PART = 192 + 64 };
  static _Alignas(64) char workspace[THREADS * PART];
  static float y[THREADS * N];
  FOR_LEVELS(level) {
    KernelRun run = kernel_run_begin(text, NULL, levels[level]);
    int64_t count = N;
    run.private_stride = PART;
    memset(workspace, 0xff, sizeof workspace);
    for (int thread = 0; thread < THREADS; thread++) kernel_run(&run, NULL, &count, (void *[]){workspace, y}, thread, THREADS);
    for (int p = 0; p < THREADS; p++)
      for (int n = 0; n < N; n++) {
        float first;
        memcpy(&first, workspace + p * PART + 4 * n, sizeof first);
        assert_true(first == (float)(100 * p + n));
        assert_true(y[p * N + n] == (float)(100 * p + N - 1 - n));
      }
    kernel_run_end(&run);
  }
}

/* Results larger than the caches, which begin and end anywhere in a line of them, so the stores are masked at both ends of a row. */
static void stores_past_the_caches(void **state) {
  (void)state;
  enum { ROWS = 3, WIDTH = 8 << 20, ROOM = 64 };
  float *x = calloc((size_t)ROWS * WIDTH + ROOM, sizeof *x), *y = calloc((size_t)ROWS * WIDTH + ROOM, sizeof *y), *z = calloc((size_t)ROWS * WIDTH + ROOM, sizeof *z);
  if (!x || !y || !z) fail_msg("no memory");
  for (int n = 0; n < ROWS * WIDTH; n++) x[n] = (float)(n % 8191);
  KernelRun run = kernel_run_begin(
      "kernel forward { symbol N: length index r, i in 0 .. N buffer x: real[3, N] input 0 buffer y: real[3, N] output 0 buffer z: real[3, N] output 1\n"
      "parallel r in 0 .. 3 { vector i in 0 .. N { nontemporal y[r, i] = x[r, i] + 1.0 nontemporal z[r, i] = x[r, i] - 1.0 } } }",
      NULL, 2);
  for (int shift = 0; shift < 3; shift++) {
    int64_t width = WIDTH - shift * 7;
    float *from = y + shift * 5, *other = z + shift * (shift == 1 ? 5 : 6); /* lines of both begin together, and do not */
    from[ROWS * width] = SENTINEL;
    if (shift) from[-1] = SENTINEL;
    kernel_run(&run, NULL, &width, (void *[]){x, from, other}, 0, 1);
    for (int64_t n = 0; n < ROWS * width; n++)
      if (from[n] != x[n] + 1 || other[n] != x[n] - 1) fail_msg("element %d is %g and %g, shifted by %d", (int)n, (double)from[n], (double)other[n], shift);
    if (from[ROWS * width] != SENTINEL || (shift && from[-1] != SENTINEL)) fail_msg("stored outside, shifted by %d", shift);
  }
  kernel_run_end(&run);
  free(x), free(y), free(z);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vector_loop_stops_at_its_end),
      cmocka_unit_test(every_way_of_addressing),
      cmocka_unit_test(layouts_and_missing_buffers),
      cmocka_unit_test(reductions_both_ways),
      cmocka_unit_test(reductions_over_a_part),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(stores_past_the_caches),
      cmocka_unit_test(tiles_and_their_edges),
      cmocka_unit_test(private_buffers_do_not_meet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
