program softmax_of_the_past {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index c in 0 .. 4
  tensor s: real[B, T, T]
  tensor v: real[B, T, 4]
  tensor x: real[B, T, 4]
  tensor e: real[B, T, T]
  tensor l: real[B, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T, 4]
  tensor d.v: real[B, T, 4]
  e[b, t, u] = exp(s[b, t, u])
  l[b, t] = sum[u where u <= t](e[b, t, u])
  p[b, t, u] = select(u <= t, e[b, t, u] * (1.0 / l[b, t]), 0.0)
  y[b, t, c] = x[b, t, c] with sum[u where u <= t](p[b, t, u] * v[b, u, c])
  d.v[b, u, c] = sum[t where u <= t](p[b, t, u] * x[b, t, c])
  port input "s" = s, batch 0
  port input "v" = v, batch 0
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "d.v" = d.v, batch 0
}
