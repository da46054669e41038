"""Columns of lists in a table: vectors, or sequences of several lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reparam.data.limits import some
from reparam.data.ragged import TIME, padded
from reparam.data.raw import Array, Part, Wanted, require_numbers
from reparam.errors import DataError


def is_list(cell: Any) -> bool:
    """True for a cell that holds several values."""
    return isinstance(cell, list | tuple | np.ndarray)


def holds_lists(column: Sequence[Any]) -> bool:
    """True for a column whose first filled cell is a list."""
    return is_list(next((cell for cell in column if cell is not None), None))


def unnested(columns: Mapping[str, Sequence[Any]], lengths: Array | None, wanted: Wanted, path: str) -> Part:
    """Columns of lists as x: a list of numbers is a vector, or one number at each step; a list of lists is (T, C).

    One column of lists of numbers, all as long, is a column of vectors, unless lengths or axes say that there are
    steps. Several columns have as many steps in each row, and their numbers stand beside each other.

    Args:
        columns: Cells by the name of the column.
        lengths: How many steps of each row there are, where a column says so.
        wanted: How arrays should lie, (N, C, T) or (N, T, C).
        path: What messages call the table.

    Raises:
        DataError: if a cell is no list of numbers, is empty, or does not fit to the others.
    """
    cells = {name: [steps_of(cell, f"{path}: column {name!r}, row {i}") for i, cell in enumerate(column)]
             for name, column in columns.items()}  # fmt: skip
    rows = [beside(row, list(cells), f"{path}, row {i}") for i, row in enumerate(zip(*cells.values(), strict=True))]
    widths = sorted({row.shape[1] for row in rows})
    if len(widths) > 1:
        raise DataError(f"{path} has rows of {widths[0]} and of {widths[1]} numbers at each step. Make them alike.")
    own = np.array([len(row) for row in rows])
    flat = len(columns) == 1 and all(np.ndim(cell[0]) == 0 for cell in next(iter(columns.values())))
    if flat and lengths is None and wanted.axes not in TIME and len(set(own.tolist())) == 1:
        return Part(np.stack([row[:, 0] for row in rows]))
    if lengths is not None and lengths.dtype.kind in "biuf" and (lengths > own).any():
        row = int((lengths > own).argmax())
        raise DataError(f"{path}, row {row} has {own[row]} steps and the length {lengths[row]:g}. Mend one of them.")
    axes = wanted.axes if wanted.axes in TIME else "NCT"
    x, _ = padded(rows if axes == "NTC" else [row.T for row in rows], axes)
    return Part(x, lengths=own if lengths is None else lengths)


def steps_of(cell: Any, where: str) -> Array:
    """A cell as (T, C).

    Raises:
        DataError: if it is no list of numbers, or of lists of numbers that are as long.
    """
    if not is_list(cell) or not len(cell):
        raise DataError(f"{where} is {'an empty list' if is_list(cell) else some([cell])}; expected a list of numbers.")
    parts = [np.asarray(one) for one in cell] if is_list(cell[0]) else [np.asarray(cell)]
    if len({one.shape for one in parts}) > 1 or parts[0].ndim != 1 or not parts[0].size:
        raise DataError(
            f"{where} holds lists that differ in length or hold lists; expected (T, C), C numbers at a step."
        )
    found = np.stack(parts) if is_list(cell[0]) else parts[0][:, None]
    return require_numbers(found, where)


def beside(cells: Sequence[Array], names: Sequence[str], where: str) -> Array:
    """The cells of one row as one, (T, C).

    Raises:
        DataError: if they differ in the number of steps.
    """
    for name, cell in zip(names, cells, strict=True):
        if len(cell) != len(cells[0]):
            raise DataError(
                f"{where} has {len(cells[0])} steps in {names[0]!r} and {len(cell)} in {name!r}. Make them alike, or "
                "leave one out."
            )
    return np.concatenate(cells, axis=1) if len(cells) > 1 else cells[0]
