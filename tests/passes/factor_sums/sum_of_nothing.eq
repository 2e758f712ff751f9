program sum_of_nothing {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index c in 0 .. 4
  tensor s: real[B, T, T]
  tensor v: real[B, T, 4]
  tensor mask: bool[B, T]
  tensor e: real[B, T, T]
  tensor l: real[B, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T, 4]
  e[b, t, u] = exp(s[b, t, u])
  l[b, t] = sum[u where mask[b, u]](e[b, t, u])
  p[b, t, u] = select(mask[b, u], e[b, t, u] / l[b, t], 0.0)
  y[b, t, c] = sum[u where mask[b, u]](p[b, t, u] * v[b, u, c])
  port input "s" = s, batch 0
  port input "v" = v, batch 0
  port input "mask" = mask, batch 0
  port output "y" = y, batch 0
}
