/* measure.h - one row of the table: a work on so many threads, by the compiled model and by the peers in turn. */
#ifndef SEQC_TESTS_BENCH_MEASURE_H
#define SEQC_TESTS_BENCH_MEASURE_H

#include "result.h"

enum { LARGEST_THREADS = 256 };

typedef struct Bench {
  const char *self; /* this program */
  const char *seqc, *cc;
  const char *options;  /* of the compiler, for every work */
  const char *works;    /* folder of the model files */
  const char *folder;   /* for what this run makes */
  const char *log;      /* what peers write to standard error */
  const char *peers;    /* folder of the peers; NULL or without a Python: no peers */
  const char *script;   /* peers.py */
  double deadline;      /* in seconds_now(): when all should be done */
  Participant *running; /* [LARGEST_THREADS + 1][PEER_COUNT]: peers stay from work to work */
} Bench;

/* Compiles the work and measures it for about so many seconds for each participant. */
void measure(Bench *bench, Result *result, double seconds);

/* Ends the peers. */
void measure_end(Bench *bench);

#endif
