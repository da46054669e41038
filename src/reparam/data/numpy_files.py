"""Reads .npy and .npz without trusting them: no pickles, no allocation because a header says so."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from reparam.data.limits import (
    BROKEN_ZIP,
    Readable,
    check_expansion,
    opened,
    opened_member,
    read_exactly,
    reshaped,
    some,
    truncated,
)
from reparam.data.raw import Array, Raw, Wanted, whole
from reparam.data.roles import by_role, needed
from reparam.errors import DataError

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_header(stream: Readable, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type that an .npy stream announces.

    Raises:
        DataError: if the header is damaged, or announces Python objects.
    """
    try:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = HEADERS[version](stream)
    except Exception as error:  # numpy evaluates the header as a literal, which fails in many ways
        raise truncated(name, error) from None
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects (a pickle), which are never read. Save plain arrays of numbers or text."
        )
    if dtype.kind not in "biufUS" or not dtype.itemsize or any(extent < 0 for extent in shape):
        raise DataError(f"{name} holds {str(dtype)[:80]} of shape {str(shape)[:80]}; expected numbers or text.")
    return shape, fortran, dtype


def read_array(stream: Readable, name: str, stored: int) -> Array:
    """One array from an .npy stream that takes ``stored`` bytes on disk."""
    shape, fortran, dtype = read_header(stream, name)
    size = math.prod(shape) * dtype.itemsize
    check_expansion(name, size, stored)
    values = np.frombuffer(read_exactly(stream, size, name), dtype)
    # Half precision becomes single: numpy warns where it is compared with numbers beyond it.
    native = values.astype("f4" if dtype.str[1:] == "f2" else dtype.newbyteorder("="), copy=False)
    if dtype.kind == "U":
        require_text(values, name)
    return reshaped(native, shape, name, "F" if fortran else "C")


def require_text(values: Array, name: str) -> None:
    """Refuses texts with numbers in them that stand for no character.

    Raises:
        DataError: if there are some.
    """
    try:
        values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes().decode("utf-32-le")
    except ValueError as error:
        raise truncated(name, error) from None


def read_npy(path: Path, wanted: Wanted) -> Raw:
    """The array in an .npy file, as a source without labels."""
    with opened(path) as stream:
        return whole(path.stem, read_array(stream, str(path), path.stat().st_size))


def read_npz(path: Path, wanted: Wanted) -> Raw:
    """The arrays in an .npz file that are examples, labels and class names; others are not even unpacked."""
    return by_role(path.stem, npz_arrays(path, observations=wanted.observations), wanted.observations)


def npz_arrays(path: Path, keys: tuple[str, ...] = (), observations: tuple[str, ...] = ()) -> dict[str, Array]:
    """Arrays of an .npz file: those with these keys, or those whose names say what they are, and observations."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
            chosen = keys or needed(str(path), members, observations)
            return {key: read_member(archive, members, key, path) for key in chosen}
    except BROKEN_ZIP as error:
        if isinstance(error, DataError):
            raise
        raise truncated(str(path), error) from None


def read_member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], key: str, path: Path) -> Array:
    """One array of an .npz file."""
    if key not in members:
        raise DataError(f"{path} has no array {key!r}; it has {some(sorted(members))}.")
    item, name = members[key], f"{path}[{key!r}]"
    with opened_member(archive, item, name) as stream:
        array = read_array(stream, name, item.compress_size)
        stream.read(1)  # reaching the end is what makes zipfile compare the checksum
        return array
