program keys_are_values {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index k in 0 .. 4
  tensor x: real[B, T, 4]
  tensor s: real[B, T, T]
  tensor p: real[B, T, T]
  tensor first: real[B, T, 4]
  tensor both: real[B, T, 4]
  tensor shifted: real[B, T, 4]
  s[b, t, u] = sum[k](x[b, t, k] * x[b, u, k])
  p[b, t, u] = exp(s[b, t, u])
  first[b, t, k] = sum[u](s[b, t, u] * x[b, u, k])
  both[b, u, k] = 2.0 * first[b, u, k] with sum[t where u <= t](p[b, t, u] * x[b, t, k])
  shifted[b, t, k] = x[b, t, k] with sum[u](p[b, t, u] * x[b, u, k])
  port input "x" = x, batch 0
  port output "both" = both, batch 0
  port output "shifted" = shifted, batch 0
}
