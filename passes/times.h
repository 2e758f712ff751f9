/* times.h - which axis of each tensor is its time, and what each needs of the past and the future. */
#ifndef SEQC_PASSES_TIMES_H
#define SEQC_PASSES_TIMES_H

#include "ir/equations.h"

/* A tensor may run over the stream along several axes: one is its own time, along the others it has a place for each step so
 * far, of which those after its own time don't matter (scores of a query and all keys before it). */
typedef struct Times {
  Program *program;
  SymbolId stream;
  int *axis;           /* by tensor: its own time; NONE without one */
  const char **reason; /* by tensor: why it does not stream, in the author's words; NULL: it does */
  SourceRange *where;
  bool *is_final;      /* by tensor: no time of its own, but a value of the last steps */
  bool *is_grown;      /* by tensor: one that streams reads it at all steps so far */
} Times;

Times *times_find(Program *program);
/* Axes over the stream. */
int times_axis_count(const Times *times, TensorId tensor);
bool times_is_stream(const Times *times, Size size);
/* By index: the equation, which has a time of its own, runs over all steps so far with it. */
bool *times_long_indices(const Times *times, const Equation *equation);
IndexId times_index(const Times *times, const Equation *equation); /* of its time, or NONE */
/* By equation * most + number of a reduction's index: it takes nothing from `window` steps before the equation's time, or earlier. */
bool *times_window_reductions(const Times *times, int64_t window, int most);
/* What a read at steps so far gives before the first: a constant, or NULL when it never does. False when it is no constant. */
bool times_outside(const Times *times, const Expr *read, const Expr **out_value);

#endif
