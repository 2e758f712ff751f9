// One factor for each element; the boundary belongs to the first piece, and what does not change with the row has no row.
program diagonal {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index d in 0 .. 3
  index m in 0 .. 1
  tensor x: real[B, T, 3]
  tensor a: real[3]
  tensor h.before: real[1, B, 3] before h axis 1
  tensor h: real[B, T, 3]
  h.before[m, b, d] = 1.0
  h[b, t, d] = a[d] * h[b, t - 1, d else h.before[t, b, d]] + x[b, t, d]
  port parameter "a" = a, stored [3]
  port input "x" = x, batch 0
  port output "h" = h, batch 0, streams
}
