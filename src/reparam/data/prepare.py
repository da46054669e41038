"""A source as it was found -> train, validation and test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from reparam.data import images
from reparam.data.beside import FOREIGN, ROLES, UNKNOWN, class_numbers, group_numbers, tables
from reparam.data.ragged import ended, lengthened, single
from reparam.data.raw import BYTES, REAL, SPLITS, Array, Raw, Scale, require_numbers
from reparam.data.records import Data, Split
from reparam.data.spec import DataSpec, SplitBy
from reparam.data.values import arrange, as_stored, conform, hinted, in_order, measure, require_finite, shaped
from reparam.errors import DataError, ShapeError
from reparam.rng import generator
from reparam.shapes import readable


def checked(raw: Raw, spec: DataSpec | None = None) -> Raw:
    """The source, if it holds finite numbers, at least one example, and at least one feature.

    What lies behind the ends of sequences becomes zero before it is looked at.

    Raises:
        DataError: if it does not.
    """
    for split, part in raw.parts.items():
        named = called(raw, split)
        x = require_numbers(part.x, named)
        if x.ndim == 0:
            raise DataError(f"{named} is a single number; expected an array of examples.")
        if not len(x):
            raise DataError(f"{named} has no examples.")
        if not x.size:
            raise DataError(f"{named} has shape {x.shape}: examples without features.")
    if raw.observations:  # NaN is what is missing
        return raw
    raw = ended(raw, spec)
    for split, part in raw.parts.items():
        require_finite(part.x, called(raw, split), raw.columns)
    return raw


def called(raw: Raw, split: str) -> str:
    """What messages call a part."""
    return raw.name if split == "all" else f"{raw.name} ({split})"


def joined(raw: Raw) -> Array:
    """The examples of all parts in one array.

    Raises:
        ShapeError: if the parts differ in shape.
    """
    first, *others = raw.parts
    for other in others:
        if raw.parts[other].x.shape[1:] != raw.parts[first].x.shape[1:]:
            raise ShapeError(
                f"{raw.name}: {first} has examples of shape {raw.parts[first].x.shape[1:]}, {other} of "
                f"{raw.parts[other].x.shape[1:]}. Make them one shape."
            )
    return np.concatenate([part.x for part in raw.parts.values()]) if others else raw.parts[first].x


def with_values(raw: Raw, x: Array, scale: Scale) -> Raw:
    """The source with other values in its parts, and their meaning."""
    parts, start = {}, 0
    for split, part in raw.parts.items():
        parts[split] = replace(part, x=x[start : start + len(part.x)])
        start += len(part.x)
    return replace(raw, parts=parts, scale=scale)


def settled(raw: Raw, size: tuple[int, int] | None) -> Raw:
    """The source with its axes in order and its values as they will be stored, pictures in the size that is wanted.

    Raises:
        DataError: if a size is wanted of what are no pictures, or of counts.
    """
    x, known = arrange(joined(raw), raw.name, raw.declared.axes), raw.scale
    x, scale = (as_stored(x, known), known) if known else measure(x, x.ndim > 2, raw.declared.values)
    if size is not None and x.ndim != 4:
        raise DataError(
            f"size= resizes pictures; {raw.name} has examples of shape {readable(x.shape[1:])}. Leave it out."
        )
    if size is not None and x.shape[2:] != size:
        if scale.kind == "counts":
            raise DataError(
                f"size= averages neighbours, and {raw.name} holds counts, which are whole. Leave it out, or read them "
                "as real numbers: --data.values real (values= in Python)."
            )
        if scale.kind == "binary":
            x, scale = x * np.uint8(255), BYTES
        x = images.resize(x, size)
    return with_values(raw, x, scale)


def conformed(raw: Raw, spec: DataSpec) -> Raw:
    """The source as a model's DataSpec has it.

    Raises:
        ShapeError: if the shape does not fit.
        DataError: if the columns or the values do not.
    """
    parts = {
        split: replace(part, x=shaped(in_order(part.x, raw, spec), spec.shape, raw.name, raw.declared.axes))
        for split, part in raw.parts.items()
    }
    raw = replace(raw, parts=parts)
    scale = Scale(spec.kind, spec.levels, spec.divisor)
    return with_values(raw, conform(joined(raw), raw.scale, spec, raw.name, raw.declared.values), scale)


def shares(raw: Raw, validation: float | int | None, seed: int, members: Array | None = None) -> dict[str, Array]:
    """Numbers of the examples of each split.

    A source with one part is divided at random 80/10/10; one without validation (or test) gives a tenth of train, or
    by convention its tail; fewer than three examples serve in all splits. Where the groups of all examples are given,
    ``members``, a split takes whole groups, see :func:`chosen_groups`.

    Raises:
        DataError: if ``validation`` takes what is not there, or there are fewer groups than splits.
    """
    ends = np.cumsum([len(part.x) for part in raw.parts.values()])
    ranges = {
        split: np.arange(end - len(part.x), end) for (split, part), end in zip(raw.parts.items(), ends, strict=True)
    }
    if "train" not in ranges and len(ranges) > 1:
        raise DataError(f"{raw.name} has {' and '.join(ranges)} but no train. Add x_train.")
    if "validation" in ranges and len(ranges) > 1 and validation is not None:
        raise DataError(f"{raw.name} has a validation split of its own. Leave validation unset.")
    if len(ranges) == 1:
        ranges = {"train": next(iter(ranges.values()))}
    train = ranges["train"]
    missing = [split for split in SPLITS[1:] if split not in ranges]
    if len(train) < len(missing) + 1:
        return {split: ranges.get(split, train) for split in SPLITS}
    tenth = max(1, round(len(train) / 10))
    if raw.tail and validation is None and len(train) > raw.tail and members is None:
        return {**ranges, "train": train[: -raw.tail], "validation": train[-raw.tail :]}
    whole = np.arange(ends[-1]) if members is None else members
    order, sizes = shuffled(train, whole[train], raw.name, seed)
    for left, split in enumerate(reversed(missing), -len(missing)):
        take = tenth if split == "test" or validation is None else held_out(validation, len(train))
        if take >= len(order):
            raise DataError(
                f"validation={validation} leaves nothing to train on: {raw.name} has {len(train)} examples."
            )
        if len(sizes) + left < 1:
            raise DataError(f"{raw.name} has {len(np.unique(whole[train]))} groups for {len(missing) + 1} splits.")
        groups = chosen_groups(sizes, take, len(sizes) + left)
        rows = np.repeat(groups, sizes)
        ranges[split], order, sizes = np.sort(order[rows]), order[~rows], sizes[~groups]
    return {**ranges, "train": np.sort(order)}


def chosen_groups(sizes: Array, take: int, most: int) -> Array:
    """True for the groups of a split of about ``take`` examples.

    Taken in their order, without those whose examples beyond ``take`` would be as many as are lacking, or more. There
    is one at least, the smallest, and there are ``most`` of them at most.

    Args:
        sizes: Examples of each group.
        take: How many examples are wanted.
        most: How many groups there may be.
    """
    chosen: list[int] = []
    lacking = take
    for group, size in enumerate(sizes.tolist()):
        if lacking <= 0 or len(chosen) == most:
            break
        if size < 2 * lacking:
            chosen.append(group)
            lacking -= size
    found = np.zeros(len(sizes), bool)
    found[chosen or [int(sizes.argmin())]] = True
    return found


def shuffled(numbers: Array, members: Array, name: str, seed: int) -> tuple[Array, Array]:
    """Examples in a random order in which those of a group follow each other, and how many each group has.

    Raises:
        DataError: if the group of one is not known.
    """
    if members.min() < 0:
        raise DataError(f"split_by=groups: some examples of {name} have no group. Tell it, or leave split_by unset.")
    _, own, sizes = np.unique(members, return_inverse=True, return_counts=True)
    groups = torch.randperm(len(sizes), generator=generator("split", seed)).numpy()
    return numbers[np.argsort(np.argsort(groups)[own.ravel()], kind="stable")], sizes[groups]


def members_of(raw: Raw, split_by: SplitBy) -> Array | None:
    """What each example belongs to, where splits are to be made of that: its group, or its class; -1 where unknown.

    Raises:
        DataError: if it has neither, or has all splits already.
    """
    if split_by == "examples":
        return None
    for role in ROLES:
        numbers, names = class_numbers(raw, (), role)
        if names:
            if len(raw.parts) == len(SPLITS):
                raise DataError(f"split_by={split_by}: {raw.name} has splits of its own. Leave split_by unset.")
            return numbers
    raise DataError(f"split_by={split_by}: {raw.name} has neither groups nor labels. Add them.")


def held_out(validation: float | int, count: int) -> int:
    """How many examples ``validation`` asks for: a share below 1, or a number.

    Raises:
        DataError: if it is neither.
    """
    if not 0 < validation < math.inf or (validation >= 1 and validation != int(validation)):
        raise DataError(f"validation={validation}; expected a share between 0 and 1, or a whole number of examples.")
    return int(validation) if validation >= 1 else max(1, round(validation * count))


def moments(x: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation over everything but the first axis behind the examples; 1 for what is constant.

    NaN, what is missing of an observation, does not count; a channel without any value has 0 and 1.
    """
    axes = (0, *range(2, x.ndim))
    if x.dtype.kind == "f" and np.isnan(x.min()):
        x = np.where(np.isnan(x).all(axis=axes, keepdims=True), 0, x)
    shift, scale = (np.asarray(of(x, axis=axes, dtype=np.float64)) for of in (np.nanmean, np.nanstd))
    constant = (np.nanmin(x, axis=axes) == np.nanmax(x, axis=axes)) | (scale <= 0)
    return tuple(shift.tolist()), tuple(np.where(constant, 1.0, scale).tolist())


def units(x: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and spread of each channel; 0 and 1 for a channel of a signal that is 0 or 1, such as that of a pen."""
    shift, scale = moments(x)
    if x.ndim != 3:
        return shift, scale
    bits = ((x == 0) | (x == 1)).all(axis=(0, 2))
    return tuple(np.where(bits, 0.0, shift).tolist()), tuple(np.where(bits, 1.0, scale).tolist())


def steps_there(raw: Raw, x: Array, index: Array) -> Array:
    """The examples with these numbers; of sequences with lengths, the steps that there are, (1, D, steps)."""
    parts = [part.lengths for part in raw.parts.values()]
    if any(lengths is None for lengths in parts):
        return x[index]
    lengths = np.concatenate([own.ravel() for own in parts if own is not None])[index]
    there = np.arange(x.shape[2]) < lengths[:, None]
    return np.ascontiguousarray(x[index].transpose(0, 2, 1)[there].T[None])


def described(raw: Raw, scale: Scale, x: Array, train: Array) -> DataSpec:
    """What a model must know of these data, apart from the names of the classes."""
    own_units = scale.kind in ("real", "counts") and not raw.observations
    logs = np.log1p(x, dtype=np.float32) if scale.kind == "counts" else x
    shift, spread = units(steps_there(raw, logs, train)) if own_units else ((), ())
    return DataSpec(
        name=raw.name,
        shape=tuple(x.shape[1:]),
        kind=scale.kind,
        levels=scale.levels,
        divisor=scale.divisor,
        conventional_binarize="none" if scale.kind == "binary" else raw.conventional,
        columns=raw.columns,
        shift=shift,
        scale=spread,
        axes=raw.declared.axes,
        values=raw.declared.values,
        observations=raw.observations,
        label_column=raw.told.label,
        group_column=raw.told.group,
        value_columns=raw.told.values,
    )


def prepared(raw: Raw, spec: DataSpec | None, size: tuple[int, int] | None) -> tuple[Array, Raw]:
    """The values as they are stored, (N, *shape), and the source in the same order.

    Raises:
        DataError: if the source is bad, or does not fit the model.
    """
    if raw.observations:  # in order, and of the model's kinds, since they were put side by side
        return joined(checked(raw)), raw
    raw = checked(raw) if spec is None else hinted(lengthened(checked(single(raw, spec), spec), spec), spec)
    if spec is None or size is not None:
        raw = settled(raw, size)
    if spec is not None:
        raw = conformed(raw, spec)
    return joined(raw), raw


def divided(
    raw: Raw,
    spec: DataSpec | None = None,
    size: tuple[int, int] | None = None,
    validation: float | int | None = None,
    seed: int = 0,
    split_by: SplitBy = "examples",
) -> Data:
    """Makes train, validation and test of a source.

    Args:
        raw: The source.
        spec: What a model knows of its data; the source is made to fit.
        size: Height and width of pictures.
        validation: Share or number of the training examples for validation.
        seed: Decides the random splits.
        split_by: What they are made of; a source for a model is divided by examples where its groups do not allow it.

    Raises:
        DataError: if the source is bad, or does not fit the model.
    """
    x, raw = prepared(raw, spec, size)
    try:
        index = shares(raw, validation, seed, members_of(raw, split_by))
    except DataError:
        if spec is None:
            raise
        index = shares(raw, validation, seed)
    spec, beside = with_beside(raw, spec, spec or described(raw, raw.scale or REAL, x, index["train"]))
    splits = {name: split_of(x, beside, index[name], spec) for name in SPLITS}
    return Data(splits["train"], splits["validation"], splits["test"])


def undivided(raw: Raw, spec: DataSpec | None, size: tuple[int, int] | None = None) -> Split:
    """All examples of a source in their own order, whatever splits it has.

    Raises:
        DataError: if the source is bad, or does not fit the model.
    """
    x, raw = prepared(raw, spec, size)
    everything = np.arange(len(x))
    spec, beside = with_beside(raw, spec, spec or described(raw, raw.scale or REAL, x, everything))
    return split_of(x, beside, everything, spec)


def with_beside(raw: Raw, known: DataSpec | None, spec: DataSpec) -> tuple[DataSpec, dict[str, Array]]:
    """What the data are with all that stands beside x, and that itself by name: class and group numbers, and tables.

    Args:
        raw: The source.
        known: What a model knows of its data.
        spec: What x is.

    Raises:
        DataError: if something does not fit to the examples.
    """
    labels, classes = class_numbers(raw, known.classes if known else ())
    members, groups = group_numbers(raw, known.groups if known else ())
    found = tables(raw)
    widths = {role: table.shape[1] for role, table in found.items()}
    spec = replace(spec, name=raw.name, classes=classes, groups=groups, widths=widths)
    return spec, {"labels": labels, "groups": members, **found}


def split_of(x: Array, beside: Mapping[str, Array], index: Array, spec: DataSpec) -> Split:
    """The examples with these numbers; groups only where every one of them has one, labels where one is known."""
    chosen = {name: values[index] for name, values in beside.items()}
    named = {
        name: torch.from_numpy(values)
        for name, values in chosen.items()
        if name not in ROLES or (some_known(values) if name == "labels" else not (values == UNKNOWN).any())
    }
    return Split(torch.from_numpy(np.ascontiguousarray(x[index])), spec, named)


def some_known(numbers: Array) -> bool:
    """True where one label at least is known, and none is of a class that the model does not know."""
    return bool((numbers >= 0).any() and not (numbers == FOREIGN).any())
