program total {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 2
  index t'2 in 0 .. 1
  index d'3 in 0 .. 2
  tensor x: real[T, 2]
  tensor h: real[T, 2]
  tensor h.before: real[1, 2] before h axis 0
  h[t, d] = h[t - 1, d else h.before[t, d]] + 0.5 * x[t, d]
  h.before[t'2, d'3] = 0.0
  port input "x" = x, batch 0
  port output "h" = h, batch 0
}
