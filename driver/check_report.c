/* check_report.c - how far a result is from the reference, and the line that says so.
 *
 * The error of a tensor is its largest difference relative to the reference's largest element. A gradient that is zero by algebra
 * has no size of its own and is measured against the largest gradient of the file.
 */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "driver/check_internal.h"

static const double FLOAT_TOLERANCE = 2e-5, FLOAT_GRADIENT_TOLERANCE = 3e-4, DOUBLE_TOLERANCE = 1e-12;
static const double SMALLEST_SCALE = 1e-6;
static const double SMALL_GRADIENT = 1e-3; /* of random data: below this share of the largest one it may be zero by algebra */

static bool is_gradient(const char *tensor) { return strncmp(tensor, "grad.", 5) == 0; }

static double largest_element(const ReferenceTensor *tensor) {
  double largest = 0;
  for (int64_t i = 0; i < tensor->elements; i++) largest = fmax(largest, fabs(tensor->values[i]));
  return largest;
}

double largest_gradient(const Reference *reference) {
  double largest = SMALLEST_SCALE;
  for (int i = 0; i < reference->tensor_count; i++)
    if (is_gradient(reference->tensors[i].name)) largest = fmax(largest, largest_element(&reference->tensors[i]));
  return largest;
}

static double tolerance_of(CheckForm form, const ReferenceTensor *reference) {
  if (reference->is_integer) return 0;
  if (form == CHECK_INTERPRETED && reference->is_double) return DOUBLE_TOLERANCE;
  return is_gradient(reference->name) ? FLOAT_GRADIENT_TOLERANCE : FLOAT_TOLERANCE;
}

static CheckKind kind_of(const char *tensor) {
  return is_gradient(tensor) ? CHECK_GRADIENTS : strncmp(tensor, "state.", 6) == 0 ? CHECK_STATES : CHECK_OUTPUTS;
}

static void print_line(Check *check, CheckForm form, const char *tensor, double error, double tolerance) {
  const ReferenceTensor *reference = reference_find(check->reference, tensor);
  if (reference) check->is_compared[form][reference - check->reference->tensors] = true;
  bool is_ok = error <= tolerance;
  if (!is_ok) check->is_bad = true;
  if (check->is_summary) {
    double *worst = &check->worst[form][kind_of(tensor)];
    if (!(error <= *worst)) *worst = error;
    if (is_ok) return;
  }
  fprintf(check->options->stream, "%s %s %.3g %.3g %s\n", check_form_names[form], tensor, error, tolerance, is_ok ? "ok" : "BAD");
}

typedef struct KeptBits {
  const char *tensor;
  const double *values;
} KeptBits;

/* The first run keeps, the others must give the same bits. */
static void compare_bits(Check *check, const char *tensor, const double *values, int64_t elements) {
  for (int n = 0; n < check->kept_count; n++) {
    if (strcmp(check->kept[n].tensor, tensor) != 0) continue;
    if (elements == 0 || memcmp(check->kept[n].values, values, sizeof *values * (size_t)elements) == 0) return;
    check->is_bad = true;
    fprintf(check->options->stream, "threads %s BAD: other bits with another number of threads\n", tensor);
    return;
  }
  KeptBits kept = {tensor, values};
  ARENA_PUSH(check->arena, check->kept, check->kept_count, kept);
}

static double measure(const Check *check, const ReferenceTensor *reference, const double *values) {
  double scale = fmax(largest_element(reference), SMALLEST_SCALE), difference = 0;
  if (reference_has_zero_gradient(check->reference, reference->name)) scale = check->largest_gradient;
  if (check->is_summary && is_gradient(reference->name)) scale = fmax(scale, SMALL_GRADIENT * check->largest_gradient);
  for (int64_t i = 0; i < reference->elements; i++) {
    if (values[i] == reference->values[i]) continue; /* infinities of one sign too */
    double distance = fabs(values[i] - reference->values[i]);
    if (!(distance <= difference)) difference = isnan(distance) ? INFINITY : distance;
  }
  return difference / scale;
}

void report_values(Check *check, CheckForm form, const char *tensor, const double *values) {
  const ReferenceTensor *reference = reference_find(check->reference, tensor);
  if (check->is_summary && form == CHECK_COMPILED) compare_bits(check, tensor, values, reference->elements);
  print_line(check, form, tensor, measure(check, reference, values), tolerance_of(form, reference));
}

void report_tensor(Check *check, CheckForm form, const char *prefix, const char *name, const double *values) {
  const ReferenceTensor *whole = check_find(check, prefix, name);
  bool is_shared = check_is_shared(check, prefix, name);
  int64_t turns = strstr(name, "{}") ? whole->shape[0] : 1;
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *tensor = check_file_name(check, prefix, turn_name(check->arena, name, 1, 0, turn));
    const double *part = values + turn * (whole->elements / turns);
    if (!is_shared) {
      report_values(check, form, tensor, part);
      continue;
    }
    const ReferenceTensor *reference = reference_find(check->reference, tensor);
    double *error = &check->shared_error[form][reference - check->reference->tensors];
    *error = fmin(*error, measure(check, reference, part));
  }
}

void report_failure(Check *check, CheckForm form, const char *tensor, const char *format, ...) {
  const ReferenceTensor *reference = reference_find(check->reference, tensor);
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: %s: ", check->options->model, check_form_names[form]);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
  print_line(check, form, tensor, INFINITY, reference ? tolerance_of(form, reference) : 0);
}

void report_refusal(Check *check, CheckForm form, const char *reason) {
  fprintf(check->options->stream, "%s refused %s\n", check_form_names[form], reason);
}

/* Results without a suffix, now that every run has been seen. */
static void report_shared(Check *check, CheckForm form) {
  for (int i = 0; i < check->reference->tensor_count; i++) {
    const ReferenceTensor *reference = &check->reference->tensors[i];
    double error = check->shared_error[form][i];
    if (isfinite(error) && !check->is_compared[form][i])
      print_line(check, form, reference->name, error, tolerance_of(form, reference));
  }
}

void report_missing(Check *check, CheckForm form) {
  static const char *const results[] = {"output.", "state.", "grad."};
  bool is_whole = form == CHECK_COMPILED || form == CHECK_INTERPRETED;
  report_shared(check, form);
  for (int i = 0; is_whole && i < check->reference->tensor_count; i++) {
    const char *name = check->reference->tensors[i].name;
    for (int r = 0; r < 3; r++)
      if (strncmp(name, results[r], strlen(results[r])) == 0 && !check->is_compared[form][i] && !check->is_skipped[i])
        report_failure(check, form, name, "the model does not compute '%s'", name);
  }
}

void report_difference(Check *check, const char *port, double error, double tolerance) {
  if (!(error <= check->worst_difference)) check->worst_difference = error;
  if (error <= tolerance) return;
  check->is_bad = true;
  fprintf(check->options->stream, "differences grad.%s %.3g %.3g BAD\n", port, error, tolerance);
}

void report_summary(const Check *check, const char *model, int chosen_count, const ChosenSize *chosen) {
  static const char *const kinds[CHECK_KIND_COUNT] = {"outputs", "states", "gradients"};
  FILE *stream = check->options->stream;
  const Program *program = check->lowered.batched;
  fprintf(stream, "%s %s:", model, check->is_bad ? "BAD" : "ok");
  for (int s = 0; s < program->symbol_count; s++)
    if (check->symbols && program->symbols[s].kind != SYMBOL_POSITION && program->symbols[s].kind != SYMBOL_HISTORY)
      fprintf(stream, " %s=%lld", program->symbols[s].kind == SYMBOL_BATCH ? "batch" : program->symbols[s].name, (long long)check->symbols[s]);
  for (int n = 0; n < chosen_count; n++)
    if (chosen[n].value) fprintf(stream, " %s=%lld", chosen[n].name, (long long)chosen[n].value);
  fputs("\n", stream);
  for (int form = 0; form < CHECK_FORM_COUNT; form++) {
    bool is_any = false;
    for (int kind = 0; kind < CHECK_KIND_COUNT; kind++) {
      if (check->worst[form][kind] < 0) continue;
      if (!is_any) fprintf(stream, "  %-12s", check_form_names[form]);
      is_any = true;
      fprintf(stream, " %s %.2g", kinds[kind], check->worst[form][kind]);
    }
    if (is_any) fputs("\n", stream);
  }
  if (check->worst_difference >= 0) fprintf(stream, "  %-12s gradients %.2g\n", "differences", check->worst_difference);
  if (check->note) fprintf(stream, "  %s\n", check->note);
}
