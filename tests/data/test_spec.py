from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reparam.data import DataSpec, load_data, load_items
from reparam.data.raw import Array
from reparam.errors import DataError, ShapeError

GREY = DataSpec("grey", (1, 6, 5), "levels", 256, 255.0)


def pictures(count: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 5), dtype=np.uint8)


def test_the_same_source_again_gives_the_same_splits() -> None:
    data = load_data((pictures(30), ["b", "a"] * 15), binarize="dynamic")
    again = load_data((pictures(30), ["b", "a"] * 15), spec=data.spec)
    for name in ("train", "validation", "test"):
        assert torch.equal(data.split(name).stored, again.split(name).stored)
        assert torch.equal(data.split(name).labels, again.split(name).labels)
        assert data.split(name).spec == again.split(name).spec


@pytest.mark.parametrize("item", [pictures()[0], pictures()[:1], pictures()[0, None], pictures()[0].ravel()])
def test_one_item_in_any_dress(item: Array) -> None:
    items = load_items(item, spec=GREY)
    assert torch.equal(items.stored, torch.from_numpy(pictures()[:1, None]))


def test_grey_values_keep_their_meaning() -> None:
    x = pictures()
    assert torch.equal(load_items(x / 255.0, spec=GREY).stored, torch.from_numpy(x[:, None]))
    unit = DataSpec("unit", (1, 6, 5), "unit")
    assert torch.allclose(load_items(x, spec=unit).stored, torch.from_numpy(x[:, None] / np.float32(255)))
    binary = DataSpec("binary", (1, 6, 5), "binary")
    assert torch.equal(load_items(x, spec=binary).stored, torch.from_numpy((x[:, None] > 127).astype(np.uint8)))
    digits = load_items("digits")
    assert (digits.spec.shape, digits.spec.levels) == ((1, 8, 8), 17)
    bright = load_items("digits", spec=DataSpec("grey", (1, 8, 8), "levels", 256, 255.0))
    assert bright.stored.max() == 255


def test_real_data_keep_shift_and_scale() -> None:
    data = load_data(np.random.default_rng(0).normal(5, 2, (50, 3)))
    other = load_data(np.random.default_rng(1).normal(0, 1, (1, 3)), spec=data.spec)
    assert (other.spec.shift, other.spec.scale) == (data.spec.shift, data.spec.scale)
    assert load_items(np.arange(3.0), spec=data.spec).stored.tolist() == [[0.0, 1.0, 2.0]]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,v,w\n1,2.5,3\n4,5,6\n7,8,9\n")
    (tmp_path / "b.csv").write_text("w,extra,u,v\n3,0,1,2.5\n")
    (tmp_path / "c.csv").write_text("u,w\n1,3\n")
    spec = load_data(tmp_path / "a.csv").spec
    assert load_items(tmp_path / "b.csv", spec=spec).stored.tolist() == [[1.0, 2.5, 3.0]]
    with pytest.raises(DataError, match="lacks the column 'v'"):
        load_items(tmp_path / "c.csv", spec=spec)


def test_unknown_labels_are_left_out() -> None:
    spec = load_data((pictures(30), ["a", "b"] * 15)).spec
    assert load_items((pictures(2), ["b", "b"]), spec=spec).labels.tolist() == [1, 1]
    assert load_items((pictures(2), ["b", "c"]), spec=spec).labels is None


def test_picture_files_take_the_size_and_channels_of_the_model(tmp_path: Path) -> None:
    Image.fromarray(np.full((12, 10, 3), 200, dtype=np.uint8)).save(tmp_path / "photo.png")
    items = load_items(tmp_path / "photo.png", spec=GREY)  # of the same proportions
    assert items.stored.shape == (1, 1, 6, 5)
    assert items.stored.unique().tolist() == [200]
    colour = DataSpec("colour", (3, 8, 8), "levels", 256, 255.0)
    with pytest.warns(UserWarning, match="cut at the edges: 1 of them, the first is"):
        assert load_items(tmp_path / "photo.png", spec=colour).stored.shape == (1, 3, 8, 8)


def test_arrays_of_another_shape_are_refused_unless_a_size_is_given() -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 9, 9), dtype=np.uint8)
    with pytest.raises(ShapeError, match=r"needs examples of 1x6x5"):
        load_items(x, spec=GREY)
    assert load_items(x, spec=GREY, size=(6, 5)).stored.shape == (4, 1, 6, 5)
    with pytest.raises(ShapeError):
        load_data(np.ones((4, 3)), spec=GREY)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="knows levels data"):
        load_items(pictures() - 300.0, spec=GREY)
    with pytest.raises(DataError, match="the model was made for"):
        load_data(pictures(), spec=GREY, binarize="dynamic")


def test_shorter_sequences_are_as_long_as_the_models() -> None:
    """With zeros behind their ends, and their own lengths; longer ones are refused."""
    rng = np.random.default_rng(0)
    known = load_data([rng.normal(size=(2, t)) for t in (4, 6, 9, 9, 5, 7, 8, 3)]).spec
    short = [rng.normal(size=(2, t)) for t in (5, 3)]
    items = load_items(short, spec=known).batch(slice(None))
    assert items.named["lengths"].flatten().tolist() == [5, 3]
    assert np.allclose(items.x[1, :, :3], short[1])
    assert items.x.shape == (2, 2, 9)
    assert not items.x[1, :, 3:].any()
    assert load_items([short[0]] * 2, spec=known).named["lengths"].tolist() == [[5], [5]]
    with pytest.raises(ShapeError, match="the model needs examples of 2x9"):
        load_items([rng.normal(size=(2, 12)), short[0]], spec=known)
