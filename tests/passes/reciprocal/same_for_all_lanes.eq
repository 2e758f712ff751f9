program same_for_all_lanes {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u, v in 0 .. T
  index d in 0 .. 8
  tensor x: real[B, T, 8]
  tensor s: real[B, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T, 8]
  tensor q: real[B, T, T]
  tensor r: real[B, T, T]
  tensor mean: real[B, T]
  y[b, t, d] = x[b, t, d] / sqrt(s[b, t])
  q[b, t, u] = p[b, t, u] / s[b, t]
  r[b, t, u] = s[b, t] / p[b, t, u] + 1.0 / s[b, t]
  mean[b, t] = sum[v where v <= t](p[b, t, v] / 3.0)
  port input "x" = x, batch 0
  port input "s" = s, batch 0
  port input "p" = p, batch 0
  port output "y" = y, batch 0
  port output "q" = q, batch 0
  port output "r" = r, batch 0
  port output "mean" = mean, batch 0
}
