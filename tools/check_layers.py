#!/usr/bin/env python3
"""Checks that includes below oxplow/ keep to the table of folders in ARCHITECTURE.md.

  tools/check_layers.py [--root DIR]

The rules, each offence one line on standard output (status 1 if there is any):
- every folder of oxplow/ stands in the table; its files include only themselves and what its row allows;
- an include of ours is written "oxplow/..." and names a file that is there; no .cc file is included;
- no header includes itself through others;
- subfolders of one folder (kernels/conv, kernels/winograd) lean on each other one way only.

A row allows the folders it names; "graph and below" adds every folder of a lower level; "all above" is every folder of a
lower level; "-" is nothing. What stands directly in oxplow/ is the public door of the library: it may include every folder, and only folders
that may include "all above" may include it.
"""

import argparse
import pathlib
import re
import sys

ROW = re.compile(r"^\|\s*(\d+)\s*\|\s*`(\w+)/`\s*\|.*\|\s*([^|]*?)\s*\|\s*$", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def read_table(text):
    """{folder: set of folders it may include} from the table's text (None stands for the files directly in oxplow/);
    ValueError for a row that says something unknown."""
    rows = [(int(level), folder, allowed) for level, folder, allowed in ROW.findall(text)]
    if not rows:
        raise ValueError("ARCHITECTURE.md has no table of folders")
    levels = {folder: level for level, folder, _ in rows}
    table = {}
    for level, folder, allowed in rows:
        words = set(re.findall(r"\w+", allowed))
        names = words - {"and", "below", "all", "above"}
        for name in names:
            if name not in levels or levels[name] >= level:
                raise ValueError(f"the row of {folder}/ allows {name}, which is not a folder of a lower level")
        below = level if "above" in words else max((levels[name] for name in names), default=0) if "below" in words else 0
        table[folder] = names | {name for name, its_level in levels.items() if its_level < below}
        if "above" in words:
            table[folder].add(None)
    return table


def read_includes(root):
    """{file: [(line, included path)]} of every C++ file below root/oxplow; paths are relative to root."""
    files = {}
    for path in sorted((root / "oxplow").rglob("*")):
        if path.suffix in (".h", ".cc", ".inc"):
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(root).as_posix()
            files[name] = [(text.count("\n", 0, m.start(1)) + 1, m.group(1)) for m in INCLUDE.finditer(text)]
    return files


def folder_of(path):
    """The folder of the table that holds a file, or None for a file directly in oxplow/."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None


def check_directions(table, files):
    for folder in sorted({folder_of(path) for path in files} - {None} - table.keys()):
        yield f"oxplow/{folder}/ is not in the table of ARCHITECTURE.md"
    for path, includes in files.items():
        here = folder_of(path)
        for line, target in includes:
            there = folder_of(target)
            if target not in files:
                yield f'{path}:{line}: "{target}" is not a file of ours: write "oxplow/folder/file.h"'
            elif target.endswith(".cc"):
                yield f"{path}:{line}: includes the source {target}"
            elif here not in (None, there) and here in table and there not in table[here]:
                yield f"{path}:{line}: {here}/ may not include {target}"


def find_cycle(graph):
    """A path [a, b, ..., a] along the edges of {node: {node}}, or None. Iterative, in a stable order."""
    finished = set()
    for start in sorted(graph):
        if start in finished:
            continue
        trail, pending = [start], [iter(sorted(graph[start]))]
        while pending:
            target = next(pending[-1], None)
            if target is None:
                finished.add(trail.pop())
                pending.pop()
            elif target in trail:
                return trail[trail.index(target) :] + [target]
            elif target in graph and target not in finished:
                trail.append(target)
                pending.append(iter(sorted(graph[target])))
    return None


def check_cycles(files):
    cycle = find_cycle({path: {target for _, target in includes} for path, includes in files.items()})
    if cycle:
        yield "files include each other: " + " -> ".join(cycle)
    leans = {}
    for path, includes in files.items():
        here = path.split("/")[1:-1]
        for _, target in includes:
            there = target.split("/")[1:-1]
            if len(here) > 1 and len(there) > 1 and here[0] == there[0] and here[1] != there[1]:
                leans.setdefault("/".join(here[:2]), set()).add("/".join(there[:2]))
    cycle = find_cycle(leans)
    if cycle:
        yield "subfolders lean on each other: " + " -> ".join(cycle)


def check(root):
    """Every offence below root, as one line each."""
    table = read_table((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    files = read_includes(root)
    return [*check_directions(table, files), *check_cycles(files)]


def main():
    parser = argparse.ArgumentParser(description="Checks includes against the table of folders in ARCHITECTURE.md.")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    offences = check(parser.parse_args().root)
    print("\n".join(offences) if offences else "layers: every include goes down")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
