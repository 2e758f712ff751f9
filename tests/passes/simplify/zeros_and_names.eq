program spare {
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 3
  tensor x: real[T, 3]
  tensor nothing: real[T]
  tensor other: real[T, 3]
  tensor s: real[T]
  tensor y: real[T]
  nothing[t] = 0.0
  other[t, n] = x[t, n]
  s[t] = nothing[t] with sum[n where n >= 0](other[t, n] * 1.0 + nothing[t])
  y[t] = s[t] + select(1 < 2, nothing[t], 3.0)
  port input "x" = x
  port output "y" = y
}
