program scored {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 3
  batch index r in 0 .. B
  tensor x: real[T, 3]
  tensor w: real[3]
  tensor y: real[T]
  tensor s: real[]
  tensor loss: real[]
  y[t] = sum[n](w[n] * x[t, n])
  s[] = sum[r, t](y[t] * y[t])
  loss[] = s[] / to_real(B * T)
  port parameter "w" = w, stored [3]
  port input "x" = x, batch 0
  port output "y" = y, batch 0
  port output "loss" = loss, batch 0
}
