"""The contract of the command: exit status 0, 1, 2; one clear line on stderr when the work fails; no crash on bad bytes."""
import json
import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oxplow_command import Finished, Oxplow

BENCH_KEYS = {"model", "precision", "batch", "threads", "workers", "isa", "load_ms", "first_ms", "samples_per_second", "latency_ms", "peak_rss_mb"}


def linear_model(op: str = "MatMul") -> onnx.ModelProto:
    """y [n, 3] = x [n, 4] `op` weight, its node named "layer"."""
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "weight")
    graph = helper.make_graph([helper.make_node(op, ["x", "weight"], ["y"], name="layer")], "linear",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    path = tmp_path / "linear.onnx"
    onnx.save(linear_model(), path)
    return path


@pytest.fixture
def x(tmp_path: Path) -> Path:
    return saved(tmp_path, np.ones((5, 4), np.float32))


def saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "x.npy"
    np.save(path, array)
    return path


def run_with(oxplow: Oxplow, model: Path, x: Path, name: str = "x") -> Finished:
    return oxplow.run(model, {name: x}, model.parent / "out")


def test_run_writes_each_output(oxplow: Oxplow, linear: Path, x: Path) -> None:
    run_with(oxplow, linear, x).check()
    np.testing.assert_allclose(np.load(linear.parent / "out" / "y.npy"), np.full((5, 3), [18, 22, 26], np.float32))


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["bench", "--help"], ["--version"]])
def test_asked_for_help_is_success(oxplow: Oxplow, arguments: list[str]) -> None:
    assert oxplow(*arguments).check().stdout.strip()


@pytest.mark.parametrize("arguments", [
    [], ["plough"], ["--plough"], ["run"], ["bench"], ["explain"], ["run", "m.onnx", "--no-such-option"],
    ["run", "m.onnx", "--input", "x=x.npy", "--output", "out", "--precision", "fp99"],
    ["bench", "m.onnx", "--batch", "many"], ["bench", "m.onnx", "--batch", "0"], ["bench", "m.onnx", "--threads", "0"],
    ["bench", "m.onnx", "--threads", "two"], ["bench", "m.onnx", "--seconds", "-1"], ["bench", "m.onnx", "--dim", "n"],
    ["run", "m.onnx", "--input", "x.npy"], ["run", "m.onnx", "--input", "=x.npy"], ["run", "m.onnx", "other.onnx"], ["doctor", "m.onnx"],
    ["bench", "m.onnx", "--skip-pass", "everything"], ["compile", "-o", "m.oxp"], ["compile", "m.onnx", "-o", "m.oxp", "--batch", "0"],
])
def test_wrong_usage_is_status_2(oxplow: Oxplow, arguments: list[str]) -> None:
    finished = oxplow(*arguments)
    assert finished.status == 2, finished
    assert finished.stderr.strip()
    if not arguments:
        return  # that prints the help
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert finished.stderr.startswith("oxplow") and "--help" in finished.stderr, "the line should say where it comes from and where to look"
    assert any(word in finished.stderr for word in arguments[1:] + ["MODEL", "plough"]), "the line should name what is wrong"


@pytest.mark.parametrize("command", ["run", "bench", "explain"])
def test_missing_model(oxplow: Oxplow, tmp_path: Path, x: Path, command: str) -> None:
    options = ["--input", f"x={x}", "--output", tmp_path / "out"] if command == "run" else []
    assert "absent.onnx" in oxplow(command, tmp_path / "absent.onnx", *options).error_line()


def test_missing_input_file(oxplow: Oxplow, linear: Path) -> None:
    assert "absent.npy" in run_with(oxplow, linear, linear.parent / "absent.npy").error_line()


@pytest.fixture
def compiled(oxplow: Oxplow, linear: Path) -> Path:
    path = linear.with_suffix(".oxp")
    assert "linear.oxp" in oxplow("compile", linear, "-o", path, "--batch", 1, 5).check().stdout
    return path


def test_compiled_model_runs_without_its_source(oxplow: Oxplow, linear: Path, compiled: Path, x: Path) -> None:
    linear.unlink()
    finished = run_with(oxplow, compiled, x).check()
    assert finished.stderr == ""
    np.testing.assert_allclose(np.load(linear.parent / "out" / "y.npy"), np.full((5, 3), [18, 22, 26], np.float32))
    oxplow("bench", compiled, "--seconds", 0.1).check()
    assert "layer" in oxplow("explain", compiled, "--seconds", 0.1).check().stdout


def test_compiled_model_runs_on_a_lower_tier(oxplow: Oxplow, compiled: Path, x: Path) -> None:
    lowest = "neon" if platform.machine() == "aarch64" else "x86_64"
    finished = oxplow.run(compiled, {"x": x}, compiled.parent / "out", isa=lowest).check()
    assert len(finished.stderr.splitlines()) == 1 and "packs the weights for itself" in finished.stderr
    np.testing.assert_allclose(np.load(compiled.parent / "out" / "y.npy"), np.full((5, 3), [18, 22, 26], np.float32))


def test_external_weights_are_compiled_in(oxplow: Oxplow, tmp_path: Path, x: Path) -> None:
    onnx.save(linear_model(), tmp_path / "apart.onnx", save_as_external_data=True, location="apart.data", size_threshold=0)
    oxplow("compile", tmp_path / "apart.onnx", "-o", tmp_path / "whole.oxp").check()
    (tmp_path / "apart.data").unlink()
    run_with(oxplow, tmp_path / "whole.oxp", x).check()
    np.testing.assert_allclose(np.load(tmp_path / "out" / "y.npy"), np.full((5, 3), [18, 22, 26], np.float32))


@pytest.mark.parametrize("kept", [8, 20, 63, 64, 0.5, -1])
def test_truncated_compiled_model(oxplow: Oxplow, compiled: Path, x: Path, kept: float) -> None:
    data = compiled.read_bytes()
    compiled.write_bytes(data[:int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    line = run_with(oxplow, compiled, x).error_line()
    assert "linear.oxp" in line and "compile the model again" in line


def test_compiling_where_nothing_can_be_written(oxplow: Oxplow, linear: Path) -> None:
    assert "No such file" in oxplow("compile", linear, "-o", linear.parent / "no" / "where.oxp").error_line()


@pytest.mark.parametrize("kept", [0, 1, 10, 60, 0.5, 0.9, -1])
def test_truncated_model(oxplow: Oxplow, linear: Path, x: Path, kept: float) -> None:
    data = linear.read_bytes()
    linear.write_bytes(data[:int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    line = run_with(oxplow, linear, x).error_line()
    assert "linear.onnx" in line
    assert "cut short" in line or kept in (0, 1), "the line should say what to do"


@pytest.mark.parametrize("content,word", [(b"<html>404</html>", "download"), (b"version https://git-lfs.github.com/spec/v1", "git lfs pull")])
def test_something_else_than_a_model(oxplow: Oxplow, linear: Path, x: Path, content: bytes, word: str) -> None:
    linear.write_bytes(content)
    line = run_with(oxplow, linear, x).error_line()
    assert "linear.onnx" in line and word in line


def test_unknown_op(oxplow: Oxplow, linear: Path, x: Path) -> None:
    onnx.save(linear_model("Ploughshare"), linear)
    line = run_with(oxplow, linear, x).error_line()
    assert "linear.onnx" in line and "layer" in line and "Ploughshare" in line


def test_wrong_input_name(oxplow: Oxplow, linear: Path, x: Path) -> None:
    line = run_with(oxplow, linear, x, name="pixels").error_line()
    assert "pixels" in line and "'x'" in line, "the line should name the wrong input and the right one"


def test_missing_input(oxplow: Oxplow, linear: Path) -> None:
    assert "'x'" in oxplow("run", linear, "--output", linear.parent / "out").error_line()


@pytest.mark.parametrize("array", [np.ones((5, 3), np.float32), np.ones((4,), np.float32), np.ones((1, 5, 4), np.float32)])
def test_wrong_input_shape(oxplow: Oxplow, linear: Path, array: np.ndarray) -> None:
    line = run_with(oxplow, linear, saved(linear.parent, array)).error_line()
    assert "'x'" in line and "f32[n, 4]" in line


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.complex64])
def test_wrong_input_dtype(oxplow: Oxplow, linear: Path, dtype: type) -> None:
    line = run_with(oxplow, linear, saved(linear.parent, np.ones((5, 4), dtype))).error_line()
    assert "'x'" in line and "convert" in line
    assert "f32" in line or dtype is np.complex64


@pytest.mark.parametrize("kept", [0, 5, 20, 100, -4])
def test_truncated_npy(oxplow: Oxplow, linear: Path, x: Path, kept: int) -> None:
    x.write_bytes(x.read_bytes()[:kept])
    assert "x.npy" in run_with(oxplow, linear, x).error_line()


def test_unwritable_output(oxplow: Oxplow, linear: Path, x: Path) -> None:
    (linear.parent / "out").write_text("a file where the folder should go")
    assert "out" in run_with(oxplow, linear, x).error_line()


@pytest.mark.parametrize("seed", range(25))
def test_damaged_model_never_crashes(oxplow: Oxplow, linear: Path, x: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(linear.read_bytes())
    for place in random.integers(0, len(data), size=1 + seed % 4):
        data[place] = random.integers(0, 256)
    linear.write_bytes(data)
    finished = run_with(oxplow, linear, x)
    if finished.status != 0:
        finished.error_line()


@pytest.mark.parametrize("variable,value", [("OXPLOW_ISA", "z80"), ("OXPLOW_ISA", "AVX2"), ("OXPLOW_THREADS", "0"), ("OXPLOW_THREADS", "many"),
                                            ("OXPLOW_THREADS", "1025"), ("OMP_NUM_THREADS", "-1")])
def test_wrong_environment(oxplow: Oxplow, linear: Path, monkeypatch: pytest.MonkeyPatch, tiers: list[str], variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    line = oxplow("bench", linear, "--seconds", 0.1).error_line()
    assert variable in line and value in line
    assert tiers[0] in line if variable == "OXPLOW_ISA" else "1 to 1024" in line, "the line should say what may be given"


def test_unknown_axis(oxplow: Oxplow, linear: Path) -> None:
    line = oxplow("bench", linear, "--dim", "m=3", "--seconds", 0.1).error_line()
    assert "'m'" in line and "'n'" in line
    assert "m=0" in oxplow("bench", linear, "--dim", "m=0").error_line()


def test_one_name_has_one_extent(oxplow: Oxplow, linear: Path, x: Path) -> None:
    graph = helper.make_graph([helper.make_node("Add", ["x", "z"], ["y"])], "sum",
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xz"],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), linear)
    z = linear.parent / "z.npy"
    np.save(z, np.ones((1, 4), np.float32))
    line = oxplow.run(linear, {"x": x, "z": z}, linear.parent / "out").error_line()
    assert all(word in line for word in ("linear.onnx", "'z'", "f32[1, 4]", "'n'", "5 in input 'x'")), line


def test_bench_json(oxplow: Oxplow, linear: Path) -> None:
    file = linear.parent / "bench.json"
    oxplow("bench", linear, "--batch", 3, "--seconds", 0.2, "--threads", 1, "--json", file).check()
    report = json.loads(file.read_text())
    assert BENCH_KEYS <= report.keys()
    assert report["batch"] == 3 and report["threads"] == 1 and report["precision"] == "fp32"
    assert report["samples_per_second"]["best"] >= report["samples_per_second"]["median"] > 0
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p90"] <= report["latency_ms"]["p99"]


def test_each_tier_says_its_name(oxplow: Oxplow, linear: Path, tiers: list[str]) -> None:
    assert tiers
    for tier in tiers:
        file = linear.parent / f"{tier}.json"
        oxplow("bench", linear, "--seconds", 0.1, "--json", file, isa=tier).check()
        assert json.loads(file.read_text())["isa"] == tier


def test_explain_names_the_node(oxplow: Oxplow, linear: Path) -> None:
    assert "layer" in oxplow("explain", linear, "--seconds", 0.1).check().stdout


def test_explain_begins_with_inputs_and_outputs(oxplow: Oxplow, linear: Path) -> None:
    lines = oxplow("explain", linear, "--seconds", 0.1).check().stdout.splitlines()
    assert lines[:2] == ["input  x: f32[n, 4]", "output y: f32[n, 3]"]
    report = json.loads(oxplow("explain", linear, "--seconds", 0.1, "--json", "-").check().stdout)
    assert report["inputs"] == [{"name": "x", "type": "f32[n, 4]"}] and report["outputs"] == [{"name": "y", "type": "f32[n, 3]"}]
