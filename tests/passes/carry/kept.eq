// A kept tensor is computed in the call with the first step; a boundary that is kept takes its value there too.
program kept {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index n, m in 0 .. 4
  index slot in 0 .. 1
  tensor memory: real[B, 4]
  tensor x: real[B, T, 4]
  tensor w: real[4, 4]
  tensor key.kept: real[B, 4] kept
  tensor y.before: real[1, B, 4] kept before y axis 1
  tensor y: real[B, T, 4]
  key.kept[b, n] = sum[m](w[n, m] * memory[b, m])
  y.before[slot, b, n] = memory[b, n]
  y[b, t, n] = key.kept[b, n] * x[b, t, n] + y[b, t - 1, n else y.before[t, b, n]]
  port parameter "w" = w, stored [4, 4]
  port input "memory" = memory, batch 0
  port input "x" = x, batch 0
  port output "y" = y, batch 0, streams
}
