program behind_a_product {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index k, n in 0 .. 16
  tensor x: real[B, T, 16]
  tensor w: real[16, 16]
  tensor s: real[B, T, T]
  tensor most: real[B, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T, 16]
  tensor z: real[B, T, 16]
  tensor d.p: real[B, T, T]
  tensor d.p.1: real[B, T, T]
  tensor d.x: real[B, T, 16]
  tensor over: real[B, T, T]
  tensor cubed: real[B, T, T]
  tensor kept: real[B, T, 16]
  s[b, t, u] = sum[k](x[b, t, k] * x[b, u, k])
  most[b, t] = max[u](s[b, t, u])
  p[b, t, u] = exp(s[b, t, u] - most[b, t])
  y[b, t, k] = sum[u](p[b, t, u] * x[b, u, k])
  z[b, t, k] = sum[n](y[b, t, n] * w[n, k])
  d.p.1[b, t, u] = sum[k](z[b, t, k] * x[b, u, k])
  d.p[b, t, u] = p[b, t, u] * d.p.1[b, t, u]
  d.x[b, u, k] = sum[t](d.p[b, t, u] * x[b, t, k])
  cubed[b, t, u] = sum[k](x[b, t, k] * x[b, u, k] * x[b, u, k])
  over[b, t, u] = cubed[b, t, u] * cubed[b, t, u]
  kept[b, t, k] = sum[u](over[b, t, u] * x[b, u, k])
  port input "x" = x, batch 0
  port parameter "w" = w, stored [256], constant(0.0)
  port output "d.x" = d.x, batch 0
  port output "kept" = kept, batch 0
}
