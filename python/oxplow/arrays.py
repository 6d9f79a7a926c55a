"""Arrays of Python as tensors and back, sharing memory wherever both sides lay elements out alike.

They do for all element types but those of less than 8 bits, which tensors keep packed (low bits first) and NumPy one to a byte. NumPy
knows bfloat16, float8 and int4 only through the package ml_dtypes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from oxplow._native import Tensor, TensorInfo
from oxplow.errors import InvalidArgument, Unsupported

_CPU = 1  # DLPack's kDLCPU


def dtype_named(name: str) -> np.dtype[Any]:
    """NumPy's dtype of this name; Unsupported where that needs ml_dtypes and it is not installed."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes
    except ImportError:
        raise Unsupported(f"NumPy has no {name} of its own: pip install ml_dtypes, or run with returns='tensors'") from None
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def value_of(value: Any, info: TensorInfo) -> Any:
    """What the native run() takes for `value`: a tensor, a list of tensors for a sequence, None for an empty optional."""
    if info.tensor or isinstance(value, Tensor):
        return tensor_of(value, info)
    if isinstance(value, (list, tuple)):
        return [tensor_of(element, info) for element in value]
    return None if value is None else tensor_of(value, info)


def array_of(value: Any) -> Any:
    """What the native run() gives, in NumPy's arrays: a map as a dict of scalars."""
    if isinstance(value, Tensor):
        return numpy_of(value)
    if isinstance(value, tuple):
        keys, values = (numpy_of(tensor).tolist() for tensor in value)
        return dict(zip(keys, values))
    return None if value is None else [array_of(element) for element in value]


def tensor_of(value: Any, info: TensorInfo) -> Tensor:
    """A tensor of `value`, for the input that `info` describes: a NumPy array, anything that speaks DLPack, or numbers in lists."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, (np.ndarray, np.generic)) and hasattr(value, "__dlpack__"):
        return _from_dlpack(value, info.name)
    if not isinstance(value, (np.ndarray, np.generic)):
        value = np.asarray(value, dtype=None if info.dtype in (None, "string") else dtype_named(info.dtype))
    return _from_numpy(np.asarray(value), info.name)


def numpy_of(tensor: Tensor) -> npt.NDArray[Any]:
    """An array that shares the tensor's memory and keeps it alive; a copy for elements of less than 8 bits."""
    if tensor.dtype == "string":
        texts = np.array([text.decode("utf-8", "surrogateescape") for text in tensor.strings()], dtype=object)
        return texts.reshape(tensor.shape)
    dtype = dtype_named(tensor.dtype)
    data = _unpacked(tensor) if tensor.bits < 8 else tensor.bytes()
    return data.view(dtype).reshape(tensor.shape)


def _from_numpy(array: npt.NDArray[Any], name: str) -> Tensor:
    if array.dtype.kind in "OSUT":
        return _from_strings(array, name)
    if array.dtype.hasobject or not array.dtype.isnative or array.dtype.kind in "cSUmM":
        raise InvalidArgument(f"input '{name}' is a NumPy array of {array.dtype}, which no tensor can hold")
    shape = array.shape
    dense = np.require(array, requirements=["C", "A"]).reshape(-1)
    bits = _packed_bits(array.dtype)
    data = dense.view(np.uint8)
    return Tensor.from_bytes(_packed(data, bits) if bits else data, array.dtype.name, shape)


def _from_strings(array: npt.NDArray[Any], name: str) -> Tensor:
    texts = array.reshape(-1).tolist()
    if not all(isinstance(text, (str, bytes)) for text in texts):
        raise InvalidArgument(f"input '{name}' is a NumPy array of objects that are not all strings, which no tensor can hold")
    encoded = [text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text for text in texts]
    return Tensor.from_strings(encoded, array.shape)


def _from_dlpack(value: Any, name: str) -> Tensor:
    kind, index = value.__dlpack_device__()
    if kind != _CPU:
        raise InvalidArgument(f"input '{name}' lies on another device (DLPack's {kind}:{index}): move it to the CPU first")
    try:
        return Tensor.from_dlpack(value.__dlpack__())
    except TypeError:  # not dense: NumPy copies it, if it knows the elements
        pass
    try:
        array = np.from_dlpack(value)
    except (BufferError, RuntimeError):
        raise InvalidArgument(f"input '{name}' is not dense: make it contiguous first") from None
    return _from_numpy(array, name)


def _packed_bits(dtype: np.dtype[Any]) -> int:
    """2 or 4 for the dtypes of ml_dtypes whose elements are so small, else 0."""
    for bits in (2, 4):
        if dtype.itemsize == 1 and dtype.name in (f"int{bits}", f"uint{bits}", "float4_e2m1fn" if bits == 4 else ""):
            return bits
    return 0


def _packed(values: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    each = 8 // bits
    padded = np.zeros((len(values) + each - 1) // each * each, np.uint8)
    padded[: len(values)] = values & (2**bits - 1)
    shifts = np.arange(each, dtype=np.uint8) * np.uint8(bits)
    packed: npt.NDArray[np.uint8] = np.bitwise_or.reduce(padded.reshape(-1, each) << shifts, axis=1)
    return packed


def _unpacked(tensor: Tensor) -> npt.NDArray[np.uint8]:
    bits = tensor.bits
    shifts = np.arange(8 // bits, dtype=np.uint8) * np.uint8(bits)
    values = (tensor.bytes()[:, None] >> shifts & np.uint8(2**bits - 1)).reshape(-1)[: int(np.prod(tensor.shape, dtype=np.int64))]
    if tensor.dtype.startswith("int"):  # the sign's bit goes all the way up
        values = (values ^ np.uint8(2 ** (bits - 1))) - np.uint8(2 ** (bits - 1))
    return values
