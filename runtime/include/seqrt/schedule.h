/* schedule.h - the learning rate of each step: linear warm-up, then half a cosine down to zero. */
#ifndef SEQRT_SCHEDULE_H
#define SEQRT_SCHEDULE_H

#include "seqrt/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_schedule {
  double learning_rate; /* at the end of the warm-up */
  int64_t warmup;       /* steps, may be 0 */
  int64_t steps;        /* all; 0: the rate stays constant after the warm-up */
} seqrt_schedule;

/* Step s counts from 0: rate * (s+1) / W while s < W, then rate * (1 + cos(pi * (s-W) / (S-W))) / 2, and 0 from S on. */
double seqrt_schedule_rate(const seqrt_schedule *schedule, int64_t step);

#ifdef __cplusplus
}
#endif

#endif
