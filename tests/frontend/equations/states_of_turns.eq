program filters {
  symbol B: batch
  symbol T: stream
  index l in 0 .. 2
  index n, n'2 in 0 .. 3
  index a0 in 0 .. T
  index a1 in 0 .. 3
  index t in 0 .. T
  index n'6 in 0 .. 3
  index t'7, l'8 in 0 .. 2
  index n'9 in 0 .. 3
  index a0'10 in 0 .. T
  index a1'11 in 0 .. 3
  tensor x: real[T, 3]
  tensor state.level: real[2, 3]
  tensor state.level.final: real[2, 3]
  tensor state.last: real[2, 3]
  tensor state.last.final: real[2, 3]
  tensor x.in: real[2, T, 3]
  tensor h: real[2, T, 3]
  tensor h.before: real[2, 2, 3] before h axis 1
  tensor y: real[T, 3]
  state.level.final[l, n] = h[l, T - 1, n]
  state.last.final[l, n'2] = h[l, T - 1, n'2] - h[l, T - 2, n'2 else h.before[T, l, n'2]]
  x.in[l, a0, a1] = h[l - 1, a0, a1 else x[a0, a1]]
  h[l, t, n'6] = 0.5 * h[l, t - 1, n'6 else h.before[t + 1, l, n'6]] + x.in[l, t, n'6]
  h.before[t'7, l'8, n'9] = select(t'7 == 1, state.level[l'8, n'9], 0.0)
  y[a0'10, a1'11] = h[1, a0'10, a1'11]
  port input "x" = x, batch 0
  port state "level.{}" = state.level, batch 1
  port state "layers.{}.last" = state.last, batch 1
  port output "y" = y, batch 0
  port final_state "level.{}" = state.level.final, batch 1, of 1
  port final_state "layers.{}.last" = state.last.final, batch 1, of 2
}
