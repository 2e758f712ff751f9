/* result.h - what came out of a run, and the forms in which it is shown. */
#ifndef SEQC_TESTS_BENCH_RESULT_H
#define SEQC_TESTS_BENCH_RESULT_H

#include <stdio.h>

#include "participant.h"
#include "work.h"

/* The peers, in the order of their columns. X(identifier as peers.py has it, heading of the column) */
#define PEERS(X)                 \
  X("torch", "torch")            \
  X("torch.compile", "compiled") \
  X("jax", "jax")                \
  X("onnxruntime", "ort")        \
  X("llama.cpp", "llama.cpp")

#define COUNT_ONE(identifier, heading) +1
enum { PEER_COUNT = 0 PEERS(COUNT_ONE), TIME_COUNT = 64 };
#undef COUNT_ONE

extern const char *const peer_names[PEER_COUNT];
extern const char *const peer_headings[PEER_COUNT];

/* Milliseconds of one participant. */
typedef struct Times {
  double values[TIME_COUNT], processor_values[TIME_COUNT];
  int count; /* 0: not measured */
  double median, best;
  double processor;         /* time of the processors, all threads together, the median */
  double spread;            /* from the first to the third quarter, over the median */
  char reason[REASON_SIZE]; /* why not, if there is one */
} Times;

typedef struct Result {
  const Work *work;
  int threads;
  Floor floor;
  double multiply_adds; /* a second, measured beside it */
  Times own, peers[PEER_COUNT];
  Times moves[WORK_PHASES]; /* of parts that memory binds, in the work's own process and turns */
} Result;

void times_add(Times *times, double ms, double processor_ms);
void times_finish(Times *times); /* sorts; then the figures hold */

/* Four significant digits. Returns `text`. */
const char *short_number(double value, char *text, size_t size);

/* A table of text for people. The heading first, then a row for each result. */
void report_heading(FILE *file);
void report_row(FILE *file, const Result *result);

/* An array of objects. */
void report_json(FILE *file, const Result *results, int count);

/* A picture: the share of the floor that each reaches, as bars. */
void report_picture(FILE *file, const Result *results, int count, const char *machine);

#endif
