"""Where a run's time goes, as rows and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oxplow._native import Step, TensorInfo
from oxplow.arrays import dtype_named
from oxplow.errors import InvalidArgument


@dataclass(frozen=True)
class Row:
    """One step of a run."""

    op: str
    """The op, "Conv"."""
    node: str
    """The model's name for it."""
    result: str
    """Type of the result, "f32[1, 56, 56, 64]"."""
    kernel: str
    """The kernel that computes it."""
    why: str
    """Why this kernel."""
    gflop: float
    """Billions of floating point operations a run."""
    milliseconds: float
    """Mean time of a run."""
    percent_of_time: float
    """Share of all steps' time."""


@dataclass(frozen=True)
class Explanation:
    """The steps of a run in their order; print() shows them as a table."""

    rows: tuple[Row, ...]

    @property
    def milliseconds(self) -> float:
        """Of all steps together."""
        return sum(row.milliseconds for row in self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        heads = ("op", "result", "GFLOP", "ms", "%time", "kernel", "why", "node")
        table = [heads]
        for row in self.rows:
            figures = (f"{row.gflop:.4f}", f"{row.milliseconds:.4f}", f"{row.percent_of_time:.1f}")
            table.append((row.op, row.result, *figures, row.kernel, row.why, row.node))
        widths = [max(len(line[column]) for line in table) for column in range(len(heads))]
        lines = []
        for cells in table:
            aligned = (cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
                       for column, (cell, width) in enumerate(zip(cells, widths)))
            lines.append("  ".join(aligned).rstrip())
        return "\n".join([*lines, f"{len(self.rows)} steps, {self.milliseconds:.3f} ms a run"])


def explanation_of(steps: list[Step]) -> Explanation:
    """Rows of a model's profile."""
    total = sum(step.milliseconds for step in steps)
    return Explanation(tuple(
        Row(step.op, step.node, step.result, step.kernel, step.why, step.gflop, step.milliseconds,
            100 * step.milliseconds / total if total else 0.0)
        for step in steps))


def example_input(info: TensorInfo) -> npt.NDArray[Any]:
    """Something to time a model with: numbers from -1 to 1, integers all 1; open axes are 1."""
    if info.shape is None or info.dtype is None:
        raise InvalidArgument(f"the model does not say what input '{info.name}' is like: give inputs to explain()")
    shape = tuple(extent if isinstance(extent, int) else 1 for extent in info.shape)
    dtype = dtype_named(info.dtype)
    if dtype.kind in "iub" or dtype.name.startswith(("int", "uint")):
        return np.ones(shape, dtype)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
