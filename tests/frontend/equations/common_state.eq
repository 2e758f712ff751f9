program trials {
  symbol B: batch
  symbol T: stream
  index s in 0 .. 3
  index t in 0 .. T
  index s'2 in 0 .. 3
  index t'3 in 0 .. T
  index s'4 in 0 .. 3
  index t'5 in 0 .. T
  index s'6 in 0 .. 3
  index t'7 in 0 .. 1
  index s'8 in 0 .. 3
  tensor reward: real[T, 3]
  tensor state.w: real[3]
  tensor state.w.final: real[3]
  tensor error: real[T, 3]
  tensor w: real[T, 3]
  tensor "before": real[T, 3]
  tensor w.before: real[1, 3] before w axis 0
  state.w.final[s] = w[T - 1, s]
  error[t, s'2] = reward[t, s'2] - "before"[t, s'2]
  w[t'3, s'4] = w[t'3 - 1, s'4 else w.before[t'3, s'4]] + 0.5 * error[t'3, s'4]
  "before"[t'5, s'6] = w[t'5 - 1, s'6 else w.before[t'5, s'6]]
  w.before[t'7, s'8] = state.w[s'8]
  port input "reward" = reward
  port state "w" = state.w
  port output "error" = error
  port final_state "w" = state.w.final, of 1
}
