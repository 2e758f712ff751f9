"""torch_works.py - the works in PyTorch, as its users write them: eager, and compiled where its compiler does not unroll the steps."""
import torch
import torch.nn.functional as F

import shapes

COMPILED = {"softmax", "layernorm", "gelu", "exp", "attention", "s4d", "gpt2", "decode"}


def values(*shape, low=-1.0, high=1.0):
    return torch.rand(shape) * (high - low) + low


def with_gradient(function, inputs, parameters=()):
    """Forward, and the gradients of inputs and parameters for a given one of the result."""
    leaves = [*inputs, *parameters]
    for leaf in leaves:
        leaf.requires_grad_(True)
    cotangent = torch.rand_like(function(*inputs).detach())

    def work():
        for leaf in leaves:
            leaf.grad = None
        function(*inputs).backward(cotangent)

    return work


def forward_only(function, inputs):
    def work():
        with torch.inference_mode():
            function(*inputs)

    return work


def of_function(function, inputs, sizes, parameters=()):
    return with_gradient(function, inputs, parameters) if sizes.get("gradient") else forward_only(function, inputs)


def training(loss, parameters):
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def work():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return work


# ---- kernels ----

def recurrent(kind, sizes):
    T, B, H = sizes["T"], sizes["B"], sizes["H"]
    layer = getattr(torch.nn, kind.upper())(H, H)
    return of_function(lambda x: layer(x)[0], [values(T, B, H)], sizes, list(layer.parameters()))


class CharLM(torch.nn.Module):
    def __init__(self, V, H, L):
        super().__init__()
        self.embedding, self.lstm, self.head = torch.nn.Embedding(V, H), torch.nn.LSTM(H, H, L, batch_first=True), torch.nn.Linear(H, V)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0])


def char_lm(sizes):
    T, B, V = sizes["T"], sizes["B"], sizes["V"]
    model = CharLM(V, sizes["H"], sizes["L"])
    tokens, targets = torch.randint(V, (B, T)), torch.randint(V, (B * T,))
    return training(lambda: F.cross_entropy(model(tokens).view(-1, V), targets), list(model.parameters()))


def scan_steps(x, dt, A, B, C, D):
    """x, dt (T, E); B, C (T, N). A loop over the steps."""
    state = torch.zeros_like(A)
    decay = torch.exp(dt.unsqueeze(-1) * A).unbind(0)
    entering = ((dt * x).unsqueeze(-1) * B.unsqueeze(1)).unbind(0)
    results = []
    for a, b, c in zip(decay, entering, C.unbind(0)):
        state = torch.addcmul(b, a, state)
        results.append(state @ c)
    return torch.stack(results) + D * x


def scan(sizes):
    T, E, N = sizes["T"], sizes["D"], sizes["N"]
    A, D = -torch.arange(1.0, N + 1).repeat(E, 1), torch.ones(E)
    inputs = [values(T, E), values(T, E, low=0.001, high=0.1), A, values(T, N), values(T, N), D]
    return of_function(scan_steps, inputs, sizes)


def s4d(sizes):
    T, C, N, B = sizes["T"], sizes["C"], sizes["N"] // 2, sizes["B"]
    log_dt, decay, angle = values(C, low=-6.9, high=-2.3), torch.full((C, N), -0.7), values(C, N, low=0, high=3.14 * N)
    mix, skip = values(C, N, 2), values(C)

    def function(u, log_dt, decay, angle, mix, skip):
        A = torch.complex(-torch.exp(decay), angle)
        dtA = A * torch.exp(log_dt).unsqueeze(-1)
        gain = torch.view_as_complex(mix) * (torch.exp(dtA) - 1) / A
        kernel = 2 * torch.einsum("hn,hnt->ht", gain, torch.exp(dtA.unsqueeze(-1) * torch.arange(T))).real
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * T) * torch.fft.rfft(kernel, n=2 * T), n=2 * T)[..., :T]
        return y + u * skip.unsqueeze(-1)

    return function, [values(B, C, T), log_dt, decay, angle, mix, skip]


def attention(sizes):
    shape = (1, sizes["H"], sizes["S"], sizes["D"])
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [values(*shape) for _ in range(3)]


def adamw(sizes):
    parameter = torch.zeros(sizes["P"] // 768, 768).normal_(0, 0.02).requires_grad_(True)
    parameter.grad = torch.full_like(parameter, 1e-3)
    return torch.optim.AdamW([parameter], lr=1e-4, fused=True).step


def rows(kind, sizes):
    x, N = values(sizes["M"], sizes["N"]), sizes["N"]
    weight, bias = torch.ones(N), torch.zeros(N)
    functions = {"softmax": lambda x: torch.softmax(x, -1), "gelu": F.gelu, "exp": torch.exp,
                 "layernorm": lambda x: F.layer_norm(x, (N,), weight, bias)}
    return functions[kind], [x]


# ---- whole models: weights by name, the layer first ----

def parameters_of(weights):
    whole, layers = weights
    return ({name: torch.tensor(value, requires_grad=True) for name, value in whole.items()},
            {name: [torch.tensor(part, requires_grad=True) for part in value] for name, value in layers.items()})


def all_of(whole, layers):
    return [*whole.values(), *(part for parts in layers.values() for part in parts)]


def gpt2(tokens, whole, layers, cache=None, position=0):
    s = shapes.GPT2
    B, T = tokens.shape
    x = whole["wte"][tokens] + whole["wpe"][position:position + T]
    for n in range(s["L"]):
        w = {name: parts[n] for name, parts in layers.items()}
        u = F.layer_norm(x, (s["D"],), w["ln1_w"], w["ln1_b"])
        q, k, v = (u @ w["qkv_w"] + w["qkv_b"]).view(B, T, 3, s["H"], -1).permute(2, 0, 3, 1, 4)
        if cache is not None:
            cache[n][0][:, :, position:position + T] = k
            cache[n][1][:, :, position:position + T] = v
            k, v = cache[n][0][:, :, :position + T], cache[n][1][:, :, :position + T]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1).transpose(1, 2).reshape(B, T, -1)
        x = x + mixed @ w["proj_w"] + w["proj_b"]
        u = F.layer_norm(x, (s["D"],), w["ln2_w"], w["ln2_b"])
        x = x + F.gelu(u @ w["up_w"] + w["up_b"], approximate="tanh") @ w["down_w"] + w["down_b"]
    return F.layer_norm(x, (s["D"],), whole["lnf_w"], whole["lnf_b"]) @ whole["wte"].T


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def mamba(tokens, whole, layers, states=None):
    s = shapes.MAMBA
    N, R, W = s["N"], s["R"], s["W"]
    B, T = tokens.shape
    x = whole["embedding"][tokens]
    for n in range(s["L"]):
        w = {name: parts[n] for name, parts in layers.items()}
        inner, gate = (rms_norm(x, w["norm"]) @ w["in_w"]).chunk(2, -1)
        past = states[n][0] if states else torch.zeros(B, W - 1, s["E"])
        padded = torch.cat([past, inner], 1)
        inner = F.silu(sum(padded[:, k:k + T] * w["conv_w"][k] for k in range(W)) + w["conv_b"])
        rank, enter, leave = (inner @ w["x_w"]).split([R, N, N], -1)
        dt = F.softplus(rank @ w["dt_w"] + w["dt_b"])
        A = -torch.exp(w["A_log"])
        state = states[n][1] if states else torch.zeros(B, s["E"], N)
        y = []
        for d, i, e, c in zip(dt.unbind(1), inner.unbind(1), enter.unbind(1), leave.unbind(1)):
            state = torch.addcmul((d * i).unsqueeze(-1) * e.unsqueeze(1), torch.exp(d.unsqueeze(-1) * A), state)
            y.append((state @ c.unsqueeze(-1)).squeeze(-1))
        if states:
            states[n] = (padded[:, -(W - 1):], state)
        x = x + ((torch.stack(y, 1) + w["D"] * inner) * F.silu(gate)) @ w["out_w"]
    return rms_norm(x, whole["norm_f"]) @ whole["embedding"].T


def whole_model(kind, sizes, compile_it):
    B, T = sizes["B"], sizes["T"]
    V, function = (shapes.GPT2["V"], gpt2) if kind == "gpt2" else (shapes.MAMBA["V"], mamba)
    whole, layers = parameters_of(shapes.gpt2_weights() if kind == "gpt2" else shapes.mamba_weights())
    tokens, targets = torch.randint(V, (B, T)), torch.randint(V, (B * T,))
    if compile_it:
        function = torch.compile(function)
    if not sizes.get("training"):
        return forward_only(lambda: function(tokens, whole, layers), [])
    return training(lambda: F.cross_entropy(function(tokens, whole, layers).view(-1, V), targets), all_of(whole, layers))


def decode(sizes, compile_it):
    T, is_gpt2 = sizes["prompt"], sizes["model"] == "gpt2"
    if sizes["model"] not in ("gpt2", "mamba") or (compile_it and not is_gpt2):
        raise shapes.Unknown("not written")
    whole, layers = parameters_of(shapes.gpt2_weights() if is_gpt2 else shapes.mamba_weights())
    function = torch.compile(gpt2) if compile_it else gpt2 if is_gpt2 else mamba
    prompt, token = torch.randint(50000, (1, T)), torch.randint(50000, (1, 1))
    if not sizes.get("token"):
        return forward_only(lambda: function(prompt, whole, layers), [])
    s = shapes.GPT2
    if is_gpt2:
        cache = [torch.zeros(2, 1, s["H"], T + 1, s["D"] // s["H"]) for _ in range(s["L"])]
        return forward_only(lambda: function(token, whole, layers, cache, T), [])
    s = shapes.MAMBA
    states = [(torch.zeros(1, s["W"] - 1, s["E"]), torch.zeros(1, s["E"], s["N"])) for _ in range(s["L"])]
    return forward_only(lambda: function(token, whole, layers, states), [])


def setup(kind, sizes, threads, name):
    torch.set_num_threads(threads)
    compile_it = name == "torch.compile"
    if compile_it and kind not in COMPILED:
        raise shapes.Unknown("as eager, or unrolled step by step")
    if kind == "gemm":
        return forward_only(torch.matmul, [values(sizes["M"], sizes["K"]), values(sizes["K"], sizes["N"])])
    if kind in ("lstm", "gru"):
        return recurrent(kind, sizes)
    if kind in ("gpt2", "mamba"):
        return whole_model(kind, sizes, compile_it)
    if kind == "decode":
        return decode(sizes, compile_it)
    direct = {"charlstm": char_lm, "scan": scan, "adamw": adamw}
    if kind in direct:
        return direct[kind](sizes)
    function, inputs = {"s4d": s4d, "attention": attention}[kind](sizes) if kind in ("s4d", "attention") else rows(kind, sizes)
    return of_function(torch.compile(function) if compile_it else function, inputs, sizes)
