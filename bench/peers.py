"""Each peer in its best configuration: a function that loads a model and returns the function that runs it once.

Every peer gets the same ONNX file, or for PyTorch the network it was exported from, the same inputs and thread count.
"""
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from cases import Case

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))

Arrays = dict[str, np.ndarray]
Runner = Callable[[], Arrays]


def torch_runner(case: Case, inputs: Arrays, threads: int, compiled: bool) -> Runner:
    import torch
    from catalog import CATALOG

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    model = CATALOG[case.model].build().to(memory_format=torch.channels_last)
    tensors = {name: channels_last(array) for name, array in inputs.items()}
    network = compile_with_freezing(model) if compiled else model
    names = list(CATALOG[case.model].outputs)

    def run() -> Arrays:
        with torch.autocast("cpu", torch.bfloat16) if case.precision == "bf16" else nullcontext():
            results = network(**tensors)
        results = results if isinstance(results, tuple) else (results,)
        return {name: result.float().numpy() for name, result in zip(names, results)}

    return run


def channels_last(array: np.ndarray) -> object:
    """A torch tensor, images channels-last."""
    import torch

    tensor = torch.from_numpy(array)
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def compile_with_freezing(model: Callable) -> Callable:
    """torch.compile with weights as constants, so that oneDNN packs them once."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        inductor.cpp.simdlen = 256  # generated loops do not read that variable
    if shutil.which("g++") is None:
        inductor.cpp.cxx = tuple(filter(None, (shutil.which(name) for name in ("g++-12", "clang++-22", "c++"))))
    return torch.compile(model)


def torch_eager(case: Case, inputs: Arrays, threads: int, models: Path) -> Runner:
    return torch_runner(case, inputs, threads, compiled=False)


def torch_compile(case: Case, inputs: Arrays, threads: int, models: Path) -> Runner:
    return torch_runner(case, inputs, threads, compiled=True)


def onnxruntime(case: Case, inputs: Arrays, threads: int, models: Path) -> Runner:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(models / f"{case.model}.onnx", options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda: dict(zip(names, session.run(names, inputs)))


def openvino(case: Case, inputs: Arrays, threads: int, models: Path) -> Runner:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(models / f"{case.model}.onnx")
    model.reshape({name: list(array.shape) for name, array in inputs.items()})
    precision = "bf16" if case.precision == "bf16" else "f32"  # left alone it takes bf16 wherever the CPU has it
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, ov.Tensor(array))
    names = [output.any_name for output in compiled.outputs]

    def run() -> Arrays:
        request.infer()
        return {name: request.get_tensor(name).data for name in names}

    return run


PEERS = {"torch eager": torch_eager, "torch compile": torch_compile, "onnxruntime": onnxruntime, "openvino": openvino}
PRECISIONS = {"onnxruntime": ("fp32",)}  # ONNX Runtime has no bf16 kernels for x86; the others have both


def peers_of(case: Case) -> list[str]:
    return [name for name in PEERS if case.precision in PRECISIONS.get(name, ("fp32", "bf16"))]
