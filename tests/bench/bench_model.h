/* bench_model.h - the model that is measured: that of examples/char_lm, wider. */
#ifndef SEQC_TESTS_BENCH_BENCH_MODEL_H
#define SEQC_TESTS_BENCH_BENCH_MODEL_H

#include "bench_lstm.h"

#define BENCH_MODEL char_lm_model

#endif
