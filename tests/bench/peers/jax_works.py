"""jax_works.py - the works in JAX, under jit. Layers of whole models go through lax.scan, and so do steps."""
import jax
import jax.numpy as jnp
import numpy
from jax import lax

import shapes

RANDOM = numpy.random.default_rng(2)


def values(*shape, low=-1.0, high=1.0):
    return jnp.asarray(RANDOM.uniform(low, high, shape).astype(numpy.float32))


def tokens_of(count, *shape):
    return jnp.asarray(RANDOM.integers(0, count, shape).astype(numpy.int32))


def ready(function, inputs):
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(*inputs))


def of_function(function, inputs, sizes):
    """Forward, or also the gradients of all inputs for a given one of the result."""
    if not sizes.get("gradient"):
        return ready(function, inputs)
    cotangent = jnp.ones_like(function(*inputs)) * 0.5

    def gradients(cotangent, *inputs):
        result, pull = jax.vjp(function, *inputs)
        return result, pull(cotangent)

    return ready(gradients, [cotangent, *inputs])


def adamw_update(parameter, gradient, first, second, rate=1e-4):
    first = 0.9 * first + 0.1 * gradient
    second = 0.99 * second + 0.01 * gradient * gradient
    return parameter * (1 - 0.01 * rate) - rate * first / (jnp.sqrt(second) + 1e-8), first, second


def training(loss, weights):
    """A step with AdamW and clipping; the old weights and moments give their memory to the new."""
    def step(weights, first, second):
        gradients = jax.grad(loss)(weights)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradients)))
        gradients = jax.tree.map(lambda g: g * jnp.minimum(1.0, 1.0 / (norm + 1e-6)), gradients)
        form = jax.tree.structure(weights)
        moved = [adamw_update(*parts) for parts in zip(*map(jax.tree.leaves, (weights, gradients, first, second)))]
        return tuple(jax.tree.unflatten(form, [parts[n] for parts in moved]) for n in range(3))

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    holder = [(weights, jax.tree.map(jnp.zeros_like, weights), jax.tree.map(jnp.zeros_like, weights))]

    def work():
        holder[0] = jax.block_until_ready(compiled(*holder[0]))

    return work


def cross_entropy(logits, targets):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1))


# ---- kernels ----

def lstm(x, w_in, w_hidden, bias):
    """x (T, B, H)."""
    hoisted = x @ w_in + bias

    def step(carried, z):
        h, c = carried
        i, f, g, o = jnp.split(z + h @ w_hidden, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((x.shape[1], w_hidden.shape[0]), x.dtype)
    return lax.scan(step, (zero, zero), hoisted)[1]


def gru(x, w_in, w_hidden, bias):
    hoisted = x @ w_in + bias

    def step(h, a):
        (ar, az, an), (br, bz, bn) = jnp.split(a, 3, -1), jnp.split(h @ w_hidden, 3, -1)
        z = jax.nn.sigmoid(az + bz)
        h = (1 - z) * jnp.tanh(an + jax.nn.sigmoid(ar + br) * bn) + z * h
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[1], w_hidden.shape[0]), x.dtype), hoisted)[1]


def recurrent(kind, sizes):
    T, B, H = sizes["T"], sizes["B"], sizes["H"]
    G, function, bound = (4, lstm, H ** -0.5) if kind == "lstm" else (3, gru, H ** -0.5)
    weights = [values(H, G * H, low=-bound, high=bound), values(H, G * H, low=-bound, high=bound), values(G * H)]
    return of_function(function, [values(T, B, H), *weights], sizes)


def char_lm(sizes):
    T, B, H, V, L = (sizes[key] for key in ("T", "B", "H", "V", "L"))
    layers = [(values(H, 4 * H) * H ** -0.5, values(H, 4 * H) * H ** -0.5, values(4 * H)) for _ in range(L)]
    weights = dict(embedding=values(V, H), layers=layers, head=values(H, V) * H ** -0.5, head_bias=values(V))
    tokens, targets = tokens_of(V, T, B), tokens_of(V, T, B)

    def loss(weights):
        x = weights["embedding"][tokens]
        for layer in weights["layers"]:
            x = lstm(x, *layer)
        return cross_entropy(x @ weights["head"] + weights["head_bias"], targets)

    return training(loss, weights)


def scan_steps(x, dt, A, B, C, D):
    def step(state, inputs):
        x, dt, B, C = inputs
        state = jnp.exp(dt[:, None] * A) * state + (dt * x)[:, None] * B
        return state, state @ C

    return lax.scan(step, jnp.zeros_like(A), (x, dt, B, C))[1] + D * x


def scan(sizes):
    T, E, N = sizes["T"], sizes["D"], sizes["N"]
    A = -jnp.tile(jnp.arange(1.0, N + 1), (E, 1))
    return scan_steps, [values(T, E), values(T, E, low=0.001, high=0.1), A, values(T, N), values(T, N), values(E)]


def s4d(sizes):
    T, C, N, B = sizes["T"], sizes["C"], sizes["N"] // 2, sizes["B"]

    def function(u, log_dt, decay, angle, mix, skip):
        A = -jnp.exp(decay) + 1j * angle
        dtA = A * jnp.exp(log_dt)[:, None]
        gain = (mix[..., 0] + 1j * mix[..., 1]) * (jnp.exp(dtA) - 1) / A
        kernel = 2 * jnp.einsum("hn,hnt->ht", gain, jnp.exp(dtA[..., None] * jnp.arange(T))).real
        y = jnp.fft.irfft(jnp.fft.rfft(u, n=2 * T) * jnp.fft.rfft(kernel, n=2 * T), n=2 * T)[..., :T]
        return y + u * skip[:, None]

    inputs = [values(B, C, T), values(C, low=-6.9, high=-2.3), jnp.full((C, N), -0.7), values(C, N, low=0, high=3.14 * N), values(C, N, 2), values(C)]
    return function, inputs


def causal_attention(q, k, v):
    """q, k, v (B, T, H, K)."""
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


def attention(sizes):
    return causal_attention, [values(1, sizes["S"], sizes["H"], sizes["D"]) for _ in range(3)]


def adamw(sizes):
    compiled = jax.jit(adamw_update, donate_argnums=(0, 2, 3))
    shape = (sizes["P"] // 768, 768)
    gradient = jnp.full(shape, 1e-3)
    holder = [(jnp.ones(shape), jnp.zeros(shape), jnp.zeros(shape))]

    def work():
        parameter, first, second = holder[0]
        holder[0] = jax.block_until_ready(compiled(parameter, gradient, first, second))

    return work


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * weight + bias


def rows(kind, sizes):
    N = sizes["N"]
    functions = {"softmax": jax.nn.softmax, "gelu": lambda x: jax.nn.gelu(x, approximate=False), "exp": jnp.exp,
                 "layernorm": lambda x: layer_norm(x, jnp.ones(N), jnp.zeros(N))}
    return functions[kind], [values(sizes["M"], N)]


# ---- whole models ----

def gpt2(weights, tokens):
    whole, layers = weights
    B, T = tokens.shape
    heads = shapes.GPT2["H"]

    def layer(x, w):
        u = layer_norm(x, w["ln1_w"], w["ln1_b"])
        q, k, v = ((u @ w["qkv_w"] + w["qkv_b"]).reshape(B, T, 3, heads, -1)[:, :, n] for n in range(3))
        x = x + causal_attention(q, k, v).reshape(B, T, -1) @ w["proj_w"] + w["proj_b"]
        u = layer_norm(x, w["ln2_w"], w["ln2_b"])
        return x + jax.nn.gelu(u @ w["up_w"] + w["up_b"]) @ w["down_w"] + w["down_b"], None

    x = lax.scan(layer, whole["wte"][tokens] + whole["wpe"][:T], layers)[0]
    return layer_norm(x, whole["lnf_w"], whole["lnf_b"]) @ whole["wte"].T


def gpt2_token(weights, token, keys, vals, position):
    """keys, vals (L, P, H, K) with the earlier steps below position."""
    whole, layers = weights
    H, D = shapes.GPT2["H"], shapes.GPT2["D"]

    def layer(x, inputs):
        w, keys, vals = inputs
        q, k, v = (layer_norm(x, w["ln1_w"], w["ln1_b"]) @ w["qkv_w"] + w["qkv_b"]).reshape(3, H, -1)
        keys, vals = keys.at[position].set(k), vals.at[position].set(v)
        scores = jnp.einsum("hk,uhk->hu", q, keys) * (D // H) ** -0.5
        scores = jnp.where(jnp.arange(keys.shape[0]) <= position, scores, -jnp.inf)
        mixed = jnp.einsum("hu,uhk->hk", jax.nn.softmax(scores), vals).reshape(-1)
        x = x + mixed @ w["proj_w"] + w["proj_b"]
        u = layer_norm(x, w["ln2_w"], w["ln2_b"])
        return x + jax.nn.gelu(u @ w["up_w"] + w["up_b"]) @ w["down_w"] + w["down_b"], (k, v)

    x, _ = lax.scan(layer, whole["wte"][token] + whole["wpe"][position], (layers, keys, vals))
    return layer_norm(x, whole["lnf_w"], whole["lnf_b"]) @ whole["wte"].T


def rms_norm(x, weight):
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight


def mamba(weights, tokens, states=None):
    """tokens (B, T); states are those of the convolutions and scans, the layer first."""
    whole, layers = weights
    s = shapes.MAMBA
    N, R, W, E, L = s["N"], s["R"], s["W"], s["E"], s["L"]
    B, T = tokens.shape
    states = states or (jnp.zeros((L, B, W - 1, E)), jnp.zeros((L, B, E, N)))

    def layer(x, inputs):
        w, past, state = inputs
        inner, gate = jnp.split(rms_norm(x, w["norm"]) @ w["in_w"], 2, -1)
        padded = jnp.concatenate([past, inner], 1)
        inner = jax.nn.silu(sum(padded[:, k:k + T] * w["conv_w"][k] for k in range(W)) + w["conv_b"])
        rank, enter, leave = jnp.split(inner @ w["x_w"], [R, R + N], -1)
        dt, A = jax.nn.softplus(rank @ w["dt_w"] + w["dt_b"]), -jnp.exp(w["A_log"])

        def step(state, inputs):
            d, i, e, c = inputs
            state = jnp.exp(d[..., None] * A) * state + (d * i)[..., None] * e[:, None]
            return state, jnp.einsum("ben,bn->be", state, c)

        by_step = tuple(jnp.moveaxis(part, 1, 0) for part in (dt, inner, enter, leave))
        state, y = lax.scan(step, state, by_step)
        y = (jnp.moveaxis(y, 0, 1) + w["D"] * inner) * jax.nn.silu(gate)
        return x + y @ w["out_w"], (padded[:, -(W - 1):], state)

    x, states = lax.scan(layer, whole["embedding"][tokens], (layers, *states))
    return rms_norm(x, whole["norm_f"]) @ whole["embedding"].T, states


def model_weights(is_gpt2):
    return jax.tree.map(jnp.asarray, shapes.gpt2_weights() if is_gpt2 else shapes.mamba_weights())


def whole_model(kind, sizes):
    weights, V = model_weights(kind == "gpt2"), (shapes.GPT2 if kind == "gpt2" else shapes.MAMBA)["V"]
    tokens, targets = tokens_of(V, sizes["B"], sizes["T"]), tokens_of(V, sizes["B"], sizes["T"])
    function = gpt2 if kind == "gpt2" else lambda weights, tokens: mamba(weights, tokens)[0]
    if not sizes.get("training"):
        return ready(function, [weights, tokens])
    return training(lambda weights: cross_entropy(function(weights, tokens), targets), weights)


def decode(sizes):
    T, is_gpt2 = sizes["prompt"], sizes["model"] == "gpt2"
    if sizes["model"] not in ("gpt2", "mamba"):
        raise shapes.Unknown("not written")
    weights = model_weights(is_gpt2)
    if not sizes.get("token"):
        return ready(gpt2 if is_gpt2 else lambda weights, tokens: mamba(weights, tokens)[0], [weights, tokens_of(50000, 1, T)])
    if not is_gpt2:
        s = shapes.MAMBA
        states = (jnp.zeros((s["L"], 1, s["W"] - 1, s["E"])), jnp.zeros((s["L"], 1, s["E"], s["N"])))
        return ready(lambda weights, token, states: mamba(weights, token, states), [weights, tokens_of(50000, 1, 1), states])
    s = shapes.GPT2
    cache = jnp.zeros((s["L"], T + 1, s["H"], s["D"] // s["H"]))
    return ready(gpt2_token, [weights, tokens_of(50000)[()], cache, cache, jnp.int32(T)])


def setup(kind, sizes, threads, name):
    del threads, name
    if kind == "gemm":
        return ready(jnp.matmul, [values(sizes["M"], sizes["K"]), values(sizes["K"], sizes["N"])])
    if kind in ("lstm", "gru"):
        return recurrent(kind, sizes)
    if kind in ("gpt2", "mamba"):
        return whole_model(kind, sizes)
    direct = {"charlstm": char_lm, "adamw": adamw, "decode": decode}
    if kind in direct:
        return direct[kind](sizes)
    made = {"scan": scan, "s4d": s4d, "attention": attention}
    function, inputs = made[kind](sizes) if kind in made else rows(kind, sizes)
    return of_function(function, inputs, sizes)
