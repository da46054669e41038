"""Regularised autoencoders: what the decoder pays for."""

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.errors import RefusedError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.objectives import RegularizedBound
from reparam.objectives.regularized import REGULARIZERS
from reparam.posteriors import PointPosterior
from reparam.rng import reseed
from reparam.trace import Progress
from tests.objectives.traces import normal, trace
from tests.oracles.test_linear_gaussian import Linear

W = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]], dtype=torch.float64)


def linear(decoder: torch.nn.Module | None = None) -> VAE:
    reseed(0)
    decoder = decoder or Linear(W, torch.ones(3, dtype=torch.float64))
    return VAE(MLPEncoder((3,), (5,)), PointPosterior(5, 2), None, decoder, NormalLikelihood((3,), 0.5)).double()


def x(count: int = 4) -> Tensor:
    reseed(1)
    return torch.randn(count, 3, dtype=torch.float64)


def test_value_by_hand() -> None:
    vae = linear()
    found = RegularizedBound(code_weight=0.3, weight=0.2)(vae, Batch(x()), Progress())
    given = vae.trace(x())
    size = 0.5 * given.z[0].square().sum(-1)
    expected = given.log_p_x[0] - 0.3 * size - 0.2 * (W.square().sum() + 3.0)  # the bias is three ones
    assert torch.allclose(found.value, expected)
    assert torch.equal(found.terms["elbo"], given.log_p_x[0])
    assert torch.allclose(found.terms["roughness"], W.square().sum() + 3.0)


def test_gradient_estimates_the_norm_of_the_jacobian() -> None:
    """Of a linear decoder it is |W|^2 / 2 everywhere."""
    reseed(2)
    with torch.enable_grad():
        found = REGULARIZERS["gradient"](linear(), linear().trace(x(20_000)))
    error = found.std().item() / 20_000**0.5
    assert abs(found.mean().item() - 0.5 * W.square().sum().item()) < 5 * error  # five standard errors


def test_gradient_reaches_the_decoder_and_is_left_out_without_gradients() -> None:
    vae = linear(MLPDecoder(2, (3,), (6,)).double())
    found = REGULARIZERS["gradient"](vae, vae.trace(x()))
    slopes = torch.autograd.grad(found.sum(), [*vae.generative_parameters()], allow_unused=True)
    assert slopes[0] is not None
    assert slopes[0].any()
    with torch.no_grad():
        assert not REGULARIZERS["gradient"](vae, vae.trace(x())).any()


def test_refuses_noise() -> None:
    with pytest.raises(RefusedError, match="without a KL it would shrink to nothing"):
        RegularizedBound().bound(trace(torch.zeros(1, 2), normal(torch.zeros(2, 1))), Progress())
