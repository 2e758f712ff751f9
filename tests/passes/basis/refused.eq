program refused {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index h, k in 0 .. 8
  index n in 0 .. 4
  index m in 0 .. 1
  tensor u: real[B, T, 8]
  tensor a: real[8, 4]
  tensor g: real[8, 4]
  tensor f: real[B, T, 4]
  tensor start: real[1, B, 8, 4]
  tensor started.before: real[1, B, 8, 4] before started axis 1
  tensor started: real[B, T, 8, 4]
  tensor y.started: real[B, T, 8]
  started.before[m, b, h, n] = start[m, b, h, n]
  started[b, t, h, n] = a[h, n] * started[b, t - 1, h, n else started.before[t, b, h, n]] + g[h, n] * u[b, t, h]
  y.started[b, t, h] = sum[n](started[b, t, h, n])
  tensor shown: real[B, T, 8, 4]
  tensor y.shown: real[B, T, 8]
  shown[b, t, h, n] = a[h, n] * shown[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.shown[b, t, h] = sum[n](shown[b, t, h, n])
  tensor changing: real[B, T, 8, 4]
  tensor y.changing: real[B, T, 8]
  changing[b, t, h, n] = a[h, n] * changing[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.changing[b, t, h] = sum[n](f[b, t, n] * changing[b, t, h, n])
  tensor mixed: real[B, T, 8, 4]
  tensor y.mixed: real[B, T, 8]
  mixed[b, t, h, n] = a[h, n] * mixed[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.mixed[b, t, h] = sum[k, n](g[k, n] * a[h, n] * mixed[b, t, k, n])
  tensor squared: real[B, T, 8, 4]
  tensor y.squared: real[B, T, 8]
  squared[b, t, h, n] = a[h, n] * squared[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.squared[b, t, h] = sum[n](squared[b, t, h, n] * squared[b, t, h, n])
  tensor gated: real[B, T, 8, 4]
  tensor y.gated: real[B, T, 8]
  gated[b, t, h, n] = sigmoid(u[b, t, h]) * gated[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.gated[b, t, h] = sum[n](gated[b, t, h, n])
  tensor two: real[B, T, 8, 4]
  tensor y.two: real[B, T, 8]
  two[b, t, h, n] = a[h, n] * two[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h] + f[b, t, n]
  y.two[b, t, h] = sum[n](two[b, t, h, n])
  tensor p: real[B, T, 8, 4]
  tensor q: real[B, T, 8, 4]
  tensor y.pair: real[B, T, 8]
  p[b, t, h, n] = a[h, n] * p[b, t - 1, h, n else 0.0] - g[h, n] * q[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  q[b, t, h, n] = g[h, n] * q[b, t - 1, h, n else 0.0] + 0.5 * p[b, t - 1, h, n else 0.0] + a[h, n] * u[b, t, h]
  y.pair[b, t, h] = sum[n](p[b, t, h, n])
  tensor later: real[B, T, 8, 4]
  tensor y.later: real[B, T, 8]
  later[b, t, h, n] = a[h, n] * later[b, t - 1, h, n else 0.0] + g[h, n] * u[b, t, h]
  y.later[b, t, h] = sum[n](later[b, t - 1, h, n else 0.0])
  tensor y.all: real[B, T, 8]
  y.all[b, t, h] = y.started[b, t, h] + y.shown[b, t, h] + y.changing[b, t, h] + y.mixed[b, t, h] + y.squared[b, t, h] + y.gated[b, t, h] + y.two[b, t, h] + y.pair[b, t, h] + y.later[b, t, h]
  port parameter "a" = a, stored [8, 4]
  port parameter "g" = g, stored [8, 4]
  port input "u" = u, batch 0
  port input "f" = f, batch 0
  port input "start" = start, batch 1
  port output "shown" = shown, batch 0
  port output "y" = y.all, batch 0
}
