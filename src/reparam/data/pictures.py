"""Readers of the well-known sets of pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from reparam.data import folders
from reparam.data.formats import amat_array, idx_array
from reparam.data.limits import opened, read_exactly
from reparam.data.matlab import mat_arrays
from reparam.data.numpy_files import npz_arrays
from reparam.data.raw import BINARY, BYTES, SPLITS, Array, Part, Raw, Scale, Wanted, whole
from reparam.data.spec import Binarize
from reparam.rng import generator

Files = Mapping[str, Path]


def read_digits(name: str, files: Files, wanted: Wanted) -> Raw:
    """The 8x8 digits inside the package, 17 grey levels; one part, split at random by the caller's seed."""
    content = resources.files("reparam.data").joinpath("embedded", "digits.npz").read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        part = Part(arrays["x"], arrays["y"])
    names = tuple(str(digit) for digit in range(10))
    return Raw(name, {"all": part}, classes=names, scale=Scale("levels", 17, 16.0))


def idx_reader(classes: tuple[str, ...], conventional: Binarize) -> Callable[[str, Files, Wanted], Raw]:
    """Reads the four files of MNIST and its kin: the last 10,000 training images are for validation, test is test."""

    def read(name: str, files: Files, wanted: Wanted) -> Raw:
        train_x, train_y, test_x, test_y = (idx_array(path) for path in files.values())
        parts = {"train": Part(train_x, train_y), "test": Part(test_x, test_y)}
        return Raw(name, parts, classes=classes, scale=BYTES, tail=10_000, conventional=conventional)

    return read


def read_static_mnist(name: str, files: Files, wanted: Wanted) -> Raw:
    """MNIST made binary once by Larochelle & Murray (2011): 50,000 / 10,000 / 10,000, no labels, never split again."""
    parts = {
        split: Part(amat_array(path).reshape(-1, 28, 28)) for split, path in zip(SPLITS, files.values(), strict=True)
    }
    return Raw(name, parts, scale=BINARY)


def by_drawer(name: str, x: Array, labels: Array, drawer: Array) -> Raw:
    """Omniglot split by who drew: people 1-14 train, 15-16 validation, 17-20 test."""
    chosen = {"train": drawer <= 14, "validation": (drawer > 14) & (drawer <= 16), "test": drawer > 16}
    parts = {split: Part(x[index], labels[index]) for split, index in chosen.items()}
    return Raw(name, parts, scale=BYTES, conventional="dynamic")


def read_omniglot(name: str, files: Files, wanted: Wanted) -> Raw:
    """The 242 characters of the two small background sets, 28x28, ink bright; labels are the alphabets."""
    (path,) = files.values()
    arrays = npz_arrays(path, ("x", "alphabet", "alphabet_names", "drawer"))
    return by_drawer(name, arrays["x"], arrays["alphabet_names"][arrays["alphabet"]], arrays["drawer"])


def read_omniglot_zips(name: str, files: Files, wanted: Wanted) -> Raw:
    """The same from the owner's two zips, which share characters: inverted, 105x105 -> 28x28 by the mean over areas."""
    found: dict[str, Array] = {}
    for path in files.values():
        for picture in folders.zip_pictures(path, Wanted()):
            _, alphabet, character, file = picture.place.parts
            with picture.open() as stream, Image.open(stream) as image:
                paper = image.convert("L")
                ink = ImageOps.invert(paper).resize((28, 28), Image.Resampling.BOX)
            found[f"{alphabet}/{character}/{file}"] = np.asarray(ink)
    keys = sorted(found)
    drawer = np.array([int(Path(key).stem.split("_")[1]) for key in keys])
    return by_drawer(
        name, np.stack([found[key] for key in keys]), np.array([key.split("/")[0] for key in keys]), drawer
    )


def read_caltech(name: str, files: Files, wanted: Wanted) -> Raw:
    """Silhouettes of Marlin et al. (2010), object = 1; the published split 4,100 / 2,264 / 2,307."""
    (path,) = files.values()
    arrays = mat_arrays(path)
    parts = {}
    for split, key in zip(SPLITS, ("train", "val", "test"), strict=True):
        x = 1 - arrays[f"{key}_data"].reshape(-1, 28, 28).transpose(0, 2, 1)
        parts[split] = Part(x, arrays[f"{key}_labels"].ravel() - 1)
    return Raw(name, parts, classes=tuple(str(one) for one in arrays["classnames"].ravel()), scale=BINARY)


def read_frey(name: str, files: Files, wanted: Wanted) -> Raw:
    """1,965 video frames of one face, 28x20.

    The split 1,565 / 200 / 200 is random with a seed of its own, the same for every ``seed`` of the caller.
    """
    (path,) = files.values()
    x = npz_arrays(path, ("x",))["x"]
    order = torch.randperm(len(x), generator=generator("frey-faces")).numpy()
    cuts = {"train": order[400:], "validation": order[200:400], "test": order[:200]}
    return Raw(name, {split: Part(x[np.sort(index)]) for split, index in cuts.items()}, scale=BYTES)


CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_SHAPE = (3, 32, 32)


def read_cifar_records(name: str, files: Files, wanted: Wanted) -> Raw:
    """The first 4,000 records of data_batch_1, exact: for likelihoods; one part, split by the caller's seed."""
    (path,) = files.values()
    size = 1 + math.prod(CIFAR_SHAPE)
    with opened(path) as stream:
        records = np.frombuffer(read_exactly(stream, 4000 * size, str(path)), np.uint8).reshape(-1, size)
    raw = whole(name, records[:, 1:].reshape(-1, *CIFAR_SHAPE), records[:, 0])
    return Raw(name, raw.parts, classes=CIFAR_CLASSES, scale=BYTES)


def read_cifar_jpegs(name: str, files: Files, wanted: Wanted) -> Raw:
    """25,000 images as JPEG, with their train and test folders; lossy, so never for bits per dimension."""
    (path,) = files.values()
    return Raw(name, folders.read_tar(path, wanted).parts, scale=BYTES)
