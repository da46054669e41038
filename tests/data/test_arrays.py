from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from reparam.data import Data, Split, load_data, load_items
from reparam.data.raw import Array
from reparam.errors import DataError

RNG = np.random.default_rng(0)


def grey(count: int = 20, high: int = 256) -> np.ndarray:
    return np.random.default_rng(1).integers(0, high, (count, 6, 5), dtype=np.uint8)


def everything(data: Data) -> torch.Tensor:
    return torch.cat([data.train.stored, data.validation.stored, data.test.stored])


@pytest.mark.parametrize(
    ("x", "shape", "kind", "levels", "divisor"),
    [
        (grey(), (1, 6, 5), "levels", 256, 255.0),
        (grey()[:, None], (1, 6, 5), "levels", 256, 255.0),
        (grey()[..., None], (1, 6, 5), "levels", 256, 255.0),
        (RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), (3, 6, 5), "levels", 256, 255.0),
        (RNG.integers(0, 256, (20, 6, 5, 4), dtype=np.uint8), (3, 6, 5), "levels", 256, 255.0),
        (RNG.integers(0, 256, (20, 3, 6, 5), dtype=np.uint8), (3, 6, 5), "levels", 256, 255.0),
        (RNG.integers(0, 256, (20, 6, 5)).astype(np.int64), (1, 6, 5), "levels", 256, 255.0),
        (RNG.integers(0, 256, (20, 6, 5)).astype(np.float64), (1, 6, 5), "levels", 256, 255.0),
        (grey(high=2), (1, 6, 5), "binary", 0, 1.0),
        (grey(high=2) * np.uint8(255), (1, 6, 5), "binary", 0, 1.0),
        (grey(high=2).astype(bool), (1, 6, 5), "binary", 0, 1.0),
        (grey(high=2).astype(np.float32), (1, 6, 5), "binary", 0, 1.0),
        (RNG.random((20, 6, 5)), (1, 6, 5), "unit", 0, 1.0),
        (RNG.random((20, 6, 5)) * 255, (1, 6, 5), "unit", 0, 255.0),
        (RNG.normal(size=(20, 2, 6, 5)), (2, 6, 5), "real", 0, 1.0),
        (RNG.normal(size=(20, 3, 11)), (3, 11), "real", 0, 1.0),
        (RNG.normal(size=(20, 7)), (7,), "real", 0, 1.0),
        (RNG.random((20, 7)), (7,), "real", 0, 1.0),
        (RNG.integers(0, 2, (20, 7)), (7,), "binary", 0, 1.0),
        (RNG.normal(size=20), (1,), "real", 0, 1.0),
    ],
)
def test_shape_and_kind_follow_from_the_array(
    x: Array, shape: tuple[int, ...], kind: str, levels: int, divisor: float
) -> None:
    for source in (x, torch.from_numpy(x)):
        data = load_data(source)
        spec = data.spec
        assert (data.shape, data.kind, spec.levels, spec.divisor) == (shape, kind, levels, divisor)
        assert everything(data).shape == (20, *shape)
        assert everything(data).dtype == (torch.uint8 if kind in ("levels", "binary") else torch.float32)
        batch = data.train.batch(slice(None)).x
        assert kind == "real" or (batch.min() >= 0 and batch.max() <= 1)
        assert len(spec.shift) == len(spec.scale) == (shape[0] if kind == "real" else 0)


ROWS = np.arange(120).reshape(20, 6) * 15 % 256
ROWS[0, 1] = 255


@pytest.mark.parametrize(
    ("x", "declared", "shape", "kind"),
    [
        (RNG.normal(size=(20, 6, 5)), {"axes": "NHW"}, (1, 6, 5), "real"),
        (RNG.random((20, 6, 5)), {"axes": "NCT", "values": "real"}, (6, 5), "real"),
        (RNG.normal(size=(20, 6, 5)), {"axes": "NTC"}, (5, 6), "real"),
        (RNG.normal(size=(20, 6, 5, 2)), {"axes": "NHWC"}, (2, 6, 5), "real"),
        (RNG.random((20, 6, 5, 4)), {"axes": "NHWC"}, (4, 6, 5), "unit"),
        (RNG.normal(size=20), {"axes": "ND"}, (1,), "real"),
        (RNG.integers(0, 2, (20, 6)), {"values": "unit"}, (6,), "unit"),
        (RNG.random((20, 6, 5, 3)), {"axes": "NCHW"}, (6, 5, 3), "unit"),
        (ROWS, {"values": "levels"}, (6,), "levels"),
        (ROWS / 255, {"values": "unit", "axes": "ND"}, (6,), "unit"),
        (ROWS, {"values": "unit"}, (6,), "unit"),
        (ROWS > 100, {"values": "real"}, (6,), "real"),
        (grey(), {"values": "unit"}, (1, 6, 5), "unit"),
        (grey(high=2) * 255, {"values": "binary"}, (1, 6, 5), "binary"),
    ],
)
def test_axes_and_values_are_those_that_are_declared(
    x: Array, declared: dict[str, Any], shape: tuple[int, ...], kind: str
) -> None:
    data = load_data(x, **declared)
    assert (data.shape, data.kind) == (shape, kind)
    order = {"NTC": (0, 2, 1), "NHWC": (0, 3, 1, 2)}.get(declared.get("axes", ""), tuple(range(x.ndim)))
    expected = np.transpose(x, order).reshape(20, *shape)
    items = load_items(x, **declared)
    assert items.stored.to(torch.float64).numpy() == pytest.approx(expected / (255 if kind == "binary" else 1))
    again = load_items(x, spec=data.spec)
    assert torch.equal(again.batch(slice(None)).x, items.batch(slice(None)).x)


@pytest.mark.parametrize(
    ("x", "declared", "other"),
    [
        (ROWS, {"values": "levels"}, ROWS % 2),
        (RNG.random((20, 6, 5)) * 255, {"values": "unit"}, RNG.random((20, 6, 5)) * 0.9),
        (grey().astype(float), {"values": "real"}, grey(high=2).astype(float)),
        (RNG.normal(size=(20, 6, 6)), {"axes": "NTC"}, RNG.normal(size=(20, 6, 6))),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_other_arrays_mean_what_those_of_the_model_did(
    tmp_path: Path, x: Array, declared: dict[str, Any], other: Array, stream: bool
) -> None:
    """A dark picture is not a bright one on another scale, and few counts are not bits."""
    spec = load_data(x, **declared).spec
    rows = np.concatenate([other] * 10)
    np.save(tmp_path / "other.npy", rows)
    read = load_data(tmp_path / "other.npy", spec=spec, stream=stream).train
    expected = load_items(rows, **declared)
    if spec.kind == "unit":
        expected = replace(expected, spec=spec)
    found = {tuple(row) for batch in read.batches(64) for row in batch.x.flatten(1).tolist()}
    assert found <= {tuple(row) for row in expected.batch(slice(None)).x.flatten(1).tolist()}


def test_what_was_said_of_the_models_data_is_a_hint_only() -> None:
    spec = load_data(RNG.normal(size=(20, 2, 6, 5)), axes="NCHW").spec
    assert load_items(RNG.normal(size=(6, 5, 2)).transpose(2, 0, 1), spec=spec).stored.shape == (1, 2, 6, 5)
    spec = load_data(RNG.random((20, 3, 6, 5)), axes="NCHW", values="unit").spec
    items = load_items(RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), spec=spec)
    assert items.stored.shape == (20, 3, 6, 5)
    assert items.batch(slice(None)).x.max() <= 1


@pytest.mark.parametrize(
    ("x", "declared", "said"),
    [
        (ROWS, {"axes": "NCHW"}, r"has shape \(20, 6\); axes=NCHW says 4 axes"),
        (ROWS, {"axes": "DN"}, "axes='DN'; expected auto, ND, NCT"),
        (ROWS, {"values": "grey"}, "values='grey'; expected auto, binary, levels"),
        (ROWS, {"values": "binary"}, "values=binary says 0 and 1, or 0 and 255, alone; they lie between 0 and 255"),
        (ROWS + 0.5, {"values": "levels"}, "between 0.5 and 255.5, not all of them whole"),
        (-ROWS, {"values": "unit"}, r"values=unit says numbers in \[0, 1\] or in \[0, 255\]; they lie between -255"),
        ("sprites", {"axes": "NHW"}, "sprites says itself what its axes and values are"),
        ("digits", {"values": "levels"}, "digits says itself what its axes and values are"),
        (ROWS, {"values": np.zeros(2)}, "expected auto, binary"),
    ],
)
def test_what_they_cannot_be_is_refused(x: Any, declared: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(x, **declared)


def test_data_are_read_again_as_they_were_declared(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RNG.normal(size=(20, 6, 5)))
    data = load_data(tmp_path / "x.npy", axes="NTC", values="real")
    assert torch.equal(load_data(**data.origin).train.stored, data.train.stored)


def test_values_survive() -> None:
    x = grey()
    assert torch.equal(load_items(x).stored[:, 0], torch.from_numpy(x))
    colour = RNG.integers(0, 256, (4, 6, 5, 4), dtype=np.uint8)
    assert torch.equal(load_items(colour).stored, torch.from_numpy(colour[..., :3]).permute(0, 3, 1, 2))
    table = RNG.normal(size=(4, 3))
    assert torch.equal(load_items(table).stored, torch.from_numpy(table).float())


def test_a_little_overshoot_is_clipped() -> None:
    x = RNG.random((10, 4, 4))
    x[0, 0, 0] = 1 + 1e-7
    assert load_data(x).kind == "unit"
    assert load_items(x).stored.max() == 1


def test_moments_are_those_of_train() -> None:
    x = RNG.normal(3.0, 2.0, (200, 4))
    x[:, 2] = 5.0
    data = load_data(x)
    train = data.train.stored.double()
    assert torch.allclose(torch.tensor(data.spec.shift).double(), train.mean(0), atol=1e-6)
    assert data.spec.scale[2] == 1.0
    assert torch.allclose(torch.tensor(data.spec.scale[:2]).double(), train.std(0, correction=0)[:2], atol=1e-6)
    signals = load_data(RNG.normal(size=(50, 3, 9)))
    assert torch.allclose(torch.tensor(signals.spec.shift), signals.train.stored.mean(dim=(0, 2)), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 60), seed=st.integers(0, 5))
def test_splits_are_disjoint_complete_and_seeded(count: int, seed: int) -> None:
    x = np.arange(count, dtype=np.float64)[:, None] + 0.5
    data = load_data(x, seed=seed)
    sizes = [len(data.split(name)) for name in ("train", "validation", "test")]
    if count < 3:
        assert sizes == [count] * 3
    else:
        assert torch.equal(everything(data).ravel().sort().values, torch.from_numpy(x).float().ravel())
        assert sizes[1] == sizes[2] == max(1, round(count / 10))
    assert torch.equal(everything(data), everything(load_data(x, seed=seed)))


def test_another_seed_splits_otherwise() -> None:
    x = np.arange(100.0)[:, None] + 0.5
    assert not torch.equal(load_data(x, seed=0).test.stored, load_data(x, seed=1).test.stored)


def test_validation_is_cut_from_train_alone() -> None:
    data = load_data({"x_train": np.arange(40.0)[:, None] + 0.5, "x_test": np.arange(40, 50.0)[:, None] + 0.5})
    assert [len(data.train), len(data.validation), len(data.test)] == [36, 4, 10]
    assert data.test.stored.min() > 40
    assert data.validation.stored.max() < 40


@pytest.mark.parametrize(("validation", "count"), [(0.25, 10), (7, 7), (0.001, 1)])
def test_validation_as_share_or_number(validation: float, count: int) -> None:
    x = {"train": np.arange(40.0)[:, None], "test": np.ones((4, 1))}
    assert len(load_data(x, validation=validation).validation) == count


@pytest.mark.parametrize("validation", [0, -1, 40, 41, 2.5])
def test_impossible_validation(validation: float) -> None:
    with pytest.raises(DataError, match="validation="):
        load_data({"train": np.arange(40.0)[:, None], "test": np.ones((4, 1))}, validation=validation)


def test_own_validation_is_never_cut_again() -> None:
    x = {"train": np.ones((4, 2)) * 3, "val": np.ones((2, 2)), "test": np.zeros((3, 2))}
    data = load_data(x)
    assert [len(data.train), len(data.validation), len(data.test)] == [4, 2, 3]
    with pytest.raises(DataError, match="validation split of its own"):
        load_data(x, validation=0.5)


@pytest.mark.parametrize("x", [grey(1), RNG.normal(size=(1, 17)), RNG.normal(size=(1, 2, 8))])
def test_one_single_item_is_enough(x: Array) -> None:
    data = load_data(x)
    assert [len(data.train), len(data.validation), len(data.test)] == [1, 1, 1]
    assert all(np.isfinite(data.spec.scale))


def test_labels_become_numbers_and_names() -> None:
    x = RNG.normal(size=(30, 2))
    names = np.array(["10", "9", "cat"] * 10)
    data = load_data((x, names))
    assert data.spec.classes == ("9", "10", "cat")
    assert data.labels.dtype == torch.int64
    lookup = {tuple(row): name for row, name in zip(x.astype(np.float32).tolist(), names, strict=True)}
    for split in (data.train, data.validation, data.test):
        for row, label in zip(split.stored.tolist(), split.labels.tolist(), strict=True):
            assert lookup[tuple(row)] == data.spec.classes[label]
    assert load_data((x, np.arange(30) % 3 * 1.0)).spec.classes == ("0", "1", "2")
    assert load_data((x, (np.arange(30) % 2)[:, None])).spec.classes == ("0", "1")
    assert load_data((x, [b"a", b"b"] * 15)).spec.classes == ("a", "b")
    assert load_data((x, np.arange(30) > 3)).spec.classes == ("False", "True")


def test_labels_for_a_model_with_classes() -> None:
    """By name; by place, where none of the numbers is a name; none at all where one is not known."""
    x = np.random.default_rng(0).normal(size=(30, 4))
    spec = load_data((x, ["cat", "dog", "owl"] * 10)).spec
    for labels in (["cat", "dog", "owl"] * 10, np.arange(30) % 3):
        found = load_items((x, labels), spec=spec).labels
        assert found is not None
        assert found.tolist() == [0, 1, 2] * 10
    for labels in (["cat", "hen"] * 15, np.arange(30) % 4):
        assert load_items((x, labels), spec=spec).labels is None
    some = load_items((x, ["cat", ""] * 15), spec=spec).labels
    assert some is not None
    assert some.tolist() == [0, -1] * 15


def test_labels_of_a_part_stay_with_it() -> None:
    data = load_data({"x_train": np.ones((20, 2)) * 3, "y_train": np.arange(20) % 2, "x_test": np.ones((5, 2))})
    assert data.train.labels is not None
    assert data.validation.labels is not None
    assert data.test.labels is None


class Pairs(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> tuple[torch.Tensor, str]:
        return torch.full((1, 4, 4), i / 12), "odd" if i % 2 else "even"


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[object]:
        yield from ({"image": np.full((4, 4), i, dtype=np.uint8), "label": i % 3} for i in range(12))


def test_datasets_and_loaders() -> None:
    assert load_items(Pairs()).spec.classes == ("even", "odd")
    assert load_items(Pairs()).stored[:, 0, 0, 0].tolist() == pytest.approx([i / 12 for i in range(12)])
    stream = load_items(Stream())
    assert (stream.stored.shape, stream.labels.tolist()) == ((12, 1, 4, 4), [i % 3 for i in range(12)])
    tensors = TensorDataset(torch.randn(12, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2)
    for source in (tensors, DataLoader(tensors, batch_size=5), list(tensors)):
        items = load_items(source)
        assert torch.equal(items.stored, tensors.tensors[0])
        assert torch.equal(items.labels, tensors.tensors[1])
    assert load_items(DataLoader(Pairs(), batch_size=5)).spec.classes == ("even", "odd")
    assert len(load_data({"train": tensors, "test": Pairs2()}).test) == 3
    assert load_items([[1.0, 2.5], [3.0, 4.0]]).stored.tolist() == [[1.0, 2.5], [3.0, 4.0]]


class Pairs2(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.full((5,), i + 0.5), 1


def test_frames() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.5, 2, 3], "b": [True, False, True], "kind": ["x", "y", "x"]})
    items = load_items(frame)
    assert items.spec.columns == ("a", "b")
    assert (items.labels.tolist(), items.spec.classes) == ([0, 1, 0], ("x", "y"))


def test_our_own_records_are_read_again() -> None:
    data = load_data((grey(40), np.arange(40) % 2), binarize="dynamic")
    assert load_data(data) is data
    assert load_data(data, name="mine").spec.name == "mine"
    small = load_data(data, size=3)
    assert small.shape == (1, 3, 3)
    assert isinstance(load_items(data.test), Split)
    assert torch.equal(load_items(data.test).stored, data.test.stored)
    assert torch.equal(load_data(data, limit=4).train.stored, load_data(data, limit=4).train.stored)


def test_limit_is_a_seeded_subset_of_each_split() -> None:
    x = np.arange(100.0)[:, None] + 0.5
    full, some = load_data(x), load_data(x, limit=9)
    assert [len(some.train), len(some.validation), len(some.test)] == [9, 9, 9]
    assert set(some.train.stored.ravel().tolist()) <= set(full.train.stored.ravel().tolist())
    assert some.train.stored.ravel().tolist() != full.train.stored.ravel().tolist()[:9]
    assert some.spec == full.spec
    with pytest.raises(DataError, match="limit=0"):
        load_data(x, limit=0)


def test_binarize() -> None:
    assert load_data(grey(), binarize="dynamic").spec.effective_kind == "binary"
    assert set(load_data(grey(), binarize="threshold").train.batch(slice(None)).x.unique().tolist()) == {0.0, 1.0}
    assert load_data(grey(high=2), binarize="dynamic").spec.binarize == "none"
    with pytest.raises(DataError, match="real data"):
        load_data(RNG.normal(size=(9, 2)), binarize="dynamic")
    with pytest.raises(Exception, match="maybe"):
        load_data(grey(), binarize="maybe")


@pytest.mark.parametrize("size", [3, (4, 10)])
def test_size(size: int | tuple[int, int]) -> None:
    data = load_data(grey(), size=size)
    assert data.shape == (1, *(size if isinstance(size, tuple) else (size, size)))
    assert data.spec.levels == 256
    assert load_data(grey(high=2), size=size).kind == "levels"
    assert load_data(RNG.random((5, 3, 6, 5)), size=size).kind == "unit"
    constant = load_items(np.full((2, 6, 5), 77, dtype=np.uint8), size=size)
    assert constant.stored.unique().tolist() == [77]


def test_size_is_for_pictures() -> None:
    with pytest.raises(DataError, match="size= resizes pictures"):
        load_data(RNG.normal(size=(9, 4)), size=8)
    with pytest.raises(DataError, match="at least 1"):
        load_data(grey(), size=0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 4, 4)), "no examples"),
        (np.zeros((4, 0)), "without features"),
        (np.array(3.0), "single number"),
        (np.ones((2, 2, 2, 2, 2)), "expected N examples"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), r"nan in row 1, column 0"),
        (np.array([[1.0, 2.0], [1.0, np.inf]]), r"inf in row 1, column 1"),
        (np.array([[1.0, 1e300]]), r"row 0, column 1"),
        (np.full((3, 2, 2, 2), np.nan), r"row 0, position \(0, 0, 0\)"),
        (np.array([[1.0], [2.0, 3.0]], dtype=object), "Python objects"),
        (np.array(["a", "b"]), "expected numbers"),
        (np.ones((3, 2), dtype=complex), "expected numbers"),
        ([[1.0], [2.0, 3.0]], "Items differ in shape: item 0"),
        ([], "no items"),
        ((np.ones((3, 2)), np.arange(4)), "3 examples but 4 labels"),
        ((np.ones((3, 2)), np.array([0.5, 1, 2])), "expected whole numbers or names"),
        ((np.ones((3, 2)), np.ones((3, 2))), "one label per example"),
        ({"x": np.ones((3, 2)), "data": np.ones((3, 2))}, "mean the same"),
        ({"a": np.ones((3, 2)), "b": np.ones((3, 2))}, "expected 'x'"),
        ({"x": np.ones((3, 2)), "x_test": np.ones((3, 2))}, "Keep either"),
        ({"x": np.ones((3, 2)), "y_test": np.ones(3)}, "labels of 'test'"),
        ({"x_val": np.ones((3, 2)), "x_test": np.ones((3, 2))}, "no train"),
        ({"x_train": np.ones((3, 2)), "x_test": np.ones((3, 3))}, "Make them one shape"),
        (7, "Cannot read data from a int"),
    ],
)
def test_bad_objects_get_one_sentence(source: object, message: str) -> None:
    with (
        pytest.raises(DataError, match=message)
        if "one shape" not in message
        else pytest.raises(Exception, match=message)
    ):
        load_data(source)


def test_grey_values_just_above_one_are_not_guessed_at() -> None:
    with pytest.raises(DataError, match=r"neither in \[0, 1\] nor in 0\.\.255. Clip or scale them"):
        load_data(np.random.default_rng(0).random((30, 1, 8, 8)) * 1.02)


def test_a_column_that_32_bits_cannot_hold_is_named() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[:, 1] = 1.6e9 + 20 * x[:, 1]
    with pytest.raises(DataError, match=r"column 1 .* differ too little for their size"):
        load_data(x)


def test_factors_travel_with_the_examples() -> None:
    factors = np.stack([np.arange(40) % 2, np.arange(40) % 5], 1)
    data = load_data({"x": grey(40), "factors": factors})
    assert data.train.labels is None
    for split in (data.train, data.test, load_data(data, spec=data.spec).test):
        numbers = [find(row, grey(40)) for row in split.stored[:, 0].numpy()]
        assert split.named["factors"].tolist() == factors[numbers].tolist()
    with pytest.raises(DataError, match="has factors of train but not of test"):
        load_data({"x_train": grey(40), "factors_train": factors, "x_test": grey(3)})
    with pytest.raises(DataError, match=r"have shape \(40,\), type int64; expected whole numbers, \(N, F\)"):
        load_data({"x": grey(40), "factors": factors[:, 0]})
    with pytest.raises(DataError, match="has factors of 'test' but no examples of it"):
        load_data({"x_train": grey(40), "factors_test": factors})


def test_attributes_travel_with_the_examples() -> None:
    numbers = np.linspace(0, 1, 80).reshape(40, 2)
    data = load_data({"x": grey(40), "attributes": numbers})
    assert data.spec.widths == {"attributes": 2}
    for split in (data.train, data.test, load_data(data, spec=data.spec).test):
        rows = [find(row, grey(40)) for row in split.stored[:, 0].numpy()]
        assert split.named["attributes"].dtype == torch.float32
        assert np.allclose(split.named["attributes"].numpy(), numbers[rows])
    assert load_data({"x": grey(40), "condition": numbers[:, 0]}).spec.widths == {"attributes": 1}
    with pytest.raises(DataError, match=r"attributes of dict have shape \(7, 2\)"):
        load_data({"x": grey(40), "attributes": numbers[:7]})
    with pytest.raises(DataError, match="attributes of"):
        load_data({"x": grey(40), "attributes": np.where(numbers > 0.5, np.nan, numbers)})


def find(row: np.ndarray, x: np.ndarray) -> int:
    return int(np.flatnonzero((x.reshape(len(x), -1) == row.ravel()).all(1))[0])


def test_sparse_matrices_are_read_as_dense_ones() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x = np.random.default_rng(0).poisson(0.3, (40, 5)).astype(np.float32)
    for made in (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix):
        data = load_data({"x_train": made(x), "x_test": x}, values="counts")
        assert torch.equal(data.test.x, torch.from_numpy(x))
        assert sorted(map(bytes, load_data((made(x), x[:, 0])).train.x.numpy()))[0] in set(map(bytes, x))
    assert len(load_data(sparse.csr_matrix(x)).train) == 32
    with pytest.raises(DataError, match=r"The csr_matrix would take .* in memory. Keep fewer columns, or fewer rows"):
        load_data(sparse.csr_matrix((10**7, 10**7), dtype=np.float32))
