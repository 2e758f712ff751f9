/* packing.h - the copy of parameters that sessions read products from. */
#ifndef RUNTIME_PACKING_H
#define RUNTIME_PACKING_H

#include "seqrt/parameters.h"

/* The packed parameters, packed now if they are not yet; NULL where there are none, they are not wanted or there is no memory. */
void *parameters_packed(seqrt_parameters *parameters, const seqrt_context *context);

#endif
