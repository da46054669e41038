"""The fast log density of a Bernoulli equals the plain one, and so do its derivatives; so does the KL of Normals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Independent, Normal
from torch.distributions.kl import kl_divergence

from reparam.distributions import JointBernoulli
from reparam.distributions.normal import kl_normal
from reparam.rng import reseed

EVENTS = [(784,), (1, 28, 28), (17,), (127,), (3,), (1,), ()]


def plain(h: torch.Tensor, dims: int) -> Independent:
    """The distribution of torch."""
    return Independent(Bernoulli(logits=h, validate_args=False), dims, validate_args=False)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("batch", [(4,), (2, 4), ()])
def test_equals_the_plain_one(event: tuple[int, ...], batch: tuple[int, ...]) -> None:
    reseed(0)
    h = 5 * torch.randn((*batch, *event), dtype=torch.float64)
    x = torch.rand((4, *event) if batch else event, dtype=torch.float64).lt(0.5).double()
    ours, theirs = JointBernoulli(h, len(event)), plain(h, len(event))
    assert torch.allclose(ours.log_prob(x), theirs.log_prob(x), rtol=1e-12, atol=1e-12)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    assert torch.equal(ours.mean, theirs.mean)
    wide = ours.expand(torch.Size((3, *ours.batch_shape)))
    assert wide.log_prob(x).shape == (3, *ours.log_prob(x).shape)


@pytest.mark.parametrize("event", [(98,), (2, 7), (13,), (1,)])
def test_derivatives(event: tuple[int, ...]) -> None:
    reseed(0)
    h = torch.randn(2, 3, *event, dtype=torch.float64, requires_grad=True)
    x = torch.rand(3, *event, dtype=torch.float64, requires_grad=True)

    def log_prob(h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return JointBernoulli(h, len(event)).log_prob(x)

    assert torch.autograd.gradcheck(log_prob, (h, x))
    assert torch.autograd.gradgradcheck(log_prob, (h, x))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=112, max_size=112), st.integers(0, 2**32 - 1))
def test_no_logit_is_too_large(logits: list[float], seed: int) -> None:
    h = torch.tensor(logits)
    x = torch.rand(112, generator=torch.Generator().manual_seed(seed)).lt(0.5).float()
    exact = plain(h.double(), 1).log_prob(x.double()).item()
    # 112 terms, each rounded to 24 bits of its size
    assert JointBernoulli(h, 1).log_prob(x).item() == pytest.approx(exact, rel=1e-5, abs=2e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_kl_of_normals(learned: bool) -> None:
    reseed(0)
    loc, scale = torch.randn(4, 5, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64) + 0.1
    m, s = torch.randn(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64) + 0.1
    given = [value.requires_grad_() for value in ((loc, scale, m, s) if learned else (loc, scale))]

    def kl(*values: torch.Tensor) -> torch.Tensor:
        loc, scale, m_, s_ = (*values, m, s)[:4]
        return kl_normal(Normal(loc, scale), Normal(m_, s_))

    q, p = Normal(loc, scale), Normal(m, s)
    assert torch.allclose(kl(*given), kl_divergence(q, p), rtol=1e-12, atol=1e-14)
    assert torch.autograd.gradcheck(kl, given)
    assert torch.autograd.gradgradcheck(kl, given)
