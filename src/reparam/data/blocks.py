"""Data read block by block, a block being rows that are cheap to read together; .npy files, and files in a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from reparam.data.limits import require_regular, truncated
from reparam.data.numpy_files import read_header
from reparam.data.raw import FOUND_OUT, UNTOLD, Array, Declared, Part, Told, require_numbers
from reparam.errors import DataError

BLOCK_BYTES = 4 << 20
FEWEST_BLOCKS = 64


class Blocks(Protocol):
    """Rows in blocks, as they were found.

    Attributes:
        name: What messages call them.
    """

    name: str

    @property
    def lengths(self) -> Sequence[int]:
        """Rows of each block."""
        ...

    def read(self, number: int) -> Part:
        """The examples of a block, and their labels and groups if there are some."""
        ...

    def named(self, number: int) -> dict[str, Array]:
        """The ``labels`` and the ``groups`` of a block alone, as far as there are some, which is cheap."""
        ...


@dataclass(frozen=True)
class Stream:
    """A source that is read block by block; the fields are those of :class:`~reparam.data.raw.Raw`.

    Attributes:
        name: What messages call it.
        parts: The files of ``all``, or of any of ``train``, ``validation`` and ``test``.
        columns: Names of the columns of a table.
        classes: Names of the classes where labels are numbers from 0.
        declared: What the user says of it.
        told: Which columns of a table were told to hold labels and groups.
    """

    name: str
    parts: Mapping[str, Sequence[Blocks]]
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    declared: Declared = FOUND_OUT
    told: Told = UNTOLD


def cut(count: int, row_bytes: int) -> list[int]:
    """Lengths of the blocks of ``count`` rows: about 4 MiB each, but no fewer blocks than splits can be made of."""
    length = max(1, min(BLOCK_BYTES // max(1, row_bytes), math.ceil(count / FEWEST_BLOCKS)))
    whole, rest = divmod(count, length)
    return [length] * whole + ([rest] if rest else [])


class NpyBlocks:
    """The rows of an .npy file, read by plain reads at offsets: a mapped file would fill the resident memory.

    Args:
        path: The file.

    Raises:
        DataError: if it is damaged, shorter than it announces, stored by columns, or holds no numbers.
    """

    def __init__(self, path: Path) -> None:
        require_regular(path)
        self.name, self.path = str(path), path
        try:
            with path.open("rb") as stream:
                shape, fortran, self.dtype = read_header(stream, self.name)
                self.offset = stream.tell()
            stored = path.stat().st_size
        except OSError as error:
            raise truncated(self.name, error) from None
        if not shape:
            raise DataError(f"{path} is a single number; expected an array of examples.")
        if not math.prod(shape):
            raise DataError(f"{path} has shape {shape}: no examples, or examples without features.")
        if fortran and len(shape) > 1:
            raise DataError(
                f"{path} is stored column by column, so its rows cannot be read in blocks. "
                "Save it again with numpy.ascontiguousarray."
            )
        require_numbers(np.empty(0, self.dtype), self.name)
        announced = self.offset + math.prod(shape) * self.dtype.itemsize
        if stored < announced:
            raise truncated(self.name, f"{announced} bytes were announced, {stored} are there")
        self.row_shape = shape[1:] or (1,)
        self.row_bytes = math.prod(self.row_shape) * self.dtype.itemsize
        self.lengths = cut(shape[0], self.row_bytes)

    def read(self, number: int) -> Part:
        """The rows of a block.

        Raises:
            DataError: if the file has become shorter.
        """
        count = self.lengths[number] * math.prod(self.row_shape)
        offset = self.offset + number * self.lengths[0] * self.row_bytes
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=offset)
        except OSError as error:
            raise truncated(self.name, error) from None
        if len(values) < count:
            raise truncated(self.name, f"block {number} has {len(values)} of {count} values")
        native = values.astype(self.dtype.newbyteorder("="), copy=False)
        return Part(require_numbers(native.reshape(-1, *self.row_shape), self.name))

    def named(self, number: int) -> dict[str, Array]:
        """Nothing: an .npy file has no labels and no groups."""
        return {}


class Chain:
    """The blocks of several files, one after another."""

    def __init__(self, links: Sequence[Blocks]) -> None:
        self.links = links
        self.lengths = np.concatenate([link.lengths for link in links]).astype(np.int64)
        self.owner = np.repeat(np.arange(len(links)), [len(link.lengths) for link in links])
        self.first = np.searchsorted(self.owner, np.arange(len(links)))
        self.starts = np.cumsum(self.lengths) - self.lengths

    def place(self, number: int) -> tuple[Blocks, int, int]:
        """The file a block lies in, its number there, and the number of its first row there."""
        owner = int(self.owner[number])
        first = int(self.first[owner])
        return self.links[owner], number - first, int(self.starts[number] - self.starts[first])


def npy_shards(paths: Sequence[Path]) -> list[Blocks]:
    """The rows of .npy files of one shape and type.

    Raises:
        DataError: if two of them differ in the shape of a row or in their type.
    """
    links = [NpyBlocks(path) for path in paths]
    for link in links[1:]:
        for what, first, other in (
            ("rows of shape", links[0].row_shape, link.row_shape),
            ("values of type", links[0].dtype, link.dtype),
        ):
            if first != other:
                raise DataError(
                    f"{link.name} has {what} {other}, {links[0].name} has {what} {first}. Make all shards alike, or "
                    "put one sequence (D, T) in each file, with one D (data.axes NTC: T, D)."
                )
    return list(links)
