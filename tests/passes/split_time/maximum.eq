// With + and max for * and +. The second one is nonlinear, the third compared for equality, the fourth too short: they stay.
program maximum {
  symbol T: stream
  index t in 0 .. T
  index n in 0 .. 4
  tensor x: real[T]
  tensor top: real[T]
  tensor bent: real[T]
  tensor high: real[T]
  tensor is_high: real[T]
  tensor few: real[4]
  top[t] = max(top[t - 1 else -1000.0] + 0.5, x[t])
  bent[t] = tanh(bent[t - 1 else 0.0]) + x[t]
  high[t] = max(high[t - 1 else -1000.0], x[t])
  is_high[t] = select(high[t] == x[t], 1.0, 0.0)
  few[n] = 0.5 * few[n - 1 else 1.0]
  port input "x" = x
  port output "top" = top
  port output "bent" = bent
  port output "is_high" = is_high
  port output "few" = few
}
