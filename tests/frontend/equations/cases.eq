program cases {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index j in 0 .. 7
  tensor a: real[T, 3]
  tensor b: real[T, 3]
  tensor y: real[T, 7]
  y[t, j] = select(j < 3, a[t, j], select(j >= 3 and j < 6, b[t, j - 3], 1.0))
  port input "a" = a, batch 0
  port input "b" = b, batch 0
  port output "y" = y, batch 0
}
