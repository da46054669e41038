"""Tables: .csv, .tsv, .parquet and data frames -> numeric columns and perhaps labels."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from reparam.data.declared import found_names
from reparam.data.limits import TEXT_SHARE, check_expansion, read_all, reason, require_name, some, text_array, truncated
from reparam.data.nested import holds_lists, unnested
from reparam.data.raw import Array, Part, Raw, Wanted
from reparam.errors import DataError, MissingExtraError

LABEL_COLUMNS = ("label", "class", "target", "y")
GROUP_COLUMNS = ("group", "groups")
LENGTH_COLUMNS = ("length", "lengths")
COUNTED_HEADER = 5
DECIMAL_COMMA = re.compile(r"^([+-]?\d*),(\d+)$")
MOST_COLUMNS = 100_000
TRUTHS = ("true", "false")
MISSING = ("", "na", "n/a", "nan", "null", "none")
LONGEST_NAME = 1000
MEND_TEXTS = (
    "Say which one holds labels (--data.label_column NAME, label_column= in Python) or groups (group_column), encode "
    "the others as numbers, or name the columns to take (--data.columns A,B, columns= in Python)."
)

MEND_DATES = (
    "Leave it out by naming the columns to take (--data.columns A,B, columns= in Python), or write it as numbers, such "
    "as days."
)


def is_number(cell: str) -> bool:
    """True if Python can read the cell as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def is_value(cell: str) -> bool:
    """True for a number, and for True and False."""
    return is_number(cell) or cell.lower() in TRUTHS


def is_missing(cell: str) -> bool:
    """True for a cell that says that there is nothing."""
    return cell.lower() in MISSING


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Guesses whether the first row names the columns.

    It does if a column holds numbers (or True and False) below a first cell that is none, while no other first cell is
    a number; if one of its cells is what labels are called; or if they count up from 0 or 1, as pandas writes them.
    """
    first, below = rows[0], rows[1:100]
    if len(first) > COUNTED_HEADER:
        counted = first[: len(first) - 1]  # the last one may name the labels
        if any(counted == [str(start + i) for i in range(len(counted))] for start in (0, 1)):
            return True
    if any(is_value(cell) for cell in first):
        return False
    called = any(cell.lower() in LABEL_COLUMNS + GROUP_COLUMNS for cell in first)
    return called or not below or any(is_value(cell) for row in below for cell in row)


def read_csv(path: Path, wanted: Wanted) -> Raw:
    """A table of text, separated by commas, semicolons or tabs, plain or in gzip.

    Where semicolons separate, a comma may stand for the decimal point, as spreadsheets write it in much of Europe.

    Raises:
        DataError: if it is empty or not text, or its rows differ in length.
    """
    try:
        content = read_all(path, TEXT_SHARE).decode("utf-8-sig")
        separator = max(",;\t", key=content.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
        rows = equal_rows(reader, str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a text table ({reason(error)}). Save it as CSV in UTF-8.") from None
    if separator == ";":
        rows = [[DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in row] for row in rows]
    names: tuple[str, ...] = ()
    if has_header(rows):
        names, rows = tuple(rows[0]), rows[1:]
        if len(max(names, key=len)) > LONGEST_NAME:
            raise DataError(f"{path} has a column whose name is longer than {LONGEST_NAME:,} characters. Shorten it.")
    if not rows:
        raise DataError(f"{path} has a header but no rows.")
    columns = [list(column) for column in zip(*rows, strict=True)]
    return table(path.name.split(".")[0], str(path), names, columns, wanted)


def equal_rows(reader: Any, path: str) -> list[list[str]]:
    """The rows of a csv.reader, less the empty ones.

    Raises:
        DataError: if there are none, or they differ in length.
    """
    rows: list[list[str]] = []
    for row in reader:
        if len(row) > MOST_COLUMNS:
            raise DataError(f"{path} has {len(row):,} columns, expected at most {MOST_COLUMNS:,}. Save it as .npz.")
        if rows and row and len(row) != len(rows[0]):
            raise DataError(
                f"{path}: line {reader.line_num} has {len(row)} cells, the first has {len(rows[0])}. "
                "Make all rows equal."
            )
        if row:
            rows.append([cell.strip() for cell in row])
    if not rows:
        raise DataError(f"{path} has no rows.")
    return rows


def numbers(cells: Any, where: str, gaps: bool = False) -> Array | None:
    """A column as numbers, or None if it is text; with ``gaps`` empty cells, and words that say so, are NaN.

    Raises:
        DataError: if most of it are numbers or missing, naming the first cell that is no number.
    """
    if gaps and isinstance(cells, list) and any(cells):
        cells = ["nan" if is_missing(cell) else cell for cell in cells]
    try:
        return np.asarray(cells, dtype=np.float64)
    except (ValueError, TypeError):
        bad = [row for row, cell in enumerate(cells) if not is_number(str(cell))]
    if 2 * sum(not is_missing(str(cells[row])) for row in bad) > len(cells) - sum(map(is_missing, map(str, cells))):
        return None
    found = some([str(cells[bad[0]])]) if str(cells[bad[0]]) else "an empty cell"
    raise DataError(f"{where}, row {bad[0]} (counted from 0) has {found}; expected a number. Fill it in or drop it.")


def table(name: str, path: str, names: tuple[str, ...], columns: Sequence[Any], wanted: Wanted) -> Raw:
    """Numeric columns become x (N, D); a column named as labels, or the only one of text, becomes the labels.

    A column named as groups becomes the groups, or the labels where there are no others. Columns of True and False are
    numeric, as in data frames. A column named as labels or groups that holds numbers which are not whole is an ordinary
    one, of labels with a warning. Dates are refused. The user may tell the columns of values, labels and groups.
    Columns of lists become x instead, as :func:`~reparam.data.nested.unnested` has them, and one named as lengths says
    how long each is.

    Raises:
        DataError: if another column is not numeric, or none is, or one that is told is not there.
    """
    shown = names or tuple(str(i) for i in range(len(columns)))
    gaps = bool(wanted.observations)
    told = found_names(wanted.told, shown, path)
    order = [shown.index(name) for name in told.values] or range(len(columns))
    lists = [i for i in order if holds_lists(columns[i])]
    label, group = (
        shown.index(own)
        if own
        else place_of(known, names, columns, (*wanted.columns, *told.values, told.label, told.group))
        for own, known in ((told.label, LABEL_COLUMNS), (told.group, GROUP_COLUMNS))
    )
    if nested := [name for name in told.names.values() if shown.index(name) in lists]:
        raise DataError(f"{path}: column {some(nested)} holds lists; expected a name or a whole number in each row.")
    taken = {label, group, *lists}
    values = {i: as_values(columns[i], f"{path}: column {some([shown[i]])}", gaps) for i in order if i not in taken}
    texts = [i for i, column in values.items() if column is None]
    if dated := [shown[i] for i in texts if holds_dates(columns[i])]:
        raise DataError(f"{path}: the column {some(dated)} holds dates; expected numbers. {MEND_DATES}")
    if label is None and len(texts) == 1 and not told.values:
        label = texts.pop()
    if label is None:
        label, group = group, None
    if texts:
        raise DataError(
            f"{path}: the columns {some(shown[i] for i in texts)} are text; expected numbers, and at most "
            f"one column of labels. {MEND_TEXTS}"
        )
    kept = {
        i: column
        for i, column in values.items()
        if column is not None and (told.values or not counts_rows(names, i, column))
    }
    labels, groups = (None if place is None else label_array(columns[place], path) for place in (label, group))
    if lists:
        part = of_lists(path, {shown[i]: columns[i] for i in lists}, {shown[i]: x for i, x in kept.items()}, wanted)
        return Raw(name, {"all": replace(part, labels=labels, groups=groups)}, told=wanted.told)
    if not kept:
        raise DataError(f"{path} has no column of numbers.")
    lengthy = [shown[i] for i in kept if shown[i].lower() in LENGTH_COLUMNS]
    if lengthy and not gaps:
        warnings.warn(
            f"{path}: the column {some(lengthy)} is taken as a feature: lengths are told beside sequences, which "
            "are columns of lists.",
            stacklevel=3,
        )
    if not (gaps or told.label):
        broken = [shown[i] for i, column in kept.items() if fractions(column)]
        warn_of_fractions(path, broken, (*wanted.columns, *told.values))
    x = np.stack([np.asarray(column) for column in kept.values()], axis=1)
    part = Part(x, labels, groups=groups)
    found = tuple(shown[i] for i in kept) if names or told.values else ()
    return Raw(name, {"all": part}, columns=found, told=wanted.told)


def place_of(known: Sequence[str], names: Sequence[str], columns: Sequence[Any], taken: Sequence[str]) -> int | None:
    """The column of one of these names, if it holds names or whole numbers and is not taken for something else."""
    lowered = ["" if column in taken else column.lower() for column in names]
    place = next((lowered.index(name) for name in known if name in lowered), None)
    return None if place is None or holds_lists(columns[place]) or fractions(columns[place]) else place


def of_lists(path: str, lists: Mapping[str, Any], plain: Mapping[str, Array], wanted: Wanted) -> Part:
    """Columns of lists, beside which there may be one of lengths.

    Raises:
        DataError: if there are other columns.
    """
    others = [column for column in plain if column.lower() not in LENGTH_COLUMNS]
    if others or len(plain) > 1:
        raise DataError(
            f"{path}: the columns {some(others or plain)} stand beside columns of lists; expected labels, groups and "
            "one column of lengths there. Leave them out."
        )
    return unnested(lists, next(iter(plain.values()), None), wanted, path)


def as_values(cells: Any, where: str, gaps: bool) -> Array | None:
    """A column of numbers, or of True and False; None where there is something else.

    Raises:
        DataError: if a cell is no number among numbers, or is empty and there must be no gaps.
    """
    found = numbers(cells, where, gaps)
    return truths(cells, where, gaps) if found is None else found


def truths(cells: Any, where: str, gaps: bool) -> Array | None:
    """A column of True and False as 1 and 0, as data frames write them; None where there is something else.

    Raises:
        DataError: if a cell is empty, and there must be no gaps.
    """
    words = [str(cell).lower() for cell in cells]
    if not {*words} - {*MISSING} or not {*words} <= {*TRUTHS, *MISSING}:
        return None
    values = {"true": "1", "false": "0"}
    return numbers([values.get(word, word) for word in words], where, gaps)


def label_array(cells: Any, path: str) -> Array:
    """A column of labels as an array."""
    return text_array(cells, path) if isinstance(cells, list) else np.array(cells)


def fractions(cells: Any) -> bool:
    """True for a column of numbers of which not all that are there are whole."""
    try:
        values = np.asarray(cells, dtype=np.float64)
    except (ValueError, TypeError):
        return False
    there = values[~np.isnan(values)]
    return bool((there != np.floor(there)).any())


def holds_dates(cells: Any) -> bool:
    """True for a column of texts that are dates, as ISO 8601 writes them, where there are some."""
    there = [cell for cell in cells if not is_missing(cell)]
    return bool(there) and all(map(is_date, there))


def is_date(cell: str) -> bool:
    """True for a date, perhaps with a time."""
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def warn_of_fractions(path: str, broken: Sequence[str], said: Sequence[str]) -> None:
    """Says that columns which are called as labels are, and hold fractions, are taken as a part of x.

    Args:
        path: What messages call the table.
        broken: Columns of x that hold fractions.
        said: Those that the user, or a model, says are a part of x.
    """
    if called := [name for name in broken if name.lower() in LABEL_COLUMNS and name not in said]:
        warnings.warn(
            f"{path}: the column {some(called)} is called as labels are, and holds numbers that are not whole: it is "
            "taken as a part of x. Leave it out by naming the columns to take (--data.columns A,B, columns= in "
            "Python).",
            stacklevel=4,
        )


def counts_rows(names: tuple[str, ...], i: int, column: Array) -> bool:
    """True for the nameless first column in which pandas numbers the rows."""
    return bool(names) and i == 0 and not names[0] and bool((column == np.arange(len(column))).all())


def read_parquet(path: Path, wanted: Wanted) -> Raw:
    """A table in a .parquet file; needs pandas and pyarrow."""
    try:
        import pandas as pd  # noqa: F401
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Reading .parquet", "pandas with pyarrow", "tabular") from None
    try:
        about, schema = parquet.read_metadata(path), parquet.read_schema(path)
        check_expansion(str(path), 8 * values_in(about), path.stat().st_size)
        texts = [field.name for field in schema if str(field.type).removeprefix("large_") in ("string", "binary")]
        # Texts are kept as they are stored: each of them once. Few bytes could repeat a long one in every row.
        read = parquet.read_table(path, read_dictionary=texts)
        for name, column in zip(read.column_names, read.columns, strict=True):
            require_short(column, f"{path}: column {some([name])}")
        frame = read.to_pandas()
    except DataError:
        raise
    except Exception as error:  # pyarrow raises errors of many kinds, none of them common
        raise truncated(str(path), error) from None
    return from_frame(frame, wanted, path.stem, str(path))


def values_in(about: Any) -> int:
    """How many values the metadata of a .parquet file announce."""
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    return sum(group.column(i).num_values for group in groups for i in range(group.num_columns))


def require_short(column: Any, where: str) -> None:
    """Checks each text of an Arrow column that is stored as a dictionary.

    Raises:
        DataError: if one is no name but a long text.
    """
    for chunk in column.chunks if str(column.type).startswith("dictionary") else ():
        for text in chunk.dictionary:
            require_name(len(str(text)), len(column), where)


def from_frame(frame: Any, wanted: Wanted, name: str = "frame", path: str = "The frame") -> Raw:
    """A table from a pandas data frame."""
    names = tuple(str(column) for column in frame.columns)
    if not len(frame):
        raise DataError(f"{path} has no rows.")
    return table(name, path, names, [cells_of(frame.iloc[:, i]) for i in range(len(names))], wanted)


def cells_of(column: Any) -> Any:
    """A column of a data frame as numbers, lists or texts; NaN where a number or a truth is missing, "" for a text."""
    if column.dtype.kind in "biuf":
        return column.astype(float).to_numpy(na_value=np.nan) if column.hasnans else column.to_numpy()
    cells = list(column)
    if holds_lists(cells):
        return cells
    return ["" if missing else str(cell) for cell, missing in zip(cells, column.isna(), strict=True)]
