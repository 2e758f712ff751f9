program pairs_of_steps {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u, v, w in 0 .. T
  tensor s: real[B, T, T]
  tensor x: real[B, T]
  tensor m: real[B, T]
  tensor total: real[B, T]
  tensor p: real[B, T, T]
  tensor once: real[B, T, T]
  tensor flat: real[B, T]
  tensor again: real[B, T]
  m[b, t] = max[u](s[b, t, u])
  total[b, t] = sum[u where u <= t](exp(s[b, t, u] - m[b, t]))
  p[b, v, w] = select(w <= v, exp(s[b, v, w] - m[b, v]) / total[b, v], 0.0)
  once[b, t, u] = exp(s[b, t, u] + m[b, t])
  flat[b, t] = exp(x[b, t])
  again[b, t] = exp(x[b, t]) * 2.0
  port input "s" = s, batch 0
  port input "x" = x, batch 0
  port output "p" = p, batch 0
  port output "once" = once, batch 0
  port output "flat" = flat, batch 0
  port output "again" = again, batch 0
}
