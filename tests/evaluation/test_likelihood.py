"""Streaming importance weights equal one pass over the same weights, in bounded memory."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from reparam.distributions import joint
from reparam.errors import PartError, RefusedError
from reparam.evaluation import importance_weighted, log_likelihood
from reparam.models import SemiSupervisedVAE
from reparam.recipes import build
from reparam.rng import reseed
from reparam.trace import Trace
from tests.contracts.members import tiny_data

S, B = 97, 13


class Preset(nn.Module):
    """A model whose importance weights are given: sample s of example b has log weight ``log_w[s, b]``."""

    conditions: tuple[str, ...] = ()

    def __init__(self, log_w: Tensor) -> None:
        super().__init__()
        self.log_w, self.at, self.codes = log_w, 0, []

    def infer(self, x: Tensor, **named: Any) -> Normal:
        self.at = 0
        self.modes = self.training
        return joint(Normal(torch.zeros(len(x), 1).double(), torch.ones(len(x), 1).double()), 1)  # type: ignore[return-value]

    def trace(self, x: Tensor, samples: int = 1, *, q: Any = None, **named: Any) -> Trace:
        self.codes.append(samples * len(x))
        weights = self.log_w[self.at : self.at + samples, x[:, 0].long()]
        self.at += samples
        zero = torch.zeros_like(weights)
        return Trace(zero.unsqueeze(-1), q, q, q, kl=zero.unsqueeze(-1), log_q=zero, log_p_z=zero, log_p_x=weights)


def weights(scale: float) -> Tensor:
    reseed(0)
    return scale * torch.randn(S, B, dtype=torch.float64) - 5000


@pytest.mark.parametrize("rows", [1, 10, 37, 200, 10_000])
@pytest.mark.parametrize("scale", [0.5, 30.0])
def test_chunks_equal_one_pass(rows: int, scale: float) -> None:
    log_w = weights(scale)
    model = Preset(log_w)
    x = torch.arange(B, dtype=torch.float64).unsqueeze(1)
    found = importance_weighted(model, x, samples=S, rows=rows)
    normalised = torch.exp(log_w - log_w.amax(0))
    mean = normalised.mean(0)
    # the same sums in another order, float64; the numbers are near 5000
    assert torch.allclose(found.log_p_x, log_w.amax(0) + mean.log(), atol=1e-10)
    assert torch.allclose(found.stderr, normalised.std(0) / S**0.5 / mean, rtol=1e-9)
    assert torch.allclose(found.ess, normalised.sum(0) ** 2 / (normalised**2).sum(0), rtol=1e-9)
    assert max(model.codes) <= rows
    assert sum(model.codes) == S * B


def test_equal_weights_are_certain() -> None:
    model = Preset(torch.full((S, B), -7.0, dtype=torch.float64))
    found = importance_weighted(model, torch.arange(B, dtype=torch.float64).unsqueeze(1), samples=S, rows=40)
    assert torch.equal(found.log_p_x, torch.full((B,), -7.0, dtype=torch.float64))
    assert torch.allclose(found.ess, torch.full((B,), float(S), dtype=torch.float64))
    assert not found.stderr.any()


def test_one_weight_has_no_error_to_state() -> None:
    found = importance_weighted(Preset(weights(1.0)), torch.zeros(1, 1, dtype=torch.float64), samples=1)
    assert found.ess.item() == 1
    assert found.stderr.item() == 0


def test_follows_its_seed_and_leaves_the_generator_alone() -> None:
    model = build("sigma-vae", tiny_data("real", (4,)))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    first = log_likelihood(model, x, samples=20, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(log_likelihood(model, x, samples=20, seed=1), first)
    assert not torch.equal(log_likelihood(model, x, samples=20, seed=2), first)
    assert first.shape == (5,)
    assert not first.requires_grad


def test_judges_in_evaluation_mode_and_gives_the_mode_back() -> None:
    """In training mode sigma-vae would score x with the scale that fits this very batch best, and remember it."""
    model = build("sigma-vae", tiny_data("real", (4,)))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    trained = log_likelihood(model.train(), x, samples=20)
    assert model.training
    assert torch.equal(trained, log_likelihood(model.eval(), x, samples=20))
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("recipe", ["vamp-vae", "m2"])
def test_a_prior_is_made_once_for_all_draws_of_some_examples(recipe: str) -> None:
    """That of the VampPrior encodes its pseudo-inputs, which costs as much as the decoding."""
    model = build(recipe, tiny_data("real", (4,)))
    prior = model.vae.prior if isinstance(model, SemiSupervisedVAE) else model.prior
    assert prior is not None
    made: list[object] = []
    prior.register_forward_hook(lambda part, given, p_z: made.append(p_z))
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    log_likelihood(model, x, samples=40, rows=40)
    assert len(made) == 1


def test_progress_counts_examples() -> None:
    done: list[int] = []
    x = torch.arange(B, dtype=torch.float64).unsqueeze(1)
    importance_weighted(Preset(weights(1.0)), x, samples=S, rows=50, progress=done.append)
    assert done == [5, 10, 13]


@pytest.mark.parametrize(("count", "samples"), [(0, 5), (3, 0), (3, -2)])
def test_refuses_nothing_to_do(count: int, samples: int) -> None:
    with pytest.raises(PartError, match=f"got {count} examples and samples={samples}, expected at least 1"):
        importance_weighted(Preset(weights(1.0)), torch.zeros(count, 1, dtype=torch.float64), samples=samples)


@pytest.mark.parametrize(
    ("recipe", "model", "sentence"),
    [
        ("ae", {}, "A plain autoencoder has no density"),
        ("ae", {"prior": "normal"}, "a point mass, so there are no importance weights"),
        ("vae", {"likelihood": "reconstruction"}, "a distance, not a density"),
    ],
)
def test_refuses_what_has_no_density(recipe: str, model: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        log_likelihood(build(recipe, tiny_data("real", (4,)), **model), torch.zeros(2, 4), samples=3)
