#!/usr/bin/env python3
"""check_wheel.py WHEEL PYTHON: the wheel is small and complete, and the interpreter it was installed for runs a model with it."""

import subprocess
import sys
import zipfile
from pathlib import Path

LARGEST = 20e6
NEEDED = ["LICENSE", "oxplow/py.typed", "oxplow/_native.pyi", "oxplow/__init__.py"]
PROGRAM = """
import numpy, oxplow
oxplow.load
try:
    oxplow.load(b"no model")
except oxplow.InvalidModel as error:
    print(oxplow.__version__, oxplow.__file__)
"""


def main(wheel: Path, python: str) -> None:
    size = wheel.stat().st_size
    names = zipfile.ZipFile(wheel).namelist()
    assert size <= LARGEST, f"{wheel.name} has {size} bytes"
    missing = [name for name in NEEDED if not any(path.endswith(name) for path in names)]
    assert not missing, f"{wheel.name} is without {missing}: {names}"
    said = subprocess.run([python, "-c", PROGRAM], cwd="/", check=True, capture_output=True, text=True).stdout
    print(f"{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files; imported: {said.strip()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), str(Path(sys.argv[2]).absolute()))
