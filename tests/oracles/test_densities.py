"""Every likelihood is a density: over all values of x it integrates, or sums, to 1."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam.rng import reseed
from tests.contracts.members import SUPPORT, Settings, make, members

N = 6
DENSITIES = [m for m in members("likelihood") if m.values[0] not in ("reconstruction", "perceptual")]


def one_value(kind: str, settings: Settings, spread: float) -> Distribution:
    """p(x|z) of a single value, for N outputs of a decoder."""
    reseed(0)
    likelihood = make("likelihood", kind, settings, (1,)).double().eval()
    return likelihood(spread * torch.randn(N, *likelihood.out_shape, dtype=torch.float64))


def at(p_x: Distribution, grid: Tensor) -> Tensor:
    """Densities at a grid (G,) or (G, N): (G, N)."""
    return p_x.log_prob(grid.reshape(len(grid), -1, 1)).exp()


@pytest.mark.parametrize("spread", [0.3, 3.0])
@pytest.mark.parametrize(("kind", "settings"), DENSITIES)
def test_integrates_to_one(kind: str, settings: Settings, spread: float) -> None:
    p_x = one_value(kind, settings, spread)
    support = SUPPORT[kind]
    if support in ("binary", "levels"):
        levels = settings.get("levels", 2)
        total = at(p_x, torch.arange(levels, dtype=torch.float64) / (levels - 1)).sum(0)
    elif support == "counts":
        total = at(p_x, torch.arange(50_000, dtype=torch.float64)).sum(0)
    elif support == "unit":
        total = torch.trapezoid(at(p_x, torch.linspace(0, 1, 100_001, dtype=torch.float64)), dx=1e-5, dim=0)
    else:
        # a node on the mean, where Laplace has its kink; at 50 deviations its tail holds e^-70
        steps = torch.linspace(-50, 50, 200_001, dtype=torch.float64).unsqueeze(-1)
        deviation = p_x.variance.sqrt()[:, 0]
        total = torch.trapezoid(at(p_x, p_x.mean[:, 0] + deviation * steps), dx=5e-4, dim=0) * deviation
    # the trapezoid rule errs by about step^2 / 6 times the jump of the slope at the kink: below 1e-7; sums are exact
    assert torch.allclose(total, torch.ones(N, dtype=torch.float64), atol=1e-6 if support == "unit" else 2e-7)


@pytest.mark.parametrize(("kind", "settings"), [m for m in DENSITIES if SUPPORT[m.values[0]] != "real"])
def test_mean_is_the_mean_of_the_density(kind: str, settings: Settings) -> None:
    p_x = one_value(kind, settings, 1.5)
    if SUPPORT[kind] in ("binary", "levels"):
        levels = settings.get("levels", 2)
        grid = torch.arange(levels, dtype=torch.float64) / (levels - 1)
        mean = (at(p_x, grid) * grid.unsqueeze(-1)).sum(0)
    elif SUPPORT[kind] == "counts":
        grid = torch.arange(50_000, dtype=torch.float64)
        mean = (at(p_x, grid) * grid.unsqueeze(-1)).sum(0)
    else:
        grid = torch.linspace(0, 1, 100_001, dtype=torch.float64)
        mean = torch.trapezoid(at(p_x, grid) * grid.unsqueeze(-1), dx=1e-5, dim=0)
    assert torch.allclose(mean, p_x.mean[:, 0], atol=1e-6)  # the trapezoid rule with steps of 1e-5


@pytest.mark.parametrize(("kind", "settings"), [m for m in DENSITIES if SUPPORT[m.values[0]] == "real"])
def test_moments_of_draws(kind: str, settings: Settings) -> None:
    p_x = one_value(kind, settings, 1.0)
    reseed(1)
    draws = p_x.sample(torch.Size([40_000]))
    assert (draws.mean(0) - p_x.mean).abs().le(5 * p_x.variance.sqrt() / 200).all()  # five standard errors
    # a Laplace's sample variance has a relative standard error of sqrt(5 / 40,000) = 1.1 %
    assert torch.allclose(draws.var(0), p_x.variance, rtol=0.06)


@pytest.mark.parametrize(("kind", "settings"), [m for m in DENSITIES if m.values[0] in ("normal", "laplace")])
def test_training_scale_is_a_density_at_its_optimum(kind: str, settings: Settings) -> None:
    """In training too, the density of each value is one of the family, at one scale for all."""
    reseed(0)
    likelihood = make("likelihood", kind, settings, (3,)).double().train()
    h = torch.randn(4, *likelihood.out_shape, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)
    trained = likelihood(h).log_prob(x)
    family = torch.distributions.Normal if kind == "normal" else torch.distributions.Laplace
    deviation = x - h[:, :3]
    best = deviation.square().mean().sqrt() if kind == "normal" else deviation.abs().mean()
    expected = family(h[:, :3], best).log_prob(x).sum(-1)
    if settings["scale"] == "optimal":
        assert torch.allclose(trained, expected, atol=1e-12)
    else:
        assert torch.equal(trained, likelihood.eval()(h).log_prob(x))
