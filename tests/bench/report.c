/* report.c - results as a table and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

#define NAME_OF(identifier, heading) identifier,
#define HEADING_OF(identifier, heading) heading,
const char *const peer_names[PEER_COUNT] = {PEERS(NAME_OF)};
const char *const peer_headings[PEER_COUNT] = {PEERS(HEADING_OF)};

enum { NAME_WIDTH = 40 };

/* ---- times ---- */

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

void times_add(Times *times, double ms, double processor_ms) {
  if (times->count == TIME_COUNT) return;
  times->values[times->count] = ms;
  times->processor_values[times->count++] = processor_ms;
}

/* Between the two neighbours of a place among the sorted values. */
static double quantile(const double *values, int count, double where) {
  double place = where * (count - 1);
  int below = (int)place, above = below + 1 < count ? below + 1 : below;
  return values[below] + (place - below) * (values[above] - values[below]);
}

void times_finish(Times *times) {
  if (!times->count) return;
  qsort(times->values, (size_t)times->count, sizeof times->values[0], compare_doubles);
  qsort(times->processor_values, (size_t)times->count, sizeof times->processor_values[0], compare_doubles);
  times->median = quantile(times->values, times->count, 0.5);
  times->best = times->values[0];
  times->processor = quantile(times->processor_values, times->count, 0.5);
  times->spread = (quantile(times->values, times->count, 0.75) - quantile(times->values, times->count, 0.25)) / times->median;
}

/* ---- table ---- */

const char *short_number(double value, char *text, size_t size) {
  int digits = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : value >= 1 ? 3 : 4;
  snprintf(text, size, "%.*f", digits, value);
  return text;
}

void report_heading(FILE *file) {
  fprintf(file, "%-*s %3s %9s %9s %6s %9s %8s %8s %-4s %9s %-5s %6s", NAME_WIDTH, "work", "thr", "ms", "best ms", "spread",
          "cpu ms", "Gflop", "MB", "in", "floor ms", "bound", "share");
  for (int peer = 0; peer < PEER_COUNT; peer++) fprintf(file, " %10s", peer_headings[peer]);
  fprintf(file, " %6s\n", "ahead");
}

static double fastest_peer(const Result *result) {
  double fastest = 0;
  for (int peer = 0; peer < PEER_COUNT; peer++) {
    const Times *times = &result->peers[peer];
    if (times->count && (fastest == 0 || times->median < fastest)) fastest = times->median;
  }
  return fastest;
}

void report_row(FILE *file, const Result *result) {
  char text[32];
  fprintf(file, "%-*s %3d", NAME_WIDTH, result->work->name, result->threads);
  const Times *own = &result->own;
  if (own->count) {
    fprintf(file, " %9s", short_number(own->median, text, sizeof text));
    fprintf(file, " %9s", short_number(own->best, text, sizeof text));
    fprintf(file, " %5.0f%%", 100 * own->spread);
    fprintf(file, " %9s", short_number(own->processor, text, sizeof text));
  } else {
    fprintf(file, " %9s %9s %6s %9s", "-", "-", "-", "-");
  }
  const Floor *floor = &result->floor;
  if (floor->ms > 0) {
    fprintf(file, " %8s", short_number(1e-9 * floor->flops, text, sizeof text));
    fprintf(file, " %8s %-4s", short_number(1e-6 * floor->bytes, text, sizeof text), floor->longest->memory);
    fprintf(file, " %9s %-5s", short_number(floor->ms, text, sizeof text), floor->longest->bound);
  } else {
    fprintf(file, " %8s %8s %-4s %9s %-5s", "-", "-", "", "-", "");
  }
  if (own->count && floor->ms > 0) fprintf(file, " %5.1f%%", 100 * floor->ms / own->median);
  else fprintf(file, " %6s", "-");
  for (int peer = 0; peer < PEER_COUNT; peer++)
    fprintf(file, " %10s", result->peers[peer].count ? short_number(result->peers[peer].median, text, sizeof text) : "-");
  double fastest = fastest_peer(result);
  if (own->count && fastest > 0) fprintf(file, " %5.2fx\n", fastest / own->median);
  else fprintf(file, " %6s\n", "-");
  if (*own->reason) fprintf(file, "    seqc: %s\n", own->reason);
  fflush(file);
}

/* ---- JSON ---- */

static void write_string(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
    else if (c < 0x20) fprintf(file, "\\u%04x", c);
    else fputc(c, file);
  }
  fputc('"', file);
}

static void write_number(FILE *file, const char *key, double value, bool is_known) {
  if (is_known && isfinite(value)) fprintf(file, ", \"%s\": %.6g", key, value);
  else fprintf(file, ", \"%s\": null", key);
}

/* {"name": ...} of the peers that were measured, or that have a reason why not. */
static void write_peers(FILE *file, const Result *result, const char *key, int form) {
  const char *separator = "";
  fprintf(file, ", \"%s\": {", key);
  for (int peer = 0; peer < PEER_COUNT; peer++) {
    const Times *times = &result->peers[peer];
    if (form == 'r' ? !*times->reason : !times->count) continue;
    fprintf(file, "%s\"%s\": ", separator, peer_names[peer]);
    if (form == 'r') write_string(file, times->reason);
    else
      fprintf(file, "%.6g",
              form == 's'   ? times->spread
              : form == 'b' ? times->best
              : form == 'c' ? times->processor
                            : times->median);
    separator = ", ";
  }
  fputc('}', file);
}

/* The roofline: what each part of the floor takes, and what binds it. */
static void write_parts(FILE *file, const Floor *floor) {
  const char *separator = "";
  fprintf(file, ", \"parts\": [");
  for (int p = 0; p < WORK_PHASES; p++) {
    const FloorPart *part = &floor->parts[p];
    if (!part->bound || !*part->bound) continue;
    fprintf(
        file,
        "%s{\"flops\": %.6g, \"bytes\": %.6g, \"memory\": \"%s\", \"gbytes_per_s\": %.4g, \"floor_ms\": %.6g, \"bound\": \"%s\"}",
        separator, part->flops, part->bytes, part->memory, 1e-9 * part->bytes_per_second, part->ms, part->bound);
    separator = ", ";
  }
  fprintf(file, "]");
}

static void write_result(FILE *file, const Result *result) {
  const Times *own = &result->own;
  bool measured = own->count > 0, bounded = result->floor.ms > 0;
  fprintf(file, "  {\"work\": ");
  write_string(file, result->work->name);
  fprintf(file, ", \"threads\": %d, \"dtype\": \"f32\"", result->threads);
  write_number(file, "ms", own->median, measured);
  write_number(file, "best_ms", own->best, measured);
  write_number(file, "spread", own->spread, measured);
  write_number(file, "cpu_ms", own->processor, measured);
  write_number(file, "floor_ms", result->floor.ms, bounded);
  fprintf(file, ", \"bound\": ");
  write_string(file, bounded ? result->floor.longest->bound : "");
  write_number(file, "share", bounded ? result->floor.ms / own->median : 0, measured && bounded);
  write_number(file, "flops", result->floor.flops, bounded);
  write_number(file, "bytes", result->floor.bytes, bounded);
  write_parts(file, &result->floor);
  write_number(file, "peak_gflops", 2e-9 * result->multiply_adds, true);
  write_peers(file, result, "peers", 'm');
  write_peers(file, result, "peers_best", 'b');
  write_peers(file, result, "peers_spread", 's');
  write_peers(file, result, "peers_cpu", 'c');
  write_peers(file, result, "peers_absent", 'r');
  if (*own->reason) {
    fprintf(file, ", \"reason\": ");
    write_string(file, own->reason);
  }
  fprintf(file, "}");
}

void report_json(FILE *file, const Result *results, int count) {
  fprintf(file, "[\n");
  for (int n = 0; n < count; n++) {
    write_result(file, &results[n]);
    fprintf(file, "%s\n", n + 1 < count ? "," : "");
  }
  fprintf(file, "]\n");
}
