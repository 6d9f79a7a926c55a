"""Loading, looking, running, explaining; errors; threads."""

import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import oxplow
from small_models import identity, long_product, of_nodes, one_node, sum_of_two


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", oxplow.__version__)


def test_inputs_and_outputs_are_described():
    model = oxplow.load(sum_of_two())
    assert [(given.name, given.dtype, given.shape) for given in model.inputs] == [("a", "float32", ("n", 3)), ("b", "float32", (3,))]
    assert [(result.name, result.dtype, result.shape) for result in model.outputs] == [("sum", "float32", ("n", 3))]
    assert str(model.inputs[0]) == "f32[n, 3]" and "a: f32[n, 3]" in repr(model)


def test_load_from_a_file(tmp_path):
    path = tmp_path / "sum.onnx"
    path.write_bytes(sum_of_two())
    for name in (path, str(path)):
        assert oxplow.load(name).run({"b": [1, 1, 1], "a": [[1, 2, 3]]})["sum"].tolist() == [[2, 3, 4]]


def test_options():
    model = oxplow.load(sum_of_two(), threads=1, isa="x86_64", precision="fp32")
    assert (model.threads, model.isa, model.precision) == (1, "x86_64", "fp32")


@pytest.mark.parametrize("options, words", [({"threads": 0}, "threads=0"), ({"isa": "avx9"}, "avx9"), ({"precision": "fp64"}, "fp64")], ids=str)
def test_wrong_options(options, words):
    with pytest.raises(oxplow.InvalidArgument, match=words):
        oxplow.load(sum_of_two(), **options)


def test_errors_have_types_and_codes(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(sum_of_two()[:-9])
    unknown = one_node("Sparkle", [("x", TensorProto.FLOAT, [1])], ("y", TensorProto.FLOAT, [1]))
    for model, kind, also, code in [(tmp_path / "none.onnx", oxplow.NotFound, FileNotFoundError, "NOT_FOUND"),
                                    (broken, oxplow.InvalidModel, ValueError, "INVALID_MODEL"),
                                    (b"no model", oxplow.InvalidModel, ValueError, "INVALID_MODEL"),
                                    (unknown, oxplow.Unsupported, NotImplementedError, "UNSUPPORTED")]:
        with pytest.raises(kind) as caught:
            oxplow.load(model)
        assert caught.value.code == code and isinstance(caught.value, also) and isinstance(caught.value, oxplow.Error)


@pytest.mark.parametrize("inputs, words", [
    ({"a": [[1, 2, 3]]}, "input 'b' is missing"),
    ({"a": [[1, 2, 3]], "b": [1, 2, 3], "c": 1}, "no input 'c'; its inputs are: a, b"),
    ([[[1, 2, 3]]], "2 inputs, not 1"),
    ("ab", "not str"),
    ({"a": [[1, 2]], "b": [1, 2, 3]}, r"input 'a' is f32\[1, 2\], the model wants f32\[n, 3\]"),
], ids=lambda value: "")
def test_wrong_inputs(inputs, words):
    with pytest.raises(oxplow.InvalidArgument, match=words):
        oxplow.load(sum_of_two()).run(inputs)


def test_compiled_models_run_like_their_source(tmp_path):
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    nodes = [helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weights)), helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = of_nodes(nodes, [("x", TensorProto.FLOAT, ["n", 3])], [("y", TensorProto.FLOAT, ["n", 4])])
    (tmp_path / "product.onnx").write_bytes(model)
    source = oxplow.load(tmp_path / "product.onnx")
    report = oxplow.compile(tmp_path / "product.onnx", tmp_path / "product.oxp", batch=[1, 2])
    assert report.packs > 0 and report.file_bytes == (tmp_path / "product.oxp").stat().st_size > report.packed_bytes
    compiled = oxplow.load(tmp_path / "product.oxp")
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(compiled.run([x])["y"], source.run([x])["y"])
    with pytest.raises(oxplow.InvalidArgument, match="batch of 0"):
        oxplow.compile(tmp_path / "product.onnx", tmp_path / "product.oxp", batch=0)
    with pytest.raises(oxplow.NotFound, match="absent"):
        oxplow.compile(tmp_path / "absent.onnx", tmp_path / "product.oxp")


def test_explain():
    explanation = oxplow.load(long_product(64, 3)).explain()
    assert len(explanation) == len(explanation.rows) >= 1
    assert all(row.kernel and row.milliseconds >= 0 for row in explanation)
    assert sum(row.percent_of_time for row in explanation) == pytest.approx(100)
    table = str(explanation).splitlines()
    assert table[0].split()[:3] == ["op", "result", "GFLOP"] and "ms a run" in table[-1]


def test_the_interpreter_runs_on_while_a_model_runs():
    model = oxplow.load(long_product(), threads=1)
    inputs = [np.eye(512, dtype=np.float32)] * 2
    model.run(inputs)
    counted = 0
    runner = threading.Thread(target=lambda: [model.run(inputs) for _ in range(3)])
    runner.start()
    while runner.is_alive():
        time.sleep(0.001)
        counted += 1
    assert counted > 5


def test_two_models_at_once_on_two_threads():
    models = [oxplow.load(sum_of_two()), oxplow.load(long_product(64, 4))]
    product = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32) / 16
    expected = models[1].run([product, product])["t4"]
    wrong = []

    def add(begin):
        for i in range(200):
            if models[0].run([np.full((1 + i % 3, 3), begin + i, np.float32), [1, 1, 1]])["sum"][0, 0] != begin + i + 1:
                wrong.append(i)

    def multiply():
        for _ in range(50):
            if not np.array_equal(models[1].run([product, product])["t4"], expected):
                wrong.append("product")

    threads = [threading.Thread(target=add, args=(1000 * k,)) for k in range(2)] + [threading.Thread(target=multiply) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_running_does_not_leak():
    import resource

    model = oxplow.load(identity(TensorProto.FLOAT))
    values = np.zeros(1 << 18, np.float32)
    for _ in range(20):
        model.run([values])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        model.run([values])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB; 300 MB if outputs stayed


def test_types_hold(package):
    """Stubs and annotations, by mypy at its strictest."""
    root = __file__.rsplit("/tests/", 1)[0]
    done = subprocess.run([sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", "build/mypy"], cwd=root,
                          env={"MYPYPATH": str(package), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
