program turns {
  symbol B: batch
  symbol T: stream
  index l in 0 .. 4
  index a0 in 0 .. T
  index a1 in 0 .. 2
  index t in 0 .. T
  index n in 0 .. 2
  index u, t'6 in 0 .. T
  index n'7 in 0 .. 2
  index a0'8 in 0 .. T
  index a1'9 in 0 .. 2
  tensor x: real[T, 2]
  tensor x.in: real[4, T, 2]
  tensor z: real[4, T, 2]
  tensor x.out: real[4, T, 2]
  tensor y: real[T, 2]
  x.in[l, a0, a1] = x.out[l - 1, a0, a1 else x[a0, a1]]
  z[l, t, n] = sum[u where u <= t and (select(l < 2, 3, select(l < 3, 0, 3)) == 0 or t - u < select(l < 2, 3, select(l < 3, 0, 3)))](x.in[l, u, n])
  x.out[l, t'6, n'7] = x.in[l, t'6, n'7] + select(l < 2, select(l < 1, 0.25, 1.5), select(l < 3, 2.0, 2.5)) * z[l, t'6, n'7] + to_real(select(select(l < 2, false, l < 3), 1, 0)) + 7.0
  y[a0'8, a1'9] = x.out[3, a0'8, a1'9]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
