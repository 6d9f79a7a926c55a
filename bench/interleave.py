"""Runs the contenders of one case: outputs first, then slices in turn, several rounds."""
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cases import TOLERANCE, Case
from contenders import Contender, Failed, Oxplow, Peer, Setting, Slice
from peers import Arrays, peers_of

PAUSE_SECONDS = 0.2  # lets the machine settle between two contenders


def write_inputs(case: Case, folder: Path) -> Arrays:
    from catalog import CATALOG

    folder.mkdir(parents=True, exist_ok=True)
    inputs = CATALOG[case.model].inputs(case.batch)
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
    return inputs


def expected_outputs(model: Path, inputs: Arrays, threads: int) -> Arrays:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def output_error(actual: Arrays, expected: Arrays) -> float:
    """The largest relative error of any output; infinity where one is missing, misshapen or not a number."""
    errors = []
    for name, array in expected.items():
        if name not in actual or actual[name].shape != array.shape:
            return float("inf")
        error = np.abs(actual[name].astype(np.float64) - array).max() / np.abs(array).max()
        errors.append(float(error) if np.isfinite(error) else float("inf"))
    return max(errors)


def measure(setting: Setting, rounds: int, seconds: float, say: Callable[[str], None]) -> dict:
    """One row of the report: {"case", "contenders": {name: {"error", "median", "best", "rounds", ...} or {"failed": why}}}."""
    case, row = setting.case, {}
    expected = expected_outputs(setting.models / f"{case.model}.onnx", write_inputs(case, setting.inputs), setting.threads)
    entrants: list[Contender] = []
    try:
        for name in ("oxplow", *peers_of(case)):
            say(f"{case}: loading {name}")
            entrants += enter(name, setting, expected, row)
        for index in range(rounds):
            say(f"{case}: round {index + 1} of {rounds}")
            for contender in rotated(entrants, index):
                run_slice(contender, seconds, row)
    finally:
        for contender in entrants:
            contender.close()
    return {"case": str(case), "model": case.model, "precision": case.precision, "batch": case.batch,
            "contenders": {name: summary(result) for name, result in row.items()}}


def enter(name: str, setting: Setting, expected: Arrays, row: dict) -> list[Contender]:
    """The contender, if its outputs are right; else nothing, with the reason in `row`."""
    contender = None
    try:
        contender = Oxplow(setting) if name == "oxplow" else Peer(name, setting)
        error = output_error(contender.outputs(setting.inputs / "outputs" / name.replace(" ", "_")), expected)
        if error > TOLERANCE[setting.case.precision]:
            raise Failed(f"its outputs are off by {error:.1e}")
    except Failed as reason:
        row[name] = {"failed": str(reason)}
        if contender is not None:
            contender.close()
        return []
    row[name] = {"error": error, "slices": []}
    return [contender]


def rotated(entrants: list[Contender], index: int) -> list[Contender]:
    """Another contender goes first each round, so none always follows the same one."""
    start = index % max(1, len(entrants))
    return entrants[start:] + entrants[:start]


def run_slice(contender: Contender, seconds: float, row: dict) -> None:
    result = row[contender.name]
    if "failed" in result:
        return
    time.sleep(PAUSE_SECONDS)
    try:
        result["slices"].append(contender.slice(seconds))
        result["facts"] = contender.facts
    except Failed as reason:
        row[contender.name] = {"failed": str(reason)}


def summary(result: dict) -> dict:
    slices: list[Slice] = result.pop("slices", [])
    if "failed" in result:
        return result
    return {**result, "median": statistics.median(s.median for s in slices), "best": max(s.best for s in slices),
            "rounds": [s.median for s in slices]}
