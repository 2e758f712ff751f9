/* random.h - random numbers that are a function of (seed, stream, index) and of nothing else.
 *
 * Philox4x32-10 (Salmon et al., 2011): a counter is encrypted, so number i of a stream needs no number before it, and the
 * same seed gives the same numbers in any order, on any number of threads.
 */
#ifndef SEQRT_RANDOM_H
#define SEQRT_RANDOM_H

#include "seqrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One block: four 32-bit numbers of a 128-bit counter and a 64-bit key, as in the paper's test vectors. */
void seqrt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out_block[4]);

/* Numbers drawn one after the other. Copy it to save it. */
typedef struct seqrt_random {
  uint64_t seed, stream;
  uint64_t next; /* number of the next block */
} seqrt_random;

/* The next number, uniform in [0, 1), with 53 random bits. */
double seqrt_random_uniform(seqrt_random *random);

/* The next number of the normal distribution with mean 0 and deviation 1. */
double seqrt_random_normal(seqrt_random *random);

/* out_values[n] = element first + n of a stream, uniform in [low, high) or normal. Any cut of a range gives the same values. */
void seqrt_random_fill_uniform(uint64_t seed, uint64_t stream, double low, double high, int64_t first, int64_t count,
                               float *out_values);
void seqrt_random_fill_normal(uint64_t seed, uint64_t stream, double mean, double deviation, int64_t first, int64_t count,
                              float *out_values);

#ifdef __cplusplus
}
#endif

#endif
