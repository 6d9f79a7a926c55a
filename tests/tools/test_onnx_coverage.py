"""tools/onnx_coverage.py: counts, ops and reasons of made-up results."""

import importlib.util
import pathlib

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/onnx_coverage.py"
spec = importlib.util.spec_from_file_location("onnx_coverage", TOOL)
onnx_coverage = importlib.util.module_from_spec(spec)
spec.loader.exec_module(onnx_coverage)


def case(name, op="", why="", kind="node", training=False):
    return {"name": name, "op": op, "why": why, "kind": kind, "training": training}


CASES = [case("test_add", "Add"), case("test_if", "If", "no a|b"), case("test_mul", "Mul"), case("test_mul_2", "Mul", "no a|b"),
         case("test_adam", "Adam", "no Adam", training=True)]


def test_training_is_counted_apart():
    rows = "".join(onnx_coverage.counts(CASES))
    assert "| node | 4 | 2 | 50.0 % |" in rows and "| training | 1 | 0 | 0.0 % |" in rows


def test_ops_are_sorted_by_what_passes():
    text = "".join(onnx_coverage.ops(CASES))
    assert "(1 ops): `Add`" in text and "`Mul` (1 of 2)" in text and "None passes: `If` (1)." in text


def test_each_reason_stands_once_and_harms_no_table():
    rows = list(onnx_coverage.failures(CASES))
    assert rows[1] == "| no a\\|b | `test_if`, `test_mul_2` |\n" and len(rows) == 3
