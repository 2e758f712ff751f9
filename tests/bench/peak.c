/* peak.c - the multiply-add peak, from loops that do nothing else.
 *
 * Accumulators that do not depend on each other hide the latency of the instruction; they are as many as registers allow. Each processor
 * gets the widest vectors it has, so the figure is the machine's and not the compiler's. No sum dies away: denormal numbers are slow.
 */
#include "peak.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 2000, CALLS = 5 };

double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ROUNDS * ACCUMULATORS * lanes multiply-adds. Values stay finite: each accumulator tends to 2. */
#define DEFINE_RUN(name, target_name, lanes, accumulators)                                     \
  typedef float name##_vector __attribute__((vector_size(4 * lanes)));                         \
  __attribute__((target(target_name), noinline)) static float name(void) {                     \
    name##_vector sums[accumulators], factor, term;                                            \
    for (int lane = 0; lane < lanes; lane++) factor[lane] = 0.5f, term[lane] = 1.0f;           \
    _Pragma("GCC unroll 32") for (int a = 0; a < accumulators; a++) sums[a] = term * (float)a; \
    for (int round = 0; round < ROUNDS; round++) {                                             \
      _Pragma("GCC unroll 32") for (int a = 0; a < accumulators; a++) {                        \
        sums[a] = sums[a] * factor + term;                                                     \
        __asm__("" : "+v"(sums[a])); /* keeps the loop as it is written */                     \
      }                                                                                        \
    }                                                                                          \
    float total = 0;                                                                           \
    _Pragma("GCC unroll 32") for (int a = 0; a < accumulators; a++) total += sums[a][0];       \
    return total;                                                                              \
  }

#if defined(__x86_64__)
DEFINE_RUN(run_512, "avx512f,fma", 16, 24)
DEFINE_RUN(run_256, "avx2,fma", 8, 12)
DEFINE_RUN(run_128, "sse2", 4, 12)

__attribute__((target("avx512f,avx512bf16"), noinline)) static float run_bf16(void) {
  __m512 sums[24];
  __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) sums[a] = _mm512_set1_ps((float)a);
  for (int round = 0; round < ROUNDS; round++) {
    _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) {
      sums[a] = _mm512_dpbf16_ps(sums[a], ones, ones);
      __asm__("" : "+v"(sums[a]));
    }
  }
  float total = 0;
  _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) total += _mm512_cvtss_f32(sums[a]);
  return total;
}

__attribute__((target("avx512f,avx512vnni"), noinline)) static float run_int8(void) {
  __m512i sums[24], ones = _mm512_set1_epi8(1);
  _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) sums[a] = _mm512_set1_epi32(a);
  for (int round = 0; round < ROUNDS; round++) {
    _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) {
      sums[a] = _mm512_dpbusd_epi32(sums[a], ones, ones);
      __asm__("" : "+v"(sums[a]));
    }
  }
  int total = 0;
  _Pragma("GCC unroll 32") for (int a = 0; a < 24; a++) total += _mm512_cvtsi512_si32(sums[a]);
  return (float)total;
}
#else
typedef float plain_vector __attribute__((vector_size(16)));
static float run_plain(void) {
  plain_vector sums[16], factor, term;
  for (int lane = 0; lane < 4; lane++) factor[lane] = 0.5f, term[lane] = 1.0f;
  for (int a = 0; a < 16; a++) sums[a] = term;
  for (int round = 0; round < ROUNDS; round++)
    for (int a = 0; a < 16; a++) sums[a] = sums[a] * factor + term;
  float total = 0;
  for (int a = 0; a < 16; a++) total += sums[a][0];
  return total;
}
#endif

typedef struct Loop {
  float (*run)(void); /* NULL: this processor has none */
  double multiply_adds;
} Loop;

static Loop widest_loop(PeakType type) {
#if defined(__x86_64__)
  if (type == PEAK_BF16) {
    if (__builtin_cpu_supports("avx512bf16")) return (Loop){run_bf16, (double)ROUNDS * 24 * 32};
    return (Loop){0};
  }
  if (type == PEAK_INT8) {
    if (__builtin_cpu_supports("avx512vnni")) return (Loop){run_int8, (double)ROUNDS * 24 * 64};
    return (Loop){0};
  }
  if (__builtin_cpu_supports("avx512f")) return (Loop){run_512, (double)ROUNDS * 24 * 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (Loop){run_256, (double)ROUNDS * 12 * 8};
  return (Loop){run_128, (double)ROUNDS * 12 * 4};
#else
  if (type != PEAK_F32) return (Loop){0};
  return (Loop){run_plain, (double)ROUNDS * 16 * 4};
#endif
}

enum { MOST_TEAMS = 16 };

const seqrt_context *team_of(int threads) {
  static struct {
    int threads;
    seqrt_context *context;
  } teams[MOST_TEAMS];
  int n = 0;
  while (n < MOST_TEAMS - 1 && teams[n].context && teams[n].threads != threads) n++;
  if (teams[n].context && teams[n].threads == threads) return teams[n].context;
  seqrt_error error;
  seqrt_context_destroy(teams[n].context);
  if (seqrt_context_create(threads, &teams[n].context, &error) != SEQRT_OK) {
    fprintf(stderr, "bench: %s\n", error.message);
    exit(1);
  }
  teams[n].threads = threads;
  return teams[n].context;
}

typedef struct Peak {
  Loop loop;
  const seqrt_context *team;
  double start;
  volatile float sink; /* of the first thread */
} Peak;

static void run_loop(void *argument, int32_t thread, int32_t thread_count) {
  Peak *peak = argument;
  if (thread_count > 1) peak->team->barrier(peak->team);
  if (thread == 0) peak->start = seconds_now();
  float total = 0;
  for (int n = 0; n < CALLS; n++) total += peak->loop.run();
  if (thread == 0) peak->sink = total;
}

double peak_multiply_adds(PeakType type, int threads, double seconds) {
  Peak peak = {.loop = widest_loop(type), .team = team_of(threads)};
  if (!peak.loop.run) return 0;
  double best = 0, begin = seconds_now();
  while (best == 0 || seconds_now() - begin < seconds) {
    seqrt_parallel(peak.team, run_loop, &peak);
    double rate = peak.loop.multiply_adds * CALLS * threads / (seconds_now() - peak.start);
    if (rate > best) best = rate;
  }
  return best;
}
