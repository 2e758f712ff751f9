// A sum over the state in between: factors are matrices over i, the same for all j.
program low_rank {
  symbol T: stream
  index t in 0 .. T
  index i, k in 0 .. 6
  index j in 0 .. 2
  index m in 0 .. 1
  tensor key: real[T, 6]
  tensor v: real[T, 2]
  tensor S.before: real[1, 6, 2] before S axis 0
  tensor u: real[T, 2]
  tensor S: real[T, 6, 2]
  S.before[m, i, j] = 0.0
  u[t, j] = v[t, j] with sum[k](-(key[t, k] * S[t - 1, k, j else S.before[t, k, j]]))
  S[t, i, j] = S[t - 1, i, j else S.before[t, i, j]] + key[t, i] * u[t, j]
  port input "key" = key
  port input "v" = v
  port output "S" = S, streams
}
