/* peak.h - how many multiply-adds this machine can do. */
#ifndef SEQC_TESTS_BENCH_PEAK_H
#define SEQC_TESTS_BENCH_PEAK_H

/* Fused multiply-adds of float32 per second on this many threads at once: the best of several short runs. */
double peak_multiply_adds(int threads);
double seconds_now(void);

#endif
