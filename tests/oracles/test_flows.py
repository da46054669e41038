"""Flows are densities: they integrate to 1, their inverses go back, their log-determinants are those of autograd."""

import math
import sys

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from reparam.distributions import Flow, joint
from reparam.networks import Bijection, InverseAutoregressive, Planar, Radial, ZukoFlow
from reparam.posteriors import Posterior
from reparam.rng import reseed
from tests.contracts.members import Settings, make, members, seeded_

FLOWS = ("planar", "radial", "inverse-autoregressive", "flow")
MEMBERS = [member for member in members("posterior") if member.values[0] in FLOWS]
L = 4


def posterior(kind: str, settings: Settings, latent_dim: int, spread: float = 0.3) -> Posterior:
    reseed(0)
    part = seeded_(make("posterior", kind, settings, latent_dim=latent_dim), spread=spread)
    return part.double()  # type: ignore[return-value]


def features(count: int) -> Tensor:
    reseed(1)
    return torch.randn(count, 6, dtype=torch.float64)


@pytest.mark.parametrize(("kind", "settings"), [m for m in MEMBERS if m.values[1].get("flow") not in ("nsf", "nice")])
def test_integrates_to_one_over_the_plane(kind: str, settings: Settings) -> None:
    q = posterior(kind, settings, 2, spread=0.1)(features(2))
    line = torch.linspace(-12, 12, 241, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 1, 2)
    with torch.no_grad():
        total = q.log_prob(plane).exp().sum(0) * 0.1**2
    # steps of 0.1 beside scales near 1 (the bins of a spline are narrower: its log-determinant is checked below)
    assert torch.allclose(total, torch.ones(2, dtype=torch.float64), atol=1e-2)


@pytest.mark.parametrize(("kind", "settings"), MEMBERS)
@pytest.mark.parametrize("latent_dim", [1, 2, L])
def test_inverse_goes_back(kind: str, settings: Settings, latent_dim: int) -> None:
    q = posterior(kind, settings, latent_dim)(features(3))
    assert isinstance(q, Flow)
    eps = 2 * torch.randn(5, 3, latent_dim, dtype=torch.float64)
    with torch.no_grad():
        z, log_det = q.bijection(eps, q.context)
        again, back = q.bijection(z, q.context, inverse=True)
    # float64's rounding, times slopes of up to 1e3 either way
    assert torch.allclose(again, eps, atol=1e-8)
    assert torch.allclose(back, -log_det, atol=1e-8)


@pytest.mark.parametrize(("kind", "settings"), MEMBERS)
def test_log_determinant_is_that_of_the_jacobian(kind: str, settings: Settings) -> None:
    q = posterior(kind, settings, L)(features(1))
    eps = torch.randn(1, L, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: q.bijection(x, q.context)[0], eps)
    _, log_det = q.bijection(eps, q.context)
    assert log_det.item() == pytest.approx(jacobian[0, :, 0].slogdet().logabsdet.item(), abs=1e-9)


@pytest.mark.parametrize(("kind", "settings"), MEMBERS)
def test_gradient_through_the_inverse_is_numerically_right(kind: str, settings: Settings) -> None:
    """What fixed-q estimators differentiate: the density at a given point, with respect to the point."""
    q = posterior(kind, settings, 3)(features(2))
    reseed(5)
    z = (0.1 + torch.randn(2, 3, dtype=torch.float64)).requires_grad_()
    # splines and rectifiers have kinks, hardly ever within 1e-6 of a point
    assert torch.autograd.gradcheck(lambda at: q.detached().log_prob(at), (z,), atol=1e-5)


def test_planar_flow_by_hand() -> None:
    w, u, b = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -0.75]), torch.tensor([0.3])
    z = torch.tensor([0.2, -0.4])
    found, log_det = Planar(2, 1)(z, torch.cat([w, u, b]))
    bent = u + (0.999 * (math.exp(-1) - 1) + 1) * w / 5  # w.u is -1
    at = (w * z).sum() + 0.3
    assert torch.allclose(found, z + bent * at.tanh())
    assert log_det.item() == pytest.approx((1 + (bent * w).sum() / at.cosh() ** 2).log().item(), rel=1e-5)


def test_planar_and_radial_stay_invertible_where_the_plain_formulas_fold() -> None:
    """w.u far below -1, beta below -alpha."""
    reseed(0)
    x = 3 * torch.randn(200, 3, dtype=torch.float64)
    planar = torch.tensor([1.0, -2.0, 0.5, -4.0, 6.0, 1.0, 0.2], dtype=torch.float64)
    radial = torch.tensor([0.3, -0.2, 0.1, 0.5, -9.0], dtype=torch.float64)
    maps: tuple[tuple[Bijection, Tensor], ...] = ((Planar(3, 1), planar), (Radial(3, 1), radial))
    for bijection, numbers in maps:
        y, log_det = bijection(x, numbers)
        assert log_det.isfinite().all()
        assert torch.allclose(bijection(y, numbers, inverse=True)[0], x, atol=1e-7)


@pytest.mark.parametrize("length", [1e-8, 1e-3])
def test_planar_flow_has_no_pole(length: float) -> None:
    """Where w vanishes the map is a translation by u tanh(b), within what w can move."""
    w, u, b = length * torch.tensor([0.6, -0.8]), torch.tensor([0.5, 0.9]), torch.tensor([0.3])
    z = torch.tensor([0.2, -0.4])
    found, log_det = Planar(2, 1)(z.double(), torch.cat([w, u, b]).double())
    assert torch.allclose(found, (z + u * b.tanh()).double(), atol=3 * length + 2e-3)
    assert abs(log_det.item()) < 2 * length


def test_made_sees_only_what_is_in_front() -> None:
    reseed(0)
    flow = InverseAutoregressive(5, 2, 1, (60, 60)).double()
    h = torch.randn(2, dtype=torch.float64, requires_grad=True)
    for index in (0, 1):
        jacobian = torch.autograd.functional.jacobian(
            lambda z, index=index: flow.steps[0](z, h)[index], torch.randn(5, dtype=torch.float64)
        )
        assert not jacobian.triu().any()
        assert jacobian.tril(-1).ne(0).sum() == 10
        (of_context,) = torch.autograd.grad(flow.steps[0](torch.randn(5, dtype=torch.float64), h)[index][0], h)
        assert of_context.all()  # the first dimension has nothing in front but the context


class TestDraws:
    """A flow remembers what its draws computed, and nothing else."""

    def flow(self) -> Flow:
        q = posterior("planar", {"transforms": 3}, 2)(features(3))
        assert isinstance(q, Flow)
        return q

    def counted(self, q: Flow) -> list[bool]:
        asked: list[bool] = []
        forward = q.bijection.forward
        q.bijection.forward = lambda x, c, inverse=False: (asked.append(inverse), forward(x, c, inverse))[1]
        return asked

    def test_a_draw_is_never_inverted(self) -> None:
        q = self.flow()
        asked = self.counted(q)
        first, second = q.rsample(torch.Size([4])), q.rsample(torch.Size([2]))
        for z in (first, second, first):
            q.log_prob(z)
        assert asked == [False, False]
        q.log_prob(first.clone())
        assert asked == [False, False, True]

    def test_a_changed_draw_is_inverted(self) -> None:
        q = self.flow()
        with torch.no_grad():
            z = q.rsample()
            kept = q.log_prob(z).clone()
            z += 1
            assert torch.allclose(q.log_prob(z), q.log_prob(z.clone()))
            assert not torch.allclose(q.log_prob(z), kept)

    def test_a_draw_without_gradient_still_has_a_density_with_one(self) -> None:
        q = self.flow()
        z = q.sample()
        assert q.log_prob(z).requires_grad
        with torch.no_grad():
            assert torch.allclose(q.log_prob(z), q.log_prob(z.clone()), atol=1e-9)

    def test_nothing_is_kept_of_draws_that_are_gone(self) -> None:
        q = self.flow()
        for _ in range(5):
            q.rsample()
        held = q.rsample()
        assert len(q._drawn) <= 2
        assert q.log_prob(held).shape == (3,)


def test_variance_is_exact_where_the_map_is_linear() -> None:
    """A flow that only stretches: the delta method has no error."""

    class Stretch(Bijection):
        def forward(self, x: Tensor, context: Tensor | None = None, inverse: bool = False) -> tuple[Tensor, Tensor]:
            matrix = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
            return x @ matrix.T, x.new_full(x.shape[:-1], 6.0).log()

    base: Independent = joint(Normal(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 2.0])), 1)
    q: Distribution = Flow(base, Stretch("test", 1))
    assert torch.allclose(q.mean, torch.tensor([4.0, 6.0]))
    assert torch.allclose(q.variance, torch.tensor([4 * 0.25 + 4.0, 9 * 4.0]))


def test_zuko_leaves_torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing zuko switches the argument checks of every torch distribution off; we switch them on again."""
    for name in [name for name in sys.modules if name.split(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, name)
    before = dict(Distribution.__dict__)
    ZukoFlow("test", 3, 0, flow="maf", transforms=1, hidden_dims=(4,), direction="draw")
    assert "zuko" in sys.modules
    assert dict(Distribution.__dict__) == before
