#!/usr/bin/env python3
"""Writes the section "ONNX ops" of docs/models.md from the importer's tables (rows {"Op", rule} of oxplow/graph/import/onnx*.cc).

  tools/onnx_ops.py [--check]       --check compares, and writes nothing (status 1 if it differs)
"""

import argparse
import pathlib
import re
import sys
import textwrap
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/models.md"
ROW = re.compile(r'\{"((?:[a-z][\w.]*\.)?)([A-Z]\w+)", \w')
SECTION = re.compile(r"(?<=^## ONNX ops\n).*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def known_ops():
    """{domain: names}; "" is ONNX's default domain."""
    ops = defaultdict(set)
    for source in (ROOT / "oxplow/graph/import").glob("onnx*.cc"):
        if not source.stem.endswith("_test"):
            for domain, name in ROW.findall(source.read_text()):
                ops[domain.rstrip(".")].add(name)
    return ops


def section(ops):
    lines = []
    for domain in sorted(ops):
        lines += [f"\n`{domain}`:\n"] if domain else []
        lines += textwrap.wrap(" ".join(f"`{name}`" for name in sorted(ops[domain])), 120)
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    flags = parser.parse_args()
    page = PAGE.read_text()
    wanted = SECTION.sub(lambda _: section(known_ops()), page, count=1)
    if not flags.check:
        PAGE.write_text(wanted)
    elif wanted != page:
        sys.exit("docs/models.md does not list the ops that the importer knows: run tools/onnx_ops.py")


if __name__ == "__main__":
    main()
