/* internal.h - what the files of libseqrt share and callers don't see. */
#ifndef RUNTIME_INTERNAL_H
#define RUNTIME_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "seqrt/status.h"

/* Fills `error`, when there is one, and returns `code`: `return runtime_fail(error, SEQRT_IO, "...", ...)`. */
__attribute__((format(printf, 3, 4))) seqrt_code runtime_fail(seqrt_error *error, seqrt_code code, const char *format, ...);

/* SEQRT_OUT_OF_MEMORY, naming what the memory was for. */
seqrt_code runtime_fail_memory(seqrt_error *error, const char *what, int64_t bytes);

/* A list of findings that becomes one message: the first few in full, the rest counted. */
typedef struct Findings {
  char text[960];
  size_t length;
  int64_t count, shown;
} Findings;

__attribute__((format(printf, 2, 3))) void findings_add(Findings *findings, const char *format, ...);
seqrt_code findings_fail(const Findings *findings, seqrt_error *error, seqrt_code code, const char *subject);

/* Zeroed memory, aligned for compiled code; NULL for negative or impossible sizes. Freed with free(). At least one line. */
void *runtime_allocate(int64_t bytes);

/* The product of extents, with axes known at run time taken from batch and lengths; -1 when it does not fit. */
int64_t runtime_elements(const int64_t *shape, int32_t rank, int64_t batch, const int64_t *lengths);

/* "(4, 16)"; never longer than the buffer. */
void runtime_format_shape(const int64_t *shape, int32_t rank, char *out_text, size_t size);

/* Refuses a model of another ABI version. */
seqrt_code runtime_check_model(const seqrt_model *model, seqrt_error *error);

/* 64-bit FNV-1a, continued from `hash`; start with RUNTIME_HASH_START. */
#define RUNTIME_HASH_START 0xcbf29ce484222325u
uint64_t runtime_hash(uint64_t hash, const void *bytes, size_t size);

/* Seconds of a clock that never goes back. */
double runtime_seconds(void);

#endif
