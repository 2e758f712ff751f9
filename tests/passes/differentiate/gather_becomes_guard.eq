program looked_up {
  symbol T: stream
  index t in 0 .. T
  index d in 0 .. 4
  tensor token: int[T]
  tensor table: real[9, 4]
  tensor y: real[T, 4]
  tensor s: real[]
  y[t, d] = max(table[token[t], d], 0.0)
  s[] = sum[t, d where t > 0](y[t, d] * y[t, d])
  port parameter "table" = table, stored [9, 4]
  port input "token" = token
  port objective "s" = s
}
