"""Teaches a convolutional network to know a picture again: features without labels, from the data at hand."""

import math
from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 64)
STEPS, BATCH = 150, 64
LEARNING_RATE = 5e-3
TEMPERATURE = 0.2
LONGEST = 32  # pixels of the longer side that it learns from; convolutions then take any size
SMALLEST_CROP = 0.5
DIM = 64


def small_network(channels: int) -> Iterator[nn.Module]:
    """Four 3x3 convolutions, all but the first of stride 2, each with a ReLU behind it; He initialisation.

    Together they take pictures of any size: (N, channels, H, W) -> (N, 64, H / 8, W / 8), rounded up.
    """
    for number, (before, width) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False)):
        conv = nn.Conv2d(before, width, 3, 2 if number else 1, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, conv.bias))
        yield conv
        yield nn.ReLU()


def crops(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """A random view of each picture: a part of it, at most 32 pixels long, of another brightness and contrast."""
    count, channels, height, width = x.shape
    size = SMALLEST_CROP + (1 - SMALLEST_CROP) * torch.rand(count, 2)
    middle = (2 * torch.rand(count, 2) - 1) * (1 - size)
    shrink = max(1.0, max(height, width) / LONGEST)
    shape = [count, channels, math.ceil(height / shrink), math.ceil(width / shrink)]
    where = torch.cat([torch.diag_embed(size), middle.unsqueeze(-1)], -1).to(x)
    grid = F.affine_grid(where, shape, align_corners=False)
    views = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    gain, shift = 0.6 + 0.8 * torch.rand(count, channels, 1, 1), 0.3 * torch.rand(count, 1, 1, 1) - 0.15
    return (views * gain.to(x) + shift.to(x)).clamp(0, 1)


def learn_instances(network: nn.Module, x: Float[Tensor, "N C H W"]) -> None:
    r"""Trains a network, in place, to tell which of B pictures a view is of, by another view of each.

    .. math:: L = -\frac1B \sum_i \log \frac{\exp(a_i^\top b_i / \tau)}{\sum_j \exp(a_i^\top b_j / \tau)}

    with a and b the means of the last map over its positions for the two views, projected to length 1, and tau = 0.2;
    150 steps of Adam on batches of 64, drawn from torch's current generator.

    Args:
        network: Pictures -> maps (N, 64, h, w).
        x: Pictures, in [0, 1].
    Source:
        A simple framework for contrastive learning (Chen et al., 2020), arXiv:2002.05709, eq. 1, with the pictures'
        own other views as the only negatives; features of instances: Wu et al. (2018), arXiv:1805.01978.
    """
    head = nn.Linear(WIDTHS[-1], DIM)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            batch = x[torch.randperm(len(x))[:BATCH]]
            views = network((crops(torch.cat([batch, batch])) - 0.5) / 0.25)
            a, b = F.normalize(head(views.mean((2, 3))), dim=1).chunk(2)
            loss = F.cross_entropy(a @ b.T / TEMPERATURE, torch.arange(len(batch)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
