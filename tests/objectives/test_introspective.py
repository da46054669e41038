"""The soft-introspective bound against hand computation, and whom it moves."""

from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.errors import PartError, RefusedError
from reparam.objectives import IntrospectiveBound
from reparam.recipes import build
from reparam.rng import reseed
from reparam.trace import Progress
from tests.contracts.test_objectives import batch, model

D = 4


def gradients(loss: Tensor, parameters: Any) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True, retain_graph=True)
    return [torch.zeros(()) if gradient is None else gradient for gradient in found]


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_each_player_maximises_what_the_paper_says(alpha: float) -> None:
    objective = IntrospectiveBound((D,), beta=0.5, beta_neg=3.0, alpha=alpha)
    vae, given = model(), batch()
    x = given.x
    encoder, decoder = objective.players(vae)
    reseed(4)
    of_encoder = encoder.play(given, Progress())
    reseed(4)
    trace = vae.trace(x)
    z = vae.p_z().rsample(torch.Size([len(x)]))
    fakes = [vae.decode(z).mean, trace.p_x.mean[0]]
    again = [vae.trace(made.detach()) for made in fakes]
    wanted = (-trace.distortion - 0.5 * trace.rate) / D
    for seen, made in zip(again, fakes, strict=True):
        # a Normal density is highest at its mean
        gap = seen.distortion + seen.p_x.log_prob(seen.p_x.mean)[0]
        assert made.shape == (len(x), D)
        assert gap.min() >= 0
        wanted = wanted - 0.5 * torch.exp(-alpha / D * (gap + 3.0 * seen.rate)) / alpha
    assert torch.allclose(of_encoder.value, wanted)
    pairs = zip(
        gradients(of_encoder.loss, encoder.parameters), gradients(-wanted.mean(), encoder.parameters), strict=True
    )
    assert all(torch.allclose(*pair) for pair in pairs)

    reseed(4)
    of_decoder = decoder.play(given, Progress())
    reseed(4)
    trace = vae.trace(x)
    z = vae.p_z().rsample(torch.Size([len(x)]))
    again = [vae.trace(made) for made in (vae.decode(z).mean, trace.p_x.mean[0])]
    rate = 0.5 * (again[0].rate + again[1].rate)
    cost = 0.5 * (rate + trace.rate)  # the latter moves a learned prior alone
    assert torch.allclose(of_decoder.value, (-trace.distortion - cost) / D)
    # the decoder feels its examples through the encoder; the encoder does not feel them through the decoder
    through = gradients(-((-trace.distortion - 0.5 * rate) / D).mean(), decoder.parameters)
    for found, wanted_one in zip(gradients(of_decoder.loss, decoder.parameters), through, strict=True):
        assert torch.allclose(found, wanted_one)


def test_players_share_no_parameter() -> None:
    vae = model()
    encoder, decoder = IntrospectiveBound((D,)).players(vae)
    assert not {id(p) for p in encoder.parameters} & {id(p) for p in decoder.parameters}


def test_refuses_a_scale_that_made_examples_would_move() -> None:
    x = torch.rand(9, D)
    vae = build("intro-vae", x, likelihood={"kind": "normal", "scale": "optimal"})
    with pytest.raises(RefusedError, match="the scale 'optimal' would be that of made examples too"):
        IntrospectiveBound((D,)).players(vae)[0].play(Batch(x), Progress())


def test_refuses_numbers_that_make_no_sense() -> None:
    with pytest.raises(PartError, match="beta_neg is -1"):
        IntrospectiveBound((D,), beta_neg=-1.0)
    with pytest.raises(PartError, match="alpha is 0"):
        IntrospectiveBound((D,), alpha=0.0)
