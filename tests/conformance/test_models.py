"""Whole models through `oxplow run` against ONNX Runtime's outputs: precisions, batches, thread counts, ISA tiers, export styles."""
from pathlib import Path

import numpy as np
import pytest

from catalog import BATCHES, CATALOG, CONFORMANCE
from oxplow_command import Oxplow, npy_files, relative_error

TOLERANCE = {"fp32": 1e-4, "bf16": 3e-2}
OTHER_STYLES = [name + style for name, style in CONFORMANCE if style]


def run_golden(oxplow: Oxplow, models: Path, name: str, batch: int, output: Path, *options: object, isa: str = "") -> dict[str, np.ndarray]:
    """Runs `name` on its golden inputs and returns its outputs by name."""
    folder = models / name / f"b{batch}"
    assert (models / name / "recipe").exists(), f"{name} is not exported in {models}: run tests/models/export.py --conformance --out {models}"
    oxplow.run(models / f"{name}.onnx", npy_files(folder), output, *options, isa=isa).check()
    return {key: np.load(path) for key, path in npy_files(output).items()}


def assert_golden(actual: dict[str, np.ndarray], models: Path, name: str, batch: int, tolerance: float) -> None:
    expected = {key: np.load(path) for key, path in npy_files(models / name / f"b{batch}" / "expected").items()}
    assert actual.keys() == expected.keys()
    for key, array in expected.items():
        assert actual[key].shape == array.shape and actual[key].dtype == array.dtype
        error = relative_error(actual[key], array)
        assert error <= tolerance, f"{name} batch {batch}: {key} is off by {error:.2e}, more than {tolerance:.0e}"


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CATALOG)
def test_matches_onnxruntime(oxplow: Oxplow, models: Path, tmp_path: Path, name: str, batch: int, precision: str) -> None:
    actual = run_golden(oxplow, models, name, batch, tmp_path, "--precision", precision)
    assert_golden(actual, models, name, batch, TOLERANCE[precision])


@pytest.mark.parametrize("name", OTHER_STYLES)
def test_other_export_styles(oxplow: Oxplow, models: Path, tmp_path: Path, name: str) -> None:
    assert_golden(run_golden(oxplow, models, name, 7, tmp_path), models, name, 7, TOLERANCE["fp32"])


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("batch", (1, 7))
@pytest.mark.parametrize("name", CATALOG)
def test_thread_count_changes_no_bit(oxplow: Oxplow, models: Path, tmp_path: Path, name: str, batch: int, precision: str) -> None:
    one, *others = (run_golden(oxplow, models, name, batch, tmp_path / str(threads), "--threads", threads, "--precision", precision)
                    for threads in (1, 2, 3))
    for other in others:
        assert other.keys() == one.keys()
        assert all(other[key].tobytes() == one[key].tobytes() for key in one)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", CATALOG)
def test_every_tier(oxplow: Oxplow, models: Path, tmp_path: Path, tiers: list[str], name: str, precision: str) -> None:
    for tier in tiers:
        actual = run_golden(oxplow, models, name, 2, tmp_path / tier, "--precision", precision, isa=tier)
        assert_golden(actual, models, name, 2, TOLERANCE[precision])
