// Keys are a sum over an input that is whole, and read at every step: they are kept. So is the state before the first step.
// `doubled` costs nothing, `table` comes from parameters, and `start` depends on a declared state: these are not.
program whole_inputs {
  symbol B: batch
  symbol T: stream
  symbol S: length
  index b in 0 .. B
  index t in 0 .. T
  index s in 0 .. S
  index n, m in 0 .. 4
  index slot in 0 .. 1
  tensor memory: real[B, S, 4]
  tensor x: real[B, T, 4]
  tensor w: real[4, 4]
  tensor start: real[B, 4]
  tensor key: real[B, S, 4]
  tensor doubled: real[B, S, 4]
  tensor table: real[4]
  tensor score: real[B, T]
  tensor y.before: real[1, B, 4] before y axis 1
  tensor y: real[B, T, 4]
  tensor z.before: real[1, B, 4] before z axis 1
  tensor z: real[B, T, 4]
  tensor last: real[B, 4]
  key[b, s, n] = sum[m](w[n, m] * memory[b, s, m])
  doubled[b, s, n] = 2.0 * memory[b, s, n]
  table[n] = sum[m](w[n, m])
  score[b, t] = sum[s, n](key[b, s, n] * x[b, t, n] * doubled[b, s, n])
  y.before[slot, b, n] = memory[b, 0, n]
  y[b, t, n] = score[b, t] * table[n] + y[b, t - 1, n else y.before[t, b, n]]
  z.before[slot, b, n] = start[b, n] * memory[b, 0, n]
  z[b, t, n] = y[b, t, n] + z[b, t - 1, n else z.before[t, b, n]]
  last[b, n] = z[b, T - 1, n]
  port parameter "w" = w, stored [4, 4]
  port input "memory" = memory, batch 0
  port input "x" = x, batch 0
  port state "start" = start, batch 0
  port output "y" = y, batch 0, streams
  port output "key" = key, batch 0, streams
  port final_state "start" = last, batch 0, of 3, streams
}
