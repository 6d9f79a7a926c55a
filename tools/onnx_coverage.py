#!/usr/bin/env python3
"""Writes docs/onnx_coverage.md: how much of ONNX's own suite of backend tests passes, and what does not, with the reason.

  tools/onnx_coverage.py RESULTS [--check]

RESULTS is what tests/conformance/onnx_backend/run.py --json wrote. With --check the page is compared, not written (status 1 if it differs).
"""

import argparse
import json
import pathlib
import sys
from collections import defaultdict

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs/onnx_coverage.md"
KINDS = {
    "node": "one node each: every op, every version of its options",
    "simple": "small graphs",
    "light": "whole vision models with made-up weights",
    "pytorch-converted": "layers that old PyTorch exported",
    "pytorch-operator": "operators that old PyTorch exported",
    "training": "gradients and optimizers of ai.onnx.preview.training: set apart, as running models needs none of them",
}
HEAD = """\
# What of ONNX runs
Made by `tools/onnx_coverage.py` of the results of `onnx.backend.test` {version}, at that suite's own tolerances. A model with an op that is not known is refused
as a whole when it is loaded, all such ops by name; nothing is skipped or guessed.

"""


def kind_of(case):
    return "training" if case["training"] else case["kind"]


def counts(cases):
    yield "| kind | cases | pass | | what they are |\n|---|---:|---:|---:|---|\n"
    for kind, what in KINDS.items():
        of_kind = [case for case in cases if kind_of(case) == kind]
        passed = sum(not case["why"] for case in of_kind)
        if of_kind:
            yield f"| {kind} | {len(of_kind)} | {passed} | {100 * passed / len(of_kind):.1f} % | {what} |\n"


def ops(cases):
    """Ops by the share of their own node cases that pass."""
    by_op = defaultdict(list)
    for case in cases:
        if case["op"] and not case["training"]:
            by_op[case["op"]].append(not case["why"])
    whole = sorted(op for op, passed in by_op.items() if all(passed))
    partly = sorted(op for op, passed in by_op.items() if any(passed) and not all(passed))
    none = sorted(op for op, passed in by_op.items() if not any(passed))
    yield f"\n## Ops\nAll cases pass ({len(whole)} ops): " + ", ".join(f"`{op}`" for op in whole) + ".\n"
    if partly:
        yield "\nSome pass: " + ", ".join(f"`{op}` ({sum(by_op[op])} of {len(by_op[op])})" for op in partly) + ".\n"
    if none:
        yield "\nNone passes: " + ", ".join(f"`{op}` ({len(by_op[op])})" for op in none) + ".\n"


def failures(cases):
    """Each reason once, with the cases that have it."""
    by_reason = defaultdict(list)
    for case in cases:
        if case["why"]:
            by_reason[case["why"]].append(case["name"])
    if not by_reason:
        return
    yield "\n## What fails\n| why | cases |\n|---|---|\n"
    for why, names in sorted(by_reason.items(), key=lambda row: (-len(row[1]), row[0])):
        yield f"| {escaped(why)} | {', '.join(f'`{name}`' for name in sorted(names))} |\n"


def escaped(text):
    """As a cell of a table shows it."""
    for character in "\\|<*_`":
        text = text.replace(character, "\\" + character)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    flags = parser.parse_args()
    results = json.loads(flags.results.read_text())
    cases = results["cases"]
    page = "".join([HEAD.format(version=results["onnx"]), *counts(cases), *ops(cases), *failures(cases)])
    if not flags.check:
        PAGE.write_text(page)
    elif page != PAGE.read_text():
        sys.exit(f"{PAGE.name} is not what these results give: run tools/onnx_coverage.py {flags.results}")


if __name__ == "__main__":
    main()
