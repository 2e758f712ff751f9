program shown {
  symbol T: stream
  index t in 0 .. T
  tensor x: real[T]
  tensor y: real[T]
  tensor z: real[T]
  y[t] = tanh(x[t])
  z[t] = y[t] * y[t]
  port input "x" = x
  port output "y" = y
  port output "z" = z
  port output "again" = z
}
