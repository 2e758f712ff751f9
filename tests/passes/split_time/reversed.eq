// Backwards, with a condition instead of a boundary, over a length that is known.
program backward {
  index t in 0 .. 10
  tensor x: real[10]
  tensor a: real[10]
  tensor h: real[10]
  h[t] = x[t] + select(t + 1 < 10, a[t + 1] * h[t + 1], 0.0)
  port input "x" = x
  port input "a" = a
  port output "h" = h
}
