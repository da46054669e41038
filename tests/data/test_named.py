import os
from pathlib import Path

import pytest
import torch

from reparam.data import load_data, load_items
from reparam.data.catalogue import DATASETS
from reparam.data.raw import Wanted

needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not os.environ.get("REPARAM_DATA"), reason="REPARAM_DATA is not set"),
]

EXPECTED = {
    "mnist": ((1, 28, 28), "levels", (50_000, 10_000, 10_000), 10, "dynamic"),
    "static-mnist": ((1, 28, 28), "binary", (50_000, 10_000, 10_000), 0, "none"),
    "fashion-mnist": ((1, 28, 28), "levels", (50_000, 10_000, 10_000), 10, "none"),
    "omniglot": ((1, 28, 28), "levels", (3_388, 484, 968), 8, "dynamic"),
    "caltech101-silhouettes": ((1, 28, 28), "binary", (4_100, 2_264, 2_307), 101, "none"),
    "frey-faces": ((1, 28, 20), "levels", (1_565, 200, 200), 0, "none"),
    "cifar10": ((3, 32, 32), "levels", (18_000, 2_000, 5_000), 10, "none"),
    "coil20": ((1, 32, 32), "levels", (960, 240, 240), 20, "none"),
    "olivetti-faces": ((1, 64, 64), "levels", (280, 40, 80), 40, "none"),
    "utkface64": ((3, 64, 64), "levels", (6_300, 700, 1_000), 2, "none"),
    "jsb-chorales": ((88, 160), "binary", (229, 76, 77), 0, "none"),
    "nottingham": ((88, 1_793), "binary", (694, 173, 170), 0, "none"),
    "piano-midi": ((88, 3_857), "binary", (87, 12, 25), 0, "none"),
    "muse-data": ((88, 4_273), "binary", (524, 135, 124), 0, "none"),
    "sketches": ((3, 250), "real", (7_400, 300, 300), 0, "none"),
    "omniglot-strokes": ((3, 157), "real", (30_000, 1_000, 1_000), 0, "none"),
    "mocap35": ((50, 300), "real", (16, 3, 4), 0, "none"),
    "cifar10-exact": ((3, 32, 32), "levels", (3_200, 400, 400), 10, "none"),
}


def test_digits() -> None:
    data = load_data("digits")
    assert [len(data.train), len(data.validation), len(data.test)] == [1437, 180, 180]
    assert (data.shape, data.kind, data.spec.levels, data.spec.divisor) == ((1, 8, 8), "levels", 17, 16.0)
    assert data.spec.conventional_binarize == "none"
    assert data.spec.classes == tuple("0123456789")
    items = load_items("digits")
    assert items.labels[:10].tolist() == list(range(10))
    assert items.stored[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_every_name_is_expected_somewhere() -> None:
    elsewhere = {"digits", "mfeat", "single-cell"}  # test_observations.py, test_cells.py
    elsewhere |= {"worm-neuron", "mouse-bladder"}  # test_annotated.py
    assert set(DATASETS) == elsewhere | set(EXPECTED)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[*needs_data, *([pytest.mark.slow] if name == "cifar10" else [])]) for name in EXPECTED],
)
def test_names(name: str) -> None:
    shape, kind, sizes, classes, conventional = EXPECTED[name]
    data = load_data(name)
    assert (data.shape, data.kind) == (shape, kind)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    assert len(data.spec.classes) == classes
    assert (data.labels is not None) == bool(classes)
    assert data.spec.conventional_binarize == conventional
    assert data.train.stored.dtype == (torch.float32 if kind == "real" else torch.uint8)
    assert data.spec.name == name


@pytest.mark.data
@needs_data[1]
def test_mnist_validation_is_the_tail() -> None:
    data, items = load_data("mnist", seed=3), load_items("mnist")
    assert torch.equal(data.validation.stored, items.stored[50_000:60_000])
    assert torch.equal(data.test.stored, items.stored[60_000:])
    assert len(load_data("mnist", validation=1 / 6).validation) == 10_000


@pytest.mark.data
@needs_data[1]
def test_objects_of_caltech_are_bright_and_upright() -> None:
    train = load_data("caltech101-silhouettes").train
    faces = train.take(torch.nonzero(train.labels == 1).ravel()).stored.float().mean(0)[0]
    assert faces[14, 14] > 0.9
    assert faces[0, 0] < 0.5
    assert train.stored[:, :, 0].float().mean() < train.stored[:, :, 14].float().mean()


@pytest.mark.data
@needs_data[1]
def test_people_and_objects_are_upright_and_rightly_named() -> None:
    """An object in its first pose is like its next pose, a person like him- or herself, ages are those of the files."""
    coil = load_data("coil20").train  # 48 poses of each object
    x = coil.stored.float().flatten(1)
    assert coil.spec.classes[int(coil.labels[47])] == "object 1"
    assert (x[1] - x[0]).norm() < 0.5 * (x[48] - x[0]).norm()
    assert coil.named["factors"][49].tolist() == [1, 2]
    faces = load_data("olivetti-faces").train
    mean = faces.stored.float().mean(0)[0]
    assert mean[20:28].mean() > mean[52:].mean()  # a forehead is brighter than a neck
    people = load_data("utkface64")
    ages, genders = people.train.named["attributes"].T
    assert 0 <= ages.min() < 5 < 80 < ages.max() < 120
    names = [people.spec.classes[label] for label in people.train.labels.tolist()]
    assert all((name == "female") == bool(gender) for name, gender in zip(names, genders, strict=True))


@pytest.mark.data
@needs_data[1]
def test_frey_faces_do_not_depend_on_the_seed() -> None:
    assert torch.equal(load_data("frey-faces", seed=0).test.stored, load_data("frey-faces", seed=1).test.stored)


@pytest.mark.data
@needs_data[1]
def test_both_forms_of_omniglot_agree() -> None:
    row = DATASETS["omniglot"]
    folder = Path(os.environ["REPARAM_DATA"]) / "omniglot"
    packed, zips = (
        bundle.read("omniglot", {file.name: folder / file.name for file in bundle.files}, Wanted())
        for bundle in row.bundles
    )
    for split, part in packed.parts.items():
        assert (part.x == zips.parts[split].x).all()
        assert (part.labels == zips.parts[split].labels).all()
