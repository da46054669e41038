"""A location-scale density whose scale is the best one for the data at hand."""

from collections.abc import Callable

from torch import Size, Tensor
from torch.distributions import Distribution, Laplace, Normal, constraints
from torch.types import _size

from reparam.processes import current


def optimal_scale(family: type[Normal] | type[Laplace], deviation: Tensor, smallest: float) -> Tensor:
    r"""Maximum-likelihood shared scale: root of the mean square (Normal) or mean absolute value (Laplace).

    The mean is that of the whole batch, where several processes share it.
    """
    group = current()
    if family is Laplace:
        return group.mean(deviation.abs().mean()).clamp_min(smallest)
    square = group.mean(deviation.square().mean())
    return square.clamp_min(smallest**2).sqrt()  # in this order the gradient at 0 is 0, not NaN


class OptimalScale(Distribution):
    r"""Scores x with the scale that maximises the likelihood of all values given together.

    .. math:: \sigma^{*2} = \frac{1}{KBD} \sum (x - \mathrm{loc})^2, \qquad
              b^* = \frac{1}{KBD} \sum |x - \mathrm{loc}|

    Shapes:
        loc: (*batch), values are scalar events
    Args:
        family: Normal or Laplace.
        loc: Location.
        seen: Called with the optimal scale each time it is found (detached), to keep a running value.
        smallest: Floor of the scale, so that a perfect reconstruction has a finite density.
    Source:
        Simple and effective VAE training with calibrated decoders (Rybkin et al., 2021), arXiv:2006.13202, eq. 5.
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real}
    support = constraints.real

    def __init__(
        self,
        family: type[Normal] | type[Laplace],
        loc: Tensor,
        scale: Tensor,
        seen: Callable[[Tensor], None],
        smallest: float,
    ) -> None:
        self.family, self.loc, self.scale, self.seen, self.smallest = family, loc, scale, seen, smallest
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._at(self.scale).variance

    def _at(self, scale: Tensor) -> Normal | Laplace:
        return self.family(self.loc, scale, validate_args=False)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "OptimalScale":
        return OptimalScale(self.family, self.loc.expand(batch_shape), self.scale, self.seen, self.smallest)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self._at(self.scale).rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        scale = optimal_scale(self.family, value - self.loc, self.smallest)
        self.seen(scale.detach())
        return self._at(scale).log_prob(value)  # type: ignore[no-untyped-call]
