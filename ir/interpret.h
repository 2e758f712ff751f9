/* interpret.h - the oracle: a program evaluated naively in double precision.
 *
 * It uses no schedule of the compiler: an element is computed when it is first asked for, equation by equation as
 * they stand, so it shares no analysis with the code it is compared with.
 */
#ifndef SEQC_IR_INTERPRET_H
#define SEQC_IR_INTERPRET_H

#include "ir/equations.h"

/* Values of all tensors, dense and row-major in double (integers and booleans too). */
typedef struct Interpretation {
  const Program *program;
  int64_t *symbols;   /* [symbol_count] given by the caller */
  double **values;    /* [tensor_count]; for a tensor without equation given by the caller, NULL meaning zeros */
} Interpretation;

/* `symbols` gives the run-time sizes; a history follows from position and stream. */
Interpretation *interpretation_create(Arena *arena, const Program *program, const int64_t *symbols);
int64_t interpretation_size(const Interpretation *interpretation, Size size);
int64_t interpretation_elements(const Interpretation *interpretation, TensorId tensor);
/* Computes the tensor (and all it needs) and returns its values. NULL on an error of the data
 * (an index out of range, a cycle): then *out_error says what and where. */
const double *interpret(Interpretation *interpretation, TensorId tensor, const char **out_error);

#endif
