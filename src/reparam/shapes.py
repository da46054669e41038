"""Shapes of single examples, and sentences about them."""

from __future__ import annotations

import math

Shape = tuple[int, ...]


def numel(shape: Shape) -> int:
    """Number of values in one example of this shape."""
    return math.prod(shape)


def is_image(shape: Shape) -> bool:
    """True for (C, H, W)."""
    return len(shape) == 3


def spatial(shape: Shape) -> Shape:
    """The extents behind the channels: (C, H, W) -> (H, W); (C, T) -> (T,); (D,) -> ()."""
    return shape[1:]


def times(shape: Shape, factor: int) -> Shape:
    """The shape with its first axis (channels, or the only one) ``factor`` times as long."""
    return (shape[0] * factor, *shape[1:])


def readable(shape: Shape) -> str:
    """``(1, 28, 28)`` as ``1x28x28``."""
    return "x".join(str(extent) for extent in shape)
