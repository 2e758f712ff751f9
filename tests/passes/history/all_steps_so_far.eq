program past {
  symbol B: batch
  symbol T: stream
  symbol position: position
  index b in 0 .. B
  index t, u in 0 .. T
  index d in 0 .. 4
  tensor x: real[B, T, 4]
  tensor k: real[B, T, 4]
  tensor state.keys: real[B, T, 4]
  tensor keys: real[B, T, 4]
  tensor s: real[B, T, T]
  tensor y: real[B, T]
  tensor whole: real[B]
  k[b, t, d] = 2.0 * x[b, t, d]
  keys[b, t, d] = k[b, t, d]
  s[b, t, u] = sum[d](x[b, t, d] * k[b, u, d])
  y[b, t] = sum[u where u + position <= t + position](s[b, t, u] * x[b, u, 0])
  whole[b] = sum[t, u](s[b, t, u])
  port input "x" = x, batch 0
  port state "keys" = state.keys, batch 0
  port output "y" = y, batch 0, streams
  port output "whole" = whole, batch 0, because "'whole' needs the whole length: it reads 's' at every step"
  port final_state "keys" = keys, batch 0, of 1, streams
}
