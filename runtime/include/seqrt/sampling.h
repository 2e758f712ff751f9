/* sampling.h - one token out of a row of logits. */
#ifndef SEQRT_SAMPLING_H
#define SEQRT_SAMPLING_H

#include "seqrt/random.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_sampling {
  double temperature; /* 0: the largest logit, the first of equals */
  int32_t top_k;      /* only the k most probable; 0: all */
  double top_p;       /* the fewest most probable whose sum reaches p; 1: all */
} seqrt_sampling;

typedef struct seqrt_sampler seqrt_sampler;

/* For rows of `count` logits. The numbers come from stream `stream` of `seed`. SEQRT_INVALID_ARGUMENT for options that
 * cannot be. */
seqrt_code seqrt_sampler_create(int64_t count, const seqrt_sampling *options, uint64_t seed, uint64_t stream,
                                seqrt_sampler **out_sampler, seqrt_error *out_error);
void seqrt_sampler_destroy(seqrt_sampler *sampler);

/* Draws one token, 0 <= token < count. Among equally probable tokens the lower number comes first. NaN or plus infinity
 * among the logits, or nothing but minus infinity, is SEQRT_OUT_OF_RANGE. */
seqrt_code seqrt_sample(seqrt_sampler *sampler, const float *logits, int32_t *out_token, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
