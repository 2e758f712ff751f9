/* progress.c - the progress line. The bits shown are a running mean, because those of single steps jump. */
#include "seqrt/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "runtime/internal.h"

static const double TERMINAL_INTERVAL = 0.2, PIPE_INTERVAL = 5, SMOOTHING = 0.9;

void seqrt_progress_start(seqrt_progress *progress, FILE *file, int64_t first_step, int64_t steps) {
  *progress = (seqrt_progress){
      .file = file, .steps = steps, .first_step = first_step, .last_step = first_step, .started = runtime_seconds()};
  progress->is_terminal = file && isatty(fileno(file));
  progress->interval = progress->is_terminal ? TERMINAL_INTERVAL : PIPE_INTERVAL;
  progress->shown = progress->started;
}

int seqrt_progress_format(char *out_line, size_t size, int64_t step, int64_t steps, double bits, double characters_per_second,
                          double seconds_left) {
  int digits = snprintf(NULL, 0, "%" PRId64, steps);
  char left[40] = "";
  if (seconds_left >= 0 && seconds_left < 1e9) {
    int64_t seconds = (int64_t)(seconds_left + 0.5);
    if (seconds < 3600) snprintf(left, sizeof left, "   %" PRId64 ":%02d left", seconds / 60, (int)(seconds % 60));
    else
      snprintf(left, sizeof left, "   %" PRId64 ":%02d:%02d left", seconds / 3600, (int)(seconds / 60 % 60), (int)(seconds % 60));
  }
  return snprintf(out_line, size, "step %*" PRId64 "/%" PRId64 "   %.3f bits per character   %.1f k characters/s%s", digits, step,
                  steps, bits, characters_per_second / 1000, left);
}

static void show(seqrt_progress *progress, int64_t characters, double now) {
  char line[200];
  double elapsed = now - progress->started;
  int64_t done = progress->last_step - progress->first_step, to_do = progress->steps - progress->last_step;
  double left = done ? elapsed / (double)done * (double)to_do : -1;
  int length = seqrt_progress_format(line, sizeof line, progress->last_step, progress->steps, progress->smoothed_bits,
                                     elapsed > 0 ? (double)characters / elapsed : 0, to_do ? left : -1);
  if (progress->is_terminal) {
    int rest = (int)progress->width - length;
    fprintf(progress->file, "\r%s%*s", line, rest > 0 ? rest : 0, "");
    progress->width = length > 0 ? (size_t)length : 0;
  } else fprintf(progress->file, "%s\n", line);
  fflush(progress->file);
  progress->shown = now;
}

void seqrt_progress_update(seqrt_progress *progress, int64_t step, double bits, int64_t characters) {
  bool is_first = progress->last_step == progress->first_step;
  progress->smoothed_bits = is_first ? bits : SMOOTHING * progress->smoothed_bits + (1 - SMOOTHING) * bits;
  progress->last_step = step;
  if (!progress->file) return;
  double now = runtime_seconds();
  if (now - progress->shown >= progress->interval) show(progress, characters, now);
}

void seqrt_progress_finish(seqrt_progress *progress, int64_t characters) {
  if (!progress->file) return;
  if (progress->last_step > progress->first_step) show(progress, characters, runtime_seconds());
  if (progress->is_terminal) fprintf(progress->file, "\n");
  fflush(progress->file);
}
