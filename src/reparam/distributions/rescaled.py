"""A distribution moved and stretched: standardised values in the data's own units, or a prior where c puts it."""

from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from reparam.distributions.tempering import tempered
from reparam.shapes import broadcast


class Rescaled(Distribution):
    r"""Moves a distribution by ``shift`` and stretches it by ``scale``.

    .. math:: \log p(x) = \log p_0\left(\frac{x - \mathrm{shift}}{\mathrm{scale}}\right) - \sum_d \log \mathrm{scale}_d

    Shapes:
        base: batch (*batch), event (*event)
        shift, scale: broadcastable to (*event); or (*more, *event), which gives the batch (*more) to a base without one
    """

    arg_constraints = {"shift": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, base: Distribution, shift: Tensor, scale: Tensor) -> None:
        self.base, self.shift, self.scale = base, shift, scale
        self.normalized = getattr(base, "normalized", True)
        more = shift.shape[: max(0, shift.ndim - len(base.event_shape))]
        self._more = Size() if base.batch_shape else more
        super().__init__(Size(broadcast(base.batch_shape, more)), base.event_shape, validate_args=False)

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
        if self._more or not self.base.batch_shape:
            shape = Size(batch_shape) + self.event_shape
            return Rescaled(self.base, self.shift.expand(shape), self.scale.expand(shape))
        return Rescaled(self.base.expand(batch_shape), self.shift, self.scale)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.sample(Size(sample_shape) + self._more) * self.scale + self.shift

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.rsample(Size(sample_shape) + self._more) * self.scale + self.shift

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws whose noise, that of the base, is multiplied by the temperature."""
        return tempered(self.base, Size(shape) + self._more, temperature) * self.scale + self.shift

    def log_prob(self, value: Tensor) -> Tensor:
        volume = self.scale.expand(broadcast(self.scale.shape, self.event_shape))
        log_volume = volume.log().flatten(volume.ndim - len(self.event_shape)).sum(-1)
        return self.base.log_prob((value - self.shift) / self.scale) - log_volume
