"""Draws along a learned metric: the metric, the volume that is kept, and the evidence that weights estimate."""

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.errors import PartError
from reparam.models import VAE
from reparam.objectives import ELBO
from reparam.posteriors import HamiltonianPosterior, RiemannianHamiltonianPosterior
from reparam.rng import reseed
from reparam.trace import Progress
from tests.oracles.test_hamiltonian import around, log_joint
from tests.oracles.test_linear_gaussian import D, L, Truth, truth


def posterior(**settings: float) -> RiemannianHamiltonianPosterior:
    """One whose metric varies."""
    reseed(0)
    found = RiemannianHamiltonianPosterior(3, L, centroids=3, **settings).double()  # type: ignore[arg-type]
    with torch.no_grad():
        found.triangles.normal_(0, 0.3)
        found.diagonals.normal_(-0.5, 0.3)
    return found


def test_the_metric_is_its_formula() -> None:
    q, z = posterior(), torch.randn(2, 4, L, dtype=torch.float64)
    expected = 0.01 * torch.eye(L, dtype=torch.float64).expand(2, 4, L, L).clone()
    for centroid, diagonal, triangle in zip(q.centres, q.diagonals, q.triangles, strict=True):
        root = diagonal.exp().diag() + triangle.tril(-1)
        near = (-(z - centroid).square().sum(-1) / 1.5**2).exp()
        expected = expected + near[..., None, None] * (root @ root.T)
    assert torch.allclose(q.inverse_metric(z), expected)


def test_far_from_all_centroids_it_is_the_hamiltonian_posterior() -> None:
    """There G = I / lambda, so a step is one of sqrt(lambda) times its size without a metric."""
    q = posterior(leapfrogs=3, step_size=0.4, tempering=0.5)
    with torch.no_grad():
        q.centres += 1e3
    plain = HamiltonianPosterior(3, L, leapfrogs=3, step_size=0.4 * q.floor**0.5, tempering=0.5).double()
    z, noise = torch.randn(2, 1, 4, L, dtype=torch.float64)
    for found, expected in zip(q.refine(z, noise, log_joint), plain.refine(z, noise, log_joint), strict=True):
        assert torch.allclose(found, expected, atol=1e-7)  # step and tempering were float32


def test_keeps_the_volume() -> None:
    """The map from (z_0, gamma) to (z_K, rho_K) has the determinant of the first momentum's, sqrt |G(z_0)|."""
    q = posterior(leapfrogs=3, step_size=0.2, tempering=0.4, iterations=40)
    both = torch.randn(2 * L, dtype=torch.float64)

    def moved(both: Tensor) -> Tensor:
        z, noise = both.split(L)
        start = z[None, None]
        return torch.cat([part.flatten() for part in q.walk(start, q.root(start), noise[None, None], log_joint)])

    jacobian = torch.autograd.functional.jacobian(moved, both)
    expected = -0.5 * torch.logdet(q.inverse_metric(both[:L]))
    assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(expected.item(), abs=1e-6)


def linear(found: Truth, **settings: float) -> VAE:
    reseed(0)
    q = RiemannianHamiltonianPosterior(D, L, centroids=4, step_size=0.25, tempering=0.5, **settings)  # type: ignore[arg-type]
    return around(q, found)


def test_weights_estimate_the_evidence() -> None:
    found = truth()
    reseed(3)
    x = found.p_x.sample((2,))
    exact = found.p_x.log_prob(x)
    with torch.no_grad():
        log_w = linear(found, leapfrogs=2, iterations=8).trace(x, samples=20_000).log_w
    w = (log_w - exact).exp()
    # four standard errors
    assert ((w.mean(0) - 1).abs() < 4 * w.std(0) / len(w) ** 0.5).all()
    assert (log_w.mean(0) < exact).all()


def test_every_parameter_learns() -> None:
    found = truth()
    vae, x = linear(found, leapfrogs=2), found.p_x.sample((7,))
    ELBO(samples=3)(vae, Batch(x), Progress()).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in vae.posterior.parameters())


def test_draws_that_diverge_are_not_finite() -> None:
    """So that the training says so; a factorisation that fails is no error of its own."""
    z, noise = torch.randn(2, 1, 3, L, dtype=torch.float64)
    z[0, 1, 0] = torch.nan
    found, more = posterior().refine(z, noise, log_joint)
    assert more[0].isfinite().tolist() == [True, False, True]
    assert found[0, [0, 2]].isfinite().all()


def test_centroids_begin_at_codes() -> None:
    found = truth()
    vae, x = linear(found), found.p_x.sample((3,))
    vae.start(x)
    assert isinstance(vae.posterior, RiemannianHamiltonianPosterior)
    assert torch.allclose(vae.posterior.centres, vae.encode(x)[[0, 1, 2, 0]])


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"temperature": 0.0}, {"temperature": float("inf")}])
def test_refuses_what_makes_no_sense(settings: dict[str, float]) -> None:
    with pytest.raises(PartError, match="at least 1 centroid and iteration, and a positive temperature"):
        posterior(**settings)
