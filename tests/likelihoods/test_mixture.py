"""Mixtures of Normals with full covariances, and the pen beside them."""

import pytest
import torch
from torch import Size, Tensor
from torch.distributions import MultivariateNormal

from reparam.data import load_data
from reparam.errors import PartError
from reparam.likelihoods import MixtureLikelihood
from reparam.report.sketches import drawing
from reparam.rng import reseed
from reparam.runs import train


def outputs(likelihood: MixtureLikelihood, *batch: int) -> Tensor:
    reseed(0)
    return torch.randn(*batch, *likelihood.out_shape, dtype=torch.float64)


def grid(side: int = 801, far: float = 25.0) -> tuple[Tensor, float]:
    line = torch.linspace(-far, far, side, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def test_the_density_integrates_to_one_with_the_moments_it_says() -> None:
    likelihood = MixtureLikelihood((2,), 3)
    p_x = likelihood(outputs(likelihood))
    x, area = grid()
    density = p_x.log_prob(x).exp() * area
    assert density.sum().item() == pytest.approx(1.0, abs=1e-6)
    mean = (density[:, None] * x).sum(0)
    assert torch.allclose(mean, p_x.mean, atol=1e-6)
    assert torch.allclose((density[:, None] * (x - mean).square()).sum(0), p_x.variance, rtol=1e-5)


def test_a_component_is_the_normal_of_its_covariance() -> None:
    likelihood = MixtureLikelihood((3,), 1)
    p_x = likelihood(outputs(likelihood, 4))
    below = p_x.below[:, 0] + torch.eye(3, dtype=torch.float64)
    precision = torch.linalg.inv(torch.diag_embed(p_x.scale[:, 0])) @ below.mT @ below
    precision = precision @ torch.linalg.inv(torch.diag_embed(p_x.scale[:, 0]))
    reseed(1)
    x = torch.randn(4, 3, dtype=torch.float64)
    truth = MultivariateNormal(p_x.loc[:, 0], precision_matrix=(precision + precision.mT) / 2)
    assert torch.allclose(p_x.log_prob(x), truth.log_prob(x))
    assert torch.allclose(p_x.variance, truth.variance)


def test_draws_have_the_moments_and_the_pen_is_a_coin() -> None:
    likelihood = MixtureLikelihood((3,), 4, pen=True)
    p_x = likelihood(outputs(likelihood, 2))
    reseed(1)
    draws = p_x.sample(Size([100_000]))
    assert draws.shape == (100_000, 2, 3)
    assert set(draws[..., 2].unique().tolist()) == {0.0, 1.0}
    error = 4 * (p_x.variance / 100_000).sqrt()
    assert ((draws.mean(0) - p_x.mean).abs() < error).all()
    assert torch.allclose(draws[..., :2].var(0), p_x.variance[..., :2], rtol=0.05)
    lifted, down = (torch.cat([draws[0, :, :2], torch.full((2, 1), bit, dtype=torch.float64)], 1) for bit in (1.0, 0.0))
    assert torch.allclose((p_x.log_prob(lifted) - p_x.log_prob(down)), p_x.pen)


def test_gradients_reach_every_number() -> None:
    likelihood = MixtureLikelihood((3,), 2, pen=True)
    h = outputs(likelihood, 5).requires_grad_()
    likelihood(h).log_prob(torch.tensor([0.4, -1.0, 1.0], dtype=torch.float64)).sum().backward()
    assert h.grad is not None
    assert (h.grad != 0).all()


@pytest.mark.parametrize(("shape", "components", "pen"), [((1,), 2, True), ((2, 3), 2, False), ((2,), 0, False)])
def test_what_makes_no_sense_is_refused(shape: tuple[int, ...], components: int, pen: bool) -> None:
    with pytest.raises(PartError, match="expected vectors"):
        MixtureLikelihood(shape, components, pen)


def square(side: float) -> Tensor:
    """Four strokes around a square, and the pen lifted at the end."""
    moves = [(side, 0.0, 0.0), (0.0, side, 0.0), (-side, 0.0, 0.0), (0.0, -side, 1.0)]
    return torch.tensor(moves, dtype=torch.float32).T


def test_drawings_are_known_as_such_and_drawn() -> None:
    reseed(0)
    sides = 5 + torch.rand(40)
    x = torch.stack([torch.cat([square(float(side)), torch.zeros(3, 2)], 1) for side in sides])
    data = load_data({"x": x, "lengths": torch.full((40,), 4)})
    assert data.spec.drawn
    assert data.spec.shift[2:] == (0.0,)
    settings = {
        "train": {"epochs": 1, "batch_size": 16, "tensorboard": False},
        "model": {"likelihood": {"components": 2}},
    }
    run = train("vrnn", settings, data=data, device="cpu")
    assert run.config.model.likelihood.kind == "mixture"  # type: ignore[union-attr]
    made = run.model.given(lengths=4).sample(3, draw=True)
    assert set(made[:, 2].unique().tolist()) <= {0.0, 1.0}
    picture = drawing(x[0])
    assert picture.shape == (1, 96, 96)
    dark = picture[0] < 0.5
    edge = int(0.06 * 96)
    assert dark[edge].float().mean() > 0.8  # the upper side of the square
    assert not dark[30:60, 30:60].any()
    jumped = square(5.0)
    jumped[2, 1] = 1.0  # the pen is lifted after the second side, so the third is not drawn
    assert (drawing(jumped)[0] < 0.5).sum() < 0.85 * dark.sum()
