program cycle {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 3
  index t'2 in 0 .. T
  index d'3 in 0 .. 3
  index t'4 in 0 .. T
  index d'5 in 0 .. 3
  index t'6 in 0 .. T
  index d'7 in 0 .. 3
  index t'8 in 0 .. T
  index d'9 in 0 .. 3
  index t'10 in 0 .. 1
  index d'11 in 0 .. 3
  index t'12 in 0 .. 1
  index d'13 in 0 .. 3
  tensor x: real[T, 3]
  tensor S: real[T, 3]
  tensor r: real[T, 3]
  tensor y: real[T, 3]
  tensor n: int[T, 3]
  tensor c: int[T, 3]
  tensor S.before: real[1, 3] before S axis 0
  tensor c.before: int[1, 3] before c axis 0
  S[t, d] = r[t, d]
  r[t'2, d'3] = select(x[t'2, d'3] > 0.0, S[t'2 - 1, d'3 else S.before[t'2, d'3]], S[t'2 - 1, d'3 else S.before[t'2, d'3]] + x[t'2, d'3])
  y[t'4, d'5] = S[t'4, d'5]
  n[t'6, d'7] = c[t'6, d'7]
  c[t'8, d'9] = c[t'8 - 1, d'9 else c.before[t'8, d'9]] + select(x[t'8, d'9] > 0.0, 1, 2)
  S.before[t'10, d'11] = 0.0
  c.before[t'12, d'13] = 0
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "n" = n, batch 0
}
