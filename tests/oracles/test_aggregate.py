"""Estimates of the aggregate posterior and its distance from the prior, against closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from reparam.objectives.adversarial import Critic, permuted
from reparam.objectives.matching import maximum_mean_discrepancy, sliced_wasserstein
from reparam.objectives.total_correlation import log_aggregate
from reparam.rng import reseed

REPEATS, N, L = 300, 40, 3


def gaussian_aggregate(count: int, correlation: float, scale: float) -> tuple[Normal, Tensor, float]:
    """q(z|x) of many examples whose means are correlated; draws; and the total correlation of their aggregate."""
    reseed(0)
    spread = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    loc = torch.randn(count, 2, dtype=torch.float64) @ torch.linalg.cholesky(spread).T
    q = Normal(loc, torch.full_like(loc, scale), validate_args=False)
    aggregate = correlation / (1 + scale**2)
    return q, q.sample((1,)), -0.5 * math.log(1 - aggregate**2)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_total_correlation_of_a_gaussian(correlation: float) -> None:
    """Where the batch is the whole data set, both estimates know q(z) but for a constant."""
    count = 800
    q, z, expected = gaussian_aggregate(count, correlation, 0.5)
    joint, each = log_aggregate(q, z, count)
    # the mean of 800 log ratios is known to about 0.03, and a mixture of 800 fits its own draws too well by as much
    assert (joint - each).mean().item() == pytest.approx(expected, abs=0.06)
    joint, each = log_aggregate(q, z, count, "weighted")
    assert (joint - each).mean().item() - math.log(count) == pytest.approx(expected, abs=0.06)


def test_stratified_sampling_is_unbiased() -> None:
    """The mean over all batches that hold an example is q(z) over all examples, exactly."""
    reseed(1)
    loc, scale = torch.randn(6, 2, dtype=torch.float64), torch.rand(6, 2, dtype=torch.float64) + 0.5
    z = torch.randn(1, 6, 2, dtype=torch.float64)
    exact = Normal(loc, scale).log_prob(z[0, 0]).sum(-1).exp().mean()
    found = []
    for others in itertools.combinations(range(1, 6), 2):
        chosen = [0, *others]
        joint, _ = log_aggregate(Normal(loc[chosen], scale[chosen]), z[:, chosen], 6)
        found.append(joint[0, 0].exp())
    assert torch.stack(found).mean().item() == pytest.approx(exact.item(), rel=1e-12)


def test_weighted_sampling_by_hand() -> None:
    q = Normal(torch.tensor([[0.0], [2.0]]), torch.ones(2, 1))
    joint, each = log_aggregate(q, torch.tensor([[[0.0], [1.0]]]), 10, "weighted")
    first = (
        Normal(0.0, 1.0).log_prob(torch.tensor(0.0)).exp() + Normal(2.0, 1.0).log_prob(torch.tensor(0.0)).exp()
    ) / 20
    assert joint[0, 0].exp().item() == pytest.approx(first.item(), rel=1e-5)  # float32
    assert torch.equal(joint, each)  # one dimension


def draws(seed: int, shift: Tensor | None = None, scale: float = 1.0) -> Tensor:
    reseed(seed)
    z = scale * torch.randn(REPEATS, N, L, dtype=torch.float64)
    return z if shift is None else z + shift


def close(values: Tensor, expected: float) -> bool:
    """Within five standard errors of the repeats."""
    return abs(values.mean().item() - expected) < 5 * values.std().item() / REPEATS**0.5


class TestDiscrepancy:
    @pytest.mark.parametrize("kernel", ["rbf", "imq"])
    def test_of_equal_distributions_is_zero_in_expectation(self, kernel: str) -> None:
        found = maximum_mean_discrepancy(draws(0), draws(1), kernel)  # type: ignore[arg-type]
        assert close(found, 0.0)
        assert found.lt(0).any()  # unbiased, so below 0 half of the time

    def test_of_gaussians_in_closed_form(self) -> None:
        r"""a - b ~ N(m, 2 I), and E exp(-|d|^2 / c) = (1 + 4 / c)^(-L/2) exp(-|m|^2 / (c + 4))."""
        shift, scales = torch.tensor([0.5, -0.3, 0.8], dtype=torch.float64), (0.2, 1.0)
        expected = 0.0
        for scale in scales:
            c = 2 * L * scale
            expected += 2 * (1 + 4 / c) ** (-L / 2) * (1 - math.exp(-shift.square().sum().item() / (c + 4)))
        found = maximum_mean_discrepancy(draws(0), draws(1, shift), "rbf", scales)
        assert close(found, expected)
        assert found.mean() > 0.05

    @pytest.mark.parametrize("kernel", ["rbf", "imq"])
    def test_of_sets_by_hand(self, kernel: str) -> None:
        a, b = torch.tensor([[[0.0], [1.0]]]), torch.tensor([[[0.0], [3.0]]])
        k = (lambda d: math.exp(-d * d / 2)) if kernel == "rbf" else (lambda d: 2 / (2 + d * d))
        expected = k(1) + k(3) - 0.5 * (k(0) + k(3) + k(1) + k(2))
        found = maximum_mean_discrepancy(a, b, kernel, (1.0,))  # type: ignore[arg-type]
        assert found.item() == pytest.approx(expected, rel=1e-5)  # float32

    def test_gradient_is_finite_where_codes_coincide(self) -> None:
        z = torch.zeros(1, 4, 2, requires_grad=True)
        maximum_mean_discrepancy(z, torch.ones(1, 4, 2)).sum().backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert z.grad.ne(0).any()


class TestSliced:
    def test_of_a_set_and_itself_is_zero(self) -> None:
        z = draws(0)
        assert sliced_wasserstein(z, z.flip(1)).abs().max() < 1e-20

    def test_of_gaussians_in_closed_form(self) -> None:
        """Along a line, W2^2 of N(theta m, s^2) and N(0, 1) is (theta m)^2 + (s - 1)^2, in the mean |m|^2 / L + ..."""
        reseed(3)
        shift = torch.tensor([1.0, -2.0], dtype=torch.float64)
        a = torch.randn(1, 4000, 2, dtype=torch.float64)
        b = 1.5 * torch.randn(1, 4000, 2, dtype=torch.float64) + shift
        expected = shift.square().sum().item() / 2 + 0.25
        # 400 lines know the mean of cos^2 to 4 %, 4,000 draws the means to 2 %
        assert sliced_wasserstein(a, b, 400).item() == pytest.approx(expected, rel=0.12)

    def test_one_dimension_is_exact(self) -> None:
        a, b = torch.tensor([[[0.0], [3.0], [1.0]]]), torch.tensor([[[4.0], [0.0], [1.0]]])
        assert sliced_wasserstein(a, b, 3).item() == pytest.approx(1 / 3)


def test_permuted_codes_keep_their_dimensions_and_lose_their_pairs() -> None:
    _, z, _ = gaussian_aggregate(4000, 0.95, 0.1)
    reseed(1)
    found = permuted(z)
    assert torch.equal(found.sort(1).values, z.sort(1).values)
    assert torch.corrcoef(z[0].T)[0, 1] > 0.9
    assert abs(torch.corrcoef(found[0].T)[0, 1].item()) < 5 / 4000**0.5  # five standard errors


def correlated(count: int) -> Tensor:
    """Draws of two dimensions whose correlation is 0.8."""
    spread = torch.linalg.cholesky(torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    return torch.randn(1, count, 2) @ spread.T


def test_a_trained_critic_finds_the_total_correlation() -> None:
    """Its log odds are the log density ratio, whose mean over codes is the total correlation."""
    reseed(2)
    critic, steps = Critic(2, (32, 32)), 150
    optimizer = torch.optim.Adam(critic.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        z = correlated(1000)
        optimizer.zero_grad()
        critic.told_apart(z, permuted(z)).loss.backward()
        optimizer.step()
    # three first weights gave 0.49, 0.51 and 0.52
    assert critic(correlated(4000)).mean().item() == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.08)
