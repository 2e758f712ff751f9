program lengths {
  symbol B: batch
  symbol T: stream
  symbol S: length
  index s in 0 .. S
  index t, u in 0 .. T
  tensor x: real[T]
  tensor source: real[S]
  tensor y: real[T]
  tensor y.1: real[]
  tensor y.2: real[T]
  tensor y.3: real[T]
  y.1[] = sum[s](source[s])
  y.2[t] = sum[u where u >= t](x[u])
  y.3[t] = sum[u where u >= t](1.0)
  y[t] = x[t] * (y.1[] / to_real(S)) + y.2[t] / y.3[t]
  port input "x" = x, batch 0
  port input "source" = source, batch 0
  port output "y" = y, batch 0
}
