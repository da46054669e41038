"""Reads numbers, and lists of names, from MATLAB v5 files (what MATLAB saves with ``-v6`` and ``-v7``)."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from reparam.data.limits import LONG_TEXT, bomb, check_expansion, most_from, read_all, text_array, truncated
from reparam.data.raw import Array, Raw, Wanted
from reparam.data.roles import by_role
from reparam.errors import DataError

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXT = {1: "u1", 2: "u1", 3: "u2", 4: "u2", 6: "u4", 16: "u1", 17: "u2", 18: "u4"}
MOST_AXES = 32
MATRIX, COMPRESSED = 14, 15
CELL, CHAR = 1, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
COMPLEX_FLAG = 0x0800


def elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The tagged pieces that follow one another in ``data``: type and content."""
    at = 0
    while at + 8 <= len(data):
        first, size = struct.unpack_from(f"{order}II", data, at)
        if first >> 16:  # up to four bytes travel inside the tag
            kind, size, start, step = first & 0xFFFF, first >> 16, at + 4, 8
        else:
            kind, start = first, at + 8
            step = 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("an element is longer than the file")
        yield kind, data[start : start + size]
        at += step


def inflate(data: bytes, name: str, most: int) -> bytes:
    """Unpacks a compressed element.

    Raises:
        DataError: if it holds more than ``most`` bytes.
    """
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(data, max(1, most))
    if unpacker.unconsumed_tail:
        raise bomb(name, len(found) + 1, len(data))
    return found


def matrix(data: bytes, order: str, path: str, file_bytes: int) -> tuple[str, Array | None]:
    """Name and values of one matrix; None for what is neither numbers nor a list of names."""
    pieces = elements(data, order)
    (_, head), (_, extents), (_, name) = islice(pieces, 3)
    (flags,) = struct.unpack_from(f"{order}I", head)
    kind, named = flags & 0xFF, name[:LONG_TEXT].decode("latin-1")
    if kind == CELL:
        return named, names(pieces, order, path)
    stored, values = next(pieces, (0, b""))
    if kind not in CLASSES or flags & COMPLEX_FLAG or not stored:
        return named, None
    shape = tuple(int(extent) for extent in np.frombuffer(extents[: 4 * MOST_AXES], f"{order}i4"))
    array = np.frombuffer(values, f"{order}{NUMBERS[stored]}")
    if min(shape) < 0 or array.size != math.prod(shape):
        raise ValueError(f"matrix {named!r} announces another shape than its {array.size} values have")
    check_expansion(path, array.size * np.dtype(CLASSES[kind]).itemsize, file_bytes)
    return named, array.astype(CLASSES[kind]).reshape(shape, order="F")


def names(pieces: Iterator[tuple[int, bytes]], order: str, path: str) -> Array | None:
    """The strings in a cell; None if it holds anything else."""
    found = []
    for tag, piece in pieces:
        one = text(piece, order) if tag == MATRIX else None
        if one is None:
            return None
        found.append(one)
    return text_array(found, path) if found else None


def text(data: bytes, order: str) -> str | None:
    """The string in a character matrix, or None if it is another matrix."""
    pieces = list(islice(elements(data, order), 4))
    if len(pieces) < 4 or pieces[0][1][0 if order == "<" else 3] != CHAR:
        return None
    stored, values = pieces[3]
    return "".join(chr(code) for code in np.frombuffer(values, f"{order}{TEXT[stored]}"))


def mat_arrays(path: Path) -> dict[str, Array]:
    """Every numeric matrix, and every cell of names, in a .mat file; columns stay columns.

    Raises:
        DataError: if it is damaged, or in another version's format.
    """
    data = read_all(path)
    if data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in data[:32]:
        raise DataError(f"{path} is a MATLAB 7.3 file (HDF5), which is not read. Save it with -v7 instead.")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise truncated(str(path), "there is no MATLAB v5 header")
    found: dict[str, Array] = {}
    left = most_from(len(data))
    try:
        for kind, content in elements(data[128:], order):
            if kind == COMPRESSED:
                content = inflate(content, str(path), left)
                left -= len(content)
                kind, content = next(elements(content, order))
            if kind == MATRIX:
                name, values = matrix(content, order, str(path), len(data))
                found |= {} if values is None else {name: values}
    except DataError:
        raise
    except (ValueError, KeyError, IndexError, OverflowError, StopIteration, struct.error, zlib.error) as error:
        raise truncated(str(path), error) from None
    return found


def read_mat(path: Path, wanted: Wanted) -> Raw:
    """The matrices of a .mat file whose names say what they are."""
    return by_role(path.stem, mat_arrays(path), wanted.observations)
