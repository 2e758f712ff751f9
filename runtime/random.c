/* random.c - Philox4x32-10 and what is made of its blocks.
 *
 * A block's counter is (index of the block, stream), its key the seed. One block gives two uniform numbers of 53 bits, or by
 * Box and Muller two normal ones; arithmetic is in double, rounded once.
 */
#include "seqrt/random.h"

#include <math.h>

enum { ROUNDS = 10 };

static uint32_t multiply(uint32_t a, uint32_t b, uint32_t *out_high) {
  uint64_t product = (uint64_t)a * b;
  *out_high = (uint32_t)(product >> 32);
  return (uint32_t)product;
}

void seqrt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out_block[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < ROUNDS; round++) {
    uint32_t high0, high1;
    uint32_t low0 = multiply(0xD2511F53u, c0, &high0), low1 = multiply(0xCD9E8D57u, c2, &high1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out_block[0] = c0;
  out_block[1] = c1;
  out_block[2] = c2;
  out_block[3] = c3;
}

static void draw_pair(uint64_t seed, uint64_t stream, uint64_t block, double out_uniform[2]) {
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t words[4];
  seqrt_philox(counter, key, words);
  for (int i = 0; i < 2; i++) {
    uint64_t bits = ((uint64_t)words[2 * i + 1] << 32 | words[2 * i]) >> 11;
    out_uniform[i] = (double)bits * 0x1p-53;
  }
}

static void draw_normal_pair(uint64_t seed, uint64_t stream, uint64_t block, double out_normal[2]) {
  const double two_pi = 6.283185307179586476925286766559;
  double uniform[2];
  draw_pair(seed, stream, block, uniform);
  double radius = sqrt(-2.0 * log1p(-uniform[0])); /* of 1 - u, which is never 0 */
  out_normal[0] = radius * cos(two_pi * uniform[1]);
  out_normal[1] = radius * sin(two_pi * uniform[1]);
}

double seqrt_random_uniform(seqrt_random *random) {
  double pair[2];
  draw_pair(random->seed, random->stream, random->next++, pair);
  return pair[0];
}

double seqrt_random_normal(seqrt_random *random) {
  double pair[2];
  draw_normal_pair(random->seed, random->stream, random->next++, pair);
  return pair[0];
}

/* Rounding to float32 can reach `high`, which does not belong to the range. */
static float round_below(double value, double low, double high) {
  float rounded = (float)value;
  return (double)rounded >= high && low < high ? nextafterf((float)high, -INFINITY) : rounded;
}

void seqrt_random_fill_uniform(uint64_t seed, uint64_t stream, double low, double high, int64_t first, int64_t count,
                               float *out_values) {
  double pair[2] = {0, 0};
  for (int64_t n = 0; n < count; n++) {
    uint64_t index = (uint64_t)(first + n);
    if (n == 0 || index % 2 == 0) draw_pair(seed, stream, index / 2, pair);
    out_values[n] = round_below(low + (high - low) * pair[index % 2], low, high);
  }
}

void seqrt_random_fill_normal(uint64_t seed, uint64_t stream, double mean, double deviation, int64_t first, int64_t count,
                              float *out_values) {
  double pair[2] = {0, 0};
  for (int64_t n = 0; n < count; n++) {
    uint64_t index = (uint64_t)(first + n);
    if (n == 0 || index % 2 == 0) draw_normal_pair(seed, stream, index / 2, pair);
    out_values[n] = (float)(mean + deviation * pair[index % 2]);
  }
}
