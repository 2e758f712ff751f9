/* optimizer.h - AdamW and SGD with momentum, by PyTorch's conventions, with clipping by the global norm.
 *
 * Clipping: g * min(1, c / (norm + 1e-6)), the norm of all gradients together, summed in double in an order of its own
 * that does not depend on the number of threads.
 * AdamW: p *= 1 - rate * decay; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= rate / (1 - b1^n) * m / (sqrt(v) /
 * sqrt(1 - b2^n) + eps).
 * SGD: g += decay * p; m = momentum m + g; p -= rate * m.
 */
#ifndef SEQRT_OPTIMIZER_H
#define SEQRT_OPTIMIZER_H

#include "seqrt/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum seqrt_optimizer_kind { SEQRT_ADAMW = 0, SEQRT_SGD = 1 } seqrt_optimizer_kind;

typedef struct seqrt_optimizer_options {
  seqrt_optimizer_kind kind;
  double beta1, beta2, epsilon; /* AdamW */
  double momentum;              /* SGD */
  double weight_decay;
  double clip_norm;      /* 0: no clipping */
  const uint8_t *decays; /* [parameter_slots], copied; NULL: slots of rank 2 and more decay */
} seqrt_optimizer_options;

typedef struct seqrt_optimizer {
  seqrt_optimizer_options options;  /* .decays is the optimizer's own */
  seqrt_parameters *parameters;     /* the caller's */
  seqrt_parameters *first, *second; /* moments; `second` is NULL for SGD */
  int64_t steps;                    /* done */
  struct seqrt_optimizer_plan *plan;
} seqrt_optimizer;

/* AdamW with betas 0.9 and 0.99, epsilon 1e-8, decay 0.01, clipping at 1; SGD with momentum 0.9 and clipping at 1. */
seqrt_optimizer_options seqrt_adamw_defaults(void);
seqrt_optimizer_options seqrt_sgd_defaults(void);

/* `parameters` must outlive it. SEQRT_INVALID_ARGUMENT names the option that cannot be. */
seqrt_code seqrt_optimizer_create(seqrt_parameters *parameters, const seqrt_optimizer_options *options,
                                  seqrt_optimizer **out_optimizer, seqrt_error *out_error);
void seqrt_optimizer_destroy(seqrt_optimizer *optimizer);

/* One step. `gradients` has the slots of the same model and is not changed; `context` may be NULL; `out_norm`, which may
 * be NULL, gets the norm before clipping. A norm that is not finite is SEQRT_OUT_OF_RANGE; with clipping
 * nothing is changed then, without it the norm is known only when everything is. */
seqrt_code seqrt_optimizer_step(seqrt_optimizer *optimizer, const seqrt_parameters *gradients, double learning_rate,
                                const seqrt_context *context, double *out_norm, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
