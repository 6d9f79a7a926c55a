"""ONNX models of one node or a few, as bytes."""

from onnx import TensorProto, helper


def one_node(op, inputs, output, **attributes):
    """A model of one node: inputs are [(name, element type, shape)], the output is one such."""
    node = helper.make_node(op, [name for name, _, _ in inputs], [output[0]], **attributes)
    return of_nodes([node], inputs, [output])


def of_nodes(nodes, inputs, outputs):
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info(*given) for given in inputs],
                              [helper.make_tensor_value_info(*given) for given in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def identity(element_type, shape=("n",)):
    return one_node("Identity", [("x", element_type, shape)], ("y", element_type, shape))


def sum_of_two():
    f32 = TensorProto.FLOAT
    return one_node("Add", [("a", f32, ["n", 3]), ("b", f32, [3])], ("sum", f32, ["n", 3]))


def long_product(size=512, count=40):
    """A chain of matrix products: some hundred milliseconds of work."""
    f32 = TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["x" if i == 0 else f"t{i}", "w"], [f"t{i + 1}"]) for i in range(count)]
    return of_nodes(nodes, [("x", f32, [size, size]), ("w", f32, [size, size])], [(f"t{count}", f32, [size, size])])
