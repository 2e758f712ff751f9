program waves {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index m in 0 .. 2
  index b in 0 .. B
  tensor x: real[B, T]
  tensor y.before: real[2, B] before y axis 1
  tensor y: real[B, T]
  y.before[m, b] = 0.0
  y[b, t] = x[b, t] + y[b, t - 1 else y.before[t + 1, b]] - y[b, t - 2 else y.before[t, b]]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
