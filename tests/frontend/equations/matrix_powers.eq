program matrix_powers {
  symbol B: batch
  symbol T: stream
  index k in 0 .. 5
  index i, j, m in 0 .. 3
  index t in 0 .. T
  index i'5 in 0 .. 3
  index k'6 in 0 .. 5
  index j'7 in 0 .. 3
  index i0 in 0 .. 4
  index i1 in 0 .. 3
  index k'10 in 0 .. 1
  index i'11, j'12 in 0 .. 3
  tensor x: real[T, 3]
  tensor a: real[3, 3]
  tensor power: real[5, 3, 3]
  tensor y: real[T, 3]
  tensor x.before: real[4, 3] before x axis 0
  tensor power.before: real[1, 3, 3] before power axis 0
  power[k, i, j] = sum[m](a[i, m] * power[k - 1, m, j else power.before[k, m, j]])
  y[t, i'5] = sum[k'6, j'7](power[k'6, i'5, j'7] * x[t - k'6, j'7 else x.before[t - k'6 + 4, j'7]])
  x.before[i0, i1] = 0.0
  power.before[k'10, i'11, j'12] = to_real(select(i'11 == j'12, 1, 0))
  port parameter "a" = a, stored [3, 3]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
