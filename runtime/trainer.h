/* trainer.h - the part of a trainer that its callers don't see. */
#ifndef RUNTIME_TRAINER_H
#define RUNTIME_TRAINER_H

#include "seqrt/session.h"
#include "seqrt/trainer.h"

/* Where tokens go into a call. */
typedef struct Feed {
  int32_t token_index, target_index; /* among the model's inputs */
  int32_t *tokens, *targets;         /* (rows, length) */
  const void **inputs;               /* [input_count] */
} Feed;

struct seqrt_trainer_private {
  const seqrt_model *model;
  const seqrt_context *context;
  seqrt_trainer_options options; /* names and mask not to be used: they were the caller's */
  Feed feed;
};

#endif
