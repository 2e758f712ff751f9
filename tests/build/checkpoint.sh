# A checkpoint in several files, partly in bfloat16, from the command line to a C program: the model is compiled for it, then loads it.
mkdir weights
{ real b16 1 2 3 -1 0 1; real 32 7; } | safetensors weights/a.safetensors '{"head.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},
  "rotary.table":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}'
{ real 16 0.5 -1.5; real 64 1 10; } | safetensors weights/b.safetensors '{"layers.0.scale":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},
  "layers.1.scale":{"dtype":"F64","shape":[1,2],"data_offsets":[4,20]}}'
echo '{"weight_map": {"head.weight": "a.safetensors", "rotary.table": "a.safetensors", "layers.0.scale": "b.safetensors",
  "layers.1.scale": "b.safetensors"}}' >weights/model.safetensors.index.json
echo '{"num_layers": 2, "hidden_size": 2}' >weights/config.json
cat >net.seq <<'MODEL'
model net(x[T, I]) -> y[T, D] {
  const L = config.num_layers, D = config.hidden_size
  param weight[D, I] as "head.weight"
  ignore "rotary.*"
  h[t,d] = sum[i](weight[d,i] * x[t,i])
  repeat l in 0..L as layers.{l} {
    param scale[1, D]
    h[t,d] = h[t,d] * scale[0,d]
  }
  y = h
}
MODEL
cat >main.c <<'PROGRAM'
#include <stdio.h>

#include "net.h"
#include "seqrt/seqrt.h"

static int stop(const seqrt_error *error) {
  fprintf(stderr, "%s\n", error->message);
  return 1;
}

int main(int count, char **arguments) {
  seqrt_error error = {0};
  seqrt_weights *weights;
  seqrt_parameters *parameters;
  seqrt_session *session;
  if (count != 2 || seqrt_weights_open(arguments[1], &weights, &error) != SEQRT_OK) return stop(&error);
  if (seqrt_parameters_create(&net_model, &parameters, &error) != SEQRT_OK) return stop(&error);
  if (seqrt_parameters_load_weights(parameters, weights, NULL, 0, &error) != SEQRT_OK) return stop(&error);
  seqrt_weights_close(weights);
  if (seqrt_session_create(parameters, NULL, 1, &session, &error) != SEQRT_OK) return stop(&error);
  const float x[] = {1, 1, 2, 2, 0, 1};
  float y[4];
  const int64_t length = 2;
  const void *inputs[] = {x};
  void *outputs[] = {y};
  if (seqrt_session_forward(session, &length, inputs, outputs, &error) != SEQRT_OK) return stop(&error);
  for (int n = 0; n < 4; n++) printf("%g ", (double)y[n]);
  printf("\n");
  seqrt_session_destroy(session);
  seqrt_parameters_destroy(parameters);
  return 0;
}
PROGRAM
expect 0 "$SEQC" net.seq --weights weights -o net.o
"$CC" -std=gnu11 -Wall -Wextra -Werror ${SANITIZE:+-fsanitize=$SANITIZE} -I. -I"$TESTS/../runtime/include" main.c net.o "$BUILD/libseqrt.a" -pthread -lm -o main
expect 0 ./main weights
prints '4.5 -15 2.5 15 '
# Another checkpoint than the one it was compiled for.
rm weights/model.safetensors.index.json
expect 1 ./main weights
says "'weights': 2 files end in .safetensors and none is model.safetensors: name one of them"
expect 1 ./main weights/a.safetensors
says "weights/a.safetensors does not fit model 'net': 'layers.0.scale' is missing; 'layers.1.scale' is missing"
