"""``arm``: depth images of a jointed arm and where its joints are, drawn where and when a batch is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reparam.data.records import Split
from reparam.data.spec import DataSpec, Observation

COUNT = 25_000
SIZES = (32, 64)
NAMES = tuple(f"{joint}-{axis}" for joint in ("elbow", "wrist", "tip") for axis in "xyz")

_LENGTHS, _WIDTHS = (0.62, 0.5, 0.34), (0.12, 0.095, 0.075)
_BASE = (0.0, -0.72, 0.0)
_ANGLES = ((-75, 75), (-50, 50), (-110, 110), (-50, 50), (-70, 70))  # degrees: two for shoulder and elbow, one wrist
_FAR, _NEAR = -1.3, 1.3
_NOISE, _DEAD = 0.01, 0.01
_BARRED, _BAR_DEPTH = 0.25, 0.97
_NUMBERS = 16  # uniform numbers of each row, beside those of its pixels
_STEP, _FIRST, _SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_SHIFTS = ((30, (1 << 34) - 1), (27, (1 << 37) - 1), (31, (1 << 33) - 1))


def uniform(numbers: Tensor) -> Tensor:
    """Numbers in (0, 1) that look random, each from a whole number, int64 -> float32 (the mixer of SplitMix64)."""
    mixed = numbers * _STEP
    for (shift, mask), factor in zip(_SHIFTS, (_FIRST, _SECOND, 1), strict=True):
        mixed = (mixed ^ ((mixed >> shift) & mask)) * factor
    return (((mixed >> 41) & ((1 << 23) - 1)).float() + 0.5) / (1 << 23)


def poses(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Joints and what hides them: (N,) -> (N, 4, 3), base, elbow, wrist and tip, and (N, 5), uniform numbers."""
    u = uniform(rows.long()[:, None] * _NUMBERS + torch.arange(_NUMBERS, device=rows.device))
    low, high = torch.tensor(_ANGLES, device=rows.device).float().mul(math.pi / 180).unbind(-1)
    angles = low + (high - low) * u[:, : len(_ANGLES)]
    across = torch.stack([angles[:, 0], angles[:, 0] + angles[:, 2], angles[:, 0] + angles[:, 2] + angles[:, 4]], 1)
    towards = torch.stack([angles[:, 1], angles[:, 1] + angles[:, 3], angles[:, 1] + angles[:, 3]], 1)
    ways = torch.stack([across.sin() * towards.cos(), across.cos() * towards.cos(), towards.sin()], -1)
    steps = ways * torch.tensor(_LENGTHS, device=rows.device)[:, None]
    base = torch.tensor(_BASE, device=rows.device).expand(len(rows), 1, 3)
    return torch.cat([base, base + steps.cumsum(1)], 1), u[:, 8:13]


def _surfaces(start: Tensor, end: Tensor, width: float, across: Tensor, up: Tensor) -> list[Tensor]:
    r"""Height of a limb over each pixel: of its cylinder, and of the balls at its ends; -inf beside them.

    On a ray along z, the points at distance r from the axis through a with direction u are the roots of
    :math:`(1 - u_z^2) z^2 - 2 s u_z z + |m|^2 - s^2 - r^2`, with m = (x, y) - a and s = m . u.

    Shapes:
        start, end: (N, 3);  across: (W,);  up: (H,)  ->  three of (N, H, W)
    """

    def beside(point: Tensor) -> tuple[Tensor, Tensor]:
        return across - point[:, 0, None, None], up[:, None] - point[:, 1, None, None]

    length = (end - start).norm(dim=1)
    ux, uy, uz = ((end - start) / length[:, None])[:, :, None, None].unbind(1)
    x, y = beside(start)
    along, flat = x * ux + y * uy, (1 - uz.square()).clamp_min(1e-6)
    room = (along * uz).square() - flat * (x.square() + y.square() - along.square() - width**2)
    z = (along * uz + room.clamp_min(0).sqrt()) / flat
    place = along + z * uz
    inside = (room > 0) & (place >= 0) & (place <= length[:, None, None])
    found = [torch.where(inside, z + start[:, 2, None, None], -torch.inf)]
    for point in (start, end):
        x, y = beside(point)
        room = width**2 - x.square() - y.square()
        found.append(torch.where(room > 0, point[:, 2, None, None] + room.clamp_min(0).sqrt(), -torch.inf))
    return found


@dataclass(frozen=True)
class ArmRenderer:
    """Draws what a depth camera sees of the arm, with a bar before it now and then, noise and dead pixels.

    Shapes:
        rows: (N,), whole numbers  ->  (N, size * size + 9): depth from 0 (nothing) to 1 (near), then joints

    Args:
        size: Height and width.
    """

    size: int

    def __call__(self, rows: Tensor) -> Tensor:
        joints, bars = poses(rows)
        parts = [self._seen(own) for own in joints.split(128)]  # memory grows with what is drawn at once
        depth = self._barred(torch.cat(parts), bars)
        return torch.cat([self._sensed(depth, rows).flatten(1), joints[:, 1:].flatten(1)], 1)

    def _grid(self, device: torch.device) -> Tensor:
        """Places of the pixels from left to right, and from below."""
        return (torch.arange(self.size, device=device) + 0.5) / self.size * 2.4 - 1.2

    def _seen(self, joints: Tensor) -> Tensor:
        """Depth of the nearest surface; each limb is a cylinder with round ends."""
        places = self._grid(joints.device)
        heights = []
        for limb, width in enumerate(_WIDTHS):
            heights += _surfaces(joints[:, limb], joints[:, limb + 1], width, places, places.flip(0))
        height = torch.stack(heights).amax(0)
        return ((height - _FAR) / (_NEAR - _FAR)).clamp(0, 1)

    def _barred(self, depth: Tensor, u: Tensor) -> Tensor:
        """A near bar, across or upright, before some of the pictures."""
        places = torch.arange(self.size, device=depth.device) / self.size
        start, width = u[:, 1:2] * 0.8, 0.1 + 0.1 * u[:, 2:3]
        inside = (places >= start) & (places < start + width)
        bar = torch.where((u[:, 3] < 0.5)[:, None, None], inside[:, None, :], inside[:, :, None])
        return torch.where(bar & (u[:, 0] < _BARRED)[:, None, None], _BAR_DEPTH, depth)

    def _sensed(self, depth: Tensor, rows: Tensor) -> Tensor:
        """Noise where something is seen, and pixels that see nothing."""
        pixels = torch.arange(3 * self.size**2, device=rows.device) + (1 << 40)
        u = uniform((rows.long()[:, None] << 20) + pixels).unflatten(1, (3, self.size, self.size))
        noise = (-2 * u[:, 0].log()).sqrt() * (2 * math.pi * u[:, 1]).cos()
        sensed = torch.where(depth > 0, depth + _NOISE * noise, 0.0)
        return torch.where(u[:, 2] < _DEAD, 0.0, sensed).clamp(0, 1)


def arm(size: int, count: int = COUNT) -> Split:
    """Depth pictures of an arm with three limbs in random poses, and the places of its elbow, wrist and tip.

    Two observations of each example: ``depth`` (1, size, size) and ``joints`` (9,). A quarter of the pictures has a
    bar before the arm; depth has noise of 0.01, and one pixel in a hundred is dead. Only row numbers are kept.

    Args:
        size: Height and width.
        count: How many.
    """
    rows = torch.arange(count, dtype=torch.int32)
    joints = poses(torch.arange(4096))[0][:, 1:].flatten(1).double()
    shift, scale = (tuple(values.tolist()) for values in (joints.mean(0), joints.std(0)))
    observations = (
        Observation("depth", (1, size, size), "unit"),
        Observation("joints", (len(NAMES),), "real", shift=shift, scale=scale, columns=NAMES),
    )
    spec = DataSpec("arm", (size * size + len(NAMES),), "real", observations=observations)
    return Split(rows, spec, {}, ArmRenderer(size))
