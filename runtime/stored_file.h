/* stored_file.h - a safetensors file of which only the header is read at first, and conversion of its arrays in parts. */
#ifndef RUNTIME_STORED_FILE_H
#define RUNTIME_STORED_FILE_H

#include "runtime/internal.h"
#include "seqrt/safetensors.h"

/* As seqrt_safetensors_open, but the arrays have no data: it is read by stored_file_read from the file, which stays open. */
seqrt_code stored_file_open(const char *path, seqrt_safetensors **out_file, seqrt_error *error);

/* Bytes first <= n < first + size of an array that stored_file_open found. */
seqrt_code stored_file_read(const seqrt_safetensors *file, const seqrt_stored_tensor *tensor, int64_t first, int64_t size,
                            void *out_bytes, seqrt_error *error);

/* Conversion of a part of an array: its element 0 is element `first` in messages. Integers go to `out_narrow` or `out_wide`. */
seqrt_code stored_piece_to_f32(const seqrt_stored_tensor *tensor, int64_t first, float *out_values, seqrt_error *error);
seqrt_code stored_piece_to_integers(const seqrt_stored_tensor *tensor, int64_t first, int32_t *out_narrow, int64_t *out_wide,
                                    seqrt_error *error);

#endif
