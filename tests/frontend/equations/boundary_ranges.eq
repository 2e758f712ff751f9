program boundary_ranges {
  symbol B: batch
  symbol T: stream
  index k, n in 0 .. 3
  index t in 0 .. T
  index n'3 in 0 .. 3
  index t'4 in 0 .. T
  index n'5 in 0 .. 3
  index k'6 in 0 .. 4
  index t'7 in 0 .. T
  index n'8, t'9, n'10 in 0 .. 3
  index t'11 in 0 .. 4
  index n'12 in 0 .. 3
  tensor x: real[T, 3]
  tensor state.past: real[3, 3]
  tensor state.past.final: real[3, 3]
  tensor u: real[T, 3]
  tensor y: real[T, 3]
  tensor z: real[T, 3]
  tensor u.before: real[3, 3] before u axis 0
  tensor z.before: real[4, 3] before z axis 0
  state.past.final[k, n] = u[k + T - 3, n else u.before[k + T, n]]
  u[t, n'3] = x[t, n'3]
  y[t'4, n'5] = sum[k'6](u[t'4 - k'6, n'5 else u.before[t'4 - k'6 + 3, n'5]])
  z[t'7, n'8] = 0.5 * z[t'7 - 4, n'8 else z.before[t'7, n'8]] + x[t'7, n'8]
  u.before[t'9, n'10] = state.past[t'9, n'10]
  z.before[t'11, n'12] = select(t'11 == 1, 1.0, select(t'11 >= 2, state.past[t'11 - 2, n'12], 0.0))
  port input "x" = x, batch 0
  port state "past" = state.past, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
  port final_state "past" = state.past.final, batch 0, of 1
}
