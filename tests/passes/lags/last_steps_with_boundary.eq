program tail {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index k in 0 .. 3
  index m in 0 .. 3
  tensor x: real[T]
  tensor state.tail: real[3]
  tensor u: real[T]
  tensor u.before: real[3] before u axis 0
  tensor y: real[T]
  tensor final: real[3]
  u[t] = x[t]
  u.before[m] = state.tail[m]
  y[t] = u[t - 3 else u.before[t]]
  final[k] = u[k + T - 3 else u.before[k + T]]
  port input "x" = x
  port state "tail" = state.tail
  port output "y" = y
  port final_state "tail" = final, of 1
}
