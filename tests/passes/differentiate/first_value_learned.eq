// What lies before the first step is a parameter in the call with that step only; in later ones it came in.
program first_value_learned {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index n in 0 .. 4
  index slot in 0 .. 1
  tensor x: real[B, T, 4]
  tensor h0: real[4]
  tensor y.before: real[1, B, 4] before y axis 1
  tensor y: real[B, T, 4]
  y.before[slot, b, n] = h0[n]
  y[b, t, n] = x[b, t, n] + 0.5 * y[b, t - 1, n else y.before[t, b, n]]
  port parameter "h0" = h0, stored [4]
  port input "x" = x, batch 0
  port output "y" = y, batch 0, streams
}
