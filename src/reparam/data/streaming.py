"""A source that is read block by block -> train, validation and test that stay on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor

from reparam.data import images
from reparam.data.beside import UNKNOWN, class_numbers, group_numbers
from reparam.data.blocks import Chain, Stream
from reparam.data.prepare import described, held_out, prepared, shares, some_known
from reparam.data.raw import BYTES, COUNTS, REAL, SPLITS, Array, Part, Raw, Scale, require_numbers
from reparam.data.records import Data, Split
from reparam.data.shards import together
from reparam.data.spec import DataSpec
from reparam.data.streams import Stored, StreamedSplit
from reparam.data.values import SLACK, arrange, conform, hinted, in_order, measure, require_finite, shaped
from reparam.errors import DataError
from reparam.rng import generator
from reparam.shapes import Shape

SAMPLE_BYTES = 32 << 20


@dataclass(frozen=True)
class Reading:
    """How blocks become stored values and class numbers, decided once for all of them.

    Attributes:
        raw: The source without its parts.
        spec: What a model knows of the data.
        found: What the values mean as they are found.
        top: The largest value of bits as they are found, 1 or 255.
        example: Shape of an example as it is found.
        shape: The same with its axes in order.
        size: Height and width that pictures are brought to.
        numbered: The labels and the groups that occur, each sorted, and the number of each, by role.
    """

    raw: Raw
    spec: DataSpec
    found: Scale
    top: int
    example: Shape
    shape: Shape
    size: tuple[int, int] | None
    numbered: Mapping[str, tuple[Array, Array]]

    def x(self, x: Array, name: str, first: int) -> Tensor:
        """The values of a block as they are stored.

        Args:
            x: The values as they are found.
            name: What messages call the file.
            first: Number of the block's first row in it.

        Raises:
            DataError: if they are not what the sample of the source was.
        """
        require_finite(require_numbers(x, name), name, self.raw.columns, first)
        if x.ndim == 3 and len(self.example) == 3:  # grey pictures among coloured ones
            x = np.repeat(x[..., None], 3, -1)
        if x.shape[1:] != self.example:
            raise DataError(
                f"{name} has examples of shape {x.shape[1:]} from row {first} on, others have {self.example}. "
                "Make them one shape."
            )
        x = in_order(x, self.raw, self.spec)
        x = shaped(x, self.shape, name, self.raw.declared.axes)
        x, scale = self.meant(x, name, first), self.found
        if self.size is not None and x.shape[2:] != self.size:
            if scale.kind == "binary":
                x, scale = x * np.uint8(255), BYTES
            x = images.resize(x, self.size)
        return torch.from_numpy(np.ascontiguousarray(conform(x, scale, self.spec, name)))

    def meant(self, x: Array, name: str, first: int) -> Array:
        """The values of a block in the type that they are stored in, if they mean what those of the sample do.

        Raises:
            DataError: naming the first row that does not fit.
        """
        if self.found.kind == "real":
            return x.astype(np.float32, copy=False)
        if x.dtype != np.uint8 or self.found.kind == "binary":
            self._check(x, name, first)
        if self.found.kind == "counts":
            return x.astype(np.float32, copy=False)
        if self.found.kind == "unit":
            return np.clip(x, 0, self.found.divisor).astype(np.float32)
        return (x != 0).astype(np.uint8) if self.found.kind == "binary" else x.astype(np.uint8, copy=False)

    def _check(self, x: Array, name: str, first: int) -> None:
        if self.found.kind == "binary":
            good, expected = (x == 0) | (x == self.top), f"only 0 and {self.top}"
        elif self.found.kind == "levels":
            good, expected = (x >= 0) & (x <= 255) & (x == np.floor(x)), "only whole numbers from 0 to 255"
        elif self.found.kind == "counts":
            good, expected = (x >= 0) & (x == np.floor(x)), "only whole numbers from 0 on"
        else:
            slack = SLACK * self.found.divisor
            good = (x >= -slack) & (x <= self.found.divisor + slack)
            expected = f"only numbers from 0 to {self.found.divisor:g}"
        if not good.all():
            row = int(np.argwhere(~good)[0][0])
            raise DataError(
                f"{name} has {x[row][~good[row]][0]} in row {first + row} (counted from 0), where a random sample of "
                f"its blocks held {expected}. Mend that row, or read everything at once: data.stream off "
                "(stream=False in Python)."
            )

    def numbers_of(self, named: Mapping[str, Array], roles: Sequence[str]) -> dict[str, Tensor]:
        """Class and group numbers of labels and groups."""
        found = {}
        for role in roles:
            values, numbers = self.numbered[role]
            found[role] = torch.from_numpy(numbers[np.searchsorted(values, named[role])])
        return found


@dataclass(frozen=True)
class Settled:
    """Some blocks of a source as they are stored.

    Args:
        chain: All blocks of the source.
        numbers: Which of them.
        reading: How they become stored values.
        roles: What every row has a number for: ``labels`` (its class), ``groups``.
    """

    chain: Chain
    numbers: Array
    reading: Reading
    roles: Sequence[str]

    @cached_property
    def lengths(self) -> Sequence[int]:
        """Rows of each block."""
        found: list[int] = self.chain.lengths[self.numbers].tolist()
        return found

    def read(self, number: int) -> Stored:
        """The rows of a block, and their class and group numbers."""
        file, own, first = self.chain.place(int(self.numbers[number]))
        part = file.read(own)
        x = self.reading.x(part.x, file.name, first)
        return x, self.reading.numbers_of({role: getattr(part, role) for role in self.roles}, self.roles)

    def named(self, number: int) -> dict[str, Tensor]:
        """The class and group numbers of a block alone."""
        file, own, _ = self.chain.place(int(self.numbers[number]))
        return self.reading.numbers_of(file.named(own), self.roles)


def streamed(
    stream: Stream,
    spec: DataSpec | None = None,
    size: tuple[int, int] | None = None,
    validation: float | int | None = None,
    seed: int = 0,
) -> Data:
    """Makes train, validation and test of a source without loading it.

    What the values mean, their scale and their moments are decided as for data in memory, but from a random sample of
    the training blocks; a block that does not fit what was decided is refused when it is read. Splits are made of whole
    blocks, chosen at random, where the source has none of its own.

    Args:
        stream: The source.
        spec: What a model knows of its data; the source is made to fit.
        size: Height and width of pictures.
        validation: Share or number of the training examples for validation.
        seed: Decides the splits and the sample.

    Raises:
        DataError: if the source is bad, has too few blocks for three splits, or does not fit the model.
    """
    chain = Chain([file for files in stream.parts.values() for file in files])
    index = shared_blocks(stream, validation, seed)
    sample = sampled(chain, index["train"], stream.name, seed)
    whole = Raw(stream.name, {}, stream.columns, stream.classes)
    values = distinct(chain)
    numbered, names = numbers_of(whole, values, spec)
    raw = replace(whole, parts={"all": sample}, declared=stream.declared, told=stream.told)
    reading = decided(raw, spec, size, names, numbered)
    splits = {}
    for name in SPLITS:
        owners = np.unique(chain.owner[index[name]])
        there = [chain.links[owner].named(0) for owner in owners]
        roles = [
            role
            for role, (_, own) in numbered.items()
            if (some_known(own) if role == "labels" else UNKNOWN not in own) and all(role in one for one in there)
        ]
        rows = Settled(chain, index[name], reading, roles)
        # The floors above ask a split for what it answers, not for where its rows are.
        splits[name] = cast(Split, StreamedSplit(rows, reading.spec))
    return Data(splits["train"], splits["validation"], splits["test"])


def shared_blocks(stream: Stream, validation: float | int | None, seed: int) -> dict[str, Array]:
    """Numbers of the blocks of each split.

    Raises:
        DataError: if there are too few, or ``validation`` takes what is not there.
    """
    counts = {split: sum(len(file.lengths) for file in files) for split, files in stream.parts.items()}
    rows = sum(sum(file.lengths) for file in stream.parts.get("train", stream.parts.get("all", ())))
    if validation is not None and rows:
        validation = held_out(validation, rows) / rows
        if validation >= 1:
            raise DataError(f"validation leaves nothing to train on: {stream.name} has {rows} training examples.")
    missing = len(SPLITS) - len(counts)
    blocks = counts.get("train", next(iter(counts.values())))
    if blocks < missing + 1:
        raise DataError(
            f"{stream.name} has {blocks} block(s) for {missing + 1} splits. Write it in smaller row groups or more "
            "files, or read everything at once: data.stream off (stream=False in Python)."
        )
    return shares(Raw(stream.name, {split: Part(np.empty(n)) for split, n in counts.items()}), validation, seed)


def sampled(chain: Chain, numbers: Array, name: str, seed: int) -> Part:
    """The contents of some blocks, chosen at random.

    Raises:
        DataError: if they are not finite numbers of one shape.
    """
    parts: list[Part] = []
    for i in torch.randperm(len(numbers), generator=generator("sample", seed)).tolist():
        file, own, first = chain.place(int(numbers[i]))
        part = file.read(own)
        require_finite(require_numbers(part.x, file.name), file.name, first=first)
        parts.append(part)
        if sum(part.x.nbytes for part in parts) >= SAMPLE_BYTES:
            break
    return replace(together(parts, name), labels=None, groups=None)


def distinct(chain: Chain) -> dict[str, Array]:
    """The labels and the groups that occur, sorted, by role; they alone are read, block by block."""
    found: dict[str, Array] = {}
    for number in range(len(chain.lengths)):
        file, own, _ = chain.place(number)
        for role, values in file.named(own).items():
            found[role] = np.unique(np.concatenate([found[role], np.unique(values)]) if role in found else values)
    return found


def numbers_of(
    whole: Raw, found: Mapping[str, Array], spec: DataSpec | None
) -> tuple[dict[str, tuple[Array, Array]], dict[str, tuple[str, ...]]]:
    """The labels and the groups that occur with the number of each, and the names of classes and groups.

    Args:
        whole: The source without its parts.
        found: What occurs, sorted, by role.
        spec: What a model knows of its data.

    Raises:
        DataError: if labels are neither whole numbers nor names; groups are left out then, with a warning.
    """
    numbered: dict[str, tuple[Array, Array]] = {}
    names: dict[str, tuple[str, ...]] = {"classes": (), "groups": spec.groups if spec else ()}
    for role, values in found.items():
        part = Part(np.zeros((len(values), 1)))
        own = replace(whole, parts={"all": replace(part, labels=values, groups=values)})
        if role == "labels":
            numbers, names["classes"] = class_numbers(own, spec.classes if spec else ())
        else:
            numbers, names["groups"] = group_numbers(own, names["groups"])
        numbered[role] = values, numbers
    return numbered, names


def decided(
    raw: Raw,
    spec: DataSpec | None,
    size: tuple[int, int] | None,
    names: Mapping[str, tuple[str, ...]],
    numbered: Mapping[str, tuple[Array, Array]],
) -> Reading:
    """Decides from a sample how all blocks are read.

    Args:
        raw: The source, with the sample as its only part.
        spec: What a model knows of its data.
        size: Height and width of pictures.
        names: Names of the ``classes`` and the ``groups``.
        numbered: The labels and the groups that occur, and their numbers, by role.

    Raises:
        DataError: if the sample is bad, or does not fit the model.
    """
    raw = raw if spec is None else hinted(raw, spec)
    sample, axes, values = raw.parts["all"].x, raw.declared.axes, raw.declared.values
    ready, settled = prepared(raw, spec, size)
    if spec is None:
        spec = described(settled, settled.scale or REAL, ready, np.arange(len(ready)))
    if size is None:
        in_place = shaped(in_order(sample, raw, spec), spec.shape, raw.name, axes)
    else:
        in_place = arrange(sample, raw.name, axes)
    if spec.kind in ("real", "counts") and size is None:
        found = COUNTS if spec.kind == "counts" else REAL
    else:
        found = raw.scale or measure(in_place, in_place.ndim > 2 or spec.kind != "real", values)[1]
    spec = replace(spec, name=raw.name, classes=names["classes"], groups=names["groups"])
    top = int(sample.max()) or 1 if found.kind == "binary" else 1
    shape = tuple(in_place.shape[1:])
    return Reading(raw, spec, found, top, tuple(sample.shape[1:]), shape, size, numbered)
