/* windows.h - how many of the steps so far are read. */
#ifndef SEQC_PASSES_WINDOWS_H
#define SEQC_PASSES_WINDOWS_H

#include "passes/times.h"

enum { WINDOW_AXES = 16, WINDOW_REDUCTIONS = 8 };

/* A number of steps, the current one among them; 0: all so far. */
typedef struct Windows {
  int64_t *axis;      /* by tensor * WINDOW_AXES + axis: of an axis over steps so far */
  int64_t *reduction; /* by equation * WINDOW_REDUCTIONS + number of the reduction's index */
  int64_t *grown;     /* by tensor that is read at steps so far */
} Windows;

Windows *windows_find(Program *program, const Times *times);

#endif
