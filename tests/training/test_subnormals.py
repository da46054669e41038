"""What is too small for a float's full precision is zero in a training, and nowhere else."""

from typing import Any

import pytest
import torch

from reparam.objectives import ELBO
from reparam.subnormals import subnormals_flushed
from reparam.trace import Bound
from reparam.training.optim import Adam
from tests.training.trained import trainer

pytestmark = pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor has no such mode")


def smallest() -> float:
    """What becomes of a subnormal number in a product."""
    return float(torch.full((), 1e-40).mul(1.0))


def test_a_block_flushes_and_what_was_before_comes_back() -> None:
    with subnormals_flushed():
        assert smallest() == 0
        with subnormals_flushed():
            assert smallest() == 0
        assert smallest() == 0
    assert smallest() > 0


def test_moments_without_a_gradient_end_at_zero() -> None:
    adam = Adam([torch.ones(16)], betas=(0.9, 0.999), weight_decay=0.0, decoupled=False)
    adam.first[0].fill_(1e-36)
    with subnormals_flushed():
        for _ in range(60):
            adam.step([torch.zeros(16)], rate=1e-3)
    assert (adam.first[0] == 0).all()


def test_a_training_flushes() -> None:
    seen = []

    class Watching(ELBO):
        def bound(self, *given: Any, **named: Any) -> Bound:
            seen.append(smallest())
            return super().bound(*given, **named)

    trainer(objective=Watching()).take_steps(2)
    assert seen == [0.0, 0.0]
    assert smallest() > 0
