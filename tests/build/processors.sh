# A program links an object for several processors and nothing else: the best that the machine runs is picked, the others can be, and
# states go from one to another. With libseqrt SEQRT_CPU names one.
[ "$(uname -m)" = x86_64 ] || { echo 'skipped: not an x86-64 machine'; exit 77; }
cat >net.seq <<'MODEL'
import std.recurrent
model net(x[T, I]) -> h[T, H] {
  const I = 24, H = 48
  h = gru(x)
}
MODEL
cat >main.c <<'PROGRAM'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "net.h"

enum { ROWS = 3, STEPS = 5, I = 24, H = 48, MOST = 8 };

static float x[ROWS * STEPS * I], values[NET_PARAMETER_SLOTS][3 * H * H];
static const float *parameters[NET_PARAMETER_SLOTS];

static void *allocate(int64_t size) { return aligned_alloc(64, ((size_t)size + 63) / 64 * 64 + 64); }

static void need(int is_fine, const char *what) {
  if (is_fine) return;
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

/* `steps` from `first` on, of all rows. */
static void run(int first, int steps, void *state, float *h) {
  static float part[ROWS * STEPS * I];
  for (int row = 0; row < ROWS; row++)
    memcpy(part + row * steps * I, x + (row * STEPS + first) * I, sizeof(float) * (size_t)(steps * I));
  int64_t lengths[] = {steps};
  void *packed = allocate(net_model.packed_size), *workspace = allocate(net_model.workspace_size(SEQRT_FORWARD, ROWS, lengths, 0, 1));
  const void *inputs[] = {part};
  void *outputs[] = {h};
  seqrt_fault fault;
  need(net_pack(NULL, parameters, packed, &fault) == SEQRT_OK, "pack");
  seqrt_call call = {.abi_version = SEQRT_ABI_VERSION, .batch = ROWS, .lengths = lengths, .parameters = parameters, .inputs = inputs,
                     .state_in = first ? state : NULL, .state_out = state, .outputs = outputs, .packed = packed, .workspace = workspace};
  need(net_model.entries[SEQRT_FORWARD](&call) == SEQRT_OK, "forward");
  free(packed);
  free(workspace);
}

static float largest_difference(const float *a, const float *b, int count) {
  float largest = 0;
  for (int n = 0; n < count; n++) largest = fmaxf(largest, fabsf(a[n] - b[n]));
  return largest;
}

int main(void) {
  static float whole[MOST][ROWS * STEPS * H], first[ROWS * 2 * H], rest[ROWS * 3 * H];
  for (int n = 0; n < ROWS * STEPS * I; n++) x[n] = (float)(n % 17) / 8 - 1;
  for (int slot = 0; slot < NET_PARAMETER_SLOTS; slot++) {
    parameters[slot] = values[slot];
    for (int n = 0; n < 3 * H * H; n++) values[slot][n] = (float)((n * 7 + slot) % 23) / 64 - 0.17f;
  }
  int count = net_model.processor_count, last = 0;
  void *state = allocate(net_model.state_size(ROWS, NULL, 0));
  __builtin_cpu_init();
  for (int n = 0; n < count; n++) {
    const char *name = net_model.processors[n];
    int runs = net_model.use_processor(n) == n;
    printf("%s %s\n", name, runs ? "runs" : "does not run");
    if (!strcmp(name, "x86-64")) need(runs && n == 0, "the baseline runs and is the first");
    if (!strcmp(name, "x86-64-v3"))
      need(runs == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma")), "x86-64-v3");
    if (!strcmp(name, "x86-64-v4")) need(runs == (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")), "x86-64-v4");
    if (!strcmp(name, "sapphirerapids") && !__builtin_cpu_supports("avx512bf16")) need(!runs, "sapphirerapids");
    if (!runs) continue;
    last = n;
    run(0, STEPS, state, whole[n]);
    need(largest_difference(whole[0], whole[n], ROWS * STEPS * H) < 2e-6f, "the same numbers");
    net_model.use_processor(0);
    run(0, 2, state, first);
    net_model.use_processor(n); /* goes on from the state of another */
    run(2, 3, state, rest);
    for (int row = 0; row < ROWS; row++)
      need(largest_difference(whole[n] + (row * STEPS + 2) * H, rest + row * 3 * H, 3 * H) < 2e-6f, "a state of another processor");
  }
  need(net_model.use_processor(count) == -1, "one processor too far");
  need(net_model.use_processor(0) == 0 && net_model.use_processor(-1) == last, "the best of those that run");
  free(state);
  return 0;
}
PROGRAM
for form in int8 f32; do # 8 bits are the same for all of them
  expect 0 "$SEQC" --packed=$form --cpu=x86-64-v2,x86-64-v3,x86-64-v4,sapphirerapids,znver5 net.seq -o net.o
  "$CC" -std=gnu11 -O1 -Wall -Wextra -Werror -I. -I"$TESTS/../runtime/include" main.c net.o -lm -o main
  expect 0 ./main
  prints 'x86-64 runs'
done

cat >named.c <<'PROGRAM'
#include <stdio.h>

#include "net.h"
#include "seqrt/seqrt.h"

int main(void) {
  seqrt_error error = {0};
  seqrt_parameters *parameters;
  seqrt_code code = seqrt_parameters_create(&net_model, &parameters, &error);
  if (code == SEQRT_OK) seqrt_parameters_destroy(parameters);
  else fprintf(stderr, "%s\n", error.message);
  return code != SEQRT_OK;
}
PROGRAM
"$CC" -std=gnu11 -O1 -Wall -Wextra -Werror -I. -I"$TESTS/../runtime/include" named.c net.o "$BUILD/libseqrt.a" -pthread -lm -o named
expect 0 ./named
expect 0 env SEQRT_CPU=x86-64-v2 ./named
expect 1 env SEQRT_CPU=z80 ./named
says "SEQRT_CPU is 'z80', expected one of those that model 'net' has code for: x86-64, x86-64-v2, x86-64-v3, x86-64-v4,"
