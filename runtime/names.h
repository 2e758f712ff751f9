/* names.h - the names of all slots, and slots as arrays to be saved, for the files that write them. */
#ifndef RUNTIME_NAMES_H
#define RUNTIME_NAMES_H

#include "seqrt/parameters.h"

/* prefix + name of each slot; NULL without memory. `prefix` may be NULL. */
char **slot_names_create(const seqrt_model *model, const char *prefix);
void slot_names_destroy(char **names, int32_t count);

/* One array for each slot, under these names. */
void slot_tensors(const seqrt_parameters *parameters, char *const *names, seqrt_stored_tensor *out_tensors);

#endif
