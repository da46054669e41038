"""The optimiser is PyTorch's, bit for bit; the loss scale does what PyTorch's scaler does."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from reparam.processes import Processes
from reparam.trace import Bound, Player
from reparam.training.optim import LossScale, Update
from reparam.training.optimizers import Adam, make_optimizer
from tests.training.trained import settings


def shapes() -> list[Tensor]:
    """Weights of every layout: a vector, a matrix, and an image's filters with channels last."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator) for shape in ((5,), (4, 3), (2, 3, 3, 3))]
    drawn[2] = drawn[2].contiguous(memory_format=torch.channels_last)
    return drawn


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_that_of_torch(decoupled: bool, weight_decay: float) -> None:
    ours, theirs = ([nn.Parameter(value) for value in shapes()] for _ in range(2))
    own = Adam(ours, (0.9, 0.99), weight_decay, decoupled)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    other = kind(theirs, lr=0.1, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        gradients: list[Tensor | None] = [torch.empty_like(p).normal_(generator=generator) for p in ours]
        if step % 3 == 1:
            gradients[1] = None
        rate = 0.1 / (1 + step)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        other.param_groups[0]["lr"] = rate
        other.step()
        with torch.no_grad():
            own.step(gradients, rate)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def many(generator: torch.Generator, skip: bool) -> list[Tensor | None]:
    """A gradient for each of the shapes, but for the second one where that is skipped."""
    drawn: list[Tensor | None] = [torch.empty_like(shape).normal_(generator=generator) for shape in shapes()]
    return [None if skip and number == 1 else gradient for number, gradient in enumerate(drawn)]


class TestWrapped:
    OTHERS: ClassVar[dict[str, Any]] = {
        "adamax": lambda own: torch.optim.Adamax(own, betas=(0.8, 0.95), weight_decay=0.1),
        "rmsprop": lambda own: torch.optim.RMSprop(own, alpha=0.95, weight_decay=0.1),
        "sgd": lambda own: torch.optim.SGD(own, momentum=0.8, weight_decay=0.1),
    }

    @pytest.mark.parametrize("name", OTHERS)
    def test_equals_that_of_torch_though_its_state_was_put_away(self, name: str) -> None:
        given = settings(optimizer=name, betas=(0.8, 0.95), weight_decay=0.1)
        ours, theirs = ([nn.Parameter(value) for value in shapes()] for _ in range(2))
        own, other, generator = make_optimizer(ours, given), self.OTHERS[name](theirs), torch.Generator().manual_seed(1)
        for step in range(9):
            gradients, rate = many(generator, skip=step == 3), 0.1 / (1 + step)
            for parameter, gradient in zip(theirs, gradients, strict=True):
                parameter.grad = None if gradient is None else gradient.clone()
            other.param_groups[0]["lr"] = rate
            other.step()
            state, own = own.state(), make_optimizer(ours, given)
            own.load({key: value.contiguous() for key, value in state.items()})
            with torch.no_grad():
                own.step(gradients, rate)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))

    @pytest.mark.parametrize("name", OTHERS)
    def test_a_player_without_weights_has_nothing_to_do(self, name: str) -> None:
        idle = make_optimizer([], settings(optimizer=name))
        idle.step([], 0.1)
        idle.load(idle.state())
        assert idle.state() == {}

    @pytest.mark.parametrize("name", OTHERS)
    def test_gradients_are_divided_and_steps_left_out(self, name: str) -> None:
        (one,), (other,) = ([nn.Parameter(torch.arange(4.0))] for _ in range(2))
        plain, scaled = (make_optimizer([parameter], settings(optimizer=name)) for parameter in (one, other))
        with torch.no_grad():
            plain.step([torch.ones(4)], 0.1)
            scaled.step([torch.full((4,), 8.0)], 0.1, scale=torch.tensor(8.0), skip=torch.tensor(0.0))
            scaled.step([torch.full((4,), torch.nan)], 0.1, scale=torch.tensor(8.0), skip=torch.tensor(1.0))
        assert torch.equal(one, other)
        assert not torch.equal(one, torch.arange(4.0))


def test_moments_that_mean_nothing_become_zero() -> None:
    adam = Adam([torch.ones(4)], (0.9, 0.999), 0.0, False)
    for step in range(1000):
        adam.step([torch.tensor([1.0, 0.0, 0.0, 1e-20]) if not step else torch.tensor([1.0, 0.0, 0.0, 0.0])], 1e-3)
        assert ((adam.first[0] == 0) | (adam.first[0].abs() > torch.finfo(torch.float32).tiny)).all()  # none subnormal
    assert adam.first[0][0] > 0.9
    assert (adam.first[0][1:] == 0).all()


def test_state_comes_back_whatever_its_layout() -> None:
    first, second = (Adam([nn.Parameter(value) for value in shapes()], (0.9, 0.99), 0.0, False) for _ in range(2))
    with torch.no_grad():
        first.step([torch.ones_like(p) * torch.arange(p.numel()).view(p.shape) for p in first.parameters], 0.1)
    second.load({name: tensor.contiguous() for name, tensor in first.state().items()})
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in first.state().items())
    assert second.first[2].stride() == first.first[2].stride()


def update(parameter: nn.Parameter, **given: Any) -> Update:
    """One player who moves one parameter."""
    player = Player("one", (parameter,), lambda batch, progress: Bound(parameter))
    return Update(player, settings(**given), Processes())


@pytest.mark.parametrize(
    "loss", [lambda p: p.sum() / 0, lambda p: (p - 1).sqrt().sum() * 0 + float("nan"), lambda p: (p - 1).sqrt().sum()]
)
def test_what_is_not_finite_moves_nothing(loss: Any) -> None:
    """The last loss is finite (0), its gradient is not."""
    parameter = nn.Parameter(torch.ones(3))
    one = update(parameter)
    value = loss(parameter)
    with torch.no_grad():
        assert not one.step(value, 0.1)
    assert torch.equal(parameter, torch.ones(3))
    assert not one.optimizer.first[0].any()


@pytest.mark.parametrize("clip", [None, 1e-3])
@pytest.mark.parametrize(
    "loss",
    [
        lambda p, q: (p.t() * torch.arange(12.0).view(3, 4)).pow(2).mean() + q.sum() * 0,
        lambda p, q: p.sum() + q.sum() * 0,
        lambda p, q: (p + q).pow(3).sum(),
        lambda p, q: torch.einsum("oi,bi->bo", p + q, torch.arange(6.0).view(2, 3)).pow(2).sum(),
    ],
)
def test_the_layout_of_gradients_does_not_matter(loss: Any, clip: float | None) -> None:
    """Transposed, expanded and shared gradients move weights as those of ``backward`` do."""
    ours, theirs = ([nn.Parameter(torch.arange(12.0).view(4, 3) / n) for n in (5, 7)] for _ in range(2))
    player = Player("both", tuple(ours), lambda batch, progress: Bound(ours[0]))
    one = Update(player, settings(clip=clip), Processes())
    other = torch.optim.Adam(theirs, lr=0.1, betas=(0.9, 0.99))
    for _ in range(3):
        value = loss(*ours)
        with torch.no_grad():
            assert one.step(value, 0.1)
        other.zero_grad()
        loss(*theirs).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        other.step()
    # Adam divides by its own size, so what clipping rounds (and its 1e-6) shows where gradients are tiny
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(ours, theirs, strict=True))


def test_an_infinite_loss_with_a_finite_gradient_moves_nothing() -> None:
    parameter = nn.Parameter(torch.ones(3))
    value = parameter.sum() + float("inf")
    with torch.no_grad():
        assert not update(parameter).step(value, 0.1)
    assert torch.equal(parameter, torch.ones(3))


def test_float16_does_not_hide_what_no_scale_mends() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    one = update(parameter, precision="float16")
    taken = []
    for _ in range(40):
        value = parameter.square().sum().sqrt()  # its gradient at 0 is NaN
        with torch.no_grad():
            taken.append(bool(one.step(value, 0.1)))
    assert taken[:20] == [True] * 20
    assert not taken[-1]
    assert torch.equal(parameter, torch.zeros(3))


def test_float16_steps_are_those_of_the_scaler() -> None:
    """An overflow halves the scale and moves nothing; long peace doubles it."""
    scale = LossScale(torch.device("cpu"), first=8.0, peace=3)
    theirs = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    for finite in (True, True, False, True, True, True, True, False, True):
        scale.update(torch.tensor(finite))
        parameter.grad = torch.tensor([1.0 if finite else float("inf")])
        theirs.scale(torch.ones(1))
        theirs.unscale_(optimizer)
        theirs.step(optimizer)
        theirs.update()
        assert scale.value == theirs.get_scale()
