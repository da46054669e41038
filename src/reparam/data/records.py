"""The records of the data floor: what the data are (DataSpec), a batch, a split, and the three splits together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from reparam.data.brief import brief
from reparam.data.choosing import Index, rows_of
from reparam.data.grouping import side_by_side
from reparam.errors import DataError
from reparam.rng import generator, per_example
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


@dataclass(frozen=True, repr=False)
class Batch:
    """Some examples x of shape (B, *data_shape), and what travels with them by name (``labels``, ...)."""

    x: Tensor
    named: Mapping[str, Tensor] = field(default_factory=dict)
    __repr__ = brief

    def __len__(self) -> int:
        return self.x.shape[0]

    def pick(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The named values a model asks for.

        Raises:
            DataError: if one of them is not in the batch.
        """
        missing = [name for name in names if name not in self.named]
        if missing:
            there = ", ".join(sorted(self.named)) or "nothing beside x"
            all_known = " Labels count where every item has one that the model knows." if missing[0] == "labels" else ""
            raise DataError(f"The model needs {missing[0]!r} with each example; the data have {there}.{all_known}")
        return {name: self.named[name] for name in names}

    def known(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Those of the named values that are there."""
        return {name: self.named[name] for name in names if name in self.named}


def to_x(stored: Tensor, spec: DataSpec, draws: torch.Generator | None = None) -> Tensor:
    """Scales stored values to x, and binarises if the spec says so.

    Args:
        stored: Some examples as they are stored.
        spec: What they are.
        draws: Generator of the dynamic binarisation, on their device.
    """
    x = stored.to(torch.get_default_dtype())
    if spec.divisor != 1.0:
        x = x / spec.divisor
    if spec.binarize == "dynamic":
        with per_example(0):
            x = torch.rand(x.shape, generator=draws, device=x.device, dtype=x.dtype).lt(x).to(x.dtype)
    elif spec.binarize == "threshold":
        x = x.ge(0.5).to(x.dtype)
    return x


def drawn_once(spec: DataSpec) -> DataSpec:
    """What examples are whose binarisation was drawn and stored."""
    return replace(spec, kind="binary", binarize="none", divisor=1.0, levels=0)


def known_groups(groups: Tensor | None, spec: DataSpec) -> Tensor:
    """The group of each example.

    Raises:
        DataError: if the data have none.
    """
    if groups is None:
        raise DataError(
            f"train.group_size puts members of a group side by side, and {spec.name} has neither groups nor labels."
        )
    return groups


class Order(Protocol):
    """The order of the examples in one epoch."""

    def __getitem__(self, index: slice, /) -> Tensor: ...


@dataclass(frozen=True, repr=False)
class Split:
    """One part of the data, kept on one device as stored (uint8 stays uint8).

    Attributes:
        stored: (N, *data_shape), uint8 or float32; where there is a ``render``, what that makes such examples of.
        spec: What the data are.
        named: Values of length N by name; ``labels`` and ``groups`` are class and group numbers (int64), -1 where the
            class is not known, ``factors`` (N, F) those of several ground-truth factors, ``attributes`` (N, A) numbers
            that describe an example (float32).
        render: Makes examples of some entries of ``stored``, on their device, each time they are asked for.
    """

    stored: Tensor
    spec: DataSpec
    named: Mapping[str, Tensor] = field(default_factory=dict)
    render: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return self.stored.shape[0]

    def __repr__(self) -> str:
        beside = f" with {', '.join(self.named)}" if self.named else ""
        return f"{type(self).__name__}({len(self):,} items of {'x'.join(map(str, self.spec.shape))}{beside})"

    def __getitem__(self, index: Index) -> Batch:
        """One example, or some of them, as :meth:`batch` gives them."""
        return self.batch(index)

    def __iter__(self) -> Iterator[Batch]:
        """Every example in order, each as a batch of one."""
        return self.batches(1)

    @property
    def x(self) -> Tensor:
        """All examples, (N, *data_shape)."""
        return self.batch(slice(None)).x

    @property
    def labels(self) -> Tensor | None:
        """Class numbers, (N,), or None."""
        return self.named.get("labels")

    @property
    def device(self) -> torch.device:
        """Where the examples are kept."""
        return self.stored.device

    @property
    def groups(self) -> Tensor | None:
        """The group of each example, (N,), or else its label; None without either."""
        return self.named.get("groups", self.labels)

    def order(self, seed: int, epoch: int, group_size: int = 1) -> Order:
        """The numbers of all examples, shuffled for this epoch: slices of it make batches.

        Args:
            seed: Decides the order, with the epoch.
            epoch: Number of the pass.
            group_size: Members of a group that stand side by side, see
                :func:`~reparam.data.grouping.side_by_side`.
        Raises:
            DataError: if there are no groups to put side by side.
        """
        draws = generator(seed, "epoch", epoch)
        shuffled = torch.randperm(len(self), generator=draws)
        if group_size > 1:
            shuffled = side_by_side(shuffled, known_groups(self.groups, self.spec).cpu()[shuffled], group_size, draws)
        return shuffled.to(self.device)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        moved = {name: values.to(device) for name, values in self.named.items()}
        return replace(self, stored=self.stored.to(device), named=moved)

    def take(self, index: Index) -> Split:
        """The examples with these numbers, as a split; see :meth:`batch`."""
        index = rows_of(index, len(self), self.device)
        return replace(self, stored=self.stored[index], named={name: v[index] for name, v in self.named.items()})

    def subset(self, limit: int | None, *counters: int | str) -> Split:
        """A seeded random subset of at most ``limit`` examples, never simply the first ones."""
        if limit is None or limit >= len(self):
            return self
        chosen = torch.randperm(len(self), generator=generator("subset", *counters))[:limit]
        return self.take(chosen.sort().values)

    def examples(self, index: Tensor | slice) -> Tensor:
        """Examples by number, before they are scaled: (n, *data_shape), uint8 or float32."""
        found = self.stored[index] if isinstance(index, slice) else self.stored.index_select(0, index)
        return found if self.render is None else self.render(found)

    def batch(self, index: Index, draws: torch.Generator | None = None) -> Batch:
        """Gathers examples by number, scales them to x, and binarises if the spec says so.

        Args:
            index: The number of an example, those of some, a mask of all, or a slice.
            draws: Generator of the dynamic binarisation, on this split's device.
        Raises:
            DataError: if there are no such examples.
        """
        index = index if isinstance(index, slice) else rows_of(index, len(self), self.device)
        x = to_x(self.examples(index), self.spec, draws)
        return Batch(x, {name: values[index] for name, values in self.named.items()})

    def batches(self, size: int) -> Iterator[Batch]:
        """All examples in order. A dynamic split should be made :meth:`fixed` first."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def fixed(self, *counters: int | str) -> Split:
        """A split whose binarisation is drawn once, so that judging it twice gives the same number."""
        if self.spec.binarize == "none":
            return self
        draws = generator("binarize", *counters, device=self.stored.device)
        parts = [self.batch(slice(start, start + 4096), draws).x.to(torch.uint8) for start in range(0, len(self), 4096)]
        return replace(self, stored=torch.cat(parts), spec=drawn_once(self.spec), render=None)


@dataclass(frozen=True, repr=False)
class Data:
    """Train, validation and test: always three.

    Attributes:
        origin: Arguments of ``load_data`` that give the same data again, without ``source`` where that was a Python
            object; empty where the splits were put together by hand.
    """

    train: Split
    validation: Split
    test: Split
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = (f"{name}={getattr(self, name)!r}" for name in ("train", "validation", "test"))
        return f"Data({self.spec.name!r}, {', '.join(parts)})"

    @property
    def spec(self) -> DataSpec:
        """What the data are."""
        return self.train.spec

    @property
    def shape(self) -> Shape:
        """Shape of one example."""
        return self.spec.shape

    @property
    def kind(self) -> Kind:
        """``binary``, ``levels``, ``unit``, ``real`` or ``counts``, before binarisation."""
        return self.spec.kind

    @property
    def labels(self) -> Tensor | None:
        """Class numbers of the training split, or None."""
        return self.train.labels

    def split(self, name: str) -> Split:
        """A split by name.

        Raises:
            DataError: if it is not train, validation or test.
        """
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if name not in splits:
            raise DataError(f"There is no split {name!r}; expected train, validation or test.")
        return splits[name]

    def binarized(self, how: Binarize) -> Data:
        """The same data, made binary when batches are drawn."""

        def changed(split: Split) -> Split:
            return replace(split, spec=replace(split.spec, binarize=how))

        return Data(changed(self.train), changed(self.validation), changed(self.test), self.origin)

    def to(self, device: torch.device | str) -> Data:
        """The same data on another device."""
        return Data(self.train.to(device), self.validation.to(device), self.test.to(device), self.origin)
