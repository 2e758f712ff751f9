program shared_heads {
  symbol B: batch
  symbol T: stream
  index t, u in 0 .. T
  index h in 0 .. 6
  index c in 0 .. 4
  tensor q: real[T, 6, 4]
  tensor k: real[T, 2, 4]
  tensor s: real[T, 6, T]
  s[t, h, u] = sum[c](q[t, h, c] * k[u, quotient(2 * h, 6), c])
  port input "q" = q
  port input "k" = k
  port output "s" = s
}
