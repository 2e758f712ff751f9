program decay {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index m in 0 .. 1
  index n in 0 .. 2
  tensor x: real[T, 2]
  tensor a: real[2]
  tensor h0: real[1, 2]
  tensor h.before: real[1, 2] before h axis 0
  tensor h: real[T, 2]
  h.before[m, n] = tanh(h0[m, n])
  h[t, n] = a[n] * h[t - 1, n else h.before[t, n]] + x[t, n]
  port parameter "a" = a, stored [2]
  port input "x" = x
  port state "h" = h0
  port output "h" = h
}
