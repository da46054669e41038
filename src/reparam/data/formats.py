"""Which reader reads which file; and the two formats of the MNIST family, IDX and .amat."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reparam.data import folders, images
from reparam.data.annotated import read_annotated
from reparam.data.limits import (
    TEXT_SHARE,
    check_expansion,
    opened,
    read_all,
    read_exactly,
    reason,
    require_regular,
    reshaped,
    truncated,
)
from reparam.data.matlab import read_mat
from reparam.data.numpy_files import read_npy, read_npz
from reparam.data.raw import Array, Part, Raw, Wanted, whole
from reparam.data.tables import read_csv, read_parquet
from reparam.errors import DataError, DataNotFoundError

Reader = Callable[[Path, Wanted], Raw]

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def idx_array(path: Path) -> Array:
    """The array in an IDX file, plain or in gzip.

    Raises:
        DataError: if it is damaged, or its header does not fit what follows.
    """
    name = str(path)
    with opened(path) as stream:
        zeros, code, rank = struct.unpack(">HBB", read_exactly(stream, 4, name))
        if zeros or code not in IDX_TYPES or not 1 <= rank <= 4:
            raise truncated(name, "there is no IDX header")
        shape = struct.unpack(f">{rank}I", read_exactly(stream, 4 * rank, name))
        dtype = np.dtype(IDX_TYPES[code])
        size = math.prod(shape) * dtype.itemsize
        check_expansion(name, size, path.stat().st_size)
        values = np.frombuffer(read_exactly(stream, size, name), dtype)
        if stream.read(1):
            raise truncated(name, f"there is more than the {size} bytes that were announced")
    return reshaped(values.astype(dtype.newbyteorder("="), copy=False), shape, name)


def read_idx(path: Path, wanted: Wanted) -> Raw:
    """The array in one IDX file, as a source without labels."""
    return whole(path.name.split(".")[0], idx_array(path))


def read_idx_folder(path: Path, wanted: Wanted) -> Raw:
    """The four IDX files of an MNIST-like set in one folder."""
    parts = {}
    for split, names in IDX_FILES.items():
        x, labels = (idx_array(next(path.glob(f"{name}*"))) for name in names)
        parts[split] = Part(x, labels)
    return Raw(path.resolve().name, parts)


def is_idx_folder(path: Path) -> bool:
    """True where all four files are."""
    return all(any(path.glob(f"{name}*")) for names in IDX_FILES.values() for name in names)


def amat_array(path: Path) -> Array:
    """The numbers in an .amat file: text, one example a line, separated by blanks.

    Raises:
        DataError: if it is empty, ragged, or not numbers.
    """
    content = read_all(path, TEXT_SHARE)
    found = bits(content)
    if found is not None:
        return found
    try:
        lines = [line.split() for line in content.decode("ascii").splitlines() if line.strip()]
        if not lines:
            raise DataError(f"{path} has no rows.")
        if len({len(line) for line in lines}) > 1:
            raise DataError(f"{path} has lines of different lengths. Make all rows equal.")
        return np.array(lines, dtype=np.float64)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a text of numbers ({reason(error)}). Fetch or write it again.") from None


def bits(content: bytes) -> Array | None:
    """Reads lines such as ``0 1 1`` at once, or gives None if the text is anything else."""
    width = content.find(b"\n") + 1
    if width < 2 or width % 2 or len(content) % width:
        return None
    cells = np.frombuffer(content, np.uint8).reshape(-1, width)
    values = cells[:, ::2] - np.uint8(ord("0"))
    plain = (cells[:, 1:-1:2] == ord(" ")).all() and (cells[:, -1] == ord("\n")).all()
    return values if plain and values.max() <= 1 else None


def read_amat(path: Path, wanted: Wanted) -> Raw:
    """An .amat file as a source without labels."""
    return whole(path.name.split(".")[0], amat_array(path))


READERS: dict[str, Reader] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_csv,
    ".tsv.gz": read_csv,
    ".parquet": read_parquet,
    ".mat": read_mat,
    ".h5ad": read_annotated,
    ".amat": read_amat,
    ".amat.gz": read_amat,
    "-ubyte": read_idx,
    "-ubyte.gz": read_idx,
    ".idx": read_idx,
    ".idx.gz": read_idx,
    ".zip": folders.read_zip,
    ".tar": folders.read_tar,
    ".tar.gz": folders.read_tar,
    ".tgz": folders.read_tar,
    **dict.fromkeys(images.ENDINGS, folders.read_picture),
}
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def read_path(path: Path, wanted: Wanted) -> Raw:
    """Reads a file by its ending, or a folder of pictures.

    Raises:
        DataNotFoundError: if there is nothing.
        DataError: if we do not read such files, or this one is bad.
    """
    if path.is_dir():
        return read_idx_folder(path, wanted) if is_idx_folder(path) else folders.read_folder(path, wanted)
    if not path.exists():
        raise DataNotFoundError(f"There is no file or folder {path}.")
    require_regular(path)
    name = path.name.lower()
    endings = [ending for ending in READERS if name.endswith(ending)]
    if endings:
        return READERS[max(endings, key=len)](path, wanted)
    if name.endswith(PICKLES):
        raise DataError(f"{path} is a pickle, which can run any code and is never read. Save the arrays as .npz.")
    raise DataError(f"{path} has an ending we do not read; expected a folder of pictures or {', '.join(READERS)}.")
