"""A linear-Gaussian state space model: log p(x) is known, and every bound is below it."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from reparam.data import DataSpec, Split
from reparam.errors import PartError, RefusedError
from reparam.evaluation import evaluate, importance_weighted
from reparam.likelihoods import NormalLikelihood, ReconstructionTerm
from reparam.models import SequentialVAE
from reparam.networks import Decoder, Dynamics, Encoder
from reparam.rng import reseed

T, A, S, C, R = 6, 0.9, 0.7, 1.3, 0.5  # z_t = A z_(t-1) + S noise, x_t = C z_t + R noise


class Linear(Dynamics):
    """p(z_t|z_(t-1)) and a q that sees x_t alone, wider or narrower than it should be."""

    def __init__(self, wrong: float = 1.0) -> None:
        super().__init__(1, 1, memory=(), markov=True)
        self.wrong = wrong

    def prior(self, context: Tensor) -> Normal:
        return Normal(A * context, S)

    def posterior(self, seen: Tensor, context: Tensor) -> Normal:
        precision = S**-2 + (C / R) ** 2
        loc = (A * context / S**2 + C * seen / R**2) / precision
        return Normal(loc, self.wrong * precision**-0.5)


class Values(Encoder):
    def __init__(self) -> None:
        super().__init__((1,), 1)

    def features(self, x: Tensor) -> Tensor:
        return x


class Scaled(Decoder):
    def __init__(self) -> None:
        super().__init__(1, (1,))
        self.scale = nn.Parameter(torch.tensor(C))

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * z


def model(wrong: float = 1.0, ragged: bool = False) -> SequentialVAE:
    likelihood = NormalLikelihood((1,), R)
    return SequentialVAE(Values(), Linear(wrong), Scaled(), likelihood, T, ragged).double().eval()


def exact(x: Tensor) -> Tensor:
    """x is Normal: the covariance of z is known, and x is linear in it."""
    steps = x.shape[-1]
    powers = torch.tril(A ** (torch.arange(steps)[:, None] - torch.arange(steps)).double().clamp_min(0))
    covariance = C**2 * S**2 * powers @ powers.T + R**2 * torch.eye(steps).double()
    return MultivariateNormal(torch.zeros(steps).double(), covariance).log_prob(x.squeeze(1))


def kalman(x: Tensor) -> Tensor:
    """log p of one sequence (T,), value by value: predicted, compared, corrected."""
    mean, variance, total = torch.zeros(()).double(), torch.zeros(()).double(), torch.zeros(()).double()
    for value in x:
        mean, variance = A * mean, A**2 * variance + S**2
        seen = C**2 * variance + R**2
        total = total + Normal(C * mean, seen.sqrt()).log_prob(value)
        gain = C * variance / seen
        mean, variance = mean + gain * (value - C * mean), (1 - gain * C) * variance
    return total


def sequences(count: int) -> Tensor:
    reseed(0)
    return torch.randn(count, 1, T, dtype=torch.float64)


@pytest.mark.parametrize("wrong", [1.0, 0.7, 1.6])
def test_bounds_are_in_order_below_the_truth(wrong: float) -> None:
    """ELBO <= IWAE <= FIVO <= log p(x), each a mean over many passes with its error."""
    found, x = model(wrong), sequences(3)
    truth = exact(x)
    reseed(1)
    with torch.no_grad():
        wide = x.repeat(400, 1, 1)
        elbo = found.trace(wide).elbo.unflatten(0, (400, 3)).mean(0)
        iwae = found.filtered(wide, 8, resample_below=0.0).unflatten(0, (400, 3))
        fivo = found.filtered(wide, 8).unflatten(0, (400, 3))
        error = 4 * (iwae.std(0) + fivo.std(0)) / 20
        assert (elbo <= iwae.mean(0) + error).all()
        assert (iwae.mean(0) <= fivo.mean(0) + error).all()
        assert (fivo.mean(0) <= truth + error).all()
        assert (found.filtered(x, 20_000) - truth).abs().max() < 0.05
    weighted = importance_weighted(found, x, 50_000)
    assert ((weighted.log_p_x - truth).abs() < 0.01 + 4 * weighted.stderr).all()


def test_the_estimate_of_a_filter_is_unbiased() -> None:
    found, x = model(1.6), sequences(2)
    reseed(2)
    with torch.no_grad():
        ratios = (found.filtered(x.repeat(20_000, 1, 1), 4) - exact(x).repeat(20_000)).exp().unflatten(0, (20_000, 2))
    # four standard errors
    assert ((ratios.mean(0) - 1).abs() < 4 * ratios.std(0) / math.sqrt(20_000)).all()


def test_without_resampling_a_filter_is_the_importance_weighted_bound() -> None:
    found, x = model(0.7), sequences(2)
    with torch.no_grad():
        reseed(3)
        log_w = found.trace(x, 5).log_w
        reseed(3)
        assert torch.allclose(found.filtered(x, 5, resample_below=0.0), log_w.logsumexp(0) - math.log(5))


@pytest.mark.parametrize("ragged", [False, True])
def test_the_metric_is_the_likelihood_of_the_kalman_filter(ragged: bool) -> None:
    """Over 7 sequences, of which the filter holds 4 at a time."""
    x, lengths = sequences(7), torch.tensor([6, 3, 1, 6, 5, 2, 4])
    own = lengths.tolist() if ragged else [T] * 7
    truth = torch.stack([kalman(one[0, :length]) for one, length in zip(x, own, strict=True)])
    if not ragged:
        assert torch.allclose(truth, exact(x))
    spec = DataSpec("walks", (1, T), "real", widths={"lengths": 1} if ragged else {})
    split = Split(x, spec, named={"lengths": lengths.unsqueeze(1)} if ragged else {})
    seen: list[tuple[str, int, int]] = []
    found = evaluate(model(1.6, ragged), split, "filtered", samples=1000, progress=lambda *done: seen.append(done))
    # the estimate of a sequence is off by about 0.05 with 1,000 particles, the mean of seven by less
    assert found["filtered_nll"] == pytest.approx(-truth.mean().item(), abs=0.06)
    assert found["filtered_nll_per_step"] == pytest.approx(found["filtered_nll"] * 7 / sum(own))
    assert found["filtered_nll_stderr"] == pytest.approx((truth.std() / math.sqrt(7)).item(), abs=0.06)
    assert (found["filtered_nll_samples"], found["filtered_nll_n"]) == (1000, 7)
    assert seen == [("filtered", 4, 7), ("filtered", 7, 7)]


def test_the_metric_refuses_a_distance() -> None:
    distance = SequentialVAE(Values(), Linear(), Scaled(), ReconstructionTerm((1,)), T).double()
    with pytest.raises(RefusedError, match="a distance, not a density"):
        evaluate(distance, Split(sequences(2), DataSpec("walks", (1, T), "real")), "filtered", samples=3)
    with pytest.raises(PartError, match="expected at least 1 particle"):
        evaluate(model(), Split(sequences(2), DataSpec("walks", (1, T), "real")), "filtered", samples=0)
