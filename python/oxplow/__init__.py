"""Oxplow runs machine learning models on CPUs.

    import oxplow
    model = oxplow.load("resnet50.onnx")
    outputs = model.run({"x": images})
    print(model.explain())
"""

from oxplow._native import CompileReport, Tensor, TensorInfo
from oxplow._native import version as __version__
from oxplow.errors import Error, InvalidArgument, InvalidModel, NotFound, OutOfMemory, ReadError, Unsupported
from oxplow.explain import Explanation
from oxplow.model import Model, compile, load

__all__ = ["CompileReport", "Error", "Explanation", "InvalidArgument", "InvalidModel", "Model", "NotFound", "OutOfMemory", "ReadError", "Tensor",
           "TensorInfo", "Unsupported", "__version__", "compile", "load"]
