program complex_modes {
  symbol B: batch
  symbol T: stream
  index b in 0 .. B
  index t in 0 .. T
  index h in 0 .. 8
  index n in 0 .. 4
  index m in 0 .. 1
  tensor u: real[B, T, 8]
  tensor decay: real[8, 4, 2]
  tensor gain: real[8, 4, 2]
  tensor c: real[8, 4, 2]
  tensor re.before: real[1, B, 8, 4] before re axis 1
  tensor im.before: real[1, B, 8, 4] before im axis 1
  tensor re: real[B, T, 8, 4]
  tensor im: real[B, T, 8, 4]
  tensor y: real[B, T, 8]
  tensor z: real[B, T, 8]
  re.before[m, b, h, n] = 0.0
  im.before[m, b, h, n] = 0.0
  re[b, t, h, n] = decay[h, n, 0] * re[b, t - 1, h, n else re.before[t, b, h, n]] - decay[h, n, 1] * im[b, t - 1, h, n else im.before[t, b, h, n]] + gain[h, n, 0] * u[b, t, h]
  im[b, t, h, n] = decay[h, n, 0] * im[b, t - 1, h, n else im.before[t, b, h, n]] + decay[h, n, 1] * re[b, t - 1, h, n else re.before[t, b, h, n]] + gain[h, n, 1] * u[b, t, h]
  y[b, t, h] = u[b, t, h] with sum[n](2.0 * (c[h, n, 0] * re[b, t, h, n] - c[h, n, 1] * im[b, t, h, n]))
  z[b, t, h] = sum[n where n < 3](-im[b, t, h, n] * 0.25)
  port parameter "decay" = decay, stored [8, 4, 2]
  port parameter "gain" = gain, stored [8, 4, 2]
  port parameter "c" = c, stored [8, 4, 2]
  port input "u" = u, batch 0
  port output "y" = y, batch 0
}
