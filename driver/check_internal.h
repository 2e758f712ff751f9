/* check_internal.h - what the files of the check share: one comparison under way. */
#ifndef SEQC_DRIVER_CHECK_INTERNAL_H
#define SEQC_DRIVER_CHECK_INTERNAL_H

#include "driver/check.h"
#include "driver/reference.h"

typedef struct Check {
  Arena *arena;
  const CheckOptions *options;
  Diagnostics *diagnostics;
  const Reference *reference;
  const Reference *weights; /* NULL: parameters are in the reference */
  PipelineResult lowered;
  const seqrt_model *model; /* compiled, in this process */
  const seqrt_context *context;
  bool has_gradients; /* the reference holds some, and this model has the same scalar to differentiate */
  double largest_gradient;
  bool is_bad;
  bool *is_compared[CHECK_FORM_COUNT]; /* by tensor of the reference */
} Check;

/* check_bind.c: which tensor of the file belongs to what. */

/* The tensor of the file with this prefix and name; NULL when there is none. With "{}" in the name all its turns, stacked. */
const ReferenceTensor *check_find(const Check *check, const char *prefix, const char *name);
const ReferenceTensor *check_find_parameter(const Check *check, const char *name);
/* "{}" in the name of a parameter or state replaced by the number of the turn. */
const char *turn_name(Arena *arena, const char *name, int64_t scale, int64_t offset, int64_t turn);
/* Every input and parameter is there and of the right shape, and nothing is in the file that the model does not know.
 * False after diagnostics. */
bool check_names(Check *check);
/* The run-time sizes of a program [symbol_count], from the shapes of the file. NULL after diagnostics. */
int64_t *check_sizes(Check *check, const Program *program);

/* check_report.c: the table. */

/* One line; the tensor is looked up under its full name ("grad.param.weight"). Values in row-major order. */
void report_values(Check *check, CheckForm form, const char *tensor, const double *values);
/* Likewise for the tensor `name` behind `prefix`, which the file has; one line for each turn where the name has turns. */
void report_tensor(Check *check, CheckForm form, const char *prefix, const char *name, const double *values);
void report_failure(Check *check, CheckForm form, const char *tensor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_refusal(Check *check, CheckForm form, const char *reason);
/* Each output, state and gradient of the file that this form has no line for yet. */
void report_missing(Check *check, CheckForm form);
double largest_gradient(const Reference *reference);

/* check_compiled.c */
void check_compiled(Check *check);
void check_streams(Check *check);
/* check_interpreted.c */
void check_interpreted(Check *check);

#endif
