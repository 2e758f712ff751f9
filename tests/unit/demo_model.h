/* demo_model.h - a model written by hand against the ABI, for tests of the run-time library. */
#ifndef TESTS_DEMO_MODEL_H
#define TESTS_DEMO_MODEL_H

#include "seqrt/abi.h"

enum { DEMO_VOCABULARY = 7, DEMO_WIDTH = 5 };

/* h[t] = decay * h[t-1] + embedding[token[t]], logits[t] = weight_0 h[t] + bias + weight_1 h[t]: softmax regression on a
 * leaky sum. */
extern const seqrt_model demo_model;

/* The same with another name and fingerprint. */
extern const seqrt_model other_demo_model;

/* How often either packed its parameters. */
extern int demo_packings;

#endif
