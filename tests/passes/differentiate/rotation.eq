program rotation {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index i in 0 .. 6
  tensor x: real[T, 6]
  tensor c: real[T, 3]
  tensor y: real[T, 6]
  tensor z: real[T, 6]
  y[t, i] = select(i < 3, x[t, i] * c[t, i], x[t, i] * sin(c[t, i - 3]))
  z[t, i] = select(i < 3, 1.0 - y[t, i] / c[t, i], c[t, i - 3] - y[t, i])
  port input "x" = x
  port input "c" = c
  port output "z" = z
}
