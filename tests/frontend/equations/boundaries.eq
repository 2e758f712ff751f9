program boundaries {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 3
  index t'2 in 0 .. T
  index n'3 in 0 .. 3
  index i0 in 0 .. 1
  index i1 in 0 .. 3
  index t'6 in 0 .. 2
  index n'7 in 0 .. 3
  index t'8 in 0 .. 1
  index n'9 in 0 .. 3
  tensor x: real[T, 3]
  tensor first: real[3]
  tensor y: real[T, 3]
  tensor z: real[T, 3]
  tensor x.before: real[1, 3] before x axis 0
  tensor y.before: real[2, 3] before y axis 0
  tensor z.after: real[1, 3] after z axis 0
  y[t, n] = 0.5 * y[t - 1, n else y.before[t + 1, n]] - 0.25 * y[t - 2, n else y.before[t, n]] + x[t - 1, n else x.before[t, n]]
  z[t'2, n'3] = 0.5 * z[t'2 + 1, n'3 else z.after[t'2 - T + 1, n'3]] + x[t'2, n'3]
  x.before[i0, i1] = 0.0
  y.before[t'6, n'7] = select(t'6 == 1, first[n'7], 0.0)
  z.after[t'8, n'9] = 2.0 * first[n'9]
  port parameter "first" = first, stored [3], constant(1, 0)
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
}
