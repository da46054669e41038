"""Draws that follow the gradient of log p(x, z): the volume they keep, and the evidence that their weights estimate."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from reparam.data import Batch
from reparam.errors import PartError, RefusedError, RunError
from reparam.evaluation import evaluate
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MaskingNoise, MLPDecoder, MLPEncoder
from reparam.objectives import ELBO, DoublyReparameterizedBound, StickingTheLandingBound, TotalCorrelationBound
from reparam.posteriors import HamiltonianPosterior
from reparam.priors import NormalPrior
from reparam.rng import reseed
from reparam.runs import train
from reparam.trace import Progress
from tests.contracts.members import seeded_, tiny_data
from tests.oracles.test_linear_gaussian import D, L, Linear, Same, Truth, truth


def posterior(in_dim: int = 3, **settings: float) -> HamiltonianPosterior:
    reseed(0)
    return HamiltonianPosterior(in_dim, L, **settings).double()  # type: ignore[arg-type]


def log_joint(z: Tensor) -> Tensor:
    """Some log density that is not quadratic."""
    return -(z.square().sum(-1) + z.sin().prod(-1) + 0.1 * z.pow(4).sum(-1))


def test_keeps_the_volume_of_position_and_noise() -> None:
    """The map from (z_0, gamma) to (z_K, rho_K) has determinant 1, so log q needs none."""
    q = posterior(leapfrogs=4, step_size=0.2, tempering=0.4)

    def moved(both: Tensor) -> Tensor:
        z, noise = both.split(L)
        found, _ = q.refine(z[None, None], noise[None, None], log_joint)
        # of the momentum at the end only its length is told: it comes from the same walk, written out
        return torch.cat([found.flatten(), end_of(q, z, noise)])

    both = torch.randn(2 * L, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(moved, both)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-7)  # step and tempering were float32


def end_of(q: HamiltonianPosterior, z: Tensor, noise: Tensor) -> Tensor:
    """The momentum after all steps, by a leapfrog written out here."""

    def force(z: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(log_joint(z).sum(), z, create_graph=True)
        return found

    beta, step = 0.4, 0.2
    momentum = noise / math.sqrt(beta)
    for k in range(1, q.leapfrogs + 1):
        before, after = ((1 - beta**-0.5) * (j / q.leapfrogs) ** 2 + beta**-0.5 for j in (k - 1, k))
        half = momentum + step / 2 * force(z)
        z = z + step * half
        momentum = (half + step / 2 * force(z)) * after / before
    return momentum


def test_walks_as_written_out() -> None:
    q = posterior(leapfrogs=3, step_size=0.2, tempering=0.4)
    z, noise = torch.randn(2, L, dtype=torch.float64).requires_grad_(), torch.randn(2, L, dtype=torch.float64)
    _, more = q.refine(z[:1, None], noise[:1, None], log_joint)
    expected = 0.5 * (end_of(q, z[0], noise[0]).square() - noise[0].square()).sum()
    assert more.item() == pytest.approx(expected.item(), abs=1e-7)  # step and tempering were float32


def around(q: HamiltonianPosterior, found: Truth) -> VAE:
    """Probabilistic PCA with a q that starts from a Normal around the wrong place."""
    with torch.no_grad():
        q.head.weight.copy_(torch.cat([0.7 * found.gain, torch.zeros(L, D)]))
        q.head.bias.copy_(torch.cat([torch.full((L,), 0.3), torch.full((L,), -0.4)]))
    decoder = Linear(found.weight, found.bias)
    return VAE(Same((D,), D), q, NormalPrior(L), decoder, NormalLikelihood((D,), found.sigma)).double()


def linear(leapfrogs: int, found: Truth) -> VAE:
    return around(HamiltonianPosterior(D, L, leapfrogs=leapfrogs, step_size=0.25, tempering=0.5), found)


def test_weights_estimate_the_evidence() -> None:
    found = truth()
    reseed(3)
    x = found.p_x.sample((3,))
    exact = found.p_x.log_prob(x)
    for leapfrogs in (1, 4):
        with torch.no_grad():
            log_w = linear(leapfrogs, found).trace(x, samples=60_000).log_w
        w = (log_w - exact).exp()
        # four standard errors
        assert ((w.mean(0) - 1).abs() < 4 * w.std(0) / len(w) ** 0.5).all()
        assert (log_w.mean(0) < exact).all()


def test_trained_steps_tighten_the_bound_of_their_start() -> None:
    found = truth()
    reseed(3)
    x = found.p_x.sample((100,))
    vae = linear(4, found)
    assert isinstance(vae.posterior, HamiltonianPosterior)
    optimizer = torch.optim.Adam([vae.posterior.raw_step, vae.posterior.raw_tempering], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        vae.trace(x, samples=4).elbo.mean().neg().backward()
        optimizer.step()
    with torch.no_grad():
        q = vae.infer(x)
        z = q.sample(torch.Size([400]))
        start = (vae.decode(z).log_prob(x) + vae.p_z().log_prob(z) - q.log_prob(z)).mean()
        moved, exact = vae.trace(x, samples=400).elbo.mean(), found.p_x.log_prob(x).mean()
    # what the start lacks of log p(x) is cut by a third at least
    assert exact - moved < 0.67 * (exact - start)


def test_every_parameter_learns() -> None:
    found = truth()
    vae, x = linear(2, found), found.p_x.sample((7,))
    ELBO(samples=3)(vae, Batch(x), Progress()).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in vae.posterior.parameters())


def small(**more: object) -> VAE:
    reseed(0)
    likelihood = NormalLikelihood((4,), 0.5)
    parts = MLPEncoder((4,), (6,)), HamiltonianPosterior(6, L), NormalPrior(L), MLPDecoder(L, (4,), (6,))
    return seeded_(VAE(*parts, likelihood, **more))  # type: ignore[arg-type, return-value]


def test_refusals() -> None:
    batch = Batch(torch.randn(5, 4))
    for objective in (DoublyReparameterizedBound(2), StickingTheLandingBound()):
        with pytest.raises(RefusedError, match="draws that were moved on have none"):
            objective(small(), batch, Progress())
    with pytest.raises(RefusedError, match="does not factorise"):
        TotalCorrelationBound()(small(), batch, Progress(examples=5))
    with pytest.raises(RefusedError, match="Mutual information needs a density"):
        evaluate(small(), tiny_data().test, ["collapse"])
    with pytest.raises(PartError, match="cannot have kl='closed'"):
        small(kl="closed")
    with pytest.raises(PartError, match="cannot have a corruption"):
        small(corruption=MaskingNoise(0.5))
    for settings in ({"leapfrogs": 0}, {"step_size": 0.7}, {"tempering": 1.0}):
        with pytest.raises(PartError, match="expected at least 1 step"):
            posterior(**settings)


def test_cannot_be_compiled() -> None:
    """A graph compiled by torch has no second derivative, and the training says so before it begins."""
    settings = {"train": {"epochs": 1, "compile": "on", "tensorboard": False}}
    with pytest.raises(RunError, match=r"HamiltonianPosterior differentiates a gradient.*--train\.compile off"):
        train("hamiltonian-vae", settings, data=tiny_data(), device="cpu")


def test_starts_from_the_normal() -> None:
    """infer gives the Normal that draws start from: its mean is the code."""
    vae, x = small(), torch.randn(3, 4)
    q = vae.infer(x)
    assert isinstance(q, Independent)
    assert isinstance(q.base_dist, Normal)
    assert torch.equal(vae.encode(x), q.mean)
