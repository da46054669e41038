"""An objective of one's own that gives the wrong thing is told what was expected."""

from collections.abc import Callable

import pytest
import torch

from reparam.data import Batch
from reparam.errors import PartError, ReparamError, ShapeError
from reparam.objectives import ELBO, DiscrepancyBound, ImportanceBound, Objective
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import fit
from reparam.trace import Bound, Progress, Trace

OBJECTIVES = {"elbo": ELBO, "iwae": ImportanceBound, "mmd": DiscrepancyBound}


class Own(Objective):
    """Gives what it is told to."""

    def __init__(self, make: Callable[[Trace], Bound]) -> None:
        super().__init__()
        self.make = make

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        return self.make(trace)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda trace: Bound(trace.elbo), PartError, "bound.. gave a Bound, whose terms lack 'elbo'"),
        (lambda trace: trace.elbo, PartError, "bound.. gave a Tensor, expected a Bound"),
        (lambda trace: Bound(trace.elbo.mean()), ShapeError, r"value is \(\), expected \(B,\)"),
    ],
)
@pytest.mark.unchecked
def test_says_what_was_expected(make: Callable[[Trace], Bound], error: type[ReparamError], said: str) -> None:
    x = torch.randn(40, 3)
    with pytest.raises(error, match=said):
        fit(build("vae", x), x, objective=Own(make), epochs=1, device="cpu")


@pytest.mark.parametrize("kind", ["elbo", "iwae", "mmd"])
def test_a_loop_of_ones_own(kind: str) -> None:
    """A tensor is a batch, and without progress the training is over."""
    reseed(0)
    x = torch.randn(40, 3)
    model, objective = build("vae", x), OBJECTIVES[kind]()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        reseed(1)
        loss = objective(model, x).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1
    reseed(1)
    assert objective(model, Batch(x), Progress()).loss < losses[-1]
