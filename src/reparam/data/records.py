"""The records of the data floor: a batch, a split, and the three splits together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from reparam.data.brief import brief
from reparam.data.choosing import Index, are_neighbours, rows_of
from reparam.data.grouping import side_by_side
from reparam.data.spec import Binarize, DataSpec, Kind
from reparam.errors import DataError
from reparam.rng import generator, per_example
from reparam.shapes import Shape


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
        rows = index if are_neighbours(index) else rows_of(index, len(self), self.device)
        x = to_x(self.examples(rows), self.spec, draws)
        return Batch(x, {name: values[rows] for name, values in self.named.items()})

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
