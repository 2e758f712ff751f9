/* weights.h - a checkpoint beside a model: what its shapes and config say, and whether every tensor fits. */
#ifndef SEQC_DRIVER_WEIGHTS_H
#define SEQC_DRIVER_WEIGHTS_H

#include "driver/reference.h"
#include "frontend/frontend.h"

/* Shapes of the weights become known, and their config unless there is one. */
void weights_add_known(Arena *arena, const Reference *weights, FrontendOptions *frontend);

/* frontend_compile; where shapes and model disagree, what is missing, extra and misshapen is listed as well. `weights` may be NULL. */
FrontendResult weights_compile(Arena *arena, const char *model, const FrontendOptions *frontend, const Reference *weights,
                               bool wants_ast, Diagnostics *diagnostics);

/* Parameters that `weights` lacks or has in another shape, and tensors of no parameter that the model does not ignore, all in one
 * list; only names with the prefix are looked at, which may be "". False after diagnostics. */
bool weights_check(Arena *arena, const Program *program, const Reference *weights, const char *prefix, Diagnostics *diagnostics);

/* The same memory: axes of `shape` are the stored ones or parts of them. */
bool shape_is_finer(int rank, const int64_t *shape, int stored_rank, const int64_t *stored);
const char *shape_text(Arena *arena, int rank, const int64_t *shape); /* "(4, 16)" */

/* Every file that was read, for dependencies. */
int weights_file_count(const Reference *weights);
const char *weights_file(const Reference *weights, int index);

#endif
