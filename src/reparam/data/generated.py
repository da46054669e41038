"""Data that are made, not read: a row for each, and how they become splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from reparam.data import arm, sprites
from reparam.data.prepare import shares
from reparam.data.raw import SPLITS, Part, Raw
from reparam.data.records import Data, Split
from reparam.data.spec import DataSpec
from reparam.errors import DataError
from reparam.shapes import readable

MOST_ROWS = 1 << 31


@dataclass(frozen=True)
class Generated:
    """Data with a name that are made when they are asked for.

    Attributes:
        name: What users write.
        about: One line.
        sizes: Heights (and widths) in which they can be had, the usual one first.
        make: Size -> every example, in its own order.
        counted: Size and number -> so many examples, for those of which there are as many as wanted.
    """

    name: str
    about: str
    sizes: tuple[int, ...]
    make: Callable[[int], Split]
    counted: Callable[[int, int], Split] | None = None

    def whole(self, spec: DataSpec | None = None, size: tuple[int, int] | None = None) -> Split:
        """Every example, in its own order.

        Args:
            spec: What a model knows of its data.
            size: Height and width.

        Raises:
            DataError: if they cannot be had in this size, or do not fit the model.
        """
        pictures = [one.shape for one in spec.observations] or [spec.shape] if spec else []
        for shape in pictures:
            if size is None and shape[1:] in [(side, side) for side in self.sizes]:
                size = (shape[1], shape[1])
        height, width = size or (self.sizes[0], self.sizes[0])
        if height != width or height not in self.sizes:
            raise DataError(
                f"{self.name} cannot be had in {height}x{width}; expected size={' or '.join(map(str, self.sizes))}."
            )
        return fitted(self.make(height), spec)


def fitted(split: Split, spec: DataSpec | None) -> Split:
    """The split as a model's DataSpec has it; classes that the model does not know are left out.

    Raises:
        DataError: if the model was made for data of another shape or kind.
    """
    if spec is None:
        return split
    own = split.spec
    looks = [[(one.name, one.shape, one.kind) for one in of.observations] for of in (spec, own)]
    if (spec.shape, spec.effective_kind) != (own.shape, own.kind) or looks[0] != looks[1]:
        raise DataError(
            f"{own.name} are {own.kind} pictures of {readable(own.shape)}; the model was made for "
            f"{spec.effective_kind} data of {readable(spec.shape)}. Take other data."
        )
    if spec.classes == own.classes:
        return split
    named = {name: values for name, values in split.named.items() if name != "labels"}
    return replace(split, spec=replace(own, classes=spec.classes), named=named)


def shared_out(split: Split, validation: float | int | None, seed: int) -> Data:
    """Makes train, validation and test of one split, at random: 80/10/10, or as ``validation`` says.

    Raises:
        DataError: if ``validation`` takes what is not there.
    """
    index = shares(Raw(split.spec.name, {"all": Part(np.empty(len(split)))}), validation, seed)
    train, kept, test = (split.take(torch.from_numpy(index[name])) for name in SPLITS)
    return Data(train, kept, test)


GENERATED = {
    "sprites": Generated(
        "sprites",
        "737,280 binary pictures of a square, ellipse or heart in every scale, turn and place, 64x64 or 32x32; drawn "
        "when asked for (the grid of dSprites)",
        sprites.SIZES,
        sprites.sprites,
    ),
    "arm": Generated(
        "arm",
        "25,000 depth pictures of a jointed arm with the places of its joints, 32x32 or 64x64; arm:100000 for more, "
        "drawn when asked for (two observations)",
        arm.SIZES,
        arm.arm,
        arm.arm,
    ),
}


def generated(name: str) -> Generated | None:
    """The row of data that are made, if that is what the name says: ``sprites``, ``arm``, ``arm:100000``.

    Raises:
        DataError: if it asks for a number of them that cannot be had.
    """
    base, colon, number = name.partition(":")
    row = GENERATED.get(base)
    if row is None or not colon:
        return row
    if row.counted is None or not number.isdecimal() or not 1 <= int(number) <= MOST_ROWS:
        form = f":N with a number from 1 to {MOST_ROWS:,}." if row.counted else ", of which there is one set."
        sides = " or ".join(map(str, row.sizes))
        raise DataError(
            f"{name!r}: expected {base}{form} Pictures of another size come by --data.size ({sides}), fewer of them by "
            "--data.limit (size= and limit= in Python)."
        )
    counted, count = row.counted, int(number)
    return replace(row, make=lambda size: counted(size, count))
