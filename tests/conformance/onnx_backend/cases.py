"""The cases of onnx.backend.test, each with its kind and whether it trains."""

from __future__ import annotations

import os
import unittest
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx.backend.test
from onnx.backend.test.loader import load_model_tests

from oxplow.backend import Backend

TRAINING_DOMAIN = "ai.onnx.preview.training"
KINDS = {"OnnxBackendNodeModelTest": "node", "OnnxBackendSimpleModelTest": "simple", "OnnxBackendRealModelTest": "light",
         "OnnxBackendPyTorchConvertedModelTest": "pytorch-converted", "OnnxBackendPyTorchOperatorModelTest": "pytorch-operator"}


class OneThread(Backend):
    """Workers of the runner share the processors already."""

    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        return True  # a model that is refused is a case that fails, not one to skip

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return super().prepare(model, device, threads=1, **kwargs)


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    training: bool
    op: str  # of a node case with one node, "Add" or "ai.onnx.ml.Binarizer"; else ""
    test: unittest.TestCase

    def run(self) -> str:
        """Why it failed, or nothing."""
        try:
            getattr(self.test, self.test._testMethodName)()
        except Exception as error:  # whatever goes wrong is the case's failure
            return reason_of(error)
        return ""


def reason_of(error: Exception) -> str:
    """One line: the engine's message as it is, a comparison's by what it saw."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, AssertionError):
        telling = [line for line in lines if line.startswith(("Output", "Mismatched", "Max", "ACTUAL", "DESIRED", "x and y", "(shapes", "nan"))]
        return "other result: " + "; ".join(telling or lines[:1])[:200]
    if type(error).__module__ == "oxplow.errors":
        return lines[0]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def all_cases(scratch: Path) -> list[Case]:
    """All of them, sorted by kind and name. The light models' inputs go to `scratch`."""
    os.environ["ONNX_MODELS"] = str(scratch)
    with warnings.catch_warnings():  # NumPy's, about the infinities that cases are made of
        warnings.simplefilter("ignore", RuntimeWarning)
        models = {case.name: case.model for case in load_model_tests(kind="node")}
        suite = onnx.backend.test.BackendTest(OneThread, __name__).test_cases
    for case in load_model_tests(kind="simple"):
        models[case.name] = onnx.load(Path(case.model_dir, "model.onnx"))
    cases = []
    for class_name, tests in suite.items():
        for method in unittest.TestLoader().getTestCaseNames(tests):
            name, _, device = method.rpartition("_")
            if device == "cpu":
                cases.append(described(name, KINDS[class_name], tests(method), models.get(name)))
    return sorted(cases, key=lambda case: (case.kind, case.name))


def described(name: str, kind: str, test: unittest.TestCase, model: onnx.ModelProto | None) -> Case:
    training = model is not None and any(opset.domain == TRAINING_DOMAIN for opset in model.opset_import)
    nodes = model.graph.node if kind == "node" and model is not None and not model.functions else []
    op = ".".join(filter(None, (nodes[0].domain, nodes[0].op_type))) if len(nodes) == 1 else ""
    return Case(name, kind, training, op, test)
