"""Bounds and gradients on the linear-Gaussian model, whose log p(x) and posterior are known."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.models import VAE
from reparam.objectives import (
    ELBO,
    DoublyReparameterizedBound,
    ImportanceBound,
    Objective,
    PartialImportanceBound,
    RenyiBound,
    StickingTheLandingBound,
)
from reparam.rng import reseed
from reparam.trace import Progress
from tests.oracles.test_linear_gaussian import D, exact, examples, model, truth, wrong

K = 8


def gradient(objective: Objective, vae: VAE, x: Tensor) -> Tensor:
    """The gradient of the loss for every parameter, as one vector: generative ones first."""
    loss = objective(vae, Batch(x), Progress()).loss
    parameters = [*vae.generative_parameters(), *vae.inference_parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def repeated(objective: Objective, vae: VAE, x: Tensor, repeats: int = 100) -> Tensor:
    """Gradients over fresh draws, (repeats, parameters); each is the mean of 100 of them."""
    reseed(11)
    return torch.stack([gradient(objective, vae, x.expand(100, D)) for _ in range(repeats)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ImportanceBound(K), DoublyReparameterizedBound(K)),
        (ELBO(), StickingTheLandingBound()),
        (ELBO(), DoublyReparameterizedBound(1)),
    ],
    ids=["iwae-dreg", "elbo-stl", "elbo-dreg1"],
)
def test_gradients_agree_in_expectation(one: Objective, other: Objective) -> None:
    known = truth()
    x, vae = examples(known, 1), model(known, wrong())
    first, second = repeated(one, vae, x), repeated(other, vae, x)
    error = ((first.var(0) + second.var(0)) / len(first)).sqrt()
    difference = (first.mean(0) - second.mean(0)).abs()
    assert difference.le(5 * error + 1e-12).all()  # five standard errors; some gradients have none
    assert first.mean(0).abs().gt(5 * error).sum() > 10  # and there is something to agree on


def test_dreg_has_less_noise_for_q_where_iwae_drowns() -> None:
    known = truth()
    x, vae = examples(known, 1), model(known, wrong())
    count = sum(parameter.numel() for parameter in vae.inference_parameters())
    noise = [
        repeated(kind(32), vae, x, 40)[:, -count:].var(0).sum()
        for kind in (ImportanceBound, DoublyReparameterizedBound)
    ]
    assert noise[1] < 0.5 * noise[0]


@pytest.mark.parametrize("objective", [StickingTheLandingBound(3), DoublyReparameterizedBound(3)])
def test_no_noise_at_the_exact_posterior(objective: Objective) -> None:
    """The path derivative of log w is zero at every draw, where that of the ELBO's sampled terms is not."""
    known = truth(orthogonal=True)
    x, vae = examples(known), model(known, exact(known, full=False))
    count = sum(parameter.numel() for parameter in vae.inference_parameters())
    reseed(4)
    found = torch.stack([gradient(objective, vae, x)[-count:] for _ in range(5)])
    assert found.abs().max() < 1e-9  # sums of numbers of the order of 10 in float64
    assert gradient(ELBO(), vae, x)[-count:].abs().max() > 1e-2


def test_bounds_lie_between_the_elbo_and_log_p_x() -> None:
    """ELBO < several groups of draws < one group of all draws < log p(x)."""
    known = truth()
    x, vae, repeats = examples(known, 1), model(known, wrong()), 10_000
    reseed(2)
    with torch.no_grad():
        trace = vae.trace(x.expand(repeats, D), samples=32)
        bounds = [ImportanceBound(32, groups).bound(trace, Progress()).value for groups in (32, 8, 1)]
        half = ImportanceBound(32, elbo_share=0.5).bound(trace, Progress()).value
    for lower, upper in pairwise(bounds):
        assert upper.ge(lower - 1e-10).all()  # Jensen's inequality holds draw by draw
        assert (upper - lower).mean() > 0.01
    error = bounds[-1].std() / repeats**0.5
    assert known.p_x.log_prob(x).item() - bounds[-1].mean() > 5 * error
    assert torch.allclose(bounds[0], trace.log_w.mean(0), atol=1e-10)
    assert torch.allclose(half, 0.5 * (trace.elbo + bounds[-1]), atol=1e-10)


def test_partial_importance_weighting_gives_each_its_bound() -> None:
    known = truth()
    x, vae = examples(known), model(known, wrong())
    objective = PartialImportanceBound(8, groups=4)
    generation, inference = objective.players(vae)
    for player, same in ((generation, ImportanceBound(8)), (inference, ImportanceBound(8, groups=4))):
        reseed(5)
        found = player.play(Batch(x), Progress()).value
        reseed(5)
        assert torch.equal(found, same(vae, Batch(x), Progress()).value)
    assert set(map(id, generation.parameters)) == set(map(id, vae.generative_parameters()))
    assert set(map(id, inference.parameters)) == set(map(id, vae.inference_parameters()))


def test_renyi_bounds_fall_as_alpha_grows() -> None:
    known = truth()
    x, vae = examples(known), model(known, wrong())
    reseed(6)
    trace = vae.trace(x, samples=50)
    orders: list[float | str] = ["max", -30.0, -2.0, 0.0, 0.5, 0.9995, 1.0005, 4.0]
    found = [RenyiBound(50, order).bound(trace, Progress()).value for order in orders]  # type: ignore[arg-type]
    for higher, lower in pairwise(found):
        assert higher.gt(lower).all()  # means of higher order are larger, draw by draw
    assert torch.allclose(found[3], ImportanceBound(50).bound(trace, Progress()).value, rtol=1e-12)
    assert torch.equal(RenyiBound(50, 1.0).bound(trace, Progress()).value, trace.elbo)
    middle = 0.5 * (found[5] + found[6])
    assert torch.allclose(middle, trace.log_w.mean(0), atol=0.02)  # alpha = 1, within the square of its distance


def test_every_renyi_bound_is_tight_at_the_exact_posterior() -> None:
    known = truth(orthogonal=True)
    x, vae = examples(known), model(known, exact(known, full=False))
    reseed(7)
    trace = vae.trace(x, samples=5)
    for order in (-3.0, 0.0, 0.5, 2.0, "max"):
        found = RenyiBound(5, order).bound(trace, Progress()).value  # type: ignore[arg-type]
        assert (found - known.p_x.log_prob(x)).abs().max() < 1e-9
