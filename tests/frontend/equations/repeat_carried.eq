program repeat_carried {
  symbol B: batch
  symbol T: stream
  index l in 0 .. 3
  index a0 in 0 .. T
  index a1 in 0 .. 2
  index t in 0 .. T
  index d, e in 0 .. 2
  index t'6 in 0 .. T
  index d'7, d'8 in 0 .. 2
  index a0'9 in 0 .. T
  index a1'10 in 0 .. 2
  tensor x: real[T, 2]
  tensor "block{}.scale": real[3, 2]
  tensor x.in: real[3, T, 2]
  tensor "block{}.weight": real[3, 2, 2]
  tensor u: real[3, T, 2]
  tensor x.out: real[3, T, 2]
  tensor last: real[3, 2]
  tensor u.1: real[3, T, 2]
  tensor y: real[T, 2]
  x.in[l, a0, a1] = x.out[l - 1, a0, a1 else x[a0, a1]]
  u.1[l, t, d] = sum[e]("block{}.weight"[l, d, e] * x.in[l, t, e])
  u[l, t, d] = tanh(u.1[l, t, d])
  x.out[l, t'6, d'7] = x.in[l, t'6, d'7] + "block{}.scale"[l, d'7] * u[l, t'6, d'7] / to_real(l + 1)
  last[l, d'8] = u[l, T - 1, d'8]
  y[a0'9, a1'10] = x.out[2, a0'9, a1'10]
  port parameter "block{}.scale" = "block{}.scale", turns, scale 2, offset 3, stored [2], constant(1, 0)
  port parameter "block{}.weight" = "block{}.weight", turns, scale 2, offset 3, stored [2, 2]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "last" = last, batch 0
}
