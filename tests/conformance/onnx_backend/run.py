#!/usr/bin/env python3
"""Runs onnx.backend.test against Oxplow:  run.py [-k PATTERN] [--strict]

Every case of kinds node, simple, light, pytorch-converted and pytorch-operator at the suite's own tolerances. Cases that are known to
fail stand in expected_failures.txt, one `case: reason` a line. Status 1 if another case fails, and with --strict if a listed one
passes (or is no case at all), so that the list only shrinks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
EXPECTED = HERE / "expected_failures.txt"
PACKAGE = Path(os.environ.get("OXPLOW_PYTHON", ROOT / "build" / "python"))
if not (PACKAGE / "oxplow").is_dir():
    sys.exit(f"no package in {PACKAGE}: run 'make build' or set OXPLOW_PYTHON")
sys.path[:0] = [str(HERE), str(PACKAGE)]

import onnx  # noqa: E402

from cases import Case, all_cases  # noqa: E402
from workers import run_isolated  # noqa: E402

HEAD = """\
# Cases of onnx.backend.test that fail, each with the engine's own word why: `case: reason`. Made by run.py --write; take a line
# out when its case passes.
"""


def read_expected() -> dict[str, str]:
    lines = EXPECTED.read_text().splitlines() if EXPECTED.exists() else []
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-k", dest="pattern", metavar="PATTERN", help="only cases whose name this regular expression finds")
    parser.add_argument("--strict", action="store_true", help="a listed case that passes is an error too")
    parser.add_argument("--write", action="store_true", help="write expected_failures.txt anew (of all cases)")
    parser.add_argument("--json", type=Path, help="write every case's result to this file")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="worker processes")
    parser.add_argument("--timeout", type=float, default=30, help="seconds for a case")
    parser.add_argument("-v", "--verbose", action="store_true", help="print expected failures too")
    return parser.parse_args()


def run_all(cases: list[Case], flags: argparse.Namespace, expected: dict[str, str]) -> dict[str, str]:
    """{case: why it failed, or ""}; prints failures as they come."""
    results = {}
    for item, why, seconds in run_isolated(lambda i: cases[i].run(), len(cases), flags.jobs, flags.timeout):
        name = cases[item].name
        results[name] = why
        if why and (name not in expected or flags.verbose):
            print(f"FAIL {name}: {why}")
        if seconds > 5:
            print(f"slow {name}: {seconds:.1f} s")
    return results


def to_keep(why: str) -> str:
    """The reason without figures that differ from machine to machine."""
    return "other result" if why.startswith("other result") else why


def write_json(path: Path, cases: list[Case], results: dict[str, str]) -> None:
    rows = [{"name": c.name, "kind": c.kind, "training": c.training, "op": c.op, "why": to_keep(results[c.name])} for c in cases]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"onnx": onnx.__version__, "cases": rows}, indent=0))


def print_counts(cases: list[Case], results: dict[str, str]) -> None:
    def kind_of(case: Case) -> str:
        return "training" if case.training else case.kind

    total = Counter(kind_of(case) for case in cases)
    passed = Counter(kind_of(case) for case in cases if not results[case.name])
    for kind, count in total.items():
        print(f"{kind:18} {passed[kind]:5} of {count:5} pass ({100 * passed[kind] / count:.1f} %)")


def main() -> int:
    flags = arguments()
    expected = read_expected()
    cases = all_cases(ROOT / "build" / "onnx_backend")
    known = {case.name for case in cases}
    cases = [case for case in cases if not flags.pattern or re.search(flags.pattern, case.name, re.IGNORECASE)]
    if not cases:
        print(f"no case's name has {flags.pattern}")
        return 1
    results = run_all(cases, flags, expected)
    if flags.json:
        write_json(flags.json, cases, results)
    if flags.write and not flags.pattern:
        EXPECTED.write_text(HEAD + "".join(f"{name}: {to_keep(why)}\n" for name, why in sorted(results.items()) if why))
    print_counts(cases, results)
    failed = sorted(name for name, why in results.items() if why and name not in expected)
    outdated = sorted(name for name in expected if not results.get(name, "not run") or name not in known)
    for name in outdated:
        print(f"{'FAIL' if flags.strict else 'note'} {name} stands in {EXPECTED.name} but {'passes' if name in known else 'is no case'}")
    wrong = len(failed) + (len(outdated) if flags.strict else 0)
    print(f"{len(results) - len(failed)} passed or expected to fail, {len(failed)} failed, {len(outdated)} outdated lines")
    return 1 if wrong and not flags.write else 0


if __name__ == "__main__":
    sys.exit(main())
