"""No objective leaves out, without a word, what a model wants beside the bound."""

from typing import Any

import pytest
import torch
from torch.distributions import Categorical, Normal

from reparam.data import Batch
from reparam.distributions import NormalMixture, joint
from reparam.errors import RefusedError
from reparam.objectives import (
    CovarianceBound,
    CVAEGANGame,
    DiscrepancyBound,
    DoublyReparameterizedBound,
    FilteringBound,
    ImportanceBound,
    IntrospectiveBound,
    RegularizedBound,
    RenyiBound,
    SlicedBound,
    StickingTheLandingBound,
    VAEGANGame,
)
from reparam.priors import VampPrior
from reparam.recipes import build
from reparam.rng import reseed
from reparam.trace import Progress, Trace
from tests.contracts.members import tiny_data

D = 5
PENALTY = 1000.0


def made(recipe: str = "vae", **given: Any) -> Any:
    reseed(0)
    return build(recipe, tiny_data("real", (D,)), **given)


def batch() -> Batch:
    reseed(1)
    return Batch(torch.randn(6, D), {"labels": torch.arange(6) % 3})


@pytest.mark.parametrize("kind", ["introspective", "vae-gan", "vae-gan before", "cvae-gan"])
def test_the_penalty_of_a_model_counts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = made("cvae" if kind == "cvae-gan" else "vae")
    games: dict[str, Any] = {
        "introspective": lambda: IntrospectiveBound((D,)),
        "vae-gan": lambda: VAEGANGame((D,)),
        "vae-gan before": lambda: VAEGANGame((D,), critic={"start": 0.5}),  # type: ignore[arg-type]
        "cvae-gan": lambda: CVAEGANGame((D,), condition=vae.condition),
    }
    objective, traced = games[kind](), vae.trace

    def losses() -> list[float]:
        reseed(2)
        players = objective.players(vae)[: 2 if kind == "introspective" else 1]
        return [player.play(batch(), Progress(0, 10)).loss.item() for player in players]

    def penalised(x: Any, *args: Any, **named: Any) -> Trace:
        trace: Trace = traced(x, *args, **named)
        trace.penalty = torch.full((len(x),), PENALTY)
        return trace

    without = losses()
    monkeypatch.setattr(vae, "trace", penalised)
    expected = PENALTY / D if kind == "introspective" else PENALTY
    for before, after in zip(without, losses(), strict=True):
        assert after - before == pytest.approx(expected, rel=1e-3)


def test_particles_leave_no_label_out() -> None:
    m2 = made("m2").train()
    with pytest.raises(RefusedError, match=r"learns by more than log p\(x\)"):
        FilteringBound(2)(m2, batch(), Progress())


@pytest.mark.parametrize("kind", ["mmd", "sliced"])
def test_a_prior_that_learns_from_its_density_needs_a_kl(kind: str) -> None:
    vae = made(prior={"kind": "mixture"}).train()
    objective: Any = {
        "mmd": lambda: DiscrepancyBound(alpha=1.0),
        "sliced": lambda: SlicedBound(alpha=1.0),
    }[kind]()
    with pytest.raises(RefusedError, match="only its density could move"):
        objective(vae, batch(), Progress())


def test_a_relaxed_draw_is_no_point_mass() -> None:
    relaxed = made("gumbel-vae").train()
    with pytest.raises(RefusedError, match=r"draws of q.* are relaxed in training"):
        ImportanceBound(3)(relaxed, batch(), Progress())
    for vae in (relaxed, relaxed.eval()):
        with pytest.raises(RefusedError, match="has noise"):
            RegularizedBound()(vae, batch(), Progress())


@pytest.mark.parametrize("objective", [DoublyReparameterizedBound(3), StickingTheLandingBound(3)])
def test_draws_of_classes_have_no_path(objective: Any) -> None:
    with pytest.raises(RefusedError, match="no derivative of their path"):
        objective(made("categorical-vae").train(), batch(), Progress())


def test_renyi_keeps_its_digits_near_the_elbo() -> None:
    vae, given = made().eval(), batch()
    for alpha in (0.9999, 0.99999, 0.999999):
        found = []
        for dtype in (torch.float32, torch.float64):
            reseed(3)
            trace = vae.trace(given.x, samples=8)
            exact = Trace(
                *(trace.z, trace.q, trace.p_z, trace.p_x),
                kl=trace.kl,
                log_q=(trace.log_q.detach() + 500).to(dtype),
                log_p_z=trace.log_p_z.detach().to(dtype),
                log_p_x=trace.log_p_x.detach().to(dtype),
            )
            found.append(RenyiBound(8, alpha).bound(exact, Progress()).value.double())
        assert torch.allclose(*found, rtol=0, atol=0.02)


def test_the_exponential_of_an_introspective_bound_stays_finite() -> None:
    vae = made(prior={"kind": "mixture"}).train()
    for seed in range(5):
        reseed(seed)
        encoder = IntrospectiveBound((D,)).players(vae)[0]
        assert abs(encoder.play(batch(), Progress()).loss.item()) < 1e3


def test_training_codes_of_m2_are_draws() -> None:
    m2 = made("m2").train()
    with torch.no_grad():
        m2.head.weight.zero_()
        m2.head.bias.zero_()
    reseed(4)
    trace = m2.trace(torch.randn(2000, D))
    y = trace.z[0, :, : m2.classes]
    assert ((y == 0) | (y == 1)).all()
    assert (y.sum(-1) == 1).all()
    assert torch.allclose(y.mean(0), torch.full((m2.classes,), 1 / m2.classes), atol=0.05)


@pytest.mark.parametrize("recipe", ["svae", "hvae", "hamiltonian-vae", "vrnn"])
def test_moments_without_a_closed_form_are_refused(recipe: str) -> None:
    given = Batch(torch.randn(6, 2, 4)) if recipe == "vrnn" else batch()
    model = build(recipe, given.x).train()
    with pytest.raises(RefusedError, match="not that of its draws"):
        CovarianceBound()(model, given, Progress())


def test_roughness_does_not_depend_on_the_units() -> None:
    found = []
    for unit in (1.0, 1000.0):
        reseed(5)
        x = unit * torch.randn(40, D)
        vae = build("rae-gp", x)
        reseed(6)
        bound = RegularizedBound(regularization="gradient", weight=1.0)(vae.train(), Batch(x[:6]), Progress())
        found.append(bound.terms["roughness"][0].item())
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_a_vamp_prior_begins_from_what_is_there() -> None:
    prior = VampPrior(2, (3,), components=4)
    x = torch.tensor([[1.0, torch.nan, 5.0], [3.0, 8.0, torch.nan], [2.0, torch.nan, 7.0], [1.5, 6.0, 6.0]])
    prior.start(x)
    assert torch.equal(prior.low, torch.tensor([1.0, 6.0, 5.0]))
    assert torch.equal(prior.width, torch.tensor([2.0, 2.0, 2.0]))
    begun = prior.inputs()
    assert begun.isfinite().all()
    assert set(begun[:, 1].tolist()) <= {6.0, 7.0, 8.0}  # 7, the mean, where it is missing


def test_weights_of_mixtures_keep_their_digits() -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        loc = torch.tensor([[0.0, 0.0], [3000.0, 0.0]], dtype=dtype, requires_grad=True)
        scale = torch.tensor([[1.0, 1.0], [3e-4, 1.0]], dtype=dtype)
        parts = joint(Normal(loc, scale), 1)
        mixture = NormalMixture(Categorical(logits=torch.zeros(2, dtype=dtype)), parts, validate_args=False)
        z = torch.tensor([[0.5, 0.3]], dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(NormalMixture, "sample", lambda self, shape=(), z=z: z)
            (slope,) = torch.autograd.grad(mixture.rsample(torch.Size([1])).sum(), loc)
        found.append(slope.double())
    assert torch.allclose(*found, rtol=1e-4)
