# Time and object size do not grow with the count of a repeat.
cat >deep.seq <<'MODEL'
layer cell(x[T, D]) -> h[T, D] {
  param weight[D, D] = uniform(-0.3, 0.3)
  h[t,d] = tanh(x[t,d] + sum[k](weight[d,k] * h[t-1,k]))
}
model deep(x[T, D]) -> y[T, D] {
  const D = 8, L = 2
  repeat l in 0..L as layers.{l} { x = cell(x) }
  y[t,d] = x[t,d]
}
MODEL
"$SEQC" -D L=12 deep.seq -o shallow.o
"$SEQC" -D L=96 deep.seq -o deep.o
shallow=$(stat -c %s shallow.o) deep=$(stat -c %s deep.o)
[ $((deep - shallow)) -le 64 ] || fail "the object grows with the layers: $shallow bytes for 12, $deep for 96"
