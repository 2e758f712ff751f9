/* peak.h - what this machine can do at all: multiply-adds per second of each type, bytes per second of each level of memory. */
#ifndef SEQC_TESTS_BENCH_PEAK_H
#define SEQC_TESTS_BENCH_PEAK_H

#include "seqrt/seqrt.h"

/* What is multiplied; the sum is float32, that of int8 int32. */
typedef enum PeakType { PEAK_F32, PEAK_BF16, PEAK_INT8, PEAK_TYPE_COUNT } PeakType;

/* Fused multiply-adds per second on this many threads at once, the best of many short runs in the given time. 0: no instruction for the
 * type. */
double peak_multiply_adds(PeakType type, int threads, double seconds);

double seconds_now(void);

/* The team of so many threads of this process. */
const seqrt_context *team_of(int threads);

#endif
