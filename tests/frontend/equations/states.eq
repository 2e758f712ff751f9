program states {
  symbol B: batch
  symbol T: stream
  index n in 0 .. 2
  index k in 0 .. 3
  index n'2 in 0 .. 2
  index t in 0 .. T
  index n'4 in 0 .. 2
  index i0 in 0 .. 3
  index i1 in 0 .. 2
  index t'7 in 0 .. 1
  index n'8 in 0 .. 2
  tensor x: real[T, 2]
  tensor state.y: real[2]
  tensor state.y.final: real[2]
  tensor state.recent: real[3, 2]
  tensor state.recent.final: real[3, 2]
  tensor y: real[T, 2]
  tensor x.before: real[3, 2] before x axis 0
  tensor y.before: real[1, 2] before y axis 0
  state.y.final[n] = y[T - 1, n]
  state.recent.final[k, n'2] = x[k + T - 3, n'2 else x.before[k + T, n'2]]
  y[t, n'4] = 0.9 * y[t - 1, n'4 else y.before[t, n'4]] + x[t - 3, n'4 else x.before[t, n'4]]
  x.before[i0, i1] = select(i0 == 0, state.recent[0, i1], select(i0 == 1, state.recent[1, i1], select(i0 == 2, state.recent[2, i1], 0.0)))
  y.before[t'7, n'8] = state.y[n'8]
  port input "x" = x, batch 0
  port state "y" = state.y, batch 1
  port state "recent" = state.recent, batch 0
  port output "y" = y, batch 0
  port final_state "y" = state.y.final, batch 1, of 1
  port final_state "recent" = state.recent.final, batch 0, of 2
}
