"""Disentanglement scores: hand-computed values, their maximum on perfect codes, and chance on noise."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from reparam.errors import RefusedError
from reparam.evaluation import fixing
from reparam.evaluation.fixing import beta_vae_of, factor_vae_of, sharing
from reparam.evaluation.information import (
    binned,
    information_gaps,
    modularity_of,
    mutual_information,
    sampled_information,
)
from reparam.evaluation.predicting import (
    attribute_gap,
    attribute_scores,
    completeness_of,
    disentanglement,
    explicitness_of,
    importances,
)

SIZES = (3, 4, 5)
LN2 = math.log(2)


def grid(repeats: int = 20, sizes: tuple[int, ...] = SIZES) -> Tensor:
    """Every combination of three factors, equally often."""
    return torch.tensor(list(product(*map(range, sizes)))).repeat(repeats, 1)


def perfect(factors: Tensor) -> Tensor:
    """The factors in another order, scaled, turned round and shifted."""
    return factors[:, [2, 0, 1]].double() * torch.tensor([-3.0, 0.7, 20.0]) + torch.tensor([5.0, -1.0, 0.0])


def noise(count: int, dims: int = 3) -> Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def toy() -> tuple[Tensor, Tensor]:
    """Three binary factors; dimensions: a copy of the first, a mixture of the first two, and a constant."""
    factors = grid(1, (2, 2, 2))
    a, b, _ = factors.double().unbind(1)
    return torch.stack([a, 2 * a + b, torch.ones(8)], 1), factors


def test_information_by_hand() -> None:
    z, v = torch.tensor([[0], [0], [0], [1]]), torch.tensor([[0], [0], [1], [1]])
    by_hand = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    assert mutual_information(z, v).item() == pytest.approx(by_hand)
    assert mutual_information(v, v).item() == pytest.approx(LN2)


def test_information_is_that_of_scikit_learn() -> None:
    score = pytest.importorskip("sklearn.metrics").mutual_info_score
    codes, factors = binned(noise(300)), grid(5)
    found = mutual_information(codes, factors)
    for i, j in product(range(3), range(3)):
        assert found[i, j].item() == pytest.approx(score(codes[:, i], factors[:, j]))


def test_bins_have_equal_width() -> None:
    codes = torch.tensor([[0.0, 7.0], [0.49, 7.0], [0.51, 7.0], [1.0, 7.0]])
    assert binned(codes, 2).T.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_gaps_by_hand() -> None:
    """Both dimensions tell the first factor; one alone tells the second; none the third."""
    assert information_gaps(*toy()).tolist() == pytest.approx([0.0, 1.0, 0.0])
    codes, factors = toy()
    assert information_gaps(codes[:, :1], factors).tolist() == pytest.approx([1.0, 0.0, 0.0])


def drawn(means: Tensor, scale: float, factors: Tensor) -> Tensor:
    """Information of one draw for each Normal, asked for some examples at a time."""
    torch.manual_seed(0)
    z = torch.normal(means, scale)
    return sampled_information(lambda: [normal(part, scale) for part in means.split(7)], z, factors)


def normal(means: Tensor, scale: float) -> Normal:
    return Normal(means, torch.full_like(means, scale))


def test_sampled_information_by_hand() -> None:
    """Four Normals at a, b | a, b with the values 0, 0 | 1, 1: by the densities themselves."""
    means = torch.tensor([[0.0], [1.0], [0.5], [2.0]], dtype=torch.float64)
    factors, z = torch.tensor([[0], [0], [1], [1]]), torch.tensor([[0.1], [0.8], [0.9], [1.9]], dtype=torch.float64)
    found = sampled_information(lambda: [normal(means[:3], 0.7), normal(means[3:], 0.7)], z, factors)
    total = 0.0
    for row, own in enumerate(((0, 1), (0, 1), (2, 3), (2, 3))):
        p = [math.exp(-((z[row].item() - mean) ** 2) / 0.98) for mean in means.flatten().tolist()]
        total += math.log(sum(p[i] for i in own) / 2) - math.log(sum(p) / 4)
    assert found.item() == pytest.approx(total / 4, rel=1e-12)


def test_sampled_information_of_perfect_codes_and_of_noise() -> None:
    """A dimension of its own tells a factor wholly, and no other; of N(0, 1) whatever x is, nothing is told."""
    factors = grid(5)
    found = drawn(perfect(factors), 1e-3, factors)
    told = torch.zeros(3, 3, dtype=torch.float64)
    for dim, factor in enumerate((2, 0, 1)):
        told[dim, factor] = math.log(SIZES[factor])
    assert torch.allclose(found, told, atol=1e-9)
    assert drawn(torch.zeros(300, 3, dtype=torch.float64), 1.0, factors).abs().max() < 1e-12


def test_modularity_by_hand() -> None:
    """1 for the copy; the mixture loses LN2^2 of 2 LN2^2; the constant counts as 0."""
    assert modularity_of(*toy()) == pytest.approx((1 + 0.5 + 0) / 3)


def test_dci_by_hand() -> None:
    matrix = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.5, 1.0]], dtype=torch.float64)
    third = 1 + (math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3) / math.log(3)
    assert disentanglement(matrix) == pytest.approx(1 / 3 + 0.5 / 3 + 1.5 / 3 * third)
    assert completeness_of(matrix) == pytest.approx((1 + (1 - LN2 / math.log(3)) + 1) / 3)
    even = torch.full((4, 3), 0.25, dtype=torch.float64)
    assert disentanglement(even) == pytest.approx(0, abs=1e-12)
    assert completeness_of(even) == pytest.approx(0, abs=1e-12)
    assert disentanglement(torch.zeros(2, 3, dtype=torch.float64)) == 0


def test_sap_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.5], [0.6, 0.5], [0.2, 0.8]], dtype=torch.float64)
    values = torch.tensor([2, 4])
    assert attribute_gap(scores, values) == pytest.approx((0.3 + 0.3) / 2)
    assert attribute_gap(scores[:1], values) == pytest.approx((0.9 - 1 / 2 + 0.5 - 1 / 4) / 2)  # the second is chance


def test_thresholds_tell_what_they_can() -> None:
    """One threshold tells the first factor from the copy and from the mixture, and of the mixture three quarters of the
    second; all else is chance, 1/2."""
    codes, factors = toy()
    scores = attribute_scores(codes.repeat(300, 1), factors.repeat(300, 1))
    expected = torch.tensor([[1.0, 0.5, 0.5], [1.0, 0.75, 0.5], [0.5, 0.5, 0.5]], dtype=torch.float64)
    assert torch.allclose(scores, expected, atol=0.06)  # 800 examples: three standard errors
    assert scores[0, 0] == scores[1, 0] == 1


def test_perfect_codes_have_the_best_scores() -> None:
    factors = grid()
    codes = perfect(factors)
    assert information_gaps(codes, factors).tolist() == pytest.approx([1, 1, 1])
    assert modularity_of(codes, factors) == pytest.approx(1)
    matrix, accuracies = importances(codes, factors)
    assert disentanglement(matrix) == pytest.approx(1, abs=1e-6)
    assert completeness_of(matrix) == pytest.approx(1, abs=1e-6)
    assert accuracies.tolist() == [1, 1, 1]
    # the second dimension is at chance, 1 / values, give or take the error of 400 examples
    assert attribute_gap(attribute_scores(codes, factors), torch.tensor(SIZES)) == pytest.approx(
        1 - (1 / 3 + 1 / 4 + 1 / 5) / 3, abs=0.05
    )
    assert factor_vae_of(codes, factors) == 1
    assert beta_vae_of(codes, factors) == 1
    assert explicitness_of(codes, factors) > 0.99


def test_noise_has_the_scores_of_chance() -> None:
    factors = grid()
    codes = noise(len(factors))
    # 1,200 examples in 20 bins: the estimate of information that is not there is of the order 19 * 4 / 2400 nats
    assert information_gaps(codes, factors).mean() < 0.02
    matrix, accuracies = importances(codes, factors)
    assert disentanglement(matrix) < 0.05
    assert completeness_of(matrix) < 0.05
    assert accuracies.mean() == pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3, abs=0.05)
    assert attribute_gap(attribute_scores(codes, factors), torch.tensor(SIZES)) < 0.06
    assert factor_vae_of(codes, factors) == pytest.approx(1 / 3, abs=0.06)
    assert beta_vae_of(codes, factors) == pytest.approx(1 / 3, abs=0.06)
    assert explicitness_of(codes, factors) == pytest.approx(0.5, abs=0.04)


def test_scores_follow_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "FITTED", 400)
    monkeypatch.setattr(fixing, "SCORED", 200)
    factors = grid(4)
    codes = perfect(factors) + 3 * noise(len(factors))
    for score in (factor_vae_of, beta_vae_of, explicitness_of):
        assert score(codes, factors, 1) == score(codes, factors, 1)
        assert score(codes, factors, 1) != score(codes, factors, 2)


def test_a_group_shares_one_factor_and_draws_the_others() -> None:
    factors = grid(2)
    fixed = torch.tensor([0, 1, 2, 1]).repeat(200)
    rows = sharing(factors, fixed, 6, torch.Generator().manual_seed(0))
    groups = factors[rows]
    same = (groups == groups[:, :1]).all(1)
    assert same[torch.arange(len(fixed)), fixed].all()
    # six values of three to five agree by chance with 3^-5 or less
    assert same.sum(1).double().mean() < 1.02
    firsts = groups[fixed == 2][:, 0, 2]
    assert firsts.bincount(minlength=5).min() > 15  # 200 draws of five values: 40 each


def test_unbalanced_factors_are_drawn_by_value() -> None:
    factors = torch.tensor([[0]] * 95 + [[1]] * 5)
    rows = sharing(factors, torch.zeros(400, dtype=torch.int64), 2, torch.Generator().manual_seed(0))
    assert (rows[:, 0] >= 95).double().mean() == pytest.approx(0.5, abs=0.1)  # four standard errors of 400 draws


@pytest.mark.parametrize("score", [modularity_of, factor_vae_of, beta_vae_of])
def test_one_factor_has_nothing_to_be_told_from(score: object) -> None:
    with pytest.raises(RefusedError, match="only one that varies"):
        score(noise(30), grid(1)[:30, :1])  # type: ignore[operator]


def test_codes_that_do_not_vary_are_refused() -> None:
    with pytest.raises(RefusedError, match="No latent dimension varies"):
        factor_vae_of(0.1 * noise(60), grid(1))
    with pytest.raises(RefusedError, match="at least 6 examples; there are 5"):
        importances(noise(5), grid(1)[:5])
