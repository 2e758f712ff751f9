program of_long_rows {
  symbol T: stream
  index t in 0 .. T
  index v in 0 .. 5000
  index s in 0 .. 63
  tensor x: real[T, 5000]
  tensor w: real[T]
  tensor label: int[T]
  tensor letter: int[T]
  tensor long: real[T, 5000]
  tensor short: real[T, 63]
  tensor total: real[]
  tensor known: real[]
  tensor masked: real[T]
  tensor few: real[T]
  tensor alone: real[T]
  long[t, v] = x[t, v] * w[t]
  short[t, s] = x[t, s]
  total[] = sum[t](w[t] * (long[t, label[t]] - x[t, label[t]]) * (w[t] + long[t, label[t]]))
  known[] = sum[t where t >= 1](long[t, 17] + long[t, label[t - 1]])
  masked[t] = select(w[t] > 0.5, exp(long[t, label[t]]), w[t])
  few[t] = exp(short[t, letter[t]])
  alone[t] = long[t, label[t]]
  port input "x" = x
  port input "w" = w
  port input "label" = label
  port input "letter" = letter
  port output "total" = total
  port output "known" = known
  port output "masked" = masked
  port output "few" = few
  port output "alone" = alone
}
