program one_factor {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index h in 0 .. 8
  index n in 0 .. 4
  tensor u: real[B, T, 8]
  tensor a: real[8, 4]
  tensor g: real[8, 4]
  tensor c: real[8, 4]
  tensor back: real[B, T, 8, 4]
  tensor x: real[B, T, 8, 4]
  tensor p: real[B, T, 8, 4]
  tensor q: real[B, T, 8, 4]
  tensor y: real[B, T, 8]
  x[b, t, h, n] = a[h, n] * x[b, t - 1, h, n else 0.0] - 2.0 * (g[h, n] * u[b, t, h]) * exp(u[b, t, h]) / g[h, n]
  back[b, t, h, n] = g[h, n] * u[b, t, h] + a[h, n] * back[b, t + 1, h, n else 0.0]
  p[b, t, h, n] = a[h, n] * p[b, t - 1, h, n else 0.0] - c[h, n] * q[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  q[b, t, h, n] = g[h, n] * q[b, t - 1, h, n else 0.0] + p[b, t - 1, h, n else 0.0] / 2.0
  y[b, t, h] = sum[n](c[h, n] * x[b, t, h, n])
  tensor z: real[B, T, 8]
  tensor w: real[B, T]
  z[b, t, h] = sum[n](back[b, t, h, n])
  w[b, t] = sum[h, n](q[b, t, h, n] * g[h, n])
  port parameter "a" = a, stored [8, 4]
  port parameter "g" = g, stored [8, 4]
  port parameter "c" = c, stored [8, 4]
  port input "u" = u, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
  port output "w" = w, batch 0
}
