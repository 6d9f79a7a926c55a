"""ResNet-18 and ResNet-50 v1.5 (He et al. 2015; v1.5 strides in the 3x3 convolution)."""
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from seeding import BranchEndNorm, seed_weights, settle_batch_norm


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), norm(cout))


class Residual(nn.Module):
    """relu(branch(x) + shortcut(x)); the shortcut is a projection where the shape changes."""

    def __init__(self, branch: nn.Sequential, cin: int, cout: int, stride: int):
        super().__init__()
        self.branch = branch
        self.shortcut = nn.Identity() if stride == 1 and cin == cout else conv_bn(cin, cout, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def basic(cin: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(conv_bn(cin, width, 3, stride), nn.ReLU(), conv_bn(width, width, 3, norm=BranchEndNorm))
    return Residual(branch, cin, width, stride)


def bottleneck(cin: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(conv_bn(cin, width, 1), nn.ReLU(), conv_bn(width, width, 3, stride), nn.ReLU(),
                           conv_bn(width, 4 * width, 1, norm=BranchEndNorm))
    return Residual(branch, cin, 4 * width, stride)


class ResNet(nn.Module):
    def __init__(self, block: Callable[[int, int, int], Residual], depths: tuple[int, ...], expansion: int, classes: int = 1000):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        blocks, cin = [], 64
        for stage, depth in enumerate(depths):
            width = 64 << stage
            for index in range(depth):
                blocks.append(block(cin, width, 2 if stage > 0 and index == 0 else 1))
                cin = expansion * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(cin, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, 3, h, w] -> logits [n, classes]."""
        return self.classifier(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


def resnet18() -> nn.Module:
    return settle_batch_norm(seed_weights(ResNet(basic, (2, 2, 2, 2), expansion=1)))


def resnet50() -> nn.Module:
    return settle_batch_norm(seed_weights(ResNet(bottleneck, (3, 4, 6, 3), expansion=4)))
