"""Likelihoods of real values by a location and a scale."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Laplace, Normal

from reparam.distributions import joint
from reparam.likelihoods.base import Likelihood
from reparam.likelihoods.scales import Family, Scale, make_scale
from reparam.shapes import Shape


class LocationScaleLikelihood(Likelihood, ABC):
    """Noise of one family around the decoder's output.

    Shapes:
        h: (*batch, arguments * C, ...), arguments 2 where the scale is predicted
    Args:
        data_shape: Shape of one example.
        scale: A number (fixed), ``learned`` (one, by gradient), ``optimal`` (one, in closed form) or ``predicted``
            (one a value, by the decoder).
    Raises:
        PartError: if scale is not positive or an unknown name.
    Source:
        ``optimal``: Simple and effective VAE training with calibrated decoders (Rybkin et al., 2021),
        arXiv:2006.13202, eq. 5; outside training its running mean is used.
    """

    def __init__(self, data_shape: Shape, scale: Scale = 0.1) -> None:
        noise = make_scale(scale)
        super().__init__(data_shape, noise.arguments)
        self.scale, self.noise = scale, noise

    @property
    @abstractmethod
    def family(self) -> Family:
        """The distribution with arguments loc and scale."""

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        return joint(self.noise(self.family, self.split(h)), len(self.data_shape))


class NormalLikelihood(LocationScaleLikelihood):
    r"""Normal noise around the decoder's output; with a fixed sigma, the squared error in nats.

    .. math::
        \log p(x \mid z) = -\sum_d \left[\frac{(x_d - h_d)^2}{2 \sigma^2} + \log \sigma + \tfrac12 \log 2 \pi\right]
    """

    @property
    def family(self) -> type[Normal]:
        return Normal


class LaplaceLikelihood(LocationScaleLikelihood):
    r"""Laplace noise around the decoder's output; with a fixed scale, the absolute error in nats.

    .. math:: \log p(x \mid z) = -\sum_d \left[\frac{|x_d - h_d|}{b} + \log 2 b\right]
    """

    @property
    def family(self) -> type[Laplace]:
        return Laplace
