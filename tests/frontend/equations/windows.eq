program windows {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 6
  index k in 0 .. 4
  index t'3 in 0 .. T
  index n'4 in 0 .. 6
  index k'5 in 0 .. 3
  index t'6 in 0 .. T
  index n'7 in 0 .. 6
  index k'8 in 0 .. 4
  index t'9 in 0 .. T
  index m in 0 .. 3
  index i0 in 0 .. 1
  index i1 in 0 .. 6
  index i0'13 in 0 .. 3
  index i1'14 in 0 .. 6
  tensor x: real[T, 6]
  tensor w: real[4]
  tensor y: real[T, 6]
  tensor z: real[T, 6]
  tensor r: real[T, 6]
  tensor s: real[T, 3]
  tensor x.after: real[1, 6] after x axis 0
  tensor x.before: real[3, 6] before x axis 0
  y[t, n] = sum[k](w[k] * x[t - k, n else x.before[t - k + 3, n]])
  z[t'3, n'4] = sum[k'5](w[k'5] * x[t'3 + k'5 - 1, n'4 else select(t'3 + k'5 - 1 < 0, x.before[t'3 + k'5 + 2, n'4], x.after[t'3 + k'5 - T - 1, n'4])])
  r[t'6, n'7] = sum[k'8](w[k'8] * x[t'6, remainder(n'7 + k'8 - 1, 6)])
  s[t'9, m] = x[t'9, 2 * m] + select(m > 0, x[t'9, 2 * m - 1], 0.0)
  x.after[i0, i1] = 0.0
  x.before[i0'13, i1'14] = 0.0
  port parameter "w" = w, stored [4]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
  port output "r" = r, batch 0
  port output "s" = s, batch 0
}
