"""What a reader hands over: arrays as they were found, before anything is decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reparam.data.spec import Axes, Binarize, Kind, Observation, Values
from reparam.errors import DataError

Array: TypeAlias = NDArray[Any]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Scale:
    """How stored values become x: ``kind``, ``levels`` and ``divisor`` of a DataSpec."""

    kind: Kind
    levels: int = 0
    divisor: float = 1.0


BINARY = Scale("binary")
UNIT = Scale("unit")
BYTES = Scale("levels", 256, 255.0)
REAL = Scale("real")
COUNTS = Scale("counts")


@dataclass(frozen=True)
class Part:
    """Some examples (N, ...), and what is told of them, or None.

    Attributes:
        x: (N, ...).
        labels: (N,), numbers or names.
        factors: Ground-truth factors, (N, F), whole numbers.
        attributes: Numbers that describe each example, (N, A).
        lengths: How many steps of each sequence there are, (N,); what lies behind them is nothing.
        others: Further arrays by name, where they were asked for as observations.
        groups: (N,), numbers or names of what examples belong to, beside their labels.
    """

    x: Array
    labels: Array | None = None
    factors: Array | None = None
    attributes: Array | None = None
    lengths: Array | None = None
    others: Mapping[str, Array] = field(default_factory=dict)
    groups: Array | None = None


@dataclass(frozen=True)
class Told:
    """The columns of a table that somebody names, empty where nobody does.

    Attributes:
        label: The column of labels.
        group: The column of groups.
        values: The columns that x is made of, in this order, and no others.
        strict: The settings whose columns must be there; where a model knows them from its own data, a table may lack
            them.
    """

    label: str = ""
    group: str = ""
    values: tuple[str, ...] = ()
    strict: frozenset[str] = frozenset(("label_column", "group_column", "columns"))

    @property
    def names(self) -> dict[str, str]:
        """The columns of labels and groups that are told, by the setting that tells them."""
        given = {"label_column": self.label, "group_column": self.group}
        return {option: name for option, name in given.items() if name}


UNTOLD = Told()


@dataclass(frozen=True)
class Wanted:
    """What is known, before pictures are decoded, about how they should come out.

    Attributes:
        size: Height and width.
        channels: 1 or 3.
        observations: Names of those that are asked for.
        axes: The meaning of each axis of an array, as it is said or as a model knows it.
        columns: Names of the columns of a table that a model knows as values, in its order.
        told: Which columns of a table hold labels, groups and values.
        cut: Names of pictures that lost their edges on the way, to be filled.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    observations: tuple[str, ...] = ()
    axes: Axes = "auto"
    columns: tuple[str, ...] = ()
    told: Told = UNTOLD
    cut: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Declared:
    """What the user says of a source; ``auto`` finds it out.

    Attributes:
        axes: The meaning of each axis, one letter for each.
        values: What the numbers are: the ``kind`` of a DataSpec.
    """

    axes: Axes = "auto"
    values: Values = "auto"


FOUND_OUT = Declared()


@dataclass(frozen=True)
class Raw:
    """A source as it was found.

    Attributes:
        name: What messages call it.
        parts: ``{"all": part}``, or any of ``train``, ``validation`` and ``test``.
        columns: Names of the columns of a table.
        classes: Names of the classes where labels are numbers from 0.
        scale: Meaning of the stored values where it is known; else it is measured.
        tail: How many of the last training examples are the validation split by convention.
        conventional: What the literature does to make x binary.
        declared: What the user says of it.
        called: What x is called where it is one of several observations.
        views: Names of the observations that it is of by itself.
        observations: What x is made of, where it is several of them side by side.
        told: Which columns of a table were told to hold labels, groups and values.
    """

    name: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    scale: Scale | None = None
    tail: int = 0
    conventional: Binarize = "none"
    declared: Declared = FOUND_OUT
    called: str = "x"
    views: tuple[str, ...] = ()
    observations: tuple[Observation, ...] = ()
    told: Told = UNTOLD

    def named(self, name: str | None) -> Raw:
        """The same under another name, where one is given."""
        return self if name is None else replace(self, name=name)


def whole(name: str, x: Array, labels: Array | None = None) -> Raw:
    """A source with only one part."""
    return Raw(name, {"all": Part(x, labels)})


def require_numbers(x: Array, name: str) -> Array:
    """Gives x back if numpy holds it as numbers.

    Raises:
        DataError: if it holds objects, text, complex numbers or records.
    """
    if x.dtype.kind == "O":
        raise DataError(
            f"{name} holds Python objects or rows of different lengths; expected numbers of one shape. "
            "Save them as a plain array (padded, if they differ in length)."
        )
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name} holds values of type {x.dtype}; expected numbers. Convert or leave out what is text.")
    if x.dtype == np.float16:  # numpy warns where half precision is compared with numbers beyond it
        return x.astype(np.float32)
    return x.astype(np.float64) if x.dtype.itemsize > 8 else x
