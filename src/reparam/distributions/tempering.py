"""Draws at a temperature: less noise than the distribution has, or more."""

from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size


def tempered(distribution: Distribution, shape: _size, temperature: float) -> Tensor:
    r"""Draws whose noise is multiplied by a temperature.

    .. math:: z = \mu + T\,(z_1 - \mu), \qquad z_1 \sim p

    A distribution whose noise is not its deviation from the mean has a method ``tempered`` of its own.

    Args:
        distribution: What to draw from; batch ().
        shape: How many draws.
        temperature: T; 1 draws from the distribution itself, 0 leaves no noise.
    """
    if temperature == 1:
        return distribution.sample(shape)
    own = getattr(distribution, "tempered", None)
    if own is not None:
        found: Tensor = own(shape, temperature)
        return found
    mean = distribution.mean
    return mean + temperature * (distribution.sample(shape) - mean)
