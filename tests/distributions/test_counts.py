"""Poisson, negative binomial and zero-inflated distributions against scipy and by hand."""

import math

import pytest
import torch
from torch import Tensor

from reparam.distributions import NegativeBinomial, Poisson, ZeroInflated
from reparam.distributions.counts import digamma_error, stirling_error
from reparam.rng import reseed

stats = pytest.importorskip("scipy.stats")

MEANS = (1e-4, 0.3, 7.0, 1e3, 1e6)
THETAS = (0.01, 0.5, 3.0, 1e3, 1e5)
VALUES = (0.0, 1.0, 2.0, 9.0, 1e3, 1.01e3, 1e6)


def grid(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    parts = torch.meshgrid(*(torch.tensor(one, dtype=dtype) for one in (MEANS, THETAS, VALUES)), indexing="ij")
    return parts[0], parts[1], parts[2]


# What enters is rounded, which n log(n / mu) shows most; scipy takes p = theta / (theta + mu), which is rounded near 1.
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-7), (torch.float32, 4e-7)])
def test_log_probabilities_are_those_of_scipy(dtype: torch.dtype, rounding: float) -> None:
    mean, theta, n = grid(dtype)
    exact = [one.double().numpy() for one in (mean, theta, n)]
    gap = n.double() * ((n.double() + 1) / mean.double()).log().abs()
    for found, expected in (
        (NegativeBinomial(mean, theta), stats.nbinom.logpmf(exact[2], exact[1], exact[1] / (exact[1] + exact[0]))),
        (Poisson(mean), stats.poisson.logpmf(exact[2], exact[0])),
    ):
        known = torch.from_numpy(expected)
        likely = known > -1e4  # beyond, scipy itself gives -inf or loses digits
        error = (found.log_prob(n).double() - known).abs()
        assert error[likely].le(rounding * (1 + known.abs() + gap)[likely]).all()


def test_slopes_keep_their_digits_where_theta_is_large() -> None:
    mean, theta, n = grid(torch.float32)
    near = (mean >= 0.3) & (n <= 3 * mean + 30) & (theta >= 0.5)
    slopes = []
    for dtype in (torch.float32, torch.float64):
        logs = theta[near].to(dtype).log().requires_grad_()
        NegativeBinomial(mean[near].to(dtype), logs.exp()).log_prob(n[near].to(dtype)).sum().backward()
        assert logs.grad is not None
        slopes.append(logs.grad.double())
    assert torch.allclose(*slopes, rtol=1e-3, atol=3e-6)


def test_digamma_error() -> None:
    y = torch.tensor([0.01, 1.0, 7.9, 8.0, 50.0, 1e4], dtype=torch.float64)
    assert torch.allclose(digamma_error(y), y.digamma() - y.log(), atol=1e-11)


def test_a_large_theta_is_a_poisson_distribution() -> None:
    mean, n = torch.tensor([0.2, 5.0, 400.0]), torch.tensor([0.0, 7.0, 390.0])
    spread = NegativeBinomial(mean, torch.tensor(1e7))
    assert torch.allclose(spread.log_prob(n), Poisson(mean).log_prob(n), atol=1e-4)  # they differ by about n / theta


def test_stirling_error() -> None:
    y = torch.tensor([0.01, 1.0, 7.9, 8.0, 50.0, 1e4], dtype=torch.float64)
    exact = torch.lgamma(y) - (y - 0.5) * y.log() + y - 0.5 * math.log(2 * math.pi)
    assert torch.allclose(stirling_error(y), exact, atol=2e-11)  # of 1e4, lgamma itself has as many digits


def test_inflated_by_hand() -> None:
    base = NegativeBinomial(torch.tensor(3.0), torch.tensor(2.0))
    found = ZeroInflated(base, torch.tensor(3.0).log().neg())  # a quarter of zeros of their own
    n = torch.arange(400.0)
    plain = base.log_prob(n).exp()
    expected = 0.75 * plain + 0.25 * (n == 0)
    assert torch.allclose(found.log_prob(n).exp(), expected, atol=1e-7)
    assert found.log_prob(n).exp().sum().item() == pytest.approx(1, abs=1e-5)
    mean, square = (expected * n).sum(), (expected * n.square()).sum()
    assert found.mean.item() == pytest.approx(mean.item(), rel=1e-4)
    assert found.variance.item() == pytest.approx((square - mean.square()).item(), rel=1e-3)


@pytest.mark.parametrize(("mean", "theta"), [(0.4, 0.3), (6.0, 2.0), (30.0, 500.0)])
def test_probabilities_sum_to_one_with_the_moments_that_are_said(mean: float, theta: float) -> None:
    found = NegativeBinomial(torch.tensor(mean).double(), torch.tensor(theta).double())
    n = torch.arange(3000.0, dtype=torch.float64)
    p = found.log_prob(n).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    assert (p * n).sum().item() == pytest.approx(found.mean.item(), rel=1e-8)
    assert (p * n.square()).sum().item() - mean**2 == pytest.approx(found.variance.item(), rel=1e-8)


@pytest.mark.parametrize("inflated", [False, True])
def test_draws_are_whole_numbers_with_these_moments(inflated: bool) -> None:
    base = NegativeBinomial(torch.tensor([0.5, 20.0]), torch.tensor([0.7, 4.0]))
    found = ZeroInflated(base, torch.tensor([0.5, -1.0])) if inflated else base
    reseed(0)
    draws = found.sample(torch.Size([40_000]))
    assert draws.shape == (40_000, 2)
    assert torch.equal(draws, draws.round())
    assert torch.allclose(draws.mean(0), found.mean, rtol=0.04)  # five standard errors of 40,000 draws
    assert torch.allclose(draws.var(0), found.variance, rtol=0.15)  # a variance of heavy tails
    assert found.expand(torch.Size([3, 2])).sample().shape == (3, 2)


def test_gradients_are_those_of_the_formula() -> None:
    mean = torch.tensor([1e-3, 4.0, 4.0, 1e5], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([0.01, 2.0, 2.0, 1e4], dtype=torch.float64, requires_grad=True)
    n = torch.tensor([0.0, 4.0, 5.0, 3e4], dtype=torch.float64)
    NegativeBinomial(mean, theta).log_prob(n).sum().backward()
    assert mean.grad is not None
    assert theta.grad is not None
    expected = n / mean - (n + theta) / (mean + theta)
    assert torch.allclose(mean.grad, expected.detach(), rtol=1e-6)
    slope = (n + theta).digamma() - theta.digamma() + (theta / (theta + mean)).log() + 1 - (n + theta) / (theta + mean)
    assert torch.allclose(theta.grad, slope.detach(), rtol=1e-5, atol=1e-9)


def test_slopes_have_slopes() -> None:
    mean = torch.tensor([[0.5, 4.0], [3.0, 20.0]], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([2.0, 0.7], dtype=torch.float64, requires_grad=True)  # shared by the rows
    n = torch.tensor([[0.0, 4.0], [5.0, 11.0]], dtype=torch.float64)

    def found(mean: Tensor, theta: Tensor) -> Tensor:
        return NegativeBinomial(mean, theta).log_prob(n)

    assert torch.autograd.gradcheck(found, (mean, theta))
    assert torch.autograd.gradgradcheck(found, (mean, theta))
