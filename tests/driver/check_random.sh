# --check without reference data: sizes and data are drawn, every form is compared with the equations, gradients with differences.
cat >model.seq <<'MODEL'
layer smooth(x[T, D]) -> y[T, D] {
  param decay[D] = 0.5
  y[t,d] = decay[d] * y[t-1,d] + (1 - decay[d]) * x[t,d]
}
layer mixed(token[T]: int, x[T, N*K]) -> y[T, N, K], last[N] {
  param table[V, K] = normal(0, 1)
  y[t,n in 0..N,k in 0..K] = tanh(table[token[t],k] * x[t,n*K + k])
  last[n] = sum[k](y[T-1,n,k])
}
layer ahead(x[T, D]) -> y[T, D] {
  y[t,d] = x[t+1,d] * x[t,d]
}
layer cut(x[T, D]) -> y[T, D] {
  y[t,d] = stop_gradient(x[t,d]) * x[t,d]
}
MODEL
expect 0 "$SEQC" --check model.seq
for layer in smooth mixed ahead cut; do prints "$layer ok: batch="; done
grep -q '^smooth ok: batch=[0-9] T=[0-9]* D=3$' out || fail 'the sizes that were chosen are not told'
[ "$(grep -c '^  compiled .*outputs .* gradients' out)" = 4 ] || fail 'not every layer has compiled outputs and gradients'
[ "$(grep -c '^  step ' out)" = 3 ] || fail 'three layers have a step'
[ "$(grep -c '^  differences ' out)" = 3 ] || fail 'three layers have differences'
prints 'no finite differences: stop_gradient at model.seq:14'

# The same seed is the same run; another one is not. One layer alone; a size that is given.
cp out first
expect 0 "$SEQC" --check model.seq --seed 1
cmp -s out first || fail 'the same seed gives other numbers'
expect 0 "$SEQC" --check model.seq --seed 2
! cmp -s out first || fail 'another seed gives the same numbers'
expect 0 "$SEQC" --check model.seq --layer smooth -D D=4
[ "$(grep -c ok: out)" = 1 ] || fail '--layer is one layer'
! grep -q 'D=' out || fail 'a given size is not a chosen one'

# The gradient of a first state, which only the first of several calls has.
cat >first.seq <<'MODEL'
model first(x[T, D]) -> y[T, D] {
  const D = 5
  state h[D]
  y[-1,d] = state.h[d]
  y[t,d] = 0.5 * y[t-1,d] + x[t,d]
  state.h[d] = y[T-1,d]
}
MODEL
expect 0 "$SEQC" --check first.seq
prints 'first ok: batch='

# What float cannot hold is seen, in every form. So is an error of the data.
cat >cancels.seq <<'MODEL'
model cancels(x[T, D]) -> y[T, D] {
  const D = 5
  y[t,d] = (1e9 + x[t,d]) - 1e9
}
MODEL
expect 1 "$SEQC" --check cancels.seq
prints 'cancels BAD:'
for form in compiled chunk step; do grep -qE "^$form output.y .* BAD$" out || fail "$form: a wrong output is not seen"; done
# A function whose slope the equations deny.
cat >denied.seq <<'MODEL'
model denied(x[T]) -> y[T] {
  y[t] = 1e-6 * floor(1e6 * x[t])
}
MODEL
expect 1 "$SEQC" --check denied.seq
grep -qE '^differences grad.x .* BAD$' out || fail 'a wrong gradient is not seen'

# Errors of the model are those of any other use; sizes that fit for no choice are too.
printf 'model wrong(x[T, D]) -> y[T, D] {\n  y[t,d] = z[t,d]\n}\n' >wrong.seq
expect 1 "$SEQC" --check wrong.seq
says 'wrong.seq:2:12: error:'
prints 'BAD: not run'
printf '# nothing\n' >nothing.seq
expect 2 "$SEQC" --check nothing.seq
says 'there is no model and no layer in this file'
expect 1 "$SEQC" --check model.seq --layer other
says "there is no layer 'other' in this file"

# parameters that are rounded when they are packed are no part of the equations: what is compared packs nothing
cat >rounded.seq <<'MODEL'
model rounded(x[T, D]) -> y[T, D] {
  const D = 64
  param w[D, D] = uniform(-1, 1)
  y[t,j] = sum[d](w[d,j] * x[t,d])
}
MODEL
for form in f32 bf16 int8; do
  expect 0 "$SEQC" --check rounded.seq --packed=$form
done
