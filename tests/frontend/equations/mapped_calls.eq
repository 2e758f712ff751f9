program mapped_calls {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d, k, d'3 in 0 .. 4
  index t'4, u, u'6, u'7 in 0 .. T
  tensor x: real[T, 4]
  tensor normalised.m: real[T]
  tensor y: real[T, 4]
  tensor p: real[T, T]
  tensor normalised.m.1: real[T]
  tensor y.1: real[T]
  tensor p.1: real[T]
  tensor p.2: real[T]
  normalised.m.1[t] = sum[d](x[t, d])
  normalised.m[t] = normalised.m.1[t] / 4.0
  y.1[t] = sum[k]((x[t, k] - normalised.m[t]) * (x[t, k] - normalised.m[t]))
  y[t, d'3] = (x[t, d'3] - normalised.m[t]) / sqrt(y.1[t] / 4.0 + 1e-05)
  p.1[t'4] = max[u where u <= t'4](x[t'4, 0] * x[u, 0])
  p.2[t'4] = sum[u'6 where u'6 <= t'4](exp(x[t'4, 0] * x[u'6, 0] - stop_gradient(p.1[t'4])))
  p[t'4, u'7] = select(u'7 <= t'4, exp(x[t'4, 0] * x[u'7, 0] - stop_gradient(p.1[t'4])) / p.2[t'4], 0.0)
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "p" = p, batch 0
}
