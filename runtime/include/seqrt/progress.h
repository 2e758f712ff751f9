/* progress.h - one line that says how far a training is. Prints only to the file it is given.
 *
 *     step  240/1200   2.413 bits per character   31.2 k characters/s   0:58 left
 */
#ifndef SEQRT_PROGRESS_H
#define SEQRT_PROGRESS_H

#include <stdio.h>

#include "seqrt/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_progress {
  FILE *file;
  int32_t is_terminal; /* the line rewrites itself; otherwise a new line every few seconds */
  double interval;     /* seconds between two lines */
  double started, shown;
  double smoothed_bits;
  int64_t steps, first_step, last_step;
  size_t width; /* of the line on the terminal */
} seqrt_progress;

/* Starts the clock. `first_step` is where a resumed training goes on. A NULL file prints nothing. */
void seqrt_progress_start(seqrt_progress *progress, FILE *file, int64_t first_step, int64_t steps);

/* After each step: steps done, bits per character of the last one, characters since the start. Shows a line when it is time. */
void seqrt_progress_update(seqrt_progress *progress, int64_t step, double bits, int64_t characters);

/* Shows the last line, if it was not shown, and ends it. */
void seqrt_progress_finish(seqrt_progress *progress, int64_t characters);

/* The line without its end, as snprintf writes it. A negative `seconds_left` is not shown. */
int seqrt_progress_format(char *out_line, size_t size, int64_t step, int64_t steps, double bits, double characters_per_second,
                          double seconds_left);

#ifdef __cplusplus
}
#endif

#endif
