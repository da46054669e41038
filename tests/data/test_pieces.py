"""Long sequences are cut for training, and only for training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import Data, load_data
from reparam.errors import DataError
from reparam.objectives import ELBO
from reparam.recipes import build
from reparam.training import Trainer
from tests.training.trained import settings

LENGTHS = (11, 3, 12, 7)


def sequences(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 2, 12)).astype(np.float32)
    lengths = np.array(LENGTHS)
    x[np.arange(12)[None, None] >= lengths[:, None, None].repeat(2, 1)] = 0
    names = {f"{name}_{split}": values for split in ("train", "test") for name, values in (("x", x),)}
    return names | {"lengths_train": lengths, "lengths_test": lengths} | more


def loaded(tmp_path: Path, **how: Any) -> Data:
    np.savez(tmp_path / "walks.npz", **sequences(y_train=np.arange(4), y_test=np.arange(4)))
    return load_data(tmp_path / "walks.npz", **{"validation": 1, "seed": 0} | how)


def test_pieces_make_up_the_sequences(tmp_path: Path) -> None:
    whole, cut = loaded(tmp_path), loaded(tmp_path, pieces=5)
    assert whole.train.labels is not None
    assert cut.train.labels is not None
    for number in whole.train.labels.tolist():
        before, after = (data.train.take((data.train.labels == number).nonzero().flatten()) for data in (whole, cut))
        lengths = after.named["lengths"].flatten().tolist()
        assert max(lengths) <= 5
        assert max(lengths) - min(lengths) <= 1
        x = after.batch(slice(None)).x
        assert x.shape[1:] == cut.shape == (2, 12)
        joined = torch.cat([piece[:, :length] for piece, length in zip(x, lengths, strict=True)], 1)
        assert torch.equal(joined, before.batch(slice(None)).x[0, :, : LENGTHS[number]])
        assert all((piece[:, length:] == 0).all() for piece, length in zip(x, lengths, strict=True))
    assert torch.equal(cut.test.stored, whole.test.stored)
    assert torch.equal(cut.validation.stored, whole.validation.stored)
    assert cut.train.stored.shape[-1] <= 5  # kept no longer than they are


def test_a_model_trains_on_pieces_and_is_judged_by_whole_sequences(tmp_path: Path) -> None:
    data = loaded(tmp_path, pieces=4)
    model = build("vrnn", data)
    outcome = Trainer(model, data, ELBO(), settings(epochs=1)).run()
    assert outcome.steps == 1
    assert np.isfinite(outcome.best)


@pytest.mark.parametrize(
    ("source", "pieces", "message"),
    [
        ("digits", 5, r"pieces=5: digits has no sequences of their own lengths"),
        ("sprites", 5, r"pieces=5: .*is made when asked for"),
        ("digits", 0, r"pieces=0; expected a whole number"),
    ],
)
def test_other_data_are_refused(source: str, pieces: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(source, pieces=pieces)
