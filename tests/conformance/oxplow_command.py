"""Runs the oxplow command and holds what came back; says how far two tensors are apart."""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TIME_LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Finished:
    arguments: list[str]
    status: int
    stdout: str
    stderr: str

    def check(self) -> "Finished":
        assert self.status == 0, f"status {self.status} of: {' '.join(self.arguments)}\n{self.stderr}"
        return self

    def error_line(self) -> str:
        """The one line a failed run owes its user."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        assert self.status == 1, f"status {self.status}, not 1, of: {' '.join(self.arguments)}\n{self.stderr}"
        assert len(lines) == 1, f"{len(lines)} lines on stderr, not 1, of: {' '.join(self.arguments)}\n{self.stderr}"
        return lines[0]


@dataclass(frozen=True)
class Oxplow:
    path: Path

    def __call__(self, *arguments: object, isa: str = "") -> Finished:
        words = [str(self.path), *map(str, arguments)]
        environment = {**os.environ, **({"OXPLOW_ISA": isa} if isa else {})}
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_LIMIT_SECONDS, env=environment)
        return Finished(words, done.returncode, done.stdout, done.stderr)

    def run(self, model: Path, inputs: dict[str, Path], output: Path, *options: object, isa: str = "") -> Finished:
        named = [word for name, path in inputs.items() for word in ("--input", f"{name}={path}")]
        return self("run", model, *named, "--output", output, *options, isa=isa)


def npy_files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.npy"))}


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """max |actual - expected| / max |expected|; NaN where either has one, which no tolerance admits."""
    difference = np.abs(actual.astype(np.float64) - expected).max()
    return float(difference / np.abs(expected).max())
