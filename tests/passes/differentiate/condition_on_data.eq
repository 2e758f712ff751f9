program running_maximum {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index i in 0 .. 1
  tensor x: real[T]
  tensor m: real[T]
  tensor m.before: real[1] before m axis 0
  m.before[i] = 0.0
  m[t] = max(x[t], m[t - 1 else m.before[t]])
  port input "x" = x
  port output "m" = m
}
