program filtered {
  symbol T: stream
  index t in 0 .. T
  index l in 0 .. 3
  tensor x: real[T]
  tensor k: real[3]
  tensor y: real[T]
  y[t] = sum[l](k[l] * x[t - l else 0.0])
  port parameter "k" = k, stored [3]
  port input "x" = x
  port output "y" = y
}
