"""``load_data``: whatever the user names or holds -> train, validation and test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from reparam.data.catalogue import DATASETS, canonical, is_named
from reparam.data.columns import located
from reparam.data.convert import from_object
from reparam.data.declared import (
    Size,
    extents,
    is_count,
    require_nothing_said,
    require_told,
    said,
    told_columns,
    wanted,
    with_said,
)
from reparam.data.formats import read_path
from reparam.data.generated import GENERATED, Generated, generated, shared_out
from reparam.data.labels import few_labels
from reparam.data.observations import forget, hide, side_by_side, with_units
from reparam.data.pieces import cut
from reparam.data.prepare import divided, undivided
from reparam.data.raw import FOUND_OUT, UNTOLD, Raw, Told, Wanted
from reparam.data.records import Data, Split
from reparam.data.shards import gathered, is_streamable, only_in_blocks, opened_stream, weight
from reparam.data.spec import Axes, Binarize, DataSpec, SplitBy, Values
from reparam.data.streaming import streamed
from reparam.errors import DataError, DataNotFoundError, nearest
from reparam.shapes import readable
from reparam.weighing import memory_bytes

STREAM: dict[bool | str, str] = {True: "on", False: "off", "on": "on", "off": "off", "auto": "auto"}
SHARE = 0.25  # loading takes room for what is found, for what is stored, and for a part of it more


def load_data(
    source: Any,
    *,
    name: str | None = None,
    spec: DataSpec | None = None,
    size: Size | None = None,
    axes: Axes = "auto",
    values: Values = "auto",
    validation: float | int | None = None,
    split_by: SplitBy = "examples",
    seed: int = 0,
    binarize: Binarize = "none",
    limit: int | None = None,
    labelled: int | None = None,
    observations: Sequence[str] = (),
    hidden: Mapping[str, float] | None = None,
    pieces: int | None = None,
    stream: bool | str = "auto",
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
) -> Data:
    """Reads data from a name, a path or a Python object.

    A name of :func:`describe_sources` is looked up in ``$REPARAM_DATA``, then in the user's cache, and else downloaded;
    write ``./mnist`` for a folder that happens to be called like one. A source that has splits keeps them; without a
    test (or validation) split, a random tenth of the training examples becomes one; a source with one part is divided
    80/10/10; of fewer than three examples each serves in every split.

    Whole numbers in 0..255 are taken for grey levels, numbers in [0, 1] for grey values, 0 and 1 alone for binary data,
    but in a table (two axes) everything except 0 and 1 alone is ``real``. Three axes are grey pictures if the numbers
    allow it, else signals (channels, time). Pictures come as (C, H, W) with channels first or last. Where that is not
    what they are, ``axes`` and ``values`` say it.

    A label that is empty, NaN or None is not known, and gets the number -1; so does one of -1 where the labels are
    whole numbers from -1 on with at least two other classes.

    Args:
        source: A name, a path (folder of pictures, .npz, .npy, .csv, .parquet, .mat, .h5ad, IDX, .amat, an archive of
            pictures, one picture), ``hf:owner/name[:config][@revision]``, an array or tensor, an (x, y) pair, a dict, a
            Dataset, a DataLoader, or Data.
        name: What the data are called from now on.
        spec: What a model knows of its data: the source is made to fit (columns by name; picture files in its size;
            values in its scale; labels that it does not know are left out).
        size: Height and width of pictures; what does not fit the proportions is cut off evenly.
        axes: What each axis of the arrays is, one letter for each: N examples, D values of a table, C channels, T time,
            H height, W width. ``auto`` finds it out as above.
        values: What the numbers are: ``binary``, ``levels`` (whole, 0..255), ``unit`` (in [0, 1] or in [0, 255]),
            ``real``, or ``counts`` (whole, from 0 on). ``auto`` finds it out as above, but for counts.
        validation: How much of train becomes the validation split: a share below 1, or a number of examples.
        split_by: What random splits are made of: single ``examples``, or whole ``groups`` (labels, where there are no
            groups), so that none of those in validation and test is in train.
        seed: Decides the random splits and subsets.
        binarize: How x is made binary when batches are drawn. A model's spec brings its own.
        limit: Keeps a random subset of at most so many examples of each split, before any are cut into pieces.
        labelled: Keeps the labels of so many training examples, as many of each class, drawn at random by the seed; the
            others get -1. The labelled ones are repeated until they are a tenth of the training split.
        observations: Several things that are seen of each example, by name, which then lie side by side in x with NaN
            where one is missing: arrays of an .npz file or a dict, groups of columns of a table (``depth`` for
            ``depth_1``, ``depth_2``), sub-folders of pictures with matching names, ``x``, ``labels`` or ``attributes``.
        hidden: In what share of the training examples an observation is hidden, by name.
        pieces: Cuts training sequences into pieces of at most so many steps; validation and test stay whole.
        stream: True (``on``) leaves the data on disk and reads them block by block, False (``off``) loads them;
            ``auto`` streams .npy, .parquet and .tar files that would take more than a quarter of the memory. Streamed
            data are divided by whole blocks, and what their values mean is decided from a random sample of blocks.
        columns: The columns of a table that x is made of, in this order, told as labels are below, whatever they are
            called; what is beside them, but for labels and groups, is left out, and a text is labels only if it is told
            or called so. Without it all columns of numbers are. A model's spec brings its own.
        label_column: The column of a table that holds the labels, by name (by number, from 0, where columns have no
            names), instead of one called ``label``, ``class``, ``target`` or ``y`` or the only one of text. A model's
            spec looks for the one of its own data.
        group_column: Likewise the column of groups, instead of ``group`` or ``groups``.

    Raises:
        DataNotFoundError: if there is no such name or path.
        DataError: if the data cannot be read, or do not fit the spec.
        ShapeError: if their shape does not fit the spec.
        MissingExtraError: if a format needs a package that is not installed.
    """
    require_named(source)
    for option, number in (("limit", limit), ("pieces", pieces)):
        if number is not None and not is_count(number):
            raise DataError(f"{option}={number!r}; expected a whole number of at least 1.")
    if isinstance(source, Data):
        if validation is not None:
            raise DataError(f"validation={validation}: these data are divided already. Leave validation out.")
        binarize = source.spec.binarize if binarize == "none" and spec is None else binarize
    declared = said(axes, values)
    told = told_columns(label_column, group_column, columns, spec)
    given, source = source, located(source)
    on_disk = streams(source, stream, told)
    if isinstance(source, Data):
        require_told(told, UNTOLD, source.spec.columns, source.spec.name)
    elif generated_row(source):
        require_told(told, UNTOLD, (), source)
    require_split_by(split_by, source, on_disk, strict=spec is None)
    names = named_observations(observations, spec)
    if on_disk and (names or hidden):
        option = f"observations={', '.join(names)}" if names else f"hidden={dict(hidden or {})}"
        raise DataError(f"{option}: streamed data have one observation. Set stream to off.")
    if isinstance(source, Data) and spec is None and size is None and declared == FOUND_OUT and not observations:
        data = source if name is None else renamed(source, name)
        data = data if (limit, labelled, hidden or None, pieces) == (None,) * 4 else replace(data, origin={})
    elif on_disk:
        found = opened_stream(source, wanted(size, spec, told=told))
        require_told(told, found.told, found.columns, found.name)
        found = replace(found, name=name or found.name, declared=declared)
        data = streamed(found, spec, extents(size), validation, seed)
    elif made := generated_row(source):
        require_nothing_said(declared, source)
        if observations and names != tuple(made.whole(size=extents(size)).spec.places):
            raise DataError(f"observations={', '.join(names)}: {source} says itself what is seen. Leave them out.")
        data = shared_out(made.whole(spec, extents(size)), validation, seed)
        data = data if name is None else renamed(data, name)
    else:
        how = wanted(size, spec, names, declared.axes, told)
        raw = joined_observations(read_whole(source, how).named(name), names, spec)
        require_told(told, raw.told, raw.columns, raw.name)
        require_size(raw, extents(size))
        data = divided(with_said(raw, declared), spec, extents(size), validation, seed, split_by)
        data = with_units(data) if spec is None and raw.observations else data
    data = binarized(data, binarize, fixed=spec is not None)
    if not isinstance(source, Data):
        origin: dict[str, Any] = {"size": size, "axes": axes, "values": values, "seed": seed}
        origin |= {"validation": validation, "split_by": split_by, "limit": limit, "labelled": labelled}
        origin |= {"observations": tuple(observations), "hidden": hidden, "pieces": pieces}
        origin |= {"columns": told.values, "label_column": label_column, "group_column": group_column}
        if isinstance(given, str | os.PathLike):
            path = os.path.realpath(os.path.expanduser(given))  # found again from any folder
            given = path if not is_named(given) and os.path.exists(path) else given
            origin["source"] = os.fspath(given)
            origin["stream"] = "on" if on_disk else "off"  # also where another machine has more memory, or less
        data = replace(data, origin=origin)
    if limit is not None:
        data = replace(
            data,
            train=data.train.subset(limit, seed, "train"),
            validation=data.validation.subset(limit, seed, "validation"),
            test=data.test.subset(limit, seed, "test"),
        )
    if labelled is not None:
        data = replace(data, train=forget(few_labels(data.train, labelled, seed)))
    if pieces is not None:
        data = replace(data, train=cut(data.train, pieces))
    return replace(data, train=hide(data.train, hidden, seed)) if hidden else data


def load_items(
    source: Any, *, spec: DataSpec | None = None, size: Size | None = None, axes: Axes = "auto", values: Values = "auto"
) -> Split:
    """Reads all examples of a source in their own order, as one split: to score, encode or reconstruct them.

    Args:
        source: As in :func:`load_data`; one example alone is enough.
        spec: What a model knows of its data: the source is made to fit.
        size: Height and width of pictures.
        axes: What each axis is.
        values: What the numbers are.

    Raises:
        DataError: as in :func:`load_data`.
    """
    require_named(source)
    declared = said(axes, values)
    if made := generated_row(source):
        require_nothing_said(declared, source)
        return made.whole(spec, extents(size))
    names = named_observations((), spec)
    raw = joined_observations(read_whole(source, wanted(size, spec, names, declared.axes)), names, spec)
    return undivided(with_said(raw, declared), spec, extents(size))


def require_split_by(split_by: SplitBy, source: Any, on_disk: bool, strict: bool) -> None:
    """Checks that a source can be divided by what the user says.

    Raises:
        DataError: if it cannot and must, or there is no such word.
    """
    if split_by not in get_args(SplitBy):
        raise DataError(f"split_by={split_by!r}; expected {' or '.join(get_args(SplitBy))}.")
    if split_by == "examples" or not strict:
        return
    if isinstance(source, Data):
        raise DataError(f"split_by={split_by}: these data are divided already. Leave split_by out.")
    if on_disk or generated_row(source):
        what = "streamed data are divided by blocks. Set stream to off" if on_disk else f"{source} has no groups"
        raise DataError(f"split_by={split_by}: {what}.")


def require_named(source: Any) -> None:
    """Checks that a source is named.

    Raises:
        DataError: if it is an empty name, which would mean the current folder.
    """
    if isinstance(source, str) and not source.strip():
        raise DataError(f"source={source!r} names nothing; expected a data name, a path or an object.")


def named_observations(observations: Sequence[str], spec: DataSpec | None) -> tuple[str, ...]:
    """Names of the observations that x is to be made of: those that are asked for, or those that a model knows.

    Raises:
        DataError: if the model knows others.
    """
    known = tuple(one.name for one in spec.observations) if spec else ()
    names = (observations,) if isinstance(observations, str) else tuple(observations)
    if spec is not None and names and names != known:
        raise DataError(f"observations={', '.join(names)}, but the model knows {', '.join(known) or 'none'}.")
    return names or known


def require_size(raw: Raw, size: tuple[int, int] | None) -> None:
    """Checks that pictures among observations have the size that is wanted: only files of pictures are resized.

    Raises:
        DataError: if one has another.
    """
    for one in raw.observations if size is not None else ():
        if len(one.shape) == 3 and one.shape[1:] != size:
            raise DataError(
                f"size={size}: {one.name} holds pictures of {readable(one.shape)}, and of several observations only "
                "files of pictures are resized. Resize them first."
            )


def joined_observations(raw: Raw, names: tuple[str, ...], spec: DataSpec | None) -> Raw:
    """The source with its observations side by side in x, where it has several.

    Raises:
        DataError: if one is not there.
    """
    names = names or raw.views
    if raw.observations:
        own = tuple((one.name, one.shape) for one in raw.observations)
        if spec is not None and own != tuple((one.name, one.shape) for one in spec.observations):
            raise DataError(f"{raw.name} has other observations than the model knows: {', '.join(n for n, _ in own)}.")
        return raw
    return side_by_side(raw, names, spec.observations if spec else ()) if names else raw


def generated_row(source: Any) -> Generated | None:
    """The row of data that are made, if that is what the source names."""
    return generated(canonical(source)) if isinstance(source, str) else None


def read_whole(source: Any, how: Wanted) -> Raw:
    """Reads a source, and says what its pictures lost on the way."""
    raw = read(source, how)
    if how.cut:
        warnings.warn(
            "Pictures of other proportions than the size that is wanted are scaled to cover it, and cut at the edges: "
            f"{len(how.cut):,} of them, the first is {how.cut[0]}.",
            stacklevel=4,
        )
    return raw


def read(source: Any, how: Wanted) -> Raw:
    """Finds out what a source is, and reads it.

    Raises:
        DataNotFoundError: if it is neither a name nor a path.
    """
    if isinstance(source, str) and canonical(source) in DATASETS:
        return DATASETS[canonical(source)].read(how)
    source = located(source)
    if only_in_blocks(source, how.told):
        return gathered(source, how)
    if not isinstance(source, str | os.PathLike):
        return from_object(source, how)
    text = os.fspath(source)
    path = Path(os.path.expanduser(text))
    if not path.exists():
        raise DataNotFoundError(
            f"There is no data set or path {text!r}. {nearest(canonical(text), [*DATASETS, *GENERATED])}"
        )
    return read_path(path, how)


def streams(source: Any, choice: bool | str, told: Told) -> bool:
    """True where a source is to be read block by block.

    Raises:
        DataError: if the choice is unknown, or the source cannot be streamed.
    """
    if choice not in STREAM:
        raise DataError(f"stream={choice!r}; expected auto, on (True) or off (False).")
    named = is_named(source)
    if STREAM[choice] == "on" and (named or not is_streamable(source)):
        own = repr(source) if isinstance(source, str | os.PathLike) else f"A {type(source).__name__}"
        raise DataError(
            f"{own} cannot be streamed; expected .npy, .parquet or .tar files, a folder or a pattern of them, or a "
            "data set of Hugging Face with a length (a Dataset, no IterableDataset). Leave stream at auto."
        )
    if STREAM[choice] == "auto":
        return not named and weight(source, told) > memory_bytes() * SHARE
    return STREAM[choice] == "on"


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
    if data.spec.observations:
        raise DataError(
            f"binarize={how!r}: observations keep their values. Make them 0 and 1 first, or leave it unset."
        )
    if not data.spec.in_unit_interval:
        raise DataError(
            f"binarize={how!r} needs values in [0, 1]; {data.spec.name} is {data.kind} data. Leave binarize unset."
        )
    return data if data.kind == "binary" else data.binarized(how)
