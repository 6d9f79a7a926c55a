"""One peer with one model loaded, in a process of its own: peer_worker.py PEER MODEL PRECISION BATCH THREADS MODELS INPUTS

Answers one JSON line a command. {"do": "outputs", "folder": F} writes the outputs as .npy files; {"do": "slice",
"seconds": S} runs for S seconds and gives seconds a run. The first line, unasked, has load_ms and first_ms.
"""
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from cases import Case
from peers import PEERS, Runner

WARM_UP_RUNS = 2  # after a pause caches and threads are cold


def write_outputs(run: Runner, folder: Path) -> dict:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in run().items():
        np.save(folder / f"{name}.npy", array)
    return {}


def time_slice(run: Runner, seconds: float) -> dict:
    for _ in range(WARM_UP_RUNS):
        run()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return {"seconds": times}


def only_our_lines_on_stdout() -> TextIO:
    """Libraries print what they like; it goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


def main() -> None:
    peer, model, precision, batch, threads, models, inputs = sys.argv[1:]
    answers = only_our_lines_on_stdout()
    case = Case(model, precision, int(batch))
    arrays = {path.stem: np.load(path) for path in sorted(Path(inputs).glob("*.npy"))}
    start = time.perf_counter()
    run = PEERS[peer](case, arrays, int(threads), Path(models))
    loaded = time.perf_counter()
    run()
    print(json.dumps({"load_ms": 1e3 * (loaded - start), "first_ms": 1e3 * (time.perf_counter() - loaded)}), file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        answer = write_outputs(run, Path(command["folder"])) if command["do"] == "outputs" else time_slice(run, command["seconds"])
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
