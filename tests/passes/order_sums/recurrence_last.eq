program recurrent {
  symbol T: stream
  index t in 0 .. T
  index j, k in 0 .. 4
  index i in 0 .. 3
  index m in 0 .. 1
  tensor x: real[T, 3]
  tensor w: real[4, 3]
  tensor r: real[4, 4]
  tensor bias: real[4]
  tensor h.before: real[1, 4] before h axis 0
  tensor a: real[T, 4]
  tensor b: real[T, 4]
  tensor z: real[T, 4]
  tensor h: real[T, 4]
  h.before[m, j] = 0.0
  a[t, j] = sum[k](r[j, k] * h[t - 1, k else h.before[t, k]])
  b[t, j] = sum[i](w[j, i] * x[t, i])
  z[t, j] = a[t, j] + 0.5 * h[t - 1, j else h.before[t, j]] + b[t, j] + bias[j]
  h[t, j] = tanh(z[t, j])
  port parameter "w" = w, stored [4, 3]
  port parameter "r" = r, stored [4, 4]
  port parameter "bias" = bias, stored [4]
  port input "x" = x
  port output "h" = h
}
