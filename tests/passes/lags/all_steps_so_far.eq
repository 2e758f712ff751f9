program past {
  symbol B: batch
  symbol T: stream
  index t, u in 0 .. T
  tensor x: real[T]
  tensor square: real[T, T]
  tensor masked: real[T, T]
  tensor guarded: real[T]
  tensor by_zero: real[T]
  tensor highest: real[T]
  tensor distance: real[T]
  tensor early: real[T]
  tensor ahead: real[T]
  tensor count: real[T]
  tensor stale: real[T]
  square[t, u] = x[t] * x[u]
  masked[t, u] = select(u <= t, square[t, u], -inf)
  guarded[t] = sum[u where u <= t](square[t, u])
  by_zero[t] = sum[u](exp(masked[t, u] - highest[t]) * x[u])
  highest[t] = max[u](masked[t, u])
  distance[t] = sum[u where u <= t](square[t, t - u] * x[t - u])
  early[t] = sum[u where u < t](x[u] / to_real(u + 1))
  ahead[t] = sum[u where u <= t + 1](square[t, u])
  count[t] = sum[u](to_real(u))
  stale[t] = sum[u where u < t](square[t - 1, u else 0.0])
  port input "x" = x
  port output "guarded" = guarded
  port output "by_zero" = by_zero
  port output "distance" = distance
  port output "early" = early
  port output "ahead" = ahead
  port output "count" = count
  port output "stale" = stale
  port output "square" = square
}
