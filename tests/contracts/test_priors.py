"""Every prior, and its KL with every posterior."""

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch.distributions import Distribution

from reparam.distributions import has_closed_form, is_discrete, kl_groups
from reparam.errors import PartError
from reparam.parts import PARTS, constructor
from reparam.posteriors import Posterior
from tests.contracts.members import Settings, first, fits, knowing_codes, make, members, seeded_

L = 3
FITTING = [names for names in itertools.product(PARTS["posterior"], PARTS["prior"]) if fits(*names)]
PAIRS = [pytest.param(*names, id="-".join(names)) for names in FITTING]
CLOSED = {
    ("normal", "normal"),
    ("normal", "laplace"),
    ("laplace", "laplace"),
    ("laplace", "normal"),
    ("full-normal", "normal"),
    ("vq", "uniform-codes"),
    ("residual-vq", "uniform-codes"),
    ("fsq", "uniform-codes"),
    ("lfq", "uniform-codes"),
}


@pytest.mark.parametrize(("kind", "settings"), members("prior"))
class TestPrior:
    def p(self, kind: str, settings: Settings) -> Distribution:
        return knowing_codes(make("prior", kind, settings).double())(infer=None)

    def test_shapes(self, kind: str, settings: Settings) -> None:
        p = self.p(kind, settings)
        assert (p.batch_shape, p.event_shape) == ((), (L,))
        z = p.sample(torch.Size([4, 2]))
        assert z.shape == (4, 2, L)
        assert p.log_prob(z).shape == (4, 2)
        assert is_discrete(p) or p.mean.shape == p.variance.shape == (L,)
        assert p.expand(torch.Size([6])).sample().shape == (6, L)

    def test_finite_for_huge_codes(self, kind: str, settings: Settings) -> None:
        p = knowing_codes(make("prior", kind, settings))()
        assert p.log_prob(torch.full((2, L), 1e4)).isfinite().all()

    def test_density_integrates_to_one(self, kind: str, settings: Settings) -> None:
        p = self.p(kind, settings)
        if is_discrete(p):
            numbers = itertools.product(range(p.codebook.codes), repeat=p.codebook.choices)
            z = p.codebook.vectors(torch.tensor(list(numbers)))
            assert p.log_prob(z).exp().sum().item() == pytest.approx(1, abs=1e-12)  # float64
            return
        p = make("prior", kind, settings, latent_dim=1).double()()
        z = torch.linspace(-60, 60, 240_001, dtype=torch.float64).unsqueeze(-1)
        # step 5e-4 with a node on the kink at 0: the trapezoid rule errs by about step^2 / 12
        assert torch.trapezoid(p.log_prob(z).exp(), dx=5e-4).item() == pytest.approx(1, abs=1e-7)

    def test_follows_its_device_and_type(self, kind: str, settings: Settings) -> None:
        assert self.p(kind, settings).sample().dtype == torch.float64

    def test_refuses_no_dimension(self, kind: str, settings: Settings) -> None:
        with pytest.raises(PartError, match="latent_dim is 0, expected at least 1"):
            make("prior", kind, settings, latent_dim=0)


def pair(posterior: str, prior: str) -> tuple[Distribution, Distribution]:
    torch.manual_seed(0)
    over_codes = constructor("posterior", posterior).over_codes
    part = first("posterior", posterior, **({"grid": (1, 1)} if over_codes else {}))
    part = seeded_(part, spread=0.5).double().eval()
    p_z = first("prior", prior, **of_codes(part, prior)).double()
    if over_codes:
        p_z.use(part.codebook)
    return part(torch.randn(2, 6, dtype=torch.float64)), p_z()


def of_codes(posterior: Posterior, prior: str) -> dict[str, Any]:
    """The posterior's grid and number of codes, for a prior that is built for them."""
    accepted = inspect.signature(constructor("prior", prior)).parameters
    return {name: getattr(posterior, name) for name in ("grid", "codes") if name in accepted}


def test_the_pairs_with_a_closed_form_are_known() -> None:
    assert {names for names in FITTING if has_closed_form(*pair(*names))} == CLOSED


@pytest.mark.parametrize(("posterior", "prior"), PAIRS)
def test_closed_form_agrees_with_monte_carlo(posterior: str, prior: str) -> None:
    q, p = pair(posterior, prior)
    torch.manual_seed(3)
    z = q.sample(torch.Size([100_000]))
    if (posterior, prior) not in CLOSED:
        with pytest.raises(PartError, match=r"have no closed form. Use kl='sampled' \(Monte Carlo\) or kl='auto'"):
            kl_groups(q, p, z[:2], "closed")
        assert torch.equal(kl_groups(q, p, z[:2], "auto"), kl_groups(q, p, z[:2], "sampled"))
        return
    closed, sampled = kl_groups(q, p, z, "closed"), kl_groups(q, p, z, "sampled")
    assert closed.shape == sampled.shape
    assert torch.equal(closed[0], closed[-1])
    # four standard errors of the Monte Carlo mean, in each group, and the rounding of a mean of equal numbers
    assert (sampled.mean(0) - closed[0]).abs().le(4 * sampled.std(0) / 100_000**0.5 + 1e-10).all()


@pytest.mark.parametrize(("posterior", "prior"), PAIRS)
def test_groups_add_up_to_the_whole(posterior: str, prior: str) -> None:
    q, p = pair(posterior, prior)
    torch.manual_seed(1)
    z = q.sample(torch.Size([4]))
    groups = kl_groups(q, p, z, "sampled")
    factorises = posterior in ("normal", "laplace")
    assert groups.shape == (4, 2, L if factorises else 1)
    # the same sum of logarithms in another order, float64
    assert torch.allclose(groups.sum(-1), q.log_prob(z) - p.log_prob(z), atol=1e-10)


@pytest.mark.parametrize("prior", [prior for posterior, prior in FITTING if posterior == "point"])
def test_rate_of_a_point_is_its_surprise(prior: str) -> None:
    """-KL(delta || p) reads log p(loc): the maximum-a-posteriori autoencoder."""
    q, p = pair("point", prior)
    assert torch.equal(kl_groups(q, p, q.rsample(torch.Size([1])))[0, :, 0], -p.log_prob(q.mean))
