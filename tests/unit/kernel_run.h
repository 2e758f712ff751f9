/* kernel_run.h - the body of one kernel, compiled from its text and callable, without the wrapper and descriptor of a model. */
#ifndef SEQC_TESTS_KERNEL_RUN_H
#define SEQC_TESTS_KERNEL_RUN_H

#include <stdint.h>

#include "codegen/codegen.h"

typedef struct KernelRun {
  Arena *arena;
  Codegen *codegen;
  void *jit;
  void (*body)(void *frame, int32_t thread, int32_t thread_count);
  int symbol_count, buffer_count;
  int64_t private_stride; /* bytes from the private buffers of a thread to those of the next; 0 until the test says */
  uint64_t offsets[4]; /* of the fields of the frame */
  int view_count;      /* words after the fields, and what they repeat */
  int64_t views_offset, *view_offsets;
} KernelRun;

/* Ends the test when the text is no kernel. `cpu` NULL: the host's. */
KernelRun kernel_run_begin(const char *text, const char *cpu, int optimisation);
/* Arrays in the order of the kernel's symbols and buffers. */
void kernel_run(const KernelRun *run, const seqrt_context *context, const int64_t *symbols, void *const *buffers, int32_t thread,
                int32_t thread_count);
void kernel_run_end(KernelRun *run);

#endif
