"""The linear-Gaussian hierarchy of two groups against its closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from reparam.evaluation import importance_weighted
from reparam.models import HierarchicalVAE
from reparam.rng import reseed
from tests.models.two_layers import exact, examples, model, truth, wrong


def joint_q(vae: HierarchicalVAE, x: Tensor) -> MultivariateNormal:
    """q(z_1, z_2 | x) as one Normal, from the numbers of its conditionals."""
    zero = torch.zeros(len(x), 2, dtype=torch.float64)
    q = vae.infer(x)
    loc, scale = q.at(zero).q
    slope = q.at(zero + 1).q[0][:, 1] - loc[:, 1]
    mean = torch.stack([loc[:, 0], loc[:, 1] + slope * loc[:, 0]], -1)
    tril = torch.diag_embed(scale)
    tril[:, 1, 0] = slope * scale[:, 0]
    return MultivariateNormal(mean, scale_tril=tril)


def test_exact_posterior_gives_log_p_x_at_every_sample() -> None:
    known = truth()
    x = examples(known)
    reseed(1)
    trace = model(known, exact(known)).trace(x, samples=50)
    expected = known.p_x.log_prob(x)
    # sums of numbers of the order of 10 in float64: rounding leaves about 1e-13
    assert (trace.log_p_x + trace.log_p_z - trace.log_q - expected).abs().max() < 1e-10
    assert (trace.log_q - known.posterior(x).log_prob(trace.z)).abs().max() < 1e-10
    assert trace.q.mean.allclose(known.posterior(x).mean, atol=1e-10)


def test_densities_are_those_of_the_joint_normal() -> None:
    known = truth()
    x, vae = examples(known), model(known, wrong(known))
    reseed(2)
    z = torch.randn(4, 6, 2, dtype=torch.float64)
    assert (vae.infer(x).log_prob(z) - joint_q(vae, x).log_prob(z)).abs().max() < 1e-10
    prior = MultivariateNormal(torch.zeros(2, dtype=torch.float64), known.covariance)
    assert (vae.prior().log_prob(z) - prior.log_prob(z)).abs().max() < 1e-10


@pytest.mark.parametrize("kl", ["auto", "sampled"])
def test_elbo_plus_gap_is_log_p_x(kl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any wrong q, ELBO + KL(q || exact posterior) = log p(x)."""
    known = truth()
    x, vae = examples(known), model(known, wrong(known), kl=kl)
    q = vae.infer(x)
    # noise at +-sqrt(2) along each axis: the mean over it of anything quadratic is its expectation, exactly
    points = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)]).double()
    monkeypatch.setattr(torch, "randn", lambda *shape, **options: points[:, None].expand(shape))
    trace = vae.trace(x, samples=4, q=q)
    gap = kl_divergence(joint_q(vae, x), known.posterior(x))
    assert gap.min() > 0.1
    assert (trace.elbo + gap - known.p_x.log_prob(x)).abs().max() < 1e-8


def test_kl_by_group_is_its_monte_carlo_mean() -> None:
    known = truth()
    x, vae = examples(known, 1), model(known, wrong(known))
    reseed(3)
    with torch.no_grad():
        trace = vae.trace(x, samples=40_000)
        closed = trace.kl[:, 0]
        vae.kl = "sampled"
        reseed(3)
        sampled = vae.trace(x, samples=40_000).kl[:, 0]
    assert closed.shape == sampled.shape == (40_000, 2)
    difference = sampled - closed
    error = difference.std(0) / math.sqrt(len(difference))
    assert difference.mean(0).abs().le(4 * error).all()  # four standard errors
    assert torch.allclose(sampled.sum(-1), (trace.log_q - trace.log_p_z)[:, 0], atol=1e-10)


def test_bounds_rise_to_log_p_x() -> None:
    """ELBO <= IWAE(K) <= log p(x) in expectation, rising in K."""
    known = truth()
    x, vae = examples(known, 1), model(known, wrong(known))
    repeats = 10_000
    reseed(2)
    with torch.no_grad():
        log_w = vae.trace(x.expand(repeats, -1), samples=8).log_w
    means, errors = [], []
    for count in (1, 2, 8):
        bound = torch.logsumexp(log_w[:count], 0) - math.log(count)
        means.append(bound.mean().item())
        errors.append(bound.std().item() / repeats**0.5)
    limit = known.p_x.log_prob(x).item()
    for lower, upper, error in zip(means, [*means[1:], limit], errors, strict=True):
        assert upper - lower > 5 * error  # five standard errors: the order is no accident of the draws


def test_importance_weighting_agrees_within_its_own_error() -> None:
    known = truth()
    x, vae = examples(known), model(known, wrong(known))
    found = importance_weighted(vae, x, samples=20_000, seed=3)
    assert (found.log_p_x - known.p_x.log_prob(x)).abs().le(4 * found.stderr).all()  # four of its own standard errors
    assert found.stderr.lt(0.1).all()


def test_moments_of_draws_from_the_prior() -> None:
    known = truth()
    vae = model(known, exact(known))
    reseed(4)
    z = vae.prior().sample(torch.Size([100_000]))
    # a covariance of 100,000 draws is known to about 1 / sqrt(100,000) = 0.003 of its size; five of them
    assert torch.allclose(torch.cov(z.T), known.covariance, atol=0.02)
    assert z.mean(0).abs().max() < 0.02


class TestFixedQ:
    """Sticking the landing: log q has a gradient for z, and none for the parameters of q."""

    def test_at_the_exact_posterior_nothing_is_left(self) -> None:
        """log w is constant in z there, so the path's gradient is zero at every draw."""
        known = truth()
        x, vae = examples(known), model(known, exact(known))
        reseed(1)
        trace = vae.trace(x, samples=3, fixed_q=True)
        parameters = tuple(vae.inference_parameters())
        gradients = torch.autograd.grad(trace.log_w.sum(), parameters, retain_graph=True)
        assert max(gradient.abs().max() for gradient in gradients) < 1e-8  # rounding of sums of 18 terms near 10
        reseed(1)
        free = torch.autograd.grad(vae.trace(x, samples=3).log_w.sum(), parameters)
        assert max(gradient.abs().max() for gradient in free) > 0.1

    def test_expectation_is_that_of_the_plain_gradient(self) -> None:
        known = truth()
        x, vae = examples(known, 1), model(known, wrong(known))
        weight = vae.hierarchy.groups[1].q_net.weight  # type: ignore[union-attr]
        means = []
        for fixed_q in (True, False):
            gradients = []
            reseed(6)
            for _ in range(60):
                trace = vae.trace(x.expand(300, -1), fixed_q=fixed_q)
                gradients.append(torch.autograd.grad(trace.log_w.mean(), weight)[0])
            values = torch.stack(gradients)
            means.append((values.mean(0), values.var(0) / len(values)))
        (fixed, first), (free, second) = means
        assert (fixed - free).abs().le(5 * (first + second).sqrt()).all()  # five standard errors

    def test_all_that_is_read_follows_from_z(self) -> None:
        """A hook on z reaches the whole path, as doubly reparameterised estimators need it."""
        known = truth()
        x, vae = examples(known), model(known, wrong(known))
        trace = vae.trace(x, samples=2, fixed_q=True)
        trace.z.register_hook(lambda gradient: 0 * gradient)
        trace.log_w.sum().backward()
        assert not any(parameter.grad.any() for parameter in vae.inference_parameters())  # type: ignore[union-attr]
        assert all(parameter.grad is not None for parameter in vae.generative_parameters())

    def test_a_fixed_q_has_no_parameters_left(self) -> None:
        known = truth()
        vae = model(known, wrong(known))
        q = vae.infer(examples(known)).detached()
        z = torch.zeros(6, 2, dtype=torch.float64)
        assert not q.log_prob(z).requires_grad
        assert q.log_prob(z.requires_grad_()).requires_grad
        assert not vae.prior().detached().log_prob(z.detach()).requires_grad
