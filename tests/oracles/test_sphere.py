"""The von Mises-Fisher distribution against scipy, quadrature and its known moments."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from reparam.distributions import UniformSphere, VonMisesFisher, kl_groups, tempered
from reparam.distributions.bessel import log_bessel
from reparam.distributions.sphere import log_area
from reparam.rng import reseed

DRAWS = 40_000
CASES = [(2, 0.3), (2, 40.0), (3, 5.0), (10, 0.5), (10, 200.0), (100, 50.0), (100, 3000.0)]


def vmf(dim: int, concentration: float, dtype: torch.dtype = torch.float64) -> VonMisesFisher:
    reseed(dim)
    loc = torch.nn.functional.normalize(torch.randn(dim, dtype=dtype), dim=-1)
    return VonMisesFisher(loc, torch.tensor(concentration, dtype=dtype))


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 4.5, 29.0, 29.5, 30.0, 63.0, 255.5])
def test_bessel_functions_are_those_of_scipy(order: float) -> None:
    x = np.array([1e-3, 0.1, 1.0, 7.0, 40.0, 300.0, 2000.0])
    value, ratio = log_bessel(order, torch.from_numpy(x))
    scaled, above = special.ive(order, x), special.ive(order + 1, x)
    there = above > 1e-290  # scipy's own range
    x, scaled, above = x[there], scaled[there], above[there]
    # four terms of Debye's expansion at an order of 30: below 1e-9
    assert np.allclose(value.numpy()[there], np.log(scaled) - order * np.log(x), atol=1e-9)
    assert np.allclose(ratio.numpy()[there] * x, above / scaled, rtol=1e-9)


def test_bessel_functions_are_regular_at_zero() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value, ratio = log_bessel(3.0, x)
    assert value.item() == pytest.approx(-3 * math.log(2) - math.lgamma(4.0), abs=1e-8)
    assert ratio.item() == pytest.approx(1 / 8, rel=1e-8)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert gradient.item() == pytest.approx(-1, abs=1e-8)  # of the factor e^-x alone


@pytest.mark.parametrize(("dim", "concentration"), CASES)
def test_density_integrates_to_one(dim: int, concentration: float) -> None:
    """Over the angle to loc: the sphere of one dimension less, of radius sin(theta), has area A sin(theta)^(L-2)."""
    q = vmf(dim, concentration)
    theta = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    across = torch.nn.functional.normalize(torch.eye(dim, dtype=torch.float64)[0] - q.loc * q.loc[0], dim=-1)
    z = theta.cos()[:, None] * q.loc + theta.sin()[:, None] * across
    log_ring = log_area(dim - 1) if dim > 2 else math.log(2)
    density = (q.log_prob(z) + log_ring + (dim - 2) * theta.sin().clamp_min(1e-300).log()).exp()
    assert torch.trapezoid(density, theta).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("dim", "concentration"), CASES)
def test_draws_have_the_known_moments(dim: int, concentration: float) -> None:
    q = vmf(dim, concentration)
    reseed(3)
    z = q.sample(torch.Size([DRAWS]))
    assert torch.allclose(z.norm(dim=-1), torch.ones(DRAWS, dtype=torch.float64), atol=1e-12)
    error = 5 * q.variance.sqrt() / DRAWS**0.5  # five standard errors
    assert (z.mean(0) - q.resultant * q.loc).abs().le(error).all()
    assert torch.allclose(z.var(0), q.variance, rtol=0.06)  # a kurtosis of at most 3: five times sqrt(2 / 40,000)
    along = (z * q.loc).sum(-1)
    spread = 1 - q.resultant.square() - (dim - 1) * q.ratio
    assert along.var().item() == pytest.approx(spread.item(), rel=0.06)


@pytest.mark.parametrize(("dim", "concentration"), [(3, 5.0), (10, 200.0), (100, 50.0)])
def test_draws_follow_the_distribution_of_scipy(dim: int, concentration: float) -> None:
    q = vmf(dim, concentration)
    reseed(4)
    ours = (q.sample(torch.Size([4000])) * q.loc).sum(-1).numpy()
    theirs = stats.vonmises_fisher(q.loc.numpy(), concentration).rvs(4000, random_state=0) @ q.loc.numpy()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    assert np.allclose(
        q.log_prob(torch.eye(dim, dtype=torch.float64)[:3]).numpy(),
        stats.vonmises_fisher(q.loc.numpy(), concentration).logpdf(np.eye(dim)[:3]),
        atol=1e-7,
    )


@pytest.mark.parametrize(("dim", "concentration"), CASES)
def test_gradient_of_the_concentration_is_that_of_the_expectation(dim: int, concentration: float) -> None:
    """d/dkappa E[<mu, z>^2] by finite differences of the known moment, and by the draws."""

    def moment(kappa: float) -> float:
        return (1 - (dim - 1) * vmf(dim, kappa).ratio).item()

    step = 1e-4 * concentration
    expected = (moment(concentration + step) - moment(concentration - step)) / (2 * step)
    q = vmf(dim, concentration)
    kappa = torch.full((DRAWS,), concentration, dtype=torch.float64, requires_grad=True)
    reseed(5)
    z = VonMisesFisher(q.loc.expand(DRAWS, dim), kappa).rsample()
    (slopes,) = torch.autograd.grad((z * q.loc).sum(-1).square().sum(), kappa)
    # five standard errors, and the error of the finite difference
    error = 5 * slopes.std().item() / DRAWS**0.5
    assert slopes.mean().item() == pytest.approx(expected, abs=error + 1e-5 * abs(expected))


def test_gradient_of_the_direction_is_that_of_the_expectation() -> None:
    """E[<a, z>] = A <a, mu>, so its gradient for mu is A a, less the part along mu."""
    q, a = vmf(5, 8.0), torch.arange(5, dtype=torch.float64)
    raw = q.loc.expand(DRAWS, 5).clone().requires_grad_()
    reseed(6)
    z = VonMisesFisher(torch.nn.functional.normalize(raw, dim=-1), q.concentration.expand(DRAWS)).rsample()
    (slopes,) = torch.autograd.grad((z * a).sum(), raw)
    expected = q.resultant * (a - (a * q.loc).sum() * q.loc)
    assert (slopes.mean(0) - expected).abs().le(5 * slopes.std(0) / DRAWS**0.5 + 1e-12).all()


def test_implicit_slope_holds_the_distribution_function() -> None:
    """The derivative of a quantile of <mu, z>, by quadrature of its density at two concentrations."""
    dim, kappa, step = 6, 12.0, 1e-4
    t = torch.linspace(-1, 1, 400_001, dtype=torch.float64)

    def quantile(concentration: float, level: float) -> float:
        density = (concentration * (t - 1)).exp() * (1 - t.square()).clamp_min(0) ** ((dim - 3) / 2)
        total = torch.cumulative_trapezoid(density, t)
        total = total / total[-1]
        index = int(torch.searchsorted(total, level))
        share = (level - total[index - 1]) / (total[index] - total[index - 1])
        return (t[index] + share * (t[index + 1] - t[index])).item()

    from reparam.distributions.sphere import _gap_slope

    q = vmf(dim, kappa)
    for level in (0.01, 0.3, 0.6, 0.99):
        expected = (quantile(kappa + step, level) - quantile(kappa - step, level)) / (2 * step)
        gap = torch.tensor(1 - quantile(kappa, level), dtype=torch.float64)
        found = -_gap_slope(gap, q.concentration, q.resultant, dim).item()
        assert found == pytest.approx(expected, rel=1e-3)  # the grid's quantiles are good to about 1e-11 / step


@pytest.mark.parametrize(("dim", "concentration"), CASES)
def test_single_precision_is_close(dim: int, concentration: float) -> None:
    double, single = vmf(dim, concentration), vmf(dim, concentration, torch.float32)
    single = VonMisesFisher(double.loc.float(), single.concentration)
    p = UniformSphere(torch.zeros(dim, dtype=torch.float64))
    z = double.sample(torch.Size([50]))
    # numbers of a few hundred with seven digits
    assert torch.allclose(single.log_prob(z.float()).double(), double.log_prob(z), atol=3e-3)
    kl = [kl_groups(q, p, z[:1], "closed").item() for q in (single, double)]
    assert kl[0] == pytest.approx(kl[1], abs=3e-3)
    assert single.variance.gt(0).all()


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_draws_at_a_temperature_stay_on_the_sphere(temperature: float) -> None:
    """The spread of a narrow one is proportional to the temperature."""
    reseed(0)
    loc = torch.nn.functional.normalize(torch.randn(5), dim=-1)
    q = VonMisesFisher(loc, torch.tensor(400.0))
    z = tempered(q, torch.Size([4000]), temperature)
    assert torch.allclose(z.norm(dim=-1), torch.ones(()), atol=1e-5)
    away = (z - loc).square().sum(-1).mean()
    assert away.item() == pytest.approx(temperature**2 * 4 / 400, rel=0.1, abs=1e-9)


def test_draws_on_the_circle_have_length_one() -> None:
    """There the noise across loc is one number, which is small now and then."""
    reseed(0)
    loc = torch.nn.functional.normalize(torch.randn(200_000, 2), dim=-1)
    z = VonMisesFisher(loc, torch.full((200_000,), 2.0)).sample()
    assert torch.allclose(z.norm(dim=-1), torch.ones(()), atol=1e-5)


def test_uniform_draws_are_uniform() -> None:
    p = UniformSphere(torch.zeros(4, dtype=torch.float64))
    reseed(7)
    z: Tensor = p.sample(torch.Size([DRAWS]))
    assert torch.allclose(z.norm(dim=-1), torch.ones(DRAWS, dtype=torch.float64))
    assert z.mean(0).abs().max() < 5 * 0.5 / DRAWS**0.5
    assert torch.allclose(z.var(0), p.variance, rtol=0.05)
    assert p.log_prob(z).exp().unique().item() == pytest.approx(1 / (2 * math.pi**2))


def test_no_concentration_is_uniform() -> None:
    q = VonMisesFisher(torch.eye(4, dtype=torch.float64)[0], torch.tensor(1e-9, dtype=torch.float64))
    p = UniformSphere(torch.zeros(4, dtype=torch.float64))
    z = p.sample(torch.Size([3]))
    assert torch.allclose(q.log_prob(z), p.log_prob(z), atol=1e-7)
    assert kl_groups(q, p, z, "closed").abs().max() < 1e-7
