program same_for_all_lanes {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index d, k in 0 .. 8
  tensor x: real[B, T, 8]
  tensor s: real[B, T]
  tensor y: real[B, T, 8]
  tensor z: real[B, T, 8]
  tensor mean: real[B, T]
  y[b, t, d] = x[b, t, d] / sqrt(s[b, t])
  z[b, t, d] = s[b, t] / x[b, t, d] + 1.0 / s[b, t]
  mean[b, t] = sum[k](x[b, t, k] / 3.0)
  port input "x" = x, batch 0
  port input "s" = s, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
  port output "mean" = mean, batch 0
}
