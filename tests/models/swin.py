"""Swin-T (Liu et al. 2021): attention in 7x7 windows, every other block shifted by 3, with relative position bias."""
import torch
from torch import Tensor, nn

from seeding import seed_weights

WINDOW = 7


def relative_position_index() -> Tensor:
    """int64 [49, 49]: the row of the bias table for each pair of pixels in a window."""
    y, x = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    pixels = torch.stack([y.flatten(), x.flatten()])
    offset = pixels[:, :, None] - pixels[:, None, :] + WINDOW - 1
    return offset[0] * (2 * WINDOW - 1) + offset[1]


def shift_mask(size: int, shift: int) -> Tensor:
    """float [windows, 49, 49]: -100 between pixels that only the cyclic shift made neighbours."""
    edge = torch.zeros(size, dtype=torch.long)
    edge[size - WINDOW:size - shift] = 1
    edge[size - shift:] = 2
    region = windows((3 * edge[:, None] + edge[None, :])[None, :, :, None].float())[..., 0]
    return (region[:, None, :] != region[:, :, None]).float() * -100.0


def windows(x: Tensor) -> Tensor:
    """[n, h, w, c] -> [n * windows, 49, c]."""
    n, h, w, c = x.shape
    return x.reshape(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c).transpose(2, 3).reshape(-1, WINDOW * WINDOW, c)


def unwindow(x: Tensor, h: int, w: int) -> Tensor:
    """The inverse of `windows`."""
    c = x.shape[-1]
    return x.reshape(-1, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c).transpose(2, 3).reshape(-1, h, w, c)


class WindowAttention(nn.Module):
    def __init__(self, width: int, heads: int, size: int, shift: int):
        super().__init__()
        self.heads, self.shift = heads, shift
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("bias_index", relative_position_index())
        self.register_buffer("mask", shift_mask(size, shift) if shift else None)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """[windows, heads, 49, 49] attention logits with position bias and shift mask."""
        pixels = WINDOW * WINDOW
        bias = self.bias_table[self.bias_index.flatten()].reshape(pixels, pixels, self.heads).permute(2, 0, 1)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias
        if self.mask is None:
            return scores
        count = self.mask.shape[0]
        scores = scores.reshape(-1, count, self.heads, pixels, pixels) + self.mask[None, :, None]
        return scores.reshape(-1, self.heads, pixels, pixels)

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, c = x.shape
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        qkv = self.qkv(windows(x)).reshape(-1, WINDOW * WINDOW, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = (self.scores(q, k).softmax(-1) @ v).transpose(1, 2).reshape(-1, WINDOW * WINDOW, c)
        y = unwindow(self.proj(y), h, w)
        return torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y


class Block(nn.Module):
    def __init__(self, width: int, heads: int, size: int, shift: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, size, shift)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Each 2x2 patch becomes one token of twice the width."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(corners, -1)))


class Swin(nn.Module):
    def __init__(self, depths: tuple[int, ...] = (2, 2, 6, 2), width: int = 96, heads: int = 3, size: int = 224, classes: int = 1000):
        super().__init__()
        self.patches, self.patch_norm = nn.Conv2d(3, width, 4, 4), nn.LayerNorm(width)
        size, layers = size // 4, []
        for stage, depth in enumerate(depths):
            if stage > 0:
                layers.append(PatchMerging(width))
                width, heads, size = 2 * width, 2 * heads, size // 2
            shifts = [WINDOW // 2 if index % 2 and size > WINDOW else 0 for index in range(depth)]
            layers += [Block(width, heads, size, shift) for shift in shifts]
        self.layers = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, 3, size, size] -> logits [n, classes]."""
        x = self.layers(self.patch_norm(self.patches(x).permute(0, 2, 3, 1)))
        return self.head(self.norm(x).mean([1, 2]))


def swin() -> nn.Module:
    return seed_weights(Swin())
