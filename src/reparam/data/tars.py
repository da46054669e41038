"""Blocks of .tar archives of pictures in WebDataset's layout: ``key.jpg`` and, where there are labels, ``key.cls``."""

from __future__ import annotations

import io
import tarfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from reparam.data.blocks import cut
from reparam.data.folders import MOST_FOLDERS, ends_with_zeros, header_class, linked
from reparam.data.images import decode, stack
from reparam.data.limits import BROKEN, LONG_TEXT, read_exactly, require_regular, some, truncated
from reparam.data.placed import is_picture
from reparam.data.raw import Array, Part, Wanted
from reparam.errors import DataError

LABEL = ".cls"
MOST_LABEL_BYTES = 1 << 10
LOOK_AT = 10


@dataclass(frozen=True)
class Member:
    """A picture or a label in an archive: its key, where its bytes lie, and what the label says."""

    key: str
    offset: int
    size: int
    label: str | None = None


class TarBlocks:
    """Runs of the pictures of a .tar archive, in the order in which they are stored.

    The headers are read once; of each picture its place, its size and the number of its label are kept. A label is the
    content of ``key.cls``, else the folder of the picture.

    Args:
        path: The archive, not compressed.
        wanted: How pictures should come out.

    Raises:
        DataError: if it is damaged or compressed, holds no pictures, links, or members in odd places.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        require_regular(path)
        self.name, self.path, self.wanted = str(path), path, wanted
        if not ends_with_zeros(path, 2 * tarfile.BLOCKSIZE):
            raise truncated(self.name, "there is no end of the archive")  # which tarfile forgives
        offsets, sizes, numbers = array("q"), array("q"), array("q")
        known: dict[str | None, int] = {}
        for member in indexed(path):
            offsets.append(member.offset)
            sizes.append(member.size)
            numbers.append(known.setdefault(member.label, len(known)))
            if None in known and len(known) > 1:
                raise DataError(
                    f"{path}: some pictures have labels, and some up to {member.key!r} none. Add {LABEL} files."
                )
        if not known:
            raise DataError(f"{path} holds no pictures. Pack files such as 000001.jpg, with 000001.cls for labels.")
        self.offsets, self.sizes, self.numbers = (np.array(values) for values in (offsets, sizes, numbers))
        self.texts = None if None in known else np.array(list(known))
        self.lengths = cut(len(offsets), self._pictures(0, 1).nbytes)

    def read(self, number: int) -> Part:
        """The pictures of a block."""
        first = number * self.lengths[0]
        return Part(self._pictures(first, first + self.lengths[number]), self.named(number).get("labels"))

    def named(self, number: int) -> dict[str, Array]:
        """The labels of a block alone, if there are some."""
        first = number * self.lengths[0]
        numbers = self.numbers[first : first + self.lengths[number]]
        return {} if self.texts is None else {"labels": self.texts[numbers]}

    def _pictures(self, first: int, stop: int) -> Array:
        places = list(zip(self.offsets[first:stop].tolist(), self.sizes[first:stop].tolist(), strict=True))

        def pictures(stream: IO[bytes]) -> Iterator[tuple[str, Array]]:
            for offset, size in places:
                stream.seek(offset)
                name = f"{self.name}, at byte {offset}"
                yield name, decode(name, io.BytesIO(read_exactly(stream, size, self.name)), self.wanted)

        try:
            with self.path.open("rb") as stream:
                return stack(pictures(stream), stop - first, sum(size for _, size in places))
        except OSError as error:
            raise truncated(self.name, error) from None


def indexed(path: Path) -> Iterator[Member]:
    """The pictures of an archive, in order, each with its label.

    Raises:
        DataError: if it is damaged, or a member is not what a set of pictures needs.
    """
    name, stored = str(path), path.stat().st_size
    try:
        with path.open("rb") as stream:
            if stream.read(2) == b"\x1f\x8b":
                raise DataError(f"{path} is compressed, so it cannot be read in blocks. Unpack it to a plain .tar.")
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:", tarinfo=header_class(stored, name)) as archive:
                yield from paired(members(archive, name, stored), name)
                stream.seek(archive.offset)
                if any(stream.read(tarfile.BLOCKSIZE)):  # a garbled header, which tarfile takes for the end
                    raise truncated(name, f"there is no header at byte {archive.offset}")
    except (tarfile.TarError, ValueError, OverflowError, *BROKEN) as error:
        if isinstance(error, DataError):
            raise
        raise truncated(name, error) from None


def members(archive: tarfile.TarFile, name: str, stored: int) -> Iterator[Member]:
    """The pictures and the labels in an archive; of a label, ``label`` is set.

    Raises:
        DataError: if there is a link, a member in an odd place, or one that is longer than the archive.
    """
    while (item := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined] # tarfile would keep them all
        place = PurePosixPath(item.name)
        if place.is_absolute() or ".." in place.parts or len(place.parts) > MOST_FOLDERS:
            raise DataError(
                f"{name} holds a member in an odd place ({some([place])}). Pack it with plain names, few folders deep."
            )
        if item.issym() or item.islnk():
            raise linked(name)
        if not item.isfile() or item.issparse():
            continue
        if item.offset_data + item.size > stored:
            raise truncated(name, f"{some([place])} is cut off")
        key, place_of = str(place.with_suffix("")), (item.offset_data, item.size)
        if place.suffix == LABEL:
            yield Member(key, *place_of, label_text(archive, item, name))
        elif is_picture(place):
            yield Member(key, *place_of)


def label_text(archive: tarfile.TarFile, item: tarfile.TarInfo, name: str) -> str:
    """The label in a member.

    Raises:
        DataError: if it is no short text.
    """
    stream = archive.extractfile(item)
    content = stream.read(MOST_LABEL_BYTES) if stream else b""
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > LONG_TEXT:
        raise DataError(f"{name}: {some([item.name])} holds no label; expected a number or a short name.")
    return text


def paired(found: Iterable[Member], name: str) -> Iterator[Member]:
    """The pictures, each with the label that has its key and lies beside it, else with its folder.

    Raises:
        DataError: if there is a label without a picture.
    """
    for key, group in groupby(found, key=lambda member: member.key):
        together = list(group)
        if all(member.label for member in together):
            raise DataError(
                f"{name}: there is no picture beside {some([key + LABEL])}. Pack each label beside its picture."
            )
        folder = str(PurePosixPath(key).parent)
        label = next((member.label for member in together if member.label), folder if folder != "." else None)
        yield from (replace(member, label=label) for member in together if member.label is None)


def has_labels(path: Path) -> bool:
    """True if one of the first members of an archive is a label."""
    try:
        own = header_class(path.stat().st_size, str(path))
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:", tarinfo=own) as archive:
            first = [archive.next() for _ in range(LOOK_AT)]
    except (tarfile.TarError, ValueError, OverflowError, *BROKEN):
        return False  # the reader of pictures says what is wrong
    return any(item is not None and item.name.endswith(LABEL) for item in first)
