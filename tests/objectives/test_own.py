"""An objective of one's own that gives the wrong thing is told what was expected."""

from collections.abc import Callable

import pytest
import torch

from reparam.errors import PartError, ReparamError, ShapeError
from reparam.objectives import Objective
from reparam.recipes import build
from reparam.runs import fit
from reparam.trace import Bound, Progress, Trace


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
