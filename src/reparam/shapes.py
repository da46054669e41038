"""Shapes of single examples, and sentences about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

Shape = tuple[int, ...]
SMALLEST_IMAGE = 16


def numel(shape: Shape) -> int:
    """Number of values in one example of this shape."""
    return math.prod(shape)


def is_image(shape: Shape) -> bool:
    """True for (C, H, W)."""
    return len(shape) == 3


def spatial(shape: Shape) -> Shape:
    """The extents behind the channels: (C, H, W) -> (H, W); (C, T) -> (T,); (D,) -> ()."""
    return shape[1:]


def suits_convolutions(shape: Shape) -> bool:
    """True of pictures and signals whose longer side has at least 16 values."""
    return len(shape) > 1 and max(spatial(shape)) >= SMALLEST_IMAGE


def times(shape: Shape, factor: int) -> Shape:
    """The shape with its first axis (channels, or the only one) ``factor`` times as long."""
    return (shape[0] * factor, *shape[1:])


def broadcast(*shapes: Sequence[int]) -> Shape:
    """The shape that all of them are broadcast to; ``torch.broadcast_shapes`` loads a computer algebra system for it.

    Raises:
        ValueError: They cannot be broadcast to one shape.
    """
    longest = max(map(len, shapes))
    aligned = [(1,) * (longest - len(shape)) + tuple(shape) for shape in shapes]
    common = tuple(next((n for n in extents if n != 1), 1) for extents in zip(*aligned, strict=True))
    if any(n not in (1, extent) for shape in aligned for n, extent in zip(shape, common, strict=True)):
        raise ValueError(f"the shapes {', '.join(map(str, map(tuple, shapes)))} cannot be broadcast to one")
    return common


def places(shapes: Sequence[Shape]) -> list[slice]:
    """Where each of several things lies that are flattened and put side by side."""
    ends = list(accumulate(map(numel, shapes), initial=0))
    return [slice(start, end) for start, end in pairwise(ends)]


def readable(shape: Shape) -> str:
    """``(1, 28, 28)`` as ``1x28x28``."""
    return "x".join(str(extent) for extent in shape)


def difference(held: Mapping[str, Shape], own: Mapping[str, Shape]) -> str:
    """Where the shapes of named weights differ first, in words; nothing where they do not."""
    for name in sorted({*held, *own}):
        if held.get(name) != own.get(name):
            return f"{name} is {held.get(name, 'not there')}, the model's {own.get(name, 'not there')}"
    return ""
