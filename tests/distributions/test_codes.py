"""Distributions over codes: masses, draws, temperature, and the closed form of the KL."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from reparam.distributions import (
    AutoregressiveCodes,
    Codebook,
    CodePoint,
    UniformCodes,
    detached,
    is_density,
    is_discrete,
    kl_groups,
    tempered,
)
from reparam.distributions import joint as joint_of
from reparam.rng import reseed

TABLE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
LIKE = torch.zeros(4, dtype=torch.float64)


def vectors(indices: Tensor) -> Tensor:
    return TABLE[indices].flatten(-2)


def indices(z: Tensor) -> Tensor:
    return torch.cdist(z.unflatten(-1, (2, 2)), TABLE).argmin(-1)


BOOK = Codebook((1, 2), 3, vectors, indices)


def rising(numbers: Tensor) -> Tensor:
    """The first code by fixed odds; the second mostly equal to it."""
    first = torch.tensor([0.0, 1.0, 2.0]).double().expand(len(numbers), 3)
    second = 3.0 * torch.nn.functional.one_hot(numbers[:, 0], 3).double()
    return torch.stack([first, second], 1)


def point() -> CodePoint:
    chosen = torch.tensor([[0, 2], [1, 1]])
    return CodePoint(vectors(chosen).requires_grad_(), chosen, BOOK, torch.tensor([0.5, 0.25]).double())


def test_a_point_is_a_mass() -> None:
    q = point()
    assert is_discrete(q)
    assert is_density(q)  # it is normalised: log p(x) may be asked for
    z = q.rsample(torch.Size([3]))
    assert q.log_prob(z).eq(0).all()
    assert q.log_prob(z + 1).eq(-torch.inf).all()
    wide = q.expand(torch.Size([5, 2]))
    assert wide.indices.shape == (5, 2, 2)
    assert wide.penalty is not None
    assert wide.penalty.shape == (5, 2)
    assert not detached(q).rsample().requires_grad
    assert torch.equal(detached(q).log_prob(z), q.log_prob(z))


def test_uniform_kl_is_the_length_of_the_code() -> None:
    q, p = point(), UniformCodes(BOOK, LIKE)
    length = 2 * math.log(3)
    assert kl_divergence(q, p).tolist() == [length, length]
    z = q.rsample(torch.Size([2]))
    assert kl_groups(q, p, z).squeeze(-1).eq(length).all()
    assert torch.allclose(q.log_prob(z) - p.log_prob(z), torch.full((2, 2), length).double())


def test_uniform_draws_all_codes_alike() -> None:
    reseed(0)
    drawn = indices(UniformCodes(BOOK, LIKE).sample(torch.Size([20_000])))
    shares = torch.nn.functional.one_hot(drawn, 3).double().mean((0, 1))
    # five standard errors of a share of 40,000 draws
    assert torch.allclose(shares, torch.full((3,), 1 / 3).double(), atol=5 * 0.47 / 200)


def test_autoregressive_mass_by_hand() -> None:
    p = AutoregressiveCodes(BOOK, LIKE, rising)
    odds = [math.exp(k) for k in range(3)]
    same, other = math.exp(3) / (math.exp(3) + 2), 1 / (math.exp(3) + 2)
    for first in range(3):
        for second in range(3):
            z = vectors(torch.tensor([first, second]))
            expected = odds[first] / sum(odds) * (same if first == second else other)
            assert p.log_prob(z).exp().item() == pytest.approx(expected, rel=1e-12)
    reseed(0)
    drawn = indices(p.sample(torch.Size([10_000])))
    assert (drawn[:, 0] == 2).double().mean().item() == pytest.approx(odds[2] / sum(odds), abs=0.025)  # 5 errors
    assert (drawn[:, 0] == drawn[:, 1]).double().mean().item() == pytest.approx(same, abs=0.02)


def test_temperature_sharpens_the_odds() -> None:
    p = AutoregressiveCodes(BOOK, LIKE, rising)
    reseed(0)
    cold = indices(tempered(p, torch.Size([50]), 0.0))
    assert cold.eq(2).all()
    cool = indices(tempered(p, torch.Size([5_000]), 0.5))
    expected = math.exp(4) / (1 + math.exp(2) + math.exp(4))
    assert cool[:, 0].eq(2).double().mean().item() == pytest.approx(expected, abs=0.03)  # five standard errors
    assert tempered(UniformCodes(BOOK, LIKE), torch.Size([7]), 0.1).shape == (7, 4)


def test_temperature_of_others_shrinks_their_deviations() -> None:
    p = joint_of(torch.distributions.Normal(torch.ones(3), 2 * torch.ones(3)), 1)
    assert torch.allclose(tempered(p, torch.Size([5]), 0.0), torch.ones(5, 3))
    reseed(0)
    half = tempered(p, torch.Size([5]), 0.5)
    reseed(0)
    assert torch.allclose(half, 1 + 0.5 * (p.sample(torch.Size([5])) - 1))
