"""Readers of data in which several things are seen of each example."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reparam.data.raw import Part, Raw, Wanted
from reparam.data.tables import read_csv
from reparam.errors import DataError

MFEAT = ("fou", "fac", "kar", "pix", "zer", "mor")


def read_mfeat(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """2,000 handwritten digits in six views: tables whose last column is the digit."""
    views, digits = {}, []
    for view, path in zip(MFEAT, files.values(), strict=True):
        table = read_csv(path, wanted).parts["all"].x
        views[view], own = table[:, :-1], table[:, -1].astype(np.int64)
        digits.append(own)
    if any(len(own) != len(digits[0]) or (own != digits[0]).any() for own in digits):
        raise DataError(f"{name}: the six files are not of the same digits in the same order. Fetch them again.")
    first, *others = MFEAT
    part = Part(views[first], digits[0], others={view: views[view] for view in others})
    return Raw(name, {"all": part}, classes=tuple(str(digit) for digit in range(10)), called=first, views=MFEAT)
