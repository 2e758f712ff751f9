program objective_mean {
  symbol B: batch
  symbol T: stream
  index t in 0 .. T
  index v in 0 .. 4
  index t'2 in 0 .. T
  index u, u'4 in 0 .. 4
  batch index b in 0 .. B
  tensor x: real[T, 4]
  tensor bias: real[4]
  tensor y: real[T, 4]
  tensor target: int[T]
  tensor loss: real[]
  tensor loss.1: real[T]
  tensor loss.2: real[T]
  tensor loss.3: real[]
  tensor loss.sum: real[]
  tensor loss.mean: real[]
  y[t, v] = x[t, v] + bias[v]
  loss.1[t'2] = max[u](y[t'2, u])
  loss.2[t'2] = sum[u'4](exp(y[t'2, u'4] - stop_gradient(loss.1[t'2])))
  loss.3[] = sum[t'2](stop_gradient(loss.1[t'2]) + log(loss.2[t'2]) - y[t'2, target[t'2]])
  loss[] = loss.3[] / to_real(T)
  loss.sum[] = sum[b](loss[])
  loss.mean[] = loss.sum[] / to_real(B)
  port parameter "bias" = bias, stored [4]
  port input "x" = x, batch 0
  port input "target" = target, batch 0, for_objective
  port output "y" = y, batch 0
  port objective "loss" = loss.mean
}
