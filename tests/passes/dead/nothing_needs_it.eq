program spare {
  symbol T: stream
  index t in 0 .. T
  tensor x: real[T]
  tensor a: real[T]
  tensor b: real[T]
  tensor y: real[T]
  a[t] = exp(x[t])
  b[t] = a[t] + 1.0
  y[t] = 2.0 * x[t]
  port input "x" = x
  port output "y" = y
}
