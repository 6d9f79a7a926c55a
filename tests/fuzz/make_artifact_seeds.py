"""Writes the seeds of artifact_fuzz, tests/fuzz/artifact/*.oxp. Run it from a Python environment with onnx; the files are committed."""

import pathlib
import struct

import numpy as np
from onnx import TensorProto, helper

FOLDER = pathlib.Path(__file__).parent / "artifact"


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def split_model():
    """A product with a matrix that stands at byte 64 of the weights."""
    matrix = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights"), ("offset", "64"), ("length", "48")):
        matrix.external_data.add(key=key, value=value)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [matrix])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return model.SerializeToString(), bytes(64) + np.arange(12, dtype=np.float32).tobytes()


def artifact(model, weights, packs, rates):
    body, index = b"", b""

    def text(value):
        return struct.pack("<I", len(value)) + value.encode()

    def section(data):
        nonlocal body
        body += bytes(-len(body) % 64)
        at = 64 + len(body)
        body += data
        return struct.pack("<QQ", at, len(data))

    index += text("a processor") + text("avx2") + text("fp32") + section(model) + section(weights)
    index += struct.pack("<I", len(packs)) + b"".join(text(k) + struct.pack("<Q", s) + section(d) for k, s, d in packs)
    index += struct.pack("<I", len(rates)) + b"".join(text(k) + struct.pack("<d", r) for k, r in rates)
    at, size = struct.unpack("<QQ", section(index))
    header = struct.pack("<IIQQQQQQ", 1, 0, 64 + len(body), at, size, fnv1a(index), fnv1a(model), 0)
    return b"\x89OXP\r\n\x1a\n" + header + body


def main():
    FOLDER.mkdir(exist_ok=True)
    model, weights = split_model()
    (FOLDER / "product.oxp").write_bytes(artifact(model, weights, [("gemm_f32", 64, bytes(96))], [("gemm_f32", 100.0)]))
    (FOLDER / "empty.oxp").write_bytes(artifact(b"", b"", [], []))


if __name__ == "__main__":
    main()
