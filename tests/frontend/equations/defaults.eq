program defaults {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 2
  index t'2 in 0 .. T
  index d'3 in 0 .. 2
  index t'4 in 0 .. T
  index n in 0 .. 2
  tensor x: real[T, 2]
  tensor "by": real[2]
  tensor u: real[T, 2]
  tensor v: real[T, 2]
  tensor y: real[T, 2]
  u[t, d] = "by"[d] * x[t, d]
  v[t'2, d'3] = u[t'2, d'3] + 3.0
  y[t'4, n] = v[t'4, n] * v[t'4, n]
  port parameter "by" = "by", stored [2], constant(0.1, 0)
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
