program window {
  symbol B: batch
  symbol T: stream
  symbol position: position
  index b in 0 .. B
  index t, u in 0 .. T
  tensor x: real[B, T]
  tensor k: real[B, T]
  tensor s: real[B, T, T]
  tensor p: real[B, T, T]
  tensor y: real[B, T]
  tensor z: real[B, T]
  k[b, t] = 2.0 * x[b, t]
  s[b, t, u] = x[b, t] * k[b, u]
  p[b, t, u] = select(u + position <= t + position and t - u < 4, s[b, t, u], 0.0)
  y[b, t] = sum[u](p[b, t, u])
  z[b, t] = sum[u where u <= t and u > t - 3](k[b, u])
  port input "x" = x, batch 0
  port output "y" = y, batch 0, streams
  port output "z" = z, batch 0, streams
}
