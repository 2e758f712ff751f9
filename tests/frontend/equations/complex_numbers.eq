program complex_numbers {
  symbol B: batch
  symbol T: stream
  index n in 0 .. 1
  index d in 0 .. 3
  index n'2 in 0 .. 2
  index d'3 in 0 .. 3
  index t in 0 .. T
  index d'5 in 0 .. 3
  index t'6 in 0 .. T
  index n'7 in 0 .. 6
  index d'8 in 0 .. 3
  index t'9 in 0 .. T
  index i, j in 0 .. 3
  index l in 0 .. 2
  index a0 in 0 .. T
  index a1 in 0 .. 3
  index t'15 in 0 .. T
  index i'16, j'17 in 0 .. 3
  index t'18 in 0 .. T
  index d'19, d'20 in 0 .. 3
  index t'21 in 0 .. T
  index k, d'23 in 0 .. 3
  index t'24 in 0 .. T
  index n'25 in 0 .. 6
  index d'26 in 0 .. 3
  index t'27 in 0 .. 1
  index d'28 in 0 .. 3
  index t'29 in 0 .. 1
  index d'30 in 0 .. 3
  index a0'31 in 0 .. T
  index a1'32 in 0 .. 3
  index part in 0 .. 2
  index a0'34 in 0 .. T
  index a1'35 in 0 .. 6
  index a2 in 0 .. 3
  index part'37, a0'38 in 0 .. 2
  index a1'39 in 0 .. 3
  index part'40 in 0 .. 2
  tensor x: real[T, 3, 2]
  tensor r: real[T, 3]
  tensor state.h: real[1, 3, 2]
  tensor state.h.final: real[1, 3, 2]
  tensor a: real[3]
  tensor b: real[3]
  tensor decay.re: real[3]
  tensor h.re: real[T, 3]
  tensor p.re: real[T, 6, 3]
  tensor first.weight: real[3, 3, 2]
  tensor u.re: real[T, 3]
  tensor u.in.re: real[2, T, 3]
  tensor "layers.{}.weight": real[2, 3, 3, 2]
  tensor v.re: real[2, T, 3]
  tensor u.out.re: real[2, T, 3]
  tensor last.re: real[2, 3]
  tensor s: real[T, 3]
  tensor decay.im: real[3]
  tensor h.im: real[T, 3]
  tensor p.im: real[T, 6, 3]
  tensor u.im: real[T, 3]
  tensor u.in.im: real[2, T, 3]
  tensor v.im: real[2, T, 3]
  tensor u.out.im: real[2, T, 3]
  tensor last.im: real[2, 3]
  tensor s.1: real[T]
  tensor h.re.before: real[1, 3] before h.re axis 0
  tensor h.im.before: real[1, 3] before h.im axis 0
  tensor y: real[T, 3, 2]
  tensor p: real[T, 6, 3, 2]
  tensor last: real[2, 3, 2]
  state.h.final[n, d, n'2] = select(n'2 < 1, h.re[T - 1, d], h.im[T - 1, d])
  decay.re[d'3] = a[d'3]
  h.re[t, d'5] = decay.re[d'5] * h.re[t - 1, d'5 else h.re.before[t, d'5]] - decay.im[d'5] * h.im[t - 1, d'5 else h.im.before[t, d'5]] + select(d'5 > 0, x[t, d'5 - 1, 0] * cos(r[t, d'5]) - x[t, d'5 - 1, 1] * sin(r[t, d'5]), r[t, d'5])
  #0 = x[t'6, d'8, 0] * x[t'6, d'8, 0] - x[t'6, d'8, 1] * x[t'6, d'8, 1]
  #1 = x[t'6, d'8, 0] * x[t'6, d'8, 1] + x[t'6, d'8, 1] * x[t'6, d'8, 0]
  p.re[t'6, n'7, d'8] = select(n'7 < 1, (h.re[t'6, d'8] * (2.0 + x[t'6, d'8, 0]) - h.im[t'6, d'8] * -x[t'6, d'8, 1]) / ((2.0 + x[t'6, d'8, 0]) * (2.0 + x[t'6, d'8, 0]) + x[t'6, d'8, 1] * x[t'6, d'8, 1]), select(n'7 >= 1 and n'7 < 2, r[t'6, d'8] * h.re[t'6, d'8] / (h.re[t'6, d'8] * h.re[t'6, d'8] + h.im[t'6, d'8] * h.im[t'6, d'8]) - 2.0 * x[t'6, d'8, 0], select(n'7 >= 2 and n'7 < 3, h.re[t'6, d'8] * (h.re[t'6, d'8] * h.re[t'6, d'8] - h.im[t'6, d'8] * h.im[t'6, d'8]) - -h.im[t'6, d'8] * (h.re[t'6, d'8] * -h.im[t'6, d'8] + -h.im[t'6, d'8] * h.re[t'6, d'8]) + #0 / (#0 * #0 + #1 * #1) - 1.0, select(n'7 >= 3 and n'7 < 4, expm1(0.1 * x[t'6, d'8, 0]) * cos(0.1 * x[t'6, d'8, 1]) - 2.0 * (sin(0.5 * (0.1 * x[t'6, d'8, 1])) * sin(0.5 * (0.1 * x[t'6, d'8, 1]))), select(n'7 >= 4 and n'7 < 5, -r[t'6, d'8], select(r[t'6, d'8] > 0.0, x[t'6, d'8, 0], 1.0))))))
  u.re[t'9, i] = sum[j](first.weight[i, j, 0] * x[t'9, j, 0] - first.weight[i, j, 1] * x[t'9, j, 1])
  u.in.re[l, a0, a1] = u.out.re[l - 1, a0, a1 else u.re[a0, a1]]
  v.re[l, t'15, i'16] = sum[j'17]("layers.{}.weight"[l, i'16, j'17, 0] * u.in.re[l, t'15, j'17] - "layers.{}.weight"[l, i'16, j'17, 1] * u.in.im[l, t'15, j'17])
  u.out.re[l, t'18, d'19] = u.in.re[l, t'18, d'19] + v.re[l, t'18, d'19] / to_real(l + 1)
  last.re[l, d'20] = u.in.re[l, T - 1, d'20]
  s.1[t'21] = sum[k](x[t'21, k, 0])
  s[t'21, d'23] = sqrt(h.re[t'21, d'23] * h.re[t'21, d'23] + h.im[t'21, d'23] * h.im[t'21, d'23]) + s.1[t'21] / 3.0 + stop_gradient(x[t'21, d'23, 1])
  decay.im[d'3] = b[d'3]
  h.im[t, d'5] = decay.re[d'5] * h.im[t - 1, d'5 else h.im.before[t, d'5]] + decay.im[d'5] * h.re[t - 1, d'5 else h.re.before[t, d'5]] + select(d'5 > 0, x[t, d'5 - 1, 0] * sin(r[t, d'5]) + x[t, d'5 - 1, 1] * cos(r[t, d'5]), 0.0)
  #0 = x[t'24, d'26, 0] * x[t'24, d'26, 1] + x[t'24, d'26, 1] * x[t'24, d'26, 0]
  #1 = x[t'24, d'26, 0] * x[t'24, d'26, 0] - x[t'24, d'26, 1] * x[t'24, d'26, 1]
  p.im[t'24, n'25, d'26] = select(n'25 < 1, (h.re[t'24, d'26] * -x[t'24, d'26, 1] + h.im[t'24, d'26] * (2.0 + x[t'24, d'26, 0])) / ((2.0 + x[t'24, d'26, 0]) * (2.0 + x[t'24, d'26, 0]) + x[t'24, d'26, 1] * x[t'24, d'26, 1]), select(n'25 >= 1 and n'25 < 2, r[t'24, d'26] * -h.im[t'24, d'26] / (h.re[t'24, d'26] * h.re[t'24, d'26] + h.im[t'24, d'26] * h.im[t'24, d'26]) - 2.0 * x[t'24, d'26, 1], select(n'25 >= 2 and n'25 < 3, h.re[t'24, d'26] * (h.re[t'24, d'26] * -h.im[t'24, d'26] + -h.im[t'24, d'26] * h.re[t'24, d'26]) + -h.im[t'24, d'26] * (h.re[t'24, d'26] * h.re[t'24, d'26] - h.im[t'24, d'26] * h.im[t'24, d'26]) + -#0 / (#1 * #1 + #0 * #0), select(n'25 >= 3 and n'25 < 4, exp(0.1 * x[t'24, d'26, 0]) * sin(0.1 * x[t'24, d'26, 1]), select(n'25 >= 4 and n'25 < 5, 0.0, select(r[t'24, d'26] > 0.0, x[t'24, d'26, 1], 0.0))))))
  u.im[t'9, i] = sum[j](first.weight[i, j, 0] * x[t'9, j, 1] + first.weight[i, j, 1] * x[t'9, j, 0])
  u.in.im[l, a0, a1] = u.out.im[l - 1, a0, a1 else u.im[a0, a1]]
  v.im[l, t'15, i'16] = sum[j'17]("layers.{}.weight"[l, i'16, j'17, 0] * u.in.im[l, t'15, j'17] + "layers.{}.weight"[l, i'16, j'17, 1] * u.in.re[l, t'15, j'17])
  u.out.im[l, t'18, d'19] = u.in.im[l, t'18, d'19] + v.im[l, t'18, d'19] / to_real(l + 1)
  last.im[l, d'20] = u.in.im[l, T - 1, d'20]
  h.re.before[t'27, d'28] = state.h[0, d'28, 0]
  h.im.before[t'29, d'30] = state.h[0, d'30, 1]
  y[a0'31, a1'32, part] = select(part == 0, u.out.re[1, a0'31, a1'32], u.out.im[1, a0'31, a1'32])
  p[a0'34, a1'35, a2, part'37] = select(part'37 == 0, p.re[a0'34, a1'35, a2], p.im[a0'34, a1'35, a2])
  last[a0'38, a1'39, part'40] = select(part'40 == 0, last.re[a0'38, a1'39], last.im[a0'38, a1'39])
  port parameter "a" = a, stored [3]
  port parameter "b" = b, stored [3]
  port parameter "first.weight" = first.weight, stored [3, 3, 2]
  port parameter "layers.{}.weight" = "layers.{}.weight", turns, scale 1, stored [3, 3, 2]
  port input "x" = x, batch 0
  port input "r" = r, batch 0
  port state "h" = state.h, batch 0
  port output "y" = y, batch 0
  port output "p" = p, batch 0
  port output "s" = s, batch 0
  port output "last" = last, batch 0
  port final_state "h" = state.h.final, batch 0, of 6
}
