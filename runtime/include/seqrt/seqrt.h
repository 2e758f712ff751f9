/* seqrt.h - all of libseqrt: what programs do with a compiled model that is not the model itself.
 *
 * abi.h         the contract with compiled models          random.h      counter-based random numbers
 * status.h      codes and sentences                        parameters.h  arenas, initial values, weights files
 * threads.h     teams of threads                           session.h     a model with its carried state: chunks, steps, gradients
 * safetensors.h files of named arrays                      optimizer.h, schedule.h   AdamW, SGD, clipping; warm-up and cosine
 * sampling.h    a token out of logits                      trainer.h     training loop, evaluation, checkpoint and resume
 * progress.h    the progress line                        weights.h     public checkpoints: config, files behind an index
 *
 * Nothing here exits, and nothing prints except to a file it is given. Objects are not locked: one thread at a time for each.
 */
#ifndef SEQRT_H
#define SEQRT_H

#include "seqrt/abi.h"
#include "seqrt/optimizer.h"
#include "seqrt/parameters.h"
#include "seqrt/progress.h"
#include "seqrt/random.h"
#include "seqrt/safetensors.h"
#include "seqrt/sampling.h"
#include "seqrt/schedule.h"
#include "seqrt/session.h"
#include "seqrt/status.h"
#include "seqrt/threads.h"
#include "seqrt/trainer.h"
#include "seqrt/weights.h"

#endif
