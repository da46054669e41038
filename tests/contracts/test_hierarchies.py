"""Every hierarchy: one walk says the same as walking again through its codes, for any shape of x."""

import pytest
import torch
from torch import Tensor

from reparam.errors import PartError
from reparam.networks import ConvHierarchy, Hierarchy, Path
from reparam.parts import CONDITIONAL, PARTS
from reparam.rng import reseed
from reparam.shapes import Shape
from tests.contracts.members import (
    PICTURES,
    ROWS,
    SHAPES,
    SIGNALS,
    Settings,
    dead,
    fits,
    make,
    members,
    row,
    seeded_,
    takes,
)

B = 3


def noise(hierarchy: Hierarchy, rows: int = B) -> tuple[Tensor, ...]:
    first = next(hierarchy.parameters())
    return hierarchy.split(torch.randn(rows, sum(hierarchy.latent_dims), dtype=first.dtype))


def walk(hierarchy: Hierarchy, x: Tensor) -> Path:
    return hierarchy(hierarchy.bottom_up(x), noise(hierarchy, len(x)))


SHAPED = [
    row(kind, settings, shape)
    for kind in PARTS["hierarchy"]
    if kind != CONDITIONAL
    for settings in ROWS["hierarchy"].get(kind, ())
    for shape in SHAPES
    if takes(kind, shape) and fits(settings, shape)
]


@pytest.mark.parametrize(("kind", "settings", "shape"), SHAPED)
def test_shapes(kind: str, settings: Settings, shape: Shape) -> None:
    hierarchy = make("hierarchy", kind, settings, shape)
    reseed(0)
    path = walk(hierarchy, torch.randn(B, *shape))
    size, top = sum(hierarchy.latent_dims), hierarchy.latent_dims[0]
    assert path.z.shape == (B, size)
    assert path.q is not None
    assert [part.shape for part in path.q] == [(B, size)] * 2
    assert [part.shape for part in path.p] == [(B, size - top)] * 2
    assert path.out.shape == (B, *shape)
    assert all(part.isfinite().all() for part in (*path.q, *path.p, path.out))


@pytest.mark.parametrize(("kind", "settings"), members("hierarchy"))
class TestHierarchy:
    shape: Shape = (2, 12, 11)

    def hierarchy(self, kind: str, settings: Settings) -> Hierarchy:
        reseed(0)
        return seeded_(make("hierarchy", kind, settings, self.shape)).double()  # type: ignore[return-value]

    def x(self, rows: int = B) -> Tensor:
        return torch.randn(rows, *self.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def test_gradient_reaches_every_parameter(self, kind: str, settings: Settings) -> None:
        hierarchy = self.hierarchy(kind, settings)
        path = walk(hierarchy, self.x())
        assert path.q is not None
        sum(part.square().sum() for part in (path.z, *path.q, *path.p, path.out)).backward()  # type: ignore[union-attr]
        assert not dead(hierarchy)

    def test_the_walk_through_its_codes_is_the_same(self, kind: str, settings: Settings) -> None:
        hierarchy = self.hierarchy(kind, settings)
        features = hierarchy.bottom_up(self.x())
        path = hierarchy(features, noise(hierarchy))
        codes = hierarchy.split(path.z)
        again = hierarchy(features, None, codes)
        assert all(torch.equal(a, b) for a, b in zip((*path.q, path.out), (*again.q, again.out), strict=True))
        without = hierarchy(None, None, codes)
        assert without.q is None
        assert all(torch.equal(a, b) for a, b in zip((*path.p, path.out), (*without.p, without.out), strict=True))
        part = hierarchy(features, noise(hierarchy), codes[:1])
        assert torch.equal(part.z[:, : len(codes[0][0])], codes[0])

    def test_draws_lie_where_q_says(self, kind: str, settings: Settings) -> None:
        hierarchy = self.hierarchy(kind, settings)
        features, eps = hierarchy.bottom_up(self.x()), noise(hierarchy)
        path = hierarchy(features, eps)
        loc, scale = path.q
        assert torch.allclose(path.z, loc + scale * torch.cat(eps, -1), atol=1e-12)  # one rounding in float64
        top = hierarchy.latent_dims[0]
        assert torch.equal(torch.stack(hierarchy.top(features)), torch.stack((loc[:, :top], scale[:, :top])))

    def test_a_group_depends_on_those_above_and_on_no_other(self, kind: str, settings: Settings) -> None:
        hierarchy = self.hierarchy(kind, settings)
        rows = 16  # so many that no unit is silent in all of them
        z = torch.randn(rows, sum(hierarchy.latent_dims), dtype=torch.float64, requires_grad=True)
        path = hierarchy(hierarchy.bottom_up(self.x(rows)), None, hierarchy.split(z))
        at = 0
        for number, size in enumerate(hierarchy.latent_dims):
            loc = path.q[0][:, at : at + size].sum()
            (gradient,) = torch.autograd.grad(loc, z, retain_graph=True, allow_unused=True)
            reached = torch.zeros_like(z) if gradient is None else gradient
            assert not reached[:, at:].any()
            assert bool(reached[:, :at].any()) == (number > 0)
            at += size

    def test_one_item_alone_says_the_same(self, kind: str, settings: Settings) -> None:
        hierarchy = self.hierarchy(kind, settings)
        x, eps = self.x(), noise(hierarchy)
        together = hierarchy(hierarchy.bottom_up(x), eps)
        alone = hierarchy(hierarchy.bottom_up(x[1:2]), tuple(part[1:2] for part in eps))
        # other sizes of matrices add up in another order: float64 rounding
        assert torch.allclose(together.out[1:2], alone.out, atol=1e-10)
        assert torch.allclose(together.z[1:2], alone.z, atol=1e-10)

    @pytest.mark.parametrize("scale", [1e2, 1e4])
    def test_finite_for_huge_inputs(self, kind: str, settings: Settings, scale: float) -> None:
        reseed(0)
        hierarchy = seeded_(make("hierarchy", kind, settings, self.shape))
        path = walk(hierarchy, scale * self.x().float())  # type: ignore[arg-type]
        assert path.q is not None
        assert all(part.isfinite().all() for part in (path.z, *path.q, *path.p, path.out))
        assert min(part.min().item() for part in (path.q[1], path.p[1])) > 0

    def test_inference_is_what_p_does_not_need(self, kind: str, settings: Settings) -> None:
        """Exactly the parameters of q alone get no gradient from the walk that follows p."""
        hierarchy = self.hierarchy(kind, settings)
        path = hierarchy(None, None, noise(hierarchy))
        sum(part.square().sum() for part in (*path.p, path.out)).backward()  # type: ignore[union-attr]
        names = {id(parameter): name for name, parameter in hierarchy.named_parameters()}
        assert {names[id(parameter)] for parameter in hierarchy.inference()} == set(dead(hierarchy))

    def test_building_stays_within_the_bound_of_scales(self, kind: str, settings: Settings) -> None:
        """At first q is close to p, so that a deep stack starts with little KL."""
        reseed(0)
        path = walk(make("hierarchy", kind, settings, self.shape), torch.rand(B, *self.shape))
        assert path.q is not None
        scales = torch.cat([path.q[1], path.p[1]], -1)
        assert scales.min().item() > 0.1
        assert scales.max().item() < 10


@pytest.mark.parametrize(
    ("depth", "shape", "kept"),
    [
        (2, (1, 28, 28), "1x1,4x2,7x2,14x2"),
        (4, (3, 64, 48), "1x1,4x4,8x4,16x4,32x4"),
        (1, (1, 28, 20), "1x1,4x1,7x1,14x1"),
        (2, (2, 33), "1x1,3x2,5x2,9x2,17x2"),
        (2, (1, 8, 8), "1x1,4x2,8x2"),
        (3, (1, 1, 1), "1x4"),
        ("1x2,4x4,7x4,14x6,28x4", (1, 28, 28), "1x2,4x4,7x4,14x6,28x4"),
        (["1x2", "5x1"], (1, 28, 20), "1x2,5x1"),
        ([[1, 2], (5, 1)], (1, 28, 20), "1x2,5x1"),
    ],
)
def test_depth(depth: object, shape: Shape, kept: str) -> None:
    hierarchy = ConvHierarchy(shape, shape, depth, channels=2, latent_channels=1)  # type: ignore[arg-type]
    assert hierarchy.depth == kept
    assert ConvHierarchy(shape, shape, kept, channels=2, latent_channels=1).latent_dims == hierarchy.latent_dims


def test_maps_have_the_proportions_of_the_data() -> None:
    hierarchy = ConvHierarchy((1, 28, 20), (1, 28, 20), "1x1,4x1,14x2", channels=2, latent_channels=3)
    assert hierarchy.latent_dims == (3, 3 * 4 * 3, 3 * 14 * 10, 3 * 14 * 10)


WRONG = ["4x2,4x1", "7x2,4x1", "1x0,4x1", "29x1", "1", "1x2x3", "axb", "", "0x2", "1x1,2x999999999"]


@pytest.mark.parametrize("depth", [*WRONG, [], [3], 0, -1, ["1x1", "2"]])
def test_a_depth_that_makes_no_sense(depth: object) -> None:
    with pytest.raises(PartError, match=r"rising resolutions from 1 to 28|at least two groups"):
        ConvHierarchy((1, 28, 28), (1, 28, 28), depth)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("mlp", {"latent_dims": (3,)}, "at least two groups"),
        ("mlp", {"latent_dims": (3, 0)}, "at least two groups, each at least 1 wide"),
        ("mlp", {"hidden_dims": ()}, "hidden_dims is .., expected at least one width"),
        ("mlp", {"hidden_dims": (0,)}, "expected at least one width of 1 or more"),
        ("mlp", {"merge": "precison"}, "merge is 'precison'. Did you mean 'precision'"),
        ("mlp", {"layer": "gatd"}, "layer is 'gatd'. Did you mean 'gated'"),
        ("conv", {"merge": "sum"}, "merge is 'sum'. There are: delta, joint, precision"),
        ("conv", {"channels": 0}, "channels 0, .* expected all of them at least 1"),
        ("conv", {"latent_channels": 0}, "latent_channels 0"),
        ("conv", {"hidden_channels": 0}, "hidden_channels 0"),
        ("conv", {"depth": "1x1"}, "at least two groups"),
    ],
)
def test_refuses(kind: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make("hierarchy", kind, settings, PICTURES[1])


def test_vectors_need_layers_of_units() -> None:
    assert SIGNALS
    with pytest.raises(PartError, match=r"expected \(C, H, W\) or \(C, T\). Use kind 'mlp' for vectors"):
        make("hierarchy", "conv", {}, (7,))
