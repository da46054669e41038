"""Draws that keep closer to the middle of a distribution, or further from it."""

from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size


def tempered_sample(distribution: Distribution, shape: _size, temperature: float) -> Tensor:
    """Draws with deviations from the mean multiplied by the temperature.

    A distribution for which that means something else has a method ``tempered`` of its own.
    """
    own = getattr(distribution, "tempered", None)
    if own is not None:
        drawn: Tensor = own(temperature).sample(shape)
        return drawn
    mean = distribution.mean
    return mean + temperature * (distribution.sample(shape) - mean)
