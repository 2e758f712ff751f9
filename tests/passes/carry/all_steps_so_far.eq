program past {
  symbol B: batch
  symbol T: stream
  symbol position: position
  symbol so_far: history
  index b in 0 .. B
  index t in 0 .. T
  index u in 0 .. so_far
  index m in 0 .. position
  tensor x: real[B, T]
  tensor k: real[B, T]
  tensor k.past: real[position, B] before k axis 1
  tensor y: real[B, T]
  k[b, t] = 2.0 * x[b, t]
  k.past[m, b] = 0.0
  y[b, t] = sum[u where u <= t + position](k[b, u - position else k.past[u, b]])
  port input "x" = x, batch 0
  port output "y" = y, batch 0, streams
}
