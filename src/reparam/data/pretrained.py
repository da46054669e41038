"""Weights of networks that others trained, from .npz files that nobody has to trust."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reparam.data.fetch import File, at_hand, obtain
from reparam.data.limits import BROKEN_ZIP, readable_bytes, require_regular, some, truncated
from reparam.data.numpy_files import read_member
from reparam.data.raw import Array
from reparam.errors import DataError, DataNotFoundError
from reparam.shapes import Shape

FOLDER = "pretrained"
SQUEEZENET = File(
    "squeezenet1_1_imagenet_features.npz", "3b5deb1d6eec3a44f04739eeea0a030f1461634e5bfba1bc9cef6efe11834b35"
)
MOST_MEMBERS = 10_000
HEADER = 4096


def squeezenet_is_at_hand() -> bool:
    """True where the weights of SqueezeNet lie in one of the places in which data sets are looked for."""
    return at_hand(FOLDER, SQUEEZENET) is not None


def squeezenet_weights(shapes: Mapping[str, Shape], file: Path | str | None = None) -> dict[str, Array]:
    """Weights of SqueezeNet 1.1.

    Args:
        shapes: What to read, by the names that torchvision gives them, and the shape each must have.
        file: An .npz file; None takes the one in ``pretrained/`` below ``$REPARAM_DATA`` or in the cache, by checksum.
    Raises:
        DataNotFoundError: if there is no such file.
        DataError: if it is damaged, lacks an array, or has another one in its place.
    """
    if file is None and not squeezenet_is_at_hand():
        raise DataNotFoundError(
            f"{SQUEEZENET.name} is not there. Put it into {FOLDER}/ below $REPARAM_DATA, give a file with these "
            "arrays, or take another feature network."
        )
    return read_weights(obtain(FOLDER, SQUEEZENET) if file is None else Path(file).expanduser(), shapes)


def read_weights(path: Path, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Arrays of an .npz file, as float32; nothing larger than what is wanted is unpacked, and nothing is a pickle.

    Raises:
        DataNotFoundError: if there is no such file.
        DataError: if it is damaged, lacks an array, or has another one in its place.
    """
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there. Give an .npz file with the weights.")
    require_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()[:MOST_MEMBERS]}
            return {key: _weight(archive, members, key, shape, path) for key, shape in shapes.items()}
    except BROKEN_ZIP as error:
        if isinstance(error, DataError):
            raise
        raise truncated(str(path), error) from None


def _weight(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], key: str, shape: Shape, path: Path) -> Array:
    """One array of this shape."""
    if key not in members:
        raise DataError(f"{path} has no array {key!r}; it has {some(sorted(members))}.")
    most = 8 * math.prod(shape) + HEADER
    if members[key].file_size > most:
        raise DataError(
            f"{path}[{key!r}] takes {readable_bytes(members[key].file_size)}, expected numbers of shape {shape}, which "
            f"take {readable_bytes(most)} at most."
        )
    values = read_member(archive, members, key, path)
    if values.shape != shape or values.dtype.kind != "f":
        raise DataError(
            f"{path}[{key!r}] is {str(values.dtype)[:40]} of shape {values.shape}, expected real numbers of {shape}."
        )
    with np.errstate(over="ignore"):
        weights = values.astype(np.float32)
    if not np.isfinite(weights).all():
        raise DataError(f"{path}[{key!r}] has numbers that are not finite.")
    return weights
