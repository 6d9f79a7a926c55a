"""Every model the tests and benches use: how to build it, what goes in, what comes out. Add a model by adding a line."""
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from torch import nn

from seeding import seeded_images, seeded_tokens

BATCHES = (1, 2, 7, 8)
TOKENS = {1: 128, 2: 37, 7: 64, 8: 16}  # sequence length of each golden batch: ragged on purpose
BERT_VOCABULARY = 30522


@dataclass(frozen=True)
class Model:
    """`outputs` and `input_axes` name the dynamic dimensions (axis -> name); `inputs(batch)` makes seeded arrays."""

    module: str
    outputs: dict[str, dict[int, str]]
    inputs: Callable[[int], dict[str, np.ndarray]]
    input_axes: dict[int, str]
    function: str = ""

    def build(self) -> nn.Module:
        """The network in eval mode, weights filled in; the same bits at every call."""
        return getattr(import_module(self.module), self.function)()


def image_model(module: str, function: str) -> Model:
    return Model(module, {"y": {0: "n"}}, lambda batch: {"x": seeded_images(batch)}, {0: "n"}, function)


def photo_model(module: str, function: str) -> Model:
    """A model with real weights; its inputs are photos."""
    return Model(module, {"y": {0: "n"}}, lambda batch: {"x": import_module(module).photo_crops(batch)}, {0: "n"}, function)


def text_model(function: str, tokens: str, pooled: str) -> Model:
    return Model("bert", {tokens: {0: "n", 1: "s"}, pooled: {0: "n"}},
                 lambda batch: seeded_tokens(batch, TOKENS.get(batch, 128), BERT_VOCABULARY), {0: "n", 1: "s"}, function)


CATALOG: dict[str, Model] = {
    "resnet50": image_model("resnet", "resnet50"),
    "resnet18": image_model("resnet", "resnet18"),
    "mobilenetv3": image_model("mobilenet", "mobilenetv3"),
    "vit": image_model("vit", "vit"),
    "minilm": text_model("minilm", "token_embeddings", "sentence_embedding"),
    "efficientnet_lite0": photo_model("efficientnet", "efficientnet_lite0"),
    "convnext": image_model("convnext", "convnext"),
    "densenet121": image_model("densenet", "densenet121"),
    "swin": image_model("swin", "swin"),
    "bert": text_model("bert", "last_hidden_state", "pooler_output"),
}

# name and export style of all that tests/conformance reads
CONFORMANCE = [(name, style) for style in ("", "_dynamo") for name in CATALOG] + [("mobilenetv3", "_external")]
