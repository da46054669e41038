"""Readers of photographs of known people and objects, for models of groups and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from reparam.data import folders
from reparam.data.matlab import mat_arrays
from reparam.data.raw import BYTES, Array, Part, Raw, Wanted

Files = Mapping[str, Path]
POSES = 72
PICTURES = 10


def read_coil(name: str, files: Files, wanted: Wanted) -> Raw:
    """20 objects on a turntable, 72 poses of five degrees each, 32x32; the label is the object.

    Of each object every sixth pose is for test, and every sixth from the third on for validation.
    """
    (path,) = files.values()
    arrays = mat_arrays(path)
    x = upright(arrays["X"], 32)
    objects, pose = arrays["Y"].ravel().astype(np.int64) - 1, np.arange(len(x)) % POSES
    cuts = {"train": pose % 3 > 0, "validation": pose % 6 == 3, "test": pose % 6 == 0}
    factors = np.stack([objects, pose], 1)
    names = tuple(f"object {number + 1}" for number in range(20))
    parts = {split: Part(x[index], objects[index], factors[index]) for split, index in cuts.items()}
    return Raw(name, parts, classes=names, scale=BYTES)


def read_olivetti(name: str, files: Files, wanted: Wanted) -> Raw:
    """400 faces of 40 people, 64x64; the label is the person.

    Of each person seven pictures are for training, one for validation and two for test.
    """
    (path,) = files.values()
    x = upright(mat_arrays(path)["faces"].T, 64)
    person, picture = np.divmod(np.arange(len(x)), PICTURES)
    cuts = {"train": picture < 7, "validation": picture == 7, "test": picture > 7}
    names = tuple(f"person {number + 1}" for number in range(40))
    parts = {split: Part(x[index], person[index]) for split, index in cuts.items()}
    return Raw(name, parts, classes=names, scale=BYTES)


def upright(rows: Array, side: int) -> Array:
    """Pictures (N, side, side) of rows that hold them column by column."""
    return np.ascontiguousarray(rows.reshape(-1, side, side).transpose(0, 2, 1)).astype(np.uint8)


def read_utkface(name: str, files: Files, wanted: Wanted) -> Raw:
    """8,000 faces in colour, 64x64; the label is the gender, the attributes are age in years and gender (1 for female).

    The names of the files say them: AGE_GENDER_ETHNICITY_DATE.jpg.
    """
    (path,) = files.values()
    pictures = sorted(folders.tar_pictures(path, Wanted()), key=lambda picture: picture.place.parts)
    raw = folders.arranged(str(path), name, pictures, wanted, path.stat().st_size)
    parts = {}
    for split, part in raw.parts.items():
        stems = [picture.place.stem.split("_") for picture in pictures if picture.place.parts[-2] == split]
        told = np.array([[float(age), float(gender)] for age, gender, *_ in stems], np.float32)
        labels = np.array(["female" if gender else "male" for gender in told[:, 1]])
        parts[split] = replace(part, labels=labels, attributes=told)
    return Raw(name, parts, scale=BYTES)
