"""What is told of an example: every condition, and every encoder, decoder and prior that can be told one."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from reparam.distributions import EUCLIDEAN, kl_groups, tempered
from reparam.errors import PartError, ShapeError
from reparam.networks import (
    ClassCondition,
    ConditionalDecoder,
    ConditionalEncoder,
    ConditionalHierarchy,
    Hierarchy,
    VectorCondition,
    widened,
)
from reparam.priors import ConditionalPrior, FlowPrior, MixturePrior, NormalPrior, VampPrior
from reparam.rng import reseed
from reparam.shapes import Shape, numel
from tests.contracts.members import Settings, dead, fits, make, members, seeded_, takes
from tests.models.two_layers import TwoLayers

SHAPES: tuple[Shape, ...] = ((1, 9, 8), (4, 33), (5,))
C = 2


def cases(section: str) -> list[Any]:
    return [
        pytest.param(*member.values, shape, id=f"{member.id}-{'x'.join(map(str, shape))}")
        for member in members(section)
        for shape in SHAPES
        if takes(member.values[0], shape) and member.values[0] != "standardized"
    ]


def within(values: Tensor, expected: float | Tensor) -> bool:
    """Whether a Monte Carlo mean is what it should be, within 4 and a half standard errors."""
    return bool(((values.mean(0) - expected).abs() < 4.5 * values.std(0) / len(values) ** 0.5).all())


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


class TestCondition:
    def test_classes(self) -> None:
        c = ClassCondition(3)(torch.tensor([2, 0, -1]))
        assert c.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
        assert ClassCondition(3)(torch.tensor(1)).tolist() == [0, 1, 0]
        with pytest.raises(PartError, match=r"got class 3, expected 0 to 2, or -1 for not known"):
            ClassCondition(3)(torch.tensor([0, 3]))

    def test_vectors_are_standardised_by_training_examples(self) -> None:
        condition, a = VectorCondition(3), 4 * torch.randn(50, 3) + 7
        a[:, 2] = 5.0
        condition.start(a)
        c = condition(a)
        # float32 sums of 50 numbers
        assert torch.allclose(c.mean(0), torch.zeros(3), atol=1e-5)
        assert torch.allclose(c.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5)
        assert torch.allclose(condition(a[0]), c[0])
        again = VectorCondition(3)
        again.load_state_dict(condition.state_dict())
        assert torch.equal(again(a), c)

    @pytest.mark.parametrize(("kind", "settings"), members("condition"))
    def test_example(self, kind: str, settings: Settings) -> None:
        condition = make("condition", kind, settings)
        assert condition(condition.example).shape == (condition.dim,)

    def test_refusals(self) -> None:
        with pytest.raises(ShapeError, match=r"attributes are \(4, 2\), expected \(B, 3\)"):
            VectorCondition(3)(torch.zeros(4, 2))
        with pytest.raises(PartError, match="there are 0 values of 'labels', expected at least 1"):
            ClassCondition(0)


@pytest.mark.parametrize(("kind", "settings", "shape"), cases("encoder"))
def test_encoder_sees_x_and_c(kind: str, settings: Settings, shape: Shape) -> None:
    reseed(0)
    encoder = ConditionalEncoder(make("encoder", kind, settings, widened(shape, C)), C)
    seeded_(encoder).double()
    x, c = numbers(16, *shape).requires_grad_(), numbers(16, C).requires_grad_()
    h = encoder(x, c)
    assert encoder.data_shape == shape
    assert h.shape == (16, encoder.out_dim)
    h.square().sum().backward()
    assert not dead(encoder)
    assert x.grad is not None
    assert c.grad is not None
    assert x.grad.abs().amax(0).gt(0).all()
    assert c.grad.abs().amax(0).gt(0).all()
    with pytest.raises(ShapeError, match=r"c is nothing, expected \(B, 2\)"):
        encoder(x)


@pytest.mark.parametrize(("kind", "settings", "shape"), cases("decoder"))
def test_decoder_sees_z_and_c(kind: str, settings: Settings, shape: Shape) -> None:
    reseed(0)
    plain = make("decoder", kind, settings, shape)
    more = numel(plain.grid) if hasattr(plain, "grid") else C
    base = type(plain)(plain.latent_dim + more, plain.out_shape, **settings)
    decoder = ConditionalDecoder(base, C)
    seeded_(decoder).double()
    assert decoder.latent_dim == plain.latent_dim
    z, c = numbers(16, decoder.latent_dim).requires_grad_(), numbers(16, C).requires_grad_()
    h = decoder(z, c)
    assert h.shape == (16, *shape)
    h.square().sum().backward()
    assert not dead(decoder)
    assert z.grad is not None
    assert c.grad is not None
    assert z.grad.abs().amax(0).gt(0).all()
    assert c.grad.abs().amax(0).gt(0).all()
    with pytest.raises(ShapeError, match=r"c is \(16, 3\), expected \(B, 2\)"):
        decoder(z, numbers(16, 3))


MADE = [(member, make("prior", *member.values, (4,), 3)) for member in members("prior")]
EUCLIDEAN_PRIORS = [member for member, prior in MADE if prior.space == EUCLIDEAN and not prior.infers]


@pytest.mark.parametrize(("kind", "settings"), EUCLIDEAN_PRIORS)
class TestPrior:
    def prior(self, kind: str, settings: Settings, spread: float = 0.3) -> ConditionalPrior:
        reseed(0)
        prior = ConditionalPrior(make("prior", kind, settings, (4,), 2), C, (5,))
        return seeded_(prior, spread=spread).double()  # type: ignore[return-value]

    def test_begins_as_its_base(self, kind: str, settings: Settings) -> None:
        reseed(0)
        base = make("prior", kind, settings, (4,), 2).double()
        prior, z = ConditionalPrior(base, C).double(), numbers(7, 3, 2)
        found = prior(c=numbers(3, C)).log_prob(z)
        # equal within rounding of float64
        assert torch.allclose(found, base().log_prob(z), atol=1e-12)

    def test_density(self, kind: str, settings: Settings) -> None:
        """Weighed draws from a wide Normal say that the density has mass 1, and draws its mean, for each condition."""
        prior, c = self.prior(kind, settings), numbers(2, C)
        p, wide = prior(c=c), Independent(Normal(torch.zeros(2).double(), 4.0), 1)
        assert (p.batch_shape, p.event_shape) == ((2,), (2,))
        z = wide.sample((20_000, 2))
        weights = (p.log_prob(z) - wide.log_prob(z)).detach().exp()
        assert within(weights, 1.0)
        draws = p.sample((20_000,)).detach()
        error = (draws.var(0) / len(draws) + (weights[..., None] * z).var(0) / len(z)).sqrt()
        assert ((draws.mean(0) - (weights[..., None] * z).mean(0)).abs() < 4.5 * error).all()

    def test_one_condition_for_all(self, kind: str, settings: Settings) -> None:
        prior, c = self.prior(kind, settings), numbers(C)
        z = numbers(5, 2)
        assert prior(c=c).batch_shape == ()
        assert torch.allclose(prior(c=c).log_prob(z), prior(c=c.expand(5, C)).log_prob(z), atol=1e-12)

    def test_temperature(self, kind: str, settings: Settings) -> None:
        prior, c = self.prior(kind, settings), numbers(3, C)
        shapes = [tempered(prior(c=c), torch.Size(shape), 0.5).shape for shape in ((), (4,))]
        assert shapes == [(3, 2), (4, 3, 2)]


def test_a_moved_normal_has_a_closed_kl() -> None:
    reseed(0)
    prior, c = seeded_(ConditionalPrior(NormalPrior(2), C)).double(), numbers(3, C)
    p = prior(c=c)
    assert isinstance(p, Independent)
    q = Independent(Normal(numbers(3, 2), torch.full((3, 2), 0.7, dtype=torch.float64)), 1)
    z = q.sample((200_000,))
    assert within((q.log_prob(z) - p.log_prob(z)).detach(), kl_groups(q, p, z[:1], "closed")[0].sum(-1).detach())


def test_refuses_what_an_affine_map_would_leave() -> None:
    for kind in ("uniform-sphere", "categorical", "uniform-codes"):
        settings = {"classes": 3} if kind == "categorical" else {}
        with pytest.raises(PartError, match="which a shift by c would leave"):
            ConditionalPrior(make("prior", kind, settings, (4,), 3), C)
    with pytest.raises(PartError, match="posteriors of its own examples"):
        ConditionalPrior(VampPrior(2, data_shape=(4,), components=2), C)
    assert ConditionalPrior(MixturePrior(2), C).space == ConditionalPrior(FlowPrior(2), C).space == EUCLIDEAN


WAYS = [
    case
    for case in cases("hierarchy")
    if fits(*case.values[1:]) and (case.values[0] == "mlp" or case.values[1].get("skip", True))
]


@pytest.mark.parametrize(("kind", "settings", "shape"), WAYS)
class TestHierarchy:
    def hierarchy(self, kind: str, settings: Settings, shape: Shape, up: bool, down: bool) -> ConditionalHierarchy:
        reseed(0)
        base = make("hierarchy", kind, settings, widened(shape, C) if up else shape)
        return seeded_(ConditionalHierarchy(base, C, up, down)).double()  # type: ignore[return-value]

    def walk(self, hierarchy: Hierarchy, x: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        reseed(2)
        path = hierarchy(hierarchy.bottom_up(x, c), hierarchy.split(numbers(3, sum(hierarchy.latent_dims))), (), c)
        assert path.q is not None
        return path.z, *path.q, *path.p, path.out

    def test_each_way_is_told(self, kind: str, settings: Settings, shape: Shape) -> None:
        x, c = numbers(3, *shape), numbers(3, C)
        for up, down in ((True, True), (True, False), (False, True)):
            hierarchy = self.hierarchy(kind, settings, shape, up, down)
            top, codes = hierarchy.latent_dims[0], hierarchy.split(numbers(3, sum(hierarchy.latent_dims)))
            assert hierarchy.data_shape == shape
            features, others = hierarchy.bottom_up(x, c), hierarchy.bottom_up(x, c + 1)
            assert torch.equal(hierarchy.top(features)[0], hierarchy.top(others)[0]) == (not up)
            path, other = hierarchy(None, None, codes, c), hierarchy(None, None, codes, c + 1)
            assert torch.equal(path.out, other.out) == (not down)
            assert torch.equal(path.p[0], other.p[0]) == (not down)
            assert path.p[0].shape == (3, sum(hierarchy.latent_dims) - top)

    def test_gradient_reaches_what_is_told(self, kind: str, settings: Settings, shape: Shape) -> None:
        hierarchy = self.hierarchy(kind, settings, shape, True, True)
        sum(part.square().sum() for part in self.walk(hierarchy, numbers(3, *shape), numbers(3, C))).backward()  # type: ignore[union-attr]
        assert not [name for name in dead(hierarchy) if "told" in name or "paint" in name]

    def test_inference_and_generation_share_no_parameter(self, kind: str, settings: Settings, shape: Shape) -> None:
        hierarchy = self.hierarchy(kind, settings, shape, True, True)
        assert hierarchy.paint is None or hierarchy.paint.weight in set(hierarchy.inference())
        codes = hierarchy.split(numbers(3, sum(hierarchy.latent_dims)))
        hierarchy(None, None, codes, numbers(3, C)).out.sum().backward()
        assert all(parameter.grad is None for parameter in hierarchy.inference())

    def test_nothing_told(self, kind: str, settings: Settings, shape: Shape) -> None:
        hierarchy = self.hierarchy(kind, settings, shape, True, True)
        codes = hierarchy.split(numbers(3, sum(hierarchy.latent_dims)))
        with pytest.raises(ShapeError, match=r"ConditionalHierarchy: c is nothing, expected \(B, 2\)"):
            hierarchy(None, None, codes)
        with pytest.raises(ShapeError, match=r"c is \(3, 5\), expected \(B, 2\)"):
            hierarchy.bottom_up(numbers(3, *shape), numbers(3, 5))


def test_a_way_down_that_cannot_listen() -> None:
    with pytest.raises(PartError, match=r"TwoLayers: its way down takes no condition\. Leave 'decoder' out"):
        ConditionalHierarchy(TwoLayers([], torch.zeros(3, 2), torch.zeros(3)), C, told_up=False)
