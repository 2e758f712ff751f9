program twice {
  symbol T: stream
  index t, u in 0 .. T
  index n, k in 0 .. 3
  tensor x: real[T, 3]
  tensor a: real[T]
  tensor b: real[T]
  tensor c: real[T]
  tensor y: real[T]
  a[t] = sum[n](exp(x[t, n]))
  b[u] = sum[k](exp(x[u, k]))
  c[u] = sum[k](exp(x[u, 0]))
  y[t] = a[t] + b[t] * c[t]
  port input "x" = x
  port output "y" = y
}
