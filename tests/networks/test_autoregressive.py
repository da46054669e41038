"""Networks over codes: what comes later does not count, and all probabilities sum to one."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reparam.distributions import ancestral, log_mass
from reparam.errors import PartError
from reparam.networks import CausalTransformer, PixelCNN
from reparam.rng import reseed
from tests.contracts.members import dead, seeded_

NETS: dict[str, Any] = {
    "pixelcnn": lambda grid, codes: PixelCNN(grid, codes, channels=4, layers=3, kernel=3),
    "pixelcnn-wide": lambda grid, codes: PixelCNN(grid, codes, channels=3, layers=2, kernel=5),
    "transformer": lambda grid, codes: CausalTransformer(grid[0] * grid[1], codes, width=8, layers=2, heads=2),
}


def net(name: str, grid: tuple[int, int], codes: int) -> nn.Module:
    reseed(0)
    return seeded_(NETS[name](grid, codes)).double()


class Relaxed(nn.Module):
    """An embedding of shares of codes, so that logits have a gradient for every position's code."""

    def __init__(self, embedding: nn.Embedding, given: dict[str, Tensor]) -> None:
        super().__init__()
        self.weight, self.given = embedding.weight, given
        self.num_embeddings = embedding.num_embeddings

    def forward(self, indices: Tensor) -> Tensor:
        shares = torch.nn.functional.one_hot(indices, self.num_embeddings).to(self.weight).requires_grad_()
        self.given["shares"] = shares
        return shares @ self.weight


@pytest.mark.parametrize("grid", [(2, 2), (3, 4), (1, 5), (4, 1)])
@pytest.mark.parametrize("name", list(NETS))
def test_no_later_position_counts(name: str, grid: tuple[int, int]) -> None:
    """The gradient of log p(k_m | before) with respect to position m and all later ones is exactly zero."""
    model, size, given = net(name, grid, 3), grid[0] * grid[1], {}
    model.embedding = Relaxed(model.embedding, given)  # type: ignore[arg-type]
    shifted = 1 if name == "transformer" else 0  # its input begins with a sign of its own
    reseed(1)
    indices = torch.randint(3, (2, size))
    for m in range(size):
        logits = model(indices)[:, m].log_softmax(-1)[:, 0].sum()
        (gradient,) = torch.autograd.grad(logits, given["shares"], allow_unused=True)
        reached = torch.zeros(size) if gradient is None else gradient.abs().sum((0, 2))
        assert reached[m + shifted :].eq(0).all()
        if m > shifted and name == "transformer":
            assert reached[: m + shifted].gt(0).all()


def test_convolutions_have_no_blind_spot() -> None:
    """With enough layers the last position sees all others: none lies in the dead angle of a masked convolution."""
    given: dict[str, Tensor] = {}
    reseed(0)
    model = seeded_(PixelCNN((4, 4), 3, channels=4, layers=5, kernel=3)).double()
    model.embedding = Relaxed(model.embedding, given)  # type: ignore[arg-type]
    logits = model(torch.randint(3, (2, 16)))[:, 15].log_softmax(-1)[:, 0].sum()
    (gradient,) = torch.autograd.grad(logits, given["shares"])
    assert gradient.abs().sum((0, 2))[:15].gt(0).all()


@pytest.mark.parametrize("name", list(NETS))
def test_probabilities_of_all_grids_sum_to_one(name: str) -> None:
    model = net(name, (2, 2), 2)
    every = torch.tensor(list(itertools.product(range(2), repeat=4)))
    assert len(every) == 2**4
    assert log_mass(model, every).exp().sum().item() == pytest.approx(1, abs=1e-12)  # float64


@pytest.mark.parametrize("name", list(NETS))
def test_draws_have_their_probabilities(name: str) -> None:
    model = net(name, (1, 2), 2)
    every = torch.tensor(list(itertools.product(range(2), repeat=2)))
    reseed(0)
    drawn = ancestral(model, 20_000, 2, 1.0, torch.device("cpu"))
    shares = torch.stack([(drawn == one).all(-1).double().mean() for one in every])
    # five standard errors of a share of 20,000 draws
    assert torch.allclose(shares, log_mass(model, every).exp(), atol=5 * 0.5 / 20_000**0.5)


@pytest.mark.parametrize("name", list(NETS))
def test_without_temperature_the_most_probable_each_time(name: str) -> None:
    model = net(name, (2, 2), 3)
    first = ancestral(model, 3, 4, 0.0, torch.device("cpu"))
    assert first.eq(first[0]).all()
    assert first[0, 0] == model(first)[0, 0].argmax()


@pytest.mark.parametrize("name", list(NETS))
def test_gradient_reaches_every_parameter(name: str) -> None:
    model = net(name, (3, 3), 3)
    reseed(0)
    (-log_mass(model, torch.randint(3, (6, 9))).mean()).backward()
    assert not dead(model)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PixelCNN((4,), 3), r"the grid is \(4,\), expected two extents"),
        (lambda: PixelCNN((4, 4), 3, kernel=4), "kernel 4; expected"),
        (lambda: PixelCNN((4, 4), 3, layers=0), "layers 0"),
        (lambda: CausalTransformer(4, 3, width=6, heads=4), "width 6, layers 2, heads 4"),
    ],
)
def test_refuse(make: Any, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make()
