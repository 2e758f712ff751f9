# --check: a file with several runs, told apart by suffixes, each with its own length; what belongs to none of them.
cat >model.seq <<'MODEL'
model running(x[T, D], common scale[D]) -> y[T, D], last[D], best[T]: int {
  param weight[D]
  state sum[D]
  y[t,d] = y[t-1,d] + scale[d] * weight[d] * x[t,d]
  y[-1,d] = state.sum[d]
  state.sum[d] = y[T-1,d]
  last[d] = y[T-1,d]
  best[t] = argmax[d](y[t,d])
}
MODEL
# write FILE: weight (2, 3), scale (1, 1); run a: x = 1 1 | 1 1; run b: 1 0 | 0 1 | 0 1. `last` is that of run a, in F32.
write() {
  {
    real 32 2 3              # param.weight 0
    real 32 1 1              # input.scale 8
    real 32 1 1 1 1          # input.x_a 16
    real 32 1 0 0 1 0 1      # input.x_b 32
    real 64 2 3 4 6          # output.y_a 56
    real 64 2 0 2 3 2 "${3:-6}" # output.y_b 88
    real 32 4 "${2:-6}"      # output.last 136
    whole 4 1 1              # output.best_a 144
    whole 4 0 1 1            # output.best_b 152
    whole 4 7 7              # output.chosen_a 164
    real 64 4 6              # state.sum_a 172
    whole 4 5                # tokens.0 188
  } | safetensors "$1" '{"__metadata__":{"streams":"[\"y_a\",\"y_b\"]"},
    "param.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
    "input.scale":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},
    "input.x_a":{"dtype":"F32","shape":[1,2,2],"data_offsets":[16,32]},
    "input.x_b":{"dtype":"F32","shape":[1,3,2],"data_offsets":[32,56]},
    "output.y_a":{"dtype":"F64","shape":[1,2,2],"data_offsets":[56,88]},
    "output.y_b":{"dtype":"F64","shape":[1,3,2],"data_offsets":[88,136]},
    "output.last":{"dtype":"F32","shape":[1,2],"data_offsets":[136,144]},
    "output.best_a":{"dtype":"I32","shape":[1,2],"data_offsets":[144,152]},
    "output.best_b":{"dtype":"I32","shape":[1,3],"data_offsets":[152,164]},
    "output.chosen_a":{"dtype":"I32","shape":[1,2],"data_offsets":[164,172]},
    "state.sum_a":{"dtype":"F64","shape":[1,2],"data_offsets":[172,188]},
    "tokens.0":{"dtype":"I32","shape":[1],"data_offsets":[188,192]}}'
}
write reference.safetensors
expect 0 "$SEQC" --check model.seq --against reference.safetensors
for form in compiled interpreted; do
  for tensor in output.y_a output.y_b output.best_a output.best_b output.last state.sum_a; do
    [ "$(grep -cE "^$form $tensor 0 [0-9.e-]+ ok$" out)" = 1 ] || fail "no single line for $tensor, $form"
  done
done
for form in chunk step; do
  for tensor in output.y_a output.y_b state.sum_a; do
    [ "$(grep -cE "^$form $tensor 0 [0-9.e-]+ ok$" out)" = 1 ] || fail "no single line for $tensor, $form"
  done
done
grep -qE '^interpreted output.last 0 2e-05 ok$' out || fail 'float32 results are held to 2e-5'
prints 'skipped output.chosen_a: '
prints 'skipped tokens.0: '

# What no run reproduces, and what one run does not.
write wrong.safetensors 5
expect 1 "$SEQC" --check model.seq --against wrong.safetensors
grep -qE '^compiled output.last .* BAD$' out || fail 'a wrong shared output is not seen'
grep -qE '^compiled output.y_a .* ok$' out || fail 'the rest is'
write wrong.safetensors 6 7
expect 1 "$SEQC" --check model.seq --against wrong.safetensors
for form in compiled chunk step interpreted; do
  grep -qE "^$form output.y_b .* BAD$" out || fail "a wrong second run is not seen, $form"
done

# An integer that the model computes under another name: nothing is skipped.
sed 's/best/bests/' model.seq >other.seq
expect 2 "$SEQC" --check other.seq --against reference.safetensors
says "the model declares no output 'best_a'"
says "the model declares no output 'chosen_a'"
# A real output is never skipped.
sed 's/last\[D\], //; s/ last\[d\].*//' model.seq >other.seq
expect 2 "$SEQC" --check other.seq --against reference.safetensors
says "the model declares no output 'last', which"

# Some forms only.
expect 0 "$SEQC" --check model.seq --against reference.safetensors --forms=compiled,step
prints 'interpreted left out by --forms'
prints 'chunk left out by --forms'
! grep -qE '^(interpreted|chunk) output' out || fail 'a form that is left out has run'
