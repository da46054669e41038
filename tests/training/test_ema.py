"""The average of the weights."""

import pytest
import torch
from torch import nn

from reparam.rng import reseed
from reparam.training import EMA


def linear() -> nn.Linear:
    reseed(0)
    return nn.Linear(3, 2)


def test_average_by_hand() -> None:
    module = linear()
    ema, expected = EMA(module, 0.9), module.weight.detach().clone()
    for step in range(1, 30):
        with torch.no_grad():
            module.weight.normal_()
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    assert torch.allclose(ema.average[0], expected, atol=1e-6)  # float32, 29 steps


def test_swap_round_trips() -> None:
    module = linear()
    ema = EMA(module, 0.5)
    with torch.no_grad():
        module.weight += 1
    raw, average = module.weight.detach().clone(), ema.average[0].clone()
    parameter = module.weight
    with ema.applied():
        assert torch.equal(module.weight, average)
        assert module.weight is parameter
    assert torch.equal(module.weight, raw)
    assert torch.equal(ema.average[0], average)


def test_swap_comes_back_after_an_error() -> None:
    module = linear()
    ema = EMA(module, 0.5)
    with torch.no_grad():
        module.weight += 1
    raw = module.weight.detach().clone()
    with pytest.raises(RuntimeError, match="inside"), ema.applied():
        raise RuntimeError("inside")
    assert torch.equal(module.weight, raw)


def test_state_round_trips() -> None:
    module = linear()
    ema = EMA(module, 0.5)
    state = {name: tensor.clone() for name, tensor in ema.state().items()}
    with torch.no_grad():
        module.weight += 1
    ema.update(1)
    ema.load(state)
    assert all(torch.equal(ema.state()[name], tensor) for name, tensor in state.items())
