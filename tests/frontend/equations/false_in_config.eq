program gates {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 3
  index t'2 in 0 .. T
  index d'3 in 0 .. 3
  index t'4 in 0 .. T
  index d'5 in 0 .. 3
  tensor x: real[T, 3]
  tensor y: real[T, 3]
  tensor z: real[T, 3]
  tensor w: real[T, 3]
  y[t, d] = x[t, d]
  z[t'2, d'3] = x[t'2, d'3]
  w[t'4, d'5] = 4.0 * x[t'4, d'5]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "z" = z, batch 0
  port output "w" = w, batch 0
}
