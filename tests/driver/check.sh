# --check: what the table says of a right model, of a wrong one, and of files and models that do not fit together.
cp "$TESTS/golden/rnn_tanh.safetensors" reference.safetensors
cat >model.seq <<'MODEL'
model rnn(x[T, I]) -> y[T, H] {
  param weight_ih_l0[H, I], weight_hh_l0[H, H], bias_ih_l0[H], bias_hh_l0[H]
  state h[1, batch, H]
  y[t,j] = tanh(sum[i](weight_ih_l0[j,i] * x[t,i]) + bias_ih_l0[j] + sum[k](weight_hh_l0[j,k] * y[t-1,k]) + bias_hh_l0[j])
  y[-1,j] = state.h[0,j]
  state.h[0,j] = y[T-1,j]
}
MODEL
check() { # CODE MODEL OPTION...
  local code=$1 model=$2
  shift 2
  expect "$code" "$SEQC" --check "$model" --against reference.safetensors "$@"
}

check 0 model.seq
for form in compiled chunk step interpreted; do
  grep -qE "^$form output\.y [0-9.e-]+ [0-9.e-]+ ok$" out || fail "no line for output.y, $form"
  grep -qE "^$form state\.h .* ok$" out || fail "no line for state.h, $form"
done
for form in compiled interpreted; do
  for tensor in input.x param.weight_ih_l0 param.weight_hh_l0 param.bias_ih_l0 param.bias_hh_l0 state0.h; do
    grep -qE "^$form grad\.$tensor .* ok$" out || fail "no line for grad.$tensor, $form"
  done
done
! grep -qE '^(chunk|step) grad' out || fail 'gradients of pieces are compared'
! grep -q BAD out || fail 'BAD and exit code 0'

# Other equations than the reference's: every form sees it.
sed 's/tanh(sum/sigmoid(sum/' model.seq >wrong.seq
check 1 wrong.seq
for form in compiled chunk step interpreted; do
  grep -qE "^$form output\.y .* BAD$" out || fail "$form: a wrong equation is not seen"
done

# A model that looks ahead has no pieces, and says where; the reference wants them.
sed 's/x\[t,i\]/x[t+1,i]/' model.seq >ahead.seq
check 1 ahead.seq
grep -qE '^chunk refused ahead\.seq:4: .' out || fail 'the refusal does not name the line'
grep -qE '^step refused ahead\.seq:4: .' out || fail 'the refusal does not name the line'
prints 'chunk - inf 0 BAD'

# What one side has and the other has not, all of it at once.
sed 's/state.*//; s/y\[-1.*//; s/bias_hh_l0/bias/g' model.seq >other.seq
check 2 other.seq
says "the model declares no parameter 'bias_hh_l0', which 'reference.safetensors' holds"
says "the model declares no initial state 'h', which 'reference.safetensors' holds"
says "the model declares no state 'h', which 'reference.safetensors' holds"
says "parameter 'bias' is missing from 'reference.safetensors'"

# Sizes: shapes give them, and a definition may not contradict a shape.
check 0 model.seq -D H=24
check 2 model.seq -D H=23

# Files that are no reference.
head -c 2000 reference.safetensors >short.safetensors
expect 3 "$SEQC" --check model.seq --against short.safetensors
says short.safetensors
expect 3 "$SEQC" --check model.seq --against missing.safetensors
says missing.safetensors
