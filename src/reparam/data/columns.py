"""Blocks of Arrow tables: row groups of .parquet files, and slices of Hugging Face data sets."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reparam.data.blocks import Stream, cut
from reparam.data.declared import found_names
from reparam.data.images import decode, stack
from reparam.data.limits import check_expansion, reason, require_regular, some, text_array, truncated
from reparam.data.raw import SPLITS, UNTOLD, Array, Part, Told, Wanted
from reparam.data.roles import SPLIT_WORDS
from reparam.data.tables import GROUP_COLUMNS, LABEL_COLUMNS, MEND_TEXTS, fractions, warn_of_fractions
from reparam.errors import DataError, MissingExtraError

HUB = "hf:"
HUB_NAME = "datasets"
HUB_FORM = "hf:owner/name[:config][@revision]"
HUB_SOURCE = re.compile(r"hf:([^:@\s]+)(?::([^:@\s]+))?(?:@([^:@\s]+))?")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are x, and which hold the labels and the groups.

    Attributes:
        names: Columns of numbers, or one of pictures.
        beside: The columns of ``labels`` and ``groups``, as far as there are some.
        pictures: True where x is a column of picture files.
    """

    names: tuple[str, ...]
    beside: Mapping[str, str]
    pictures: bool = False

    @property
    def all(self) -> list[str]:
        """Every column that is read."""
        return [*self.names, *self.beside.values()]

    @property
    def of_table(self) -> tuple[str, ...]:
        """Names of the columns of x, where it is a table."""
        return () if self.pictures else self.names

    def part(self, table: Any, name: str, wanted: Wanted) -> Part:
        """The examples of a table, and their labels and groups.

        Raises:
            DataError: if a picture is damaged, or an entry is missing.
        """
        named: dict[str, Any] = self.named(table, name)
        if self.pictures:
            return Part(decoded(table.column(self.names[0]), name, wanted), **named)
        return Part(np.stack([numbers(table.column(own), name, own) for own in self.names], axis=1), **named)

    def named(self, table: Any, name: str) -> dict[str, Array]:
        """The labels and the groups of a table."""
        return {role: name_array(table.column(own), name) for role, own in self.beside.items()}


def found_columns(schema: Any, name: str, wanted: Wanted) -> Columns:
    """Finds out which columns of an Arrow schema are which: as in tables, or one column of pictures.

    Args:
        schema: The schema.
        name: What messages call the table.
        wanted: Columns that a model knows as values, and those that are told to hold values, labels and groups.

    Raises:
        DataError: if there are no numbers and no pictures, texts that are no labels, or a column that is told is not
            there.
    """
    types = importlib.import_module("pyarrow").types
    kinds = {field.name: field.type for field in schema}
    if len(kinds) < len(schema):
        raise DataError(f"{name} has two columns of one name. Rename or drop one of them.")
    told = found_names(wanted.told, list(kinds), name)
    free = [own for own in kinds if own not in (*wanted.columns, *told.values, told.label, told.group)]
    labelled, group = (
        own or next((other for called in known for other in free if other.lower() == called), None)
        for own, known in ((told.label, LABEL_COLUMNS), (told.group, GROUP_COLUMNS))
    )
    rest = {own: kinds[own] for own in told.values or kinds if own not in (labelled, group)}
    pictures = [own for own, kind in rest.items() if holds_files(types, kind)]
    if len(pictures) > 1:
        raise DataError(f"{name} has several columns of pictures ({some(pictures)}). Name one of them (data.columns).")
    if pictures:
        return Columns((pictures[0],), roles_of(labelled, group), pictures=True)
    plain = [own for own, kind in rest.items() if is_number(types, kind)]
    texts = [own for own in rest if own not in plain]
    if labelled is None and len(texts) == 1 and is_text(types, kinds[texts[0]]) and not told.values:
        labelled = texts.pop()
    if texts:
        raise DataError(
            f"{name}: the columns {some(texts)} are no numbers; expected numbers (or one column of picture files), and "
            f"at most one column of labels. {MEND_TEXTS}"
        )
    if not plain:
        raise DataError(f"{name} has no column of numbers or pictures.")
    known = wanted.columns if {*wanted.columns} == {*plain} else plain
    return Columns(tuple(known), roles_of(labelled, group))


def roles_of(label: str | None, group: str | None) -> dict[str, str]:
    """The columns of labels and groups, as far as there are some; groups are the labels where there are no others."""
    own = {"labels": label, "groups": group} if label else {"labels": group}
    return {role: column for role, column in own.items() if column}


def is_number(types: Any, kind: Any) -> bool:
    """True for an Arrow type of numbers."""
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_text(types: Any, kind: Any) -> bool:
    """True for an Arrow type of texts, also where each is stored once."""
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind))


def holds_files(types: Any, kind: Any) -> bool:
    """True for an Arrow type of file contents: bytes, alone or beside a path."""
    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and holds_files(types, kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def numbers(column: Any, name: str, own: str) -> Array:
    """A column of numbers as an array.

    Raises:
        DataError: if a cell is empty.
    """
    if column.null_count:
        raise DataError(f"{name}: column {own!r} has {column.null_count} empty cells. Fill them in or drop those rows.")
    return np.asarray(column.to_numpy())


def cells_of(column: Any, name: str) -> list[Any]:
    """The cells of a column as Python objects.

    Raises:
        DataError: if a text among them is none.
    """
    try:
        cells: list[Any] = column.to_pylist()
        return cells
    except UnicodeDecodeError as error:
        raise truncated(name, error) from None


def name_array(column: Any, name: str) -> Array:
    """A column of labels or groups as an array; NaN, or an empty text, where one is missing."""
    types = importlib.import_module("pyarrow").types
    if is_number(types, column.type) and not (column.null_count and types.is_boolean(column.type)):
        return np.asarray(column.to_numpy())
    return text_array(["" if value is None else str(value) for value in cells_of(column, name)], name)


def decoded(column: Any, name: str, wanted: Wanted) -> Array:
    """A column of picture files as (N, H, W) or (N, H, W, 3).

    Raises:
        DataError: if one is missing or damaged, or their sizes differ.
    """
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells_of(column, name)]
    if None in cells:
        raise DataError(f"{name} has a row without a picture. Drop it, or put the pictures' bytes into the table.")
    pictures = (
        (f"{name}, picture {i}", decode(f"{name}, picture {i}", io.BytesIO(c), wanted)) for i, c in enumerate(cells)
    )
    return stack(pictures, len(cells), sum(map(len, cells)))


class ParquetBlocks:
    """The row groups of a .parquet file; needs pyarrow.

    Args:
        path: The file.
        wanted: How pictures should come out.

    Raises:
        DataError: if it is damaged, empty, or no table of numbers or pictures.
        MissingExtraError: if pyarrow is not installed.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        try:
            self.parquet = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise MissingExtraError("Reading .parquet", "pyarrow", "tabular") from None
        require_regular(path)
        self.name, self.path, self.wanted = str(path), path, wanted
        try:
            self.about = self.parquet.read_metadata(path)
            schema = self.about.schema.to_arrow_schema()
        except Exception as error:  # pyarrow raises errors of many kinds, none of them common
            raise truncated(self.name, error) from None
        groups = [self.about.row_group(i) for i in range(self.about.num_row_groups)]
        self.lengths = [group.num_rows for group in groups]
        if not sum(self.lengths) or not all(self.lengths):
            raise DataError(f"{path} has no rows, or an empty row group. Write it again.")
        check_expansion(self.name, 8 * self.about.num_rows * self.about.num_columns, path.stat().st_size)
        self.columns = found_columns(schema, self.name, wanted)
        self.columns = self._without_fractions()
        self.types = [str(schema.field(own).type) for own in self.columns.all]

    def read(self, number: int) -> Part:
        """The rows of a row group."""
        return self.columns.part(self._table(number, self.columns.all), self.name, self.wanted)

    def named(self, number: int) -> dict[str, Array]:
        """The labels and the groups of a row group alone."""
        return self.columns.named(self._table(number, [*self.columns.beside.values()]), self.name)

    def _without_fractions(self) -> Columns:
        """The columns, of which those called like labels or groups that hold fractions are values, unless told."""
        found, told = self.columns, self.wanted.told.names.values()
        broken = [role for role, cells in self.named(0).items() if found.beside[role] not in told and fractions(cells)]
        if not self.wanted.told.label:
            warn_of_fractions(self.name, [found.beside[role] for role in broken], self.wanted.columns)
        left = {role: own for role, own in found.beside.items() if role not in broken}
        beside = roles_of(left.get("labels"), left.get("groups"))
        return replace(found, names=(*found.names, *(found.beside[role] for role in broken)), beside=beside)

    def _table(self, number: int, columns: list[str]) -> Any:
        try:
            with self.parquet.ParquetFile(self.path, metadata=self.about) as file:
                return file.read_row_group(number, columns=columns, use_threads=False)
        except Exception as error:  # see above
            raise truncated(f"{self.name}, row group {number}", error) from None


def has_pictures(path: Path, told: Told = UNTOLD) -> bool:
    """True if x is a column of picture files in a table."""
    try:
        schema = importlib.import_module("pyarrow.parquet").read_schema(path)
        return found_columns(schema, str(path), Wanted(told=told)).pictures
    except Exception:  # the reader of tables says what is wrong
        return False


def parquet_shards(paths: Sequence[Path], wanted: Wanted) -> list[ParquetBlocks]:
    """The row groups of .parquet files with the same columns.

    Raises:
        DataError: if two of them differ in their columns.
    """
    links = [ParquetBlocks(path, wanted) for path in paths]
    for link in links[1:]:
        if (link.columns, link.types) != (links[0].columns, links[0].types):
            own, first = (list(zip(one.columns.all, one.types, strict=True)) for one in (link, links[0]))
            raise DataError(
                f"{link.name} has the columns {some(own)}, {links[0].name} has {some(first)}. Make all shards alike."
            )
    return links


class HubBlocks:
    """Slices of a data set of Hugging Face's ``datasets``, whose Arrow files are mapped, not loaded.

    Args:
        dataset: A ``datasets.Dataset``.
        name: What messages call it.
        wanted: How pictures should come out.
    """

    def __init__(self, dataset: Any, name: str, wanted: Wanted) -> None:
        self.name, self.wanted = name, wanted
        self.dataset = dataset.with_format("arrow")
        if not len(dataset):
            raise DataError(f"{name} has no rows.")
        self.columns = found_columns(dataset.features.arrow_schema, name, wanted)
        self.row_bytes = self.columns.part(self.dataset[:1], name, wanted).x.nbytes
        self.lengths = cut(len(dataset), self.row_bytes)

    def read(self, number: int) -> Part:
        """The rows of a slice."""
        return self.columns.part(self.dataset[self._rows(number)], self.name, self.wanted)

    def named(self, number: int) -> dict[str, Array]:
        """The labels and the groups of a slice alone."""
        if not self.columns.beside:
            return {}
        only = self.dataset.select_columns([*self.columns.beside.values()]).with_format("arrow")
        return self.columns.named(only[self._rows(number)], self.name)

    def _rows(self, number: int) -> slice:
        return slice(number * self.lengths[0], number * self.lengths[0] + self.lengths[number])


def is_hub(source: Any) -> bool:
    """True for what ``datasets.load_dataset`` gives, if it has a length; without importing that package."""
    parts = list(source.values()) if isinstance(source, Mapping) else [source]
    return type(source).__module__.split(".")[0] == HUB_NAME and all(
        hasattr(part, "with_format") and hasattr(part, "__len__") for part in parts
    )


def splits_of(source: Any, wanted: Wanted) -> dict[str, HubBlocks]:
    """The data sets in what ``datasets.load_dataset`` gives, by split; one alone is ``all``.

    Raises:
        DataError: if it is none with a length, or its splits have names that we do not know.
    """
    given = source if isinstance(source, Mapping) else {"all": source}
    known: dict[str, Any] = {SPLIT_WORDS.get(key.lower(), key): value for key, value in given.items()}
    if len(known) > 1:
        known = {key: known[key] for key in SPLITS if key in known}
    if not known:
        raise DataError("The data set has no split called train, validation or test. Pass one of its splits.")
    if len(known) == 1:
        known = {"all": next(iter(known.values()))}
    return {key: HubBlocks(value, value.info.dataset_name or HUB_NAME, wanted) for key, value in known.items()}


def readable(source: Any, told: Told) -> list[HubBlocks]:
    """The data sets in what ``datasets.load_dataset`` gives; none if their columns cannot be read block by block."""
    try:
        return list(splits_of(source, Wanted(told=told)).values())
    except DataError:
        return []  # item by item, they may be read


def from_hub(source: Any, wanted: Wanted) -> Stream:
    """What ``datasets.load_dataset`` gives, to be read block by block."""
    parts = splits_of(source, wanted)
    first = next(iter(parts.values()))
    label = first.columns.beside.get("labels")
    classes = getattr(first.dataset.features[label], "names", None) if label else None
    files = {key: [blocks] for key, blocks in parts.items()}
    return Stream(first.name, files, first.columns.of_table, tuple(classes or ()), told=wanted.told)


def located(source: Any) -> Any:
    """The data set behind ``hf:owner/name[:config][@revision]``; any other source as it is.

    The package downloads it, writes it to disk as Arrow files, and maps these.

    Raises:
        MissingExtraError: if ``datasets`` is not installed.
        DataError: if it cannot be had.
    """
    if not (isinstance(source, str) and source.startswith(HUB)):
        return source
    found = HUB_SOURCE.fullmatch(source)
    if found is None:
        raise DataError(f"{source!r} names no data set of Hugging Face; expected {HUB_FORM}.")
    try:
        datasets = importlib.import_module(HUB_NAME)
    except ImportError:
        raise MissingExtraError(f"Reading {source}", "datasets", "data") from None
    chosen = {option: value for option, value in zip(("name", "revision"), found.groups()[1:], strict=True) if value}
    try:
        return datasets.load_dataset(found[1], **chosen)
    except Exception as error:  # the package raises errors of many kinds
        raise DataError(
            f"{source} cannot be loaded ({reason(error)}). Is the name right? The form is {HUB_FORM}."
        ) from None
