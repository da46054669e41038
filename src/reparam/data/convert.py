"""Python objects -> a source: arrays, tensors, (x, y) pairs, dicts, frames, Datasets, DataLoaders, our own records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from reparam.data.declared import found_names
from reparam.data.images import to_array
from reparam.data.limits import MEMORY_BYTES, readable_bytes, require_room
from reparam.data.ragged import SEQUENCES, TIME, longer, padded
from reparam.data.raw import SPLITS, UNTOLD, Array, Part, Raw, Scale, Told, Wanted, require_numbers, whole
from reparam.data.records import Data, Split
from reparam.data.roles import by_role, grouped, needed, role_of, roles
from reparam.data.spec import Axes
from reparam.data.streams import StreamedSplit
from reparam.data.tables import from_frame
from reparam.errors import DataError
from reparam.shapes import numel

TOLD = ("labels", "groups")  # what items tell of themselves


def from_object(source: Any, wanted: Wanted) -> Raw:
    """Reads anything that is not a name or a path.

    Raises:
        DataError: if it is nothing we know how to read, or its items do not fit together.
    """
    if isinstance(source, Data):
        return from_splits({name: source.split(name) for name in SPLITS})
    if isinstance(source, Split | StreamedSplit):
        return from_splits({"all": source})
    if isinstance(source, bytes | bytearray | set | frozenset):
        raise DataError(
            f"A {type(source).__name__} holds no examples in an order; expected an array, a list or a path."
        )
    if isinstance(source, Mapping):
        return from_dict(source, wanted)
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return from_frame(source, wanted)
    if isinstance(source, Tensor | np.ndarray | Image.Image) or is_sparse(source):
        return whole(type(source).__name__.lower(), numeric(source, "The array", wanted))
    if isinstance(source, tuple) and len(source) == 2:
        return from_pair(source, wanted)
    if isinstance(source, DataLoader):
        return from_batches(source, wanted)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return from_items(type(source).__name__.lower(), (source[i] for i in range(len(source))), wanted)
    if hasattr(source, "__iter__"):
        return from_items(type(source).__name__.lower(), iter(source), wanted)
    raise DataError(
        f"Cannot read data from a {type(source).__name__}; expected a name, a path, an array or tensor, an (x, y) "
        "pair, a dict, a Dataset or a DataLoader."
    )


def is_sparse(value: Any) -> bool:
    """True for a matrix of scipy that keeps no zeros."""
    return hasattr(value, "toarray") and hasattr(value, "nnz")


def values_of(value: Any, wanted: Wanted) -> Array:
    """Numbers or names as an array, wherever they come from.

    Raises:
        DataError: if a sparse matrix would take too much memory.
    """
    if is_sparse(value):
        require_room(value.shape, value.dtype, f"The {type(value).__name__}")
        value = value.toarray()
    if isinstance(value, Image.Image):
        return to_array(value, wanted)
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return np.asarray(value.float() if value.dtype in (torch.bfloat16, torch.float16) else value)
    try:
        found = np.asarray(value)
    except ValueError:  # rows of different lengths
        found = np.empty(0, dtype=object)
    texts = found.dtype == object and found.size and all(isinstance(one, str) for one in found.ravel())
    return found.astype(str) if texts else found


def numeric(value: Any, name: str, wanted: Wanted) -> Array:
    """Numbers as an array.

    Raises:
        DataError: if they are none.
    """
    return require_numbers(values_of(value, wanted), name)


def from_splits(splits: Mapping[str, Split | StreamedSplit]) -> Raw:
    """Our own records, as they are.

    Raises:
        DataError: if they are not in memory, or made when they are asked for and too many to be made at once.
    """
    loaded = {name: split for name, split in splits.items() if isinstance(split, Split)}
    if len(loaded) < len(splits):
        raise DataError("The data are streamed, so they cannot be prepared again. Name their source instead.")
    spec = next(iter(loaded.values())).spec
    made = sum(len(split) for split in loaded.values() if split.render) * numel(spec.shape)
    if made > MEMORY_BYTES:
        raise DataError(
            f"{spec.name} would take {readable_bytes(made)} in memory. Name the source instead, or take a subset."
        )
    if any((split.named["labels"] < 0).any() for split in loaded.values() if "labels" in split.named):
        raise DataError(
            f"Some labels of {spec.name} are not known, so the data cannot be prepared again. Name their source "
            "instead, with labelled where that forgot them."
        )
    parts = {}
    for name, split in loaded.items():
        roles = [role for role in ("labels", "factors", "attributes", "lengths") if role in split.named]
        named: dict[str, Any] = {role: split.named[role].cpu().numpy() for role in roles}
        if "groups" in split.named:
            named["groups"] = np.array((*spec.groups, ""))[split.named["groups"].cpu().numpy()]  # -1: of no known group
        parts[name] = Part(split.examples(slice(None)).cpu().numpy(), **named)
    scale = Scale(spec.kind, spec.levels, spec.divisor)
    raw = Raw(spec.name, parts, spec.columns, spec.classes, scale, conventional=spec.conventional_binarize)
    return replace(raw, observations=spec.observations)


def from_pair(source: tuple[Any, Any], wanted: Wanted) -> Raw:
    """An (x, y) pair of arrays.

    Raises:
        DataError: if y is not one label per example.
    """
    x, labels = numeric(source[0], "x of the (x, y) pair", wanted), values_of(source[1], wanted)
    if labels.ndim == 0 or labels.shape != (labels.shape[0], *[1] * (labels.ndim - 1)):
        raise DataError(f"y of the (x, y) pair has shape {labels.shape}; expected one label per example, ({len(x)},).")
    return whole("pair", x, labels)


def from_dict(source: Mapping[Any, Any], wanted: Wanted) -> Raw:
    """A dict of arrays under the names of an .npz file, or of ``train``, ``validation`` and ``test`` to anything."""
    found = {str(key): value for key, value in source.items()}
    if wanted.observations:
        keys = needed("The dict", found, wanted.observations)
        return by_role("dict", {key: values_of(found[key], wanted) for key in keys}, wanted.observations)
    chosen = roles("The dict", found)
    plain = (Tensor, np.ndarray)
    listed = {split: key for (split, role), key in chosen.items() if role == "x" and not isinstance(found[key], plain)}
    if len(listed) == len(chosen):
        return of_splits({split: (key, from_object(found[key], wanted)) for split, key in listed.items()}, wanted)
    arrays = {key: values_of(found[key], wanted) for key in chosen.values()}
    if any(arrays[key].dtype == object for key in listed.values()):
        if any(role == "lengths" for _, role in chosen):
            raise DataError("The dict has lengths beside a list of arrays, which have their own. Leave lengths out.")
        arrays |= sequences({split: (key, from_object(found[key], wanted)) for split, key in listed.items()}, wanted)
        chosen = roles("The dict", arrays)
    for (_, role), key in chosen.items():
        if role == "x":
            require_numbers(arrays[key], f"{key!r} of the dict")
    return by_role("dict", arrays)


def sequences(found: Mapping[str, tuple[str, Raw]], wanted: Wanted) -> dict[str, Array]:
    """Lists of sequences of several lengths, beside which something else is told: x and lengths by name."""
    arrays = {}
    for split, part in of_splits(found, wanted).parts.items():
        arrays[found[split][0]] = part.x
        if part.lengths is not None:
            arrays["lengths" if split == "all" else f"lengths_{split}"] = part.lengths
    return arrays


def of_splits(found: Mapping[str, tuple[str, Raw]], wanted: Wanted) -> Raw:
    """Plain sources, one for each split, as one.

    Raises:
        DataError: if one has splits itself, or they differ in columns, classes or meaning.
    """
    parts = {}
    first_key, first = next(iter(found.values()))
    for split, (key, raw) in found.items():
        if set(raw.parts) != {"all"}:
            raise DataError(f"{key!r} of the dict has splits of its own; expected plain examples.")
        if sorted(raw.columns) != sorted(first.columns) or (raw.scale, raw.classes) != (first.scale, first.classes):
            raise DataError(
                f"{key!r} and {first_key!r} of the dict differ in columns, classes or what their values mean. Make "
                "them alike."
            )
        part = raw.parts["all"]
        if raw.columns != first.columns:
            part = replace(part, x=part.x[:, [raw.columns.index(column) for column in first.columns]])
        parts[split] = part
    if any(part.lengths is not None for part in parts.values()):
        axes = wanted.axes if wanted.axes in TIME else "NCT"
        parts = {split: longer(part, axes, 0) if part.x.ndim == SEQUENCES else part for split, part in parts.items()}
    return replace(first, name="dict", parts=parts)


def from_batches(loader: Iterable[Any], wanted: Wanted) -> Raw:
    """The batches of a DataLoader, one after another."""
    xs: list[Array] = []
    told: dict[str, list[Array]] = {role: [] for role in TOLD}
    for batch in loader:
        x, beside = parted(batch, wanted.told)
        xs.append(numeric(x, "A batch of the DataLoader", wanted))
        for role, values in beside.items():
            if values is not None:
                told[role].append(values_of(values, wanted))
    if not xs:
        raise DataError("The DataLoader gave no batches.")
    if len({x.shape[1:] for x in xs}) > 1:
        raise DataError(f"The batches of the DataLoader differ in shape: {sorted({x.shape[1:] for x in xs})[:2]}.")
    known: dict[str, Any] = {role: np.concatenate(values) for role, values in told.items() if len(values) == len(xs)}
    return Raw("dataloader", {"all": Part(np.concatenate(xs), **known)}, told=told_of(batch, wanted))


def from_items(name: str, items: Iterator[Any], wanted: Wanted) -> Raw:
    """The examples of a Dataset or a list, each x or (x, label) or a dict.

    Raises:
        DataError: if there are none, they differ in shape and are no sequences (D, T_i), or they do not end.
    """
    xs: list[Array] = []
    told: dict[str, list[Any]] = {role: [] for role in TOLD}
    size = 0
    for i, item in enumerate(items):
        x, beside = parted(item, wanted.told)
        xs.append(numeric(x, f"Item {i}", wanted))
        for role, value in beside.items():
            told[role].append(single_label(value, role, i, wanted))
        if xs[-1].shape != xs[0].shape:
            xs = alike(xs, i, wanted.axes)
        size += xs[-1].nbytes
        if size > MEMORY_BYTES:
            raise DataError(f"The items take more than {readable_bytes(MEMORY_BYTES)}. Give fewer or smaller ones.")
    if not xs:
        raise DataError(f"The {name} has no items.")
    known: dict[str, Any] = {
        role: np.array(values)
        for role, values in told.items()
        if len(values) == len(xs) and (role == "groups" or any(value is not None for value in values))
    }
    x, lengths = padded(xs, wanted.axes) if len({x.shape for x in xs}) > 1 else (np.stack(xs), None)
    return Raw(name, {"all": Part(x, lengths=lengths, **known)}, told=told_of(item, wanted))


def alike(xs: list[Array], i: int, axes: Axes) -> list[Array]:
    """Gives grey pictures three channels where the others have colour; leaves sequences of several lengths alone.

    Sequences are what has two axes, of anything where ``axes`` says so, else not of bytes.

    Raises:
        DataError: if the shapes differ in another way.
    """
    shapes = {x.shape for x in (xs[0], xs[-1])}
    signals = all(x.ndim == 2 and (axes in TIME or x.dtype != np.uint8) for x in (xs[0], xs[-1]))
    steps = TIME.get(axes, TIME["NCT"]) - 1
    if signals and len({shape[1 - steps] for shape in shapes}) == 1 and min(shape[steps] for shape in shapes) > 0:
        return xs
    mixed = len({shape[:2] for shape in shapes}) == 1 and {shape[2:] for shape in shapes} == {(), (3,)}
    if mixed and all(x.dtype == np.uint8 for x in xs):
        return [np.repeat(x[..., None], 3, -1) if x.ndim == 2 else x for x in xs]
    raise DataError(
        f"Items differ in shape: item 0 is {xs[0].shape}, item {i} is {xs[-1].shape}. Make them one shape "
        "(pictures: --data.size 64, or size=64 in Python; sequences: (D, T) of numbers, with one D; say "
        "axes=NCT if they are of bytes, axes=NTC if they are (T, D))."
    )


def told_of(item: Any, wanted: Wanted) -> Told:
    """The names that are told, where an item or a batch has names."""
    return wanted.told if isinstance(item, Mapping) else UNTOLD


def parted(item: Any, told: Told) -> tuple[Any, dict[str, Any]]:
    """The example of an item or a batch, and its label and group where there are some; the rest is left out.

    Raises:
        DataError: if it has no example, or nothing under a name that is told.
    """
    if isinstance(item, Mapping):
        own = found_names(told, list(map(str, item)), "An item")
        named = {role: item[key] for key in item if key not in own.names.values() and (role := role_of(str(key)))}
        named |= {("all", role): item[key] for role, key in (("labels", own.label), ("groups", own.group)) if key}
        named = grouped(named)
        if ("all", "x") not in named:
            raise DataError(f"An item has the keys {', '.join(map(repr, item))}; expected one called 'x' or 'image'.")
        return named["all", "x"], {role: named["all", role] for role in TOLD if ("all", role) in named}
    if isinstance(item, tuple) or (isinstance(item, list) and item and isinstance(item[0], Tensor)):
        if not item:
            raise DataError("An item is an empty tuple; expected x or (x, label).")
        return item[0], {"labels": item[1]} if len(item) > 1 else {}
    return item, {}


def single_label(label: Any, role: str, i: int, wanted: Wanted) -> Any:
    """The label or the group of one item as a number or a name; None for a group that is neither.

    Raises:
        DataError: if a label is neither.
    """
    found = values_of(label, wanted)
    if role == "groups" and found.size != 1:
        return None
    if found.size != 1:
        raise DataError(f"The {role[:-1]} of item {i} has shape {found.shape}; expected one number or name.")
    return found.ravel().tolist()[0]
