"""DenseNet-121 (Huang et al. 2016)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeding import seed_weights, settle_batch_norm


def norm_relu_conv(cin: int, cout: int, kernel: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(cin), nn.ReLU(), nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False)]


class DenseLayer(nn.Module):
    """Appends `growth` new channels to what every layer before it made."""

    def __init__(self, cin: int, growth: int):
        super().__init__()
        self.branch = nn.Sequential(*norm_relu_conv(cin, 4 * growth, 1), *norm_relu_conv(4 * growth, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], dim=1)


class DenseNet(nn.Module):
    def __init__(self, depths: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32, classes: int = 1000):
        super().__init__()
        channels = 2 * growth
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        for stage, depth in enumerate(depths):
            if stage > 0:
                layers += [*norm_relu_conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
                channels //= 2
            for _ in range(depth):
                layers.append(DenseLayer(channels, growth))
                channels += growth
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, 3, h, w] -> logits [n, classes]."""
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def densenet121() -> nn.Module:
    return settle_batch_norm(seed_weights(DenseNet()))
