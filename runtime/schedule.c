/* schedule.c - warm-up and cosine. */
#include "seqrt/schedule.h"

#include <math.h>

double seqrt_schedule_rate(const seqrt_schedule *schedule, int64_t step) {
  const double pi = 3.14159265358979323846;
  int64_t warmup = schedule->warmup, steps = schedule->steps;
  if (step < warmup) return schedule->learning_rate * (double)(step + 1) / (double)warmup;
  if (steps == 0) return schedule->learning_rate;
  if (step >= steps) return 0;
  return schedule->learning_rate * (1 + cos(pi * (double)(step - warmup) / (double)(steps - warmup))) / 2;
}
