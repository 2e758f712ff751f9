/* parameters.h - the parameters of a model, or gradients of the same shapes, in one aligned arena. */
#ifndef SEQRT_PARAMETERS_H
#define SEQRT_PARAMETERS_H

#include "seqrt/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A table of pointers in the order of the descriptor, into one arena of 64-byte aligned slots; between slots there are
 * zeros. To be read by anyone; the values may be written, the pointers not. */
typedef struct seqrt_parameters {
  const seqrt_model *model;
  float **slots; /* [model->parameter_slots] */
  float *arena;
  int64_t arena_elements;
  int64_t elements; /* of all slots, without the gaps */
  void *packed;     /* what seqrt_parameters_pack made of them, or NULL */
  int32_t is_never_packed; /* see seqrt_parameters_set_packing */
} seqrt_parameters;

/* All zero. SEQRT_VERSION for a model of another ABI, SEQRT_OUT_OF_MEMORY. */
seqrt_code seqrt_parameters_create(const seqrt_model *model, seqrt_parameters **out_parameters, seqrt_error *out_error);
void seqrt_parameters_destroy(seqrt_parameters *parameters);

/* Initial values as the model file says. The stream of random numbers is the slot, so neither order nor threads matter. A
 * parameter without initialiser is SEQRT_INVALID_ARGUMENT. `context` may be NULL. */
seqrt_code seqrt_parameters_initialise(seqrt_parameters *parameters, uint64_t seed, const seqrt_context *context,
                                       seqrt_error *out_error);

/* Puts the parameters, once, into the order in which products read them, a copy beside them (model->packed_size bytes, about as many as
 * the parameters of products have themselves): a step of one sequence then reads memory from one end to the other, and a long call need
 * not pack. Nothing where the model has no products. Sessions do that themselves at the first forward or objective call after a change
 * of the parameters, unless there is no memory for it; the copy is shared by all sessions. The library drops it where it changes
 * parameters itself (initialise, load, a step of an optimizer, a checkpoint); who writes values directly calls seqrt_parameters_unpack.
 * In a model that was compiled with --packed=bf16 or --packed=int8 the copy is rounded to 16 or 8 bits: less memory, which is read in less time.
 * The parameters themselves stay as they are, and gradients and trainers read them alone. */
seqrt_code seqrt_parameters_pack(seqrt_parameters *parameters, const seqrt_context *context, seqrt_error *out_error);
void seqrt_parameters_unpack(seqrt_parameters *parameters);
/* Whether sessions pack (they do at first). Without, the copy is dropped: less memory, and more time for each call. */
void seqrt_parameters_set_packing(seqrt_parameters *parameters, int32_t is_wanted);

/* The parameter that a slot belongs to; NULL for a slot that does not exist. */
const seqrt_parameter *seqrt_slot_parameter(const seqrt_model *model, int32_t slot);

/* The name of a slot in a checkpoint, "{}" being replaced by the number of the turn. Returns its length; the text is cut,
 * and always ends, within `size`, as snprintf does. */
int64_t seqrt_slot_name(const seqrt_model *model, int32_t slot, char *out_name, size_t size);

/* Takes all slots from arrays of a file, found by `prefix` (NULL: none) and name, converted to float32. A stored shape
 * fits when the row-major order is the same: (4, 64, 16) and (256, 16) do, (256, 16) and (16, 256) don't. Missing arrays,
 * arrays of no parameter (unless the model file ignores them, or `ignores_extra`; only those with the prefix count) and wrong shapes are
 * one SEQRT_MISMATCH that lists them; nothing is changed then. */
seqrt_code seqrt_parameters_load(seqrt_parameters *parameters, const seqrt_safetensors *file, const char *prefix,
                                 int32_t ignores_extra, seqrt_error *out_error);

/* Saves all slots as F32 arrays with metadata of the caller's; see seqrt_safetensors_save. */
seqrt_code seqrt_parameters_save(const seqrt_parameters *parameters, const char *path, const seqrt_metadata *metadata,
                                 int64_t metadata_count, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
