"""Which axis is which, and what the numbers mean: arrays as found -> (C, H, W), (C, T) or (D,) with a Scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reparam.data.raw import BINARY, BYTES, COUNTS, FOUND_OUT, REAL, UNIT, Array, Declared, Raw, Scale
from reparam.data.spec import Axes, DataSpec, Values
from reparam.errors import DataError, ShapeError
from reparam.shapes import Shape, numel, readable

# Resampling and rounding leave values a little outside [0, 1].
SLACK = 1e-6

# Where a model sees the axes in another order than they are declared in.
ORDER: dict[str, tuple[int, ...]] = {"NTC": (0, 2, 1), "NHWC": (0, 3, 1, 2)}
MEANING = {
    "binary": "0 and 1, or 0 and 255, alone",
    "levels": "whole numbers from 0 to 255",
    "unit": "numbers in [0, 1] or in [0, 255]",
    "counts": "whole numbers from 0 on",
}


def only(x: Array, high: int) -> bool:
    """True if nothing but 0 and ``high`` occurs."""
    return bool(x.min() >= 0 and x.max() <= high and ((x == 0) | (x == high)).all())


def within(x: Array, high: float) -> bool:
    """True if every value is between 0 and ``high``."""
    slack = SLACK * high
    return bool(x.min() >= -slack and x.max() <= high + slack)


def arrange(x: Array, name: str, axes: Axes = "auto") -> Array:
    """Puts the axes of N examples in order, as they are declared, or else as they are found to be.

    Four axes are pictures: channels first if the second axis is 1 or 3, else last if the last is 1, 3 or 4 (the fourth,
    transparency, is left out), else first. Three axes are grey pictures if the numbers are those of pictures (whole, or
    all in [0, 1] or in [0, 255]); else signals, (channels, time). Two axes are a table, one is a table of one column.

    Shapes:
        x: (N,), (N, D), (N, H, W), (N, C, T), (N, C, H, W) or (N, H, W, C) -> (N, D), (N, C, T) or (N, C, H, W);
            declared, also (N, T, C)

    Raises:
        DataError: if there are more axes, or none, or not those that are declared.
    """
    if axes != "auto":
        return _declared(x, name, axes)
    if x.ndim == 1:
        return x[:, None]
    if x.ndim == 2:
        return x
    if x.ndim == 3:
        return x[:, None] if x.dtype.kind == "b" or within(x, 255) else x
    if x.ndim == 4:
        if x.shape[1] not in (1, 3) and x.shape[-1] in (1, 3, 4):
            x = x.transpose(0, 3, 1, 2)
            return x[:, :3]
        return x
    raise DataError(
        f"{name} has shape {x.shape}; expected N examples of one axis (tables), two (grey pictures, signals) or three "
        "(pictures with channels)."
    )


def _declared(x: Array, name: str, axes: Axes) -> Array:
    """The axes in the order in which a model sees them; grey pictures get a channel.

    Raises:
        DataError: if x has not so many axes.
    """
    if axes == "ND" and x.ndim == 1:
        return x[:, None]
    if x.ndim != len(axes):
        raise DataError(f"{name} has shape {x.shape}; axes={axes} says {len(axes)} axes. Declare others, or none.")
    if axes == "NHW":
        return x[:, None]
    return x.transpose(ORDER.get(axes, tuple(range(x.ndim))))


def measure(x: Array, pictures: bool, values: Values = "auto") -> tuple[Array, Scale]:
    """What the numbers are: 0 or 1, grey levels, real numbers in [0, 1], or real numbers.

    Args:
        x: The examples.
        pictures: Numbers in 0..255 are grey levels, not those of a table.
        values: What they are said to be.

    Returns:
        The values as they are stored (uint8 or float32), and how they become x.

    Raises:
        DataError: if they cannot be what they are said to be.
    """
    if values != "auto":
        return _meaning(x, values)
    if only(x, 1):
        return x.astype(np.uint8), BINARY
    if pictures and x.dtype.kind == "f" and within(x, 1):
        return np.clip(x, 0, 1).astype(np.float32), UNIT
    if pictures and within(x, 255):
        if x.dtype.kind == "f" and (x != np.floor(x)).any():
            if x.ndim < 4:
                return _single(x), REAL  # of signals they are no grey values
            if x.max() < 2:
                raise DataError(
                    f"Grey values lie between {x.min():g} and {x.max():g}: neither in [0, 1] nor in 0..255. "
                    "Clip or scale them."
                )
            return np.clip(x, 0, 255).astype(np.float32), replace(UNIT, divisor=255.0)
        if only(x, 255):
            return (x != 0).astype(np.uint8), BINARY
        return x.astype(np.uint8), BYTES
    return _single(x), REAL


def _meaning(x: Array, values: Values) -> tuple[Array, Scale]:
    """The values as they are stored where the user says what they are.

    Raises:
        DataError: if they are not that.
    """
    if values == "real":
        return _single(x), REAL
    if values == "binary" and (only(x, 1) or only(x, 255)):
        return (x != 0).astype(np.uint8), BINARY
    if values == "levels" and _whole(x) and within(x, 255):
        return x.astype(np.uint8), BYTES
    if values == "unit" and within(x, 255):
        top = 1.0 if within(x, 1) else 255.0
        return np.clip(x, 0, top).astype(np.float32), replace(UNIT, divisor=top)
    if values == "counts" and countable(x):
        return as_stored(x, COUNTS), COUNTS
    raise DataError(
        f"values={values} says {MEANING[values]}; they lie between {x.min():g} and {x.max():g}"
        f"{'' if _whole(x) else ', not all of them whole'}. Declare others, or none."
    )


def countable(x: Array) -> bool:
    """True for whole numbers from 0 on."""
    return _whole(x) and bool(x.min() >= 0)


def _whole(x: Array) -> bool:
    return x.dtype.kind != "f" or bool((x == np.floor(x)).all())


def hinted(raw: Raw, spec: DataSpec) -> Raw:
    """A source of which nothing is said, with what was said of the model's own data where it can be that."""
    if raw.scale is not None or raw.declared != FOUND_OUT:
        return raw
    parts = [part.x for part in raw.parts.values()]
    said = [] if spec.axes == "auto" else [x for x in parts if x.ndim == len(spec.axes)]
    ordered = [arrange(x, raw.name, spec.axes) for x in said]
    fits = len(ordered) == len(parts) and all(x.shape[1] == spec.shape[0] for x in ordered)
    top = {"levels": 255.0, "unit": spec.divisor}.get(spec.kind, 0.0)
    same = spec.values != "auto" and (
        spec.kind == "real"
        or (spec.kind == "counts" and all(map(countable, parts)))
        or (spec.kind == "levels" and all(map(_whole, parts)) and all(within(x, top) for x in parts))
        or (spec.kind == "unit" and all(within(x, top) for x in parts))
    )
    known = Scale(spec.kind, spec.levels, spec.divisor) if same else None
    return replace(raw, declared=Declared(spec.axes if fits else "auto"), scale=known)


def _single(x: Array) -> Array:
    """Real numbers as float32.

    Raises:
        DataError: if float32 cannot tell the values of a column apart.
    """
    stored = x.astype(np.float32)
    spread = x.std(axis=0, dtype=np.float64)
    lost = np.abs(stored - x).max(axis=0) > 0.01 * spread
    if (lost & (spread > 0)).any():
        column = int(np.flatnonzero((lost & (spread > 0)).ravel())[0])
        raise DataError(
            f"The values of column {column} (counted from 0) differ too little for their size, around "
            f"{x.reshape(len(x), -1)[0, column]:g}, to be told apart in 32 bits. Subtract their offset first."
        )
    return stored


def as_stored(x: Array, scale: Scale) -> Array:
    """Values in the type in which they are kept: uint8 for bits, levels and small counts, float32 for the rest."""
    small = scale.kind in ("binary", "levels") or (scale.kind == "counts" and x.max() <= 255)
    return x.astype(np.uint8 if small else np.float32, copy=False)


def in_order(x: Array, raw: Raw, spec: DataSpec) -> Array:
    """The columns of a table in the order the model knows, found by name where both have names.

    Raises:
        DataError: if one is not there.
    """
    if not (spec.columns and raw.columns) or spec.columns == raw.columns:
        return x
    if twice := [column for column in raw.columns if raw.columns.count(column) > 1]:
        raise DataError(f"{raw.name} has two columns {twice[0]!r}, in another order than the model's. Rename one.")
    missing = [column for column in spec.columns if column not in raw.columns]
    if missing:
        raise DataError(f"{raw.name} lacks the column {missing[0]!r}, which the model needs; it has {raw.columns}.")
    return x[:, [raw.columns.index(column) for column in spec.columns]]


def shaped(x: Array, shape: Shape, name: str, axes: Axes = "auto") -> Array:
    """Views an array as N examples of this shape, or as one; by the axes that are declared, where these fit.

    Raises:
        ShapeError: if it cannot be.
    """
    for found in (x, x[None]):
        if axes != "auto" and found.ndim == len(axes) and arrange(found, name, axes).shape[1:] == shape:
            return arrange(found, name, axes)
    for found in (x, x[:, None], x[None], x[None, None]):
        if found.shape[1:] == shape:
            return found
    for found in (x, x[None]):
        if found.ndim in (3, 4) and arrange(found, name).shape[1:] == shape:
            return arrange(found, name)
    for found in (x, x[None]):
        if 1 in (found.ndim - 1, len(shape)) and found.ndim > 1 and numel(found.shape[1:]) == numel(shape):
            return found.reshape(-1, *shape)
    mend = " Pictures can be resized: size=(H, W) in Python, --data.size." if len(shape) == 3 and x.ndim > 2 else ""
    raise ShapeError(f"{name}: got an array of shape {x.shape}, the model needs examples of {readable(shape)}.{mend}")


def conform(x: Array, scale: Scale | None, spec: DataSpec, name: str, said: Values = "auto") -> Array:
    """The stored values as a model's DataSpec has them; grey becomes binary at one half where the model knows no grey.

    Args:
        x: (N, *spec.shape).
        scale: What x means, if the source declares it.
        spec: What the model knows.
        name: What messages call the source.
        said: What the user says that x means.

    Raises:
        DataError: if the values are out of the model's range.
    """
    if spec.kind == "real":
        return (x / scale.divisor if scale else x).astype(np.float32)
    if spec.kind == "counts":
        return _counted(x, scale, name, said)
    values, scale = (x, scale) if scale else measure(x, pictures=True, values=said)
    if scale.kind in ("real", "counts"):
        low, high = float(x.min()), float(x.max())
        raise DataError(
            f"{name} has values from {low:.4g} to {high:.4g}; the model knows {spec.kind} data. Scale them to [0, 1]."
        )
    if (scale.kind, scale.levels, scale.divisor) == (spec.kind, spec.levels, spec.divisor):
        return as_stored(values, scale)
    share = values / np.float32(scale.divisor)
    if spec.kind == "binary":
        return (share >= 0.5).astype(np.uint8)
    if spec.kind == "levels":
        return np.rint(share * spec.divisor).astype(np.uint8)
    return (share * spec.divisor).astype(np.float32)


def _counted(x: Array, scale: Scale | None, name: str, said: Values) -> Array:
    """The values for a model of counts.

    Raises:
        DataError: if they are said to be something else, or are no counts.
    """
    meant = scale.kind if scale else "counts" if said == "auto" else said
    if meant not in ("counts", "binary") or not countable(x):
        found = f"{meant} values" if meant != "counts" else f"values from {x.min():.4g} to {x.max():.4g}"
        part = "" if _whole(x) else ", not all of them whole"
        raise DataError(f"{name} has {found}{part}; the model knows counts. Give whole numbers from 0 on.")
    return as_stored(x, COUNTS)


def require_finite(x: Array, named: str, names: tuple[str, ...] = (), first: int = 0) -> None:
    """Refuses NaN and infinity, also what would become infinite in float32.

    Args:
        x: (N, ...).
        named: What messages call it.
        names: Names of the columns, if it is a table that has some.
        first: Number of the first example in its source.

    Raises:
        DataError: naming the first bad example, and the column or position in it.
    """
    limit = float(np.finfo(np.float32).max)
    if x.dtype.kind != "f" or (x.min() >= -limit and x.max() <= limit):
        return
    bad = ~(np.abs(x) <= limit)
    row, *rest = (int(i) for i in np.argwhere(bad)[0])
    column = names[rest[0]] if names and len(rest) == 1 else rest[0] if len(rest) == 1 else None
    where = f"position {tuple(rest)}" if column is None else f"column {column!r}"
    raise DataError(
        f"{named} has {x[(row, *rest)]} in row {first + row}, {where} (counted from 0), {int(bad.sum())} such values "
        "in all; expected finite numbers. Fill them in or drop those rows."
    )
