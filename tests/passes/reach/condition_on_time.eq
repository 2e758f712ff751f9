program reach {
  symbol B: batch
  symbol T: stream
  symbol position: position
  index b in 0 .. B
  index t in 0 .. T
  index l in 0 .. 3
  index m in 0 .. 1
  tensor x: real[B, T]
  tensor h.before: real[1, B] before h axis 1
  tensor h: real[B, T]
  tensor y: real[B, T]
  h.before[m, b] = 1.0
  h[b, t] = x[b, t] * h[b, t - 1 else h.before[t, b]]
  y[b, t] = select(t + position >= 2, x[b, t - 2], 0.5) with sum[l where l <= t + position](h[b, t - l])
  port input "x" = x, batch 0
  port output "y" = y, batch 0, streams
}
