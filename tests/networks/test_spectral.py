"""Layers that stretch no distance."""

import pytest
import torch
from torch import nn

from reparam.networks import ConvDecoder, MLPDecoder, Spectral
from reparam.rng import reseed


def norm(layer: nn.Module, dims: int) -> float:
    """The largest singular value of a linear map, from its Jacobian without the bias."""
    eye = torch.eye(dims, dtype=torch.float64)
    return torch.linalg.matrix_norm(layer(eye) - layer(torch.zeros_like(eye)), 2).item()


@pytest.mark.parametrize(("gain", "expected"), [(5.0, 1.0), (0.5, 0.5)])
def test_norm_is_at_most_one(gain: float, expected: float) -> None:
    reseed(0)
    linear = nn.Linear(6, 4).double()
    with torch.no_grad():
        linear.weight /= torch.linalg.matrix_norm(linear.weight, 2) / gain
    layer = Spectral(linear).double()
    for _ in range(200):
        layer(torch.zeros(1, 6, dtype=torch.float64))
    assert norm(layer.eval(), 6) == pytest.approx(expected, rel=1e-6)


def test_evaluation_keeps_nothing() -> None:
    reseed(0)
    layer, x = Spectral(nn.Linear(6, 4)), torch.randn(2, 6)
    before = layer.direction.clone()
    layer.eval()(x)
    assert torch.equal(layer.direction, before)
    layer.train()(x)
    assert not torch.equal(layer.direction, before)


def test_begins_at_zero_and_wakes_up() -> None:
    """A residual layer of zeros stays one, has a gradient, and finds its norm when it grows."""
    reseed(0)
    linear = nn.Linear(3, 3).double()
    nn.init.zeros_(linear.weight)
    layer, x = Spectral(linear).double(), torch.ones(1, 3, dtype=torch.float64)
    layer(x).sum().backward()
    assert linear.weight.grad is not None
    assert torch.equal(linear.weight.grad, torch.ones(3, 3, dtype=torch.float64))
    with torch.no_grad():
        linear.weight.copy_(7 * torch.eye(3))
    layer(x)
    assert norm(layer.eval(), 3) == pytest.approx(1.0)


def test_wraps_every_layer_of_a_decoder() -> None:
    for decoder in (
        MLPDecoder(3, (1, 12, 12), (9, 9), "residual", spectral=True),
        ConvDecoder(3, (1, 12, 12), channels=(4, 8), hidden_dim=8, spectral=True),
    ):
        inside = {id(module.layer) for module in decoder.modules() if isinstance(module, Spectral)}
        layers = [module for module in decoder.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        assert layers
        assert {id(layer) for layer in layers} == inside
        assert all(parameter.requires_grad for parameter in decoder.parameters())
        names = [name for name, _ in decoder.named_buffers()]
        assert set(names) <= set(decoder.state_dict())  # a resumed training goes on with them
