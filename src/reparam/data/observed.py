"""Several observations, in a folder or an archive: a folder of files of each, or a table; one name is one item."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from reparam.data.images import ENDINGS
from reparam.data.limits import TEXT_SHARE, check_expansion, reason, some, text_array, truncated
from reparam.data.numpy_files import read_array
from reparam.data.placed import Picture, below, is_hidden, is_picture, stacked
from reparam.data.raw import Array, Part, Wanted, require_numbers
from reparam.data.roles import SPLIT_WORDS
from reparam.data.tables import equal_rows, has_header, numbers
from reparam.errors import DataError

LABELS = "labels"
ARRAY, TABLE = ".npy", ".csv"


def is_read(place: PurePosixPath, wanted: Wanted) -> bool:
    """True for pictures, for arrays of an observation, ``joints/0.npy``, and for tables beside them, ``joints.csv``."""
    if is_hidden(place) or is_picture(place):
        return is_picture(place)
    if place.suffix == ARRAY:
        return not {*wanted.observations}.isdisjoint(place.parts[:-1])
    return place.suffix == TABLE and place.stem in wanted.observations


def first_of(wanted: Wanted) -> str:
    """The first observation that is no class."""
    return next((name for name in wanted.observations if name != LABELS), LABELS)


def observed_part(path: str, files: Sequence[Picture], wanted: Wanted, stored: int) -> Part:
    """Reads each observation, whose files lie in a folder of its name, or which is a table of its name.

    Files of one name are one item; in a table the first column holds the name. ``labels`` is a table of classes.

    Raises:
        DataError: if there is nothing of an observation, or the observations share no name.
    """
    names = [name for name in wanted.observations if name != LABELS]
    tables = {file.place.stem: file for file in files if file.place.suffix == TABLE and len(file.place.parts) == 1}
    groups = {name: grouped(path, name, files) for name in names}
    twice = [name for name, own in groups.items() if own and name in tables]
    if twice:
        raise DataError(f"{path} holds both a folder and a table of {some(twice)}. Keep one of them.")
    found: dict[str, tuple[list[str], Array]] = {}
    for name, own in groups.items():
        if not own and name not in tables:
            raise DataError(
                f"{path} has no pictures of {some([name])}; expected a folder of each observation, with matching names "
                f"({', '.join(ENDINGS)}, {ARRAY}), or {name}{TABLE}."
            )
        if own:
            found[name] = list(own), values_in(path, own, wanted, stored)
        else:
            found[name] = numbers_of(table_of(path, tables[name], stored), f"{path}/{name}{TABLE}")
    classes = table_of(path, tables[LABELS], stored) if LABELS in tables else {}
    owners = [set(own) for own, _ in found.values()] + ([set(classes)] if classes else [])
    items = sorted(set().union(*(own for own, _ in found.values())))
    require_matches(path, items, owners)
    first, *others = names
    labels = None
    if classes:
        labels = text_array([classes.get(item, [""])[-1] for item in items], f"{path}/{LABELS}{TABLE}")
    values = {name: with_gaps(x, own, items) for name, (own, x) in found.items()}
    return Part(values[first], labels, others={name: values[name] for name in others})


def grouped(path: str, name: str, files: Sequence[Picture]) -> dict[str, Picture]:
    """The files in the folder of an observation, by their names without endings.

    Raises:
        DataError: if two have one name, or splits lie inside observations.
    """
    found: dict[str, Picture] = {}
    for file in files:
        if file.place.parts[0] != name or len(file.place.parts) == 1:
            continue
        own = below(file).place.with_suffix("")
        if str(own) in found:
            raise DataError(f"{path} holds two files {name}/{own}. Keep one of them.")
        if own.parts[0].lower() in SPLIT_WORDS and len(own.parts) > 1:
            raise DataError(f"{path}: put splits above observations: {own.parts[0]}/{name}/.")
        found[str(own)] = file
    return found


def values_in(path: str, own: Mapping[str, Picture], wanted: Wanted, stored: int) -> Array:
    """Pictures of an observation in [0, 1], or arrays as they are.

    Raises:
        DataError: if there are both, or arrays differ in shape.
    """
    arrays = [file for file in own.values() if not is_picture(file.place)]
    if not arrays:
        return stacked(path, list(own.values()), wanted, stored).astype(np.float32) / np.float32(255)
    if len(arrays) < len(own):
        raise DataError(f"{path} holds pictures and arrays in {arrays[0].place.parts[0]}/. Keep one kind.")
    found = []
    for file in arrays:
        where = f"{path}/{file.place}"
        with file.open() as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            found.append(require_numbers(np.atleast_1d(read_array(stream, where, size)), where))
        if found[-1].shape != found[0].shape:
            raise DataError(f"{where} has shape {found[-1].shape}, others {found[0].shape}. Make them one shape.")
    return np.stack(found)


def table_of(path: str, file: Picture, stored: int) -> dict[str, list[str]]:
    """The rows of a table by the name in their first column, without its ending.

    Args:
        path: The folder or archive, for messages.
        file: The table.
        stored: Bytes of the files or the archive that it lies in.

    Raises:
        DataError: if it is no table, has one column only, or a name twice, or is longer than so few bytes need.
    """
    where = f"{path}/{file.place}"
    try:
        with file.open() as stream:
            packed = stream.read()
        check_expansion(where, TEXT_SHARE * len(packed), stored)
        content = packed.decode("utf-8-sig")
        separator = max(",;\t", key=content.partition("\n")[0].count)
        rows = equal_rows(csv.reader(io.StringIO(content, newline=""), delimiter=separator), where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where} is not a text table ({reason(error)}). Save it as CSV in UTF-8.") from None
    except OSError as error:
        raise truncated(where, error) from None
    if len(rows[0]) < 2:
        raise DataError(f"{where} has one column; expected the name of a file, and what is told of it.")
    header = has_header([row[1:] for row in rows])
    found: dict[str, list[str]] = {}
    for name, *cells in rows[1:] if header else rows:
        place = PurePosixPath(name)
        own = str(place.with_suffix("")) if place.suffix.lower() in (*ENDINGS, ARRAY) else name
        if own in found:
            raise DataError(f"{where} names {some([name])} twice. Keep one of them.")
        found[own] = cells
    return found


def numbers_of(rows: Mapping[str, list[str]], where: str) -> tuple[list[str], Array]:
    """Names and numbers (N, D) of a table, NaN where a cell is empty.

    Raises:
        DataError: if there are texts.
    """
    cells = zip(*rows.values(), strict=True)
    columns = [numbers(list(own), f"{where}: column {place}", True) for place, own in enumerate(cells, 1)]
    known = [column for column in columns if column is not None]
    if not known or len(known) < len(columns):
        held = "texts" if columns else "no rows"
        raise DataError(f"{where} holds {held}; expected numbers. Classes are told in {LABELS}{TABLE}.")
    return list(rows), np.stack(known, axis=1)


def require_matches(path: str, items: Sequence[str], owners: Sequence[set[str]]) -> None:
    """Checks that some items are in several observations, and says where most are not in all.

    Raises:
        DataError: if no name is in two of them.
    """
    counts = [sum(item in own for own in owners) for item in items]
    if max(counts) < 2 <= len(owners):
        examples = " and ".join(repr(min(own)) for own in owners[:2])
        raise DataError(
            f"{path}: no file name is in two observations ({examples}); expected one name for what is seen of one item."
        )
    incomplete = sum(count < len(owners) for count in counts)
    if 2 * incomplete > len(items):
        warnings.warn(
            f"{path}: {incomplete:,} of {len(items):,} items lack one of the observations. Are the names the same?",
            stacklevel=6,
        )


def with_gaps(x: Array, own: Sequence[str], names: Sequence[str]) -> Array:
    """Values in the order of all names, and NaN where one is missing."""
    places = {name: number for number, name in enumerate(own)}
    found = np.full((len(names), *x.shape[1:]), np.nan, np.float32 if x.dtype == np.float32 else np.float64)
    for row, name in zip(found, names, strict=True):
        if name in places:
            row[:] = x[places[name]]
    return found
