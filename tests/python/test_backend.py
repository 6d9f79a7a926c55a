"""oxplow.backend, as onnx's programs use it. onnx's own suite: tests/conformance/onnx_backend."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import oxplow
import oxplow.backend
from small_models import one_node, sum_of_two


def test_run_model():
    model = onnx.load_from_string(sum_of_two())
    a, b = np.ones((1, 3), np.float32), np.arange(3, dtype=np.float32)
    for inputs in ([a, b], (a, b), {"b": b, "a": a}):
        (result,) = oxplow.backend.run_model(model, inputs)
        assert result.tolist() == [[1, 2, 3]]


def test_prepare_and_run_more_than_once():
    ready = oxplow.backend.prepare(onnx.load_from_string(sum_of_two()), "CPU", threads=1)
    for n in (1, 2):
        assert ready.run([np.ones((n, 3), np.float32), np.ones(3, np.float32)])[0].shape == (n, 3)


def test_run_node():
    node = helper.make_node("Relu", ["x"], ["y"])
    (result,) = oxplow.backend.run_node(node, [np.array([-1, 2], np.float32)], opset_version=21)
    assert result.tolist() == [0, 2]


def test_devices():
    assert oxplow.backend.supports_device("CPU") and not oxplow.backend.supports_device("CUDA:0")
    with pytest.raises(oxplow.Unsupported, match="CUDA"):
        oxplow.backend.prepare(onnx.load_from_string(sum_of_two()), "CUDA")


def test_is_compatible():
    f32 = TensorProto.FLOAT
    assert oxplow.backend.is_compatible(onnx.load_from_string(sum_of_two()))
    assert not oxplow.backend.is_compatible(onnx.load_from_string(one_node("Sparkle", [("x", f32, [1])], ("y", f32, [1]))))
