program turns_and_steps {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u in 0 .. T
  index l in 0 .. 3
  index i, j in 0 .. 4
  tensor x: real[B, T, 4]
  tensor token: int[B, T]
  tensor w: real[4]
  tensor angle: real[3, T, 4]
  tensor turned: real[3, T, 4]
  tensor decay: real[3, T, 4]
  tensor doubled: real[3, 4]
  tensor table: real[4, 4]
  tensor past: real[3, 4]
  tensor x.in: real[3, B, T, 4]
  tensor x.out: real[3, B, T, 4]
  tensor y: real[B, T, 4]
  angle[l, t, i] = to_real(t) * to_real(i)
  turned[l, t, i] = cos(angle[l, t, i])
  decay[l, t, i] = exp(doubled[l, i])
  doubled[l, i] = w[i] with sum[j](w[j] * turned[l, 0, j])
  table[i, j] = w[j]
  past[l, i] = w[i]
  x.in[l, b, t, i] = x.out[l - 1, b, t, i else x[b, t, i]]
  x.out[l, b, t, i] = x.in[l, b, t, i] * turned[l, t, i] + decay[l, t, i] + past[l - 1, i else 0.0]
  y[b, t, i] = x.out[2, b, t, i] + table[token[b, t], i]
  port parameter "w" = w, stored [4]
  port input "x" = x, batch 0
  port input "token" = token, batch 0
  port output "y" = y, batch 0
}
