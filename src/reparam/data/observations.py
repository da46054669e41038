"""Several observations of each example -> one vector, with NaN where something is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from reparam.data.limits import some
from reparam.data.prepare import UNKNOWN, class_numbers, moments
from reparam.data.raw import REAL, Array, Raw, require_numbers
from reparam.data.records import Data, Observation, Split
from reparam.data.values import arrange, measure
from reparam.errors import DataError, nearest
from reparam.rng import generator
from reparam.shapes import readable

ROLES = ("labels", "attributes", "factors")
SEPARATORS = "._-: "


def side_by_side(raw: Raw, names: Sequence[str], known: Sequence[Observation] = ()) -> Raw:
    """The source with x made of several observations.

    Args:
        raw: A source whose parts hold them.
        names: Which, in this order: ``x``, ``labels``, ``attributes``, ``factors``, an array's name, or what the names
            of some columns of a table begin with (``depth`` for ``depth_1``, ``depth_2``).
        known: What a model knows of them; then they are made to fit.

    Raises:
        DataError: if one is not there, or they do not fit together.
    """
    if len(set(names)) != len(names) or len(names) < 2:
        raise DataError(f"observations={', '.join(names)}: expected at least two, each once.")
    found, values = [], []
    for place, name in enumerate(names):
        own = known[place] if known else None
        array, classes = gathered(raw, name, own)
        one, stored = measured(raw.name, name, array, classes)
        if group := tuple(column[len(name) :].lstrip(SEPARATORS) for column in raw.columns if of_group(column, name)):
            one = replace(one, columns=group if len(group) == one.shape[0] else ())
        if own is not None:
            require_same(raw.name, own, one)
        found.append(one if own is None else own)
        values.append(stored)
    lengths = {name: len(array) for name, array in zip(names, values, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{raw.name}: "
            + ", ".join(f"{name} has {count:,} examples" for name, count in lengths.items())
            + ". Give each observation of every example, with NaN where it is missing."
        )
    whole = np.concatenate(values, 1)
    if np.isnan(whole).all(1).any():
        row = int(np.isnan(whole).all(1).argmax())
        raise DataError(f"{raw.name}: of example {row} (counted from 0) nothing is there. Leave it out.")
    parts, start = {}, 0
    for split, part in raw.parts.items():
        parts[split] = replace(part, x=whole[start : start + len(part.x)], others={})
        start += len(part.x)
    return replace(raw, parts=parts, columns=(), scale=REAL, tail=raw.tail, observations=tuple(found))


def gathered(raw: Raw, name: str, known: Observation | None) -> tuple[Array, tuple[str, ...]]:
    """One observation of all examples; of classes their numbers (-1 where there is none) and their names.

    Raises:
        DataError: if it is not there.
    """
    parts = list(raw.parts.values())
    if name == "labels" and any(part.labels is not None for part in parts):
        numbers, classes = class_numbers(raw, known.classes if known else ())
        return numbers, classes
    columns = [i for i, column in enumerate(raw.columns) if of_group(column, name)]
    found = [part.others.get(name, getattr(part, name, None) if name in ROLES else None) for part in parts]
    if name in ("x", raw.called):
        found = [part.x for part in parts]
    elif columns:
        found = [part.x[:, columns] for part in parts]
    arrays = [one for one in found if one is not None]
    if len(arrays) == len(parts):
        if len({one.shape[1:] for one in arrays}) > 1:
            raise DataError(f"{raw.name}: {name} differs in shape between the splits. Make it one shape.")
        return np.concatenate(arrays), ()
    there = {"x", *(role for role in ROLES if getattr(parts[0], role) is not None), *parts[0].others}
    raise DataError(f"{raw.name} has no observation {some([name])}. {nearest(name, sorted(there))}")


def of_group(column: str, name: str) -> bool:
    """True for ``depth_1`` of the group ``depth``."""
    rest = column.removeprefix(name)
    return column == name or (rest != column and (rest[0] in SEPARATORS or rest[0].isdigit()))


def measured(source: str, name: str, x: Array, classes: tuple[str, ...]) -> tuple[Observation, Array]:
    """What an observation is, and its values as they lie in x: (N, size), float32, NaN where missing.

    Raises:
        DataError: if it is infinite somewhere, or holds no numbers.
    """
    if classes:
        rows = np.eye(len(classes), dtype=np.float32)[x]
        rows[x == UNKNOWN] = np.nan
        return Observation(name, (len(classes),), "classes", classes), rows
    x = require_numbers(x, f"{source}: {name}").astype(np.float64)
    if np.isinf(x).any():
        raise DataError(f"{source}: {name} is infinite somewhere; expected numbers, and NaN where one is missing.")
    if np.isnan(x).all():
        raise DataError(f"{source}: {name} is missing in all examples. Leave it out.")
    filled = np.where(np.isnan(x), np.nanmin(x), x)
    shape = arrange(filled, f"{source}: {name}").shape
    arranged = x.reshape(shape) if x.ndim != 4 else arrange(x, name)
    _, scale = measure(np.where(np.isnan(arranged), np.nanmin(x), arranged), len(shape) > 2)
    values = (arranged / scale.divisor).astype(np.float32).reshape(len(x), -1)
    kind = "unit" if scale.kind == "levels" else scale.kind
    if scale.kind == "binary":
        values = np.where(np.isnan(values), np.nan, values > 0).astype(np.float32)
    return Observation(name, tuple(shape[1:]), kind), values


def require_same(source: str, known: Observation, found: Observation) -> None:
    """Checks that an observation is what a model knows.

    Raises:
        DataError: if it has another shape, or values that the model does not take.
    """
    fits = found.kind == known.kind or known.kind == "real" or (known.kind, found.kind) == ("unit", "binary")
    if found.shape != known.shape or (known.kind == "classes") != (found.kind == "classes") or not fits:
        raise DataError(
            f"{source}: {known.name} is {found.kind} of {readable(found.shape)}; the model was made for {known.kind} "
            f"of {readable(known.shape)}."
        )


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
        whole = torch.cat([split.examples(torch.tensor([row], device=x.device)).float() for row in bare])
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
