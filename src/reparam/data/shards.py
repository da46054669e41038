"""Which sources can be read block by block, and how they are opened."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from reparam.data.beside import ROLES
from reparam.data.blocks import Blocks, Stream, npy_shards
from reparam.data.columns import from_hub, has_pictures, is_hub, parquet_shards, readable
from reparam.data.folders import alike
from reparam.data.limits import opened
from reparam.data.numpy_files import read_header, read_npy
from reparam.data.placed import is_picture
from reparam.data.ragged import SEQUENCES, TIME, padded
from reparam.data.raw import SPLITS, UNTOLD, Part, Raw, Told, Wanted, require_numbers
from reparam.data.roles import SPLIT_WORDS
from reparam.data.tars import TarBlocks, has_labels
from reparam.errors import DataError

File = TypeVar("File")

# About how many times its size a file takes in memory.
WEIGHTS = {".npy": 1, ".parquet": 4, ".tar": 8}


def shards_of(source: Any) -> list[Path]:
    """The files of a source that can be read block by block: one, those that a pattern names, or those of a folder.

    Raises:
        DataError: if they are of several formats.
    """
    if not isinstance(source, str | os.PathLike):
        return []
    text = os.path.expanduser(os.fspath(source))
    found = [Path(text)] if os.path.exists(text) else [Path(one) for one in glob.glob(text)]
    if os.path.isdir(text):
        found = inside(Path(text))
    if not found or not all(entry.suffix in WEIGHTS for entry in found):
        return []
    endings = sorted({entry.suffix for entry in found})
    if len(endings) > 1:
        raise DataError(f"{source} holds files of several formats ({', '.join(endings)}). Keep one, or name a pattern.")
    return sorted(found)


def inside(folder: Path) -> list[Path]:
    """The files of a folder that can be read block by block; none if it is one of pictures or of folders."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []  # the reader of folders says what is wrong
    if any(entry.is_dir() or is_picture(PurePosixPath(entry.name)) for entry in entries):
        return []
    return [entry for entry in entries if entry.suffix in WEIGHTS]


def weight(source: Any, told: Told = UNTOLD) -> int:
    """About how many bytes a source takes in memory; 0 for what cannot be read block by block."""
    if is_hub(source):
        return sum(sum(part.lengths) * part.row_bytes for part in readable(source, told))
    return sum(WEIGHTS[path.suffix] * path.stat().st_size for path in shards_of(source))


def is_streamable(source: Any) -> bool:
    """True for what can be read block by block."""
    return is_hub(source) or bool(shards_of(source))


def only_in_blocks(source: Any, told: Told = UNTOLD) -> bool:
    """True for what no other reader knows: data sets of Hugging Face, shards, labelled archives, tables of pictures."""
    paths = shards_of(source)
    if len(paths) != 1 or not Path(source).is_file():
        return bool(paths) or (is_hub(source) and bool(readable(source, told)))
    return (paths[0].suffix == ".tar" and has_labels(paths[0])) or (
        paths[0].suffix == ".parquet" and has_pictures(paths[0], told)
    )


def opened_stream(source: Any, wanted: Wanted) -> Stream:
    """Opens a source to be read block by block.

    Raises:
        DataError: if it is damaged.
        MissingExtraError: if it needs a package that is not installed.
    """
    if is_hub(source):
        return from_hub(source, wanted)
    paths = shards_of(source)
    columns: tuple[str, ...] = ()
    files: Sequence[Blocks]
    if paths[0].suffix == ".npy":
        files = npy_shards(paths)
    elif paths[0].suffix == ".tar":
        files = [TarBlocks(path, wanted) for path in paths]
    else:
        tables = parquet_shards(paths, wanted)
        files, columns = tables, tables[0].columns.of_table
    told = wanted.told if paths[0].suffix == ".parquet" else UNTOLD
    return Stream(folder_of(paths), by_split(paths, files), columns, told=told)


def by_split(paths: Sequence[Path], files: Sequence[File]) -> dict[str, list[File]]:
    """Sorts files into splits if the name of each begins with one, as in ``train-0001.npy``."""
    words = [SPLIT_WORDS.get(re.split(r"[^a-z]", path.name.lower())[0], "") for path in paths]
    if "" in words and "train" in words and len({*words}) > 2:
        stray = paths[words.index("")]
        raise DataError(f"{stray} lies beside files of splits and is of none. Move it away, or rename it.")
    if len(paths) == 1 or "" in words or "train" not in words:
        return {"all": list(files)}
    sorted_files = {split: [file for file, word in zip(files, words, strict=True) if word == split] for split in SPLITS}
    return {split: own for split, own in sorted_files.items() if own}


def gathered(source: Any, wanted: Wanted) -> Raw:
    """Everything in a source that is read block by block, in memory.

    Raises:
        DataError: as in :func:`opened_stream`.
    """
    paths = shards_of(source)
    if paths and hold_sequences(paths, wanted):
        found = by_split(paths, paths)
        return Raw(folder_of(paths), {split: sequences_in(files, wanted) for split, files in found.items()})
    stream = opened_stream(source, wanted)
    parts = {split: gathered_part(files) for split, files in stream.parts.items()}
    return Raw(stream.name, alike(parts), stream.columns, stream.classes, told=stream.told)


def hold_sequences(paths: Sequence[Path], wanted: Wanted) -> bool:
    """True for .npy files of two axes that hold a sequence each: of several lengths (D, T_i), or as the axes say."""
    if paths[0].suffix != ".npy":
        return False
    shapes = {announced(path) for path in paths}
    if any(len(shape) != SEQUENCES - 1 for shape in shapes):
        return False
    return wanted.axes in TIME or (wanted.axes == "auto" and len(shapes) > len({shape[0] for shape in shapes}) == 1)


def announced(path: Path) -> tuple[int, ...]:
    """The shape in the header of an .npy file."""
    with opened(path) as stream:
        return read_header(stream, str(path))[0]


def sequences_in(paths: Sequence[Path], wanted: Wanted) -> Part:
    """One sequence of each file, as long as the longest.

    Raises:
        DataError: if they differ in more than their length.
    """
    found = [require_numbers(read_npy(path, wanted).parts["all"].x, str(path)) for path in paths]
    numbers = SEQUENCES - TIME.get(wanted.axes, TIME["NCT"]) - 1
    for path, one in zip(paths, found, strict=True):
        if not one.size or one.shape[numbers] != found[0].shape[numbers]:
            raise DataError(
                f"{path} has shape {one.shape}, {paths[0]} has {found[0].shape}; expected sequences (D, T) with one D, "
                "or axes=NTC for (T, D)."
            )
    x, lengths = padded(found, wanted.axes)
    return Part(x, lengths=lengths)


def folder_of(paths: Sequence[Path]) -> str:
    """What a source of one file or several is called."""
    return paths[0].stem if len(paths) == 1 else paths[0].resolve().parent.name


def gathered_part(files: Sequence[Blocks]) -> Part:
    """All blocks of some files, in one."""
    return together([file.read(number) for file in files for number in range(len(file.lengths))], files[0].name)


def together(parts: Sequence[Part], name: str) -> Part:
    """Blocks in one; grey pictures get three channels where others have colour.

    Raises:
        DataError: if they differ in shape.
    """
    named = {str(i): part for i, part in enumerate(parts)}
    xs = [part.x for part in (alike(named) if {part.x.ndim for part in parts} == {3, 4} else named).values()]
    shapes = sorted({x.shape[1:] for x in xs})
    if len(shapes) > 1:
        raise DataError(
            f"{name}: some blocks have examples of shape {shapes[0]}, others of {shapes[1]}. Make them one shape "
            "(pictures: --data.size 64, or size=64 in Python)."
        )
    told = {role: [getattr(part, role) for part in parts] for role in ROLES}
    found: Any = {role: np.concatenate(own) for role, own in told.items() if all(one is not None for one in own)}
    return Part(np.concatenate(xs), **found)
