program past_only {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t, u, v in 0 .. T
  index e in 0 .. 4
  tensor g: real[B, T, T]
  tensor h: real[B, T, T]
  tensor k: real[B, T, 4]
  tensor d: real[B, T, T]
  tensor half: real[B, T, T]
  tensor kept: real[B, T, T]
  tensor rows: real[B, T, 4]
  tensor columns: real[B, T, 4]
  tensor total: real[B, T]
  d[b, t, u] = select(u <= t, g[b, t, u], 0.0) * 2.0 + select(u <= t, h[b, t, u], 0.0)
  half[b, t, u] = d[b, t, u] / 2.0
  kept[b, t, u] = d[b, t, u] + g[b, t, u]
  rows[b, t, e] = sum[u](half[b, t, u] * k[b, u, e])
  columns[b, v, e] = sum[t](d[b, t, v] * k[b, t, e])
  total[b, t] = sum[u where u >= 1](select(u <= t and u >= 1, g[b, t, u], 0.0) + kept[b, t, u])
  port input "g" = g, batch 0
  port input "h" = h, batch 0
  port input "k" = k, batch 0
  port output "rows" = rows, batch 0
  port output "columns" = columns, batch 0
  port output "total" = total, batch 0
}
