"""Runs cases in processes of their own, so that a crash or a hang is one case that failed and not the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

_fork = multiprocessing.get_context("fork")  # children have the cases already


@dataclass
class _Worker:
    """A process that gets one number after another and answers what `work` says of it."""

    work: Callable[[int], str]
    begun: float = 0.0
    item: int | None = None
    pipe: Connection = field(init=False)
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        self.pipe, end = _fork.Pipe()
        self.process = _fork.Process(target=self._serve, args=(end,), daemon=True)
        self.process.start()
        end.close()

    def _serve(self, end: Connection) -> None:
        self.pipe.close()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # some cases print
        while True:
            try:
                item = end.recv()
            except EOFError:
                return
            end.send(self.work(item))

    def give(self, item: int) -> None:
        self.item, self.begun = item, time.monotonic()
        self.pipe.send(item)

    def end(self) -> int:
        """Ends the process; its exit status, negative for a signal."""
        self.pipe.close()
        self.process.join(0.5)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


def run_isolated(work: Callable[[int], str], count: int, jobs: int, seconds: float) -> Iterator[tuple[int, str, float]]:
    """(item, what work(item) gave, seconds it took) for items 0 to count - 1, in the order they end. An item that kills its process
    or takes more than `seconds` gives a line that says so."""
    todo = iter(range(count))
    workers: list[_Worker] = []
    for item in todo:
        workers.append(_Worker(work))
        workers[-1].give(item)
        if len(workers) == jobs:
            break
    while workers:
        ready = wait([worker.pipe for worker in workers], timeout=0.2)
        for worker in list(workers):
            took = time.monotonic() - worker.begun
            if worker.pipe not in ready and took < seconds:
                continue
            item, answer = worker.item, _answer(worker, worker.pipe in ready, seconds)
            assert item is not None
            yield item, answer[1], took
            following = next(todo, None)
            if not answer[0]:
                workers.remove(worker)
                if following is not None:
                    workers.append(_Worker(work))
                    workers[-1].give(following)
            elif following is not None:
                worker.give(following)
            else:
                worker.end()
                workers.remove(worker)


def _answer(worker: _Worker, ready: bool, seconds: float) -> tuple[bool, str]:
    """Whether the worker lives, and what it said."""
    if not ready:
        worker.process.kill()
        worker.end()
        return False, f"did not end within {seconds:g} s"
    try:
        return True, worker.pipe.recv()
    except EOFError:
        status = worker.end()
        return False, "crashed: " + (signal.Signals(-status).name if status < 0 else f"exit status {status}")
