"""The installed library: examples/cpp is built against it, by find_package and by pkg-config, and gives what ONNX Runtime gives."""
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oxplow_command import npy_files, relative_error

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "cpp"


def run(*words: object, **more) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, **more)
    assert done.returncode == 0, f"status {done.returncode} of {words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def installed(oxplow, tmp_path_factory) -> Path:
    prefix = tmp_path_factory.mktemp("built") / "prefix"
    run("cmake", "--install", oxplow.path.parent, "--prefix", prefix)
    moved = prefix.parent.parent / "installed"  # nothing in it may know where it was first
    return Path(shutil.move(prefix, moved))


@pytest.fixture(scope="session")
def program(installed, tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("example")
    compiler = os.environ.get("CXX", "g++-12")
    run("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}", f"-DCMAKE_CXX_COMPILER={compiler}",
        "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wshadow -Wconversion -Werror -fno-exceptions -fno-rtti")
    run("cmake", "--build", build)
    return build / "run_model"


def test_only_the_public_header_is_installed(installed):
    assert [path.relative_to(installed).as_posix() for path in installed.rglob("*.h")] == ["include/oxplow/oxplow.h"]
    assert run(installed / "bin" / "oxplow", "--version").startswith("oxplow ")


@pytest.mark.parametrize("batch", [1, 2])
def test_the_example_matches_onnxruntime(models, program, tmp_path, batch):
    golden = models / "efficientnet_lite0" / f"b{batch}"
    (source,), (expected,) = npy_files(golden).values(), npy_files(golden / "expected").values()
    np.load(source).astype("<f4").tofile(tmp_path / "x.f32")
    text = run(program, models / "efficientnet_lite0.onnx", tmp_path / "x.f32", tmp_path / "y.f32", batch)
    assert "ms a run" in text and "output " in text
    expected = np.load(expected)
    assert relative_error(np.fromfile(tmp_path / "y.f32", "<f4").reshape(expected.shape), expected) <= 1e-4


def test_the_example_fails_in_one_line(program, tmp_path):
    done = subprocess.run([program, tmp_path / "none.onnx", "x", "y"], capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "none.onnx" in done.stderr


def test_pkg_config_builds_the_documented_program(installed, models, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("no pkg-config")
    page = (ROOT / "docs" / "cpp.md").read_text()
    (tmp_path / "program.cc").write_text(page.split("```cpp\n")[1].split("```")[0])
    folder = next(installed.rglob("oxplow.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "oxplow", env={**os.environ, "PKG_CONFIG_PATH": str(folder)}).split()
    run(os.environ.get("CXX", "g++-12"), "-std=c++20", tmp_path / "program.cc", "-o", tmp_path / "program", *flags)
    library = {**os.environ, "LD_LIBRARY_PATH": str(folder.parent)}  # where the shared library was built too
    assert run(tmp_path / "program", cwd=models, env=library).count("class ") == 1000
