program leaky {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 4
  index m in 0 .. 1
  tensor x: real[T, 4]
  tensor s0: real[1, 4]
  tensor y.before: real[1, 4] before y axis 0
  tensor y: real[T, 4]
  tensor s1: real[1, 4]
  y.before[m, n] = s0[m, n]
  y[t, n] = 0.5 * y[t - 1, n else y.before[t, n]] + x[t, n]
  s1[m, n] = y[T - 1, n]
  port input "x" = x, batch 0
  port state "s" = s0, batch 1
  port output "y" = y, batch 0
  port final_state "s" = s1, batch 1, of 1
}
