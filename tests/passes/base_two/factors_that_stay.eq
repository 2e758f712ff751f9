program powers {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index b in 0 .. B
  index i in 0 .. 8
  index n in 0 .. 4
  index m in 0 .. 1
  tensor u: real[B, T, 8]
  tensor A_log: real[8, 4]
  tensor scale: real[]
  tensor h.before: real[1, B, 8, 4] before h axis 1
  tensor h: real[B, T, 8, 4]
  tensor y: real[B, T, 8]
  h.before[m, b, i, n] = 0.0
  h[b, t, i, n] = exp(-u[b, t, i] * exp(A_log[i, n])) * h[b, t - 1, i, n else h.before[t, b, i, n]] + u[b, t, i]
  y[b, t, i] = exp(u[b, t, i] * scale[]) + exp(-0.5 * u[b, t, i]) + exp(scale[] * 2.0) with sum[n](h[b, t, i, n] * exp(u[b, t, i] * A_log[i, n]))
  port parameter "A_log" = A_log, stored [8, 4]
  port parameter "scale" = scale, stored []
  port input "u" = u, batch 0
  port output "y" = y, batch 0
}
