"""Folders and archives of pictures: sub-folders are classes, or train / validation / test with classes inside."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from reparam.data.images import ENDINGS, decode, stack
from reparam.data.limits import Capped, check_expansion, most_from, opened, truncated
from reparam.data.raw import Part, Raw, Wanted, whole
from reparam.data.roles import SPLIT_WORDS
from reparam.errors import DataError


@dataclass(frozen=True)
class Picture:
    """A file not yet decoded: where it lies below the root, and how to open it."""

    place: PurePosixPath
    open: Callable[[], IO[bytes]]

    @property
    def label(self) -> str:
        """The folders it lies in, ``greek/alpha``."""
        return str(self.place.parent)


def is_picture(name: str) -> bool:
    """True for the endings we read, not for hidden files."""
    place = PurePosixPath(name)
    hidden = any(step.startswith(".") or step == "__MACOSX" for step in place.parts)
    return place.suffix.lower() in ENDINGS and not hidden


def read_folder(path: Path, wanted: Wanted) -> Raw:
    """Pictures below a folder.

    Raises:
        DataError: if there are none.
    """
    pictures = []
    for folder, _, files in os.walk(path):
        for file in files:
            place = (Path(folder) / file).relative_to(path)
            if is_picture(place.as_posix()):
                pictures.append(Picture(PurePosixPath(place.as_posix()), partial(opened_plain, path / place)))
    return arranged(str(path), path.resolve().name, pictures, wanted)


def opened_plain(path: Path) -> IO[bytes]:
    """Opens a picture for reading."""
    return path.open("rb")


def read_picture(path: Path, wanted: Wanted) -> Raw:
    """A single picture: one example."""
    with opened(path) as stream:
        return whole(path.stem, decode(str(path), stream, wanted)[None])


def read_zip(path: Path, wanted: Wanted) -> Raw:
    """Pictures in a .zip file, without unpacking it to disk."""
    return arranged(str(path), path.stem, zip_pictures(path), wanted)


def zip_pictures(path: Path) -> list[Picture]:
    """The pictures in a .zip file, not yet decoded.

    Raises:
        DataError: if it is damaged, encrypted, or unpacks to unreasonably much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            items = [item for item in archive.infolist() if is_picture(item.filename)]
            check_expansion(str(path), sum(item.file_size for item in items), path.stat().st_size)
            return [held(item.filename, archive.read(item)) for item in items]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise truncated(str(path), error) from None


def read_tar(path: Path, wanted: Wanted) -> Raw:
    """Pictures in a .tar, .tar.gz or .tgz file, without unpacking it to disk."""
    pictures = []
    most = most_from(path.stat().st_size)
    if path.suffix == ".tar" and not ends_with_zeros(path, 2 * tarfile.BLOCKSIZE):
        raise truncated(str(path), "there is no end of the archive")  # which tarfile forgives, and gzip notices
    try:
        with opened(path) as stream:
            capped = Capped(stream, most, str(path))
            with tarfile.open(fileobj=capped, mode="r|") as archive:
                for item in archive:
                    content = archive.extractfile(item) if is_picture(item.name) and not item.issparse() else None
                    if content is not None:
                        pictures.append(held(item.name, content.read()))
    except (tarfile.TarError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise truncated(str(path), error) from None
    return arranged(str(path), path.name.split(".")[0], pictures, wanted)


def ends_with_zeros(path: Path, count: int) -> bool:
    """True if the last bytes of a file are zeros."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - count))
        return stream.read() == bytes(count)


def held(name: str, content: bytes) -> Picture:
    """A picture whose file is in memory already."""
    return Picture(PurePosixPath(name), partial(io.BytesIO, content))


def arranged(path: str, name: str, pictures: Sequence[Picture], wanted: Wanted) -> Raw:
    """Decodes pictures and sorts them into splits and classes.

    Raises:
        DataError: if there are none.
    """
    if not pictures:
        raise DataError(f"{path} holds no pictures ({', '.join(ENDINGS)}). Put pictures there, or name another source.")
    pictures = unwrapped(sorted(pictures, key=lambda picture: picture.place.parts))
    by_split: dict[str, list[Picture]] = {}
    for picture in pictures:
        split = SPLIT_WORDS.get(picture.place.parts[0].lower(), "") if len(picture.place.parts) > 1 else ""
        by_split.setdefault(split, []).append(picture)
    if "" in by_split or "train" not in by_split:
        by_split = {"all": list(pictures)}
    else:
        by_split = {split: [below(picture) for picture in members] for split, members in by_split.items()}
    return Raw(name, alike({split: part(path, members, wanted) for split, members in by_split.items()}))


def below(picture: Picture) -> Picture:
    """The same picture, seen from inside the first folder of its place."""
    return replace(picture, place=PurePosixPath(*picture.place.parts[1:]))


def unwrapped(pictures: Sequence[Picture]) -> list[Picture]:
    """Leaves out an outer folder that all pictures share, as long as there are folders inside it."""
    found = list(pictures)
    while all(len(picture.place.parts) > 2 for picture in found) and len({p.place.parts[0] for p in found}) == 1:
        found = [below(picture) for picture in found]
    return found


def part(path: str, pictures: Sequence[Picture], wanted: Wanted) -> Part:
    """Decodes the pictures of one split; labels are the folders they lie in.

    Raises:
        DataError: if some lie in class folders and some beside them.
    """
    labels = [picture.label for picture in pictures]
    if "." in labels and len(set(labels)) > 1:
        beside = pictures[labels.index(".")].place
        raise DataError(
            f"{path} holds pictures in class folders and also beside them ({beside}). Move them into a class, or away."
        )

    def decoded(picture: Picture) -> tuple[str, np.ndarray]:
        with picture.open() as stream:
            name = f"{path}/{picture.place}"
            return name, decode(name, stream, wanted)

    x = stack(map(decoded, pictures), len(pictures))
    return Part(x, None if "." in labels else np.array(labels))


def alike(parts: dict[str, Part]) -> dict[str, Part]:
    """Gives every part colour if one has it."""
    if len({part.x.ndim for part in parts.values()}) == 1:
        return parts
    return {
        split: part if part.x.ndim == 4 else replace(part, x=np.repeat(part.x[..., None], 3, -1))
        for split, part in parts.items()
    }
