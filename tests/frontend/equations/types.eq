program types {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 3
  index t'2 in 0 .. T
  index d'3 in 0 .. 3
  batch index "batch" in 0 .. B
  index t'5 in 0 .. T
  index d'6 in 0 .. 3
  tensor token: int[T]
  tensor x: real[T, 3]
  tensor table: int[5]
  tensor embedding: real[5, 3]
  tensor y: real[T, 3]
  tensor best: int[T]
  tensor spread: real[]
  tensor spread.1: real[]
  y[t, d] = embedding[table[token[t]], d] * to_real(t + 1) / 2.0 + select(token[t] == 0 or x[t, d] < 0.0, 0.0, x[t, d] * x[t, d])
  best[t'2] = argmax[d'3](x[t'2, d'3])
  spread.1[] = sum["batch", t'5, d'6](x[t'5, d'6] * x[t'5, d'6] * x[t'5, d'6])
  spread[] = spread.1[] / (to_real(B) * to_real(T) * 3.0) + 3.141592653589793
  port parameter "embedding" = embedding, stored [5, 3]
  port input "token" = token, batch 0
  port input "x" = x, batch 0
  port input "table" = table
  port output "y" = y, batch 0
  port output "best" = best, batch 0
  port output "spread" = spread
}
