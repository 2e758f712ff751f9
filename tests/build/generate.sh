# SmolLM2 answers a question: a C program reads the checkpoint, takes the prompt as a chunk and then its own words one by one, and says what
# the reference says. Skipped without the weights.
weights=$WEIGHTS/smollm2
[ -e "$weights" ] || { echo "skipped: smollm2 is not in $WEIGHTS; make weights fetches it"; exit 77; }
cat >main.c <<'PROGRAM'
#include <stdio.h>
#include <stdlib.h>

#include "net.h"
#include "seqrt/seqrt.h"

static void need(seqrt_code code, const seqrt_error *error) {
  if (code == SEQRT_OK) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static int32_t *read_tokens(const seqrt_safetensors *file, const char *name, int64_t *out_count) {
  seqrt_error error = {0};
  const seqrt_stored_tensor *tensor = seqrt_safetensors_find(file, name);
  if (!tensor) exit(2);
  int32_t *tokens = malloc((size_t)tensor->elements * sizeof *tokens);
  need(seqrt_stored_to_i32(tensor, tokens, &error), &error);
  *out_count = tensor->elements;
  return tokens;
}

int main(int count, char **arguments) {
  seqrt_error error = {0};
  seqrt_safetensors *file;
  seqrt_weights *weights;
  seqrt_parameters *parameters;
  seqrt_context *context;
  seqrt_session *session;
  int64_t length, expected_length;
  if (count != 3) return 2;
  need(seqrt_safetensors_open(arguments[2], &file, &error), &error);
  int32_t *prompt = read_tokens(file, "input.token_chat", &length);
  int32_t *expected = read_tokens(file, "output.greedy_chat", &expected_length);
  need(seqrt_weights_open(arguments[1], &weights, &error), &error);
  need(seqrt_parameters_create(&smollm2_model, &parameters, &error), &error);
  need(seqrt_parameters_load_weights(parameters, weights, NULL, 0, &error), &error);
  seqrt_weights_close(weights);
  need(seqrt_context_create(2, &context, &error), &error);
  need(seqrt_session_create(parameters, context, 1, &session, &error), &error);
  need(seqrt_session_reserve(session, length + expected_length, &error), &error);

  int32_t column = 0, *best = malloc((size_t)length * 5 * sizeof *best), differences = 0;
  int64_t lengths[] = {length, 1};
  const void *inputs[] = {prompt, &column};
  void *outputs[] = {NULL, NULL, NULL, best}; /* top5 alone */
  need(seqrt_session_forward(session, lengths, inputs, outputs, &error), &error);
  int32_t word = best[(length - 1) * 5];
  for (int64_t n = 0; n < expected_length; n++) {
    printf("%d ", (int)word);
    differences += word != expected[n];
    inputs[0] = &word;
    need(seqrt_session_step(session, inputs, outputs, &error), &error);
    word = best[0];
  }
  printf("\n%d differences\n", (int)differences);
  seqrt_session_destroy(session);
  seqrt_context_destroy(context);
  seqrt_parameters_destroy(parameters);
  seqrt_safetensors_close(file);
  free(prompt);
  free(expected);
  free(best);
  return differences != 0;
}
PROGRAM
expect 0 "$SEQC" "$TESTS/golden/real_smollm2.seq" --weights "$weights" -o net.o
"$CC" -std=gnu11 -O1 -Wall -Wextra -Werror -I. -I"$TESTS/../runtime/include" main.c net.o "$BUILD/libseqrt.a" -pthread -lm -o main
expect 0 ./main "$weights" "$TESTS/golden/real_smollm2.safetensors"
prints '0 differences'
