"""Files below a folder or in an archive, before they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO

from reparam.data.images import ENDINGS, decode, stack
from reparam.data.raw import Array, Wanted


@dataclass(frozen=True)
class Picture:
    """A file not yet decoded: where it lies below the root, and how to open it."""

    place: PurePosixPath
    open: Callable[[], IO[bytes]]

    @property
    def label(self) -> str:
        """The folders it lies in, ``greek/alpha``."""
        return str(self.place.parent)


def is_hidden(place: PurePosixPath) -> bool:
    """True for hidden files, and for what a Mac packs beside the files of an archive."""
    return any((step.startswith(".") and step != "..") or step == "__MACOSX" for step in place.parts)


def is_picture(place: PurePosixPath) -> bool:
    """True for the endings we read, not for hidden files."""
    return place.suffix.lower() in ENDINGS and not is_hidden(place)


def below(picture: Picture) -> Picture:
    """The same picture, seen from inside the first folder of its place."""
    return replace(picture, place=PurePosixPath(*picture.place.parts[1:]))


def stacked(path: str, pictures: Sequence[Picture], wanted: Wanted, stored: int) -> Array:
    """Decodes pictures into one array."""

    def decoded(picture: Picture) -> tuple[str, Array]:
        with picture.open() as stream:
            name = f"{path}/{picture.place}"
            return name, decode(name, stream, wanted)

    return stack(map(decoded, pictures), len(pictures), stored)
