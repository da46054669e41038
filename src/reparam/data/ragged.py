"""Sequences of several lengths in one array: as long as the longest, with zeros behind their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from reparam.data.limits import MEMORY_BYTES, readable_bytes
from reparam.data.raw import Array, Part, Raw
from reparam.data.spec import Axes, DataSpec
from reparam.errors import DataError
from reparam.shapes import readable

SEQUENCES = 3  # axes: examples, numbers and steps
TIME: Mapping[Axes, int] = {"NCT": 2, "NTC": 1}


def padded(sequences: Sequence[Array], axes: Axes = "auto") -> tuple[Array, Array]:
    """Sequences (D, T_i) as one array (N, D, T) with zeros behind their ends, and their lengths; NTC: (T_i, D).

    Raises:
        DataError: if they take more than the memory, all of them as long as the longest.
    """
    place = TIME.get(axes, TIME["NCT"]) - 1
    lengths = np.array([one.shape[place] for one in sequences])
    shape = list(sequences[0].shape)
    shape[place] = int(lengths.max())
    dtype = np.result_type(*{one.dtype for one in sequences})
    size = len(sequences) * shape[0] * shape[1] * dtype.itemsize
    if size > MEMORY_BYTES:
        raise DataError(
            f"The {len(sequences)} sequences, all as long as the longest, take {readable_bytes(size)}. Cut the longest."
        )
    x = np.zeros((len(sequences), *shape), dtype)
    for row, one in zip(x, sequences, strict=True):
        row[: one.shape[0], : one.shape[1]] = one
    return x, lengths


def longer(part: Part, axes: Axes, steps: int) -> Part:
    """Sequences with zeros behind, so that there are so many steps; those without lengths get what they had."""
    time = TIME[axes]
    own = part.x.shape[time]
    room = [(0, max(0, steps - own)) if axis == time else (0, 0) for axis in range(SEQUENCES)]
    lengths = np.full(len(part.x), own) if part.lengths is None else part.lengths
    return replace(part, x=np.pad(part.x, room), lengths=lengths)


def sequence_axes(raw: Raw, spec: DataSpec | None) -> Axes:
    """Which axis of sequences is which: as it is said of them, or of those that a model knows, else (N, D, T)."""
    if raw.declared.axes != "auto":
        return raw.declared.axes
    stepwise = spec is not None and spec.axes == "NTC"
    fitting = stepwise and all(part.x.shape[-1:] == spec.shape[:1] for part in raw.parts.values())  # type: ignore[union-attr]
    return "NTC" if fitting else "NCT"


def fits(x: Array, axes: Axes, spec: DataSpec) -> bool:
    """True for sequences of as many numbers at a step as those that a model knows, and no more steps."""
    steps = TIME[axes]
    return x.ndim == SEQUENCES and x.shape[SEQUENCES - steps] == spec.shape[0] and x.shape[steps] <= spec.shape[-1]


def single(raw: Raw, spec: DataSpec) -> Raw:
    """One sequence alone as one of one, for a model of sequences of several lengths."""
    axes = sequence_axes(raw, spec)
    if "lengths" not in spec.widths or axes not in TIME:
        return raw
    parts = {split: replace(p, x=p.x[None]) if fits(p.x[None], axes, spec) else p for split, p in raw.parts.items()}
    return replace(raw, parts=parts)


def ended(raw: Raw, spec: DataSpec | None) -> Raw:
    """Sequences with lengths: whole numbers, (N,), zeros behind the ends, whatever lies there, and as many steps each.

    Raises:
        DataError: if there are not as many lengths as sequences, or one is not of steps that there are.
    """
    if any(part.lengths is None for part in raw.parts.values()):
        return raw
    axes = sequence_axes(raw, spec)
    parts = {split: cleared(raw.name, part, axes) for split, part in raw.parts.items()}
    most = max(part.x.shape[TIME[axes]] for part in parts.values())
    parts = {split: p if p.x.shape[TIME[axes]] == most else longer(p, axes, most) for split, p in parts.items()}
    return replace(raw, parts=parts, declared=replace(raw.declared, axes=axes))


def cleared(name: str, part: Part, axes: Axes) -> Part:
    """Sequences with zeros behind their ends, and their lengths as whole numbers, (N,).

    Raises:
        DataError: as in :func:`ended`.
    """
    x, lengths = part.x, np.asarray(part.lengths)
    if axes not in TIME:
        raise DataError(f"{name} has lengths, but axes={axes}; expected sequences, axes=NCT or NTC. Declare those.")
    if x.ndim != SEQUENCES:
        raise DataError(
            f"{name} has lengths, but examples of shape {readable(x.shape[1:])}; expected sequences (D, T)."
        )
    if lengths.dtype.kind not in "biuf" or lengths.size != len(x) or max(lengths.shape, default=1) != lengths.size:
        raise DataError(
            f"{name} has {len(x):,} sequences, and lengths of shape {lengths.shape}, type {lengths.dtype}; expected "
            "one whole number for each sequence."
        )
    steps, lengths = x.shape[TIME[axes]], lengths.ravel()
    if not (lengths == np.floor(lengths)).all() or lengths.min() < 1 or lengths.max() > steps:
        raise DataError(
            f"The lengths of {name} run from {lengths.min():g} to {lengths.max():g}; expected one whole number for "
            f"each sequence, from 1 to {steps}."
        )
    behind = np.arange(steps) >= lengths[:, None]
    if x.swapaxes(1, TIME[axes])[behind].any():
        x = x.copy()
        x.swapaxes(1, TIME[axes])[behind] = 0
    return replace(part, x=x, lengths=lengths.astype(np.int64))


def lengthened(raw: Raw, spec: DataSpec) -> Raw:
    """Sequences (D, t) made as long as those that a model knows, with zeros behind their ends and their own lengths."""
    axes = sequence_axes(raw, spec)
    if "lengths" not in spec.widths or axes not in TIME:
        return raw
    parts = {
        split: longer(part, axes, spec.shape[-1]) if fits(part.x, axes, spec) else part
        for split, part in raw.parts.items()
    }
    return replace(raw, parts=parts)
