"""A distribution over standardised values, seen in the data's own units."""

import math

from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


class Rescaled(Distribution):
    r"""Moves a distribution by ``shift`` and stretches it by ``scale``.

    .. math:: \log p(x) = \log p_0\left(\frac{x - \mathrm{shift}}{\mathrm{scale}}\right) - \sum_d \log \mathrm{scale}_d

    Shapes:
        base: batch (*batch), event (*event)
        shift, scale: broadcastable to (*event), constants of the data
    """

    arg_constraints = {"shift": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, base: Distribution, shift: Tensor, scale: Tensor) -> None:
        self.base, self.shift, self.scale = base, shift, scale
        self.normalized = getattr(base, "normalized", True)
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base.has_rsample

    @property
    def mean(self) -> Tensor:
        return self.base.mean * self.scale + self.shift

    @property
    def variance(self) -> Tensor:
        return self.base.variance * self.scale**2

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Rescaled":
        return Rescaled(self.base.expand(batch_shape), self.shift, self.scale)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.sample(sample_shape) * self.scale + self.shift

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.rsample(sample_shape) * self.scale + self.shift

    def log_prob(self, value: Tensor) -> Tensor:
        log_volume = self.scale.log().sum() * (math.prod(self.event_shape) / self.scale.numel())
        return self.base.log_prob((value - self.shift) / self.scale) - log_volume
