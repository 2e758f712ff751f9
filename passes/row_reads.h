/* row_reads.h - how an equation reads rows of another tensor; see also is_row_reduction in lower.h. */
#ifndef SEQC_PASSES_ROW_READS_H
#define SEQC_PASSES_ROW_READS_H

#include "ir/equations.h"

/* It reads what a row is reduced to, at its own row throughout. */
bool follows_row(const Program *program, int equation, TensorId reduced);
/* It reduces rows of a map that only equations read, at its own row throughout. */
bool reduces_row(const Program *program, int equation, TensorId map);

#endif
