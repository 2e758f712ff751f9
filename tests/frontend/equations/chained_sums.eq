program chained_sums {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index k in 0 .. 4
  index i in 0 .. 2
  index j in 0 .. 3
  index m in 0 .. 4
  index t'5 in 0 .. 1
  index k'6 in 0 .. 4
  tensor x: real[T, 2]
  tensor u: real[T, 3]
  tensor a: real[4, 2]
  tensor b: real[4, 3]
  tensor c: real[4, 4]
  tensor bias: real[4]
  tensor h: real[T, 4]
  tensor h.2: real[T, 4]
  tensor h.3: real[T, 4]
  tensor h.before: real[1, 4] before h axis 0
  h.2[t, k] = -bias[k] with sum[i](a[k, i] * x[t, i])
  h.3[t, k] = h.2[t, k] with sum[j](b[k, j] * u[t, j])
  h[t, k] = h.3[t, k] + 0.5 * h[t - 1, k else h.before[t, k]] with sum[m](c[k, m] * h[t - 1, m else h.before[t, m]])
  h.before[t'5, k'6] = 0.0
  port parameter "a" = a, stored [4, 2]
  port parameter "b" = b, stored [4, 3]
  port parameter "c" = c, stored [4, 4]
  port parameter "bias" = bias, stored [4]
  port input "x" = x, batch 0
  port input "u" = u, batch 0
  port output "h" = h, batch 0
}
