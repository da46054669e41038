"""Folders and archives of pictures: sub-folders are classes, or train / validation / test with classes inside."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from reparam.data.images import ENDINGS, decode
from reparam.data.limits import (
    BROKEN_ZIP,
    CONTROL,
    LONG_TEXT,
    Capped,
    check_expansion,
    most_from,
    opened,
    opened_member,
    read_exactly,
    require_regular,
    some,
    text_array,
    truncated,
)
from reparam.data.observed import TABLE, first_of, is_read, observed_part
from reparam.data.placed import Picture, below, stacked
from reparam.data.raw import Part, Raw, Wanted, whole
from reparam.data.roles import SPLIT_WORDS
from reparam.errors import DataError

MOST_FOLDERS = 64
MODEST_MEMBERS = 1000
MODEST_EXTENSIONS = 64 << 10
LONGEST_EXTENSION = 8 << 10
EXTENDING = (b"x", b"X", b"g", b"L", b"K")


def read_folder(path: Path, wanted: Wanted) -> Raw:
    """Pictures below a folder.

    Raises:
        DataError: if there are none.
    """
    pictures, stored, left = [], 0, [path]
    while left:  # os.walk calls itself for each level, and ends at the thousandth
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    place = PurePosixPath(Path(entry.path).relative_to(path).as_posix())
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                    elif is_read(place, wanted) and not entry.is_dir():
                        pictures.append(Picture(place, partial(opened_plain, Path(entry.path))))
                        stored += entry.stat().st_size
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    return arranged(str(path), path.resolve().name, pictures, wanted, stored)


def opened_plain(path: Path) -> IO[bytes]:
    """Opens a picture for reading."""
    require_regular(path)
    return path.open("rb")


def read_picture(path: Path, wanted: Wanted) -> Raw:
    """A single picture: one example."""
    with opened(path) as stream:
        return whole(path.stem, decode(str(path), stream, wanted)[None])


def read_zip(path: Path, wanted: Wanted) -> Raw:
    """Pictures in a .zip file, and what is told beside them, without unpacking it to disk."""
    return arranged(str(path), path.stem, zip_pictures(path, wanted), wanted, path.stat().st_size)


def zip_pictures(path: Path, wanted: Wanted) -> list[Picture]:
    """The pictures in a .zip file, not yet decoded, and the arrays and tables of observations that are asked for.

    Raises:
        DataError: if it is damaged, encrypted, or unpacks to unreasonably much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            items = [item for item in archive.infolist() if is_read(PurePosixPath(item.filename), wanted)]
            if any(stat.S_ISLNK(item.external_attr >> 16) for item in items):
                raise linked(str(path))
            check_expansion(str(path), sum(item.file_size for item in items), path.stat().st_size)
            return [held(item.filename, unpacked(archive, item, str(path))) for item in items]
    except BROKEN_ZIP as error:
        if isinstance(error, DataError):
            raise
        raise truncated(str(path), error) from None


def unpacked(archive: zipfile.ZipFile, item: zipfile.ZipInfo, path: str) -> bytes:
    """The content of a file in a .zip file."""
    with opened_member(archive, item, f"{path}/{item.filename[:LONG_TEXT]}") as stream:
        content = read_exactly(stream, item.file_size, path)
        stream.read(1)  # reaching the end is what makes zipfile compare the checksum
        return bytes(content)


def read_tar(path: Path, wanted: Wanted) -> Raw:
    """Pictures in a .tar, .tar.gz or .tgz file, and what is told beside them, without unpacking it to disk."""
    return arranged(str(path), path.name.split(".")[0], tar_pictures(path, wanted), wanted, path.stat().st_size)


def tar_pictures(path: Path, wanted: Wanted) -> list[Picture]:
    """The pictures in a .tar, .tar.gz or .tgz file, not yet decoded, and arrays and tables of observations likewise.

    Raises:
        DataError: if it is damaged, holds links, or unpacks to unreasonably much.
    """
    pictures = []
    stored = path.stat().st_size
    if path.suffix == ".tar" and not ends_with_zeros(path, 2 * tarfile.BLOCKSIZE):
        raise truncated(str(path), "there is no end of the archive")  # which tarfile forgives, and gzip notices
    try:
        with opened(path) as stream:
            capped = Capped(stream, most_from(stored), str(path))
            with tarfile.open(fileobj=capped, mode="r|", tarinfo=header_class(stored, str(path))) as archive:
                for item in archive:
                    place = PurePosixPath(item.name)
                    if not is_read(place, wanted) or item.issparse():
                        continue
                    if item.issym() or item.islnk():
                        raise linked(str(path))
                    content = archive.extractfile(item)
                    if content is not None:
                        pictures.append(held(item.name, content.read()))
    except (tarfile.TarError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise truncated(str(path), error) from None
    return pictures


def header_class(stored: int, path: str) -> type[tarfile.TarInfo]:
    """What tarfile reads the headers of one archive with: it stops where they are more than files could need.

    Older versions of Python search long extensions of a header in quadratic time.

    Args:
        stored: Bytes of the archive.
        path: What messages call it.
    """
    members, extensions = MODEST_MEMBERS + stored // 16, MODEST_EXTENSIONS + stored

    class Header(tarfile.TarInfo):
        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            nonlocal members, extensions
            members -= 1
            if self.type in EXTENDING:
                extensions -= self.size
            if members < 0 or extensions < 0 or (self.type in EXTENDING and self.size > LONGEST_EXTENSION):
                raise DataError(f"{path} has headers longer than its files could need: refused as a bomb.")
            return super()._proc_member(archive)  # type: ignore[misc]

    return Header


def linked(path: str) -> DataError:
    """The sentence about links in an archive, which are not followed."""
    return DataError(f"{path} holds a link in place of a file, which is not followed. Pack the files themselves.")


def ends_with_zeros(path: Path, count: int) -> bool:
    """True if the last bytes of a file are zeros."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - count))
        return stream.read() == bytes(count)


def held(name: str, content: bytes) -> Picture:
    """A picture whose file is in memory already."""
    return Picture(PurePosixPath(name), partial(io.BytesIO, content))


def is_odd(place: PurePosixPath) -> bool:
    """True for a name that leads out of an archive, is very deep, or would do things to a terminal."""
    out = place.is_absolute() or ".." in place.parts
    return out or len(place.parts) > MOST_FOLDERS or CONTROL.search(str(place)) is not None


def arranged(path: str, name: str, pictures: Sequence[Picture], wanted: Wanted, stored: int) -> Raw:
    """Decodes pictures and sorts them into splits and classes.

    Args:
        path: Where they come from, for messages.
        name: What the source is called.
        pictures: Not yet decoded.
        wanted: How they should come out.
        stored: Bytes of the files or the archive they lie in.

    Raises:
        DataError: if there are none, or one has a name that no picture needs.
    """
    if not pictures:
        raise DataError(f"{path} holds no pictures ({', '.join(ENDINGS)}). Put pictures there, or name another source.")
    for picture in pictures:
        if is_odd(picture.place):
            raise DataError(
                f"{path} holds a picture in an odd place ({some([picture.place])}). "
                "Pack it with plain names, few folders deep."
            )
    pictures = unwrapped(sorted(pictures, key=lambda picture: picture.place.parts))
    by_split: dict[str, list[Picture]] = {}
    for picture in pictures:
        split = SPLIT_WORDS.get(picture.place.parts[0].lower(), "") if len(picture.place.parts) > 1 else ""
        by_split.setdefault(split, []).append(picture)
    if "" in by_split and "train" in by_split and len(by_split) > 2:
        stray = by_split[""][0]
        raise DataError(
            f"{path} has folders of splits and, beside them, {some([str(stray.place)])}. Move that away, or name the "
            "folder of one split alone."
        )
    if "" in by_split or "train" not in by_split:
        by_split = {"all": list(pictures)}
    else:
        by_split = {split: [below(picture) for picture in members] for split, members in by_split.items()}
    if wanted.observations:
        found = {split: observed_part(path, members, wanted, stored) for split, members in by_split.items()}
        return Raw(name, found, called=first_of(wanted))
    return Raw(name, alike({split: part(path, members, wanted, stored) for split, members in by_split.items()}))


def unwrapped(pictures: Sequence[Picture]) -> list[Picture]:
    """Leaves out an outer folder that all pictures share, as long as they lie in folders inside it."""
    found, least = list(pictures), {TABLE: 1}  # a table lies beside the folders
    while (
        all(len(picture.place.parts) > least.get(picture.place.suffix, 2) for picture in found)
        and len({picture.place.parts[0] for picture in found}) == 1
    ):
        found = [below(picture) for picture in found]
    return found


def part(path: str, pictures: Sequence[Picture], wanted: Wanted, stored: int) -> Part:
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

    return Part(stacked(path, pictures, wanted, stored), None if "." in labels else text_array(labels, path))


def alike(parts: dict[str, Part]) -> dict[str, Part]:
    """Gives every part colour if one has it."""
    if len({part.x.ndim for part in parts.values()}) == 1:
        return parts
    return {
        split: part if part.x.ndim == 4 else replace(part, x=np.repeat(part.x[..., None], 3, -1))
        for split, part in parts.items()
    }
