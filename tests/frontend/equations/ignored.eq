program two {
  symbol B: batch
  symbol T: stream
  index l in 0 .. 3
  index a0 in 0 .. T
  index a1 in 0 .. 2
  index t in 0 .. T
  index d in 0 .. 2
  index t'5 in 0 .. T
  index d'6 in 0 .. 2
  index t'7 in 0 .. T
  index d'8 in 0 .. 2
  tensor x: real[T, 2]
  tensor x.in: real[3, T, 2]
  tensor "layers.{}.weight_f": real[3, 2]
  tensor x.out: real[3, T, 2]
  tensor last.0.weight: real[2]
  tensor x.out.2: real[T, 2]
  tensor last.1.weight: real[2]
  tensor x.out.3: real[T, 2]
  x.in[l, a0, a1] = x.out[l - 1, a0, a1 else x[a0, a1]]
  x.out[l, t, d] = "layers.{}.weight_f"[l, d] * x.in[l, t, d]
  x.out.2[t'5, d'6] = last.0.weight[d'6] * x.out[2, t'5, d'6]
  x.out.3[t'7, d'8] = last.1.weight[d'8] * x.out.2[t'7, d'8]
  port parameter "layers.{}.weight_f" = "layers.{}.weight_f", turns, scale 1, stored [2]
  port parameter "last.0.weight" = last.0.weight, stored [2]
  port parameter "last.1.weight" = last.1.weight, stored [2]
  port input "x" = x, batch 0
  port output "y" = x.out.3, batch 0
  ignored "position_ids"
  ignored "layers.*.running_*_f"
  ignored "last.0.running_*"
  ignored "last.1.running_*"
}
