"""What stands beside x of each example: class numbers, factors, attributes and lengths."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from reparam.classes import ambiguous
from reparam.data.raw import Array, Raw
from reparam.data.values import require_finite
from reparam.errors import DataError
from reparam.shapes import readable

Role = Literal["labels", "groups"]

ROLES: tuple[Role, ...] = ("groups", "labels")  # what is numbered
UNKNOWN, FOREIGN = -1, -2  # a label that nobody knows, and one that is no class of the model
NAN, WHOLE = "nan", re.compile(r"(-?[0-9]{1,18})\.0")
TABLES = {
    "factors": ("biu", "whole numbers", np.int64),
    "attributes": ("biuf", "numbers", np.float32),
    "lengths": ("biu", "whole numbers", np.int64),
}
FEWEST_BESIDE_MARK = 2  # -1 and 1 are two classes
SIGNS = {"0", "1"}  # beside which -1 may be the third sign
ONE_COLUMN = ("attributes", "lengths")


def class_numbers(raw: Raw, known: tuple[str, ...], role: Role = "labels") -> tuple[Array, tuple[str, ...]]:
    """Labels of all examples as class numbers, -1 where one is not known, and the names of the classes.

    A label is not known where it is empty, NaN or None, and where it is -1 beside at least two other classes that are
    whole numbers from 0 on.

    Args:
        raw: The source.
        known: Classes of a model, if it has some; labels that are not among them get -2. Whole numbers are places among
            them, where none of them is a name there. Groups that are not among them come behind them: of a group it
            only matters who else is in it.
        role: What numbers are given for: the labels, or the groups, all of which must be known.

    Raises:
        DataError: if there are not as many labels as examples, some groups are empty, or they are neither whole numbers
            nor names.
    """
    names = {split: label_names(raw, split, role) for split in raw.parts}
    if role == "labels":
        names = unmarked(names, known)
    given = raw.classes if role == "labels" else ()
    found = [name for values in names.values() if values is not None for name in values]
    if role == "groups" and not known and (empty := found.count("")):
        raise DataError(
            f"{raw.name}: {empty:,} of {len(found):,} {role} are empty. Fill them in, or leave those rows out."
        )
    found = [name for name in found if name]
    own = given if set(found) <= set(given) else tuple(sorted(set(found), key=natural))
    classes = known or own
    if known and role == "groups":
        classes = (*known, *sorted({*found} - {*known}, key=natural))
    number = places_by_name(found, classes, declared=role == "groups" or not known or bool(given)) | {"": UNKNOWN}
    numbers = []
    for split, part in raw.parts.items():
        values = names[split]
        numbers += [UNKNOWN] * len(part.x) if values is None else [number.get(name, FOREIGN) for name in values]
    return np.array(numbers, dtype=np.int64), classes if found else known


def places_by_name(found: Iterable[str], classes: tuple[str, ...], declared: bool = False) -> dict[str, int]:
    """The place of each class by what labels call it: its name, or its place where no label is a name.

    Args:
        found: What the labels are called.
        classes: The names of the classes.
        declared: True where the labels are names for sure, as they are where a number could be either.
    """
    number = {name: i for i, name in enumerate(classes)}
    places = {str(i): i for i in range(len(classes))}
    declared = declared or ambiguous(classes)
    return places if not declared and number.keys().isdisjoint(found) and places.keys() >= set(found) else number


def unmarked(names: Mapping[str, list[str] | None], known: tuple[str, ...]) -> dict[str, list[str] | None]:
    """The labels by name, empty where they are -1 and this says that one is not known."""
    mark = str(UNKNOWN)
    others = {name for values in names.values() for name in values or ()} - {"", mark}
    others |= set() if others.isdisjoint(known) else {*known}
    if mark in known or len(others) < FEWEST_BESIDE_MARK or not all(name.isdecimal() for name in others):
        return dict(names)
    if others == SIGNS and any(mark in (values or ()) for values in names.values()):
        warnings.warn(
            "Labels of -1 beside 0 and 1 are taken for not known. If -1 is a class, give the classes names, such as "
            "'negative'.",
            stacklevel=5,
        )
    return {split: values and ["" if name == mark else name for name in values] for split, values in names.items()}


def group_numbers(raw: Raw, known: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """Groups of all examples as :func:`class_numbers` has them; none, with a warning, where they are not one each."""
    try:
        return class_numbers(raw, known, "groups")
    except DataError as error:
        warnings.warn(f"{error} As they are, the groups are left out.", stacklevel=5)
        return np.full(sum(len(part.x) for part in raw.parts.values()), UNKNOWN), known


def natural(name: str) -> tuple[bool, int, str]:
    """Sorts ``"2"`` before ``"10"``, and numbers before words."""
    number = re.fullmatch(r"-?[0-9]{1,18}", name)
    return number is None, int(name) if number else 0, name


def label_names(raw: Raw, split: str, role: Role) -> list[str] | None:
    """The labels or groups of one part as names, empty where one is not known, or None if it has none."""
    part = raw.parts[split]
    found = getattr(part, role)
    if found is None:
        return None
    classes, values = raw.classes if role == "labels" else (), found.ravel()
    if len(values) != len(part.x):
        raise DataError(f"{raw.name} has {len(part.x)} examples but {len(values)} {role} ({split}). Give one each.")
    if values.dtype.kind in "Of":
        values = whole_or_names(values)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind not in "biuU":
        raise DataError(
            f"The {role} of {raw.name} ({split}) are of type {values.dtype}; expected whole numbers or names."
        )
    if values.dtype.kind == "U":
        return known_names(values.tolist())
    if not classes:
        return [str(value) for value in values.tolist()]
    if values.min() < UNKNOWN or values.max() >= len(classes):
        raise DataError(
            f"{raw.name} has labels from {values.min()} to {values.max()} for {len(classes)} classes; expected "
            f"0 to {len(classes) - 1}, or -1 where one is not known."
        )
    return ["" if value == UNKNOWN else classes[value] for value in values.tolist()]


def whole_or_names(values: Array) -> Array:
    """Labels that are whole, or names, or None or NaN where one is not known, as numbers or texts; others as they are.

    Texts where some are not known, which are empty.
    """
    plain = [one.item() if isinstance(one, np.generic) else one for one in values.tolist()]
    cells = ["" if one is None or one != one else one for one in plain]
    texts = [one for one in cells if isinstance(one, str)]
    numbers = [one for one in cells if isinstance(one, int | float)]
    if len(texts) + len(numbers) < len(cells) or not all(abs(one) < 2**63 and one == int(one) for one in numbers):
        return values
    if not texts:
        return np.array([int(one) for one in numbers], dtype=np.int64)
    return np.array([one if isinstance(one, str) else str(int(one)) for one in cells])


def known_names(cells: list[str]) -> list[str]:
    """Names, empty where one is none or NaN; whole numbers that stand beside such gaps as 1.0 are 1, as elsewhere."""
    names = ["" if name.lower() == NAN else name for name in cells]
    whole = [WHOLE.fullmatch(name) for name in names if name]
    if "" not in names or None in whole:
        return names
    return [name.removesuffix(".0") for name in names]


def tables(raw: Raw) -> dict[str, Array]:
    """Factors (N, F), int64, attributes (N, A), float32, and lengths (N, 1), int64, where the parts have them.

    Raises:
        DataError: if they are not numbers, the same for each part, and one row for each example.
    """
    found = {}
    for role, (kinds, numbers, dtype) in TABLES.items():
        parts = [getattr(part, role) for part in raw.parts.values()]
        if any(table is None for table in parts):
            there = [split for split, part in raw.parts.items() if getattr(part, role) is not None]
            if there:
                lacking = next(split for split in raw.parts if split not in there)
                raise DataError(f"{raw.name} has {role} of {there[0]} but not of {lacking}. Give or leave out both.")
            continue
        if role in ONE_COLUMN:
            parts = [table[:, None] if table.ndim == 1 else table for table in parts]
        fitting = [
            table.ndim == 2 and table.dtype.kind in kinds and table.shape == (len(part.x), *parts[0].shape[1:])
            for table, part in zip(parts, raw.parts.values(), strict=True)
        ]
        if not all(fitting):
            raise DataError(
                f"The {role} of {raw.name} have shape {parts[0].shape}, type {parts[0].dtype}; expected {numbers}, "
                f"(N, {role[0].upper()}), one row for each example."
            )
        require_finite(np.concatenate(parts), f"The {role} of {raw.name}")
        found[role] = np.concatenate(parts).astype(dtype)
    if "lengths" in found:
        require_sequences(raw)
    return found


def require_sequences(raw: Raw) -> None:
    """Checks that what has lengths are sequences.

    Raises:
        DataError: if they are not.
    """
    shape = next(iter(raw.parts.values())).x.shape[1:]
    if len(shape) != 2:
        raise DataError(f"{raw.name} has lengths, but examples of shape {readable(shape)}; expected sequences (D, T).")
