"""llama_works.py - prompts and tokens of whole models in llama.cpp, with random weights in a file of its own form."""
import ctypes
import os
import tempfile

import gguf
import llama_cpp
import numpy

import shapes

RANDOM = numpy.random.default_rng(4)


def add_gpt2(writer, add):
    s = shapes.GPT2
    D = s["D"]
    writer.add_context_length(s["P"]), writer.add_head_count(s["H"]), writer.add_layer_norm_eps(1e-5), writer.add_feed_forward_length(4 * D)
    add("position_embd.weight", s["P"], D)
    add("output_norm.weight", D), add("output_norm.bias", D)
    parts = {"attn_norm": (D,), "attn_qkv": (3 * D, D), "attn_output": (D, D), "ffn_norm": (D,), "ffn_up": (4 * D, D), "ffn_down": (D, 4 * D)}
    for n in range(s["L"]):
        for name, shape in parts.items():
            add(f"blk.{n}.{name}.weight", *shape), add(f"blk.{n}.{name}.bias", shape[0])


def add_mamba(writer, add):
    s = shapes.MAMBA
    D, E, N, R, W = (s[key] for key in "DENRW")
    writer.add_context_length(2048), writer.add_head_count(0), writer.add_layer_norm_rms_eps(1e-5), writer.add_feed_forward_length(0)
    writer.add_ssm_conv_kernel(W), writer.add_ssm_inner_size(E), writer.add_ssm_state_size(N), writer.add_ssm_time_step_rank(R)
    add("output_norm.weight", D)
    parts = {"attn_norm.weight": (D,), "ssm_in.weight": (2 * E, D), "ssm_conv1d.weight": (E, W), "ssm_conv1d.bias": (E,), "ssm_x.weight": (R + 2 * N, E),
             "ssm_dt.weight": (E, R), "ssm_dt.bias": (E,), "ssm_a": (E, N), "ssm_d": (E,), "ssm_out.weight": (D, E)}
    for n in range(s["L"]):
        for name, shape in parts.items():
            add(f"blk.{n}.{name}", *shape, sign=-1 if name == "ssm_a" else 0)


def add_llama(writer, add):
    s = shapes.LLAMA
    D, H, G, F = (s[key] for key in "DHGF")
    K = D // H
    writer.add_context_length(2048), writer.add_head_count(H), writer.add_head_count_kv(G), writer.add_layer_norm_rms_eps(1e-5)
    writer.add_feed_forward_length(F), writer.add_rope_dimension_count(K), writer.add_rope_freq_base(10000.0)
    add("output_norm.weight", D)
    parts = {"attn_norm": (D,), "attn_q": (D, D), "attn_k": (G * K, D), "attn_v": (G * K, D), "attn_output": (D, D), "ffn_norm": (D,),
             "ffn_gate": (F, D), "ffn_up": (F, D), "ffn_down": (D, F)}
    for n in range(s["L"]):
        for name, shape in parts.items():
            add(f"blk.{n}.{name}.weight", *shape)


MODELS = {"gpt2": ("gpt2", shapes.GPT2, add_gpt2), "mamba": ("mamba", shapes.MAMBA, add_mamba), "smollm": ("llama", shapes.LLAMA, add_llama)}


def write_model(path, name):
    architecture, sizes, add_parts = MODELS[name]
    writer = gguf.GGUFWriter(path, architecture)

    def add(tensor, *shape, sign=0):
        value = shapes.normal(RANDOM, *shape)
        writer.add_tensor(tensor, sign * numpy.abs(value) if sign else value)

    writer.add_block_count(sizes["L"]), writer.add_embedding_length(sizes["D"]), writer.add_vocab_size(sizes["V"])
    writer.add_tokenizer_model("none")
    add("token_embd.weight", sizes["V"], sizes["D"])
    add_parts(writer, add)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file()
    writer.close()


class Decoder:
    """A model with a context that holds `kept` tokens before every call."""

    def __init__(self, name, threads, length, kept):
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "model.gguf")
        write_model(path, name)
        settings = llama_cpp.llama_model_default_params()
        settings.use_mmap = False
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), settings)
        os.remove(path), os.rmdir(folder)
        if not self.model:
            raise shapes.Unknown("the model file was refused")
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = 1024, 512, 512
        options.n_threads = options.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        self.kept, self.length, self.used = kept, length, 0
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.used = 0

    def feed(self, count, all_results):
        self.batch.n_tokens = count
        for n in range(count):
            self.batch.token[n], self.batch.pos[n], self.batch.n_seq_id[n] = int(RANDOM.integers(1000)), self.used + n, 1
            self.batch.seq_id[n][0], self.batch.logits[n] = 0, all_results or n == count - 1
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            raise shapes.Unknown("llama_decode failed")
        ctypes.cast(llama_cpp.llama_get_logits(self.context), ctypes.c_void_p)  # waits for the result
        self.used += count

    def call(self):
        if self.used == 0 or self.used + self.length > self.kept + 256:  # far less than a token's own work
            self.clear()
            if self.kept:
                self.feed(self.kept, False)
        self.feed(self.length, True)
        if not self.kept:
            self.used = 0
            self.clear()

    def __del__(self):
        llama_cpp.llama_batch_free(self.batch), llama_cpp.llama_free(self.context), llama_cpp.llama_model_free(self.model)


@llama_cpp.llama_log_callback
def be_quiet(level, text, data):
    del level, text, data


def setup(kind, sizes, threads, name):
    del name
    if kind != "decode":
        raise shapes.Unknown("prompts and tokens only")
    llama_cpp.llama_log_set(be_quiet, ctypes.c_void_p(0))
    is_token = bool(sizes.get("token"))
    decoder = Decoder(sizes["model"], threads, 1 if is_token else sizes["prompt"], sizes["prompt"] if is_token else 0)
    return decoder.call
