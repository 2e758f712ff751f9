program unrolled {
  symbol B: batch
  symbol T: stream
  index k in 0 .. 1
  index n in 0 .. 2
  index t in 0 .. T
  index n'3 in 0 .. 2
  index t'4 in 0 .. T
  index n'5 in 0 .. 2
  index t'6 in 0 .. T
  index n'7, n'8 in 0 .. 2
  index t'9 in 0 .. T
  index n'10 in 0 .. 2
  index k'11 in 0 .. 3
  index n'12 in 0 .. 2
  index t'13 in 0 .. T
  index n'14 in 0 .. 2
  index t'15 in 0 .. T
  index n'16 in 0 .. 2
  index t'17 in 0 .. T
  index n'18 in 0 .. 2
  index t'19 in 0 .. T
  index n'20 in 0 .. 2
  index t'21 in 0 .. 1
  index n'22 in 0 .. 2
  index t'23 in 0 .. 3
  index n'24 in 0 .. 2
  tensor x: real[T, 2]
  tensor state.ring: real[1, 2]
  tensor state.ring.final: real[1, 2]
  tensor levels.0.weight: real[2]
  tensor past: real[T, 2]
  tensor z: real[T, 2]
  tensor x.out: real[T, 2]
  tensor every: real[2, T, 2]
  tensor state.ring.2: real[3, 2]
  tensor state.ring.final.2: real[3, 2]
  tensor levels.1.weight: real[2]
  tensor past.2: real[T, 2]
  tensor z.2: real[T, 2]
  tensor x.out.2: real[T, 2]
  tensor first: real[T, 2]
  tensor past.before: real[1, 2] before past axis 0
  tensor past.2.before: real[3, 2] before past.2 axis 0
  state.ring.final[k, n] = past[k + T - 1, n]
  past[t, n'3] = x[t, n'3]
  z[t'4, n'5] = levels.0.weight[n'5] * past[t'4 - 1, n'5 else past.before[t'4, n'5]]
  x.out[t'6, n'7] = x[t'6, n'7] + z[t'6, n'7]
  every[n'8, t'9, n'10] = select(n'8 < 1, z[t'9, n'10], z.2[t'9, n'10])
  state.ring.final.2[k'11, n'12] = past.2[k'11 + T - 3, n'12 else past.2.before[k'11 + T, n'12]]
  past.2[t'13, n'14] = x.out[t'13, n'14]
  z.2[t'15, n'16] = levels.1.weight[n'16] * past.2[t'15 - 3, n'16 else past.2.before[t'15, n'16]]
  x.out.2[t'17, n'18] = x.out[t'17, n'18] + 2.0 * z.2[t'17, n'18]
  first[t'19, n'20] = every[0, t'19, n'20]
  past.before[t'21, n'22] = state.ring[t'21, n'22]
  past.2.before[t'23, n'24] = state.ring.2[t'23, n'24]
  port parameter "levels.0.weight" = levels.0.weight, stored [2], constant(0.5, 0)
  port parameter "levels.1.weight" = levels.1.weight, stored [2], constant(0.5, 0)
  port input "x" = x, batch 0
  port state "ring0" = state.ring, batch 0
  port state "ring1" = state.ring.2, batch 0
  port output "y" = x.out.2, batch 0
  port output "first" = first, batch 0
  port final_state "ring0" = state.ring.final, batch 0, of 3
  port final_state "ring1" = state.ring.final.2, batch 0, of 4
}
