"""Oxplow and its peers behind one interface: outputs() once, then slice(seconds) again and again, each in turn."""
import json
import os
import select
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from cases import Case

START_LIMIT_SECONDS = 900  # torch.compile on two cores takes minutes
HERE = Path(__file__).parent
# What holds a library to an instruction set: Oxplow, oneDNN (PyTorch, most of OpenVINO), PyTorch's own kernels, MKL.
# ONNX Runtime has no such switch. avx512_vnni is AVX-512 with VNNI and BF16, without AMX.
HELD_TO = {
    "avx2": {"OXPLOW_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512_vnni": {"OXPLOW_ISA": "avx512_vnni", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
}


class Failed(Exception):
    """A contender that cannot take part, and why."""


@dataclass
class Setting:
    """What all contenders of one case share."""

    case: Case
    threads: int
    isa: str
    models: Path
    inputs: Path
    command: Path

    def environment(self) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": str(self.threads), **HELD_TO.get(self.isa, {})}

    def input_arrays(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(self.inputs.glob("*.npy"))}


@dataclass
class Slice:
    median: float  # samples a second
    best: float


class Contender(Protocol):
    name: str
    facts: dict

    def outputs(self, folder: Path) -> dict[str, np.ndarray]: ...
    def slice(self, seconds: float) -> Slice: ...
    def close(self) -> None: ...


@dataclass
class Peer:
    """A worker process, stopped by signal between its slices: a spinning thread pool takes nothing from the others."""

    name: str
    setting: Setting
    facts: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        s = self.setting
        words = [sys.executable, str(HERE / "peer_worker.py"), self.name, s.case.model, s.case.precision, str(s.case.batch),
                 str(s.threads), str(s.models), str(s.inputs)]
        self.log = (s.inputs / f"{self.name.replace(' ', '_')}.log").open("w+")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env=s.environment())
        try:
            self.facts = self._answer()
        except Failed:
            self.close()
            raise
        self.process.send_signal(signal.SIGSTOP)

    def _answer(self) -> dict:
        ready, _, _ = select.select([self.process.stdout], [], [], START_LIMIT_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.log.seek(0)
            last = [text.strip() for text in self.log if text.strip()][-1:] or ["no answer"]
            raise Failed(last[0] if ready else f"no answer in {START_LIMIT_SECONDS} s")
        return json.loads(line)

    def _ask(self, **command: object) -> dict:
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            return self._answer()
        except BrokenPipeError as error:
            raise Failed(f"it died: {error}") from error
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def outputs(self, folder: Path) -> dict[str, np.ndarray]:
        self._ask(do="outputs", folder=str(folder))
        return {path.stem: np.load(path) for path in folder.glob("*.npy")}

    def slice(self, seconds: float) -> Slice:
        times = self._ask(do="slice", seconds=seconds)["seconds"]
        batch = self.setting.case.batch
        return Slice(batch / statistics.median(times), batch / min(times))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@dataclass
class Oxplow:
    """`oxplow bench`, one process a slice."""

    setting: Setting
    facts: dict = field(default_factory=dict)
    name: str = "oxplow"

    def _run(self, *words: object) -> None:
        s = self.setting
        line = [str(s.command), *map(str, words), "--precision", s.case.precision, "--threads", str(s.threads)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, env=s.environment(), timeout=START_LIMIT_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(str(error)) from error
        if done.returncode != 0:
            raise Failed((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])

    def _named_inputs(self) -> list[str]:
        return [word for name, path in self.setting.input_arrays().items() for word in ("--input", f"{name}={path}")]

    def _model(self) -> Path:
        return self.setting.models / f"{self.setting.case.model}.onnx"

    def outputs(self, folder: Path) -> dict[str, np.ndarray]:
        self._run("run", self._model(), *self._named_inputs(), "--output", folder)
        return {path.stem: np.load(path) for path in folder.glob("*.npy")}

    def slice(self, seconds: float) -> Slice:
        report = self.setting.inputs / "oxplow.json"
        named = self._named_inputs() if len(self.setting.input_arrays()) > 1 else []  # a text model's length is in its inputs
        self._run("bench", self._model(), *named, "--batch", self.setting.case.batch, "--seconds", seconds, "--json", report)
        self.facts = json.loads(report.read_text())
        return Slice(**self.facts["samples_per_second"])

    def close(self) -> None:
        pass
