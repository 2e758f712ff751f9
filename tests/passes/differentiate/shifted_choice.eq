program shifted_choice {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T - 1
  tensor logits: real[T, 5]
  tensor token: int[T]
  tensor s: real[]
  s[] = sum[t](logits[t, token[t + 1]])
  port input "logits" = logits
  port input "token" = token
  port objective "s" = s
}
