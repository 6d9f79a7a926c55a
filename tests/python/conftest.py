"""Finds the package: OXPLOW_PYTHON, or build/python. Models are made here with onnx, as small as they can be."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(os.environ.get("OXPLOW_PYTHON", ROOT / "build/python")).resolve()
if not (PACKAGE / "oxplow").is_dir():
    pytest.exit(f"no package in {PACKAGE}: run 'make build' or set OXPLOW_PYTHON", returncode=1)
sys.path.insert(0, str(PACKAGE))


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder that `oxplow` is imported from."""
    return PACKAGE
