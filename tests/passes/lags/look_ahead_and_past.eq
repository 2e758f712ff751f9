program mixed {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index u in 0 .. T
  index l in 0 .. 3
  index m in 0 .. 2
  tensor x: real[T]
  tensor x.before: real[2] before x axis 0
  tensor past: real[T]
  tensor next: real[T]
  tensor total: real[]
  tensor last: real[]
  tensor back: real[T]
  x.before[m] = 0.0
  past[t] = sum[l](x[t - l else x.before[t - l + 2]])
  next[t] = x[t + 1 else 0.0]
  total[] = sum[u](x[u])
  last[] = past[T - 1]
  back[t] = x[t] - last[]
  port input "x" = x
  port output "past" = past
  port output "next" = next
  port output "total" = total
  port output "last" = last
  port output "back" = back
}
