"""Where the scale comes from, and brute force for the binary likelihoods."""

import math

import pytest
import torch

from reparam.errors import PartError
from reparam.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    LaplaceLikelihood,
    NormalLikelihood,
    ReconstructionTerm,
)
from reparam.likelihoods.scales import START, make_scale
from reparam.rng import reseed


def test_fixed_sigma_is_the_squared_error_in_nats() -> None:
    reseed(0)
    h, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    found = NormalLikelihood((4,), 0.5)(h).log_prob(x)
    expected = -((x - h) ** 2).sum(-1) / (2 * 0.25) - 4 * (math.log(0.5) + 0.5 * math.log(2 * math.pi))
    assert torch.allclose(found, expected, rtol=1e-12)


def test_fixed_scale_is_the_absolute_error_in_nats() -> None:
    reseed(0)
    h, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    found = LaplaceLikelihood((4,), 0.5)(h).log_prob(x)
    assert torch.allclose(found, -(x - h).abs().sum(-1) / 0.5 - 4 * math.log(2 * 0.5), rtol=1e-12)


def test_optimal_sigma_is_used_in_training_and_remembered_after_it() -> None:
    reseed(0)
    likelihood = NormalLikelihood((4,), "optimal").double()
    h, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    best = (x - h).square().mean().sqrt()
    likelihood.train()
    # at the optimum the quadratic term is half a nat a value
    expected = -12 * (0.5 + best.log() + 0.5 * math.log(2 * math.pi))
    assert likelihood(h).log_prob(x).sum().item() == pytest.approx(expected.item(), rel=1e-12)
    assert likelihood.noise.running.item() == pytest.approx(best.item(), rel=1e-7)  # nothing is left of the start
    likelihood(h).log_prob(h + 3 * (x - h))
    assert likelihood.noise.running.item() == pytest.approx(2 * best.item(), rel=1e-7)  # a plain mean at first
    for _ in range(1000):
        likelihood(h).log_prob(x)
    kept = likelihood.noise.running.clone()
    assert kept.item() == pytest.approx(best.item(), rel=1e-3)
    likelihood.eval()
    likelihood(h).log_prob(x + 100)
    assert torch.equal(likelihood.noise.running, kept)
    assert torch.allclose(likelihood(h).variance, kept.square().expand(3, 4))
    assert "noise.running" in likelihood.state_dict()


def test_learned_and_predicted_scales_are_bounded() -> None:
    learned, predicted = NormalLikelihood((2,), "learned"), LaplaceLikelihood((2,), "predicted")
    # inside its range the bound is the identity up to a softplus of -4.2 and -4.8, one percent each
    assert learned(torch.zeros(1, 2)).base_dist.scale.max().item() == pytest.approx(START, rel=0.03)
    with torch.no_grad():
        learned.noise.log_scale.fill_(1e6)
    # exp(3) and exp(-6), reached within a softplus of the range, 1.3e-4
    assert learned(torch.zeros(1, 2)).base_dist.scale.max().item() == pytest.approx(math.exp(3), rel=1e-3)
    scale = predicted(torch.tensor([[0.0, 0.0, -1e6, 1e6]])).base_dist.scale
    assert scale[0].tolist() == pytest.approx([math.exp(-6), math.exp(3)], rel=1e-3)


def test_a_misspelt_scale_names_the_nearest() -> None:
    build = getattr(make_scale, "__wrapped__", make_scale)
    with pytest.raises(PartError, match=r"scale is 'optimum'.* Did you mean 'optimal'"):
        build("optimum")


def test_bernoulli_by_brute_force() -> None:
    reseed(0)
    h = 3 * torch.randn(5, 6, dtype=torch.float64)
    x = torch.rand(5, 6, dtype=torch.float64).round()
    p = torch.sigmoid(h)
    expected = torch.where(x == 1, p, 1 - p).log().sum(-1)
    assert torch.allclose(BernoulliLikelihood((6,))(h).log_prob(x), expected, rtol=1e-12)


def test_continuous_bernoulli_by_brute_force() -> None:
    reseed(0)
    h = 3 * torch.randn(5, 6, dtype=torch.float64)
    x = torch.rand(5, 6, dtype=torch.float64)
    rate = torch.sigmoid(h)
    normaliser = 2 * torch.atanh(1 - 2 * rate) / (1 - 2 * rate)
    expected = (normaliser.log() + x * rate.log() + (1 - x) * (1 - rate).log()).sum(-1)
    # near rate 1/2 the normaliser is 0/0, and torch takes a Taylor series: about 1e-9
    assert torch.allclose(ContinuousBernoulliLikelihood((6,))(h).log_prob(x), expected, atol=1e-8)


@pytest.mark.parametrize(("distance", "expected"), [("l1", 2.5), ("l2", 0.5 * (4 + 0.25))])
def test_distances_by_hand(distance: str, expected: float) -> None:
    term = ReconstructionTerm((1, 1, 2), distance)  # type: ignore[arg-type]
    x, x_hat = torch.tensor([[[[1.0, 0.5]]]]), torch.tensor([[[[-1.0, 1.0]]]])
    assert term(x_hat).log_prob(x).item() == pytest.approx(-expected)


def test_structural_terms_are_zero_for_equal_images() -> None:
    reseed(0)
    h = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    for distance in ("ssim", "ms-ssim"):
        p_x = ReconstructionTerm((1, 12, 12), distance)(h)  # type: ignore[arg-type]
        assert p_x.log_prob(h.sigmoid()).abs().max() < 1e-9
        assert torch.equal(p_x.mean, h.sigmoid())
        assert p_x.log_prob(1 - h.sigmoid()).lt(-1).all()


@pytest.mark.parametrize("size", [0.0, 1e-3, 0.19, 0.21, 4.0, 16.0, 30.0, 60.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_continuous_bernoulli_is_a_density_for_any_logit(size: float, sign: float) -> None:
    h = torch.full((1,), sign * size)
    p_x = ContinuousBernoulliLikelihood((1,))(h)
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    log_prob = ContinuousBernoulliLikelihood((1,))(h.double()).log_prob(x.unsqueeze(-1))
    density = log_prob.exp()
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-4)
    mean = torch.trapezoid(density * x, x).item()
    assert p_x.mean.item() == pytest.approx(mean, abs=1e-4)
    variance = torch.trapezoid(density * (x - mean).square(), x).item()
    assert p_x.variance.item() == pytest.approx(variance, rel=1e-2)
    assert torch.allclose(p_x.log_prob(x[::100, None].float()).double(), log_prob[::100], atol=1e-4)
    reseed(0)
    draws = p_x.sample(torch.Size([4000]))
    assert draws.mean().item() == pytest.approx(mean, abs=5 * variance**0.5 / 4000**0.5)
    logits = h.clone().requires_grad_()
    (slope,) = torch.autograd.grad(ContinuousBernoulliLikelihood((1,))(logits).log_prob(torch.tensor([0.9])), logits)
    assert slope.item() == pytest.approx(0.9 - mean, abs=2e-4)  # d log p / dh = x - E[x]
