r"""The linear-Gaussian VAE is probabilistic PCA (Tipping & Bishop, 1999), whose log p(x) and posterior are known.

.. math:: z \sim N(0, I), \; x \sim N(W z + b, \sigma^2 I) \;\Rightarrow\; x \sim N(b, W W^T + \sigma^2 I),
          \; z | x \sim N(M^{-1} W^T (x - b), \sigma^2 M^{-1}), \; M = W^T W + \sigma^2 I
"""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Size, Tensor, nn
from torch.distributions import Independent, MultivariateNormal, kl_divergence

from reparam.evaluation import importance_weighted, log_likelihood
from reparam.likelihoods import Likelihood, NormalLikelihood, StandardizedLikelihood
from reparam.models import VAE
from reparam.networks import Decoder, Encoder
from reparam.networks.bounded import LOG_SCALE_RANGE
from reparam.objectives import ELBO
from reparam.posteriors import FullNormalPosterior, NormalPosterior, Posterior
from reparam.priors import NormalPrior
from reparam.rng import reseed
from reparam.trace import Progress

D, L, SIGMA = 5, 2, 0.7


class Same(Encoder):
    """Features are x itself."""

    def features(self, x: Tensor) -> Tensor:
        return x


class Linear(Decoder):
    """W z + b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight.shape[1], (weight.shape[0],))
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + self.bias


@dataclass
class Truth:
    """Probabilistic PCA in closed form."""

    weight: Tensor
    bias: Tensor
    sigma: float = SIGMA

    @property
    def p_x(self) -> MultivariateNormal:
        noise = self.sigma**2 * torch.eye(D, dtype=torch.float64)
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + noise)

    @property
    def gain(self) -> Tensor:
        """M^{-1} W^T, (L, D)."""
        return torch.linalg.solve(self.precision, self.weight.T)

    @property
    def precision(self) -> Tensor:
        return self.weight.T @ self.weight + self.sigma**2 * torch.eye(L, dtype=torch.float64)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        covariance = self.sigma**2 * torch.linalg.inv(self.precision)
        return MultivariateNormal((x - self.bias) @ self.gain.T, (covariance + covariance.T) / 2)


def truth(orthogonal: bool = False) -> Truth:
    reseed(0)
    weight = torch.randn(D, L, dtype=torch.float64)
    if orthogonal:  # then the exact posterior is diagonal
        weight = torch.linalg.qr(weight)[0] * torch.tensor([2.0, 0.8], dtype=torch.float64)
    return Truth(weight, torch.randn(D, dtype=torch.float64))


def unbounded(log_scale: Tensor) -> Tensor:
    """What the head must give for a log-scale: the inverse of ``bounded``."""
    low, high = LOG_SCALE_RANGE
    above_low = torch.log(torch.expm1(log_scale - low))
    return high - torch.log(torch.expm1(high - low - above_low))


def set_head(posterior: Posterior, gain: Tensor, at: Tensor, numbers: Tensor) -> None:
    """Makes the head give the location gain (x - at), and the same other numbers for every x."""
    with torch.no_grad():
        posterior.head.weight.zero_()
        posterior.head.weight[:L] = gain
        posterior.head.bias.copy_(torch.cat([-gain @ at, numbers]))


def exact(known: Truth, full: bool) -> Posterior:
    """A posterior part that holds the exact posterior."""
    tril = known.posterior(torch.zeros(D, dtype=torch.float64)).scale_tril
    part = (FullNormalPosterior if full else NormalPosterior)(D, L).double()
    scale = tril.diagonal()
    numbers = [unbounded(scale.log())]
    if full:
        rows, columns = torch.tril_indices(L, L, -1)
        numbers.append(torch.atanh((tril / scale)[rows, columns]))
    set_head(part, known.gain, known.bias, torch.cat(numbers))
    return part


def wrong(full: bool = False) -> Posterior:
    reseed(5)
    part = (FullNormalPosterior if full else NormalPosterior)(D, L).double()
    gain = 0.15 * torch.randn(L, D, dtype=torch.float64)
    numbers = torch.tensor([-0.2, 0.1] + ([0.6] if full else []), dtype=torch.float64)
    set_head(part, gain, torch.zeros(D, dtype=torch.float64), numbers)
    return part


def model(known: Truth, posterior: Posterior, likelihood: Likelihood | None = None) -> VAE:
    likelihood = likelihood or NormalLikelihood((D,), known.sigma)
    decoder = Linear(known.weight, known.bias)
    return VAE(Same((D,), D), posterior, NormalPrior(L), decoder, likelihood).double().eval()


def examples(known: Truth, count: int = 6) -> Tensor:
    reseed(9)
    return known.p_x.sample(Size([count]))


@pytest.mark.parametrize("full", [True, False])
def test_exact_posterior_gives_log_p_x_at_every_sample(full: bool) -> None:
    known = truth(orthogonal=not full)
    x = examples(known)
    reseed(1)
    trace = model(known, exact(known, full)).trace(x, samples=50)
    expected = known.p_x.log_prob(x)
    # sums of numbers of the order of 10 in float64: rounding leaves about 1e-13
    assert (trace.log_p_x + trace.log_p_z - trace.log_q - expected).abs().max() < 1e-10
    assert (trace.log_w - expected).abs().max() < 1e-10
    assert trace.q.mean.allclose(known.posterior(x).mean, atol=1e-10)


class SigmaPoints(Independent):
    """Its 2 L draws are mean +- sqrt(L) scale_l: their mean of any quadratic is its expectation, exactly."""

    def rsample(self, sample_shape: Any = Size()) -> Tensor:
        steps = math.sqrt(L) * torch.cat([torch.eye(L), -torch.eye(L)]).double()
        return self.base_dist.loc + steps.unsqueeze(1) * self.base_dist.scale


class FullSigmaPoints(MultivariateNormal):
    """The same for a full covariance."""

    def rsample(self, sample_shape: Any = Size()) -> Tensor:
        steps = math.sqrt(L) * torch.cat([torch.eye(L), -torch.eye(L)]).double()
        return self.loc + (steps @ self.scale_tril.mT).transpose(0, 1)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("kl", ["auto", "sampled"])
def test_elbo_plus_gap_is_log_p_x(full: bool, kl: str) -> None:
    """For any wrong q, ELBO + KL(q || exact posterior) = log p(x)."""
    known = truth()
    x, vae = examples(known), model(known, wrong(full))
    vae.kl = kl  # type: ignore[assignment]
    q = vae.infer(x)
    if isinstance(q, MultivariateNormal):
        points, gaussian = FullSigmaPoints(q.loc, scale_tril=q.scale_tril), q
    else:
        assert isinstance(q, Independent)
        points = SigmaPoints(q.base_dist, 1)
        gaussian = MultivariateNormal(q.mean, scale_tril=torch.diag_embed(q.base_dist.scale))
    trace = vae.trace(x, samples=2 * L, q=points)
    gap = kl_divergence(gaussian, known.posterior(x))
    assert gap.min() > 0.1
    # everything is quadratic in z, so the points give the expectation up to rounding in float64
    assert (trace.elbo + gap - known.p_x.log_prob(x)).abs().max() < 1e-8
    bound = ELBO().bound(trace, Progress())
    assert (bound.value + gap - known.p_x.log_prob(x)).abs().max() < 1e-8


def test_bounds_rise_to_log_p_x() -> None:
    """ELBO <= IWAE(K) <= log p(x) in expectation, rising in K."""
    known = truth()
    x, vae = examples(known, 1), model(known, wrong())
    repeats = 20_000
    reseed(2)
    with torch.no_grad():
        log_w = vae.trace(x.expand(repeats, D), samples=64).log_w
    means, errors = [], []
    for count in (1, 2, 8, 64):
        bound = torch.logsumexp(log_w[:count], 0) - math.log(count)
        means.append(bound.mean().item())
        errors.append(bound.std().item() / repeats**0.5)
    limit = known.p_x.log_prob(x).item()
    for lower, upper, error in zip(means, [*means[1:], limit], errors, strict=True):
        assert upper - lower > 5 * error  # five standard errors: the order is no accident of the draws
    # the first is the ELBO: its mean over draws is the one of the analytic KL
    with torch.no_grad():
        elbo = vae.trace(x.expand(repeats, D), samples=1).elbo
    assert means[0] == pytest.approx(elbo.mean().item(), abs=8 * errors[0])


def test_importance_weighting_agrees_within_its_own_error() -> None:
    known = truth()
    x, vae = examples(known), model(known, wrong())
    found = importance_weighted(vae, x, samples=20_000, seed=3)
    # four of its own standard errors
    assert (found.log_p_x - known.p_x.log_prob(x)).abs().le(4 * found.stderr).all()
    assert found.stderr.gt(0).all()
    assert found.stderr.lt(0.1).all()
    assert found.ess.ge(1).all()
    assert found.ess.lt(20_000).all()
    assert torch.equal(log_likelihood(vae, x, samples=20_000, seed=3), found.log_p_x)


def test_standard_error_is_the_spread_of_repeated_estimates() -> None:
    known = truth()
    x, vae = examples(known, 1), model(known, wrong())
    found = importance_weighted(vae, x.expand(400, D), samples=500, seed=4, rows=4000)
    spread = found.log_p_x.std().item()
    # the deviation of 400 estimates is itself known to 1 / sqrt(800) = 3.5 %; the delta method adds a few percent
    assert found.stderr.mean().item() == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("full", [True, False])
def test_exact_posterior_is_a_perfect_proposal(full: bool) -> None:
    known = truth(orthogonal=not full)
    x = examples(known)
    found = importance_weighted(model(known, exact(known, full)), x, samples=64)
    assert (found.log_p_x - known.p_x.log_prob(x)).abs().max() < 1e-10  # all weights are equal, up to rounding
    assert (found.ess - 64).abs().max() < 1e-8
    assert found.stderr.max() < 1e-7  # the square root of a variance that is rounding


def test_units_of_the_data_change_nothing_but_the_volume() -> None:
    """The standardised likelihood of x in other units: log p(x) shifts by -sum(log scale)."""
    known = truth(orthogonal=True)
    shift, scale = (2.0, -1.0, 0.5, 4.0, 0.0), (2.0, 0.5, 4.0, 1.0, 0.25)
    likelihood = StandardizedLikelihood(NormalLikelihood((D,), SIGMA), shift, scale)
    inner = examples(known)
    spread = torch.tensor(scale, dtype=torch.float64)
    x = inner * spread + torch.tensor(shift, dtype=torch.float64)
    vae = model(known, exact(known, full=False), likelihood)
    trace = vae.trace(x, samples=8, q=vae.infer(inner))
    expected = known.p_x.log_prob(inner) - spread.log().sum()
    assert (trace.log_w - expected).abs().max() < 1e-10
