#!/usr/bin/env python3
"""Exports models to ONNX with seeded inputs and ONNX Runtime's outputs: export.py [NAME...] --out DIR

    DIR/NAME.onnx                        dynamic batch (and sequence), opset 17, the TorchScript exporter
    DIR/NAME/b{1,2,7,8}/{input}.npy      inputs
    DIR/NAME/b{1,2,7,8}/expected/{output}.npy
    DIR/ops.txt                          which ops and attributes each graph has

--dynamo writes the new exporter's graph as NAME_dynamo; --external writes the weights beside the graph as NAME_external;
--conformance writes all that tests/conformance reads: every model in both styles, and one with external weights.
A model whose sources and libraries have not changed is skipped.
"""
import argparse
import hashlib
import logging
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from catalog import BATCHES, CATALOG, CONFORMANCE, Model
from op_histogram import write_histogram

HERE = Path(__file__).parent
OPSET = 17


def recipe(model: Model, style: str) -> str:
    """A digest of everything the exported files depend on."""
    sources = [HERE / f"{name}.py" for name in ("export", "catalog", "seeding", model.module)]
    versions = f"{style} {torch.__version__} {onnx.__version__} {onnxruntime.__version__}"
    return hashlib.sha256(versions.encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()


def export_torchscript(model: Model, network: torch.nn.Module, example: dict[str, torch.Tensor], path: Path) -> None:
    axes = {name: model.input_axes for name in example} | model.outputs
    torch.onnx.export(network, tuple(example.values()), str(path), input_names=list(example), output_names=list(model.outputs),
                      dynamic_axes=axes, opset_version=OPSET, dynamo=False)


def export_dynamo(model: Model, network: torch.nn.Module, example: dict[str, torch.Tensor], path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision's ops are missing
    dimensions = {axis: torch.export.Dim(name, max=512) for axis, name in model.input_axes.items()}
    torch.onnx.export(network, tuple(example.values()), str(path), input_names=list(example), output_names=list(model.outputs),
                      dynamic_shapes=tuple(dimensions for _ in example), dynamo=True, external_data=False, verbose=False)


def export_external(model: Model, network: torch.nn.Module, example: dict[str, torch.Tensor], path: Path) -> None:
    """The TorchScript graph, its weights in NAME.onnx.data beside it."""
    export_torchscript(model, network, example, path)
    graph = onnx.load(path)
    path.unlink()
    onnx.save(graph, path, save_as_external_data=True, location=path.name + ".data", size_threshold=1024)


STYLES = {"": export_torchscript, "_dynamo": export_dynamo, "_external": export_external}


def write_golden(model: Model, path: Path, folder: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in BATCHES:
        inputs = model.inputs(batch)
        expected = dict(zip(model.outputs, session.run(list(model.outputs), inputs)))
        for subfolder, arrays in (("", inputs), ("expected", expected)):
            target = folder / f"b{batch}" / subfolder
            target.mkdir(parents=True, exist_ok=True)
            for name, array in arrays.items():
                np.save(target / f"{name}.npy", array)


def export(name: str, style: str, out: Path) -> bool:
    """Writes the files of one model; False when they were there already."""
    model, folder, path = CATALOG[name], out / f"{name}{style}", out / f"{name}{style}.onnx"
    stamp = folder / "recipe"
    digest = recipe(model, style)
    if stamp.exists() and stamp.read_text() == digest:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    partial = out / f"{name}{style}.partial" / path.name  # a reader never sees a half-written file
    shutil.rmtree(partial.parent, ignore_errors=True)
    partial.parent.mkdir(parents=True)
    example = {key: torch.from_numpy(value) for key, value in model.inputs(2).items()}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's notes on shapes that the models keep dynamic
        STYLES[style](model, model.build(), example, partial)
    for written in partial.parent.glob(f"{partial.name}*"):
        written.chmod(0o644)
        written.replace(out / written.name)
    partial.parent.rmdir()
    write_golden(model, path, folder)
    stamp.write_text(digest)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {' '.join(CATALOG)}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dynamo", dest="style", action="store_const", const="_dynamo", default="")
    parser.add_argument("--external", dest="style", action="store_const", const="_external")
    parser.add_argument("--conformance", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CATALOG)
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}; known: {' '.join(CATALOG)}")
    jobs = CONFORMANCE if arguments.conformance else [(name, arguments.style) for name in arguments.names or CATALOG]
    any_new = False
    for name, style in jobs:
        done = export(name, style, arguments.out)
        any_new |= done
        print(f"{name}{style}: {'exported' if done else 'up to date'}", flush=True)
    if any_new:
        write_histogram(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
