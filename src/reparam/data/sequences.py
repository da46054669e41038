"""Readers of sequences: which of 88 keys sound at each step, strokes of a pen, and walks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reparam.data.numpy_files import npz_arrays
from reparam.data.raw import BINARY, REAL, Array, Part, Raw, Wanted
from reparam.errors import DataError

KEYS = 88
WORDS = {"train": "train", "validation": "valid", "test": "test"}


def read_music(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """Piano rolls (88, T) of the published splits, as long as the longest piece; ``lengths`` says how long each is."""
    (path,) = files.values()
    arrays = npz_arrays(path, tuple(f"{word}_{kind}" for word in WORDS.values() for kind in ("notes", "lengths")))
    lengths = {split: arrays[f"{word}_lengths"].astype(np.int64) for split, word in WORDS.items()}
    longest = max(int(own.max()) for own in lengths.values())
    parts = {}
    for split, word in WORDS.items():
        notes = np.unpackbits(arrays[f"{word}_notes"], axis=1)[:, :KEYS]
        if len(notes) != lengths[split].sum():
            raise DataError(f"{path}: {word}_lengths are of {lengths[split].sum()} steps, there are {len(notes)}.")
        parts[split] = Part(padded(notes, lengths[split], longest), lengths=lengths[split])
    return Raw(name, parts, scale=BINARY)


def read_sketches(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """Drawings (3, T) of the published splits: dx, dy and 1 where the pen is lifted afterwards."""
    (path,) = files.values()
    arrays = npz_arrays(path, tuple(f"{word}_{kind}" for word in WORDS.values() for kind in ("strokes", "lengths")))
    lengths = {split: arrays[f"{word}_lengths"].astype(np.int64) for split, word in WORDS.items()}
    longest = max(int(own.max()) for own in lengths.values())
    parts = {}
    for split, word in WORDS.items():
        strokes = arrays[f"{word}_strokes"].astype(np.float32)
        parts[split] = Part(padded(strokes, lengths[split], longest), lengths=lengths[split])
    return Raw(name, parts, scale=REAL)


def read_mocap(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """Walks of one person, 300 steps each, as 50 principal coordinates of the joints' angles."""
    (path,) = files.values()
    arrays = npz_arrays(path, tuple(WORDS.values()))
    parts = {split: Part(arrays[word].transpose(0, 2, 1)) for split, word in WORDS.items()}
    return Raw(name, parts, scale=REAL)


def padded(steps: Array, lengths: Array, longest: int) -> Array:
    """Sequences (N, D, longest) of steps (sum of lengths, D) that follow each other, with zeros behind their ends."""
    x = np.zeros((len(lengths), steps.shape[1], longest), steps.dtype)
    ends = np.cumsum(lengths)
    for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        x[row, :, :length] = steps[end - length : end].T
    return x
