"""Mixtures: the VampPrior is the mixture written by hand, and draws of a mixture have the gradient of expectations."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from reparam.distributions import NormalMixture, OneHot, SharedMixture, joint, kl_groups
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder, bounded
from reparam.posteriors import FullNormalPosterior, NormalPosterior, PlanarPosterior, Posterior
from reparam.priors import ExemplarPrior, MixturePrior, Prior, VampPrior
from reparam.rng import reseed
from tests.contracts.members import seeded_

COPIES, DRAWS = 400, 500


def vae(prior: Prior, posterior: Posterior) -> VAE:
    reseed(0)
    likelihood = NormalLikelihood((4,), 0.5)
    model = VAE(MLPEncoder((4,), (6,)), posterior, prior, MLPDecoder(2, (4,), (6,)), likelihood)
    return seeded_(model).double()  # type: ignore[return-value]


@pytest.mark.parametrize("posterior", [NormalPosterior, FullNormalPosterior, PlanarPosterior])
def test_vamp_prior_is_the_mixture_of_posteriors(posterior: type[Posterior]) -> None:
    model = vae(VampPrior(2, (4,), components=5), posterior(6, 2))
    assert isinstance(model.prior, VampPrior)
    model.start(torch.rand(9, 4, dtype=torch.float64))
    z = torch.randn(3, 7, 2, dtype=torch.float64)
    each = torch.stack([model.infer(u).log_prob(z) for u in model.prior.inputs()])
    found = model.prior(infer=model.infer).log_prob(z)
    assert torch.allclose(found, each.logsumexp(0) - math.log(5), atol=1e-9)


def test_pseudo_inputs_outside_their_range_may_come_back() -> None:
    """The gradient passes where it leads inwards, and nowhere else outside."""
    prior = VampPrior(2, (4,), components=1)
    prior.start(torch.stack([torch.zeros(4), torch.ones(4)]))
    with torch.no_grad():
        prior.pseudo_inputs.copy_(torch.tensor([[-0.2, -0.2, 1.2, 0.5]]))
    seen: list[Tensor] = []

    def infer(x: Tensor) -> Independent:
        seen.append(x)
        return joint(Normal(x[:, :2], torch.ones(1, 2)), 1)

    prior(infer=infer)
    (inputs,) = seen
    assert inputs.tolist() == [[0.0, 0.0, 1.0, 0.5]]
    (inputs * torch.tensor([-1.0, 1.0, 1.0, 1.0])).sum().backward()
    assert prior.pseudo_inputs.grad is not None
    # descending, the first would rise back into the range, the second sink further, the third come back
    assert prior.pseudo_inputs.grad.tolist() == [[-1.0, 0.0, 1.0, 1.0]]


def test_pseudo_inputs_are_learned_in_the_units_of_each_column() -> None:
    reseed(0)
    prior = VampPrior(2, (3,), components=4)
    x = torch.randn(50, 3) * torch.tensor([1e3, 1e-3, 0.0]) + torch.tensor([5e4, 0.0, 7.0])
    prior.start(x)
    assert prior.pseudo_inputs.min() >= 0
    assert prior.pseudo_inputs.max() <= 1
    assert all(torch.isclose(x, u, rtol=1e-6).all(-1).any() for u in prior.inputs())
    with torch.no_grad():
        prior.pseudo_inputs += 9.0
    assert torch.allclose(prior.inputs(), x.amax(0).expand(4, 3))


def test_exemplar_prior_is_the_mixture_around_codes() -> None:
    model = vae(ExemplarPrior(2, (4,), components=5), NormalPosterior(6, 2))
    assert isinstance(model.prior, ExemplarPrior)
    x = torch.rand(9, 4, dtype=torch.float64)
    model.start(x)
    z = torch.randn(7, 2, dtype=torch.float64)
    scale = bounded(model.prior.log_scale).exp()
    each = torch.stack([Normal(model.infer(u).mean, scale).log_prob(z).sum(-1) for u in model.prior.exemplars])
    expected = each.logsumexp(0) - math.log(5)
    assert torch.allclose(model.prior(infer=model.infer).log_prob(z), expected, atol=1e-12)
    assert all((x == u).all(-1).any() for u in model.prior.exemplars)


def test_mixture_prior_begins_as_it_says() -> None:
    reseed(0)
    prior = MixturePrior(3, components=4)
    p = prior()
    assert isinstance(p, MixtureSameFamily)
    assert torch.allclose(p.component_distribution.stddev, torch.ones(4, 3), atol=0.02)  # the bound on log-scales
    assert torch.allclose(p.mixture_distribution.probs, torch.full((4,), 0.25))


class TestPseudoInputs:
    def test_begin_as_examples_and_stay_in_their_range(self) -> None:
        reseed(0)
        prior, x = VampPrior(2, (3,), components=5), 2 * torch.rand(4, 3) - 1
        prior.start(x)
        assert all(torch.isclose(x, u, atol=1e-6).all(-1).any() for u in prior.inputs())
        assert len(prior.pseudo_inputs.detach().unique(dim=0)) == 4  # each example, and one of them twice
        prior.pseudo_inputs.data += 10
        seen: list[Tensor] = []

        def infer(u: Tensor) -> Independent:
            seen.append(u)
            return joint(Normal(u[:, :2], 1.0), 1)

        prior(infer=infer)
        assert torch.allclose(seen[0], x.amax(0).expand(5, 3))

    def test_are_kept_with_their_range(self) -> None:
        prior, again = VampPrior(2, (3,), components=2), VampPrior(2, (3,), components=2)
        prior.start(torch.rand(4, 3))
        again.load_state_dict(prior.state_dict())
        assert torch.equal(again.inputs(), prior.inputs())


def mixture(copies: int) -> tuple[NormalMixture, list[Tensor]]:
    """The same mixture of two Normals in the plane many times, each with parameters of its own."""
    reseed(1)
    single = (
        torch.tensor([0.3, -0.5]),
        torch.tensor([[-1.0, 0.5], [0.8, -0.3]]),
        torch.tensor([[0.5, 0.7], [0.9, 0.4]]),
    )
    leaves = [value.double().expand(copies, *value.shape).clone().requires_grad_() for value in single]
    logits, loc, scale = leaves
    return NormalMixture(Categorical(logits=logits), joint(Normal(loc, scale), 1), validate_args=False), leaves


def test_draws_of_a_mixture_have_the_gradient_of_the_expectation() -> None:
    """E[z_1^2 z_2] = sum_m pi_m (mu_m1^2 + sigma_m1^2) mu_m2, for weights, means and scales."""
    q, leaves = mixture(COPIES)
    reseed(2)
    z = q.rsample(torch.Size([DRAWS]))
    found = torch.autograd.grad((z[..., 0].square() * z[..., 1]).mean(0).sum(), leaves)
    logits, loc, scale = (leaf.detach()[0].requires_grad_() for leaf in leaves)
    moments = (loc[:, 0].square() + scale[:, 0].square()) * loc[:, 1]
    expected = torch.autograd.grad((logits.softmax(-1) * moments).sum(), [logits, loc, scale], allow_unused=True)
    for slopes, truth in zip(found, expected, strict=True):
        wanted = torch.zeros_like(slopes[0]) if truth is None else truth
        # five standard errors of the mean over the copies
        assert (slopes.mean(0) - wanted).abs().le(5 * slopes.std(0) / COPIES**0.5).all()


def test_draws_of_a_mixture_follow_it() -> None:
    q, _ = mixture(1)
    reseed(3)
    z = q.sample(torch.Size([40_000]))[:, 0]
    assert (z.mean(0) - q.mean[0]).abs().le(5 * q.stddev[0] / 200).all()
    assert torch.allclose(z.var(0), q.variance[0], rtol=0.05)
    below = (z < 0).all(-1).double().mean().item()
    normal = Normal(q.component_distribution.mean[0], q.component_distribution.stddev[0])
    expected = (q.mixture_distribution.probs[0] * normal.cdf(torch.zeros(2).double()).prod(-1)).sum().item()
    assert below == pytest.approx(expected, abs=5 * 0.5 / 200)


def test_moving_a_mixture_moves_its_draws() -> None:
    """With one component the implicit gradient is the explicit one: dz/dmu = 1, dz/dsigma = (z - mu) / sigma."""
    loc = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    scale = torch.full((1, 3), 0.7, dtype=torch.float64, requires_grad=True)
    weights = Categorical(logits=torch.zeros(1, dtype=torch.float64))
    q = NormalMixture(weights, joint(Normal(loc, scale), 1), validate_args=False)
    z = q.rsample()
    by_loc, by_scale = torch.autograd.grad(z.sum(), [loc, scale])
    assert torch.allclose(by_loc, torch.ones_like(loc))
    assert torch.allclose(by_scale, (z.detach() - loc) / scale)


class TestOneHot:
    def q(self, relaxation: float = 0.0) -> OneHot:
        reseed(4)
        return OneHot(torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True), relaxation)

    def test_draws_are_one_hot_with_the_right_shares(self) -> None:
        q = self.q()
        z = q.sample(torch.Size([40_000]))
        assert z.shape == (40_000, 2, 12)
        assert torch.equal(z.unflatten(-1, (3, 4)).sum(-1), torch.ones(40_000, 2, 3, dtype=torch.float64))
        assert torch.equal(z, z.round())
        assert torch.allclose(z.mean(0), q.mean, atol=5 * 0.5 / 200)

    def test_probabilities_sum_to_one(self) -> None:
        q = OneHot(torch.randn(2, 3, dtype=torch.float64))
        eye = torch.eye(3, dtype=torch.float64)
        all_codes = torch.stack([torch.cat([a, b]) for a in eye for b in eye])
        assert q.log_prob(all_codes).exp().sum().item() == pytest.approx(1)

    def test_straight_through_passes_the_gradient_of_the_probabilities(self) -> None:
        logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(12, dtype=torch.float64)
        found = torch.autograd.grad((OneHot(logits).rsample() * weight).sum(), logits)[0]
        expected = torch.autograd.grad((logits.softmax(-1).flatten() * weight).sum(), logits)[0]
        assert torch.allclose(found, expected)

    def test_relaxed_draws_lie_inside_the_simplex_and_near_its_corners(self) -> None:
        cold, warm = self.q(0.01), self.q(2.0)
        z = [q.rsample(torch.Size([500])).unflatten(-1, (3, 4)) for q in (cold, warm)]
        assert all(torch.allclose(draw.sum(-1), torch.ones_like(draw.sum(-1))) for draw in z)
        assert z[0].amax(-1).mean() > 0.98
        assert z[1].amax(-1).mean() < 0.7
        assert not cold.normalized

    def test_kl_to_uniform_by_hand(self) -> None:
        q, p = self.q(), OneHot(torch.zeros(3, 4, dtype=torch.float64))
        entropy = -(q.probs * q.probs.log()).sum(-1)
        assert torch.allclose(kl_groups(q, p, q.sample(torch.Size([1])), "closed")[0], math.log(4) - entropy)

    def test_temperature_sharpens_the_choice(self) -> None:
        q = OneHot(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
        reseed(5)
        share = q.tempered(torch.Size([40_000]), 0.5)[:, 1].mean().item()
        assert share == pytest.approx(1 / (1 + math.exp(-2)), abs=5 * 0.33 / 200)


def test_a_shared_mixture_measures_codes_as_its_components_do() -> None:
    """Sharp and far components too, where the terms of the square are large beside their sum."""
    reseed(0)
    loc, scale = 3 * torch.randn(40, 6) + 20, torch.linspace(-5, 1, 40).exp()[:, None].expand(40, 6)
    logits = torch.randn(40)
    parts = Independent(Normal(loc.requires_grad_(), scale), 1)
    z = torch.cat([loc[:7] + 0.01 * torch.randn(7, 6), 10 * torch.randn(5, 6)]).detach().requires_grad_()
    shared = SharedMixture(Categorical(logits=logits), parts, validate_args=False).log_prob(z)
    double = Independent(Normal(loc.double(), scale.double()), 1)
    exact = MixtureSameFamily(Categorical(logits=logits.double()), double, validate_args=False).log_prob(z.double())
    assert shared.dtype == torch.float32
    # one rounding of the result to float32
    assert torch.allclose(shared.double(), exact, rtol=1e-6)
    for found, expected in zip(
        torch.autograd.grad(shared.sum(), (z, loc)), torch.autograd.grad(exact.sum(), (z, loc)), strict=True
    ):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(
        shared.reshape(3, 4), SharedMixture(Categorical(logits=logits), parts).log_prob(z.reshape(3, 4, 6))
    )
