/* weights.h - the weights of a public checkpoint: one safetensors file, or several behind an index, and its config.
 *
 * Opening reads headers only; arrays are read from the files when they are asked for, piece by piece and converted, so that loading a
 * checkpoint takes the memory of its parameters and no more. The files stay open until seqrt_weights_close.
 */
#ifndef SEQRT_WEIGHTS_H
#define SEQRT_WEIGHTS_H

#include "seqrt/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_weights seqrt_weights;

/* `path` is a safetensors file, an index (NAME.safetensors.index.json), or a folder: then its model.safetensors.index.json, or
 * model.safetensors, or the only index or the only safetensors file in it. The files of an index lie beside it. Every array of the index
 * must be in its file, every array of a file in the index, none in two files: what is not so is one SEQRT_FORMAT that
 * lists it. SEQRT_IO: something cannot be read. */
seqrt_code seqrt_weights_open(const char *path, seqrt_weights **out_weights, seqrt_error *out_error);

/* Frees everything obtained from it. NULL is fine. */
void seqrt_weights_close(seqrt_weights *weights);

/* The path, as it was given. */
const char *seqrt_weights_path(const seqrt_weights *weights);

/* The text of config.json in the same folder, else the entry "config" of the metadata of a single file; NULL without either. The
 * path is that of the file it is from. */
const char *seqrt_weights_config(const seqrt_weights *weights);
const char *seqrt_weights_config_path(const seqrt_weights *weights);

/* The files, as paths. */
int32_t seqrt_weights_file_count(const seqrt_weights *weights);
const char *seqrt_weights_file(const seqrt_weights *weights, int32_t index);

/* The arrays of all files, ordered by name. They have no data: read them with the functions below. */
int64_t seqrt_weights_count(const seqrt_weights *weights);
const seqrt_stored_tensor *seqrt_weights_tensor(const seqrt_weights *weights, int64_t index);

/* The array of that name, or NULL. */
const seqrt_stored_tensor *seqrt_weights_find(const seqrt_weights *weights, const char *name);

/* Reads a whole array, converted as seqrt_stored_to_f32 and its like do. SEQRT_IO where the file changed meanwhile. */
seqrt_code seqrt_weights_to_f32(const seqrt_weights *weights, const char *name, float *out_values, seqrt_error *out_error);
seqrt_code seqrt_weights_to_f64(const seqrt_weights *weights, const char *name, double *out_values, seqrt_error *out_error);
seqrt_code seqrt_weights_to_i32(const seqrt_weights *weights, const char *name, int32_t *out_values, seqrt_error *out_error);
seqrt_code seqrt_weights_to_i64(const seqrt_weights *weights, const char *name, int64_t *out_values, seqrt_error *out_error);

/* As seqrt_parameters_load. Nothing is changed where the arrays do not fit the model; after SEQRT_IO or SEQRT_OUT_OF_RANGE the
 * parameters that were read before are. */
seqrt_code seqrt_parameters_load_weights(seqrt_parameters *parameters, const seqrt_weights *weights, const char *prefix,
                                         int32_t ignores_extra, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
