program choices {
  symbol B: batch
  symbol T: stream
  index l in 0 .. 2
  index a0 in 0 .. T
  index a1 in 0 .. 3
  index t in 0 .. T
  index e, d in 0 .. 3
  index t'6 in 0 .. T
  index d'7 in 0 .. 3
  index t'8 in 0 .. T
  index e'9, d'10 in 0 .. 3
  index l'11 in 0 .. 2
  index a0'12 in 0 .. T
  index a1'13 in 0 .. 3
  index k in 0 .. 2
  index t'15 in 0 .. T
  index d'16 in 0 .. 3
  index a0'17 in 0 .. T
  index a1'18 in 0 .. 3
  index t'19 in 0 .. T
  index d'20 in 0 .. 3
  tensor x: real[T, 3]
  tensor x.in: real[2, T, 3]
  tensor "maps.{}.weight": real[2, 3, 3]
  tensor "maps.{}.bias": real[2, 3]
  tensor z: real[2, T, 3]
  tensor x.out: real[2, T, 3]
  tensor last.weight: real[3, 3]
  tensor v: real[T, 3]
  tensor v.in: real[2, T, 3]
  tensor v_l: real[2, 2, T, 3]
  tensor v.out: real[2, T, 3]
  tensor y: real[T, 3]
  x.in[l, a0, a1] = x.out[l - 1, a0, a1 else x[a0, a1]]
  z[l, t, e] = "maps.{}.bias"[l, e] with sum[d]("maps.{}.weight"[l, e, d] * x.in[l, t, d])
  x.out[l, t'6, d'7] = x.in[l, t'6, d'7] + z[l, t'6, d'7]
  v[t'8, e'9] = sum[d'10](last.weight[e'9, d'10] * x.out[1, t'8, d'10])
  v.in[l'11, a0'12, a1'13] = v.out[l'11 - 1, a0'12, a1'13 else v[a0'12, a1'13]]
  v_l[l'11, k, t'15, d'16] = v.in[l'11, t'15, d'16]
  v.out[l'11, a0'17, a1'18] = v.in[l'11, a0'17, a1'18]
  y[t'19, d'20] = v.out[1, t'19, d'20] + v_l[0, 1, t'19, d'20]
  port parameter "maps.{}.weight" = "maps.{}.weight", turns, scale 1, stored [3, 3], constant(0.1, 0)
  port parameter "maps.{}.bias" = "maps.{}.bias", turns, scale 1, stored [3]
  port parameter "last.weight" = last.weight, stored [3, 3], constant(0.1, 0)
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
