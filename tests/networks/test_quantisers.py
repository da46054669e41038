"""Quantisers: the code that is chosen, its gradient, its number, and what is learned by looking."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.errors import PartError, RefusedError
from reparam.networks import (
    FiniteScalarQuantiser,
    LookupFreeQuantiser,
    Quantiser,
    ResidualQuantiser,
    VectorQuantiser,
)
from reparam.processes import current
from reparam.rng import reseed
from tests.training.forked import in_processes

B, M, D, C = 3, 4, 2, 6


def numbers(seed: int = 0, *shape: int) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or (B, M, D)), generator=draws, dtype=torch.float64)


def table(**settings: Any) -> VectorQuantiser:
    reseed(1)
    return VectorQuantiser(D, C, **settings).double()


ALL: dict[str, Quantiser] = {
    "vq": table(),
    "gradient": table(decay=None),
    "cosine": table(metric="cosine"),
    "residual": ResidualQuantiser(D, C, 3).double(),
    "fsq": FiniteScalarQuantiser((5, 4)).double(),
    "lfq": LookupFreeQuantiser(D).double(),
}
EACH = pytest.mark.parametrize("name", list(ALL))


@EACH
def test_numbers_and_codes_agree(name: str) -> None:
    quantiser = ALL[name].eval()
    found = quantiser(numbers())
    assert found.vectors.shape == (B, M, D)
    assert found.indices.shape == (B, M, quantiser.stages)
    assert found.indices.min() >= 0
    assert found.indices.max() < quantiser.codes
    assert torch.equal(quantiser.vectors(found.indices), found.vectors)
    if quantiser.stages == 1:
        assert torch.equal(quantiser.indices(found.vectors), found.indices[..., 0])
    else:
        with pytest.raises(RefusedError, match="A sum of codes does not tell"):
            quantiser.indices(found.vectors)


@EACH
def test_gradient_goes_straight_through(name: str) -> None:
    """d f(z) / d h is the gradient of f at the code, through what bounds or normalises h alone."""
    quantiser = ALL[name].eval()
    h = numbers().requires_grad_()
    z = quantiser(h).vectors
    (got,) = torch.autograd.grad((z**3).sum(), h)
    at_the_code = 3 * z.detach() ** 2
    through = {"fsq": torch.tanh, "cosine": lambda h: torch.nn.functional.normalize(h, dim=-1)}.get(name, lambda h: h)
    (expected,) = torch.autograd.grad((at_the_code * through(h)).sum(), h)
    assert torch.allclose(got, expected, atol=1e-12)


@EACH
def test_all_numbers_are_codes(name: str) -> None:
    quantiser = ALL[name].eval()
    every = torch.arange(quantiser.codes).reshape(1, -1, 1).expand(1, -1, quantiser.stages)
    vectors = quantiser.vectors(every)
    assert vectors.shape == (1, quantiser.codes, D)
    assert len(vectors[0].unique(dim=0)) == quantiser.codes


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_nearest_code_by_brute_force(metric: Any) -> None:
    quantiser = table(metric=metric).eval()
    h = numbers(2, 50, 1, D)
    found = quantiser(h).indices[:, 0, 0]
    codes = quantiser.table
    if metric == "cosine":
        similarity = [[float(a @ b / (a.norm() * b.norm())) for b in codes] for a in h[:, 0]]
        assert found.tolist() == [row.index(max(row)) for row in similarity]
    else:
        distances = [[float((a - b).norm()) for b in codes] for a in h[:, 0]]
        assert found.tolist() == [row.index(min(row)) for row in distances]


class TestLearning:
    def test_averages_by_hand(self) -> None:
        quantiser = table(decay=0.9, revive=0.0, commitment=0.5)
        quantiser.table.copy_(torch.tensor([[0.0, 0.0], [10.0, 10.0]]).double().repeat(3, 1))
        quantiser.totals.copy_(quantiser.table)
        h = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[8.0, 10.0]]]).double()
        found = quantiser(h)
        assert found.indices.flatten().tolist() == [0, 0, 1]
        assert found.penalty is not None
        assert found.penalty.tolist() == [0.5, 2.0, 2.0]
        # nothing moves within the step: a prior reads z by the table it was made of
        assert torch.equal(quantiser.vectors(found.indices), found.vectors)
        # three choices of six codes: an equal use is half a choice, so each one counts double
        assert quantiser.counts[:3].tolist() == pytest.approx([0.9 + 0.4, 0.9 + 0.2, 0.9])
        assert quantiser.totals[0].tolist() == pytest.approx([0.2, 0.4])
        assert quantiser.totals[1].tolist() == pytest.approx([9 + 1.6, 9 + 2.0])
        quantiser(h)
        assert quantiser.table[0].tolist() == pytest.approx([0.2 / 1.3, 0.4 / 1.3])
        assert quantiser.table[1].tolist() == pytest.approx([10.6 / 1.1, 10.0])
        assert quantiser.table[2].tolist() == [0.0, 0.0]  # nothing chose it: it stays

    def test_nothing_is_learned_by_judging(self) -> None:
        quantiser = table()
        before = {name: value.clone() for name, value in quantiser.state_dict().items()}
        quantiser.eval()(numbers())
        with torch.no_grad():
            quantiser.train()(numbers())
        assert all(torch.equal(before[name], value) for name, value in quantiser.state_dict().items())

    def test_follows_the_data(self) -> None:
        quantiser = table(decay=0.8)
        centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0], [5.0, 5.0], [-5.0, -5.0]]).double()
        reseed(0)
        quantiser.start(centres)
        for step in range(80):
            centres = centres + 0.1
            quantiser(centres + 0.1 * numbers(step, 40, 6, 2))
        # an average over about 5 steps, read one step later, is 0.1 * 6 * sqrt(2) behind
        assert torch.cdist(centres, quantiser.table).min(1).values.le(1.0).all()

    def test_codes_that_nobody_chooses_are_moved_to_data(self) -> None:
        quantiser = table(decay=0.5, revive=0.1)
        quantiser.table.add_(100.0)
        quantiser.table[0] = 0.0
        quantiser.totals.copy_(quantiser.table)
        for seed in range(12):
            quantiser(numbers(seed))
        assert quantiser.table.abs().max() < 10
        never = table(decay=0.5, revive=0.0)
        never.table.add_(100.0)
        never.totals.copy_(never.table)
        for seed in range(12):
            never(numbers(seed))
        assert never.table[1:].max() > 50

    def test_a_batch_that_is_not_finite_teaches_nothing(self) -> None:
        quantiser = table()
        before = quantiser.totals.clone()
        quantiser(numbers().masked_fill(torch.tensor([True, False]), torch.nan))
        assert torch.equal(quantiser.totals, before)
        assert quantiser.counts.isfinite().all()

    def test_begins_with_centres_of_data(self) -> None:
        centres = numbers(3, C, D) * 10
        data = (centres.unsqueeze(1) + 0.01 * numbers(4, C, 50, D)).reshape(-1, D)
        quantiser = table()
        reseed(0)
        quantiser.start(data)
        error = (data - quantiser.eval()(data.unsqueeze(1)).vectors[:, 0]).square().sum(-1).mean()
        assert error < 2e-3  # the spread around each centre is 1e-2 in two dimensions
        assert torch.equal(quantiser.totals, quantiser.table)

    @pytest.mark.parametrize("uses", [2, 98, 400])
    def test_the_first_steps_keep_the_beginning(self, uses: int) -> None:
        """However many vectors of a batch a code stands for, a step on such data moves none far."""
        centres = numbers(3, C, D) * 10
        data = (centres.unsqueeze(1) + 0.01 * numbers(4, C, uses, D)).reshape(-1, 1, D)
        quantiser = table()
        reseed(0)
        quantiser.start(data[:, 0])
        begun = quantiser.table.clone()
        for _ in range(3):
            quantiser(data)
        assert torch.allclose(quantiser.table, begun, atol=0.05)

    def test_begins_once(self) -> None:
        quantiser = table()
        assert quantiser.starts
        quantiser.start(numbers(5, 40, D))
        assert not quantiser.starts

    def test_nearest_far_from_zero(self) -> None:
        quantiser = VectorQuantiser(D, C)
        quantiser.table.copy_(numbers(3, C, D).float() + 1e4)
        assert quantiser.indices(quantiser.table.unsqueeze(0)).flatten().tolist() == list(range(C))

    def test_fewer_data_than_codes(self) -> None:
        quantiser = table()
        quantiser.start(numbers(5, 2, D))
        assert quantiser.table.isfinite().all()
        assert len(quantiser.table.unique(dim=0)) == 2

    def test_several_processes_see_one_batch(self, tmp_path: Path) -> None:
        """Averages and moved codes are those of one process with the whole batch."""
        whole = numbers(6, 4, M, D)

        def learned() -> list[Any]:
            quantiser = table(decay=0.5, revive=0.9)
            group = current()
            reseed(7)
            for _ in range(3):
                quantiser(whole[group.share(4)])
            return [quantiser.totals.tolist(), quantiser.counts.tolist()]

        totals, counts = learned()
        for other_totals, other_counts in in_processes(2, learned, tmp_path):
            # the same sums in another order
            assert torch.allclose(torch.tensor(other_totals), torch.tensor(totals), atol=1e-6)
            assert other_counts == pytest.approx(counts)


def test_each_stage_of_a_residual_lowers_the_error() -> None:
    data = numbers(8, 400, D)
    errors = []
    for stages in (1, 2, 3, 4):
        reseed(0)
        quantiser = ResidualQuantiser(D, C, stages).double()
        quantiser.start(data)
        z = quantiser.eval()(data.unsqueeze(1)).vectors[:, 0]
        errors.append((data - z).square().sum(-1).mean().item())
    assert errors[0] < data.square().sum(-1).mean()
    assert all(later < 0.7 * earlier for earlier, later in itertools.pairwise(errors))


class TestFiniteScalars:
    @pytest.mark.parametrize("count", [2, 3, 4, 5, 8])
    def test_levels(self, count: int) -> None:
        quantiser = FiniteScalarQuantiser((count,)).double()
        h = torch.linspace(-8, 8, 4001, dtype=torch.float64).reshape(-1, 1, 1)
        found = quantiser(h)
        levels = found.vectors.detach().unique()
        assert torch.allclose(levels, torch.linspace(-1, 1, count, dtype=torch.float64))
        # the nearest level to tanh(h), by brute force
        nearest = (h.tanh()[:, 0] - levels).abs().argmin(-1)
        middle = (h.tanh()[:, 0] - levels).abs().sort(-1).values
        clear = middle[:, 1] - middle[:, 0] > 1e-9
        assert torch.equal(found.indices[:, 0, 0][clear], nearest[clear])

    def test_numbers_of_combinations(self) -> None:
        quantiser = FiniteScalarQuantiser((3, 2)).double()
        every = quantiser.vectors(torch.arange(6).reshape(6, 1, 1))[:, 0]
        assert every.tolist() == [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]

    @pytest.mark.parametrize("levels", [(), (1, 4), (5, 0)])
    def test_refuses(self, levels: tuple[int, ...]) -> None:
        with pytest.raises(PartError, match="expected 2 or more each"):
            FiniteScalarQuantiser(levels)


class TestLookupFree:
    def test_signs_and_bits(self) -> None:
        quantiser = LookupFreeQuantiser(3).double()
        found = quantiser(torch.tensor([[[0.1, -2.0, 3.0], [-0.1, -2.0, -3.0]]]).double())
        assert found.vectors.tolist() == [[[1, -1, 1], [-1, -1, -1]]]
        assert found.indices.flatten().tolist() == [5, 0]

    def test_entropies_by_hand(self) -> None:
        h = numbers(9)
        quantiser = LookupFreeQuantiser(D, commitment=0.0, entropy=1.0, temperature=2.0).double()
        penalty = quantiser(h).penalty
        assert penalty is not None
        codes = [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]
        shares = torch.zeros(B, M, 4, dtype=torch.float64)
        for b in range(B):
            for m in range(M):
                weights = [math.exp(2 * float(h[b, m] @ torch.tensor(code).double()) / 2.0) for code in codes]
                shares[b, m] = torch.tensor(weights).double() / sum(weights)
        own = -(shares * shares.log()).sum(-1).sum(-1)
        mean = shares.mean((0, 1))
        together = -(mean * mean.log()).sum()
        assert torch.allclose(penalty, own - M * together, atol=1e-10)

    def test_many_bits_stay_finite(self) -> None:
        quantiser = LookupFreeQuantiser(18, entropy=1.0)
        h = (1e4 * numbers(10, 2, 3, 18)).float().requires_grad_()
        penalty = quantiser(h).penalty
        assert penalty is not None
        penalty.sum().backward()
        assert h.grad is not None
        assert h.grad.isfinite().all()

    def test_refuses(self) -> None:
        with pytest.raises(PartError, match="expected 2 to 1,048,576"):
            LookupFreeQuantiser(21)
        with pytest.raises(PartError, match="a temperature above 0"):
            LookupFreeQuantiser(3, temperature=0.0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"codes": 1}, "there are 1 codes, expected 2 to"),
        ({"commitment": -1.0}, "commitment -1.0"),
        ({"decay": 1.0}, "decay 1.0"),
        ({"revive": 1.0}, "revive 1.0"),
        ({"metric": "cosin"}, "metric is 'cosin'. Did you mean 'cosine'"),
    ],
)
def test_a_table_refuses(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        VectorQuantiser(D, **settings)


def test_a_residual_refuses_no_stage() -> None:
    with pytest.raises(PartError, match="stages is 0, expected 1 to 64"):
        ResidualQuantiser(D, C, 0)
