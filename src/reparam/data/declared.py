"""What the user says of a source, and how it is to be read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

from reparam.data.limits import some
from reparam.data.raw import COUNTS, FOUND_OUT, REAL, Declared, Raw, Told, Wanted
from reparam.data.spec import Axes, DataSpec, Values
from reparam.errors import DataError

Size = int | tuple[int, int]


def said(axes: Axes, values: Values) -> Declared:
    """What the user says of a source.

    Raises:
        DataError: if it is no word we know.
    """
    for name, given, known in (("axes", axes, get_args(Axes)), ("values", values, get_args(Values))):
        if not isinstance(given, str) or given not in known:
            raise DataError(f"{name}={given!r}; expected {', '.join(known)}.")
    return Declared(axes, values)


def with_said(raw: Raw, declared: Declared) -> Raw:
    """A source with what the user says of it; counts may be read as real numbers.

    Raises:
        DataError: if it says itself what it is.
    """
    if raw.scale == COUNTS and declared in (Declared(values="real"), Declared(values="counts")):
        return replace(raw, declared=declared, scale=REAL if declared.values == "real" else COUNTS)
    if raw.scale is not None:
        require_nothing_said(declared, raw.name)
    return replace(raw, declared=declared)


def require_nothing_said(declared: Declared, source: Any) -> None:
    """Checks that data which say themselves what they are are taken as they are.

    Raises:
        DataError: if the user says what they are.
    """
    if declared != FOUND_OUT:
        raise DataError(f"{source} says itself what its axes and values are. Leave axes and values at auto.")


def told_columns(
    label: object = None, group: object = None, columns: Iterable[object] | None = (), spec: DataSpec | None = None
) -> Told:
    """The columns of values, labels and groups that the user names, else those that he named of a model's own data.

    Raises:
        DataError: if one column is to hold two of them, or is named twice, or the columns are no several names.
    """
    if isinstance(columns, str) or not (columns is None or isinstance(columns, Iterable)):
        raise DataError(f"columns={columns!r}; expected the names of several columns, or [{columns!r}] for one.")
    given = {"label_column": "" if label is None else str(label), "group_column": "" if group is None else str(group)}
    values, strict = tuple(map(str, columns or ())), {option for option, name in given.items() if name}
    known = (spec.label_column, spec.group_column, spec.value_columns) if spec else ("", "", ())
    told = Told(
        given["label_column"] or known[0],
        given["group_column"] or known[1],
        values or known[2],
        frozenset(strict | ({"columns"} if values else set())),
    )
    if told.label and told.label == told.group:
        raise DataError(f"label_column and group_column are both {told.label!r}; expected two columns. Leave one out.")
    for name in values:
        if values.count(name) > 1 or name in told.names.values():
            also = "twice" if values.count(name) > 1 else "beside label_column or group_column"
            raise DataError(f"columns names {name!r} {also}; a column is told once. Leave it out there.")
    return told


def found_names(told: Told, columns: Sequence[str], where: str) -> Told:
    """The columns that are told, as far as they are there; of values, all or none.

    Raises:
        DataError: if one is not, and must be, or one of values is there twice.
    """
    for option, name in [*told.names.items(), *(("columns", name) for name in told.values)]:
        if name not in columns and option in told.strict:
            near = difflib.get_close_matches(name, dict.fromkeys(columns), n=len(columns), cutoff=0.0)
            raise DataError(f"{option}={name!r}: {where} has no such column; expected one of {some(near)}.")
    label, group = (name if name in columns else "" for name in (told.label, told.group))
    values = told.values if {*told.values} <= {*columns} else ()
    if twice := [name for name in values if list(columns).count(name) > 1]:
        raise DataError(f"{where} has two columns {twice[0]!r}, which x is to be made of. Rename one.")
    return replace(told, label=label, group=group, values=values)


def require_told(told: Told, found: Told, columns: Sequence[str], source: Any) -> None:
    """Checks that columns which the user names were looked for: that the source is a table.

    Args:
        told: What the user says.
        found: What was looked for.
        columns: Names of the columns that were found.
        source: What messages call it.
    Raises:
        DataError: if it is none.
    """
    missed = [(option, name) for option, name in told.names.items() if found.names.get(option) != name]
    if told.values not in (found.values, tuple(columns)):
        missed.append(("columns", ", ".join(told.values)))
    for option, name in (pair for pair in missed if pair[0] in told.strict):
        raise DataError(
            f"{option}={name!r}: {source} is no table; expected .csv, .tsv, .parquet, .h5ad, a data frame or a data "
            "set of Hugging Face. Leave it out: it is about columns of tables."
        )


def extents(size: Size | None) -> tuple[int, int] | None:
    """Height and width.

    Raises:
        DataError: if they are not one or two whole numbers of at least 1.
    """
    if size is None:
        return None
    found = list(size) if isinstance(size, Iterable) else [size]
    if len(found) not in (1, 2) or not all(map(is_count, found)):
        raise DataError(f"size={size}; expected a height and a width of at least 1, or one number for both.")
    return int(found[0]), int(found[-1])


def is_count(number: Any) -> bool:
    """True for a whole number of at least 1, whatever library it is of."""
    return hasattr(number, "__index__") and not isinstance(number, bool) and number >= 1


def wanted(
    size: Size | None,
    spec: DataSpec | None,
    observations: tuple[str, ...] = (),
    axes: Axes = "auto",
    told: Told | None = None,
) -> Wanted:
    """How a source should be read: pictures in the size that is asked for, else in the model's; axes likewise."""
    axes, columns = (spec.axes if axes == "auto" else axes, spec.columns) if spec else (axes, ())
    told = told_columns(spec=spec) if told is None else told
    how = Wanted(extents(size), observations=observations, axes=axes, columns=columns, told=told)
    if spec is not None and spec.observations:
        sizes = {(one.shape[1], one.shape[2]) for one in spec.observations if len(one.shape) == 3}
        return replace(how, size=how.size or (sizes.pop() if len(sizes) == 1 else None))
    if spec is None or len(spec.shape) != 3:
        return how
    channels, height, width = spec.shape
    return replace(how, size=how.size or (height, width), channels=channels if channels in (1, 3) else None)
