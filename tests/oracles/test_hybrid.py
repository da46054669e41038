r"""The linear-Gaussian hybrid VAE, whose log p(d), log p(d, h) and posteriors are known.

.. math:: z \sim N(0, 1), \quad d \sim N(a z + \alpha, s^2 I), \quad h \sim N(b z + \beta, t^2)
"""

import math

import pytest
import torch
from torch import Size, Tensor
from torch.distributions import MultivariateNormal, Normal

from reparam.evaluation import log_likelihood
from reparam.likelihoods import NormalLikelihood, ObservationsLikelihood, OneHotLikelihood
from reparam.likelihoods.scales import LOG_RANGE
from reparam.models import VAE, HybridVAE
from reparam.networks import Encoder
from reparam.networks.bounded import LOG_SCALE_RANGE
from reparam.objectives import ELBO
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.rng import reseed
from reparam.trace import Progress
from tests.oracles.test_linear_gaussian import Linear

D, S, T = 4, 0.7, 0.4


class Filled(Encoder):
    """Features are x, with zeros where something is missing."""

    def features(self, x: Tensor) -> Tensor:
        return x.nan_to_num(0.0)


def raw(scale: float, low: float, high: float) -> float:
    """What must be given for a scale: the inverse of ``bounded``."""
    above = math.log(math.expm1(math.log(scale) - low))
    return high - math.log(math.expm1(high - low - above))


class Truth:
    """Everything in closed form."""

    def __init__(self) -> None:
        reseed(0)
        self.a, self.alpha = torch.randn(D, dtype=torch.float64), torch.randn(D, dtype=torch.float64)
        self.b, self.beta = 1.3, -0.4
        self.of_d = 1 / (1 + float(self.a @ self.a) / S**2)  # Var[z|d]
        self.of_both = 1 / (1 / self.of_d + self.b**2 / T**2)  # Var[z|d,h]

    def p(self, joint: bool) -> MultivariateNormal:
        weight = torch.cat([self.a, torch.tensor([self.b])]) if joint else self.a
        bias = torch.cat([self.alpha, torch.tensor([self.beta])]) if joint else self.alpha
        noise = torch.tensor([S**2] * D + [T**2] * joint)
        return MultivariateNormal(bias.double(), torch.outer(weight, weight).double() + noise.double().diag())

    def p_h(self, d: Tensor) -> Normal:
        z = self.of_d * (d - self.alpha) @ self.a / S**2
        scale = math.sqrt(self.b**2 * self.of_d + T**2)
        return Normal(self.b * z + self.beta, torch.full_like(z, scale))

    def p_z(self, d: Tensor, h: Tensor) -> Normal:
        z = self.of_both * ((d - self.alpha) @ self.a / S**2 + (h - self.beta) * self.b / T**2)
        return Normal(z, torch.full_like(z, math.sqrt(self.of_both)))


def model(truth: Truth, wrong: float = 0.0, alpha: float = 0.0) -> HybridVAE:
    """With the exact posteriors, or with ones that are moved and stretched."""
    weight = torch.cat([truth.a, torch.tensor([truth.b], dtype=torch.float64)])[:, None]
    bias = torch.cat([truth.alpha, torch.tensor([truth.beta], dtype=torch.float64)])
    likelihood = ObservationsLikelihood([NormalLikelihood((D,), S), NormalLikelihood((1,), T)])
    posterior = NormalPosterior(D + 1, 1).double()
    vae = VAE(Filled((D + 1,), D + 1), posterior, NormalPrior(1), Linear(weight, bias), likelihood).double()
    guess = ObservationsLikelihood([NormalLikelihood((1,), "predicted")])
    hybrid = HybridVAE(vae, Filled((D + 1,), D + 1), guess, (1,), alpha).double()
    noise = torch.tensor([S**2] * D + [T**2], dtype=torch.float64)
    with torch.no_grad():
        gain = truth.of_both * weight[:, 0] / noise
        scale = math.sqrt(truth.of_both) * (1 + wrong)
        posterior.head.weight.copy_(torch.stack([gain * (1 - wrong), torch.zeros_like(gain)]))
        numbers = [-(gain * (1 - wrong)) @ bias + wrong, torch.tensor(raw(scale, *LOG_SCALE_RANGE))]
        posterior.head.bias.copy_(torch.stack([n.double() for n in numbers]))
        to_h = truth.b * truth.of_d * truth.a / S**2
        hybrid.head.weight.zero_()
        hybrid.head.weight[0, :D] = to_h * (1 - wrong)
        spread = float(truth.p_h(truth.alpha[None]).scale[0]) * (1 - 0.5 * wrong)
        hybrid.head.bias.copy_(
            torch.stack([truth.beta - to_h @ truth.alpha - wrong, torch.tensor(raw(spread, *LOG_RANGE)).double()])
        )
    return hybrid.eval()


def items(truth: Truth, n: int = 6) -> Tensor:
    reseed(3)
    return truth.p(joint=True).sample(Size([n]))


def without_h(x: Tensor) -> Tensor:
    return torch.cat([x[:, :D], torch.full_like(x[:, D:], torch.nan)], 1)


def test_exact_posteriors_give_log_p_at_every_draw() -> None:
    truth = Truth()
    x = items(truth)
    hybrid = model(truth)
    for given, log_p in ((x, truth.p(True).log_prob(x)), (without_h(x), truth.p(False).log_prob(x[:, :D]))):
        trace = hybrid.trace(given, 7)
        assert torch.allclose(trace.log_w, log_p.expand(7, -1), atol=1e-8)
        assert torch.allclose(log_likelihood(hybrid, given, samples=3), log_p, atol=1e-8)


@pytest.mark.parametrize("training", [False, True])
def test_the_gap_is_the_one_that_is_stated(training: bool) -> None:
    """log p(d) - ELBO = KL(q(h|d) || p(h|d)) + E KL(q(z|d,h) || p(z|d,h)), within 4 standard errors."""
    truth = Truth()
    x = items(truth)
    d, hybrid, draws = x[:, :D], model(truth, wrong=0.2), 40_000
    hybrid.train(training)
    reseed(1)
    with torch.no_grad():
        trace = hybrid.trace(without_h(x), draws)
        guess = hybrid.guessed(without_h(x)).parts[0].base_dist
        bounds = trace.log_p_x - trace.kl.sum(-1)
        reseed(2)
        h = Normal(guess.loc, guess.scale).sample(Size([draws]))[..., 0]
        q_z = hybrid.vae.infer(torch.cat([d.expand(draws, -1, -1), h[..., None]], -1).flatten(0, 1)).base_dist
        p_z = truth.p_z(d.expand(draws, -1, -1), h)
        inner = torch.distributions.kl_divergence(Normal(q_z.loc.view_as(h), q_z.scale.view_as(h)), p_z)
    outer = torch.distributions.kl_divergence(Normal(guess.loc[:, 0], guess.scale[:, 0]), truth.p_h(d))
    gap = truth.p(False).log_prob(d) - bounds.mean(0)
    error = (bounds.var(0) / draws + inner.var(0) / draws).sqrt()
    assert (gap > 0.01).all()
    assert ((gap - outer - inner.mean(0)).abs() < 4 * error).all()


def test_alpha_adds_the_guess_of_what_is_there() -> None:
    truth = Truth()
    x = items(truth)
    given = torch.cat([x[:3], without_h(x[3:])])
    hybrid = model(truth, alpha=2.0).train()
    reseed(1)
    penalty = hybrid.trace(given).penalty
    assert penalty is not None
    assert torch.allclose(penalty[:3], -2 * truth.p_h(x[:3, :D]).log_prob(x[:3, D]), atol=1e-8)
    assert not penalty[3:].any()


def classes(seed: int = 0) -> HybridVAE:
    """Four numbers d and a class among three, with weights of no meaning."""
    reseed(seed)
    likelihood = ObservationsLikelihood([NormalLikelihood((D,), S), OneHotLikelihood((3,))])
    weight, bias = torch.randn(D + 3, 2, dtype=torch.float64), torch.randn(D + 3, dtype=torch.float64)
    vae = VAE(Filled((D + 3,), D + 3), NormalPosterior(D + 3, 2), NormalPrior(2), Linear(weight, bias), likelihood)
    guess = ObservationsLikelihood([OneHotLikelihood((3,))])
    return HybridVAE(vae, Filled((D + 3,), D + 3), guess, (1,), 0.0).double()


def test_classes_are_summed_out() -> None:
    """Each choice of the class has the ELBO of the whole example, and the entropy of the guess is added."""
    hybrid = classes()
    reseed(4)
    d = torch.randn(5, D, dtype=torch.float64)
    x = torch.cat([d, torch.full((5, 3), torch.nan, dtype=torch.float64)], 1)
    draws = 20_000
    with torch.no_grad():
        found = hybrid.train().trace(x, draws)
        probs = hybrid.guessed(x).parts[0].probs[:, 0]
        wholes, errors = [], []
        for one in torch.eye(3, dtype=torch.float64):
            own = hybrid.vae.trace(torch.cat([d, one.expand(5, 3)], 1), draws)
            bounds = own.log_p_x - own.kl.sum(-1)
            wholes.append(bounds.mean(0))
            errors.append(bounds.var(0) / draws)
    entropy = -(probs * probs.log()).sum(1)
    expected = (probs * torch.stack(wholes, 1)).sum(1) + entropy
    bounds = found.log_p_x - found.kl.sum(-1)
    error = (bounds.var(0) / draws + (probs.square() * torch.stack(errors, 1)).sum(1)).sqrt()
    assert ((bounds.mean(0) - expected).abs() < 4 * error).all()
    with torch.no_grad():  # drawn, outside training, the same quantity in expectation
        drawn = hybrid.eval().trace(x, draws)
    others = drawn.log_p_x - drawn.kl.sum(-1)
    assert ((others.mean(0) - expected).abs() < 4 * (others.var(0) / draws + error.square()).sqrt()).all()


def test_a_class_that_is_there_stands_alone() -> None:
    hybrid = classes().train()
    reseed(4)
    x = torch.cat([torch.randn(5, D, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[[0, 2, 1, 1, 0]]], 1)
    draws = 20_000
    with torch.no_grad():
        found, own = hybrid.trace(x, draws), hybrid.vae.trace(x, draws)
    assert torch.allclose(found.kl, own.kl)
    apart = found.log_p_x.mean(0) - own.log_p_x.mean(0)
    assert (apart.abs() < 4 * (2 * own.log_p_x.var(0) / draws).sqrt()).all()


def test_gradients_reach_every_part() -> None:
    for hybrid, width in ((classes(), 3), (model(Truth(), 0.2, alpha=1.0), 1)):
        hybrid.train()
        reseed(5)
        x = torch.randn(6, D + width, dtype=torch.float64)
        if width == 3:
            x[:, D:] = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1, 2]]
        x[::2, D:] = torch.nan
        bound = ELBO().bound(hybrid.trace(x), Progress())
        bound.loss.backward()
        for name, parameter in hybrid.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
