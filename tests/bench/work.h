/* work.h - the works that are measured, and the time that each must take at least. */
#ifndef SEQC_TESTS_BENCH_WORK_H
#define SEQC_TESTS_BENCH_WORK_H

#include <stdint.h>

#include "bandwidth.h"

typedef enum WorkEntry {
  WORK_FORWARD,   /* all outputs of a whole sequence */
  WORK_GRADIENT,  /* the gradients of all parameters and inputs, and the forward pass they need */
  WORK_TRAINING,  /* a step of seqrt_trainer: objective, gradients, AdamW */
  WORK_TOKEN,     /* one step after `length` others */
  WORK_OPTIMIZER, /* AdamW alone */
  WORK_COMPILE    /* the compiler itself */
} WorkEntry;

/* Parts of a work that cannot overlap: the floor is the sum over them of what binds each. */
typedef struct WorkPhase {
  double flops;    /* a multiply-add is two, everything else one; nothing counts twice because it is computed again */
  double bytes;    /* that must move at least */
  double resident; /* the block they lie in, whose size says which memory; 0: as large as `bytes` */
  Traffic traffic;
} WorkPhase;

enum { WORK_PHASES = 3 };

typedef struct Work {
  const char *name;
  const char *model;    /* works/MODEL.seq, whose model has the same name */
  const char *options;  /* of the compiler, separated by spaces; may be NULL */
  const char *peer;     /* the same work, in the words of peers.py; NULL: no peer has it */
  const char *positive; /* an input whose values are between 0.001 and 0.1, those of others between -1 and 1 */
  WorkEntry entry;
  int64_t batch, length;
  int64_t tokens; /* 0, or the time is that of a token, of this many in one call */
  WorkPhase phases[WORK_PHASES];
} Work;

extern const Work works[];
extern const int work_count;

/* What one part takes at least. */
typedef struct FloorPart {
  double flops, bytes, ms;
  double bytes_per_second; /* of the memory where the bytes lie; 0: no bytes */
  const char *memory;      /* "L1", "L2", "L3", "DRAM"; "" without bytes */
  const char *bound;       /* "fma", or the memory; "" for no part */
} FloorPart;

typedef struct Floor {
  double ms; /* 0: there is no floor */
  double flops, bytes;
  const FloorPart *longest; /* what takes most of it */
  FloorPart parts[WORK_PHASES];
} Floor;

/* The least time for a work on a machine with this many multiply-adds per second. `moves`, by part (NULL: none): milliseconds that its bytes
 * took where they were measured beside the work itself, 0 where they were not. */
void work_floor(const Work *work, int threads, double multiply_adds, const double *moves, Floor *out_floor);

#endif
