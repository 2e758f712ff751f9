program read_twice {
  symbol T: stream
  index t in 0 .. T
  index j, k in 0 .. 4
  tensor x: real[T, 4]
  tensor w: real[4, 4]
  tensor a: real[T, 4]
  tensor y: real[T, 4]
  a[t, j] = sum[k](w[j, k] * x[t, k])
  #0 = a[t, j]
  y[t, j] = #0 + x[t, j] * #0
  port parameter "w" = w, stored [4, 4]
  port input "x" = x
  port output "y" = y
}
