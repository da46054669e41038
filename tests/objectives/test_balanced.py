"""The balanced bound: by hand, and the plain ELBO where it ends."""

import pytest
import torch
from torch.distributions import Independent, Normal

from reparam.errors import PartError
from reparam.objectives import BalancedELBO
from reparam.objectives.balanced import LEAST
from reparam.trace import Progress, Trace

KL = torch.tensor([[[1.0, 0.5, 0.0], [3.0, 1.5, 0.0]]])  # (K, B, G) = (1, 2, 3)
LOG_P_X = torch.tensor([[-7.0, -9.0]])


def trace() -> Trace:
    p = Independent(Normal(torch.zeros(1, 2, 3), 1.0), 1)
    zero = torch.zeros(1, 2)
    return Trace(torch.zeros(1, 2, 3), p, p, p, kl=KL, log_q=zero, log_p_z=zero, log_p_x=LOG_P_X)


def test_groups_share_the_warmup_by_their_mean_kl() -> None:
    found = BalancedELBO(warmup=0.4).bound(trace(), Progress(1, 10, 10))
    share = torch.tensor([2.0, 1.0, 0.0]) + LEAST
    weights = 3 * share / share.sum()
    expected = LOG_P_X[0] - 0.25 * (KL[0] * weights).sum(-1)
    assert torch.allclose(found.value, expected, atol=1e-6)
    assert torch.equal(found.terms["elbo"], LOG_P_X[0] - KL[0].sum(-1))


@pytest.mark.parametrize("progress", [Progress(), Progress(4, 10, 10), Progress(10, 10, 10)])
def test_after_the_warmup_it_is_the_elbo(progress: Progress) -> None:
    assert torch.equal(BalancedELBO(warmup=0.4).bound(trace(), progress).value, LOG_P_X[0] - KL[0].sum(-1))


def test_refuses_what_is_no_share() -> None:
    with pytest.raises(PartError, match=r"BalancedELBO: warmup is 1\.5, expected a share of training from 0 to 1"):
        BalancedELBO(warmup=1.5)
