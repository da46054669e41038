"""Bounds of several draws against hand computations."""

import math

import pytest
import torch
from torch import Tensor

from reparam.distributions import Codebook, CodePoint
from reparam.errors import RefusedError
from reparam.objectives import DoublyReparameterizedBound, ImportanceBound, RenyiBound, StickingTheLandingBound
from reparam.trace import Bound, Progress
from tests.objectives.traces import trace

LOG_W = torch.tensor([[0.0], [1.0], [-1.0], [2.0]], dtype=torch.float64)


def bounded(objective: torch.nn.Module, **given: Tensor) -> Bound:
    return objective.bound(trace(log_p_x=LOG_W, **given), Progress())  # type: ignore[operator]


def log_mean(*values: float) -> float:
    return math.log(sum(map(math.exp, values)) / len(values))


def test_one_group_and_two() -> None:
    assert bounded(ImportanceBound(4)).value.item() == pytest.approx(log_mean(0, 1, -1, 2))
    expected = 0.5 * (log_mean(0, 1) + log_mean(-1, 2))
    assert bounded(ImportanceBound(4, groups=2)).value.item() == pytest.approx(expected)
    assert bounded(ImportanceBound(4, groups=4)).value.item() == pytest.approx(0.5)


def test_share_of_the_elbo() -> None:
    kl = torch.full((4, 1, 1), 3.0, dtype=torch.float64)  # not what the draws say: the ELBO has its own KL
    expected = 0.25 * (0.5 - 3.0) + 0.75 * log_mean(0, 1, -1, 2)
    assert bounded(ImportanceBound(4, elbo_share=0.25), kl=kl).value.item() == pytest.approx(expected)


def test_free_bits_pay_for_what_a_group_lacks() -> None:
    kl = torch.tensor([[[0.1, 3.0]], [[0.5, 1.0]], [[0.1, 2.0]], [[0.1, 2.0]]], dtype=torch.float64)  # means 0.2 and 2
    given, free = kl.requires_grad_(), bounded(ImportanceBound(4), kl=kl).value.item()
    found = bounded(ImportanceBound(4, free_bits=0.5), kl=given)
    assert found.value.item() == pytest.approx(free - 0.3)
    found.loss.backward()
    # only the group below 0.5 nats is drawn upwards, by a quarter at each of the four draws
    assert given.grad is not None
    assert given.grad[:, 0].tolist() == [[pytest.approx(-0.25), 0.0]] * 4


def test_penalty_of_the_model() -> None:
    penalty = torch.tensor([7.0], dtype=torch.float64)
    for objective in (ImportanceBound(4), DoublyReparameterizedBound(4), RenyiBound(4), StickingTheLandingBound(4)):
        free, paid = bounded(objective).value, bounded(objective, penalty=penalty).value
        assert torch.allclose(free - paid, penalty)


def test_renyi() -> None:
    assert bounded(RenyiBound(4, -1.0)).value.item() == pytest.approx(0.5 * log_mean(0, 2, -2, 4))
    assert bounded(RenyiBound(4, 2.0)).value.item() == pytest.approx(-log_mean(0, -1, 1, -2))
    assert bounded(RenyiBound(4, "max")).value.item() == 2


def test_dreg_weighs_twice_what_flows_into_z() -> None:
    """log w_k = a z_k: z_k feels a times the square of its weight, and a feels the weighted mean of z."""
    z = torch.tensor([[[0.3]], [[-0.2]], [[0.9]]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    codes = z * 1.0
    found = DoublyReparameterizedBound(3).bound(trace(z=codes, log_p_x=a * codes[..., 0]), Progress())
    weights = (2.0 * z.detach()).softmax(0)
    assert found.value.item() == pytest.approx(log_mean(0.6, -0.4, 1.8))
    found.loss.backward(retain_graph=True)
    assert torch.allclose(z.grad, -2.0 * weights.square())  # type: ignore[arg-type]
    assert torch.allclose(a.grad, -(weights * z.detach()).sum())  # type: ignore[arg-type]
    # who looks at the trace next meets no hook
    assert torch.equal(torch.autograd.grad(codes.sum(), z)[0], torch.ones_like(z))


def test_codes_without_noise_are_not_weighed() -> None:
    q = CodePoint(torch.zeros(1, 2), torch.zeros(1, 1, dtype=torch.long), Codebook((1,), 2, lambda indices: indices))
    same, no_path = "all draws are the same one", "no derivative of a path"
    weighing, by_path = (ImportanceBound(2), RenyiBound(2)), (DoublyReparameterizedBound(2), StickingTheLandingBound(2))
    for objective in (*weighing, *by_path):
        with pytest.raises(RefusedError, match=same if objective in weighing else no_path):
            objective.bound(trace(log_p_x=LOG_W, q=q), Progress())


def test_sticking_the_landing_weighs_the_sampled_kl() -> None:
    log_q = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    objective = StickingTheLandingBound(4, beta=2.0, warmup=0.5)
    given = trace(log_p_x=LOG_W, log_q=log_q)
    assert objective.bound(given, Progress()).value.item() == pytest.approx(0.5 - 2 * 2.5)
    assert objective.bound(given, Progress(1, 4, 4)).value.item() == pytest.approx(0.5 - 2.5)
