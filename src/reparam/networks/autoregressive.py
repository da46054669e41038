"""Networks over numbers of codes in which each position sees the ones before it alone."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks.bounded import full_precision


def _gated(h: Tensor) -> Tensor:
    r"""tanh(a) sigmoid(b) of the two halves of the channels."""
    a, b = h.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class _GatedLayer(nn.Module):
    """One layer of both stacks: the vertical one sees the rows above and its own, the horizontal one its row so far.

    The vertical stack is handed to the horizontal one a row further down, so that no pixel sees its own row's right.
    """

    def __init__(self, channels: int, kernel: int, first: bool) -> None:
        super().__init__()
        self.reach, self.first = kernel // 2, first
        self.down = nn.Conv2d(channels, 2 * channels, (self.reach + 1, kernel))
        self.right = nn.Conv2d(channels, 2 * channels, (1, self.reach if first else self.reach + 1))
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, vertical: Tensor, horizontal: Tensor) -> tuple[Tensor, Tensor]:
        reach = self.reach
        down = self.down(F.pad(vertical, (reach, reach, reach, 0)))
        row = F.pad(horizontal, (reach, -1, 0, 0) if self.first else (reach, 0, 0, 0))
        above = F.pad(down, (0, 0, 1, -1))
        found = self.out(_gated(self.right(row) + self.across(above)))
        return _gated(down), found if self.first else horizontal + found


class PixelCNN(nn.Module):
    """Gated PixelCNN: convolutions that see the positions above, and those to the left in the same row.

    Shapes:
        indices: (N, H W), row by row  ->  logits: (N, H W, C)
    Args:
        grid: Extents (H, W).
        codes: Number of codes, C.
        channels: Width of both stacks.
        layers: Number of gated layers.
        kernel: Width of the convolutions, odd.
    Raises:
        PartError: if the grid has not two extents, or a size makes no sense.
    Source:
        Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), arXiv:1606.05328, eq. 2 and
        figure 2; two stacks without a blind spot.
    """

    def __init__(self, grid: tuple[int, ...], codes: int, channels: int = 32, layers: int = 4, kernel: int = 5) -> None:
        super().__init__()
        if len(grid) != 2:
            raise PartError(f"PixelCNN: the grid is {grid}, expected two extents (H, W). Take the transformer.")
        if min(channels, layers) < 1 or kernel < 3 or kernel % 2 == 0:
            raise PartError(
                f"PixelCNN: channels {channels}, layers {layers}, kernel {kernel}; expected at least 1, at least 1, "
                "and an odd number of at least 3."
            )
        self.grid = grid
        self.embedding = nn.Embedding(codes, channels)
        self.layers = nn.ModuleList(_GatedLayer(channels, kernel, number == 0) for number in range(layers))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, codes, 1))

    def forward(self, indices: Int[Tensor, "N M"]) -> Float[Tensor, "N M C"]:
        h = self.embedding(indices).transpose(1, 2).unflatten(-1, self.grid)
        vertical = horizontal = h
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal)
        return full_precision(self.out(horizontal).flatten(2).transpose(1, 2))


class _CausalBlock(nn.Module):
    """Attention to the positions so far, then two layers of units, each beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.units = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Float[Tensor, "N M F"]) -> Float[Tensor, "N M F"]:
        query, key, value = self.mix(self.first(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        h = h + self.join(seen.transpose(1, 2).flatten(2))
        return h + self.units(self.second(h))


class CausalTransformer(nn.Module):
    """A small transformer over positions in their order; position m reads the codes before m.

    Shapes:
        indices: (N, M)  ->  logits: (N, M, C)
    Args:
        choices: Number of positions, M.
        codes: Number of codes, C.
        width: Numbers that stand for a position.
        layers: Number of blocks.
        heads: Heads of the attention; divides the width.
    Raises:
        PartError: if a size makes no sense.
    Source:
        Attention is all you need (Vaswani et al., 2017), arXiv:1706.03762, section 3.2, with the norm before each
        part and learned positions.
    """

    def __init__(self, choices: int, codes: int, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        if min(width, layers, heads) < 1 or width % heads:
            raise PartError(
                f"CausalTransformer: width {width}, layers {layers}, heads {heads}; expected at least 1 each, and a "
                "width that is a multiple of heads."
            )
        self.embedding = nn.Embedding(codes + 1, width)  # the last one stands before the first position
        self.positions = nn.Parameter(torch.randn(choices, width) / math.sqrt(width))
        self.blocks = nn.Sequential(*(_CausalBlock(width, heads) for _ in range(layers)))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, codes))

    def forward(self, indices: Int[Tensor, "N M"]) -> Float[Tensor, "N M C"]:
        before = F.pad(indices, (1, -1), value=self.embedding.num_embeddings - 1)
        return full_precision(self.out(self.blocks(self.embedding(before) + self.positions)))
