"""onnx_works.py - the works that ONNX has an operation for, in ONNX Runtime. It computes no gradients here."""
import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import shapes

RANDOM = numpy.random.default_rng(3)


def values(*shape, scale=1.0):
    return RANDOM.uniform(-scale, scale, shape).astype(numpy.float32)


def session(nodes, inputs, constants, outputs, threads):
    graph = helper.make_graph(nodes, "work", [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in inputs.items()],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: made.run(list(outputs), inputs)


def recurrent(kind, sizes, threads):
    T, B, H = sizes["T"], sizes["B"], sizes["H"]
    G, settings = (4, {}) if kind == "lstm" else (3, {"linear_before_reset": 1})
    constants = {"W": values(1, G * H, H, scale=H ** -0.5), "R": values(1, G * H, H, scale=H ** -0.5), "b": values(1, 2 * G * H)}
    node = helper.make_node(kind.upper(), ["x", "W", "R", "b"], ["y"], hidden_size=H, **settings)
    return session([node], {"x": values(T, B, H)}, constants, ["y"], threads)


def attention(sizes, threads):
    S, H, D = sizes["S"], sizes["H"], sizes["D"]
    node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["y"], domain="com.microsoft", num_heads=H, unidirectional=1)
    return session([node], {name: values(1, S, H * D) for name in "qkv"}, {}, ["y"], threads)


def rows(kind, sizes, threads):
    N = sizes["N"]
    if kind == "layernorm":
        node, constants = helper.make_node("LayerNormalization", ["x", "w", "b"], ["y"]), {"w": values(N), "b": values(N)}
    else:
        node, constants = helper.make_node({"softmax": "Softmax", "gelu": "Gelu", "exp": "Exp"}[kind], ["x"], ["y"]), {}
    return session([node], {"x": values(sizes["M"], N)}, constants, ["y"], threads)


def setup(kind, sizes, threads, name):
    del name
    if sizes.get("gradient"):
        raise shapes.Unknown("no gradients")
    if kind == "gemm":
        node, inputs = helper.make_node("MatMul", ["a", "b"], ["c"]), {"a": values(sizes["M"], sizes["K"])}
        return session([node], inputs, {"b": values(sizes["K"], sizes["N"])}, ["c"], threads)
    if kind in ("lstm", "gru"):
        return recurrent(kind, sizes, threads)
    if kind == "attention":
        return attention(sizes, threads)
    if kind in ("softmax", "layernorm", "gelu", "exp"):
        return rows(kind, sizes, threads)
    raise shapes.Unknown("no operation for it")
