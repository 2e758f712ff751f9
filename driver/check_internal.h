/* check_internal.h - what the files of the check share: one comparison under way. */
#ifndef SEQC_DRIVER_CHECK_INTERNAL_H
#define SEQC_DRIVER_CHECK_INTERNAL_H

#include "driver/check.h"
#include "driver/reference.h"
#include "driver/weights.h"

/* Of results. */
typedef enum { CHECK_OUTPUTS, CHECK_STATES, CHECK_GRADIENTS, CHECK_KIND_COUNT } CheckKind;

typedef struct Check {
  Arena *arena;
  const CheckOptions *options;
  Diagnostics *diagnostics;
  const Reference *reference;
  Reference *weights; /* NULL: parameters are in the reference */
  FrontendResult read;
  PipelineResult lowered;
  int run_count;
  const char **runs;  /* suffixes of names, each of a run of its own: "text" of input.token_text; one NULL where there are none */
  const char *suffix; /* of the run under way */
  const seqrt_model *model;        /* compiled, in this process */
  const float **parameters;        /* by slot */
  const double **parameter_values; /* by port of lowered.batched, for the interpreter; NULL: not read yet */
  const seqrt_context *context;
  bool has_gradients; /* the reference holds some, and this model has the same scalar to differentiate */
  double largest_gradient;
  bool is_bad;
  bool *is_skipped;                       /* by tensor of the reference: what no model computes */
  bool *is_compared[CHECK_FORM_COUNT];    /* by tensor of the reference */
  double *shared_error[CHECK_FORM_COUNT]; /* likewise: the smallest of all runs, for what has no suffix */
  /* without reference data */
  bool is_summary;          /* the largest errors are printed, and what is out of tolerance */
  const int64_t *symbols;   /* the run-time sizes that were drawn, by symbol of the batched program */
  const char *note;         /* to be printed beside the errors, or NULL */
  double worst[CHECK_FORM_COUNT][CHECK_KIND_COUNT]; /* negative: nothing was compared */
  struct KeptBits *kept;    /* results of the first run of the whole sequence, for those with other threads */
  int kept_count;
  double worst_difference;  /* likewise: of finite differences */
} Check;

/* check_runs.c: names of the file, and the separate runs that their suffixes mean. */

/* The runs of the file: check->runs. False after diagnostics. */
bool check_find_runs(Check *check);
/* The tensor of the file with this prefix and name, in the run under way; NULL when there is none. With "{}" in the name all its
 * turns, stacked. What a run has not is taken from what all share. */
const ReferenceTensor *check_find(const Check *check, const char *prefix, const char *name);
/* A tensor that check_find gives and that has no suffix, though the runs have: it belongs to one of them, nobody says which. */
bool check_is_shared(const Check *check, const char *prefix, const char *name);
const char *check_file_name(const Check *check, const char *prefix, const char *name); /* with suffix where the file has it */
/* The name of a port of this kind that the name in a file means, without suffix; NULL when there is none. */
const char *check_port_name(const Check *check, PortKind kind, const char *name);
/* The same name without the suffix of a run; `out_run` is that run or NULL. */
const char *check_split_name(const Check *check, const char *name, const char **out_run);
/* "{}" in the name of a parameter or state replaced by the number of the turn. */
const char *turn_name(Arena *arena, const char *name, int64_t scale, int64_t offset, int64_t turn);
/* The name without the prefix, or NULL when it has another one. */
const char *without_prefix(const char *name, const char *prefix);

/* check_bind.c: which tensor of the file belongs to what. */

/* In the weights or, without them, in the reference. */
const ReferenceTensor *check_find_parameter(const Check *check, const char *name);
const Reference *check_parameter_source(const Check *check);
/* Every input and parameter is there and of the right shape, and nothing is in the file that the model does not know.
 * False after diagnostics. */
bool check_names(Check *check);
/* The run-time sizes of a program [symbol_count] in the run under way, from the shapes of the file. NULL after diagnostics. */
int64_t *check_sizes(Check *check, const Program *program);

/* check_report.c: the table. */

/* One line; the tensor is looked up under its full name ("grad.param.weight"). Values in row-major order. */
void report_values(Check *check, CheckForm form, const char *tensor, const double *values);
/* Likewise for the tensor `name` behind `prefix`, which the file has; one line for each turn where the name has turns. What is
 * shared by the runs is compared with the nearest of them, when report_missing is called. */
void report_tensor(Check *check, CheckForm form, const char *prefix, const char *name, const double *values);
void report_failure(Check *check, CheckForm form, const char *tensor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_refusal(Check *check, CheckForm form, const char *reason);
/* After all runs: each output, state and gradient of the file that this form has no line for yet. */
void report_missing(Check *check, CheckForm form);
double largest_gradient(const Reference *reference);

/* The error of a finite difference of the gradient of this port. */
void report_difference(Check *check, const char *port, double error, double tolerance);
void report_summary(const Check *check, const char *model, int chosen_count, const ChosenSize *chosen);

/* check_random.c */

/* The front end with values for sizes that nothing gives; no program after errors. */
FrontendResult compile_with_any_sizes(Check *check);
/* check->reference from random data and the interpreter, after the pipeline. Compares gradients with finite differences on the way.
 * False after a message. */
bool make_random_reference(Check *check);

/* check_compiled.c */
bool check_read_parameters(Check *check); /* check->parameters; false after printing why not */
void check_compiled(Check *check);
void check_streams(Check *check);
/* check_interpreted.c */
void check_interpreted(Check *check);

#endif
