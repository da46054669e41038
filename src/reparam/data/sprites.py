"""``sprites``: the factor grid of dSprites, drawn where and when a batch is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.data.records import Split
from reparam.data.spec import DataSpec

SHAPES = ("square", "ellipse", "heart")
FACTORS = (3, 6, 40, 32, 32)  # shape, scale, orientation, x, y: the row number counts the last one fastest
COUNT = math.prod(FACTORS)
SIZES = (64, 32)

_FRAME = 64
_PLACES = FACTORS[-1]
_REACH = 16  # no sprite reaches further from its centre, in pixels
_HALF_SIDE = 9.25
_HALF_AXES = (12.5, 6.75)
_HEART, _HEART_MIDDLE = 8.9, 0.15

Inside = Callable[[Tensor, Tensor], Tensor]


def _in_square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) <= _HALF_SIDE


def _in_ellipse(u: Tensor, v: Tensor) -> Tensor:
    return (u / _HALF_AXES[0]).square() + (v / _HALF_AXES[1]).square() <= 1


def _in_heart(u: Tensor, v: Tensor) -> Tensor:
    u, v = u / _HEART, v / _HEART + _HEART_MIDDLE
    return (u.square() + v.square() - 1) ** 3 <= u.square() * v**3


_INSIDE: tuple[Inside, ...] = (_in_square, _in_ellipse, _in_heart)


def _drawn() -> Tensor:
    """Every shape in every scale and orientation around the middle pixel: (3, 6, 40, 33, 33), uint8."""
    right = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    up = -right[:, None]
    scales = torch.linspace(0.5, 1.0, FACTORS[1], dtype=torch.float64)[:, None, None, None]
    angles = (torch.arange(FACTORS[2], dtype=torch.float64) * (2 * math.pi / FACTORS[2]))[:, None, None]
    u = (right * angles.cos() + up * angles.sin()) / scales
    v = (up * angles.cos() - right * angles.sin()) / scales
    return torch.stack([inside(u, v) for inside in _INSIDE]).to(torch.uint8)


@lru_cache(maxsize=4)
def _windows(device: torch.device) -> Tensor:
    """All pictures as views of 6 MB: (3, 6, 40, 32, 32, 64, 64), places counted from the right and from below."""
    margin = _FRAME - 1 - 2 * _REACH
    canvas = F.pad(_drawn(), (margin, margin, margin, margin)).to(device)
    return canvas.unfold(3, _FRAME, 1).unfold(4, _FRAME, 1)


def factors_of(rows: Tensor) -> Tensor:
    """Shape, scale, orientation, x and y of each row as class numbers: (N,) -> (N, 5), int64."""
    return torch.stack(torch.unravel_index(rows.long(), FACTORS), -1)


@dataclass(frozen=True)
class Renderer:
    """Draws pictures from the numbers of their rows in the grid.

    Shapes:
        rows: (N,), 0 to 737,279  ->  (N, 1, size, size), uint8, 0 or 1

    Args:
        size: 64, or 32 for blocks of 2x2 pixels, which are on where at least two of the four are.
    """

    size: int

    def __call__(self, rows: Tensor) -> Tensor:
        shape, scale, orientation, x, y = factors_of(rows).unbind(-1)
        pictures = _windows(rows.device)[shape, scale, orientation, _PLACES - 1 - y, _PLACES - 1 - x]
        if self.size != _FRAME:
            pairs = pictures[:, ::2] + pictures[:, 1::2]
            pictures = (pairs[:, :, ::2] + pairs[:, :, 1::2] >= 2).to(torch.uint8)
        return pictures.unsqueeze(1)


def sprites(size: int) -> Split:
    """The whole grid: 737,280 binary pictures of one sprite, with ``factors`` (N, 5) and the shape as ``labels``.

    Three shapes (square, ellipse, heart) in 6 scales from 0.5 to 1, 40 orientations of 9 degrees each (counted against
    the clock), 32 places from left to right and 32 from top to bottom, one pixel apart at 64x64. Only row numbers and
    factors are kept.

    Source:
        dSprites (Matthey et al., 2017), its grid and the order of its rows. Outlines and areas are like its own, not
        the same; its last orientation repeats the first (40 values from 0 to 2 pi), ours are all different turns.
    """
    rows = torch.arange(COUNT, dtype=torch.int32)
    factors = factors_of(rows)
    spec = DataSpec("sprites", (1, size, size), "binary", classes=SHAPES, widths={"factors": factors.shape[1]})
    return Split(rows, spec, {"labels": factors[:, 0].clone(), "factors": factors}, Renderer(size))
