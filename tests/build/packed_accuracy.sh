# What rounding of packed parameters costs a trained model: bits per byte of English text, read as one prompt and then byte by byte, in each form.
weights=$TESTS/weights/rwkv5-tiny.safetensors
cat >main.c <<'PROGRAM'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "net.h"
#include "seqrt/seqrt.h"

enum { BYTES = 2048, V = 256 };

static int32_t token[2 * BYTES + 1];
static float logits[BYTES][V];

static void need(seqrt_code code, const seqrt_error *error) {
  if (code == SEQRT_OK) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static double bits(const float *row, int32_t next) {
  double sum = 0;
  for (int v = 0; v < V; v++) sum += exp((double)row[v] - (double)row[next]);
  return log2(sum);
}

int main(int count, char **arguments) {
  seqrt_error error = {0};
  seqrt_weights *weights;
  seqrt_parameters *parameters;
  seqrt_context *context;
  seqrt_session *session;
  FILE *text = count == 3 ? fopen(arguments[2], "r") : NULL;
  if (!text) return 2;
  for (int n = 0; n <= 2 * BYTES; n++) token[n] = getc(text);
  fclose(text);
  need(seqrt_weights_open(arguments[1], &weights, &error), &error);
  need(seqrt_parameters_create(&rwkv5_model, &parameters, &error), &error);
  need(seqrt_parameters_load_weights(parameters, weights, NULL, 0, &error), &error);
  seqrt_weights_close(weights);
  need(seqrt_context_create(1, &context, &error), &error);
  need(seqrt_session_create(parameters, context, 1, &session, &error), &error);
  int64_t lengths[] = {BYTES};
  const void *inputs[] = {token};
  void *outputs[] = {logits, NULL};
  double of_prompt = 0, of_steps = 0;
  need(seqrt_session_forward(session, lengths, inputs, outputs, &error), &error);
  for (int n = 0; n < BYTES; n++) of_prompt += bits(logits[n], token[n + 1]);
  for (int n = BYTES; n < 2 * BYTES; n++) {
    inputs[0] = &token[n];
    need(seqrt_session_step(session, inputs, outputs, &error), &error);
    of_steps += bits(logits[0], token[n + 1]);
  }
  printf("%.5f %.5f %lld\n", of_prompt / BYTES, of_steps / BYTES, (long long)rwkv5_model.packed_size);
  seqrt_session_destroy(session);
  seqrt_context_destroy(context);
  seqrt_parameters_destroy(parameters);
  return 0;
}
PROGRAM
for form in f32 bf16 int8; do
  expect 0 "$SEQC" "$TESTS/golden/real_rwkv5_tiny.seq" --weights "$weights" --packed=$form -o net.o
  "$CC" -std=gnu11 -O1 -Wall -Wextra -Werror -I. -I"$TESTS/../runtime/include" main.c net.o "$BUILD/libseqrt.a" -fopenmp -lm -o main
  ./main "$weights" "$TESTS/../LICENSE" >$form.txt
  echo "$form: $(cat $form.txt)"
done
# within 0.3 % and 1 %, and about a half and a quarter of the memory
paste f32.txt bf16.txt int8.txt | awk '
  function off(a, b) { return a > b ? a / b - 1 : b / a - 1 }
  { exit !(off($4, $1) < 0.003 && off($5, $2) < 0.003 && off($7, $1) < 0.01 && off($8, $2) < 0.01 && $6 < 0.51 * $3 && $9 < 0.28 * $3 && $1 < 6) }' ||
  { echo 'the text costs more bits, or the parameters more memory, than it should'; exit 1; }
