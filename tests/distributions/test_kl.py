"""KL divergences against numerical integration and matrix algebra."""

import pytest
import torch
from torch.distributions import Laplace, MultivariateNormal, Normal, kl_divergence

from reparam.distributions import OneHot, joint, kl_groups
from reparam.rng import reseed


def test_full_normal_against_a_diagonal_one() -> None:
    """Our own closed form against torch's for two full covariances, with a prior that is not standard."""
    reseed(0)
    size = 4
    tril = torch.tril(torch.randn(3, size, size, dtype=torch.float64), -1)
    tril = tril + torch.diag_embed(torch.rand(3, size, dtype=torch.float64) + 0.2)
    q = MultivariateNormal(torch.randn(3, size, dtype=torch.float64), scale_tril=tril)
    loc, scale = torch.randn(size, dtype=torch.float64), torch.rand(size, dtype=torch.float64) + 0.3
    p = joint(Normal(loc, scale), 1)
    found = kl_groups(q, p, q.rsample(torch.Size([2])), "closed")
    expected = kl_divergence(q, MultivariateNormal(loc, scale_tril=torch.diag(scale)))
    assert found.shape == (2, 3, 1)
    assert torch.allclose(found[0, :, 0], expected, rtol=1e-12)


FAMILIES = {"normal": Normal, "laplace": Laplace}


@pytest.mark.parametrize("q_name", list(FAMILIES))
@pytest.mark.parametrize("p_name", list(FAMILIES))
def test_scalar_pairs_by_integration(q_name: str, p_name: str) -> None:
    at, width = torch.tensor(0.4, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    q, p = FAMILIES[q_name](at, width), FAMILIES[p_name](zero, one)
    z = torch.linspace(-39.6, 40.4, 800_001, dtype=torch.float64)  # steps of 1e-4 with nodes on both kinks
    integral = torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z)), dx=1e-4)
    found = kl_groups(
        joint(FAMILIES[q_name](at[None], width[None]), 1),
        joint(FAMILIES[p_name](zero[None], one[None]), 1),
        torch.zeros(1, 1, dtype=torch.float64),
        "closed",
    )
    assert found.item() == pytest.approx(integral.item(), abs=1e-7)  # the trapezoid rule: step^2


def test_relaxed_draws_are_no_estimate() -> None:
    """A relaxed draw lies between the choices: the KL is that of the choices, whatever is asked for."""
    q, p = OneHot(torch.tensor([[[2.0, 0.0, -1.0]]]), 2 / 3), OneHot(torch.zeros(1, 1, 3))
    z = q.rsample(torch.Size([5]))
    assert torch.equal(kl_groups(q, p, z, "sampled"), kl_groups(q, p, z, "closed"))


def test_kl_of_a_distribution_with_itself_is_zero() -> None:
    q = joint(Normal(torch.randn(3), torch.rand(3) + 0.1), 1)
    assert not kl_groups(q, q, torch.zeros(1, 3), "closed").any()
    assert not kl_groups(q, q, torch.randn(5, 3), "sampled").any()
