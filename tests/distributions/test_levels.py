"""Densities over grey levels, against brute force."""

import pytest
import torch
from torch import Tensor

from reparam.distributions import CategoricalLevels, DiscretizedLogistic
from reparam.rng import reseed


def logistics(levels: int) -> tuple[Tensor, DiscretizedLogistic]:
    reseed(0)
    loc = torch.rand(8, dtype=torch.float64) * 1.4 - 0.2
    scale = torch.logspace(-2, 1, 8, dtype=torch.float64)
    grid = torch.arange(levels, dtype=torch.float64) / (levels - 1)
    return grid, DiscretizedLogistic(loc, scale, levels)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_logistic_is_a_difference_of_two_sigmoids(levels: int) -> None:
    grid, p = logistics(levels)
    half = 0.5 / (levels - 1)
    x = grid.unsqueeze(-1)
    below = torch.sigmoid((x - half - p.loc) / p.scale)
    above = torch.sigmoid((x + half - p.loc) / p.scale)
    below[0], above[-1] = 0.0, 1.0
    brute = above - below
    sound = brute > 1e-6  # where the difference keeps ten digits
    assert torch.allclose(p.log_prob(x).exp()[sound], brute[sound], rtol=1e-9)
    assert p.log_prob(x)[~sound].lt(-13).all()


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_logistic_mean_by_brute_force(levels: int) -> None:
    grid, p = logistics(levels)
    brute = (p.log_prob(grid.unsqueeze(-1)).exp() * grid.unsqueeze(-1)).sum(0)
    assert torch.allclose(p.mean, brute, atol=1e-12)


def test_logistic_tail_is_exact_where_sigmoids_cannot_be_subtracted() -> None:
    """Far above the location: log p = -(x - half - loc) / s + log(1 - exp(-width))."""
    scale = torch.tensor(1e-3, dtype=torch.float64)
    p = DiscretizedLogistic(torch.tensor(0.0, dtype=torch.float64), scale, 256)
    x = torch.tensor(200 / 255, dtype=torch.float64)
    half = 0.5 / 255
    expected = -(x - half) / scale + torch.log1p(-torch.exp(-2 * half / scale))
    assert p.log_prob(x).item() == pytest.approx(expected.item(), rel=1e-12)  # the rest is e^-780


def test_logistic_shares_of_draws() -> None:
    p = DiscretizedLogistic(torch.tensor(0.4), torch.tensor(0.2), 5)
    reseed(1)
    draws = p.sample(torch.Size([40_000]))
    for level in range(5):
        expected = p.log_prob(torch.tensor(level / 4)).exp().item()
        # five standard errors of a share of 40,000 draws
        assert (draws * 4 == level).float().mean().item() == pytest.approx(expected, abs=0.0125)


def test_categorical_is_a_softmax() -> None:
    reseed(0)
    logits = torch.randn(3, 5, dtype=torch.float64)
    p = CategoricalLevels(logits)
    probabilities = logits.exp() / logits.exp().sum(-1, keepdim=True)
    x = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    expected = torch.stack([probabilities[0, 0], probabilities[1, 2], probabilities[2, 4]])
    assert torch.allclose(p.log_prob(x).exp(), expected, rtol=1e-12)
    mean = (probabilities * torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=torch.float64)).sum(-1)
    assert torch.allclose(p.mean, mean, atol=1e-12)


def test_categorical_takes_levels_as_float32_divides_them() -> None:
    """k / 255 is rounded in float32; the level is found again for every k."""
    grid = torch.arange(256, dtype=torch.uint8).to(torch.float32) / 255
    p = CategoricalLevels(torch.arange(256.0))
    expected = torch.arange(256.0).log_softmax(-1)
    assert torch.equal(p.log_prob(grid), expected)
