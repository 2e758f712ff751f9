program feedback {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index j in 0 .. 4
  index i in 0 .. 3
  index k in 0 .. 4
  index t'4 in 0 .. 1
  index j'5 in 0 .. 4
  tensor x: real[T, 3]
  tensor first: real[4]
  tensor w: real[4, 3]
  tensor u: real[4, 4]
  tensor y: real[T, 4]
  tensor y.1: real[T, 4]
  tensor y.2: real[T, 4]
  tensor y.before: real[1, 4] before y axis 0
  y.1[t, j] = sum[i](w[j, i] * x[t, i])
  y.2[t, j] = sum[k](u[j, k] * y[t - 1, k else y.before[t, k]])
  y[t, j] = tanh(y.1[t, j] + y.2[t, j])
  y.before[t'4, j'5] = first[j'5]
  port parameter "w" = w, stored [4, 3]
  port parameter "u" = u, stored [4, 4]
  port input "x" = x, batch 0
  port input "first" = first, batch 0
  port output "y" = y, batch 0
}
