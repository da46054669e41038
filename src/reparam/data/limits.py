"""Reading files that may lie about their size: nothing is allocated because a header says so."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reparam.errors import DataError
from reparam.weighing import memory_bytes

CHUNK = 1 << 20
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks the others without a limit
# Deflate cannot shrink by more than 1032; honest data of more than this many bytes stay far below 200.
MODEST_BYTES = 32 << 20
MODEST_RATIO = 200
# A text takes many times its size while it becomes numbers, and is never packed as well as an array.
TEXT_SHARE = 4
# Each text in an array takes as much room as the longest one.
LONG_TEXT = 200
MOST_CHARACTERS = 1 << 22
MEMORY_BYTES = memory_bytes() // 2

# What ends a line or writes to a terminal; messages quote what files say.
CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")

BROKEN = (EOFError, zlib.error, OSError)
# What zipfile raises for damaged archives, knowingly or not.
BROKEN_ZIP = (*BROKEN, zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, struct.error)


@runtime_checkable
class Readable(Protocol):
    """What bytes can be read from: a file, a member of an archive, a buffer."""

    def read(self, size: int = -1, /) -> bytes: ...


def readable_bytes(count: int) -> str:
    """``2.5 GiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def most_from(stored: int) -> int:
    """The most bytes that we unpack from this many stored ones."""
    return max(MODEST_BYTES, MODEST_RATIO * stored)


def check_expansion(name: str, declared: int, stored: int) -> None:
    """Refuses a decompression bomb.

    Raises:
        DataError: if so few stored bytes claim to hold so many.
    """
    if declared > most_from(stored):
        raise bomb(name, declared, stored)


def bomb(name: str, size: int, stored: int) -> DataError:
    """The sentence about a decompression bomb."""
    return DataError(
        f"{name} claims {readable_bytes(size)} of data in {readable_bytes(stored)}: refused as a decompression bomb. "
        "If it is honest, unpack it first."
    )


def reason(error: BaseException) -> str:
    """What another library says is wrong, short enough for a sentence of ours."""
    said = CONTROL.sub("?", str(error).partition("\n")[0].partition(" <")[0].strip())
    return said[:80] or type(error).__name__


def truncated(name: str, why: str | BaseException) -> DataError:
    """The sentence about a file that ends early or is garbled."""
    why = reason(why) if isinstance(why, BaseException) else why
    return DataError(f"{name} is truncated or damaged ({why}). Fetch or write it again.")


def require_regular(path: Path) -> None:
    """Refuses what is there but is no file: a pipe may never answer, a device never end.

    Raises:
        DataError: for these.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no regular file. Give a file, or a folder of pictures.")


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """Opens a file for reading, through gzip where its name ends in .gz or .tgz.

    Raises:
        DataError: if it cannot be opened, or is damaged in what is read of it.
    """
    require_regular(path)
    try:
        with path.open("rb") as plain:
            packed = path.suffix in (".gz", ".tgz")
            yield gzip.GzipFile(fileobj=plain) if packed else plain
    except BROKEN as error:
        raise truncated(str(path), error) from None


def read_exactly(stream: Readable, count: int, name: str) -> bytearray:
    """Reads ``count`` bytes piece by piece, so that memory grows only with what is really there.

    Raises:
        DataError: if fewer are there.
    """
    found = bytearray()
    while len(found) < count:
        piece = stream.read(min(CHUNK, count - len(found)))
        if not piece:
            raise truncated(name, f"{count} bytes were announced, {len(found)} are there")
        found += piece
    return found


def read_all(path: Path, share: int = 1) -> bytes:
    """Everything in a file, unpacked if it is gzip.

    Args:
        path: The file.
        share: The part of what may be unpacked from a file of this size that is allowed here: one in so many.

    Raises:
        DataError: if it is damaged, or unpacks to unreasonably much.
    """
    stored = path.stat().st_size
    most = max(stored, most_from(stored) // share)
    found = bytearray()
    with opened(path) as stream:
        while piece := stream.read(CHUNK):
            found += piece
            if len(found) > most:
                raise bomb(str(path), len(found), stored)
    return bytes(found)


def some(names: Iterable[object], most: int = 8) -> str:
    """The first names of many, quoted and cut, for a sentence: ``'a', 'b', ...``."""
    found = list(names)
    shown = [repr(name if len(str(name)) <= LONG_TEXT else str(name)[:LONG_TEXT] + "...") for name in found[:most]]
    return ", ".join([*shown, *(["..."] if len(found) > most else [])])


@contextmanager
def opened_member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> Iterator[Readable]:
    """A member of a .zip file, for reading; it gives no more than it announced, and unpacks piece by piece.

    Raises:
        DataError: if it announces unreasonably much, or is packed in a way that cannot be limited.
    """
    check_expansion(name, item.file_size, item.compress_size)
    if item.compress_type not in PACKINGS:
        raise DataError(f"{name} is packed in a way that is not read. Pack it by deflate, as zip and numpy do.")
    with archive.open(item) as stream:
        yield Capped(stream, item.file_size, name)


def reshaped(values: NDArray[Any], shape: Sequence[int], name: str, order: Literal["C", "F"] = "C") -> NDArray[Any]:
    """The values in an announced shape.

    Raises:
        DataError: if it has more axes, or longer ones, than numpy can hold; an empty array can announce anything.
    """
    try:
        return values.reshape(shape, order=order)
    except (ValueError, OverflowError, TypeError) as error:
        raise truncated(name, error) from None


def require_name(length: int, count: int, where: str) -> None:
    """Refuses a long text among many.

    Raises:
        DataError: if an array of so many, each as long as this one, would take far more room than they do.
    """
    if length > LONG_TEXT and length * count > MOST_CHARACTERS:
        raise DataError(f"{where} has a label of {length:,} characters; expected short names.")


def text_array(texts: Sequence[str], where: str) -> NDArray[np.str_]:
    """Names as an array.

    Raises:
        DataError: if one of them is no name but a long text, or no text that can be written.
    """
    require_name(len(max(texts, key=len, default="")), len(texts), where)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where} has a label that is no text ({reason(error)}). Write it again in UTF-8.") from None
    return np.array(texts)


class Capped(io.RawIOBase):
    """A stream that refuses to give more than ``most`` bytes."""

    def __init__(self, stream: Readable, most: int, name: str) -> None:
        super().__init__()
        self.stream, self.left, self.name = stream, most, name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        # Piece by piece: asked for much, zipfile would unpack much before it looks how much a member may hold.
        piece = self.stream.read(CHUNK if size < 0 else min(size, CHUNK))
        self.left -= len(piece)
        if self.left < 0:
            raise DataError(f"{self.name} unpacks to far more than it stores: refused as a decompression bomb.")
        return piece


def require_room(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
    """Refuses what does not fit into half the memory.

    Raises:
        DataError: if it does not.
    """
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MEMORY_BYTES:
        raise DataError(f"{name} would take {readable_bytes(size)} in memory. Keep fewer columns, or fewer rows.")
