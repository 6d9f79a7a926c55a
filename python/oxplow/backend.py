"""Oxplow as a backend of the package onnx, for programs (and onnx's own tests) that speak to any backend.

    import onnx, oxplow.backend
    outputs = oxplow.backend.run_model(onnx.load("model.onnx"), [x])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.backend.base
from onnx import helper

from oxplow.errors import Unsupported
from oxplow.model import Model, load


class BackendRep(onnx.backend.base.BackendRep):
    """A model made ready; `model` is the oxplow.Model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs in their order. inputs: a sequence in the order of the model's inputs, a dict by name, or the one input."""
        if not isinstance(inputs, (Mapping, Sequence)):
            inputs = [inputs]
        return tuple(self.model.run(inputs).values())


class Backend(onnx.backend.base.Backend):
    """The class that onnx.backend.test.BackendTest and its like take. Errors are oxplow's own (oxplow.Error)."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether prepare() would take the model: every op of it is known."""
        try:
            cls.prepare(model, device, **kwargs)
        except Unsupported:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> BackendRep:
        """Loads the model; further arguments are oxplow.load()'s. External data must have been loaded into it."""
        if not cls.supports_device(device):
            raise Unsupported(f"device '{device}': there is only the CPU")
        return BackendRep(load(model.SerializeToString(), **kwargs))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """prepare() and one run."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """Runs one node on arrays, in the order of the inputs that it names. opset_version: of the node's domain (onnx's newest)."""
        named = [name for name in dict.fromkeys(node.input) if name]
        arrays = [np.asarray(value) for value in inputs]
        graph = helper.make_graph(
            [node], "node",
            [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
             for name, array in zip(named, arrays)],
            [onnx.ValueInfoProto(name=name) for name in node.output if name])
        version = kwargs.pop("opset_version", None) or onnx.defs.onnx_opset_version()
        opsets = [helper.make_opsetid(node.domain, version)]
        return cls.run_model(helper.make_model(graph, opset_imports=opsets), arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """"CPU" it is."""
        return device.split(":")[0] == "CPU"


is_compatible = Backend.is_compatible
prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
