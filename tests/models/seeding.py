"""Seeded weights and inputs that make an untrained network behave like a trained one.

PyTorch's default initialisation lets activations shrink until the output is one bias vector: a wrong kernel would pass.
Here every layer keeps unit variance, norms have non-trivial scale and shift, batch norms hold the statistics of the
activations they really see, and inputs have the 1/f spectrum of photos, so different images give different outputs.
"""
import math

import numpy as np
import torch
from torch import Tensor, nn


class BranchEndNorm(nn.BatchNorm2d):
    """The last norm of a residual branch. Training leaves its scale small; at full scale a random network is chaotic and
    multiplies rounding errors a hundredfold, which would test the network and not the engine."""


def seed_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """Fills every parameter of `model` from one seeded stream; returns it in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            _fill(module, name, parameter.data, generator)
    return model.eval()


def _fill(module: nn.Module, name: str, data: Tensor, generator: torch.Generator) -> None:
    is_norm = isinstance(module, (nn.BatchNorm2d, nn.LayerNorm))
    if isinstance(module, BranchEndNorm) and name == "weight":
        data.uniform_(0.1, 0.4, generator=generator)
    elif is_norm and name == "weight":
        data.uniform_(0.5, 1.0, generator=generator)
    elif name == "weight" and isinstance(module, (nn.Conv2d, nn.Linear)):
        gain = math.sqrt(2.0) if isinstance(module, nn.Conv2d) else 1.0  # a ReLU follows most convolutions
        data.normal_(0.0, gain / math.sqrt(data[0].numel()), generator=generator)
    elif isinstance(module, nn.Embedding):
        data.normal_(0.0, 1.0, generator=generator)
    else:  # biases, class tokens, position tables
        data.normal_(0.0, 0.1, generator=generator)


@torch.no_grad()
def settle_batch_norm(model: nn.Module, images: int = 8, size: int = 224) -> nn.Module:
    """Gives every batch norm the mean and variance of its own input over a few seeded images; returns `model` in eval mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # plain average over the one pass below
    model.train()(torch.from_numpy(seeded_images(images, seed=99, size=size)))
    return model.eval()


def seeded_images(batch: int, seed: int = 0, size: int = 224) -> np.ndarray:
    """float32 [batch, 3, size, size]: blocks of noise at every octave, each image with its own brightness."""
    random = np.random.default_rng([seed, batch])
    image = 0.5 * random.standard_normal((batch, 3, 1, 1)) + 0.3 * random.standard_normal((batch, 3, size, size))
    block = 2
    while size % block == 0:
        noise = random.standard_normal((batch, 3, size // block, size // block))
        image = image + 0.4 * noise.repeat(block, axis=2).repeat(block, axis=3)
        block *= 2
    return image.astype(np.float32)


def seeded_tokens(batch: int, length: int, vocabulary: int, seed: int = 0) -> dict[str, np.ndarray]:
    """int64 [batch, length] each: token ids, a mask that ends each row at its own length, and two segments."""
    random = np.random.default_rng([seed, batch, length])
    lengths = random.integers(max(1, length // 3), length + 1, size=(batch, 1))
    lengths[0] = length
    position = np.arange(length)[None, :]
    mask = (position < lengths).astype(np.int64)
    ids = random.integers(1000, vocabulary, size=(batch, length)) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": (position >= lengths // 2) * mask}
