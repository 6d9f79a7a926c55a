"""Models: load, look at, run."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy.typing as npt

from oxplow import _native
from oxplow._native import CompileReport, Tensor, TensorInfo
from oxplow.arrays import array_of, value_of
from oxplow.errors import InvalidArgument
from oxplow.explain import Explanation, example_input, explanation_of

Inputs = Mapping[str, Any] | Sequence[Any]


class Model:
    """A model, ready to run; load() makes it.

    Results do not depend on the number of threads. A run for input shapes that were not seen lately plans first, which takes from
    milliseconds to seconds. All methods may be called from several threads at once: runs then wait for one another, without the
    interpreter's lock.
    """

    def __init__(self, native: _native.Model) -> None:
        self._native = native
        self._inputs = tuple(native.inputs)
        self._outputs = tuple(native.outputs)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Names, element types and shapes of the inputs, in the order that run() takes a sequence in."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Names, element types and shapes of the outputs, as far as the model's file tells."""
        return self._outputs

    @property
    def threads(self) -> int:
        """Threads that a run keeps busy."""
        return self._native.threads

    @property
    def isa(self) -> str:
        """The instruction set tier in use, "avx512_vnni"."""
        return self._native.isa

    @property
    def precision(self) -> str:
        """"fp32" or "bf16": what is computed in. fp32 where bf16 was asked for and this machine has none."""
        return self._native.precision

    @overload
    def run(self, inputs: Inputs, *, returns: Literal["numpy"] = ...) -> dict[str, npt.NDArray[Any]]: ...
    @overload
    def run(self, inputs: Inputs, *, returns: Literal["tensors"]) -> dict[str, Tensor]: ...

    def run(self, inputs: Inputs, *, returns: str = "numpy") -> dict[str, Any]:
        """Runs the model once.

        inputs: by name, {"x": array}, or a sequence in the order of `inputs`. An array is NumPy's, anything on the CPU that
            speaks DLPack (a torch.Tensor), or numbers in lists. Its element type must be the input's, its shape must fit the
            input's. Dense arrays are read where they lie. A sequence is a list of arrays, an empty optional None.
        returns: "numpy" for arrays, or "tensors" for oxplow.Tensor, which other libraries take over by DLPack without copying
            (torch.from_dlpack), bfloat16 and float8 included.

        Gives the outputs by name, in the order of `outputs`; sequences as lists, maps as dicts, empty optionals as None, strings in
        arrays of objects. They own their memory, which may outlive the model.

        Raises InvalidArgument (an input is missing, unknown or does not fit: which, and what would), Unsupported (a node cannot
        do these shapes; an output's type needs ml_dtypes), OutOfMemory.
        """
        if returns not in ("numpy", "tensors"):
            raise InvalidArgument(f"returns={returns!r}: want 'numpy' or 'tensors'")
        results = self._native.run(self._tensors(inputs))
        names = (info.name for info in self._outputs)
        return dict(zip(names, results if returns == "tensors" else map(array_of, results)))

    def explain(self, inputs: Inputs | None = None, *, runs: int = 10) -> Explanation:
        """Runs the model `runs` times, step by step: each step's kernel, why it was chosen, its GFLOP and mean milliseconds.

        Without `inputs` it makes some up, with open axes of 1. Raises as run() does.
        """
        given = [example_input(info) for info in self._inputs] if inputs is None else inputs
        return explanation_of(self._native.profile(self._tensors(given), runs))

    def __repr__(self) -> str:
        def listed(infos: tuple[TensorInfo, ...]) -> str:
            return ", ".join(f"{info.name}: {info}" for info in infos)

        return f"<oxplow.Model ({listed(self._inputs)}) -> ({listed(self._outputs)}), {self.precision}, {self.isa}, {self.threads} threads>"

    def _tensors(self, inputs: Inputs) -> list[Any]:
        if isinstance(inputs, Mapping):
            names = [info.name for info in self._inputs]
            for name in inputs:
                if name not in names:
                    raise InvalidArgument(f"the model has no input '{name}'; its inputs are: {', '.join(names) or 'none'}")
            for name in names:
                if name not in inputs:
                    raise InvalidArgument(f"input '{name}' is missing; the model's inputs are: {', '.join(names)}")
            inputs = [inputs[name] for name in names]
        elif isinstance(inputs, (str, bytes)) or not isinstance(inputs, Sequence):
            raise InvalidArgument(f"inputs are a dict by name or a list, not {type(inputs).__name__}")
        if len(inputs) != len(self._inputs):
            raise InvalidArgument(f"the model has {len(self._inputs)} inputs, not {len(inputs)}")
        return [value_of(value, info) for value, info in zip(inputs, self._inputs)]


@functools.cache
def _workers(threads: int) -> _native.Workers:
    """One team of threads for all models of the process that ask for so many: two busy teams would only take turns."""
    return _native.Workers.create(threads)


def _team(threads: int | None) -> _native.Workers:
    if threads is not None and threads < 1:
        raise InvalidArgument(f"threads={threads}: want at least 1, or None to let the machine say")
    return _workers(threads or 0)


def load(model: str | os.PathLike[str] | bytes, *, precision: Literal["fp32", "bf16"] | None = None, threads: int | None = None,
         isa: str | None = None) -> Model:
    """Loads a model.

    model: the path of an .onnx file (with its external data beside it) or of what compile() made of one, or an .onnx file's bytes.
    precision: what to compute in; inputs and outputs keep their types. bf16 falls back to fp32 where this machine has none. None:
        what the model was compiled for, else fp32.
    threads: how many to keep busy; None: OXPLOW_THREADS, OMP_NUM_THREADS, or what this process may use (affinity, hyper-threads
        counted once, container quotas). Models that ask for the same number share one team.
    isa: hold the model to a tier, "avx2"; None: OXPLOW_ISA, or the best this machine has.

    Raises NotFound, ReadError, InvalidModel, Unsupported (names every op that is not known), InvalidArgument (an option).
    """
    workers = _team(threads)
    if isinstance(model, bytes):
        return Model(_native.Model.from_bytes(model, workers, precision or "", isa or ""))
    return Model(_native.Model.load(os.fspath(model), workers, precision or "", isa or ""))


def compile(source: str | os.PathLike[str], target: str | os.PathLike[str], *, precision: Literal["fp32", "bf16"] | None = None,
            batch: int | Sequence[int] = 1, extents: Mapping[str, int] | None = None, threads: int | None = None,
            isa: str | None = None) -> CompileReport:
    """Writes a model as one file with its weights packed for this machine: load() has it ready in milliseconds.

    source: the path of an .onnx file, or of a compiled model to make anew.
    target: the file to write. It appears whole or not at all, and runs on every other machine too, which packs for itself.
    batch: samples a run (several: one after another) to pack the weights for; other batches run as well.
    extents: of open axes other than the batch, by their names: {"sequence": 128}.
    precision, threads, isa: as in load(). The compiled model remembers the precision.

    Raises as load() does; ReadError where the file cannot be written.
    """
    batches = [batch] if isinstance(batch, int) else list(batch)
    return _native.compile(os.fspath(source), os.fspath(target), _team(threads), precision or "", isa or "", batches, dict(extents or {}))
