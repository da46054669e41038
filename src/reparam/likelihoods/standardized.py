"""A likelihood that works on standardised values and answers in the data's own units."""

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import Rescaled
from reparam.likelihoods.base import Likelihood
from reparam.networks import Units
from reparam.shapes import Shape


class StandardizedLikelihood(Likelihood):
    r"""Wraps a likelihood of (x - shift) / scale, so that tables of any units train alike.

    .. math:: \log p(x \mid z) = \log p_0\left(\frac{x - \mathrm{shift}}{\mathrm{scale}} \,\middle|\, z\right)
              - \sum_d \log \mathrm{scale}_d

    Args:
        base: The likelihood of standardised values.
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
    """

    def __init__(self, base: Likelihood, shift: tuple[float, ...], scale: tuple[float, ...]) -> None:
        super().__init__(base.data_shape, base.arguments)
        self.base, self.shift, self.scale = base, tuple(shift), tuple(scale)
        self.units = Units(self.shift, self.scale, base.data_shape)

    @property
    def out_shape(self) -> Shape:
        return self.base.out_shape

    def distribution(self, h: Float[Tensor, "..."]) -> Rescaled:
        return Rescaled(self.base(h), self.units.shift_values, self.units.scale_values)
