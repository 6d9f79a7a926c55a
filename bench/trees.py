#!/usr/bin/env python3
"""Measures ensembles of trees beside their own libraries: bench/trees.py [--rounds N] [--seconds S]

Trains XGBoost and LightGBM on made data (28 features, 100,000 rows), converts with onnxmltools, compares outputs, then times Oxplow, the library
and ONNX Runtime in turn on fp32 rows, and writes docs/benchmarks_trees.md. Models are kept in build/bench/trees.
Uses OXPLOW_COMMAND (build/oxplow) and OXPLOW_VENV (build/venv).
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from run import ROOT, located

FEATURES, ROWS = 28, 100_000
BATCHES = (1, 100, 10_000, ROWS)
TOLERANCE = 1e-5  # of a probability
PAUSE_SECONDS = 0.2
PEERS = ("xgboost", "lightgbm", "onnxruntime")
PAGE = """# Benchmarks of trees

Made by `bench/trees.py`; do not edit. XGBoost and LightGBM trained these ensembles (binary classification) on made data of {features} features; Oxplow and
ONNX Runtime run them as onnxmltools converts them. All predict probabilities of the same fp32 rows with {threads} threads, in turn,
{rounds} rounds of {seconds:g} s, outputs compared first. A figure is rows/s, the median of rounds; the ratio is the median of each round's.

{cpu}, Oxplow's tier: {tier}. {versions}. {date}.

| trained by | trees | depth | rows | oxplow | its library | onnxruntime | oxplow / its library | oxplow / onnxruntime |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
{rows}
"""


@dataclass(frozen=True)
class Case:
    library: str
    trees: int
    depth: int

    def __str__(self) -> str:
        return f"{self.library}-{self.trees}x{self.depth}"


CASES = [Case(library, trees, depth) for trees, depth in ((500, 6), (1000, 8)) for library in ("xgboost", "lightgbm")]


def made_data() -> tuple:
    import numpy as np

    x = np.random.RandomState(0).randn(ROWS, FEATURES).astype(np.float32)
    return x, ((x[:, :5] ** 2).sum(1) + x[:, 5] * x[:, 6] > 5).astype(int)


def train(case: Case, folder: Path, threads: int) -> None:
    """Leaves the library's model and ours, unless they are there."""
    if (folder / f"{case}.onnx").exists():
        return
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    print(f"trees: training {case}", file=sys.stderr)
    types = [("x", FloatTensorType([None, FEATURES]))]
    options = {"max_depth": case.depth, "n_estimators": case.trees, "learning_rate": 0.1, "n_jobs": threads}
    if case.library == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier(tree_method="hist", **options).fit(*made_data())
        model.save_model(folder / f"{case}.json")
        converted = convert_xgboost(model, initial_types=types)
    else:
        import lightgbm

        model = lightgbm.LGBMClassifier(num_leaves=2**case.depth, verbose=-1, **options).fit(*made_data())
        model.booster_.save_model(folder / f"{case}.json")
        converted = convert_lightgbm(model, initial_types=types, zipmap=False)
    (folder / f"{case}.onnx").write_bytes(converted.SerializeToString())


Predict = Callable[["numpy.ndarray"], "numpy.ndarray"]  # rows -> probabilities of the second class


def library_predict(case: Case, folder: Path, threads: int) -> Predict:
    if case.library == "xgboost":
        import xgboost

        booster = xgboost.Booster({"nthread": threads}, model_file=folder / f"{case}.json")
        return booster.inplace_predict
    import lightgbm

    booster = lightgbm.Booster(model_file=folder / f"{case}.json")
    return lambda x: booster.predict(x, num_threads=threads)


def onnxruntime_predict(case: Case, folder: Path, threads: int) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / f"{case}.onnx", options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["probabilities"], {"x": x})[0][:, 1]


class Oxplow:
    def __init__(self, case: Case, folder: Path, threads: int) -> None:
        self.words = [str(located("OXPLOW_COMMAND", "build/oxplow"))]
        self.model, self.folder, self.threads = folder / f"{case}.onnx", folder, ["--threads", str(threads)]

    def predict(self, x: object) -> object:
        import numpy as np

        np.save(self.folder / "x.npy", x)
        words = [*self.words, "run", self.model, "--input", f"x={self.folder / 'x.npy'}", "--output", self.folder / "out", *self.threads]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return np.load(self.folder / "out" / "probabilities.npy")[:, 1]

    def rows_per_second(self, x: object, seconds: float) -> float:
        import numpy as np

        np.save(self.folder / "x.npy", x)
        report = self.folder / "bench.json"
        words = [*self.words, "bench", self.model, "--input", f"x={self.folder / 'x.npy'}", "--batch", str(len(x)), "--seconds", str(seconds),
                 "--json", report, *self.threads]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        self.facts = json.loads(report.read_text())
        return self.facts["samples_per_second"]["median"]


def rows_per_second(predict: Predict, x: object, seconds: float) -> float:
    predict(x)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        predict(x)
        times.append(time.perf_counter() - start)
    return len(x) / statistics.median(times)


def measure(case: Case, arguments: argparse.Namespace, folder: Path, facts: dict) -> list[str]:
    """Rows of the table, one a batch."""
    import numpy as np

    x, _ = made_data()
    peers = [make(case, folder, arguments.threads) for make in (library_predict, onnxruntime_predict)]
    oxplow = Oxplow(case, folder, arguments.threads)
    expected = peers[0](x)
    for name, predict in (("oxplow", oxplow.predict), ("onnxruntime", peers[1])):
        error = np.abs(predict(x) - expected).max()
        if not error <= TOLERANCE:
            sys.exit(f"trees: {case}: {name} is off by {error:.1e}")
    lines = []
    for batch in BATCHES:
        figures: list[list[float]] = [[], [], []]
        for _ in range(arguments.rounds):
            contenders = [oxplow.rows_per_second, *(lambda rows, s, p=peer: rows_per_second(p, rows, s) for peer in peers)]
            for measured, contender in zip(figures, contenders):
                time.sleep(PAUSE_SECONDS)
                measured.append(contender(x[:batch], arguments.seconds))
        middle = [statistics.median(measured) for measured in figures]
        ratios = [statistics.median(a / b for a, b in zip(figures[0], theirs)) for theirs in figures[1:]]
        cells = [case.library, case.trees, case.depth, batch, *(f"{value:,.0f}" for value in middle), *(f"{ratio:.1f}x" for ratio in ratios)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
        print(f"trees: {lines[-1]}", file=sys.stderr)
    facts.update(oxplow.facts)
    return lines


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has TEXT, as xgboost-500x6; the page is not written then")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from run import enter_environment

    enter_environment()
    from importlib.metadata import version

    from session import host

    folder = ROOT / "build" / "bench" / "trees"
    folder.mkdir(parents=True, exist_ok=True)
    lines, facts = [], {}
    for case in (case for case in CASES if arguments.only in str(case)):
        train(case, folder, arguments.threads)
        lines += measure(case, arguments, folder, facts)
    if arguments.only:
        return
    versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
    (ROOT / "docs" / "benchmarks_trees.md").write_text(PAGE.format(
        features=FEATURES, threads=arguments.threads, rounds=arguments.rounds, seconds=arguments.seconds, cpu=host()["cpu"], tier=facts["isa"],
        versions=versions, date=datetime.date.today().isoformat(), rows="\n".join(lines)))


if __name__ == "__main__":
    main()
