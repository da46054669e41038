"""Rescaled, OptimalScale, PointMass and Energy against what they claim to be."""

import pytest
import torch
from torch.distributions import AffineTransform, Independent, Laplace, Normal, TransformedDistribution

from reparam.distributions import Energy, OptimalScale, PointMass, Rescaled, is_density, joint
from reparam.rng import reseed


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_rescaled_is_a_change_of_variables(family: type[Normal] | type[Laplace]) -> None:
    reseed(0)
    loc, scale = torch.randn(4, 2, 3, 5, dtype=torch.float64), torch.rand(4, 2, 3, 5, dtype=torch.float64) + 0.1
    shift = torch.tensor([3.0, -1.0], dtype=torch.float64).reshape(2, 1, 1)
    spread = torch.tensor([10.0, 0.2], dtype=torch.float64).reshape(2, 1, 1)
    p = Rescaled(joint(family(loc, scale), 3), shift, spread)
    oracle = Independent(TransformedDistribution(family(loc, scale), AffineTransform(shift, spread)), 3)
    x = torch.randn(4, 2, 3, 5, dtype=torch.float64) * 4
    # sums of 30 numbers of the order of 100, float64
    assert torch.allclose(p.log_prob(x), oracle.log_prob(x), rtol=1e-12)
    assert torch.allclose(p.mean, loc * spread + shift)
    assert torch.allclose(p.variance, family(loc, scale).variance * spread**2)
    reseed(1)
    drawn = p.rsample()
    reseed(1)
    assert torch.allclose(drawn, family(loc, scale).rsample() * spread + shift)
    assert p.has_rsample
    wide = p.expand(torch.Size([7, 4]))
    assert (wide.batch_shape, wide.event_shape) == ((7, 4), (2, 3, 5))


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_optimal_scale_is_the_best_of_a_grid(family: type[Normal] | type[Laplace]) -> None:
    reseed(0)
    loc, x = torch.randn(3, 4, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64) * 0.7
    seen: list[torch.Tensor] = []
    p = OptimalScale(family, loc, torch.tensor(1.0, dtype=torch.float64), seen.append, 1e-3)
    best = p.log_prob(x).sum()
    grid = torch.linspace(0.05, 5, 20_000, dtype=torch.float64)
    scores = torch.stack([family(loc, scale).log_prob(x).sum() for scale in grid[::40]])
    assert best >= scores.max()
    fine = grid[(grid - grid[::40][scores.argmax()]).abs() < 0.02]
    finest = fine[torch.stack([family(loc, scale).log_prob(x).sum() for scale in fine]).argmax()]
    assert seen[0].item() == pytest.approx(finest.item(), abs=2.5e-4)  # one step of the fine grid
    assert not seen[0].requires_grad


def test_optimal_scale_has_a_floor() -> None:
    loc = torch.zeros(3, 4, requires_grad=True)
    p = OptimalScale(Normal, loc, torch.tensor(1.0), lambda scale: None, 0.01)
    log_prob = p.log_prob(torch.zeros(3, 4))
    assert torch.allclose(log_prob, Normal(0.0, 0.01).log_prob(torch.tensor(0.0)).expand(3, 4))
    log_prob.sum().backward()
    assert loc.grad is not None
    assert not loc.grad.isnan().any()


def test_optimal_scale_draws_at_the_running_scale() -> None:
    p = OptimalScale(Normal, torch.full((50_000,), 2.0), torch.tensor(0.5), lambda scale: None, 0.01)
    reseed(0)
    assert p.sample().std().item() == pytest.approx(0.5, abs=0.01)  # five standard errors: 0.5 * 5 / sqrt(2 * 50,000)
    assert torch.equal(p.variance, torch.full((50_000,), 0.25))
    assert p.expand(torch.Size([2, 50_000])).mean.shape == (2, 50_000)


def test_point_mass() -> None:
    loc = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    q = PointMass(loc)
    assert torch.equal(q.sample(torch.Size([3])), loc.expand(3, 2, 2))
    assert torch.equal(q.log_prob(torch.tensor([[1.0, 2.0], [3.0, 5.0]])), torch.tensor([0.0, -torch.inf]))
    assert not q.variance.any()
    assert not is_density(q)


def test_energy_broadcasts_like_a_density() -> None:
    def squared(x: torch.Tensor, loc: torch.Tensor) -> torch.Tensor:
        return (x - loc).square().sum(-1)

    reseed(0)
    loc, x = torch.randn(4, 1, 3), torch.randn(5, 3)
    p = Energy(loc, squared, 1)
    assert torch.equal(p.log_prob(x), -squared(*torch.broadcast_tensors(x, loc)))
    assert p.log_prob(x).shape == (4, 5)
    assert Energy(torch.randn(5, 3), squared, 1).log_prob(torch.randn(1, 3)).shape == (5,)
    assert torch.equal(p.sample(torch.Size([2])), loc.expand(2, 4, 1, 3))
    assert not is_density(p)
    assert not is_density(Rescaled(p, torch.zeros(3), torch.ones(3)))
