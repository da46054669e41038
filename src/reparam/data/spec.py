"""What a model must know of its data: how values are to be read, their shape, their units, their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reparam.data.brief import brief
from reparam.shapes import Shape, is_image, numel, places

Kind = Literal["binary", "levels", "unit", "real", "counts"]
Binarize = Literal["none", "dynamic", "threshold"]
Axes = Literal["auto", "ND", "NCT", "NTC", "NHW", "NCHW", "NHWC"]
Values = Literal["auto", "binary", "levels", "unit", "real", "counts"]
SplitBy = Literal["examples", "groups"]


@dataclass(frozen=True)
class Observation:
    """One of several things that are seen of an example; in x they lie side by side, NaN where one is missing.

    Attributes:
        name: What it is called.
        shape: Its shape: (C, H, W), (C, T) or (D,).
        kind: ``binary``, ``unit``, ``real``, or ``classes`` (one-hot).
        classes: Names of the classes of ``classes``.
        shift, scale: Mean and standard deviation of ``real`` ones on the training split, as in a DataSpec.
        columns: Names of the values of a row, empty where there are none.
    """

    name: str
    shape: Shape
    kind: Literal["binary", "unit", "real", "classes"]
    classes: tuple[str, ...] = ()
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of its values."""
        own = self.classes or self.columns
        given = own if len(own) == numel(self.shape) else map(str, range(numel(self.shape)))
        return tuple(f"{self.name}_{name}" for name in given)


@dataclass(frozen=True, repr=False)
class DataSpec:
    """What a model must know of its data, kept beside its weights.

    Attributes:
        name: Where the data came from, for people.
        shape: Shape of one example: (C, H, W), (C, T) or (D,).
        kind: ``binary`` (0 or 1), ``levels`` (``levels`` equally spaced values in [0, 1]), ``unit`` (real numbers in
            [0, 1]), ``real`` or ``counts`` (whole numbers from 0 on).
        levels: Number of grey levels of ``levels`` data, else 0.
        divisor: Stored values are divided by this to give x.
        binarize: How x is made binary when a batch is drawn; ``dynamic`` draws Bernoulli(x) afresh each time.
        conventional_binarize: What the literature does with this data set, for models with binary outputs.
        classes: Names of the classes, empty where there are none.
        columns: Names of the columns of a table, empty where there are none.
        groups: Names of the groups that examples belong to beside their classes, empty where there are none.
        widths: How many numbers each example has of what else travels with it by name (``attributes``, ``factors``).
        shift, scale: Mean and standard deviation of ``real`` data on the training split (one value per column of
            a table, one per channel of an image or a signal), of ``counts`` n those of log(1 + n), empty otherwise. x
            itself stays in its own units.
        axes, values: What the user said of the arrays; other arrays are read by it too where they can be that.
        observations: What x is made of, where several things are seen of each example.
        label_column, group_column, value_columns: The columns of a table that the user said hold labels and groups, and
            those that x is made of, empty where he said nothing; they are looked for in other tables too.
    """

    name: str
    shape: Shape
    kind: Kind
    levels: int = 0
    divisor: float = 1.0
    binarize: Binarize = "none"
    conventional_binarize: Binarize = "none"
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    axes: Axes = "auto"
    values: Values = "auto"
    observations: tuple[Observation, ...] = ()
    groups: tuple[str, ...] = ()
    label_column: str = ""
    group_column: str = ""
    value_columns: tuple[str, ...] = ()
    __repr__ = brief

    @property
    def places(self) -> dict[str, slice]:
        """Where each observation lies in x."""
        own = self.observations
        return dict(zip((one.name for one in own), places([one.shape for one in own]), strict=True))

    @property
    def class_observation(self) -> Observation | None:
        """The one of several observations that is a class; None where none or several are."""
        found = [one for one in self.observations if one.kind == "classes"]
        return found[0] if len(found) == 1 else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes: of the labels, or of the one observation that is a class."""
        return self.classes if self.class_observation is None else self.class_observation.classes

    @property
    def drawn(self) -> bool:
        """True for sequences of their own lengths, of steps in the plane and a pen that is 0 or 1."""
        planar = self.kind == "real" and len(self.shape) == 2 and self.shape[0] == 3 and "lengths" in self.widths
        return planar and self.last_is_bit

    @property
    def last_is_bit(self) -> bool:
        """True where the last channel is 0 or 1, which keeps its units."""
        return (self.shift[-1:], self.scale[-1:]) == ((0.0,), (1.0,))

    @property
    def image(self) -> bool:
        """True where an example can be shown as a picture."""
        return is_image(self.shape) and self.shape[0] in (1, 3)

    @property
    def in_unit_interval(self) -> bool:
        """True where x lies in [0, 1]."""
        return self.kind in ("binary", "levels", "unit")

    @property
    def units(self) -> dict[str, Any]:
        """What standardises x for a network: ``shift``, ``scale`` and how many channels are ``counts``; or nothing."""
        if self.in_unit_interval:
            return {}
        return {"shift": self.shift, "scale": self.scale, "counts": self.shape[0] if self.kind == "counts" else 0}

    @property
    def effective_kind(self) -> Kind:
        """The kind a model sees, after binarisation."""
        return "binary" if self.binarize != "none" else self.kind
