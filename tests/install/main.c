/* main.c - runs the model with the ABI alone and prints its last row. */
#include <stdio.h>
#include <stdlib.h>

#include "smooth.h"

enum { STEPS = 3, WIDTH = 4 };

int main(void) {
  float decay[WIDTH], x[STEPS * WIDTH], y[STEPS * WIDTH];
  for (int d = 0; d < WIDTH; d++) decay[d] = 0.5f;
  for (int n = 0; n < STEPS * WIDTH; n++) x[n] = 2.0f * (float)(n % WIDTH);
  const int64_t lengths[] = {STEPS};
  const float *const parameters[] = {decay};
  const void *const inputs[] = {x};
  void *const outputs[] = {y};
  size_t bytes = (size_t)smooth_model.workspace_size(SEQRT_FORWARD, 1, lengths, 0, 1);
  void *workspace = aligned_alloc(SEQRT_ALIGNMENT, (bytes + SEQRT_ALIGNMENT) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT);
  if (!workspace) return 1;
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION, .batch = 1, .lengths = lengths, .parameters = parameters,
                     .inputs = inputs, .outputs = outputs, .workspace = workspace};
  int32_t code = smooth_model.entries[SEQRT_FORWARD](&call);
  free(workspace);
  if (code != SEQRT_OK) return (int)code;
  for (int d = 0; d < WIDTH; d++) printf("%g ", (double)y[(STEPS - 1) * WIDTH + d]);
  printf("\n");
  return 0;
}
