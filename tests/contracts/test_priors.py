"""Every prior, and its KL with every posterior."""

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from reparam.distributions import (
    CODES,
    EUCLIDEAN,
    Flow,
    UniformCodes,
    UniformSphere,
    has_closed_form,
    is_density,
    kl_groups,
    tempered,
)
from reparam.distributions.one_hot import OneHot
from reparam.errors import PartError, RefusedError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.parts import CONDITIONAL, constructor
from reparam.posteriors import Posterior
from reparam.priors import Prior
from reparam.rng import reseed
from tests.contracts.members import (
    ELSEWHERE,
    ROWS,
    Settings,
    dead,
    inference,
    knowing_codes,
    make,
    members,
    seeded_,
)

L = 3
SHAPE = (4,)
PLACE = {
    (section, member.id): make(section, *member.values, SHAPE, L).space
    for section in ("posterior", "prior")
    for member in members(section)
}
FITTING, APART = (
    [
        pytest.param(q.values, p.values, id=f"{q.id}-{p.id}")
        for q, p in itertools.product(members("posterior"), members("prior"))
        if (PLACE["prior", p.id] in (None, PLACE["posterior", q.id])) == on_one_space
    ]
    for on_one_space in (True, False)
)
CLOSED = {
    ("normal", "normal"),
    ("normal", "laplace"),
    ("laplace", "laplace"),
    ("laplace", "normal"),
    ("full-normal", "normal"),
    ("hamiltonian", "normal"),  # of where its draws start; the model takes the trace's own
    ("hamiltonian", "laplace"),
    ("riemannian-hamiltonian", "normal"),
    ("riemannian-hamiltonian", "laplace"),
    ("von-mises-fisher", "uniform-sphere"),
    ("categorical", "categorical"),
    ("gumbel-softmax", "categorical"),
    ("vq", "uniform-codes"),
    ("residual-vq", "uniform-codes"),
    ("fsq", "uniform-codes"),
    ("lfq", "uniform-codes"),
}
Member = tuple[str, Settings]


def prior_of(kind: str, settings: Settings, latent_dim: int = L) -> Prior:
    reseed(0)
    prior: Prior = make("prior", kind, settings, SHAPE, latent_dim).double()
    if prior.starts:
        prior.start(torch.rand(7, *SHAPE, dtype=torch.float64))
    return seeded_(prior)  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "settings"), members("prior"))
class TestPrior:
    def p(self, kind: str, settings: Settings) -> Distribution:
        return knowing_codes(prior_of(kind, settings))(infer=inference(L))

    def test_shapes(self, kind: str, settings: Settings) -> None:
        p = self.p(kind, settings)
        assert (p.batch_shape, p.event_shape) == ((), (L,))
        z = p.sample(torch.Size([4, 2]))
        assert z.shape == (4, 2, L)
        assert p.log_prob(z).shape == (4, 2)
        assert hasattr(p, "codebook") or p.mean.shape == p.variance.shape == (L,)  # codes have no mean
        assert p.expand(torch.Size([6])).sample().shape == (6, L)

    def test_finite_for_huge_codes(self, kind: str, settings: Settings) -> None:
        p = knowing_codes(prior_of(kind, settings).float())(infer=inference(L))
        assert p.log_prob(torch.full((2, L), 1e4)).isfinite().all()

    def test_density_integrates_to_one(self, kind: str, settings: Settings) -> None:
        p = self.p(kind, settings)
        if hasattr(p, "codebook"):
            numbers = itertools.product(range(p.codebook.codes), repeat=p.codebook.choices)
            z = p.codebook.vectors(torch.tensor(list(numbers)))
            assert p.log_prob(z).exp().sum().item() == pytest.approx(1, abs=1e-12)  # float64
            return
        if make("prior", kind, settings, SHAPE).space not in (None, EUCLIDEAN):
            return  # tests/oracles integrates over other spaces
        p = prior_of(kind, settings, 1)(infer=inference(1))
        z = torch.linspace(-60, 60, 240_001, dtype=torch.float64).unsqueeze(-1)
        # step 5e-4 with a node on the kink at 0: the trapezoid rule errs by about step^2 / 12
        # a bin of a spline may be as narrow as some steps
        error = 1e-4 if isinstance(p, Flow) else 1e-7
        assert torch.trapezoid(p.log_prob(z).exp(), dx=5e-4).item() == pytest.approx(1, abs=error)

    def test_follows_its_device_and_type(self, kind: str, settings: Settings) -> None:
        assert self.p(kind, settings).sample().dtype == torch.float64

    def test_gradient_reaches_every_parameter(self, kind: str, settings: Settings) -> None:
        over_grid = "grid" in settings  # then one with neighbours on all sides
        size = 6 if over_grid else L
        prior = knowing_codes(prior_of(kind, {**settings, "grid": (3, 2)} if over_grid else settings, size))
        z = prior(infer=inference(size)).sample(torch.Size([20]))
        if list(prior.parameters()):
            prior(infer=inference(size)).log_prob(z.clone()).square().sum().backward()
        assert not dead(prior)

    def test_temperature_shrinks_the_noise(self, kind: str, settings: Settings) -> None:
        """At 1 it draws from the prior; at 0 what is left is at most one point for each component."""
        p = self.p(kind, settings)
        reseed(3)
        drawn = p.sample(torch.Size([5]))
        reseed(3)
        assert torch.equal(tempered(p, torch.Size([5]), 1.0), drawn)
        if isinstance(p, UniformSphere):
            with pytest.raises(RefusedError, match="Use temperature=1"):
                tempered(p, torch.Size([50]), 0.0)
            return
        still = tempered(p, torch.Size([50]), 0.0)
        assert still.shape == (50, L)
        if isinstance(p, UniformCodes):  # all are the most probable one
            return
        assert len(still.mul(1e9).round().unique(dim=0)) <= settings.get("components", 1)
        nearest = make("prior", kind, settings, SHAPE).space or EUCLIDEAN
        assert torch.allclose(nearest.nearest(still), still)

    def test_refuses_no_dimension(self, kind: str, settings: Settings) -> None:
        with pytest.raises(PartError, match="latent_dim is 0, expected at least 1"):
            make("prior", kind, settings, latent_dim=0)


def parts(posterior: Member, prior: Member) -> tuple[Posterior, Prior]:
    reseed(0)
    (kind, settings), (prior_kind, prior_settings) = posterior, prior
    placed = {"grid": (*settings.get("grid", (1,)), 1)} if constructor("posterior", kind).space == CODES else {}  # type: ignore[attr-defined]
    part = seeded_(make("posterior", kind, {**settings, **placed}), spread=0.5).double().eval()
    return part, prior_of(prior_kind, {**prior_settings, **of_codes(part, prior_kind)})  # type: ignore[return-value, arg-type]


def of_codes(posterior: nn.Module, prior: str) -> dict[str, Any]:
    """The posterior's grid and number of codes, for a prior that is built for them."""
    accepted = inspect.signature(constructor("prior", prior)).parameters
    found = {name: getattr(posterior, name, None) for name in ("grid", "codes") if name in accepted}
    return {name: value for name, value in found.items() if value is not None}


def mixable(q: Distribution) -> bool:
    """Whether a mixture of such distributions has a density, or a mass, wherever their draws may lie."""
    return is_density(q) and not getattr(q, "noiseless", False)


def pair(posterior: Member, prior: Member) -> tuple[Distribution, Distribution] | None:
    """q for two examples and p; None where their spaces differ, or p can make nothing of such q."""
    part, other = parts(posterior, prior)
    reseed(1)
    q = part(torch.randn(2, 6, dtype=torch.float64))
    if other.space not in (None, part.space) or (other.space is None and not mixable(q)):
        return None
    if part.space == CODES:
        if hasattr(other, "codes") and part.codebook.indices is None:
            return None
        other.use(part.codebook)
    weight = torch.randn(SHAPE[0], 6, dtype=torch.float64)
    return q, other(infer=lambda x: part(x @ weight))


def first(section: str, kind: str) -> Member:
    return kind, ROWS[section][kind][0]


def test_the_pairs_with_a_closed_form_are_known() -> None:
    found = set()
    for posterior, prior in itertools.product(ROWS["posterior"], ROWS["prior"]):
        if prior == CONDITIONAL or ("posterior", posterior) in ELSEWHERE:
            continue
        both = pair(first("posterior", posterior), first("prior", prior))
        if both and has_closed_form(*both):
            found.add((posterior, prior))
    assert found == CLOSED


@pytest.mark.parametrize(("posterior", "prior"), APART)
def test_other_spaces_are_refused(posterior: Member, prior: Member) -> None:
    assert pair(posterior, prior) is None
    refused(posterior, prior)


@pytest.mark.parametrize(("posterior", "prior"), FITTING)
def test_closed_form_agrees_with_monte_carlo(posterior: Member, prior: Member) -> None:
    both = pair(posterior, prior)
    if both is None:
        return refused(posterior, prior)
    q, p = both
    reseed(3)
    if (posterior[0], prior[0]) not in CLOSED:
        z = q.sample(torch.Size([2]))
        with pytest.raises(PartError, match=r"have no closed form. Use kl='sampled' \(Monte Carlo\) or kl='auto'"):
            kl_groups(q, p, z, "closed")
        assert torch.equal(kl_groups(q, p, z, "auto"), kl_groups(q, p, z, "sampled"))
        return None
    z = q.sample(torch.Size([40_000]))
    closed, sampled = kl_groups(q, p, z, "closed"), kl_groups(q, p, z, "sampled")
    assert closed.shape == sampled.shape
    assert torch.equal(closed[0], closed[-1])
    # four standard errors of the Monte Carlo mean, in each group, and the rounding of a mean of equal numbers
    assert (sampled.mean(0) - closed[0]).abs().le(4 * sampled.std(0) / 40_000**0.5 + 1e-10).all()
    return None


@pytest.mark.parametrize(("posterior", "prior"), FITTING)
def test_groups_add_up_to_the_whole(posterior: Member, prior: Member) -> None:
    both = pair(posterior, prior)
    if both is None:
        return
    q, p = both
    reseed(1)
    z = q.sample(torch.Size([4]))
    groups = kl_groups(q, p, z, "sampled")
    expected = 1
    if isinstance(q, Independent) and isinstance(p, Independent):
        expected = L
    elif isinstance(q, OneHot) and isinstance(p, OneHot):
        expected = L // posterior[1]["classes"]
    assert groups.shape == (4, 2, expected)
    # the same sum of logarithms in another order, float64
    assert torch.allclose(groups.sum(-1), q.log_prob(z) - p.log_prob(z), atol=1e-10)


@pytest.mark.parametrize(("kind", "settings"), members("prior"))
def test_rate_of_a_point_is_its_surprise(kind: str, settings: Settings) -> None:
    """-KL(delta || p) reads log p(loc): the maximum-a-posteriori autoencoder."""
    both = pair(("point", {}), (kind, settings))
    if both is None:
        return refused(("point", {}), (kind, settings))
    q, p = both
    assert torch.equal(kl_groups(q, p, q.rsample(torch.Size([1])))[0, :, 0], -p.log_prob(q.mean))
    return None


def model(posterior: Member, prior: Member) -> VAE:
    part, other = parts(posterior, prior)
    likelihood = NormalLikelihood(SHAPE, 0.5)
    reseed(5)  # one encoder for all, whatever the prior drew
    encoder, decoder = MLPEncoder(SHAPE, (6,)), MLPDecoder(L, likelihood.out_shape, (6,))
    return VAE(encoder, part, other, decoder, likelihood).double().train()


def refused(posterior: Member, prior: Member) -> None:
    """A prior on another space is refused when the model is built; a mixture of what has no density, when used."""
    part, other = parts(posterior, prior)
    if part.space == other.space == CODES:
        with pytest.raises(PartError, match="z is a sum of codes, from which one cannot read which they were"):
            model(posterior, prior)
        return
    if other.space is None:
        with pytest.raises(PartError, match="has no density here, so a mixture of them is no prior"):
            _ = model(posterior, prior).trace(torch.rand(3, *SHAPE, dtype=torch.float64)).kl
        return
    with pytest.raises(PartError, match=r"draws z from .*, .* from .* take two on one space"):
        model(posterior, prior)


@pytest.mark.parametrize(("posterior", "prior"), FITTING)
def test_trains(posterior: Member, prior: Member) -> None:
    """Every posterior beside every prior on the same space: a finite bound, and a gradient for every parameter."""
    if pair(posterior, prior) is None:
        return None
    vae = model(posterior, prior)
    if vae.prior is not None and vae.prior.space is None and not mixable(vae.infer(torch.rand(1, *SHAPE).double())):
        return refused(posterior, prior)  # relaxed in training, exact when judged
    reseed(2)
    x: Tensor = torch.rand(5, *SHAPE, dtype=torch.float64)
    trace = vae.trace(x, samples=3)
    assert trace.log_w.isfinite().all()
    assert trace.elbo.isfinite().all()
    (trace.penalty - trace.elbo if trace.penalty is not None else -trace.elbo).mean().backward()
    # where z is one code, a network over codes learns no more than how often it comes
    assert not dead(vae.posterior if vae.space == CODES else vae)
    return None
