"""Several observations of each example -> one vector, with NaN where something is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from reparam.data.beside import NAN, UNKNOWN, class_numbers, whole_or_names
from reparam.data.limits import some
from reparam.data.prepare import moments
from reparam.data.raw import REAL, Array, Raw, Scale, require_numbers
from reparam.data.records import Data, Split
from reparam.data.spec import Kind, Observation
from reparam.data.values import arrange, measure, shaped
from reparam.errors import DataError, nearest
from reparam.rng import generator
from reparam.shapes import numel, readable

ROLES = ("labels", "attributes", "factors")
SEPARATORS = "._-: "
OBSERVED_AS: dict[Kind, Literal["binary", "unit", "real"]] = {
    "binary": "binary",
    "levels": "unit",
    "unit": "unit",
    "real": "real",
    "counts": "real",
}


def side_by_side(raw: Raw, names: Sequence[str], known: Sequence[Observation] = ()) -> Raw:
    """The source with x made of several observations.

    Args:
        raw: A source whose parts hold them.
        names: Which, in this order: ``x``, ``labels``, ``attributes``, ``factors``, an array's name, or what the names
            of some columns of a table begin with (``depth`` for ``depth_1``, ``depth_2``).
        known: What a model knows of them; then they are made to fit, and those that are not there are missing.

    Raises:
        DataError: if one is not there, or they do not fit together.
    """
    if len(set(names)) != len(names) or len(names) < 2:
        raise DataError(f"observations={', '.join(names)}: expected at least two, each once.")
    owners = {column: [name for name in names if of_group(column, name)] for column in raw.columns}
    for column, groups in owners.items():
        if len(groups) > 1:
            raise DataError(f"{raw.name}: the column {column!r} is of {' and of '.join(groups)}. Name groups apart.")
    counts = [len(part.x) for part in raw.parts.values()]
    found: list[Observation] = []
    values = []
    expected: Sequence[Observation | None] = known or [None] * len(names)
    for name, own in zip(names, expected, strict=True):
        if own is not None and not at_hand(raw, name):
            found.append(own)
            values.append(np.full((sum(counts), numel(own.shape)), np.nan, np.float32))
            continue
        one, stored = one_class(raw, name, own) if is_label(raw, name) else measured(raw, name, own)
        found.append(one if own is None else own)
        values.append(stored)
    whole = np.concatenate(values, 1)
    if np.isnan(whole).all(1).any():
        row = int(np.isnan(whole).all(1).argmax())
        raise DataError(f"{raw.name}: of example {row} (counted from 0) nothing is there. Leave it out.")
    ends, unlabelled = np.cumsum(counts), "labels" in names and labels_missing(raw)
    parts = {
        split: replace(part, x=whole[end - len(part.x) : end], others={}, labels=None if unlabelled else part.labels)
        for (split, part), end in zip(raw.parts.items(), ends, strict=True)
    }
    return replace(raw, parts=parts, columns=(), scale=REAL, observations=tuple(found))


def is_label(raw: Raw, name: str) -> bool:
    """True for the labels of the source."""
    return name == "labels" and any(part.labels is not None for part in raw.parts.values())


def columns_of(raw: Raw, name: str) -> list[int]:
    """The columns of a table that belong to an observation."""
    return [i for i, column in enumerate(raw.columns) if of_group(column, name)]


def of_group(column: str, name: str) -> bool:
    """True for ``depth_1`` and ``depth1`` of the group ``depth``."""
    rest = column.removeprefix(name)
    return column == name or (rest != column and (rest[0] in SEPARATORS or rest.isdecimal()))


def arrays_of(raw: Raw, name: str) -> list[Array | None]:
    """One observation of each part."""
    parts, columns = list(raw.parts.values()), columns_of(raw, name)
    if columns:
        return [part.x[:, columns] for part in parts]
    if name == raw.called:
        return [part.x for part in parts]
    return [part.others.get(name, getattr(part, name) if name in ROLES else None) for part in parts]


def at_hand(raw: Raw, name: str) -> bool:
    """True where something of an observation is there, of some part."""
    found = [one for one in arrays_of(raw, name) if one is not None]
    return is_label(raw, name) or any(one.dtype.kind != "f" or not np.isnan(one).all() for one in found)


def gathered(raw: Raw, name: str) -> Array:
    """One observation of all examples.

    Raises:
        DataError: if it is not there, or not for every example of each part.
    """
    found = arrays_of(raw, name)
    if all(one is None for one in found):
        part = next(iter(raw.parts.values()))
        there = {raw.called, *(role for role in ROLES if getattr(part, role) is not None), *part.others}
        raise DataError(f"{raw.name} has no observation {some([name])}. {nearest(name, sorted(there))}")
    for (split, part), one in zip(raw.parts.items(), found, strict=True):
        if one is None or len(one) != len(part.x):
            of = "" if split == "all" else f" of {split}"
            raise DataError(
                f"{raw.name}: {name} has {0 if one is None else len(one):,} examples{of}, {raw.called} has "
                f"{len(part.x):,}. Give each observation of every example, with NaN where it is missing."
            )
    arrays = [one for one in found if one is not None]
    if len({one.shape[1:] for one in arrays}) > 1:
        raise DataError(f"{raw.name}: {name} differs in shape between the splits. Make it one shape.")
    return np.concatenate(arrays)


def labels_there(labels: Array) -> Array:
    """Which labels are there: -1, NaN and an empty name say that one is not."""
    labels = whole_or_names(labels) if labels.dtype.kind == "O" else labels
    return ~np.isin(labels, ("", NAN)) if labels.dtype.kind == "U" else ~(np.isnan(labels) | (labels == UNKNOWN))


def labels_missing(raw: Raw) -> bool:
    """True where some label is not there."""
    found = [part.labels for part in raw.parts.values()]
    return any(labels is None or not labels_there(labels).all() for labels in found)


def one_class(raw: Raw, name: str, known: Observation | None) -> tuple[Observation, Array]:
    """The labels, one-hot; -1, NaN, an empty name, and a class that the model does not know are missing.

    Raises:
        DataError: if no label is there.
    """
    labels = [np.asarray(part.labels).ravel() for part in raw.parts.values() if part.labels is not None]
    if len(labels) < len(raw.parts):
        raise DataError(f"{raw.name}: some splits have no labels. Give them, with -1 where one is missing.")
    there = [labels_there(own) for own in labels]
    if not np.concatenate(there).any():
        raise DataError(f"{raw.name}: no label is there. Leave labels out.")
    first = next(own[mask][0] for own, mask in zip(labels, there, strict=True) if mask.any())
    filled = {
        split: replace(part, labels=np.where(mask, own, first))
        for (split, part), own, mask in zip(raw.parts.items(), labels, there, strict=True)
    }
    numbers, classes = class_numbers(replace(raw, parts=filled), known.classes if known else ())
    rows = np.eye(len(classes), dtype=np.float32)[numbers]
    rows[(numbers < 0) | ~np.concatenate(there)] = np.nan
    return Observation(name, (len(classes),), "classes", classes), rows


def measured(raw: Raw, name: str, known: Observation | None) -> tuple[Observation, Array]:
    """What an observation is, and its values as they lie in x: (N, size), float32, NaN where missing.

    Raises:
        DataError: if it is infinite somewhere, holds no numbers, or is not what a model knows.
    """
    where = f"{raw.name}: {name}"
    x = require_numbers(gathered(raw, name), where)
    gaps = np.isnan(x) if x.dtype.kind == "f" else np.zeros(1, bool)
    if np.isinf(x).any():
        raise DataError(f"{where} is infinite somewhere; expected numbers, and NaN where one is missing.")
    if gaps.all() and gaps.size == x.size:
        raise DataError(f"{where} is missing in all examples. Leave it out.")
    columns = tuple(raw.columns[i][len(name) :].lstrip(SEPARATORS) for i in columns_of(raw, name))
    if known is not None:
        if known.columns and columns:
            lacking = [column for column in known.columns if column not in columns]
            if lacking:
                raise DataError(f"{where} lacks the column {lacking[0]!r}, which the model needs.")
            x = x[:, [columns.index(column) for column in known.columns]]
        return known, fitted_to(x, raw, name, known)
    filled = np.where(np.isnan(x), np.nanmin(x), x) if gaps.any() else x
    shape = arrange(filled, where).shape
    x, filled = (one.reshape(shape) if one.ndim != 4 else arrange(one, where) for one in (x, filled))
    scale = raw.scale if raw.scale is not None and name == raw.called else measure(filled, len(shape) > 2)[1]
    kind = OBSERVED_AS[scale.kind]
    return Observation(name, tuple(shape[1:]), kind, columns=columns if len(shape) == 2 else ()), stored(x, scale)


def stored(x: Array, scale: Scale) -> Array:
    """Values as they lie in x: (N, size), float32."""
    values = x.reshape(len(x), -1).astype(np.float32) / np.float32(scale.divisor)
    return np.where(np.isnan(values), np.nan, values > 0).astype(np.float32) if scale.kind == "binary" else values


def fitted_to(x: Array, raw: Raw, name: str, known: Observation) -> Array:
    """Values of an observation as a model knows it.

    Raises:
        DataError: if it has another shape, or values that the model does not take.
    """
    where = f"{raw.name}: {name}"
    if known.kind == "classes":
        raise DataError(f"{where} holds numbers; the model knows classes. Give labels.")
    if numel(x.shape[1:]) != numel(known.shape):
        raise DataError(
            f"{where} has examples of {readable(x.shape[1:])}; the model was made for {readable(known.shape)}."
        )
    x = shaped(x, known.shape, where)
    if known.kind == "real":
        return x.reshape(len(x), -1).astype(np.float32)
    filled = np.where(np.isnan(x), np.nanmin(x), x) if x.dtype.kind == "f" else x
    own = raw.scale if raw.scale is not None and name == raw.called else measure(filled, True)[1]
    if own.kind == "real":
        raise DataError(
            f"{where} has values from {filled.min():.4g} to {filled.max():.4g}; the model was made for {known.kind} "
            "values. Scale them to [0, 1]."
        )
    values = stored(x, own)
    if known.kind == "binary" and own.kind != "binary":
        return np.where(np.isnan(values), np.nan, values >= 0.5).astype(np.float32)
    return values


def with_units(data: Data) -> Data:
    """The data with mean and spread of each real observation, on the training split."""
    found, x = [], data.train.stored.numpy()
    for one, place in zip(data.spec.observations, data.spec.places.values(), strict=True):
        if one.kind == "real" and not one.scale:
            shift, scale = moments(x[:, place].reshape(-1, *one.shape))
            one = replace(one, shift=shift, scale=scale)
        found.append(one)
    splits = (data.train, data.validation, data.test)
    train, validation, test = (replace(s, spec=replace(s.spec, observations=tuple(found))) for s in splits)
    return replace(data, train=train, validation=validation, test=test)


def hide(split: Split, shares: Mapping[str, float], seed: int = 0) -> Split:
    """Makes observations missing at random.

    Args:
        split: Examples of several observations.
        shares: In what share of the examples each is hidden: 1 in all. An example keeps at least one of those that it
            has.
        seed: Decides in which.

    Raises:
        DataError: if there is no such observation, or a share is not from 0 to 1.
    """
    spec = split.spec
    if not isinstance(split, Split) or not spec.observations:
        raise DataError(f"hidden={dict(shares)}: {spec.name} has no observations beside each other. Leave hidden out.")
    places = spec.places
    x = torch.cat([split.examples(slice(i, i + 4096)).float() for i in range(0, len(split), 4096)])
    before = torch.stack([~x[:, place].isnan().all(1) for place in places.values()], 1)
    for name, share in shares.items():
        if name not in places:
            raise DataError(f"hidden: there is no observation {name!r}. {nearest(name, list(places))}")
        if not 0 <= share <= 1:
            raise DataError(f"hidden: the share of {name} is {share}, expected a number from 0 to 1.")
        draws = torch.rand(len(x), generator=generator(seed, "hide", name)).to(x.device)
        x[draws < share, places[name]] = torch.nan
    left = torch.stack([~x[:, place].isnan().all(1) for place in places.values()], 1)
    bare = (~left.any(1)).nonzero().flatten().tolist()
    if bare:  # one of those that were there, at random
        whole = split.examples(torch.tensor(bare, device=x.device)).float()
        scores = torch.rand(len(bare), len(places), generator=generator(seed, "keep")).to(x.device)
        kept = scores.masked_fill(~before[bare], -1.0).argmax(1).tolist()
        own = list(places.values())
        for row, values, place in zip(bare, whole, kept, strict=True):
            x[row, own[place]] = values[own[place]]
    return replace(split, stored=x, render=None)


def forget(split: Split) -> Split:
    """The split in which the class is missing of x where the label is forgotten."""
    if "labels" not in split.spec.places or split.labels is None:
        return split
    x = split.stored.clone()
    x[split.labels == UNKNOWN, split.spec.places["labels"]] = torch.nan
    return replace(split, stored=x)
