import numpy as np
import pytest
import torch

from reparam.data import Data, load_data
from reparam.errors import DataError
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
