"""Reading files that may lie about their size: nothing is allocated because a header says so."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from reparam.errors import DataError

CHUNK = 1 << 20
# Deflate cannot shrink by more than 1032; honest data of more than this many bytes stay far below 200.
MODEST_BYTES = 256 << 20
MODEST_RATIO = 200
MEMORY_BYTES = 32 << 30

BROKEN = (EOFError, zlib.error, OSError)


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
        raise DataError(
            f"{name} claims {readable_bytes(declared)} of data in {readable_bytes(stored)}: refused as a decompression "
            "bomb. If it is honest, unpack it first."
        )


def reason(error: BaseException) -> str:
    """What another library says is wrong, short enough for a sentence of ours."""
    said = str(error).partition("\n")[0].partition(" <")[0].strip()
    return said[:80] or type(error).__name__


def truncated(name: str, why: str | BaseException) -> DataError:
    """The sentence about a file that ends early or is garbled."""
    why = reason(why) if isinstance(why, BaseException) else why
    return DataError(f"{name} is truncated or damaged ({why}). Fetch or write it again.")


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """Opens a file for reading, through gzip where its name ends in .gz or .tgz.

    Raises:
        DataError: if it cannot be opened, or is damaged in what is read of it.
    """
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


def read_all(path: Path) -> bytes:
    """Everything in a file, unpacked if it is gzip.

    Raises:
        DataError: if it is damaged, or unpacks to unreasonably much.
    """
    most = most_from(path.stat().st_size)
    found = bytearray()
    with opened(path) as stream:
        while piece := stream.read(CHUNK):
            found += piece
            check_expansion(str(path), len(found) if len(found) > most else 0, path.stat().st_size)
    return bytes(found)


class Capped(io.RawIOBase):
    """A stream that refuses to give more than ``most`` bytes."""

    def __init__(self, stream: Readable, most: int, name: str) -> None:
        super().__init__()
        self.stream, self.left, self.name = stream, most, name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self.stream.read(size)
        self.left -= len(piece)
        if self.left < 0:
            raise DataError(f"{self.name} unpacks to far more than it stores: refused as a decompression bomb.")
        return piece
