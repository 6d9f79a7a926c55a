"""Writes the seeds of onnx_fuzz, tests/fuzz/onnx/*.onnx: small models that between them use every message of onnx.proto.

Run it from a Python environment with `onnx` (any version since 1.16) when a message is added; the files are committed.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent / "onnx"


def save(name, graph, functions=(), opset=20):
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(f.domain, 1) for f in functions]
    model = helper.make_model(graph, opset_imports=imports, functions=list(functions), producer_name="oxplow", ir_version=9)
    helper.set_model_props(model, {"author": "nobody"})
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def convolution():
    rng = np.random.default_rng(1)
    tensor = lambda name, *shape: numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "s", "o", "m", "v"], ["n"], "norm", epsilon=1e-3),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["y"], "pool"),
    ]
    weights = [tensor("w", 4, 3, 3, 3), *(tensor(n, 4) for n in "bsom"), numpy_helper.from_array(np.ones(4, np.float32), "v")]
    save("convolution", helper.make_graph(nodes, "g", [value("x", ["batch", 3, 8, 8])], [value("y", ["batch", 4, 1, 1])], weights,
                                          value_info=[value("c", ["batch", 4, 4, 4])]))


def control_flow():
    branch = lambda name, op: helper.make_graph([helper.make_node(op, ["x"], [f"{name}_y"])], name, [], [value(f"{name}_y", [2])])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c_in"], ["c_out"]), helper.make_node("Add", ["a_in", "a_in"], ["a_out"])], "body",
        [value("i", [], TensorProto.INT64), value("c_in", [], TensorProto.BOOL), value("a_in", [2])],
        [value("c_out", [], TensorProto.BOOL), value("a_out", [2])])
    nodes = [
        helper.make_node("If", ["p"], ["q"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg")),
        helper.make_node("Loop", ["n", "", "q"], ["y"], body=body),
    ]
    n = helper.make_tensor("n", TensorProto.INT64, [], [3])
    save("control_flow", helper.make_graph(nodes, "g", [value("x", [2]), value("p", [], TensorProto.BOOL)], [value("y", [2])], [n]))


def functions():
    reference = helper.make_node("LeakyRelu", ["a"], ["b"])
    attribute = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    reference.attribute.append(attribute)
    function = helper.make_function("local", "Leak", ["a"], ["b"], [reference], [helper.make_opsetid("", 20)], attributes=["slope"],
                                    attribute_protos=[helper.make_attribute("unused", [1, 2])])
    node = helper.make_node("Leak", ["x"], ["y"], domain="local", slope=0.1)
    save("functions", helper.make_graph([node], "g", [value("x", [2])], [value("y", [2])]), [function])


def typed_data():
    types = [
        (TensorProto.FLOAT, [1.5, -2.0]), (TensorProto.UINT8, [1, 255]), (TensorProto.INT8, [-128, 127]), (TensorProto.UINT16, [1, 65535]),
        (TensorProto.INT16, [-5, 5]), (TensorProto.INT32, [-(2**31), 7]), (TensorProto.INT64, [-1, 2**62]), (TensorProto.STRING, [b"a", b""]),
        (TensorProto.BOOL, [True, False]), (TensorProto.FLOAT16, [1.0, -1.0]), (TensorProto.DOUBLE, [1.0, 2.0]),
        (TensorProto.UINT32, [0, 2**32 - 1]), (TensorProto.UINT64, [0, 2**64 - 1]), (TensorProto.COMPLEX64, [1 + 2j, 3j]),
        (TensorProto.BFLOAT16, [1.0, 3.0]), (TensorProto.FLOAT8E4M3FN, [1.0, 2.0]), (TensorProto.UINT4, [1, 15]), (TensorProto.INT4, [-8, 7]),
    ]
    tensors = [helper.make_tensor(f"t{t}", t, [2], values) for t, values in types]
    raw = numpy_helper.from_array(np.arange(6, dtype=np.int32).reshape(2, 3), "raw")
    graph = helper.make_graph([helper.make_node("Identity", ["raw"], ["y"])], "g", [], [value("y", [2, 3], TensorProto.INT32)], [*tensors, raw])
    save("typed_data", graph)


def types_and_attributes():
    sequence = helper.make_value_info("s", helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", None])))
    optional = helper.make_value_info("o", helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, None)))
    mapping = onnx.ValueInfoProto(name="m")
    mapping.type.map_type.key_type = TensorProto.STRING
    mapping.type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    sparse = helper.make_sparse_tensor(helper.make_tensor("sv", TensorProto.FLOAT, [2], [1.0, 2.0]),
                                       helper.make_tensor("si", TensorProto.INT64, [2], [1, 5]), [2, 3])
    columns = helper.make_sparse_tensor(helper.make_tensor("cv", TensorProto.FLOAT, [2], [1.0, 2.0]),
                                        helper.make_tensor("ci", TensorProto.INT64, [2, 2], [0, 1, 1, 2]), [2, 3])
    node = helper.make_node("Everything", ["s", "o", "m"], ["y"], domain="test", f=1.0, i=-3, s="text", floats=[1.0, 2.0], ints=[1, -2],
                            strings=["a", "b"], t=helper.make_tensor("t", TensorProto.INT64, [1], [7]))
    node.attribute.extend([
        helper.make_attribute("sp", sparse), helper.make_attribute("ts", [helper.make_tensor("u", TensorProto.INT8, [0], [])]),
        helper.make_attribute("tp", helper.make_tensor_type_proto(TensorProto.FLOAT, [1])), helper.make_attribute("empty", [], attr_type=onnx.AttributeProto.INTS),
    ])
    graph = helper.make_graph([node], "g", [sequence, optional, mapping], [value("y", None)], sparse_initializer=[columns])
    graph.quantization_annotation.add(tensor_name="y")
    save("types_and_attributes", graph)


def main():
    FOLDER.mkdir(exist_ok=True)
    convolution()
    control_flow()
    functions()
    typed_data()
    types_and_attributes()


if __name__ == "__main__":
    main()
