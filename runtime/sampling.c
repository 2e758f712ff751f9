/* sampling.c - temperature, then the k most probable, then the fewest that reach p, then one of them. In double. */
#include "seqrt/sampling.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/internal.h"

typedef struct Candidate {
  double weight;
  int32_t token;
} Candidate;

struct seqrt_sampler {
  seqrt_sampling options;
  seqrt_random random;
  int64_t count;
  Candidate candidates[];
};

seqrt_code seqrt_sampler_create(int64_t count, const seqrt_sampling *options, uint64_t seed, uint64_t stream,
                                seqrt_sampler **out_sampler, seqrt_error *error) {
  if (!options || !out_sampler)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: no options or no place for the sampler");
  *out_sampler = NULL;
  if (count < 1 || count > INT32_MAX)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: %" PRId64 " logits, expected 1 to 2^31 - 1", count);
  if (!(options->temperature >= 0 && options->temperature < INFINITY))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: temperature is %g, expected 0 or more", options->temperature);
  if (options->top_k < 0)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: top_k is %d, expected 0 or more", (int)options->top_k);
  if (!(options->top_p > 0 && options->top_p <= 1))
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: top_p is %g, expected 0 < top_p <= 1", options->top_p);
  size_t size = sizeof(seqrt_sampler) + (size_t)count * sizeof(Candidate);
  seqrt_sampler *sampler = malloc(size);
  if (!sampler) return runtime_fail_memory(error, "sampling", (int64_t)size);
  sampler->options = *options;
  sampler->random = (seqrt_random){.seed = seed, .stream = stream};
  sampler->count = count;
  *out_sampler = sampler;
  return SEQRT_OK;
}

void seqrt_sampler_destroy(seqrt_sampler *sampler) { free(sampler); }

static int compare_candidates(const void *a, const void *b) {
  const Candidate *first = a, *second = b;
  if (first->weight != second->weight) return first->weight > second->weight ? -1 : 1;
  return first->token < second->token ? -1 : 1;
}

/* Index of the largest; -1 where a value is no logit. */
static int64_t find_largest(const float *logits, int64_t count) {
  int64_t best = 0;
  for (int64_t n = 0; n < count; n++) {
    if (isnan(logits[n]) || logits[n] == INFINITY) return -1;
    if (logits[n] > logits[best]) best = n;
  }
  return logits[best] == -INFINITY ? -1 : best;
}

/* How many candidates, in falling order, stay. */
static int64_t cut_candidates(const seqrt_sampler *sampler, double total) {
  int64_t kept = sampler->count;
  if (sampler->options.top_k && sampler->options.top_k < kept) {
    kept = sampler->options.top_k;
    total = 0;
    for (int64_t n = 0; n < kept; n++) total += sampler->candidates[n].weight;
  }
  if (sampler->options.top_p == 1) return kept;
  double sum = 0;
  for (int64_t n = 0; n < kept; n++) {
    sum += sampler->candidates[n].weight;
    if (sum >= sampler->options.top_p * total) return n + 1;
  }
  return kept;
}

seqrt_code seqrt_sample(seqrt_sampler *sampler, const float *logits, int32_t *out_token, seqrt_error *error) {
  if (!sampler || !logits || !out_token)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "sampling: no logits or no place for the token");
  int64_t best = find_largest(logits, sampler->count);
  if (best < 0)
    return runtime_fail(error, SEQRT_OUT_OF_RANGE, "sampling: the logits hold NaN, infinity, or nothing that can be drawn");
  const seqrt_sampling *options = &sampler->options;
  if (options->temperature == 0) {
    *out_token = (int32_t)best;
    return SEQRT_OK;
  }
  double total = 0;
  for (int64_t n = 0; n < sampler->count; n++) {
    double weight = exp(((double)logits[n] - (double)logits[best]) / options->temperature);
    sampler->candidates[n] = (Candidate){weight, (int32_t)n};
    total += weight;
  }
  int64_t kept = sampler->count;
  if (options->top_k || options->top_p < 1) {
    qsort(sampler->candidates, (size_t)kept, sizeof *sampler->candidates, compare_candidates);
    kept = cut_candidates(sampler, total);
  }
  total = 0;
  for (int64_t n = 0; n < kept; n++) total += sampler->candidates[n].weight;
  double left = seqrt_random_uniform(&sampler->random) * total;
  int64_t chosen = best;
  for (int64_t n = 0; n < kept; n++) {
    if (sampler->candidates[n].weight == 0) continue;
    chosen = n; /* rounding may leave a little after the last */
    left -= sampler->candidates[n].weight;
    if (left < 0) break;
  }
  *out_token = sampler->candidates[chosen].token;
  return SEQRT_OK;
}
