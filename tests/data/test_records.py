from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import Data, load_data
from reparam.data.streams import StreamedSplit
from reparam.errors import DataError
from reparam.recipes import build
from reparam.rng import generator


@pytest.fixture
def grey() -> Data:
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    return load_data((x, np.arange(40) % 2), binarize="dynamic")


def test_dynamic_binarisation_is_drawn_afresh_and_repeats_with_its_generator(grey: Data) -> None:
    first, again, other = (grey.train.batch(slice(None), generator(i)).x for i in (0, 0, 1))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_mean_of_many_draws_is_x(grey: Data) -> None:
    draws = torch.stack([grey.train.batch(slice(0, 4), generator(i)).x for i in range(2000)])
    x = grey.train.stored[:4] / 255
    assert (draws.mean(0) - x).abs().max() < 5 * 0.5 / 2000**0.5  # five standard errors


def test_fixed_is_drawn_once(grey: Data) -> None:
    fixed = grey.test.fixed(3)
    assert torch.equal(fixed.stored, grey.test.fixed(3).stored)
    assert not torch.equal(fixed.stored, grey.test.fixed(4).stored)
    assert (fixed.spec.kind, fixed.spec.binarize) == ("binary", "none")
    assert fixed.fixed(5) is fixed
    assert torch.equal(fixed.labels, grey.test.labels)


def test_batches_cover_a_split_in_order(grey: Data) -> None:
    batches = list(grey.train.fixed(0).batches(10))
    assert [len(batch) for batch in batches] == [10, 10, 10, 2]
    assert torch.equal(torch.cat([batch.named["labels"] for batch in batches]), grey.train.labels)


def test_what_is_not_there_is_named(grey: Data) -> None:
    batch = grey.train.batch(slice(0, 2))
    assert set(batch.pick(["labels"])) == {"labels"}
    with pytest.raises(DataError, match=r"needs 'mask' .* the data have labels"):
        batch.pick(["mask"])
    with pytest.raises(DataError, match="no split 'dev'"):
        grey.split("dev")


class Halves:
    """Rows in two blocks, as if they lay on disk."""

    roles: tuple[str, ...] = ()

    def __init__(self, x: torch.Tensor) -> None:
        self.blocks = x.tensor_split(2)
        self.lengths = [len(block) for block in self.blocks]

    def read(self, number: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.blocks[number], {}

    def named(self, number: int) -> dict[str, torch.Tensor]:
        return {}


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (5, [5]),
        (-1, [31]),
        (np.int64(2), [2]),
        ([1, -2], [1, 30]),
        ([], []),
        (range(3), [0, 1, 2]),
        (np.array([3, 0]), [3, 0]),
        (np.arange(32) == 7, [7]),
        ([False] * 31 + [True], [31]),
        (torch.tensor([2, 2]), [2, 2]),
        (torch.tensor(4, dtype=torch.int32), [4]),
        (torch.arange(32) > 29, [30, 31]),
        (slice(2, 8, 3), [2, 5]),
        (slice(3, None, -1), [3, 2, 1, 0]),
        (slice(5, 2), []),
    ],
)
def test_items_by_their_numbers(index: Any, rows: list[int], grey: Data) -> None:
    """Written in any of the usual ways, of a split in memory and of one on disk."""
    split = grey.train.fixed(0)
    disk = StreamedSplit(Halves(split.stored), split.spec)
    for batch in (split.batch(index), split[index], split.take(index).batch(slice(None)), disk[index]):
        assert torch.equal(batch.x, split.x[rows])
    assert torch.equal(split[index].named["labels"], split.labels[rows])
    assert torch.equal(disk.take(index).x, split.x[rows])


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (32, r"There is no item 32: there are 32, from 0 to 31\."),
        ([0, -33], r"There is no item -33: there are 32"),
        ([True, False], r"holds bool values of shape \(2,\), expected .* a mask has a value for each of the 32 items"),
        (torch.tensor([0.5]), r"holds float32 values of shape \(1,\), expected a whole number"),
        ([[0, 1]], r"holds int64 values of shape \(1, 2\)"),
        (slice(0.5, 2), r"The index is slice\(0\.5, 2, None\): slice indices must be integers"),
        ("seven", r"The index is 'seven', expected a whole number, some of them, a mask or a slice"),
    ],
)
def test_items_that_are_not_there(index: Any, sentence: str, grey: Data) -> None:
    for ask in (grey.train.batch, grey.train.take):
        with pytest.raises(DataError, match=sentence):
            ask(index)


def test_a_split_gives_its_items_one_by_one(grey: Data) -> None:
    split = grey.test.fixed(0)
    found = list(split)
    assert [len(one) for one in found] == [1] * len(split)
    assert torch.equal(torch.cat([one.x for one in found]), split.x)


def test_records_are_short_where_somebody_looks_at_them(grey: Data) -> None:
    wide = load_data(np.random.default_rng(0).normal(size=(40, 2000)))
    assert len(repr(wide.spec)) < 500
    assert repr(wide.spec).startswith("DataSpec(name='ndarray', shape=(2000,), kind='real', ")
    assert ", ... 2,000 in all)" in repr(wide.spec)
    assert repr(grey.train[:3]) == "Batch(x=float32[3, 1, 4, 4], named={labels: int64[3]})"
    trace = build("vae", wide).trace(wide.train[:3].x, 2)
    assert repr(trace) == "Trace(z=[2, 3, 16], q=Independent, p_z=Independent, p_x=Rescaled)"
