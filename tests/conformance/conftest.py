"""Finds the command and the exported models: OXPLOW_COMMAND (build/oxplow) and OXPLOW_MODELS (build/models)."""
import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "models"))
sys.path.insert(0, str(Path(__file__).parent))

from oxplow_command import Oxplow  # noqa: E402


def located(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT / default)).resolve()


@pytest.fixture(scope="session")
def oxplow() -> Oxplow:
    path = located("OXPLOW_COMMAND", "build/oxplow")
    if not path.is_file():
        pytest.exit(f"no command at {path}: run 'make build' or set OXPLOW_COMMAND", returncode=1)
    return Oxplow(path)


@pytest.fixture(scope="session")
def models() -> Path:
    path = located("OXPLOW_MODELS", "build/models")
    if not path.is_dir():
        pytest.exit(f"no models at {path}: run 'tests/models/export.py --conformance --out {path}' or set OXPLOW_MODELS", returncode=1)
    return path


@pytest.fixture(scope="session")
def tiers(oxplow: Oxplow) -> list[str]:
    """ISA tiers this machine can run, by the command's own word."""
    return json.loads(oxplow("doctor", "--json", "-").check().stdout)["isa_available"]
