"""Distributions whose parameters pass no gradient."""

import copy

from torch import Tensor
from torch.distributions import Distribution


def detached(distribution: Distribution) -> Distribution:
    """The same distribution with fixed parameters: its density has a gradient for the value alone.

    A distribution that holds more than tensors and distributions has a method ``detached`` of its own.
    """
    own = getattr(distribution, "detached", None)
    if own is not None:
        found: Distribution = own()
        return found
    fixed = copy.copy(distribution)
    for name, value in vars(distribution).items():
        if isinstance(value, Tensor):
            setattr(fixed, name, value.detach())
        elif isinstance(value, Distribution):
            setattr(fixed, name, detached(value))
    return fixed
