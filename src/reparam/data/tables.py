"""Tables: .csv, .tsv, .parquet and data frames -> numeric columns and perhaps labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reparam.data.limits import read_all, truncated
from reparam.data.raw import Array, Part, Raw, Wanted
from reparam.errors import DataError, MissingExtraError

LABEL_COLUMNS = ("label", "class", "target", "y")
COUNTED_HEADER = 5


def is_number(cell: str) -> bool:
    """True if Python can read the cell as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Guesses whether the first row names the columns.

    It does if a column holds numbers below a first cell that is none, while no other first cell is a number; or if its
    cells count up from 0 or 1, as pandas writes them.
    """
    first, below = rows[0], rows[1:100]
    if len(first) > COUNTED_HEADER:
        counted = first[: len(first) - 1]  # the last one may name the labels
        if any(counted == [str(start + i) for i in range(len(counted))] for start in (0, 1)):
            return True
    if any(is_number(cell) for cell in first):
        return False
    return not below or any(is_number(cell) for row in below for cell in row)


def read_csv(path: Path, wanted: Wanted) -> Raw:
    """A table of text, separated by commas, semicolons or tabs, plain or in gzip.

    Raises:
        DataError: if it is empty or not text, or its rows differ in length.
    """
    try:
        content = read_all(path).decode("utf-8-sig")
        separator = max(",;\t", key=content.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a text table ({error}). Save it as CSV in UTF-8.") from None
    if not lines:
        raise DataError(f"{path} has no rows.")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise DataError(f"{path}: line {number} has {len(row)} cells, the first has {width}. Make all rows equal.")
    rows = [row for _, row in lines]
    names: tuple[str, ...] = ()
    if has_header(rows):
        names, rows = tuple(rows[0]), rows[1:]
    if not rows:
        raise DataError(f"{path} has a header but no rows.")
    return table(path.name.split(".")[0], str(path), names, [list(column) for column in zip(*rows, strict=True)])


def numbers(cells: Any, where: str) -> Array | None:
    """A column as numbers, or None if it is text.

    Raises:
        DataError: if most of it are numbers, naming the first cell that is none.
    """
    try:
        return np.asarray(cells, dtype=np.float64)
    except (ValueError, TypeError):
        bad = [row for row, cell in enumerate(cells) if not is_number(str(cell))]
    if any(str(cells[row]) for row in bad) and 2 * len(bad) > len(cells):
        return None
    found = repr(str(cells[bad[0]])) if str(cells[bad[0]]) else "an empty cell"
    raise DataError(f"{where}, row {bad[0]} (counted from 0) has {found}; expected a number. Fill it in or drop it.")


def table(name: str, path: str, names: tuple[str, ...], columns: Sequence[Any]) -> Raw:
    """Numeric columns become x (N, D); a column named as labels, or the only one of text, becomes the labels.

    A column named as labels that holds numbers which are not whole is an ordinary one.

    Raises:
        DataError: if another column is not numeric, or none is.
    """
    shown = names or tuple(str(i) for i in range(len(columns)))
    lowered = [column.lower() for column in names]
    label = next((lowered.index(known) for known in LABEL_COLUMNS if known in lowered), None)
    if label is not None and fractions(columns[label]):
        label = None
    values = {i: numbers(column, f"{path}: column {shown[i]!r}") for i, column in enumerate(columns) if i != label}
    texts = [i for i, column in values.items() if column is None]
    if label is None and len(texts) == 1:
        label = texts.pop()
    if texts:
        raise DataError(
            f"{path}: the columns {', '.join(repr(shown[i]) for i in texts)} are text; expected numbers, and at most "
            "one column of labels. Encode them as numbers or leave them out."
        )
    kept = [i for i, column in values.items() if column is not None and not counts_rows(names, i, column)]
    if not kept:
        raise DataError(f"{path} has no column of numbers.")
    x = np.stack([np.asarray(values[i]) for i in kept], axis=1)
    labels = None if label is None else np.array(columns[label])
    return Raw(name, {"all": Part(x, labels)}, columns=tuple(names[i] for i in kept) if names else ())


def fractions(cells: Any) -> bool:
    """True for a column of numbers that are not all whole."""
    try:
        values = np.asarray(cells, dtype=np.float64)
    except (ValueError, TypeError):
        return False
    return bool((values != np.floor(values)).any())


def counts_rows(names: tuple[str, ...], i: int, column: Array) -> bool:
    """True for the nameless first column in which pandas numbers the rows."""
    return bool(names) and i == 0 and not names[0] and bool((column == np.arange(len(column))).all())


def read_parquet(path: Path, wanted: Wanted) -> Raw:
    """A table in a .parquet file; needs pandas and pyarrow."""
    try:
        import pandas as pd
        import pyarrow as pa  # noqa: F401
    except ImportError:
        raise MissingExtraError("Reading .parquet", "pandas with pyarrow", "tabular") from None
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow raises errors of many kinds, none of them common
        raise truncated(str(path), error) from None
    return from_frame(frame, path.stem, str(path))


def from_frame(frame: Any, name: str = "frame", path: str = "The frame") -> Raw:
    """A table from a pandas data frame."""
    names = tuple(str(column) for column in frame.columns)
    if not len(frame):
        raise DataError(f"{path} has no rows.")
    columns = [frame.iloc[:, i] for i in range(len(names))]
    plain = [column.to_numpy() if column.dtype.kind in "biuf" else [str(v) for v in column] for column in columns]
    return table(name, path, names, plain)
