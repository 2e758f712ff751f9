program linear {
  symbol B: batch
  index b in 0 .. B
  index o in 0 .. 3
  index i in 0 .. 5
  tensor x: real[B, 5]
  tensor w: real[3, 5]
  tensor y: real[B, 3]
  y[b, o] = sum[i](w[o, i] * x[b, i])
  port parameter "w" = w, stored [3, 5]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
}
