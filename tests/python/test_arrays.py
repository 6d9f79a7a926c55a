"""Arrays in and out: every element type, without copies where that is possible, and who keeps what alive."""

import gc
import weakref

import ml_dtypes
import numpy as np
import pytest
import torch
from onnx import TensorProto
from onnx.helper import np_dtype_to_tensor_dtype

import oxplow
from small_models import identity, one_node, sum_of_two

DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16,
          np.uint8, np.bool_, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu, ml_dtypes.int4, ml_dtypes.uint4,
          ml_dtypes.float4_e2m1fn, ml_dtypes.int2, ml_dtypes.uint2]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3, 4)], ids=str)
def test_every_type_goes_through(dtype, shape):
    values = (np.arange(np.prod(shape, dtype=int)) % 3 - 1).astype(np.float32).reshape(shape).astype(dtype)
    model = oxplow.load(identity(np_dtype_to_tensor_dtype(np.dtype(dtype)), shape))
    result = model.run({"x": values})["y"]
    assert result.dtype == values.dtype and result.shape == shape
    np.testing.assert_array_equal(result.astype(np.float64), values.astype(np.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool])
def test_torch_in_and_out_by_dlpack(dtype):
    values = torch.arange(6).reshape(2, 3).to(dtype)
    name = str(dtype).removeprefix("torch.")
    element_type = np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, name, name)))
    tensor = oxplow.load(identity(element_type, ("n", 3))).run({"x": values}, returns="tensors")["y"]
    result = torch.from_dlpack(tensor)
    assert result.dtype == dtype and torch.equal(result, values)


def test_dlpack_out_shares_memory():
    tensor = oxplow.load(sum_of_two()).run([np.ones((2, 3), np.float32), [1, 2, 3]], returns="tensors")["sum"]
    view = torch.from_dlpack(tensor)
    view[0, 0] = 7
    assert tensor.bytes().view(np.float32)[0] == 7 and tensor.dtype == "float32" and tensor.shape == (2, 3)


@pytest.mark.parametrize("value", [
    np.arange(12, dtype=np.float32).reshape(4, 3)[::2],
    np.arange(6, dtype=np.float32).reshape(3, 2).T,
    np.ndarray((2, 3), np.float32, b"\0" * 25, offset=1),
    torch.arange(6, dtype=torch.float32).reshape(3, 2).T,
    [[0, 1, 2], [3, 4, 5]],
], ids=["sliced", "transposed", "misaligned", "torch transposed", "lists"])
def test_what_is_not_dense_is_copied(value):
    result = oxplow.load(sum_of_two()).run([value, np.zeros(3, np.float32)])["sum"]
    np.testing.assert_array_equal(result, np.asarray(value, np.float32))


class OnAnotherDevice:
    def __dlpack__(self):
        raise AssertionError("asked for, though it lies elsewhere")

    def __dlpack_device__(self):
        return 2, 0


def test_read_only_input():
    values = np.ones((1, 3), np.float32)
    values.flags.writeable = False
    assert oxplow.load(sum_of_two()).run([values, values[0]])["sum"].tolist() == [[2, 2, 2]]


def test_outputs_outlive_the_model_and_belong_to_the_caller():
    model = oxplow.load(sum_of_two())
    first = model.run([[[1, 2, 3]], [1, 1, 1]])["sum"]
    second = model.run([[[5, 5, 5]], [1, 1, 1]])["sum"]
    del model
    gc.collect()
    first += 1
    assert first.tolist() == [[3, 4, 5]] and second.tolist() == [[6, 6, 6]]


def test_a_tensor_keeps_its_array_and_lets_go():
    class Watched(np.ndarray):
        pass

    array = np.ones(1000, np.float32).view(Watched)
    gone = weakref.ref(array)
    tensor = oxplow.Tensor.from_dlpack(array)
    del array
    gc.collect()
    assert gone() is not None and tensor.bytes().view(np.float32).sum() == 1000
    del tensor
    gc.collect()
    assert gone() is None


def test_a_view_keeps_its_tensor():
    data = oxplow.Tensor.from_bytes(np.arange(8, dtype=np.uint8), "int16", [4]).bytes()
    gc.collect()
    assert data.tolist() == list(range(8))


@pytest.mark.parametrize("value, words", [
    (np.ones((1, 3), np.complex64), "complex64"),
    (np.array([["a", "b", "c"]]), "input 'a' is string[1, 3], the model wants f32[n, 3]"),
    (np.ones((1, 3), ">f4"), "which no tensor can hold"),
    (torch.ones(1, 3, dtype=torch.complex64), "DLPack type 5"),
    (OnAnotherDevice(), "another device"),
    (np.ones((1, 3)), "input 'a' is f64[1, 3], the model wants f32[n, 3]"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_no_tensor_can_be(value, words):
    with pytest.raises(oxplow.Error) as caught:
        oxplow.load(sum_of_two()).run([value, [1, 1, 1]])
    assert words in str(caught.value)


def test_float8_outputs_name_what_they_need(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    from oxplow import arrays

    with pytest.raises(oxplow.Unsupported, match="pip install ml_dtypes"):
        arrays.dtype_named("float8_made_up")


def test_scalar_inputs():
    f32 = TensorProto.FLOAT
    model = oxplow.load(one_node("Mul", [("a", f32, []), ("b", f32, [])], ("c", f32, [])))
    assert model.run([np.float32(3), 4])["c"] == 12
