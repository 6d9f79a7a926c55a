"""MobileNetV3-Large (Howard et al. 2019)."""
import torch.nn.functional as F
from torch import Tensor, nn

from seeding import BranchEndNorm, seed_weights, settle_batch_norm

# kernel, expanded channels, output channels, squeeze-excite, activation, stride (table 1 of the paper)
LARGE = (
    (3, 16, 16, False, nn.ReLU, 1), (3, 64, 24, False, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 1),
    (5, 72, 40, True, nn.ReLU, 2), (5, 120, 40, True, nn.ReLU, 1), (5, 120, 40, True, nn.ReLU, 1),
    (3, 240, 80, False, nn.Hardswish, 2), (3, 200, 80, False, nn.Hardswish, 1), (3, 184, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1), (3, 480, 112, True, nn.Hardswish, 1), (3, 672, 112, True, nn.Hardswish, 1),
    (5, 672, 160, True, nn.Hardswish, 2), (5, 960, 160, True, nn.Hardswish, 1), (5, 960, 160, True, nn.Hardswish, 1),
)


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1,
            norm: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> list[nn.Module]:
    return [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), norm(cout, eps=1e-3)]


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        squeezed = (channels // 4 + 7) // 8 * 8
        self.reduce, self.expand = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))))


class InvertedResidual(nn.Module):
    def __init__(self, cin: int, kernel: int, expanded: int, cout: int, squeeze: bool, activation: type[nn.Module], stride: int):
        super().__init__()
        layers = [] if expanded == cin else [*conv_bn(cin, expanded, 1), activation()]
        layers += [*conv_bn(expanded, expanded, kernel, stride, groups=expanded), activation()]
        layers += [SqueezeExcite(expanded)] if squeeze else []
        self.has_shortcut = stride == 1 and cin == cout
        norm = BranchEndNorm if self.has_shortcut else nn.BatchNorm2d
        self.branch = nn.Sequential(*layers, *conv_bn(expanded, cout, 1, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x) if self.has_shortcut else self.branch(x)


class MobileNetV3(nn.Module):
    def __init__(self, classes: int = 1000):
        super().__init__()
        blocks, cin = [], 16
        for kernel, expanded, cout, squeeze, activation, stride in LARGE:
            blocks.append(InvertedResidual(cin, kernel, expanded, cout, squeeze, activation, stride))
            cin = cout
        self.features = nn.Sequential(*conv_bn(3, 16, 3, 2), nn.Hardswish(), *blocks, *conv_bn(cin, 960, 1), nn.Hardswish())
        self.classifier = nn.Sequential(nn.Linear(960, 1280), nn.Hardswish(), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        """x [n, 3, h, w] -> logits [n, classes]."""
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def mobilenetv3() -> nn.Module:
    return settle_batch_norm(seed_weights(MobileNetV3()))
