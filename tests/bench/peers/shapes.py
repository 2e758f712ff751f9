"""shapes.py - the whole models that several peers build: sizes, and random weights by name."""
import numpy

GPT2 = dict(V=50257, P=1024, D=768, L=12, H=12)
MAMBA = dict(V=50280, D=768, E=1536, N=16, R=48, W=4, L=24)
LLAMA = dict(V=49152, D=576, L=30, H=9, G=3, F=1536)


class Unknown(Exception):
    """The peer has no form of a work."""


def normal(random, *shape, scale=0.02):
    """The same million numbers over and over: drawing them all takes longer than the works do."""
    return numpy.resize(random.standard_normal(1 << 20, dtype=numpy.float32) * numpy.float32(scale), shape)


def gpt2_weights():
    """Of the layers in one array each, the layer first; matrices are (in, out)."""
    s, random = GPT2, numpy.random.default_rng(1)
    D, L = s["D"], s["L"]
    ones, zeros = (lambda *shape: numpy.ones(shape, numpy.float32)), (lambda *shape: numpy.zeros(shape, numpy.float32))
    layers = dict(ln1_w=ones(L, D), ln1_b=zeros(L, D), qkv_w=normal(random, L, D, 3 * D), qkv_b=zeros(L, 3 * D), proj_w=normal(random, L, D, D),
                  proj_b=zeros(L, D), ln2_w=ones(L, D), ln2_b=zeros(L, D), up_w=normal(random, L, D, 4 * D), up_b=zeros(L, 4 * D),
                  down_w=normal(random, L, 4 * D, D), down_b=zeros(L, D))
    return dict(wte=normal(random, s["V"], D), wpe=normal(random, s["P"], D), lnf_w=ones(D), lnf_b=zeros(D)), layers


def mamba_weights():
    s, random = MAMBA, numpy.random.default_rng(1)
    D, E, N, R, W, L = (s[key] for key in "DENRWL")
    ones, zeros = (lambda *shape: numpy.ones(shape, numpy.float32)), (lambda *shape: numpy.zeros(shape, numpy.float32))
    A_log = numpy.log(numpy.tile(numpy.arange(1, N + 1, dtype=numpy.float32), (L, E, 1)))
    layers = dict(norm=ones(L, D), in_w=normal(random, L, D, 2 * E), conv_w=normal(random, L, W, E, scale=0.2), conv_b=zeros(L, E),
                  x_w=normal(random, L, E, R + 2 * N), dt_w=normal(random, L, R, E), dt_b=zeros(L, E) - 4, A_log=A_log, D=ones(L, E),
                  out_w=normal(random, L, E, D))
    return dict(embedding=normal(random, s["V"], D), norm_f=ones(D)), layers
