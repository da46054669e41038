"""The ELBO and its weights against hand computations."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import Normal

from reparam.objectives import ELBO, warmup_weight
from reparam.trace import Progress, Trace

# two samples, three examples, two groups
KL = torch.tensor([[[1.0, 0.1], [2.0, 0.3], [0.0, 0.2]], [[3.0, 0.1], [2.0, 0.1], [1.0, 0.4]]], dtype=torch.float64)
LOG_P_X = torch.tensor([[-10.0, -20.0, -30.0], [-12.0, -22.0, -31.0]], dtype=torch.float64)
RATE = torch.tensor([2.1, 2.2, 0.8], dtype=torch.float64)
DISTORTION = torch.tensor([11.0, 21.0, 30.5], dtype=torch.float64)


def trace(kl: torch.Tensor = KL, penalty: float = 0.0) -> Trace:
    zero = torch.zeros(2, 3, dtype=torch.float64)
    q = Normal(zero, zero + 1)
    return Trace(
        torch.zeros(2, 3, 2).double(),
        q,
        q,
        q,
        kl=kl,
        log_q=zero,
        log_p_z=zero,
        log_p_x=LOG_P_X,
        penalty=zero[0] + penalty,
    )


def value(progress: Progress | None = None, penalty: float = 0.0, **settings: Any) -> torch.Tensor:
    return ELBO(**settings).bound(trace(penalty=penalty), progress or Progress()).value


def test_plain() -> None:
    assert torch.allclose(value(), -DISTORTION - RATE)
    assert torch.allclose(trace().elbo, -DISTORTION - RATE)
    terms = ELBO().bound(trace(), Progress()).terms
    assert torch.allclose(terms["rate"], RATE)
    assert torch.allclose(terms["distortion"], DISTORTION)


def test_beta_and_penalty() -> None:
    assert torch.allclose(value(beta=4.0), -DISTORTION - 4 * RATE)
    assert torch.allclose(value(beta=0.0, penalty=5.0), -DISTORTION - 5)


def test_free_bits() -> None:
    """Group means over the batch are 1.5 and 0.2: with 0.5 free, the first counts as it is, the second as 0.5."""
    found = value(free_bits=0.5)
    first = torch.tensor([2.0, 2.0, 0.5], dtype=torch.float64)
    assert torch.allclose(found, -DISTORTION - first - 0.5)
    assert found.mean().item() == pytest.approx(-DISTORTION.mean().item() - 1.5 - 0.5)


def test_free_bits_stop_the_gradient_of_what_is_free() -> None:
    kl = KL.clone().requires_grad_()
    ELBO(free_bits=0.5).bound(trace(kl), Progress()).loss.backward()
    assert kl.grad is not None
    # each of 2 samples and 3 examples carries a sixth of the mean
    assert torch.allclose(kl.grad[..., 0], torch.full((2, 3), 1 / 6, dtype=torch.float64))
    assert not kl.grad[..., 1].any()


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.0), (5, 0.25), (10, 0.5), (20, 1.0), (50, 1.0), (100, 1.0), (120, 1.0)]
)
def test_linear_warmup(step: int, expected: float) -> None:
    assert warmup_weight(Progress(step, 100), 0.2) == pytest.approx(expected)
    assert torch.allclose(value(Progress(step, 100), warmup=0.2, beta=2.0), -DISTORTION - 2 * expected * RATE)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (5, 0.4),
        (12, 0.96),
        (13, 1.0),
        (24, 1.0),
        (25, 0.0),
        (30, 0.4),
        (50, 0.0),
        (75, 0.0),
        (99, 1.0),
        (100, 1.0),
    ],
)
def test_cyclic_warmup(step: int, expected: float) -> None:
    """Four cycles of 25 steps, each rising over its first half."""
    assert warmup_weight(Progress(step, 100), 0.5, "cyclic", 4) == pytest.approx(expected)


def test_no_warmup_and_no_training_weigh_fully() -> None:
    assert warmup_weight(Progress(0, 100), 0.0) == 1
    assert warmup_weight(Progress(0, 0), 0.5) == 1
    assert warmup_weight(Progress(), 0.5, "cyclic") == 1


def test_trace_identity() -> None:
    found = trace()
    assert torch.equal(found.log_w, LOG_P_X)
    assert torch.allclose(found.rate, RATE)
    assert math.isclose(Progress(3, 4).fraction, 0.75)
    assert Progress(9, 4).fraction == Progress().fraction == 1
