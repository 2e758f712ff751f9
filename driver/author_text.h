/* author_text.h - expressions of equations in the words of model files. */
#ifndef SEQC_DRIVER_AUTHOR_TEXT_H
#define SEQC_DRIVER_AUTHOR_TEXT_H

#include "ir/equations.h"

/* As the author would write it: what lies before the first step and sums that were given names on the way are put back. Of two
 * indices with one name, the one in `bound` gets a prime. */
const char *author_text(const Program *program, const Expr *expr, int bound_count, const IndexId *bound);
/* `NAME[t, j]`, with the index of the step as it is in the equation. */
const char *author_target(const Program *program, const Equation *equation);

#endif
