program nested_sums {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index j in 0 .. 2
  index i, i'3 in 0 .. 3
  tensor x: real[T, 3]
  tensor w: real[2, 3]
  tensor v: real[2]
  tensor y: real[T]
  tensor y.1: real[T, 2]
  tensor y.3: real[T]
  y.1[t, j] = sum[i](w[j, i] * x[t, i])
  y.3[t] = max[i'3](x[t, i'3])
  y[t] = y.3[t] with sum[j](v[j] * tanh(y.1[t, j]))
  port parameter "w" = w, stored [2, 3]
  port parameter "v" = v, stored [2]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
