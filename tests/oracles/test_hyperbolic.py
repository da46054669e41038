"""The wrapped Normal on the Poincare ball: distances, volume and density against the geometry's own formulas."""

import math

import pytest
import torch
from torch import Tensor

from reparam.distributions import Flow
from reparam.networks.hyperbolic import ExponentialMap, from_tangent, mobius_add, mobius_subtract, to_tangent
from reparam.posteriors import WrappedNormalPosterior
from reparam.priors import WrappedNormalPrior
from reparam.rng import reseed

CURVATURES = [1.0, 0.5, 2.0]


def distance(x: Tensor, y: Tensor, c: float) -> Tensor:
    """arcosh of the textbook formula."""
    gap = (x - y).square().sum(-1) / ((1 - c * x.square().sum(-1)) * (1 - c * y.square().sum(-1)))
    return torch.acosh(1 + 2 * c * gap) / math.sqrt(c)


def posterior(curvature: float, latent_dim: int, count: int = 2) -> Flow:
    reseed(0)
    q = WrappedNormalPosterior(6, latent_dim, curvature).double()(2 * torch.randn(count, 6, dtype=torch.float64))
    assert isinstance(q, Flow)
    return q


@pytest.mark.parametrize("c", CURVATURES)
def test_a_vector_goes_as_far_as_it_is_long(c: float) -> None:
    q = posterior(c, 4, 3)
    v = torch.randn(5, 3, 4, dtype=torch.float64)
    z, _ = q.bijection(v, q.context)
    assert torch.allclose(distance(z, q.mean, c), v.norm(dim=-1), atol=1e-7)
    assert z.norm(dim=-1).max() < 1 / math.sqrt(c)
    back, _ = q.bijection(z, q.context, inverse=True)
    assert torch.allclose(back, v, atol=1e-8)


def test_origin_and_translations() -> None:
    x, y = torch.tensor([0.3, -0.2]).double(), torch.tensor([-0.5, 0.6]).double()
    assert torch.allclose(mobius_add(-x, mobius_add(x, y, 1.0), 1.0), y)
    assert torch.allclose(mobius_add(torch.zeros(2).double(), y, 1.0), y)
    assert torch.allclose(mobius_subtract(x, y, 1.7), mobius_add(-x, y, 1.7))
    assert torch.allclose(to_tangent(from_tangent(y, 1.0), 1.0), y)
    assert not from_tangent(torch.zeros(2), 1.0).any()


@pytest.mark.parametrize("c", CURVATURES)
def test_log_determinant_is_taken_against_the_hyperbolic_volume(c: float) -> None:
    """The Jacobian in the ball's coordinates, times the volume element (2 / (1 - c |z|^2))^L there."""
    q = posterior(c, 3, 1)
    v = torch.randn(1, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda at: q.bijection(at, q.context)[0], v)[0, :, 0]
    z, log_det = q.bijection(v, q.context)
    volume = 3 * (2 / (1 - c * z.square().sum())).log()
    assert log_det.item() == pytest.approx((jacobian.slogdet().logabsdet + volume).item(), abs=1e-9)


@pytest.mark.parametrize("c", CURVATURES)
def test_density_integrates_to_one_over_the_ball(c: float) -> None:
    """In polar coordinates around the origin: rings at distance r have the length 2 pi sinh(sqrt(c) r) / sqrt(c)."""
    root = math.sqrt(c)
    r = torch.linspace(0, 13 / root, 1201, dtype=torch.float64)
    angle = 2 * math.pi * torch.arange(720, dtype=torch.float64) / 720
    directions = torch.stack([angle.cos(), angle.sin()], -1)
    z = from_tangent(r[:, None, None] * directions, c)
    ring = (root * r).sinh() / root * 2 * math.pi
    reseed(0)
    alone = WrappedNormalPosterior(6, 2, c).double()(2 * torch.randn(6, dtype=torch.float64))
    for density in (WrappedNormalPrior(2, c).double()(), alone):
        with torch.no_grad():
            mean = density.log_prob(z).exp().mean(-1)
        # at 13 the ball's edge is 5e-6 away; the prior has nothing beyond, the posterior begins at 5 at most
        assert torch.trapezoid(mean * ring, r).item() == pytest.approx(1, abs=2e-3)


def test_draws_are_as_far_from_the_mean_as_the_noise_says() -> None:
    q = posterior(1.0, 5, 2)
    reseed(1)
    z = q.sample(torch.Size([20_000]))
    expected = q.base.variance.sum(-1)
    squares = distance(z, q.mean, 1.0).square()
    assert (squares.mean(0) - expected).abs().le(5 * squares.std(0) / 20_000**0.5 + 1e-6).all()
    assert torch.allclose(q.mean, q.context)


def test_single_precision_survives_the_edge() -> None:
    reseed(2)
    part = WrappedNormalPosterior(6, 20)
    for spread in (1.0, 10.0, 1e4):
        h = (spread * torch.randn(50, 6)).requires_grad_()
        q, p = part(h), WrappedNormalPrior(20)()
        z = q.rsample(torch.Size([3]))
        assert z.norm(dim=-1).max() < 1
        (q.log_prob(z) - p.log_prob(z)).sum().backward()
        assert h.grad is not None
        assert h.grad.isfinite().all()
        if spread == 1.0:
            # the density computed on the way and the one by inverting, out of some twenty nats
            assert torch.allclose(q.log_prob(z), q.log_prob(z.clone()), atol=0.05)


@pytest.mark.parametrize(("distance", "error"), [(1.0, 2e-5), (4.0, 5e-4), (7.0, 1e-2)])
def test_single_precision_finds_the_noise_again_far_from_the_origin(distance: float, error: float) -> None:
    """Of a code at distance r, float32 keeps about exp(r) roundings; the inverse adds little to that."""
    reseed(0)
    wrap, v = ExponentialMap(1.0), torch.randn(1000, 3)
    mu = from_tangent(distance * torch.nn.functional.normalize(torch.randn(1000, 3), dim=-1), 1.0)
    z, _ = wrap(v, mu)
    back, _ = wrap(z, mu, True)
    assert (back - v).norm(dim=-1).max() < error


def test_flat_where_the_curvature_is_small() -> None:
    flat = ExponentialMap(1e-8)
    v = torch.randn(4, 3, dtype=torch.float64)
    z, log_det = flat(v)
    assert torch.allclose(2 * z, v, atol=1e-6)  # the ball's coordinates are half the flat ones at the origin
    assert log_det.abs().max() < 1e-6
