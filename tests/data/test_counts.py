"""Counts: told, never guessed; kept as they are; seen by networks as standardised logs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import load_data, load_items
from reparam.data.convert import from_splits
from reparam.data.observations import side_by_side
from reparam.data.prepare import undivided
from reparam.data.raw import COUNTS, Part, Raw
from reparam.errors import DataError


def table(rows: int = 40, columns: int = 3, most: int = 9) -> Any:
    return np.random.default_rng(0).integers(0, most + 1, (rows, columns))


def test_are_told_and_never_guessed() -> None:
    assert load_data(table()).kind == "real"
    data = load_data(table(), values="counts")
    assert (data.kind, data.spec.values, data.spec.levels, data.spec.divisor) == ("counts", "counts", 0, 1.0)
    whole = torch.cat([data.split(name).batch(slice(None)).x for name in ("train", "validation", "test")])
    assert sorted(whole.tolist()) == sorted(table().astype(float).tolist())
    logs = data.train.batch(slice(None)).x.double().log1p()
    assert data.spec.shift == pytest.approx(logs.mean(0).tolist(), rel=1e-5)
    assert data.spec.scale == pytest.approx(logs.std(0, correction=0).tolist(), rel=1e-5)
    assert data.spec.units == {"shift": data.spec.shift, "scale": data.spec.scale, "counts": 3}


@pytest.mark.parametrize(("most", "stored"), [(255, torch.uint8), (256, torch.float32)])
def test_take_a_byte_each_where_that_is_enough(most: int, stored: torch.dtype) -> None:
    x = table(most=most)
    x[0, 0] = most
    data = load_data(x, values="counts")
    assert data.train.stored.dtype == stored
    assert data.train.batch(slice(None)).x.dtype == torch.float32


def test_pictures_and_sequences_can_be_counted() -> None:
    pictures = load_data(np.random.default_rng(0).poisson(3.0, (20, 6, 5)), axes="NHW", values="counts")
    assert (pictures.kind, pictures.shape, len(pictures.spec.shift)) == ("counts", (1, 6, 5), 1)
    signals = load_data([np.random.default_rng(i).poisson(3.0, (2, 4 + i)) for i in range(6)], values="counts")
    assert (signals.kind, signals.shape) == ("counts", (2, 9))


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([[1.0, 2.5]] * 4, r"values=counts says whole numbers from 0 on; they lie between 1 and 2.5, not all of them"),
        ([[1, -2]] * 4, "values=counts says whole numbers from 0 on; they lie between -2 and 1"),
    ],
)
def test_what_is_no_count_is_refused(x: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_data(np.array(x), values="counts")


def test_are_not_made_binary() -> None:
    with pytest.raises(DataError, match=r"binarize='dynamic' needs values in \[0, 1\]; array is counts data"):
        load_data(table(), values="counts", binarize="dynamic", name="array")


def test_a_model_of_counts_takes_counts_alone() -> None:
    spec = load_data(table(), values="counts").spec
    large = 1000 * table(5)
    assert torch.equal(load_items(large, spec=spec).batch(slice(None)).x, torch.from_numpy(large).float())
    bits = load_items(np.eye(3), spec=spec)
    assert torch.equal(bits.batch(slice(None)).x, torch.eye(3))
    for wrong, found in (
        (np.full((2, 3), -1), "values from -1 to -1"),
        (np.full((2, 3), 0.5), "not all of them whole"),
    ):
        with pytest.raises(DataError, match=f"{found}.*the model knows counts"):
            load_items(wrong, spec=spec)
    with pytest.raises(DataError, match="has real values; the model knows counts"):
        load_items(table(), spec=spec, values="real")
    levels = load_data(table(most=255), values="levels").spec
    with pytest.raises(DataError, match="the model knows levels data"):
        load_items(table(), spec=levels, values="counts")


def test_survive_as_splits() -> None:
    data = load_data(table(), values="counts")
    again = undivided(from_splits({"all": data.train}), None)
    assert again.spec.kind == "counts"
    assert torch.equal(again.stored, data.train.stored)


def test_are_real_numbers_among_observations() -> None:
    part = Part(table(), others={"y": table(columns=1)})
    raw = side_by_side(Raw("counted", {"all": part}, scale=COUNTS), ("x", "y"))
    assert [one.kind for one in raw.observations] == ["real", "real"]


def test_are_streamed(tmp_path: Path) -> None:
    x = table(64)
    parts = [tmp_path / f"{i}.npy" for i in range(8)]
    for i, path in enumerate(parts):
        np.save(path, x[8 * i : 8 * i + 8])
    data = load_data(tmp_path, values="counts", stream=True)
    assert data.kind == "counts"
    batch = data.train.batch(torch.arange(len(data.train))).x
    assert torch.equal(batch, batch.round())
    assert len(data.spec.shift) == 3
    again = load_data(tmp_path, spec=replace(data.spec, values="auto"), stream=True)
    assert again.train.batch(torch.arange(8)).x.dtype == torch.float32
