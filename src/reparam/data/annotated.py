"""Reads .h5ad files: tables of cells and genes with notes on both, as AnnData writes them to HDF5."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reparam.data.declared import found_names
from reparam.data.limits import require_regular, require_room, text_array, truncated
from reparam.data.raw import COUNTS, Array, Part, Raw, Wanted, require_numbers
from reparam.data.tables import GROUP_COLUMNS, LABEL_COLUMNS, fractions
from reparam.data.values import countable
from reparam.errors import DataError, MissingExtraError

SPARSE = {"csr_matrix": 0, "csc_matrix": 1, "csr": 0, "csc": 1}  # the axis along which values lie side by side
BROKEN = (OSError, KeyError, AttributeError, TypeError, IndexError, ValueError, RuntimeError)
MEND = "Write it again: adata.write_h5ad(path)."


def read_annotated(path: Path, wanted: Wanted) -> Raw:
    """The matrix ``X`` (dense, or sparse by rows or columns), counts where it holds whole numbers from 0 on.

    The index of ``var`` names the columns, of which the user may choose some. Labels and groups are columns of ``obs``:
    those that are told, or else called as in other tables; groups are the labels where there are no others.

    Raises:
        MissingExtraError: if h5py is not installed.
        DataError: if the file is damaged, has no X, or no such column.
    """
    name = str(path)
    with opened(path) as file:
        if "X" not in file or "obs" not in file or "var" not in file:
            raise DataError(f"{name} is no AnnData file: expected X, obs and var in it. {MEND}")
        x = require_numbers(matrix(file["X"], f"{name}: X"), f"{name}: X")
        columns = tuple(index(file["var"], f"{name}: var"))
        if x.ndim != 2 or len(columns) != x.shape[1]:
            raise DataError(f"{name}: X has shape {x.shape} for {len(columns)} names in var; expected one each. {MEND}")
        beside = notes(file["obs"], f"{name}: obs", wanted)
    own = found_names(replace(wanted.told, label="", group=""), columns, f"{name}: var").values
    if own:
        x, columns = x[:, [columns.index(gene) for gene in own]], own
    if wrong := [len(one) for one in beside.values() if len(one) != len(x)]:
        raise DataError(f"{name}: obs has {wrong[0]} rows for {len(x)} rows of X; expected one each. {MEND}")
    scale = COUNTS if x.size and x.dtype.kind in "iufb" and countable(x) else None
    return Raw(path.name.split(".")[0], {"all": Part(x, **beside)}, columns, scale=scale, told=wanted.told)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file, for reading.

    Raises:
        MissingExtraError: if h5py is not installed.
        DataError: if it is damaged, or is read as what it is not.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise MissingExtraError(f"Reading {path.suffix}", "h5py", "cells") from None
    require_regular(path)
    try:
        with h5py.File(path) as file:
            yield file
    except DataError:
        raise
    except BROKEN as error:
        raise truncated(str(path), error) from None


def values(node: Any, name: str) -> Array:
    """All of a data set of HDF5 that lies in the file itself.

    Raises:
        DataError: if it is none, would take too much memory, or is kept elsewhere.
    """
    if not hasattr(node, "dtype"):
        raise DataError(f"{name} is no array. {MEND}")
    if isinstance(node, np.ndarray):  # a column of a table of an old file
        return node
    if node.external or node.is_virtual:
        raise DataError(f"{name} is kept in another file, which is not read. {MEND}")
    require_room(node.shape, node.dtype, name)
    return np.asarray(node.asstr(errors="replace")[:] if node.dtype.kind == "O" else node[()])


def matrix(node: Any, name: str) -> Array:
    """A dense matrix, of any encoding.

    Raises:
        DataError: if the encoding is unknown, or its parts do not fit each other.
    """
    if hasattr(node, "dtype"):
        return values(node, name)
    kind = text(node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", "")))
    if kind not in SPARSE:
        raise DataError(f"{name} is stored as {kind!r}; expected an array, csr_matrix or csc_matrix. {MEND}")
    shape = tuple(int(extent) for extent in node.attrs["shape" if "shape" in node.attrs else "h5sparse_shape"])
    data, places, ends = (values(node[part], f"{name}/{part}") for part in ("data", "indices", "indptr"))
    axis = SPARSE[kind]
    counts = np.diff(ends)
    fits = len(shape) == 2 and len(ends) == shape[axis] + 1 and len(data) == len(places) == ends[-1]
    if (
        not fits
        or ends[0] != 0
        or (counts < 0).any()
        or (places.size and not 0 <= places.min() <= places.max() < shape[1 - axis])
    ):
        raise truncated(name, "its indices do not fit its values")
    require_room(shape, data.dtype, name)
    found = np.zeros(shape, data.dtype)
    along = np.repeat(np.arange(shape[axis]), counts)
    np.add.at(found, (along, places) if axis == 0 else (places, along), data)  # what is there twice is summed
    return found


def text(value: Any) -> str:
    """An attribute as a text, however it is written."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def index(frame: Any, name: str) -> list[str]:
    """The names of the rows of ``obs`` or ``var``."""
    known = fields(frame)
    own = text(frame.attrs.get("_index", "index" if "index" in known else "_index"))
    if own not in known:
        raise DataError(f"{name} has no index of names. {MEND}")
    return [str(one) for one in column(frame, own, name).tolist()]


def fields(frame: Any) -> list[str]:
    """The names of the columns of ``obs`` or ``var``: a group, or a table in old files."""
    return list(frame.dtype.names or ()) if hasattr(frame, "dtype") else list(frame)


def column(frame: Any, own: str, name: str) -> Array:
    """A column of ``obs`` or ``var`` as numbers or names; an empty text where a name is missing.

    Raises:
        DataError: if its encoding is unknown.
    """
    node, where = frame[own], f"{name}/{own}"
    if not hasattr(node, "dtype"):
        if "codes" in node:
            return named_by(values(node["codes"], where), values(node["categories"], where), where)
        if "values" in node:
            found = values(node["values"], where)
            gaps = values(node["mask"], where) if "mask" in node else np.zeros(len(found), bool)
            return np.where(gaps, "", found.astype(str)) if gaps.any() else found
        raise DataError(f"{where} is stored in a way that is not read; expected numbers, texts or categories. {MEND}")
    categories = getattr(node, "attrs", {}).get("categories")
    if categories is not None:
        return named_by(values(node, where), values(frame[categories], where), where)
    found = values(node, where)
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8", "replace")
    return text_array(list(map(str, found)), where) if found.dtype.kind in "OU" else found


def named_by(codes: Array, categories: Array, where: str) -> Array:
    """The category of each row; an empty text for -1.

    Raises:
        DataError: if a row has another code.
    """
    if codes.dtype.kind not in "iu" or (codes.size and not -1 <= codes.min() <= codes.max() < len(categories)):
        raise truncated(where, "its codes do not fit its categories")
    return text_array([*map(str, categories.tolist()), ""], where)[codes.astype(np.int64)]


def notes(frame: Any, name: str, wanted: Wanted) -> dict[str, Any]:
    """The labels and the groups of the rows, as far as there are some.

    Raises:
        DataError: if a column that is told is not there.
    """
    known = [one for one in fields(frame) if one != "__categories"]
    told = found_names(replace(wanted.told, values=()), known, name)
    lowered = {one.lower(): one for one in known}
    label, group = (
        own
        or next((lowered[one] for one in so if one in lowered and not fractions(column(frame, lowered[one], name))), "")
        for own, so in ((told.label, LABEL_COLUMNS), (told.group, GROUP_COLUMNS))
    )
    found = {role: column(frame, own, name) for role, own in (("labels", label), ("groups", group)) if own}
    gaps = {role: bool((cells.astype(str) == "").any()) for role, cells in found.items()}
    return {"labels": found["groups"]} if gaps == {"groups": False} else found
