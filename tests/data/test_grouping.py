"""Members of a group side by side: in the order of an epoch, in memory and streamed, and in training."""

from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reparam.data import load_data
from reparam.data.grouping import side_by_side
from reparam.data.streams import PooledOrder
from reparam.errors import DataError
from reparam.rng import generator
from reparam.runs import train


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 99))
def test_runs_of_members(labels: list[int], size: int, seed: int) -> None:
    """A permutation; a group of n members has at most ceil(n / size) runs, so the others stand behind a member."""
    groups, draws = torch.tensor(labels), generator(seed)
    order = torch.randperm(len(labels), generator=draws)
    found = side_by_side(order, groups[order], size, draws)
    assert sorted(found.tolist()) == list(range(len(labels)))
    arranged = groups[found].tolist()
    for group in set(labels) - {-1}:
        behind = sum(one == group == before for before, one in pairwise(arranged))
        assert behind >= labels.count(group) - ceil(labels.count(group) / size)


def test_small_groups_are_seen_as_groups() -> None:
    """Of 250 groups of four nearly nobody is alone in a batch, as nearly everybody is without it."""
    labels = np.arange(1000) % 250
    split = load_data({"x_train": np.random.default_rng(0).random((1000, 3)), "y_train": labels}).train

    def share_alone(group_size: int) -> float:
        order = split.order(0, 1, group_size)
        alone = 0
        for start in range(0, len(split), 64):
            counts = split.groups[order[start : start + 64]].unique(return_counts=True)[1]  # type: ignore[index]
            alone += int((counts == 1).sum())
        return alone / len(split)

    assert share_alone(1) > 0.7
    assert share_alone(4) < 0.05


def test_streamed_groups_stand_together_within_a_pool(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((600, 3)), y=np.arange(600) % 100)
    split = load_data(tmp_path / "a.npz").train
    lengths = torch.tensor([100] * (len(split) // 100) + [len(split) % 100])
    order = PooledOrder(lengths, 2, (0, "epoch", 0), groups=split.groups, group_size=4)[:]
    assert sorted(order.tolist()) == list(range(len(split)))
    assert split.groups is not None
    arranged = split.groups[order].tolist()
    alone = PooledOrder(lengths, 2, (0, "epoch", 0))[:]
    pairs = [sum(a == b for a, b in pairwise(groups)) for groups in (arranged, split.groups[alone].tolist())]
    assert pairs[0] > 5 * pairs[1]


def test_groups_need_labels() -> None:
    data = load_data(np.random.default_rng(0).random((30, 3)))
    settings = {"train": {"epochs": 1, "group_size": 4, "tensorboard": False}}
    with pytest.raises(DataError, match="has neither groups nor labels"):
        train("vae", settings, data=data, device="cpu")
