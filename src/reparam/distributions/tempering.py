"""Draws at a temperature: less noise than the distribution has, or more."""

from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily
from torch.types import _size


def tempered(distribution: Distribution, shape: _size, temperature: float) -> Tensor:
    r"""Draws whose noise is multiplied by a temperature.

    .. math:: z = \mu + T\,(z_1 - \mu), \qquad z_1 \sim p

    In a mixture the component is drawn as ever and the noise within it is multiplied. A distribution whose noise is not
    its deviation from the mean has a method ``tempered`` of its own: a flow multiplies the noise that it transforms.

    Args:
        distribution: What to draw from; batch ().
        shape: How many draws.
        temperature: T; 1 draws from the distribution itself, 0 leaves no noise.
    Raises:
        RefusedError: from distributions that have no noise which could be made smaller.
    """
    if temperature == 1:
        return distribution.sample(shape)
    own = getattr(distribution, "tempered", None)
    if own is not None:
        found: Tensor = own(shape, temperature)
        return found
    if isinstance(distribution, MixtureSameFamily):
        draws = tempered(distribution.component_distribution, shape, temperature)
        chosen = distribution.mixture_distribution.sample(shape)[..., None, None]
        return draws.gather(-2, chosen.expand(*chosen.shape[:-1], draws.shape[-1])).squeeze(-2)
    mean = distribution.mean
    return mean + temperature * (distribution.sample(shape) - mean)
