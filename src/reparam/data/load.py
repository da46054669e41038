"""``load_data``: whatever the user names or holds -> train, validation and test."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from reparam.data.catalogue import DATASETS, canonical
from reparam.data.convert import from_object
from reparam.data.formats import read_path
from reparam.data.prepare import divided, undivided
from reparam.data.raw import Raw, Wanted
from reparam.data.records import Binarize, Data, DataSpec, Split
from reparam.errors import DataError, DataNotFoundError, nearest

Size = int | tuple[int, int]


def load_data(
    source: Any,
    *,
    name: str | None = None,
    spec: DataSpec | None = None,
    size: Size | None = None,
    validation: float | int | None = None,
    seed: int = 0,
    binarize: Binarize = "none",
    limit: int | None = None,
) -> Data:
    """Reads data from a name, a path or a Python object.

    A name of :func:`describe_sources` is looked up in ``$REPARAM_DATA``, then in the user's cache, and else downloaded;
    write ``./mnist`` for a folder that happens to be called like one. A source that has splits keeps them; without a
    test (or validation) split, a random tenth of the training examples becomes one; a source with one part is divided
    80/10/10; of fewer than three examples each serves in every split.

    Whole numbers in 0..255 are taken for grey levels, numbers in [0, 1] for grey values, 0 and 1 alone for binary data,
    but in a table (two axes) everything except 0 and 1 alone is ``real``. Three axes are grey pictures if the numbers
    allow it, else signals (channels, time). Pictures come as (C, H, W) with channels first or last.

    Args:
        source: A name, a path (folder of pictures, .npz, .npy, .csv, .parquet, .mat, IDX, .amat, an archive of
            pictures, one picture), an array or tensor, an (x, y) pair, a dict, a Dataset, a DataLoader, or Data.
        name: What the data are called from now on.
        spec: What a model knows of its data: the source is made to fit (columns by name; picture files in its size;
            values in its scale; labels that it does not know are left out).
        size: Height and width of pictures; what does not fit the proportions is cut off evenly.
        validation: How much of train becomes the validation split: a share below 1, or a number of examples.
        seed: Decides the random splits and subsets.
        binarize: How x is made binary when batches are drawn. A model's spec brings its own.
        limit: Keeps a random subset of at most so many examples of each split.

    Raises:
        DataNotFoundError: if there is no such name or path.
        DataError: if the data cannot be read, or do not fit the spec.
        ShapeError: if their shape does not fit the spec.
        MissingExtraError: if a format needs a package that is not installed.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit}; expected at least 1.")
    if isinstance(source, Data) and spec is None and size is None:
        data = source if name is None else renamed(source, name)
        data = data if limit is None else replace(data, origin={})
    else:
        raw = read(source, wanted(size, spec)).named(name)
        data = divided(raw, spec, extents(size), validation, seed)
    data = binarized(data, binarize, fixed=spec is not None)
    if isinstance(source, str | os.PathLike):
        origin = {"size": size, "validation": validation, "limit": limit, "seed": seed}
        data = replace(data, origin={"source": os.fspath(source), **origin})
    if limit is None:
        return data
    return replace(
        data,
        train=data.train.subset(limit, seed, "train"),
        validation=data.validation.subset(limit, seed, "validation"),
        test=data.test.subset(limit, seed, "test"),
    )


def load_items(source: Any, *, spec: DataSpec | None = None, size: Size | None = None) -> Split:
    """Reads all examples of a source in their own order, as one split: to score, encode or reconstruct them.

    Args:
        source: As in :func:`load_data`; one example alone is enough.
        spec: What a model knows of its data: the source is made to fit.
        size: Height and width of pictures.

    Raises:
        DataError: as in :func:`load_data`.
    """
    return undivided(read(source, wanted(size, spec)), spec, extents(size))


def read(source: Any, how: Wanted) -> Raw:
    """Finds out what a source is, and reads it.

    Raises:
        DataNotFoundError: if it is neither a name nor a path.
    """
    if not isinstance(source, str | os.PathLike):
        return from_object(source, how)
    text = os.fspath(source)
    if isinstance(source, str) and canonical(text) in DATASETS:
        return DATASETS[canonical(text)].read(how)
    if text.startswith("hf:"):
        raise DataError(f"{text!r}: hub data sets are not read yet. Download the files and name their folder.")
    path = Path(text).expanduser()
    if not path.exists():
        raise DataNotFoundError(f"There is no data set or path {text!r}. {nearest(canonical(text), DATASETS)}")
    return read_path(path, how)


def extents(size: Size | None) -> tuple[int, int] | None:
    """Height and width.

    Raises:
        DataError: if one is below 1.
    """
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if min(height, width) < 1:
        raise DataError(f"size={size}; expected a height and a width of at least 1.")
    return height, width


def wanted(size: Size | None, spec: DataSpec | None) -> Wanted:
    """How pictures should be decoded: in the size that is asked for, else in the model's."""
    if spec is None or len(spec.shape) != 3:
        return Wanted(extents(size))
    channels, height, width = spec.shape
    return Wanted(extents(size) or (height, width), channels if channels in (1, 3) else None)


def renamed(data: Data, name: str) -> Data:
    """The same data under another name."""
    splits = (data.train, data.validation, data.test)
    train, validation, test = (replace(split, spec=replace(split.spec, name=name)) for split in splits)
    return replace(data, train=train, validation=validation, test=test)


def binarized(data: Data, how: Binarize, fixed: bool) -> Data:
    """Sets how batches become binary.

    Args:
        data: The splits.
        how: What the caller asks for; ``none`` changes nothing.
        fixed: True if a model has decided already.

    Raises:
        DataError: if it is unknown, impossible, or not what the model does.
    """
    if how not in get_args(Binarize):
        raise DataError(f"binarize={how!r}; expected {', '.join(get_args(Binarize))}.")
    if how in ("none", data.spec.binarize):
        return data
    if fixed:
        raise DataError(f"binarize={how!r}, but the model was made for {data.spec.binarize!r}. Leave binarize unset.")
    if data.kind == "real":
        raise DataError(
            f"binarize={how!r} needs values in [0, 1]; {data.spec.name} is real data. Leave binarize unset."
        )
    return data if data.kind == "binary" else data.binarized(how)
