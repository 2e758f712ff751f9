program window {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index c in 0 .. 4
  tensor s: real[B, T, T]
  tensor v: real[B, T, 4]
  tensor w: real[B, T]
  tensor e: real[B, T, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T, 4]
  tensor z: real[B, T]
  e[b, t, u] = exp(s[b, t, u])
  p[b, t, u] = select(u <= t and t - u < 3, -e[b, t, u] / w[b, t], 0.0)
  y[b, t, c] = sum[u where u <= t and t - u < 3](p[b, t, u] * v[b, u, c])
  z[b, t] = sum[u where u <= t](2.0 * (e[b, t, u] * w[b, t]))
  port input "s" = s, batch 0
  port input "v" = v, batch 0
  port input "w" = w, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
}
