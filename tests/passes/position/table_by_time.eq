program placed {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  tensor x: real[T]
  tensor x.before: real[1] before x axis 0
  tensor table: real[64]
  tensor y: real[T]
  index m in 0 .. 1
  x.before[m] = 0.0
  y[t] = x[t] + x[t - 1 else x.before[t]] * table[t] + to_real(t)
  port parameter "table" = table, stored [64]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
