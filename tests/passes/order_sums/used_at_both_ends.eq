program used_at_both_ends {
  symbol T: stream
  index t in 0 .. T
  index v in 0 .. 9
  index d in 0 .. 4
  tensor token: int[T]
  tensor w: real[9, 4]
  tensor x: real[T, 4]
  tensor p: real[T, 9]
  tensor d.x: real[T, 4]
  tensor d.first: real[9, 4]
  tensor d.last: real[9, 4]
  tensor d.w: real[9, 4]
  x[t, d] = w[token[t], d]
  p[t, v] = sum[d](w[v, d] * x[t, d])
  d.x[t, d] = sum[v](w[v, d] * p[t, v])
  d.first[v, d] = sum[t where v == token[t]](d.x[t, d])
  d.last[v, d] = sum[t](p[t, v] * x[t, d])
  d.w[v, d] = d.first[v, d] + d.last[v, d]
  port parameter "w" = w, stored [9, 4]
  port input "token" = token
  port output "d.w" = d.w
}
